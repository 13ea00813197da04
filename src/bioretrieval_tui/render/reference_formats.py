"""Works to cite for reference managers: CSL JSON, RIS and EndNote XML.

A work is an item of CSL first, of which the other two are written. Where Zotero and EndNote differ
in what a field means, RIS follows its specification and EndNote XML follows EndNote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bioretrieval_tui.render.citation import OTHERS, Citation, is_body, keyed, page_span
from bioretrieval_tui.render.sheet import one_line

Name = dict[str, str]
"""A name of CSL: `family`, `given` and `suffix`, or `literal`."""

_CSL_TYPES = {
    "article": "article-journal", "inproceedings": "paper-conference", "incollection": "chapter",
    "book": "book", "proceedings": "book", "phdthesis": "thesis", "mastersthesis": "thesis",
    "techreport": "report",
}  # fmt: skip
"""Types of CSL by those of BibTeX; of `misc` the work says more."""
_TYPES = {
    "article-journal": ("JOUR", "Journal Article", "17"),
    "paper-conference": ("CONF", "Conference Proceedings", "10"),
    "chapter": ("CHAP", "Book Section", "5"),
    "book": ("BOOK", "Book", "6"),
    "thesis": ("THES", "Thesis", "32"),
    "report": ("RPRT", "Report", "27"),
    "article": ("UNPB", "Unpublished Work", "34"),
    "dataset": ("DATA", "Dataset", "59"),
    "software": ("COMP", "Computer Program", "9"),
    "webpage": ("ELEC", "Web Page", "12"),
    "document": ("GEN", "Generic", "13"),
}
"""Type of RIS, and name and number of EndNote's, by the type of CSL."""
_TAGS = (
    ("T2", "container-title"), ("VL", "volume"), ("IS", "issue"), ("SN", "ISBN"),
    ("PB", "publisher"), ("CY", "publisher-place"), ("M3", "genre"), ("DO", "DOI"), ("AN", "PMID"),
    ("C2", "PMCID"), ("UR", "URL"), ("N1", "note"), ("AB", "abstract"),
)  # fmt: skip
"""Tags of RIS with one value of CSL."""
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""What `clean` leaves of the characters that XML 1.0 forbids."""


# CSL ------------------------------------------------------------------------------------------


def csl_items(citations: Collection[Citation]) -> list[dict[str, Any]]:
    """The works as items of CSL JSON, without empty fields."""
    return [_item(key, citation) for key, citation in keyed(citations)]


def _item(key: str, citation: Citation) -> dict[str, Any]:
    known = dict(citation.fields) | dict(citation.more)
    kind = _CSL_TYPES.get(citation.type) or known.get("csl", "document")
    where = known.get("howpublished", "")
    address = where if where.startswith(("http://", "https://")) else ""
    arxiv = known.get("eprint", "") if kind == "article" else ""
    places = (known.get(name) for name in ("publisher", "school", "institution"))
    publisher = next(filter(None, places), "" if address else where) or ("arXiv" if arxiv else "")
    item = {
        "id": key,
        "type": kind,
        "title": citation.title,
        "author": [_name(one) for one in map(one_line, citation.authors) if one],
        "editor": [_name(one) for one in map(one_line, citation.editors) if one],
        "container-title": known.get("journal") or known.get("booktitle"),
        "publisher": publisher,
        "publisher-place": known.get("address"),
        "issued": {"date-parts": [date]} if (date := _date(known)) else None,
        "volume": known.get("volume"),
        "issue": known.get("number"),
        "page": page_span(known.get("pages", "")),
        "number": f"arXiv:{arxiv}" if arxiv else "",
        "genre": "Master's thesis" if citation.type == "mastersthesis" else "",
        "ISBN": known.get("isbn"),
        "DOI": known.get("doi"),
        "PMID": known.get("pmid"),
        "PMCID": known.get("pmcid"),
        "URL": known.get("url") or address,
        "keyword": known.get("keywords"),
        "note": known.get("note"),
        "abstract": known.get("abstract"),
    }
    return {name: value for name, value in item.items() if value}


def _date(known: dict[str, str]) -> list[int]:
    """Year, month and day, as far as they are known."""
    year, date = known.get("year", ""), known.get("date", "")
    exact = date if year and date.startswith(year) else year
    return [int(part) for part in exact.split("-") if part]


def _name(name: str) -> Name:
    """A name in the form of BibTeX as one of CSL. `others` stays that word, which citeproc prints
    behind "and"."""
    from bioretrieval_tui.documents.person_names import turned  # its tables are large

    if is_body(name):
        return {"literal": name.removeprefix("{").removesuffix("}").strip()}
    family, *given = list(filter(None, map(str.strip, name.split(",")))) or [name]
    if not given and " " in family:
        family, first = turned(family)
        given = [first]
    if not given:
        return {"literal": family}
    suffix = {"suffix": ", ".join(given[:-1])} if given[1:] else {}
    return {"family": family, "given": given[-1], **suffix}


# RIS ------------------------------------------------------------------------------------------


def ris(citations: Collection[Citation]) -> Iterator[str]:
    """The works as RIS, with an empty line between them."""
    gap = ""
    for item in csl_items(citations):
        lines = (f"{tag}  - {one_line(value)}\n" for tag, *values in _tags(item) for value in values
                 if value)  # fmt: skip
        yield f"{gap}{''.join(lines)}ER  - \n"
        gap = "\n"


def _tags(item: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Each tag with its values."""
    date = item["issued"]["date-parts"][0] if "issued" in item else []
    day = "/".join(f"{part:02}" for part in date) + "/" * (4 - len(date))
    first, _, last = item.get("page", "").partition("-")
    yield "TY", _TYPES[item["type"]][0]
    yield "AU", *map(_inverted, item.get("author", ()))
    yield "ED", *map(_inverted, item.get("editor", ()))
    yield "TI", item.get("title", "")
    yield "PY", *map(str, date[:1])
    yield "DA", day if date[1:] else ""
    yield from (("SP", first), ("EP", last))
    # An accession number is a PMID by the name of its database.
    yield "DB", "PubMed" if "PMID" in item else ""
    yield "KW", *item.get("keyword", "").split("; ")
    yield from ((tag, item.get(name, "")) for tag, name in _TAGS)


def _inverted(name: Name) -> str:
    """A name with its family name first. EndNote takes one without a comma for "Given Family", so
    that the name of a group ends with one; it wants "et al." for more authors."""
    if "literal" not in name:
        return ", ".join(name[part] for part in ("family", "given", "suffix") if part in name)
    literal = "et al." if name["literal"] == OTHERS else name["literal"]
    return literal if "," in literal else f"{literal},"


# EndNote XML ----------------------------------------------------------------------------------


def endnote_xml(citations: Collection[Citation]) -> Iterator[str]:
    """The works as EndNote XML, a chunk a work."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<xml>\n<records>\n'
    for item in csl_items(citations):
        record = _record(item)
        indent(record)
        yield tostring(record, encoding="unicode") + "\n"
    yield "</records>\n</xml>\n"


def _record(item: dict[str, Any]) -> Element:
    """The elements in the order of EndNote's document type."""
    record = Element("record")
    _, kind, number = _TYPES[item["type"]]
    authors, editors = item.get("author", []), item.get("editor", [])
    others = "tertiary-authors" if kind == "Book" else "secondary-authors"
    if kind == "Book" and editors and not authors:
        kind, number, authors, editors = "Edited Book", "28", editors, []
    SubElement(record, "ref-type", name=kind).text = number
    date, journal = item.get("issued"), item.get("container-title", "")
    parts = date["date-parts"][0] if date else []
    for path, *values in (
        ("contributors/authors/author", *map(_inverted, authors)),
        (f"contributors/{others}/author", *map(_inverted, editors)),
        ("titles/title", item.get("title")),
        ("titles/secondary-title", journal),
        ("periodical/full-title", journal if kind == "Journal Article" else ""),
        ("pages", item.get("page")),
        ("volume", item.get("volume")),
        ("number", item.get("issue")),
        ("keywords/keyword", *item.get("keyword", "").split("; ")),
        ("dates/year", str(parts[0]) if parts else ""),
        ("dates/pub-dates/date", "-".join(f"{one:02}" for one in parts) if parts[1:] else ""),
        ("pub-location", item.get("publisher-place")),
        ("publisher", item.get("publisher")),
        ("isbn", item.get("ISBN")),
        ("accession-num", item.get("PMID")),
        ("electronic-resource-num", item.get("DOI")),
        ("abstract", item.get("abstract")),
        ("notes", item.get("note")),
        ("work-type", item.get("genre")),
        ("remote-database-name", "PubMed" if "PMID" in item else ""),
        ("urls/related-urls/url", item.get("URL")),
        ("custom2", item.get("PMCID")),
    ):
        *above, name = path.split("/")
        for text in filter(None, (one_line(_NOT_IN_XML.sub("", one or "")) for one in values)):
            parent = record
            for part in above:
                found = parent.find(part)
                parent = SubElement(parent, part) if found is None else found
            SubElement(parent, name).text = text
    return record
