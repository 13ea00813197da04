"""Reader of JATS (and NLM) full text, one article or many a file: title, abstract and the metadata
of the front matter. The body is left out, so that documents are those of PubMed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.bibliography import dated, distinct, document, initials, iso_date
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.readers.xml_records import (
    local,
    plain_text,
    readable,
    shows,
    squeezed,
    xml_records,
)
from bioretrieval_tui.documents.source import Format

if TYPE_CHECKING:
    from lxml.etree import _Element

_ARTICLE = re.compile(rb"<(?:pmc-articleset|article)(?=[\s>])")
_SIGN = re.compile(
    rb"<pmc-articleset[\s>]|<(?:front|article-meta|journal-meta)[\s>]|\sarticle-type\s*="
    rb"|//DTD (?:JATS|Journal |ARTICLE SET)|jats\.nlm\.nih\.gov|dtd\.nlm\.nih\.gov"
)
_PMCID = re.compile(r"^(?:PMC)?([0-9]{1,12})(?:\.[0-9]+)?$")
_IDS = {  # by the kinds of `article-id`
    "pmc": ("pmcid", _PMCID),
    "pmcid": ("pmcid", _PMCID),
    "pmid": ("pmid", re.compile(r"^([0-9]{1,12})$")),
    "doi": ("doi", re.compile(r"(10\.[0-9]{4,9}/\S+)")),
}
# Notes and figures within a title or an abstract are left out.
_SILENT = frozenset(
    "fn alt-text long-desc object-id copyright-statement graphic inline-graphic media permissions"
    " table-wrap fig supplementary-material".split()
)
_BLOCKS = frozenset("p list list-item title sec break def-item def term disp-quote label".split())
_NOT_THE_ABSTRACT = frozenset(
    "graphical graphical-abstract toc teaser video web-summary key-points highlights precis"
    " executive-summary editor plain-language-summary summary".split()
)
# The date of citation: that of the printed issue if there is one.
_DATE_RANK = {"ppub": 0, "epub-ppub": 1, "collection": 2, "pub": 3, "epub": 4}
_NOT_PUBLISHED = frozenset({"pmc-release", "nihms-submitted", "received", "accepted", "retracted"})
# Publishers write ISO 639-1, PubMed the bibliographic codes of ISO 639-2.
_LANGUAGES = dict(
    pair.split(":")
    for pair in "ar:ara bg:bul ca:cat cs:cze da:dan de:ger el:gre en:eng es:spa et:est fa:per"
    " fi:fin fr:fre he:heb hr:hrv hu:hun id:ind it:ita ja:jpn ko:kor lt:lit lv:lav nl:dut no:nor"
    " pl:pol pt:por ro:rum ru:rus sk:slo sl:slv sr:srp sv:swe th:tha tr:tur uk:ukr vi:vie"
    " zh:chi".split()
)
_JOURNAL = [
    f"front/journal-meta/{path}"
    for path in ("journal-title-group/journal-title", "journal-title", "journal-id")
]
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def _document(article: _Element) -> Document:
    """The id is the PMC id ("PMC123"), else the PMID, else the DOI. An article in another language
    gets its English title and abstract if there are any."""
    meta = _child(article, "front/article-meta")
    if local(meta) != "article-meta":
        raise RecordFault("the article has no article-meta, so neither an id nor a title")
    ids: dict[str, str] = {}
    for child in _children(meta, "article-id"):
        field, pattern = _IDS.get(child.get("pub-id-type", ""), ("", _PMCID))
        if field and (match := pattern.search(plain_text(child))):
            ids.setdefault(field, f"PMC{match[1]}" if field == "pmcid" else match[1])
    identity = ids.get("pmcid") or ids.get("pmid") or ids.get("doi")
    if not identity:
        raise RecordFault("the article has no PMC id, no PMID and no DOI")
    language = _language(article) or "eng"
    title, vernacular = _titles(meta, language)
    pages = [_text(meta, "fpage"), _text(meta, "lpage")]
    fields = {
        **ids,
        "vernacular_title": vernacular,
        "authors": [*filter(None, map(_author, _children(meta, "contrib-group/contrib")))],
        "journal": _text(article, *_JOURNAL),
        **dated(_date(meta)),
        "types": distinct([squeezed(article.get("article-type"))]),
        "language": [language],
        "keywords": distinct(
            _say(word)
            for group in _children(meta, "kwd-group")
            if group.get("kwd-group-type") != "abbreviations"
            for word in _children(group, "kwd")
        ),
        "volume": _text(meta, "volume"),
        "issue": _text(meta, "issue"),
        "pages": "-".join(distinct(pages)) or _text(meta, "elocation-id"),
    }
    return document(identity, title, _abstract(meta, language), fields, identity)


def _titles(meta: _Element, language: str) -> tuple[str, str]:
    """The English title if there is one, and the title in the article's other language."""
    group = _child(meta, "title-group")
    main = _with_subtitle(group, "article-title", "subtitle")
    if language == "eng":
        return main, ""
    english = [child for child in group if _language(child) in ("eng", "")]
    translated = (
        _say(child)
        if local(child) == "trans-title"
        else _with_subtitle(child, "trans-title", "trans-subtitle")
        for child in english
    )
    found = next(filter(None, translated), "")
    return (found, main) if found else (main, "")


def _with_subtitle(group: _Element, title: str, subtitle: str) -> str:
    whole = ""
    for part in (_say(child) for name in (title, subtitle) for child in _children(group, name)):
        joint = "" if not whole or not part else " " if whole[-1] in ".:?!" else ": "
        whole += joint + part
    return whole


def _abstract(meta: _Element, language: str) -> str:
    """The abstract, sections on lines of their own; an English one before any other."""
    own = list(_children(meta, "abstract"))
    if language != "eng":
        translated = _children(meta, "trans-abstract")
        own = [child for child in translated if _language(child) == "eng"] + own
    proper = [child for child in own if child.get("abstract-type") not in _NOT_THE_ABSTRACT]
    texts = ("\n".join(_sections(abstract)) for abstract in (*proper, *own))
    return next(filter(None, texts), "")


def _sections(element: _Element) -> Iterator[str]:
    """The paragraphs of an abstract; the first of a section after the section's title."""
    label = ""
    for child in element:
        name = local(child)
        if name == "title":
            label = _say(child).rstrip(" :.")
            if label.lower() == "abstract" and local(element) != "sec":
                label = ""
        elif name not in _SILENT and name != "label":
            for text in filter(None, _sections(child) if name == "sec" else [_say(child)]):
                yield f"{label}: {text}" if label else text
                label = ""


def _author(contributor: _Element) -> str:
    """ "Family I Suffix", or the name of a group; empty for other contributors."""
    if contributor.get("contrib-type", "author") != "author":
        return ""
    for child in contributor:
        if local(child) == "name-alternatives":
            child = next(iter(child), child)
        if local(child) in ("name", "string-name"):
            family, given = _text(child, "surname"), _child(child, "given-names")
            letters = squeezed(given.get("initials")) or initials(plain_text(given))
            suffix = _text(child, "suffix")
            return squeezed(f"{family} {letters} {suffix}") if family else _say(child)
        if local(child) == "collab":
            return readable(child, silent=_SILENT | {"contrib-group", "xref", "aff"})
    return ""


def _date(meta: _Element) -> str:
    """The date of publication, ISO 8601; for a collection the online date of the same year."""
    known: dict[int, str] = {}
    for child in _children(meta, "pub-date"):
        kind = child.get("pub-type") or child.get("date-type") or "pub"
        date = iso_date(*(_text(child, part) for part in ("year", "month", "day")))
        if date and kind not in _NOT_PUBLISHED:
            known.setdefault(_DATE_RANK.get(kind, 5), date)
    dates = [known[rank] for rank in sorted(known)]
    if min(known, default=None) == _DATE_RANK["collection"]:
        whole = (date for date in dates if date[:4] == dates[0][:4] and len(date) == 10)
        return next(whole, dates[0])
    return dates[0] if dates else ""


def _language(element: _Element) -> str:
    """The language of an element as PubMed's code; empty if not given."""
    given = squeezed(element.get(_XML_LANG)).lower().partition("-")[0]
    return _LANGUAGES.get(given, given)


def _say(element: _Element) -> str:
    return readable(element, silent=_SILENT, blocks=_BLOCKS)


def _text(element: _Element, *paths: str) -> str:
    return next(filter(None, (plain_text(_child(element, path)) for path in paths)), "")


def _child(element: _Element, path: str) -> _Element:
    found = next(_children(element, path), None)
    return element.makeelement("none") if found is None else found


def _children(element: _Element, path: str) -> Iterator[_Element]:
    """The elements under a path, whatever their namespace."""
    return element.iterfind("/".join("{*}" + name for name in path.split("/")))


_CUT = partial(xml_records, names=("article",))
JATS = Format("jats", (".nxml", ".xml"), partial(shows, (_ARTICLE, _SIGN)), _CUT, _document)
