"""The two bars: where one is (top), what the keys do and what just happened (bottom)."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.strip import Strip

from bioretrieval_tui.actions import PANES, Action
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
        """One line; only the current pane keeps its title where all do not fit."""
        titles = [(pane, f" {i} {title} ") for i, (pane, title, _) in enumerate(PANES, 1)]
        if sum(len(text) for _, text in titles) > width:
            titles = [
                (pane, text if pane == self.current else f" {text.split()[0]} {text.split()[1][:4]} ")
                for pane, text in titles
            ]
        if sum(len(text) for _, text in titles) > width:
            titles = [
                (pane, text if pane == self.current else f" {text.split()[0]} ")
                for pane, text in titles
            ]
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
        row, used = [Span(" ", "bar")], 1
        for action in self.actions:
            text = f"{action.shown} {action.label}"
            if used + len(text) + 2 > width:
                break
            row += [Span(action.shown, "bar.strong"), Span(f" {action.label}  ", "bar")]
            used += len(text) + 2
        return [strip([*row, Span(" " * width, "bar")], width, self.look)][:height]
