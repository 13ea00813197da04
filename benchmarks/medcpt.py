"""NCBI's MedCPT chunks: verifying them, joining vectors with texts, and bytes a document.

    python -m benchmarks.medcpt [--keep] [--data ../shared/data] [--documents 10000 100000]
    python -m benchmarks.medcpt --write FOLDER --documents 1000000

Chunks are made in NCBI's format, of at most a million articles as its own, from real texts with
varied wording and random vectors. Each figure is of a process of its own. The join is all that a
build does with texts and vectors but graph and text index: JSON read and decoded, documents
stored, each given its vector as float16, and vectors written.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report
from bioretrieval_tui.api import catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.index.build import WINDOW
from bioretrieval_tui.index.intake import Intake, feed_files
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.vector_cache import ImportedVectors
from bioretrieval_tui.online.medcpt_chunks import (
    FORMAT,
    Chunk,
    build_from_chunks,
    check_chunk,
    chunk_in,
)
from bioretrieval_tui.progress import silent

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CHUNK = 1_000_000
DIMENSION = 768
HEADINGS = (
    "humans!", "animals!", "mice!", "adult!", "female!", "male!", "aged!", "middle aged!",
    "neoplasms!", "neoplasms!therapy", "neoplasms!therapy*", "rna, untranslated!",
    "rna, untranslated!genetics", "rna, untranslated!genetics*", "databases, nucleic acid!",
    "databases, nucleic acid*", "risk factors!", "treatment outcome!", "user-computer interface!",
    "arthritis, rheumatoid!", "arthritis, rheumatoid!drug therapy*", "retrospective studies!",
    "cross-sectional studies!", "antibodies, monoclonal!therapeutic use",
)  # fmt: skip
MEANT = 18
"""Headings and qualifiers of an article, about, as in the published sample."""
FIRST = 10_000_000
"""PMIDs of eight digits, as most are."""


def texts(data: Path) -> list[tuple[str, str]]:
    """Titles and abstracts of the corpora at hand; those of Cochrane reviews are left out, whose
    texts are paragraphs."""
    found: list[tuple[str, str]] = []
    for path in (data / "ohsumed-7400" / "corpus.jsonl", data / "scifact" / "corpus.jsonl"):
        records = map(json.loads, path.read_text().splitlines())
        found += [(one["title"], one["text"]) for one in records]
    with gzip.open(data / "pubmed-citations" / "corpus.jsonl.gz", "rt") as stream:
        titles = [json.loads(next(stream))["title"] for _ in range(20_000)]
    # A third of PubMed has no abstract.
    return found + [(one, "") for one in titles[: len(found) // 2]]


def varied(pool: Sequence[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """So many titles and abstracts: sentences of a text in another order, with words of another."""
    rng = random.Random(7)
    words = [word for _, text in pool for word in text.split()]
    for number in range(count):
        title, text = pool[number % len(pool)]
        if number >= len(pool):
            sentences = text.split(". ")
            rng.shuffle(sentences)
            parts = ". ".join(sentences).split()
            for place in range(0, len(parts), 9):
                parts[place] = rng.choice(words)
            title, text = f"{title.rstrip('.')} {rng.choice(words)} {number}.", " ".join(parts)
        yield title, text


def write_chunks(folder: Path, data: Path, count: int) -> list[Chunk]:
    """Chunks of `count` articles in all."""
    rng = np.random.default_rng(7)
    made = varied(texts(data), count)
    chunks = []
    for number, first in enumerate(range(0, count, CHUNK)):
        rows = min(CHUNK, count - first)
        chunk = chunk_in(folder, number)
        order = rng.permutation(rows)
        pmids = [str(FIRST + number * CHUNK + place) for place in range(rows)]
        chunk.ids.write_text(json.dumps([pmids[place] for place in order]))
        with chunk.documents.open("w") as out:
            for place, (title, text) in zip(range(rows), made, strict=False):
                headings = "|".join(HEADINGS[place % 7 : place % 7 + MEANT]) + "|"
                value = {"d": "20071115", "t": title, "a": text, "m": headings}
                out.write(f'{", " if place else "{"}"{pmids[place]}": {json.dumps(value)}')
            out.write("}")
        matrix = np.lib.format.open_memmap(
            chunk.vectors, mode="w+", dtype=np.float32, shape=(rows, DIMENSION)
        )
        for start in range(0, rows, 50_000):
            shape = (min(50_000, rows - start), DIMENSION)
            matrix[start : start + shape[0]] = rng.normal(0, 0.35, shape).astype(np.float32)
        matrix.flush()
        chunks.append(chunk)
    return chunks


def _recipe() -> tuple[str, Encoding]:
    entry = catalogue().entry_of("medcpt", Model)
    assert entry.weights is not None
    assert entry.encoding is not None
    return entry.weights, entry.encoding


def _source(chunks: Sequence[Chunk]) -> ImportedVectors:
    vectors, ids = [one.vectors for one in chunks], [one.ids for one in chunks]
    return ImportedVectors(vectors, ids, *_recipe(), DIMENSION)


def verify(chunks: Sequence[Chunk], _: Path) -> dict[str, float]:
    """All chunks, verified."""
    return {"documents": sum(check_chunk(one, "medcpt", DIMENSION) for one in chunks)}


def join(chunks: Sequence[Chunk], work: Path) -> dict[str, float]:
    """Texts read and stored in a thread, as in a build; vectors looked up and written in this."""
    started = time.perf_counter()
    source = _source(chunks)
    source.start()
    opened = time.perf_counter() - started
    paths = [one.documents for one in chunks]
    with (
        StoreWriter(work / "documents.sqlite") as writer,
        (work / "vectors.f16").open("wb") as out,
    ):
        intake = Intake(writer, accept=source.accept)
        intake.start(feed_files(paths, ReadSettings(format=FORMAT)))
        start = 0
        while True:
            intake.wait_for_rows(start + WINDOW, lambda: None)
            if not (documents := writer.read(start, WINDOW)):
                break
            out.write(source.vectors(documents, silent).data)
            start += len(documents)
        writer.finish()
    size = sum(path.stat().st_size for path in work.iterdir())
    return {"documents": start, "opened": opened, "bytes": size, "unused": source.unused}


def whole(chunks: Sequence[Chunk], _: Path) -> dict[str, float]:
    """The index, with graph and text index, made as by `index build --from`; its bytes."""
    model, recipe = _recipe()
    outcome = build_from_chunks("pubmed", range(len(chunks)), chunks[0].ids.parent, model, recipe)
    named = {"store": "documents.sqlite", "vectors": "vectors.f16", "graph": "graph"}
    found: dict[str, float] = dict.fromkeys((*named, "other"), 0)
    for path in index_folder("pubmed").rglob("*"):
        if path.is_file():
            what = (what for what, begins in named.items() if path.name.startswith(begins))
            found[next(what, "other")] += path.stat().st_size
    return found | {"documents": outcome.manifest.documents, "bytes": sum(found.values())}


PARTS: dict[str, Callable[[Sequence[Chunk], Path], dict[str, float]]] = {
    "verify": verify, "join": join, "whole": whole,
}  # fmt: skip


def child() -> None:
    """Called with a part and a folder of chunks: its figures as JSON on stdout."""
    folder = Path(sys.argv[2])
    chunks = [chunk_in(folder, n) for n in range(len(list(folder.glob("embeds_chunk_*"))))]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        started, used = time.perf_counter(), time.process_time()
        found = PARTS[sys.argv[1]](chunks, Path(work))
        found["seconds"] = time.perf_counter() - started
        found["processor"] = time.process_time() - used
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    found["peak"] = 1024 * int(status["VmHWM"].split()[0])
    found["anonymous"] = 1024 * int(status["RssAnon"].split()[0])
    print(json.dumps(found))


def measured(part: str, folder: Path) -> dict[str, float]:
    """The figures of a part, in a process with a home in `folder`."""
    command = [sys.executable, "-c", "from benchmarks.medcpt import child; child()", part]
    with tempfile.TemporaryDirectory(dir=folder) as home:
        env = {**os.environ, "BIORETRIEVAL_HOME": home}
        done = subprocess.run(
            [*command, str(folder)], check=True, capture_output=True, text=True, env=env
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--whole", type=int, default=20_000, help="largest index with a graph")
    parser.add_argument("--write", type=Path, help="only write chunks, into this folder")
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"no corpora in {given.data}; name their folder with --data")
    if given.write:
        given.write.mkdir(parents=True, exist_ok=True)
        write_chunks(given.write, given.data, given.documents[0])
        return
    report = Report("MedCPT's published vectors")
    rows, indexes = [], []
    for count in given.documents:
        with tempfile.TemporaryDirectory() as folder:
            chunks = write_chunks(Path(folder), given.data, count)
            size = sum(path.stat().st_size for one in chunks for path in one)
            for part in ("verify", "join"):
                one = measured(part, Path(folder))
                rows.append([
                    part,
                    f"{one['documents']:,.0f}",
                    f"{one['documents'] / one['seconds']:,.0f}",
                    f"{one['documents'] / one['processor']:,.0f}",
                    f"{size / count:,.0f}",
                    f"{one.get('bytes', 0) / count:,.0f}",
                    f"{one['peak'] / 1e6:,.0f}",
                    f"{one['anonymous'] / 1e6:,.0f}",
                ])  # fmt: skip
            if count <= given.whole:
                one = measured("whole", Path(folder))
                indexes.append([
                    f"{count:,}",
                    f"{one['documents'] / one['seconds']:,.0f}",
                    *(f"{one[name] / count:,.0f}" for name in
                      ("store", "vectors", "graph", "other", "bytes")),
                ])  # fmt: skip
    report.table(
        ["part", "documents", "a second", "a processor second", "bytes read, each",
         "bytes written, each", "peak MB", "of it anonymous at the end MB"], rows
    )  # fmt: skip
    report.say("Peak memory counts pages of mapped matrices, which the system takes back.")
    report.say()
    report.table(
        ["documents", "a second", "store", "vectors", "graph", "text, metadata", "bytes in all"],
        indexes,
    )
    report.keep("medcpt")


if __name__ == "__main__":
    main()
