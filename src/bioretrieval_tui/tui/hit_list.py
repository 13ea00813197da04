"""Hits and facets as rows of tables, and the page of a hit with the query's words marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bioretrieval_tui.catalog.entries import AnyEntry
from bioretrieval_tui.catalog.view import Catalogue
from bioretrieval_tui.search.hits import Hit, Why
from bioretrieval_tui.tui.markdown import addresses, inline
from bioretrieval_tui.tui.pages import Page, entry_page
from bioretrieval_tui.tui.search_session import FacetValue, HitView, has_clause, named_mode
from bioretrieval_tui.tui.text import Line, Span, fit, line
from bioretrieval_tui.tui.widgets.table import Column

COLUMNS = (
    Column("rank", "#", 3, align="right", priority=2),
    Column("title", "Title", 24, 1, priority=0),
    Column("year", "Year", 4, priority=3),
    Column("score", "Score", 6, align="right", priority=1),
)
BESIDE_COLUMNS = {
    mode: (
        Column("rank", "#", 3, align="right", priority=2),
        Column("title", title, 18, 1, priority=0),
        Column("year", "Year", 4, priority=4),
        Column("other", f"In {other}", 10, align="right", priority=1),
    )
    for mode, title, other in (("lexical", "BM25", "dense"), ("dense", "Dense", "BM25"))
}
"""The columns of one of two lists, by the mode that found it."""


class HitRows:
    """The hits of a view as rows of a table."""

    def __init__(self, view: HitView) -> None:
        self.view = view
        self.hits = view.hits

    def __len__(self) -> int:
        return len(self.hits)

    def cells(self, index: int) -> list[Span]:
        """Rank, title (or the beginning of the text), year, score. An entry of the catalogue
        among documents has a mark instead of its rank."""
        hit = self.hits[index]
        near = self.view.is_near(index)
        return [
            Span("◆" if near else str(hit.rank), "paper" if near else "faint"),
            Span(f"catalogue: {_heading(hit)}" if near else _heading(hit), "strong"),
            Span(str(hit.year or ""), "dim"),
            Span(f"{hit.score:.3f}", "ok"),
        ]


class BesideRows:
    """One of two lists: each hit with its rank in the other."""

    def __init__(self, view: HitView, other: HitView) -> None:
        self.hits = view.hits
        self.mode = named_mode(other.question.mode) if other.question else ""
        self.ranks = {hit.id: hit.rank for hit in other.hits}

    def __len__(self) -> int:
        return len(self.hits)

    def cells(self, index: int) -> list[Span]:
        """Rank, title, year, rank in the other list; documents of both lists stand out."""
        hit = self.hits[index]
        rank = self.ranks.get(hit.id)
        return [
            Span(str(hit.rank), "faint"),
            Span(_heading(hit), "dim" if rank is None else "strong"),
            Span(str(hit.year or ""), "dim"),
            Span("" if rank is None else f"#{rank} {self.mode}", "ok"),
        ]


def _heading(hit: Hit) -> str:
    return hit.title or hit.text[:200]


def facet_columns(among: int) -> tuple[Column, ...]:
    """The columns of the facets, which count within the top `among` documents."""
    count = f"Count in top {among}"
    return (
        Column("field", "Field", 8, priority=2),
        Column("value", "Value", 10, 1, priority=0),
        Column("count", count, len(count), align="right", priority=1),
    )


class FacetRows:
    """Values of fields as rows; a field is named once, values in the filter are marked."""

    def __init__(self, values: Sequence[FacetValue], where: str) -> None:
        self.values = values
        self.where = where

    def __len__(self) -> int:
        return len(self.values)

    def cells(self, index: int) -> list[Span]:
        """Field, value, count."""
        value = self.values[index]
        first = index == 0 or self.values[index - 1].field != value.field
        taken = has_clause(self.where, value.clause)
        return [
            Span(value.field if first else "", "dim"),
            Span(f"● {value.value}" if taken else f"  {value.value}", "ok" if taken else "text"),
            Span(f"{value.count:,}", "dim"),
        ]


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


def score_line(hit: Hit, why: Why | None) -> Line:
    """What each half gave it, and its place by that half alone once that was asked."""
    spans = [Span(f"rank {hit.rank}", "dim")]
    scores, told = hit.scores, why.scores if why else hit.scores
    halves = (
        ("meaning", told.dense if scores.dense is None else scores.dense, ".4f",
         why.dense_rank if why else None),
        ("words", told.lexical if scores.lexical is None else scores.lexical, ".2f",
         why.lexical_rank if why else None),
        ("reranker", scores.rerank, ".4f", None),
    )  # fmt: skip
    for name, score, form, rank in halves:
        if score is not None:
            place = f" #{rank}" if rank is not None else ""
            spans += [Span(f"   {name} ", "faint"), Span(f"{score:{form}}{place}", "dim")]
    return line(*spans)


def why_lines(why: Why | None) -> Iterator[Line]:
    """The words that it was found by, with their shares, and how near its best sentence is;
    nothing where that was not asked or there is nothing to say."""
    if why is None or not (why.terms or why.passage):
        return
    yield line()
    yield line(Span("Why this result", "header"))
    for term, share in why.terms[:_TERMS]:
        filled = max(1, round(share * _BAR))
        yield line(Span(f"{fit(term, _WORD)} {share:>4.0%} "), Span("━" * filled, "gauge"))
    more = len(why.terms) - _TERMS
    if more > 0:
        yield line(Span(f"and {more} more", "faint"))
    if why.passage is not None and why.nearness is not None:
        yield line(Span("nearest sentence", "passage"), Span(f"   {why.nearness:.4f}", "dim"))


_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*", re.UNICODE)
# Words that say nothing of the topic: marking them would only be noise.
_COMMON = frozenset(
    (
        "a an and are as at be by can do does for from has have how in into is it its of on or "
        "our than that the their there these they this to was we were what when where which who "
        "why will with within without"
    ).split()
)


def words(query: str) -> tuple[str, ...]:
    """The words of a query that are worth marking, folded; the common ones if there is no other."""
    found = dict.fromkeys(match.group().casefold() for match in _WORD.finditer(query))
    rare = tuple(word for word in found if word not in _COMMON)
    return rare or tuple(found)


def _stem(word: str) -> str:
    """Enough of a word to find its other endings: plurals and -ing, -ed of longer ones."""
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def marked(text: str, wanted: Iterable[str], role: str = "text") -> Iterator[Span]:
    """`text` as spans, words that begin like a wanted one in the role `match`."""
    stems = tuple(_stem(word) for word in wanted)
    whole = frozenset(stem for stem in stems if len(stem) < 4)
    begins = tuple(stem for stem in stems if len(stem) >= 4)
    at = 0
    for match in _WORD.finditer(text):
        word = match.group().casefold()
        if word not in whole and not (begins and word.startswith(begins)):
            continue
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        yield Span(match.group(), "match")
        at = match.end()
    if at < len(text):
        yield Span(text[at:], role)
