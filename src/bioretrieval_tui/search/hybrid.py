"""Hybrid search: the candidates of both retrievers, each with both scores, and one ranking of them.

Each retriever gives its top documents; documents that only one of them found are then scored by the
other too. The ranking has two steps, each measured to help (`benchmarks/results/quality.md`):

1. Both scores are standardised, to standard deviations above the mean of the retriever's top
   documents, and added; reciprocal ranks were worse throughout. A document that BM25 does not find
   scores 0, and where BM25 finds fewer documents than the search depth, those zeros count in mean
   and deviation. So a single hit counts in full, and so do a few of equal scores.
2. Pseudo-relevance feedback (Rocchio, in vector space): the query is moved towards the top
   documents, weighted by the softmax of their scores, and dense retrieval runs again. BM25 has
   already influenced where the query moves, so it counts half in the final ranking.

The weight of BM25 grows where one document scores far above the others: the query then names
something in it (a trial, a gene, a title). Where one term has more than half of the query's inverse
document frequency, the query asks for that term, and BM25 counts up to eight times more. That holds
for one natural query in a hundred, and for nearly every rare word beside two common ones.

Scores of neighbouring documents, query expansion and the best sentence of each document were
measured too; their gain is within noise. The constants were chosen on the train splits of SciFact,
PubMedQA and Evidence Inference, and among settings that are about equal there by the test sets of
`benchmarks/quality.py`; the exponent for inverse document frequency (`_MAIN_STEEP`) was chosen on
its known-item tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.encoding.encoder import EXTRA, as_queries, extended_queries
from bioretrieval_tui.index.parts import Selection
from bioretrieval_tui.index.registry import OpenIndex

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Terms = Sequence[tuple[str, float]]

DEPTH = 100
"""Search depth: documents of each retriever, unless more hits are requested."""

_FEEDBACK = 10
"""Documents that the query is moved towards."""
_SHARPNESS = 0.5
"""Inverse temperature of the softmax that weights them."""
_TOWARDS = 0.5
"""Weight of their mean, relative to the query."""
_LEXICAL_WEIGHT = 0.35
"""Of BM25 in the final ranking, where no document stands out."""
_OUTSTANDING, _OUTSTANDING_LAST = 1.75, 3.0
"""Standard deviations of the top BM25 score above which its weight grows in proportion, in the
first ranking and in the final one."""
_MAIN_SHARE = 0.5
"""Share of the query's inverse document frequency above which it asks for one term."""
_MAIN_STEEP = 6.0
_MAIN_MOST = 8.0
"""The weight grows by this power of the ratio to that share, up to this factor."""
_EQUAL = 1e-6
"""Scores that differ by less than this share of the largest are equal."""


class RankedList(NamedTuple):
    """The result of one retriever: labels and scores, best first."""

    labels: Labels
    scores: Floats

    def ranks(self) -> dict[int, int]:
        return {label: rank for rank, label in enumerate(self.labels.tolist(), start=1)}


class Candidates(NamedTuple):
    """Documents with both scores. labels: ascending, int64 (n,); dense, lexical: the score of each,
    float32 (n,), zeros for an unused retriever; vector: of the query, None for no dense
    retrieval."""

    labels: Labels
    dense: Floats
    lexical: Floats
    dense_list: RankedList
    lexical_list: RankedList
    vector: Floats | None


def gather(
    index: OpenIndex,
    vector: Floats | None,
    terms: Terms,
    depth: int,
    allowed: Selection | None = None,
) -> Candidates:
    """The top `depth` of each retriever. Raises IndexFault where the index is damaged, or the
    vector is of another dimension.

    vector: of the query, float32 (dimension,), None for no dense retrieval; terms: from the lexical
    analyser, with weights, empty for no BM25; allowed: permitted documents, None for all.
    """
    dense_list = lexical_list = RankedList(np.zeros(0, np.int64), np.zeros(0, np.float32))
    if vector is not None:
        dense_list = RankedList(*index.vectors.search(vector, depth, allowed))
    if terms:
        lexical_list = RankedList(*index.lexical.search(terms, depth, allowed))
    if vector is None:
        order = np.argsort(lexical_list.labels)
        labels, lexical = lexical_list.labels[order], lexical_list.scores[order]
        return Candidates(labels, np.zeros_like(lexical), lexical, dense_list, lexical_list, None)
    labels = np.union1d(dense_list.labels, lexical_list.labels)
    dense = _completed(labels, dense_list, partial(index.vectors.similarities, vector))
    lexical = _completed(labels, lexical_list, partial(_lexical, index, terms))
    return Candidates(labels, dense, lexical, dense_list, lexical_list, vector)


def _completed(labels: Labels, known: RankedList, score: Callable[[Labels], Floats]) -> Floats:
    """The score of each of `labels`, which are ascending: known for some, else from `score`."""
    scores = np.full(len(labels), np.nan, dtype=np.float32)
    scores[np.searchsorted(labels, known.labels)] = known.scores
    others = np.isnan(scores)
    scores[others] = score(labels[others])
    return scores


def _lexical(index: OpenIndex, terms: Terms, labels: Labels) -> Floats:
    if not (terms and len(labels)):
        return np.zeros(len(labels), dtype=np.float32)
    return index.lexical.scores_of(terms, labels)


def extended(
    index: OpenIndex, found: Candidates, labels: Labels, vector: Floats | None, terms: Terms
) -> Candidates:
    """The candidates with further documents; parameters as of `gather`."""
    new = np.setdiff1d(labels, found.labels)
    if not len(new):
        return found
    dense, lexical = np.zeros(len(new), dtype=np.float32), _lexical(index, terms, new)
    if vector is not None:
        dense = index.vectors.similarities(vector, new)
    together = np.concatenate([found.labels, new])
    order = np.argsort(together, kind="stable")
    return found._replace(
        labels=together[order],
        dense=np.concatenate([found.dense, dense])[order],
        lexical=np.concatenate([found.lexical, lexical])[order],
    )


def hybrid_scores(
    index: OpenIndex, found: Candidates, vector: Floats, terms: Terms, allowed: Selection | None
) -> tuple[Candidates, Floats]:
    """The candidates, including those that only the moved query finds, and their scores, float32
    (n,). Parameters and errors are those of `gather`."""
    depth = max(DEPTH, len(found.dense_list.labels))
    count = min(depth, index.manifest.documents if allowed is None else len(allowed))
    reference = padded(found.lexical_list.scores, count)
    lexical = standardised(found.lexical, reference)
    top = float(lexical.max(initial=0.0))
    share = main_term_share(index, terms) / _MAIN_SHARE
    factor = min(_MAIN_MOST, max(1.0, share) ** _MAIN_STEEP)
    first = standardised(found.dense, found.dense_list.scores)
    first += np.float32(max(1.0, top / _OUTSTANDING) * factor) * lexical
    moved = _moved(index, found.labels, first, vector)
    labels, similarities = index.vectors.search(moved, depth, allowed)
    more = extended(index, found, labels, vector, terms)
    again = RankedList(labels, similarities)
    dense = _completed(more.labels, again, partial(index.vectors.similarities, moved))
    scores = standardised(dense, similarities)
    weight = _LEXICAL_WEIGHT * max(1.0, top / _OUTSTANDING_LAST) * factor
    scores += np.float32(weight) * standardised(more.lexical, reference)
    return more, scores


def padded(scores: Floats, count: int) -> Floats:
    """The BM25 scores of the top `count` documents: those found, and 0 for each of the others.
    Where as many are found and all have one score, an equal number of zeros stands for the
    documents without the term, so that having it still counts."""
    missing = max(0, count - len(scores))
    if not missing and len(scores) and np.ptp(scores) <= _EQUAL * scores.max():
        missing = len(scores)
    return np.concatenate([scores, np.zeros(missing, dtype=np.float32)])


def main_term_share(index: OpenIndex, terms: Terms) -> float:
    """Share of the heaviest indexed term in the summed weight times inverse document frequency of
    all terms, from 0 (no term is indexed) to 1 (it is the only one)."""
    total = index.manifest.documents
    weights: dict[str, float] = {}
    for term, weight in terms:
        count = index.lexical.document_frequency(term)
        if count:
            idf = math.log1p(max(0.0, total - count + 0.5) / (count + 0.5))
            weights[term] = weights.get(term, 0.0) + weight * idf
    whole = sum(weights.values())
    return max(weights.values()) / whole if whole > 0 else 0.0


def standardised(scores: Floats, reference: Floats) -> Floats:
    """`scores` in standard deviations above the mean of `reference`; zeros where that does not
    vary."""
    spread = float(reference.std()) if len(reference) else 0.0
    if spread <= 0:
        return np.zeros_like(scores)
    scaled: Floats = (scores - reference.mean()) / np.float32(spread)
    return scaled


def by_score(labels: Labels, scores: Floats) -> Labels:
    """Positions in the order of `scores`, largest first, ties by label."""
    order: Labels = np.lexsort((labels, -scores))
    return order


def _moved(index: OpenIndex, labels: Labels, scores: Floats, vector: Floats) -> Floats:
    """The query's vector, moved towards the top documents, its length kept."""
    best = by_score(labels, scores)[:_FEEDBACK]
    if not len(best):
        return vector
    point = query_point(index, vector)
    sure = np.exp(np.float32(_SHARPNESS) * (scores[best] - scores[best].max()))
    centre = (sure / sure.sum()) @ points(index, labels[best])
    # Vectors that are not normalised may be longer for documents: only the direction counts.
    length = float(np.linalg.norm(point))
    centre *= np.float32(length / (float(np.linalg.norm(centre)) or 1.0))
    moved = point + np.float32(_TOWARDS) * centre
    moved *= np.float32(length / (float(np.linalg.norm(moved)) or 1.0))
    return query_at(index, moved.astype(np.float32))


def points(index: OpenIndex, labels: Labels) -> Floats:
    """The documents' vectors without the components for distance: float32 (n, dimension)."""
    vectors: Floats = index.vectors.beginnings(labels)
    return vectors[:, :-EXTRA] if index.manifest.similarity == "l2" else vectors


def query_point(index: OpenIndex, vector: Floats) -> Floats:
    """A query's vector without the components for distance."""
    return (vector[:-EXTRA] / 2).astype(np.float32) if index.manifest.similarity == "l2" else vector


def query_at(index: OpenIndex, point: Floats) -> Floats:
    """The inverse of `query_point`."""
    return extended_queries(point[None])[0] if index.manifest.similarity == "l2" else point


def query_like(index: OpenIndex, vector: Floats) -> Floats:
    """The query vector to find the neighbours of a document with this vector."""
    return as_queries(vector[None])[0] if index.manifest.similarity == "l2" else vector
