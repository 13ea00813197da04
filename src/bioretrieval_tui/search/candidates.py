"""The documents that may answer a question, with every half's score of each.

Each half gives its best; what only one of them found is then scored by the other too, so that a
document is never worse for having been missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.index.registry import OpenIndex

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Terms = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the search found: labels and scores, best first."""

    labels: Labels
    scores: Floats

    @classmethod
    def none(cls) -> Half:
        """Nothing was found, or nothing asked."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))

    def ranks(self) -> dict[int, int]:
        """The place of each label, from 1."""
        return {label: rank for rank, label in enumerate(self.labels.tolist(), start=1)}


@dataclass(frozen=True, slots=True)
class Candidates:
    """labels: ascending, int64 (n,); dense and lexical: the score of each by either half, float32
    (n,); by_meaning and by_words: what the halves themselves found."""

    labels: Labels
    dense: Floats
    lexical: Floats
    by_meaning: Half
    by_words: Half


def gather(
    index: OpenIndex,
    vector: Floats | None,
    terms: Terms,
    depth: int,
    allowed: Labels | None = None,
) -> Candidates:
    """The best `depth` of each half over `index`.

    vector: float32 (dimension,), or None to leave meaning out; terms: of the lexical analyser with
    their weights, empty to leave words out; allowed: labels that may be answered, None for all.

    Raises:
        IndexFault: the index is damaged, or the vector is of another dimension.
    """
    by_meaning, by_words = Half.none(), Half.none()
    if vector is not None:
        by_meaning = Half(*index.vectors.search(vector, depth, allowed))
    if terms:
        by_words = Half(*index.lexical.search_weighted(terms, depth, allowed))
    if vector is None:  # what words found is scored by words already
        order = np.argsort(by_words.labels)
        labels, lexical = by_words.labels[order], by_words.scores[order]
        return Candidates(labels, np.zeros_like(lexical), lexical, by_meaning, by_words)
    labels = np.union1d(by_meaning.labels, by_words.labels)
    return Candidates(labels, *_scores(index, labels, vector, terms), by_meaning, by_words)


def extended(
    index: OpenIndex, found: Candidates, labels: Labels, vector: Floats | None, terms: Terms
) -> Candidates:
    """`found` and further documents, scored by both halves too. Raises as `gather`."""
    new = np.setdiff1d(labels, found.labels)
    if not len(new):
        return found
    dense, lexical = _scores(index, new, vector, terms)
    together = np.concatenate([found.labels, new])
    order = np.argsort(together, kind="stable")
    return Candidates(
        together[order],
        np.concatenate([found.dense, dense])[order],
        np.concatenate([found.lexical, lexical])[order],
        found.by_meaning,
        found.by_words,
    )


def _scores(
    index: OpenIndex, labels: Labels, vector: Floats | None, terms: Terms
) -> tuple[Floats, Floats]:
    """The score of each label by either half; zeros where a half was not asked."""
    dense = np.zeros(len(labels), dtype=np.float32)
    if vector is not None:
        dense = index.vectors.similarities(vector, labels)
    lexical = np.zeros(len(labels), dtype=np.float32)
    if terms:
        lexical = index.lexical.scores_weighted(terms, labels)
    return dense, lexical
