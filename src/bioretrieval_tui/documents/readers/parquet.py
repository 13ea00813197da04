"""Reader of Parquet tables, an optional extra: columns become fields as those of CSV do. The file
is opened by its name, since its table of contents stands at its end."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.document import Item, Place, Record, RecordFault, Rejected
from bioretrieval_tui.documents.readers.columns import Columns, columns_of
from bioretrieval_tui.documents.source import ReadOptions, SourceReader
from bioretrieval_tui.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow

_MAGIC = b"PAR1"
_BATCH = 1_000
_REMEDY = "get the file again and compare its checksum"
_LARGEST_GROUP = 2 * 2**30
"""Bytes of one row group, unpacked, that are read at all: a group is the unit of reading."""


def read_parquet(source: SourceReader, options: ReadOptions) -> Iterator[Item]:
    """Items of one Parquet file, in file order, one row group in memory at a time. Rows have no
    line; a rejected one is told with its number, from 1. What is left of a damaged row group is
    one rejected item, and reading goes on with the next group.

    Raises:
        CorpusError: pyarrow is not installed, the input is a pipe or packed with gzip, the
            table of contents is damaged, a mapped column is not there, or no column holds the
            id or any text.
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
            "Parquet cannot be read through a pipe, as its contents stand at its end",
            remedy="save it and name the file",
        )
    with source.path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise CorpusError(f"{source.name} is no plain Parquet file", remedy="unpack it")
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
                    " much at once",
                    remedy="write it with smaller row groups",
                )
            # Nothing more is asked of `described`: pyarrow ends the process on a damaged column.
            end = first + described.num_rows
            try:
                for batch in table.iter_batches(_BATCH, row_groups=[group]):
                    yield from _items(batch, columns, source.name, first)
                    first += batch.num_rows
            except faults as error:
                reason = f"rows {first:,} to {end - 1:,}: {_damage(error)}"
                yield Rejected(Place(source.name), reason, _REMEDY)
            first = end
    source.hash_rest()


def recognises(head: bytes) -> bool:
    """Whether it begins with Parquet's mark."""
    return head.startswith(_MAGIC)


def _items(batch: pyarrow.RecordBatch, columns: Columns, name: str, first: int) -> Iterator[Item]:
    """The items of a few rows, the first of which has the number `first`."""
    place = Place(name)
    for at in range(batch.num_rows):
        try:
            row = [_value(column, at) for column in batch.columns]
            yield Record(columns.document(row), place)
        except RecordFault as fault:
            yield Rejected(place, f"row {first + at:,}: {fault.reason}", fault.remedy)


def _damage(error: Exception) -> str:
    return f"the Parquet data is damaged: {' '.join(str(error).split())[:200]}"


def _value(column: pyarrow.Array, at: int) -> Any:
    """One cell as a JSON value."""
    try:
        value = column[at].as_py()
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise RecordFault(f"a cell cannot be read: {error}") from error
    return _json(value)


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has no NaN and no infinity
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, bytes):
        raise RecordFault("a cell holds bytes, not text")
    return str(value)
