"""Documents of half a megabyte: memory follows what the model reads, not their length.

    python -m benchmarks.long_texts [--keep] [--documents N]

`index build` over N such documents (300) in a process of its own: its peak memory, and the longest
time between two steps of progress, against the same number of documents of 1 kB. The texts are
words drawn from SciFact's claims. Bars: 0.6 GB, and no step over 5 s.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Report, environment

WORDS = Path("../shared/data/scifact/queries.jsonl")
SIZES = (1_000, 500_000)


def write(path: Path, documents: int, size: int, words: list[str]) -> None:
    """A corpus of texts of about `size` bytes."""
    chance = random.Random(size)
    with path.open("w", encoding="utf-8") as out:
        for number in range(documents):
            text = " ".join(chance.choices(words, k=size // 7))[:size]
            out.write(json.dumps({"_id": str(number), "title": "T", "text": text}) + "\n")


def built(corpus: Path, env: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of a build, the longest between two steps of progress, and peak MiB."""
    command = [sys.executable, "-m", "bioretrieval_tui", "index", "build", corpus.stem, str(corpus)]
    started = last = time.perf_counter()
    longest = 0.0
    with subprocess.Popen(
        [*command, "--progress", "json"], env=env, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        for _ in child.stderr:
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        # Of this child alone, unlike the peak of all children.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"the build over {corpus.name} failed")
    return time.perf_counter() - started, longest, usage.ru_maxrss / 1024


def main() -> None:
    """Build both corpora and print."""
    count = int(sys.argv[sys.argv.index("--documents") + 1]) if "--documents" in sys.argv else 300
    words = [
        word for line in WORDS.open(encoding="utf-8") for word in json.loads(line)["text"].split()
    ]
    report = Report("Long texts")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder, "home"))
        warm = Path(folder, "warm.jsonl")
        write(warm, 2, SIZES[0], words)
        built(warm, env)  # prepares the encoder once
        for size in SIZES:
            corpus = Path(folder, f"of-{size}.jsonl")
            write(corpus, count, size, words)
            took, longest, peak = built(corpus, env)
            rows.append((f"{size:,}", f"{took:.1f}", f"{longest:.1f}", f"{peak:.0f}"))
    report.say(f"{count:,} documents; bars: no step over 5 s, 600 MB.")
    report.say()
    report.table(("bytes a document", "s", "longest step, s", "peak, MiB"), rows)
    report.keep("long_texts")


if __name__ == "__main__":
    main()
