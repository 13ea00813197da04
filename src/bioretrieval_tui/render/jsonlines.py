"""jsonl: one whole record a line."""

from __future__ import annotations

from collections.abc import Iterator

from bioretrieval_tui.render.jsontext import encoded
from bioretrieval_tui.render.sheet import Sheet


def render(sheet: Sheet) -> Iterator[str]:
    """The records, a line each. An empty sheet has no lines."""
    for item in sheet.records:
        yield encoded(item) + "\n"
