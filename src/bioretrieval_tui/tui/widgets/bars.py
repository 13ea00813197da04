"""The two bars: where one is (top), what the keys do and what just happened (bottom)."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.strip import Strip

from bioretrieval_tui.actions import PANES, SHORT_TITLES, Action
from bioretrieval_tui.tui.text import Span, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas


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
        """One line: whole titles, short ones, or the digits alone, as there is room."""
        whole = [(pane, f" {i} {title} ") for i, (pane, title, _) in enumerate(PANES, 1)]
        short = [
            (pane, f" {i} {SHORT_TITLES.get(pane, title)}")
            for i, (pane, title, _) in enumerate(PANES, 1)
        ]
        digits = [
            (pane, f" {i} {title} " if pane == self.current else f" {i}")
            for i, (pane, title, _) in enumerate(PANES, 1)
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
        """A message, or as many hints as fit."""
        if self.message:
            row = [Span(f" {self.message}", self.role)]
            return [strip([*row, Span(" " * width, "bar")], width, self.look)]
        # The way to help is always there, whatever else must give way.
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
        return [strip([*row, Span(" " * width, "bar")], width, self.look)][:height]
