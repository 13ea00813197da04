"""Reader of PubMed XML: yearly baseline, daily updates, efetch; articles, book articles and
the notices that take records back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from bioretrieval_tui.documents.document import (
    Deleted,
    Document,
    Item,
    Place,
    Record,
    RecordFault,
    Rejected,
)
from bioretrieval_tui.documents.readers.xml_records import markup_of, records
from bioretrieval_tui.documents.readers.xmltext import (
    initials,
    iso_date,
    plain,
    squeezed,
    squeezed_all,
)
from bioretrieval_tui.documents.source import ReadOptions, SourceReader

if TYPE_CHECKING:
    from lxml.etree import XPath, _Element

_RECORDS = ("PubmedArticle", "PubmedBookArticle", "DeleteCitation", "DeleteDocument")
# What is not looked at is often more than half of a record, so it is not parsed either.
_UNREAD = ("CommentsCorrectionsList", "ReferenceList")
_SIGN = re.compile(rb"<(?:Pubmed(?:Book)?Article(?:Set)?|DeleteCitation|DeleteDocument)(?=[\s/>])")
_FULL_NAME = "{} {}".format
_PMID = re.compile(r"[0-9]{1,12}")
_PMCID = re.compile(r"PMC[0-9]{1,12}")
_NO_TITLE = frozenset({"[not available].", "[not available]", "not available.", "not available"})


def read_pubmed_xml(source: SourceReader, _: ReadOptions) -> Iterator[Item]:
    """Items of one file of PubMed XML, in file order.

    The id is the PMID. A revised record is a record like any other: which of two stands is the
    store's business. Besides what is no sound XML (see `records`), a record is rejected that has
    no PMID, or neither a title nor an abstract.

    Raises:
        SourceDamaged, CorpusError: as `SourceReader.blocks`.
    """
    for found in records(source.blocks(), _RECORDS, source.name, unread=_UNREAD):
        if isinstance(found, Rejected):
            yield found
            continue
        element, place = found
        try:
            if element.tag == "PubmedArticle":
                yield Record(_article(element), place)
            elif element.tag == "PubmedBookArticle":
                yield Record(_book_article(element), place)
            else:
                yield from _deletions(element, place)
        except RecordFault as fault:
            yield Rejected(place, fault.reason, fault.remedy)


def recognises(head: bytes) -> bool:
    """Whether this is XML with tags of PubMed's, and no web page."""
    return _SIGN.search(markup_of(head)) is not None


def _deletions(element: _Element, place: Place) -> Iterator[Item]:
    for child in element:
        if child.tag == "PMID":
            try:
                yield Deleted(_pmid(child), place)
            except RecordFault as fault:
                yield Rejected(place, fault.reason, fault.remedy)


class _Draft:
    """What is known of one record while its element is walked through, once."""

    __slots__ = ("abstract", "date", "date_online", "doi", "fields", "other", "pmid", "title")

    def __init__(self) -> None:
        self.pmid = self.title = self.abstract = self.other = ""
        self.doi = self.date = self.date_online = ""
        self.fields: dict[str, Any] = {}

    def document(self) -> Document:
        """The finished document.

        Raises:
            RecordFault: it has no id or nothing to find it by.
        """
        if not self.pmid:
            raise RecordFault("the record has no PMID")
        fields = self.fields
        title = self.title
        if title.lower() in _NO_TITLE:
            title = ""
        title = title or fields.get("vernacular_title", "")
        text = self.abstract or self.other
        if not title and not text:
            raise RecordFault(f"PMID {self.pmid} has neither a title nor an abstract")
        date = self.date or self.date_online
        if date:
            fields["year"] = int(date[:4])
            fields["date"] = date
        if self.doi:
            fields["doi"] = self.doi
        fields["pmid"] = self.pmid
        return Document(self.pmid, title, text, fields)


def _article(element: _Element) -> Document:
    draft = _Draft()
    for part in element:
        if part.tag == "MedlineCitation":
            _citation(part, draft)
        elif part.tag == "PubmedData":
            for child in part:
                if child.tag == "ArticleIdList":
                    _article_ids(child, draft)
                    break
    return draft.document()


def _citation(citation: _Element, draft: _Draft) -> None:
    for child in citation:
        tag = child.tag
        if tag == "PMID":
            draft.pmid = _pmid(child)
        elif tag == "Article":
            _bibliography(child, draft)
        elif tag == "MeshHeadingList":
            _mesh(child, draft.fields)
        elif tag == "KeywordList":
            _add_texts(draft.fields, "keywords", child)
        elif tag == "OtherAbstract":
            if not draft.other and child.get("Language", "eng") == "eng":
                draft.other = _abstract(child)
        elif tag == "MedlineJournalInfo" and "journal" not in draft.fields:
            _put(draft.fields, "journal", child.findtext("MedlineTA"))


def _bibliography(article: _Element, draft: _Draft) -> None:
    """What stands in Article (of a citation) or BookDocument (of a book), in any order."""
    fields = draft.fields
    for child in article:
        tag = child.tag
        if tag == "AuthorList":
            _author_list(child, fields)
        elif tag == "ArticleTitle":
            draft.title = plain(child)
        elif tag == "Abstract":
            draft.abstract = _abstract(child)
        elif tag == "Journal":
            _journal(child, draft)
        elif tag == "ELocationID":
            _location(child, draft)
        elif tag == "PublicationTypeList":
            _add_texts(fields, "types", child)
        elif tag == "Language":
            fields.setdefault("language", []).extend((child.text or "").split())
        elif tag == "Pagination":
            _put(fields, "pages", _pages(child))
        elif tag == "ArticleDate":
            draft.date_online = _date(child)
        elif tag == "VernacularTitle":
            _put(fields, "vernacular_title", plain(child))


def _book_article(element: _Element) -> Document:
    draft = _Draft()
    for part in element:
        if part.tag == "BookDocument":
            _book_document(part, draft)
        elif part.tag == "PubmedBookData":
            for child in part:
                if child.tag == "ArticleIdList":
                    _article_ids(child, draft)
    return draft.document()


def _book_document(element: _Element, draft: _Draft) -> None:
    fields = draft.fields
    _bibliography(element, draft)
    book_title = ""
    for child in element:
        tag = child.tag
        if tag == "PMID":
            draft.pmid = _pmid(child)
        elif tag == "ArticleIdList":
            _article_ids(child, draft)
        elif tag == "PublicationType":
            fields.setdefault("types", []).append(plain(child))
        elif tag == "KeywordList":
            _add_texts(fields, "keywords", child)
        elif tag == "ContributionDate":
            draft.date_online = _date(child)
        elif tag == "Book":
            book_title = _book(child, draft)
    if not draft.title:
        draft.title = book_title
    else:
        _put(fields, "journal", book_title)


def _book(book: _Element, draft: _Draft) -> str:
    """The title of the book; what else it knows serves where the chapter says nothing."""
    title = ""
    for child in book:
        if child.tag == "BookTitle":
            title = plain(child)
        elif child.tag == "PubDate":
            draft.date = _date(child)
        elif child.tag == "Volume":
            _put(draft.fields, "volume", child.text)
        elif child.tag == "AuthorList" and "authors" not in draft.fields:
            _author_list(child, draft.fields)
    return title


def _abstract(element: _Element) -> str:
    """The sections of an abstract, each on a line of its own behind its label."""
    sections = []
    for child in element:
        if child.tag == "AbstractText":
            text = plain(child)
            label = squeezed(child.get("Label"))
            if label and label != "UNLABELLED":
                text = f"{label}: {text}"
            if text:
                sections.append(text)
    return "\n".join(sections)


def _author_list(element: _Element, fields: dict[str, Any]) -> None:
    if element.get("Type", "authors") != "authors":
        return
    # `iter` makes Python objects of the tags that it is given alone; what a record costs is
    # nearly all in how many are made. Nearly every list is so plain that two tags are enough.
    families = [part.text or "" for part in element.iter("LastName")]
    letters = [part.text or "" for part in element.iter("Initials")]
    odd = len(families) != len(element) or len(letters) != len(element) or "" in letters
    if odd or next(element.iter("Suffix"), None) is not None or _has_wrong_names(element):
        names = [_author(author) for author in element]
    else:
        names = squeezed_all(list(map(_FULL_NAME, families, letters)))
    fields.setdefault("authors", []).extend(filter(None, names))


def _has_wrong_names(element: _Element) -> bool:
    return "N" in [author.get("ValidYN") for author in element]


def _author(author: _Element) -> str:
    """ "Family I Suffix", or the name of a group."""
    if author.get("ValidYN") == "N":  # a name that was corrected; the right one stands beside it
        return ""
    family = letters = suffix = given = ""
    for child in author:
        tag = child.tag
        if tag == "LastName":
            family = child.text or ""
        elif tag == "ForeName":
            given = child.text or ""
        elif tag == "Initials":
            letters = child.text or ""
        elif tag == "Suffix":
            suffix = child.text or ""
        elif tag == "CollectiveName":
            return plain(child)
    return squeezed(f"{family} {letters or initials(squeezed(given))} {suffix}")


def _journal(journal: _Element, draft: _Draft) -> None:
    fields = draft.fields
    for child in journal:
        tag = child.tag
        if tag == "JournalIssue":
            for part in child:
                tag = part.tag
                if tag == "PubDate":
                    draft.date = _date(part)
                elif tag == "Volume":
                    _put(fields, "volume", part.text)
                elif tag == "Issue":
                    _put(fields, "issue", part.text)
        elif tag == "Title" or (tag == "ISOAbbreviation" and "journal" not in fields):
            _put(fields, "journal", child.text)


def _date(element: _Element) -> str:
    """ISO 8601 of Year, Month and Day; of a MedlineDate ("1998 Dec-1999 Jan") its first year."""
    texts = {child.tag: child.text or "" for child in element}
    year = texts.get("Year") or texts.get("MedlineDate", "")
    return iso_date(year, texts.get("Month", ""), texts.get("Day", ""))


def _pages(element: _Element) -> str:
    first = last = ""
    for child in element:
        if child.tag == "MedlinePgn":
            return child.text or ""
        if child.tag == "StartPage":
            first = squeezed(child.text)
        elif child.tag == "EndPage":
            last = squeezed(child.text)
    return f"{first}-{last}" if first and last else first


@cache
def _major_headings() -> XPath:
    from lxml import etree

    return etree.XPath(
        "MeshHeading[*/@MajorTopicYN = 'Y']/DescriptorName/text()", smart_strings=False
    )


def _mesh(element: _Element, fields: dict[str, Any]) -> None:
    """Descriptors, and those of them that are a major topic by themselves or by a qualifier."""
    names = squeezed_all([part.text or "" for part in element.iter("DescriptorName")])
    if headings := [name for name in dict.fromkeys(names) if name]:
        fields["mesh"] = headings
        found = cast("list[str]", _major_headings()(element))
        chief = set(squeezed_all(found))
        if major := [name for name in headings if name in chief]:
            fields["mesh_major"] = major


def _article_ids(element: _Element, draft: _Draft) -> None:
    for child in element:
        kind = child.get("IdType")
        if kind == "doi":
            draft.doi = draft.doi or squeezed(child.text)
        elif kind in ("pmc", "pmcid") and (match := _PMCID.search(child.text or "")):
            draft.fields["pmcid"] = match[0]


def _location(element: _Element, draft: _Draft) -> None:
    if element.get("EIdType") == "doi" and element.get("ValidYN", "Y") != "N":
        draft.doi = draft.doi or squeezed(element.text)


def _add_texts(fields: dict[str, Any], name: str, element: _Element) -> None:
    """Append the texts of an element's children that are not there yet."""
    known = fields.setdefault(name, [])
    for child in element:
        text = squeezed(child.text) if len(child) == 0 else plain(child)
        if text and text not in known:
            known.append(text)


def _put(fields: dict[str, Any], name: str, value: str | None) -> None:
    if value := squeezed(value):
        fields[name] = value


def _pmid(element: _Element) -> str:
    text = squeezed(element.text)
    if not _PMID.fullmatch(text):
        raise RecordFault("the PMID is no number" if text else "the PMID is empty")
    return text
