"""Fetching from a local server that speaks as PubMed does: which share of the allowed rate is
reached, and whether memory stays flat.

The server and the command run in processes of their own. The allowed rate is that of the requests
(3 a second, or 10 with a key) times the records of each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Report, median
from bioretrieval_tui.online.searches import PUBMED_PAGE

SERVER = Path(__file__).resolve().parents[1] / "tests" / "online" / "server.py"
BAR = 0.8
MEMORY_BAR = 1.1
SIZES = (1_000, 5_000, 10_000)
# Not `getrusage`: its peak starts at that of the parent process.
CODE = """
import sys, time
started = time.perf_counter()
from bioretrieval_tui.main import run
code = run(sys.argv[1:])
peak = next(x for x in open("/proc/self/status") if x.startswith("VmHWM")).split()[1]
print(code, time.perf_counter() - started, int(peak) * 1024, file=sys.stderr)
"""


@contextlib.contextmanager
def served(records: int) -> Iterator[dict[str, str]]:
    """Run a server with so many records; gives the environment variables that lead to it."""
    words = [sys.executable, str(SERVER), str(records)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline().split()[1] for _ in range(5)]
            yield dict(line.split("=", 1) for line in lines)
        finally:
            server.terminate()


def fetched(records: int, key: str | None) -> tuple[float, int]:
    """Return seconds and peak bytes of one fetch."""
    with served(records) as places, tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.casefold()}
        env |= {**places, "BIORETRIEVAL_HOME": folder, "BIORETRIEVAL_OFFLINE": "0"}
        env.pop("NCBI_API_KEY", None)
        if key:
            env["NCBI_API_KEY"] = key
        output = Path(folder) / "records.jsonl"
        words = [sys.executable, "-c", CODE, "fetch", "pubmed", "birds", "-q", "-o", str(output)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        code, seconds, peak = done.stderr.split()[-3:]
        with output.open("rb") as lines:
            names = {json.loads(line)["_id"] for line in lines}
    if code != "0" or len(names) != records:
        raise SystemExit(f"{len(names):,} of {records:,} records arrived: {done.stderr}")
    return float(seconds), int(peak)


def main() -> None:
    """Measure, and with --keep write benchmarks/results/fetching.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    report = Report("Fetching")
    report.say("`fetch pubmed -o FILE` from a local server, from start to end of the process.")
    report.say()
    rows: list[list[str]] = []
    shares: dict[tuple[str | None, int], float] = {}
    peaks: list[float] = []
    for key, rate in ((None, 3), ("any-key-of-the-local-server", 10)):
        for records in SIZES:
            runs = [fetched(records, key) for _ in range(given.rounds)]
            seconds, peak = median([run[0] for run in runs]), median([run[1] for run in runs])
            allowed = rate * PUBMED_PAGE
            shares[key, records] = records / seconds / allowed
            peaks.append(peak)
            rows.append(
                [
                    "with a key" if key else "without a key",
                    f"{records:,}",
                    f"{seconds:.1f}",
                    f"{records / seconds:,.0f}",
                    f"{allowed:,}",
                    f"{shares[key, records]:.2f}",
                    f"{peak / 1e6:.0f}",
                ]
            )
    report.table(["", "records", "s", "records/s", "allowed records/s", "share", "peak MB"], rows)
    growth = max(peaks) / min(peaks)
    keyed = next(share for (key, records), share in shares.items() if key and records == 10_000)
    report.say(
        f"Of 10,000 records the share is {shares[None, 10_000]:.2f} without a key (bar {BAR}), and"
        f" {keyed:.2f} with one, where the start of the process and the searches, which are"
        " requests too, weigh more; no bar is set there. Peak memory of the largest over that of"
        f" the smallest run: {growth:.2f} (bar {MEMORY_BAR})."
    )
    report.keep("fetching")
    if shares[None, 10_000] < BAR or growth > MEMORY_BAR:
        sys.exit(1)


if __name__ == "__main__":
    main()
