"""Reader of BibTeX and BibLaTeX. Entries are cut from the lines of a file by their braces, so that
a file may be of any size and a faulty entry costs no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from bioretrieval_tui.documents.bibliography import (
    abstract_of,
    best_date,
    distinct,
    isbn_of,
    page_range,
    plain,
    without_markup,
    work_document,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault, Skipped
from bioretrieval_tui.documents.identity import (
    doi_of,
    noted_identifiers,
    pmcid_in,
    pmid_of,
    pmids_in,
    trials_of,
)
from bioretrieval_tui.documents.latex import latex_text
from bioretrieval_tui.documents.person_names import (
    LONGEST_LIST,
    MOST_NAMES,
    is_group,
    listed_names,
    short_name,
)
from bioretrieval_tui.documents.readers.tagged import shows_lines
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    Format,
    ReadSettings,
    SourceReader,
    text_lines,
)
from bioretrieval_tui.documents.work_types import type_of

_OPENS = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
_OPENS_LINE = re.compile(r"[\ufeff\s]*@\s*[A-Za-z]+\s*[{(]")
_BRACES = {"}": re.compile(r"[{}]"), ")": re.compile(r"[{})]")}
_ENDS_VALUE = re.compile(r'[{}"]')
_NO_ENTRIES = ("comment", "preamble")
# A field of an entry whose first line is damaged.
_STRAY = re.compile(r"\s*(?:title|author)\s*=\s*[{\"]", re.IGNORECASE)
_KEY = re.compile(r"\s*([^,={}\"]*?)\s*,")
# Scopus writes "funding_text 1": an odd name is a field, which is not read.
_NAME = re.compile(r"[\s,]*([^=,{}\"\n]*?)\s*=\s*")
_FIELD_WITHIN = re.compile(r"\}\s*,\s*[A-Za-z][\w-]*\s*=\s*[{\"\w]")
_BARE = re.compile(r"[^\s,#{}\"=()]+")
_JOINED = re.compile(r"\s*#\s*")
_PARENTS = frozenset(
    "book collection proceedings mvbook mvcollection mvproceedings reference xdata".split()
)
_NOT_INHERITED = frozenset(
    "subtitle author doi url abstract keywords pages pmid pmcid crossref xdata note".split()
)
_MOST_WAITING = 100_000
"""Entries that wait for one which they refer to."""
_SHOWN = 40


@dataclass(slots=True)
class BibEntry:
    """An entry: its first line, type, key, and the values of its fields, whose names are in lower
    case. While it is read: `parts` of its text, the bracket that ends it, and open braces."""

    line: int
    kind: str = ""
    closing: str = ""
    parts: list[str] = field(default_factory=list)
    size: int = 0
    depth: int = 1
    fault: RecordFault | None = None
    key: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)

    def all(self, *names: str) -> list[str]:
        """The values of these fields, name by name, as written but on one line."""
        values = (plain(value) for name in names for value in self.fields.get(name, ()))
        return list(filter(None, values))

    def texts(self, *names: str) -> list[str]:
        """As `all`, without LaTeX and markup."""
        return list(filter(None, (readable_text(value) for value in self.all(*names))))

    def lined(self, *names: str) -> list[str]:
        """As `texts`, with the line ends of each value."""
        values = (value for name in names for value in self.fields.get(name, ()))
        return ["\n".join(map(readable_text, value.splitlines())) for value in values]

    def first(self, *names: str) -> str:
        return next(iter(self.texts(*names)), "")


def _records(
    source: SourceReader, _: ReadSettings
) -> Iterator[tuple[Place, BibEntry | RecordFault | Skipped]]:
    """Yield the entries of a file. Those that inherit from a later one come last."""
    macros: dict[str, str] = {}
    parents: dict[str, BibEntry] = {}
    waiting: list[BibEntry] = []
    for entry in _cut(source):
        place = Place(source.name, line=entry.line)
        if not entry.kind:
            yield place, Skipped(place, f"a field outside of an entry: {entry.parts[0]}")
        elif entry.kind not in _NO_ENTRIES:
            try:
                _parse(entry, macros)
            except RecordFault as fault:
                yield place, fault
                continue
            if entry.kind == "string":
                macros |= {name: values[0] for name, values in entry.fields.items()}
                continue
            if entry.kind in _PARENTS:
                parents.setdefault(entry.key.casefold(), entry)
            missing = [key for key in _referred(entry) if key not in parents]
            if missing and len(waiting) < _MOST_WAITING:
                waiting.append(entry)
            elif entry.kind != "xdata":
                yield place, _with_parents(entry, parents)
    for entry in waiting:
        yield Place(source.name, line=entry.line), _with_parents(entry, parents)


def _cut(source: SourceReader) -> Iterator[BibEntry]:
    """The entries of a file, each with its text; fields outside of any as entries without a type.

    A line that begins an entry ends one whose braces are open.
    """
    current: BibEntry | None = None
    for line in text_lines(source):
        text, at = line.text, 0
        if current and _OPENS_LINE.match(text):
            yield current
            current = None
        while at < len(text):
            if current is None:
                opened = _OPENS.search(text, at)
                if opened is None:
                    if _STRAY.match(text, at):
                        shown = plain(text[at : at + _SHOWN].replace("\0", " "))
                        yield BibEntry(line.number, parts=[shown])
                    break
                closing = "}" if opened[2] == "{" else ")"
                current = BibEntry(line.number, opened[1].lower(), closing)
                at = opened.end()
            end = _end(current, text, at)
            part = text[at:end]
            current.size += len(part)
            if line.fault is not None:
                current.fault = line.fault
            elif "\0" in part:
                current.fault = RecordFault("the record holds a NUL character")
            elif current.size > MAX_LINE_BYTES:
                most = f"{MAX_LINE_BYTES:,}"
                current.fault = RecordFault(f"the record is longer than {most} characters")
            if current.fault is not None:
                current.parts.clear()
            else:
                current.parts.append(part)
            if end is None:
                break
            yield current
            current, at = None, end + 1
    if current is not None:
        yield current


def _end(entry: BibEntry, text: str, at: int) -> int | None:
    """Where the entry ends within `text`, from `at`; counts its braces."""
    for match in _BRACES[entry.closing].finditer(text, at):
        if match[0] == ")" and entry.depth > 1:
            continue
        entry.depth += 1 if match[0] == "{" else -1
        if entry.depth == 0:
            return match.start()
    return None


def _parse(entry: BibEntry, macros: dict[str, str]) -> None:
    """Find key and fields within the text of an entry. Raises RecordFault, with the line."""
    if entry.fault is not None:
        raise entry.fault
    try:
        _find_fields(entry, macros)
    except RecordFault as fault:
        if entry.depth == 0:
            raise
        what = f"the entry does not end: a brace is open; {fault.reason}"
        raise RecordFault(what) from fault


def _find_fields(entry: BibEntry, macros: dict[str, str]) -> None:
    text, at = "".join(entry.parts), 0
    entry.parts.clear()
    if entry.kind != "string" and (key := _KEY.match(text)):
        entry.key, at = key[1], key.end()
    while name := _NAME.match(text, at):
        value, at = _value(entry, text, name.end(), macros)
        if entry.depth and _FIELD_WITHIN.search(value):
            raise _fault_at(entry, text, name.start(1), f"a value without an end: {name[1]}")
        entry.fields.setdefault(name[1].lower(), []).append(value)
    rest = text[at:].strip(" \t\r\n,")
    if rest:
        raise _fault_at(entry, text, text.index(rest, at), f"no field: {plain(rest[:_SHOWN])}")


def _fault_at(entry: BibEntry, text: str, at: int, what: str) -> RecordFault:
    return RecordFault(f"line {entry.line + text.count(chr(10), 0, at)} of the file is {what}")


def _value(entry: BibEntry, text: str, at: int, macros: dict[str, str]) -> tuple[str, int]:
    """The value at a place, and where it ends: parts in braces, in quotes, or bare (numbers and
    macros), joined by `#`."""
    parts: list[str] = []
    while True:
        if text[at : at + 1] in ("{", '"'):
            end = _end_of_part(text, at)
            if end is None:
                raise _fault_at(entry, text, at, "a value without an end")
            parts.append(text[at + 1 : end])
            at = end + 1
        elif bare := _BARE.match(text, at):
            parts.append(macros.get(bare[0].lower(), bare[0]))
            at = bare.end()
        joined = _JOINED.match(text, at)
        if joined is None:
            return "".join(parts), at
        at = joined.end()


def _end_of_part(text: str, at: int) -> int | None:
    """Where the part of a value ends that the brace or quote at `at` opens."""
    depth, quoted = 0, text[at] == '"'
    for match in _ENDS_VALUE.finditer(text, at + 1):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            if depth == 0:
                return None if quoted else match.start()
            depth -= 1
        elif quoted and depth == 0:
            return match.start()
    return None


def _referred(entry: BibEntry) -> list[str]:
    keys = ",".join(entry.all("crossref", "xdata")).split(",")
    return [key.strip().casefold() for key in keys if key.strip()]


def _with_parents(entry: BibEntry, parents: dict[str, BibEntry]) -> BibEntry:
    """The entry with the fields that it inherits: those that it has not itself."""
    for key in _referred(entry):
        parent = parents.get(key)
        for name, values in parent.fields.items() if parent else ():
            if parent and parent.kind == "xdata":
                entry.fields.setdefault(name, values)
            elif name not in _NOT_INHERITED:
                entry.fields.setdefault("booktitle" if name == "title" else name, values)
    return entry


# Fields.

_TYPES = {
    "article": "Journal Article", "book": "Book", "mvbook": "Book", "booklet": "Book",
    "collection": "Book", "inbook": "Book Chapter", "incollection": "Book Chapter",
    "bookinbook": "Book Chapter", "suppbook": "Book Chapter", "inreference": "Book Chapter",
    "inproceedings": "Conference Paper", "conference": "Conference Paper",
    "proceedings": "Conference Proceedings", "phdthesis": "Thesis", "mastersthesis": "Thesis",
    "thesis": "Thesis", "techreport": "Report", "report": "Report", "unpublished": "Preprint",
    "preprint": "Preprint", "online": "Webpage", "electronic": "Webpage", "www": "Webpage",
    "dataset": "Dataset", "patent": "Patent", "misc": "",
}  # fmt: skip
_PARTS = ("Book Chapter", "Conference Paper")
# Many a program has a function that is called so, but no key and comma behind it.
_HEAD = re.compile(
    rf"^[\ufeff\s]*@\s*(?:(?:{'|'.join(_TYPES)})\s*[{{(]\s*(?:[^\s,{{}}()\"=]*\s*,|\w+\s*=\s*[{{\"])"
    r"|string\s*[{(]\s*[\w-]+\s*=|(?:comment|preamble)\s*\{)",
    re.MULTILINE | re.IGNORECASE,
)
_ALL_IN_BRACES = re.compile(r"\{[^{},]+,(?:[^{}]|\{[^{}]*\})*\sand\s(?:[^{}]|\{[^{}]*\})*\}")
_AND = re.compile(r"\band\b|[{}]", re.IGNORECASE)
_WORD = re.compile(r"(?:\{(?:[^{}]|\{[^{}]*\})*\}|\\.|[^\s{}\\])+")
_MEDLINE_INITIALS = re.compile(r"(?:[^\W\d_a-z]\.?-?){1,3}")
_ESCAPED = re.compile(r"\{?\\([&%_#~$])\}?")
_URL = re.compile(r"https?://[^\s{}]+")
_EID = re.compile(r"\beid=(2-s2\.0-\d+)", re.IGNORECASE)
_NOTES = ("note", "annote", "annotation", "addendum", "eprint", "howpublished")


def readable_text(value: str) -> str:
    """A value without LaTeX and markup, on one line."""
    return without_markup(latex_text(value))


def _document(entry: BibEntry) -> Document:
    """The id follows the rule of `identity`; citation keys are no ids."""
    first = entry.first
    kind = _TYPES.get(entry.kind, entry.kind)
    given = [type_of(one) for one in entry.texts("type", "document_type") if len(one) < _SHOWN]
    given = [one for one in given if one != "Journal Article"]
    title = ": ".join(filter(None, (first("title", "booktitle"), first("subtitle"))))
    text = abstract_of(entry.texts("abstract"))
    noted = noted_identifiers(entry.lined(*_NOTES))
    links = [_ESCAPED.sub(r"\1", value) for value in entry.all("url", "ee", "link")]
    urls = [url for link in links for url in _URL.findall(link)]
    archive = first("archiveprefix", "eprinttype").casefold()
    eprint = first("eprint")
    numbered = [*entry.texts("pmid", "pubmed_id"), eprint if archive in ("pubmed", "pmid") else ""]
    pmids = [*filter(None, map(pmid_of, numbered)), *pmids_in(" ".join(urls))]
    dois = map(doi_of, [*entry.texts("doi"), *urls])
    within = first("booktitle", "maintitle")
    fields = {
        "authors": names_of(entry.all("author")),
        "editors": names_of(entry.all("editor")),
        "journal": first("journal", "journaltitle", "fjournal", "shortjournal"),
        "book": within if kind in _PARTS else "",
        **_dated(entry),
        "doi": next(filter(None, dois), noted["doi"]),
        "pmid": next(iter(pmids), noted["pmid"]),
        "pmcid": pmcid_in(" ".join([*entry.texts("pmcid", "pmc"), *urls])) or noted["pmcid"],
        "arxiv": eprint if archive == "arxiv" else "",
        "url": next(iter(urls), None),
        "language": distinct(entry.texts("language", "langid")),
        "types": distinct([kind, *given]),
        "keywords": _keywords(entry),
        "affiliations": distinct(entry.texts("affiliation", "affiliations")),
        "trials": trials_of(" ".join(entry.texts(*_NOTES, "keywords"))),
        "volume": first("volume"),
        "issue": first("number", "issue"),
        "pages": page_range(first("pages")) or first("eid", "article-number", "art_number"),
    }
    if kind != "Journal Article":
        owner = first("school", "institution", "publisher", "organization")
        fields["school" if kind == "Thesis" else "publisher"] = owner
        fields["place"] = first("address", "location")
        fields["isbn"] = isbn_of(first("isbn"))
    accession = first("unique-id") or next(iter(_EID.findall(" ".join(urls))), "")
    return work_document(fields, title, text, accession)


def _dated(entry: BibEntry) -> dict[str, object]:
    year, month, day = (entry.first(name) for name in ("year", "month", "day"))
    return best_date([*entry.texts("date"), f"{year} {month} {day}".strip(), year])


def _keywords(entry: BibEntry) -> list[str]:
    """Keywords between semicolons, else between commas."""
    values = entry.texts("keywords", "keyword", "author_keywords", "keywords-plus")
    between = [";" if ";" in value else "," for value in values]
    words = (
        word for value, sign in zip(values, between, strict=True) for word in value.split(sign)
    )
    return distinct(word.strip(" *") for word in words)


def names_of(values: list[str]) -> list[str]:
    """Persons and groups of BibTeX: "von Last, Jr, First and First von Last and {A Group}"."""
    names = (name.strip() for value in values for name in _each_name(value[:LONGEST_LIST]))
    parted = (one for name in names for one in ([name] if "{" in name else listed_names(name)))
    return list(islice(filter(None, map(_name, filter(str.strip, parted))), MOST_NAMES))


def _each_name(value: str) -> Iterator[str]:
    """The parts between the word "and" outside of braces, unless these are around all names."""
    if _ALL_IN_BRACES.fullmatch(value):
        value = value[1:-1]
    depth = start = 0
    for match in _AND.finditer(value):
        if match[0] in "{}":
            depth += 1 if match[0] == "{" else -1
        elif depth == 0:
            yield value[start : match.start()]
            start = match.end()
    yield value[start:]


def _name(name: str) -> str:
    """A name in PubMed's form. Braces hold words together, and a whole group."""
    words = list(map(readable_text, _WORD.findall(name)))
    whole = readable_text(name)
    if whole.casefold() == "others":
        return ""
    if "," in name or len(words) < 2 or is_group(whole):
        return short_name(whole)
    if _MEDLINE_INITIALS.fullmatch(words[-1]) and not words[0].isupper():
        return short_name(whole)  # "Miller AB", as from PubMed
    family = next((at for at, word in enumerate(words) if at and word[:1].islower()), -1)
    return short_name(f"{' '.join(words[family:])}, {' '.join(words[:family])}")


_shows = partial(shows_lines, _HEAD, most_above=12)
BIBTEX = Format("bibtex", (".bib", ".bibtex"), _shows, _records, _document)
