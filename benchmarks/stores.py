"""The same index in files and in stores: copying, opening, answers and times of queries.

    python -m benchmarks.stores [--keep] [--documents 50000] [ADDRESS ...]

Without an address a new file of Milvus Lite and a new folder of LanceDB are used;
`scripts/engines.py .venv/engines python -m benchmarks.stores` adds a real Milvus server (2.3.5).
Documents are those of `benchmarks.scaling`, vectors of length 1 around 1,000 centres, and queries
are documents with noise. Times are of one query after the other in this process, interleaved
between the stores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, interleaved, median, percentile
from benchmarks.scaling import write_corpus
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.store_index import copy_to_store, delete_in_store
from bioretrieval_tui.index.stores import parse_address
from bioretrieval_tui.index.vector_cache import ImportedVectors
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

WHERE = "year>2005"
ROUNDS = 60


def main() -> None:
    """Build, copy and ask."""
    asked = argparse.ArgumentParser()
    asked.add_argument("addresses", nargs="*")
    asked.add_argument("--keep", action="store_true")
    asked.add_argument("--documents", type=int, default=50_000)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        os.environ["BIORETRIEVAL_HOME"] = str(folder / "home")
        files = [f"milvus+file:{folder}/store.db", f"lance+file:{folder}/lance"]
        addresses = options.addresses or files
        if server := os.environ.get("BIORETRIEVAL_MILVUS"):
            addresses.append(server)
        measure(Report("Indexes in stores"), folder, addresses, options)


def measure(
    report: Report, folder: Path, addresses: list[str], options: argparse.Namespace
) -> None:
    count = options.documents
    (folder / "corpus").mkdir()
    write_corpus(folder / "corpus", count)
    files = [folder / "corpus" / one for one in ("vectors.npy", "ids.json", "docs.jsonl")]
    source = ImportedVectors([files[0]], [files[1]], embedded.MODEL_ID, embedded.RECIPE)
    started = time.perf_counter()
    build_index("files", [files[2]], source)
    seconds = {"files": time.perf_counter() - started}
    versions = {"files": "this package"}
    for number, address in enumerate(addresses):
        name = f"store-{number}"
        seconds[name] = copy_to_store("files", parse_address(address), to=name).seconds
    engines: dict[str, SearchEngine] = {}
    opened: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        for name in seconds:
            started = time.perf_counter()
            engines[name] = SearchEngine(open_index(name))
            opened[name] = time.perf_counter() - started
            stack.callback(engines[name].close)
            engines[name].index.vectors.load_graphs()
            if store := engines[name].index.manifest.store:
                versions[name] = store.partition(":")[0]
        chance = np.random.default_rng(11)
        labels = chance.integers(0, count, ROUNDS + 5)
        vectors = engines["files"].index.vectors.beginnings(labels)
        noise = chance.normal(0, 0.5 / np.sqrt(vectors.shape[1]), vectors.shape)
        vectors = (vectors + noise).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        titles = [one.title for one in engines["files"].index.documents.get(labels.tolist())]
        exact = [one.tolist() for one in _exact(engines["files"], vectors, count)]

        rows = []
        for what, k, mode, where in (
            ("dense, top 100", 100, "dense", ""),
            (f"dense, top 100, {WHERE}", 100, "dense", WHERE),
            ("hybrid, top 10 with facets", 10, "hybrid", ""),
        ):
            places = dict.fromkeys(engines, 0)
            found: dict[str, list[list[str]]] = {name: [] for name in engines}

            def ask(
                name: str, mode: str = mode, where: str = where, k: int = k,
                places: dict[str, int] = places, found: dict[str, list[list[str]]] = found,
            ) -> float:  # fmt: skip
                at = places[name]
                places[name] += 1
                query = Query(text=titles[at], mode=mode, where=where, k=k)
                started = time.perf_counter()
                if k == 100:
                    ids = [one for one, _ in engines[name].rank(query, vectors[at])]
                else:
                    ids = [hit.id for hit in engines[name].search(query, vectors[at]).hits]
                taken = time.perf_counter() - started
                found[name].append(ids)
                return taken

            makers = {name: partial(ask, name) for name in engines}
            times = interleaved(makers, ROUNDS, 3)
            for name, taken in times.items():
                same = [
                    len({*one[:10]} & {*other[:10]}) / max(1, len(other[:10]))
                    for one, other in zip(found[name], found["files"], strict=True)
                ]
                recall = ""
                if what == "dense, top 100":
                    ids = [engines["files"].index.documents.ids(one) for one in exact]
                    right = [
                        len({*one[:10]} & {*other}) / 10
                        for one, other in zip(found[name], ids, strict=False)
                    ]
                    recall = f"{sum(right) / len(right):.3f}"
                p50, p95 = 1_000 * median(taken), 1_000 * percentile(taken, 0.95)
                ratio = median(taken) / median(times["files"])
                rows.append(
                    [what, versions[name], f"{p50:.1f}", f"{p95:.1f}", f"{ratio:.1f}",
                     f"{sum(same) / len(same):.3f}", recall]
                )  # fmt: skip
    report.say(
        f"{count:,} documents, {vectors.shape[1]} dimensions, {ROUNDS} queries, load"
        f" {os.getloadavg()[0]:.1f} at the end. Milliseconds of whole queries without encoding;"
        " ratio to files; which of the top 10 are those from files, and recall@10 of the vectors"
        " against exact search."
    )
    report.say()
    report.table(
        ["store", "seconds to build or copy", "documents a second", "seconds to open"],
        [
            [versions[name], f"{taken:.1f}", f"{count / taken:,.0f}", f"{opened[name]:.2f}"]
            for name, taken in seconds.items()
        ],
    )
    report.say()
    report.table(["query", "store", "p50 ms", "p95 ms", "ratio", "same top 10", "recall@10"], rows)
    for name in seconds:
        if name != "files" and not versions[name].endswith("file"):
            delete_in_store(name)
    report.keep("stores")


def _exact(engine: SearchEngine, vectors: np.ndarray, count: int) -> list[np.ndarray]:
    """The labels of the ten nearest documents of each query."""
    best: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, count, 10_000):
        labels = np.arange(start, min(start + 10_000, count))
        similarities = vectors @ engine.index.vectors.beginnings(labels).T
        near = np.argsort(-similarities, axis=1)[:, :10]
        best.append((labels[near], np.take_along_axis(similarities, near, axis=1)))
    names, values = (np.concatenate(one, axis=1) for one in zip(*best, strict=True))
    order = np.argsort(-values, axis=1)[:, :10]
    return list(np.take_along_axis(names, order, axis=1))


if __name__ == "__main__":
    main()
