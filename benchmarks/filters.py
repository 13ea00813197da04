"""Filtered search over 172,406 real citations: filter, vectors and BM25; facets; building.

    python -m benchmarks.filters [--keep] [--quick] [--home FOLDER]

The vectors are made: 384 numbers that really are 32, shaken and turned, as near one another as
those of a model and none of the texts' own. `--home` keeps the index there for the next run.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.encoding.embedded import RECIPE
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.metadata import MetadataIndex, write_metadata
from bioretrieval_tui.index.registry import OpenIndex, index_names, open_index
from bioretrieval_tui.index.vector_cache import ImportedVectors

CORPUS = Path("../shared/data/pubmed-citations/corpus.jsonl.gz")
DIMENSION = 384
SHARES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)
BAR = 20.0
"""Milliseconds of filter, vectors and BM25, p95."""
_WORDS = (
    "randomized controlled trial", "covid-19 vaccination in children", "meta-analysis",
    "systematic review of breast cancer", "machine learning for diagnosis", "IL-6 inhibitors",
    "hip fracture surgery outcomes", "gut microbiota and obesity",
)  # fmt: skip


def citations() -> list[dict[str, object]]:
    """All records of the corpus."""
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def make(name: str) -> None:
    """Build the index, with vectors of our own making."""
    ids = [str(one["_id"]) for one in citations()]
    rng = np.random.default_rng(11)
    inner = rng.standard_normal((len(ids), 32), dtype=np.float32)
    turned = inner @ rng.standard_normal((32, DIMENSION), dtype=np.float32)
    turned += rng.standard_normal(turned.shape, dtype=np.float32)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        vectors, names = Path(folder, "vectors.npy"), Path(folder, "ids.json")
        np.save(vectors, turned.astype(np.float16))
        names.write_text(json.dumps(ids))
        source = ImportedVectors([vectors], [names], "benchmark/made", RECIPE)
        build_index(name, [CORPUS], source)


def filters(index: OpenIndex) -> list[tuple[str, float]]:
    """For each of SHARES a filter that keeps about so much, and what it keeps."""
    fields = index.fields
    everything = fields.select(fields.parse(""))
    years = [year for year, _ in fields.facets(everything, "year", 100)]
    tried = [f"year:{a}..{b}" for a in years for b in years if a <= b]
    tried += [f'journal="{name}"' for name, _ in fields.facets(everything, "journal", 300)]
    tried += [f"author:{name}" for name in ("w", "s", "li", "zhang", "kim", "smith", "van")]
    tried += [f"journal:{name}" for name in ("j", "int", "clin", "med", "bmj", "nature")]
    kept = {one: len(fields.select(fields.parse(one))) / len(everything) for one in tried}
    chosen = []
    for share in SHARES:
        # Journals rather than years where both are as near: a text column costs more.
        best = min(kept, key=lambda one: abs(kept[one] - share) / share + ("year" in one) * 0.05)
        chosen.append((best, kept[best]))
    return chosen


def timed(work: Callable[..., object], *given: object) -> float:
    """Milliseconds of the processor."""
    start = time.thread_time()
    work(*given)
    return (time.thread_time() - start) * 1e3


def both(values: Sequence[float]) -> str:
    """p50 / p95."""
    return f"{median(values):.1f} / {percentile(values, 0.95):.1f}"


def searching(report: Report, index: OpenIndex, rounds: int) -> None:
    """Every filter with other queries each time; select never finds its own answer of before."""
    rng = np.random.default_rng(5)
    fields = index.fields
    rows = []
    for expression, share in filters(index):
        node = fields.parse(expression)
        times: dict[str, list[float]] = {name: [] for name in ("select", "vectors", "BM25")}
        found = hits = 0
        for turn in range(rounds):
            label = int(rng.integers(0, index.manifest.rows))
            query = index.vectors.beginnings(np.array([label]))[0]
            query = query + 0.05 * rng.standard_normal(DIMENSION, dtype=np.float32)
            query /= np.linalg.norm(query)
            words = _WORDS[turn % len(_WORDS)]
            forget(index)
            times["select"].append(timed(fields.select, node))
            allowed = fields.select(node)
            times["vectors"].append(timed(index.vectors.search, query, 10, allowed))
            times["BM25"].append(timed(index.lexical.search, words, 10, allowed))
            if turn < 40:
                near = index.vectors.search(query, 10, allowed)[0]
                truth = index.vectors.similarities(query, allowed)
                best = allowed[np.argsort(-truth, kind="stable")[:10]]
                found += len(np.intersect1d(near, best))
                hits += len(best)
        whole = [sum(each) for each in zip(*times.values(), strict=True)]
        rows.append([expression, f"{share:.2%}", *map(both, times.values()), both(whole),
                     f"{found / hits:.3f}"])  # fmt: skip
    report.say(
        f"{index.manifest.documents:,} citations, {DIMENSION} dimensions, top 10, p50 / p95 ms"
        f" over {rounds} queries; bar: p95 of all three {BAR:.0f} ms. Milliseconds are of the"
        " processor, so that a busy machine tells as much."
    )
    report.say()
    report.table(
        ["filter", "keeps", "filter", "vectors", "BM25", "together", "recall@10 of vectors"], rows
    )


def forget(index: OpenIndex) -> None:
    """Let the next filter be worked out again, from columns that are open."""
    assert isinstance(index.fields, MetadataIndex)
    index.fields._found.clear()


def others(report: Report, index: OpenIndex) -> None:
    """First use of each field, facets and dates."""
    fields = index.fields
    rows = []
    everything = fields.select(fields.parse(""))
    rng = random.Random(3)
    best = np.array(sorted(rng.sample(range(len(everything)), 1_000)))
    for expression in ("journal:nature", "author:smith", "doi:10.1136", "id=36716982", "has:doi",
                       "date:2023", "covid vaccine", '"gut microbiota" year:2020',
                       "-journal:j (author:li OR author:wang) year>2021"):  # fmt: skip
        opened = open_index(index.manifest.name)
        node = opened.fields.parse(expression)
        first = timed(opened.fields.select, node)
        again = []
        for _ in range(9):
            forget(opened)
            again.append(timed(opened.fields.select, node))
        rows.append([f"`{expression}`", f"{first:.1f}", f"{median(again):.1f}"])
        opened.close()
    for name in ("year", "journal", "author"):
        some = [timed(fields.facets, best, name) for _ in range(9)]
        whole = [timed(fields.facets, everything, name) for _ in range(5)]
        rows.append([f"facet {name} of 1,000 documents", f"{some[0]:.1f}", f"{median(some):.1f}"])
        rows.append([f"facet {name} of all", f"{whole[0]:.1f}", f"{median(whole):.1f}"])
    report.table(["", "first, ms", "then, ms"], rows)


def building(report: Report) -> None:
    """Seconds and peak memory of the fields alone, over 10 and 100 percent of the citations."""
    rows = []
    for share in (0.1, 1.0):
        command = [sys.executable, "-m", "benchmarks.filters", "--child", str(share)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        count, seconds, before, peak, mib = done.stdout.split()
        rows.append([f"{int(count):,}", seconds, before, peak, mib])
    report.say("The fields alone, from a store that is there, each in a process of its own.")
    report.say()
    report.table(["documents", "s", "MiB before", "peak MiB", "fields, MiB"], rows)


def child(share: float) -> None:
    """Build the fields of the first records; print how many, seconds, memory, and MiB on disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pid = os.fork()  # so that what reading takes does not count
        if pid == 0:
            records = citations()
            with StoreWriter(folder / "store", None, frozenset()) as writer:
                for one in records[: round(len(records) * share)]:
                    document = Document(one["_id"], one["title"], one["text"], one["metadata"])  # type: ignore[arg-type]
                    writer.add(Record(document, Place("corpus.jsonl")))
                writer.finish()
            os._exit(0)
        os.waitpid(pid, 0)
        store = DocumentStore([folder / "store"])
        before = memory("VmRSS")
        start = time.perf_counter()
        write_metadata(folder / "fields", store, base=None, dead=np.zeros(0, dtype=np.int64))
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in (folder / "fields").iterdir()) / 2**20
        print(store.rows, f"{seconds:.1f} {before:.0f} {memory('VmHWM'):.0f} {size:.1f}")


def memory(what: str) -> float:
    """MiB of this process."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+)", status)[0]) / 1024


def main() -> None:
    """Measure and print."""
    if "--child" in sys.argv:
        child(float(sys.argv[sys.argv.index("--child") + 1]))
        return
    if not CORPUS.exists():
        print(f"no data at {CORPUS}", file=sys.stderr)
        return
    report = Report("Filters")
    with tempfile.TemporaryDirectory() as name:
        home = sys.argv[sys.argv.index("--home") + 1] if "--home" in sys.argv else name
        os.environ["BIORETRIEVAL_HOME"] = home
        if "citations" not in index_names():
            make("citations")
        index = open_index("citations")
        searching(report, index, 60 if "--quick" in sys.argv else 200)
        others(report, index)
        index.close()
    building(report)
    report.keep("filters")


if __name__ == "__main__":
    main()
