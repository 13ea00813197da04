"""A section of the catalogue: its list, and the page of the entry under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of, kind_of_section
from bioretrieval_tui.catalog.models import AnyEntry, Dataset
from bioretrieval_tui.render.entries import cell, entry_page
from bioretrieval_tui.render.sheet import face
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable


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


def title_of(pane: str) -> str:
    """The title of a pane in the registry."""
    return next(title for name, title, _ in PANES if name == pane)


def show_entries(
    pane: Pane, keep: str | None = None, mark: Callable[[AnyEntry], str] | None = None
) -> None:
    """Filter, sort and show the entries of a pane's list; the cursor stays on `keep`."""
    found, table = pane.entry_list, pane.table
    if found is None:
        return
    keep = keep or pane.current_id
    found.fill()
    rows = EntryRows(found.shown, table.columns, pane.catalogue, mark)
    table.show(rows, found.place(keep))
    pane.head()
    pane.show_page()


class BrowsePane(Pane):
    """One section of the catalogue."""

    BINDINGS = bindings("browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("list", "browse", "everywhere")

    def __init__(self, name: str, section: str | None = None) -> None:
        super().__init__(name)
        self.section = section or name

    def compose(self) -> ComposeResult:
        """Head, list, detail; the filter line is mounted on first use."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(entry_columns(self.section), empty="No entry matches.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Fill the list."""
        self.entry_list = EntrySession(self.catalogue.section(self.section), self.catalogue)
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        show_entries(self, keep)

    def head(self) -> None:
        self.query_one(HeadLine).show(*self.list_head(title_of(self.pane_name)))

    def make_page(self) -> PaintedPage:
        """The page of the entry under the cursor."""
        if self.current is None:
            return PaintedPage(())
        return paint(entry_page(self.current, self.catalogue))
