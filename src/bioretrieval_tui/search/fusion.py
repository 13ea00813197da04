"""From the scores of both halves to one order: what hybrid search does, and why.

Two steps, each of which was measured to help (`benchmarks/results/quality.md`):

1. Both halves' scores are brought to one scale, in standard deviations above the mean of the
   half's best documents, and added. Scores carry more than ranks do: reciprocal ranks were worse
   throughout. A document that BM25 does not find has the score 0, and where BM25 finds fewer
   documents than are looked at, those zeros count in mean and deviation. So one hit counts in
   full, and so do a few of equal scores.
2. Pseudo-relevance feedback (Rocchio, in the space of the vectors): the query is moved towards the
   documents that this first order puts on top, each by how sure the order is of it, and meaning
   is asked once more. Words have had their say in where the query moves, so they count half now.

How far words are to be trusted is seen from their own scores: where one document stands far above
the others, the query names something that it holds (a trial, a gene, a title), and words count the
more in both steps; where none does, the query speaks of a topic, which meaning knows better. And
where one word holds more than half of what all the query's words weigh (by inverse document
frequency), the query asks for that word, and words count many times more. One natural query in a
hundred is like that, and nearly every rare word beside two common ones.

Mixing in the scores of neighbouring documents, expanding the words of the query and the best
sentence of each document were measured too: what they add to this is within noise.

All constants were chosen on the train splits of SciFact, PubMedQA and Evidence Inference.
"""

from __future__ import annotations

import math

import numpy as np

from bioretrieval_tui.index.registry import OpenIndex
from bioretrieval_tui.search.candidates import Candidates, Floats, Half, Labels, Terms, extended
from bioretrieval_tui.search.space import points, query_at, query_point

DEPTH = 100
"""Documents of each half that are looked at, if no more hits are asked for."""

_FEEDBACK = 10
"""Documents that the query is moved towards."""
_TOWARDS = 1.0
"""How far: their mean weighs as much as the query itself."""
_WORDS = 0.5
"""Weight of the words' score once the query has been moved, where nothing stands out by words."""
_OUT = 2.5
"""Standard deviations that the best document by words must stand out, for words to weigh more than
meaning in the first order; as many times more as it stands out further."""
_FAR_OUT = 4.0
_STEEP = 1.5
"""The same for the last order, where the weight grows by this power of it."""
_MOST_OF_IT = 0.5
"""Share of the query's inverse document frequency above which one word is what it asks for."""
_NAMED = 6.0
_MOST_NAMED = 8.0
"""The lexical weight grows by this power of how many times that share is reached, but no further
than this."""
_EQUAL = 1e-6
"""Scores that differ by less than this share of the largest are equal."""


def fused(
    index: OpenIndex, found: Candidates, vector: Floats, terms: Terms, allowed: Labels | None
) -> tuple[Candidates, Floats]:
    """The candidates, with those that only the moved query finds, and the score of each, float32
    (n,), in the order of their labels.

    vector: of the query, float32 (dimension,); terms and allowed: as `found` was gathered with.

    Raises:
        IndexFault: the index is damaged.
    """
    depth = max(DEPTH, len(found.by_meaning.labels))
    looked_at = min(depth, index.manifest.documents if allowed is None else len(allowed))
    best_lexical = padded(found.by_words.scores, looked_at)
    words = standard(found.lexical, best_lexical)
    out = float(words.max(initial=0.0))
    named = min(_MOST_NAMED, max(1.0, rarest_share(index, terms) / _MOST_OF_IT) ** _NAMED)
    first = standard(found.dense, found.by_meaning.scores)
    first += np.float32(max(1.0, out / _OUT) * named) * words
    moved = _moved(index, found.labels, first, vector)
    again = Half(*index.vectors.search(moved, depth, allowed))
    more = extended(index, found, again.labels, vector, terms)
    scores = standard(index.vectors.similarities(moved, more.labels), again.scores)
    weight = _WORDS * max(1.0, out / _FAR_OUT) ** _STEEP * named
    scores += np.float32(weight) * standard(more.lexical, best_lexical)
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


def rarest_share(index: OpenIndex, terms: Terms) -> float:
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


def standard(scores: Floats, reference: Floats) -> Floats:
    """`scores` in standard deviations above the mean of `reference`; zeros where that is one
    value or none."""
    spread = float(reference.std()) if len(reference) else 0.0
    if spread <= 0:
        return np.zeros_like(scores)
    scaled: Floats = (scores - reference.mean()) / np.float32(spread)
    return scaled


def best_first(labels: Labels, scores: Floats) -> Labels:
    """Positions in the order of `scores`, largest first, ties by label."""
    order: Labels = np.lexsort((labels, -scores))
    return order


def _moved(index: OpenIndex, labels: Labels, scores: Floats, vector: Floats) -> Floats:
    """The query's vector, moved towards the best documents; of the length that it had."""
    best = best_first(labels, scores)[:_FEEDBACK]
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
