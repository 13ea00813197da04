"""Readers of corpora in JSON: BEIR and MedRAG (one object a line), and the article files of
NCBI's MedCPT vectors (one object of a million members a file)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    MAX_ID_LENGTH,
    dated,
    distinct,
    document,
    identifier,
    whole_number,
)
from bioretrieval_tui.documents.document import Document, Item, Place, RecordFault, item_of
from bioretrieval_tui.documents.readers.json_records import (
    BOM,
    JsonElement,
    elements,
    first_line,
    json_type,
    line_items,
    text_field,
)
from bioretrieval_tui.documents.source import MAX_LINE_BYTES, ReadOptions, SourceReader

_BEIR_KEYS = frozenset({"_id", "title", "text", "metadata"})
_BEIR_SHAPE = 'a BEIR line looks like {"_id": "1", "title": "...", "text": "..."}'
_MEDRAG_KEYS = frozenset({"id", "title", "content", "contents", "PMID"})
_MEDRAG_SHAPE = 'a MedRAG line looks like {"id": "1", "title": "", "content": ""}'
_MEDCPT_HEAD = re.compile(rb'\s*\{\s*"\d{1,9}"\s*:\s*\{\s*"[dtam]"\s*:')


def read_beir(
    source: SourceReader, _: ReadOptions, *, limit: int = MAX_LINE_BYTES
) -> Iterator[Item]:
    """Read the items of a BEIR JSONL file, in file order; blank lines are skipped.

    A line is rejected if it is not UTF-8, not one JSON object, lacks a valid `_id`, holds a field
    of the wrong type or a NUL, or is longer than `limit` bytes. Other keys become metadata. The
    store checks that ids are unique.
    """
    yield from line_items(source, _beir_document, limit=limit, shape=_BEIR_SHAPE)


def recognises_beir(head: bytes) -> bool:
    """Whether the first line is a JSON object with `_id`."""
    line = first_line(head)
    return line.startswith(b"{") and b'"_id"' in line


def _beir_document(record: dict[str, Any]) -> Document:
    title, text = text_field(record, "title"), text_field(record, "text")
    if "title" not in record and "text" not in record:
        raise RecordFault("the record has neither `title` nor `text`")
    metadata = record.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise RecordFault(f"`metadata` is {json_type(metadata)}, not an object")
    rest = {key: value for key, value in record.items() if key not in _BEIR_KEYS}
    return Document(_beir_id(record), title, text, {**rest, **(metadata or {})})


def _beir_id(record: dict[str, Any]) -> str:
    """The id unchanged, with blanks at its ends, as in the qrels."""
    if "_id" not in record:
        raise RecordFault("`_id` is missing")
    value = record["_id"]
    if isinstance(value, int) and not isinstance(value, bool):
        value = whole_number(value, "`_id`")
    if not isinstance(value, str):
        raise RecordFault(f"`_id` is {json_type(value)}, not text or a whole number")
    if not value.strip():
        raise RecordFault("`_id` is empty")
    if len(value) > MAX_ID_LENGTH:
        raise RecordFault(f"`_id` is longer than {MAX_ID_LENGTH} characters")
    return value


def read_medrag(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a MedRAG file, in file order.

    The text is `content`, else `contents`, which repeats title and content. `PMID` becomes `pmid`;
    other keys become metadata.
    """
    yield from line_items(source, _medrag_document)


def recognises_medrag(head: bytes) -> bool:
    """Whether the first line is a JSON object with `id` and `content` or `contents`."""
    line = first_line(head)
    return line.startswith(b"{") and b'"id"' in line and b'"content' in line


def _medrag_document(record: dict[str, Any]) -> Document:
    if "id" not in record:
        raise RecordFault("`id` is missing", _MEDRAG_SHAPE)
    metadata = {key: value for key, value in record.items() if key not in _MEDRAG_KEYS}
    if record.get("PMID") not in (None, ""):
        metadata["pmid"] = identifier(record["PMID"], "`PMID`")
    text = text_field(record, "content") or text_field(record, "contents")
    title = text_field(record, "title")
    return document(identifier(record["id"], "`id`"), title, text, metadata)


def read_medcpt(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a MedCPT chunk (`pubmed_chunk_N.json`), in file order.

    Its members have the form `"16381832": {"d": "20060101", "t": "...", "a": "...", "m": "..."}`:
    PMID, date, title, abstract and headings. The headings are in lower case, each ended by a bar:
    `humans!|rna, untranslated!genetics*|`, with a qualifier after the exclamation mark and a star
    for a major one. Places are the offsets of the PMIDs.

    Raises:
        SourceDamaged: the file ends within the JSON, or stops being JSON.
    """
    for element in elements(source):
        place = Place(source.name, offset=element.offset)
        yield item_of(place, partial(_medcpt_document, element))


def recognises_medcpt(head: bytes) -> bool:
    """Whether the file begins with a PMID and an object with a field of one letter."""
    return _MEDCPT_HEAD.match(head.removeprefix(BOM)) is not None


def _medcpt_document(element: JsonElement) -> Document:
    record = element.record()
    pmid = identifier(element.key, "the PMID")
    headings = [part.strip() for part in text_field(record, "m").split("|")]
    names = [(heading.partition("!")[0].rstrip("*"), heading[-1:] == "*") for heading in headings]
    metadata = {
        "pmid": pmid,
        **dated(text_field(record, "d")),
        "mesh": distinct(name for name, _ in names),
        "mesh_major": distinct(name for name, major in names if major),
    }
    return document(pmid, text_field(record, "t"), text_field(record, "a"), metadata)
