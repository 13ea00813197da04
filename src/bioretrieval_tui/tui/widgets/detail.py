"""Scrolling pages of wrapped lines: the detail of an entry, Home, help, an abstract."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.strip import Strip

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.text import Line, Row, Span, layout, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas


class Detail(Canvas, can_focus=True):
    """Shows lines; keeps its place when the width changes, and shows a new page from its top."""

    BINDINGS = bindings("detail")

    def __init__(
        self,
        id: str | None = None,  # noqa: A002
        *,
        rule: bool = False,
        measure: int = 100,
    ) -> None:
        super().__init__(id=id)
        self.lines: tuple[Line, ...] = ()
        self.top = 0
        self.rule = rule
        """Draw a rule along the left edge, beside a list."""
        self.measure = measure
        """Longest line in cells: longer ones are hard to read."""
        self._rows: list[Row] = []
        self._rows_width = -1
        self._wanted: tuple[int, int] | None = None

    def show(self, lines: Iterable[Line], *, keep_place: bool = False) -> None:
        """Show another page."""
        self.lines = tuple(lines)
        self._rows_width = -1
        self._wanted = None
        if not keep_place:
            self.top = 0
        self.update()

    def scroll_by(self, rows: int) -> None:
        """Scroll down (or up) by rows."""
        last = max(0, len(self._rows) - self.size.height)
        self.top = max(0, min(self.top + rows, last))
        self.update()

    def reveal(self, first: int, last: int) -> None:
        """Scroll so that these lines are on the screen, at least the first one."""
        self._wanted = (first, last)
        self.update()

    def _reveal(self, height: int) -> None:
        """Do that at the current width: when it was asked for, the layout may have been missing."""
        if self._wanted:
            first, last = self._wanted
            self._wanted = None
            start, end = (
                len(layout(self.lines[:count], self._rows_width)) for count in (first, last + 1)
            )
            # The mark of further lines may cover the last row.
            if start < self.top or end > self.top + height - 1:
                self.top = start

    def paint(self, width: int, height: int) -> list[Strip]:
        """The visible rows, with a mark where more follows."""
        lead = 2 if self.rule else 1
        cells = max(10, min(width - lead - 1, self.measure))
        if self._rows_width != cells:
            self._rows = layout(self.lines, cells)
            self._rows_width = cells
        self._reveal(height)
        self.top = max(0, min(self.top, len(self._rows) - height))
        edge = Span("│" if self.rule else " ", "ok" if self.has_focus and self.rule else "rule")
        out = []
        for y in range(height):
            index = self.top + y
            row = self._rows[index] if index < len(self._rows) else ()
            spans: Row = (edge, Span(" " * (lead - 1)), *row)
            more = y == height - 1 and index < len(self._rows) - 1
            if more:
                # The mark covers a row, which counts too.
                left = f" ↓ {len(self._rows) - index} more lines"
                spans = (edge, Span(" " * (lead - 1)), Span(left, "faint"))
            out.append(strip(spans, width, self.look))
        return out

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self.scroll_by(-3)

    def action_scroll_lines(self, by: int) -> None:
        """j, k."""
        self.scroll_by(by)

    def action_scroll_half(self, by: int) -> None:
        """ctrl+d, ctrl+u."""
        self.scroll_by(by * max(1, self.size.height // 2))

    def action_scroll_edge(self, to: int) -> None:
        """g, G."""
        self.scroll_by(to * 1_000_000)
