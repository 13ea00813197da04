"""JSON files of one object a line, for the formats that are so written: each line decoded on its
own, blank ones passed over, broken ones said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import sound_value
from bioretrieval_tui.documents.document import Document, Item, Place, Record, RecordFault, Rejected
from bioretrieval_tui.documents.readers.json_records import decode
from bioretrieval_tui.documents.source import MAX_LINE_BYTES, SourceReader

_BOM = b"\xef\xbb\xbf"


def line_items(
    source: SourceReader,
    document: Callable[[dict[str, Any]], Document],
    *,
    limit: int = MAX_LINE_BYTES,
) -> Iterator[Item]:
    """One item a line that is not blank; `document` may raise RecordFault. No text within a
    record that reaches it holds a NUL."""
    for number, line in source.lines(limit):
        place = Place(source.name, line=number)
        if line is None:
            reason = f"the line is longer than {limit:,} bytes"
            yield Rejected(place, reason, "write one record a line")
            continue
        if number == 1:
            line = line.removeprefix(_BOM)
        if line.strip():
            yield item(place, partial(decode, line), document)


def item(
    place: Place, value: Callable[[], Any], document: Callable[[dict[str, Any]], Document]
) -> Item:
    """The item that `value` gives, which may raise RecordFault as `document` may."""
    try:
        record = value()
        if not isinstance(record, dict):
            raise RecordFault("the record is no JSON object")
        return Record(document(sound_value(record)), place)
    except RecordFault as fault:
        return Rejected(place, fault.reason, fault.remedy)


def text_field(record: dict[str, Any], name: str) -> str:
    """The text under `name`, "" where there is none. Raises RecordFault where it is no text."""
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordFault(f"`{name}` is no text")
    return value


def first_object(head: bytes) -> bytes:
    """The first line of a file that is not blank, for recognising its format."""
    return head.removeprefix(_BOM).lstrip().partition(b"\n")[0]
