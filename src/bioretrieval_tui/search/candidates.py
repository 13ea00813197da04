"""The candidates of a query, each with its dense and its lexical score.

Each retriever gives its top documents; what only one of them found is then scored by the other
too, so that a document is never worse for having been missed.
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
class RankedList:
    """What one retriever found: labels and scores, best first."""

    labels: Labels
    scores: Floats

    @classmethod
    def none(cls) -> RankedList:
        """An empty list."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))

    def ranks(self) -> dict[int, int]:
        """The place of each label, from 1."""
        return {label: rank for rank, label in enumerate(self.labels.tolist(), start=1)}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Documents with both scores.

    labels: ascending, int64 (n,); dense, lexical: the score of each, float32 (n,), zeros for a
    retriever that was not asked; dense_list, lexical_list: what each retriever found by itself.
    """

    labels: Labels
    dense: Floats
    lexical: Floats
    dense_list: RankedList
    lexical_list: RankedList


def gather(
    index: OpenIndex,
    vector: Floats | None,
    terms: Terms,
    depth: int,
    allowed: Labels | None = None,
) -> Candidates:
    """The top `depth` of each retriever.

    vector: of the query, float32 (dimension,), None to leave dense retrieval out; terms: of the
    lexical analyser with their weights, empty to leave BM25 out; allowed: labels that may be
    given, None for all.

    Raises:
        IndexFault: the index is damaged, or the vector is of another dimension.
    """
    dense_list, lexical_list = RankedList.none(), RankedList.none()
    if vector is not None:
        dense_list = RankedList(*index.vectors.search(vector, depth, allowed))
    if terms:
        lexical_list = RankedList(*index.lexical.search(terms, depth, allowed))
    if vector is None:
        order = np.argsort(lexical_list.labels)
        labels, lexical = lexical_list.labels[order], lexical_list.scores[order]
        return Candidates(labels, np.zeros_like(lexical), lexical, dense_list, lexical_list)
    labels = np.union1d(dense_list.labels, lexical_list.labels)
    return Candidates(labels, *_scores(index, labels, vector, terms), dense_list, lexical_list)


def extended(
    index: OpenIndex, found: Candidates, labels: Labels, vector: Floats | None, terms: Terms
) -> Candidates:
    """`found` and further documents, with both scores too. Raises as `gather`."""
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
        found.dense_list,
        found.lexical_list,
    )


def _scores(
    index: OpenIndex, labels: Labels, vector: Floats | None, terms: Terms
) -> tuple[Floats, Floats]:
    """The dense and the lexical score of each label; zeros where one was not asked for."""
    dense = np.zeros(len(labels), dtype=np.float32)
    if vector is not None:
        dense = index.vectors.similarities(vector, labels)
    lexical = np.zeros(len(labels), dtype=np.float32)
    if terms:
        lexical = index.lexical.scores_of(terms, labels)
    return dense, lexical
