"""Reading and storing at scale, for `benchmarks.indexing`: speed, memory, and how both grow."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, interleaved, median
from bioretrieval_tui.documents.detect import items, recognise
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.index.build import WINDOW
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.text_index import TextIndexWriter


def store(path: Path, limit: int, work: Path) -> dict[str, float]:
    """Read, store and index the text of up to `limit` records; seconds of each, peak bytes."""
    started = time.perf_counter()
    with StoreWriter(work / "documents.sqlite") as writer, SourceReader(path) as source:
        intake = Intake(writer)
        for item in itertools.islice(items(source, recognise(source), ReadSettings()), limit):
            intake.take(item)
        stored = time.perf_counter()
        with TextIndexWriter(work / "text") as text:
            label = 0
            while some := writer.read(label, WINDOW):
                text.add(label, some)
                label += len(some)
            dead = np.array(sorted(writer.died), dtype=np.int64)
            text.finish(dead=dead, documents=writer.next - len(dead), total=writer.next)
        done = time.perf_counter()
        read = intake.report.read
        writer.finish()
    # Not `getrusage`: its peak begins with that of the process that this one was forked from.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])
    return {"read": read, "store": stored - started, "text": done - stored, "peak": peak}


def main() -> None:
    """A child, called with a file and a limit: its figures as JSON on stdout."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(store(Path(sys.argv[1]), int(sys.argv[2]), Path(folder))))


def scale(report: Report, data: Path) -> None:
    """From 10 to 100 percent of two large files, each in a process of its own."""
    rows = []
    for path, total in (
        (data / "evidence-inference" / "paragraphs.jsonl.gz", 129_332),
        (data / "pubmed-citations" / "corpus.jsonl.gz", 172_406),
    ):
        for share in (0.1, 0.5, 1.0):
            command = [sys.executable, "-c", "from benchmarks.reading import main; main()"]
            command += [str(path), str(round(share * total))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            one = json.loads(done.stdout)
            rows.append(
                [
                    f"{path.parent.name}, {share:.0%}",
                    f"{one['read']:,}",
                    f"{one['read'] / one['store']:,.0f}",
                    f"{one['read'] / one['text']:,.0f}",
                    f"{one['read'] / (one['store'] + one['text']):,.0f}",
                    f"{one['peak'] / 1e6:.0f}",
                ]
            )
    report.say("Reading, storing and lexical indexing, one process each.")
    report.say()
    report.table(
        ["corpus", "records", "read and stored/s", "text indexed/s", "both/s", "peak MB"], rows
    )


def _records(samples: Path) -> Iterator[bytes]:
    """The articles of every PubMed XML sample, as they stand."""
    for path in sorted(samples.rglob("pubmed*.xml")):
        yield from re.findall(rb"(?s)<PubmedArticle>.*?</PubmedArticle>\s*", path.read_bytes())


def bulk(report: Report, data: Path, rounds: int, megabytes: int = 200) -> None:
    """PubMed XML against a bare iterparse over the same bytes."""
    records = b"".join(_records(data / "importer-samples"))
    head, tail = b'<?xml version="1.0"?>\n<PubmedArticleSet>\n', b"</PubmedArticleSet>\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bulk.xml"
        copies = megabytes * 1_000_000 // len(records)
        with path.open("wb") as out:
            out.write(head)
            for _ in range(copies):
                out.write(records)
            out.write(tail)
        counts: dict[str, int] = {}

        def bare() -> float:
            from lxml import etree

            started = time.perf_counter()
            count = 0
            for _, element in etree.iterparse(str(path), tag="PubmedArticle"):
                count += 1
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
            counts["bare"] = count
            return time.perf_counter() - started

        def ours() -> float:
            started = time.perf_counter()
            with SourceReader(path) as source:
                format_ = recognise(source)
                counts["ours"] = sum(1 for _ in items(source, format_, ReadSettings()))
            return time.perf_counter() - started

        times = interleaved({"bare": bare, "ours": ours}, rounds)
        size = path.stat().st_size / 1e6
    ratio = median(times["bare"]) / median(times["ours"])
    report.say(
        f"PubMed XML, {size:.0f} MB, {counts['ours']:,} records read ({counts['bare']:,} seen by"
        f" iterparse): {size / median(times['ours']):.0f} MB/s against"
        f" {size / median(times['bare']):.0f} MB/s of a bare lxml iterparse, ratio {ratio:.2f}"
        " (bar 0.8)."
    )
    report.say()
