"""From postings to the best documents: sums as far as they can matter, and no further.

Terms come rarest first. As soon as the terms that are left cannot lift a new document among the
best, only the documents that still can win are looked up in them. The result is that of adding
up everything; what is saved is most of the work on common words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

_NARROW = 8
"""A few documents are looked up in a list of postings when that is so many times as long."""

_BLOCKS = 1024

_SLACK = 1.0 - 1e-4
"""Sums of float32 in another order differ by less: a bound must not cut what rounding hides."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One term: its documents (strictly ascending), times in title and text, weight times idf
    times (k1 + 1), which no document's part of the score can pass."""

    documents: NDArray[np.uint32]
    frequencies: NDArray[np.uint8]
    impact: float


def best(
    postings: Sequence[Posting],
    dampings: Scores,
    k: int,
    allowed: NDArray[np.int64] | None,
    title_weight: float,
) -> tuple[NDArray[np.int64], Scores]:
    """The `k` best labels and scores, best first, ties by label; only those above 0.

    `postings`: rarest first; `dampings`: one for each label; `allowed`: labels in ascending
    order without repeats, or None for all.
    """
    if allowed is not None:
        longest = max(len(posting.documents) for posting in postings)
        if len(allowed) * _NARROW < longest:
            scores = scores_at(postings, dampings, allowed, title_weight)
            return _top(allowed, scores, k)
    scores, opened = _accumulate(postings, dampings, k, allowed, title_weight)
    left = sum(posting.impact for posting in postings[opened:])
    floor = _floor(scores, k)
    least = floor * _SLACK - left
    labels = np.flatnonzero(scores >= least if least > 0 else scores)
    sums = scores[labels]
    for posting in postings[opened:]:
        sums += _parts_at(posting, dampings, labels, title_weight)
        left -= posting.impact
        if len(labels) > 4 * k:
            # What each term taught may leave fewer to look up in the next, longer one.
            floor = max(floor, _kth(sums, k))
            kept = sums >= floor * _SLACK - left
            labels, sums = labels[kept], sums[kept]
    return _top(labels, sums, k)


def scores_at(
    postings: Sequence[Posting],
    dampings: Scores,
    labels: NDArray[np.int64],
    title_weight: float,
) -> Scores:
    """The score of each of `labels`, in their order; all of them must have a damping."""
    sums = np.zeros(len(labels), dtype=np.float32)
    for posting in postings:
        sums += _parts_at(posting, dampings, labels, title_weight)
    return sums


def _accumulate(
    postings: Sequence[Posting],
    dampings: Scores,
    k: int,
    allowed: NDArray[np.int64] | None,
    title_weight: float,
) -> tuple[Scores, int]:
    """Partial scores of all labels, and how many of the postings are in them.

    It stops where no label without a score can come among the best any more.
    """
    scores = np.zeros(len(dampings), dtype=np.float32)
    mask = None
    if allowed is not None:
        mask = np.zeros(len(dampings), dtype=np.bool_)
        mask[allowed] = True
    left = sum(posting.impact for posting in postings)
    sure = 0.0
    for opened, posting in enumerate(postings):
        # The look at what the k-th score may be costs as much as a list of some length.
        dear = len(posting.documents) * _NARROW > len(scores)
        if dear and sure > left and _floor(scores, k) * _SLACK > left:
            return scores, opened
        documents, frequencies = posting.documents, posting.frequencies
        if mask is not None:
            kept = mask[documents]
            documents, frequencies = documents[kept], frequencies[kept]
        # No document stands twice in a list, so that plain indexing adds rightly.
        scores[documents] += _parts(posting.impact, documents, frequencies, dampings, title_weight)
        left -= posting.impact
        sure += posting.impact
    return scores, len(postings)


def _parts(
    impact: float,
    documents: NDArray[np.uint32],
    frequencies: NDArray[np.uint8],
    dampings: Scores,
    title_weight: float,
) -> Scores:
    """What a term adds to the score of each of `documents`."""
    times = frequencies[:, 0] * np.float32(title_weight)
    times += frequencies[:, 1]
    below = dampings[documents]
    below += times
    times *= np.float32(impact)
    # 0 / 0: a title that weighs nothing, in a formula without damping.
    np.divide(times, below, out=times, where=below > 0)
    return times


def _parts_at(
    posting: Posting, dampings: Scores, labels: NDArray[np.int64], title_weight: float
) -> Scores:
    """What a term adds to the score of each of `labels`."""
    places = np.searchsorted(posting.documents, labels.astype(np.uint32))
    np.minimum(places, len(posting.documents) - 1, out=places)
    there = posting.documents[places] == labels
    parts = np.zeros(len(labels), dtype=np.float32)
    hits = places[there]
    parts[there] = _parts(
        posting.impact, posting.documents[hits], posting.frequencies[hits], dampings, title_weight
    )
    return parts


def _floor(scores: Scores, k: int) -> float:
    """Something that the `k`-th largest score is not below, fast.

    The k-th largest of the largest of each of many blocks: k documents are at least as good.
    """
    blocks = max(_BLOCKS, 8 * k)
    size = len(scores) // blocks
    if size < 2:
        return _kth(scores, k)
    return _kth(scores[: blocks * size].reshape(blocks, size).max(axis=1), k)


def _kth(scores: Scores, k: int) -> float:
    """The `k`-th largest score, 0 if there are fewer."""
    if k > len(scores):
        return 0.0
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _top(labels: NDArray[np.int64], scores: Scores, k: int) -> tuple[NDArray[np.int64], Scores]:
    """The `k` best of `labels` by score above 0, ties by label."""
    if len(labels) > k:
        # Everything that ties with the k-th stays in, so that the tie is broken by label.
        kept = scores >= _kth(scores, k)
        labels, scores = labels[kept], scores[kept]
    found = scores > 0
    labels, scores = labels[found], scores[found]
    order = np.lexsort((labels, -scores))[:k]
    return labels[order].astype(np.int64), scores[order]
