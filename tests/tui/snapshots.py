"""Text snapshots of screens: the characters of every row, then the style of every run of cells.

A snapshot lies in `__snapshots__/MODULE/TEST.txt`. `make snapshots TESTS=tests/tui` writes them
again; read the difference before a commit.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual.app import App
from textual.pilot import Pilot
from textual.strip import Strip

FOLDER = Path(__file__).parent / "__snapshots__"
Drive = Callable[[Pilot[Any]], Awaitable[None] | None]


def painted(app: App[Any]) -> str:
    """The screen of a running app as text: rows, styles by letter, and the runs of each row."""
    strips = [Strip(row) for row in app.screen._compositor.render_strips()]
    letters: dict[str, str] = {}
    lines, runs = [], []
    for number, strip in enumerate(strips):
        lines.append(strip.text.rstrip())
        row: list[tuple[str, int]] = []
        for segment in strip:
            if not segment.cell_length:
                continue
            letter = letters.setdefault(_said(segment.style), _letter(len(letters)))
            if row and row[-1][0] == letter:
                row[-1] = (letter, row[-1][1] + segment.cell_length)
            else:
                row.append((letter, segment.cell_length))
        runs.append(f"{number}: " + " ".join(f"{letter}{size}" for letter, size in row))
    legend = [f"{letter} = {style}" for style, letter in letters.items()]
    return "\n".join([*lines, "---- styles", *legend, "---- runs", *_folded(runs), ""])


def _said(style: Style | None) -> str:
    """A style in words, without what differs from run to run."""
    return re.sub(r"\s+", " ", str(style or "none"))


def _letter(number: int) -> str:
    first, second = divmod(number, 26)
    return ("" if not first else chr(ord("A") + first - 1)) + chr(ord("a") + second)


def _folded(runs: list[str]) -> list[str]:
    """Neighbouring rows of the same runs on one line: `3-7: a80`."""
    found: list[tuple[str, str, str]] = []
    for line in runs:
        number, _, what = line.partition(": ")
        if found and found[-1][2] == what:
            found[-1] = (found[-1][0], number, what)
        else:
            found.append((number, number, what))
    return [f"{a}: {w}" if a == b else f"{a}-{b}: {w}" for a, b, w in found]


class Snapshots:
    """Compares what a running app shows with the snapshot of a test."""

    def __init__(self, node: pytest.Item) -> None:
        module = Path(str(node.path)).stem
        name = re.sub(r"[^\w.\-\[\]]", "_", node.name)
        self.path = FOLDER / module / f"{name}.txt"

    def __call__(
        self,
        app: App[Any],
        *,
        terminal_size: tuple[int, int] = (80, 24),
        run_before: Drive | None = None,
    ) -> bool:
        """Run the app at a size, drive it, and compare; True, or the difference as a failure."""

        async def run() -> str:
            async with app.run_test(size=terminal_size) as pilot:
                if run_before is not None:
                    driven = run_before(pilot)
                    if inspect.isawaitable(driven):
                        await driven
                await pilot.pause(0)
                return painted(app)

        self.compare(asyncio.run(run()))
        return True

    def compare(self, text: str) -> None:
        """Compare a painted screen with the file, or write the file where that is asked for."""
        if os.environ.get("BIORETRIEVAL_GOLDEN") == "write":
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8")
            return
        assert self.path.is_file(), f"{self.path} is missing: make snapshots"
        assert text.split("\n") == self.path.read_text(encoding="utf-8").split("\n")
