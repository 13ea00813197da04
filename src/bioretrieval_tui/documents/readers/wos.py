"""Reader of Web of Science's plain text, often saved under the name `.ris`: fields named by two
characters and a blank, `PT` to `ER` a record."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.document import Document, Item
from bioretrieval_tui.documents.readers.tagged import Fields, Grammar, tagged_items
from bioretrieval_tui.documents.source import ReadOptions, SourceReader, text_of_head

_TAG = re.compile(r"([A-Z][A-Z0-9])(?: |$)")
_HEAD = re.compile(r"FN .*\s+VR 1\.0\s+PT [A-Z]\b")
_FILE_TAGS = frozenset({"FN", "VR", "EF"})


def read_wos(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one Web of Science file, in file order.

    The id is the accession number (`UT`), else the PMID, else the DOI, else `made:` and a hash
    of title and year. What is rejected is as for RIS.
    """
    yield from tagged_items(source, _GRAMMAR, _document)


def recognises(head: bytes) -> bool:
    """Whether the file begins with its name, its version and a publication type."""
    return _HEAD.match(text_of_head(head).lstrip()) is not None


def _tag(line: str) -> tuple[str, str] | None:
    match = _TAG.match(line)
    if match is None or match[1] in _FILE_TAGS:
        return None
    return match[1], line[3:]


_GRAMMAR = Grammar(
    "Web of Science",
    _tag,
    begins="PT",
    ends="ER",
    blank_ends=False,
    loose=True,
    listed=frozenset({"AU", "AF"}),
)


def _document(record: Fields) -> Document:
    when = fields.dated(f"{record.first('PY')} {record.first('PD')}".strip())
    title = record.first("TI")
    doi = fields.doi_of(record.first("DI"))
    pmid = record.first("PM")
    metadata = {
        "authors": fields.distinct(fields.short_name(name) for name in record.all("AU")),
        "journal": record.first("SO"),
        **when,
        "doi": doi,
        "pmid": pmid,
        "language": fields.distinct(record.all("LA")),
        "types": _listed(record, "DT"),
        "keywords": fields.distinct([*_listed(record, "DE"), *_listed(record, "ID")]),
        "volume": record.first("VL"),
        "issue": record.first("IS"),
        "pages": "-".join(fields.distinct([record.first("BP"), record.first("EP")])),
    }
    identity = record.first("UT") or pmid or doi
    if not identity:
        identity = fields.made_identifier(title, str(when.get("year", "")))
    return fields.document(fields.identifier(identity), title, record.first("AB"), metadata)


def _listed(record: Fields, tag: str) -> list[str]:
    return [word.strip() for value in record.all(tag) for word in value.split(";")]
