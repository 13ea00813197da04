"""Hybrid search: one order from dense and lexical scores.

Two steps, each of which was measured to help (`benchmarks/results/quality.md`):

1. Both scores are brought to one scale, in standard deviations above the mean of the retriever's
   top documents, and added; reciprocal ranks were worse throughout. A document that BM25 does not
   find scores 0, and where BM25 finds fewer documents than are looked at, those zeros count in mean
   and deviation. So one hit counts in full, and so do a few of equal scores.
2. Pseudo-relevance feedback (Rocchio, in vector space): the query is moved towards the documents
   on top, each weighted by the softmax of its score, and dense retrieval runs again. BM25 has had
   its say in where the query moves, so it counts half in the last order.

The weight of BM25 grows where one document stands far above the others: the query then names
something that it holds (a trial, a gene, a title). And where one term has more than half of the
query's inverse document frequency, the query asks for that term, and BM25 counts up to eight times
more. One natural query in a hundred is like that, and nearly every rare word beside two common
ones.

Scores of neighbouring documents, query expansion and the best sentence of each document were
measured too: what they add is within noise. All constants were chosen on the train splits of
SciFact, PubMedQA and Evidence Inference.
"""

from __future__ import annotations

import math

import numpy as np

from bioretrieval_tui.encoding.encoder import EXTRA, as_queries, extended_queries
from bioretrieval_tui.index.registry import OpenIndex
from bioretrieval_tui.search.candidates import (
    Candidates,
    Floats,
    Labels,
    RankedList,
    Terms,
    extended,
)

DEPTH = 100
"""Documents of each retriever that are looked at, if no more hits are asked for."""

_FEEDBACK = 10
"""Documents that the query is moved towards."""
_TOWARDS = 1.0
"""How far: their mean weighs as much as the query itself."""
_LEXICAL_WEIGHT = 0.5
"""Of BM25 in the last order, where no document stands out."""
_OUTSTANDING = 2.5
"""Standard deviations from which on the top BM25 score adds weight in the first order."""
_OUTSTANDING_LAST = 4.0
_STEEP = 1.5
"""The same for the last order, where the weight grows by this power of it."""
_MAIN_SHARE = 0.5
"""Share of the query's inverse document frequency above which one term is what it asks for."""
_MAIN_STEEP = 6.0
_MAIN_MOST = 8.0
"""The weight grows by this power of how many times that share is reached, up to this factor."""
_EQUAL = 1e-6
"""Scores that differ by less than this share of the largest are equal."""


def hybrid_scores(
    index: OpenIndex, found: Candidates, vector: Floats, terms: Terms, allowed: Labels | None
) -> tuple[Candidates, Floats]:
    """The candidates, with those that only the moved query finds, and their scores, float32 (n,).

    vector: of the query, float32 (dimension,); terms and allowed: as `found` was gathered with.

    Raises:
        IndexFault: the index is damaged.
    """
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
    again = RankedList(*index.vectors.search(moved, depth, allowed))
    more = extended(index, found, again.labels, vector, terms)
    scores = standardised(index.vectors.similarities(moved, more.labels), again.scores)
    weight = _LEXICAL_WEIGHT * max(1.0, top / _OUTSTANDING_LAST) ** _STEEP * factor
    scores += np.float32(weight) * standardised(more.lexical, reference)
    return more, scores


def padded(scores: Floats, count: int) -> Floats:
    """The BM25 scores of the best `count` documents: those found, and 0 for each of the others.

    Where the found ones fill the count with one and the same score, as many zeros stand for the
    documents without the word, so that having it still counts.
    """
    missing = max(0, count - len(scores))
    if not missing and len(scores) and np.ptp(scores) <= _EQUAL * scores.max():
        missing = len(scores)
    return np.concatenate([scores, np.zeros(missing, dtype=np.float32)])


def main_term_share(index: OpenIndex, terms: Terms) -> float:
    """Share of the weightiest indexed term in the summed weight times inverse document frequency of
    all, from 0 (no term is indexed) to 1 (it is the only one)."""
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
    """`scores` in standard deviations above the mean of `reference`; zeros where that is one
    value or none."""
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
    """The query's vector, moved towards the best documents; of the length that it had."""
    best = by_score(labels, scores)[:_FEEDBACK]
    if not len(best):
        return vector
    point = query_point(index, vector)
    sure = np.exp(scores[best] - scores[best].max())
    centre = (sure / sure.sum()) @ points(index, labels[best])
    # Where nothing is of length 1, documents may be longer than queries: only a direction counts.
    length = float(np.linalg.norm(point))
    centre *= np.float32(length / (float(np.linalg.norm(centre)) or 1.0))
    moved = point + np.float32(_TOWARDS) * centre
    moved *= np.float32(length / (float(np.linalg.norm(moved)) or 1.0))
    return query_at(index, moved.astype(np.float32))


def points(index: OpenIndex, labels: Labels) -> Floats:
    """The documents' vectors without what a distance adds to them: float32 (n, dimension)."""
    vectors: Floats = index.vectors.take(labels)
    return vectors[:, :-EXTRA] if index.manifest.similarity == "l2" else vectors


def query_point(index: OpenIndex, vector: Floats) -> Floats:
    """The point of a query's vector."""
    return (vector[:-EXTRA] / 2).astype(np.float32) if index.manifest.similarity == "l2" else vector


def query_at(index: OpenIndex, point: Floats) -> Floats:
    """The vector of a query that stands at `point`."""
    return extended_queries(point[None])[0] if index.manifest.similarity == "l2" else point


def query_like(index: OpenIndex, vector: Floats) -> Floats:
    """The vector of a query for what is near to a document of this vector."""
    return as_queries(vector[None])[0] if index.manifest.similarity == "l2" else vector
