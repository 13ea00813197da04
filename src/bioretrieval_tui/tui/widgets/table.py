"""A virtual table, which asks only for the rows on screen.

Mounting and moving cost the same for ten rows and for a million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.strip import Strip

from bioretrieval_tui.tui.text import Row, Span, clipped, fit, line, strip, wrap
from bioretrieval_tui.tui.widgets.canvas import Canvas

_T = TypeVar("_T")

GAP = 2
_USUAL = 5
"""Priority of a column that names none."""
_SCROLLS = 4
"""Parts of a page by which rows of two lines scroll."""
_BELOW = 2
"""Cells before the second line of a row, where it does not begin under the title."""
_FEW = 6
"""Lines of a header in which upright titles are cut without a sign."""
_MEASURED = 500
"""Rows whose cells are measured to know whether all are shown whole."""
_Band = tuple[int, list[tuple[int, int]]]
"""A line of a row: blanks before it, and (column index, cells) of its columns."""


class TableColumn(msgspec.Struct, frozen=True):
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


class ColumnChoice(msgspec.Struct, frozen=True):
    """A column that can be chosen: its key, its title, how many rows have a value in it."""

    key: str
    title: str
    count: int


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

    squeeze: drop columns of low priority when narrow; else scroll sideways, where the column that
        sorts stays on screen.
    chooses: enter takes the row under the cursor wherever the focus is: draw it as focused.
    one_click: a click chooses, where a double click does elsewhere.
    empty: text shown instead of rows.
    gap: blanks between columns.
    lead: how many columns have the first line of a row for themselves, where rows have two.
    wraps: cells that are longer than their column go on below, where rows have two lines.
    tall: rows may have two lines. They do for `lead`, for cells that wrap, and where the columns
        do not fit on one.

    A number is never cut: its column grows, or is dropped.
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
        lead: int = 0,
        wraps: bool = False,
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.lead = lead
        self.wraps = wraps
        self.tall = False
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
        """Rows as they were painted last, by index and cursor role, in `_painted_layout`; none
        after an update, which may have changed them."""
        self._painted_layout: tuple[object, ...] = ()
        self._layouts: dict[tuple[int, bool], list[_Band]] = {}
        """The lines of a row by width, all for `_basis`."""
        self._basis: tuple[object, ...] = ()
        self._grown: dict[str, int] = {}
        """Cells of the widest number that was seen in a column, if it was wider than the column."""
        self._longest: list[int] = []
        """Cells of the longest text of each column, where texts wrap."""
        self._usual: list[int] = []
        """Cells in which nine of ten are whole."""

    def on_resize(self) -> None:
        # What a narrower window scrolled away is shown again, as far as the chosen column allows.
        if self.first_column:
            self.first_column = 0
            self.update()

    def update(self) -> None:
        self._painted = {}
        super().update()

    def repaint(self) -> None:
        self._painted = {}
        super().repaint()

    # State -------------------------------------------------------------------------------

    def show(self, rows: ListRows[Any], cursor: int = 0) -> None:
        self.rows = rows
        if self.wraps:
            self._measure()
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
        self._grown = {}

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; posts `Moved` if it changed."""
        index = max(0, min(index, len(self.rows) - 1))
        moved, self.cursor = index != self.cursor, index
        self._keep_visible()
        super().update()  # the rows are the same
        if moved:
            self.post_message(self.Moved(self, index))

    def centre(self) -> None:
        """Scroll so that the cursor is in the middle."""
        self.top = max(0, min(self.cursor - self.page // 2, len(self.rows) - self.page))
        self.update()

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
        return self.columns_at(self.size.width, tall=self.tall)

    def columns_at(self, width: int, *, tall: bool) -> list[int]:
        """The columns that are shown in so many cells, in their order."""
        return [i for _, columns in self._layout(width, tall=tall) for i, _ in columns]

    @property
    def titled(self) -> bool:
        """Its rows may have two lines where it has the width of the window, too."""
        return bool(self.lead) or self.wraps

    @property
    def page(self) -> int:
        """Rows that fit under the header."""
        return max(1, (self.size.height - self.header_lines) // self.row_lines)

    @property
    def row_lines(self) -> int:
        return self._row_lines(self._layout(self.size.width, tall=self.tall))

    def _row_lines(self, bands: Sequence[_Band]) -> int:
        cut = any(size < self._longest[i] for i, size in bands[0][1]) if self._longest else False
        return 2 if self.rows.below or len(bands) > 1 or (self.tall and cut) else 1

    @property
    def header_lines(self) -> int:
        """Lines of the header: as many as its longest upright title needs, within two fifths of the
        height."""
        tallest = max((len(one.title) for one in self.columns if one.upright), default=1)
        if tallest > 1:
            return max(1, min(tallest + 1, self.size.height * 2 // 5))
        return len(self._layout(self.size.width, tall=self.tall))

    def _measure(self) -> None:
        shown = [self.rows.cells(at) for at in range(min(len(self.rows), _MEASURED))]
        texts = ([cell.text for cell in row if isinstance(cell, Span)] for row in shown)
        sizes = [sorted(map(cell_len, one)) for one in zip(*texts, strict=True)]
        self._longest = [one[-1] for one in sizes]
        self._usual = [one[len(one) * 9 // 10] for one in sizes]
        self._layouts = {}

    def _keep_visible(self) -> None:
        if not self.size.height:  # not laid out yet, or hidden: painting calls this again
            return
        page, first = self.page, self.top
        # Rows of two lines are much to send: they scroll several at once.
        more = page // _SCROLLS if self.row_lines > 1 else 0
        if self.cursor < first:
            first = self.cursor - more
        elif self.cursor >= first + page:
            first = self.cursor - page + 1 + more
        self.top = max(0, min(first, len(self.rows) - page))

    # Drawing -----------------------------------------------------------------------------

    def _layout(self, width: int, *, tall: bool) -> list[_Band]:
        """The lines of a row, computed once for a width."""
        basis = (self.columns, self.column, self.first_column, self.sorted_by, self.gap,
                 self.lead, *self._grown.items())  # fmt: skip
        if basis != self._basis:
            self._basis, self._layouts = basis, {}
        if (width, tall) not in self._layouts:
            self._layouts[width, tall] = self._lay_out(width, tall=tall)
        return self._layouts[width, tall]

    def _lay_out(self, width: int, *, tall: bool) -> list[_Band]:
        """A column that is shown at one width is shown at every greater one."""
        space = width - 2
        chosen = list(range(len(self.columns)))
        if not self.squeeze:
            return [self._spread(self._sideways(chosen, space), space)]
        two = tall and (self.lead or self._needs(chosen) > space)
        while len(chosen) > 1:
            if two:
                if bands := self._two_lines(chosen, space):
                    return bands
            elif self._needs(chosen) <= space:
                break
            gone = max(chosen, key=lambda i: (self.columns[i].priority, i))
            last, left = chosen[-1], space - self.gap - self._width(0)
            if gone == 0 and len(chosen) == 2 and left * 3 > self._width(last):
                # Marks stand in the first column: the other one is cut instead.
                return [(0, [(0, self._width(0)), (last, left)])]
            chosen.remove(gone)
        return [self._spread(chosen, space)]

    def _two_lines(self, chosen: Sequence[int], space: int) -> list[_Band]:
        """The columns on two lines, so that least is cut; [] if some column does not fit."""
        first = sum(i < self.lead for i in chosen)
        title = self._needs(chosen[: first - 1]) + self.gap if first > 1 else 0
        indent = title if self.lead and title else _BELOW
        found: list[tuple[int, float, list[_Band]]] = []
        for end in [first] if self.lead else range(1, len(chosen)):
            lines = (chosen[:end], 0), (chosen[end:], indent)
            spare = [(space - at - self._needs(one), one) for one, at in lines]
            if min(spare)[0] >= 0:
                bands = [self._spread(one, space - at, at) for one, at in lines if one]
                share = min(left / (self._weight(one) or 1) for left, one in spare)
                found.append((self._cut(bands), -share, bands))
        return min(found, key=lambda one: one[:2], default=(0, 0.0, []))[2]

    def _cut(self, bands: Sequence[_Band]) -> int:
        """Cells of usual texts that these lines cut; what names a row counts threefold."""
        sizes = [one for _, columns in bands for one in columns] if self._usual else []
        return sum(max(0, self._usual[i] - size) * (1 if i else 3) for i, size in sizes)

    def _spread(self, chosen: Sequence[int], space: int, indent: int = 0) -> _Band:
        """These columns on one line; spare cells are shared by weight."""
        spare, weights = max(0, space - self._needs(chosen)), self._weight(chosen) or 1
        sizes = ((i, self._width(i) + spare * self.columns[i].weight // weights) for i in chosen)
        return indent, [(i, min(size, space)) for i, size in sizes]

    def _sideways(self, chosen: Sequence[int], space: int) -> list[int]:
        """The columns that are shown where the table scrolls sideways: those that stay, and of the
        others as many in a row as fit."""
        sorts = self.sorted_by[0] if self.sorted_by else ""
        kept = [i for i in chosen if self.columns[i].frozen or self.columns[i].key == sorts]
        moving = [i for i in chosen if not self.columns[i].frozen][self.first_column :]
        for i in moving:
            if i not in kept:
                if self._needs([*kept, i]) > space:
                    break
                kept.append(i)
        return sorted(kept)

    def _needs(self, chosen: Sequence[int]) -> int:
        return sum(map(self._width, chosen)) + self.gap * max(0, len(chosen) - 1)

    def _width(self, i: int) -> int:
        return max(self.columns[i].width, self._grown.get(self.columns[i].key, 0))

    def _weight(self, chosen: Sequence[int]) -> int:
        return sum(self.columns[i].weight for i in chosen)

    def _grow(self, cells: Sequence[Span | Row], bands: Sequence[_Band]) -> bool:
        """Whether a number is wider than its column, which then grows."""
        grown = {
            self.columns[i].key: cell_len(cell.text)
            for i, size in (one for _, columns in bands for one in columns)
            if self.columns[i].align == "right" and i < len(cells)
            for cell in [cells[i]]
            if isinstance(cell, Span) and cell.text.strip("+-#")[:1].isdigit()
            if cell_len(cell.text) > max(size, self._width(i))
        }
        self._grown |= grown
        return bool(grown)

    def paint(self, width: int, height: int) -> list[Strip]:
        self._keep_visible()
        if not self.squeeze:
            self._reveal_column()
        bands = self._layout(width, tall=self.tall)
        row_lines = self._row_lines(bands)
        look = (bands, row_lines, width, self.look.name)
        # Where only cursor or focus moved, all rows but two look the same.
        known = self._painted if look == self._painted_layout else {}
        self._painted, self._painted_layout = {}, look
        out = [strip(row, width, self.look) for row in self._header(bands)]
        cursor = "cursor" if self.has_focus or self.chooses else "cursor.blurred"
        visible = -(-(height - len(out)) // row_lines)
        for index in range(self.top, min(self.top + visible, len(self.rows))):
            under = cursor if index == self.cursor else None
            painted = known.get((index, under))
            if painted is None:
                cells = self.rows.cells(index)
                if self._grow(cells, bands):
                    return self.paint(width, height)
                rows = self._row(index, cells, bands, under)[:row_lines]
                rows += [(rows[0][0],)] * (row_lines - len(rows))
                painted = tuple(strip(row, width, self.look, under=under) for row in rows)
            self._painted[index, under] = painted
            out += painted
        empty = [] if len(self.rows) else self.empty.split("\n")
        told = [line(Span(text, "dim"), indent=2) for text in empty]
        below: list[Row] = [row for one in told for row in wrap(one, width - 1)] + [()] * height
        out += [strip(row, width, self.look) for row in below[: height - len(out)]]
        return out[:height]

    def _header(self, bands: Sequence[_Band]) -> list[Row]:
        """The header; upright titles end on its last line, where the others stand."""
        height = self.header_lines
        if height == len(bands):
            return [self._titles(band, upright=False) for band in bands]
        above = [self._upright_row(bands[0][1], height - line) for line in range(height - 1)]
        return [*above, self._titles(bands[0], upright=True)]

    def _upright_row(self, layout: Sequence[tuple[int, int]], left: int) -> Row:
        """A line of the upright titles; left: lines from here to the end of the header."""
        spans: list[Span] = [Span(" ")]
        height = self.header_lines
        for place, (i, size) in enumerate(layout):
            column = self.columns[i]
            title = column.title if column.upright else ""
            if len(title) >= height:  # of few letters the sign of a cut would take one
                title = title[: height - 1] if height <= _FEW else fit(title, height - 1)
            at = len(title) - left + 1
            letter = title[at] if 0 <= at < len(title) else " "
            role = "header.active" if i == self.column and self.has_focus else "header"
            spans += [Span(" " * self.gap if place else ""), Span(fit(letter, size), role)]
        return tuple(spans)

    def _titles(self, band: _Band, *, upright: bool) -> Row:
        indent, layout = band
        spans: list[Span] = [Span(" " * (1 + indent))]
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
        self, index: int, cells: Sequence[Span | Row], bands: Sequence[_Band], under: str | None
    ) -> list[Row]:
        """The lines of a row."""
        edge = Span("▌" if under == "cursor" else " ", "ok")
        lines: list[Row] = []
        wrapped = bool(self._longest) and self.tall and len(bands) == 1
        for indent, layout in bands:
            top, below = [edge], [edge]
            if indent:
                top.append(Span(" " * indent))
            for place, (i, size) in enumerate(layout):
                if place:
                    top.append(Span(" " * self.gap))
                    below.append(Span(" " * self.gap))
                cell = cells[i] if i < len(cells) else Span("")
                if isinstance(cell, tuple):
                    top += clipped(cell, size)
                    top.append(Span(" " * (size - sum(cell_len(span.text) for span in cell))))
                    continue
                text, rest = fit(cell.text, size, self.columns[i].align), " " * size
                if wrapped and cell_len(cell.text) > size:
                    text, rest = _halves(cell.text, size)
                role = "dim" if lines and cell.role == "text" else cell.role
                top.append(Span(text, role, cell.url))
                below.append(Span(rest, role, cell.url))
            lines += [tuple(top), *([tuple(below)] if wrapped else [])]
        if self.rows.below is not None:
            below = [edge, *self.rows.below(self.rows.items[index])]
            lines.append(clipped(tuple(below), self.size.width))
        return lines

    # Events ------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click chooses; one on a title chooses the column."""
        if event.y < self.header_lines and len(self.rows):
            bands = self._layout(self.size.width, tall=self.tall)
            indent, layout = bands[event.y if len(bands) > 1 else 0]
            end = 1 + indent
            for column, size in layout:
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


def _halves(text: str, size: int) -> tuple[str, str]:
    """A text on two lines of `size` cells."""
    rows = ["".join(span.text for span in row) for row in wrap(line(text), size)]
    return fit(rows[0], size), fit(" ".join(map(str.strip, rows[1:])), size)
