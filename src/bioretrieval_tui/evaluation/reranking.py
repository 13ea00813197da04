"""A cross-encoder over the best of a hybrid search, as a ranker."""

from __future__ import annotations

from bioretrieval_tui.encoding.cross_encoder import CrossEncoder
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.hits import Question
from bioretrieval_tui.search.rerank import reranked

RERANK = "rerank"
"""The mode that evaluation has besides those of the search."""


class Reranking:
    """Ranks as a search with reranking does: the best `hits.RERANKED` of the hybrid mode read by
    a cross-encoder, the others behind them as they stood."""

    def __init__(self, engine: SearchEngine, encoder: CrossEncoder) -> None:
        self._engine = engine
        self._encoder = encoder

    def rank(
        self, query: str, k: int, mode: str, /, *, instruction: str | None = None
    ) -> list[tuple[str, float]]:
        """(document id, score), best first, at most `k`; `mode` is that of the first stage if it
        is not `rerank`. Scores are the cross-encoder's; behind them they fall by 1 from the last
        one, since what was not read has no score that compares. Raises as searching does."""
        first = "hybrid" if mode == RERANK else mode
        question = Question(text=query, k=k, mode=first, instruction=instruction)
        hits = reranked(query, self._engine.search(question).hits, self._encoder)
        found: list[tuple[str, float]] = []
        floor = 0.0
        for hit in hits:
            floor = floor - 1.0 if hit.scores.rerank is None else hit.scores.rerank
            found.append((hit.id, floor))
        return found
