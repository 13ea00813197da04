"""Scrolling pages of wrapped lines: the detail of an entry, Home, help, an abstract."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.text import Line, Row, Span, layout
from bioretrieval_tui.tui.widgets.canvas import Canvas


class Detail(Canvas, can_focus=True):
    """Shows lines; keeps its place when the width changes, and shows a new page from its top.

    rule: draw a rule along the left edge, beside a list.
    measure: longest line in cells: longer ones are hard to read.
    """

    BINDINGS = bindings("detail")

    def __init__(
        self,
        id: str | None = None,  # noqa: A002
        *,
        lines: Iterable[Line] = (),
        rule: bool = False,
        measure: int = 100,
    ) -> None:
        super().__init__(id=id)
        self.lines = tuple(lines)
        self.top = 0
        self.rule = rule
        self.measure = measure
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

    def scroll_rows(self, by: int) -> None:
        """Scroll down (or up) by rows."""
        last = max(0, len(self._rows) - self.size.height)
        self.top = max(0, min(self.top + by, last))
        self.update()

    def reveal(self, first: int, last: int) -> None:
        """Scroll so that these lines are on the screen, at least the first one."""
        self._wanted = (first, last)
        self.update()

    def row_spans(self) -> Sequence[Row]:
        """The visible rows, with a mark where more follows."""
        width, height = self.size
        lead = 2 if self.rule else 1
        cells = max(10, min(width - lead - 1, self.measure))
        if self._rows_width != cells:
            self._rows = layout(self.lines, cells)
            self._rows_width = cells
        if self._wanted:  # done here, because only here the width is known
            first, last = self._wanted
            self._wanted = None
            start, end = (len(layout(self.lines[:count], cells)) for count in (first, last + 1))
            # The mark of further lines may cover the last row.
            if start < self.top or end > self.top + height - 1:
                self.top = start
        self.top = max(0, min(self.top, len(self._rows) - height))
        shown = self._rows[self.top : self.top + height]
        more = len(self._rows) - self.top - height
        if more > 0:
            shown[-1] = (Span(f" ↓ {more + 1} more lines", "faint"),)  # it covers a row
        edge = Span("│" if self.rule else " ", "ok" if self.has_focus and self.rule else "rule")
        blank: list[Row] = [()] * (height - len(shown))
        return [(edge, Span(" " * (lead - 1)), *row) for row in (*shown, *blank)]

    def action_scroll_lines(self, by: int) -> None:
        self.scroll_rows(by)

    def action_scroll_half(self, by: int) -> None:
        self.scroll_rows(by * max(1, self.size.height // 2))

    def action_scroll_edge(self, to: int) -> None:
        self.scroll_rows(to * 1_000_000)
