"""Why a document was found, as lines of its page: its scores, its words, its nearest sentence."""

from __future__ import annotations

from collections.abc import Iterator

from bioretrieval_tui.search.hits import Hit, Why
from bioretrieval_tui.tui.text import Line, Span, fit, line

_WORD = 18
_BAR = 16
_TERMS = 8


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
