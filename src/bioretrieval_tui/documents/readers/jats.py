"""Reader of JATS (and NLM) full text, one article or many a file: title, abstract and the metadata
of the front matter, and the works that it cites. The body is left out, so that documents are those
of PubMed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.bibliography import (
    correction,
    dated,
    distinct,
    document,
    iso_date,
    without_notices,
)
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.identity import (
    doi_of,
    identify,
    pmcid_of,
    pmid_of,
    reference_of,
    trials_of,
)
from bioretrieval_tui.documents.person_names import initials
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


def _pmcid(text: str) -> str | None:
    return pmcid_of(text) or pmcid_of(f"PMC{text}")


_IDS = {  # by the kinds of `article-id`
    "pmc": ("pmcid", _pmcid),
    "pmcid": ("pmcid", _pmcid),
    "pmid": ("pmid", pmid_of),
    "doi": ("doi", doi_of),
}
# Notes and figures within a title or an abstract are left out.
_SILENT = frozenset(
    "fn alt-text long-desc object-id copyright-statement graphic inline-graphic media permissions"
    " table-wrap fig supplementary-material".split()
)
_BLOCKS = frozenset("p list list-item title sec break def-item def term disp-quote label".split())
# What stands beside an abstract, by `abstract-type` or title: first what may serve for it.
_SUMMARY = re.compile(r"summary|plain|\blay\b|digest|synopsis|non-?technical", re.IGNORECASE)
_BRIEF = re.compile(
    r"\b(?:short|brief|key|toc|contents|web|editor|what|box|take-?home|impact)|highlight|graphic"
    r"|visual|teaser|video|audio|precis|capsule|significance|statement|message|tweet",
    re.IGNORECASE,
)
_TITLES = re.compile(r"(?:abstract|summary)?\W*", re.IGNORECASE)
_AFFILIATION_PARTS = _BLOCKS | frozenset(
    "institution institution-wrap addr-line country city state postal-code".split()
)
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
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
    """The id follows the rule of `identity`. An article in another language gets its English title
    and abstract if there are any."""
    meta = _child(article, "front/article-meta")
    if local(meta) != "article-meta":
        raise RecordFault("the article has no article-meta, so neither an id nor a title")
    ids: dict[str, str] = {}
    for child in _children(meta, "article-id"):
        field, find = _IDS.get(child.get("pub-id-type", ""), ("", pmid_of))
        if field and (found := find(plain_text(child))):
            ids.setdefault(field, found)
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
        "affiliations": distinct(
            readable(
                one, silent=_SILENT | {"label", "sup", "institution-id"}, blocks=_AFFILIATION_PARTS
            ).rstrip(" ,;")
            for one in meta.iter("{*}aff")
        ),
        "trials": _trials(meta),
        "corrections": distinct(map(_correction, meta.iter("{*}related-article"))),
        "references": distinct(_references(article)),
    }
    text = _abstract(meta, language)
    identity = identify(fields, title, text)
    return document(identity, title, text, fields, identity)


def _trials(meta: _Element) -> list[str]:
    """Registration numbers that the article's metadata or abstract link to."""
    links = meta.iter("{*}related-object", "{*}ext-link", "{*}custom-meta")
    texts = (" ".join(map(str, [*link.attrib.values(), *link.itertext()])) for link in links)
    return distinct(number for text in texts for number in trials_of(text))


def _correction(related: _Element) -> str:
    """A link to a retraction, correction or expression of concern, or to what one is of."""
    place = related.get(_XLINK_HREF, "") or plain_text(related)
    doi, kind = doi_of(place), related.get("ext-link-type", "")
    pmid = pmid_of(place) if kind in ("pubmed", "pmid") else None
    source = f"doi: {doi}" if doi else "" if pmid else place
    return correction(related.get("related-article-type", ""), source, pmid or "")


def _references(article: _Element) -> Iterator[str]:
    """The works of the list of references; one reference may be to several works."""
    for back in _children(article, "back"):
        for _, ids in groupby(back.iter("{*}pub-id"), lambda one: one.getparent()):
            named = {one.get("pub-id-type"): one.text for one in ids}
            yield reference_of(named.get("pmid"), named.get("doi"))


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
    """The abstract, sections on lines of their own: one without a type before any other, an English
    one before those in other languages."""

    def rank(abstract: _Element) -> tuple[int, bool]:
        kind = abstract.get("abstract-type") or ""
        said = f"{kind} {_text(abstract, 'title')}"
        typed = 3 if _BRIEF.search(said) else 2 if _SUMMARY.search(said) else int(bool(kind))
        if not kind and _TITLES.fullmatch(_text(abstract, "title")):
            typed = 0
        return typed, (_language(abstract) or language) != "eng"

    own = list(_children(meta, "abstract"))
    if language != "eng":
        own += [one for one in _children(meta, "trans-abstract") if _language(one) == "eng"]
    texts = (without_notices("\n".join(_sections(one))) for one in sorted(own, key=rank))
    return next(filter(None, texts), "")


def _sections(element: _Element) -> Iterator[str]:
    """The paragraphs of an abstract; the first of a section after the section's title."""
    label = ""
    for child in element:
        name = local(child)
        if name == "title":
            label = _say(child).rstrip(" :.")
            if local(element) != "sec" and _TITLES.fullmatch(label):
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
        if local(child) in ("name-alternatives", "collab-alternatives"):
            child = min(child, key=lambda one: _language(one) not in ("eng", ""), default=child)
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
