"""Several graphs: what is in which, what an addition leaves outside, when they are loaded."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, of_hashing, path_of, record
from msgspec.structs import replace

from bioretrieval_tui.documents import checksum
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import graph, vectors
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import (
    FileFacts,
    Manifest,
    encode_manifest,
    read_manifest,
    seal,
)
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.vector_matrix import Matrix
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.index.verify import verify_index

WORDS = 40


def texts(first: int, end: int, version: int = 0) -> list[Any]:
    def words(number: int) -> str:
        return " ".join(f"w{number * one % 1_009 % WORDS}" for one in range(8))

    return [record(f"d{n}", f"{words(n + version)} n{n + version}") for n in range(first, end)]


def built(count: int) -> Manifest:
    return build_index("demo", feeding(texts(0, count)), HashingEncoder).manifest


def added(first: int, end: int) -> Manifest:
    return add_to_index("demo", feeding(texts(first, end)), of_hashing).manifest


def stores(manifest: Manifest) -> tuple[VectorStore, VectorStore]:
    folder = index_folder("demo")
    return VectorStore(manifest, folder), VectorStore(manifest, folder, exact_below=0)


def require_same_answers(manifest: Manifest) -> None:
    """Graphs and exact search find the same, with and without a filter, of every part."""
    exact, walked = stores(manifest)
    for number in range(20):
        query = HashingEncoder().encode_queries([f"w{number} w{number + 3} n{number * 29}"])[0]
        allowed = np.arange(number, manifest.rows, 3)
        for keep in (None, allowed):
            ours, theirs = walked.search(query, 12, keep), exact.search(query, 12, keep)
            np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)
    assert verify_index("demo").ok


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "PART", 100)
    monkeypatch.setattr(graph, "TAIL", 30)


@pytest.mark.parametrize(
    ("first", "rows"),
    [(0, 250_000), (999_999, 250_000), (4_000_000, 1_000_000), (36_000_000, 2_000_000)],
)
def test_parts_grow_with_what_is_before_them(first: int, rows: int) -> None:
    assert graph.part_rows(first) == rows


def test_all_of_pubmed_has_some_thirty() -> None:
    first, parts = 0, 0
    while first < 36_000_000:
        first, parts = first + graph.part_rows(first), parts + 1
    assert parts == 28


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("count", "parts"),
    [(1, (1,)), (99, (99,)), (100, (100,)), (101, (100, 1)), (350, (100,) * 3 + (50,))],
)
def test_a_part_is_closed_as_it_is_full(count: int, parts: tuple[int, ...]) -> None:
    manifest = built(count)
    assert manifest.graph.parts == parts
    assert [part.first for part in manifest.graphs] == [sum(parts[:n]) for n in range(len(parts))]
    require_same_answers(manifest)


@pytest.mark.usefixtures("small_parts")
def test_a_small_addition_touches_no_graph() -> None:
    before = built(150)

    def inodes(manifest: Manifest) -> list[int]:
        return [(index_folder("demo") / one.path).stat().st_ino for one in manifest.graphs]

    were = inodes(before)
    manifest = added(150, 170)
    assert (manifest.graph, manifest.vectors) == (before.graph, 170)
    assert inodes(manifest) == were
    for one, two in zip(before.graphs, manifest.graphs, strict=True):
        assert before.files[one.path] == manifest.files[two.path]
    require_same_answers(manifest)
    # As soon as more are outside than a search should compare, they are inserted.
    manifest = added(170, 185)
    assert manifest.graph.parts == (100, 85)
    require_same_answers(manifest)
    manifest = added(185, 330)
    assert manifest.graph.parts == (100, 100, 100, 30)
    require_same_answers(manifest)
    assert compact_index("demo").manifest.graph.parts == (100, 100, 100, 30)


@pytest.mark.usefixtures("small_parts")
def test_what_is_replaced_and_deleted_is_not_found_in_any_part() -> None:
    built(250)
    manifest = added(90, 110)  # the same ids and texts: nothing changes
    assert manifest.rows == 250
    manifest = add_to_index("demo", feeding(texts(95, 105, 500)), of_hashing).manifest
    assert (manifest.documents, manifest.rows) == (250, 260)
    require_same_answers(manifest)
    exact, walked = stores(manifest)
    assert walked.dead.tolist() == [*range(95, 105)]
    query = HashingEncoder().encode_queries(["w1 n99"])[0]
    assert set(walked.search(query, 250)[0].tolist()) == set(exact.search(query, 250)[0].tolist())


@pytest.mark.usefixtures("small_parts")
def test_a_part_of_which_all_are_deleted() -> None:
    built(200)
    manifest = add_to_index("demo", feeding(texts(0, 100, 500)), of_hashing).manifest
    assert manifest.graph.parts == (100, 100, 100)
    require_same_answers(manifest)


def test_an_index_of_format_4_is_searched_and_extended() -> None:
    manifest = built(200)
    old = seal(_as_format_4(manifest))
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(old))
    assert [part.rows for part in read_manifest(index_folder("demo")).graphs] == [200]
    require_same_answers(old)
    extended = added(200, 210)
    assert (extended.format, extended.graph.parts) == (5, (200,))
    require_same_answers(extended)


def _as_format_4(manifest: Manifest) -> Manifest:
    return replace(manifest, format=4, graph=replace(manifest.graph, parts=()))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("parts", [(100, 51), (151,), (100, 50, 0), (100, 200)])
def test_parts_that_do_not_fit_the_vectors(parts: tuple[int, ...]) -> None:
    manifest = built(150)
    wrong = seal(replace(manifest, graph=replace(manifest.graph, parts=parts)))
    (index_folder("demo") / "manifest.json").write_bytes(encode_manifest(wrong))
    with pytest.raises(IndexFault, match="manifest is damaged"):
        open_index("demo")


def waited(store: VectorStore) -> None:
    for thread in threading.enumerate():
        if thread.name == "graphs":
            thread.join()


def later(manifest: Manifest) -> VectorStore:
    return VectorStore(manifest, index_folder("demo"), exact_below=0, later=True)


def test_the_graphs_are_loaded_after_a_few_searches() -> None:
    manifest = built(300)
    store = later(manifest)
    query = HashingEncoder().encode_queries(["w1 n99"])[0]
    first = store.search(query, 5)
    for _ in range(vectors._EXACT_AT_FIRST - 1):
        store.search(query, 5)
    waited(store)
    assert store.exact  # one question loads nothing
    store.search(query, 5)
    waited(store)
    assert not store.exact
    np.testing.assert_allclose(store.search(query, 5)[1], first[1], atol=1e-6)


def test_a_damaged_graph_is_told_once_it_is_loaded() -> None:
    manifest = built(300)
    store = later(manifest)
    path = path_of(manifest, "graph.hnsw")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    query = HashingEncoder().encode_queries(["w1"])[0]
    for _ in range(vectors._EXACT_AT_FIRST + 1):
        store.search(query, 5)
    waited(store)
    with pytest.raises(IndexFault, match=r"graph\.hnsw was altered"):
        store.search(query, 5)


def test_an_index_that_is_replaced_before_its_graphs_are_loaded_goes_on_exactly() -> None:
    manifest = built(300)
    store = later(manifest)
    query = HashingEncoder().encode_queries(["w1"])[0]
    first = store.search(query, 5)
    build_index("demo", feeding(texts(0, 5)), HashingEncoder)
    for _ in range(vectors._EXACT_AT_FIRST + 2):
        store.search(query, 5)
        waited(store)
    assert store.exact
    assert store.search(query, 5)[0].tolist() == first[0].tolist()


def test_checksums_are_noted_by_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an index that was just built or extended reads no file for its checksum."""
    built(300)
    added(300, 310)

    def reads(path: Path) -> str:
        raise AssertionError(f"{path.name} is read")

    monkeypatch.setattr(checksum, "sha256_of", reads)
    open_index("demo").close()


def test_a_shared_file_that_was_altered_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An addition checks what it shares before it takes over its checksum."""
    manifest = built(300)
    path = path_of(manifest, "graph.hnsw")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    os.utime(path)
    path.write_bytes(data)
    with pytest.raises(IndexFault, match=r"graph\.hnsw was altered"):
        added(300, 310)


def test_many_queries_are_answered_one_way() -> None:
    """Which of them come before the graphs are loaded would be chance."""
    manifest = built(300)
    store = later(manifest)
    store.load_graphs()
    assert not store.exact
    store.load_graphs()
    path = path_of(manifest, "graph.hnsw")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(IndexFault):
        later(manifest).load_graphs()


@pytest.mark.usefixtures("small_parts")
def test_a_graph_with_marks_is_measured_without_them() -> None:
    """As format 4 has them: what is deleted cannot be found, and is no fault of the graph."""
    manifest = built(90)
    folder, path = index_folder("demo"), path_of(manifest, "graph.hnsw")
    loaded = graph.load_graph(manifest, folder, 0, np.arange(0, 90, 2))
    loaded.save_index(str(path))
    facts = FileFacts(path.stat().st_size, checksum.sha256_of(path))
    files = {**manifest.files, manifest.path("graph.hnsw"): facts}
    parts = graph.GraphParts(
        folder.parent, 16, "cosine", lambda: matrix, (replace(manifest, files=files), folder)
    )
    rows = VectorStore(manifest, folder).matrix.take(np.arange(90))
    matrix = Matrix([np.concatenate([rows, rows[:10]]).astype(np.float16)], 16)
    parts.add(rows[:10])
    settings = parts.finish()
    assert settings.parts == (100,)
    assert settings.recall is not None
    assert settings.recall >= 0.99
    assert settings.ef == graph.EFS[0]
