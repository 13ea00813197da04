"""Building for BM25 alone: documents a second of each stage, and the whole against a short script.

    python -m benchmarks.lexical_build [--keep] [--data ../shared/data] [--rounds 1]

The script reads the same compressed file with msgspec and adds title and text to a tantivy index:
it has no store, filters, duplicates or checks. Times are the processor's, of all threads and
children, as the machine may be shared; for the whole also the clock's, where two processes share
the work. The bar is 20 s by the clock on two idle cores.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import tantivy

from benchmarks.measuring import Report, median
from bioretrieval_tui.documents.detect import items, recognise
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.index.build import WINDOW, build_index
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.metadata import write_metadata
from bioretrieval_tui.index.text_index import TextIndexWriter
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CORPUS = Path("pubmed-citations") / "corpus.jsonl.gz"
WHOLE, SCRIPT = "the whole build", "the shortest script"


class Line(msgspec.Struct):
    """What the script reads of a line."""

    _id: str
    title: str = ""
    text: str = ""


def processor() -> float:
    """Seconds of this process and of its ended children."""
    return sum(os.times()[:4])


def script(path: Path, work: Path) -> int:
    """The shortest sensible program that makes the file searchable."""
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("id", stored=True, tokenizer_name="raw")
    schema.add_text_field("body", tokenizer_name="en_stem")
    index = tantivy.Index(schema.build(), path=str(work))
    writer = index.writer(heap_size=64 * 2**20, num_threads=1)
    decoder = msgspec.json.Decoder(Line)
    with gzip.open(path) as lines:
        for line in lines:
            one = decoder.decode(line)
            writer.add_document(tantivy.Document(id=one._id, body=f"{one.title} {one.text}"))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return int(index.searcher().num_docs)


def stages(path: Path, work: Path, took: Callable[[str, float], None]) -> int:
    """Each stage of a build alone, one after the other, in this process."""
    started = processor()
    with SourceReader(path) as source:
        found = list(items(source, recognise(source), ReadSettings()))
    took("reading", processor() - started)
    with StoreWriter(work / "documents.sqlite") as writer:
        writer.dedupe, writer.keeps_works = "report", True
        intake, started = Intake(writer), processor()
        for item in found:
            intake.take(item)
        took("duplicates and store", processor() - started)
        count, documents = len(found), list[Document]()
        del found
        while some := writer.read(len(documents), WINDOW):
            documents += some
        writer.finish()
        dead = np.array(sorted(writer.died), dtype=np.int64)
        total = writer.next
    started = processor()
    with TextIndexWriter(work / "text") as text:
        for first in range(0, total, WINDOW):
            text.add(first, documents[first : first + WINDOW])
        text.finish(dead=dead, documents=total - len(dead), total=total)
    took("text index", processor() - started)
    store, started = DocumentStore([work / "documents.sqlite"]), processor()
    write_metadata(work / "metadata", store, base=None, dead=dead)
    took("metadata", processor() - started)
    store.close()
    return count


def main() -> None:
    """One round after the other; the medians."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--keep", action="store_true")
    asked.add_argument("--data", type=Path, default=DATA)
    asked.add_argument("--rounds", type=int, default=1)
    options = asked.parse_args()
    path, count, hits = options.data / CORPUS, 0, 0
    times: dict[str, list[float]] = {}
    clock: dict[str, list[float]] = {WHOLE: [], SCRIPT: []}

    def took(stage: str, seconds: float) -> None:
        times.setdefault(stage, []).append(seconds)

    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            os.environ["BIORETRIEVAL_HOME"] = str(work / "home")
            (work / "script").mkdir()
            started, before = processor(), time.perf_counter()
            build_index("bench", [path], Vectoriser(embedded_facts()))
            took(WHOLE, processor() - started)
            clock[WHOLE].append(time.perf_counter() - before)
            started, before = processor(), time.perf_counter()
            hits = script(path, work / "script")
            took(SCRIPT, processor() - started)
            clock[SCRIPT].append(time.perf_counter() - before)
            count = stages(path, work, took)

    report = Report("Building for BM25 alone")
    report.say(
        f"{count:,} records ({hits:,} in the script's index), {options.rounds} rounds, load"
        f" {os.getloadavg()[0]:.1f} at the end. Seconds of the processor, except the last column."
    )
    report.say()
    report.table(
        ["stage", "s", "documents/s", "s by the clock"],
        [
            [stage, f"{median(some):.1f}", f"{count / median(some):,.0f}",
             f"{median(clock[stage]):.1f}" if stage in clock else ""]
            for stage, some in times.items()
        ],
    )  # fmt: skip
    ratio, by_clock = (median(one[WHOLE]) / median(one[SCRIPT]) for one in (times, clock))
    report.say(
        f"Whole by script: {ratio:.1f} of the processor's time, {by_clock:.1f} by the clock."
    )
    report.keep("lexical_build")


if __name__ == "__main__":
    main()
