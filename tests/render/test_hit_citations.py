"""Documents of an index as BibTeX, from what their records say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render.citation import (
    bibliography,
    bibtex_fields,
    citable_hit,
    cite_hit,
    hit_citations,
)
from bioretrieval_tui.search.types import Hit


@dataclass
class Parts:
    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None


@dataclass
class Found:
    title: str = "Anti-TNF therapy in Crohn's disease"
    id: str = "123"
    rank: int = 1
    text: str = ""
    year: int | None = 2019
    url: str | None = "https://pubmed.ncbi.nlm.nih.gov/123/"
    score: float = 1.0
    scores: Parts = field(default_factory=Parts)
    metadata: dict[str, Any] = field(default_factory=dict)
    pmid: str | None = None


def fields(**metadata: Any) -> dict[str, str]:
    """The fields of a citation with this metadata."""
    return dict(bibtex_fields(cite_hit(Found(metadata=metadata))))


def test_an_article() -> None:
    hit = Found(
        metadata={
            "authors": ["van der Berg JA", "Smith K", "WHO Study Group"],
            "journal": "Gut & Liver",
            "volume": "12",
            "issue": "3",
            "pages": "101-9",
            "doi": "10.1136/gut_1",
            "pmid": "123",
        }
    )
    cited = cite_hit(hit)
    assert (cited.type, cited.key) == ("article", "vanderberg2019anti-tnf".replace("-", ""))
    found = dict(bibtex_fields(cited))
    assert found["author"] == "van der Berg, J. A. and Smith, K. and {WHO Study Group}"
    assert found["journal"] == r"Gut \& Liver"
    assert (found["volume"], found["number"], found["pages"]) == ("12", "3", "101--109")
    assert found["doi"] == "10.1136/gut_1"
    assert found["url"] == hit.url


@pytest.mark.parametrize("doi", ["10.1/x", "https://doi.org/10.1234/x", "doi: 10.1234/x.", "", 7])
def test_a_doi_stands_alone(doi: Any) -> None:
    found = fields(doi=doi).get("doi")
    assert found == ("10.1234/x" if "1234" in str(doi) else str(doi) or None)


def test_an_entry_among_the_hits_is_cited_as_such(catalogue: Catalogue) -> None:
    hits = [
        Hit(rank, name, "A title", "", 2020, None, 1.0, index=index)
        for rank, (name, index) in enumerate(
            [("alpha-paper", ""), ("alpha-paper", "mine"), ("step-1", ""), ("30000001", "")]
        )
    ]
    cited = [one.title for one in hit_citations(hits, catalogue)]
    assert cited == [catalogue.entry("alpha-paper").title, "A title", "A title"]  # type: ignore[union-attr]  # a paper
    assert len(hit_citations(hits)) == 4


def test_little_is_known() -> None:
    cited = cite_hit(Found(year=None, url=None))
    assert cited.type == "misc"
    assert [name for name, _ in bibtex_fields(cited)] == ["title"]
    assert not citable_hit(Found(year=None, url=None))
    assert citable_hit(Found(url=None))
    assert not citable_hit(Found(title=" "))


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        ("Lee J; Park S", "Lee, J. and Park, S."),
        ("Wen T, Zhang X, Wang ZY.", "Wen, T. and Zhang, X. and Wang, Z. Y."),
        ("Moss, Ann", "Moss, Ann"),
        (["Smith, John"], "Smith, John"),
        (["Kim SH Jr"], "Kim, Jr, S. H."),
        (["Plato"], "Plato"),
        (["de la Cruz M-J"], "de la Cruz, M.-J."),
        (["Kaya Ş", "Åberg Ö", "Li X"], "Kaya, Ş. and Åberg, Ö. and Li, X."),
        (["Kaya S\u0327"], "Kaya, Ş."),
        (["Şahin İĞ", "Müller Ä-Ö"], "Şahin, İ. Ğ. and Müller, Ä.-Ö."),
        (["Иванов ИИ", "Petrov IuA"], "Иванов, И. И. and Petrov, Iu. A."),
        (["Παπαδόπουλος Γ Jr"], "Παπαδόπουλος, Jr, Γ."),
        (["محمد ع", "李 小明", "김철수"], "محمد, ع. and 李, 小明 and 김철수"),
        (["כהן א", "ბერიძე გ", "शर्मा रा"], "כהן, א. and ბერიძე, გ. and शर्मा, रा"),
        (["עמותת המחקר הרפואי"], "{עמותת המחקר הרפואי}"),
        (["Smith J.A.", "Smith, JA"], "Smith, J. A. and Smith, J. A."),
        (["J. Smith", "Ann B. Reed"], "J. Smith and Ann B. Reed"),
        (["Smith, John, Jr.", "Moss E, 2nd"], "Smith, Jr., John and Moss, 2nd, E."),
        (["van der Ö A"], "van der, Ö. A."),
        (["EuroQol Group", "Cancer Care UK"], "{EuroQol Group} and {Cancer Care UK}"),
        (["Hepatitis Study Group B"], "{Hepatitis Study Group B}"),
        (["Department of Health, Rome"], "{Department of Health, Rome}"),
        ([", ", ""], None),
        ([], None),
        (None, None),
        (7, None),
    ],
)
def test_authors(authors: Any, said: str | None) -> None:
    assert fields(authors=authors).get("author") == said


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        (["Ann Reed", "Jan van Moss", "Иван Петров"], "Ann Reed and Jan van Moss and Иван Петров"),
        (["Ann Reed", "Wei Li", "WHO Study Group"], "Ann Reed and Wei Li and {WHO Study Group}"),
        # Where others are "Family I", a name without initials is a group; so is one alone.
        (["Reed A", "Médecins Sans Frontières"], "Reed, A. and {Médecins Sans Frontières}"),
        (["Reed, Ann", "Médecins Sans Frontières"], "Reed, Ann and {Médecins Sans Frontières}"),
        (["Médecins Sans Frontières"], "{Médecins Sans Frontières}"),
        (["Pond Society", "Moss Network"], "{Pond Society} and {Moss Network}"),
    ],
)
def test_full_names(authors: list[str], said: str) -> None:
    assert fields(authors=authors)["author"] == said


def test_full_names_of_arxiv_are_persons() -> None:
    found = fields(arxiv="2101.00001", authors=["Ann Reed", "ATLAS Collaboration"])
    assert found["author"] == "Ann Reed and {ATLAS Collaboration}"
    assert (found["eprint"], found["archivePrefix"]) == ("2101.00001", "arXiv")


CHAPTER = {"book": "A book of ponds", "editors": ["Kaya Ş"], "publisher": "Pond Press"}


@pytest.mark.parametrize(
    ("metadata", "kind", "said"),
    [
        (
            {"types": ["Book Chapter"], "place": "Rome", "pages": "1-9", **CHAPTER},
            "incollection",
            {"booktitle": "A book of ponds", "editor": "Kaya, Ş.", "publisher": "Pond Press",
             "address": "Rome", "pages": "1--9"},
        ),
        ({"types": ["book-chapter"], "journal": "Ponds"}, "incollection", {"booktitle": "Ponds"}),
        (CHAPTER, "incollection", {"booktitle": "A book of ponds"}),
        (
            {"types": ["Book"], "editors": ["Lind E", "Li X"], "publisher": "P", "isbn": "978-1"},
            "book",
            {"editor": "Lind, E. and Li, X.", "publisher": "P", "isbn": "978-1"},
        ),
        (
            {"types": "Conference Paper", "journal": "Proceedings of Ponds", "place": "Rome"},
            "inproceedings",
            {"booktitle": "Proceedings of Ponds", "address": "Rome"},
        ),
        (
            {"types": ["Conference Paper", "Journal Article"], "journal": "Ponds"},
            "article",
            {"journal": "Ponds"},
        ),
        ({"types": ["Thesis"], "school": "Pond College"}, "phdthesis", {"school": "Pond College"}),
        ({"types": ["Academic Dissertation"], "publisher": "U"}, "phdthesis", {"school": "U"}),
        ({"types": ["Master's Thesis"], "school": "U"}, "mastersthesis", {"school": "U"}),
        ({"types": ["Report"], "publisher": "WHO"}, "techreport", {"institution": "WHO"}),
        (
            {"types": ["Technical Report", "Journal Article"], "journal": "Ponds"},
            "article",
            {"journal": "Ponds"},
        ),
        (
            {"types": ["Journal Article", "Preprint"], "journal": "bioRxiv"},
            "misc",
            {"howpublished": "bioRxiv"},
        ),
        ({"types": ["Journal Article"]}, "misc", {}),
        ({"types": ["Proceedings"], "publisher": "P"}, "proceedings", {"publisher": "P"}),
        ({"types": ["Guideline"], "publisher": "P", "isbn": "978-1"}, "book", {"publisher": "P"}),
        ({"types": ["Review"], "book": "Genes"}, "incollection", {"booktitle": "Genes"}),
        ({"types": ["Dataset"], "publisher": "P"}, "misc", {"howpublished": "P"}),
        ({"types": 7, "journal": "Ponds"}, "article", {"journal": "Ponds"}),
    ],
)  # fmt: skip
def test_the_entry_follows_the_types(
    metadata: dict[str, Any], kind: str, said: dict[str, str]
) -> None:
    cited = cite_hit(Found(metadata=metadata))
    found = dict(bibtex_fields(cited))
    assert cited.type == kind
    assert {name: found.get(name) for name in said} == said
    places = {"journal", "booktitle", "school", "institution", "howpublished"}
    assert not found.keys() & places - said.keys()


def test_a_work_without_authors_is_known_by_its_editors() -> None:
    cited = cite_hit(Found(title="A whole book", metadata={"types": ["Book"], **CHAPTER}))
    assert cited.key == "kaya2019whole"


def test_an_address_that_is_none_is_left_out() -> None:
    assert "url" not in dict(bibtex_fields(cite_hit(Found(url="javascript:alert(1)"))))


hostile = st.text(st.characters(codec="utf-8"), max_size=40)


@given(hostile, hostile, st.lists(hostile, max_size=3), hostile)
def test_braces_balance_whatever_a_record_says(
    title: str, journal: str, authors: list[str], doi: str
) -> None:
    known = {"journal": journal, "authors": authors, "doi": doi}
    hit = Found(title=title, metadata=known | {"editors": authors, "types": authors, "book": doi})
    text = "".join(bibliography([cite_hit(hit)]))
    assert text.count("{") == text.count("}")
    assert "\x1b" not in text
    assert "\x00" not in text
