"""The vectors of one index, searched: the seam behind which another engine may stand one day.

Exact search for fewer than 50,000 vectors and where a filter keeps few, the HNSW graph otherwise.
Labels are those of the document store; similarities are inner products, so cosine for vectors of
length 1.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.index.graph import load_graph
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.matrix import check_query, open_dead, open_matrix

EXACT_BELOW = 50_000
WALK = 5
"""What a walk through the graph costs for each document that it passes, as the number of vectors
that could be compared meanwhile. To find `ef` that are allowed, it passes `ef` / share of them."""

_WIDE = 6
"""Candidates that are kept for each document wanted, where nothing is filtered."""
_PART = 512 * 384
"""Numbers that are multiplied in one call."""
_GATHERED = 512
"""Rows that are gathered and multiplied at a time: they fit the cache."""

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
        than `k` come back only where fewer are allowed and alive. Equal similarities go by label.
        """

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """float32 (n,): the similarity of `query` to each of `labels`, in their order."""

    def take(self, labels: Labels) -> Vector:
        """float32 (n, dimension): the vectors of these labels, in their order."""


class HnswStore:
    """The vectors of one index on disk: memory-mapped matrices and an hnswlib graph.

    Opening looks at sizes only; the graph is checked and loaded by `ready`, or when a search first
    needs it.

    Raises (on construction and search):
        IndexFault: the files do not fit the manifest.
        FileNotFoundError: the generation is gone.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        *,
        exact_below: int = EXACT_BELOW,
        walk: float = WALK,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._exact_below = exact_below
        self._walk = walk
        self._loading = threading.Lock()
        self._graph: Any = None
        self._wide: Vector | None = None
        self.matrix = open_matrix(manifest, folder)
        self.dead = open_dead(manifest, folder)

    @property
    def count(self) -> int:
        """How many vectors are alive."""
        return self.matrix.rows - len(self.dead)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.matrix.dimension

    def search(
        self, query: Vector, k: int, allowed: Allowed | None = None
    ) -> tuple[Labels, Vector]:
        """See `VectorStore.search`."""
        query = check_query(self._manifest, query)
        if k <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        kept = None if allowed is None else self._kept(allowed)
        if self.count < self._exact_below or (kept is not None and self._few(kept, k)):
            return self._exact(query, k, kept)
        return self._approximate(query, k, kept)

    def ready(self) -> None:
        """Load the graph if searches without a filter will walk it."""
        if self.count >= self._exact_below:
            self._open_graph()

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """Inner products of `query` with the vectors of these labels, in their order."""
        return self._of(check_query(self._manifest, query), labels)

    def take(self, labels: Labels) -> Vector:
        """See `VectorStore.take`."""
        return self.matrix.take(labels)

    def _kept(self, allowed: Allowed) -> Labels:
        if not isinstance(allowed, np.ndarray):
            allowed = np.fromiter(allowed, dtype=np.int64, count=len(allowed))
        labels = allowed.astype(np.int64, copy=False)
        if not np.all(labels[1:] > labels[:-1]):
            labels = np.unique(labels)
        labels = labels[(labels >= 0) & (labels < self.matrix.rows)]
        return np.setdiff1d(labels, self.dead, assume_unique=True) if len(self.dead) else labels

    def _few(self, kept: Labels, k: int) -> bool:
        """Whether it costs less to compare all of `kept` than to walk past the others."""
        ef = max(self._manifest.graph.ef, k)
        return len(kept) ** 2 <= self._walk * ef * self.count

    def _exact(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        if kept is not None:
            similarities = self._of(query, kept)
            best = _best(similarities, k)
            return kept[best], similarities[best]
        similarities = self._all(query)
        similarities[self.dead] = -np.inf
        best = _best(similarities, min(k, self.count))
        return best, similarities[best]

    def _of(self, query: Vector, labels: Labels) -> Vector:
        """The products of these rows, widened a part at a time: no copy of all is made."""
        if self._wide is not None and 4 * len(labels) > len(self._wide):
            return self._all(query)[labels]
        products = np.empty(len(labels), dtype=np.float32)
        for start in range(0, len(labels), _GATHERED):
            some = labels[start : start + _GATHERED]
            products[start : start + len(some)] = self.matrix.take(some) @ query
        return products

    def _all(self, query: Vector) -> Vector:
        """The products of all rows, dead ones too."""
        if self.matrix.rows < self._exact_below:
            # So few are widened once and kept: that costs ten times what multiplying does.
            if self._wide is None:
                self._wide = self.matrix.take(np.arange(self.matrix.rows))
            return _products(self._wide, query)
        parts = [block @ query for _, block in self.matrix.blocks()]
        return np.concatenate(parts)

    def _approximate(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        graph = self._open_graph()
        k = min(k, self.count if kept is None else len(kept))
        allow = None
        if kept is not None:
            # Asked for every document that the walk passes: nothing of Python's is quicker.
            marks = np.zeros(self.matrix.rows, dtype=np.uint8)
            marks[kept] = 1
            allow = marks.tobytes().__getitem__
        with self._loading:
            # `ef` belongs to the graph, not to the query: one search at a time sets it.
            # `ef` was measured for ten neighbours of documents. A query lies apart from them all,
            # and one near document in ten thousand is found by a wide look only, which costs a
            # millisecond; but not where each document passed is a call of the filter.
            wide = _WIDE * k if allow is None else k + k // 2
            graph.set_ef(max(self._manifest.graph.ef, wide))
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
                self._graph = load_graph(self._manifest, self._folder)
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
