"""RIS, CSL JSON and EndNote XML: what is written is read again by this project's own readers."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.documents.bibliography import without_markup
from bioretrieval_tui.documents.detect import items, recognise
from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.superscripts import powers_on_line
from bioretrieval_tui.render.citation import Citation, cite_hit, page_span
from bioretrieval_tui.render.entries import entry_sheet
from bioretrieval_tui.render.formats import Format, render
from bioretrieval_tui.render.reference_formats import csl_items
from bioretrieval_tui.render.sheet import Sheet, one_line
from bioretrieval_tui.search.types import Hit, document_hit

READERS: dict[Format, str] = {"ris": "ris", "csl": "csl-json", "endnote": "endnote-xml"}
formats = pytest.mark.parametrize("to", READERS)


def hit(title: str = "Vitamin D in winter", **known: Any) -> Hit:
    """A document as a search finds it."""
    text = known.pop("text", "Adults with low vitamin D fell ill.")
    return document_hit(Document("x", title, text, known), 1)


def written(citations: Collection[Citation], to: Format) -> str:
    return "".join(render(Sheet("Works", (), (), (), citations), to))


def read_again(hits: list[Hit], to: Format) -> list[Document]:
    """The works of these hits, through a file of the format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "works")
        path.write_text(written([cite_hit(one) for one in hits], to), encoding="utf-8")
        with SourceReader(path) as source:
            format_ = recognise(source)
            assert format_.name == READERS[to]
            found = list(items(source, format_, ReadSettings()))
    assert all(isinstance(one, Record) for one in found)
    return [one.document for one in found if isinstance(one, Record)]


ARTICLE = {
    "types": ["Journal Article"], "authors": ["van der Berg JA", "Smith K Jr", "WHO Study Group",
    "Kaya \u015e", "Plato", "Department of Health, Rome"], "journal": "Gut & Liver",
    "volume": "12", "issue": "3 Suppl", "pages": "101-109", "doi": "10.1136/gut_1(2)", "year": 2019,
    "pmid": "30000001", "pmcid": "PMC77", "date": "2019-05-02", "keywords": ["bone", "low sun"],
    "url": "https://example.org/a?b=1&c=2",
}  # fmt: skip
CHAPTER = {
    "types": ["Book Chapter"], "authors": ["Reed A"], "editors": ["Lind E", "Li X"],
    "book": "Genes & Ponds", "publisher": "Pond Press", "place": "Rome", "year": 2001,
    "pages": "12-40", "isbn": "978-3-16-148410-0",
}  # fmt: skip
WORKS = [
    ARTICLE,
    CHAPTER,
    CHAPTER | {"types": ["Conference Paper"]},
    {"types": ["Book"], "authors": ["Reed A"], "publisher": "P", "place": "Rome", "year": 1999},
    {"types": ["Book"], "editors": ["Lind E"], "publisher": "P", "year": 1999},
    {"types": ["Thesis"], "authors": ["Reed A"], "school": "Pond College", "year": 2020},
    {"types": ["Report"], "authors": ["World Health Organization"], "publisher": "WHO",
     "year": 2020},
    {"types": ["Dataset"], "authors": ["Reed A"], "publisher": "Ponds", "year": 2021,
     "doi": "10.5281/zenodo.1"},
    {"types": ["Preprint"], "authors": ["Reed A"], "publisher": "bioRxiv", "year": 2022,
     "date": "2022-03", "doi": "10.1101/2022.03.01.1"},
]  # fmt: skip


@formats
@pytest.mark.parametrize("known", WORKS, ids=lambda known: known["types"][0])
def test_a_work_comes_back_as_it_was(known: dict[str, Any], to: Format) -> None:
    given = hit(**known)
    (found,) = read_again([given], to)
    assert (found.title, found.text) == (given.title, given.text)
    again = dict(found.metadata)
    again.pop("key", None)  # of CSL
    if again["types"] == ["Conference Proceedings"]:  # EndNote's name of its papers
        again["types"] = ["Conference Paper"]
    url = {"url": given.url} if given.url else {}
    assert again == {"date": str(known["year"]), **url, **known}


@formats
def test_works_are_apart_and_equal_ones_are_written_once(to: Format) -> None:
    hits = [hit("One", year=2001), hit("Two", year=2002), hit("One", year=2001), hit("3", year=1)]
    assert [one.title for one in read_again(hits, to)] == ["One", "Two", "3"]


HOSTILE = (
    "ER  - ", "TY  - JOUR", "\nTI  - x\n", "<b>", "</title>", "]]>", "<!--", "&amp;", "&#x1b;", "&",
    '"', "\\", "{", "}", "%", "\x1b]0;t\x07", "\u202e", "\ufffe", "\ud800", "\u2028", " ", "é", "a",
)  # fmt: skip
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5), max_size=8).map("".join)


@formats
@given(title=texts, journal=texts, names=st.lists(texts, max_size=3), text=texts)
@example(
    title="\nER  - \n\nTY  - BOOK\nTI  - y", journal="</record>", names=["a, b, c, d"], text=""
)
def test_hostile_text_stays_in_its_field(
    to: Format, title: str, journal: str, names: list[str], text: str
) -> None:
    title = f"Ponds {title} of 1"
    known = {"journal": f"J {journal} J", "authors": names, "types": ["Journal Article"]}
    (found,) = read_again([hit(title, text=f"Birds {text} fly", year=2020, **known)], to)
    both = (title, found.title)  # XML cannot hold these two
    shown, again = (one_line(re.sub("[\ufffe\uffff]", "", one)) for one in both)
    assert again == powers_on_line(without_markup(shown))
    assert found.metadata["year"] == 2020
    assert set("\x1b\x07\u202e\u2028").isdisjoint(repr(found))


LETTERS = st.text("abcdefgh\u00e9\u0142\u0436", min_size=3, max_size=8).map(str.title)
PARTICLES = st.sampled_from(("", "van der ", "De ", "O'", "Al-"))
INITIALS = st.text("ABJK\u015e", min_size=1, max_size=3)
RANKS = st.sampled_from(("", " Jr", " 2nd"))
persons = st.builds("{}{} {}{}".format, PARTICLES, LETTERS, INITIALS, RANKS)
groups = st.sampled_from(("WHO Study Group", "Team of Ponds & Rivers", "Ministry of Health, Oslo"))


@formats
@given(names=st.lists(persons | groups, min_size=1, max_size=5))
def test_names_come_back(to: Format, names: list[str]) -> None:
    (found,) = read_again([hit(authors=names, year=2020, journal="J Pond")], to)
    assert found.metadata["authors"] == names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Lee, Jinhyuk", {"family": "Lee", "given": "Jinhyuk"}),
        ("Jinhyuk Lee", {"family": "Lee", "given": "Jinhyuk"}),
        ("Ludwig van Beethoven", {"family": "van Beethoven", "given": "Ludwig"}),
        ("King, Jr., Martin L.", {"family": "King", "given": "Martin L.", "suffix": "Jr."}),
        ("{WHO, Geneva}", {"literal": "WHO, Geneva"}),
        ("Smith and Sons", {"literal": "Smith and Sons"}),
        ("Plato", {"literal": "Plato"}),
        ("others", {"literal": "others"}),
    ],
)
def test_names_of_bibtex_in_csl(written: str, name: dict[str, str]) -> None:
    (item,) = csl_items([Citation("k", "misc", "T", (written,))])
    assert item["author"] == [name]


@pytest.mark.parametrize(
    ("known", "parts"),
    [
        ({"year": 2019, "date": "2019-05-02"}, [2019, 5, 2]),
        ({"year": 2019, "date": "2019-05"}, [2019, 5]),
        ({"year": 2019, "date": "2018-12-31"}, [2019]),
        ({"year": "2019", "date": "2019-99-99"}, [2019]),
        ({"pubdate": "2019 May 2"}, [2019, 5, 2]),
    ],
)
def test_dates_are_as_exact_as_known(known: dict[str, Any], parts: list[int]) -> None:
    (item,) = csl_items([cite_hit(hit(**known))])
    assert item["issued"] == {"date-parts": [parts]}


def test_ends_of_names_tell_endnote_what_they_are() -> None:
    people = ("Lee, J.", "", "{WHO}", "{Health, Oslo}", "others")
    text = written([Citation("k", "misc", "T", people)], "ris")
    names = [line[6:] for line in text.splitlines() if line.startswith("AU")]
    assert names == ["Lee, J.", "WHO,", "Health, Oslo", "et al.,"]


CSL_KEYS = frozenset(
    "id type title author editor container-title publisher publisher-place issued volume issue page"
    " number genre ISBN DOI PMID PMCID URL keyword note abstract".split()
)


def test_a_number_is_a_pmid_only_where_the_corpus_says_so() -> None:
    (item,) = csl_items([cite_hit(Hit(1, "4983", "Ponds", "", 2020, None, 1.0))])
    assert "PMID" not in item
    assert "DB  - " not in written([cite_hit(hit(year=2020))], "ris")


@pytest.mark.parametrize(("to", "end"), [("ris", "ris"), ("csl", "csl.json"), ("endnote", "xml")])
def test_the_catalogue(
    to: Format, end: str, catalogue: Catalogue, golden: Callable[[str, str], None]
) -> None:
    text = "".join(render(entry_sheet(catalogue.entries, catalogue), to))
    if to == "csl":
        found = json.loads(text)
        assert all(one.keys() <= CSL_KEYS and one["type"] and one["id"] for one in found)
    elif to == "endnote":
        found = etree.fromstring(text.encode()).findall("records/record")
    else:
        found = text.split("\nER  - \n")[:-1]
    assert len(found) == 8
    golden(f"mixed.{end}", text)


@pytest.mark.parametrize(("to", "text"), [("ris", ""), ("csl", "[]\n")])
def test_nothing_to_cite(to: Format, text: str) -> None:
    assert written((), to) == text
    assert etree.fromstring(written((), "endnote").encode()).find("records/record") is None


# Pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "whole"),
    [
        ("247-9", "247-249"), ("1250-1", "1250-1251"), ("S12-5", "S12-S15"), ("S12-S5", "S12-S15"),
        ("e100-2", "e100-e102"), ("247\u20139", "247-249"), ("247-249", "247-249"),
        ("98-102", "98-102"), ("12-2", "12-2"), ("1-3, 7-9", "1-3, 7-9"), ("e1002", "e1002"),
        ("iv-ix", "iv-ix"), ("S12-T5", "S12-T5"), ("12A-4", "12A-4"), ("", ""),
    ],
)  # fmt: skip
def test_an_abbreviated_last_page_is_written_in_full(pages: str, whole: str) -> None:
    assert page_span(pages) == whole
    assert page_span(pages, "--") == whole.replace("-", "--")


@given(st.sampled_from(("", "S", "e")), st.integers(1, 99_999), st.integers(1, 999), st.booleans())
def test_a_range_abbreviated_as_medline_does_is_restored(
    letters: str, first: int, more: int, spelt: bool
) -> None:
    last = first + more
    start, end = str(first), str(last)
    short = end
    if len(start) == len(end):
        same = next(i for i, (a, b) in enumerate(zip(start, end, strict=True)) if a != b)
        short = end[same:]
    lead = letters if spelt or short == end else ""
    assert page_span(f"{letters}{start}-{lead}{short}") == f"{letters}{start}-{letters}{end}"


def test_exports_have_whole_ranges() -> None:
    citation = cite_hit(hit(types=["Journal Article"], journal="Gut", pages="247-9"))
    assert "SP  - 247\nEP  - 249\n" in written([citation], "ris")
    assert '"page": "247-249"' in written([citation], "csl")
    assert "<pages>247-249</pages>" in written([citation], "endnote")
    assert "pages = {247--249}" in written([citation], "bibtex")
