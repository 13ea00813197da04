"""One line of spans: over a list, or before a line of input."""

from __future__ import annotations

from textual.strip import Strip

from bioretrieval_tui.tui.text import Span, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas


class HeadLine(Canvas):
    """The line over a list: title, counts, filter, sort order, or what is wrong."""

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
