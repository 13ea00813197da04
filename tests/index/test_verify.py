"""Verifying: each kind of fault is found and told, and its remedy mends it when it is followed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import build_items, held, of_hashing, path_of, record, write_texts

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.errors import InterruptedByUser, NotFoundError
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import FileFacts, Manifest, encode_manifest, seal
from bioretrieval_tui.index.registry import manifest_of, remove_index
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress

MADE = ["graph.hnsw", "dead.npy", "block-0000000000.columns"]
GIVEN = ["documents.sqlite", "vectors.f16"]


def faults() -> dict[str, Check]:
    return {check.what: check for check in verify_index("demo").checks if not check.ok}


def follow(check: Check, corpus: Path) -> None:
    """Do what the remedy says."""
    assert check.remedy is not None
    if "index compact demo" in check.remedy:
        compact_index("demo")
    else:
        assert "build" in check.remedy
        assert "again" in check.remedy
        build_index("demo", [corpus], HashingEncoder)


def mended(corpus: Path) -> None:
    found = faults()
    assert found
    follow(next(iter(found.values())), corpus)
    assert verify_index("demo").ok
    assert len(held("demo")) == 300


def reseal(manifest: Manifest, path: Path, **changes: object) -> Manifest:
    """A manifest whose checksums fit what was altered: what no checksum can tell."""
    name = path.relative_to(index_folder("demo")).as_posix()
    facts = {name: FileFacts(path.stat().st_size, sha256_of(path))}
    changed = seal(
        msgspec.structs.replace(manifest, files={**manifest.files, **facts}, **changes)  # type: ignore[arg-type]
    )
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(changed))
    return changed


def test_a_sound_index(built: Manifest) -> None:
    steps: list[Progress] = []
    found = verify_index("demo", steps.append)
    assert found.ok
    assert [check.what for check in found.checks] == [
        "manifest",
        "files",
        "documents",
        "vectors",
        "text index",
        "metadata",
        "graph",
    ]
    said = {check.what: check.found for check in found.checks}
    assert said["documents"] == "300, deleted or replaced: 0"
    assert said["vectors"] == "300 x 16 float16"
    assert said["text index"].startswith("300 documents")
    assert "recall@10" in said["graph"]
    assert all(check.remedy is None for check in found.checks)
    assert (steps[-1].done, steps[-1].total) == (5, 5)
    assert any(step.stage == "checksums" and step.share == 1 for step in steps)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("file", MADE + GIVEN)
@pytest.mark.parametrize("harm", [cut, flip, empty, Path.unlink])
def test_each_file_with_each_harm(
    built: Manifest, corpus: Path, file: str, harm: Callable[[Path], None]
) -> None:
    path = path_of(built, file)
    harm(path)
    found = faults()
    check = found[f"file {path.name}"]
    said = {cut: "bytes, not", flip: "altered", empty: "0 bytes, not", Path.unlink: "missing"}
    assert said[harm] in check.found
    assert ("compact" in (check.remedy or "")) == (file in MADE)
    assert not verify_index("demo").ok
    mended(corpus)


def test_all_made_files_at_once_are_mended_by_one_compacting(built: Manifest) -> None:
    for file in MADE:
        flip(path_of(built, file))
    assert len(faults()) >= 3
    compact_index("demo")
    assert verify_index("demo").ok
    assert len(held("demo")) == 300


def test_one_fault_does_not_hide_another(built: Manifest) -> None:
    flip(path_of(built, "graph.hnsw"))
    cut(path_of(built, "vectors.f16"))
    found = verify_index("demo").checks
    assert {check.what for check in found if not check.ok} >= {
        "file graph.hnsw",
        "file vectors.f16",
    }
    assert {check.what for check in found if check.ok} >= {"manifest", "documents"}


def test_the_list_of_the_dead_is_made_again_from_the_documents(tmp_path: Path) -> None:
    build_items("demo", *(record(f"d{n}", f"text {n}") for n in range(20)))
    changes = write_texts(tmp_path / "a.jsonl", {"d3": "three", "d4": "four", "d5": "text 6"})
    manifest = add_to_index("demo", [changes], of_hashing).manifest
    before = held("demo")
    path_of(manifest, "dead.npy").unlink()
    assert faults()["file dead.npy"].remedy == "run: bioretrieval-tui index compact demo"
    compact_index("demo")
    assert held("demo") == before
    assert verify_index("demo").ok


def test_a_manifest_that_is_damaged(built: Manifest, corpus: Path) -> None:
    flip(index_folder("demo") / "manifest.json")
    (check,) = verify_index("demo").checks
    assert (check.what, check.ok) == ("manifest", False)
    mended(corpus)


def alter_text(built: Manifest) -> Path:
    path = path_of(built, "documents.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE documents SET text = text || 'x' WHERE label = 7")
    db.close()
    return path


def test_a_text_that_does_not_fit_its_hash(built: Manifest, corpus: Path) -> None:
    reseal(built, alter_text(built))
    check = faults()["documents"]
    assert check.found.endswith(": 7")
    # The text cannot be trusted, so its hash is no key to its vector either.
    mended(corpus)


def test_rows_that_are_lacking(built: Manifest, corpus: Path) -> None:
    path = path_of(built, "documents.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM documents WHERE label >= 290")
    db.close()
    reseal(built, path)
    assert faults()["documents"].found == "290 rows, not 300"
    mended(corpus)


def test_a_dead_document_that_counts_as_alive(built: Manifest, corpus: Path) -> None:
    path = path_of(built, "documents.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE documents SET dead = 1 WHERE label IN (1, 2)")
    db.close()
    reseal(built, path)
    assert faults()["documents"].found == "2 deleted ones count as present"
    mended(corpus)


@pytest.mark.parametrize(
    "dead",
    [
        np.array([5], dtype=np.int64),
        np.array([0.5]),
        np.zeros((0, 2), dtype=np.int64),
        np.array([{"a": 1}], dtype=object),
    ],
    ids=["one too many", "no labels", "no list", "pickled"],
)
def test_a_list_of_the_dead_that_does_not_fit(
    built: Manifest, corpus: Path, dead: np.ndarray
) -> None:
    path = path_of(built, "dead.npy")
    np.save(path, dead, allow_pickle=True)
    reseal(built, path)
    assert "dead.npy" in next(iter(faults().values())).found
    mended(corpus)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [3.0, np.nan, np.inf])
def test_vectors_that_are_no_unit_vectors(built: Manifest, corpus: Path, value: float) -> None:
    path = path_of(built, "vectors.f16")
    rows = np.fromfile(path, dtype="<f2")
    rows[16 * 9] = value
    rows[16 * 11 + 3] = value
    rows.tofile(path)
    reseal(built, path)
    check = faults()["vectors"]
    assert check.found == "2 are not unit vectors"
    # Building alone would take the vectors over, by content, from the index that is there.
    assert (check.remedy or "").startswith("bioretrieval-tui index remove demo, then ")
    remove_index("demo")
    build_index("demo", [corpus], HashingEncoder)
    assert verify_index("demo").ok


def test_a_graph_of_other_vectors_has_no_recall(built: Manifest, corpus: Path) -> None:
    build_items("other", *(record(f"o{n}", f"unlike {n * n} {n % 7}") for n in range(300)))
    other = manifest_of("other")
    path = path_of(built, "graph.hnsw")
    path.write_bytes(path_of(other, "graph.hnsw").read_bytes())
    reseal(built, path)
    check = faults()["graph"]
    assert "under 0.95" in check.found
    assert check.remedy == "run: bioretrieval-tui index compact demo"
    mended(corpus)


def test_an_index_that_is_not_there() -> None:
    with pytest.raises(NotFoundError):
        verify_index("none")


def test_a_reporter_that_raises_ends_it(built: Manifest) -> None:
    for stage in ("checksums", "checking"):

        def stop(step: Progress, stage: str = stage) -> None:
            if step.stage == stage:
                raise InterruptedByUser("enough")

        with pytest.raises(InterruptedByUser):
            verify_index("demo", stop)
    assert verify_index("demo").ok


def test_what_a_verification_is() -> None:
    good, bad = Check("a", True, "x"), Check("b", False, "y", "z")
    assert Verification("n", (good,)).ok
    assert not Verification("n", (good, bad)).ok
