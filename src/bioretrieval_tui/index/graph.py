"""The HNSW graph of an index: grown, measured, saved, and loaded only after it was checked.

hnswlib 0.8 reads a file of another dimension as if it were right, and follows a link or an entry
point that lies outside the graph into unmapped memory. So nothing is handed to it but a file whose
SHA-256 is the manifest's and whose own header fits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Similarity
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.distance import as_queries
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import GRAPH
from bioretrieval_tui.index.manifest import GraphSettings, Manifest, check_content, fault
from bioretrieval_tui.index.matrix import Labels, Matrix, Vectors

TARGET_RECALL = 0.99
"""recall@10 that `ef` is chosen for."""
FAILING_RECALL = 0.95
EFS = (
    40,
    60,
    80,
    100,
    120,
    140,
    160,
    180,
    200,
    220,
    240,
    260,
    280,
    300,
    320,
    360,
    400,
    500,
    640,
    800,
    1_000,
    1_400,
    2_000,
)
SAMPLED = 200
"""Documents that recall is measured on."""
NEAREST = 10
_SEED = 7
_ALIKE = 1e-5
"""Within which two inner products are the same but for rounding."""

_REMEDY = "make the graph anew: bioretrieval-tui index compact {}"
_HEADER = struct.Struct("@6N i I")
"""hnswlib 0.8: offset of level 0, capacity, count, bytes an element, offset of the label, offset
of the vector, highest level, entry point; native sizes and byte order, as it writes them."""


class GraphBuilder:
    """A graph that grows: vectors float32 (n, dimension) with labels from 0 on, in order.

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
        """Go on with a loaded graph."""
        builder = cls.__new__(cls)
        builder._graph = graph
        builder._capacity = graph.get_max_elements()
        graph.set_ef(settings.ef)
        return builder

    @property
    def count(self) -> int:
        """Vectors so far, dead ones too."""
        return int(self._graph.get_current_count())

    def expect(self, total: int) -> None:
        """Make room for `total` vectors."""
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
        """See that these labels, alive until now, are answered no more."""
        for label in dead.tolist():
            self._graph.mark_deleted(label)

    def save(self, path: Path) -> None:
        """Write the file. Raises OSError where the disk is full."""
        self._graph.save_index(str(path))
        # hnswlib does not look whether its writes succeeded.
        if path.stat().st_size != self._graph.index_file_size():
            raise OSError(None, "the graph could not be written whole (is the disk full?)")

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
    """Documents whose neighbours are known: labels int64 (n,), their vectors float32 (n, dim),
    the labels of their nearest, themselves left out, int64 (n, k), and how near the last of
    these is, as an inner product, float32 (n,)."""

    labels: Labels
    queries: Vectors
    truth: Labels
    least: Vectors


def probe(
    matrix: Matrix, dead: Labels, similarity: Similarity = "cosine", count: int = SAMPLED
) -> Probe:
    """Documents drawn at random, but always the same ones, with their truly nearest.

    Each is left out of its own neighbours: any graph finds the very vector it is asked for.
    """
    alive = np.setdiff1d(np.arange(matrix.rows, dtype=np.int64), dead, assume_unique=True)
    if len(alive) > count:
        alive = np.sort(np.random.default_rng(_SEED).choice(alive, count, replace=False))
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
    """Share of the truly nearest that the graph finds with `ef`; 1 where there are none.

    What is as near as the last of them counts as well: of a hundred documents that say the same,
    any ten are the nearest.
    """
    k = sampled.truth.shape[1]
    if k == 0:
        return 1.0
    graph.set_ef(max(ef, k + 1))
    try:
        found, distances = graph.knn_query(sampled.queries, k=k + 1, num_threads=usable_cores())
    except RuntimeError:
        return 0.0  # it could not reach so many of them at all
    found = found.astype(np.int64)
    others = _others(found, sampled.labels)
    shape = sampled.truth.shape
    labels = found[others].reshape(shape)
    products = 1.0 - distances[others].reshape(shape)
    least = sampled.least - _ALIKE * np.maximum(1.0, np.abs(sampled.least))
    hits = (labels[:, :, None] == sampled.truth[:, None, :]).any(axis=2)
    return float((hits | (products >= least[:, None])).mean())


def _others(found: Labels, own: Labels) -> npt.NDArray[np.bool_]:
    """Where each row is not its own label, or not its last where that is not in it."""
    kept: npt.NDArray[np.bool_] = found != own[:, None]
    kept[kept.all(axis=1), -1:] = False
    return kept


def load_graph(manifest: Manifest, folder: Path, *, capacity: int | None = None) -> Any:
    """The graph of an index, after its checksum and header were compared; `capacity` makes room.

    Raises:
        IndexFault: the file is not the one that was built. FileNotFoundError: it is gone.
    """
    name = manifest.path(GRAPH)
    check_content(manifest, folder, name, fresh=True)
    check_graph_header(manifest, folder)
    graph = _new(manifest.dimension)
    try:
        graph.load_index(str(folder / name), max_elements=max(capacity or 0, manifest.rows))
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
