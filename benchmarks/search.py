"""How long a search takes, warm and in one process: each mode, query encoding included.

    python -m benchmarks.search [--home FOLDER] [--keep]

Two indexes: SciFact with its own vectors, and 129,332 real paragraphs, whose words are their own
and whose vectors are SciFact's, shaken: so many paragraphs would take hours to encode, and a graph
must be walked among vectors that lie as real ones do. `--home` keeps both for the next run. Other
lexical engines over the same paragraphs: benchmarks/text_index.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, Terminal, environment, median, percentile
from benchmarks.quality import DATA, lines, opened
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.vector_cache import ImportedVectors
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import MODES, Query

PARAGRAPHS = DATA / "evidence-inference" / "paragraphs.jsonl.gz"
QUERIES = 300
TYPED = 12
_HITS_BYTES = 900
BARS = {("scifact", "hybrid"): 25.0, ("paragraphs", "hybrid"): 40.0, ("paragraphs", "lexical"): 5.0}
"""Milliseconds, p95."""


def paragraphs(scifact: SearchEngine) -> SearchEngine:
    """The index over the paragraphs, built if it is not there."""
    try:
        return SearchEngine.open("paragraphs", device="cpu")
    except NotFoundError:
        pass
    with gzip.open(PARAGRAPHS, "rt", encoding="utf-8") as rows:
        ids = [str(json.loads(row)["_id"]) for row in rows]
    real = scifact.index.vectors.beginnings(np.arange(scifact.index.manifest.rows))
    rng = np.random.default_rng(7)
    made = real[rng.integers(0, len(real), len(ids))]
    # A cosine of about 0.8 to the vector that it was made of: as near as two of one topic are.
    made = made + 0.038 * rng.standard_normal(made.shape, dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        vectors, names = Path(folder, "vectors.npy"), Path(folder, "ids.json")
        np.save(vectors, made.astype(np.float16))
        names.write_text(json.dumps(ids))
        source = ImportedVectors([vectors], [names], embedded.MODEL_ID, embedded.RECIPE)
        build_index("paragraphs", [PARAGRAPHS], source)
    return SearchEngine.open("paragraphs", device="cpu")


def timed(engine: SearchEngine, queries: Sequence[str], mode: str) -> list[float]:
    """Milliseconds of each query, from its text to ten hits with their texts."""
    for query in queries[:10]:
        engine.search(Query(text=query, mode=mode))
    spent = []
    for query in queries:
        start = time.perf_counter()
        engine.search(Query(text=query, mode=mode))
        spent.append((time.perf_counter() - start) * 1e3)
    return spent


def encoding(engine: SearchEngine, queries: Sequence[str]) -> list[float]:
    """Milliseconds of encoding each query, which is part of what hybrid and dense take."""
    spent = []
    for query in queries:
        start = time.perf_counter()
        engine.load().encode_queries([query])
        spent.append((time.perf_counter() - start) * 1e3)
    return spent


def typing(home: Path, queries: Sequence[str]) -> list[float]:
    """Milliseconds from a key to painted hits, in the app in a pty, its pause before a search
    included: a query stands there but for its last word, which then comes at once."""
    terminal = Terminal(
        [sys.executable, "-m", "bioretrieval_tui"], environment(home), columns=120, rows=40
    )
    spent = []
    try:
        terminal.until(b"five steps")
        terminal.quiet()
        terminal.send(b"9")
        terminal.quiet(3.0)
        terminal.send(b"\x1b")
        terminal.quiet(1.0)
        while b"scifact" not in terminal.output:
            terminal.send(b"x")
            terminal.quiet(2.0)
        for query in queries:
            most, _, last = query.rpartition(" ")
            terminal.send(b"/")
            terminal.quiet(0.3)
            terminal.send(b"\x15" + most.encode())
            terminal.quiet(1.2)
            terminal.output = b""
            sent = time.perf_counter()
            terminal.send(b" " + last.encode())
            # The key itself and "searching" are few bytes, a screen of other hits is many.
            while len(terminal.output) < _HITS_BYTES and time.perf_counter() - sent < 3:
                terminal.read(0.01)
            if len(terminal.output) >= _HITS_BYTES:
                spent.append((time.perf_counter() - sent) * 1e3)
            terminal.quiet(0.8)
            terminal.send(b"\x1b")
            terminal.quiet(0.3)
    finally:
        terminal.close()
    return spent


def main() -> None:
    """Time every mode over both indexes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    report = Report("Search speed")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BIORETRIEVAL_HOME"] = str(given.home or scratch)
        scifact = opened("scifact")
        claims = [row["text"] for row in lines(DATA / "scifact" / "queries.jsonl")][:QUERIES]
        report.say(
            f"{QUERIES} claims of SciFact, warm, in process, from the text of a query to ten hits"
            " with their texts, encoding included."
        )
        report.say()
        rows = []
        spent = encoding(scifact, claims)
        rows.append(
            ["encoding alone", "", f"{median(spent):.1f}", f"{percentile(spent, 0.95):.1f}", ""]
        )
        for name, engine in (("scifact", scifact), ("paragraphs", paragraphs(scifact))):
            for mode in MODES:
                spent = timed(engine, claims, mode)
                bar = BARS.get((name, mode))
                rows.append(
                    [
                        f"{name}, {engine.index.manifest.documents:,}",
                        mode,
                        f"{median(spent):.1f}",
                        f"{percentile(spent, 0.95):.1f}",
                        "" if bar is None else f"{bar:.0f}",
                    ]
                )
        report.table(["index", "mode", "p50 ms", "p95 ms", "bar, p95"], rows)
        home = Path(os.environ["BIORETRIEVAL_HOME"])
        spent = typing(home, claims[:TYPED])
        report.say(
            f"In the app, from a key to painted hits of SciFact (hybrid), over {len(spent)} of"
            f" {TYPED} queries: p50 {median(spent):.0f} ms, p95 {percentile(spent, 0.95):.0f} ms;"
            " bar 250 ms at p95. What changed fewer than"
            f" {_HITS_BYTES} bytes of the screen is left out."
        )
        report.say()
    report.keep("search")


if __name__ == "__main__":
    main()
