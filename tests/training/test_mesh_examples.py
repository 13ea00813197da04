"""Examples from MeSH headings: labels with what is above them, similarity, pairs and negatives."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import recipe

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.mesh import Mesh, keep_mesh
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.main import run
from bioretrieval_tui.training.mesh_examples import THRESHOLD, Labels, mesh_pairs
from bioretrieval_tui.training.trainable_models import trainable_model
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


def test_stars_and_qualifiers_are_no_part_of_a_heading(mesh: Mesh) -> None:
    labels = Labels(mesh)
    plain = labels.of(["Lung Neoplasms"])
    assert plain
    for written in ("*Lung Neoplasms", "Lung Neoplasms/*drug therapy/genetics",
                    "Lung Neoplasms / therapy*", "Lung Neoplasms*"):  # fmt: skip
        assert labels.of([written]) == plain
    assert labels.of(["/therapy", "*", "", "Unknown/therapy"]) == frozenset()


def test_all_headings_of_a_record_of_bioasq_are_in_its_major_ones(mesh: Mesh) -> None:
    one, other = (Document(name, "T", f"text {name}", {"mesh_major": ["Cysts"]}) for name in "ab")
    assert {one.query_id for one in mesh_pairs([one, other], "x", []).examples} == {"a", "b"}


_SUBJECTS = ("*Lung Neoplasms/drug therapy/*genetics", "Small Cell Lung Carcinoma/*therapy",
             "*Lung Diseases", "Cysts/surgery")  # fmt: skip


def records(count: int = 40) -> str:
    """MEDLINE records with check tags, a heading that the tree lacks, qualifiers and stars."""
    return "\n".join(
        f"PMID- {number}\nTI  - On the treatment of case {number}\n"
        f"AB  - A trial of {_SUBJECTS[number % 4]} in series {number} was done.\n"
        f"MH  - Humans\nMH  - *Unheard-Of Heading/therapy\nMH  - {_SUBJECTS[number % 4]}\n"
        for number in range(1, count + 1)
    )


def test_biohicl_is_trained_on_medline_records_by_the_tree_of_nlm(
    home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, papers, file = home / "base", home / "papers.nbib", home / "desc2026.gz"
    trainable_model(str(tiny), recipe()).save(str(base), create_model_card=False)
    papers.write_text(records())
    words = ["train", "train-biohicl", "--on", str(papers), "--base", str(base), "--name", "new"]
    words += ["--set", "steps=3", "--set", "batch=4", "-q"]
    assert run(words) == 1
    assert "the MeSH tree is not here; bioretrieval-tui fetch mesh" in capsys.readouterr().err
    file.write_bytes(gzip.compress(DESCRIPTORS.encode()))
    keep_mesh(file, file.name, "2026-07-01")
    assert run([*words, "-f", "json"]) == 0
    lineage = json.loads(capsys.readouterr().out)
    assert "share MeSH headings (desc2026.gz, 2026-07-01)" in lineage["data"]
    assert "skipped" not in lineage  # each record makes a pair
    assert lineage["pairs"] > lineage["held"] > 0
    assert lineage["recipe"] == "train-biohicl"
    trained, weights = lineage["fitted"]["trained"]
    assert 0 < trained < weights
    chosen = lineage["settings"]
    assert (chosen["loss"], chosen["temperature"], chosen["mesh_weight"]) == ("mesh", 1.0, 0.1)
    assert chosen["mesh_threshold"] == THRESHOLD


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
