"""Readers of CSV and TSV: PubMed's own export as it is, other tables by the names of their columns
or as the user maps them."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bioretrieval_tui.documents.document import Item, Place, Record, RecordFault, Rejected
from bioretrieval_tui.documents.readers.columns import FIELDS, Columns, columns_of, is_pubmed
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    Line,
    ReadOptions,
    SourceReader,
    text_lines,
    text_of_head,
)
from bioretrieval_tui.errors import CorpusError

MAX_FIELD_CHARACTERS = MAX_LINE_BYTES
_LOOKED_AT = 20
_LONGEST_NAME = 100
_MOST_AGAIN = 256 * 2**20
"""Characters that are read a second time, all in all, because a quote was left open."""


def read_csv(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Items of one CSV file, in file order; the first row names the columns.

    A row is rejected that has too many or too few fields, a quote out of place, a field of more
    than 16 MB, no id, neither title nor text, a NUL, or bytes that are not UTF-8. A quote that
    is never closed costs its own line alone: reading goes on with the next one.

    Raises:
        CorpusError: a mapped column is not there, or no column holds the id or any text.
    """
    yield from _read(source, options, ",")


def read_tsv(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Items of one TSV file; as `read_csv`, but a line whose tabs give the right number of
    fields is taken as it is where its quotes make no sense."""
    yield from _read(source, options, "\t")


def recognises_csv(head: bytes) -> bool:
    """Whether the first rows have the same number of fields, parted by commas."""
    return _is_table(head, ",")


def recognises_tsv(head: bytes) -> bool:
    """Whether the first rows have the same number of fields, parted by tabs."""
    return _is_table(head, "\t")


def is_pubmed_csv(head: bytes) -> bool:
    """Whether the first row is that of PubMed's own export."""
    return is_pubmed(text_of_head(head).partition("\n")[0].strip().split(","))


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: the number of its first line, its fields, or why they cannot be trusted."""

    line: int
    cells: list[str]
    fault: RecordFault | None = None


def _read(source: SourceReader, options: ReadOptions, delimiter: str) -> Iterator[Item]:
    columns: Columns | None = None
    width = 0
    for row in _rows(_Lines(text_lines(source)), delimiter):
        if columns is None:
            if row.fault is not None:
                raise CorpusError(
                    f"{source.name}:{row.line}: the columns cannot be read: {row.fault.reason}",
                    remedy=row.fault.remedy,
                )
            width = len(row.cells)
            columns = columns_of(row.cells, options.mapping, source.name)
            continue
        place = Place(source.name, line=row.line)
        try:
            yield Record(columns.document(_cells(row, width)), place)
        except RecordFault as fault:
            yield Rejected(place, fault.reason, fault.remedy)


def _cells(row: _Row, width: int) -> list[str]:
    """The fields of a row, `width` of them. Raises RecordFault where there are others."""
    if row.fault is None and len(row.cells) == width:
        return row.cells
    if row.fault is not None:
        raise row.fault
    raise RecordFault(f"the row has {len(row.cells)} fields, not {width} as the first one")


class _Lines:
    """Lines as the csv module wants them: remembers those of the current row, takes them back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._budget = _MOST_AGAIN
        self.row: list[Line] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > MAX_FIELD_CHARACTERS:
            raise csv.Error(f"a field is longer than {MAX_FIELD_CHARACTERS:,} characters")
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        self._size += len(line.text)
        return line.text

    def begin(self) -> None:
        """The next line begins a row."""
        self.row, self._size = [], 0

    def keep_first(self) -> None:
        """All lines of this row but the first are to be read again, as long as that is cheap."""
        again = sum(len(line.text) for line in self.row[1:])
        if again <= self._budget:
            self._budget -= again
            self._again.extendleft(reversed(self.row[1:]))
            del self.row[1:]


def _rows(lines: _Lines, delimiter: str) -> Iterator[_Row]:
    """All rows that hold anything. Those after the first that do not fit it and span lines are
    cut back to their first line, so that a stray quote swallows no neighbour."""
    # The module's own limit is one for the whole process, and too low for a long text.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width: int | None = None
    while True:
        lines.begin()
        cells: list[str] = []
        fault: RecordFault | None = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = RecordFault(_plainly(str(error)))
        first = lines.row[0]
        if fault is not None or width not in (None, len(cells)):
            lines.keep_first()
            raw = first.text.rstrip("\r\n").split("\t")
            if delimiter == "\t" and width in (None, len(raw)):
                cells, fault = raw, None
            elif len(lines.row) > 1:
                fault = RecordFault(f"a quote is left open here for {len(lines.row):,} lines")
        fault = next((line.fault for line in lines.row if line.fault), fault)
        if fault is None and not any(cells):
            continue
        if width is None:
            width = len(cells)
        yield _Row(first.number, cells, fault)


def _plainly(reason: str) -> str:
    """What an error of the csv module is to a reader of the report."""
    if "unexpected end of data" in reason:
        return "a quote that is opened here is never closed"
    if "expected after" in reason:
        return "something stands between the end of a quote and the next field"
    if "new-line character" in reason:
        return "a line end stands in a field without quotes"
    if "field limit" in reason:
        return f"a field is longer than {MAX_FIELD_CHARACTERS:,} characters"
    return reason


def _is_table(head: bytes, delimiter: str) -> bool:
    text = text_of_head(head)
    lines = text.splitlines(keepends=True)
    if len(lines) > 1 and not text.endswith("\n"):
        lines.pop()  # cut off by the end of the head
    if not lines or "\0" in text:
        return False
    try:
        rows = [row for row in csv.reader(lines[: 10 * _LOOKED_AT], delimiter=delimiter) if row]
    except csv.Error:
        rows = [line.split(delimiter) for line in lines]
    if not rows or len(rows[0]) < 2 or any(len(name) > _LONGEST_NAME for name in rows[0]):
        return False
    looked_at = rows[1:_LOOKED_AT]
    fitting = sum(len(row) == len(rows[0]) for row in looked_at)
    known = any(name.strip().casefold() in FIELDS for name in rows[0])
    return fitting * 2 >= len(looked_at) if known else fitting * 5 >= len(looked_at) * 4 > 0
