"""An index of many documents with given vectors: every stage, and what users wait for after.

    python -m benchmarks.scaling [--counts 10000 100000 1000000] [--keep] [--work FOLDER]
    python -m benchmarks.scaling --counts 1000000 --baseline OTHER/.venv/bin/python

Documents are put together from sentences of the real abstracts in `../shared/data`, with numbers
and names that vary, and get authors' and journals' fields; vectors are those of `benchmarks.graph`.
The stages run one after the other, each alone in a process; the whole is `index import-vectors` as
a user calls it. `--baseline` builds and asks the same with another version in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph import DIMENSION, generate
from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.documents.detect import items, recognise
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.index.build import WINDOW
from bioretrieval_tui.index.graph import GraphParts
from bioretrieval_tui.index.half_precision import widened
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.metadata import write_metadata
from bioretrieval_tui.index.text_index import TextIndexWriter
from bioretrieval_tui.index.vector_matrix import Matrix

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NAME = "million"
QUERIES = (
    "statins and the risk of dementia",
    "tumour necrosis factor inhibitors in rheumatoid arthritis",
    "antibiotic prophylaxis before joint replacement",
    "gene expression in hepatocellular carcinoma",
)
_JOURNALS, _AUTHORS = 4_000, 60_000


def write_corpus(folder: Path, count: int) -> None:
    """Write `docs.jsonl`, `vectors.npy` and `ids.json`."""
    chance = random.Random(5)
    sentences: list[str] = []
    for path in ("ohsumed-7400/corpus.jsonl", "scifact/corpus.jsonl", "pubmedqa-pqal/corpus.jsonl"):
        for line in (DATA / path).open():
            one = json.loads(line)
            sentences += [part for part in one["text"].split(". ") if 30 < len(part) < 400]
    words = [word for part in sentences for word in part.split() if word.isalpha()]
    with (folder / "docs.jsonl").open("w") as out:
        for number in range(count):
            body = [f"{part}." for part in chance.choices(sentences, k=chance.randint(4, 9))]
            # Names and numbers of its own, as every abstract has.
            body.append(f"The locus {_name(chance)}{chance.randrange(10**6)} in {number}.")
            # Titles differ, as those of papers: equal ones would be compared as duplicates.
            title = " ".join(chance.choices(words, k=chance.randint(7, 14)))
            metadata = {
                "journal": f"Journal of {chance.randrange(_JOURNALS)}",
                "year": 1970 + chance.randrange(56),
                "authors": [f"Name{chance.randrange(_AUTHORS)} A" for _ in range(4)],
                "mesh": [f"Heading {int(chance.paretovariate(0.6)) % 20_000}" for _ in range(8)],
            }
            document = {"_id": str(10**7 + number), "title": f"{title}, {_name(chance)}.",
                        "text": " ".join(body), "metadata": metadata}  # fmt: skip
            out.write(json.dumps(document) + "\n")
    if not _fits(folder / "vectors.npy", count):
        generate(folder / "vectors.raw", count)
        raw = np.memmap(folder / "vectors.raw", "<f2", mode="r", shape=(count, DIMENSION))
        np.save(folder / "vectors.npy", raw)
        (folder / "vectors.raw").unlink()
    (folder / "ids.json").write_text(json.dumps([str(10**7 + n) for n in range(count)]))


def _fits(vectors: Path, count: int) -> bool:
    return vectors.exists() and np.load(vectors, mmap_mode="r").shape[0] == count


def _name(chance: random.Random) -> str:
    return "".join(chance.choices("ABCDEFGHKLMNPRST", k=4))


# Stages, each in a process of its own ----------------------------------------------------------


def stage(folder: Path, work: Path, count: int, which: str) -> dict[str, float]:
    """Run one stage; its seconds by the clock and of the processor, and peak bytes."""
    make: Callable[[], None] = {
        "read": lambda: _read(folder, count),
        "store": lambda: _store(folder, work, count),
        "words": lambda: _words(work),
        "fields": lambda: _fields(work),
        "graph": lambda: _graph(folder, work, count),
    }[which]
    begun, used = time.perf_counter(), _processor()
    make()
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])
    return {"seconds": time.perf_counter() - begun, "processor": _processor() - used, "peak": peak}


def _processor() -> float:
    return sum(os.times()[:4])


def _items(folder: Path, count: int) -> Iterator[Any]:
    with SourceReader(folder / "docs.jsonl") as source:
        yield from itertools.islice(items(source, recognise(source), ReadSettings()), count)


def _read(folder: Path, count: int) -> None:
    for _ in _items(folder, count):
        pass


def _store(folder: Path, work: Path, count: int) -> None:
    with StoreWriter(work / "documents.sqlite") as writer:
        intake = Intake(writer)
        for item in _items(folder, count):
            intake.take(item)
        writer.finish()


def _words(work: Path) -> None:
    store, none = DocumentStore([work / "documents.sqlite"]), np.empty(0, np.int64)
    with TextIndexWriter(work / "text") as text:
        label = 0
        for some in store.batches(WINDOW):
            text.add(label, some)
            label += len(some)
        text.finish(dead=none, documents=label, total=label)


def _fields(work: Path) -> None:
    store = DocumentStore([work / "documents.sqlite"])
    write_metadata(work / "metadata", store, base=None, dead=np.empty(0, np.int64))


def _graph(folder: Path, work: Path, count: int) -> None:
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")[:count]
    (work / "graphs").mkdir()
    graphs = GraphParts(work / "graphs", DIMENSION, "cosine", lambda: Matrix([vectors], DIMENSION))
    for start in range(0, count, WINDOW):
        graphs.add(widened(vectors[start : start + WINDOW]), count)
    settings = graphs.finish()
    print(f"graphs {settings.parts}, ef {settings.ef}, recall {settings.recall}", file=sys.stderr)


def stages(report: Report, folder: Path, counts: list[int]) -> None:
    """Documents a second and bytes a document of each stage, at each size."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as inner:
            work, made = Path(inner), dict[str, dict[str, float]]()
            for which in ("read", "store", "words", "fields", "graph"):
                words = [sys.executable, "-m", "benchmarks.scaling", "--stage", which]
                words += ["--work", str(folder), "--inner", str(work), "--counts", str(count)]
                done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
                made[which] = json.loads(done.stdout)
            places = {"store": "documents.sqlite", "words": "text", "fields": "metadata",
                      "graph": "graphs"}  # fmt: skip
            for which, one in made.items():
                held = _bytes(work / places[which]) if which in places else 0
                rows.append(
                    [
                        which,
                        f"{count:,}",
                        f"{count / one['seconds']:,.0f}",
                        f"{count / one['processor']:,.0f}",
                        f"{held / count:,.0f}",
                        f"{one['peak'] / 1e6:,.0f}",
                    ]
                )
    rows.sort(key=lambda row: ["read", "store", "words", "fields", "graph"].index(row[0]))
    report.table(
        ["stage", "documents", "documents/s", "documents/processor s", "bytes/document", "peak MB"],
        rows,
    )


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


# The whole, and what comes after ---------------------------------------------------------------


def whole(python: str, folder: Path, home: Path) -> dict[str, float]:
    """Build with a version, as a user does; then what is waited for. Times in seconds."""
    environment = {**os.environ, "BIORETRIEVAL_HOME": str(home)}
    environment.pop("PYTHONPATH", None)

    def call(*words: str) -> tuple[float, float]:
        """Seconds by the clock and of the processor."""
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [python, "-P", "-m", "bioretrieval_tui", *words]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - begun, used

    files = {one: str(folder / one) for one in ("docs.jsonl", "vectors.npy", "ids.json")}
    built = call(
        "index", "import-vectors", NAME, "--model", "all-minilm-l6-v2", "--quiet",
        "--vectors", files["vectors.npy"], "--ids", files["ids.json"],
        "--documents", files["docs.jsonl"],
    )  # fmt: skip
    found = {"build": built[0], "processor": built[1]}
    found["bytes"] = _bytes(home / "data" / "indexes" / NAME)
    call("search", "-i", NAME, QUERIES[0])  # byte code and files are warm after it
    found["cold"] = median([call("search", "-i", NAME, one, "-f", "json")[0] for one in QUERIES])
    one = folder / "one.jsonl"
    times = []
    for number in range(3):
        document = {"_id": f"new{number}", "title": "One more", "text": f"A text of {number}."}
        one.write_text(json.dumps(document) + "\n")
        try:
            times.append(call("index", "add", NAME, str(one), "--quiet")[0])
        except subprocess.CalledProcessError:
            times.append(float("nan"))
    found["add"] = median(times)
    done = subprocess.run(
        [python, "-P", "-c", _SESSION, NAME, *QUERIES], check=True, env=environment,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    session = json.loads(done.stdout)
    latencies = session.pop("latencies")
    found |= session
    found["p50"], found["p95"] = median(latencies), percentile(latencies, 0.95)
    found["verify"] = call("index", "verify", NAME, "--quiet")[0]
    return found


_SESSION = """
import json, sys, time
from pathlib import Path
begun = time.perf_counter()
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query
import numpy as np
name, *queries = sys.argv[1:]
engine = SearchEngine.open(name, device="cpu", ready=False)
engine.load()
opened = time.perf_counter() - begun
first = []
for one in queries:
    begun = time.perf_counter()
    engine.search(Query(text=one, mode="hybrid"))
    first.append(1000 * (time.perf_counter() - begun))
store = engine.index.vectors
while getattr(store, "_parts", None) and store.exact:
    engine.search(Query(text=one, mode="hybrid"))
    time.sleep(0.1)
walks = bool(getattr(store, "_graphs", None) or getattr(store, "_graph", None))
words = " ".join(queries).split()
times = []
for number in range(200):
    text = " ".join(words[(number * 7 + place * 5) % len(words)] for place in range(4))
    begun = time.perf_counter()
    engine.search(Query(text=text, mode="hybrid"))
    times.append(1000 * (time.perf_counter() - begun))
chance = np.random.default_rng(3)
hits, asked = 0, 100
for row in chance.integers(0, store.matrix.rows, asked * walks):
    noise = chance.normal(size=store.matrix.dimension).astype(np.float32)
    query = store.matrix.take(np.array([row]))[0] + 0.03 * noise
    query /= np.linalg.norm(query)
    near = set(store._approximate(query, 10, None)[0].tolist())
    hits += len(near & set(store._exact(query, 10, None)[0].tolist()))
status = Path("/proc/self/status").read_text()
held = {x.split(":")[0]: int(x.split()[1]) for x in status.splitlines() if x.startswith("Rss")}
recall = hits / (10 * asked) if walks else 1.0
print(json.dumps({"open": opened, "first": max(first), "latencies": times, "recall": recall,
                  "anonymous": 1024 * held["RssAnon"]}))
"""


def compared(report: Report, folder: Path, count: int, baseline: str | None) -> None:
    """The whole, of this version and of the baseline."""
    found = {}
    for name, python in {"this": sys.executable, "baseline": baseline}.items():
        if python is not None:
            home = folder / f"home-{name}"  # kept, to look at it
            shutil.rmtree(home, ignore_errors=True)
            found[name] = whole(python, folder, home)
            print(name, found[name], file=sys.stderr)
    lines = {
        "build, s": "build", "processor, s": "processor", "cold search, s": "cold",
        "one document added, s": "add", "open in a session, s": "open",
        "slowest of the first hybrid queries, ms": "first", "hybrid p50, ms": "p50",
        "hybrid p95, ms": "p95", "recall@10 of the graphs": "recall",
        "anonymous memory, MB": "anonymous", "bytes a document": "bytes", "verify, s": "verify",
    }  # fmt: skip
    scale = {"anonymous": 1e-6, "bytes": 1 / count}
    rows = [
        [label, *(f"{one[key] * scale.get(key, 1):,.4g}" for one in found.values())]
        for label, key in lines.items()
    ]
    report.say(f"{count:,} documents, the whole:")
    report.say()
    report.table(["", *found], rows)
    if len(found) == 2:
        share = found["this"]["build"] / found["baseline"]["build"]
        report.say(f"Building takes {share:.2f} of the baseline's time (bar 0.5).")
    report.say("Bars at a million: one added 2 s, cold search 1.2 s, open 1.5 s, hybrid p95 60 ms,")
    report.say("recall 0.99.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--work", type=Path, help="where the corpus is kept between calls")
    parser.add_argument("--baseline", help="the Python of another version's environment")
    parser.add_argument("--only", choices=["stages", "whole"])
    parser.add_argument("--stage")
    parser.add_argument("--inner", type=Path)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(stage(given.work, given.inner, given.counts[0], given.stage)))
        return
    folder = given.work or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    most = max(given.counts)
    if not (folder / "docs.jsonl").exists() or not _fits(folder / "vectors.npy", most):
        write_corpus(folder, most)
    report = Report("Scaling")
    if given.only != "whole":
        stages(report, folder, sorted(given.counts))
    if given.only != "stages":
        compared(report, folder, most, given.baseline)
    report.keep("scaling")
    if given.work is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
