"""The HNSW graphs of an index: built while vectors come, saved, checked before they are loaded.

A graph holds a part of the vectors in the order of their rows: parts are closed as they are full
(`part_rows`), so that a build holds one of them in memory, an addition rewrites at most the last
one, and inserting does not slow down with the corpus. What an addition brings stays outside of the
graphs until it is worth one (`TAIL`), and is compared exactly. A search asks all parts and merges.
Graphs are never changed in place; which documents are deleted is marked when one is loaded.

hnswlib 0.8 loads a file of another dimension without an error, and follows a link or an entry point
outside the graph into unmapped memory. The SHA-256 of the manifest finds damage, not malice: who
alters a graph can alter the manifest. So hnswlib only gets files whose checksum fits and in which
every size, level, link and label was looked at.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Similarity
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoder import as_queries
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import GRAPH, graph_file, share_file
from bioretrieval_tui.index.manifest import (
    NEW_GRAPHS,
    GraphSettings,
    Manifest,
    check_content,
    fault,
    reading,
)
from bioretrieval_tui.index.vector_matrix import Labels, Matrix, Vectors

PART = 250_000
LARGEST_PART = 2_000_000
TAIL = 20_000
"""Vectors that an addition leaves outside of the graphs at most: a few milliseconds for exact
search, seconds for inserting."""
TARGET_RECALL = 0.99
"""recall@10 that `ef` is chosen for."""
EFS = (*range(40, 320, 20), 320, 360, 400, 500, 640, 800, 1_000, 1_400, 2_000)
SAMPLED = 200
"""Documents that recall@10 is measured on."""
NEAREST = 10
_SEED = 7
_ALIKE = 1e-5
"""Difference of two inner products that is rounding."""
_BLOCK = 8_192
"""Rows of a tail that are inserted at a time."""

_HEADER = struct.Struct("@6N i I 3N d N")
"""hnswlib 0.8: offset of level 0, capacity, count, bytes an element, offset of the label, offset
of the vector, highest level, entry point, most links above level 0, most links at level 0, M, the
scale of levels, ef_construction; native sizes and byte order, as it writes them."""
_LOOKED_AT = 4_096
"""Elements of a graph whose links are compared at once."""


def part_rows(first: int) -> int:
    """How many vectors the graph holds whose first has the row `first`: a quarter of those before
    it, so that there are few parts, and each costs little to build and to rewrite."""
    return min(LARGEST_PART, max(PART, first // 4))


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


class GraphParts:
    """Writes the graphs of an index into `folder`. base: manifest and folder of the index to
    extend, whose graphs are shared; matrix: gives all vectors so far, on which each finished part
    is measured.

    settings: what the manifest says, with the parts that are finished: the largest `ef` that one of
    them needs, and the lowest recall. All methods raise OSError where the disk is full, IndexFault
    where there is too little memory or a graph to extend is damaged.
    """

    def __init__(
        self,
        folder: Path,
        dimension: int,
        similarity: Similarity,
        matrix: Callable[[], Matrix],
        base: tuple[Manifest, Path] | None = None,
    ) -> None:
        self.settings = NEW_GRAPHS
        self._folder, self._dimension, self._similarity = folder, dimension, similarity
        self._matrix, self._base = matrix, base
        self._parts: list[int] = []
        self._graph: GraphBuilder | None = None
        self._marked: Labels = np.empty(0, np.int64)  # of the part that grows
        if base is not None:
            manifest, place = base
            self.settings = manifest.graph
            for number, part in enumerate(manifest.graphs):
                share_file(place / part.path, folder / graph_file(number))
                self._parts.append(part.rows)

    @property
    def rows(self) -> int:
        """Vectors that are in a graph."""
        return sum(self._parts)

    def add(self, vectors: Vectors, total: int = 0) -> None:
        """Insert the vectors of the rows after the last, float32 (n, dimension), of `total` rows in
        all where that is known."""
        while len(vectors):
            if self._graph is None:
                self._graph = self._begun()
            first, limit = self._last()
            some = vectors[: first + limit - self.rows]
            expected = min(limit, total - first) if total else 0
            self._graph.add(some, self._parts[-1], expected)
            self._parts[-1] += len(some)
            vectors = vectors[len(some) :]
            if self._parts[-1] == limit:
                self._close()

    def take_tail(self) -> None:
        """Insert the vectors that are in no graph yet, if they are worth it."""
        matrix = self._matrix()
        if self._parts and matrix.rows - self.rows <= TAIL:
            return
        rest = matrix.between(self.rows, matrix.rows)
        for _, block in rest.blocks(_BLOCK):
            self.add(block, matrix.rows)

    def finish(self) -> GraphSettings:
        """Close the last part; the settings of all."""
        if self._graph is not None:
            self._close()
        return msgspec.structs.replace(self.settings, parts=tuple(self._parts))

    def _last(self) -> tuple[int, int]:
        """The first row of the last part, and how many rows it may hold."""
        first = self.rows - self._parts[-1]
        return first, part_rows(first)

    def _begun(self) -> GraphBuilder:
        """The last part of the index that is extended, unless it is full; else a new one."""
        number = len(self._parts) - 1
        if self._base is not None and self._parts and self._parts[-1] < self._last()[1]:
            loaded, self._marked = read_graph(*self._base, number)
            (self._folder / graph_file(number)).unlink()
            return GraphBuilder(self._dimension, self.settings, loaded)
        self._parts.append(0)
        return GraphBuilder(self._dimension, self.settings)

    def _close(self) -> None:
        assert self._graph is not None  # noqa: S101 - only called for one that grows
        known, graph, number = self.settings, self._graph, len(self._parts) - 1
        mine = self._matrix().between(self.rows - self._parts[-1], self.rows)
        one = graph.tuned(known, probe(mine, self._marked, self._similarity))
        if number and known.recall is not None and one.recall is not None:
            recall, ef = min(known.recall, one.recall), max(known.ef, one.ef)
            one = msgspec.structs.replace(one, ef=ef, recall=recall)
        self.settings = one
        graph.save(self._folder / graph_file(number))
        self._graph, self._marked = None, np.empty(0, np.int64)


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


def load_graph(manifest: Manifest, folder: Path, number: int, dead: Labels) -> Any:
    """A graph of an index, in which the rows of deleted documents are marked: its label 0 is the
    first row of the part. dead: all those rows, ascending. Raises as `read_graph`."""
    graph, marked = read_graph(manifest, folder, number)
    part = manifest.graphs[number]
    mine = dead[(dead >= part.first) & (dead < part.first + part.rows)] - part.first
    if not np.isin(marked, mine).all():
        raise fault(manifest, f"{GRAPH} has other deleted documents", part.path)
    for label in np.setdiff1d(mine, marked, assume_unique=True).tolist():
        graph.mark_deleted(label)
    return graph


def read_graph(manifest: Manifest, folder: Path, number: int) -> tuple[Any, Labels]:
    """A graph of an index as it was written, and which of its labels are marked as deleted in it.
    Raises IndexFault if its checksum or its content do not fit."""
    part = manifest.graphs[number]
    check_content(manifest, folder, part.path, fresh=True)
    marked = check_graph(manifest, folder, number)
    graph = _new(manifest.dimension)
    try:
        graph.load_index(str(folder / part.path), max_elements=part.rows)
    except (RuntimeError, MemoryError) as error:
        raise fault(manifest, f"{GRAPH} does not load: {error}", part.path) from error
    return graph, marked


def check_graph(manifest: Manifest, folder: Path, number: int = 0) -> Labels:
    """Raise IndexFault unless hnswlib can load, search and extend a graph file without leaving it:
    sizes, entry point, and the label, level and links of every element. Returns the labels that are
    marked as deleted, ascending."""
    name, _, rows = manifest.graphs[number]

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
    marked = np.sort(labels[(elements["mark"] & 1) == 1]).astype(np.int64)

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
    return marked


def _are_links(counts: npt.NDArray[Any], links: npt.NDArray[Any], total: int) -> bool:
    """Whether no row counts more links than it has places, or has a link to none of `total`."""
    used = np.arange(links.shape[1]) < counts[:, None]
    return bool((counts <= links.shape[1]).all() and not (used & (links >= total)).any())


def _new(dimension: int) -> Any:
    import hnswlib

    return hnswlib.Index(space="ip", dim=dimension)
