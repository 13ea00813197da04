"""The board: from a key to its last painted byte, and from a shell to all scores of a benchmark.

    python -m benchmarks.board [--keep] [--rounds N]

Apps in a pty of 120x40, restarted for each round: the digit opens the leaderboard while the public
board is read in a thread, `v` shows all models by all benchmarks, `s` sorts by the next column,
letters narrow the filter, `p` plots. The baselines stand in the same run: for keys the same app's
list of benchmarks, for the shell `python -c "import textual.app"`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.measuring import Report, Terminal, environment, interleaved, median, percentile
from benchmarks.startup import COMMAND, process

FILTER = b"params<=500M lic"


def pressed(terminal: Terminal, key: bytes) -> float:
    """Milliseconds from a key to the last byte of what it changed."""
    sent = time.perf_counter()
    terminal.send(key)
    if not (first := terminal.read(2.0)):
        return 2000.0
    painted = time.perf_counter()
    rest, last = terminal.quiet(0.15)
    return ((last if rest else painted) - sent) * 1000 if first else 0.0


def round_of(env: dict[str, str], times: dict[str, list[float]]) -> None:
    """One start of the app, and every key once or more."""
    terminal = Terminal(COMMAND, env)
    try:
        terminal.quiet(1.5)
        times["a list of the catalogue (6), baseline"].append(pressed(terminal, b"6"))
        terminal.quiet(0.5)
        times["recipes, the board read behind (7)"].append(pressed(terminal, b"7"))
        terminal.quiet(0.8)
        times["all models by all benchmarks (v)"].append(pressed(terminal, b"v"))
        for _ in range(6):
            terminal.send(b">")
            terminal.quiet(0.3)
            times["sort (s)"].append(pressed(terminal, b"s"))
        times["heat map (m)"].append(pressed(terminal, b"m"))
        terminal.send(b"m")
        terminal.quiet(0.3)
        terminal.send(b"/")
        terminal.quiet(0.3)
        for letter in FILTER:
            times["a letter of the filter"].append(pressed(terminal, bytes([letter])))
        terminal.send(b"\x1b")
        terminal.quiet(0.6)
        times["plot (p)"].append(pressed(terminal, b"p"))
    finally:
        terminal.close()


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 9
    report = Report("The board")
    times: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder))
        for _ in range(rounds):
            round_of(env, times)
        shell = interleaved(
            {
                "import textual.app": process([sys.executable, "-c", "import textual.app"], env),
                "results -b scifact -f json": process(
                    [*COMMAND, "results", "-b", "scifact", "-f", "json"], env
                ),
                "results --wide -f json": process(
                    [*COMMAND, "results", "--wide", "-f", "json"], env
                ),
                "list -f json": process([*COMMAND, "list", "-f", "json"], env),
            },
            rounds,
        )
    report.say("## Keys, until the last byte of the frame")
    report.say()
    base = median(next(iter(times.values())))
    report.table(
        ["", "p50 ms", "p95 ms", "of the baseline"],
        [[name, f"{median(t):.1f}", f"{percentile(t, 0.95):.1f}", f"{median(t) / base:.2f}"]
         for name, t in times.items()],
    )  # fmt: skip
    report.say("Bars: all models 60 ms, sort and filter 16 ms, plot 100 ms, each p95.")
    report.say()
    report.say("## The shell, whole processes")
    report.say()
    first = median(shell["import textual.app"])
    report.table(
        ["", "ms", "of `import textual.app`"],
        [
            [name, f"{median(t) * 1000:.0f}", f"{median(t) / first:.2f}"]
            for name, t in shell.items()
        ],
    )  # fmt: skip
    report.say("Bars: results of a benchmark 0.6, list 0.5.")
    report.keep("board")


if __name__ == "__main__":
    main()
