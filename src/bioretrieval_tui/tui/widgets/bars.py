"""Bars: panes, status, the line above a list, running work; the notice of a small window."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.strip import Strip

from bioretrieval_tui.actions import DIGITS, PANES, SHORT_TITLES, Action
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.text import Span, fit, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas

LEAST_WIDTH, LEAST_HEIGHT = 60, 15


class NavBar(Canvas):
    """The panes with their digits; the current one is marked. Short forms when narrow."""

    DEFAULT_CSS = "NavBar { height: 1; dock: top; }"

    def __init__(self) -> None:
        super().__init__(id="nav")
        self.current = "home"
        self._hits: list[tuple[int, int, str]] = []

    def go(self, pane: str) -> None:
        """Mark a pane as the current one."""
        self.current = pane
        self.update()

    def paint(self, width: int, height: int) -> list[Strip]:
        """One line: whole titles, short ones, or the digits alone, depending on the width."""
        named = [(pane, DIGITS[pane], title) for pane, title, _ in PANES]
        whole = [(pane, f" {i} {title} ") for pane, i, title in named]
        short = [(pane, f" {i} {SHORT_TITLES.get(pane, title)}") for pane, i, title in named]
        digits = [
            (pane, f" {i} {title} " if pane == self.current else f" {i}")
            for pane, i, title in named
        ]
        choices = (whole, short, digits)
        titles = next((t for t in choices if sum(len(x) for _, x in t) <= width), digits)
        spans, x = [], 0
        self._hits = []
        for pane, text in titles:
            spans.append(Span(text, "bar.active" if pane == self.current else "bar"))
            self._hits.append((x, x + len(text), pane))
            x += len(text)
        spans.append(Span(" " * max(0, width - x), "bar"))
        return [strip(spans, width, self.look)][:height]

    async def on_click(self, event: events.Click) -> None:
        """A click goes there."""
        for start, end, pane in self._hits:
            if start <= event.x < end:
                await self.app.run_action(f"go('{pane}')")


class StatusBar(Canvas):
    """Key hints of the current pane, or a message until the next key."""

    DEFAULT_CSS = "StatusBar { height: 1; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__(id="status")
        self.message = ""
        self.role = "bar.strong"
        self.actions: Sequence[Action] = ()
        self.work = ""

    def working(self, work: str) -> None:
        """Show how far work in the background is, at the right end; "" for none."""
        if work != self.work:
            self.work = work
            self.update()

    def say(self, message: str, role: str = "bar.strong") -> None:
        """Show a message in place of the hints."""
        self.message, self.role = message, role
        self.update()

    def hints(self, actions: Sequence[Action]) -> None:
        """Show key hints."""
        self.message = ""
        self.actions = actions
        self.update()

    def paint(self, width: int, height: int) -> list[Strip]:
        """A message, or as many hints as fit; work in the background at the right end."""
        work = fit(self.work, min(cell_len(clean(self.work)), width // 2)) if self.work else ""
        space = width - (cell_len(work) + 2 if work else 0)
        row = [Span(f" {self.message}", self.role)] if self.message else self._hints(space)
        left = strip([*row, Span(" " * width, "bar")], space, self.look)
        if not work:
            return [left][:height]
        right = strip([Span(f" {work} ", "bar.strong")], width - space, self.look)
        return [Strip([*left, *right], width)][:height]

    def _hints(self, width: int) -> list[Span]:
        # The hints for help and quit are always shown.
        last = [action for action in self.actions if action.id in ("help", "quit")]
        used = 1 + sum(len(action.shown) + len(action.label) + 3 for action in last)
        chosen = []
        for action in self.actions:
            size = len(action.shown) + len(action.label) + 3
            if action not in last and used + size <= width:
                chosen.append(action)
                used += size
        row = [Span(" ", "bar")]
        for action in (*chosen, *last):
            row += [Span(action.shown, "bar.strong"), Span(f" {action.label}  ", "bar")]
        return row


class HeadLine(Canvas):
    """The line above a list: title, counts, filter, sort order, or an error."""

    DEFAULT_CSS = "HeadLine { height: 1; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id, classes)
        self.spans: tuple[Span, ...] = ()

    def show(self, *spans: Span) -> None:
        """Show these spans."""
        self.spans = spans
        self.update()

    def paint(self, width: int, height: int) -> list[Strip]:
        """One line."""
        return [strip((Span(" "), *self.spans), width, self.look)][:height]


class WorkBar(Canvas):
    """A few lines while work runs; hidden otherwise."""

    DEFAULT_CSS = "WorkBar { height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Sequence[Span]] = ()

    def show(self, rows: Sequence[Sequence[Span]]) -> None:
        """Show these lines; without lines, hide."""
        if len(rows) != len(self.rows):
            self.styles.height = len(rows) + 1
        self.rows = rows
        self.display = bool(rows)
        self.update()

    def paint(self, width: int, height: int) -> list[Strip]:
        """The lines, and an empty one below."""
        rows = [*self.rows, *[()] * height][:height]
        return [strip((Span(" "), *row), width, self.look) for row in rows]


class TooSmall(Canvas):
    """The notice in a window that is too small."""

    DEFAULT_CSS = "TooSmall { display: none; }"

    def paint(self, width: int, height: int) -> list[Strip]:
        """The message in the middle."""
        rows: list[tuple[Span, ...]] = [() for _ in range(height)]
        parts = (f"This window is {width}x{height}.", f"{LEAST_WIDTH}x{LEAST_HEIGHT} is enough.")
        for y, part in enumerate(parts, max(0, height // 2 - 1)):
            if y < height:
                rows[y] = (Span(part.center(width), "warn"),)
        return [strip(row, width, self.look) for row in rows]
