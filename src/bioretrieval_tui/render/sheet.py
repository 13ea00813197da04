"""What every format renders: a sheet of typed cells, with whole records and citations.

`formats` turns a `Sheet` into text. Cells keep their data, so that one row shows "109M" to a reader
and 109000000 to a program. All text passes `clean` here, when it leaves a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from msgspec import Struct

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


class Linked(Struct, frozen=True):
    """Text that leads to an address.

    data: what csv writes in place of `text`, where the text would be misread (an arXiv number
    loses its last zero in a spreadsheet).
    """

    text: str
    url: str
    data: str | int | None = None


class Figure(Struct, frozen=True):
    """A value that readers see in another form: csv writes `value`, table and markdown `text`."""

    value: Plain
    text: str


class Unverified(Struct, frozen=True):
    """A value that no source was read for; every format for readers marks it."""

    cell: str | int | float | bool | Linked | Figure


Cell = Plain | Linked | Figure | Unverified


class Column(Struct, frozen=True):
    """One column.

    key: its name in csv, snake_case; title: its heading; weight: its share of the spare width of a
    table; min_width: cells of the terminal below which a table omits the column; data_only: for csv
    alone; role: what its cells are, for the app's colours.
    """

    key: str
    title: str
    align: Literal["left", "right"] = "left"
    weight: int = 1
    min_width: int = 4
    data_only: bool = False
    role: str = "text"


In = TypeVar("In")
Out = TypeVar("Out", covariant=True)


class Each(Sequence[Out], Generic[In, Out]):
    """`make` applied to each item on access, so that a listing as JSON builds no rows.

    `make` is called at each access: it must be pure.
    """

    def __init__(self, make: Callable[[In], Out], items: Sequence[In]) -> None:
        self.make = make
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> Out: ...
    @overload
    def __getitem__(self, place: slice) -> Each[In, Out]: ...
    def __getitem__(self, place: int | slice) -> Out | Each[In, Out]:
        if isinstance(place, slice):
            return Each(self.make, self.items[place])
        return self.make(self.items[place])

    def __iter__(self) -> Iterator[Out]:
        return map(self.make, self.items)


class Sheet(Struct, frozen=True):
    """Rows for table, markdown and csv; records for json and jsonl; citations for bibtex.

    Every row has one cell for each column. Records hold what msgspec can encode. The three may
    differ in length: a result has a record but nothing to cite. `Each` makes their items when they
    are rendered.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    records: Sequence[dict[str, Any]]
    citations: Sequence[Citation] = ()


class Face(Struct, frozen=True):
    """A cell as it is shown: one clean line, its address if any, whether it is marked."""

    text: str
    url: str | None = None
    unverified: bool = False
    number: bool = False
    """True where `text` is made from a number and cannot hold markup."""


def face(cell: Cell) -> Face:
    """The cell for table and markdown."""
    unverified = isinstance(cell, Unverified)
    if isinstance(cell, Unverified):
        cell = cell.cell
    match cell:
        case Linked():
            return Face(one_line(cell.text), safe_url(cell.url) or None, unverified)
        case Figure(text=text) | str(text):
            return Face(one_line(text), None, unverified)
        case bool():
            return Face("yes" if cell else "no", None, unverified)
        case None:
            return Face("")
        case _:
            return Face(repr(cell), None, unverified, number=True)


def datum(cell: Cell) -> tuple[Plain, bool]:
    """The cell for csv: its value (text as one clean line) and whether it is unverified."""
    if isinstance(cell, Unverified):
        return datum(cell.cell)[0], True
    value: Plain
    if isinstance(cell, Linked):
        value = cell.text if cell.data is None else cell.data
    elif isinstance(cell, Figure):
        value = cell.value
    else:
        value = cell
    return (one_line(value) if isinstance(value, str) else value), False


def shown(sheet: Sheet) -> list[int]:
    """Positions of the columns that readers see."""
    return [place for place, column in enumerate(sheet.columns) if not column.data_only]


def record_sheet(
    title: str, columns: tuple[Column, ...], records: Sequence[dict[str, Any]]
) -> Sheet:
    """Make a sheet whose rows are fields of its records, by the keys of the columns."""
    rows = tuple(tuple(record[one.key] for one in columns) for record in records)
    return Sheet(title=title, columns=columns, rows=rows, records=tuple(records))
