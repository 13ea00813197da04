"""The vectors of an index as they are stored: mapped float16 matrices, and whose they are.

Labels are those of the document store; similarities are inner products, so cosine for vectors of
length 1. float16 is as precise as models compute; it is searched as float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.half_precision import widened
from bioretrieval_tui.index.layout import DEAD, LONGER, PASSAGES, VECTORS
from bioretrieval_tui.index.manifest import Manifest, fault, reading
from bioretrieval_tui.index.passages import Passages, read_table
from bioretrieval_tui.util.npy_files import load_npy

Vector = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Labels = npt.NDArray[np.int64]

BLOCK = 1_024
"""Rows that are converted to float32 at once: they fit the CPU cache."""


class Matrix:
    """float16 (rows, dimension) over one or more files. Its labels, like those of a graph, number
    the rows: documents, or their passages in order."""

    def __init__(self, parts: Sequence[Halves], dimension: int) -> None:
        self.dimension = dimension
        self.parts = [part for part in parts if len(part)]
        self._firsts = np.cumsum([0, *(len(part) for part in self.parts)])
        self.rows = int(self._firsts[-1])

    def take(self, labels: Labels) -> Vectors:
        """float32 (n, dimension) of these labels, in their order."""
        return widened(self.halves(labels))

    def halves(self, labels: Labels) -> Halves:
        """float16 (n, dimension) of these labels, in their order; bits as stored."""
        if len(self.parts) == 1:
            return self.parts[0][labels]
        taken = np.empty((len(labels), self.dimension), dtype=np.float16)
        for first, part in zip(self._firsts, self.parts, strict=False):
            inside = (labels >= first) & (labels < first + len(part))
            taken[inside] = part[labels[inside] - first]
        return taken

    def between(self, first: int, end: int) -> Matrix:
        """The rows from `first` to below `end`, numbered from 0 on."""
        parts = []
        for start, part in zip(self._firsts, self.parts, strict=False):
            parts.append(part[max(0, first - int(start)) : max(0, end - int(start))])
        return Matrix(parts, self.dimension)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, Vectors]]:
        """All rows, `size` at a time: the first label of the block, and float32 vectors."""
        for first, part in zip(self._firsts, self.parts, strict=False):
            for start in range(0, len(part), size):
                yield int(first) + start, widened(part[start : start + size])

    def nearest(self, queries: Vectors, k: int, dead: Labels) -> tuple[Labels, Vectors]:
        """Exact search of several queries: labels and inner products, (n, k), best first, without
        those of `dead`. There are fewer than `k` columns if fewer rows are left."""
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
        shape = (segment.vectors or segment.rows, manifest.dimension)
        with reading(manifest, name):
            size, expected = (folder / name).stat().st_size, 2 * shape[0] * shape[1]
            if expected and size == expected:  # an empty file cannot be mapped
                parts.append(np.memmap(folder / name, dtype="<f2", mode="r", shape=shape))
        if size != expected:
            raise fault(manifest, f"{VECTORS} has {size:,} bytes, not {expected:,}", name)
    return Matrix(parts, manifest.dimension)


def open_passages(manifest: Manifest, folder: Path) -> Passages | None:
    """The passages of all vectors; None for an index without. Raises IndexFault if a table does not
    fit the manifest."""
    if not manifest.passages:
        return None
    tables = [read_table(folder / name) for name in manifest.passage_tables()]
    for segment, table in zip(manifest.segments, tables, strict=True):
        if len(table) != segment.vectors:
            raise fault(manifest, f"{PASSAGES} does not fit the vectors")
    return Passages(tables, manifest.rows)


def open_dead(manifest: Manifest, folder: Path) -> Labels:
    """The labels of deleted documents, ascending: int64 (n,). Raises IndexFault if the file does
    not fit the manifest."""
    name = manifest.path(DEAD)
    with reading(manifest, name):
        dead: Labels = load_npy(folder / name)
    if not (
        dead.dtype == np.int64
        and dead.shape == (manifest.rows - manifest.documents,)
        and (np.diff(dead) > 0).all()
        and (len(dead) == 0 or (dead[0] >= 0 and dead[-1] < manifest.rows))
    ):
        raise fault(manifest, f"{DEAD} does not fit the documents", name)
    return dead


def dead_rows(manifest: Manifest, folder: Path, passages: Passages | None) -> Labels:
    """The rows of deleted documents, ascending: int64 (n,). Raises as `open_dead`."""
    dead = open_dead(manifest, folder)
    return dead if passages is None else passages.rows_of(dead)[0]


def open_longer(manifest: Manifest, folder: Path) -> Labels:
    """The labels of documents, also of deleted ones, with more tokens than the model reads: int64
    (n,). Raises IndexFault if the file is not valid."""
    name = manifest.path(LONGER)
    with reading(manifest, name):
        longer: Labels = load_npy(folder / name)
    if longer.dtype != np.int64 or longer.ndim != 1:
        raise fault(manifest, f"{LONGER} does not hold labels", name)
    return longer


def checked_query(query: Vector, manifest: Manifest) -> Vector:
    """The vector of a query as it is compared. Raises IndexFault if it has another dimension than
    those of the index."""
    if query.shape != (manifest.dimension,):
        raise IndexFault(
            f"the query has {query.shape[-1]} dimensions, index {manifest.name} has"
            f" {manifest.dimension}",
            remedy="search with the model that built the index",
        )
    return np.ascontiguousarray(query, dtype=np.float32)


def existing(labels: Labels, rows: int) -> Labels:
    """Those of `labels` from 0 to below `rows`, ascending, each once: int64 (n,)."""
    labels = np.asarray(labels, dtype=np.int64)
    if not np.all(labels[1:] > labels[:-1]):
        labels = np.unique(labels)
    return labels[(labels >= 0) & (labels < rows)]
