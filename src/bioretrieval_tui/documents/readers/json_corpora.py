"""Reader of BEIR corpora: one JSON object a line with `_id`, `title`, `text` and `metadata`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bioretrieval_tui.documents.document import Document, Item, Place, Record, Rejected
from bioretrieval_tui.documents.source import MAX_LINE_BYTES, ReadOptions, SourceReader

MAX_ID_LENGTH = 512
_BOM = b"\xef\xbb\xbf"
_OWN_KEYS = frozenset({"_id", "title", "text", "metadata"})
_SHAPE = 'a BEIR line looks like {"_id": "1", "title": "...", "text": "..."}'


def read_beir(
    source: SourceReader, _: ReadOptions, *, limit: int = MAX_LINE_BYTES
) -> Iterator[Item]:
    """Items of one BEIR JSONL file, in file order; blank lines are passed over.

    A line is rejected that is not UTF-8, not one JSON object, lacks a usable `_id`, holds a field
    of the wrong type or a NUL, or is longer than `limit` bytes. Keys that BEIR does not know are
    kept in the metadata. Uniqueness of ids is the store's business, which sees all files.
    """
    for number, line in source.lines(limit):
        place = Place(source.name, line=number)
        if line is None:
            yield Rejected(
                place, f"the line is longer than {limit:,} bytes", "write one record a line"
            )
            continue
        if number == 1 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        if line.isspace() or not line:
            continue
        try:
            yield Record(_document(line), place)
        except _RejectedError as rejected:
            yield Rejected(place, rejected.reason, rejected.remedy)


def recognises(head: bytes) -> bool:
    """Whether the first line is a JSON object with `_id`."""
    line = head.removeprefix(_BOM).lstrip().partition(b"\n")[0]
    return line.startswith(b"{") and b'"_id"' in line


class _RejectedError(Exception):
    """Why one line is no document."""

    def __init__(self, reason: str, remedy: str | None = _SHAPE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def _document(line: bytes) -> Document:
    record = _parse(line)
    fields: dict[str, str] = {}
    for name in ("title", "text"):
        value = record.get(name)
        if value is not None and not isinstance(value, str):
            raise _RejectedError(f"`{name}` is {_kind(value)}, not text")
        fields[name] = value or ""
    if "title" not in record and "text" not in record:
        raise _RejectedError("the record has neither `title` nor `text`")
    return Document(_identifier(record), fields["title"], fields["text"], _metadata(record))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _RejectedError(
            f"not UTF-8 at byte {error.start + 1} of the line", "convert the file to UTF-8"
        ) from error
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        if "\0" in text:
            raise _RejectedError("the line holds a NUL character", None) from error
        reason = str(error).removeprefix("JSON is malformed: ")
        raise _RejectedError(f"not JSON: {reason}") from error
    except RecursionError as error:
        raise _RejectedError("the JSON is nested too deeply", None) from error
    if not isinstance(record, dict):
        raise _RejectedError(f"the line is {_kind(record)}, not an object")
    # The escape is rare, so a cheap look at the line spares walking every record.
    if "\\u0000" in text and _holds_nul(record):
        raise _RejectedError("the record holds a NUL character", None)
    return record


def _identifier(record: dict[str, Any]) -> str:
    if "_id" not in record:
        raise _RejectedError("`_id` is missing")
    value = record["_id"]
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            value = str(value)
        except ValueError as error:  # Python refuses to write thousands of digits
            raise _RejectedError("`_id` is too long a number") from error
    if not isinstance(value, str):
        raise _RejectedError(f"`_id` is {_kind(value)}, not text or a whole number")
    if not value.strip():
        raise _RejectedError("`_id` is empty")
    if len(value) > MAX_ID_LENGTH:
        raise _RejectedError(f"`_id` is longer than {MAX_ID_LENGTH} characters")
    return value


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    given = record.get("metadata")
    if given is not None and not isinstance(given, dict):
        raise _RejectedError(f"`metadata` is {_kind(given)}, not an object")
    rest = {key: value for key, value in record.items() if key not in _OWN_KEYS}
    return {**rest, **(given or {})}


def _holds_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
