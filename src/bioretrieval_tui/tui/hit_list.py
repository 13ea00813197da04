"""Hits and facets as rows of tables, and the page of a hit with the query's terms marked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import structs
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.render.entries import entry_page
from bioretrieval_tui.render.hits import heading_of, held_by, snippet_of, why_found
from bioretrieval_tui.render.hits import hit_page as made_hit_page
from bioretrieval_tui.render.page import Page
from bioretrieval_tui.search.types import Explanation, Hit
from bioretrieval_tui.shelf import STAR, ShelfMark
from bioretrieval_tui.tui.facets import FacetValue, clause_in
from bioretrieval_tui.tui.search_session import NOTHING, HitView
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Line, Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import plural

HIT_COLUMNS = (
    TableColumn("rank", "#", 3, align="right", priority=2),
    TableColumn("title", "Title", 24, 1, priority=0),
    TableColumn("year", "Year", 4, priority=3),
    TableColumn("score", "Score", 6, align="right", priority=1),
    TableColumn("source", "Source", 9, 1, priority=4),
    TableColumn("text", "Text", 12, 2, priority=5),
)
"""The source is the journal, or the kind of an entry of the catalogue."""
SEVERAL_COLUMNS = (*HIT_COLUMNS[:-1], TableColumn("index", "Index", 10, priority=2))
"""The columns where several indexes were searched."""
BESIDE_COLUMNS = {
    mode: (
        TableColumn("rank", "#", 3, align="right", priority=2),
        TableColumn("title", title, 18, 1, priority=0),
        TableColumn("year", "Year", 4, priority=4),
        TableColumn("other", f"In {other}", 8, align="right", priority=1),
    )
    for mode, title, other in (("lexical", "BM25", "dense"), ("dense", "Dense", "BM25"))
}
"""The columns of one of two lists, by the mode that found it."""
_FACET_BAR = 8


def columns_of(
    view: HitView, other: HitView = NOTHING, mode: str = "lexical"
) -> tuple[TableColumn, ...]:
    """The columns of a view, which `mode` found if there is one beside it; without years or sources
    where no hit has one."""
    columns: Sequence[TableColumn] = SEVERAL_COLUMNS if view.also else HIT_COLUMNS
    if other is not NOTHING:
        columns = BESIDE_COLUMNS[mode]
    hits = (*view.hits, *other.hits)
    known = {"year": any(hit.year for hit in hits), "source": any(map(_source, hits))}
    return tuple(one for one in columns if not hits or known.get(one.key, True))


def _source(hit: Hit) -> str:
    """The journal of a hit, or the kind of an entry."""
    return str(hit.metadata.get("journal") or hit.metadata.get("kind") or "")


def hit_rows(
    view: HitView,
    other: HitView = NOTHING,
    mark_of: Callable[[int, Hit], ShelfMark | None] = lambda *_: None,
) -> ListRows[tuple[int, Hit]]:
    """The hits of a view: rank, title (or the start of the text), year, score, and of several
    indexes the index.

    An entry of the catalogue that is listed after the documents has a mark instead of its rank.
    Beside another list the rank there is shown instead of the score; hits of both stand out.
    """
    ranks = {hit.key: hit.rank for hit in other.hits}
    keys = [one.key for one in columns_of(view, other)]

    def cells(row: tuple[int, Hit]) -> list[Span]:
        at, hit = row
        rank, near = ranks.get(hit.key), view.is_near(at)
        mark = mark_of(at, hit)
        heading = (f"{STAR} " if mark and mark.starred else "") + heading_of(hit, 200)
        shared = "" if rank is None else f"#{rank}"
        role = "strong" if rank is not None or other is NOTHING else "dim"
        score = f"{hit.score:.3f}" if abs(hit.score) < 100 else f"{hit.score:.1f}"
        found = {
            "rank": Span("◆", "paper") if near else Span(str(hit.rank), "faint"),
            "title": Span(f"catalogue: {heading}" if near else heading, role),
            "year": Span(str(hit.year or ""), "dim"),
            "score": Span(score, "ok"),
            "other": Span(shared, "ok"),
            "source": Span(_source(hit), "dim"),
            "text": Span(snippet_of(hit), "dim"),
            "index": Span(held_by(hit), "dim"),
        }
        return [found[key] for key in keys]

    return ListRows(list(enumerate(view.hits)), cells)


FACET_COLUMNS = (
    TableColumn("field", "Field", 8, priority=2),
    TableColumn("value", "Value", 10, 1, priority=0),
    TableColumn("count", "Hits", 6, align="right", priority=1),
    TableColumn("bar", "", _FACET_BAR, priority=3),
)


def counted_in(among: int, widened: Sequence[str]) -> str:
    """What the facets count: the top `among` hits; widened: fields that the filter names, whose
    values are counted without that condition, so that another one can be added."""
    said = f"Counts in {plural(among, 'hit')}"
    return f"{said}; {' and '.join(widened)}: without its filter" if widened else said


def facet_rows(values: Sequence[FacetValue], where: str) -> ListRows[FacetValue]:
    """Field, value, count. A field is named once; values in the filter `where` are marked."""
    before = ("", *(value.field for value in values))
    firsts = {value for value, field in zip(values, before, strict=False) if value.field != field}
    most = max((value.count for value in values), default=1)

    def cells(value: FacetValue) -> list[Span]:
        taken = clause_in(where, value.clause)
        return [
            Span(value.field if value in firsts else "", "dim"),
            Span(f"● {value.value}" if taken else f"  {value.value}", "ok" if taken else "text"),
            Span(f"{value.count:,}", "dim"),
            Span("\u2501" * max(1, round(value.count * _FACET_BAR / most)), "gauge"),
        ]

    return ListRows(values, cells)


def hit_page(
    hit: Hit,
    query: str,
    why: Explanation | None = None,
    *,
    scored: bool = True,
    mark: ShelfMark | None = None,
) -> PaintedPage:
    """The page of a document with the query's terms marked. All but the terms and the sentence it
    was found by is shown while the cursor moves."""
    page = _marked(made_hit_page(hit, why, scored=scored), mark)
    painted, terms = paint(page), query_terms(query)
    lead = len(paint(structs.replace(page, sections=page.sections[: 3 + (mark is not None)])).lines)
    lines = tuple(_marked_line(one, terms) for one in painted.lines)
    return replace(painted, lines=lines, lead=lead)


def entry_hit_page(
    entry: AnyEntry,
    catalogue: Catalogue,
    hit: Hit,
    query: str,
    why: Explanation | None,
    mark: ShelfMark | None = None,
) -> PaintedPage:
    """The page of an entry with the query's terms marked in its summary, and why it was found."""
    page, terms = _marked(entry_page(entry, catalogue, away=True), mark), query_terms(query)
    scores, reasons = why_found(hit, why)
    painted = paint(structs.replace(page, sections=(scores, *page.sections, reasons)))
    summary = [_marked_line(one, terms) for one in painted.lines[2 : painted.lead]]
    lines = (*painted.lines[:2], *summary, *painted.lines[painted.lead :])
    return replace(painted, lines=lines)


def _marked(page: Page, mark: ShelfMark | None) -> Page:
    """The page with what is on the shelf of it."""
    if mark is None:
        return page
    from bioretrieval_tui.render.shelf_items import with_mark

    return with_mark(page, mark)


def _marked_line(item: Line, terms: Sequence[str]) -> Line:
    """A line with the query's terms marked in its prose, but not within addresses."""
    spans: list[Span] = []
    for span in item.spans:
        prose = span.role in ("text", "strong", "passage") and not span.url
        spans += marked(span.text, terms, span.role) if prose else [span]
    return replace(item, spans=tuple(spans))


# Terms of the query ---------------------------------------------------------------------------

_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*", re.UNICODE)
# A plural, -ing or -ed behind at least four letters.
_ENDING = re.compile(r"(?<=.{4})(?:ies|ing|ed|es|s)$")
# Common words, which are not marked.
_COMMON = frozenset(
    (
        "a an and are as at be by can do does for from has have how in into is it its of on or "
        "our than that the their there these they this to was we were what when where which who "
        "why will with within without"
    ).split()
)


def query_terms(query: str) -> tuple[str, ...]:
    """The terms of a query to mark, folded; common words only if it has no others."""
    found = dict.fromkeys(match.group().casefold() for match in _WORD.finditer(query))
    rare = tuple(word for word in found if word not in _COMMON)
    return rare or tuple(found)


def marked(text: str, wanted: Iterable[str], role: str = "text") -> Iterator[Span]:
    """`text` as spans; words that start like a wanted one have the role `match`."""
    stems = tuple(_ENDING.sub("", word) for word in wanted)
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
