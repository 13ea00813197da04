"""An index as Parquet and back: documents a second, memory and bytes, for made-up documents.

    build    an index from JSON lines and given vectors, which an import is compared with
    export   that index as one file
    read     the file alone, documents and vectors, as an import reads it
    import   an index from the file

    python -m benchmarks.parquet [--keep] [--documents 10000 100000] [--dimension 384]

Each step is a process of its own. Abstracts are 150 words of 30,000, with authors, MeSH, DOI
and date; vectors are random and of length 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.lexical_build import processor
from benchmarks.measuring import Report
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.parquet_columns import (
    document_columns,
    rows_of,
    schema_of,
    vectors_of,
)
from bioretrieval_tui.index.parquet_export import export_index
from bioretrieval_tui.index.parquet_import import IndexExport
from bioretrieval_tui.index.vector_cache import ImportedVectors

STEPS = ("build", "export", "read", "import")


def make(folder: Path, count: int, dimension: int) -> None:
    """Corpus, vectors and their ids."""
    chance = np.random.default_rng(7)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(
        ["".join(chance.choice(letters, chance.integers(3, 11))) for _ in range(30_000)]
    )
    headings = [" ".join(words[at : at + 2]).title() for at in range(0, 4_000, 2)]
    people = [f"{words[at].title()} {words[at + 1][0].upper()}" for at in range(0, 20_000, 2)]
    with (folder / "corpus.jsonl").open("wb") as out:
        for number in range(count):
            # Some words are frequent, as in texts.
            drawn = words[(30_000 * chance.random(165) ** 3).astype(int)]
            mesh, authors = (chance.integers(0, len(some), 8) for some in (headings, people))
            record = {
                "_id": str(10_000_000 + number), "title": " ".join(drawn[:15]),
                "text": " ".join(drawn[15:]), "journal": headings[number % 900],
                "date": f"{1990 + number % 35}-{1 + number % 12:02}", "year": 1990 + number % 35,
                "doi": f"10.1000/{words[number % 30_000]}.{number}",
                "pmid": str(10_000_000 + number), "mesh": [headings[one] for one in mesh],
                "authors": [people[one] for one in authors[:5]],
            }  # fmt: skip
            out.write(msgspec.json.encode(record) + b"\n")
    vectors = chance.normal(size=(count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "vectors.npy", vectors)
    (folder / "ids.txt").write_text("\n".join(str(10_000_000 + number) for number in range(count)))


def step(name: str, folder: Path) -> None:
    """One step, in this process; prints its seconds, those of processors, and peak MiB."""
    before, started, out = processor(), time.perf_counter(), folder / "out.parquet"
    if name == "build":
        source = ImportedVectors(
            [folder / "vectors.npy"], [folder / "ids.txt"], embedded.MODEL_ID, embedded.RECIPE
        )
        build_index("bench", [folder / "corpus.jsonl"], source)
    elif name == "export":
        export_index("bench", out)
    elif name == "read":
        export = IndexExport([out])
        schema = schema_of(dimension=export.facts.dimension, passages=False)
        for batch in export.batches(out, document_columns(schema)):
            deque(rows_of(batch), 0)
        for batch in export.batches(out, ["vector"]):
            vectors_of(batch, export.facts.dimension, None)
    else:
        export = IndexExport([out])
        build_index("again", export.feed, export.vectoriser, ids=export.facts.ids)
    seconds, taken = time.perf_counter() - started, processor() - before
    # Not getrusage, whose peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(next(one for one in status.splitlines() if "VmHWM" in one).split()[1]) / 1024
    print(json.dumps([seconds, taken, peak]))


def main() -> None:
    """All steps for each number of documents."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--keep", action="store_true")
    asked.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000])
    asked.add_argument("--dimension", type=int, default=384)
    asked.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"))
    options = asked.parse_args()
    if options.step:
        step(options.step[0], Path(options.step[1]))
        return
    report = Report("An index as Parquet and back")
    rows = []
    for count in options.documents:
        with tempfile.TemporaryDirectory() as named:
            folder = Path(named)
            make(folder, count, options.dimension)
            for name in STEPS:
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.parquet", "--step", name, named],
                    env={**os.environ, "BIORETRIEVAL_HOME": str(folder / "home")},
                    stdout=subprocess.PIPE,
                    check=True,
                )
                seconds, taken, peak = json.loads(done.stdout)
                of = folder / "out.parquet"
                if name == "build":
                    of = folder / "home" / "data" / "indexes" / "bench"
                files = [of] if of.is_file() else [one for one in of.rglob("*") if one.is_file()]
                size = sum(one.stat().st_size for one in files) / 1000
                rows.append([f"{count:,}", name, f"{taken:.1f}", f"{count / taken:,.0f}",
                             f"{seconds:.1f}", f"{peak:,.0f}", f"{size / count:.2f}"])  # fmt: skip
    report.say(
        f"{options.dimension} dimensions, load {os.getloadavg()[0]:.1f} at the end. Seconds of"
        " processors, as the machine may be shared, with the import of pyarrow; memory is the peak"
        " of what is resident, with mapped files; kB a document of the index for build, of the"
        " Parquet for the others."
    )
    report.say()
    report.table(
        ["documents", "step", "s", "documents/s", "s by the clock", "peak MiB", "kB a document"],
        rows,
    )
    report.keep("parquet")


if __name__ == "__main__":
    main()
