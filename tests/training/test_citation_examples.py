"""Examples from citations: whom a document cites, by which name, and who is two citations away."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.training.citation_examples import MOST_CITED, citation_pairs


def paper(name: str, *references: Any, **metadata: Any) -> Document:
    known = {**metadata, "references": list(references)}
    return Document(name, f"The long title of {name}", f"text of {name}", known)


def links(documents: list[Document], **options: Any) -> list[tuple[str, str, set[str]]]:
    """Citing, cited and negatives, by id."""
    return [(one.query_id, one.positive.id, {each.id for each in one.negatives})
            for one in citation_pairs(documents, "x", [], **options).examples]  # fmt: skip


def test_negatives_are_two_citations_away() -> None:
    documents = [
        paper("a", "b", "c", "a", "elsewhere"),
        paper("b", "c", "d", "a"),
        paper("c", "e"),
        paper("d", "f"),
        paper("e"), paper("f"),
        Document("g", "Editorial", "text of g", {"references": ["a"]}),
    ]  # fmt: skip
    assert links(documents) == [
        ("a", "b", {"d", "e"}),
        ("a", "c", {"d", "e"}),
        ("b", "c", {"e", "f"}),
        ("b", "d", {"e", "f"}),
        ("b", "a", {"e", "f"}),
        ("c", "e", set()),
        ("d", "f", set()),
    ]
    found = citation_pairs(documents, "x", [])
    assert found.skipped == {
        "that cite no document here": 2,
        "without a title of some length": 1,
    }
    assert found.examples[0].query == "The long title of a"


@pytest.mark.parametrize(
    ("reference", "cited"),
    [
        ("b", "b"), ("B", "b"), ("12", "m"), (12, "m"), ("PMID: 12", "m"), ("10.1000/ABC", "d"),
        ("https://doi.org/10.1000/abc", "d"), ("77", "88"), ("88", None), ("PMC12", None),
        ("", None), (None, None), (["b"], None), ("9" * 5_000, None),
    ],
)  # fmt: skip
def test_works_are_named_by_id_pmid_and_doi(reference: Any, cited: str | None) -> None:
    documents = [
        paper("a", reference, "sure"), paper("b"), paper("12"), paper("m", pmid="12"),
        paper("d", doi="10.1000/aBC"), paper("88", pmid=77), paper("sure", doi=7),
    ]  # fmt: skip
    assert [cited for _, cited, _ in links(documents)] == [one for one in (cited, "sure") if one]


def test_references_that_are_no_list_are_none() -> None:
    documents = [Document("a", "A title of four words", "text", {"references": "b"}),
                 paper("b", "c"), paper("c")]  # fmt: skip
    assert links(documents) == [("b", "c", set())]


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([], "has references"),
        ([paper("a"), paper("b")], "has references"),
        ([paper("a", "1"), paper("b", "a-2")], "cites another one of them"),
    ],
)
def test_without_citations_there_is_a_remedy(documents: list[Document], reason: str) -> None:
    with pytest.raises(
        CorpusError, match=f"no document of x {reason}; build the index from PubMed"
    ):
        citation_pairs(documents, "x", [])


_GRAPHS = st.lists(st.lists(st.integers(0, 14), max_size=14), min_size=15, max_size=15)


@given(_GRAPHS, st.integers(0, 3))
def test_any_graph(graph: list[list[int]], negatives: int) -> None:
    documents = [paper(f"{n}", *cited) for n, cited in enumerate(graph)]
    cites = {f"{n}": {f"{one}" for one in cited} - {f"{n}"} for n, cited in enumerate(graph)}
    try:
        found = links(documents, negatives=negatives)
    except CorpusError:
        assert not any(cites.values())
        return
    assert found == links(documents, negatives=negatives)
    for citing, cited, hard in found:
        far = set().union(*(cites[each] for each in cites[citing])) - cites[citing] - {citing}
        assert cited in cites[citing]
        assert hard <= far
        assert len(hard) == min(negatives, len(far))
    for citing, cited in cites.items():
        assert sum(one == citing for one, _, _ in found) == min(MOST_CITED, len(cited))
