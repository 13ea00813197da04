"""Reader of Web of Science's plain text: tags of two characters and a blank, `PT` to `ER` a record;
often saved as `.ris`."""

from __future__ import annotations

import re
from functools import partial

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    best_date,
    distinct,
    fields_of,
    isbn_of,
    page_range,
    work_document,
)
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import doi_of, pmid_of, pmids_in
from bioretrieval_tui.documents.person_names import people
from bioretrieval_tui.documents.readers.tagged import (
    Grammar,
    TaggedRecord,
    by_pattern,
    shows_lines,
    tagged_records,
)
from bioretrieval_tui.documents.source import Format

# The first and last lines of the file (FN, VR, EF) are no fields.
_GRAMMAR = Grammar(
    "Web of Science",
    by_pattern(r"\ufeff?(?!FN|VR|EF)([A-Z][A-Z0-9])(?: |$)"),
    begins="PT",
    ends="ER",
    listed=frozenset({"AU", "AF", "C1", "BE", "ED", "CA"}),
)
_HEAD = re.compile(r"\A\s*FN .*\s+VR 1\.0\s+PT [A-Z]\b|^PT [JBSP]\s*\nAU \S", re.MULTILINE)
_FIELDS = {"journal": "SO", "language": "LA", "volume": "VL", "issue": "IS"}
_TYPES = {"B": "Book", "P": "Patent"}
_BOOK_FIELDS = {"book": "SO", "publisher": "PU", "place": "PI"}


def _document(record: TaggedRecord) -> Document:
    """The id follows the rule of `identity`; the accession number is `UT`."""

    def listed(*tags: str) -> list[str]:
        return distinct(word.strip() for some in record.texts(*tags) for word in some.split(";"))

    title, accession = next(iter(record.texts("TI")), ""), record.first("UT")
    year, date, words = map(record.first, ("PY", "PD", "ID"))  # INSPEC's ID holds identifiers
    fields = fields_of(_FIELDS, record.texts) | {
        "authors": [*people(record.texts("AU")), *record.texts("CA")],
        **best_date([year, f"{year} {date}", date]),
        "doi": doi_of(record.first("DI")) or doi_of(words),
        "pmid": pmid_of(record.first("PM")) or next(iter(pmids_in(accession)), None),
        "types": listed("DT"),
        "keywords": listed(*(["DE"] if doi_of(words) else ["DE", "ID"])),
        "affiliations": distinct(_joined(record.texts("C1"))),
        "pages": page_range(record.first("BP"), record.first("EP")) or record.first("PS", "AR"),
    }
    if record.first("PT") in _TYPES:
        fields |= fields_of(_BOOK_FIELDS, record.texts)
        fields |= {"journal": "", "isbn": isbn_of(record.first("BN"))}
        fields["editors"] = people(record.texts("BE", "ED"))
    text = abstract_of(record.texts("AB"))
    return work_document(fields, title, text, accession)


def _joined(lines: list[str]) -> list[str]:
    """Addresses of several lines, each of which ends with a point."""
    whole: list[str] = []
    for line in lines:
        if whole and not whole[-1].endswith(".") and not line.startswith("["):
            whole[-1] += f" {line}"
        else:
            whole.append(line)
    return whole


WOS = Format(
    "wos", (".ciw",), partial(shows_lines, _HEAD), partial(tagged_records, grammar=_GRAMMAR),
    _document,
)  # fmt: skip
