"""Why a document was found, as lines of its page: words, meaning, the reranker, a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from bioretrieval_tui.search.hits import Hit, Why
from bioretrieval_tui.tui.text import Line, Span, fit, line

_LABEL = 10
_WORD = 18
_BAR = 16
_TERMS = 8


def why_lines(hit: Hit, why: Why | None) -> Iterator[Line]:
    """What is known of it: the scores of the hit at once, the rest as soon as it was asked."""
    scores = hit.scores
    dense = scores.dense if why is None or why.scores.dense is None else why.scores.dense
    lexical = scores.lexical if why is None or why.scores.lexical is None else why.scores.lexical
    yield line(Span("Why this result", "header"), Span(f"   rank {hit.rank}", "faint"))
    if scores.rerank is not None:
        yield _said("reranker", f"{scores.rerank:.4f}", "its own scale, higher is better")
    if dense is not None:
        yield _said("meaning", f"{dense:.4f}", _place(why, why.dense_rank if why else None))
    if lexical is not None:
        yield _said("words", f"{lexical:.2f}", _place(why, why.lexical_rank if why else None))
    if why is None:
        return
    for term, share in why.terms[:_TERMS]:
        filled = max(1, round(share * _BAR))
        yield line(
            Span(" " * _LABEL), Span(f"{fit(term, _WORD)} "), Span("━" * filled, "gauge"),
            Span("━" * (_BAR - filled), "rule"), Span(f" {share:>4.0%}", "dim"),
        )  # fmt: skip
    more = len(why.terms) - _TERMS
    if more > 0:
        yield line(Span(f"{' ' * _LABEL}and {more} more", "faint"))
    if why.passage is not None and why.nearness is not None:
        yield _said("nearest", f"{why.nearness:.4f}", "the marked sentence", "passage")


def _place(why: Why | None, rank: int | None) -> str:
    """Where this half alone puts it."""
    if why is None:
        return ""
    return "not among its best" if rank is None else f"number {rank} by this alone"


def _said(label: str, value: str, note: str, role: str = "faint") -> Line:
    return line(
        Span(f"{label:<{_LABEL}}", "dim"), Span(f"{value:>8}", "text"), "  ", Span(note, role)
    )
