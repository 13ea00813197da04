"""The graph: what recall is measured on, how `ef` is chosen, and what is never loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import build_items, feeding, path_of, record

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import graph as graphs
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.graph import (
    EFS,
    GraphBuilder,
    check_graph,
    load_graph,
    probe,
    reaching,
    read_graph,
    recall_at,
)
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import FileFacts, GraphSettings, Manifest, seal
from bioretrieval_tui.index.vector_matrix import Matrix
from bioretrieval_tui.index.verify import verify_index

NONE = np.empty(0, dtype=np.int64)


def halves(count: int, dimension: int = 12, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)


def graph_of(rows: np.ndarray, **settings: Any) -> GraphBuilder:
    builder = GraphBuilder(rows.shape[1], GraphSettings(**settings))
    builder.add(rows.astype(np.float32), 0)
    return builder


def test_the_probe_is_drawn_the_same_way_each_time_and_leaves_itself_out() -> None:
    matrix = Matrix([halves(900)], 12)
    one, two = probe(matrix, NONE), probe(matrix, NONE)
    assert one.labels.tolist() == two.labels.tolist() == sorted(set(one.labels.tolist()))
    assert (len(one.labels), one.truth.shape) == (200, (200, 10))
    products = one.queries @ matrix.take(np.arange(900)).T
    products[np.arange(200), one.labels] = -np.inf
    np.testing.assert_array_equal(one.truth, np.argsort(-products, axis=1)[:, :10])
    np.testing.assert_allclose(one.least, np.sort(products, axis=1)[:, -10], atol=1e-6)


def test_the_dead_are_neither_asked_for_nor_near() -> None:
    dead = np.arange(0, 300, 2)
    found = probe(Matrix([halves(100), halves(200, seed=1)], 12), dead)
    assert len(found.labels) == 150
    assert not np.isin(found.labels, dead).any()
    assert not np.isin(found.truth, dead).any()


@pytest.mark.parametrize(("alive", "near"), [(1, 0), (2, 1), (5, 4), (11, 10), (12, 10)])
def test_fewer_documents_than_neighbours(alive: int, near: int) -> None:
    rows = halves(12)
    dead = np.arange(alive, 12)
    found = probe(Matrix([rows], 12), dead)
    assert found.truth.shape == (alive, near)
    builder = graph_of(rows)
    for one in dead.tolist():
        builder._graph.mark_deleted(one)
    tuned = builder.tuned(GraphSettings(), found)
    assert (tuned.recall, tuned.sampled, tuned.ef) == (1.0, alive, EFS[0])


def test_nobody_alive_is_measured_as_nothing() -> None:
    rows = halves(3)
    builder = graph_of(rows)
    found = probe(Matrix([rows], 12), np.arange(3))
    tuned = builder.tuned(GraphSettings(ef=77), found)
    assert (tuned.recall, tuned.sampled, tuned.ef) == (None, 0, 77)


def test_ef_is_the_smallest_that_reaches_the_target() -> None:
    rows = halves(3_000, 32)
    builder = graph_of(rows, m=3, ef_construction=12)  # a poor graph, so that ef has work to do
    sampled = probe(Matrix([rows], 32), NONE)
    ef, recall = reaching(builder._graph, sampled, 0.9)
    assert ef in EFS
    assert recall >= 0.9
    assert ef > EFS[0]
    smaller = EFS[EFS.index(ef) - 1]
    assert recall_at(builder._graph, sampled, smaller) < 0.9
    assert builder.tuned(GraphSettings(m=3), sampled).m == 3


def test_a_target_out_of_reach_gives_the_largest_ef(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = halves(400)
    monkeypatch.setattr(graphs, "EFS", (11, 12))
    builder = graph_of(rows, m=2, ef_construction=2)
    ef, recall = reaching(builder._graph, probe(Matrix([rows], 12), NONE), 1.1)
    assert ef == 12
    assert recall <= 1


def test_recall_counts_what_numpy_counts() -> None:
    rows = halves(2_000, 32)
    builder = graph_of(rows, m=3, ef_construction=10)
    sampled = probe(Matrix([rows], 32), NONE)
    builder._graph.set_ef(20)
    found, _ = builder._graph.knn_query(sampled.queries, k=11, num_threads=1)
    hits = 0
    for own, near, truth in zip(sampled.labels, found.tolist(), sampled.truth, strict=True):
        others = [label for label in near if label != own][:10]
        hits += len(set(others) & set(truth.tolist()))
    assert recall_at(builder._graph, sampled, 20) == pytest.approx(hits / 2_000, abs=1e-3)


def test_documents_that_say_the_same_are_no_fault_of_the_graph() -> None:
    """Any ten of a hundred equal ones are the nearest: "Editorial" is the title of thousands."""
    built = build_items("demo", *(record(str(n), "", "Editorial") for n in range(400))).manifest
    assert (built.documents, built.graph.recall) == (400, 1.0)
    assert built.graph.ef == EFS[0]
    assert verify_index("demo").ok


def test_documents_without_a_known_word_are_no_fault_either() -> None:
    """Models with a table of words give them vectors of zeros."""

    class Unknowing(HashingEncoder):
        def encode_documents(self, documents, *how):  # type: ignore[no-untyped-def]
            return 0 * super().encode_documents(documents, *how)

    items = feeding([record(str(n), f"word{n}") for n in range(40)])
    built = build_index("demo", items, Unknowing).manifest  # type: ignore[arg-type]  # has no Shape
    assert built.documents == 40
    assert verify_index("demo").ok


def test_a_graph_grows_beyond_what_was_expected() -> None:
    rows = halves(500).astype(np.float32)
    builder = GraphBuilder(12, GraphSettings())
    for start in range(0, 500, 50):
        builder.add(rows[start : start + 50], start, total=3)
    assert sorted(builder._graph.get_ids_list()) == list(range(500))


def test_a_document_that_is_marked_but_not_deleted(built: Manifest) -> None:
    folder, path = index_folder("demo"), path_of(built, "graph.hnsw")
    path.write_bytes(altered(element(7, 2), b"\1")(path.read_bytes()))
    facts = FileFacts(path.stat().st_size, sha256_of(path))
    sealed = seal(
        msgspec.structs.replace(built, files={**built.files, built.path("graph.hnsw"): facts})
    )
    assert read_graph(sealed, folder, 0)[1].tolist() == [7]
    load_graph(sealed, folder, 0, np.array([7, 9]))
    with pytest.raises(IndexFault, match="other deleted documents"):
        load_graph(sealed, folder, 0, np.array([9]))


def test_a_graph_that_could_not_be_written_whole(tmp_path: Path) -> None:
    code = """
import resource, sys
import numpy as np
from bioretrieval_tui.index.graph import GraphBuilder
from bioretrieval_tui.index.manifest import GraphSettings
from pathlib import Path
builder = GraphBuilder(12, GraphSettings())
builder.add(np.ones((200, 12), np.float32), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
try:
    builder.save(Path(sys.argv[1]))
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "g")], capture_output=True, text=True
    )
    assert "was written only in part" in done.stdout, done.stderr


def test_settings_are_kept_when_an_index_is_extended(built: Manifest) -> None:
    graph, _ = read_graph(built, index_folder("demo"), 0)
    assert graph.get_max_elements() == 300
    grown = GraphBuilder(16, built.graph, graph)
    grown.add(HashingEncoder().encode_queries(["more"]), 300)
    assert sorted(graph.get_ids_list()) == list(range(301))


def altered(place: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + value + data[place + len(value) :]


def number(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, sys.byteorder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:55], "cut off"),
        (lambda data: b"", "cut off"),
        (altered(16, number(299)), "does not hold 300 vectors"),
        (altered(16, number(2**40)), "does not hold 300 vectors"),
        (altered(52, number(300, 4)), "does not hold 300 vectors"),
        (altered(52, number(2**32 - 1, 4)), "does not hold 300 vectors"),
        (altered(32, number(0)), "another dimension"),
        (lambda data: b"\xff" * len(data), "another dimension"),
    ],
)
def test_a_header_that_does_not_fit(
    built: Manifest, change: Callable[[bytes], bytes], said: str
) -> None:
    folder, path = index_folder("demo"), path_of(built, "graph.hnsw")
    check_graph(built, folder)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IndexFault) as caught:
        check_graph(built, folder)
    assert said in caught.value.message
    assert "index compact demo" in caught.value.line()
    # And with its checksum no longer right it is not even looked at.
    with pytest.raises(IndexFault):
        read_graph(built, folder, 0)


def test_a_graph_of_another_dimension(built: Manifest) -> None:
    other = msgspec.structs.replace(built, dimension=8)
    with pytest.raises(IndexFault, match="another dimension"):
        read_graph(other, index_folder("demo"), 0)


M, DIMENSION, COUNT = 24, 16, 300
ELEMENT = 4 + 8 * M + 4 * DIMENSION + 8
LEVELS = 96 + COUNT * ELEMENT


def element(number: int, place: int = 0) -> int:
    return 96 + number * ELEMENT + place


def first_upper(data: bytes) -> int:
    """Where the level lists of the first element that has some begin."""
    at = LEVELS
    while not int.from_bytes(data[at : at + 4], sys.byteorder):
        at += 4
    return at


def in_upper(place: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: altered(first_upper(data) + place, value)(data)


def a_lower_element(data: bytes) -> bytes:
    """Link the first element of the upper levels to one that is at level 0 only."""
    skipped = (first_upper(data) - LEVELS) // 4
    low = next(number for number in (0, 1) if number != skipped)
    return in_upper(8, number(low, 4))(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (altered(element(7, 4), number(300, 4)), "a link that leads outside"),
        (altered(element(299, 4), number(2**32 - 1, 4)), "a link that leads outside"),
        (altered(element(7), number(2 * M + 1, 2)), "a link that leads outside"),
        (altered(element(7), number(2**16 - 1, 2)), "a link that leads outside"),
        (altered(element(7, ELEMENT - 8), number(300)), "a label that no document has"),
        (altered(element(7, ELEMENT - 8), number(2**63)), "a label that no document has"),
        (lambda data: altered(element(7, ELEMENT - 8), data[element(8, -8) :][:8])(
            altered(element(8, ELEMENT - 8), data[element(8, -8) :][:8])(data)
        ), "lacks the label"),
        (altered(0, number(4)), "elements of another size"),
        (altered(24, number(ELEMENT + 4)), "elements of another size"),
        (altered(32, number(8 * M + 4 * DIMENSION)), "another dimension"),
        (altered(48, number(9, 4)), "begins below its highest level"),
        (altered(48, number(2**32 - 1, 4)), "begins below its highest level"),
        (altered(48, number(0, 4)), "begins below its highest level"),
        (altered(56, number(M + 1)), "other settings"),
        (altered(64, number(2**40)), "other settings"),
        (altered(72, number(0)), "other settings"),
        (altered(80, b"\xff" * 8), "other settings"),
        (altered(88, number(2**40)), "other settings"),
        (in_upper(0, number(2**32 - 1, 4)), "levels of another size"),
        (in_upper(0, number(8, 4)), "levels of another size"),
        (in_upper(4, number(M + 1, 4)), "a link that leads outside"),
        (in_upper(8, number(300, 4)), "a link that leads outside"),
        (a_lower_element, "an element of a lower level"),
        (lambda data: data[:-4], "levels of another size"),
        (lambda data: data + bytes(4), "levels of another size"),
        (lambda data: data[:-3], "is cut off"),
        (lambda data: data[: LEVELS + 8], "is cut off"),
    ],
)  # fmt: skip
def test_what_would_lead_hnswlib_out_of_the_graph(
    built: Manifest, change: Callable[[bytes], bytes], said: str
) -> None:
    folder, path = index_folder("demo"), path_of(built, "graph.hnsw")
    data = path.read_bytes()
    path.write_bytes(change(data))
    with pytest.raises(IndexFault) as caught:
        check_graph(built, folder)
    assert said in caught.value.message
    assert "index compact demo" in caught.value.line()


def test_no_alteration_of_a_graph_ends_the_process(built: Manifest) -> None:
    """In a child: what passes the check is loaded, searched and extended."""
    code = f"""
import contextlib, random, sys, numpy as np
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import graph as graphs
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import read_manifest
folder = index_folder("demo"); manifest = read_manifest(folder)
path = folder / manifest.path("graph.hnsw"); data = path.read_bytes(); chance = random.Random(5)
graphs.check_content = lambda *_, **__: None
refused = 0
words = [0, 1, 15, 16, 17, 32, 33, 68, 299, 300, 301, 2**16, 2**31, 2**32 - 1]
for _ in range(300):
    changed = bytearray(data)
    place = chance.choice((
        chance.randrange(0, 96, 4), chance.randrange(96, {LEVELS}, 4),
        96 + {ELEMENT} * chance.randrange(300), chance.randrange({LEVELS}, len(data), 4),
    ))
    changed[place:place + 4] = chance.choice((
        chance.choice(words).to_bytes(4, sys.byteorder), chance.randbytes(4)
    ))
    path.write_bytes(changed)
    try:
        graph, _ = graphs.read_graph(manifest, folder, 0)
    except IndexFault:
        refused += 1
        continue
    graph.set_ef(300)
    with contextlib.suppress(RuntimeError):  # it reaches fewer: exact search answers then
        graph.knn_query(np.eye(16, dtype=np.float32), k=20, num_threads=1)
    graph.resize_index(320)
    graph.add_items(np.eye(16, dtype=np.float32), np.arange(300, 316), num_threads=1)
print(refused)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert 100 < int(done.stdout) < 300
