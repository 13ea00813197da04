"""Many queries: batches against one query after the other, in one process with a warm model.

    python -m benchmarks.batch [--keep] [--rounds N]

Both answer the queries of SciFact with ten hits, in turn. The baseline asks `SearchEngine.search`
for each; `search --queries` is what the command does, from reading the file to its last line.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Report, environment, interleaved, median

SCIFACT = Path(__file__).resolve().parents[2] / "shared" / "data" / "scifact"
COUNT = 1_000
MANY = 10_000


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 5
    report = Report("Many queries at once")
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(environment(Path(home)))
        import bioretrieval_tui as br
        from bioretrieval_tui.evaluation.topics import read_queries

        index = br.build("scifact", [SCIFACT / "corpus.jsonl"])
        texts = dict(list(read_queries(SCIFACT / "queries.jsonl").texts.items())[:COUNT])
        some = dict(list(texts.items())[:200])
        rows = []
        for mode in ("hybrid", "dense", "lexical"):

            def alone(mode: str = mode) -> float:
                return _seconds(lambda: [index.search(one, mode=mode) for one in some.values()])

            def batches(mode: str = mode) -> float:
                return _seconds(lambda: list(index.search_many(some, mode=mode)))

            took = interleaved({"alone": alone, "batches": batches}, rounds)
            one, many = (median(took[name]) / len(some) * 1e3 for name in ("alone", "batches"))
            rows.append([mode, f"{one:.2f}", f"{many:.2f}", f"{one / many:.2f}"])
        report.table(["mode", "alone, ms a query", "in batches", "ratio"], rows)
        index.close()
        queries = Path(home) / "queries.tsv"
        names = list(texts.items())
        lines = (f"{n}\t{names[n % len(names)][1]}\n" for n in range(MANY))
        queries.write_text("".join(lines))
        words = ["--queries", str(queries), "-i", "scifact", "-f", "trec", "-q"]
        seconds = _seconds(lambda: _search(*words))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        report.say(f"`search --queries` of {MANY:,} queries: {seconds:.0f} s, {peak:.2f} GiB")
        once = _seconds(lambda: _search("any statin", "-i", "scifact"))
        share = once / (seconds / MANY)
        report.say(f"`search` of one, warm files: {once:.2f} s, {share:,.0f} times as long a query")
    report.keep("batch")


def _search(*words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui", "search", *words], check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
