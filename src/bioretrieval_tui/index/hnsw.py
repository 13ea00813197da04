"""The HNSW graph of an index: built, measured, saved, and loaded only after it was checked.

hnswlib 0.8 loads a file of another dimension without an error, and follows a link or an entry point
outside the graph into unmapped memory. So it only gets files whose SHA-256 is the manifest's and
whose own header fits.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Similarity
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoder import as_queries
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import GRAPH
from bioretrieval_tui.index.manifest import GraphSettings, Manifest, check_content, fault
from bioretrieval_tui.index.vectors import (
    Allowed,
    Labels,
    Matrix,
    Vector,
    Vectors,
    check_query,
    open_dead,
    open_matrix,
)

EXACT_BELOW = 50_000
WALK = 5
"""Cost of each document that a filtered graph search visits, as the number of vectors that could be
compared in that time. To find `ef` allowed documents it visits `ef` / share of the allowed."""

_WIDE = 6
"""Candidates that are kept for each result, without a filter."""
_PART = 512 * 384
"""Numbers that are multiplied in one BLAS call."""
_GATHERED = 512
"""Rows that are gathered and multiplied at a time: they fit the cache."""

TARGET_RECALL = 0.99
"""recall@10 that `ef_search` is chosen for."""
FAILING_RECALL = 0.95
EFS = (*range(40, 320, 20), 320, 360, 400, 500, 640, 800, 1_000, 1_400, 2_000)
SAMPLED = 200
"""Documents that recall@10 is measured on."""
NEAREST = 10
_SEED = 7
_ALIKE = 1e-5
"""Difference of two inner products that is rounding."""

_REMEDY = "rebuild the graph: bioretrieval-tui index compact {}"
_HEADER = struct.Struct("@6N i I")
"""hnswlib 0.8: offset of level 0, capacity, count, bytes an element, offset of the label, offset
of the vector, highest level, entry point; native sizes and byte order, as it writes them."""


class GraphBuilder:
    """A graph that grows by vectors, float32 (n, dimension), with labels from 0 on, in order.

    Raises:
        IndexFault: there is too little memory.
    """

    def __init__(self, dimension: int, settings: GraphSettings, capacity: int) -> None:
        self._graph = _new(dimension)
        self._capacity = max(1, capacity)
        try:
            self._graph.init_index(
                max_elements=self._capacity,
                M=settings.m,
                ef_construction=settings.ef_construction,
                random_seed=settings.seed,
            )
        except (RuntimeError, MemoryError) as error:
            raise _no_memory(self._capacity) from error

    @classmethod
    def grown_from(cls, graph: Any, settings: GraphSettings) -> GraphBuilder:
        """Extend a loaded graph."""
        builder = cls.__new__(cls)
        builder._graph = graph
        builder._capacity = graph.get_max_elements()
        graph.set_ef(settings.ef)
        return builder

    @property
    def count(self) -> int:
        """Vectors so far, with deleted ones."""
        return int(self._graph.get_current_count())

    def expect(self, total: int) -> None:
        """Allocate memory for `total` vectors."""
        if total <= self._capacity:
            return
        try:
            self._graph.resize_index(total)
        except (RuntimeError, MemoryError) as error:
            raise _no_memory(total) from error
        self._capacity = total

    def add(self, vectors: Vectors, first: int) -> None:
        """Insert vectors with the labels from `first` on."""
        if first + len(vectors) > self._capacity:
            self.expect(max(first + len(vectors), self._capacity + self._capacity // 2))
        labels = np.arange(first, first + len(vectors))
        self._graph.add_items(vectors, labels, num_threads=usable_cores())

    def bury(self, dead: Labels) -> None:
        """Mark labels as deleted, so that no search returns them."""
        for label in dead.tolist():
            self._graph.mark_deleted(label)

    def save(self, path: Path) -> None:
        """Write the file. Raises OSError where the disk is full."""
        self._graph.save_index(str(path))
        # hnswlib does not check whether its writes succeeded.
        if path.stat().st_size != self._graph.index_file_size():
            raise OSError(None, "the graph was written only in part (is the disk full?)")

    def tuned(self, settings: GraphSettings, probe: Probe) -> GraphSettings:
        """The settings with the smallest `ef` that reaches the target on the probe."""
        if not len(probe.labels):
            return msgspec.structs.replace(settings, recall=None, sampled=0)
        ef, recall = reaching(self._graph, probe, TARGET_RECALL)
        return msgspec.structs.replace(
            settings, ef=ef, recall=round(recall, 4), sampled=len(probe.labels)
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """Documents with known nearest neighbours.

    labels: int64 (n,); queries: their vectors, float32 (n, dimension); truth: labels of their
    nearest without themselves, int64 (n, k); least: the inner product of the last, float32 (n,).
    """

    labels: Labels
    queries: Vectors
    truth: Labels
    least: Vectors


def probe(matrix: Matrix, dead: Labels, similarity: Similarity = "cosine") -> Probe:
    """Documents drawn with a fixed seed, with their nearest neighbours by exact search.

    Each is left out of its own neighbours: any graph finds the query vector itself.
    """
    alive = np.setdiff1d(np.arange(matrix.rows, dtype=np.int64), dead, assume_unique=True)
    if len(alive) > SAMPLED:
        alive = np.sort(np.random.default_rng(_SEED).choice(alive, SAMPLED, replace=False))
    queries = matrix.take(alive)
    if similarity == "l2":
        queries = as_queries(queries)
    found, products = matrix.nearest(queries, NEAREST + 1, dead)
    others = _others(found, alive)
    truth = found[others].reshape(len(found), max(0, found.shape[1] - 1))
    least = products[others].reshape(truth.shape).min(axis=1, initial=np.inf)
    return Probe(alive, queries, truth, least)


def reaching(graph: Any, sampled: Probe, target: float) -> tuple[int, float]:
    """The smallest `ef` of EFS whose recall reaches `target`, or the largest; and its recall."""
    ef, recall = EFS[0], 0.0
    for ef in EFS:
        recall = recall_at(graph, sampled, ef)
        if recall >= target:
            break
    return ef, recall


def recall_at(graph: Any, sampled: Probe, ef: int) -> float:
    """Share of the exact nearest neighbours that the graph finds with `ef`; 1 if there are none.

    A document as near as the last of them counts as well: of a hundred documents with the same
    text, any ten are the nearest.
    """
    k = sampled.truth.shape[1]
    if k == 0:
        return 1.0
    graph.set_ef(max(ef, k + 1))
    try:
        found, distances = graph.knn_query(sampled.queries, k=k + 1, num_threads=usable_cores())
    except RuntimeError:
        return 0.0  # the graph does not reach so many documents
    found = found.astype(np.int64)
    others = _others(found, sampled.labels)
    shape = sampled.truth.shape
    labels = found[others].reshape(shape)
    products = 1.0 - distances[others].reshape(shape)
    least = sampled.least - _ALIKE * np.maximum(1.0, np.abs(sampled.least))
    hits = (labels[:, :, None] == sampled.truth[:, None, :]).any(axis=2)
    return float((hits | (products >= least[:, None])).mean())


def _others(found: Labels, own: Labels) -> npt.NDArray[np.bool_]:
    """Mask of each row without its own label, or without its last item if that is not in it."""
    kept: npt.NDArray[np.bool_] = found != own[:, None]
    kept[kept.all(axis=1), -1:] = False
    return kept


def load_graph(manifest: Manifest, folder: Path) -> Any:
    """The graph of an index, after its checksum and header were compared.

    Raises:
        IndexFault: the file is not the one that was built. FileNotFoundError: it is missing.
    """
    name = manifest.path(GRAPH)
    check_content(manifest, folder, name, fresh=True)
    check_graph_header(manifest, folder)
    graph = _new(manifest.dimension)
    try:
        graph.load_index(str(folder / name), max_elements=manifest.rows)
    except (RuntimeError, MemoryError) as error:
        remedy = _REMEDY.format(manifest.name)
        raise fault(manifest, f"{GRAPH} does not load: {error}", remedy) from error
    return graph


def check_graph_header(manifest: Manifest, folder: Path) -> None:
    """Compare the graph file's own header with the manifest.

    Raises:
        IndexFault: count, dimension or entry point do not fit.
    """
    remedy = _REMEDY.format(manifest.name)
    with (folder / manifest.path(GRAPH)).open("rb") as stream:
        data = stream.read(_HEADER.size)
    if len(data) < _HEADER.size:
        raise fault(manifest, f"{GRAPH} is cut off", remedy)
    _, _, count, _, label_at, vector_at, _, entry = _HEADER.unpack(data)
    if (label_at - vector_at) != 4 * manifest.dimension:
        raise fault(manifest, f"{GRAPH} holds vectors of another dimension", remedy)
    if count != manifest.rows or entry >= count:
        raise fault(manifest, f"{GRAPH} does not hold {manifest.rows:,} vectors", remedy)


def _new(dimension: int) -> Any:
    import hnswlib

    return hnswlib.Index(space="ip", dim=dimension)


def _no_memory(count: int) -> IndexFault:
    return IndexFault(
        f"there is too little memory for a graph of {count:,} vectors",
        remedy="use a machine with more memory, or split the corpus",
    )


class HnswStore:
    """The vectors of one index on disk: memory-mapped matrices and an hnswlib graph.

    Opening checks sizes only; the graph is checked and loaded by `ready`, or when a search first
    needs it. count: vectors without deleted ones; dead: labels of those.

    Raises (on construction and search):
        IndexFault: the files do not fit the manifest.
        FileNotFoundError: a newer generation replaced the files.
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
        self.count = self.matrix.rows - len(self.dead)

    def search(
        self, query: Vector, k: int, allowed: Allowed | None = None
    ) -> tuple[Labels, Vector]:
        query = check_query(self._manifest, query)
        if k <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        kept = None if allowed is None else self._kept(allowed)
        exact = self.count < self._exact_below
        if kept is not None:
            # Comparing all of `kept` may cost less than visiting the others in the graph.
            ef = max(self._manifest.graph.ef, k)
            exact = exact or len(kept) ** 2 <= self._walk * ef * self.count
        if exact:
            return self._exact(query, k, kept)
        return self._approximate(query, k, kept)

    def ready(self) -> None:
        """Load the graph if searches without a filter will use it."""
        if self.count >= self._exact_below:
            self._open_graph()

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        return self._of(check_query(self._manifest, query), labels)

    def take(self, labels: Labels) -> Vector:
        return self.matrix.take(labels)

    def _kept(self, allowed: Allowed) -> Labels:
        if not isinstance(allowed, np.ndarray):
            allowed = np.fromiter(allowed, dtype=np.int64, count=len(allowed))
        labels = allowed.astype(np.int64, copy=False)
        if not np.all(labels[1:] > labels[:-1]):
            labels = np.unique(labels)
        labels = labels[(labels >= 0) & (labels < self.matrix.rows)]
        return np.setdiff1d(labels, self.dead, assume_unique=True) if len(self.dead) else labels

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
        products = np.empty(len(labels), dtype=np.float32)
        for start in range(0, len(labels), _GATHERED):
            some = labels[start : start + _GATHERED]
            products[start : start + len(some)] = self.matrix.take(some) @ query
        return products

    def _all(self, query: Vector) -> Vector:
        """The inner products of all rows, with deleted ones."""
        if self.matrix.rows < self._exact_below:
            # So few are converted once and kept: converting takes ten times as long as multiplying.
            if self._wide is None:
                self._wide = self.matrix.take(np.arange(self.matrix.rows))
            return _products(self._wide, query)
        return np.concatenate([block @ query for _, block in self.matrix.blocks()])

    def _approximate(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        graph = self._open_graph()
        k = min(k, self.count if kept is None else len(kept))
        allow = None
        if kept is not None:
            # Called for every document that the search visits: nothing in Python is quicker.
            marks = np.zeros(self.matrix.rows, dtype=np.uint8)
            marks[kept] = 1
            allow = marks.tobytes().__getitem__
        with self._loading:
            # `ef` belongs to the graph, not to the query: one search at a time sets it. It was
            # measured for ten neighbours of documents. A query lies apart from all documents, and
            # for one in ten thousand needs a larger `ef`, which costs a millisecond, but too much
            # with a filter, which is called for each document visited.
            wide = _WIDE * k if allow is None else k + k // 2
            graph.set_ef(max(self._manifest.graph.ef, wide))
            try:
                found, distances = graph.knn_query(query, k=k, num_threads=1, filter=allow)
            except RuntimeError:
                # The graph does not reach k of them; exact search does.
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
    """The inner product of every row with `query`, in parts too small for BLAS to use threads.

    A product of a millisecond gains little from a second thread, and on a busy machine it waits
    for that thread: 14 ms rather than 0.3 ms for 5,000 rows.
    """
    products = np.empty(len(rows), dtype=np.float32)
    step = max(1, _PART // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        products[start : start + step] = rows[start : start + step] @ query
    return products


def _best(similarities: Vector, k: int) -> Labels:
    """Positions of the `k` largest, largest first, equal ones in order of position."""
    if k < len(similarities):
        # All that tie with the k-th must be seen before the position decides.
        least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
        near = np.flatnonzero(similarities >= least)
    else:
        near = np.arange(len(similarities))
    order = np.lexsort((near, -similarities[near]))[:k]
    return near[order].astype(np.int64)
