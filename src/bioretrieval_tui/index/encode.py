"""From a finished document store to its vectors and its graph, window by window.

Knows nothing of locks, manifests or swaps: it fills two files of a folder that it is given.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoder import Encoder, Vectors
from bioretrieval_tui.errors import IndexFault, ModelError
from bioretrieval_tui.index.layout import DOCUMENTS, GRAPH, VECTORS
from bioretrieval_tui.index.manifest import GraphSettings
from bioretrieval_tui.progress import Progress, Reporter

WINDOW = 1_024
"""Documents that are encoded together: enough to sort by length, little to hold."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Documents encoded and the seconds that took, graph and writing left out."""

    documents: int
    seconds: float

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0


def encode_store(
    folder: Path, encoder: Encoder, settings: GraphSettings, reporter: Reporter
) -> Encoded:
    """Encode the store in `folder` and write its vectors and graph beside it.

    Raises:
        OSError: the disk is full. IndexFault: no memory for the graph. ModelError: the encoder
            gave vectors of another shape. Whatever `reporter` raises.
    """
    store = DocumentStore(folder / DOCUMENTS)
    try:
        total = store.count
        graph = _new_graph(total, encoder.dimension, settings)
        done, spent, started = 0, 0.0, time.perf_counter()

        def tell(step: Progress) -> None:
            now = done + step.done
            rate = now / max(time.perf_counter() - started, 1e-9)
            reporter(replace(step, done=now, total=total, rate=rate, note=encoder.device))

        reporter(Progress("encoding", 0, total, note=encoder.device))
        with (folder / VECTORS).open("wb") as out:
            _write_header(out, total, encoder.dimension)
            for documents in store.batches(WINDOW):
                before = time.perf_counter()
                vectors = encoder.encode_documents(documents, tell)
                spent += time.perf_counter() - before
                _check_shape(vectors, len(documents), encoder)
                out.write(np.ascontiguousarray(vectors, dtype="<f4").data)
                labels = np.arange(done, done + len(documents))
                graph.add_items(vectors, labels, num_threads=usable_cores())
                done += len(documents)
        _save_graph(graph, folder / GRAPH)
    finally:
        store.close()
    return Encoded(total, spent)


def _new_graph(count: int, dimension: int, settings: GraphSettings) -> Any:
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=dimension)
    try:
        graph.init_index(
            max_elements=count,
            M=settings.m,
            ef_construction=settings.ef_construction,
            random_seed=settings.seed,
        )
    except (RuntimeError, MemoryError) as error:
        raise IndexFault(
            f"there is too little memory for a graph of {count:,} vectors",
            remedy="use a machine with more memory, or split the corpus",
        ) from error
    return graph


def _write_header(out: BinaryIO, count: int, dimension: int) -> None:
    # A plain write rather than a memory map: a full disk is an error then, not a dead process.
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
    )


def _save_graph(graph: Any, path: Path) -> None:
    graph.save_index(str(path))
    # hnswlib does not look whether its writes succeeded.
    if path.stat().st_size != graph.index_file_size():
        raise OSError(None, "the graph could not be written whole (is the disk full?)")


def _check_shape(vectors: Vectors, count: int, encoder: Encoder) -> None:
    if vectors.shape != (count, encoder.dimension) or vectors.dtype != np.float32:
        raise ModelError(
            f"{encoder.model_id} gave {vectors.shape} {vectors.dtype}"
            f" for {count} documents of {encoder.dimension} dimensions"
        )
