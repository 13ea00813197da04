"""Nearest vectors: the seam that an engine outside this process could fill, and the embedded one.

Exact search below 50,000 vectors and for narrow filters, the HNSW graph otherwise. Labels are
those of the document store; similarities are inner products, so cosine for vectors of length 1.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import GRAPH, VECTORS
from bioretrieval_tui.index.manifest import (
    REBUILD,
    Manifest,
    check_content,
    check_graph_header,
)

EXACT_BELOW = 50_000
NARROW = 0.05
"""A filter that keeps less than this share is searched exactly: the graph would walk in vain."""

_PART = 512 * 384
"""Numbers that are multiplied in one call."""

Vector = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Allowed = Collection[int] | Labels


class VectorStore(Protocol):
    """Vectors that can be searched. They need not be in this process."""

    @property
    def count(self) -> int: ...

    @property
    def dimension(self) -> int: ...

    def search(
        self, query: Vector, k: int, allowed: Allowed | None = None
    ) -> tuple[Labels, Vector]:
        """The labels (int64) and similarities (float32) of the `k` nearest, best first.

        query: float32 (dimension,); allowed: labels that may be answered, None for all. Fewer
        than `k` come back only where fewer are allowed. Equal similarities go by label.
        """


class HnswStore:
    """The vectors of one generation on disk: a memory-mapped matrix and an hnswlib graph.

    Opening reads the matrix's header only; the graph is checked and loaded when a search first
    needs it.

    Raises (on construction and search):
        IndexFault: the files do not fit the manifest.
        FileNotFoundError: the generation is gone.
    """

    def __init__(self, manifest: Manifest, folder: Path, *, exact_below: int = EXACT_BELOW) -> None:
        self._manifest = manifest
        self._folder = folder
        self._exact_below = exact_below
        self._loading = threading.Lock()
        self._graph: Any = None
        self._matrix = _open_matrix(manifest, folder)

    @property
    def count(self) -> int:
        """How many vectors there are; their labels are 0 to count - 1."""
        return int(self._matrix.shape[0])

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._matrix.shape[1])

    def search(
        self, query: Vector, k: int, allowed: Allowed | None = None
    ) -> tuple[Labels, Vector]:
        """See `VectorStore.search`."""
        if query.shape != (self.dimension,):
            raise IndexFault(
                f"the query has {query.shape[-1]} dimensions, index {self._manifest.name} has"
                f" {self.dimension}",
                remedy="search with the model that built the index",
            )
        if k <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        query = np.ascontiguousarray(query, dtype=np.float32)
        kept = None if allowed is None else self._kept(allowed)
        share = 1.0 if kept is None else len(kept) / self.count
        if self.count < self._exact_below or share < NARROW:
            return self._exact(query, k, kept)
        return self._approximate(query, k, kept)

    def _kept(self, allowed: Allowed) -> Labels:
        if not isinstance(allowed, np.ndarray):
            allowed = np.fromiter(allowed, dtype=np.int64, count=len(allowed))
        labels = np.unique(allowed.astype(np.int64, copy=False))
        return labels[(labels >= 0) & (labels < self.count)]

    def _exact(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        rows = self._matrix if kept is None else self._matrix[kept]
        similarities = _products(rows, query)
        best = _best(similarities, k)
        labels = best if kept is None else kept[best]
        return labels, similarities[best]

    def _approximate(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        graph = self._open_graph()
        k = min(k, self.count if kept is None else len(kept))
        allow = None if kept is None else frozenset(kept.tolist()).__contains__
        with self._loading:
            # `ef` belongs to the graph, not to the query: one search at a time sets it.
            graph.set_ef(max(self._manifest.graph.ef, k))
            try:
                found, distances = graph.knn_query(query, k=k, num_threads=1, filter=allow)
            except RuntimeError:
                # The graph could not reach k of them; the matrix can.
                return self._exact(query, k, kept)
        labels = found[0].astype(np.int64)
        similarities = np.asarray(1.0 - distances[0], dtype=np.float32)
        order = np.lexsort((labels, -similarities))
        return labels[order], similarities[order]

    def _open_graph(self) -> Any:
        with self._loading:
            if self._graph is None:
                self._graph = _load_graph(self._manifest, self._folder)
            return self._graph


def _products(rows: Vector, query: Vector) -> Vector:
    """The inner product of every row with `query`, in parts too small for BLAS to share out.

    A product of a millisecond gains little from a second thread, and on a busy machine it waits
    for that thread to get its turn: 14 ms rather than 0.3 ms for 5,000 rows.
    """
    products = np.empty(len(rows), dtype=np.float32)
    step = max(1, _PART // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        products[start : start + step] = rows[start : start + step] @ query
    return products


def _best(similarities: Vector, k: int) -> Labels:
    """Positions of the `k` largest, largest first, equal ones in order of position."""
    if k < len(similarities):
        # All that tie with the k-th must be seen before the order decides among them.
        least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
        near = np.flatnonzero(similarities >= least)
    else:
        near = np.arange(len(similarities))
    order = np.lexsort((near, -similarities[near]))[:k]
    return near[order].astype(np.int64)


def _open_matrix(manifest: Manifest, folder: Path) -> Vector:
    path = folder / manifest.generation / VECTORS
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise IndexFault(
            f"index {manifest.name} is damaged: {VECTORS} cannot be read", remedy=REBUILD
        ) from error
    if matrix.dtype != np.float32 or matrix.shape != (manifest.documents, manifest.dimension):
        raise IndexFault(
            f"index {manifest.name} is damaged: {VECTORS} holds"
            f" {'x'.join(map(str, matrix.shape))} {matrix.dtype},"
            f" not {manifest.documents}x{manifest.dimension} float32",
            remedy=REBUILD,
        )
    opened: Vector = matrix
    return opened


def _load_graph(manifest: Manifest, folder: Path) -> Any:
    """Load the graph, after its checksum was compared with the file as it is now."""
    import hnswlib

    check_content(manifest, folder, GRAPH, fresh=True)
    check_graph_header(manifest, folder)
    graph = hnswlib.Index(space="ip", dim=manifest.dimension)
    try:
        graph.load_index(str(folder / manifest.generation / GRAPH))
    except RuntimeError as error:
        raise IndexFault(
            f"index {manifest.name} is damaged: {GRAPH} does not load: {error}", remedy=REBUILD
        ) from error
    return graph
