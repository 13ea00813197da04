"""Reader of RIS as reference managers, databases and publishers write it.

The tags are of two characters, `TY` to `ER` a record. Exporters differ in all else: blanks, `TY`
later or never, identifiers in a dozen tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    REGISTRY,
    abstract_of,
    bare_number,
    best_date,
    corrections_in,
    distinct,
    isbn_of,
    page_range,
    said,
    without_markup,
    work_document,
)
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import (
    doi_of,
    eric_of,
    noted_identifiers,
    pmcid_in,
    pmcid_of,
    pmid_of,
    pmids_in,
    trials_of,
)
from bioretrieval_tui.documents.person_names import people
from bioretrieval_tui.documents.readers.tagged import (
    Grammar,
    TaggedRecord,
    shows_lines,
    tagged_records,
)
from bioretrieval_tui.documents.source import Format
from bioretrieval_tui.documents.work_types import WITHIN_BOOKS, type_of

_TAGS = frozenset(
    "TY ER A1 A2 A3 A4 AB AD AF AN AU AV BN BT C1 C2 C3 C4 C5 C6 C7 C8 CA CN CP CT CY DA DB DI DO"
    " DP DS ED EP ET ID IP IS J1 J2 JA JF JO JT K1 KW L1 L2 L3 L4 LA LB LK M1 M2 M3 N1 N2 NV OP PB"
    " PM PP PY RI RN RP SE SN SP ST T1 T2 T3 TA TI TT U1 U2 U3 U4 U5 UR VL VO WT Y1 Y2"
    " DCOM DOI OWN PMC PMCID PMID STAT".split()
)
# Tags that count with a blank too few also in records that are else written well: those behind a
# field of one line, since lines of text, too, begin with "T2 - " or "PY - "; and those of MEDLINE.
_SURE_TAGS = frozenset("TI T1 AB N2 AU A1 PY Y1 DO UR KW JO JF T2".split())
_OF_ONE_LINE = frozenset("TY AU A1 A2 PY Y1 DA VL IS SP EP SN DO UR LA ID AN".split())
_OF_MEDLINE = frozenset("DCOM OWN PMID STAT".split())
_SHORT = {"PMID": "PM", "DOI": "DO", "PMC": "C8", "PMCID": "C8", "ISSN": "SN", "ISBN": "SN"}
_BLANK = "[ \\t\\u00a0\\u2002\\u2003\\u2009]"
_DASH = "[-\\u2010-\\u2015\\u2212]"
_TAG = "[A-Z][A-Z0-9]{1,5}"
_WELL = re.compile(rf"[\ufeff\s]*({_TAG})(?:{_BLANK}{{2,}}|[\t\u00a0]){_DASH}{_BLANK}*")
_SLACK = re.compile(rf"([\ufeff\s]*)({_TAG}){_BLANK}?{_DASH}(?:{_BLANK}+|$)")
_TIGHT = re.compile(rf"([\ufeff\s]*)({_TAG}){_BLANK}?{_DASH}")
_LOWER = re.compile(rf"[\ufeff\s]*[Tt]y{_BLANK}*{_DASH}")
_LOWER_TAG = re.compile(rf"[\ufeff\s]*[A-Za-z][a-z0-9](?={_BLANK}*{_DASH})")
_TYPE = re.compile(r"[A-Z]{2,8}\s*|[A-Z][a-z]+(?: [A-Za-z]+)*")


def _field(text: str, record: TaggedRecord | None) -> tuple[str, str] | None:
    """Tag and value of a line: "TI  - Title"; with blanks as in the first line of the record; with
    one blank too few where the tag is sure."""
    opening = record.opening if record else text
    if _LOWER.match(opening):
        opening = opening.upper()
        text = _LOWER_TAG.sub(lambda match: match[0].upper(), text, count=1)
    if match := _WELL.match(text):
        if record is None and len(match[1]) > 2 and match[1] not in _TAGS:
            return None
        return _SHORT.get(match[1], match[1]), text[match.end() :]
    match = spaced = _SLACK.match(text)
    match = match or _TIGHT.match(text)
    if match is None:
        return None
    tag, value = match[2], text[match.end() :]
    above = record.order[-1][0] if record and record.order else ""
    only_type = record is not None and len(record.order) == 1 and above == "TY"
    if record and only_type and tag in _TAGS and _WELL.match(opening):
        opening = record.opening = text  # only the type is written well
    indented = match[1].strip("\ufeff") and not opening[:1].isspace()
    if indented or not (spaced or _is_tight(opening)):
        return None
    if tag == "TY":
        sure = _TYPE.fullmatch(value) is not None
    elif tag == "ER":
        sure = not value.strip()
    elif not _WELL.match(opening):
        sure = tag in _TAGS
    elif tag in _OF_MEDLINE:
        sure = above not in _NOTES
    else:
        sure = tag in _SURE_TAGS and above in _OF_ONE_LINE
    return (_SHORT.get(tag, tag), value) if sure else None


def _is_tight(opening: str) -> bool:
    """Whether there is no blank behind the dash of a line."""
    return not _WELL.match(opening) and not _SLACK.match(opening)


_GRAMMAR = Grammar(
    "RIS", _field, begins="TY", ends="ER", listed=frozenset({"KW", "AD", "AU", "A1", "UR", "SN"})
)
# A type, or without one the end of a record.
_HEAD = re.compile(
    rf"^[\ufeff \t]{{0,4}}(?i:TY){_BLANK}*{_DASH}{_BLANK}*"
    rf"(?:[A-Z]{{2,8}}[ \t]*$|(?<=[Tt][Yy]  - )\S)|^[ \t]{{0,4}}ER{_BLANK}*{_DASH}{_BLANK}*$",
    re.MULTILINE,
)
_TYPES = {
    "JOUR": "Journal Article", "EJOUR": "Journal Article", "JFULL": "Journal Article",
    "INPR": "Journal Article", "MGZN": "Magazine Article", "NEWS": "Newspaper Article",
    "ABST": "Abstract", "BOOK": "Book", "EBOOK": "Book", "EDBOOK": "Book", "CHAP": "Book Chapter",
    "ECHAP": "Book Chapter", "ENCYC": "Book Chapter", "DICT": "Book Chapter",
    "CONF": "Conference Paper", "CPAPER": "Conference Paper", "THES": "Thesis", "RPRT": "Report",
    "GOVDOC": "Report", "UNPB": "Preprint", "UNPD": "Preprint", "DATA": "Dataset",
    "AGGR": "Dataset", "PAT": "Patent", "ELEC": "Webpage", "WEB": "Webpage", "GEN": "",
    "BLOG": "Blog", "SER": "Serial", "STAND": "Standard", "VIDEO": "Video", "MPCT": "Film",
    "MANSCPT": "Manuscript", "ART": "Artwork", "ADVS": "Audiovisual", "BILL": "Bill",
    "CASE": "Legal Case", "CHART": "Chart", "CLSWK": "Classical Work", "ANCIENT": "Ancient Text",
    "COMP": "Software", "CTLG": "Catalogue", "DBASE": "Database", "FIGURE": "Figure",
    "GRANT": "Grant", "HEAR": "Hearing", "ICOMM": "Internet Communication", "LEGAL": "Legal Rule",
    "MAP": "Map", "MULTI": "Multimedia", "MUSIC": "Music", "PAMP": "Pamphlet",
    "PCOMM": "Personal Communication", "SLIDE": "Slide", "SOUND": "Sound Recording",
    "STAT": "Statute", "INTV": "Interview", "EQUA": "Equation",
}  # fmt: skip
_BOOKS = frozenset({"Book", "Thesis", "Report"})
_LONGEST_TYPE = 60
_BETWEEN_LANGUAGES = re.compile(r"[;,/|]")

# Custom fields, links and numbers in which exporters put identifiers.
_OWN_DOI = ("DO", "DI")
_CUSTOM = (
    "L3", "M3", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "U1", "U2", "U3", "U4", "U5", "AN",
    "ID", "M1", "M2",
)  # fmt: skip
_LINKS = ("UR", "L1", "L2", "L4", "LK", "AV")
_NOTES = ("N1", "RN")
_NOTED_ABSTRACT = re.compile(r"abstract\s*:\s*(.+)", re.IGNORECASE)
_PUBMED = re.compile(r"pubmed(?! central)|medline|\bnlm\b|\b(?:cmedm|mdc|mdl|mnh)\b", re.IGNORECASE)
_PMID_ALONE = re.compile(r"[1-9]\d{6,7}")
# What is a number of a database also in `ID` or elsewhere: CENTRAL's, Web of Science's, those of
# Dimensions, Lens, Scopus, Embase, SciELO and Ovid.
_DATABASE_NUMBER = re.compile(
    r"CN-\d{6,9}|(?:WOS|MEDLINE|BIOSIS|CCC|BCI|KJD|RSCI|SCIELO|INSPEC|PQDT|PPRN):\S+|pub\.\d{7,}"
    r"|\d{3}(?:-\d{3}){3}-\d{2}[\dX]|2-s2\.0-\d+|L\d{8,12}|S\d{4}-\d{3}[\dX]\d{13}(?:-\w+)?|\d{9,12}",
    re.IGNORECASE,
)
_EID = re.compile(r"\beid=(2-s2\.0-\d+)", re.IGNORECASE)
_ARTICLE_NUMBER = re.compile(r"[A-Za-z]{0,4}\d{1,9}")
_NOTED_NUMBER = re.compile(r"\b(?:Accession Number:\s*|(?=L\d{8,12}\b))([\w.-]+)")
_URL = re.compile(r"https?://[^\s;]+")


def ris_document(record: TaggedRecord) -> Document:
    """The document of a record with the tags of RIS. The id follows the rule of `identity`."""
    kind, types = _types(record)
    title = next(iter(record.texts("TI", "T1", "CT", "BT", "T2", "ST")), "")
    title = said(title) or next(iter(record.texts("TT")), "")
    noted = map(_NOTED_ABSTRACT.match, record.texts("N1"))
    text = abstract_of(record.texts("AB", "N2") or [found[1] for found in noted if found])
    database = record.first("DB", "DP")
    if kind in WITHIN_BOOKS:
        within = {"book": record.first("BT", "T2", "JF", "JO", "JA", "J2", "T3", "J1")}
    elif kind in _BOOKS:
        within = {"journal": record.first("JF", "JO")}
    else:
        within = {"journal": record.first("JF", "JO", "T2", "JT", "SO", "JA", "J2", "J1", "TA")}
    # The first author may be apart, in A1 before AU.
    authors = people(without_markup(name) for _, name in record.in_order("AU", "A1"))
    # A2 of an article may hold the authors that it cites, A3 of a thesis its supervisors.
    apart = kind.endswith("Article") or kind == "Thesis"
    editors = people(record.texts(*(["ED"] if apart else ["A2", "ED"])))
    editors = editors or people(() if apart else record.texts("A3"))
    if record.first("TY") == "EDBOOK":
        authors, editors = [], [*authors, *editors]
    numbers = (one for one in record.all("C7") if not pmcid_of(one))
    number = next(filter(_ARTICLE_NUMBER.fullmatch, numbers), "")
    fields: dict[str, Any] = {
        "authors": authors,
        "editors": editors,
        **{name: without_markup(title) for name, title in within.items()},
        **best_date(_dates(record)),
        **_identifiers(record),
        "url": next(iter(_URL.findall(" ".join(record.all("UR", "LK", "US", "L2", "L1")))), None),
        "language": distinct(
            part.strip() for text in record.all("LA") for part in _BETWEEN_LANGUAGES.split(text)
        ),
        "types": types,
        "keywords": keywords(record.texts("KW", "K1")),
        "affiliations": distinct(record.texts("AD", "AF")),
        "trials": distinct(trials_of(" ".join(record.all(*_CUSTOM, *_LINKS, *_NOTES, "SI", "KW")))),
        "corrections": corrections_in(record.texts(*_NOTES)),
        "volume": bare_number(record.first("VL", "VO")),
        "issue": bare_number(record.first("IS", "IP", "CP")),
        "pages": page_range(record.first("SP", "PG"), record.first("EP")) or number,
    }
    if kind and not kind.endswith("Article"):
        publisher = without_markup(record.first("PB", "PP"))
        fields["school" if kind == "Thesis" else "publisher"] = publisher
        fields["place"] = without_markup(record.first("CY"))
        fields["isbn"] = isbn_of(" ".join(record.all("SN", "BN")))
    return work_document(fields, title, text, _accession(record), database)


def keywords(texts: Iterable[str], marks: str = "*") -> list[str]:
    """Keywords, each once, without `marks` (of major ones); a line may hold several between
    semicolons."""
    return distinct(word.strip(f" {marks}") for text in texts for word in text.split(";"))


def _types(record: TaggedRecord) -> tuple[str, list[str]]:
    """The kind of work by `TY` in PubMed's words, and all types: `M3` adds some."""
    given = record.first("TY")
    kind = _TYPES.get(given.upper(), given)
    more = [
        type_of(part.strip())
        for text in record.texts("M3")
        if not doi_of(text) and not trials_of(text) and len(text) <= _LONGEST_TYPE
        for part in text.split(";")
    ]
    # "Article" says nothing, also of a chapter.
    more = [one for one in more if one != "Journal Article" and not one.isdigit()]
    notes = " ".join(record.all(*_NOTES))
    if "retracted publication" in notes.casefold():
        more.append("Retracted Publication")
    return kind, distinct([kind, *more])


def _dates(record: TaggedRecord) -> list[str]:
    """The dates of a record; EndNote writes the day and month ("May 5") apart from the year."""
    year, *_ = [*record.all("PY", "Y1"), ""]
    days = record.all("DA")
    joined = [f"{year[:4]} {day}" for day in days if year[:4].isdigit() and day[:1].isalpha()]
    return [*record.all("PY", "Y1"), *joined, *days]


def _identifiers(record: TaggedRecord) -> dict[str, str | None]:
    """DOI, PMID and PMC id, wherever they are."""
    links = record.all(*_LINKS)
    linked = " ".join(links)
    custom = [noted_identifiers([text]) for text in record.lined(*_CUSTOM)]
    noted = noted_identifiers(record.lined(*_NOTES))
    dois = [*map(doi_of, record.all(*_OWN_DOI)), *(one["doi"] for one in custom)]
    dois += [*map(doi_of, links), noted["doi"]]
    pmids = [*pmids_in(" ".join(record.all("PM"))), *(one["pmid"] for one in custom)]
    pmids += [*pmids_in(linked), *_pmids_alone(record), noted["pmid"]]
    pmcids = [*(one["pmcid"] for one in custom), pmcid_in(linked), noted["pmcid"]]
    return {
        "doi": next(filter(_is_of_work, dois), None),
        "pmid": next(filter(None, pmids), None),
        "pmcid": next(filter(None, pmcids), None),
    }


def _is_of_work(doi: str | None) -> bool:
    """Whether there is a DOI, and not that which CENTRAL gives to its own record of a work."""
    return doi is not None and not doi.startswith("10.1002/central/")


def _pmids_alone(record: TaggedRecord) -> list[str]:
    """PMIDs that nothing names so, in the tags that a database uses for them: `PM`; `AN` of PubMed
    and MEDLINE; `C2` of Scopus, `C5` of Embase."""
    database = " ".join(record.all("DB", "DP"))
    found = record.all("PM")
    if _PUBMED.search(database):
        # ProQuest: its own number, then that of the database.
        found += _number(record).replace(",", ";").split(";")[::-1]
        found += [one for one in record.all("ID") if _PMID_ALONE.fullmatch(one)]
    tags = ["C2", "C5"] if "embase" in database.casefold() else ["C2"]
    found += [one for one in record.all(*tags) if _PMID_ALONE.fullmatch(one)]
    return [pmid for pmid in map(pmid_of, found) if pmid and len(pmid) <= 8]


def _number(record: TaggedRecord) -> str:
    """The accession number, which EBSCO and EndNote (for Embase) write into the notes."""
    noted = map(_NOTED_NUMBER.match, record.all("N1"))
    return record.first("AN") or next((found[1] for found in noted if found), "")


def _accession(record: TaggedRecord) -> str:
    """The number of the record in its database, or in the registry that it is of."""
    given = _number(record)
    database = " ".join(record.all("DB", "DP"))
    for text in record.all("UR", "L2", "LK", "ID", "AN", "M1", "M3", "C7", "U1"):
        if REGISTRY.search(f"{database} {text}") and len(trials := trials_of(text)) == 1:
            return trials[0]
    if "eric" in f"{database} {given}".casefold() and (eric := eric_of(given)):
        return eric
    numbers = [*record.all("AN", "ID", "U2", "U1"), *_EID.findall(" ".join(record.all("UR")))]
    known = filter(_DATABASE_NUMBER.fullmatch, numbers)
    return given.split(";")[0].strip() or next(known, "")


RIS = Format(
    "ris", (".ris",), partial(shows_lines, _HEAD), partial(tagged_records, grammar=_GRAMMAR),
    ris_document,
)  # fmt: skip
