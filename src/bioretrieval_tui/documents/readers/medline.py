"""Reader of MEDLINE text, which PubMed saves as "PubMed" format and as `.nbib`: fields named by
four characters, continued by indented lines, records parted by blank lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.document import Document, Item, RecordFault
from bioretrieval_tui.documents.readers.tagged import Fields, Grammar, tagged_items
from bioretrieval_tui.documents.source import ReadOptions, SourceReader, text_of_head

_TAG = re.compile(r"[A-Z][A-Z0-9]{1,3}")
_HEAD = re.compile(r"^PMID- ?\d|^(?:OWN |STAT|DCOM)- \S", re.MULTILINE)
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available."})
_MARKED = re.compile(r"(\S+) \[doi\]")


def read_medline(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one MEDLINE file, in file order.

    The id is the PMID, else the DOI. A record is rejected that has neither, has no title and no
    abstract, holds a NUL or bytes that are not UTF-8, or a line that is no field of MEDLINE.
    The abstract is `AB`, else another one (`OAB`); books have their title in `BTI`.
    """
    yield from tagged_items(source, _GRAMMAR, _document)


def recognises(head: bytes) -> bool:
    """Whether a line begins with `PMID- ` and a number, or with a housekeeping field of NLM."""
    return _HEAD.search(text_of_head(head).replace("\r", "\n")) is not None


def _tag(line: str) -> tuple[str, str] | None:
    # The dash stands in the fifth column, so "IL-2 was" at the margin is no field.
    if line[4:6] not in ("- ", "-"):
        return None
    tag = line[:4].rstrip()
    return (tag, line[6:]) if _TAG.fullmatch(tag) else None


_GRAMMAR = Grammar("MEDLINE", _tag, begins="PMID", ends=None, blank_ends=True, loose=False)


def _document(record: Fields) -> Document:
    marked = _MARKED.search(" ".join(record.all("LID", "AID")))
    doi = marked[1] if marked else None
    pmid = record.first("PMID")
    if not pmid and not doi:
        raise RecordFault("the record has neither a PMID nor a DOI")
    headings = record.all("MH")
    metadata = {
        "authors": _authors(record),
        "journal": record.first("JT", "TA") or (record.first("TI") and record.first("BTI")),
        **fields.dated(record.first("DP")),
        "doi": doi,
        "pmid": pmid,
        "pmcid": record.first("PMC"),
        "language": fields.distinct(record.all("LA")),
        "types": fields.distinct(record.all("PT")),
        "mesh": fields.distinct(_descriptor(heading) for heading in headings),
        "mesh_major": fields.distinct(
            _descriptor(heading) for heading in headings if _is_major(heading)
        ),
        "keywords": fields.distinct(word.lstrip("*") for word in record.all("OT")),
        "vernacular_title": record.first("TT"),
        "volume": record.first("VI"),
        "issue": record.first("IP"),
        "pages": record.first("PG"),
    }
    titles = record.all("TI", "BTI", "TT")
    title = next((given for given in titles if given.casefold() not in _NO_TITLE), "")
    text = " ".join(record.all("AB")) or record.first("OAB")
    return fields.document(fields.identifier(pmid or doi), title, text, metadata)


def _authors(record: Fields) -> list[str]:
    people = record.all("AU") or [fields.short_name(name) for name in record.all("FAU")]
    return fields.distinct([*people, *record.all("CN")])


def _descriptor(heading: str) -> str:
    return heading.partition("/")[0].lstrip("*")


def _is_major(heading: str) -> bool:
    return heading.startswith("*") or "/*" in heading
