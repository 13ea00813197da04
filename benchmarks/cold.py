"""The cold path, for `benchmarks.indexing`: `search` from a shell against the shortest script."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, environment, interleaved, median
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.index.layout import GRAPH
from bioretrieval_tui.index.registry import manifest_of

QUERY = "statins lower the risk of dementia in older adults"
SCRIPT = """
import sys
import hnswlib
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
index = hnswlib.Index(space="ip", dim=384)
index.load_index(sys.argv[2])
index.set_ef(100)
labels, distances = index.knn_query(model.encode([sys.argv[3]]), k=10)
for label, distance in zip(labels[0], distances[0]):
    print(label, 1 - distance)
"""


LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
taken = time.perf_counter() - started
if status:
    sys.exit(f"{sys.argv[1]} ended with {status}")
print(json.dumps([taken, usage.ru_maxrss]))
"""
# A child begins with the peak of the process that it was forked from, so a small one forks it.


def measured(command: list[str], env: dict[str, str], peaks: list[float]) -> Callable[[], float]:
    """A maker: seconds of a whole process; its peak memory (MiB) goes into `peaks`."""

    def once() -> float:
        launcher = [sys.executable, "-S", "-c", LAUNCHER, *command]
        done = subprocess.run(launcher, env=env, check=True, capture_output=True, text=True)
        taken, peak = json.loads(done.stdout.splitlines()[-1])
        peaks.append(peak / 1024)
        return float(taken)

    return once


def cold_search(report: Report, home: Path, index: str, rounds: int) -> None:
    """Whole processes over an index that is there: import, load, encode, search, print."""
    manifest = manifest_of(index)
    graph = home / "data" / "indexes" / index / manifest.path(GRAPH)
    peaks: dict[str, list[float]] = {"script": [], "search": []}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT)
        env = environment(home)
        env["HF_HUB_OFFLINE"] = "1"
        plain = [sys.executable, str(script), str(embedded.verify()), str(graph), QUERY]
        ours = [sys.executable, "-m", "bioretrieval_tui", "search", QUERY, "-i", index]
        times = interleaved(
            {
                "script": measured(plain, env, peaks["script"]),
                "search": measured([*ours, "-f", "json"], env, peaks["search"]),
            },
            rounds,
        )
    seconds = {name: median(values) for name, values in times.items()}
    memory = {name: float(np.median(values)) for name, values in peaks.items()}
    report.say(
        f"Cold search over {index} ({manifest.documents:,} documents), {rounds} interleaved runs"
        " of whole processes."
    )
    report.say()
    report.table(
        ["", "ms", "ratio", "bar", "peak MiB", "ratio", "bar"],
        [
            ["sentence-transformers and hnswlib, the shortest script",
             f"{1000 * seconds['script']:.0f}", "1.00", "", f"{memory['script']:.0f}", "1.00", ""],
            ["`bioretrieval-tui search`", f"{1000 * seconds['search']:.0f}",
             f"{seconds['search'] / seconds['script']:.3f}", "0.15", f"{memory['search']:.0f}",
             f"{memory['search'] / memory['script']:.2f}", "0.5"],
        ],
    )  # fmt: skip
