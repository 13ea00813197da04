"""Examples from MeSH headings: labels with what is above them, similarity, pairs and negatives."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.mesh import Mesh, keep_mesh
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.training.mesh_examples import THRESHOLD, Labels, mesh_pairs
from mesh_sample import DESCRIPTORS, HEADINGS

NAMES = [name for name, _, _ in HEADINGS]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def mesh(home: Path) -> Mesh:
    file = home / "desc2026.gz"
    file.write_bytes(gzip.compress(DESCRIPTORS.encode()))
    return keep_mesh(file, file.name, "2026-07-01")


def depth(name: str) -> int:
    """Steps from the top, 1 there, also of a heading without a place."""
    (trees,) = (trees for heading, trees, _ in HEADINGS if heading == name)
    return min((len(tree.split(".")) for tree in trees), default=1)


def above(name: str) -> set[str]:
    """A heading and those of which a place is above one of its places."""
    (trees,) = (trees for heading, trees, _ in HEADINGS if heading == name)
    return {name} | {
        other for other, places, _ in HEADINGS
        if any(tree.startswith(f"{place}.") for tree in trees for place in places)
    }  # fmt: skip


def expected_similarity(one: set[str], other: set[str]) -> float:
    """By the definition, with vectors over all headings."""
    vectors = [[math.log(depth(name) + 1) * (name in labels) for name in NAMES]
               for labels in (one, other)]  # fmt: skip
    dot = sum(a * b for a, b in zip(*vectors, strict=True))
    lengths = [math.sqrt(sum(value * value for value in vector)) for vector in vectors]
    return dot / math.prod(lengths)


def test_labels_are_headings_and_all_above(mesh: Mesh) -> None:
    labels = Labels(mesh)
    names = [one.name for one in mesh.headings()]
    for name in NAMES:
        expected = set() if name == "Male" else above(name)  # a check tag
        assert {names[number] for number in labels.of([name])} == expected
    assert labels.of(["oat cell cancer"]) == labels.of(["Small Cell Lung Carcinoma"])
    assert labels.of(["No such heading", "Males"]) == frozenset()


_KINDS = st.sets(st.sampled_from([name for name in NAMES if name != "Male"]), min_size=1)


def test_similarity_is_that_of_the_paper(mesh: Mesh) -> None:
    @settings(max_examples=40)
    @given(_KINDS, _KINDS)
    def check(one: set[str], other: set[str]) -> None:
        expected = expected_similarity(*(set().union(*map(above, kind)) for kind in (one, other)))
        documents = [Document(f"{n}", "", f"text {n}", {"mesh": sorted(kind)})
                     for n, kind in enumerate((one, other))]  # fmt: skip
        if expected == 0:
            with pytest.raises(CorpusError, match="alike"):
                mesh_pairs(documents, "x", [], threshold=0)
            return
        for example in mesh_pairs(documents, "x", [], threshold=0).examples:
            assert example.weight == pytest.approx(expected)
            assert example.weight <= 1

    check()


def papers(count: int = 12) -> list[Document]:
    """Papers on three subjects, the first two of which have labels in common."""
    subjects = (["Lung Neoplasms", "Male"], ["Small Cell Lung Carcinoma"], ["Lung Diseases"])
    return [
        Document(f"{n}", f"Title {n}", f"text of {n}", {"mesh": subjects[n % 3]})
        for n in range(count)
    ]


def test_pairs_are_alike_and_negatives_are_not(mesh: Mesh) -> None:
    documents = [*papers(), Document("cyst", "A cyst", "", {"mesh": ["Cysts", 7]}),
                 Document("none", "No", "headings"), Document("tag", "M", "", {"mesh": ["Male"]}),
                 Document("text", "T", "", {"mesh": "Cysts"})]  # fmt: skip
    found = mesh_pairs(documents, "x", [], negatives=2)
    assert found == mesh_pairs(documents, "x", [], negatives=2)
    assert found.examples != mesh_pairs(documents, "x", [], negatives=2, seed=1).examples
    assert found.skipped == {
        "without MeSH headings": 3,
        "without a document that is alike enough": 1,
    }
    by_text = {f"{one.title} {one.text}": one for one in documents}
    for one in found.examples:
        own = by_text[one.query]
        kinds = [set().union(*(above(name) for name in document.metadata["mesh"]
                               if name in NAMES and name != "Male"))
                 for document in (own, one.positive, *one.negatives)]  # fmt: skip
        similarities = [expected_similarity(kinds[0], kind) for kind in kinds[1:]]
        assert one.query_id == own.id != one.positive.id
        assert list(one.scores) == pytest.approx(similarities)
        assert one.weight == one.scores[0] > THRESHOLD
        assert similarities[1:] == [0.0] * len(one.negatives)
    assert len(found.examples) == 12
    # Only cysts are unlike lung diseases of both kinds of tree.
    assert max(len(one.negatives) for one in found.examples) == 1
    assert "desc2026.gz" in found.description
    assert [Path(one.path).name for one in found.inputs] == ["mesh.tsv"]


def test_without_the_tree_or_headings_there_is_a_remedy(home: Path) -> None:
    with pytest.raises(CorpusError, match="the MeSH tree is not here; bioretrieval-tui fetch mesh"):
        mesh_pairs(papers(), "x", [])


def test_documents_without_headings_have_a_remedy(mesh: Mesh) -> None:
    with pytest.raises(CorpusError, match="no document of x has MeSH headings; build the index"):
        mesh_pairs([Document("1", "Title", "text", {"mesh": ["No such heading"]})], "x", [])


def test_documents_that_have_nothing_in_common_make_no_pair(mesh: Mesh) -> None:
    two = [Document("1", "A", "a", {"mesh": ["Cysts"]}),
           Document("2", "B", "b", {"mesh": ["Lung Diseases"]})]  # fmt: skip
    with pytest.raises(CorpusError, match=r"no pair is left \(2 without a document that is alike"):
        mesh_pairs(two, "x", [])
