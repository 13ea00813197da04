"""Reader of PubMed XML: yearly baseline, daily updates, efetch; articles, book articles and
notices of deletion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.bibliography import distinct
from bioretrieval_tui.documents.document import (
    Deleted,
    Document,
    Item,
    Place,
    RecordFault,
    Rejected,
    item_of,
)
from bioretrieval_tui.documents.readers.xml_records import markup_of, records
from bioretrieval_tui.documents.readers.xml_text import initials, plain_text, squeezed, xml_date
from bioretrieval_tui.documents.source import ReadOptions, SourceReader

if TYPE_CHECKING:
    from lxml.etree import _Element

_RECORDS = ("PubmedArticle", "PubmedBookArticle", "DeleteCitation", "DeleteDocument")
_SIGN = re.compile(rb"<(?:Pubmed(?:Book)?Article(?:Set)?|DeleteCitation|DeleteDocument)(?=[\s/>])")
_PMID = re.compile(r"[0-9]{1,12}")
_PMCID = re.compile(r"PMC[0-9]{1,12}")
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available.", "not available"})


def read_pubmed_xml(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Read the items of a PubMed XML file, in file order.

    The id is the PMID. Revised records are yielded like any other; the store keeps the latest. A
    record is rejected if it is not sound XML (see `records`), has no PMID, or neither a title nor
    an abstract.

    Raises:
        SourceDamaged, CorpusError: as `SourceReader.blocks`.
    """
    for found in records(source.blocks(), _RECORDS, source.name):
        if isinstance(found, Rejected):
            yield found
            continue
        element, place = found
        if element.tag in ("DeleteCitation", "DeleteDocument"):
            yield from _deletions(element, place)
            continue
        make = _article if element.tag == "PubmedArticle" else _book_article
        yield item_of(place, partial(make, element))


def recognises(head: bytes) -> bool:
    """Whether this is XML with tags of PubMed, and no web page."""
    return _SIGN.search(markup_of(head)) is not None


def _deletions(element: _Element, place: Place) -> Iterator[Item]:
    for child in element.iterfind("PMID"):
        try:
            yield Deleted(_pmid(child), place)
        except RecordFault as fault:
            yield Rejected(place, fault.reason, fault.remedy)


def _article(element: _Element) -> Document:
    citation = _child(element, "MedlineCitation")
    article = _child(citation, "Article")
    journal = _child(article, "Journal")
    issue = _child(journal, "JournalIssue")
    other = citation.iterfind("OtherAbstract")
    texts = (_abstract(child) for child in other if child.get("Language", "eng") == "eng")
    mesh, major = _headings(citation)
    fields = _shared(article, element.iterfind("PubmedData/ArticleIdList[1]/ArticleId"))
    fields |= {
        "journal": _text(journal, "Title")
        or _text(journal, "ISOAbbreviation")
        or _text(citation, "MedlineJournalInfo/MedlineTA"),
        "types": _distinct_texts(article, "PublicationTypeList/*"),
        "keywords": _distinct_texts(citation, "KeywordList/*"),
        "mesh": mesh,
        "mesh_major": major,
        "volume": _text(issue, "Volume"),
        "issue": _text(issue, "Issue"),
    }
    text = _abstract(article.find("Abstract")) or next(filter(None, texts), "")
    date = _date(issue.find("PubDate")) or _online_date(article)
    return _document(citation, plain_text(article.find("ArticleTitle")), text, date, fields)


def _book_article(element: _Element) -> Document:
    chapter = _child(element, "BookDocument")
    book = _child(chapter, "Book")
    paths = ("ArticleIdList/ArticleId", "PubmedBookData/ArticleIdList/ArticleId")
    ids = [*chapter.iterfind(paths[0]), *element.iterfind(paths[1])]
    fields = _shared(chapter, iter(ids))
    title = plain_text(chapter.find("ArticleTitle"))
    book_title = plain_text(book.find("BookTitle"))
    fields |= {
        "authors": fields["authors"] or _authors(book),
        "journal": book_title if title else "",
        "types": _distinct_texts(chapter, "PublicationTypeList/*", "PublicationType"),
        "keywords": _distinct_texts(chapter, "KeywordList/*"),
        "volume": _text(book, "Volume"),
    }
    dates = (_date(book.find("PubDate")), _date(chapter.find("ContributionDate")))
    date = next(filter(None, dates), "") or _online_date(chapter)
    text = _abstract(chapter.find("Abstract"))
    return _document(chapter, title or book_title, text, date, fields)


def _shared(article: _Element, ids: Iterator[_Element]) -> dict[str, Any]:
    """The common fields of Article (of a citation) and BookDocument (of a book)."""
    fields: dict[str, Any] = {
        "authors": _authors(article),
        "language": [word for e in article.iterfind("Language") for word in (e.text or "").split()],
        "pages": _pages(_child(article, "Pagination")),
        "vernacular_title": plain_text(article.find("VernacularTitle")),
        "doi": "",
    }
    for place in article.iterfind("ELocationID"):
        if place.get("EIdType") == "doi" and place.get("ValidYN", "Y") != "N":
            fields["doi"] = fields["doi"] or squeezed(place.text)
    for child in ids:
        kind = child.get("IdType")
        if kind == "doi":
            fields["doi"] = fields["doi"] or squeezed(child.text)
        elif kind in ("pmc", "pmcid") and (match := _PMCID.search(child.text or "")):
            fields["pmcid"] = match[0]
    return fields


def _document(
    holder: _Element, title: str, text: str, date: str, fields: dict[str, Any]
) -> Document:
    """Make the document. Raises RecordFault if it has no id, or neither title nor text."""
    pmid = holder.find("PMID")
    if pmid is None:
        raise RecordFault("the record has no PMID")
    fields["pmid"] = identity = _pmid(pmid)
    title = "" if title.lower() in _NO_TITLE else title
    title = title or fields["vernacular_title"]
    if not title and not text:
        raise RecordFault(f"PMID {identity} has neither a title nor an abstract")
    if date:
        fields |= {"year": int(date[:4]), "date": date}
    return Document(identity, title, text, {name: value for name, value in fields.items() if value})


def _abstract(element: _Element | None) -> str:
    """The sections of an abstract, each on a line of its own after its label."""
    sections = []
    for child in element.iterfind("AbstractText") if element is not None else ():
        text = plain_text(child)
        label = squeezed(child.get("Label"))
        if label and label != "UNLABELLED":
            text = f"{label}: {text}"
        if text:
            sections.append(text)
    return "\n".join(sections)


def _authors(holder: _Element) -> list[str]:
    lists = holder.iterfind("AuthorList")
    people = (one for every in lists if every.get("Type", "authors") == "authors" for one in every)
    return list(filter(None, map(_author, people)))


def _author(author: _Element) -> str:
    """ "Family I Suffix", or the name of a group."""
    if author.get("ValidYN") == "N":  # a corrected name; the right one follows
        return ""
    parts = dict.fromkeys(("LastName", "ForeName", "Initials", "Suffix"), "")
    for child in author:
        if child.tag == "CollectiveName":
            return plain_text(child)
        parts[str(child.tag)] = child.text or ""
    letters = parts["Initials"] or initials(squeezed(parts["ForeName"]))
    return squeezed(f"{parts['LastName']} {letters} {parts['Suffix']}")


def _date(element: _Element | None) -> str:
    """ISO 8601 of Year, Month and Day; of a MedlineDate ("1998 Dec-1999 Jan") its first year."""
    if element is None:
        return ""
    texts = {child.tag: child.text or "" for child in element}
    year = texts.get("Year") or texts.get("MedlineDate", "")
    return xml_date(year, texts.get("Month", ""), texts.get("Day", ""))


def _online_date(article: _Element) -> str:
    return next(filter(None, map(_date, reversed(article.findall("ArticleDate")))), "")


def _pages(element: _Element) -> str:
    if pages := _text(element, "MedlinePgn"):
        return pages
    first, last = _text(element, "StartPage"), _text(element, "EndPage")
    return f"{first}-{last}" if first and last else first


def _headings(citation: _Element) -> tuple[list[str], list[str]]:
    """Descriptors, and those of them that are a major topic by themselves or by a qualifier."""
    names: dict[str, bool] = {}
    for heading in citation.iterfind("MeshHeadingList/MeshHeading"):
        if name := _text(heading, "DescriptorName"):
            major = "Y" in [part.get("MajorTopicYN") for part in heading]
            names[name] = names.get(name, False) or major
    return list(names), [name for name, major in names.items() if major]


def _distinct_texts(element: _Element, *paths: str) -> list[str]:
    return distinct(plain_text(child) for path in paths for child in element.iterfind(path))


def _text(element: _Element, path: str) -> str:
    return squeezed(element.findtext(path))


def _child(element: _Element, tag: str) -> _Element:
    """The first child with this tag, or an empty element."""
    found = element.find(tag)
    return element.makeelement(tag) if found is None else found


def _pmid(element: _Element) -> str:
    text = squeezed(element.text)
    if not _PMID.fullmatch(text):
        raise RecordFault("the PMID is not a number" if text else "the PMID is empty")
    return text
