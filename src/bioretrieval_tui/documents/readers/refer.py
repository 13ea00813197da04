"""Readers of Refer (EndNote's `.enw`, also of Google Scholar and CNKI: `%T Title`) and of RefWorks'
tagged text (`T1 Title`). Their tags are renamed to those of RIS."""

from __future__ import annotations

import re
from functools import partial

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.readers.ris import ris_document
from bioretrieval_tui.documents.readers.tagged import (
    Grammar,
    TaggedRecord,
    by_pattern,
    shows_lines,
    tagged_records,
)
from bioretrieval_tui.documents.source import Format

_TYPES = {
    "book": "BOOK", "monograph": "BOOK", "electronic book": "BOOK", "edited book": "EDBOOK",
    "book, whole": "BOOK", "book, edited": "EDBOOK", "book, section": "CHAP",
    "book section": "CHAP", "electronic book section": "CHAP", "encyclopedia": "CHAP",
    "conference proceedings": "CONF", "conference paper": "CONF", "thesis": "THES",
    "dissertation": "THES", "dissertation/thesis": "THES", "thesis, unpublished": "THES",
    "report": "RPRT", "government document": "RPRT", "unpublished work": "UNPB",
    "unpublished material": "UNPB", "journal article": "JOUR", "electronic article": "JOUR",
    "journal, electronic": "JOUR", "magazine article": "MGZN", "newspaper article": "NEWS",
    "abstract": "ABST", "web page": "ELEC", "patent": "PAT", "dataset": "DATA", "generic": "GEN",
}  # fmt: skip
# Several authors may be in one line ("%A Miller %A Berg").
_NEXT_FIELD = re.compile(r"\s%[AEK] ")


def _document(record: TaggedRecord, tags: dict[str, str]) -> Document:
    ris = record.renamed(tags)
    for lines in ris.values.get("TY", ()):
        lines[:] = [_TYPES.get(given.strip().casefold(), given) for given in lines]
    for name in ("AU", "ED", "KW"):
        for lines in ris.values.get(name, ()):
            lines[:] = [_NEXT_FIELD.sub("; ", line) for line in lines]
    return ris_document(ris)


_REFER_TAGS = {
    "%0": "TY", "%A": "AU", "%B": "T2", "%C": "CY", "%D": "PY", "%E": "ED", "%G": "LA", "%I": "PB",
    "%J": "JF", "%K": "KW", "%M": "AN", "%N": "IS", "%P": "SP", "%R": "DO", "%S": "T3", "%T": "TI",
    "%U": "UR", "%V": "VL", "%W": "DP", "%X": "AB", "%Z": "N1", "%1": "C1", "%2": "C2", "%3": "C3",
    "%4": "C4", "%#": "C5", "%$": "C6", "%]": "C7", "%8": "DA", "%9": "M3", "%@": "SN", "%+": "AD",
    "%~": "DB", "%>": "L1",
}  # fmt: skip
# A blank line may be within an abstract.
_REFER = Grammar(
    "Refer",
    by_pattern(r"[\ufeff\s]*(%[0-9A-Z!#$&()*+<>=?@\[\]^~])(?:[ \t]+|$)"),
    begins="%0",
    ends="%%",
    opens=frozenset({"%A", "%T"}),
    listed=frozenset({"%K", "%+", "%A", "%U"}),
)
_REFER_HEAD = re.compile(r"^[\ufeff ]*%0 [A-Z][a-z]|^%A \S[^\n]*(?:\n%.*)*\n%T \S", re.MULTILINE)
REFER = Format(
    "refer",
    (".enw", ".refer"),
    partial(shows_lines, _REFER_HEAD),
    partial(tagged_records, grammar=_REFER),
    partial(_document, tags=_REFER_TAGS),
)

_REFWORKS_TAGS = {
    # Some write these in small letters before numbers.
    "vo": "VL", "is": "IS", "sp": "SP", "op": "EP", "yr": "PY",
    "RT": "TY", "A1": "AU", "A2": "ED", "A3": "ED", "T1": "TI", "T2": "T2", "T3": "T3", "JF": "JF",
    "JO": "JO", "YR": "PY", "FD": "DA", "VO": "VL", "IS": "IS", "SP": "SP", "OP": "EP", "K1": "KW",
    "AB": "AB", "NO": "N1", "PB": "PB", "PP": "CY", "SN": "SN", "AD": "AD", "AN": "AN", "LA": "LA",
    "DO": "DO", "DB": "DB", "DS": "DP", "UL": "UR", "LK": "LK", "U1": "U1", "U2": "U2", "U3": "U3",
    "U4": "U4", "U5": "U5", "ID": "ID", "PMID": "PM", "PMCID": "C8",
}  # fmt: skip
_OTHERS = "SR ED AV CL SF OT CN IP RD ST SL LL CR WT WV WP OL A4 A5 A6 ER".split()
_UPPER = "|".join(filter(str.isupper, [*_REFWORKS_TAGS, *_OTHERS]))
_REFWORKS = Grammar(
    "RefWorks",
    by_pattern(
        rf"[\ufeff\s]*(?:({_UPPER}|U\d\d?)(?:[ \t]+|$)"
        r"|(vo|is|sp|op|yr)[ \t]+(?=[\w-]*\d[\w-]*$))"
    ),
    begins="RT",
    ends="ER",
    listed=frozenset({"K1"}),
)
_REFWORKS_HEAD = re.compile(
    r"^[\ufeff ]*RT [A-Z][^\n=]*\n(?:[A-Z][A-Z0-9]\d? .*\n){0,20}?[AT]1 ", re.MULTILINE
)
REFWORKS = Format(
    "refworks",
    (),
    partial(shows_lines, _REFWORKS_HEAD),
    partial(tagged_records, grammar=_REFWORKS),
    partial(_document, tags=_REFWORKS_TAGS),
)
