"""Readers of tables: CSV, TSV and (an optional extra) Parquet; by the names of their columns, by
the user's mapping, or by the columns of PubMed's own export."""

from __future__ import annotations

import csv
import datetime
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from bioretrieval_tui.documents.bibliography import (
    LISTS,
    dated,
    distinct,
    document,
    identifier,
    sound,
    sound_value,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.identity import doi_of
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

_TEXTS = ("journal", "doi", "pmid", "pmcid", "url", "vernacular_title", "volume", "issue", "pages")
_FIELDS = ("id", "title", "text", "year", "date", *_TEXTS, *LISTS)
_IDS = ("id", "pmid", "doi")
_SHOWN = 12
"""Columns that an error lists."""

# PubMed's own export: its first columns, and those of fields besides the ones with their names.
_PUBMED_HEADER = ["PMID", "Title", "Authors", "Citation"]
_PUBMED = {"authors": "Authors", "journal": "Journal/Book", "year": "Publication Year"}
_CITATION = re.compile(r";\s*([^\s;:()]+)?(?:\(([^()]*)\))?(?::\s*([^\s;:]+?))?\.(?:\s|$)")


class Columns(NamedTuple):
    """The columns of a table: `fields` from our names to positions, `others` from the names of
    those that become metadata unchanged, their number, and whether it is PubMed's own export."""

    fields: Mapping[str, int]
    others: Mapping[str, int]
    width: int
    pubmed: bool


def columns_of(names: Sequence[str], mapping: Mapping[str, str], file: str) -> Columns:
    """Find the columns of the fields: by `mapping` (field to column) first, then by our field
    names, whatever their case. Raises CorpusError, which lists the columns, if a mapped one is
    missing or ambiguous, or there is none for the id or for any text."""
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    more = "" if len(names) <= _SHOWN else f" and {len(names) - _SHOWN} more"

    def fault(field: str, what: str) -> CorpusError:
        reason = f"{file}: {what}; its columns are {shown}{more}"
        return CorpusError(reason, remedy=f"--map {field}=COLUMN")

    found: dict[str, int] = {}
    folded = [name.strip().casefold() for name in names]
    pubmed = list(names[: len(_PUBMED_HEADER)]) == _PUBMED_HEADER
    for field, column in {**(_PUBMED if pubmed else {}), **mapping}.items():
        at = [number for number, name in enumerate(names) if name == column]
        at = at or [n for n, name in enumerate(folded) if name == column.strip().casefold()]
        if len(at) == 1:
            found[field] = at[0]
        elif at or field in mapping:
            what = "occurs twice" if at else "does not exist"
            raise fault(field, f"the column {column!r} for `{field}` {what}")
    mapped = set(found.values())
    for number, name in enumerate(folded):
        if name in _FIELDS and name not in found and number not in mapped:
            found[name] = number
    for needed, kinds in (("id", _IDS), ("title", ("title", "text"))):
        if not any(kind in found for kind in kinds):
            raise fault(needed, f"no column holds {' or '.join(f'`{kind}`' for kind in kinds)}")
    taken = set(found.values())
    others = {
        name: number
        for number, name in enumerate(names)
        if number not in taken and name.strip() and name not in found
    }
    return Columns(found, others, len(names), pubmed)


def _row_document(row: tuple[Columns, Sequence[Any]]) -> Document:
    """The document of one row, of texts or of JSON values."""
    columns, cells = row
    if len(cells) != columns.width:
        raise RecordFault(f"the row has {len(cells)} fields, not {columns.width} as the first one")
    values = {name: cells[at] for name, at in columns.fields.items()}
    identity = next((values[name] for name in _IDS if values.get(name) not in (None, "")), "")
    others = columns.others.items()
    metadata = {name: sound_value(cells[at]) for name, at in others if cells[at] != ""}
    if columns.pubmed:
        # "J Foo. 2020 Jan 5;12(3):1-5. doi: 10.1/x."
        if match := _CITATION.search(_text(metadata.pop("Citation", ""))):
            metadata |= zip(("volume", "issue", "pages"), match.groups(), strict=True)
        values["authors"] = _text(values.get("authors")).rstrip(".").split(", ")
    metadata |= dated(_text(values.get("date")))
    year = dated(_text(values.get("year")))
    if metadata.get("year") != year.get("year"):
        metadata |= year
    for name, value in values.items():
        if name in LISTS:
            metadata[name] = _list(value)
        elif name in _TEXTS:
            metadata[name] = _text(value).strip()
        elif name not in _FIELDS:
            metadata[name] = sound_value(value)
    if doi := metadata.get("doi"):
        metadata["doi"] = doi_of(doi) or doi
    title, text = _text(values.get("title")), _text(values.get("text"))
    return document(identifier(identity), title, text, metadata)


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
        value = sound(value).split(";")
    given = value if isinstance(value, list) else [value]
    return distinct(_text(part).strip() for part in given)


# CSV and TSV.

_LOOKED_AT = 20
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


def _is_table(delimiter: str, head: bytes) -> bool:
    """Whether the first rows have the same number of fields, separated by `delimiter`."""
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
    known = any(name.strip().casefold() in _FIELDS for name in rows[0])
    return fitting * 2 >= len(looked_at) if known else fitting * 5 >= len(looked_at) * 4 > 0


def _rows(
    delimiter: str, source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, tuple[Columns, list[str]] | RecordFault]]:
    """Yield the rows below the first, which names the columns. A row of several lines with a fault
    or a wrong number of fields is cut to its first line, so that a stray quote loses no other row.
    A line of TSV with misplaced quotes is split at its tabs if that gives the right number of
    fields. Raises as `columns_of`."""
    # The module's own limit is global to the process, and too low for a long text.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    lines = _RowLines(text_lines(source))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: Columns | None = None
    while True:
        lines.begin()
        cells: list[str] = []
        fault: RecordFault | None = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = str(error)
            plainly = (words for part, words in _PLAINLY.items() if part in reason)
            fault = RecordFault(next(plainly, reason))
        first = lines.row[0]
        if fault is not None or (columns is not None and len(cells) != columns.width):
            lines.keep_first()
            raw = first.text.rstrip("\r\n").split("\t")
            if delimiter == "\t" and (columns is None or len(raw) == columns.width):
                cells, fault = raw, None
            elif len(lines.row) > 1:
                fault = RecordFault(f"a quote is left open here for {len(lines.row):,} lines")
        fault = next((line.fault for line in lines.row if line.fault), fault)
        if fault is None and not any(cells):
            continue
        place = Place(source.name, line=first.number)
        if columns is not None:
            yield place, fault or (columns, cells)
        elif fault is None:
            columns = columns_of(cells, settings.mapping, source.name)
        else:
            what = f"the columns cannot be read: {fault.reason}"
            raise CorpusError(f"{place}: {what}", remedy=fault.remedy)


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
    "csv", (".csv",), partial(_is_table, ","), partial(_rows, ","), _row_document, takes=_OPTIONS
)
TSV = Format(
    "tsv",
    (".tsv", ".tab"),
    partial(_is_table, "\t"),
    partial(_rows, "\t"),
    _row_document,
    takes=_OPTIONS,
)


# Parquet.

_MAGIC = b"PAR1"
_BATCH = 1_000
_REMEDY = "get the file again and compare its checksum"
_LARGEST_GROUP = 2 * 2**30
"""Bytes of a row group, uncompressed, at most: a group is read as a whole."""


def _parquet_rows(
    source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, tuple[Columns, list[Any]] | RecordFault]]:
    """Yield the rows of a Parquet file, placed at their numbers from 1, with one row group in
    memory at a time; the rest of a damaged row group is one fault. Raises as `columns_of`, and
    CorpusError without pyarrow, or if the input is a pipe, compressed, or damaged metadata."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        what, remedy = "is Parquet, which needs pyarrow", "pip install 'bioretrieval-tui[parquet]'"
        raise CorpusError(f"{source.name} {what}", remedy=remedy) from error
    if source.path is None:
        what = "Parquet cannot be read from a pipe: its metadata is at its end"
        raise CorpusError(what, remedy="save it and name the file")
    with source.path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise CorpusError(f"{source.name} is compressed Parquet", remedy="decompress it")
    faults = (pyarrow.ArrowException, OSError, UnicodeError, OverflowError)
    try:
        table = pyarrow.parquet.ParquetFile(source.path)
        names = table.schema_arrow.names
    except faults as error:
        raise CorpusError(f"{source.name}: {_damage(error)}", remedy=_REMEDY) from error
    with table:
        columns = columns_of(names, settings.mapping, source.name)
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
                for batch in table.iter_batches(_BATCH, row_groups=[group]):
                    for at in range(batch.num_rows):
                        place = Place(source.name, line=row)
                        row += 1
                        try:
                            cells = [_json_value(column[at].as_py()) for column in batch.columns]
                        except RecordFault as fault:
                            yield place, fault
                        except (UnicodeDecodeError, ValueError, OverflowError) as error:
                            yield place, RecordFault(f"a cell cannot be read: {error}")
                        else:
                            yield place, (columns, cells)
            except faults as error:
                reason = f"rows {row:,} to {end - 1:,}: {_damage(error)}"
                yield Place(source.name), RecordFault(reason, _REMEDY)
            row = end


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
