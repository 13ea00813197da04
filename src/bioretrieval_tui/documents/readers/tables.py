"""Readers of tables: CSV, TSV and (an optional extra) Parquet; by the names of their columns, by
the user's mapping, or by the columns of PubMed's own export."""

from __future__ import annotations

import csv
import datetime
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.bibliography import (
    dated,
    distinct,
    document,
    doi_of,
    identifier,
    sound,
    sound_value,
)
from bioretrieval_tui.documents.document import (
    Document,
    Item,
    Place,
    Record,
    RecordFault,
    Rejected,
    item_of,
)
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    ReadOptions,
    SourceReader,
    TextLine,
    text_lines,
    text_of_head,
)
from bioretrieval_tui.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow

_TEXTS = ("journal", "doi", "pmid", "pmcid", "url", "vernacular_title", "volume", "issue", "pages")
_LISTS = ("authors", "language", "types", "mesh", "mesh_major", "keywords")
FIELDS = ("id", "title", "text", "year", "date", *_TEXTS, *_LISTS)
_IDS = ("id", "pmid", "doi")
_SHOWN = 12

# Columns of PubMed's own export, besides those with the names of our fields.
_PUBMED = {
    "title": "Title",
    "authors": "Authors",
    "journal": "Journal/Book",
    "year": "Publication Year",
}
_PUBMED_HEADER = ("PMID", "Title", "Authors", "Citation")
_CITATION = re.compile(r";\s*([^\s;:()]+)?(?:\(([^()]*)\))?(?::\s*([^\s;:]+?))?\.(?:\s|$)")


def is_pubmed(columns: Sequence[str]) -> bool:
    """Whether these are the columns of PubMed's own CSV export."""
    return tuple(columns[: len(_PUBMED_HEADER)]) == _PUBMED_HEADER


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the fields.

    fields: from our names to positions; others: names and positions of the columns that become
    metadata unchanged; pubmed: whether the table is PubMed's own export.
    """

    fields: Mapping[str, int]
    others: Mapping[str, int]
    pubmed: bool

    def document(self, row: Sequence[Any]) -> Document:
        """Make the document of one row, of texts or of JSON values.

        Raises:
            RecordFault: it has no id, neither title nor text, or a NUL.
        """
        values = {name: row[at] for name, at in self.fields.items()}
        identity = next((values[name] for name in _IDS if values.get(name) not in (None, "")), "")
        title, text = _text(values.get("title")), _text(values.get("text"))
        metadata: dict[str, Any] = {
            name: sound_value(row[at]) for name, at in self.others.items() if row[at] != ""
        }
        if self.pubmed:
            metadata |= _citation(_text(metadata.pop("Citation", "")))
            values["authors"] = _text(values.get("authors")).rstrip(".").split(", ")
        if "date" in values:
            metadata |= dated(_text(values["date"]))
        if "year" in values:
            year = dated(_text(values["year"]))
            if metadata.get("year") != year.get("year"):
                metadata |= year
        for name, value in values.items():
            if name in _LISTS:
                metadata[name] = _list(value)
            elif name not in FIELDS:
                metadata[name] = sound_value(value)
            elif name in _TEXTS:
                metadata[name] = _text(value).strip()
        if "doi" in values:
            metadata["doi"] = doi_of(_text(values["doi"])) or metadata["doi"]
        return document(identifier(identity), title, text, metadata)


def columns_of(names: Sequence[str], mapping: Mapping[str, str], file: str) -> Columns:
    """Find the columns of the fields: by `mapping` (field to column) first, then by our field
    names, whatever their case.

    Raises:
        CorpusError: a mapped column is missing or ambiguous, or there is no column for the id or
            for any text; the message lists the columns.
    """
    found: dict[str, int] = {}
    pubmed = is_pubmed(names)
    for field, column in {**(_PUBMED if pubmed else {}), **mapping}.items():
        at = [number for number, name in enumerate(names) if name == column]
        if not at:
            at = [n for n, name in enumerate(names) if name.casefold() == column.casefold()]
        if len(at) != 1 and (at or field in mapping):
            what = "occurs twice" if at else "does not exist"
            raise CorpusError(
                f"{file}: the column {column!r} for `{field}` {what}; its columns are"
                f" {_listed(names)}",
                remedy=f"--map {field}=COLUMN",
            )
        if at:
            found[field] = at[0]
    taken = set(found.values())
    for number, name in enumerate(names):
        field = name.strip().casefold()
        if field in FIELDS and field not in found and number not in taken:
            found[field] = number
    taken = set(found.values())
    for needed, kinds in (("id", _IDS), ("title", ("title", "text"))):
        if not any(kind in found for kind in kinds):
            raise CorpusError(
                f"{file}: no column holds {' or '.join(f'`{kind}`' for kind in kinds)};"
                f" its columns are {_listed(names)}",
                remedy=f"--map {needed}=COLUMN",
            )
    others = {
        name: number
        for number, name in enumerate(names)
        if number not in taken and name.strip() and name not in found
    }
    return Columns(found, others, pubmed)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if value == value // 1 else str(value)
    raise RecordFault("a text column holds another type")


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return distinct(part.strip() for part in sound(value).split(";"))
    given = value if isinstance(value, list) else [value]
    return distinct(_text(part).strip() for part in given)


def _citation(text: str) -> dict[str, str | None]:
    """Volume, issue and pages of "J Foo. 2020 Jan 5;12(3):1-5. doi: 10.1/x."."""
    match = _CITATION.search(text)
    if match is None:
        return {}
    return {"volume": match[1], "issue": match[2], "pages": match[3]}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


# CSV and TSV.

MAX_FIELD_CHARACTERS = MAX_LINE_BYTES
_LOOKED_AT = 20
_LONGEST_NAME = 100
_MOST_AGAIN = 256 * 2**20
"""Characters that are read again because of open quotes, at most."""


def read_csv(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Read the items of a CSV file, in file order; the first row names the columns.

    A row is rejected if it has too many or too few fields, a misplaced quote, a field of more than
    16 MB, no id, neither title nor text, a NUL, or bytes that are not UTF-8. An unclosed quote
    loses only its own line.

    Raises:
        CorpusError: a mapped column does not exist, or there is none for the id or for any text.
    """
    yield from _read(source, options, ",")


def read_tsv(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Read the items of a TSV file; as `read_csv`, but a line with misplaced quotes is split at its
    tabs if that gives the right number of fields."""
    yield from _read(source, options, "\t")


def recognises_csv(head: bytes) -> bool:
    """Whether the first rows have the same number of fields, separated by commas."""
    return _is_table(head, ",")


def recognises_tsv(head: bytes) -> bool:
    """Whether the first rows have the same number of fields, separated by tabs."""
    return _is_table(head, "\t")


def is_pubmed_csv(head: bytes) -> bool:
    """Whether the first row is that of PubMed's own export."""
    return is_pubmed(text_of_head(head).partition("\n")[0].strip().split(","))


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: the number of its first line, its fields, and a fault if they are unreliable."""

    line: int
    cells: list[str]
    fault: RecordFault | None = None


def _read(source: SourceReader, options: ReadOptions, delimiter: str) -> Iterator[Item]:
    columns: Columns | None = None
    width = 0
    for row in _rows(_RowLines(text_lines(source)), delimiter):
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
        yield item_of(place, partial(_row_document, row, width, columns))


def _row_document(row: _Row, width: int, columns: Columns) -> Document:
    if row.fault is not None:
        raise row.fault
    if len(row.cells) != width:
        raise RecordFault(f"the row has {len(row.cells)} fields, not {width} as the first one")
    return columns.document(row.cells)


class _RowLines:
    """Lines for the csv module; remembers those of the current row, and can take them back."""

    def __init__(self, lines: Iterator[TextLine]) -> None:
        self._lines = lines
        self._again: deque[TextLine] = deque()
        self._budget = _MOST_AGAIN
        self.row: list[TextLine] = []
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
        """Begin a row at the next line."""
        self.row, self._size = [], 0

    def keep_first(self) -> None:
        """Return all lines of this row but the first, as long as that is cheap."""
        again = sum(len(line.text) for line in self.row[1:])
        if again <= self._budget:
            self._budget -= again
            self._again.extendleft(reversed(self.row[1:]))
            del self.row[1:]


def _rows(lines: _RowLines, delimiter: str) -> Iterator[_Row]:
    """Yield all rows that are not empty. A row of several lines with a fault or a wrong number of
    fields is cut to its first line, so that a stray quote loses no other row."""
    # The module's own limit is global to the process, and too low for a long text.
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
    """An error of the csv module in plain words."""
    if "unexpected end of data" in reason:
        return "a quote is never closed"
    if "expected after" in reason:
        return "there is text between a closing quote and the next field"
    if "new-line character" in reason:
        return "there is a line end in a field without quotes"
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


# Parquet.

_PARQUET_MAGIC = b"PAR1"
_BATCH = 1_000
_REMEDY = "get the file again and compare its checksum"
_LARGEST_GROUP = 2 * 2**30
"""Bytes of a row group, uncompressed, at most: a group is read as a whole."""


def read_parquet(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Read the items of a Parquet file, in file order, one row group in memory at a time.

    A rejected row is reported by its number, from 1; the rest of a damaged row group is one
    rejected item.

    Raises:
        CorpusError: pyarrow is not installed, the input is a pipe or compressed, the metadata is
            damaged, a mapped column does not exist, or there is none for the id or for any text.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CorpusError(
            f"{source.name} is Parquet, which needs pyarrow",
            remedy="pip install 'bioretrieval-tui[parquet]'",
        ) from error
    if source.path is None:
        raise CorpusError(
            "Parquet cannot be read from a pipe: its metadata is at its end",
            remedy="save it and name the file",
        )
    with source.path.open("rb") as stream:
        if stream.read(len(_PARQUET_MAGIC)) != _PARQUET_MAGIC:
            raise CorpusError(f"{source.name} is compressed Parquet", remedy="decompress it")
    faults = (pyarrow.ArrowException, OSError, UnicodeError, OverflowError)
    try:
        table = pyarrow.parquet.ParquetFile(source.path)
        names = table.schema_arrow.names
    except faults as error:
        raise CorpusError(f"{source.name}: {_damage(error)}", remedy=_REMEDY) from error
    with table:
        columns = columns_of(names, options.mapping, source.name)
        first = 1
        for group in range(table.num_row_groups):
            described = table.metadata.row_group(group)
            if described.total_byte_size > _LARGEST_GROUP:
                raise CorpusError(
                    f"{source.name}: a row group of {described.total_byte_size:,} bytes is too"
                    " large",
                    remedy="write it with smaller row groups",
                )
            # Nothing else of `described` is used: pyarrow aborts on a damaged column.
            end = first + described.num_rows
            try:
                for batch in table.iter_batches(_BATCH, row_groups=[group]):
                    yield from _parquet_items(batch, columns, source.name, first)
                    first += batch.num_rows
            except faults as error:
                reason = f"rows {first:,} to {end - 1:,}: {_damage(error)}"
                yield Rejected(Place(source.name), reason, _REMEDY)
            first = end
    source.hash_rest()


def recognises_parquet(head: bytes) -> bool:
    """Whether it begins with the magic bytes of Parquet."""
    return head.startswith(_PARQUET_MAGIC)


def _parquet_items(
    batch: pyarrow.RecordBatch, columns: Columns, name: str, first: int
) -> Iterator[Item]:
    """Yield the items of a batch whose first row has the number `first`."""
    place = Place(name)
    for at in range(batch.num_rows):
        try:
            row = [_cell(column, at) for column in batch.columns]
            yield Record(columns.document(row), place)
        except RecordFault as fault:
            yield Rejected(place, f"row {first + at:,}: {fault.reason}", fault.remedy)


def _damage(error: Exception) -> str:
    return f"the Parquet data is damaged: {' '.join(str(error).split())[:200]}"


def _cell(column: pyarrow.Array, at: int) -> Any:
    """One cell as a JSON value."""
    try:
        value = column[at].as_py()
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise RecordFault(f"a cell cannot be read: {error}") from error
    return _json_value(value)


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
