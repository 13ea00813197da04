"""From the scores of both halves to one order: what hybrid search does, and why.

Two steps, each of which was measured to help (`benchmarks/results/quality.md`):

1. Both halves' scores are brought to one scale, in standard deviations above the mean of what the
   half found, and added. Scores carry more than ranks do: reciprocal ranks were worse throughout.
2. Pseudo-relevance feedback (Rocchio, in the space of the vectors): the query is moved towards the
   documents that this first order puts on top, each by how sure the order is of it, and meaning
   is asked once more. Words have had their say in where the query moves, so they count half now.

How far words are to be trusted is seen from their own scores: where one document stands far above
the others, the query names something that it holds (a trial, a gene, a title), and words count the
more in both steps; where none does, the query speaks of a topic, which meaning knows better.

Mixing in the scores of neighbouring documents, expanding the words of the query and the best
sentence of each document were measured too: what they add to this is within noise.

All constants were chosen on the train splits of SciFact, PubMedQA and Evidence Inference.
"""

from __future__ import annotations

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
    words = standard(found.lexical, found.by_words.scores)
    out = float(words.max(initial=0.0))
    first = standard(found.dense, found.by_meaning.scores)
    first += np.float32(max(1.0, out / _OUT)) * words
    moved = _moved(index, found.labels, first, vector)
    again = Half(*index.vectors.search(moved, depth, allowed))
    more = extended(index, found, again.labels, vector, terms)
    scores = standard(index.vectors.similarities(moved, more.labels), again.scores)
    weight = _WORDS * max(1.0, out / _FAR_OUT) ** _STEEP
    scores += np.float32(weight) * standard(more.lexical, more.by_words.scores)
    return more, scores


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
