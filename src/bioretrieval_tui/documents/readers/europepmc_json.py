"""Reader of Europe PMC's search results (REST, `format=json`, best with `resultType=core`): whole
responses, arrays of results, or one result a line."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    dated,
    distinct,
    document,
    doi_of,
    identifier,
    plain,
)
from bioretrieval_tui.documents.document import Document, Item, Place, RecordFault, item_of
from bioretrieval_tui.documents.readers.json_records import (
    BOM,
    JsonElement,
    elements,
    first_line,
    line_items,
    text_field,
)
from bioretrieval_tui.documents.source import ReadOptions, SourceReader

_RESULTS = ("resultList", "result")
_KEYS = (b'"pmid"', b'"pmcid"', b'"authorString"', b'"pubYear"', b'"abstractText"')
_LABEL = re.compile(r"<h4>\s*(.*?)\s*:?\s*</h4>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"</?(?:p|br|div|li|ul|ol)\b[^<>]*>", re.IGNORECASE)
# Only what looks like an element: "p < 0.05 and n > 3" is text.
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9:]*(?:\s[^<>]*)?/?>")


def read_europepmc(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a file of results, in file order.

    The id is the PMID, else the PMC id, else the source and its id (`PPR:PPR123`), else the
    DOI. Markup within titles and abstracts becomes text, headings of an abstract its labels.

    Raises:
        SourceDamaged: the file ends within the JSON, or stops being JSON.
    """
    head = source.head().removeprefix(BOM).lstrip()
    if head.startswith(b"{") and b'"resultList"' not in head:
        yield from line_items(source, _document)
        return
    path = () if head.startswith(b"[") else _RESULTS
    for element in elements(source, path):
        place = Place(source.name, offset=element.offset)
        yield item_of(place, partial(_element_document, element))


def recognises(head: bytes) -> bool:
    """Whether it is a response with `resultList`, or begins with a result: an object with `id`,
    `source` and a field that only Europe PMC has."""
    start = head.removeprefix(BOM).lstrip()
    if start.startswith(b"{") and b'"resultList"' in start:
        return b'"hitCount"' in start or b'"result"' in start
    line = start if start.startswith(b"[") else first_line(start)
    is_result = b'"id"' in line and b'"source"' in line
    return line.startswith((b"{", b"[")) and is_result and any(key in line for key in _KEYS)


def _element_document(element: JsonElement) -> Document:
    return _document(element.record())


def _document(record: dict[str, Any]) -> Document:
    journal = _object(record, "journalInfo")
    pmid, pmcid = _word(record, "pmid"), _word(record, "pmcid")
    doi = doi_of(_word(record, "doi"))
    origin, own = _word(record, "source"), _word(record, "id")
    if not pmid and origin == "MED" and own.isdigit():
        pmid = own
    identity = pmid or pmcid or (f"{origin}:{own}" if origin and own else own) or doi
    if not identity:
        raise RecordFault("the result has no `id`, `pmid`, `pmcid` or `doi`")
    headings = _list(record, "meshHeadingList", "meshHeading")
    date = _word(record, "firstPublicationDate") or _word(journal, "printPublicationDate")
    year = dated(_word(record, "pubYear"))
    exact = dated(date)
    metadata = {
        "authors": _authors(record),
        "journal": _word(_object(journal, "journal"), "title") or _word(record, "journalTitle"),
        **(exact if exact.get("year") == year.get("year", exact.get("year")) else year),
        "doi": doi,
        "pmid": pmid,
        "pmcid": pmcid,
        "language": _texts(record.get("language")),
        "types": _texts(_object(record, "pubTypeList").get("pubType") or record.get("pubType")),
        "mesh": _names(headings),
        "mesh_major": _names(list(filter(_is_major, headings))),
        "keywords": _texts(_object(record, "keywordList").get("keyword")),
        "volume": _word(journal, "volume") or _word(record, "journalVolume"),
        "issue": _word(journal, "issue") or _word(record, "issue"),
        "pages": _word(record, "pageInfo"),
    }
    title = _without_markup(text_field(record, "title"))
    text = _without_markup(_LABEL.sub(r" \1: ", text_field(record, "abstractText")))
    return document(identifier(identity), title, text, metadata)


def _without_markup(text: str) -> str:
    return plain(html.unescape(_TAG.sub("", _BREAK.sub(" ", text))))


def _authors(record: dict[str, Any]) -> list[str]:
    people = _list(record, "authorList", "author")
    names = [_word(person, "fullName") or _word(person, "collectiveName") for person in people]
    if any(names):
        return distinct(names)
    # "Smith JA, Jones B, The Group."
    return distinct(_word(record, "authorString").rstrip(".").split(", "))


def _names(headings: list[dict[str, Any]]) -> list[str]:
    return distinct(_word(heading, "descriptorName") for heading in headings)


def _is_major(heading: dict[str, Any]) -> bool:
    qualifiers = _list(heading, "meshQualifierList", "meshQualifier")
    return any(_word(part, "majorTopic_YN") == "Y" for part in [heading, *qualifiers])


def _word(record: dict[str, Any], name: str) -> str:
    """A short text or number as text; empty for other types."""
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return identifier(value, f"`{name}`")
    return plain(value) if isinstance(value, str) else ""


def _object(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _list(record: dict[str, Any], name: str, inner: str) -> list[dict[str, Any]]:
    value = _object(record, name).get(inner)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return distinct(plain(part) for part in given if isinstance(part, str))
