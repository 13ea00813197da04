"""The lexical index: quality (nDCG@10), query time and indexing, beside other engines.

    python -m benchmarks.lexical [--check] [--quick] [--keep]

Quality is shown on the collections that may be tuned on (SciFact train, PubMedQA, Evidence
Inference dev and train); `--check` adds those that may not (SciFact test, MED). Speed is over
129,332 paragraphs with real claims and questions, the engines taken in turn; engines that are not
installed are left out. Times are the processor's (of the thread for a query, of the process for
building), because the machine may be shared. `--child N` is how the script calls itself to
measure memory.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
import random
import re
import sqlite3
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

import numpy as np

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.lexical.analysis import tokens
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex, Parameters
from bioretrieval_tui.index.lexical.merge import write_index
from bioretrieval_tui.index.lexical.runs import RunWriter

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PARAGRAPHS = DATA / "evidence-inference" / "paragraphs.jsonl.gz"
TUNED = (
    ("scifact", ("train",)),
    ("pubmedqa-pqal", ("all",)),
    ("evidence-inference", ("dev", "train")),
)
CHECKED = (("scifact", ("test",)), ("med-1033", ("test",)))
BARS = {("scifact", ("test",)): "0.690"}
SETTINGS = (Parameters(), Parameters(k1=0.9, b=0.4, title_weight=1.0), Parameters(b=0.75),
            Parameters(title_weight=1.0), Parameters(title_weight=3.0),
            Parameters(k1=0.9), Parameters(k1=1.6))  # fmt: skip
BATCH = 512
JUDGED = 1_000
"""Queries of a tuning set that are asked, drawn once; the sets that are checked are asked whole."""

Search = Callable[[str], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Built:
    """An engine over the paragraphs: how to ask it, seconds of building, MiB on disk."""

    search: Search
    seconds: float
    mib: float


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


def index_folder(
    folder: Path, given: Iterator[Document], name: str = "benchmark"
) -> tuple[list[str], LexicalIndex]:
    """Our index over `given`, and the ids by label."""
    writer = RunWriter(folder / "runs")
    ids: list[str] = []
    while batch := list(islice(given, BATCH)):
        writer.add(len(ids), batch)
        ids += [document.id for document in batch]
    facts = write_index(
        folder / "index",
        writer.finish(),
        base=None,
        dead=np.zeros(0, dtype=np.int64),
        total=len(ids),
    )
    return ids, LexicalIndex(folder / "index", facts, name=name)


def judgements(name: str, splits: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Queries of `splits` with at least one relevant document: text, and grade by document."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for split in splits:
        for row in (DATA / name / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, grade = row.split("\t")
            grades[query][document] = int(grade)
    texts = {row["_id"]: row["text"] for row in lines(DATA / name / "queries.jsonl")}
    return [(texts[query], of) for query, of in grades.items() if max(of.values()) > 0]


def ndcg(found: Sequence[str], grades: dict[str, int]) -> float:
    """nDCG@10 with linear gain, as trec_eval computes it."""
    gains = [max(0, grades.get(document, 0)) for document in found[:10]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    dcg, best = (
        sum(gain / math.log2(place + 2) for place, gain in enumerate(row)) for row in (gains, ideal)
    )
    return dcg / best


def quality(folder: Path, report: Report) -> None:
    """nDCG@10 by parameters on the tuning sets; with `--check` the default on the others."""
    rows: dict[Parameters, list[str]] = {setting: [] for setting in SETTINGS}
    for name, splits in TUNED:
        judged = judgements(name, splits)
        judged = random.Random(1).sample(judged, min(len(judged), JUDGED))
        ids, index = index_folder(folder / name, documents(DATA / name / "corpus.jsonl"))
        for setting, row in rows.items():
            other = LexicalIndex(
                folder / name / "index", index.facts, name=name, parameters=setting
            )
            row.append(f"{score(other, ids, judged):.4f}")
    report.say(
        f"nDCG@10 on what may be tuned on (at most {JUDGED:,} queries each), the default first."
    )
    report.say()
    report.table(
        ["k1, b, title weight", *(f"{name} {'+'.join(splits)}" for name, splits in TUNED)],
        [[f"{s.k1}, {s.b}, {s.title_weight}", *row] for s, row in rows.items()],
    )
    if "--check" not in sys.argv:
        return
    checked = []
    for name, splits in CHECKED:
        ids, index = index_folder(folder / f"c{name}", documents(DATA / name / "corpus.jsonl"))
        value = f"{score(index, ids, judgements(name, splits)):.4f}"
        checked.append([f"{name} {'+'.join(splits)}", value, BARS.get((name, splits), "")])
    report.say("nDCG@10 on what may not, default parameters.")
    report.say()
    report.table(["collection", "nDCG@10", "bar"], checked)


def score(
    index: LexicalIndex, ids: Sequence[str], judged: Sequence[tuple[str, dict[str, int]]]
) -> float:
    """Mean nDCG@10."""
    values = []
    for query, grades in judged:
        labels, _ = index.search(query, 10)
        values.append(ndcg([ids[label] for label in labels.tolist()], grades))
    return sum(values) / len(values)


def ours(folder: Path) -> Built:
    """This project's index."""
    start = time.process_time()
    _, index = index_folder(folder, documents(PARAGRAPHS))
    seconds = time.process_time() - start
    return Built(lambda query: index.search(query, 10)[0].tolist(), seconds,
                 size_mib(folder / "index"))  # fmt: skip


def bm25s(folder: Path) -> Built:
    """bm25s with its own English stop words and the same stemmer."""
    import bm25s as engine
    import Stemmer

    start = time.process_time()
    stemmer = Stemmer.Stemmer("english")
    texts = [f"{document.title} {document.text}" for document in documents(PARAGRAPHS)]
    corpus = engine.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    index = engine.BM25()
    index.index(corpus, show_progress=False)
    seconds = time.process_time() - start
    index.save(str(folder / "bm25s"))

    def search(query: str) -> Sequence[Any]:
        asked = engine.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False)
        found, _ = index.retrieve(asked, k=10, show_progress=False)
        return list(found[0])

    return Built(search, seconds, size_mib(folder / "bm25s"))


def tantivy(folder: Path) -> Built:
    """tantivy with its English stemmer, title and text as fields."""
    import tantivy as engine

    start = time.process_time()
    builder = engine.SchemaBuilder()
    builder.add_unsigned_field("label", stored=True)
    for field in ("title", "text"):
        builder.add_text_field(field, tokenizer_name="en_stem")
    path = folder / "tantivy"
    path.mkdir(parents=True)
    index = engine.Index(builder.build(), path=str(path))
    writer = index.writer()
    for label, document in enumerate(documents(PARAGRAPHS)):
        writer.add_document(engine.Document(label=label, title=document.title, text=document.text))
    writer.commit()
    writer.wait_merging_threads()
    seconds = time.process_time() - start
    index.reload()
    searcher = index.searcher()

    def search(query: str) -> Sequence[Any]:
        plain = " ".join(re.findall(r"\w+", query.lower()))
        parsed = index.parse_query(plain, ["title", "text"])
        hits = searcher.search(parsed, 10).hits
        return [searcher.doc(address)["label"][0] for _, address in hits]

    return Built(search, seconds, size_mib(path))


def fts5(folder: Path) -> Built:
    """SQLite's FTS5 with its Porter stemmer, the query's words joined by OR."""
    start = time.process_time()
    path = folder / "fts5" / "index.db"
    path.parent.mkdir(parents=True)
    base = sqlite3.connect(path)
    base.execute("create virtual table texts using fts5(title, text, content='', tokenize=porter)")
    rows = ((d.title, d.text) for d in documents(PARAGRAPHS))
    base.executemany("insert into texts(title, text) values (?, ?)", rows)
    base.commit()
    seconds = time.process_time() - start

    def search(query: str) -> Sequence[Any]:
        words = [word for word in re.findall(r"\w+", query.lower()) if len(word) > 2]
        asked = " OR ".join(f'"{word}"' for word in words)
        ranked = "select rowid from texts where texts match ? order by rank limit 10"
        return base.execute(ranked, (asked,)).fetchall()

    return Built(search, seconds, size_mib(path.parent))


ENGINES: dict[str, tuple[str, Callable[[Path], Built]]] = {
    "ours": ("numpy", ours),
    "bm25s": ("bm25s", bm25s),
    "tantivy": ("tantivy", tantivy),
    "SQLite FTS5": ("sqlite3", fts5),
}


def queries(count: int) -> dict[str, list[str]]:
    """Real queries to time with, half of them claims and half of them questions."""
    chosen = {}
    for name in ("scifact", "evidence-inference"):
        texts = [row["text"] for row in lines(DATA / name / "queries.jsonl")]
        chosen[name] = random.Random(3).sample(texts, count)
    return chosen


def speed(folder: Path, report: Report) -> None:
    """Query times of every engine, query after query in turn; building and size."""
    quick = "--quick" in sys.argv
    asked = queries(50 if quick else 250)
    built = {
        name: build(folder / name)
        for name, (module, build) in ENGINES.items()
        if importlib.util.find_spec(module) is not None
    }
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for turn in range(2):
        for source, texts in asked.items():
            for place, text in enumerate(texts):
                for name, engine in built.items():
                    if name == "SQLite FTS5" and place >= 30:
                        continue  # a hundred times slower: a few do
                    start = time.thread_time()
                    engine.search(text)
                    if turn:
                        times[name, source].append(time.thread_time() - start)
    count = sum(1 for _ in lines(PARAGRAPHS))
    report.say(
        f"{count:,} paragraphs, top 10, one thread, engines in turn; bar: ours p95 5 ms."
        " Milliseconds and seconds are of the processor, so that a busy machine tells as much."
    )
    report.say()
    report.table(
        ["engine", *(f"{source}, p50 / p95 ms" for source in asked), "built, s", "documents/s",
         "MiB"],
        [
            [name, *(_both(times[name, source]) for source in asked), f"{of.seconds:.1f}",
             f"{count / of.seconds:,.0f}", f"{of.mib:.0f}"]
            for name, of in built.items()
        ],
    )  # fmt: skip
    analysis(report)


def _both(values: Sequence[float]) -> str:
    return f"{median(values) * 1e3:.2f} / {percentile(values, 0.95) * 1e3:.2f}"


def analysis(report: Report) -> None:
    """Abstracts a second through the analyser alone, on a corpus it has not met and again."""
    texts = [f"{d.title}\n{d.text}" for d in documents(DATA / "ohsumed-7400" / "corpus.jsonl")]
    rates = []
    for _ in range(4):
        start = time.process_time()
        for text in texts:
            tokens(text)
        rates.append(len(texts) / (time.process_time() - start))
    report.say(
        f"Analysis alone: {rates[0]:,.0f} abstracts a second at first, {max(rates[1:]):,.0f} once "
        "the words are known (OHSUMED)."
    )
    report.say()


def growth(report: Report) -> None:
    """Seconds and peak memory of building over 10 and 100 percent, each in its own process."""
    rows = []
    count = sum(1 for _ in lines(PARAGRAPHS))
    for share in (0.1, 1.0):
        number = round(count * share)
        command = [sys.executable, "-m", "benchmarks.lexical", "--child", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak, opening, mib = (float(value) for value in done.stdout.split())
        rows.append([f"{number:,}", f"{seconds:.1f}", f"{number / seconds:,.0f}", f"{peak:.0f}",
                     f"{opening * 1e3:.1f}", f"{mib:.1f}"])  # fmt: skip
    report.say("Reading and indexing the first paragraphs, each in a process of its own.")
    report.say()
    report.table(["documents", "s", "documents/s", "peak MiB", "opening, ms", "index, MiB"], rows)


def child(count: int) -> None:
    """Build over the first `count` paragraphs; print seconds, peak MiB, seconds to open, MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        _, index = index_folder(folder, islice(documents(PARAGRAPHS), count))
        seconds = time.process_time() - start
        # Not ru_maxrss: a child begins with its parent's.
        status = Path("/proc/self/status").read_text()
        peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
        start = time.process_time()
        LexicalIndex(folder / "index", index.facts, name="benchmark")
        opening = time.process_time() - start
        print(seconds, peak, opening, size_mib(folder / "index"))


def main() -> None:
    """Measure and print."""
    if "--child" in sys.argv:
        child(int(sys.argv[sys.argv.index("--child") + 1]))
        return
    if not DATA.is_dir():
        print(f"no data at {DATA}", file=sys.stderr)
        return
    report = Report("Lexical index")
    with tempfile.TemporaryDirectory() as name:
        quality(Path(name) / "quality", report)
        speed(Path(name) / "speed", report)
    growth(report)
    report.keep("lexical")


if __name__ == "__main__":
    main()
