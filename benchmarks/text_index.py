"""The text index: quality, speed, size, additions, damage and kills, in one table.

    python -m benchmarks.text_index [--keep] [--quick]

nDCG@10 on every collection with judgements, then 5,183 abstracts (SciFact) and 129,332 paragraphs
(Evidence Inference). Times are the processor's (of the thread for a query, of the process for
building), because the machine may be shared. `--child` is how the script calls itself to measure
memory, to alter bytes and to be killed. In `results/text_index.md` the column `arrays` is the
engine of the first edition, which tantivy replaced after that table.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.manifest import TextFacts
from bioretrieval_tui.index.text_index import TextIndex, TextIndexWriter

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if not DATA.is_dir():
    DATA = Path("../shared/data")
CORPORA = {
    "5,183": DATA / "scifact" / "corpus.jsonl",
    "129,332": DATA / "evidence-inference" / "paragraphs.jsonl.gz",
}
JUDGED = (
    ("scifact", ("test",)),
    ("scifact", ("train",)),
    ("med-1033", ("test",)),
    ("pubmedqa-pqal", ("all",)),
    ("evidence-inference", ("test",)),
    ("evidence-inference", ("dev", "train")),
)
MOST_QUERIES = 3_000
"""Queries of a collection that are asked, drawn once."""
BATCH = 512
ADDED = 1_000
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine builds (folder, documents, first label, base folder, dead labels, labels in
    all -> facts) and opens (folder, facts) an index."""

    build: Callable[[Path, Iterator[Document], int, Path | None, Any, int], Any]
    open: Callable[[Path, Any], Any]
    facts: type


def batches(given: Iterator[Document]) -> Iterator[list[Document]]:
    """Documents as the pipeline hands them over."""
    while batch := list(islice(given, BATCH)):
        yield batch


def build_tantivy(
    folder: Path, given: Iterator[Document], first: int, base: Path | None, dead: Any, total: int
) -> TextFacts:
    """tantivy, fed with the terms of the analyser."""
    with TextIndexWriter(folder, base=base) as writer:
        for batch in batches(given):
            writer.add(first, batch)
            first += len(batch)
        return writer.finish(dead=dead, documents=total - len(dead), total=total)


ENGINES = {
    "tantivy": Engine(
        build_tantivy, lambda path, facts: TextIndex(path, facts, name="x"), TextFacts
    ),
}


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, packed or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as rows:
        for row in rows:
            yield json.loads(row)


def documents(path: Path) -> Iterator[Document]:
    """The documents of a BEIR corpus file."""
    for row in lines(path):
        yield Document(row["_id"], row.get("title") or "", row.get("text") or "")


def size_mib(folder: Path) -> float:
    """Everything in `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def judgements(name: str, splits: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Queries of `splits` with at least one relevant document: text, and grade by document."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for split in splits:
        for row in (DATA / name / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, grade = row.split("\t")
            grades[query][document] = int(grade)
    texts = {row["_id"]: row["text"] for row in lines(DATA / name / "queries.jsonl")}
    judged = [(texts[query], of) for query, of in grades.items() if max(of.values()) > 0]
    return random.Random(1).sample(judged, min(len(judged), MOST_QUERIES))


def ndcg(found: Sequence[str], grades: dict[str, int]) -> float:
    """nDCG@10 with linear gain, as trec_eval computes it."""
    gains = [max(0, grades.get(document, 0)) for document in found[:10]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    dcg, best = (
        sum(gain / math.log2(place + 2) for place, gain in enumerate(row)) for row in (gains, ideal)
    )
    return dcg / best


Row = list[str]


def quality(folder: Path) -> Iterator[Row]:
    """nDCG@10 on every collection."""
    for name, splits in JUDGED:
        corpus = list(documents(DATA / name / "corpus.jsonl"))
        judged = judgements(name, splits)
        means = []
        for label, engine in ENGINES.items():
            place = folder / label / f"{name}-{splits[0]}"
            place.parent.mkdir(parents=True, exist_ok=True)
            facts = engine.build(place, iter(corpus), 0, None, NONE, len(corpus))
            index = engine.open(place, facts)
            values = []
            for query, grades in judged:
                labels, _ = index.search(query, 10)
                values.append(ndcg([corpus[at].id for at in labels.tolist()], grades))
            means.append(sum(values) / len(values))
        yield [f"nDCG@10, {name} {'+'.join(splits)} ({len(judged):,} queries)",
               *(f"{mean:.4f}" for mean in means), ""]  # fmt: skip


def queries(count: int) -> list[str]:
    """Real queries to time with, half of them claims and half of them questions."""
    chosen = []
    for name in ("scifact", "evidence-inference"):
        texts = [row["text"] for row in lines(DATA / name / "queries.jsonl")]
        chosen += random.Random(3).sample(texts, count // 2)
    return chosen


def both(values: Sequence[float]) -> str:
    """p50 / p95 in milliseconds."""
    return f"{median(values) * 1e3:.2f} / {percentile(values, 0.95) * 1e3:.2f}"


def child(*arguments: str) -> list[str]:
    """Run this script as a child; what it prints, in words."""
    command = [sys.executable, "-m", "benchmarks.text_index", "--child", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def scale(folder: Path, size: str) -> Iterator[Row]:
    """Build, open, search, score, filter, add, delete and merge at one size."""
    count = int(size.replace(",", ""))
    told: dict[str, list[str]] = defaultdict(list)
    opened = {}
    for name, engine in ENGINES.items():
        place = folder / name / size
        place.parent.mkdir(parents=True, exist_ok=True)
        seconds, peak = child("build", name, size, str(place))
        told["built, s of the processor"].append(seconds)
        told["peak memory, MiB"].append(peak)
        told["size, MiB"].append(f"{size_mib(place):.1f}")
        start = time.perf_counter()
        opened[name] = engine.open(place, facts_of(engine, place))
        told["opening, ms"].append(f"{(time.perf_counter() - start) * 1e3:.1f}")
    chance = np.random.default_rng(5)
    half = np.flatnonzero(chance.random(count) < 0.5)
    hundredth = np.flatnonzero(chance.random(count) < 0.01)
    given = np.sort(chance.choice(count, 200, replace=False))
    asked: dict[str, Callable[[Any, str], object]] = {
        "top 10, ms": lambda index, query: index.search(query, 10),
        "top 100, ms": lambda index, query: index.search(query, 100),
        "scores of 200 given documents, ms": lambda index, query: index.scores_of(query, given),
        "top 10 in half of the documents, ms": lambda index, query: index.search(query, 10, half),
        "top 10 in 1 %, ms": lambda index, query: index.search(query, 10, hundredth),
    }
    texts = queries(100 if "--quick" in sys.argv else 300)
    for what, work in asked.items():
        times: dict[str, list[float]] = defaultdict(list)
        for query in texts:
            for name, index in opened.items():
                start = time.thread_time()
                work(index, query)
                times[name].append(time.thread_time() - start)
        told[what + ", p50 / p95"] = [both(times[name]) for name in ENGINES]
    for index in opened.values():
        worst = 0.0
        for query in texts:
            labels, scores = index.search(query, 100)
            again = index.scores_of(query, labels)
            worst = max(worst, float(np.max(np.abs(again / scores - 1), initial=0)))
        told["scores of given documents against those of the search, largest relative difference"
             ].append(f"{worst:.1e}")  # fmt: skip
    for name in ENGINES:
        place = folder / name / size
        told[f"{ADDED:,} documents added and {ADDED:,} deleted, s"].append(
            child("add", name, size, str(place))[0]
        )
        told["the index with them, against one built of what is left: top 10 alike"].append(
            child("compare", name, size, str(place))[0]
        )
    for what, values in told.items():
        yield [f"{size}: {what}", *values, ""]


def shifted(size: str) -> Iterator[Document]:
    """Documents to add: the first ones once more, under other ids."""
    for document in islice(documents(CORPORA[size]), ADDED):
        yield Document(f"new-{document.id}", document.text[:200], document.title)


def gone(count: int) -> Any:
    """Labels to delete."""
    return np.sort(np.random.default_rng(2).choice(count, ADDED, replace=False))


def run_child(what: str, name: str, *rest: str) -> None:
    """One measurement in a process of its own; prints words."""
    engine = ENGINES[name]
    size, place = rest[0], Path(rest[1])
    count = int(size.replace(",", ""))
    if what == "build":
        corpus = list(documents(CORPORA[size]))
        before = memory("VmRSS")
        start = time.process_time()
        facts = engine.build(place, iter(corpus), 0, None, NONE, count)
        seconds = time.process_time() - start
        place.with_suffix(".facts").write_bytes(msgspec.json.encode(facts))
        print(f"{seconds:.1f} {memory('VmHWM') - before:.0f}")
        return
    out = place.with_name(f"{place.name}-{what}")
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(out.with_name(f"{out.name}-runs"), ignore_errors=True)
    total, dead = count + ADDED, gone(count)
    if what in ("add", "kill", "compare"):
        start = time.perf_counter()
        facts = engine.build(out, shifted(size), count, place, dead, total)
        if what == "add":
            print(f"{time.perf_counter() - start:.2f}")
    if what == "compare":
        kept = np.setdiff1d(np.arange(count), dead)
        corpus = list(documents(CORPORA[size]))
        whole = [*(corpus[at] for at in kept.tolist()), *shifted(size)]
        fresh = out.with_name(f"{out.name}-fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        again = engine.open(fresh, engine.build(fresh, iter(whole), 0, None, NONE, len(whole)))
        index, alike = engine.open(out, facts), []
        names = np.concatenate([kept, np.arange(count, total)])
        for query in queries(100):
            one, two = index.search(query, 10)[0], names[again.search(query, 10)[0]]
            alike.append(len(np.intersect1d(one, two)) / max(1, len(two)))
        print(f"{sum(alike) / len(alike):.3f}")
    if what == "damaged":
        index = engine.open(place, facts_of(engine, place))
        for query in queries(20):
            labels, scores = index.search(query, 10)
            index.scores_of(query, np.arange(0, count, 50))
            print(labels.tolist(), np.round(scores, 3).tolist())


def memory(what: str) -> float:
    """MiB of this process."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+)", status)[0]) / 1024


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a manifest would name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.suffix != ".lock"
    }


def damage(folder: Path, size: str) -> Iterator[Row]:
    """One byte altered at a time: what the manifest's checksums see, and what the engine does
    if it is asked all the same."""
    trials = 20 if "--quick" in sys.argv else 60
    seen, alone = [], []
    for name in ENGINES:
        place, copy = folder / name / size, folder / name / "damaged"
        shutil.copy(place.with_suffix(".facts"), copy.with_suffix(".facts"))
        due, before = child("damaged", name, size, str(place)), digests(place)
        chance, told = random.Random(4), 0
        outcomes: defaultdict[str, int] = defaultdict(int)
        files = [path for path in sorted(place.iterdir()) if path.stat().st_size]
        for trial in range(trials):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(place, copy)
            path = copy / files[trial % len(files)].name
            data = bytearray(path.read_bytes())
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            told += digests(copy) != before
            command = [sys.executable, "-m", "benchmarks.text_index", "--child", "damaged", name,
                       size, str(copy)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode < 0 or "panicked" in done.stderr:
                outcomes["crash"] += 1
            elif done.returncode:
                outcomes["error"] += 1
            else:
                outcomes["right" if done.stdout.split() == due else "wrong"] += 1
        seen.append(f"{told} of {trials}")
        alone.append(", ".join(f"{count} {what}" for what, count in sorted(outcomes.items())))
    yield [f"{size}: one byte altered, seen by the manifest's SHA-256 before opening", *seen, "all"]
    yield [f"{size}: the same, if the engine were asked without that check", *alone, ""]


def facts_of(engine: Engine, place: Path) -> Any:
    """The facts of an index that a child has built."""
    return msgspec.json.decode((place.with_suffix(".facts")).read_bytes(), type=engine.facts)


def killed(folder: Path, size: str) -> Iterator[Row]:
    """kill -9 while an addition is written: the index that it builds upon stays what it was."""
    trials = 10 if "--quick" in sys.argv else 20
    told = []
    for name in ENGINES:
        place = folder / name / size
        before, whole = digests(place), 0
        for trial in range(trials):
            command = [sys.executable, "-m", "benchmarks.text_index", "--child", "kill", name, size,
                       str(place)]  # fmt: skip
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            out = place.with_name(f"{place.name}-kill")
            while process.poll() is None and not out.exists():
                time.sleep(0.005)
            time.sleep(0.05 * trial)
            process.send_signal(signal.SIGKILL)
            process.wait()
            whole += digests(place) == before
        told.append(f"{whole} of {trials}")
    yield [f"{size}: index unaltered after kill -9 during an addition", *told, "all"]


def main() -> None:
    """Measure and print."""
    if "--child" in sys.argv:
        what, name, *rest = sys.argv[sys.argv.index("--child") + 1 :]
        run_child(what, name, *rest)
        return
    if not DATA.is_dir():
        print(f"no data at {DATA}", file=sys.stderr)
        return
    report = Report("Text index")
    report.say(
        "tantivy fed with the terms of the analyser (k1 1.2, b 0.75, lengths rounded)."
        " Milliseconds are of the processor, so that a busy machine tells as much."
    )
    report.say()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in quality(folder / "quality"):
            rows.append(row)
            print(row, file=sys.stderr)
        for size in CORPORA:
            for row in scale(folder, size):
                rows.append(row)
                print(row, file=sys.stderr)
        small = next(iter(CORPORA))
        rows += [*damage(folder, small), *killed(folder, small)]
    report.table(["", *ENGINES, "bar"], rows)
    report.keep("text_index")


if __name__ == "__main__":
    main()
