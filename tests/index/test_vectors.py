"""Searching vectors: exact, by the graph, filtered; compared with a plain sort."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import build_items, matrix_of, record

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import vectors
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.vector_matrix import Labels, Vector
from bioretrieval_tui.index.vectors import WALK, VectorStore


def matrix(manifest: Manifest) -> Vector:
    return matrix_of(manifest).astype(np.float32)


def labels_of(given: Iterable[int]) -> Labels:
    return np.array([*given], dtype=np.int64)


def expected(vectors: Vector, query: Vector, k: int, allowed: Iterable[int] | None) -> list[int]:
    keep = range(len(vectors)) if allowed is None else sorted({int(label) for label in allowed})
    ranked = sorted(keep, key=lambda label: (-float(np.float32(vectors[label] @ query)), label))
    return ranked[:k]


@pytest.fixture
def stores(built: Manifest) -> dict[str, VectorStore]:
    folder = index_folder("demo")
    return {
        "exact": VectorStore(built, folder),
        "graph": VectorStore(built, folder, exact_below=0),
        "walk": VectorStore(built, folder, exact_below=0, walk=0),
    }


@pytest.mark.parametrize("way", ["exact", "graph"])
@pytest.mark.parametrize("k", [1, 10, 299, 300, 1_000])
def test_the_nearest_come_first(
    stores: dict[str, VectorStore], built: Manifest, hashing: HashingEncoder, way: str, k: int
) -> None:
    query = hashing.encode_queries(["old n17"])[0]
    labels, similarities = stores[way].search(query, k)
    assert len(labels) == min(k, 300)
    assert list(similarities) == sorted(similarities, reverse=True)
    np.testing.assert_allclose(similarities, matrix(built)[labels] @ query, atol=1e-5)
    best = expected(matrix(built), query, k, None)
    np.testing.assert_allclose(
        similarities, matrix(built)[best] @ query, atol=1e-5, err_msg=str(labels)
    )


def test_ties_go_by_label(tmp_path: Path) -> None:
    path = tmp_path / "same.jsonl"
    path.write_text("".join(f'{{"_id": "{n}", "title": "same"}}\n' for n in range(50)))
    manifest = build_index("demo", [path], HashingEncoder).manifest
    store = VectorStore(manifest, index_folder("demo"))
    query = HashingEncoder().encode_queries(["same"])[0]
    assert store.search(query, 7)[0].tolist() == list(range(7))


@pytest.mark.parametrize("way", ["exact", "graph", "walk"])
@pytest.mark.parametrize(
    "allowed",
    [
        {5, 6, 7, 200},
        list(range(0, 300, 2)),
        np.arange(100, 300),
        np.array([9, 9, 9], dtype=np.int32),
        range(150),
        {-4, 3, 10_000},
        set(),
        np.empty(0, dtype=np.int64),
    ],
    ids=str,
)
def test_only_allowed_labels_are_answered(
    stores: dict[str, VectorStore],
    built: Manifest,
    hashing: HashingEncoder,
    way: str,
    allowed: Iterable[int],
) -> None:
    query = hashing.encode_queries(["old n17 n18"])[0]
    given = allowed if isinstance(allowed, np.ndarray) else labels_of(allowed)
    labels, similarities = stores[way].search(query, 20, given)
    valid = {int(label) for label in allowed if 0 <= label < 300}
    assert set(labels.tolist()) <= valid
    assert len(labels) == min(20, len(valid))
    best = expected(matrix(built), query, 20, valid)
    np.testing.assert_allclose(similarities, matrix(built)[best] @ query, atol=1e-5)


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_is_asked(stores: dict[str, VectorStore], hashing: HashingEncoder, k: int) -> None:
    for store in stores.values():
        assert store.search(hashing.encode_queries(["old"])[0], k)[0].tolist() == []


def test_a_query_of_another_dimension(stores: dict[str, VectorStore]) -> None:
    for store in stores.values():
        with pytest.raises(IndexFault, match="8 dimensions, index demo has 16"):
            store.search(np.ones(8, dtype=np.float32), 3)


def test_below_the_limit_the_graph_is_not_even_loaded(
    stores: dict[str, VectorStore], hashing: HashingEncoder
) -> None:
    query = hashing.encode_queries(["old"])[0]
    stores["exact"].search(query, 3)
    assert stores["exact"].exact
    stores["graph"].search(query, 3)
    assert not stores["graph"].exact


def test_the_graph_finds_what_is_near(tmp_path: Path) -> None:
    chance = random.Random(11)
    with (tmp_path / "many.jsonl").open("w") as out:
        for number in range(4_000):
            words = " ".join(f"w{chance.randrange(500)}" for _ in range(15))
            out.write(f'{{"_id": "{number}", "text": "{words}"}}\n')
    encoder = HashingEncoder(64)
    manifest = build_index("demo", [tmp_path / "many.jsonl"], lambda: encoder).manifest
    store = VectorStore(manifest, index_folder("demo"), exact_below=0)
    found = 0
    for _ in range(50):
        words = " ".join(f"w{chance.randrange(500)}" for _ in range(15))
        query = encoder.encode_queries([words])[0]
        _, similarities = store.search(query, 10)
        found += int((similarities >= np.sort(matrix(manifest) @ query)[-10] - 1e-6).sum())
    assert found >= 0.95 * 10 * 50


@pytest.mark.parametrize("part", [1, 16, 100, 4_000])
def test_parts_make_no_difference(
    stores: dict[str, VectorStore],
    built: Manifest,
    hashing: HashingEncoder,
    part: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vectors, "_PART", part)
    query = hashing.encode_queries(["old n17 n18"])[0]
    labels, similarities = stores["exact"].search(query, 300)
    assert sorted(labels.tolist()) == list(range(300))
    np.testing.assert_allclose(similarities, matrix(built)[labels] @ query, atol=1e-6)


def test_the_dead_are_never_answered(hashing: HashingEncoder) -> None:
    items = [record(f"d{n}", f"word {n}") for n in range(200)]
    items += [record(f"d{n}", f"other {n}") for n in range(0, 200, 4)]
    manifest = build_items("demo", *items).manifest
    dead = set(range(0, 200, 4))
    query = hashing.encode_queries(["word 4 8 12"])[0]
    for exact_below, walk in ((0, 0), (0, WALK), (50_000, WALK)):
        store = VectorStore(manifest, index_folder("demo"), exact_below=exact_below, walk=walk)
        assert (store.count, len(store.dead)) == (200, 50)
        labels, similarities = store.search(query, 1_000)
        assert sorted(labels.tolist()) == sorted(set(range(250)) - dead)
        np.testing.assert_allclose(similarities, matrix(manifest)[labels] @ query, atol=1e-5)
        assert set(store.search(query, 30, allowed=np.arange(120))[0].tolist()).isdisjoint(dead)
        assert store.search(query, 9, allowed=labels_of(dead))[0].tolist() == []
    some = np.array([249, 3, 3, 0])
    np.testing.assert_allclose(
        store.similarities(query, some), matrix(manifest)[some] @ query, atol=1e-6
    )


def test_few_are_compared_and_many_are_walked_to(
    built: Manifest, hashing: HashingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(built, index_folder("demo"), exact_below=0, walk=1)
    ef = built.graph.ef
    few = int((ef * 300) ** 0.5)
    assert few < 299
    walked: list[int] = []
    approximate = store._approximate

    def walk(query: Vector, k: int, kept: np.ndarray | None) -> tuple[np.ndarray, Vector]:
        walked.append(0 if kept is None else len(kept))
        return approximate(query, k, kept)

    monkeypatch.setattr(store, "_approximate", walk)
    query = hashing.encode_queries(["old n17 n18"])[0]
    for count in (1, few, few + 1, 300):
        labels, similarities = store.search(query, 5, np.arange(count))
        best = expected(matrix(built), query, 5, range(count))
        np.testing.assert_allclose(similarities, matrix(built)[best] @ query, atol=1e-5)
        assert (labels < count).all()
    assert walked == [few + 1, 300]
