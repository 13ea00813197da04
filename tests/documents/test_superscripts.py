"""Superscripts and subscripts in plain text: of elements, HTML, MathML and Unicode."""

from __future__ import annotations

import pytest
from lxml import etree
from reader_help import documents, read

from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.readers.xml_records import plain_text, readable
from bioretrieval_tui.documents.superscripts import powers_on_line, scripts_on_line
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.text_index import weighted_terms

WRITINGS = [
    ("10<sup>5</sup> cells", "10^5 cells"),
    ("1.5 x 10<sup>-3</sup> M", "1.5 x 10^-3 M"),
    ("10<sup>\u22123</sup>", "10^-3"),
    ("10<sup>\u2013 3</sup>", "10^-3"),
    ("10<sup>n</sup>", "10^n"),
    ("2<sup>\u2212\u0394\u0394Ct</sup>", "2^-\u0394\u0394Ct"),
    ("10<i><sup>5</sup></i>", "10^5"),
    ("10<sup><i>5</i></sup>", "10^5"),
    ("10<sup> 5 </sup>/l", "10^5/l"),
    ("10<sup>\u2212</sup><sup>3</sup> M", "10^-3 M"),
    ("10<sup>5</sup> <sup>14</sup>C", "10^5 14C"),
    ("in 2012<sup>a</sup>", "in 2012^a"),
    ("10<sup>5</sup>-10<sup>6</sup>", "10^5-10^6"),
    ("(a + b)<sup>2</sup>", "(a + b)^2"),
    ("0.05.<sup>12</sup> We", "0.05.^12 We"),
    ("previously<sup>1,2</sup>", "previously^1,2"),
    ("newts<sup>a</sup>", "newts^a"),
    ("newts<sup>*</sup>", "newts*"),
    ("BRAF<sup>V600E</sup>", "BRAF^V600E"),
    ("Pten<sup>fl/fl</sup>", "Pten^fl/fl"),
    ("PO<sub>4</sub><sup>3-</sup>", "PO4^3-"),
    ("x<sup>2<sup>n</sup></sup>", "x^2^n"),
    # On the line, as people write them.
    ("kg/m<sup>2</sup>", "kg/m2"),
    ("9 mm<sup>3</sup>", "9 mm3"),
    ("min<sup>-1</sup> and s<sup>\u22122</sup>", "min-1 and s-2"),
    ("Ca<sup>2+</sup>", "Ca2+"),
    ("[Ca<sup>2+</sup>]<sub>i</sub>", "[Ca2+]i"),
    ("CD4<sup>+</sup> CD25<sup>-</sup>", "CD4+ CD25-"),
    ("p53<sup>-/-</sup>", "p53-/-"),
    ("CO<sub>2</sub>", "CO2"),
    ("H<sub>2</sub>O", "H2O"),
    ("C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "C6H12O6"),
    ("x<sub>1</sub>", "x1"),
    ("log<sub>10</sub>", "log10"),
    ("1011<sub>2</sub>", "1011_2"),
    ("<sup>14</sup>C", "14C"),
    ("[<sup>18</sup>F]FDG, 2-<sup>3</sup>H", "[18F]FDG, 2-3H"),
    ("N<sup>6</sup>-methyladenosine", "N6-methyladenosine"),
    ("TNF<sup>\u03b1</sup>", "TNF\u03b1"),
    ("the 5<sup>th</sup>", "the 5th"),
    ("<sup/>10<sup></sup>", "10"),
]


@pytest.mark.parametrize(("markup", "expected"), WRITINGS)
def test_elements_and_html_give_one_writing(markup: str, expected: str) -> None:
    element = etree.fromstring(f"<t>{markup}</t>")
    assert plain_text(element) == readable(element) == expected
    if "<i>" not in markup and "<sup/>" not in markup:
        assert scripts_on_line(markup) == expected


@pytest.mark.parametrize(
    ("math", "expected"),
    [
        ("<msup><mn>10</mn><mn>5</mn></msup>", "10^5"),
        (
            "<mn>2</mn><mo>\u00d7</mo><msup><mn>10</mn><mrow><mo>\u2212</mo><mn>3</mn></mrow></msup>",
            "2\u00d710^-3",
        ),
        ("<msup><mi>m</mi><mn>2</mn></msup>", "m2"),
        ("<msub><mi>x</mi><mn>1</mn></msub>", "x1"),
        ("<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>", "x1^2"),
        ("<msup><mi>a</mi></msup>", "a"),
    ],
)
def test_formulae(math: str, expected: str) -> None:
    assert plain_text(etree.fromstring(f"<t><math>{math}</math></t>")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10\u2075 cells", "10^5 cells"),
        ("10\u207b\u00b3 M", "10^-3 M"),
        ("kg/m\u00b2", "kg/m\u00b2"),
        ("CD4\u207a", "CD4\u207a"),
        ("\u00b9\u2074C", "\u00b9\u2074C"),
    ],
)
def test_superscripts_of_unicode(text: str, expected: str) -> None:
    assert powers_on_line(text) == expected


def test_html_that_is_not_closed_stays_as_it_is() -> None:
    assert scripts_on_line("10<sup>5 and H<SUB class='x'>2</SUB>O") == "10<sup>5 and H2O"
    deep = "<sup>" * 5000 + "1" + "</sup>" * 5000
    assert scripts_on_line(deep).count("<sup>") == 5000 - 8


def test_search_finds_words_and_numbers() -> None:
    assert tokens("10^5") == tokens("10 5")
    assert "105" not in tokens(powers_on_line("10\u2075"))
    assert dict(weighted_terms("10\u2075 cells")) == dict(weighted_terms("10^5 cells"))
    assert set(tokens("braf v600e")) <= set(tokens("BRAF^V600E"))
    assert tokens("BRAFV600E")[0] in tokens("BRAF^V600E")
    assert set(tokens("Ptenfl/fl")) <= set(tokens("Pten^fl/fl"))
    assert tokens("newts")[0] in tokens("newts^a")
    assert "105" not in tokens("10^5")


PUBMED = (
    "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T</ArticleTitle>"
    "<Abstract><AbstractText>{}</AbstractText></Abstract></Article></MedlineCitation>"
    "</PubmedArticle>"
)
JATS = (
    "<article><front><article-meta><title-group><article-title>T</article-title></title-group>"
    "<abstract><p>{}</p></abstract></article-meta></front></article>"
)


@pytest.mark.parametrize(
    ("format_", "record"),
    [
        ("pubmed-xml", PUBMED),
        ("jats", JATS),
        ("europepmc", '{{"id": "1", "source": "MED", "title": "T", "abstractText": "{}"}}'),
        ("ris", "TY  - JOUR\nTI  - T\nAB  - {}\nER  - \n"),
        ("csv", "id,title,abstract\n1,T,{}\n"),
    ],
)
@pytest.mark.parametrize("power", ["10<sup>5</sup>", "10\u2075"])
def test_all_readers_write_one_form(format_: str, record: str, power: str) -> None:
    found = read(record.format(f"At {power} cells"), by_name(format_))
    assert [document.text for document in documents(found)] == ["At 10^5 cells"]
