"""Entries of the catalogue as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of, kind_of_section
from bioretrieval_tui.catalog.fields import EntryField
from bioretrieval_tui.catalog.models import AnyEntry, Dataset, Milestone, Paper, Recipe
from bioretrieval_tui.render.sheet import face
from bioretrieval_tui.tui.entry_session import paper_of
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.table import ColumnChoice, ListRows, TableColumn, VirtualTable

_TEXT = 12
"""Least cells of a text that has no column in the usual list."""


def entry_columns(section: str, chosen: Sequence[str] = ()) -> tuple[TableColumn, ...]:
    """The columns of a section's list, the name kept longest, then the leftmost. chosen: fields,
    where the user has chosen some; what is no field of the kind is left out."""
    kind = kind_of_section(section)
    own = fields.APP_LISTS.get(kind, ())
    sizes = {name: (width, weight) for name, width, weight in own}
    listed = fields.TABLE.listed(kind)[0]
    rows = [fields.TABLE.by_name[name] for name in sizes]
    rows += [row for row in listed if row.listed or not own]
    wanted = [row for name in chosen for row in _choosable(kind) if row.name == name]
    columns = []
    for place, row in enumerate(wanted or rows):
        # A number is as wide as the heading and its arrow.
        number = row.type == "number"
        least = row.width if row in (*rows, *listed) or row.type != "text" else _TEXT
        width = max(row.width, len(_title(row)) + 1) if number else least
        width, weight = sizes.get(row.name, (width, 0 if number else row.weight))
        priority = place if own or wanted or row.priority is None else row.priority
        priority = -1 if row.name == "name" else priority  # the last one that is left
        align = "right" if number else "left"
        columns.append(TableColumn(row.name, _title(row), width, weight, align, priority))
    return tuple(columns)


def entry_table(section: str, chosen: Sequence[str] = (), empty: str = "") -> VirtualTable:
    """The table of a section: the title of a paper has a line for itself, and what is written
    rather than named goes on below."""
    lead, wraps = int(section == "papers"), section in ("datasets", "benchmarks")
    return VirtualTable(entry_columns(section, chosen), empty=empty, lead=lead, wraps=wraps)


def column_choices(
    section: str, entries: Sequence[AnyEntry], catalogue: Catalogue
) -> list[ColumnChoice]:
    """The fields that a list can show, the usual ones first, and how many entries have each."""
    usual = [column.key for column in entry_columns(section)]
    rows = {row.name: row for row in _choosable(kind_of_section(section))}
    return [
        ColumnChoice(
            name,
            _title(rows[name]),
            sum(rows[name].cell(entry, catalogue) not in (None, "", ()) for entry in entries),
        )
        for name in dict.fromkeys([*usual, *rows])
    ]


def _choosable(kind: str) -> list[EntryField]:
    # Whether a model is here is looked up on the disk, what is on the shelf has its sign: filters
    # ask them, rows do not.
    hidden = ("here", "starred", "tag", "note")
    return [row for row in fields.TABLE.of(kind) if row.type and row.name not in hidden]


def _title(row: EntryField) -> str:
    heading = row.heading or row.title
    return heading[:1].upper() + heading[1:] if heading.islower() else heading


def entry_rows(
    entries: Sequence[AnyEntry],
    columns: Sequence[TableColumn],
    catalogue: Catalogue,
    mark: Callable[[AnyEntry], str] = lambda _: "",
) -> ListRows[AnyEntry]:
    """Entries as rows. `mark` is the start of the first cell; `?` marks an unverified value."""
    from bioretrieval_tui.render.entries import field_cell

    def span(entry: AnyEntry, key: str) -> Span:
        row = fields.TABLE.by_name[key]
        seen = face(field_cell(row, entry, catalogue))
        if seen.unverified and seen.text:
            return Span(f"{seen.text}?", "warn")
        if key == "name" and isinstance(entry, Milestone):
            return Span(f"● {seen.text}", "milestone.strong")
        if key == "paper" and isinstance(entry, Recipe):
            return Span(paper_of(entry, catalogue) or seen.text, "paper")
        if key in ("name", "model", "number"):
            gone = isinstance(entry, Dataset) and not entry.available
            return Span(seen.text, "faint" if gone else f"{kind_of(entry)}.strong")
        return Span(seen.text, "text" if row.weight > 1 else "dim")

    def cells(entry: AnyEntry) -> list[Span | Row]:
        first, *others = (span(entry, column.key) for column in columns)
        name = Span(f"{mark(entry)}{first.text}", first.role)
        title = entry.title if isinstance(entry, Paper) and columns[0].key == "name" else None
        if title and title != entry.name:
            return [(name, Span(f"  {title.removeprefix(f'{entry.name}: ')}")), *others]
        return [name, *others]

    return ListRows(entries, cells)
