"""Readers of tagged lines: MEDLINE text (also `.nbib`), RIS and Web of Science plain text.

One grammar cuts lines into records and fields; the fields of each format follow below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bioretrieval_tui.documents.bibliography import (
    dated,
    distinct,
    document,
    doi_of,
    identifier,
    made_identifier,
    plain,
    short_name,
)
from bioretrieval_tui.documents.document import (
    Document,
    Item,
    Place,
    RecordFault,
    Rejected,
    item_of,
)
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    ReadOptions,
    SourceReader,
    text_lines,
    text_of_head,
)

MAX_RECORD_CHARACTERS = MAX_LINE_BYTES
"""Largest record in memory; a PubMed record with a thousand authors is under 1 MB."""

_LINE_COST = 64
"""Cost of a line besides its characters, since a million empty lines take memory, too."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a format cuts its lines into records.

    tag: tag and value of a line, None without a tag; begins, ends: the tags of the first and
    last line of a record; blank_ends: whether a blank line ends one; loose: whether a line
    without a tag may be unindented (within a record it continues the field above, between records
    it is skipped); listed: tags whose continuation lines are values of their own.
    """

    name: str
    tag: Callable[[str], tuple[str, str] | None]
    begins: str
    ends: str | None
    blank_ends: bool
    loose: bool
    listed: frozenset[str] = frozenset()


class TaggedFields:
    """The fields of one record; lines are joined on access."""

    def __init__(self, values: dict[str, list[list[str]]]) -> None:
        self._values = values

    def all(self, *tags: str) -> list[str]:
        """All non-empty values of these tags, tag by tag, each on one line."""
        lines = (lines for tag in tags for lines in self._values.get(tag, ()))
        return list(filter(None, (plain(" ".join(some)) for some in lines)))

    def first(self, *tags: str) -> str:
        """The first value of the first of these tags that has one, else ""."""
        return next((values[0] for tag in tags if (values := self.all(tag))), "")


@dataclass(slots=True)
class _OpenRecord:
    """A record that is being read. size: characters, and a cost for each line."""

    line: int
    values: dict[str, list[list[str]]] = field(default_factory=dict)
    tag: str = ""
    last: list[str] | None = None
    size: int = 0
    fault: RecordFault | None = None

    def add(self, tag: str, value: str) -> None:
        self.tag, self.last = tag, [value]
        self.values.setdefault(tag, []).append(self.last)

    def refuse(self, fault: RecordFault) -> None:
        """Discard the record from here on; the first fault is reported."""
        self.fault = self.fault or fault
        self.values, self.last = {}, None

    def item(
        self, name: str, grammar: Grammar, to_document: Callable[[TaggedFields], Document]
    ) -> Item:
        if not grammar.blank_ends and grammar.begins not in self.values:
            what = f"fields outside of a record, with no {grammar.begins} above"
            self.fault = self.fault or RecordFault(what)
        place = Place(name, line=self.line)
        if self.fault is not None:
            return Rejected(place, self.fault.reason, self.fault.remedy)
        return item_of(place, partial(to_document, TaggedFields(self.values)))


def _items(
    source: SourceReader, grammar: Grammar, to_document: Callable[[TaggedFields], Document]
) -> Iterator[Item]:
    """Yield an item a record, placed at its first line; `to_document` may raise RecordFault.

    Fields outside of any record are one `Rejected`, so that nothing is lost unreported.
    """
    current: _OpenRecord | None = None
    for line in text_lines(source):
        text = line.text.rstrip("\r\n")
        if not text.strip() and line.fault is None:
            if grammar.blank_ends and current is not None:
                yield current.item(source.name, grammar, to_document)
                current = None
            continue
        pair = grammar.tag(text)
        ends = pair is not None and pair[0] == grammar.ends
        if pair is not None and pair[0] == grammar.begins and _is_begun(current, grammar):
            if current is not None:
                yield current.item(source.name, grammar, to_document)
            current = _OpenRecord(line.number)
        if current is None:
            if ends or (pair is None and grammar.loose and line.fault is None):
                continue
            current = _OpenRecord(line.number)
        current.size += len(text) + _LINE_COST
        if line.fault is not None:
            current.refuse(line.fault)
        elif "\0" in text:
            current.refuse(RecordFault("the record holds a NUL character"))
        if current.size > MAX_RECORD_CHARACTERS:
            most = f"{MAX_RECORD_CHARACTERS:,}"
            current.refuse(RecordFault(f"the record is longer than {most} characters"))
        if ends:
            yield current.item(source.name, grammar, to_document)
            current = None
        elif current.fault is not None:
            continue
        elif pair is not None:
            current.add(*pair)
        elif current.last is None or not (grammar.loose or text[:1].isspace()):
            current.refuse(RecordFault(f"line {line.number} is not a field of {grammar.name}"))
        elif current.tag in grammar.listed:
            current.add(current.tag, text)
        else:
            current.last.append(text)
    if current is not None:
        yield current.item(source.name, grammar, to_document)


def _is_begun(current: _OpenRecord | None, grammar: Grammar) -> bool:
    """Whether this tag begins a record. MEDLINE records may have other fields before it (the order
    is not specified); then a blank line separates them."""
    if current is None or not grammar.blank_ends or current.fault is not None:
        return True
    return grammar.begins in current.values


# MEDLINE: tags of up to four characters, indented continuation lines, blank lines between records.

_MEDLINE_TAG = re.compile(r"[A-Z][A-Z0-9]{1,3}")
_MEDLINE_HEAD = re.compile(r"^PMID- ?\d|^(?:OWN |STAT|DCOM)- \S", re.MULTILINE)
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available."})
_MARKED_DOI = re.compile(r"(\S+) \[doi\]")


def read_medline(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a MEDLINE file, in file order.

    The id is the PMID, else the DOI. A record is rejected if it has neither, has no title and no
    abstract, holds a NUL or bytes that are not UTF-8, or a line that is not a field.
    The abstract is `AB`, else `OAB`; the title of a book is `BTI`.
    """
    yield from _items(source, _MEDLINE, _medline_document)


def recognises_medline(head: bytes) -> bool:
    """Whether a line begins with `PMID- ` and a number, or with a housekeeping field of NLM."""
    return _MEDLINE_HEAD.search(text_of_head(head).replace("\r", "\n")) is not None


def _medline_tag(line: str) -> tuple[str, str] | None:
    # The dash is in the fifth column, so "IL-2 was" at the margin is not a field.
    if line[4:6] not in ("- ", "-"):
        return None
    tag = line[:4].rstrip()
    return (tag, line[6:]) if _MEDLINE_TAG.fullmatch(tag) else None


_MEDLINE = Grammar("MEDLINE", _medline_tag, begins="PMID", ends=None, blank_ends=True, loose=False)


def _medline_document(record: TaggedFields) -> Document:
    marked = _MARKED_DOI.search(" ".join(record.all("LID", "AID")))
    doi = marked[1] if marked else None
    pmid = record.first("PMID")
    if not pmid and not doi:
        raise RecordFault("the record has neither a PMID nor a DOI")
    people = record.all("AU") or [short_name(name) for name in record.all("FAU")]
    headings = [(heading.partition("/")[0].lstrip("*"), heading) for heading in record.all("MH")]
    metadata = {
        "authors": distinct([*people, *record.all("CN")]),
        "journal": record.first("JT", "TA") or (record.first("TI") and record.first("BTI")),
        **dated(record.first("DP")),
        "doi": doi,
        "pmid": pmid,
        "pmcid": record.first("PMC"),
        "language": distinct(record.all("LA")),
        "types": distinct(record.all("PT")),
        "mesh": distinct(name for name, _ in headings),
        "mesh_major": distinct(name for name, whole in headings if "/*" in f"/{whole}"),
        "keywords": distinct(word.lstrip("*") for word in record.all("OT")),
        "vernacular_title": record.first("TT"),
        "volume": record.first("VI"),
        "issue": record.first("IP"),
        "pages": record.first("PG"),
    }
    titles = record.all("TI", "BTI", "TT")
    title = next((given for given in titles if given.casefold() not in _NO_TITLE), "")
    text = " ".join(record.all("AB")) or record.first("OAB")
    return document(identifier(pmid or doi), title, text, metadata)


# RIS: tags of two characters, `TY` to `ER` a record, with dialects.

_RIS_TAG = re.compile(r"([A-Z][A-Z0-9])  -(?: |$)")
_RIS_HEAD = re.compile(r"^TY  - ?\S", re.MULTILINE)
_RIS_PMID = re.compile(r"\d{1,8}")
_RIS_PMCID = re.compile(r"PMC\d+")
_URL = re.compile(r"https?://[^\s;]+")
_RIS_TYPES = {
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
    """Read the items of a RIS file, in file order.

    The id is the accession number (`AN`), else the DOI (`DO`), else `ID`, which some exporters
    only number, else `made:` and a hash of title and year: equal in every export until the title
    is corrected. Lines between records are skipped; a line without a tag continues the field
    above; a record ends with `ER`, the next `TY` or the file. A record is rejected if it has no
    title and no abstract, or holds a NUL or bytes that are not UTF-8; so are fields outside of any
    record.
    """
    yield from _items(source, _RIS, _ris_document)


def recognises_ris(head: bytes) -> bool:
    """Whether a line begins with `TY  - ` and a type."""
    return _RIS_HEAD.search(text_of_head(head).replace("\r", "\n")) is not None


def _ris_tag(line: str) -> tuple[str, str] | None:
    match = _RIS_TAG.match(line)
    return None if match is None else (match[1], line[6:])


_RIS = Grammar("RIS", _ris_tag, begins="TY", ends="ER", blank_ends=False, loose=True)


def _ris_document(record: TaggedFields) -> Document:
    title = record.first("TI", "T1", "CT", "BT")
    text = record.first("AB", "N2")
    accession = record.first("AN")
    database = record.first("DB", "DP").casefold()
    is_pubmed = "pubmed" in database or "medline" in database
    kind = record.first("TY")
    metadata = {
        "authors": distinct(short_name(name) for name in record.all("AU", "A1")),
        "journal": record.first("JF", "JO", "T2", "JA", "J2"),
        **dated(record.first("PY", "Y1", "DA")),
        "doi": doi_of(record.first("DO")),
        "pmid": accession if is_pubmed and _RIS_PMID.fullmatch(accession) else None,
        "pmcid": next(filter(_RIS_PMCID.fullmatch, record.all("C2")), None),
        "url": next(iter(_URL.findall(" ".join(record.all("UR", "L2")))), None),
        "language": distinct(record.all("LA")),
        "types": distinct([_RIS_TYPES.get(kind, kind)]),
        "keywords": distinct(word.lstrip("*") for word in record.all("KW")),
        "volume": record.first("VL", "VO"),
        "issue": record.first("IS"),
        "pages": "-".join(distinct([record.first("SP"), record.first("EP")])),
    }
    identity = accession or metadata["doi"] or record.first("ID")
    if not identity:
        identity = made_identifier(title or text, str(metadata.get("year", "")))
    return document(identifier(identity), title, text, metadata)


# Web of Science, often saved as `.ris`: tags of two characters and a blank, `PT` to `ER`.

_WOS_TAG = re.compile(r"([A-Z][A-Z0-9])(?: |$)")
_WOS_HEAD = re.compile(r"FN .*\s+VR 1\.0\s+PT [A-Z]\b")
_WOS_FILE_TAGS = frozenset({"FN", "VR", "EF"})


def read_wos(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a Web of Science file, in file order.

    The id is the accession number (`UT`), else the PMID, else the DOI, else `made:` and a hash of
    title and year. Records are rejected as for RIS.
    """
    yield from _items(source, _WOS, _wos_document)


def recognises_wos(head: bytes) -> bool:
    """Whether the file begins with its name, its version and a publication type."""
    return _WOS_HEAD.match(text_of_head(head).lstrip()) is not None


def _wos_tag(line: str) -> tuple[str, str] | None:
    match = _WOS_TAG.match(line)
    return None if match is None or match[1] in _WOS_FILE_TAGS else (match[1], line[3:])


_WOS = Grammar(
    "Web of Science",
    _wos_tag,
    begins="PT",
    ends="ER",
    blank_ends=False,
    loose=True,
    listed=frozenset({"AU", "AF"}),
)


def _wos_document(record: TaggedFields) -> Document:
    title = record.first("TI")
    doi, pmid = doi_of(record.first("DI")), record.first("PM")
    metadata = {
        "authors": distinct(short_name(name) for name in record.all("AU")),
        "journal": record.first("SO"),
        **dated(f"{record.first('PY')} {record.first('PD')}".strip()),
        "doi": doi,
        "pmid": pmid,
        "language": distinct(record.all("LA")),
        "types": _semicolon_list(record, "DT"),
        "keywords": _semicolon_list(record, "DE", "ID"),
        "volume": record.first("VL"),
        "issue": record.first("IS"),
        "pages": "-".join(distinct([record.first("BP"), record.first("EP")])),
    }
    identity = record.first("UT") or pmid or doi
    if not identity:
        identity = made_identifier(title, str(metadata.get("year", "")))
    return document(identifier(identity), title, record.first("AB"), metadata)


def _semicolon_list(record: TaggedFields, *tags: str) -> list[str]:
    values = record.all(*tags)
    return distinct(word.strip() for value in values for word in value.split(";"))
