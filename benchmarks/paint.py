"""A cursor key, from the write into the pty to the painted frame, and the bytes that it costs.

    python -m benchmarks.paint [--keep]

At 120x40 in truecolor, in the lists that the app opens with. The baseline is a bare Textual app
that shows the rows of the same catalogue list in a `DataTable`; both run at the same time and get
their keys in turn, so that a busy machine treats them alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Report, Terminal, environment, median, percentile

KEYS = 60
LISTS = (("3", "papers"), ("4", "models"), ("6", "benchmarks"))
COMMAND = [sys.executable, "-m", "bioretrieval_tui"]
BARE = """
import json, sys
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [("j", "down", "Down"), ("k", "up", "Up")]
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        table = self.query_one(DataTable)
        rows = json.load(open(sys.argv[1]))
        table.add_columns("Name", "Year", "Tags", "Id")
        table.add_rows(rows)
        table.focus()
    def action_down(self):
        self.query_one(DataTable).action_cursor_down()
    def action_up(self):
        self.query_one(DataTable).action_cursor_up()
Bare().run()
"""


class Side:
    """One app in a pty: milliseconds and bytes of each key."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.times: list[float] = []
        self.sizes: list[int] = []

    def press(self, key: bytes) -> None:
        """Send a key, wait for the first bytes of its frame, then for silence."""
        sent = time.perf_counter()
        self.terminal.send(key)
        first = self.terminal.read(1.0)
        painted = (time.perf_counter() - sent) * 1000
        rest, _ = self.terminal.quiet(0.12)
        if first:
            self.times.append(painted)
            self.sizes.append(len(first) + len(rest))


def listed(kind: str, env: dict[str, str]) -> list[list[str]]:
    """The rows of a list as the command line prints them, for the baseline."""
    command = [*COMMAND, "list", kind, "-f", "json"]
    entries = json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
    return [
        [str(e.get("name")), str(e.get("year", "")), " ".join(e.get("tags", [])), str(e.get("id"))]
        for e in entries
    ]


def measure(digit: str, kind: str, folder: Path) -> tuple[Side, Side, int]:
    """Both sides of one list, and the bytes that ours sends in three idle seconds."""
    env = environment(folder)
    rows = folder / f"{kind}.json"
    rows.write_text(json.dumps(listed(kind, env)))
    ours = Side(Terminal(COMMAND, env))
    bare = Side(Terminal([sys.executable, "-c", BARE, str(rows)], env))
    try:
        ours.terminal.quiet(1.5)
        bare.terminal.quiet(1.5)
        ours.terminal.send(digit.encode())
        ours.terminal.quiet(0.8)
        for _ in range(3):
            bare.terminal.send(b"j")
            ours.terminal.send(b"j")
            ours.terminal.quiet(0.8)
        bare.terminal.quiet(0.5)
        for number in range(KEYS):
            for side in (ours, bare):
                side.press(b"j" if number % 40 < 20 else b"k")
        ours.terminal.quiet(1.0)  # the page follows the cursor that rests
        idle = len(ours.terminal.read(3.0))
        return ours, bare, idle
    finally:
        ours.terminal.close()
        bare.terminal.close()


def main() -> None:
    """Measure and print."""
    report = Report("A cursor key")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for digit, kind in LISTS:
            ours, bare, idle = measure(digit, kind, Path(folder))
            base = median(bare.times)
            for name, side in ((f"{kind}, the app", ours), (f"{kind}, `DataTable`", bare)):
                rows.append(
                    [name, f"{median(side.times):.1f}", f"{percentile(side.times, 0.95):.1f}",
                     f"{median(side.times) / base:.2f}", f"{median(side.sizes):.0f}",
                     str(max(side.sizes)), str(idle) if side is ours else ""]
                )  # fmt: skip
    report.table(
        ["list", "key to paint p50 ms", "p95 ms", "of `DataTable`", "bytes p50", "bytes max",
         "idle bytes in 3 s"],
        rows,
    )  # fmt: skip
    report.say("Bars: p50 10 ms and p95 16 ms; at most 1,600 bytes a key; 0 bytes when idle.")
    report.keep("paint")


if __name__ == "__main__":
    main()
