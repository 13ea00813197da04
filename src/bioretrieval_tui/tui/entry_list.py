"""Entries of the catalogue as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of, kind_of_section
from bioretrieval_tui.catalog.models import AnyEntry, Dataset
from bioretrieval_tui.render.entries import cell
from bioretrieval_tui.render.sheet import face
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn


def entry_columns(section: str) -> tuple[TableColumn, ...]:
    """The columns of a section's list: those of the kind, the leftmost kept longest."""
    shown, _ = fields.TABLE.listed(kind_of_section(section))
    columns = []
    for place, row in enumerate(shown):
        number = place if row.priority is None else row.priority
        heading = row.heading or row.title
        title = heading[:1].upper() + heading[1:] if heading.islower() else heading
        if row.type == "number":  # as wide as the heading and its arrow
            width = max(row.width, len(title) + 1)
            columns.append(TableColumn(row.name, title, width, align="right", priority=number))
        else:
            columns.append(TableColumn(row.name, title, row.width, row.weight, priority=number))
    return tuple(columns)


def entry_rows(
    entries: Sequence[AnyEntry],
    columns: Sequence[TableColumn],
    catalogue: Catalogue,
    mark: Callable[[AnyEntry], str] = lambda _: "",
) -> ListRows[AnyEntry]:
    """Entries as rows. `mark` is the start of the first cell; `?` marks an unverified value."""

    def span(entry: AnyEntry, key: str) -> Span:
        row = fields.TABLE.by_name[key]
        seen = face(cell(row, entry, catalogue))
        if seen.unverified and seen.text:
            return Span(f"{seen.text}?", "warn")
        if key in ("name", "model", "number"):
            gone = isinstance(entry, Dataset) and not entry.available
            return Span(seen.text, "faint" if gone else f"{kind_of(entry)}.strong")
        return Span(seen.text, "text" if row.weight > 1 else "dim")

    def cells(entry: AnyEntry) -> list[Span]:
        first, *others = (span(entry, column.key) for column in columns)
        return [Span(f"{mark(entry)}{first.text}", first.role), *others]

    return ListRows(entries, cells)
