"""Hits as a sheet: a line each for readers, everything for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bioretrieval_tui.render.sheet import Cell, Column, Each, Figure, Linked, Sheet, shortened

if TYPE_CHECKING:
    from bioretrieval_tui.render.citation import Citation


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
    @property
    def metadata(self) -> Mapping[str, Any]: ...


class Reason(Protocol):
    """Why a document was found, as the search room says it."""

    @property
    def terms(self) -> Sequence[tuple[str, float]]: ...
    @property
    def dense_rank(self) -> int | None: ...
    @property
    def lexical_rank(self) -> int | None: ...
    @property
    def passage(self) -> tuple[int, int] | None: ...
    @property
    def nearness(self) -> float | None: ...


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

_SCORED = frozenset(("score", "scores", "dense", "lexical", "rerank"))
"""What a paper that was not searched for here has not."""
_WHY = Column("why", "why", weight=3, min_width=24)
_EXPLAINED = (*(column for column in _COLUMNS if column.key != "text"), _WHY)


def hit_sheet(
    hits: Sequence[Hit],
    *,
    title: str = "Search results",
    citations: Sequence[Citation] = (),
    reasons: Sequence[Reason] = (),
) -> Sheet:
    """Hits in their order; scores keep all their digits for programs.

    reasons: why each was found, one a hit, or none at all.
    """
    if not reasons:
        return Sheet(
            title=title,
            columns=_COLUMNS,
            rows=Each(_row, hits),
            records=Each(_record, hits),
            citations=citations,
        )
    both = list(zip(hits, reasons, strict=True))
    return Sheet(
        title=title,
        columns=_EXPLAINED,
        rows=Each(_explained_row, both),
        records=Each(_explained_record, both),
        citations=citations,
    )


def paper_sheet(hits: Sequence[Hit], *, title: str, citations: Sequence[Citation] = ()) -> Sheet:
    """Papers as a service gave them: nothing was scored; records have all metadata."""
    kept = [at for at, column in enumerate(_COLUMNS) if column.key not in _SCORED]
    return Sheet(
        title=title,
        columns=tuple(_COLUMNS[at] for at in kept),
        rows=Each(lambda hit: tuple(_row(hit)[at] for at in kept), hits),
        records=Each(_paper, hits),
        citations=citations,
    )


def _paper(hit: Hit) -> dict[str, Any]:
    known = {name: value for name, value in _record(hit).items() if name not in _SCORED}
    return {**known, "metadata": dict(hit.metadata)}


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


def _explained_row(both: tuple[Hit, Reason]) -> tuple[Cell, ...]:
    hit, reason = both
    cells = _row(hit)
    at = [column.key for column in _COLUMNS].index("text")
    parts = []
    if reason.dense_rank is not None:
        parts.append(f"meaning {_place(reason.dense_rank)}")
    if reason.lexical_rank is not None:
        parts.append(f"words {_place(reason.lexical_rank)}")
    if reason.terms:
        parts.append(", ".join(f"{word} {share:.0%}" for word, share in reason.terms[:5]))
    if reason.passage is not None:
        start, end = reason.passage
        parts.append(f"\u201c{shortened(hit.text[start:end], 120)}\u201d")
    return (*cells[:at], *cells[at + 1 :], "; ".join(parts))


def _place(rank: int) -> str:
    return f"#{rank}"


def _explained_record(both: tuple[Hit, Reason]) -> dict[str, Any]:
    hit, reason = both
    passage = None
    if reason.passage is not None:
        start, end = reason.passage
        passage = {
            "start": start,
            "end": end,
            "text": hit.text[start:end],
            "similarity": reason.nearness,
        }
    return _record(hit) | {
        "why": {
            "terms": [{"word": word, "share": share} for word, share in reason.terms],
            "ranks": {"dense": reason.dense_rank, "lexical": reason.lexical_rank},
            "passage": passage,
        }
    }
