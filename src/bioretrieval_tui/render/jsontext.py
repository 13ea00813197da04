"""json: one array of whole records, indented by two; and one record alone, as `show` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from bioretrieval_tui.render.records import cleaned
from bioretrieval_tui.render.sheet import Sheet
from bioretrieval_tui.terminal.clean import clean

# What JSON writes for a control character, among them all that `clean` would take away.
_CONTROL = re.compile(r"\\[ubfrt]")


def encoded(value: Any, *, indent: int = 0) -> str:
    """`value` as JSON text without a line end; text in it is cleaned, NaN becomes null."""
    raw = _encoded(value)
    if indent:
        raw = msgspec.json.format(raw, indent=indent)
    return raw


def _encoded(value: Any) -> str:
    """Compact JSON. Texts are only cleaned one by one where the whole shows that one needs it."""
    try:
        raw = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which is no text: `clean` drops it
        return msgspec.json.encode(cleaned(value)).decode()
    if _CONTROL.search(raw) is None and clean(raw, newlines=True) == raw:
        return raw
    return msgspec.json.encode(cleaned(value)).decode()


def object_text(value: dict[str, Any]) -> str:
    """One record as an indented object that ends with a newline."""
    return encoded(value, indent=2) + "\n"


def render(sheet: Sheet) -> Iterator[str]:
    """The records as an array, a chunk a record. An empty sheet is `[]`."""
    if not sheet.records:
        yield "[]\n"
        return
    opening = "[\n"
    for item in sheet.records:
        # Line ends inside strings are escaped, so each "\n" here is one of the layout.
        yield opening + "  " + encoded(item, indent=2).replace("\n", "\n  ")
        opening = ",\n"
    yield "\n]\n"
