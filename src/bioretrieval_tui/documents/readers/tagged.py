"""Readers of tagged lines: MEDLINE text (also `.nbib`), RIS and Web of Science plain text.

One grammar cuts lines into records and fields; a table of tags a format says what fields they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from bioretrieval_tui.documents.bibliography import (
    dated,
    distinct,
    document,
    fields_of,
    identifier,
    plain,
    short_name,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.identity import doi_of, identify
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    Format,
    ReadSettings,
    SourceReader,
    text_lines,
    text_of_head,
)

_LINE_COST = 64
"""Cost of a line besides its characters, since a million empty lines take memory, too."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a format cuts its lines into records.

    tag: the tag of a line (group 1) and what parts it from the value; begins, ends: the tags of the
    first and last line of a record; blank_ends: whether a blank line ends one; loose: whether a
    line without a tag may be unindented (within a record it continues the field above, between
    records it is skipped); listed: tags whose continuation lines are values of their own.
    """

    name: str
    tag: re.Pattern[str]
    begins: str
    ends: str | None = None
    blank_ends: bool = False
    loose: bool = True
    listed: frozenset[str] = frozenset()


@dataclass(slots=True)
class TaggedRecord:
    """A record: the number of its first line, and the lines of each value of each tag, which are
    joined on access. size: characters, and a cost for each line."""

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

    def all(self, *tags: str) -> list[str]:
        """All non-empty values of these tags, tag by tag, each on one line."""
        lines = (lines for tag in tags for lines in self.values.get(tag, ()))
        return list(filter(None, (plain(" ".join(some)) for some in lines)))

    def first(self, *tags: str) -> str:
        """The first value of the first of these tags that has one, else ""."""
        return next(iter(self.all(*tags)), "")


def _records(
    source: SourceReader, _: ReadSettings, grammar: Grammar
) -> Iterator[tuple[Place, TaggedRecord | RecordFault]]:
    """Yield the records of a file, placed at their first lines. Fields outside of any record are
    one fault, so that nothing is lost unreported."""

    def closed(record: TaggedRecord) -> tuple[Place, TaggedRecord | RecordFault]:
        if not grammar.blank_ends and grammar.begins not in record.values:
            what = f"fields outside of a record, with no {grammar.begins} above"
            record.refuse(RecordFault(what))
        return Place(source.name, line=record.line), record.fault or record

    current: TaggedRecord | None = None
    for line in text_lines(source):
        text = line.text.rstrip("\r\n")
        if not text.strip() and line.fault is None:
            if grammar.blank_ends and current is not None:
                yield closed(current)
                current = None
            continue
        match = grammar.tag.match(text)
        tag = match[1] if match else None
        ends = tag is not None and tag == grammar.ends
        # MEDLINE records may have other fields before the first (the order is not specified); then
        # a blank line separates them.
        begun = current is not None and (grammar.begins in current.values or not grammar.blank_ends)
        if tag == grammar.begins and current is not None and (begun or current.fault):
            yield closed(current)
            current = None
        if current is None:
            if ends or (tag is None and grammar.loose and line.fault is None):
                continue
            current = TaggedRecord(line.number)
        current.size += len(text) + _LINE_COST
        if line.fault is not None:
            current.refuse(line.fault)
        elif "\0" in text:
            current.refuse(RecordFault("the record holds a NUL character"))
        if current.size > MAX_LINE_BYTES:
            most = f"{MAX_LINE_BYTES:,}"
            current.refuse(RecordFault(f"the record is longer than {most} characters"))
        if ends:
            yield closed(current)
            current = None
        elif current.fault is not None:
            continue
        elif match is not None:
            current.add(match[1], text[match.end() :])
        elif current.last is None or not (grammar.loose or text[:1].isspace()):
            current.refuse(RecordFault(f"line {line.number} is not a field of {grammar.name}"))
        elif current.tag in grammar.listed:
            current.add(current.tag, text)
        else:
            current.last.append(text)
    if current is not None:
        yield closed(current)


def _shows(pattern: re.Pattern[str], head: bytes) -> bool:
    return pattern.search(text_of_head(head).replace("\r", "\n")) is not None


# MEDLINE: tags of up to four characters, indented continuation lines, blank lines between records.
# The dash is in the fifth column, so "IL-2 was" at the margin is not a field.

_MEDLINE = Grammar(
    "MEDLINE",
    re.compile(r"([A-Z][A-Z0-9]{1,3}) *(?<=^.{4})-(?: |$)"),
    begins="PMID",
    blank_ends=True,
    loose=False,
)
_MEDLINE_HEAD = re.compile(r"^PMID- ?\d|^(?:OWN |STAT|DCOM)- \S", re.MULTILINE)
_MEDLINE_FIELDS = {
    "pmid": "PMID", "pmcid": "PMC", "journal": "JT TA", "language": "LA", "types": "PT",
    "vernacular_title": "TT", "volume": "VI", "issue": "IP", "pages": "PG",
}  # fmt: skip
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available."})
_MARKED_DOI = re.compile(r"(\S+) \[doi\]")


def _medline_document(record: TaggedRecord) -> Document:
    """The id is the PMID, else the DOI. The abstract is `AB`, else `OAB`; a book's title `BTI`."""
    fields = fields_of(_MEDLINE_FIELDS, record.all)
    marked = _MARKED_DOI.search(" ".join(record.all("LID", "AID")))
    doi, pmid = marked[1] if marked else None, fields["pmid"]
    if not pmid and not doi:
        raise RecordFault("the record has neither a PMID nor a DOI")
    people = record.all("AU") or [short_name(name) for name in record.all("FAU")]
    headings = [(heading.partition("/")[0].lstrip("*"), heading) for heading in record.all("MH")]
    fields |= {
        "authors": distinct([*people, *record.all("CN")]),
        "journal": fields["journal"] or (record.first("TI") and record.first("BTI")),
        **dated(record.first("DP")),
        "doi": doi,
        "mesh": distinct(name for name, _ in headings),
        "mesh_major": distinct(name for name, whole in headings if "/*" in f"/{whole}"),
        "keywords": distinct(word.lstrip("*") for word in record.all("OT")),
    }
    titles = record.all("TI", "BTI", "TT")
    title = next((given for given in titles if given.casefold() not in _NO_TITLE), "")
    text = " ".join(record.all("AB")) or record.first("OAB")
    return document(identifier(pmid or doi), title, text, fields)


_SUFFIXES = (".nbib", ".medline")
_CUT = partial(_records, grammar=_MEDLINE)
MEDLINE = Format("medline", _SUFFIXES, partial(_shows, _MEDLINE_HEAD), _CUT, _medline_document)


# RIS: tags of two characters, `TY` to `ER` a record, with dialects. Lines between records are
# skipped; a line without a tag continues the field above; a record ends with `ER`, the next `TY` or
# the file.

_RIS = Grammar("RIS", re.compile(r"([A-Z][A-Z0-9])  -(?: |$)"), begins="TY", ends="ER")
_RIS_HEAD = re.compile(r"^TY  - ?\S", re.MULTILINE)
_RIS_FIELDS = {"journal": "JF JO T2 JA J2", "language": "LA", "volume": "VL VO", "issue": "IS"}
_RIS_PMID = re.compile(r"\d{1,8}")
_RIS_PMCID = re.compile(r"PMC\d+")
_URL = re.compile(r"https?://[^\s;]+")
_RIS_TYPES = {
    "JOUR": "Journal Article", "ABST": "Abstract", "BOOK": "Book", "CHAP": "Book Chapter",
    "CONF": "Conference Proceedings", "CPAPER": "Conference Paper", "THES": "Thesis",
    "RPRT": "Report", "UNPB": "Preprint",
}  # fmt: skip


def _ris_document(record: TaggedRecord) -> Document:
    """The id follows the rule of `identity`; the accession number is `AN`."""
    title = record.first("TI", "T1", "CT", "BT")
    text = record.first("AB", "N2")
    accession = record.first("AN")
    database = record.first("DB", "DP").casefold()
    is_pubmed = "pubmed" in database or "medline" in database
    kind = record.first("TY")
    fields = fields_of(_RIS_FIELDS, record.all) | {
        "authors": distinct(short_name(name) for name in record.all("AU", "A1")),
        **dated(record.first("PY", "Y1", "DA")),
        "doi": doi_of(record.first("DO")),
        "pmid": accession if is_pubmed and _RIS_PMID.fullmatch(accession) else None,
        "pmcid": next(filter(_RIS_PMCID.fullmatch, record.all("C2")), None),
        "url": next(iter(_URL.findall(" ".join(record.all("UR", "L2")))), None),
        "types": distinct([_RIS_TYPES.get(kind, kind)]),
        "keywords": distinct(word.lstrip("*") for word in record.all("KW")),
        "pages": "-".join(distinct([record.first("SP"), record.first("EP")])),
    }
    identity = identify(fields, title, text, accession, record.first("DB", "DP"))
    return document(identity, title, text, fields)


RIS = Format(
    "ris", (".ris",), partial(_shows, _RIS_HEAD), partial(_records, grammar=_RIS), _ris_document
)


# Web of Science, often saved as `.ris`: tags of two characters and a blank, `PT` to `ER`; the first
# and last lines of the file (FN, VR, EF) are no fields.

_WOS = Grammar(
    "Web of Science",
    re.compile(r"(?!FN|VR|EF)([A-Z][A-Z0-9])(?: |$)"),
    begins="PT",
    ends="ER",
    listed=frozenset({"AU", "AF"}),
)
_WOS_HEAD = re.compile(r"\A\s*FN .*\s+VR 1\.0\s+PT [A-Z]\b")
_WOS_FIELDS = {"journal": "SO", "pmid": "PM", "language": "LA", "volume": "VL", "issue": "IS"}


def _wos_document(record: TaggedRecord) -> Document:
    """The id follows the rule of `identity`; the accession number is `UT`."""

    def listed(*tags: str) -> list[str]:
        return distinct(word.strip() for some in record.all(*tags) for word in some.split(";"))

    title = record.first("TI")
    fields = fields_of(_WOS_FIELDS, record.all) | {
        "authors": distinct(short_name(name) for name in record.all("AU")),
        **dated(f"{record.first('PY')} {record.first('PD')}"),
        "doi": doi_of(record.first("DI")),
        "types": listed("DT"),
        "keywords": listed("DE", "ID"),
        "pages": "-".join(distinct([record.first("BP"), record.first("EP")])),
    }
    text = record.first("AB")
    return document(identify(fields, title, text, record.first("UT")), title, text, fields)


WOS = Format(
    "wos", (".ciw",), partial(_shows, _WOS_HEAD), partial(_records, grammar=_WOS), _wos_document
)
