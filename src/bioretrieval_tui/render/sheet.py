"""What every format renders: a sheet of typed cells, with whole records and citations.

`formats` turns a `Sheet` into text. Cells keep their data, so that one row shows "109M" to a reader
and 109000000 to a program. All text passes `clean` here, when it leaves a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.terminal.clean import clean, safe_url

if TYPE_CHECKING:
    from bioretrieval_tui.render.citation import Citation


def one_line(text: str) -> str:
    """`text` without control bytes and with every run of white space as one space."""
    return " ".join(clean(text).split())


def shortened(text: str, length: int = 100) -> str:
    """The beginning of `text` on one line, cut between words, "…" included in `length`."""
    text = one_line(text)
    if len(text) <= length:
        return text
    head = text[: length - 1]
    # A cut within the last word drops that word, unless it is all there is.
    if not text[length - 1].isspace() and " " in head:
        head = head[: head.rindex(" ")]
    return head.rstrip(" ,;:.") + "…"


Plain = str | int | float | bool | None


class Shown(Struct, frozen=True):
    """A value that readers see in another form than programs. value: what csv writes; text: what
    readers see; url: where that leads; unverified: no source was read for it, which every format
    for readers marks; emphasis: the best or second-best number of its column; mark: signs that
    readers see behind it."""

    value: Plain
    text: str
    url: str | None = None
    unverified: bool = False
    emphasis: Literal["", "best", "second"] = ""
    mark: str = ""


Cell = Plain | Shown


def linked(text: str, url: str, data: Plain = None) -> Shown:
    """Text that leads to an address. data: what csv writes in its place, where the text would be
    misread (an arXiv number loses its last zero in a spreadsheet)."""
    return Shown(text if data is None else data, text, url)


def counted(value: int | None) -> Shown | None:
    """A number that readers see with thousands separators."""
    return None if value is None else Shown(value, f"{value:,}")


def unverified(cell: Cell) -> Shown:
    return replace(_as_shown(cell), unverified=True)


def _as_shown(cell: Cell) -> Shown:
    match cell:
        case Shown():
            return cell
        case bool():
            return Shown(cell, "yes" if cell else "no")
        case int() | float():
            return Shown(cell, repr(cell))
    return Shown(cell, cell or "")


def face(cell: Cell) -> Shown:
    """The cell for table and markdown: its text on one clean line, its address if it is safe."""
    one = _as_shown(cell)
    url = safe_url(one.url) if one.url else None
    return Shown(one.value, one_line(one.text), url or None, one.unverified, one.emphasis, one.mark)


class Column(Struct, frozen=True):
    """One column. key: its name in csv, snake_case; title: its heading; weight: its share of the
    spare width of a table; min_width: cells of the terminal below which a table omits the column;
    data_only: for csv alone; role: what its cells are, for the app's colours."""

    key: str
    title: str
    align: Literal["left", "right"] = "left"
    weight: int = 1
    min_width: int = 4
    data_only: bool = False
    role: str = "text"


In = TypeVar("In")
Out = TypeVar("Out", covariant=True)


class Each(Collection[Out], Generic[In, Out]):
    """`make` applied to each item when it is read, so that a listing as JSON builds no rows."""

    def __init__(self, make: Callable[[In], Out], items: Sequence[In]) -> None:
        self.make = make
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Out]:
        return map(self.make, self.items)

    def __contains__(self, one: object) -> bool:
        return any(one == made for made in self)


class Sheet(Struct, frozen=True):
    """Rows for table, markdown and csv; records for json and jsonl; citations for bibtex,
    ris, csl and endnote.

    Every row has one cell for each column. Records hold what msgspec can encode. The three may
    differ in length: a result has a record but nothing to cite. `Each` makes their items when they
    are rendered.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Collection[tuple[Cell, ...]]
    records: Collection[dict[str, Any]]
    citations: Collection[Citation] = ()
    note: str = ""
    """What a reader of the rows must know, below them in markdown and LaTeX."""


def readable(sheet: Sheet) -> list[int]:
    """Positions of the columns that readers see."""
    return [place for place, column in enumerate(sheet.columns) if not column.data_only]


ColumnOf = tuple[Column, Callable[[In], Cell]]
"""A column, and what makes its cell of an item."""


def column(
    key: str, title: str = "", make: Callable[[Any], Cell] | None = None, **look: Any
) -> ColumnOf[Any]:
    """A column of an attribute, or of what `make` makes; look: other fields of `Column`."""
    return Column(key, title or key.replace("_", " "), **look), make or attrgetter(key)


def sheet_of(
    title: str,
    columns: Sequence[ColumnOf[In]],
    items: Sequence[In],
    record: Callable[[In], dict[str, Any]],
    citations: Collection[Citation] = (),
    note: str = "",
) -> Sheet:
    """The sheet with a row and a record for each item."""

    def row(item: In) -> tuple[Cell, ...]:
        return tuple(make(item) for _, make in columns)

    shown = tuple(column for column, _ in columns)
    return Sheet(title, shown, Each(row, items), Each(record, items), citations, note)


def record_sheet(
    title: str, columns: tuple[Column, ...], records: Sequence[dict[str, Any]]
) -> Sheet:
    """Make a sheet whose rows are fields of its records, by the keys of the columns."""
    rows = tuple(tuple(record[one.key] for one in columns) for record in records)
    return Sheet(title=title, columns=columns, rows=rows, records=tuple(records))
