"""What a search answers. Plain values that also cross the border to the search process."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scores:
    """What each way of searching gave a hit; None where it was not asked."""

    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One document that was found.

    rank: from 1; title and text: as the corpus has them, not cleaned for a terminal; url: the
    document's page where one is known; score: what the hits are ordered by.
    """

    rank: int
    id: str
    title: str
    text: str
    year: int | None
    url: str | None
    score: float
    scores: Scores = field(default_factory=Scores)
