"""The vectors of an index, searched exactly or by its HNSW graphs.

Exact search is used below `EXACT_BELOW` vectors, for filters that keep few documents, for what is
in no graph, and until the graphs are loaded; otherwise the graphs.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.graph import load_graph
from bioretrieval_tui.index.half_precision import products
from bioretrieval_tui.index.manifest import Manifest, read_manifest
from bioretrieval_tui.index.vector_matrix import (
    Labels,
    Vector,
    Vectors,
    checked_query,
    dead_rows,
    existing,
    open_matrix,
    open_passages,
)

_Found = tuple[Labels, Vector]

EXACT_BELOW = 50_000
WALK = 5
"""Cost of each document that a filtered graph search visits, as the number of vectors that could be
compared in that time. To find `ef` allowed documents it visits `ef` / share of the allowed."""
_WIDE = 6
"""Candidates that are kept for each result, without a filter."""
_PART = 512 * 384
"""Numbers that are multiplied in one BLAS call."""
_PASSAGES = 3
"""Rows that are looked for at first for each document, where documents have passages."""
_EXACT_AT_FIRST = 4
"""Searches before the graphs are loaded: those of two hybrid queries."""
_GATHERED = 512
"""Rows that are gathered and multiplied at a time: they fit the cache."""


class VectorStore:
    """The vectors of one index, open for searching by any number of threads at a time.

    later: the graphs are checked and loaded beside the searches that come first, which are exact;
    otherwise here, if searches without a filter will use them. Of the matrices only the sizes are
    checked. passages: which vectors belong to which document, None where each has one; count:
    vectors without deleted ones; dead: rows of those. Raises IndexFault if the files do not fit the
    manifest, or a newer generation replaced them.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        *,
        exact_below: int = EXACT_BELOW,
        walk: float = WALK,
        later: bool = False,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._exact_below = exact_below
        self._walk = walk
        self._using_graphs = threading.Lock()
        self._wide: Vectors | None = None
        self.matrix = open_matrix(manifest, folder)
        self.passages = open_passages(manifest, folder)
        self.dead = dead_rows(manifest, folder, self.passages)
        self.count = self.matrix.rows - len(self.dead)
        self._parts = manifest.graphs if self.count >= exact_below else []
        self._alive = [
            one.rows - int(((self.dead >= one.first) & (self.dead < one.first + one.rows)).sum())
            for one in self._parts
        ]
        self._graphs: list[Any] = []
        self._fault: Exception | None = None
        self._exact_searches = 0
        self._loading, self._counting = threading.Lock(), threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        if not later:
            self.load_graphs()

    @property
    def exact(self) -> bool:
        """Whether all searches are exact: there is no graph, or none is loaded yet."""
        return not self._graphs

    def load_graphs(self) -> None:
        """Load the graphs now, if searches will use them: for many queries, which are answered one
        way then. Raises IndexFault where they are damaged."""
        with self._loading:
            if not self._graphs:
                self._graphs = [
                    load_graph(self._manifest, self._folder, number, self.dead)
                    for number in range(len(self._parts))
                ]

    def _begin_loading(self) -> None:
        """Load the graphs in a thread of their own, once, after a few searches without them: a
        command that asks one question would wait longer for them than exact search takes."""
        with self._counting:
            self._exact_searches += 1
            if self._exact_searches != _EXACT_AT_FIRST + 1:
                return

        def load() -> None:
            try:
                self.load_graphs()
            except Exception as error:  # noqa: BLE001 - raised by the next search
                with contextlib.suppress(BioRetrievalError):
                    # Where a newer generation has replaced the files, exact search goes on.
                    if read_manifest(self._folder).generation == self._manifest.generation:
                        self._fault = error

        threading.Thread(target=load, name="graphs", daemon=True).start()

    def search(self, query: Vector, k: int, allowed: Labels | None = None) -> tuple[Labels, Vector]:
        """The labels (int64) and similarities (float32) of the `k` nearest, best first. query:
        float32 (dimension,); allowed: labels that may be found, in any order, None for all. Fewer
        than `k` are returned only if fewer are allowed and not deleted. Ties go by label. A
        document with passages is as similar as the most similar one."""
        query = checked_query(query, self._manifest)
        if k <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        kept = None
        if allowed is not None:
            rows = self._rows_of(existing(allowed, self._manifest.rows))
            kept = np.setdiff1d(rows, self.dead, assume_unique=True)
        if self.passages is None:
            return self._nearest(query, k, kept)
        most, wanted = self.count if kept is None else len(kept), _PASSAGES * k
        while True:
            rows, similarities = self._nearest(query, min(wanted, most), kept)
            labels, places = self.passages.documents_of(rows)
            if len(labels) >= k or wanted >= most:
                return labels[:k], similarities[places[:k]]
            wanted *= 4

    def _nearest(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        """The nearest rows, as `search`."""
        if self._fault is not None:
            raise self._fault
        if self._parts and not self._graphs:
            self._begin_loading()
        exact = not self._graphs
        if kept is not None and not exact:
            # Comparing all of `kept` may cost less than visiting the others in the graphs.
            ef = max(self._manifest.graph.ef, k) * len(self._graphs)
            exact = len(kept) ** 2 <= self._walk * ef * self.count
        return (self._exact if exact else self._approximate)(query, k, kept)

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """float32 (n,): the similarity of `query` to each of `labels`, in their order."""
        query = checked_query(query, self._manifest)
        if self.passages is None or not len(labels):
            return self._of(query, labels)
        rows, starts = self.passages.rows_of(labels)
        best: Vector = np.maximum.reduceat(self._of(query, rows), starts)
        return best

    def beginnings(self, labels: Labels) -> Vectors:
        """float32 (n, dimension): the vector of each document, or of its first passage."""
        return self.matrix.take(labels if self.passages is None else self.passages.firsts(labels))

    def best_passage(self, query: Vector, label: int) -> tuple[int, int] | None:
        """(start, end) in the text of a document of the passage most similar to `query`; None where
        it has one vector."""
        if self.passages is None:
            return None
        rows, _ = self.passages.rows_of(np.array([label]))
        if len(rows) < 2:
            return None
        near = self._of(checked_query(query, self._manifest), rows)
        return self.passages.span(int(rows[np.argmax(near)]))

    def _rows_of(self, labels: Labels) -> Labels:
        return labels if self.passages is None else self.passages.rows_of(labels)[0]

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
        """The inner products of these rows, a part at a time, so that no float32 copy is made."""
        if self._wide is not None and 4 * len(labels) > len(self._wide):
            return self._all(query)[labels]
        found = np.empty(len(labels), dtype=np.float32)
        for start in range(0, len(labels), _GATHERED):
            some = labels[start : start + _GATHERED]
            if self._wide is None:
                found[start : start + len(some)] = products(self.matrix.halves(some), query)
            else:
                found[start : start + len(some)] = self._wide[some] @ query
        return found

    def _all(self, query: Vector) -> Vector:
        """The inner products of all rows, with deleted ones."""
        if self.matrix.rows >= self._exact_below:
            return np.concatenate([products(part, query) for part in self.matrix.parts])
        # So few are converted once and kept: converting takes five times as long as multiplying.
        if self._wide is None:
            self._wide = self.matrix.take(np.arange(self.matrix.rows))
        # In parts too small for BLAS to use threads: a product of a millisecond gains little from a
        # second thread, and on a busy machine it waits for that thread, 14 ms rather than 0.3.
        step = max(1, _PART // max(1, self.matrix.dimension))
        parts = range(0, max(1, self.matrix.rows), step)
        return np.concatenate([self._wide[start : start + step] @ query for start in parts])

    def _approximate(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        marks = None
        if kept is not None:
            # Called for every document that the search visits: nothing in Python is quicker.
            marks = np.zeros(self.matrix.rows, dtype=np.uint8)
            marks[kept] = 1
        # `ef` belongs to a graph, not to the query: one search at a time sets it. It was measured
        # for ten neighbours of documents. A query lies apart from all documents, and for one in ten
        # thousand needs a larger `ef`, which costs a millisecond, but too much with a filter, which
        # is called for each document visited.
        # Of several graphs each gives only a part of the nearest.
        wide = round(_WIDE / math.sqrt(len(self._graphs)) * k) if kept is None else k + k // 2
        ef = max(self._manifest.graph.ef, wide, k)

        def near(number: int) -> tuple[Labels, Vector]:
            _, first, rows = self._parts[number]
            mine = slice(first, first + rows)
            fit, allow = self._alive[number], None
            if marks is not None:
                fit, allow = int(np.count_nonzero(marks[mine])), marks[mine].tobytes().__getitem__
            if not fit:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            graph = self._graphs[number]
            graph.set_ef(ef)
            found, distances = graph.knn_query(query, k=min(k, fit), num_threads=1, filter=allow)
            return found[0].astype(np.int64) + first, np.asarray(1.0 - distances[0], np.float32)

        with self._using_graphs:
            try:
                found = [*self._map(near, range(len(self._graphs)))]
            except RuntimeError:
                # A graph does not reach so many of them; exact search does.
                return self._exact(query, k, kept)
        found.append(self._outside(query, kept))
        labels, similarities = (np.concatenate(one) for one in zip(*found, strict=True))
        order = np.lexsort((labels, -similarities))[:k]
        return labels[order], similarities[order]

    def _outside(self, query: Vector, kept: Labels | None) -> tuple[Labels, Vector]:
        """The rows that are in no graph, and their inner products."""
        first = self._parts[-1].first + self._parts[-1].rows
        if kept is None:
            rows = np.arange(first, self.matrix.rows)
            kept = np.setdiff1d(rows, self.dead, assume_unique=True)
        outside = kept[kept >= first]
        return outside, self._of(query, outside)

    def _map(self, near: Callable[[int], _Found], numbers: range) -> Iterable[_Found]:
        """Ask the graphs at once where there are several."""
        if len(numbers) == 1:
            return map(near, numbers)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(usable_cores(), len(numbers)), "graphs")
        return self._pool.map(near, numbers)


def _best(similarities: Vector, k: int) -> Labels:
    """Positions of the `k` largest, largest first, equal ones in order of position."""
    near = np.arange(len(similarities))
    if k < len(similarities):
        # All that tie with the k-th must be seen before the position decides.
        least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
        near = np.flatnonzero(similarities >= least)
    order = np.lexsort((near, -similarities[near]))[:k]
    return near[order].astype(np.int64)
