"""The vectors of an index: float16 matrices, mapped and searched exactly or by the HNSW graph.

Exact search is used below 50,000 vectors and for filters that keep few documents, otherwise the
graph. Labels are those of the document store; similarities are inner products, so cosine for
vectors of length 1. Vectors are stored as float16, which is as precise as models
compute them, and searched as float32.
"""

from __future__ import annotations

import tokenize
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import DEAD, VECTORS
from bioretrieval_tui.index.manifest import Manifest, fault

Vector = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Allowed = Collection[int] | Labels
Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
"""What numpy raises for a damaged .npy: it reads the header with Python's own parser."""
BLOCK = 2_048
"""Rows that are converted to float32 at once: they fit the CPU cache."""


class Matrix:
    """float16 (rows, dimension) over one or more files; a row's number is its label."""

    def __init__(self, parts: Sequence[Halves], dimension: int) -> None:
        self.dimension = dimension
        self.parts = [part for part in parts if len(part)]
        self._firsts = np.cumsum([0, *(len(part) for part in self.parts)])
        self.rows = int(self._firsts[-1])

    def take(self, labels: Labels) -> Vectors:
        """float32 (n, dimension) of these labels, in their order."""
        return self.halves(labels).astype(np.float32)

    def halves(self, labels: Labels) -> Halves:
        """float16 (n, dimension) of these labels, in their order; bits as stored."""
        if len(self.parts) == 1:
            return self.parts[0][labels]
        taken = np.empty((len(labels), self.dimension), dtype=np.float16)
        for first, part in zip(self._firsts, self.parts, strict=False):
            inside = (labels >= first) & (labels < first + len(part))
            taken[inside] = part[labels[inside] - first]
        return taken

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, Vectors]]:
        """All rows, `size` at a time: the first label of the block, and float32 vectors."""
        for first, part in zip(self._firsts, self.parts, strict=False):
            for start in range(0, len(part), size):
                yield int(first) + start, part[start : start + size].astype(np.float32)

    def nearest(self, queries: Vectors, k: int, dead: Labels) -> tuple[Labels, Vectors]:
        """Exact search of several queries: labels and inner products, (n, k), best first.

        dead: deleted labels, which are not found. There are fewer than `k` columns if fewer rows
        are left.
        """
        k = min(k, self.rows - len(dead))
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        labels = np.full((len(queries), k), -1, dtype=np.int64)
        for first, block in self.blocks():
            products = queries @ block.T
            deleted = dead[(dead >= first) & (dead < first + len(block))] - first
            products[:, deleted] = -np.inf
            names = np.broadcast_to(np.arange(first, first + len(block)), products.shape)
            if len(block) > k:
                near = np.argpartition(-products, k - 1, axis=1)[:, :k]
                products = np.take_along_axis(products, near, axis=1)
                names = np.take_along_axis(names, near, axis=1)
            best = np.concatenate([best, products], axis=1)
            labels = np.concatenate([labels, names], axis=1)
            order = np.lexsort((labels, -best), axis=1)[:, :k]
            best = np.take_along_axis(best, order, axis=1)
            labels = np.take_along_axis(labels, order, axis=1)
        return labels, best


def open_matrix(manifest: Manifest, folder: Path) -> Matrix:
    """Map the vectors of an index. Raises IndexFault if a file does not fit the manifest."""
    parts = []
    for segment, name in zip(manifest.segments, manifest.matrices(), strict=True):
        path = folder / name
        expected = 2 * segment.rows * manifest.dimension
        try:
            size = path.stat().st_size
            if size != expected:
                raise fault(manifest, f"{VECTORS} has {size:,} bytes, not {expected:,}")
            if segment.rows and manifest.encoded:
                shape = (segment.rows, manifest.dimension)
                parts.append(np.memmap(path, dtype="<f2", mode="r", shape=shape))
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise fault(manifest, f"{VECTORS} cannot be read") from error
    return Matrix(parts, manifest.dimension)


def open_dead(manifest: Manifest, folder: Path) -> Labels:
    """The labels of deleted documents, ascending: int64 (n,). Raises IndexFault if the file does
    not fit the manifest."""
    try:
        dead = np.load(folder / manifest.path(DEAD), allow_pickle=False)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise fault(manifest, f"{DEAD} cannot be read") from error
    if not (
        dead.dtype == np.int64
        and dead.ndim == 1
        and len(dead) == manifest.rows - manifest.documents
        and (np.diff(dead) > 0).all()
        and (len(dead) == 0 or (dead[0] >= 0 and dead[-1] < manifest.rows))
    ):
        raise fault(manifest, f"{DEAD} does not fit the documents")
    found: Labels = dead
    return found


def check_query(manifest: Manifest, query: Vectors) -> Vectors:
    """The query as contiguous float32 (dimension,). Raises IndexFault for another dimension."""
    if query.shape != (manifest.dimension,):
        raise IndexFault(
            f"the query has {query.shape[-1]} dimensions, index {manifest.name} has"
            f" {manifest.dimension}",
            remedy="search with the model that built the index",
        )
    return np.ascontiguousarray(query, dtype=np.float32)


class VectorStore(Protocol):
    """Vectors that can be searched, in this process or another; count: without deleted ones."""

    @property
    def count(self) -> int: ...

    def search(
        self, query: Vector, k: int, allowed: Allowed | None = None
    ) -> tuple[Labels, Vector]:
        """The labels (int64) and similarities (float32) of the `k` nearest, best first.

        query: float32 (dimension,); allowed: labels that may be found, None for all. Fewer than `k`
        are returned only if fewer are allowed and not deleted. Ties go by label.
        """

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """float32 (n,): the similarity of `query` to each of `labels`, in their order."""

    def take(self, labels: Labels) -> Vector:
        """float32 (n, dimension): the vectors of these labels, in their order."""
