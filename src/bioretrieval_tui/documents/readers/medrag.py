"""Reader of MedRAG's chunk files: one JSON object a line with `id`, `title`, `content`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.document import Document, Item, RecordFault
from bioretrieval_tui.documents.readers.jsonlines import first_object, line_items, text_field
from bioretrieval_tui.documents.source import ReadOptions, SourceReader

_OWN = frozenset({"id", "title", "content", "contents", "PMID"})


def read_medrag(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one MedRAG file, in file order.

    The text is `content`; `contents`, which repeats title and content for other engines, stands
    in only where that is missing. `PMID` becomes `pmid`, keys unknown to MedRAG are kept.
    """
    yield from line_items(source, _document)


def recognises(head: bytes) -> bool:
    """Whether the first line is a JSON object with `id` and `content` or `contents`."""
    line = first_object(head)
    return line.startswith(b"{") and b'"id"' in line and b'"content' in line


def _document(record: dict[str, Any]) -> Document:
    if "id" not in record:
        raise RecordFault(
            "`id` is missing", 'a MedRAG line looks like {"id": "1", "title": "", "content": ""}'
        )
    pmid = record.get("PMID")
    metadata = {key: value for key, value in record.items() if key not in _OWN}
    if pmid not in (None, ""):
        metadata["pmid"] = fields.identifier(pmid, "`PMID`")
    text = text_field(record, "content") or text_field(record, "contents")
    title = text_field(record, "title")
    return fields.document(fields.identifier(record["id"], "`id`"), title, text, metadata)
