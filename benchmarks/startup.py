"""How long until one can work: the command and the app against Textual itself.

    python -m benchmarks.startup [--keep] [--rounds N]

Whole processes, interleaved, medians. Baselines of the same run: `python -c "import
textual.app"` for the command, `python -c pass` for the Python interface, a Textual app that shows
one label for the app, the app with the same pane and nothing to restore for a session.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Report, Run, Terminal, environment, interleaved, median
from bioretrieval_tui.settings import SettingsStore

HELLO = """
from textual.app import App
from textual.widgets import Label
class Hello(App):
    def compose(self):
        yield Label("hello from a bare Textual app")
Hello().run()
"""
COMMAND = [sys.executable, "-m", "bioretrieval_tui"]
LEFT = {
    "pane": "papers",
    "panes": {
        "papers": {"place": "medcpt", "filter": "year>=2020", "sort": "year", "reverse": "yes"},
        "models": {"filter": "free:yes", "sort": "params"},
        "search": {"query": "statins and muscle pain", "mode": "hybrid"},
    },
}
"""The session that is restored."""


def process(command: list[str], env: dict[str, str]) -> Callable[[], float]:
    """A maker: seconds of a whole process, its output thrown away."""

    def once() -> float:
        started = time.perf_counter()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    return once


def app(command: list[str], wanted: bytes, env: dict[str, str]) -> Run:
    """One start in a pty, until `wanted` is on screen and until silence."""
    terminal = Terminal(command, env)
    try:
        shown = terminal.until(wanted)
        _, last = terminal.quiet()
        peak = terminal.peak_mib()
        return Run(shown, last - terminal.started, peak, len(terminal.output))
    finally:
        terminal.close()


def start(words: list[str], env: dict[str, str]) -> float:
    """Seconds of a processor to the first paint of Papers; the session to restore is `LEFT`."""
    store = SettingsStore(Path(env["BIORETRIEVAL_HOME"]) / "data" / "library.sqlite")
    store.set_setting("session", json.dumps(LEFT))
    terminal = Terminal([*COMMAND, *words], env)
    try:
        terminal.until(b"Copy link")
        return terminal.processor_seconds()
    finally:
        terminal.close()


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 11
    report = Report("Start-up")
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder))
        times = interleaved(
            {
                "python -c 'import textual.app'": process(
                    [sys.executable, "-c", "import textual.app"], env
                ),
                "--help": process([*COMMAND, "--help"], env),
                "list -f json": process([*COMMAND, "list", "-f", "json"], env),
                "python -c pass": process([sys.executable, "-c", "pass"], env),
                "import bioretrieval_tui": process(
                    [sys.executable, "-c", "import bioretrieval_tui"], env
                ),
            },
            rounds,
        )
        plain, imported = (
            median(times.pop(one)) * 1000 for one in ("python -c pass", "import bioretrieval_tui")
        )
        base = median(times["python -c 'import textual.app'"])
        limits = {"--help": "0.3", "list -f json": "0.5"}
        report.say(f"Whole processes, {rounds} interleaved runs, median.")
        report.say()
        report.table(
            ["process", "ms", "ratio", "bar"],
            [
                [f"`{name}`", f"{median(t) * 1000:.0f}", f"{median(t) / base:.2f}",
                 limits.get(name, "baseline")]
                for name, t in times.items()
            ],
        )  # fmt: skip
        runs: dict[str, list[Run]] = {"bare": [], "ours": []}
        for turn in range(rounds + 1):
            pair = {
                "bare": app([sys.executable, "-c", HELLO], b"hello from a bare", env),
                "ours": app(COMMAND, b"five steps", env),
            }
            if turn:
                for name, run in pair.items():
                    runs[name].append(run)
        bare, ours = runs["bare"], runs["ours"]

        def row(label: str, of: Callable[[Run], float], unit: float, bar: str) -> list[str]:
            a, b = median([of(r) for r in bare]), median([of(r) for r in ours])
            return [label, f"{a * unit:.0f}", f"{b * unit:.0f}", f"{b / a:.2f}", bar]

        report.say(f"The app with the full catalogue in a 120x40 pty, {rounds} interleaved starts.")
        report.say()
        report.table(
            ["", "bare Textual app", "bioretrieval-tui", "ratio", "bar"],
            [
                row("first paint, ms", lambda r: r.shown, 1000, "1.4"),
                row("settled, ms", lambda r: r.settled, 1000, ""),
                row("peak memory, MiB", lambda r: r.peak_mib, 1, "1.2"),
                row("bytes written", lambda r: float(r.written), 1, ""),
            ],
        )
        report.say(
            f"`import bioretrieval_tui` takes {imported - plain:.0f} ms more than `python -c pass`"
            f" ({plain:.0f} ms); bar: 60 ms."
        )
        new, left = (environment(Path(folder) / name) for name in ("new", "left"))
        starts = interleaved(
            {
                "nothing": lambda: start(["--pane", "papers", "--fresh"], new),
                "session": lambda: start([], left),
            },
            rounds,
        )
        nothing, session = (median(starts[one]) * 1000 for one in ("nothing", "session"))
        report.say(
            f"Restoring a session takes {session - nothing:.0f} ms more of a processor until the"
            f" first paint of Papers than nothing to restore ({nothing:.0f} ms); bar: 20 ms."
        )
    report.keep("startup")


if __name__ == "__main__":
    main()
