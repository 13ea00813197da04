"""Hits as rows of a table, and the reader's page of one, with the query's words marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bioretrieval_tui.search.hits import Hit
from bioretrieval_tui.tui.highlight import marked
from bioretrieval_tui.tui.markdown import addresses
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.table import Column

COLUMNS = (
    Column("rank", "#", 3, align="right", priority=2),
    Column("title", "Title", 24, 1, priority=0),
    Column("year", "Year", 4, priority=3),
    Column("score", "Score", 6, align="right", priority=1),
)


def _linked_and_marked(text: str, wanted: Sequence[str]) -> Iterator[Span]:
    """The query's words marked, addresses as links; documents are plain text, not Markdown."""
    return marked_spans(addresses(text), wanted)


def marked_spans(spans: Iterable[Span], wanted: Sequence[str]) -> Iterator[Span]:
    """The spans with the query's words marked, but not within addresses."""
    for span in spans:
        if span.url:
            yield span
        else:
            yield from marked(span.text, wanted, span.role)


class HitRows:
    """Hits as rows of a table."""

    def __init__(self, hits: Sequence[Hit], wanted: Sequence[str]) -> None:
        self.hits = hits
        self.wanted = wanted

    def __len__(self) -> int:
        return len(self.hits)

    def cells(self, index: int) -> list[Span]:
        """Rank, title (or the beginning of the text), year, score."""
        hit = self.hits[index]
        title = hit.title or hit.text[:200]
        return [
            Span(str(hit.rank), "faint"),
            Span(title, "strong"),
            Span(str(hit.year or ""), "dim"),
            Span(f"{hit.score:.3f}", "ok"),
        ]


def hit_page(hit: Hit, wanted: Sequence[str]) -> Page:
    """The reader's page of a document, with the query's words marked."""
    lines: list[Line] = []
    if hit.title:
        lines.append(line(*marked(hit.title, wanted, "strong")))
    byline = [hit.id, *([str(hit.year)] if hit.year else [])]
    lines += [line(Span("  ".join(byline), "dim")), line()]
    lines += [line(*_linked_and_marked(part, wanted)) for part in hit.text.splitlines() or [""]]
    parts = {"dense": hit.scores.dense, "lexical": hit.scores.lexical, "rerank": hit.scores.rerank}
    shown = "  ".join(f"{name} {value:.4f}" for name, value in parts.items() if value is not None)
    lines += [line(), line(Span(f"rank {hit.rank}  {shown}", "faint"))]
    links: tuple[tuple[str, str], ...] = ()
    if hit.url:
        links = (("page", hit.url),)
        lines += [line(), line(Span("a page  ", "dim"), Span(hit.url, "link", hit.url), hang=2)]
    return Page(tuple(lines), links, lead=len(lines), links_at=len(lines) - 1)
