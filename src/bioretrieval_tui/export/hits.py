"""Hits as a sheet: a line each for readers, everything for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bioretrieval_tui.export.sheet import Cell, Column, Each, Figure, Linked, Sheet
from bioretrieval_tui.export.text import shortened

if TYPE_CHECKING:
    from bioretrieval_tui.export.citation import Citation


class Parts(Protocol):
    """What a score was made of; None for what had no share in it."""

    @property
    def dense(self) -> float | None: ...
    @property
    def lexical(self) -> float | None: ...
    @property
    def rerank(self) -> float | None: ...


class Hit(Protocol):
    """A found document, as the search room gives it."""

    @property
    def rank(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def year(self) -> int | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def score(self) -> float: ...
    @property
    def scores(self) -> Parts: ...


_COLUMNS = (
    Column("rank", "rank", "right"),
    Column("score", "score", "right"),
    Column("id", "id", min_width=8),
    Column("title", "title", weight=4, min_width=20),
    Column("year", "year", "right"),
    Column("text", "text", weight=4, min_width=30),
    Column("url", "url", data_only=True),
    Column("dense", "dense", data_only=True),
    Column("lexical", "lexical", data_only=True),
    Column("rerank", "rerank", data_only=True),
)


def hit_sheet(
    hits: Sequence[Hit], *, title: str = "Search results", citations: Sequence[Citation] = ()
) -> Sheet:
    """Hits in their order; scores keep all their digits for programs."""
    return Sheet(
        title=title,
        columns=_COLUMNS,
        rows=Each(_row, hits),
        records=Each(_record, hits),
        citations=citations,
    )


def _row(hit: Hit) -> tuple[Cell, ...]:
    heading = hit.title or shortened(hit.text, 80)
    return (
        hit.rank,
        Figure(hit.score, f"{hit.score:.3f}"),
        hit.id,
        Linked(heading, hit.url, data=hit.title) if hit.url else heading,
        hit.year,
        Figure(hit.text, shortened(hit.text)),
        hit.url,
        hit.scores.dense,
        hit.scores.lexical,
        hit.scores.rerank,
    )


def _record(hit: Hit) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "id": hit.id,
        "title": hit.title,
        "text": hit.text,
        "year": hit.year,
        "url": hit.url,
        "score": hit.score,
        "scores": {
            "dense": hit.scores.dense,
            "lexical": hit.scores.lexical,
            "rerank": hit.scores.rerank,
        },
    }
