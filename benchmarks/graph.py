"""The graph at scale: built, saved, loaded and searched, against faiss on the same vectors.

    python -m benchmarks.graph [--keep] [--count 1000000] [--m 16] [--ef-construction 200]

Clustered vectors (1,000 centres, anisotropic noise), held-out queries. Each engine builds in a
process of its own, whose peak memory is its own; then both are loaded into one and asked in turn,
each with the smallest `ef` that reaches recall@10 of 0.99.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.index.build import WINDOW
from bioretrieval_tui.index.graph import EFS, GraphBuilder
from bioretrieval_tui.index.manifest import NEW_GRAPHS, GraphSettings
from bioretrieval_tui.index.vector_matrix import Matrix

DIMENSION = 384
QUERIES = 1_000
TARGET = 0.99
K = 10
Vectors = npt.NDArray[np.float32]


def generate(path: Path, count: int, seed: int = 1) -> Vectors:
    """Write `count` unit vectors (float16, as an index keeps them); returns held-out queries."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(1_000, DIMENSION)).astype(np.float32)
    spread = (1.2 / np.sqrt(1 + np.arange(DIMENSION) / 12)).astype(np.float32)
    rotation = np.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))[0].astype(np.float32)

    def some(size: int) -> Vectors:
        noise = random.normal(size=(size, DIMENSION)).astype(np.float32) * spread * 2
        drawn = centres[random.integers(0, len(centres), size)] * 0.5 + noise @ rotation
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn.astype(np.float32)

    with path.open("wb") as out:
        for start in range(0, count, 50_000):
            out.write(some(min(50_000, count - start)).astype("<f2").tobytes())
    return some(QUERIES)


def mapped(path: Path) -> Any:
    """The vectors of the file, mapped."""
    rows = path.stat().st_size // (2 * DIMENSION)
    return np.memmap(path, dtype="<f2", mode="r", shape=(rows, DIMENSION))


def build_ours(vectors: Path, out: Path, m: int, ef_construction: int) -> None:
    """As the pipeline does: window after window, widened from float16."""
    matrix = mapped(vectors)
    builder = GraphBuilder(DIMENSION, GraphSettings(m=m, ef_construction=ef_construction))
    for start in range(0, len(matrix), WINDOW):
        builder.add(matrix[start : start + WINDOW].astype(np.float32), start, len(matrix))
    started = time.perf_counter()
    builder.save(out)
    _say(save=time.perf_counter() - started)


def build_faiss(vectors: Path, out: Path, m: int, ef_construction: int) -> None:
    """faiss's HNSW over the same vectors."""
    import faiss

    matrix = mapped(vectors)
    index: Any = faiss.IndexHNSWFlat(DIMENSION, m, faiss.METRIC_INNER_PRODUCT)
    index.vectors.efConstruction = ef_construction
    for start in range(0, len(matrix), 50 * WINDOW):
        index.add(matrix[start : start + 50 * WINDOW].astype(np.float32))
    started = time.perf_counter()
    faiss.write_index(index, str(out))
    _say(save=time.perf_counter() - started)


def _say(**values: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**values, "peak": peak}))


def built(engine: str, vectors: Path, out: Path, given: argparse.Namespace) -> dict[str, float]:
    """Build in a child; seconds, processor seconds, peak bytes, bytes of the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    words = [sys.executable, "-m", "benchmarks.graph", "--build", engine, str(vectors), str(out)]
    words += ["--m", str(given.m), "--ef-construction", str(given.ef_construction)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        **values,
        "seconds": time.perf_counter() - started,
        "processor": processor,
        "bytes": out.stat().st_size,
    }


Ask = Callable[[Vectors, int], npt.NDArray[np.int64]]


def open_ours(path: Path, count: int) -> Ask:
    """Load with hnswlib; asks one query with an ef."""
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=DIMENSION)
    graph.load_index(str(path), max_elements=count)

    def ask(query: Vectors, ef: int) -> npt.NDArray[np.int64]:
        graph.set_ef(max(ef, K))
        found, _ = graph.knn_query(query, k=K, num_threads=1)
        labels: npt.NDArray[np.int64] = found[0].astype(np.int64)
        return labels

    return ask


def open_faiss(path: Path) -> Ask:
    """Load with faiss; asks one query with an ef, on one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    index: Any = faiss.read_index(str(path))

    def ask(query: Vectors, ef: int) -> npt.NDArray[np.int64]:
        index.vectors.efSearch = max(ef, K)
        _, found = index.search(query[None], K)
        labels: npt.NDArray[np.int64] = found[0]
        return labels

    return ask


def recall(ask: Ask, queries: Vectors, truth: npt.NDArray[np.int64], ef: int) -> float:
    """Share of the true neighbours that are found."""
    hits = sum(
        len(set(ask(query, ef).tolist()) & set(near.tolist()))
        for query, near in zip(queries, truth, strict=True)
    )
    return hits / truth.size


def tuned(ask: Ask, queries: Vectors, truth: npt.NDArray[np.int64]) -> tuple[int, float]:
    """The smallest ef that reaches the target, and its recall."""
    ef, reached = 0, 0.0
    for ef in EFS:
        reached = recall(ask, queries, truth, ef)
        if reached >= TARGET:
            break
    return ef, reached


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--m", type=int, default=NEW_GRAPHS.m)
    parser.add_argument("--ef-construction", type=int, default=NEW_GRAPHS.ef_construction)
    parser.add_argument("--without-faiss", action="store_true")
    parser.add_argument("--build", nargs=3, metavar=("ENGINE", "VECTORS", "OUT"))
    given = parser.parse_args()
    if given.build:
        engine, vectors, out = given.build
        make = build_ours if engine == "hnswlib" else build_faiss
        make(Path(vectors), Path(out), given.m, given.ef_construction)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given)


def measure(folder: Path, given: argparse.Namespace) -> None:
    """Build both, load both, ask both."""
    report = Report("The graph")
    vectors = folder / "vectors.f16"
    queries = generate(vectors, given.count)
    size = vectors.stat().st_size
    report.say(
        f"{given.count:,} vectors of {DIMENSION} dimensions, {QUERIES:,} held-out queries;"
        f" M {given.m}, ef_construction {given.ef_construction}."
    )
    report.say()
    engines = ["hnswlib"] if given.without_faiss or not _has_faiss() else ["hnswlib", "faiss"]
    facts = {name: built(name, vectors, folder / name, given) for name in engines}
    asks: dict[str, Ask] = {}
    for name in engines:
        started = time.perf_counter()
        path = folder / name
        asks[name] = open_ours(path, given.count) if name == "hnswlib" else open_faiss(path)
        facts[name]["load"] = time.perf_counter() - started
    matrix = Matrix([mapped(vectors)], DIMENSION)
    truth, _ = matrix.nearest(queries, K, np.empty(0, dtype=np.int64))
    chosen = {name: tuned(ask, queries, truth) for name, ask in asks.items()}
    times: dict[str, list[float]] = {name: [] for name in asks}
    for query in np.concatenate([queries, queries]):
        for name, ask in asks.items():
            started = time.perf_counter()
            ask(query, chosen[name][0])
            times[name].append(1000 * (time.perf_counter() - started))
    exact = []
    for query in queries[:20]:
        started = time.perf_counter()
        matrix.nearest(query[None], K, np.empty(0, dtype=np.int64))
        exact.append(1000 * (time.perf_counter() - started))
    report.table(
        ["engine", "build s", "processor s", "save s", "load s", "file MB", "peak MB",
         "peak / (graph + vectors)", "ef", "recall@10", "p50 ms", "p95 ms"],
        [
            [
                name,
                f"{one['seconds']:.0f}",
                f"{one['processor']:.0f}",
                f"{one['save']:.1f}",
                f"{one['load']:.1f}",
                f"{one['bytes'] / 1e6:.0f}",
                f"{one['peak'] / 1e6:.0f}",
                f"{one['peak'] / (one['bytes'] + size):.2f}",
                f"{chosen[name][0]}",
                f"{chosen[name][1]:.4f}",
                f"{median(times[name]):.2f}",
                f"{percentile(times[name], 0.95):.2f}",
            ]
            for name, one in facts.items()
        ],
    )  # fmt: skip
    report.say(f"Exact search, float16 on disk, one query: {median(exact):.0f} ms median.")
    report.say("Bars: recall 0.99, p95 2 ms, peak 1.25.")
    report.keep("graph")


def _has_faiss() -> bool:
    import importlib.util

    return importlib.util.find_spec("faiss") is not None


if __name__ == "__main__":
    main()
