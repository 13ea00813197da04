"""Reader of EndNote XML, as EndNote, Zotero and screening tools export it: `<xml><records>`, each
text in runs of `<style>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    best_date,
    corrections_in,
    distinct,
    fields_of,
    isbn_of,
    page_range,
    without_markup,
    work_document,
)
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import (
    doi_of,
    noted_identifiers,
    pmcid_in,
    pmid_of,
    pmids_in,
    trials_of,
)
from bioretrieval_tui.documents.person_names import people
from bioretrieval_tui.documents.readers.xml_records import (
    plain_text,
    shows,
    squeezed,
    xml_records,
)
from bioretrieval_tui.documents.source import Format
from bioretrieval_tui.documents.work_types import type_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_SIGNS = (
    re.compile(rb"<records(?:\s[^>]*)?>\s*<record[\s>]"),
    re.compile(rb"<(?:ref-type|rec-number|foreign-keys|contributors|titles)[\s>]"),
)
_FIELDS = {
    "volume": "volume",
    "issue": "number issue",
    "language": "language",
    "place": "pub-location",
    "vernacular_title": "titles/translated-title",
}
_JOURNAL = ("periodical/full-title", "titles/secondary-title", "periodical/abbr-1",
            "alt-periodical/full-title", "titles/alt-title")  # fmt: skip
_NAMES = {  # of types whose records have only EndNote's number
    "0": "Journal Article", "17": "Journal Article", "43": "Electronic Article", "6": "Book",
    "28": "Edited Book", "44": "Electronic Book", "5": "Book Section", "60": "Book Section",
    "10": "Conference Proceedings", "47": "Conference Paper", "27": "Report", "32": "Thesis",
    "34": "Unpublished Work",
}  # fmt: skip
_IN_BOOK = ("Book Chapter", "Conference Proceedings", "Conference Paper")
_BOOKS = (*_IN_BOOK, "Book", "Report", "Thesis")
_CUSTOM = tuple(f"custom{number}" for number in range(1, 9))
_PUBMED = re.compile(r"pubmed(?! central)|medline|\bnlm\b", re.IGNORECASE)
_SCRIPTS = {"superscript": "sup", "subscript": "sub"}


def _document(record: _Element) -> Document:
    """The id follows the rule of `identity`; EndNote's record numbers only count."""
    for run in record.iter("style"):
        for face, tag in _SCRIPTS.items():
            if face in (run.get("face") or ""):
                run.tag = tag

    def texts(*paths: str) -> Iterator[str]:
        found = map(plain_text, chain(*map(record.iterfind, paths)))
        return filter(None, map(without_markup, found))

    def first(*paths: str) -> str:
        return next(texts(*paths), "")

    kind = record.find("ref-type")
    named = "" if kind is None else kind.get("name") or _NAMES.get(squeezed(kind.text), "")
    type_ = type_of(named)
    title, text = first("titles/title"), abstract_of(texts("abstract"))
    accession = first("accession-num")
    database = first("remote-database-name", "remote-database-provider")
    urls = list(_parts(record, "urls//url"))
    notes = list(_parts(record, "notes"))
    noted = noted_identifiers(["\n".join(notes), *texts(*_CUSTOM)])
    year, day = first("dates/year"), first("dates/pub-dates/date")
    fields = fields_of(_FIELDS, texts) | {
        "authors": _people(record, "authors"),
        "editors": _people(record, "secondary-authors") if type_ in _IN_BOOK else [],
        "doi": next(
            filter(None, map(doi_of, [first("electronic-resource-num"), *urls])), noted["doi"]
        ),
        "pmid": _pmid(accession, database, urls) or noted["pmid"],
        "pmcid": pmcid_in(" ".join(urls)) or noted["pmcid"],
        "url": next((url for url in urls if url.startswith(("http://", "https://"))), None),
        "types": distinct(map(type_of, [named, *_parts(record, "work-type")])),
        "keywords": distinct(word.lstrip("*") for word in _parts(record, "keywords/keyword")),
        "affiliations": distinct(_parts(record, "auth-address")),
        "trials": trials_of(accession),
        "corrections": corrections_in(notes),
        "pages": page_range(first("pages")),
        **best_date([year, f"{year} {day}", day]),
    }
    venue = first(*_JOURNAL)
    if type_ in _BOOKS:
        fields |= {
            "school" if type_ == "Thesis" else "publisher": first("publisher"),
            "book": venue if type_ in _IN_BOOK else "",
            "isbn": isbn_of(first("isbn")),
        }
    else:
        fields["journal"] = venue
        if not type_.endswith("Article"):
            fields["publisher"] = first("publisher")
    if named == "Edited Book":
        fields["editors"] = fields.pop("authors")
    return work_document(fields, title, text, accession, database)


def _pmid(accession: str, database: str, urls: list[str]) -> str | None:
    """The accession number of PubMed, else what an address calls the PMID."""
    own = pmid_of(accession) if _PUBMED.search(database) or "PMID" in accession else None
    return own or next(iter(pmids_in(" ".join(urls))), None)


def _people(record: _Element, role: str) -> list[str]:
    return people(map(plain_text, record.iterfind(f"contributors/{role}/author")))


def _parts(record: _Element, path: str) -> Iterator[str]:
    """The texts under a path; EndNote parts several in one by carriage returns."""
    for element in record.iterfind(path):
        yield from filter(
            None, map(without_markup, "".join(map(str, element.itertext())).split("\r"))
        )


_CUT = partial(xml_records, names=("record",))
ENDNOTE_XML = Format("endnote-xml", (".xml",), partial(shows, _SIGNS), _CUT, _document)
