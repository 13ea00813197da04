"""Every file of an index cut, flipped, swapped or missing: one line, no crash, no wrong answer."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hashing_encoder import write_corpus
from index_help import of_hashing
from index_help import path_of as file_of

from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index import manifest as manifests
from bioretrieval_tui.index.build import add_to_index, compact_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import FileFacts, Manifest, SegmentFacts, encode_manifest, seal
from bioretrieval_tui.index.registry import info, list_indexes, open_index
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.index.verify import verify_index

FILES = ["documents.sqlite", "vectors.f16", "graph.hnsw", "dead.npy", "block-0000000000.columns"]


def fault(*, told: bool = True) -> str:
    """The one line that opening gives; `info` says the same and lists it as damaged."""
    with pytest.raises(IndexFault) as caught:
        open_index("demo")
    line = caught.value.line()
    assert "\n" not in line
    assert info("demo").status.startswith("damaged: ") == told
    return line


def reseal(manifest: Manifest, **changes: object) -> Manifest:
    """A manifest that is in itself sound, with other values: what a checksum cannot tell."""
    changed = seal(msgspec.structs.replace(manifest, **changes))
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(changed))
    return changed


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.999])
def test_a_cut_file(built: Manifest, name: str, share: float) -> None:
    path = file_of(built, name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    line = fault()
    assert f"{name} has " in line
    made = name not in ("documents.sqlite", "vectors.f16")
    assert ("index compact demo" if made else "build the index again") in line
    assert list_indexes()[0].status.startswith("damaged: ")


@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes(built: Manifest, name: str) -> None:
    path = file_of(built, name)
    data = path.read_bytes()
    chance = random.Random(3)
    for place in [0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(6))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        assert f"{name} was altered" in fault()
    path.write_bytes(data)
    assert info("demo").status == "ok"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(built: Manifest, name: str) -> None:
    file_of(built, name).unlink()
    assert f"{name} is missing" in fault()


@pytest.mark.parametrize(
    "part", [lambda built: built.generation, lambda built: built.segments[0].id]
)
def test_a_missing_folder(built: Manifest, part: Callable[[Manifest], str]) -> None:
    shutil.rmtree(index_folder("demo") / part(built))
    assert "is missing" in fault()


def test_a_manifest_with_any_byte_changed(built: Manifest) -> None:
    path = index_folder("demo") / "manifest.json"
    data = path.read_bytes()
    chance = random.Random(5)
    for place in [0, len(data) - 2, *(chance.randrange(len(data) - 1) for _ in range(60))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(7)
        if msgspec_equal(bytes(damaged), data):
            continue  # a blank for another blank
        path.write_bytes(damaged)
        assert "demo" in fault()


def msgspec_equal(one: bytes, other: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"{}", b'{"format": "1"}', b"\xff\xfe", b"[" * 50_000, b"\0" * 99],
)
def test_a_manifest_that_is_none(built: Manifest, data: bytes) -> None:
    (index_folder("demo") / "manifest.json").write_bytes(data)
    assert "manifest is damaged" in fault()
    listed = list_indexes()[0]
    assert (listed.name, listed.documents) == ("demo", None)
    assert listed.status == "damaged: index demo: its manifest is damaged"


def test_a_manifest_of_a_newer_version(built: Manifest) -> None:
    (index_folder("demo") / "manifest.json").write_bytes(b'{"format": 7, "shape": "unknown"}')
    assert "has format 7, this version reads 2 to 6" in fault()


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": "../../etc"},
        {"generation": ""},
        {"dtype": "float32"},
        {"dimension": 0},
        {"documents": 0},
        {"documents": 301},
        {"segments": ()},
        {"segments": (SegmentFacts("../../etc", 300),)},
        {"segments": (SegmentFacts("0123456789ab", 300),)},
        {"recipe_hash": "0" * 64},
        {"files": {}},
        {"files": {"../x": FileFacts(1, "0")}},
    ],
)
def test_a_sealed_manifest_of_impossible_values(
    built: Manifest, changes: dict[str, object]
) -> None:
    reseal(built, **changes)
    assert "manifest is damaged" in fault()


def test_a_folder_that_was_renamed(built: Manifest) -> None:
    index_folder("demo").rename(index_folder("demo").with_name("other"))
    with pytest.raises(IndexFault, match="holds the index demo"):
        open_index("other")
    with pytest.raises(NotFoundError):
        open_index("demo")


@pytest.mark.parametrize("changes", [{"dimension": 8}, {"dimension": 32}, {"documents": 299}])
def test_a_wrong_shape_in_a_sealed_manifest(built: Manifest, changes: dict[str, object]) -> None:
    reseal(built, **changes)
    with pytest.raises(IndexFault, match="is damaged: "):
        open_index("demo")


def test_a_wrong_count_in_a_sealed_manifest(built: Manifest) -> None:
    reseal(built, segments=(SegmentFacts(built.segments[0].id, 400),))
    with pytest.raises(IndexFault, match="its store holds 300 documents, not 400"):
        open_index("demo")


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def far_entry_point(data: bytes) -> bytes:
    return data[:52] + (2**31).to_bytes(4, sys.byteorder) + data[56:]


def no_header(data: bytes) -> bytes:
    return data[:30]


def nonsense(data: bytes) -> bytes:
    return b"\xff" * len(data)


@pytest.mark.parametrize("change", [truncate, far_entry_point, no_header, nonsense])
def test_a_damaged_graph_with_a_matching_checksum(
    built: Manifest, change: Callable[[bytes], bytes]
) -> None:
    """Somebody altered graph and manifest alike; in a child, since hnswlib may crash."""
    path = file_of(built, "graph.hnsw")
    path.write_bytes(change(path.read_bytes()))
    facts = FileFacts(path.stat().st_size, manifests.sha256_of(path))
    reseal(built, files={**built.files, built.path("graph.hnsw"): facts})
    code = """
import numpy as np
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import read_manifest
from bioretrieval_tui.index.vectors import VectorStore
folder = index_folder("demo")
try:
    VectorStore(read_manifest(folder), folder, exact_below=0).search(np.ones(16, np.float32), 5)
except IndexFault as fault:
    print(fault.line())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "graph.hnsw" in done.stdout


def test_the_graph_is_checked_when_it_is_loaded(built: Manifest) -> None:
    """Altered after the index was opened, with its times set back: still not loaded."""
    index = open_index("demo")
    path = file_of(built, "graph.hnsw")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexFault, match=r"graph\.hnsw was altered"):
        VectorStore(index.manifest, index.folder, exact_below=0)
    index.close()


def test_a_list_of_the_dead_that_is_pickled_is_not_loaded(built: Manifest) -> None:
    path = file_of(built, "dead.npy")
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    facts = FileFacts(path.stat().st_size, manifests.sha256_of(path))
    reseal(built, files={**built.files, built.path("dead.npy"): facts})
    # Checksums are all that `info` compares; opening looks into the file.
    assert "dead.npy cannot be read" in fault(told=False)


@pytest.mark.parametrize("name", ["documents.sqlite", "graph.hnsw"])
def test_an_index_made_by_another(built: Manifest, corpus: Path, name: str) -> None:
    """Its checksums are right, its content is not: adding and verifying end in one line."""
    path = file_of(built, name)
    if name == "documents.sqlite":
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(
                "DROP TABLE documents; CREATE VIEW documents AS WITH RECURSIVE n(label) AS"
                " (SELECT 0 UNION ALL SELECT label + 1 FROM n) SELECT label FROM n"
            )
        said = "documents.sqlite holds other tables than a document store"
    else:
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4 + path.read_bytes()[104:])
        said = "graph.hnsw has a link that leads outside"
    facts = FileFacts(path.stat().st_size, manifests.sha256_of(path))
    reseal(built, files={**built.files, f"{path.parent.name}/{name}": facts})
    (wrong,) = [check for check in verify_index("demo").checks if not check.ok]
    assert said in wrong.found
    write_corpus(str(corpus), "new", 3)
    if name == "documents.sqlite":
        with pytest.raises(IndexFault, match=said):
            add_to_index("demo", [corpus], of_hashing)
        assert said in fault(told=False)
    else:  # a small addition opens no graph
        add_to_index("demo", [corpus], of_hashing)
        (wrong,) = [check for check in verify_index("demo").checks if not check.ok]
        assert said in wrong.found
        compact_index("demo")
        assert verify_index("demo").ok


def test_a_store_of_more_documents_than_the_manifest_says(built: Manifest, corpus: Path) -> None:
    path = file_of(built, "documents.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE documents SET label = 9000000000000 WHERE label = 299")
        database.commit()
    facts = FileFacts(path.stat().st_size, manifests.sha256_of(path))
    reseal(built, files={**built.files, f"{path.parent.name}/{path.name}": facts})
    write_corpus(str(corpus), "new", 3)
    for attempt in (
        lambda: open_index("demo"),
        lambda: add_to_index("demo", [corpus], of_hashing),
        lambda: compact_index("demo"),
    ):
        with pytest.raises(
            IndexFault, match="its store holds 9,000,000,000,001 documents, not 300"
        ):
            attempt()
