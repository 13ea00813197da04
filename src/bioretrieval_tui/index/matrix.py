"""The vectors of an index on disk: float16 matrices, one a segment, mapped rather than read.

Everything that is computed with them is float32; half the bytes are kept because the figures that
a model gives are not more exact than that.
"""

from __future__ import annotations

import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import DEAD, VECTORS
from bioretrieval_tui.index.manifest import Manifest, fault

Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Labels = npt.NDArray[np.int64]

UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
"""What numpy raises for a damaged .npy: it reads the header with Python's own parser."""
BLOCK = 2_048
"""Rows that are widened to float32 at once: they fit the cache, and no copy of all is made."""


class Matrix:
    """float16 (rows, dimension) over one or more files; a row's number is its label."""

    def __init__(self, parts: Sequence[Halves], dimension: int) -> None:
        self.dimension = dimension
        self.parts = [part for part in parts if len(part)]
        self._firsts = np.cumsum([0, *(len(part) for part in self.parts)])
        self.rows = int(self._firsts[-1])

    def take(self, labels: Labels) -> Vectors:
        """float32 (n, dimension) of these labels, in their order."""
        if len(self.parts) == 1:
            return self.parts[0][labels].astype(np.float32)
        taken = np.empty((len(labels), self.dimension), dtype=np.float32)
        for first, part in zip(self._firsts, self.parts, strict=False):
            inside = (labels >= first) & (labels < first + len(part))
            taken[inside] = part[labels[inside] - first]
        return taken

    def halves(self, labels: Labels) -> Halves:
        """float16 (n, dimension) of these labels, in their order; bits as they are kept."""
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

        Fewer columns than `k` come back where fewer rows are alive.
        """
        k = min(k, self.rows - len(dead))
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        labels = np.full((len(queries), k), -1, dtype=np.int64)
        for first, block in self.blocks():
            products = queries @ block.T
            buried = dead[(dead >= first) & (dead < first + len(block))] - first
            products[:, buried] = -np.inf
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
    """Map the vectors of an index. Raises IndexFault where a file does not fit the manifest."""
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
    """The labels that are dead, ascending: int64 (n,). Raises IndexFault if they do not fit."""
    try:
        dead = np.load(folder / manifest.path(DEAD), allow_pickle=False)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise fault(manifest, f"{DEAD} cannot be read") from error
    sound = (
        dead.dtype == np.int64
        and dead.ndim == 1
        and len(dead) == manifest.rows - manifest.documents
        and (np.diff(dead) > 0).all()
        and (len(dead) == 0 or (dead[0] >= 0 and dead[-1] < manifest.rows))
    )
    if not sound:
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
