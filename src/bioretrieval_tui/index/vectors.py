"""The vectors of an index: mapped float16 matrices, searched exactly or by an HNSW graph.

Exact search is used below `EXACT_BELOW` vectors and for filters that keep few documents, otherwise
the graph. Labels are those of the document store; similarities are inner products, so cosine for
vectors of length 1. float16 is as precise as models compute; it is searched as float32.

hnswlib 0.8 loads a file of another dimension without an error, and follows a link or an entry point
outside the graph into unmapped memory. The SHA-256 of the manifest finds damage, not malice: who
alters a graph can alter the manifest. So hnswlib only gets files whose checksum fits and in which
every size, level, link and label was looked at.
"""

from __future__ import annotations

import contextlib
import math
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Similarity
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoder import as_queries
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import DEAD, GRAPH, LONGER, PASSAGES, VECTORS
from bioretrieval_tui.index.manifest import GraphSettings, Manifest, check_content, fault, reading
from bioretrieval_tui.index.passages import Passages, read_table
from bioretrieval_tui.util.npy_files import load_npy

Vector = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Labels = npt.NDArray[np.int64]

BLOCK = 2_048
"""Rows that are converted to float32 at once: they fit the CPU cache."""
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
_GATHERED = 512
"""Rows that are gathered and multiplied at a time: they fit the cache."""

TARGET_RECALL = 0.99
"""recall@10 that `ef` is chosen for."""
EFS = (*range(40, 320, 20), 320, 360, 400, 500, 640, 800, 1_000, 1_400, 2_000)
SAMPLED = 200
"""Documents that recall@10 is measured on."""
NEAREST = 10
_SEED = 7
_ALIKE = 1e-5
"""Difference of two inner products that is rounding."""

_HEADER = struct.Struct("@6N i I 3N d N")
"""hnswlib 0.8: offset of level 0, capacity, count, bytes an element, offset of the label, offset
of the vector, highest level, entry point, most links above level 0, most links at level 0, M, the
scale of levels, ef_construction; native sizes and byte order, as it writes them."""
_LOOKED_AT = 4_096
"""Elements of a graph whose links are compared at once."""


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


def existing(labels: Labels, rows: int) -> Labels:
    """Those of `labels` from 0 to below `rows`, ascending, each once: int64 (n,)."""
    labels = np.asarray(labels, dtype=np.int64)
    if not np.all(labels[1:] > labels[:-1]):
        labels = np.unique(labels)
    return labels[(labels >= 0) & (labels < rows)]


class GraphBuilder:
    """A graph that grows by vectors, float32 (n, dimension), with labels from 0 on, in order;
    graph: a loaded one to extend, None for a new one."""

    def __init__(self, dimension: int, settings: GraphSettings, graph: Any = None) -> None:
        if graph is None:
            graph = _new(dimension)
            graph.init_index(
                max_elements=1,
                M=settings.m,
                ef_construction=settings.ef_construction,
                random_seed=settings.seed,
            )
        graph.set_ef(settings.ef)
        self._graph = graph

    def add(self, vectors: Vectors, first: int, total: int = 0) -> None:
        """Insert vectors with the labels from `first` on, of `total` in all where that is known.
        Raises IndexFault if there is too little memory."""
        labels = np.arange(first, first + len(vectors))
        capacity = self._graph.get_max_elements()
        wanted = max(total, first + len(vectors))
        if wanted > capacity:
            wanted = max(wanted, 0 if total else capacity + capacity // 2)
            try:
                self._graph.resize_index(wanted)
            except (RuntimeError, MemoryError) as error:
                raise IndexFault(
                    f"there is too little memory for a graph of {wanted:,} vectors",
                    remedy="use a machine with more memory, or split the corpus",
                ) from error
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
        sampled = len(probe.labels)
        if not sampled:
            return msgspec.structs.replace(settings, recall=None, sampled=0)
        ef, recall = reaching(self._graph, probe, TARGET_RECALL)
        return msgspec.structs.replace(settings, ef=ef, recall=round(recall, 4), sampled=sampled)


class Probe(msgspec.Struct, frozen=True):
    """Documents with known nearest neighbours. labels: int64 (n,); queries: their vectors, float32
    (n, dimension); truth: labels of their nearest without themselves, int64 (n, k); least: the
    inner product of the last, float32 (n,)."""

    labels: Labels
    queries: Vectors
    truth: Labels
    least: Vectors


def probe(matrix: Matrix, dead: Labels, similarity: Similarity = "cosine") -> Probe:
    """Documents drawn with a fixed seed, with their nearest neighbours by exact search. Each is
    left out of its own neighbours: any graph finds the query vector itself."""
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
    One as near as the last counts as well: of a hundred equal texts, any ten are the nearest."""
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
    labels = found[others].reshape(sampled.truth.shape)
    products = 1.0 - distances[others].reshape(sampled.truth.shape)
    least = sampled.least - _ALIKE * np.maximum(1.0, np.abs(sampled.least))
    hits = (labels[:, :, None] == sampled.truth[:, None, :]).any(axis=2)
    return float((hits | (products >= least[:, None])).mean())


def _others(found: Labels, own: Labels) -> npt.NDArray[np.bool_]:
    """Mask of each row without its own label, or without its last item if that is not in it."""
    kept: npt.NDArray[np.bool_] = found != own[:, None]
    kept[kept.all(axis=1), -1:] = False
    return kept


def load_graph(manifest: Manifest, folder: Path) -> Any:
    """The graph of an index. Raises IndexFault if its checksum or its content do not fit."""
    name = manifest.path(GRAPH)
    check_content(manifest, folder, name, fresh=True)
    check_graph(manifest, folder)
    graph = _new(manifest.dimension)
    try:
        graph.load_index(str(folder / name), max_elements=manifest.vectors)
    except (RuntimeError, MemoryError) as error:
        raise fault(manifest, f"{GRAPH} does not load: {error}", name) from error
    return graph


def check_graph(manifest: Manifest, folder: Path) -> None:
    """Raise IndexFault unless hnswlib can load, search and extend the graph file without leaving
    it: sizes, entry point, and the label, level and links of every element."""
    name, rows = manifest.path(GRAPH), manifest.vectors

    def require(fits: object, what: str) -> None:
        if not fits:
            raise fault(manifest, f"{GRAPH} {what}", name)

    with reading(manifest, name):
        size = (folder / name).stat().st_size
        require(size > _HEADER.size, "is cut off")
        data = np.memmap(folder / name, np.uint8, mode="r")
    head = _HEADER.unpack(data[: _HEADER.size].tobytes())
    level_0, _, count, element, label_at, vector_at, top, entry, *most, scale, construction = head
    m = manifest.graph.m
    require(label_at - vector_at == 4 * manifest.dimension, "holds vectors of another dimension")
    require(count == rows and entry < count, f"does not hold {rows:,} vectors")
    fit = m > 1 and most == [m, 2 * m, m] and math.isclose(scale, 1 / math.log(m))
    fit = fit and construction == max(manifest.graph.ef_construction, m)
    require(fit, "was built with other settings")
    sizes = (0, 4 + 8 * m, label_at + 8)
    require((level_0, vector_at, element) == sizes, "has elements of another size")
    upper = _HEADER.size + count * element
    require(size >= upper + 4 * count and size % 4 == 0, "is cut off")

    fields = {
        "count": ("u2", 0), "mark": ("u1", 2), "links": (("u4", (2 * m,)), 4),
        "label": ("u8", label_at),
    }  # fmt: skip
    kinds, places = zip(*fields.values(), strict=True)
    layout: Any = {"names": [*fields], "formats": kinds, "offsets": places, "itemsize": element}
    elements = data[_HEADER.size : upper].view(np.dtype(layout))
    for start in range(0, count, _LOOKED_AT):
        some = elements[start : start + _LOOKED_AT]
        require(_are_links(some["count"], some["links"], count), "has a link that leads outside")
    labels = elements["label"].copy()
    alive = np.ones(count, dtype=np.bool_)
    require(labels.max() < count, "has a label that no document has")
    alive[labels] = False
    require(not alive.any(), "lacks the label of a document")
    deleted = np.sort(labels[(elements["mark"] & 1) == 1])
    dead = dead_rows(manifest, folder, open_passages(manifest, folder))
    require(np.array_equal(deleted, dead), "has other deleted documents")

    # Above level 0, each element has the bytes that follow, then the links of each of its levels.
    words = data[upper:].view("u4")
    each, at, following = 4 * (1 + m), 0, []
    view = words.data
    with contextlib.suppress(IndexError):
        for _ in range(count):
            following.append(view[at])
            at += 1 + view[at] // 4
    bytes_of = np.array(following, dtype=np.int64)
    fit = len(bytes_of) == count and at == len(words) and not (bytes_of % each).any()
    require(fit, "has levels of another size")
    levels = bytes_of // each
    require(top == levels.max() == levels[entry], "begins below its highest level")
    firsts = np.cumsum(1 + bytes_of // 4) - bytes_of // 4
    below = np.arange(levels.sum()) - np.repeat(np.cumsum(levels) - levels, levels)
    found = words[(np.repeat(firsts, levels) + below * (each // 4))[:, None] + np.arange(1 + m)]
    counts = found[:, 0] & 0xFFFF
    require(_are_links(counts, found[:, 1:], count), "has a link that leads outside")
    reached = np.where(np.arange(m) < counts[:, None], found[:, 1:], entry)
    require((levels[reached] > below[:, None]).all(), "has a link to an element of a lower level")


def _are_links(counts: npt.NDArray[Any], links: npt.NDArray[Any], total: int) -> bool:
    """Whether no row counts more links than it has places, or has a link to none of `total`."""
    used = np.arange(links.shape[1]) < counts[:, None]
    return bool((counts <= links.shape[1]).all() and not (used & (links >= total)).any())


def _new(dimension: int) -> Any:
    import hnswlib

    return hnswlib.Index(space="ip", dim=dimension)


class VectorStore:
    """The vectors of one index, open for searching by any number of threads at a time.

    The graph is checked and loaded if searches without a filter will use it; of the matrices only
    the sizes are checked. passages: which vectors belong to which document, None where each has
    one; count: vectors without deleted ones; dead: rows of those. Raises IndexFault if the files do
    not fit the manifest, or a newer generation replaced them.
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
        self._exact_below = exact_below
        self._walk = walk
        self._using_graph = threading.Lock()
        self._wide: Vectors | None = None
        self.matrix = open_matrix(manifest, folder)
        self.passages = open_passages(manifest, folder)
        self.dead = dead_rows(manifest, folder, self.passages)
        self.count = self.matrix.rows - len(self.dead)
        self._graph: Any = load_graph(manifest, folder) if self.count >= exact_below else None

    def search(self, query: Vector, k: int, allowed: Labels | None = None) -> tuple[Labels, Vector]:
        """The labels (int64) and similarities (float32) of the `k` nearest, best first. query:
        float32 (dimension,); allowed: labels that may be found, in any order, None for all. Fewer
        than `k` are returned only if fewer are allowed and not deleted. Ties go by label. A
        document with passages is as similar as the most similar one."""
        query = self._checked(query)
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
        exact = self._graph is None
        if kept is not None:
            # Comparing all of `kept` may cost less than visiting the others in the graph.
            ef = max(self._manifest.graph.ef, k)
            exact = exact or len(kept) ** 2 <= self._walk * ef * self.count
        return (self._exact if exact else self._approximate)(query, k, kept)

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """float32 (n,): the similarity of `query` to each of `labels`, in their order."""
        if self.passages is None or not len(labels):
            return self._of(self._checked(query), labels)
        rows, starts = self.passages.rows_of(labels)
        best: Vector = np.maximum.reduceat(self._of(self._checked(query), rows), starts)
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
        return self.passages.span(int(rows[np.argmax(self._of(self._checked(query), rows))]))

    def _rows_of(self, labels: Labels) -> Labels:
        return labels if self.passages is None else self.passages.rows_of(labels)[0]

    def _checked(self, query: Vector) -> Vector:
        if query.shape != (self._manifest.dimension,):
            raise IndexFault(
                f"the query has {query.shape[-1]} dimensions, index {self._manifest.name} has"
                f" {self._manifest.dimension}",
                remedy="search with the model that built the index",
            )
        return np.ascontiguousarray(query, dtype=np.float32)

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
            rows = self.matrix.take(some) if self._wide is None else self._wide[some]
            products[start : start + len(some)] = rows @ query
        return products

    def _all(self, query: Vector) -> Vector:
        """The inner products of all rows, with deleted ones."""
        if self.matrix.rows >= self._exact_below:
            return np.concatenate([block @ query for _, block in self.matrix.blocks()])
        # So few are converted once and kept: converting takes ten times as long as multiplying.
        if self._wide is None:
            self._wide = self.matrix.take(np.arange(self.matrix.rows))
        # In parts too small for BLAS to use threads: a product of a millisecond gains little from a
        # second thread, and on a busy machine it waits for that thread, 14 ms rather than 0.3.
        step = max(1, _PART // max(1, self.matrix.dimension))
        parts = range(0, max(1, self.matrix.rows), step)
        return np.concatenate([self._wide[start : start + step] @ query for start in parts])

    def _approximate(self, query: Vector, k: int, kept: Labels | None) -> tuple[Labels, Vector]:
        k = min(k, self.count if kept is None else len(kept))
        allow = None
        if kept is not None:
            # Called for every document that the search visits: nothing in Python is quicker.
            marks = np.zeros(self.matrix.rows, dtype=np.uint8)
            marks[kept] = 1
            allow = marks.tobytes().__getitem__
        with self._using_graph:
            # `ef` belongs to the graph, not to the query: one search at a time sets it. It was
            # measured for ten neighbours of documents. A query lies apart from all documents, and
            # for one in ten thousand needs a larger `ef`, which costs a millisecond, but too much
            # with a filter, which is called for each document visited.
            wide = _WIDE * k if allow is None else k + k // 2
            self._graph.set_ef(max(self._manifest.graph.ef, wide))
            try:
                found, distances = self._graph.knn_query(query, k=k, num_threads=1, filter=allow)
            except RuntimeError:
                # The graph does not reach k of them; exact search does.
                return self._exact(query, k, kept)
        labels = found[0].astype(np.int64)
        similarities = np.asarray(1.0 - distances[0], dtype=np.float32)
        order = np.lexsort((labels, -similarities))
        return labels[order], similarities[order]


def _best(similarities: Vector, k: int) -> Labels:
    """Positions of the `k` largest, largest first, equal ones in order of position."""
    near = np.arange(len(similarities))
    if k < len(similarities):
        # All that tie with the k-th must be seen before the position decides.
        least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
        near = np.flatnonzero(similarities >= least)
    order = np.lexsort((near, -similarities[near]))[:k]
    return near[order].astype(np.int64)
