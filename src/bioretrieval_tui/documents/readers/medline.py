"""Reader of MEDLINE text: PubMed's NBIB, exports of the older MEDLARS form, and ERIC's NBIB."""

from __future__ import annotations

import re
from functools import partial
from itertools import islice

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    accessions,
    correction,
    dated,
    distinct,
    fields_of,
    isbn_of,
    mesh_of,
    page_range,
    said,
    work_document,
)
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.identity import doi_of, eric_of, pmcid_of, pmid_of
from bioretrieval_tui.documents.person_names import MOST_NAMES, people
from bioretrieval_tui.documents.readers.tagged import (
    Grammar,
    TaggedRecord,
    by_pattern,
    shows_lines,
    tagged_records,
)
from bioretrieval_tui.documents.source import Format

# The tags of PubMed's display, which count with any blanks.
_TAGS = (
    "AB AD AID AU AUID BTI CDAT CI CIN CN COI COIS CON CP CRDT CRF CRI CTDT CTI DA DCOM DDIN DEP DP"
    " DRIN ECF ECI ED EDAT EFR EIN EN FAU FED FIR FPS GN GR GS IP IR IRAD IS ISBN JID JT LA LID LR"
    " MH MHDA MID NM OAB OABL OCI OID ORI OT OTO OWN PB PG PHST PL PMC PMCR PMID PRIN PROF PS PST"
    " PT PUBM RF RIN RN ROF RPF RPI RRF RRI SB SFM SI SO SPIN STAT TA TI TT UIN UOF VI VTI"
)
# Other tags have the dash in the fifth column, or behind more than three letters as in ERIC's
# "ISSN - " and "EISSN - ", so that "IL-2 was" at the margin is no field. Continuation lines are
# indented, blank lines part the records.
_GRAMMAR = Grammar(
    "MEDLINE",
    by_pattern(
        rf"\ufeff?({_TAGS.replace(' ', '|')})[ \t]*-(?:[ \t]|$|(?=\d|[A-Z][a-z ]))"
        r"|([A-Z][A-Z0-9]{1,3}) *(?<=^.{4})-(?: |$)|([A-Z][A-Z0-9]{3,11}) ?-(?: |$)"
    ),
    begins="PMID",
    blank_ends=True,
    loose=False,
)
_HEAD = re.compile(r"^\ufeff?PMID *- ?\d|^(?:OWN |STAT|DCOM)- \S|^UI  - ?\d{6,8}\s*$", re.MULTILINE)
_FIELDS = {
    "journal": "JT TA", "language": "LA", "types": "PT", "vernacular_title": "TT",
    "volume": "VI", "issue": "IP", "affiliations": "AD", "supplementary": "NM",
}  # fmt: skip
MOST_PMID = 60_000_000
"""Numbers of MEDLINE (`UI`) from before PubMed are greater."""
_BOOK_FIELDS = {"book": "BTI", "publisher": "PB", "place": "PL"}
_ERIC_PAGES = re.compile(r" p([\w-]+)")
_MARKED_DOI = re.compile(r"(\S+)\s*\[doi\]")
_SUBSTANCE = re.compile(r"(?:EC )?\S+ \((.+)\)")
_OTHER_KIND = re.compile(
    r"(?:Publisher|AIDS|KIE|PIP|NASA|AAMC|plain-language-summary)\s*:\s*", re.IGNORECASE
)
_CORRECTIONS = (
    "RIN", "ROF", "PRIN", "PROF", "RRI", "RRF", "EIN", "EFR", "CRI", "CRF", "ECI", "ECF", "RPI",
    "RPF", "UIN", "UOF",
)  # fmt: skip


def _document(record: TaggedRecord) -> Document:
    """The id is the PMID, else by the rule of `identity`, with ERIC's number. `BTI` is the title of
    a book, or of the book of a chapter."""
    fields = fields_of(_FIELDS, record.all)
    located = record.all("LID", "AID")
    marked = _MARKED_DOI.search(" ".join(located))
    dois = map(doi_of, [marked[1]] if marked else [*located, *record.all("SO")])
    eric = eric_of(" ".join([*record.all("OID"), *located]))
    pmid = record.first("PMID")
    unique = record.first("UI")
    if not pmid and unique.isdecimal() and int(unique) < MOST_PMID:
        pmid = unique
    if pmid and not pmid_of(pmid):
        raise RecordFault("the PMID is not a number")
    substances = (_SUBSTANCE.fullmatch(text) for text in record.all("RN"))
    source = _ERIC_PAGES.search(record.first("SO") if eric else "")
    fields |= {
        "authors": _authors(record),
        **dated(record.first("DP", "CDAT", "DEP")),
        "revised": dated(record.first("LR")).get("date"),
        "doi": next(filter(None, dois), None),
        "pmid": pmid_of(pmid),
        "pmcid": pmcid_of(record.first("PMC")),
        **mesh_of(record.all("MH")),
        **accessions(record.all("SI")),
        "substances": distinct(match[1] for match in substances if match),
        "keywords": distinct(word.lstrip("*") for word in record.all("OT")),
        "corrections": distinct(correction(*link) for link in record.in_order(*_CORRECTIONS)),
        "pages": page_range(record.first("PG")) or (source[1] if source else ""),
    }
    titles = record.texts("TI", "BTI", "TT")
    if record.first("BTI"):
        fields |= fields_of(_BOOK_FIELDS, record.all)
        fields["editors"] = people(record.all("ED") or record.all("FED"))
        fields["isbn"] = isbn_of(record.first("ISBN"))
        if not record.first("TI"):
            del fields["book"]
    title = next(filter(None, map(said, titles)), "")
    text = abstract_of(record.texts("AB")) or _other_abstract(record)
    return work_document(fields, title, text, eric or unique, "UI")


def _authors(record: TaggedRecord) -> list[str]:
    """Persons and groups in their order. Names in full serve only where there are no short ones."""
    tag = "AU" if record.first("AU") else "FAU"
    named = record.in_order(tag, "CN")
    found = (one for at, name in named for one in ([name] if at == "CN" else people([name])))
    return list(islice(found, MOST_NAMES))


def _other_abstract(record: TaggedRecord) -> str:
    """The abstract of another source (`OAB`): the English one, else the first that is no notice.
    Its language follows it."""
    found: list[tuple[bool, str]] = []
    for tag, value in record.in_order("OAB", "OABL"):
        if tag == "OAB":
            found.append((True, abstract_of([_OTHER_KIND.sub("", value, count=1)])))
        elif found:
            found[-1] = (value.casefold() in ("eng", "english"), found[-1][1])
    found.sort(key=lambda one: not one[0])
    return next((text for _, text in found if text), "")


MEDLINE = Format(
    "medline",
    (".nbib", ".medline"),
    partial(shows_lines, _HEAD),
    partial(tagged_records, grammar=_GRAMMAR),
    _document,
)
