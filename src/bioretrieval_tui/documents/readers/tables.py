"""Readers of tables: CSV with any delimiter, TSV and (an optional extra) Parquet; the columns are
found by the user's mapping, or by the names that exporters write (`named_fields`)."""

from __future__ import annotations

import csv
import datetime
import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bioretrieval_tui.documents.document import Document, Place, RecordFault, Skipped
from bioretrieval_tui.documents.readers.named_fields import (
    Columns,
    columns_of,
    is_known,
    name_key,
    named_document,
)
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    Format,
    ReadSettings,
    SourceReader,
    TextLine,
    text_lines,
    text_of_head,
)
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.util.formatting import install_command


def _row_document(row: tuple[Columns, Sequence[Any]]) -> Document:
    """The document of one row, of texts or of JSON values."""
    columns, cells = row
    if len(cells) != columns.width:
        raise RecordFault(f"the row has {len(cells)} fields, not {columns.width} as the first one")
    return named_document(columns, cells)


# CSV and TSV --------------------------------------------------------------------------------------

_LOOKED_AT = 20
_FIELDS_SEEN = 4
"""Rows by which a table of fields is recognised."""
_ABOVE = 10
"""Lines above a header, at most."""
_NOTICE = re.compile(r"\ufeff?\"?sep=(.)\"?[ \t]*\r?(?:\n|\Z)", re.IGNORECASE)
_LONGEST_NAME = 100
_MOST_AGAIN = 256 * 2**20
"""Characters that are read again because of open quotes, at most."""
# What the csv module says of a fault, and plain words for it.
_PLAINLY = {
    "unexpected end of data": "a quote is never closed",
    "expected after": "there is text between a closing quote and the next field",
    "new-line character": "there is a line end in a field without quotes",
    "field limit": f"a field is longer than {MAX_LINE_BYTES:,} characters",
}


def _table_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows of a table as far as they can be read, without what the end of the head cuts
    off."""
    lines = text.splitlines(keepends=True)
    if len(lines) > 1 and not text.endswith("\n"):
        lines.pop()
    lines = lines[: 10 * _LOOKED_AT]
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        rows = [line.rstrip("\r\n").split(delimiter) for line in lines]
    return [row for row in rows if any(row)][: 1 + _ABOVE + _LOOKED_AT]


def _known_names(rows: list[list[str]]) -> tuple[int, int]:
    """How many names of fields the row has that seems to be the header, and its position."""
    counts = [len(set(filter(is_known, row))) if len(row) > 1 else 0 for row in rows[: 1 + _ABOVE]]
    most = max(counts, default=0)
    return most, counts.index(most) if most else 0


def _is_table(delimiters: str, head: bytes) -> bool:
    """Whether the first rows have the same number of fields, separated by one of `delimiters`."""
    text = _without_notice(text_of_head(head))[0]
    return "\0" not in text and any(_separates(delimiter, text) for delimiter in delimiters)


def _separates(delimiter: str, text: str) -> bool:
    rows = _table_rows(text, delimiter)
    known, at = _known_names(rows)
    if known == 1 and at:
        known = at = 0  # one word like a name is no header below other lines
    rows = rows[at:]
    if not rows or len(rows[0]) < 2 or any(len(name) > _LONGEST_NAME for name in rows[0]):
        return False
    if delimiter == "|" and not rows[0][0].strip() and not rows[0][-1].strip():
        return False  # a table of Markdown
    looked_at = rows[1:_LOOKED_AT]
    width = len(rows[0])
    fitting = sum(len(row) >= width and not any(row[width:]) for row in looked_at)
    if known:
        return fitting * 2 >= len(looked_at)
    # A bar separates columns of other texts, too.
    return delimiter != "|" and fitting * 5 >= len(looked_at) * 4 > 0


def _without_notice(text: str) -> tuple[str, str | None]:
    """A text without Excel's line that names the delimiter ("sep=;"), and this delimiter."""
    found = _NOTICE.match(text)
    return (text[found.end() :], found[1]) if found else (text, None)


def _delimiter(delimiters: str, head: bytes, settings: ReadSettings) -> str:
    """The delimiter of a table: that of the settings, that which its first line names, else the one
    by which the header has most names of fields (or of the mapping), else most fields."""
    if settings.delimiter is not None:
        return settings.delimiter
    text, named = _without_notice(text_of_head(head))
    if named is not None:
        return named
    mapped = {name.strip().casefold() for name in settings.mapping.values()}

    def rank(delimiter: str) -> tuple[int, bool, int]:
        rows = _table_rows(text, delimiter)
        known, at = _known_names(rows)
        header = rows[at] if rows else []
        known += sum(name.strip().casefold() in mapped for name in header)
        return known, _separates(delimiter, text), -delimiters.index(delimiter)

    return max(delimiters, key=rank)


def _rows(
    delimiters: str, source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, tuple[Columns, list[str]] | RecordFault | Skipped]]:
    """Yield the rows below the header, which names the columns; up to ten lines above it are
    skipped. A row of several lines with a fault or a wrong number of fields is cut to its first
    line, so that a stray quote loses no other row. A line of TSV with misplaced quotes is split at
    its tabs if that gives the right number of fields. Raises as `columns_of`."""
    # The module's own limit is global to the process, and too low for a long text.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    delimiter = _delimiter(delimiters, source.head(), settings)
    if _is_vertical(_table_rows(text_of_head(source.head()), delimiter)):
        yield from _vertical(delimiter, source, settings)
        return
    lines = _RowLines(text_lines(source))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: Columns | None = None
    above: list[tuple[Place, CorpusError]] = []
    while True:
        lines.begin()
        cells: list[str] = []
        fault: RecordFault | None = None
        try:
            cells = next(reader)
            if columns is not None and not any(cells[columns.width :]):
                cells = cells[: columns.width]  # rows, but not the header, end with a delimiter
        except StopIteration:
            if above:
                raise _of_the_header(above) from None
            return
        except csv.Error as error:
            reason = str(error)
            plainly = (words for part, words in _PLAINLY.items() if part in reason)
            fault = RecordFault(next(plainly, reason))
        first = lines.row[0]
        if fault is not None or (columns is not None and len(cells) != columns.width):
            is_whole = fault is None and len(lines.row) == 1
            lines.keep_first()
            raw = first.text.rstrip("\r\n").split("\t")
            if delimiter == "\t" and (columns is None or len(raw) == columns.width):
                cells, fault = raw, None
            elif len(lines.row) > 1:
                fault = RecordFault(f"a quote is left open here for {len(lines.row):,} lines")
            elif columns is not None and is_whole and len(cells) >= max(columns.least, 2):
                # Excel leaves empty fields at the end out; more fields than names are a fault.
                cells += [""] * (columns.width - len(cells))
        fault = next((line.fault for line in lines.row if line.fault), fault)
        if fault is None and not any(cells):
            continue
        place = Place(source.name, line=first.number)
        if columns is not None:
            again = tuple(cells) == columns.names
            header = Skipped(place, "the header of the table, again") if again else None
            yield place, fault or header or (columns, cells)
        elif fault is None:
            if first.number == 1 and _NOTICE.fullmatch(first.text):
                continue
            try:
                columns = columns_of(cells, settings.mapping, source.name)
                if above and not settings.mapping and sum(map(is_known, cells)) < 2:
                    # One word like a name is no header below other lines.
                    columns = None
                    raise CorpusError(f"{place}: the header of the table is not found")
            except CorpusError as error:
                above.append((place, error))
                if len(above) > _ABOVE:
                    raise _of_the_header(above) from None
            else:
                for skipped, _ in above:
                    yield skipped, Skipped(skipped, "a line above the header of the table")
                above.clear()
        else:
            what = f"the columns cannot be read: {fault.reason}"
            raise CorpusError(f"{place}: {what}", remedy=fault.remedy)


def _is_vertical(rows: list[list[str]]) -> bool:
    """Whether each row is a field, whose name is its first cell, as Embase writes on request."""
    names = [row[0] for row in rows[:_FIELDS_SEEN]]
    return (
        len(set(filter(is_known, names))) >= min(_FIELDS_SEEN, 3)
        and not any(map(is_known, rows[0][1:]))
        and name_key(names[0]) == "title"
    )


def _vertical(
    delimiter: str, source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, tuple[Columns, list[Any]] | RecordFault | Skipped]]:
    """Yield the records of a table whose rows are fields; each begins with its title. Raises as
    `columns_of`."""
    fields: dict[str, list[str]] = {}
    place, fault = Place(source.name, line=1), None

    def whole() -> tuple[Place, tuple[Columns, list[Any]] | RecordFault]:
        if fault is not None:
            return place, fault
        columns = columns_of(tuple(fields), settings.mapping, source.name)
        cells = [values[0] if len(values) == 1 else values for values in fields.values()]
        return place, (columns, cells)

    size = 0
    for line in text_lines(source):
        cells = next(csv.reader([line.text.rstrip("\r\n")], delimiter=delimiter), [])
        if not any(cells) and line.fault is None:
            continue
        if fields and cells and name_key(cells[0]) == "title":
            yield whole()
            fields, place, fault, size = {}, Place(source.name, line=line.number), None, 0
        size += len(line.text)
        if size > MAX_LINE_BYTES:
            fault, fields = RecordFault(f"longer than {MAX_LINE_BYTES:,} characters"), {"Title": []}
        fault = fault or line.fault
        if len(cells) > 1:
            fields.setdefault(cells[0], []).extend(filter(None, cells[1:]))
    if fields:
        yield whole()


def _of_the_header(above: list[tuple[Place, CorpusError]]) -> CorpusError:
    """The fault of the first row that may be a header: one of several names."""
    wide = (error for _, error in above if "', '" in error.message)
    return next(wide, above[0][1])


class _RowLines:
    """Lines for the csv module; remembers those of the current row, and can take them back."""

    def __init__(self, lines: Iterator[TextLine]) -> None:
        self._lines = lines
        self._again: deque[TextLine] = deque()
        self._budget = _MOST_AGAIN
        self.begin()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > MAX_LINE_BYTES:
            raise csv.Error(f"a field is longer than {MAX_LINE_BYTES:,} characters")
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        self._size += len(line.text)
        return line.text

    def begin(self) -> None:
        self.row: list[TextLine] = []
        self._size = 0

    def keep_first(self) -> None:
        """Return all lines of this row but the first, as long as that is cheap."""
        again = sum(len(line.text) for line in self.row[1:])
        if again <= self._budget:
            self._budget -= again
            self._again.extendleft(reversed(self.row[1:]))
            del self.row[1:]


_OPTIONS = ("map", "delimiter")
CSV = Format(
    "csv",
    (".csv",),
    partial(_is_table, ",;|"),
    partial(_rows, ",;|\t"),
    _row_document,
    takes=_OPTIONS,
)
TSV = Format(
    "tsv",
    (".tsv", ".tab"),
    partial(_is_table, "\t"),
    partial(_rows, "\t"),
    _row_document,
    takes=_OPTIONS,
)


# Parquet ------------------------------------------------------------------------------------------

_MAGIC = b"PAR1"
_BATCH = 1_000
_REMEDY = "get the file again and compare its checksum"
_LARGEST_GROUP = 2 * 2**30
"""Bytes of a row group, uncompressed, at most: a group is read as a whole."""


def _parquet_rows(
    source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, tuple[Columns, list[Any]] | RecordFault]]:
    """Yield the rows of a Parquet file. Raises as `columns_of` and `parquet_cells`."""
    columns: Columns | None = None
    for place, names, cells in parquet_cells(source):
        if columns is None:
            columns = columns_of(names, settings.mapping, source.name)
        yield place, cells if isinstance(cells, RecordFault) else (columns, cells)


def parquet_cells(
    source: SourceReader,
) -> Iterator[tuple[Place, list[str], list[Any] | RecordFault]]:
    """Yield the rows of a Parquet file, placed at their numbers from 1, and the names of its
    columns, with one row group in memory at a time; the rest of a damaged row group is one fault.
    Columns of vectors are left out.
    Raises CorpusError without pyarrow, or if the input is a pipe, compressed, or damaged metadata.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        what = f"{source.name} is Parquet, which needs pyarrow"
        raise CorpusError(what, remedy=install_command("parquet")) from error
    if source.path is None:
        what = "Parquet cannot be read from a pipe: its metadata is at its end"
        raise CorpusError(what, remedy="save it and name the file")
    with source.path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise CorpusError(f"{source.name} is compressed Parquet", remedy="decompress it")
    faults = (pyarrow.ArrowException, OSError, UnicodeError, OverflowError)
    try:
        table = pyarrow.parquet.ParquetFile(source.path)
        names = [one.name for one in table.schema_arrow if not _holds_vectors(one.type)]
        # By name only where some are left out: a name may occur twice.
        chosen = None if len(names) == len(table.schema_arrow) else names
    except faults as error:
        raise CorpusError(f"{source.name}: {_damage(error)}", remedy=_REMEDY) from error
    with table:
        row = 1
        for group in range(table.num_row_groups):
            described = table.metadata.row_group(group)
            if described.total_byte_size > _LARGEST_GROUP:
                what = f"a row group of {described.total_byte_size:,} bytes is too large"
                remedy = "write it with smaller row groups"
                raise CorpusError(f"{source.name}: {what}", remedy=remedy)
            # Nothing else of `described` is used: pyarrow aborts on a damaged column.
            end = row + described.num_rows
            try:
                for batch in table.iter_batches(_BATCH, row_groups=[group], columns=chosen):
                    for at in range(batch.num_rows):
                        place = Place(source.name, line=row)
                        row += 1
                        try:
                            cells = [_json_value(column[at].as_py()) for column in batch.columns]
                        except RecordFault as fault:
                            yield place, names, fault
                        except (UnicodeDecodeError, ValueError, OverflowError) as error:
                            yield place, names, RecordFault(f"a cell cannot be read: {error}")
                        else:
                            yield place, names, cells
            except faults as error:
                reason = f"rows {row:,} to {end - 1:,}: {_damage(error)}"
                yield Place(source.name), names, RecordFault(reason, _REMEDY)
            row = end


def _holds_vectors(kind: Any) -> bool:
    """Whether a type is a list of floating-point numbers, or holds one."""
    import pyarrow.types as types

    inner = [kind.field(at).type for at in range(kind.num_fields)]
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return (is_list and types.is_floating(inner[0])) or any(map(_holds_vectors, inner))


def _damage(error: Exception) -> str:
    return f"the Parquet data is damaged: {' '.join(str(error).split())[:200]}"


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has no NaN and no infinity
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_json_value(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _json_value(part) for key, part in value.items()}
    if isinstance(value, bytes):
        raise RecordFault("a cell holds bytes, not text")
    return str(value)


PARQUET = Format(
    "parquet",
    (".parquet",),
    lambda head: head.startswith(_MAGIC),
    _parquet_rows,
    _row_document,
    takes=("map",),
)
