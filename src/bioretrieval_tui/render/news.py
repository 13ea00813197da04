"""News of watches: a sheet for every format, the page of one record, and the daily digest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from bioretrieval_tui.online.spool import SERVICE_NAMES
from bioretrieval_tui.online.watches import News
from bioretrieval_tui.render.markdown import escape, link
from bioretrieval_tui.render.page import Group, Inline, Page, Prose, fact, facts, paragraphs, text
from bioretrieval_tui.render.sheet import (
    Cell,
    Sheet,
    Shown,
    column,
    linked,
    one_line,
    sheet_of,
    shortened,
)
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.util.formatting import plural

_AUTHORS = 3
_ABSTRACT = 600


class Part(Struct, frozen=True):
    """News of one watch. note: a caution (an incomplete run, an unknown word), or None."""

    watch: str
    query: str
    source: str
    items: Sequence[News]
    note: str | None = None


def _heading(item: News) -> Cell:
    heading = item.title or shortened(item.text, 80)
    return linked(heading, item.url) if item.url else heading


def _nearness(item: News) -> Cell:
    return None if item.score is None else Shown(item.score, f"{item.score:.2f}")


# Each row is a pair: the part of the watch, and the record.
_COLUMNS = (
    column("watch", make=lambda row: row[0].watch, min_width=8),
    column("unread", "new", lambda row: Shown(not row[1].read, "" if row[1].read else "new"),
           min_width=3),
    column("score", "near", lambda row: _nearness(row[1]), align="right"),
    column("title", make=lambda row: _heading(row[1]), weight=5, min_width=24),
    column("journal", make=lambda row: row[1].journal, weight=2, min_width=10),
    column("date", make=lambda row: row[1].date or row[1].year, min_width=10),
    column("id", make=lambda row: row[1].id, min_width=8),
    column("found", make=lambda row: row[1].found, data_only=True),
    column("url", make=lambda row: row[1].url, data_only=True),
)  # fmt: skip
_RECORD = ("id", "title", "text", "authors", "journal", "date", "year", "url", "score", "found",
           "read")  # fmt: skip


def news_sheet(parts: Sequence[Part], *, title: str = "News") -> Sheet:
    """News of all parts in their order, a row each."""
    pairs = [(part, item) for part in parts for item in part.items]
    return sheet_of(title, _COLUMNS, pairs, _record)


def _record(pair: tuple[Part, News]) -> dict[str, Any]:
    part, item = pair
    about = {"watch": part.watch, "query": part.query, "source": part.source}
    return about | {name: getattr(item, name) for name in _RECORD}


def digest(parts: Sequence[Part], *, day: str) -> Iterator[str]:
    """The news as one markdown page: a heading a watch, an item a record, nearest first."""
    total = sum(len(part.items) for part in parts)
    yield f"# News of {day}\n\n"
    watched = "1 watch" if len(parts) == 1 else f"{len(parts)} watches"
    yield f"{plural(total, 'new record')} of {watched}.\n"
    for part in parts:
        yield f"\n## {escape(part.query)}\n\n"
        yield f"{escape(part.source)}, watch {escape(part.watch)}: {len(part.items):,} new\n"
        if part.note:
            yield f"\n{escape(part.note)}\n"
        for number, item in enumerate(part.items, 1):
            address = safe_url(item.url) if item.url else None
            yield f"\n{number}. **{link(one_line(item.title) or item.id, address)}**\n"
            told = [f"nearness {value}" if label == "nearness" else value
                    for label, value in item_facts(item)]  # fmt: skip
            # Indented lines belong to the item.
            yield f"   {escape(', '.join(told))}\n"
            if item.text:
                yield f"\n   {escape(shortened(item.text, _ABSTRACT))}\n"


def item_facts(item: News) -> list[tuple[str, str]]:
    """The facts of a record other than title and text: (label, value), in order."""
    authors = ", ".join(item.authors[:_AUTHORS])
    authors += " et al." if len(item.authors) > _AUTHORS else ""
    told = [
        ("authors", authors),
        ("journal", item.journal or ""),
        ("date", item.date or str(item.year or "")),
        ("id", item.id),
        ("nearness", "" if item.score is None else f"{item.score:.2f}"),
    ]
    return [(label, value) for label, value in told if value]


def news_page(part: Part, item: News) -> Page:
    """The page of one record of a watch."""
    services = (name for source, name in SERVICE_NAMES.items() if source == part.source)
    found = (("watch", part.watch), ("found", f"{item.found[:16].replace('T', ' ')} UTC"),
             ("query", part.query), ("last run", part.note or ""))  # fmt: skip
    address = safe_url(item.url) if item.url else None
    link_to = (fact("page", Inline(address, "link", address)),) if address else ()
    return Page(
        item.title or item.id,
        kind="paper",
        byline=tuple(map(text, services)),
        sections=(
            Group("", facts(item_facts(item), role="dim")),
            Prose("", paragraphs(item.text) or (text("No abstract.", role="faint"),)),
            Group("", facts(found, role="dim")),
            Group("", link_to, "links"),
        ),
    )
