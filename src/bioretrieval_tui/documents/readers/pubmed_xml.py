"""Reader of PubMed XML: yearly baseline, daily updates, efetch; articles, book articles and
notices of deletion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.bibliography import dated, distinct, document, initials, iso_date
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.readers.xml_records import markup_of, plain_text, records, squeezed
from bioretrieval_tui.documents.source import Format, ReadSettings, SourceReader

if TYPE_CHECKING:
    from lxml.etree import _Element

_DELETIONS = ("DeleteCitation", "DeleteDocument")
_RECORDS = ("PubmedArticle", "PubmedBookArticle", *_DELETIONS)
_SIGN = re.compile(rb"<(?:Pubmed(?:Book)?Article(?:Set)?|DeleteCitation|DeleteDocument)(?=[\s/>])")
_PMID = re.compile(r"[0-9]{1,12}")
_PMCID = re.compile(r"PMC[0-9]{1,12}")
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available.", "not available"})


def _is_pubmed(head: bytes) -> bool:
    """Whether this is XML with tags of PubMed, and no web page."""
    return _SIGN.search(markup_of(head)) is not None


def _records(
    source: SourceReader, _: ReadSettings
) -> Iterator[tuple[Place, _Element | RecordFault]]:
    """Yield articles, book articles and the PMIDs of deletions, in file order."""
    for place, found in records(source.blocks(), _RECORDS, source.name):
        if not isinstance(found, RecordFault) and found.tag in _DELETIONS:
            yield from ((place, pmid) for pmid in found.iterfind("PMID"))
        else:
            yield place, found


def _document(element: _Element) -> Document | str:
    """The document of an article, or the PMID of a deletion.

    The id is the PMID. Revised records are as any other; the store keeps the latest.
    """
    if element.tag == "PMID":
        return _pmid(element)
    return _article(element) if element.tag == "PubmedArticle" else _book_article(element)


def _article(element: _Element) -> Document:
    citation = _child(element, "MedlineCitation")
    article = _child(citation, "Article")
    journal = _child(article, "Journal")
    issue = _child(journal, "JournalIssue")
    others = (
        one for one in citation.iterfind("OtherAbstract") if one.get("Language", "eng") == "eng"
    )
    mesh = _headings(citation)
    fields = {
        "authors": _authors(article),
        "journal": _text(journal, "Title")
        or _text(journal, "ISOAbbreviation")
        or _text(citation, "MedlineJournalInfo/MedlineTA"),
        "types": _texts(article, "PublicationTypeList/*"),
        "keywords": _texts(citation, "KeywordList/*"),
        "mesh": list(mesh),
        "mesh_major": [name for name, is_major in mesh.items() if is_major],
        "volume": _text(issue, "Volume"),
        "issue": _text(issue, "Issue"),
    }
    return _finished(
        citation,
        article,
        plain_text(article.find("ArticleTitle")),
        chain(article.iterfind("Abstract"), others),
        issue.iterfind("PubDate"),
        element.iterfind("PubmedData/ArticleIdList[1]/ArticleId"),
        fields,
    )


def _book_article(element: _Element) -> Document:
    chapter = _child(element, "BookDocument")
    book = _child(chapter, "Book")
    title, book_title = (
        plain_text(holder.find(tag))
        for holder, tag in ((chapter, "ArticleTitle"), (book, "BookTitle"))
    )
    fields = {
        "authors": _authors(chapter) or _authors(book),
        "journal": book_title if title else "",
        "types": _texts(chapter, "PublicationTypeList/*", "PublicationType"),
        "keywords": _texts(chapter, "KeywordList/*"),
        "volume": _text(book, "Volume"),
    }
    ids = element.iterfind("PubmedBookData/ArticleIdList/ArticleId")
    return _finished(
        chapter,
        chapter,
        title or book_title,
        chapter.iterfind("Abstract"),
        chain(book.iterfind("PubDate"), chapter.iterfind("ContributionDate")),
        chain(chapter.iterfind("ArticleIdList/ArticleId"), ids),
        fields,
    )


def _finished(
    holder: _Element,
    article: _Element,
    title: str,
    abstracts: Iterable[_Element],
    dates: Iterable[_Element],
    ids: Iterable[_Element],
    fields: dict[str, Any],
) -> Document:
    """The document of a citation or book chapter: the first abstract and the first date with any
    text; the date online if there is no other."""
    pmid = holder.find("PMID")
    if pmid is None:
        raise RecordFault("the record has no PMID")
    fields["pmid"] = identity = _pmid(pmid)
    fields["language"] = " ".join(one.text or "" for one in article.iterfind("Language")).split()
    fields["pages"] = _pages(_child(article, "Pagination"))
    fields["vernacular_title"] = vernacular = plain_text(article.find("VernacularTitle"))
    named = [(one.get("IdType"), squeezed(one.text)) for one in ids]
    valid = (
        squeezed(place.text)
        for place in article.iterfind("ELocationID")
        if place.get("EIdType") == "doi" and place.get("ValidYN") != "N"
    )
    fields["doi"] = next(filter(None, chain(valid, (name for k, name in named if k == "doi"))), "")
    for match in (_PMCID.search(name) for kind, name in named if kind in ("pmc", "pmcid")):
        fields |= {"pmcid": match[0]} if match else {}
    online = reversed(article.findall("ArticleDate"))
    fields |= dated(next(filter(None, map(_date, chain(dates, online))), ""))
    if title.lower() in _NO_TITLE:
        title = ""
    text = next(filter(None, map(_abstract, abstracts)), "")
    return document(identity, title or vernacular, text, fields, f"PMID {identity}")


def _abstract(element: _Element) -> str:
    """The sections of an abstract, each on a line of its own after its label."""
    sections = []
    for child in element.iterfind("AbstractText"):
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


def _date(element: _Element) -> str:
    """ISO 8601 of Year, Month and Day; of a MedlineDate ("1998 Dec-1999 Jan") its first year."""
    texts = {child.tag: child.text or "" for child in element}
    year = texts.get("Year") or texts.get("MedlineDate", "")
    return iso_date(year, texts.get("Month", ""), texts.get("Day", ""))


def _pages(element: _Element) -> str:
    if pages := _text(element, "MedlinePgn"):
        return pages
    first, last = _text(element, "StartPage"), _text(element, "EndPage")
    return f"{first}-{last}" if first and last else first


def _headings(citation: _Element) -> dict[str, bool]:
    """Descriptors, and whether one is a major topic by itself or by a qualifier."""
    names: dict[str, bool] = {}
    for heading in citation.iterfind("MeshHeadingList/MeshHeading"):
        if name := _text(heading, "DescriptorName"):
            major = "Y" in [part.get("MajorTopicYN") for part in heading]
            names[name] = names.get(name, False) or major
    return names


def _texts(element: _Element, *paths: str) -> list[str]:
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


PUBMED_XML = Format("pubmed-xml", (".xml",), _is_pubmed, _records, _document)
