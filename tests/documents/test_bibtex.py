"""BibTeX and LaTeX: entries, values, names, inheritance, faulty entries, exporters' dialects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import documents, promises_kept, read, read_nameless, rejected

from bioretrieval_tui.documents.bibliography import said, without_markup
from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Skipped
from bioretrieval_tui.documents.latex import latex_text

FORMAT = by_name("bibtex")

ONE = r"""% Encoding: UTF-8
@string{pj = "Pond " # {Journal}}

@article{miller2011,
  title = {{Herons} eat {N}ewts \& others},
  author = "Miller, Ada B. and Berg, {\"O}tto and {The Pond Group} and others",
  journal = pj # " (" # "B" # ")",
  year = 2011, month = mar # "~4",
  abstract = {We watched $10^{5}$ ponds @ noon; p\textless{}0.05, 95\% CI.
    More {"}here{"}.},
  doi = {https://doi.org/10.1000/Pond\_1},
  pmid = {21234567},
  keywords = {herons, newts},
  volume = 3, number = {2}, pages = {1--9},
  language = {eng},
}
"""


def _one(fields: str, kind: str = "article") -> dict[str, Any]:
    (document,) = documents(read(f"@{kind}{{key,\n  title = {{T}},\n{fields}\n}}\n", FORMAT))
    return {"id": document.id, "text": document.text, **document.metadata}


def test_every_field() -> None:
    (document,) = documents(read(ONE, FORMAT))
    assert (document.id, document.title) == ("21234567", "Herons eat Newts & others")
    assert document.text == 'We watched 10^5 ponds @ noon; p<0.05, 95% CI. More "here".'
    assert document.metadata == {
        "authors": ["Miller AB", "Berg \u00d6", "The Pond Group"],
        "journal": "Pond Journal (B)",
        "year": 2011,
        "date": "2011-03-04",
        "doi": "10.1000/Pond_1",
        "pmid": "21234567",
        "language": ["eng"],
        "types": ["Journal Article"],
        "keywords": ["herons", "newts"],
        "volume": "3",
        "issue": "2",
        "pages": "1-9",
    }
    assert FORMAT.recognises(ONE.encode())


@pytest.mark.parametrize(
    "entry",
    [
        "@article{k, title={A}}",
        '@ARTICLE{k,title="A"}',
        "@Article(k, Title = {A})",
        "@article{, title={A}}",
        "@article{title={A}, year=2010}",
        "@article{a key, title={A},, year=2000,}",
        "@article{k, title={A} year=2000}",
        "@ article {k , title = {A}, }",
        "@article{k,\r\n title = {A}\r\n}",
        "@article{k,\n title\n =\n {A}\n}",
        "text @ before @article{k, title={A}} and behind",
        "@article{k, title={A}, title={B}}",
        "@comment{jabref-meta: {x};}\n@article{k, title={A}}",
        '@preamble{"\\newcommand{\\x}{y}"}@article{k, title={A}}',
        "@comment{an open {brace\n@article{k, title={A}}",
        "\ufeff@misc{k, title={A}}",
        "@article{k, title={A}, year={2010}\n",
        "@article{k, title={A},\n funding_text 1={The Fund, of Ponds}, year=2010}",
        "@article{k, funding text (a)={B}, title={A}}",
        "@article{k, ={A}, C#={x}, title={A}}",
        "@article{k, author+an={1=x}, a/b:c.d={B}, title={A}}",
        "@article(k, title={A},\n",
    ],
)
def test_ways_to_write_an_entry(entry: str) -> None:
    found = read(f"{entry}\n@book{{last, title={{Z}}}}\n", FORMAT)
    assert [one.title for one in documents(found)] == ["A", "Z"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("@article{k, title={Open,\n year=2012\n}\n", "does not end: a brace is open"),
        (
            "@article{k, title={T}, abstract={open { here}, year=2011}\n",
            "brace is open; line 17 of the file is a value without an end: abstract",
        ),
        (
            "@article{k,\n abstract = {an open { here},\n title = {T},\n year = 2011\n}\n",
            "brace is open; line 18 of the file is a value without an end: abstract",
        ),
        (
            "@article{k,\n title = {T},\n note = {{open},\n month = jan}\n\n",
            "brace is open; line 19 of the file is a value without an end: note",
        ),
        ("@article{k, year=2012,\n title {x}}\n", "line 18 of the file is no field: title {x}"),
        ('@article{k,\n title="x}, year=1}\n', "line 18 of the file is a value without an end"),
        ("@article{k, year=2012}\n", "neither a title nor an abstract"),
        ("@article{k}\n", "line 17 of the file is no field: k"),
        ("@article{k, title={a\0b}}\n", "NUL"),
        (b"@article{k, title={caf\xe9}}\n", "not UTF-8 at byte 23 of line 17"),
    ],
)
def test_a_faulty_entry_costs_no_other(entry: str | bytes, reason: str) -> None:
    data = entry if isinstance(entry, bytes) else entry.encode()
    found = read(ONE.encode() + data + ONE.encode(), FORMAT)
    assert len(documents(found)) == 2
    (refused,) = rejected(found)
    assert reason in refused.reason
    assert refused.place.line == 17


def test_fields_outside_of_entries_are_told() -> None:
    found = read("article{k,\n  title = {Lost},\n}\n@book{l, title={Z}}\n", FORMAT)
    (told,) = [item for item in found if isinstance(item, Skipped)]
    assert (told.place.line, told.reason) == (2, "a field outside of an entry: title = {Lost},")


def test_an_entry_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.readers.bibtex.MAX_LINE_BYTES", 1000)
    found = read("@book{k, title={x\n" + "words\n" * 500 + "}}\n@book{l, title={Z}}\n", FORMAT)
    assert "longer than 1,000" in rejected(found)[0].reason
    assert [one.title for one in documents(found)] == ["Z"]


@pytest.mark.parametrize(
    ("names", "authors"),
    [
        ("Miller, Ada and Berg, O. P.", ["Miller A", "Berg OP"]),
        ("Ada B. Miller and Otto van der Berg", ["Miller AB", "van der Berg O"]),
        ("Miller, Jr, Ada and King, Martin Luther, III", ["Miller A Jr", "King ML III"]),
        (
            "{World Health Organization} and {Barnes and Noble}",
            ["World Health Organization", "Barnes and Noble"],
        ),
        ("World Health Organization", ["World Health Organization"]),
        ("{van der Berg}, Otto and {\\'E}mile {\\'E}cole", ["van der Berg O", "\u00c9cole \u00c9"]),
        ("Zhang, Yiwen and Guo, Yuming AND Zhang, Ying", ["Zhang Y", "Guo Y", "Zhang Y"]),
        ("Miller AB and Berg O", ["Miller AB", "Berg O"]),
        ("Miller, A.; Berg, O.", ["Miller A", "Berg O"]),
        ("Miller A., Berg O.P.", ["Miller A", "Berg OP"]),
        ("A. Miller, O. Berg, and W. Li", ["Miller A", "Berg O", "Li W"]),
        ("Garcia Lopez, Maria Jose and Ada Li", ["Garcia Lopez MJ", "Li A"]),
        ("\u5f20\u4e09 and others", ["\u5f20\u4e09"]),
        ("Miller, Ada\n    and\n    Berg, Otto", ["Miller A", "Berg O"]),
    ],
)
def test_names(names: str, authors: list[str]) -> None:
    assert _one(f"author = {{{names}}}")["authors"] == authors


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("inproceedings", "booktitle={P}, editor={Ed, E.}, publisher={ACL}, address={Bern}",
         {"book": "P", "editors": ["Ed E"], "publisher": "ACL", "place": "Bern",
          "types": ["Conference Paper"]}),
        ("incollection", "booktitle={B}, isbn={978-1-2345-6789-7}",
         {"book": "B", "isbn": "978-1-2345-6789-7", "types": ["Book Chapter"]}),
        ("phdthesis", "school={Uni}", {"school": "Uni", "types": ["Thesis"]}),
        ("techreport", "institution={WHO}", {"publisher": "WHO", "types": ["Report"]}),
        ("article", "journaltitle={J}, date={2011-03-04}, publisher={P}",
         {"journal": "J", "year": 2011, "date": "2011-03-04", "types": ["Journal Article"]}),
        ("misc", "eprint={2101.00001}, archivePrefix={arXiv}, howpublished={\\url{http://a.b/c}}",
         {"arxiv": "2101.00001"}),
        ("article", "year={2020}, month={Mar-Apr}, eid={e12}",
         {"year": 2020, "date": "2020", "pages": "e12", "types": ["Journal Article"]}),
    ],
)  # fmt: skip
def test_kinds_of_works(kind: str, fields: str, expected: dict[str, Any]) -> None:
    found = _one(fields, kind)
    assert {name: value for name, value in found.items() if name not in ("id", "text")} == expected


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ("pmid={21234567}, doi={10.1000/X}", "21234567"),
        ("eprint={21234567}, eprinttype={pubmed}", "21234567"),
        ("note={PMID: 21234567}", "21234567"),
        ("pubmed_id={21234567}, source={Scopus}", "21234567"),
        ("url={https://pubmed.ncbi.nlm.nih.gov/21234567/}", "21234567"),
        ("annote={PMCID: PMC3040763}", "PMC3040763"),
        ("doi={10.1000/X}, note={Cited by: 5}", "10.1000/x"),
        ("url={http://dx.doi.org/10.1000/X}", "10.1000/x"),
        ("doi={10.1002/(SICI)1097(1998)17:15{\\textless}1::AID-SIM9{\\textgreater}3.0.CO;2-2}",
         "10.1002/(sici)1097(1998)17:15<1::aid-sim9>3.0.co;2-2"),
        ("unique-id={WOS:000123456700001}", "WOS:000123456700001"),
        ("url={https://www.scopus.com/inward/record.uri?eid=2-s2.0-8501\\&md5=a}", "2-s2.0-8501"),
    ],
)  # fmt: skip
def test_identifiers(fields: str, identity: str) -> None:
    assert _one(fields)["id"] == identity


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@article{k,\n", True),
        ("@Book(\n k2,\n", True),
        ("@misc{, title={A}}", True),
        ("@misc{title={A}}", True),
        ('@string{a = "b"}', True),
        ("@comment{x}", True),
        ('@report("x", 1)\ndef f(): ...\n', False),
        ("@dataset(name)\n", False),
        ("@thesis\nclass A: ...\n", False),
        ("mail@book{a", False),
    ],
)
def test_recognition(text: str, found: bool) -> None:
    assert FORMAT.recognises(text.encode()) is found


def test_citation_keys_are_no_ids() -> None:
    first, second = documents(read("@book{k, title={A}}\n@book{k, title={B}}\n", FORMAT))
    assert first.id.startswith("made:")
    assert first.id != second.id


def test_fields_of_web_of_science_and_scopus() -> None:
    found = _one(
        "author={{Miller, Ada and Berg, Otto}}, Type={{Article}}, Month={{MAR 4}}, Year={{2011}},"
        " Keywords={{herons; newts}}, Affiliation={{One.}}, url={http://a.b/c\\_d\\&e}"
    )
    assert {name: value for name, value in found.items() if name not in ("id", "text")} == {
        "authors": ["Miller A", "Berg O"],
        "year": 2011,
        "date": "2011-03-04",
        "types": ["Journal Article"],
        "keywords": ["herons", "newts"],
        "affiliations": ["One."],
        "url": "http://a.b/c_d&e",
    }


PARENT = "@proceedings{p, title={Proc}, editor={Ed, E.}, year=2011, doi={10.1000/p}}\n"


@pytest.mark.parametrize("before", [True, False])
def test_inheritance(before: bool) -> None:
    child = "@inproceedings{c, crossref={P}, title={In}}\n"
    data = PARENT + child if before else child + PARENT
    found = {one.title: one.metadata for one in documents(read(data, FORMAT))}
    assert found["In"] == {
        "book": "Proc",
        "editors": ["Ed E"],
        "year": 2011,
        "date": "2011",
        "types": ["Conference Paper"],
    }
    assert len(found) == 2


def test_a_missing_parent_loses_no_child() -> None:
    (document,) = documents(read("@inproceedings{c, crossref={p}, title={In}}\n", FORMAT))
    assert document.title == "In"


def test_shared_data_are_no_entry() -> None:
    data = "@xdata{x, publisher={P}}\n@book{b, title={B}, xdata={x}}\n"
    (document,) = documents(read(data, FORMAT))
    assert document.metadata["publisher"] == "P"


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"{\"O}tto Caf\'e \'{\i} Erd\H{o}s", "Ötto Café í Erdős"),
        (r"Stra{\ss}e \c{S}ahin {\O}rsted", "Straße Şahin Ørsted"),
        (r"na{\"\i}ve Fran\c cois {\"{U}}ber", "naïve François Über"),
        (r"\.{I}stanbul \~n \k{a} \v{c} \r{a} \=a \u{g}", "İstanbul ñ ą č å ā ğ"),
        (r"5\% of AT\&T, x\_y \#1 \{z\}", "5% of AT&T, x_y #1 {z}"),
        ("95% of a & b cost $5 and $10", "95% of a & b cost $5 and $10"),
        (r"$10^{5}$ CO$_2$ 10\textsuperscript{-3} $^{14}$C", "10^5 CO2 10^-3 14C"),
        (r"TGF-$\beta$1 $\kappa$B $\leq$5 $\sim$5 \textalpha", "TGF-β1 κB \u22645 ~5 \u03b1"),
        (r"\emph{Rana} \textit{\textbf{x}} \unknown{y} \url{a.b/c_d}", "Rana x y a.b/c_d"),
        (r"\href{a.b}{here} {\textless}i{\textgreater}R{\textless}/i{\textgreater}", "here R"),
        (r"1--9 --- ``quoted''", "1\u20139 \u2014 \u201cquoted\u201d"),
        (r"Figure~1 ~5 30\,mg 20$^{\circ}$C", "Figure 1 ~5 30 mg 20°C"),
        ("lone { brace } and \\", "lone brace and \\"),
    ],
)  # fmt: skip
def test_latex(latex: str, text: str) -> None:
    assert without_markup(latex_text(latex)) == text


texts = st.text(
    st.characters(exclude_categories=["C", "Z", "No"], exclude_characters="{}\"\\$~<&-'`^_"),
    min_size=1,
    max_size=8,
)
titled = st.lists(texts, min_size=1, max_size=5).filter(lambda words: said(" ".join(words)))


@given(st.lists(titled, max_size=5), st.sampled_from('{"'))
def test_what_is_written_is_read(titles: list[list[str]], quote: str) -> None:
    closing = {"{": "}", '"': '"'}[quote]
    data = "".join(
        f"@book{{k, title = {quote}{' '.join(words)}{closing},\n year = 2011}}\n"
        for words in titles
    )
    assert [one.title for one in documents(read(data, FORMAT))] == [" ".join(w) for w in titles]


@given(st.text(st.sampled_from("@{}()\",=#\\$ \n\rabtitle%~'^_1\0"), max_size=120))
def test_any_text_is_read_without_fault(noise: str) -> None:
    found = read_nameless(f"{noise}\n@book{{k, title={{Zz}}}}\n".encode(), FORMAT)
    promises_kept(found)
    assert "Zz" in [one.title for one in documents(found)]
