"""A section of the catalogue: list, filter, sort, and the page of the entry under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of, kind_of_section
from bioretrieval_tui.catalog.models import AnyEntry, Dataset
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.render.entries import cell, entry_page
from bioretrieval_tui.render.sheet import face
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.panes.listing import ListPane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.query import Filter


def entry_columns(section: str) -> tuple[Column, ...]:
    """The columns of a section's list: those of the kind, the leftmost kept longest."""
    shown, _ = fields.TABLE.listed(kind_of_section(section))
    columns = []
    for number, row in enumerate(shown):
        heading = row.column.heading or row.title
        title = heading[:1].upper() + heading[1:] if heading.islower() else heading
        if row.is_number:  # as wide as the heading and its arrow
            width = max(row.column.width, len(title) + 1)
            columns.append(Column(row.name, title, width, align="right", priority=number))
        else:
            look = row.column
            columns.append(Column(row.name, title, look.width, look.weight, priority=number))
    return tuple(columns)


class EntryRows:
    """Rows of entries for a table."""

    def __init__(
        self,
        entries: Sequence[AnyEntry],
        columns: Sequence[Column],
        catalogue: Catalogue,
        mark: Callable[[AnyEntry], str] | None = None,
    ) -> None:
        self.entries = entries
        self.columns = columns
        self.catalogue = catalogue
        self.mark = mark

    def __len__(self) -> int:
        return len(self.entries)

    def cells(self, index: int) -> list[Span]:
        """One span a column. `?` marks what no source could be read for, without colour too."""
        entry = self.entries[index]
        spans = [self._span(entry, column.key) for column in self.columns]
        if self.mark is not None and self.mark(entry):
            spans[0] = Span(f"{self.mark(entry)} {spans[0].text}", spans[0].role)
        return spans

    def _span(self, entry: AnyEntry, key: str) -> Span:
        row = fields.TABLE.by_name[key]
        seen = face(cell(row, entry, self.catalogue))
        if seen.unverified and seen.text:
            return Span(f"{seen.text}?", "warn")
        if key in ("name", "model", "number"):
            gone = isinstance(entry, Dataset) and not entry.available
            return Span(seen.text, "faint" if gone else f"{kind_of(entry)}.strong")
        return Span(seen.text, "text" if row.column.weight > 1 else "dim")


class BrowsePane(ListPane):
    """One section of the catalogue."""

    BINDINGS = bindings("browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("list", "browse", "everywhere")

    def __init__(self, name: str, section: str | None = None) -> None:
        super().__init__(name)
        self.section = section or name
        self.title_text = next(title for pane, title, _ in PANES if pane == name)
        self.entries: Sequence[AnyEntry] = ()
        self.shown: list[AnyEntry] = []
        self.expression = ""
        self.last_expression = ""
        self.problem: FilterError | None = None
        self._filter: Filter | None = None

    def compose(self) -> ComposeResult:
        """Head, list, detail; the filter line comes when it is first asked for."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(entry_columns(self.section), empty="No entry matches.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Fill the list."""
        self.entries = self.catalogue.section(self.section)
        self.refill()

    # Rows --------------------------------------------------------------------------------

    def mark(self, _: AnyEntry) -> str:
        """A mark before a row, for panes that have one."""
        return ""

    def refill(self, keep: str | None = None) -> None:
        """Filter and sort anew; the cursor stays on `keep` (or where it was) if that is shown."""
        keep = keep or self.current_id
        entries = self._matching(self.expression)
        table = self.table
        if table.sorted_by:
            from bioretrieval_tui.catalog.fields import ordered

            key, reverse = table.sorted_by
            entries = ordered(entries, key, self.catalogue, reverse=reverse)
        self.shown = entries
        cursor = next((i for i, e in enumerate(entries) if e.id == keep), 0)
        table.show(EntryRows(entries, table.columns, self.catalogue, self.mark), cursor)
        self.head()
        self.show_page()

    def _matching(self, expression: str) -> list[AnyEntry]:
        if not expression.strip():
            return list(self.entries)
        return [self.entries[i] for i in self._made_filter().apply(expression)]

    def _made_filter(self) -> Filter:
        if self._filter is None:
            from bioretrieval_tui.catalog.fields import make_filter

            self._filter = make_filter(self.entries, self.catalogue)
        return self._filter

    def head(self) -> None:
        total, shown = len(self.entries), len(self.shown)
        counts = f"  {shown}" if shown == total else f"  {shown} of {total}"
        spans = [Span(self.title_text, "strong"), Span(counts, "dim")]
        if self.problem:
            # What is only half-typed is no mistake yet.
            from bioretrieval_tui.query import UnfinishedFilterError

            unfinished = isinstance(self.problem, UnfinishedFilterError)
            role = "dim" if unfinished else "error"
            spans = [Span(self.problem.line(), role)]
        elif self.expression:
            spans += [Span("  filter ", "faint"), Span(self.expression, "ok")]
        if self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        self.query_one(HeadLine).show(*spans)

    @property
    def current(self) -> AnyEntry | None:
        """The entry under the cursor."""
        at = self.table.cursor
        return self.shown[at] if 0 <= at < len(self.shown) else None

    @property
    def current_id(self) -> str | None:
        """Its id."""
        return self.current.id if self.current else None

    def place(self) -> str | None:
        """Where `back` returns to."""
        return self.current_id

    def go_to(self, place: str | None) -> None:
        """Put the cursor on an entry; a filter that hides it is lifted."""
        if place is None:
            return
        if all(entry.id != place for entry in self.shown):
            self.expression = ""
            self._close_filter()
        self.refill(place)

    def make_page(self) -> PaintedPage:
        """The page of the entry under the cursor."""
        return paint(entry_page(self.current, self.catalogue)) if self.current else PaintedPage(())

    def action_clear(self) -> None:
        """Out of a mode, out of the detail, then out of the filter."""
        if not self.leave() and (self.expression or self.problem):
            self.expression, self.problem = "", None
            self._close_filter()
            self.refill()

    # Sorting -----------------------------------------------------------------------------

    def action_column(self, by: int) -> None:
        """Choose the column to sort by."""
        self.table.move_column(by)

    def action_sort(self) -> None:
        """Sort by the chosen column; again: the other way; a third time: as it was."""
        table = self.table
        key = table.columns[table.column].key
        if table.sorted_by == (key, False):
            table.sorted_by = (key, True)
        elif table.sorted_by == (key, True):
            table.sorted_by = None
        else:
            table.sorted_by = (key, False)
        self.refill()
        way = table.sorted_by and ("descending" if table.sorted_by[1] else "ascending")
        title = table.columns[table.column].title
        self.owner.say(f"Sorted by {title}, {way}" if way else "In catalogue order")

    # Filtering ---------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Open the filter line."""
        found = self.query(QueryLine)
        if found:
            filter_line = found.first()
        else:
            filter_line = QueryLine('filter: words, "a phrase", year>=2023, params<=500M, -term')
            await self.mount(filter_line, after=self.query_one(HeadLine))
        # The list is what it filters; in a narrow window the page would hide it.
        self.remove_class("-reading")
        filter_line.display = True
        filter_line.value = self.expression
        filter_line.cursor_position = len(self.expression)
        filter_line.focus()

    def _close_filter(self) -> None:
        for filter_line in self.query(QueryLine):
            filter_line.display = False
        self.problem = None

    @on(Input.Changed)
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.display:
            self._filter_by(event.value)

    def _filter_by(self, expression: str) -> None:
        try:
            self._matching(expression)
        except FilterError as problem:
            # Half-typed: say where, keep showing what was last right.
            self.problem = problem
            self.head()
            return
        self.problem = None
        if expression != self.expression:
            self.expression = expression
            self.last_expression = expression or self.last_expression
            self.refill()
        else:
            self.head()

    @on(Input.Submitted)
    def _filter_accepted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.problem:
            self.owner.say(self.problem.line(), "error")
            return
        self._close_filter()
        self.head()
        self.table.focus()

    @on(QueryLine.Left)
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.action_move(event.by)

    @on(QueryLine.Cancelled)
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.expression = ""
        self._close_filter()
        self.refill()
        self.table.focus()

    def action_match(self, by: int) -> None:
        """Next or previous row that matches the last filter."""
        expression = self.expression or self.last_expression
        if not expression:
            self.owner.say("No filter yet: press / first")
            return
        matching = {entry.id for entry in self._matching(expression)}
        count = len(self.shown)
        at = self.table.cursor
        for step in range(1, count + 1):
            index = (at + by * step) % count
            if self.shown[index].id in matching:
                self.table.move_to(index)
                return
        self.owner.say(f"No row matches {expression}")

    # Out of here -------------------------------------------------------------------------

    def action_copy_bibtex(self) -> None:
        """Copy a BibTeX record of the entry."""
        if self.current:
            self.owner.copy_bibtex([self.current])

    def action_export(self) -> None:
        """Write what is shown to a file."""
        self.owner.export_entries(self.shown, self.pane_name)
