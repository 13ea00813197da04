"""Reader of the article files that NCBI publishes beside MedCPT's vectors: `pubmed_chunk_N.json`,
one object of a million members, PMID to date, title, abstract and headings.

As seen in files in use: `{"16381832": {"d": "20060101", "t": "...", "a": "...", "m": "..."}}`,
headings in small letters, each ended by a bar: `humans!|rna, untranslated!genetics*|`, where
what follows the exclamation mark is a qualifier and a star marks a major one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.document import Document, Item, Place
from bioretrieval_tui.documents.readers.json_records import Element, elements
from bioretrieval_tui.documents.readers.jsonlines import item, text_field
from bioretrieval_tui.documents.source import ReadOptions, SourceReader

_HEAD = re.compile(rb'\s*\{\s*"\d{1,9}"\s*:\s*\{\s*"[dtam]"\s*:')


def read_medcpt(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one chunk, in file order, each placed at the offset of its PMID, which is its id.

    Raises:
        SourceDamaged: the file ends within the JSON, or is no JSON from some place on.
    """
    for element in elements(source):
        place = Place(source.name, offset=element.offset)
        yield item(place, element.decoded, partial(_document, element))


def recognises(head: bytes) -> bool:
    """Whether the file begins with a PMID and an object with a field of one letter."""
    return _HEAD.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def _document(element: Element, record: dict[str, Any]) -> Document:
    pmid = fields.identifier(element.key, "the PMID")
    headings = [part.strip() for part in text_field(record, "m").split("|")]
    metadata = {
        "pmid": pmid,
        **fields.dated(text_field(record, "d")),
        "mesh": fields.distinct(map(_descriptor, headings)),
        "mesh_major": fields.distinct(
            _descriptor(heading) for heading in headings if heading.endswith("*")
        ),
    }
    return fields.document(pmid, text_field(record, "t"), text_field(record, "a"), metadata)


def _descriptor(heading: str) -> str:
    return heading.partition("!")[0].rstrip("*")
