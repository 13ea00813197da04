"""Extending an index: only what is new or changed is encoded, and what was is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import (
    held,
    matrix_of,
    no_encoder,
    of_hashing,
    tree,
    whole,
    write_deletions,
    write_records,
    write_texts,
)

from bioretrieval_tui.errors import (
    CorpusError,
    IndexFault,
    InterruptedByUser,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index.build import (
    add_to_index,
    build_index,
    compact_index,
)
from bioretrieval_tui.index.layout import IndexBusy, index_folder, writing
from bioretrieval_tui.index.manifest import ANY_REVISION, Manifest, encode_manifest, seal
from bioretrieval_tui.index.registry import info, open_index
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress

BEGUN = {"11": "statins and muscles", "22": "tumours and p53", "33": "asthma in children"}


@pytest.fixture
def begun(tmp_path: Path) -> Manifest:
    path = write_texts(tmp_path / "begun.jsonl", BEGUN)
    return build_index("demo", [path], HashingEncoder, ids="pmid").manifest


def add(path: Path, *, encoder=of_hashing):  # type: ignore[no-untyped-def]
    return add_to_index("demo", [path], encoder)


def test_new_documents_come_in(begun: Manifest, tmp_path: Path) -> None:
    outcome = add(write_texts(tmp_path / "a.jsonl", {"44": "migraine", "55": "gout"}))
    report, manifest = outcome.report, outcome.manifest
    assert outcome.changed
    assert (report.read, report.kept, report.encoded, report.documents) == (2, 2, 2, 5)
    assert (manifest.documents, manifest.rows, len(manifest.segments)) == (5, 5, 2)
    assert [given.documents for given in manifest.inputs] == [3, 2]
    assert (manifest.ids, manifest.revision) == ("pmid", begun.revision)
    # The old segment is not touched, the generation is new.
    assert manifest.segments[0] == begun.segments[0]
    assert manifest.generation != begun.generation
    assert {path: facts for path, facts in begun.files.items() if path in manifest.files} == {
        path: facts for path, facts in begun.files.items() if begun.segments[0].id in path
    }
    assert held("demo") == BEGUN | {"44": "migraine", "55": "gout"}
    assert tree() == whole(manifest)
    assert verify_index("demo").ok


def test_search_finds_old_and_new(begun: Manifest, tmp_path: Path) -> None:
    add(write_texts(tmp_path / "a.jsonl", {"44": "migraine and triptans"}))
    index = open_index("demo")
    encoder = HashingEncoder()
    for text, label in (("migraine and triptans", 3), ("asthma in children", 2)):
        labels, similarities = index.vectors.search(encoder.encode_queries([text])[0], 1)
        assert labels.tolist() == [label]
        assert similarities[0] == pytest.approx(1, abs=1e-3)


def test_a_revision_replaces_and_is_searched_no_more(begun: Manifest, tmp_path: Path) -> None:
    outcome = add(write_texts(tmp_path / "a.jsonl", {"22": "lungs"}))
    assert (outcome.report.replaced, outcome.report.encoded) == (1, 1)
    assert (outcome.manifest.documents, outcome.manifest.rows) == (3, 4)
    assert held("demo") == BEGUN | {"22": "lungs"}
    index = open_index("demo")
    query = HashingEncoder().encode_queries(["tumours and p53"])[0]
    assert 1 not in index.vectors.search(query, 10)[0]
    assert index.vectors.search(query, 10, allowed=np.array([1, 2]))[0].tolist() == [2]
    assert info("demo").dead_share == 0.25
    assert verify_index("demo").ok


def test_metadata_alone_costs_no_encoding(begun: Manifest, tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.jsonl", [{"id": "22", "text": BEGUN["22"], "year": 1999}])
    outcome = add(path, encoder=no_encoder)
    assert (outcome.report.replaced, outcome.report.encoded) == (1, 0)
    found = open_index("demo").documents.find("22")
    assert found is not None
    assert found[1].metadata["year"] == 1999
    assert held("demo") == BEGUN
    stored = matrix_of(outcome.manifest)
    np.testing.assert_array_equal(stored[3], stored[1])


def test_a_text_that_was_here_once_is_not_encoded_again(begun: Manifest, tmp_path: Path) -> None:
    add(write_texts(tmp_path / "a.jsonl", {"22": "lungs"}))
    outcome = add(write_texts(tmp_path / "b.jsonl", {"22": BEGUN["22"]}), encoder=no_encoder)
    assert outcome.report.encoded == 0
    assert held("demo") == BEGUN


def test_deletions_are_followed(begun: Manifest, tmp_path: Path) -> None:
    outcome = add(write_deletions(tmp_path / "d.xml", "22", "99"), encoder=no_encoder)
    assert (outcome.report.deleted, outcome.report.read) == (1, 0)
    assert held("demo") == {"11": BEGUN["11"], "33": BEGUN["33"]}
    assert (outcome.manifest.documents, outcome.manifest.rows) == (2, 3)
    assert outcome.manifest.segments[1].rows == 0
    assert verify_index("demo").ok
    # And it may come back.
    add(write_texts(tmp_path / "a.jsonl", {"22": "back"}))
    assert held("demo") == BEGUN | {"22": "back"}
    assert verify_index("demo").ok


def test_another_name_is_no_document(begun: Manifest, tmp_path: Path) -> None:
    outcome = add(write_texts(tmp_path / "a.jsonl", {"99": BEGUN["11"]}), encoder=no_encoder)
    assert (outcome.report.duplicates, outcome.manifest.aliases) == (1, 1)
    assert (outcome.manifest.documents, info("demo").aliases) == (3, 1)
    assert held("demo") == BEGUN | {"99": BEGUN["11"]}
    assert verify_index("demo").ok
    # Its document dies, the text lives on under the other name.
    outcome = add(write_deletions(tmp_path / "d.xml", "11"), encoder=no_encoder)
    assert held("demo") == {"22": BEGUN["22"], "33": BEGUN["33"], "99": BEGUN["11"]}
    assert outcome.manifest.aliases == 0
    assert verify_index("demo").ok


def test_nothing_new_leaves_every_byte_and_loads_no_model(begun: Manifest, tmp_path: Path) -> None:
    (index_folder("demo") / "manifest.json").touch()
    before = {path: path.stat().st_mtime_ns for path in index_folder("demo").rglob("*")}
    outcome = add(tmp_path / "begun.jsonl", encoder=no_encoder)
    assert not outcome.changed
    assert outcome.manifest == begun
    assert (outcome.report.duplicates, outcome.report.documents) == (3, 3)
    assert {p: p.stat().st_mtime_ns for p in index_folder("demo").rglob("*") if p.is_file()} == {
        path: when for path, when in before.items() if path.is_file()
    }
    assert tree() == whole(begun)


def test_adding_the_same_file_twice_is_adding_it_once(begun: Manifest, tmp_path: Path) -> None:
    """Aliases too, which have metadata of their own."""
    path = write_records(
        tmp_path / "a.jsonl",
        [{"id": str(number), "text": "the same", "chunk": number} for number in (71, 72, 73)],
    )
    first = add(path)
    assert (first.report.kept, first.report.duplicates) == (1, 2)
    assert not add(path, encoder=no_encoder).changed


def test_many_additions(begun: Manifest, tmp_path: Path) -> None:
    expected = dict(BEGUN)
    for number in range(6):
        texts = {"22": f"turn {number}", f"new{number}": f"words {number}"}
        expected |= texts
        add(write_texts(tmp_path / f"{number}.jsonl", texts))
        assert held("demo") == expected
    manifest = open_index("demo").manifest
    assert (len(manifest.segments), manifest.rows, manifest.documents) == (7, 15, 9)
    assert verify_index("demo").ok
    assert info("demo").segments == 7


def test_more_than_a_window_is_added(built: Manifest, tmp_path: Path) -> None:
    write_corpus(str(tmp_path / "n.jsonl"), "new", 2_500)
    outcome = add(tmp_path / "n.jsonl")
    assert outcome.manifest.documents == 2_800
    assert len(held("demo")) == 2_800
    assert verify_index("demo").ok


def test_emptying_an_index_is_refused(begun: Manifest, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no document"):
        add(write_deletions(tmp_path / "d.xml", "11", "22", "33"), encoder=no_encoder)
    assert held("demo") == BEGUN
    assert tree() == whole(begun)


def test_another_revision_of_the_model_is_refused(begun: Manifest, tmp_path: Path) -> None:
    def other(*_: object, **__: object) -> HashingEncoder:
        encoder = HashingEncoder()
        encoder.revision = "sha256:1"
        return encoder

    with pytest.raises(IndexFault, match="another revision") as caught:
        add(write_texts(tmp_path / "a.jsonl", {"44": "x"}), encoder=other)
    assert caught.value.remedy is not None
    assert tree() == whole(begun)


def test_documents_are_added_to_imported_vectors(begun: Manifest, tmp_path: Path) -> None:
    """Of them only the model is known, so any revision of it encodes what is added."""
    imported = seal(msgspec.structs.replace(begun, revision=ANY_REVISION))
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(imported))
    path, asked = write_texts(tmp_path / "a.jsonl", {"44": "x"}), []

    def load(*_: Any, **how: Any) -> HashingEncoder:
        asked.append(how["revision"])
        return HashingEncoder()

    outcome = add_to_index("demo", [path], load)
    assert asked == [None]
    assert (outcome.report.encoded, outcome.manifest.revision) == (1, ANY_REVISION)
    assert outcome.manifest.documents == begun.documents + 1
    other = HashingEncoder()
    other.recipe_hash = "0" * 64
    path = write_texts(tmp_path / "b.jsonl", {"45": "y"})
    with pytest.raises(IndexFault, match="another revision or recipe"):
        add_to_index("demo", [path], lambda *_, **__: other)


def test_there_must_be_an_index_and_a_file(begun: Manifest, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", {"44": "x"})
    with pytest.raises(NotFoundError, match="no index none"):
        add_to_index("none", [path], no_encoder)
    with pytest.raises(NotFoundError):
        add_to_index("demo", [tmp_path / "none.jsonl"], no_encoder)
    with pytest.raises(UsageError):
        add_to_index("demo", [], no_encoder)
    with pytest.raises(UsageError):
        add_to_index("catalogue", [path], no_encoder)
    assert tree() == whole(begun)


def test_one_writer_at_a_time(begun: Manifest, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", {"44": "x"})
    with writing("demo", "compacted"):
        with pytest.raises(IndexBusy, match="being compacted by process"):
            add(path, encoder=no_encoder)
        with pytest.raises(IndexBusy):
            compact_index("demo")


class Stop:
    """Gives up at the n-th step, or the n-th of a stage: threads decide how many there are."""

    def __init__(self, at: int, stage: str | None = None) -> None:
        self.left = at
        self.stage = stage

    def __call__(self, step: Progress) -> None:
        if self.stage in (None, step.stage):
            self.left -= 1
            if self.left == 0:
                raise InterruptedByUser(f"at {step.stage}")


def test_interrupted_at_every_step(begun: Manifest, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", {"22": "lungs", "44": "migraine"})
    write_deletions(tmp_path / "b.xml", "11")
    inputs = [path, tmp_path / "b.xml"]
    for stage in ("encoding", "linking", "saving"):
        with pytest.raises(InterruptedByUser, match=f"at {stage}"):
            add_to_index("demo", inputs, of_hashing, reporter=Stop(1, stage))
        assert tree(pools=False) == whole(begun)
        assert held("demo") == BEGUN
    for at in range(1, 60):
        try:
            add_to_index("demo", inputs, of_hashing, reporter=Stop(at))
        except InterruptedByUser:
            assert tree(pools=False) == whole(begun)
            assert held("demo") == BEGUN
        else:
            break
    assert held("demo") == {"22": "lungs", "33": BEGUN["33"], "44": "migraine"}


def test_the_encoder_is_asked_for_only_then(begun: Manifest, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", {"44": "x"})
    with pytest.raises(AssertionError, match="asked for"):
        add_to_index("demo", [path], no_encoder)
    assert held("demo") == BEGUN
