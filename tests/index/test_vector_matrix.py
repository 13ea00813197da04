"""float16 matrices over several files: rows, blocks and exact search, compared with numpy."""

from __future__ import annotations

import numpy as np
import pytest

from bioretrieval_tui.index import vector_matrix as matrices
from bioretrieval_tui.index.vector_matrix import Matrix

ROWS, DIMENSION = 130, 7


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((ROWS, DIMENSION)).astype(np.float16)


def cut(rows: np.ndarray, *places: int) -> Matrix:
    return Matrix(np.split(rows, places), rows.shape[1])


SPLITS = [(), (1,), (50,), (50, 50), (10, 60, 129), (0, 130)]


def brute(
    rows: np.ndarray, queries: np.ndarray, k: int, dead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    products = queries @ rows.astype(np.float32).T
    alive = np.setdiff1d(np.arange(len(rows)), dead)
    labels = [sorted(alive, key=lambda label, p=p: (-p[label], label))[:k] for p in products]
    found = np.array(labels, dtype=np.int64).reshape(len(queries), -1)
    return found, np.take_along_axis(products, found, axis=1)


@pytest.mark.parametrize("split", SPLITS)
def test_rows_in_any_order(rows: np.ndarray, split: tuple[int, ...]) -> None:
    matrix = cut(rows, *split)
    assert (matrix.rows, matrix.dimension) == (ROWS, DIMENSION)
    labels = np.array([129, 0, 60, 59, 60, 1, 50, 49])
    np.testing.assert_array_equal(matrix.take(labels), rows[labels].astype(np.float32))
    np.testing.assert_array_equal(matrix.halves(labels), rows[labels])
    assert matrix.take(labels).dtype == np.float32
    assert matrix.halves(labels).dtype == np.float16
    assert matrix.take(np.empty(0, dtype=np.int64)).shape == (0, DIMENSION)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 49, 50, 1_000])
def test_blocks_are_all_rows_once(rows: np.ndarray, split: tuple[int, ...], size: int) -> None:
    found = list(cut(rows, *split).blocks(size))
    assert all(len(block) <= size for _, block in found)
    first = 0
    for start, block in found:
        assert start == first
        first += len(block)
    np.testing.assert_array_equal(np.concatenate([block for _, block in found]), rows)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("k", [1, 10, 129, 130, 500])
@pytest.mark.parametrize("block", [5, 64, 2_048])
def test_nearest_is_what_numpy_finds(
    rows: np.ndarray, split: tuple[int, ...], k: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Matrix.blocks, "__defaults__", (block,))
    queries = np.random.default_rng(2).standard_normal((9, DIMENSION)).astype(np.float32)
    dead = np.array([0, 3, 49, 50, 51, 128, 129], dtype=np.int64)
    for buried in (np.empty(0, dtype=np.int64), dead):
        labels, products = cut(rows, *split).nearest(queries, k, buried)
        wanted, similarities = brute(rows, queries, k, buried)
        assert labels.shape == (9, min(k, ROWS - len(buried)))
        np.testing.assert_allclose(products, similarities, atol=1e-5)
        np.testing.assert_array_equal(labels, wanted)


def test_equal_rows_go_by_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Matrix.blocks, "__defaults__", (8,))
    same = np.ones((40, DIMENSION), dtype=np.float16)
    query = np.ones((1, DIMENSION), dtype=np.float32)
    labels, products = cut(same, 20).nearest(query, 5, np.array([1, 2]))
    assert labels.tolist() == [sorted(set(labels[0].tolist()) - {1, 2})]
    assert products.tolist() == [[DIMENSION] * 5]


def test_nothing_alive_and_nothing_at_all(rows: np.ndarray) -> None:
    queries = np.ones((2, DIMENSION), dtype=np.float32)
    labels, products = cut(rows).nearest(queries, 3, np.arange(ROWS))
    assert labels.shape == products.shape == (2, 0)
    empty = Matrix([], DIMENSION)
    assert empty.rows == 0
    assert list(empty.blocks()) == []
    assert empty.nearest(queries, 3, np.empty(0, dtype=np.int64))[0].shape == (2, 0)


def test_a_block_fits_what_it_is_said_to() -> None:
    assert Matrix.blocks.__defaults__ == (matrices.BLOCK,)
