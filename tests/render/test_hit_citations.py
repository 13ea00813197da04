"""Documents of an index as BibTeX, from what their records say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.render.citation import bibliography, citable_hit, cite_hit


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


def fields(**metadata: Any) -> dict[str, str]:
    """The fields of a citation with this metadata."""
    return dict(cite_hit(Found(metadata=metadata)).fields)


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
    found = dict(cited.fields)
    assert found["author"] == "van der Berg, J. A. and Smith, K. and {WHO Study Group}"
    assert found["journal"] == r"Gut \& Liver"
    assert (found["volume"], found["number"], found["pages"]) == ("12", "3", "101--9")
    assert found["doi"] == "10.1136/gut_1"
    assert found["url"] == hit.url


def test_little_is_known() -> None:
    cited = cite_hit(Found(year=None, url=None))
    assert cited.type == "misc"
    assert [name for name, _ in cited.fields] == ["title"]
    assert not citable_hit(Found(year=None, url=None))
    assert citable_hit(Found(url=None))
    assert not citable_hit(Found(title=" "))


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        ("Lee J; Park S", "Lee, J. and Park, S."),
        (["Smith, John"], "Smith, John"),
        (["Kim SH Jr"], "Kim, Jr, S. H."),
        (["Plato"], "Plato"),
        (["de la Cruz M-J"], "de la Cruz, M. J."),
        ([], None),
        (None, None),
        (7, None),
    ],
)
def test_authors(authors: Any, said: str | None) -> None:
    assert fields(authors=authors).get("author") == said


def test_an_address_that_is_none_is_left_out() -> None:
    assert "url" not in dict(cite_hit(Found(url="javascript:alert(1)")).fields)


hostile = st.text(st.characters(codec="utf-8"), max_size=40)


@given(hostile, hostile, st.lists(hostile, max_size=3), hostile)
def test_braces_balance_whatever_a_record_says(
    title: str, journal: str, authors: list[str], doi: str
) -> None:
    hit = Found(title=title, metadata={"journal": journal, "authors": authors, "doi": doi})
    text = "".join(bibliography([cite_hit(hit)]))
    assert text.count("{") == text.count("}")
    assert "\x1b" not in text
    assert "\x00" not in text
