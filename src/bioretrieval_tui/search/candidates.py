"""The candidates of a query, each with its dense and its lexical score.

Each retriever gives its top documents; documents that only one of them found are then scored by the
other too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.index.registry import OpenIndex

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Terms = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class RankedList:
    """The result of one retriever: labels and scores, best first."""

    labels: Labels
    scores: Floats

    @classmethod
    def none(cls) -> RankedList:
        """An empty list."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))

    def ranks(self) -> dict[int, int]:
        """The rank of each label, from 1."""
        return {label: rank for rank, label in enumerate(self.labels.tolist(), start=1)}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Documents with both scores.

    labels: ascending, int64 (n,); dense, lexical: the score of each, float32 (n,), zeros for an
    unused retriever; dense_list, lexical_list: the result of each retriever.
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

    vector: of the query, float32 (dimension,), None for no dense retrieval; terms: from the lexical
    analyser, with weights, empty for no BM25; allowed: permitted labels, None for all.

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
    """`found` with the documents `labels` added. Raises as `gather`."""
    new = np.setdiff1d(labels, found.labels)
    if not len(new):
        return found
    dense, lexical = _scores(index, new, vector, terms)
    together = np.concatenate([found.labels, new])
    order = np.argsort(together, kind="stable")
    return replace(
        found,
        labels=together[order],
        dense=np.concatenate([found.dense, dense])[order],
        lexical=np.concatenate([found.lexical, lexical])[order],
    )


def _scores(
    index: OpenIndex, labels: Labels, vector: Floats | None, terms: Terms
) -> tuple[Floats, Floats]:
    """The dense and the lexical score of each label; zeros for an unused retriever."""
    zeros = np.zeros(len(labels), dtype=np.float32)
    dense = zeros if vector is None else index.vectors.similarities(vector, labels)
    return dense, index.lexical.scores_of(terms, labels) if terms else zeros
