"""Reader of RIS, which reference managers and databases write, each in its own dialect: fields
named by two characters, `TY` to `ER` a record."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.document import Document, Item
from bioretrieval_tui.documents.readers.tagged import Fields, Grammar, tagged_items
from bioretrieval_tui.documents.source import ReadOptions, SourceReader, text_of_head

_TAG = re.compile(r"([A-Z][A-Z0-9])  -(?: |$)")
_HEAD = re.compile(r"^TY  - ?\S", re.MULTILINE)
_PMID = re.compile(r"\d{1,8}")
_PMCID = re.compile(r"PMC\d+")
_URL = re.compile(r"https?://[^\s;]+")
_TYPES = {
    "JOUR": "Journal Article",
    "ABST": "Abstract",
    "BOOK": "Book",
    "CHAP": "Book Chapter",
    "CONF": "Conference Proceedings",
    "CPAPER": "Conference Paper",
    "THES": "Thesis",
    "RPRT": "Report",
    "UNPB": "Preprint",
}


def read_ris(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one RIS file, in file order.

    The id is the accession number (`AN`), else the DOI (`DO`), else `ID`, which some exporters
    only count up, else `made:` and a hash of title and year: the same in every export, but
    another one once the title is corrected. Lines between records are passed over; a line
    without a tag continues the field above, indented or not; a record ends with `ER`, with the
    next `TY` or with the file. One is rejected that has no title and no abstract, or holds a NUL
    or bytes that are not UTF-8; so are fields that stand outside of any record.
    """
    yield from tagged_items(source, _GRAMMAR, _document)


def recognises(head: bytes) -> bool:
    """Whether a line begins with `TY  - ` and a type."""
    return _HEAD.search(text_of_head(head).replace("\r", "\n")) is not None


def _tag(line: str) -> tuple[str, str] | None:
    match = _TAG.match(line)
    return None if match is None else (match[1], line[6:])


_GRAMMAR = Grammar("RIS", _tag, begins="TY", ends="ER", blank_ends=False, loose=True)


def _document(record: Fields) -> Document:
    when = fields.dated(record.first("PY", "Y1", "DA"))
    title = record.first("TI", "T1", "CT", "BT")
    text = record.first("AB", "N2")
    accession = record.first("AN")
    doi = fields.doi_of(record.first("DO"))
    database = record.first("DB", "DP").casefold()
    is_pubmed = "pubmed" in database or "medline" in database
    kind = record.first("TY")
    metadata = {
        "authors": fields.distinct(fields.short_name(name) for name in record.all("AU", "A1")),
        "journal": record.first("JF", "JO", "T2", "JA", "J2"),
        **when,
        "doi": doi,
        "pmid": accession if is_pubmed and _PMID.fullmatch(accession) else None,
        "pmcid": next(filter(_PMCID.fullmatch, record.all("C2")), None),
        "url": next(iter(_URL.findall(" ".join(record.all("UR", "L2")))), None),
        "language": fields.distinct(record.all("LA")),
        "types": fields.distinct([_TYPES.get(kind, kind)]),
        "keywords": fields.distinct(word.lstrip("*") for word in record.all("KW")),
        "volume": record.first("VL", "VO"),
        "issue": record.first("IS"),
        "pages": "-".join(fields.distinct([record.first("SP"), record.first("EP")])),
    }
    identity = accession or doi or record.first("ID")
    if not identity:
        identity = fields.made_identifier(title or text, str(when.get("year", "")))
    return fields.document(fields.identifier(identity), title, text, metadata)
