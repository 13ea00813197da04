"""How long a pane takes to be shown: the first time in an app, and again.

    python -m benchmarks.panes [--keep] [--rounds N]

In this process, at 120x40, from the key until nothing is left to paint; every round has an app of
its own. The baseline of the same run is a Textual app whose screens hold one label.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections import defaultdict
from typing import Any

from textual.app import App
from textual.screen import Screen
from textual.widgets import Label

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.tui.app import BioRetrievalApp

SIZE = (120, 40)


class OneLabel(Screen[None]):
    """The least that a screen can hold."""

    def compose(self) -> Any:
        """A label."""
        yield Label("a label")


async def bare(rounds: int) -> list[float]:
    """Milliseconds to show a screen of a bare app."""
    found = []
    app: App[None] = App()
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(rounds * len(PANES)):
            begun = time.perf_counter()
            await app.push_screen(OneLabel())
            await pilot.pause(0)
            found.append((time.perf_counter() - begun) * 1000)
            app.pop_screen()
            await pilot.pause(0)
    return found


async def visits(first: dict[str, list[float]], again: dict[str, list[float]]) -> None:
    """Visit all panes of a new app three times; the first visit counts apart."""
    app = BioRetrievalApp(load().catalogue)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(0.3)
        for turn in range(3):
            for name, _, _ in [*PANES[1:], PANES[0]]:
                gc.collect()
                begun = time.perf_counter()
                await app.action_go(name)
                await pilot.pause(0)
                (again if turn else first)[name].append((time.perf_counter() - begun) * 1000)
                await pilot.pause(0.15)


Times = dict[str, list[float]]


async def measured(rounds: int) -> tuple[list[float], Times, Times]:
    """The bare screens, first visits and later visits."""
    first: Times = defaultdict(list)
    again: Times = defaultdict(list)
    base = []
    for _ in range(rounds):
        base += await bare(1)
        await visits(first, again)
    return base, first, again


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 7
    with tempfile.TemporaryDirectory() as home:
        os.environ["BIORETRIEVAL_HOME"] = home
        base, first, again = asyncio.run(measured(rounds))
    report = Report("Panes")
    rows = [["a screen with one label", f"{median(base):.0f}", f"{percentile(base, 0.95):.0f}", ""]]
    for title, found, bar in (("the first time", first, "80"), ("again", again, "20")):
        every = [value for values in found.values() for value in values]
        slowest = max(found, key=lambda name: median(found[name]))
        rows.append([title, f"{median(every):.0f}", f"{percentile(every, 0.95):.0f}", bar])
        rows.append(
            [f"{title}: {slowest}", f"{median(found[slowest]):.0f}",
             f"{percentile(found[slowest], 0.95):.0f}", ""]
        )  # fmt: skip
    report.say(f"Milliseconds until a pane is painted, {rounds} apps.")
    report.say()
    report.table(["", "p50", "p95", "bar (p95)"], rows)
    report.keep("panes")


if __name__ == "__main__":
    main()
