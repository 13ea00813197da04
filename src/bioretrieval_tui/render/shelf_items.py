"""The reader's shelf: what can be marked, a sheet of marks, their place on pages, files of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.documents.bibliography import document_url, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import shelf_keys
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.paths import file_errors
from bioretrieval_tui.render.citation import Citation, citable, cite_entry, hit_citations
from bioretrieval_tui.render.formats import CITED, format_of, render, save_text
from bioretrieval_tui.render.markdown import escape, link
from bioretrieval_tui.render.page import Fact, Group, Page, fact, paragraphs
from bioretrieval_tui.render.sheet import Sheet, Shown, column, one_line, sheet_of, shortened
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.shelf import STAR, Change, Shelf, ShelfMark, merged, status_of, tags_of
from bioretrieval_tui.terminal.clean import safe_url

_MOST_BYTES = 2**28
_MOST_AUTHORS = 6
_OURS = re.compile(rb'\A\s*\[\s*(?:\]|\{.{0,5000}?"keys"\s*:\s*\[)', re.DOTALL)
_KEY = re.compile(r"(?:entry:|pmid:[1-9]\d*$|doi:10\.|text:[0-9a-f]{32}$)\S*")
_SECTIONS = {"reading": "Reading", "to read": "To read", "read": "Read", "": "Others"}


# What can be marked ---------------------------------------------------------------------------


def entry_mark(entry: AnyEntry) -> ShelfMark:
    """An entry of the catalogue as a thing to mark."""
    url = next((safe_url(one.url) for one in entry.links), None)
    title = getattr(entry, "title", None) or entry.name
    return ShelfMark(keys=(f"entry:{entry.id}",), kind=kind_of(entry), title=title, year=entry.year,
                url=url)  # fmt: skip


def document_mark(document: Document, url: str | None = None) -> ShelfMark:
    """A document as a thing to mark, with what shows and cites it. Raises UsageError: it has
    neither an identifier nor a text."""
    keys = shelf_keys(document)
    if not keys:
        raise UsageError("a document without PMID, DOI and text cannot be kept")
    about = {"id": document.id, "text": document.text, "metadata": dict(document.metadata)}
    return ShelfMark(
        keys=keys,
        title=document.title or shortened(document.text),
        year=document_year(document.metadata),
        url=url or document_url(document),
        about=about,
    )


def document_of(hit: Hit) -> Document:
    return Document(hit.id, hit.title, hit.text, hit.metadata)


def hit_mark(hit: Hit, catalogue: Catalogue) -> ShelfMark:
    """A hit as a thing to mark: one of the catalogue is its entry."""
    entry = catalogue.by_id.get(hit.id) if hit.index == CATALOGUE else None
    return entry_mark(entry) if entry else document_mark(document_of(hit), hit.url)


def hit_of(mark: ShelfMark, about: dict[str, Any] | None = None) -> Hit:
    """A marked document as a hit, to show and cite it where its index is gone."""
    known = about or mark.about
    text = str(known.get("text") or "")
    return Hit(1, str(known.get("id") or mark.key), mark.title, text, mark.year, mark.url, 0.0,
               metadata=_metadata(known))  # fmt: skip


def _metadata(about: dict[str, Any]) -> dict[str, Any]:
    found = about.get("metadata")
    return found if isinstance(found, dict) else {}  # a file that was imported may hold anything


# Lists and pages ------------------------------------------------------------------------------


def mark_facts(mark: ShelfMark) -> tuple[Fact, ...]:
    """What was noted, as facts: star, status and tags on a line, the note below."""
    tags = ["tags " + ", ".join(map(one_line, mark.tags))] if mark.tags else []
    noted = ", ".join(filter(None, ("starred" if mark.starred else "", mark.status, *tags)))
    facts = [fact("shelf", noted, role="ok")] if noted else []
    if mark.note:
        facts.append(Fact("note", paragraphs(mark.note), listed="\n" in mark.note))
    return tuple(facts)


def with_mark(page: Page, mark: ShelfMark | None) -> Page:
    """The page with what was noted of it above all else."""
    if mark is None or not mark.kept:
        return page
    return replace(page, sections=(Group("", mark_facts(mark)), *page.sections))


_COLUMNS = (
    column("starred", STAR, lambda mark: Shown(mark.starred, STAR if mark.starred else ""),
           min_width=1),
    column("status", min_width=7),
    column("kind", min_width=8),
    column("title", make=lambda mark: Shown(mark.title, one_line(mark.title) or mark.key, mark.url),
           weight=5, min_width=20),
    column("year", align="right"),
    column("tags", make=lambda mark: ", ".join(mark.tags), weight=2, min_width=6),
    column("note", make=lambda mark: Shown(mark.note, shortened(mark.note)), weight=3,
           min_width=10),
    column("id", make=lambda mark: mark.entry or mark.key, min_width=10),
    column("url", data_only=True),
    column("added", data_only=True),
    column("changed", data_only=True),
)  # fmt: skip


def shelf_sheet(marks: Sequence[ShelfMark], catalogue: Catalogue) -> Sheet:
    """Marks in their order. Records hold all that `shelf import` needs, if the marks have `about`;
    citations are of entries that still are, and of documents."""
    citations: list[Citation] = []
    for mark in marks:
        entry = catalogue.by_id.get(mark.entry)
        if entry is not None:
            citations += [cite_entry(entry)] if citable(entry) else []
        elif not mark.entry:
            citations += hit_citations([hit_of(mark)])
    return sheet_of("Shelf", _COLUMNS, marks, msgspec.to_builtins, citations)


def reading_list(marks: Sequence[ShelfMark]) -> Iterator[str]:
    """The marks as a list in Markdown: a heading a status, a work an item, its note below."""
    yield "# Reading list\n"
    for status, heading in _SECTIONS.items():
        held = [mark for mark in marks if mark.status == status]
        if held:
            yield f"\n## {heading}\n\n"
        for mark in held:
            address = safe_url(mark.url) if mark.url else None
            known = _metadata(mark.about)
            people = known.get("authors")
            names = list(map(str, people)) if isinstance(people, list) else []
            more = [" et al."] if len(names) > _MOST_AUTHORS else []
            authors = ", ".join(names[:_MOST_AUTHORS]) + "".join(more)
            told = (authors, str(known.get("journal") or ""), str(mark.year or ""), mark.entry)
            tags = " ".join(f"#{'-'.join(tag.split())}" for tag in mark.tags)
            star = f"{STAR} " if mark.starred else ""
            yield f"- {star}**{link(one_line(mark.title) or mark.key, address)}**\n"
            for part in (escape(", ".join(filter(None, told))), escape(tags).lstrip("\\")):
                yield f"  {part}\n" if part else ""
            if mark.note:
                lines = (escape(line) for line in mark.note.splitlines())
                yield "\n" + "".join(f"  > {line}\n" for line in lines)


# Files ----------------------------------------------------------------------------------------


def save_shelf(path: Path, marks: Sequence[ShelfMark], catalogue: Catalogue) -> Path:
    """Write marks to a file, whose extension chooses the format: Markdown is a reading list, JSON
    can be imported again. Raises UsageError, BioRetrievalError."""
    chosen = format_of(path)
    sheet = shelf_sheet(marks, catalogue)
    text = "".join(reading_list(marks) if chosen == "markdown" else render(sheet, chosen))
    if not text.strip() or (chosen in CITED and not sheet.citations):
        raise BioRetrievalError("none of these can be cited", remedy="export them as .json or .md")
    return save_text(path, text)


def read_shelf(
    path: Path, shelf: Shelf, status: str, remark: Callable[[str], object]
) -> list[tuple[ShelfMark, Change]]:
    """The changes that put what a file holds on a shelf: an export of one, or works of any format
    that indexes are built from, which get a status if they are new. A work without PMID and DOI
    is the one of its title and year. remark: hears of records that are left out. Raises
    BioRetrievalError: the file cannot be read; the line names its place."""
    with file_errors(f"{path} cannot be read"), path.open("rb") as file:
        data = file.read(_MOST_BYTES)
    if _OURS.match(data):
        return [(mark, merged(mark)) for mark in _exported(path, data)]
    from bioretrieval_tui.documents.detect import items, recognise
    from bioretrieval_tui.documents.document import Record, Rejected
    from bioretrieval_tui.documents.source import ReadSettings, SourceReader

    def kept(mark: ShelfMark) -> ShelfMark:
        return mark if mark.kept else replace(mark, status=status)

    found: list[tuple[ShelfMark, Change]] = []
    titled = {(mark.title.casefold(), mark.year): mark for mark in shelf.marks}
    settings = ReadSettings()
    with SourceReader(path) as source:
        for item in items(source, recognise(source, settings), settings):
            if isinstance(item, Record):
                try:
                    mark = document_mark(item.document)
                    same = titled.get((mark.title.casefold(), mark.year))
                    unnamed = same is not None and mark.key.startswith("text:")
                    found.append((same if same and unnamed else mark, kept))
                except UsageError as error:
                    remark(f"{item.place}: {error.line()}")
            elif isinstance(item, Rejected):
                remark(str(item))
    return found


def _exported(path: Path, data: bytes) -> Iterator[ShelfMark]:
    try:
        marks = msgspec.json.decode(data, type=list[ShelfMark])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        remedy = "export the shelf again, or correct the file"
        raise BioRetrievalError(f"{path}: {error}", remedy=remedy) from error
    for number, mark in enumerate(marks):
        if not mark.keys or not all(map(_KEY.fullmatch, mark.keys)):
            said = f"{path}: $[{number}].keys: not the keys of a thing"
            raise BioRetrievalError(said, remedy="they are entry:ID, pmid:N, doi:D or text:HASH")
        try:
            yield replace(mark, status=status_of(mark.status), tags=tags_of(mark.tags))
        except UsageError as error:
            raise BioRetrievalError(f"{path}: $[{number}]: {error.message}",
                                    remedy=error.remedy) from error  # fmt: skip
