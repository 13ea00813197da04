"""Reader of Ovid's exports of MEDLINE, Embase and others, and of Embase.com's text: a record begins
with its number (`<1. >`, `RECORD 1`); fields have tags (`TI  - Title`) or names on lines of their
own, with the text indented below."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    bare_number,
    best_date,
    distinct,
    isbn_of,
    mesh_of,
    page_range,
    work_document,
)
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import doi_of, pmid_of, pmids_in, trials_of
from bioretrieval_tui.documents.person_names import people
from bioretrieval_tui.documents.readers.medline import MOST_PMID
from bioretrieval_tui.documents.readers.ris import keywords
from bioretrieval_tui.documents.readers.tagged import (
    Grammar,
    TaggedRecord,
    shows_lines,
    tagged_records,
)
from bioretrieval_tui.documents.source import Format

_HEAD_TAG = "<>"
_OTHER_TAG = "--"
_RECORD = re.compile(r"[\ufeff\s]*(?:<\s*\d+\s*\.?\s*>|RECORD \d+)\s*$")
_NAME = re.compile(r"[A-Z][\w/&'() ,-]{1,50}:? *")
_CAPITALS = re.compile(r"[A-Z][\w()-]*(?: (?:(?:of|the|and|or) )?[A-Z][\w()-]*){1,4}:? *")
_TAGGED = re.compile(r"([A-Z][A-Z0-9]{1,3}) *(?<=^.{4})-(?: |$)")
# The tags of fields that have names, in Ovid's and in Embase.com's words.
_NAMES = {
    name: tag
    for tag, names in {
        "UI": "unique identifier", "AN": "accession number", "DB": "database",
        "TI": "title", "OT": "original title|original (non-english) title", "BT": "book title",
        "SO": "source", "JN": "journal name|journal|source title", "VO": "volume",
        "IP": "issue|issue/part", "PG": "page|pages", "SP": "first page", "EP": "last page",
        "YR": "year of publication|publication year", "DP": "date of publication|publication date",
        "AU": "authors|author|author names", "FA": "authors full name|author full name",
        "ED": "editor|editors|book editors", "IN": "institution|author addresses|affiliation",
        "AB": "abstract|original (non-english) abstract", "PT": "publication type",
        "LG": "language|article language|language of article",
        "MH": "mesh subject headings|subject headings|emtree drug index terms"
        "|emtree medical index terms|emtree drug index terms (major focus)"
        "|emtree medical index terms (major focus)",
        "KW": "keyword heading|keywords|author keywords", "PM": "pmid|medline pmid|pubmed id",
        "DO": "digital object identifier|doi|doi number", "NM": "name of substance", "IB": "isbn",
        "CN": "clinical trial number|clinical trial numbers", "PB": "publisher",
        "U2": "pui|embase accession id", "XL": "link to the ovid full text or citation",
        _OTHER_TAG: "issn|status|country of publication|copyright|abbreviated source|embase link"
        "|full text link|open url link|date created|entry date|version id|publishing model"
        "|record owner|local messages|summary language|correspondence address|url",
    }.items()
    for name in names.split("|")
}  # fmt: skip


def _field(text: str, record: TaggedRecord | None) -> tuple[str, str] | None:
    if _RECORD.match(text):
        return _HEAD_TAG, ""
    if match := _TAGGED.match(text):
        return match[1], text[match.end() :]
    # Names stand at the margin; records of Embase.com may have no number before their title.
    tag = _NAMES.get(text.rstrip(" :").casefold()) if text[:1].isalpha() else None
    if record is None:
        return (tag, "") if tag in ("TI", "UI") else None
    if tag is None and record.order and _may_be_name(text, record):
        tag = _OTHER_TAG
    return (tag, "") if tag else None


def _may_be_name(text: str, record: TaggedRecord) -> bool:
    """Whether a line is the name of a field that is not known: at the margin, below text that is
    indented; in capitals, below text that is not."""
    if not _NAME.fullmatch(text):
        return False
    (_, first), (tag, lines) = record.order[:2][-1], record.order[-1]
    above = lines[-1]
    is_named = not first[0] and (above[:1].isspace() or (above != "" and _CAPITALS.fullmatch(text)))
    return tag == _HEAD_TAG or bool(is_named)


_GRAMMAR = Grammar(
    "Ovid",
    _field,
    begins=_HEAD_TAG,
    ends="><",
    listed=frozenset({"AU", "FA", "MH", "KW", "IN", "ED", "CN"}),
)
_HEAD = re.compile(
    r"^[\ufeff\s]*<\s*\d+\s*\.?\s*>\s*\n(?:[A-Z][A-Z0-9]{1,3} *- |[A-Z][A-Za-z ]+\n)"
    r"|^RECORD \d+\s*\n\s*TITLE\s*\n|^TITLE\s*\n\s+\S.*\n(?:.*\n){0,40}?SOURCE TITLE\s*\n",
    re.MULTILINE,
)
# "Gazic, Barbara MD, PhD *", but not the initials of "Miller MD" or "Miller, MD".
_DEGREES = (
    r"M\.?D|Ph\.? ?D|[BM]Sc|MPH|MBA|MBBS|[BM]SN|RN|D[VM]M|DDS|DMD|DrPH|DNP|DSc|EdD|PsyD|PharmD"
    r"|FAC[A-Z]{1,3}|FRA?C\w+"
)
_DEGREE = re.compile(rf"([^,;]+, *[^\s,][^,]*?),? +(?:{_DEGREES})(?!\w).*")
_ROLE = re.compile(r"\s*\[.*|[\s\d,*+]+$")
_KIND_OF_TEXT = re.compile(
    r"\.?\s*\[(?:Article|Report|Miscellaneous|Review|Letter|Editorial|Abstract)s?\]\s*$"
)
_QUALIFIER = re.compile(r"/(\*?)[a-z]{2} \[([^\]]+)\]")
_MARK = re.compile(r"\s*\[[A-Z][^\]]*\]$")
# "Ponds. 12(3):45-9, 2010 Jan." and "Ponds January 2010;12(3):45-9".
# In PsycInfo "Ponds. Vol.24(7), 2019, pp. 847-856.", in CAB "Ponds; 2020. 10(1):1-9".
_SOURCES = (
    re.compile(
        r"(?P<journal>.+?)[.,;]\s+Vol\.?\s*(?P<volume>\w[\w-]*)\s*(?:\((?P<issue>[^)]*)\))?,"
        r"(?:.*?\b(?P<year>\d{4}))?(?:.*?\bpp?\.\s*(?P<pages>[\w-]+))?"
    ),
    re.compile(
        r"(?P<journal>.+?);\s*(?P<year>\d{4})\.\s*(?P<volume>\w[\w-]*)\s*"
        r"(?:\((?P<issue>[^)]*)\))?(?::\s*(?P<pages>[\w-]+))?"
    ),
    re.compile(
        r"(?P<journal>.+?)\.\s+(?:.*?\.\s+)*?(?P<volume>\d[\w-]*)\s*(?:\((?P<issue>[^)]*)\))?"
        r"\s*(?:\((?:pp )?(?P<within>[\w-]+)\)|\(no pagination\)|:\s*(?P<pages>[\w-]+))?[,.]"
    ),
    re.compile(
        r"(?P<journal>.+?)\s+(?:[A-Z][a-z/A-Z]+\s+)?(?:\d{1,2},?\s+)?\d{4};(?P<volume>[\w-]+)"
        r"(?:\((?P<issue>[^)]*)\))?:(?P<pages>[\w-]+)"
    ),
    re.compile(r"(?P<journal>[^\d.;:]+)\.?\s*$"),
)


def _document(record: TaggedRecord) -> Document:
    """The id follows the rule of `identity`; `UI` is the PMID in MEDLINE, else Ovid's number."""
    database = record.first("DB")
    source = _source(record.first("SO"))
    is_medline = "medline" in database.casefold()
    number = record.first("UI", "AN", "U2").rstrip(".")
    pmid = _pmid(record, number, is_medline=is_medline or not database)
    titles = record.texts("TI", "OT", "BT")
    title = _KIND_OF_TEXT.sub("", titles[0]) if titles else ""
    book = record.first("BT")
    headings = [_QUALIFIER.sub(_qualified, one) for one in keywords(record.texts("MH"), marks="")]
    words = [] if is_medline or (pmid and not database) else [one.strip("* ") for one in headings]
    text = abstract_of([" ".join(record.texts("AB"))])
    fields: dict[str, Any] = {
        "authors": _persons(record.texts("AU") or record.texts("FA")),
        "editors": _persons(record.texts("ED")),
        "journal": "" if book else record.first("JN", "JT", "TA") or source.get("journal", ""),
        "book": book if titles[:1] != [book] else "",
        **best_date(
            [
                *record.all("DP", "YR"),
                source.get("year") or record.first("SO").rpartition(",")[2],
            ]
        ),
        "doi": next(filter(None, map(doi_of, record.all("DO", "DI", "ID"))), None),
        "pmid": pmid,
        "language": distinct(
            part.strip(" .") for one in record.all("LG", "LA") for part in one.split(",")
        ),
        "types": distinct(one.strip(" .") for one in record.texts("PT", "DT")),
        **(mesh_of(headings) if not words else {}),
        "keywords": distinct([*keywords(record.texts("KW", "KF")), *words]),
        "affiliations": distinct(record.texts("IN")),
        "trials": trials_of(" ".join(record.all("CN", "SI"))),
        "volume": bare_number(record.first("VO", "VI")) or source.get("volume", ""),
        "issue": bare_number(record.first("IP")) or source.get("issue", ""),
        "pages": page_range(record.first("PG", "SP"), record.first("EP"))
        or page_range(source.get("pages") or source.get("within") or ""),
        "publisher": record.first("PB") if book else "",
        "isbn": isbn_of(" ".join(record.all("IB"))),
    }
    return work_document(fields, title, text, number, database or "Ovid")


def _persons(lines: Iterable[str]) -> list[str]:
    names = (name.strip() for line in lines for name in line.split(";"))
    return people(_ROLE.sub("", _DEGREE.sub(r"\1", name)) for name in names)


def _pmid(record: TaggedRecord, number: str, *, is_medline: bool) -> str | None:
    named = record.all("PM")
    found = [*pmids_in(" ".join(named)), *filter(None, (pmid_of(one.split()[0]) for one in named))]
    own = pmid_of(number) if is_medline else None
    return next(iter(found), own if own and int(own) < MOST_PMID else None)


def _qualified(match: re.Match[str]) -> str:
    return f"/{match[1]}{match[2].casefold()}"


def _source(text: str) -> dict[str, str]:
    """Journal, volume, issue and pages of a source line."""
    found = next(filter(None, (pattern.match(text) for pattern in _SOURCES)), None)
    return {name: value for name, value in found.groupdict().items() if value} if found else {}


OVID = Format(
    "ovid",
    (".ovd",),
    partial(shows_lines, _HEAD),
    partial(tagged_records, grammar=_GRAMMAR),
    _document,
)
