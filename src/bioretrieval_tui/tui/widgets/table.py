"""A virtual table, which asks only for the rows on screen.

Mounting and moving cost the same for ten rows and for a million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.strip import Strip

from bioretrieval_tui.tui.text import Row, Span, clipped, fit, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas

_T = TypeVar("_T")

GAP = 2
_USUAL = 5
"""Priority of a column that names none."""
_LEAST_MOVING = 3
"""Columns beside the frozen ones for which, where a table scrolls sideways, another is dropped."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column. `width` is its least width; spare cells are shared by `weight`.

    Columns with a lower `priority` number are dropped last when the table is narrow. `frozen`
    columns stay in place when it scrolls sideways. `upright`: the title is written downwards.
    """

    key: str
    title: str
    width: int
    weight: int = 0
    align: str = "left"
    priority: int = _USUAL
    frozen: bool = False
    upright: bool = False


class ListRows(Generic[_T]):
    """Items as rows; `cells_of` makes the cells of an item, one a column: a span, or a row of them
    for a column that is drawn (cut where it is too long, without a sign). below: makes a second
    line of each row, which goes across the columns."""

    def __init__(
        self,
        items: Sequence[_T],
        cells_of: Callable[[_T], Sequence[Span | Row]],
        below: Callable[[_T], Row] | None = None,
    ) -> None:
        self.items = items
        self.cells_of = cells_of
        self.below = below

    def __len__(self) -> int:
        return len(self.items)

    def cells(self, index: int) -> Sequence[Span | Row]:
        return self.cells_of(self.items[index])


class VirtualTable(Canvas, can_focus=True):
    """Rows under a header, a cursor on a row and a chosen column.

    squeeze: drop columns of low priority when narrow; else scroll sideways: the column that sorts
        stays on screen, and the one of lowest priority goes if it leaves few others.
    chooses: enter takes the row under the cursor wherever the focus is: draw it as focused.
    one_click: a click chooses, where a double click does elsewhere.
    empty: text shown instead of rows.
    gap: blanks between columns.
    """

    class AtRow(Message):
        """Base of the messages about a row."""

        def __init__(self, table: VirtualTable, index: int) -> None:
            super().__init__()
            self.table = table
            self.index = index

        @property
        def control(self) -> VirtualTable:
            return self.table

    class Moved(AtRow):
        """The cursor is on another row."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, VirtualTable.Moved) and message.table is self.table

    class Chosen(AtRow):
        """A row was chosen by the mouse (enter is an action of the pane)."""

    class HeaderClicked(AtRow):
        """The title of a column was clicked: it is the chosen one now."""

    def __init__(
        self,
        columns: Sequence[TableColumn],
        id: str | None = None,  # noqa: A002
        *,
        squeeze: bool = True,
        chooses: bool = False,
        one_click: bool = False,
        empty: str = "Nothing here.",
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.rows: ListRows[Any] = ListRows((), lambda _: ())
        self.cursor = 0
        self.top = 0
        self.column = 0
        self.first_column = 0
        self.sorted_by: tuple[str, bool] | None = None
        self.squeeze = squeeze
        self.chooses = chooses
        self.one_click = one_click
        self.empty = empty
        self.gap = GAP
        self._painted: dict[tuple[int, str | None], tuple[Strip, ...]] = {}
        """Rows as they were painted last, by index and cursor role, in `_painted_layout`."""
        self._painted_layout: list[tuple[int, int]] = []
        self._only_moved = False

    def on_resize(self) -> None:
        # What a narrower window scrolled away is shown again, as far as the chosen column allows.
        self.first_column = 0
        self.update()

    # State -------------------------------------------------------------------------------

    def show(self, rows: ListRows[Any], cursor: int = 0) -> None:
        self.rows = rows
        self.cursor = max(0, min(cursor, len(rows) - 1))
        self._keep_visible()
        self.update()

    def at_cursor(self, items: Sequence[_T]) -> _T | None:
        """The one of the items, which the rows show, that is under the cursor."""
        return items[self.cursor] if 0 <= self.cursor < len(items) else None

    def set_columns(self, columns: Sequence[TableColumn]) -> None:
        self.columns = tuple(columns)
        self.column = self.first_column = 0
        self.sorted_by = None

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; posts `Moved` if it changed."""
        index = max(0, min(index, len(self.rows) - 1))
        moved, self.cursor = index != self.cursor, index
        self._keep_visible()
        self._only_moved = True
        self.update()
        self._only_moved = False
        if moved:
            self.post_message(self.Moved(self, index))

    def move_column(self, by: int) -> None:
        """Choose another column: of those on screen, or of all where the table scrolls sideways."""
        choice = self._shown_columns() if self.squeeze else list(range(len(self.columns)))
        place = choice.index(self.column) if self.column in choice else 0
        self.column = choice[max(0, min(place + by, len(choice) - 1))] if choice else 0
        if not self.squeeze:
            self._reveal_column()
        self.update()

    def _reveal_column(self) -> None:
        """Scroll sideways until the chosen column is on screen."""
        behind = max(0, self.column - sum(column.frozen for column in self.columns))
        self.first_column = min(self.first_column, behind)
        while self.column not in self._shown_columns() and self.first_column < behind:
            self.first_column += 1

    def _shown_columns(self) -> list[int]:
        return [i for i, _ in self._layout(self.size.width)]

    @property
    def page(self) -> int:
        """Rows that fit under the header."""
        return max(1, (self.size.height - self.header_lines) // self.row_lines)

    @property
    def row_lines(self) -> int:
        return 2 if self.rows.below else 1

    @property
    def header_lines(self) -> int:
        """Lines of the header: as many as its longest upright title needs, within a third of the
        height."""
        tallest = max((len(one.title) for one in self.columns if one.upright), default=1)
        return max(1, min(tallest + 1, self.size.height // 3)) if tallest > 1 else 1

    def _keep_visible(self) -> None:
        if self.size.height:  # else not laid out yet, or hidden: painting calls this again
            first = max(self.cursor - self.page + 1, min(self.top, self.cursor))
            self.top = max(0, min(first, len(self.rows) - self.page))

    # Drawing -----------------------------------------------------------------------------

    def _layout(self, width: int) -> list[tuple[int, int]]:
        """(column index, cells) of the columns that are shown, in their order."""
        space = width - 2
        chosen = list(range(len(self.columns)))
        if self.squeeze:
            while len(chosen) > 1 and (over := self._needs(chosen) - space) > 0:
                gone = max(chosen, key=lambda i: (self.columns[i].priority, i))
                last = min(chosen, key=lambda i: (self.columns[i].priority, i))
                cut = self.columns[last].width - over
                if gone == 0 and len(chosen) == 2 and cut * 3 > self.columns[last].width:
                    # Marks stand in the first column: the other one is cut instead.
                    return [(gone, self.columns[gone].width), (last, cut)]
                chosen.remove(gone)
        else:
            sorts = self.sorted_by[0] if self.sorted_by else ""
            kept = [i for i in chosen if self.columns[i].frozen or self.columns[i].key == sorts]
            moving = [i for i in chosen if not self.columns[i].frozen][self.first_column :]
            last = max(moving, key=lambda i: self.columns[i].priority, default=0)
            chosen = self._beside(kept, moving, space)
            if self.columns[last].priority > _USUAL and last not in (self.column, *kept):
                others = [i for i in chosen if i != last and not self.columns[i].frozen]
                if len(others) < _LEAST_MOVING:
                    moving.remove(last)
                    chosen = self._beside(kept, moving, space)
        spare = max(0, space - self._needs(chosen))
        weights = sum(self.columns[i].weight for i in chosen) or 1
        columns = ((i, self.columns[i]) for i in chosen)
        return [(i, min(one.width + spare * one.weight // weights, space)) for i, one in columns]

    def _beside(self, kept: Sequence[int], moving: Sequence[int], space: int) -> list[int]:
        """The kept columns, and of the others as many in a row as fit."""
        chosen = list(kept)
        for i in moving:
            if i not in chosen:
                if self._needs([*chosen, i]) > space:
                    break
                chosen.append(i)
        return sorted(chosen)

    def _needs(self, chosen: Sequence[int]) -> int:
        return sum(self.columns[i].width for i in chosen) + self.gap * max(0, len(chosen) - 1)

    def paint(self, width: int, height: int) -> list[Strip]:
        self._keep_visible()
        if not self.squeeze:
            self._reveal_column()
        layout = self._layout(width)
        # Only the cursor moved: all rows but two look the same.
        known = self._painted if self._only_moved and layout == self._painted_layout else {}
        self._painted, self._painted_layout = {}, layout
        out = [strip(row, width, self.look) for row in self._header(layout)]
        cursor = "cursor" if self.has_focus or self.chooses else "cursor.blurred"
        visible = -(-(height - len(out)) // self.row_lines)
        for index in range(self.top, min(self.top + visible, len(self.rows))):
            under = cursor if index == self.cursor else None
            painted = known.get((index, under))
            if painted is None:
                rows = self._row(index, layout, under)
                painted = tuple(strip(row, width, self.look, under=under) for row in rows)
            self._painted[index, under] = painted
            out += painted
        empty = [] if len(self.rows) else self.empty.split("\n")
        below: list[Row] = [*((Span(f"  {text}", "dim"),) for text in empty), *[()] * height]
        out += [strip(row, width, self.look) for row in below[: height - len(out)]]
        return out[:height]

    def _header(self, layout: Sequence[tuple[int, int]]) -> list[Row]:
        """The header; upright titles end on its last line, where the others stand."""
        height = self.header_lines
        above = [self._upright_row(layout, height - line) for line in range(height - 1)]
        return [*above, self._titles(layout, upright=height > 1)]

    def _upright_row(self, layout: Sequence[tuple[int, int]], left: int) -> Row:
        """A line of the upright titles; left: lines from here to the end of the header."""
        spans: list[Span] = [Span(" ")]
        height = self.header_lines
        for place, (i, size) in enumerate(layout):
            column = self.columns[i]
            title = column.title if column.upright else ""
            title = fit(title, height - 1) if len(title) >= height else title
            at = len(title) - left + 1
            letter = title[at] if 0 <= at < len(title) else " "
            role = "header.active" if i == self.column and self.has_focus else "header"
            spans += [Span(" " * self.gap if place else ""), Span(fit(letter, size), role)]
        return tuple(spans)

    def _titles(self, layout: Sequence[tuple[int, int]], *, upright: bool) -> Row:
        spans: list[Span] = [Span(" ")]
        for place, (i, size) in enumerate(layout):
            column = self.columns[i]
            title = "" if column.upright and upright else column.title
            if self.sorted_by and self.sorted_by[0] == column.key:
                sign = "↓" if self.sorted_by[1] else "↑"
                # The sign is always shown, if need be in place of the title's end.
                gap = " " if title and len(title) + 2 <= size else ""
                title = fit(title, min(len(title), size - 1)) + gap + sign
            if place:
                spans.append(Span(" " * self.gap))
            role = "header.active" if i == self.column and self.has_focus else "header"
            text = fit(title, size, column.align)
            lead, body = text[: len(text) - len(text.lstrip())], text.strip()
            spans.extend([Span(lead), Span(body, role), Span(" " * (size - len(lead) - len(body)))])
        return tuple(spans)

    def _row(
        self, index: int, layout: Sequence[tuple[int, int]], under: str | None
    ) -> tuple[Row, ...]:
        cells = self.rows.cells(index)
        edge = Span("▌" if under == "cursor" else " ", "ok")
        spans = [edge]
        for place, (i, size) in enumerate(layout):
            if place:
                spans.append(Span(" " * self.gap))
            cell = cells[i] if i < len(cells) else Span("")
            if isinstance(cell, tuple):
                spans += cell
                spans.append(Span(" " * (size - sum(cell_len(span.text) for span in cell))))
                continue
            text = fit(cell.text, size, self.columns[i].align)
            spans.append(Span(text, cell.role, cell.url))
        if self.rows.below is None:
            return (tuple(spans),)
        below = (edge, *self.rows.below(self.rows.items[index]))
        return tuple(spans), clipped(below, self.size.width)

    # Events ------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click chooses; one on a title chooses the column."""
        if event.y < self.header_lines and len(self.rows):
            end = 1
            for column, size in self._layout(self.size.width):
                end += size + self.gap
                if event.x < end:
                    self.column = column
                    self.post_message(self.HeaderClicked(self, self.cursor))
                    return
        index = self.row_at(event.y)
        if index is None:
            return
        self.move_to(index)
        if (event.chain == 1) == self.one_click:
            self.post_message(self.Chosen(self, self.cursor))

    def row_at(self, y: int) -> int | None:
        """The row that a line of the widget shows."""
        index = self.top + (y - self.header_lines) // self.row_lines
        return index if y >= self.header_lines and index < len(self.rows) else None

    def scroll_rows(self, by: int) -> None:
        self.move_to(self.cursor + by)
