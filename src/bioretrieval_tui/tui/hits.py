"""Hits as rows of a table, and the reader's page of one, with the query's words marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.search.hits import Hit, Why
from bioretrieval_tui.tui.asked import View
from bioretrieval_tui.tui.highlight import marked
from bioretrieval_tui.tui.markdown import addresses, inline
from bioretrieval_tui.tui.pages import Page, entry_page
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.why import score_line, why_lines
from bioretrieval_tui.tui.widgets.table import Column

COLUMNS = (
    Column("rank", "#", 3, align="right", priority=2),
    Column("title", "Title", 24, 1, priority=0),
    Column("year", "Year", 4, priority=3),
    Column("score", "Score", 6, align="right", priority=1),
)
_AUTHORS = 6
"""People that a page names before it says how many there are."""


def beside_columns(title: str, other: str) -> tuple[Column, ...]:
    """The columns of one of two lists; `other` names the other one."""
    return (
        Column("rank", "#", 3, align="right", priority=2),
        Column("title", title, 18, 1, priority=0),
        Column("year", "Year", 4, priority=4),
        Column("other", other, 7, align="right", priority=1),
    )


class HitRows:
    """The hits of a view as rows of a table."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.hits = view.hits

    def __len__(self) -> int:
        return len(self.hits)

    def cells(self, index: int) -> list[Span]:
        """Rank, title (or the beginning of the text), year, score. An entry of the catalogue
        among documents has a mark for its rank."""
        hit = self.hits[index]
        near = self.view.is_near(index)
        return [
            Span("◆" if near else str(hit.rank), "paper" if near else "faint"),
            Span(f"catalogue: {_heading(hit)}" if near else _heading(hit), "strong"),
            Span(str(hit.year or ""), "dim"),
            Span(f"{hit.score:.3f}", "ok"),
        ]


class BesideRows:
    """One of two lists: each hit with its place in the other."""

    def __init__(self, hits: Sequence[Hit], other: Sequence[Hit]) -> None:
        self.hits = hits
        self.places = {hit.id: hit.rank for hit in other}

    def __len__(self) -> int:
        return len(self.hits)

    def cells(self, index: int) -> list[Span]:
        """Rank, title, year, rank in the other list; what stands in both stands out."""
        hit = self.hits[index]
        place = self.places.get(hit.id)
        return [
            Span(str(hit.rank), "faint"),
            Span(_heading(hit), "dim" if place is None else "strong"),
            Span(str(hit.year or ""), "dim"),
            Span("" if place is None else f"= {place}", "ok"),
        ]


def _heading(hit: Hit) -> str:
    return hit.title or hit.text[:200]


def hit_page(
    hit: Hit, wanted: Sequence[str], why: Why | None = None, *, scored: bool = True
) -> Page:
    """The reader's page of a document: the query's words and its nearest sentence are marked;
    `scored`: with what it was ordered by."""
    lines: list[Line] = []
    if hit.title:
        lines.append(line(*marked(hit.title, wanted, "strong")))
    lines += [line(Span(part, "dim")) for part in _bylines(hit)]
    lines += [score_line(hit, why)] if scored else []
    if hit.text:
        lines += [line(), *_text(hit.text, wanted, why.passage if why else None)]
    lead = len(lines)
    lines += why_lines(why)
    links: tuple[tuple[str, str], ...] = ()
    if hit.url:
        links = (("page", hit.url),)
        lines += [line(), line(Span("a page  ", "dim"), Span(hit.url, "link", hit.url), hang=2)]
    return Page(tuple(lines), links, lead=lead, links_at=len(lines) - 1)


def entry_hit_page(
    entry: AnyEntry, catalogue: Catalogue, hit: Hit, wanted: Sequence[str], why: Why | None
) -> Page:
    """An entry's page, with the query's words marked in its summary, and why it was found."""
    page = entry_page(entry, catalogue, away=True)
    lines = list(page.lines)
    lines[3] = line(*marked_spans(inline(entry.summary), wanted))
    lines += [line(), score_line(hit, why), *why_lines(why)]
    return replace(page, lines=tuple(lines))


def _bylines(hit: Hit) -> Iterator[str]:
    """People, where it appeared, and what it is called here; as far as that is known."""
    known = hit.metadata
    people = known.get("authors")
    if isinstance(people, list | tuple) and people:
        named = ", ".join(str(one) for one in people[:_AUTHORS])
        more = len(people) - _AUTHORS
        yield f"{named} and {more} more" if more > 0 else named
    journal = _word(known, "journal")
    issue = f"({_word(known, 'issue')})" if _word(known, "issue") else ""
    pages = f":{_word(known, 'pages')}" if _word(known, "pages") else ""
    where = f"{_word(known, 'volume')}{issue}{pages}" if journal else ""
    parts = [hit.id, journal, str(hit.year or ""), where]
    yield "  ".join(part for part in parts if part)


def _word(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _text(text: str, wanted: Sequence[str], passage: tuple[int, int] | None) -> Iterator[Line]:
    """The text, a line a paragraph; `passage` is (start, end) of the sentence to mark."""
    start, end = passage or (len(text), len(text))
    at = 0
    for part in text.splitlines(keepends=True):
        cut = [min(max(place - at, 0), len(part)) for place in (start, end)]
        before, inner, after = part[: cut[0]], part[cut[0] : cut[1]], part[cut[1] :]
        spans = [
            span
            for piece, role in ((before, "text"), (inner, "passage"), (after, "text"))
            for span in marked_spans(addresses(piece.rstrip("\r\n"), role), wanted)
        ]
        yield line(*spans)
        at += len(part)


def marked_spans(spans: Iterable[Span], wanted: Sequence[str]) -> Iterator[Span]:
    """The spans with the query's words marked, but not within addresses."""
    for span in spans:
        if span.url:
            yield span
        else:
            yield from marked(span.text, wanted, span.role)
