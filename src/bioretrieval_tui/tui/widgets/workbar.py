"""The work that runs, whole: above the list of indexes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from bioretrieval_tui.tui.text import Span, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas


class WorkBar(Canvas):
    """A few lines while work runs; not there at all otherwise."""

    DEFAULT_CSS = "WorkBar { height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Sequence[Span]] = ()

    def show(self, rows: Sequence[Sequence[Span]]) -> None:
        """Show these lines, or go away."""
        if len(rows) != len(self.rows):
            self.styles.height = len(rows) + 1
        self.rows = rows
        self.display = bool(rows)
        self.update()

    def paint(self, width: int, height: int) -> list[Strip]:
        """The lines, and an empty one under them."""
        rows = [*self.rows, *[()] * height][:height]
        return [strip((Span(" "), *row), width, self.look) for row in rows]
