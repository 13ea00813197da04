"""Reader of PubMed XML: yearly baseline, daily updates, efetch; articles, book articles and
notices of deletion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.bibliography import (
    accessions,
    correction,
    distinct,
    document,
    fields_of,
    iso_date,
    mesh_of,
    said,
    without_markup,
    without_notices,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.identity import doi_of, identify, reference_of
from bioretrieval_tui.documents.person_names import initials
from bioretrieval_tui.documents.readers.xml_records import (
    plain_text,
    shows,
    squeezed,
    xml_records,
)
from bioretrieval_tui.documents.source import Format, ReadSettings, SourceReader

if TYPE_CHECKING:
    from lxml.etree import _Element

_DELETIONS = ("DeleteCitation", "DeleteDocument")
_RECORDS = ("PubmedArticle", "PubmedBookArticle", *_DELETIONS)
_SIGN = re.compile(rb"<(?:Pubmed(?:Book)?Article(?:Set)?|DeleteCitation|DeleteDocument)(?=[\s/>])")
_PMID = re.compile(r"[0-9]{1,12}")
_LATER_VERSION = re.compile(r"[2-9]|[1-9]\d{1,5}")
_PMCID = re.compile(r"PMC[0-9]{1,12}")
# Where fields are found in a citation and in a chapter of a book, in order of preference.
_ARTICLE = {
    "title": "Article/ArticleTitle",
    "vernacular_title": "Article/VernacularTitle",
    "journal": "Article/Journal/Title Article/Journal/ISOAbbreviation MedlineJournalInfo/MedlineTA",
    "volume": "Article/Journal/JournalIssue/Volume",
    "issue": "Article/Journal/JournalIssue/Issue",
    "language": "Article/Language",
    "types": "Article/PublicationTypeList/*",
    "keywords": "KeywordList/*",
    "supplementary": "SupplMeshList/SupplMeshName",
    "substances": "ChemicalList/Chemical/NameOfSubstance",
    "affiliations": "Article/AuthorList/Author/AffiliationInfo/Affiliation"
    " Article/AuthorList/Author/Affiliation",
}
_CHAPTER = {
    "title": "ArticleTitle",
    "vernacular_title": "VernacularTitle",
    "book": "Book/BookTitle",
    "volume": "Book/Volume",
    "publisher": "Book/Publisher/PublisherName",
    "place": "Book/Publisher/PublisherLocation",
    "isbn": "Book/Isbn",
    "language": "Language",
    "types": "PublicationTypeList/* PublicationType",
    "keywords": "KeywordList/*",
    "affiliations": "AuthorList/Author/AffiliationInfo/Affiliation",
}
_IDS = (
    "PubmedData/ArticleIdList[1]/ArticleId",
    "BookDocument/ArticleIdList/ArticleId",
    "PubmedBookData/ArticleIdList/ArticleId",
)
_DATES = ("Journal/JournalIssue/PubDate", "Book/PubDate", "ContributionDate")


def _records(
    source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, _Element | RecordFault]]:
    for place, found in xml_records(source, settings, _RECORDS):
        if not isinstance(found, RecordFault) and found.tag in _DELETIONS:
            yield from ((place, pmid) for pmid in found.iterfind("PMID"))
        else:
            yield place, found


def _document(element: _Element) -> Document | str:
    """The document of an article or book article, or the PMID of a deletion. Revised records are as
    any other; the store keeps the latest."""
    if element.tag == "PMID":
        return _pmid(element)
    is_article = element.tag == "PubmedArticle"
    holder = _child(element, "MedlineCitation" if is_article else "BookDocument")
    article = _child(holder, "Article") if is_article else holder
    pmid = holder.find("PMID")
    if pmid is None:
        raise RecordFault("the record has no PMID")
    table = _ARTICLE if is_article else _CHAPTER
    fields = fields_of(table, lambda path: map(plain_text, holder.iterfind(path)))
    title = said(without_markup(fields.pop("title")))
    if not title and not is_article:
        title, fields["book"] = fields["book"], ""
    named = [
        (one.get("IdType"), squeezed(one.text)) for path in _IDS for one in element.iterfind(path)
    ]
    dois = [
        squeezed(place.text)
        for place in article.iterfind("ELocationID")
        if place.get("EIdType") == "doi" and place.get("ValidYN") != "N"
    ] + [name for kind, name in named if kind == "doi"]
    pmcids = [_PMCID.search(name) for kind, name in named if kind in ("pmc", "pmcid")]
    version = squeezed(pmid.get("Version"))
    pages = _child(article, "Pagination")
    ends = (_text(pages, "StartPage"), _text(pages, "EndPage"))
    online = reversed(article.findall("ArticleDate"))
    date = next(filter(None, map(_date, chain(*map(article.iterfind, _DATES), online))), "")
    linked = list(holder.iterfind("CommentsCorrectionsList/CommentsCorrections"))
    others = sorted(holder.iterfind("OtherAbstract"), key=_other_rank)
    abstracts = chain(article.iterfind("Abstract"), others)
    fields |= {
        "pmid": _pmid(pmid),
        "pmid_version": int(version) if _LATER_VERSION.fullmatch(version) else None,
        "revised": _date(_child(holder, "DateRevised")),
        "pmcid": next((match[0] for match in pmcids if match), ""),
        "doi": next(filter(None, map(doi_of, dois)), None),
        "authors": _people(article, "authors") or _people(_child(holder, "Book"), "authors"),
        "editors": _people(_child(holder, "Book"), "editors"),
        "language": " ".join(fields["language"]).split(),
        **({"year": int(date[:4]), "date": date} if date else {}),
        **mesh_of(map(_heading, holder.iterfind("MeshHeadingList/MeshHeading"))),
        **accessions(_accessions(article)),
        "corrections": distinct(
            correction(one.get("RefType", ""), _text(one, "RefSource"), _text(one, "PMID"))
            for one in linked
            if one.get("RefType") != "Cites"
        ),
        "references": distinct(chain(_references(element), _cited(linked))),
        "pages": _text(pages, "MedlinePgn") or "-".join(filter(None, ends)),
    }
    text = next(filter(None, map(_abstract, abstracts)), "")
    title = title or fields["vernacular_title"]
    return document(identify(fields, title, text), title, text, fields, f"PMID {fields['pmid']}")


def _other_rank(abstract: _Element) -> tuple[bool, bool]:
    """English abstracts of others first, and among them no summaries in plain language."""
    return abstract.get("Language", "eng") != "eng", "plain" in abstract.get("Type", "")


def _abstract(element: _Element) -> str:
    """The sections of an abstract, each on a line of its own after its label."""
    sections = []
    for child in element.iterfind("AbstractText"):
        text = without_markup(plain_text(child))  # some publishers escape it
        label = squeezed(child.get("Label"))
        if label and label != "UNLABELLED":
            text = f"{label}: {text}"
        if text:
            sections.append(text)
    return without_notices("\n".join(sections))


def _people(holder: _Element, role: str) -> list[str]:
    lists = holder.iterfind("AuthorList")
    people = (one for every in lists if every.get("Type", "authors") == role for one in every)
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


def _heading(heading: _Element) -> str:
    """A descriptor with its qualifiers as MEDLINE writes them: "Asthma/genetics/*therapy"."""
    return "/".join(
        ("*" if part.get("MajorTopicYN") == "Y" else "") + squeezed(part.text) for part in heading
    )


def _accessions(article: _Element) -> Iterator[str]:
    """Accession numbers as MEDLINE writes them: "GENBANK/AF123456"."""
    for bank in article.iterfind("DataBankList/DataBank"):
        name = _text(bank, "DataBankName")
        for number in bank.iterfind("AccessionNumberList/AccessionNumber"):
            yield f"{name}/{squeezed(number.text)}"


def _references(element: _Element) -> Iterator[str]:
    """The works of the lists of references, which may hold lists themselves."""
    for part in element.iterfind("PubmedData/ReferenceList"):
        for ids in part.iter("ArticleIdList"):
            named = {one.get("IdType"): one.text for one in ids}
            yield reference_of(named.get("pubmed"), named.get("doi"))


def _cited(linked: Iterable[_Element]) -> Iterator[str]:
    """The works that older records cite so."""
    for one in linked:
        if one.get("RefType") == "Cites":
            for pmid in one.iterchildren("PMID"):
                yield reference_of(pmid.text, None)


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


PUBMED_XML = Format("pubmed-xml", (".xml",), partial(shows, (_SIGN,)), _records, _document)
