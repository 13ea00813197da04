"""Widgets that draw whole lines, and a scrolling page of them.

A canvas keeps the strips that it drew last and has the compositor render the lines that differ; the
screen writer then picks the changed cells. No scrollbars, no children, no layout on new content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.containers import Horizontal
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.text import Line, Row, Span, clipped, strip, wrap
from bioretrieval_tui.tui.themes import DARK, Look

WHEEL = 3
"""Rows that a step of the mouse wheel moves by."""


_LEAD = 5
"""Lines of a page for its title."""


class SideBySide(Horizontal):
    """Widgets beside each other."""

    BLANK = True
    """They cover it: its own lines need no styles."""


class BaseScreen(Screen[None]):
    """The bars and, between them, the pane that is shown."""

    BLANK = True


class Canvas(Widget):
    """Base of the widgets that draw lines: subclasses override `row_spans` or `paint`."""

    class Followed(Message):
        """A link, or an entry that is named, was clicked: an address, or an id."""

        def __init__(self, url: str = "", entry: str = "") -> None:
            super().__init__()
            self.url = url
            self.entry = entry

    DEFAULT_CSS = "Canvas { height: 1fr; width: 1fr; }"
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._drawn: list[Strip] = []
        self._drawn_size: Size | None = None

    @property
    def look(self) -> Look:
        return getattr(self.app, "look", DARK)

    def row_spans(self) -> Sequence[Row]:
        """The visible lines, as wide as the widget; those that are missing are blank."""
        return ()

    def paint(self, width: int, height: int) -> list[Strip]:
        """The strips of the visible lines: `height` of them, `width` cells each."""
        rows = [*self.row_spans(), *[()] * height][:height]
        return [strip(row, width, self.look) for row in rows]

    def _draw(self) -> list[Strip]:
        """Paint; blank lines if that raises, so that the frame is complete."""
        width, height = self._drawn_size = self.size
        try:
            drawn = self.paint(width, height)
        except Exception as error:  # noqa: BLE001
            self.app._handle_exception(error)
            drawn = [Strip.blank(width)] * height
        background = self.background_colors[1]
        for one in self.get_line_filters():
            drawn = [line.apply_filter(one, background) for line in drawn]
        self._drawn = drawn
        return drawn

    def update(self) -> None:
        """Draw again, and refresh the lines that changed."""
        shown = all(node.display for node in self.ancestors_with_self)
        if not (self.is_attached and self.size and shown):
            Canvas.repaint(self)  # not drawn now, but what Textual kept of it is old
            return
        before, resized = self._drawn, self._drawn_size != self.size
        now = self._draw()
        if resized or len(before) != len(now):  # it may not have been drawn at this size yet
            self.refresh()
            return
        pairs = enumerate(zip(before, now, strict=True))
        changed = [y for y, (old, new) in pairs if old is not new and old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def repaint(self) -> None:
        """Draw everything again, after a change of theme."""
        self._drawn_size = None
        self.refresh()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Show which widget gets the keys. A handler of the focus event would run too early. No
        style sheet asks which canvas has the focus: Textual would apply all of them again."""
        Canvas.update(self)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines as they are drawn: a canvas has no border, padding or opacity, which Textual
        would look for in each of them."""
        drawn = self._drawn if self._drawn_size == self.size else self._draw()
        blank = [Strip.blank(self.size.width)] * max(0, crop.bottom - len(drawn))
        lines = [*drawn, *blank][crop.y : crop.bottom]
        if crop.width < self.size.width:
            return [line.crop(*crop.column_span) for line in lines]
        return lines

    def link_at(self, x: int, y: int) -> str:
        """The address that a cell leads to."""
        drawn = self._drawn[y].crop(x, x + 1) if 0 <= y < len(self._drawn) else ()
        return next((one.style.link or "" for one in drawn if one.style), "")

    @on(events.Click)
    def _follow_link(self, event: events.Click) -> None:
        if url := self.link_at(event.x, event.y):
            self.post_message(self.Followed(url))

    def scroll_rows(self, by: int) -> None:
        """The mouse wheel was turned by rows."""

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(-WHEEL)


class Detail(Canvas, can_focus=True):
    """A page of wrapped lines; keeps its place when the width changes. Text that is dragged over
    with the mouse is selected, and posted as `Selected`.

    rule: draw a rule along the left edge where a list stands beside.
    measure: longest line in cells: longer ones are hard to read.
    sections: (title, line) of what the page has under headings.
    """

    class Selected(Message):
        """Text was selected."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

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
        self.sections: Sequence[tuple[str, int]] = ()
        self._rows: list[Row] = []
        self._starts: list[int] = []
        """The row at which each line begins, then the number of rows."""
        self._rows_width = -1
        self._wanted: tuple[int, int] | None = None
        self._jump = 0
        self._anchor: Offset | None = None
        """Where the mouse button was pressed."""
        self._dragged: Offset | None = None
        """Where the mouse was moved to since."""

    def show(
        self,
        lines: Iterable[Line],
        sections: Sequence[tuple[str, int]] = (),
        *,
        keep_place: bool = False,
    ) -> None:
        self.lines = tuple(lines)
        self.sections = sections
        self._rows_width = -1
        self._wanted = None
        self._jump = 0
        if not keep_place:
            self.top = 0
        self._dragged = None
        self.update()

    def scroll_rows(self, by: int) -> None:
        self._dragged = None
        last = max(0, len(self._rows) - self.size.height)
        self.top = max(0, min(self.top + by, last))
        self.update()

    def reveal(self, first: int, last: int) -> None:
        """Scroll so that these lines are on the screen, at least the first one."""
        self._wanted = (first, last)
        self.update()

    def jump(self, by: int) -> None:
        """Scroll to the next section or the one before, else to the beginning."""
        self._jump = by
        self.update()

    @property
    def _lead(self) -> int:
        """Cells before the text: a blank, and a rule where a list stands beside."""
        return 2 if self.rule and self.region.x > 0 else 1

    def row_spans(self) -> Sequence[Row]:
        """The visible rows, with a mark where more follows."""
        width, height = self.size
        ruled, lead = self._lead > 1, self._lead
        cells = max(10, min(width - lead - 1, self.measure))
        if self._rows_width != cells:
            self._rows, self._starts = [], [0]
            for item in self.lines:
                self._rows += wrap(item, cells)
                self._starts.append(len(self._rows))
            self._rows_width = cells
        starts = [(title, self._starts[at]) for title, at in self.sections]
        if self._wanted:  # done here, because only here the width is known
            first, last = self._wanted
            self._wanted = None
            start, end = self._starts[first], self._starts[last + 1]
            # The mark of further lines may cover the last row.
            if start < self.top or end > self.top + height - 1:
                self.top = start
        if self._jump:
            here = self.top or _LEAD  # a section below the title is being read already
            after = [at for _, at in starts if at > here] or [self.top]
            before = [0, *(at for _, at in starts if at < self.top)]
            self.top, self._jump = after[0] if self._jump > 0 else before[-1], 0
        self.top = max(0, min(self.top, len(self._rows) - height))
        end = self.top + height
        shown = self._rows[self.top : end]
        if more := max(0, len(self._rows) - end):
            # It covers a row. Rich measures this sign without its table of characters.
            told = f" \N{BLACK DOWN-POINTING SMALL TRIANGLE} {more + 1} more lines"
            names = " \N{MIDDLE DOT} ".join(title for title, at in starts if at >= end - 1)
            if names and len(self._rows) > 2 * height:
                told += f"   ]  {names}"
            shown[-1] = clipped((Span(told, "faint"),), cells)
        edge = Span("│" if ruled else " ", "ok" if self.has_focus and ruled else "rule")
        blank: list[Row] = [()] * (height - len(shown))
        return [(edge, Span(" " * (lead - 1)), *row) for row in (*shown, *blank)]

    def action_scroll_lines(self, by: int) -> None:
        self.scroll_rows(by)

    def action_scroll_half(self, by: int) -> None:
        self.scroll_rows(by * max(1, self.size.height // 2))

    def action_scroll_edge(self, to: int) -> None:
        self.scroll_rows(to * 1_000_000)

    def action_to_row(self, number: int) -> None:
        self.scroll_rows(number - 1 - self.top)

    # The mouse ---------------------------------------------------------------------------

    def paint(self, width: int, height: int) -> list[Strip]:
        """The visible lines; what is selected has the colours of the cursor."""
        drawn, chosen = super().paint(width, height), self.look.style("cursor")
        for y, start, end in self._selection():
            if y < len(drawn):
                before, within, behind = drawn[y].divide([start, end, width])
                marked = Strip(Segment.apply_style(within, post_style=chosen))
                drawn[y] = Strip.join([before, marked, behind])
        return drawn

    def _selection(self) -> Iterator[tuple[int, int, int]]:
        """The lines that are selected, each with its first cell and the one behind the last."""
        if self._anchor is None or self._dragged is None:
            return
        width, lead = self.size.width, self._lead
        first, last = sorted((self._anchor, self._dragged), key=lambda at: (at.y, at.x))
        for y in range(first.y, last.y + 1):
            start = max(lead, first.x) if y == first.y else lead
            end = min(width, last.x + 1) if y == last.y else width
            if start < end:
                yield y, start, end

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1:
            self._anchor, self._dragged = event.offset, None
            self.capture_mouse()
            self.update()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self and event.offset != self._anchor:
            height = self.size.height
            self._dragged = Offset(event.x, max(0, min(event.y, height - 1)))
            self.update()

    def on_mouse_up(self) -> None:
        self.release_mouse()
        parts = [self._drawn[y].crop(start, end).text for y, start, end in self._selection()]
        if text := "\n".join(part.rstrip() for part in parts).strip("\n"):
            self.post_message(self.Selected(text))

    def on_click(self, event: events.Click) -> None:
        """A click on an entry goes there; on the letter before a link or an entry, too."""
        at = self.top + event.y
        if self._dragged is not None:
            event.prevent_default()  # it ends a selection
        elif at < len(self._rows) and not self.link_at(event.x, event.y):
            end = self._lead
            for span in self._rows[at]:
                end += cell_len(clean(span.text))
                if event.x >= end:
                    continue
                if span.url or span.jump:
                    self.post_message(self.Followed(span.url or "", span.jump))
                if span.url or span.jump or (span.role != "dim" and span.text.strip()):
                    return
