"""The first search after an install: seconds in a fresh home until hits are shown.

    python -m benchmarks.first_hit [--keep] [--rounds N]

The baseline is the shortest script that answers the same query: sentence-transformers encodes the
catalogue's entries, hnswlib finds the nearest. Each run has a home of its own; byte code is kept.
A checkout must be as `pip install -e .` leaves it, with the catalogue compiled beside the code:
otherwise every fresh home reads all of the YAML.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Report, Terminal, environment, interleaved, median

QUERY = "late interaction for clinical trials"
COMMAND = [sys.executable, "-m", "bioretrieval_tui"]
SCRIPT = """
import json, sys
import hnswlib
from sentence_transformers import SentenceTransformer
from bioretrieval_tui.encoding import embedded
texts = json.load(open(sys.argv[1]))
model = SentenceTransformer(str(embedded.locate()), device="cpu")
vectors = model.encode(texts, normalize_embeddings=True)
graph = hnswlib.Index("cosine", vectors.shape[1])
graph.init_index(len(texts))
graph.add_items(vectors)
labels, _ = graph.knn_query(model.encode([sys.argv[2]]), k=10)
print(*(texts[label][:60] for label in labels[0]), sep="\\n")
"""


def shell(*words: str) -> float:
    """Seconds of a whole call in a fresh home."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        started = time.perf_counter()
        subprocess.run(
            words, env=environment(Path(home)), check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return time.perf_counter() - started


def in_app(idle: float, *, last: bool = False) -> float:
    """Seconds in a fresh home from the first letter of a query until hits are painted.

    idle: seconds that the app has been shown when Search is opened; last: until the last hits,
    those of hybrid search, after which nothing is painted for some seconds.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        terminal = Terminal(COMMAND, environment(Path(home)))
        try:
            terminal.until(b"five steps")
            until = time.perf_counter() + idle
            while time.perf_counter() < until:
                terminal.read(0.02)
            terminal.send(b"9")
            terminal.quiet(0.2)
            begun = time.perf_counter()
            terminal.send(QUERY.encode())
            while not any(said in terminal.output for said in (b" hits", b"top 100")):
                if time.perf_counter() - begun > 120:
                    raise TimeoutError("no hits came")
                terminal.read(0.05)
            shown = time.perf_counter() - begun
            return terminal.quiet(3.0)[1] - begun if last else shown
        finally:
            terminal.close()


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 5
    report = Report("The first search after an install")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as entries:
        listed = subprocess.run(
            [*COMMAND, "list", "-f", "json"], check=True, capture_output=True
        ).stdout
        json.dump([f"{one['name']} {one['summary']}" for one in json.loads(listed)], entries)
        entries.flush()
        script = [sys.executable, "-c", SCRIPT, entries.name, QUERY]
        bm25 = [*COMMAND, "search", QUERY, "-m", "lexical"]
        times = interleaved(
            {
                "script: sentence-transformers and hnswlib": lambda: shell(*script),
                "app: first hits, opened at once": lambda: in_app(0.0),
                "app: first hits, after two seconds": lambda: in_app(2.0),
                "app: hybrid hits, opened at once": lambda: in_app(0.0, last=True),
                "shell: search -m lexical": lambda: shell(*bm25),
                "shell: search (hybrid)": lambda: shell(*COMMAND, "search", QUERY),
            },
            rounds,
        )
    base = median(next(iter(times.values())))
    bars = {"app: first hits, opened at once": "1.0 s", "shell: search -m lexical": "0.6 s"}
    report.say(f"Seconds, median of {rounds} interleaved runs, each in a fresh home.")
    report.say()
    report.table(
        ["", "s", "of the script", "bar"],
        [
            [name, f"{median(found):.2f}", f"{median(found) / base:.3f}", bars.get(name, "")]
            for name, found in times.items()
        ],
    )
    report.keep("first_hit")


if __name__ == "__main__":
    main()
