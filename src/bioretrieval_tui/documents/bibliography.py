"""Bibliographic fields of all formats in one form: plain text, identifiers, dates, names, pages."""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.identity import MAX_ID_LENGTH, identify, trials_of
from bioretrieval_tui.documents.superscripts import powers_on_line, scripts_on_line

LISTS = (
    "authors", "language", "types", "mesh", "mesh_major", "mesh_qualifiers", "supplementary",
    "substances", "keywords", "affiliations", "trials", "databanks", "corrections", "editors",
    "references",
)  # fmt: skip
"""Fields that are lists of texts."""

_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
_YEAR = re.compile(r"(?<!\d)(?:1[4-9]|20|21)\d\d(?!\d)")
_DATE = re.compile(
    r"(\d{4})(?:[ /.-]+([A-Za-z]{3,9}\.?|\d{1,2})(?:[ /.-]+(\d{1,2}))?)?[ /]*(?:T[\d:.Z+-]*)?"
)
_WRITTEN_DATE = re.compile(
    r"(?:(\d{1,2})(?:st|nd|rd|th)?\s+)?([A-Za-z]{3,9})\.?(?:\s+(\d{1,2})(?:st|nd|rd|th)?)?,?\s+(\d{4})"
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DATE_KEYS = ("date", "pubdate", "publication_date")
_PMID = re.compile(r"([1-9][0-9]{0,8})")
_PMC = re.compile(r"PMC([1-9][0-9]{0,8})", re.IGNORECASE)
_DOI_URL = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ARXIV = re.compile(
    r"(?:https?://arxiv\.org/abs/|arxiv:\s*)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+/\d{7})", re.IGNORECASE
)
# What a notice or a corrected work says of the other: our words, PubMed's RefType, MEDLINE's tag,
# and the kinds of JATS (PMC writes `-forward` in the older article, others the bare noun).
_CORRECTIONS = {
    kind: words
    for words, kinds in {
        "Retraction in": "retractionin rin retractionforward retraction",
        "Retraction of": "retractionof rof retractedarticle",
        "Partial retraction in": "partialretractionin prin partialretractionforward"
        " partialretraction",
        "Partial retraction of": "partialretractionof prof partiallyretractedarticle",
        "Retracted and republished in": "retractedandrepublishedin rri",
        "Retracted and republished from": "retractedandrepublishedfrom rrf",
        "Erratum in": "erratumin ein correctionforward correction erratum corrigendum",
        "Erratum for": "erratumfor efr correctedarticle",
        "Corrected and republished in": "correctedandrepublishedin cri",
        "Corrected and republished from": "correctedandrepublishedfrom crf",
        "Expression of concern in": "expressionofconcernin eci expressionofconcernforward"
        " expressionofconcern concernforward",
        "Expression of concern for": "expressionofconcernfor ecf objectofconcern",
        "Republished in": "republishedin rpi republication",
        "Republished from": "republishedfrom rpf republishedarticle",
        "Update in": "updatein uin update",
        "Update of": "updateof uof updatedarticle",
    }.items()
    for kind in kinds.split()
}
_RETRACTED = ("Retraction in", "Retracted and republished in")
_RETRACTING = frozenset({"retracted", "is_retracted", "types", "corrections"})
"""Fields that may tell of a retraction."""
_WARNINGS = {
    "Partial retraction in": "PARTLY RETRACTED",
    "Expression of concern in": "EXPRESSION OF CONCERN",
}
_YES = frozenset({"true", "yes", "y", "1"})
_RETRACTED_TYPES = frozenset({"retractedpublication", "retracted", "retractedarticle"})
# "RETRACTED: ...", "Retracted Article: ...", "[RETRACTED] ..."; not "Retracted papers: a survey".
_RETRACTED_TITLE = re.compile(
    r"\W*(?:RETRACTED|WITHDRAWN)(?:\W*(?:ARTICLE|PAPER|PUBLICATION))?\s*[:\]]"
    r"|\W*[Rr]etracted(?: (?:[Aa]rticle|[Pp]aper|[Pp]ublication))?\s*[:\]]"
)
# Such links in notes, one after the other.
_LINKED = re.compile(
    r"\b((?:partial )?retraction (?:in|of)|retracted and republished (?:in|from)|erratum (?:in|for)"
    r"|corrected and republished (?:in|from)|expression of concern (?:in|for)"
    r"|republished (?:in|from)|update (?:in|of))[:\s]+"
    r"(.*?)(?=$|;\s|\b(?:partial )?(?:retraction|retracted|erratum|corrected|expression|republished"
    r"|update|comment) (?:and|in|of|for|on|from)\b)",
    re.IGNORECASE,
)
_LAST_PMID = re.compile(r"[\s;.]*\bPMID:\s*(\d{1,9})\b[\s.]*$")
# Registries of trials by PubMed's names, whose numbers are kept also in a form not known here.
_TRIAL_BANKS = re.compile(
    r"clinicaltrials|isrctn|eudract|euctr|ctis|anzctr|chictr|cris$|ctri$|drks|irct|japiccti|jmacct"
    r"|jprn|jrct|lbctr|ntr$|pactr|rebec|repec|rpcec|slctr|tctr|umin|ictrp|itmctr",
    re.IGNORECASE,
)
# A registry in the place of a journal or a database, or an address of one.
REGISTRY = re.compile(
    r"clinicaltrials?(?:\.gov|register)|isrctn|trialsearch|anzctr|drks|chictr|ctri\.nic|umin\.ac"
    r"|jrct|irct\.|pactr|ictrp",
    re.IGNORECASE,
)
# The section of an abstract that says where the trial of the work is registered.
_REGISTRATION = re.compile(
    r"\bregistration(?: (?:number|no\.?|details|information))?:\s*([^\n]{1,300})", re.IGNORECASE
)

# Elements of HTML, JATS and MathML that exporters leave in titles and abstracts. Only what is
# written as one counts: "p <0.05", "a <b and c> d" are text.
_ATTRIBUTES = r"(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[\w#.-]+))*\s*/?>"
_BLOCK = re.compile(
    rf"</?(?:\w+:)?(?:p|br|div|hr|li|ul|ol|dl|dt|dd|h[1-6]|t[rdh]|table|title|sec|section|label"
    rf"|list|list-item|abstract|abstracttext|disp-formula){_ATTRIBUTES}",
    re.IGNORECASE,
)
_INLINE = re.compile(
    rf"</?(?:[a-z]{{2,8}}:[\w-]+|a|b|i|u|em|strong|small|big|span|font|tt|code|ital|italic|bold|sc"
    rf"|underline|styled-content|named-content|monospace|roman|strike|su[bp]|q|ext-link|xref|math"
    rf"|m(?:i|n|o|row|sup|sub|subsup|frac|sqrt|text|style|fenced|over|under|space)|inline-formula"
    rf"|tex-math|alternatives|semantics|annotation){_ATTRIBUTES}|<!--.*?-->|<!\[CDATA\[|\]\]>",
    re.IGNORECASE | re.DOTALL,
)
_ABSTRACT_TITLE = re.compile(
    r"<((?:\w+:)?(?:title|h[1-6]))>\s*(?:abstract|summary)\W*</\1>", re.IGNORECASE
)
_SUBSCRIPT = re.compile(r"<(/?)(?:\w+:)?(?:inf|sub)>", re.IGNORECASE)
_SUPERSCRIPT = re.compile(r"<(/?)(?:\w+:)?(?:super|sup)>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_MARKED_TWICE = 3
"""Times that entities are read: those of entities of elements are in real exports."""

_LETTER = re.compile(r"[^\W_]")
_NO_TITLE = re.compile(
    r"""\W*(?:(?:this\ \w+\ has\ )?no\ (?:article\ |document\ )?title
    (?:\ (?:is\ |was\ )?(?:available|provided|given|found|supplied|recorded))?
    |(?:article\ |document\ )?title\ (?:is\ |was\ )?(?:not\ \w+|unavailable|missing|unknown)
    |(?:title\ )?not\ available|not\ applicable|untitled|n/?a|none|null|nan
    |no\ abstract(?:\ (?:is\ )?(?:available|provided))?
    |ohne\ titel|kein\ titel|sans\ titre|sin\ t\u00edtulo|sem\ t\u00edtulo|senza\ titolo)\W*""",
    re.IGNORECASE | re.VERBOSE,
)
"""A notice in place of a title."""
_LONGEST_NOTICE = 200
_NO_ABSTRACT = re.compile(
    r"""\W*(?:there\ is\ )?(?:no\ abstract(?:\ (?:is\ )?(?:available|provided))?(?:\ .{0,40})?
    |(?:abstract|summary)\ (?:is\ )?(?:not\ )?available(?:\ (?:from|at|on|for)\ .{1,60})?
    |abstract\ not\ (?:available|provided).{0,40}|not\ available|n/?a|none|null|nan|untitled
    |r\u00e9sum\u00e9\ (?:non\ )?disponible.{0,60}|resumen\ (?:no\ )?disponible.{0,60}
    |resumo\ (?:n\u00e3o\ )?dispon\u00edvel.{0,60}|abstract\ (?:non\ )?disponibile.{0,60}
    |(?:kein|zusammenfassung).{0,20}\ (?:verf\u00fcgbar|erh\u00e4ltlich|vorhanden).{0,60})\W*""",
    re.IGNORECASE | re.VERBOSE,
)
"""A notice in place of an abstract, as PubMed, Scopus, Embase and publishers write it."""
# The heading of an abstract, and what databases and publishers write around it.
_BOILERPLATE = re.compile(
    r"""^(?:Abstract|ABSTRACT)\s*[:\u2014]\s*
    |^(?:Copyright\s+)?\u00a9\s*\d{4}[^.]{0,100}(?:\.|$)(?:\s*All\ rights\ reserved\.)?\s*
    |\s*\[(?:ABSTRACT\ FROM\ (?:AUTHOR|PUBLISHER)|PUBLICATION\ ABSTRACT)\]
    |\s*\(?(?i:Psyc\w+)\ Database\ Record\ (?:\([cC]\)|\u00a9).{1,80}?reserved[.)]*
     (?:\s*\([a-z ]+\ abstract\))?
    |\s*Copyright\ of\ .{1,300}?\ is\ the\ property\ of\ .{1,300}?
     \ and\ its\ content\ may\ not\ be\ copied.*
    |(?<=[.!?)\]])\s*(?:Crown\ )?(?:Copyright[\s,]*(?:\u00a9|\([cC]\))?|\u00a9|\([cC]\)
     (?=.{5,200}\b(?:reserved|Elsevier|Springer|Wiley|Ltd|Inc|Press|Society|Author|Published)\b))
     [\s,]*(?:Copyright\s*)?\d{4}\b[^\u00a9]{0,300}$""",
    re.DOTALL | re.VERBOSE,
)
_SIGNS = ("\u00a9", "(c)", "(C)", "opyright", "Abstract", "ABSTRACT")
"""Of these one is in every such text."""
_CUT_OFF = "\u2026."
_PAGES = re.compile(r"^(?:pp?|pages?|art(?:icle)?(?:\s*(?:no|number))?)\b[.:]?\s*", re.IGNORECASE)
_NO_PAGES = re.compile(
    r"(?:no|not|non)[ -](?:pagination|specified|available).*|n/?a", re.IGNORECASE
)
_NUMBER_LABEL = re.compile(
    r"^(?:v(?:ol(?:ume)?)?|n[or]?|iss(?:ue)?)\b[. ]*(?=\d)|^(?:n/?a|none)$", re.IGNORECASE
)
_DASHES = re.compile(r"\s*(?:--+|[-\u2010-\u2015\u2212])\s*")
_ISBN = re.compile(r"(?<!\d)(?:97[89][- ]?)?\d(?:[- ]?\d){8}[- ]?[\dX](?![\d-])", re.IGNORECASE)
_RIS_DATE = re.compile(r"(\d{4})/(\d{0,2})/(\d{0,2})(?:/.*)?", re.DOTALL)


def sound(text: str) -> str:
    """Return `text`. Raises RecordFault if it holds a NUL, at which SQLite and C libraries end a
    text, or half of a surrogate pair. Other control characters are data, which terminal output
    removes."""
    if "\0" in text:
        raise RecordFault("the record holds a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RecordFault("the record holds half of a character") from error
    return text


def sound_value(value: Any) -> Any:
    """Return a JSON value, with all texts in it checked. Raises RecordFault as `sound`."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            sound(item)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


def plain(text: str) -> str:
    """`text` on one line, each run of whitespace as one blank. Raises RecordFault as `sound`."""
    return " ".join(sound(text).split())


def json_type(value: Any) -> str:
    """The type of a JSON value, for messages."""
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return kinds.get(type(value)) or ("a list" if isinstance(value, list) else "an object")


def identifier(value: Any, called: str = "the id", *, as_written: bool = False) -> str:
    """`value` (text or a whole number) as the id of a document, on one line unless `as_written`.
    Raises RecordFault if it is neither, is empty, too long, or holds a NUL."""
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            value = str(value)
        except ValueError as error:  # thousands of digits
            raise RecordFault(f"{called} is too long a number") from error
    if not isinstance(value, str):
        raise RecordFault(f"{called} is {json_type(value)}, not text or a whole number")
    text = plain(value)
    if not text:
        raise RecordFault(f"{called} is empty")
    if len(value if as_written else text) > MAX_ID_LENGTH:
        raise RecordFault(f"{called} is longer than {MAX_ID_LENGTH} characters")
    return value if as_written else text


def dated(text: str) -> dict[str, Any]:
    """`year` (int) and `date` (ISO 8601) of a written date, as exact as it is known.

    "2003 Sep 15", "1948/07//", "20071115", "2014-05-02" and "4 March 2011" are parsed; a range or a
    season ("1998 Dec-1999 Jan", "2020 Spring") gives its first year; empty without a year.
    """
    text = text.strip()
    if not text:
        return {}
    match = _COMPACT.fullmatch(text) or _DATE.fullmatch(text) or _RIS_DATE.fullmatch(text)
    date = iso_date(match[1], match[2] or "", match[3] or "") if match else ""
    if not date and (written := _WRITTEN_DATE.fullmatch(text)):  # "4 March 2011", "Mar 4, 2011"
        date = iso_date(written[4], written[2], written[1] or written[3] or "")
    date = date or iso_date(text[:200])
    return {"year": int(date[:4]), "date": date} if date else {}


def best_date(texts: Iterable[str]) -> dict[str, Any]:
    """As `dated`, of several texts: the year of the first that has one, and the most exact date in
    this year."""
    found = [date for date in map(dated, texts) if date]
    same = [date for date in found if date["year"] == found[0]["year"]]
    return max(same, key=lambda date: len(date["date"]), default={})


@lru_cache(maxsize=4096)
def iso_date(year: str, month: str = "", day: str = "") -> str:
    """ISO 8601, as exact as the parts are usable; empty without a year from 1400 to 2199, the first
    within `year`; month as a number or an English name."""
    found = _YEAR.search(year)
    if found is None:
        return ""
    month = month.strip()
    number = _MONTHS.get(month[:3].lower(), 0)
    if month.isdecimal() and month.isascii() and len(month) <= 2:
        number = int(month)
    if not 1 <= number <= 12:
        return found[0]
    try:
        return datetime.date(int(found[0]), number, int(day)).isoformat()
    except ValueError:  # no day, or none that the month has
        return f"{found[0]}-{number:02}"


def document_year(metadata: Mapping[str, Any]) -> int | None:
    """The year of publication, from a year or the first year within a date; or None."""
    for text in _texts(metadata, "year", *_DATE_KEYS):
        if year := _YEAR.search(text):
            return int(year[0])
    return None


def document_date(metadata: Mapping[str, Any]) -> str | None:
    """The date of publication in ISO 8601, as exact as it is known; or None. It is in
    `document_year`: dates of other years (of the first version online) are skipped."""
    year = document_year(metadata)
    if year is None:
        return None
    for text in _texts(metadata, *_DATE_KEYS):
        date = str(dated(text).get("date", ""))
        if date.startswith(str(year)):
            return date
    return str(year)


def _texts(metadata: Mapping[str, Any], *keys: str) -> list[str]:
    return [str(value) for key in keys if type(value := metadata.get(key)) in (int, str)]


def without_markup(text: str) -> str:
    """`text` without the elements and entities of HTML, JATS and MathML, on one line; superscripts
    as in `superscripts`."""
    # Entities first, so that "10<sup>&minus;3</sup>" is a power.
    for _ in range(_MARKED_TWICE):
        if "&" not in text:
            break
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "<" in text:
        text = _ABSTRACT_TITLE.sub(" ", text)
        text = _SUPERSCRIPT.sub(r"<\1sup>", _SUBSCRIPT.sub(r"<\1sub>", text))
        text = _INLINE.sub("", scripts_on_line(_BLOCK.sub(" ", text)))
    return plain(text)


def said(text: str, notices: re.Pattern[str] = _NO_TITLE) -> str:
    """`text`, a title, or "" where it says nothing: no letter and no digit, or a notice that there
    is none."""
    if len(text) <= _LONGEST_NOTICE:
        shown = without_markup(text) if "<" in text or "&" in text else text.strip()
        return text if _LETTER.search(shown) and not notices.fullmatch(shown) else ""
    return text if _LETTER.search(text) else ""


def without_notices(text: str) -> str:
    """An abstract without its heading and what a database or publisher says of the rights to it."""
    return _BOILERPLATE.sub("", text).strip() if any(map(text.__contains__, _SIGNS)) else text


def abstract_of(paragraphs: Iterable[str]) -> str:
    """The text of the paragraphs of an abstract, each once: not those that another one holds or
    continues, and no notice that there is none."""
    kept: list[str] = []
    for text in map(str.strip, map(without_notices, paragraphs)):
        letters = text.rstrip(_CUT_OFF).casefold()
        if not letters or not said(text, _NO_ABSTRACT):
            continue
        if any(letters in other.casefold() for other in kept):
            continue
        kept = [other for other in kept if other.rstrip(_CUT_OFF).casefold() not in letters]
        kept.append(text)
    return " ".join(kept)


def page_range(first: str, last: str = "") -> str:
    """Pages as "1-9" from a first and a last page, of which the first may be the whole range."""
    first, last = (_DASHES.sub("-", _PAGES.sub("", page.strip())) for page in (first, last))
    first, last = (_NO_PAGES.sub("", page) for page in (first, last))
    if "-" in first:
        first, _, last = first.partition("-")
    return "-".join(distinct([first.strip(), last.strip()]))


def bare_number(text: str) -> str:
    """The volume or issue of "v. 40" or "No. 3"; "" for "NA"."""
    return _NUMBER_LABEL.sub("", text)


def isbn_of(text: str) -> str:
    """The first ISBN within `text`, as written, or ""."""
    found = _ISBN.search(text)
    return found[0] if found else ""


def mesh_of(headings: Iterable[str]) -> dict[str, list[str]]:
    """The MeSH fields of headings as MEDLINE writes them: "Asthma/genetics/*therapy". A heading is
    major if it or one of its qualifiers has a star."""
    names: dict[str, bool] = {}
    qualified: list[str] = []
    for heading in headings:
        written, *qualifiers = map(str.strip, heading.split("/"))
        name = written.lstrip("*")
        names[name] = names.get(name, False) or "*" in heading
        qualified += [f"{name}/{one.lstrip('*')}" for one in qualifiers if one.lstrip("*")]
    return {
        "mesh": distinct(names),
        "mesh_major": distinct(name for name, major in names.items() if major),
        "mesh_qualifiers": distinct(qualified),
    }


def accessions(numbers: Iterable[str]) -> dict[str, list[str]]:
    """`trials` and `databanks` of accession numbers as MEDLINE writes them:
    "ClinicalTrials.gov/NCT00000419", "GENBANK/AF123456"."""
    found: dict[str, list[str]] = {"trials": [], "databanks": []}
    for number in numbers:
        bank, _, rest = number.partition("/")
        trials = trials_of(number)
        if not trials and rest and _TRIAL_BANKS.match(bank.strip()):
            trials = [rest.strip()]
        found["trials" if trials else "databanks"] += trials or [number]
    return {name: distinct(numbers) for name, numbers in found.items()}


def correction(kind: str, source: str, pmid: str = "") -> str:
    """A link between a work and its retraction, correction or expression of concern: "Retraction
    in PMID 123: Lancet. 2010;375:445"; empty for another kind (comments, citations).

    kind: PubMed's RefType, MEDLINE's tag, the type of Europe PMC or of JATS; source: where the
    other one appeared, at whose end a PMID may be ("PMID: 123").
    """
    words = _CORRECTIONS.get(_letters(kind))
    if words is None:
        return ""
    written = _LAST_PMID.search(source)
    if written:
        source, pmid = source[: written.start()], pmid or written[1]
    named = f"{words} PMID {pmid}" if pmid else words
    source = " ".join(source.split()).rstrip(".;")
    return named if not source else f"{named}: {source}"


def corrections_in(notes: Iterable[str]) -> list[str]:
    """The links of `correction` that notes name: "Erratum in: Lancet. 2010; Retraction in: ..."."""
    return distinct(
        correction(kind, source) for note in notes for kind, source in _LINKED.findall(note)
    )


def is_retracted(metadata: Mapping[str, Any]) -> bool:
    """Whether a work was retracted, by its types, the notices that it names, or a column that says
    so."""
    if _RETRACTING.isdisjoint(metadata):
        return False
    if str(metadata.get("retracted", metadata.get("is_retracted"))).casefold() in _YES:
        return True
    types, notices = (metadata.get(name) or () for name in ("types", "corrections"))
    return any(_letters(str(kind)) in _RETRACTED_TYPES for kind in _each(types)) or any(
        str(notice).startswith(_RETRACTED) for notice in _each(notices)
    )


def warning_of(metadata: Mapping[str, Any]) -> str:
    """What a reader must know before the title: RETRACTED, PARTLY RETRACTED, EXPRESSION OF CONCERN,
    or nothing."""
    if is_retracted(metadata):
        return "RETRACTED"
    notices = [str(one) for one in _each(metadata.get("corrections") or ())]
    for start, said in _WARNINGS.items():
        if any(one.startswith(start) for one in notices):
            return said
    return ""


def _letters(kind: str) -> str:
    return "".join(filter(str.isalpha, kind)).lower()


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def distinct(values: Iterable[str]) -> list[str]:
    """The values that are not empty, each once, in order."""
    return list(dict.fromkeys(filter(None, values)))


def fields_of(table: Mapping[str, str], texts: Callable[[str], Iterable[str]]) -> dict[str, Any]:
    """The fields of a table from names to places, which blanks part; `texts` gives the texts of a
    place. A field in `LISTS` has all its texts, another one the first that is not empty."""
    fields: dict[str, Any] = {}
    for name, places in table.items():
        found = (text for place in places.split() for text in texts(place))
        fields[name] = distinct(found) if name in LISTS else next(filter(None, found), "")
    return fields


def work_document(
    fields: Mapping[str, Any], title: str, text: str, accession: str = "", database: str = ""
) -> Document:
    """The document of a bibliographic record, with the id of `identity.identify`. The number of a
    trial is that of a registration: what has authors and a journal only names it."""
    title, text = said(title), said(without_notices(text), _NO_ABSTRACT)
    is_paper = fields.get("authors") and fields.get("journal")
    trials = trials_of(accession) if is_paper else []
    if trials and not REGISTRY.search(f"{fields['journal']} {database}"):
        fields = {**fields, "trials": distinct([*(fields.get("trials") or ()), *trials])}
        accession = ""
    return document(identify(fields, title, text, accession, database), title, text, fields)


def document(
    identity: str, title: str, text: str, metadata: Mapping[str, Any], called: str = "the record"
) -> Document:
    """Make a document, without empty metadata and what only says that there is no title or text.
    Raises RecordFault without both."""
    title, text = powers_on_line(said(title)), powers_on_line(said(text, _NO_ABSTRACT))
    if _RETRACTED_TITLE.match(title) and not is_retracted(metadata):
        types, links = (list(_each(metadata.get(name) or ())) for name in ("types", "corrections"))
        # Some notices have the title of the work.
        if not any("retraction of" in str(one).casefold() for one in (*types, *links)):
            metadata = {**metadata, "types": [*types, "Retracted Publication"]}
    named = _REGISTRATION.findall(text) if "registration" in text.lower() else ()
    if registered := [number for part in named for number in trials_of(part)]:
        metadata = {**metadata, "trials": distinct([*metadata.get("trials", ()), *registered])}
    if not title and not text:
        raise RecordFault(f"{called} has neither a title nor an abstract")
    held = {name: value for name, value in metadata.items() if value not in (None, "", [])}
    return Document(identity, title, text, held)


def document_pmid(document: Document, ids: str | None = None) -> str | None:
    """The PMID of a document, or None. ids: the kind of ids in its index, such as `pmid`; a number
    is a PMID only where the corpus says so, since SciFact's ids look like PMIDs."""
    named = (value for key, value in document.metadata.items() if str(key).lower() == "pmid")
    for value in (*named, document.id if ids == "pmid" else None):
        text = str(value).strip() if type(value) in (str, int) else ""
        if _PMID.fullmatch(text):
            return text
    return None


def document_url(document: Document, ids: str | None = None) -> str | None:
    """The page of a document, or None. ids: as in `document_pmid`."""
    known = {str(key).lower(): value for key, value in document.metadata.items()}
    if own := _web_address(known.get("url")):
        return own
    pmcs = (known.get("pmcid"), known.get("pmc"), document.id)
    for page, pattern, values in (
        ("https://pubmed.ncbi.nlm.nih.gov/{}/", _PMID, (document_pmid(document, ids),)),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC{}/", _PMC, pmcs),
        ("https://doi.org/{}", _DOI_URL, (known.get("doi"),)),
        ("https://arxiv.org/abs/{}", _ARXIV, (known.get("arxiv"), known.get("arxiv_id"))),
    ):
        for value in values:
            text = value if isinstance(value, str) else str(value) if type(value) is int else ""
            if found := pattern.fullmatch(text.strip()):
                return page.format(quote(found[1], safe="/:;()._-"))
    return None


def _web_address(value: Any) -> str | None:
    """`value` if it is an http or https address of printable ASCII without blanks."""
    if not isinstance(value, str) or len(value) > 2_000 or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    printable = value.isascii() and value.isprintable()
    named = parts.scheme in ("http", "https") and parts.hostname
    return value if printable and named else None
