"""BM25 over a lexical index: best documents, scores of given ones, and why.

The score of a document is the sum over the query's terms of

    weight * idf * (k1 + 1) * tf / (tf + k1 * (1 - b + b * length / average length))

where tf and length count the title `title_weight` times (one saturation over both fields, as in
BM25F), and idf = ln(1 + (N - n + 0.5) / (n + 0.5)) for n of N documents with the term.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.lexical.analysis import ANALYSER, spans, tokens
from bioretrieval_tui.index.lexical.arrays import DEAD, Arrays, open_arrays, term_hash
from bioretrieval_tui.index.lexical.facts import LexicalFacts
from bioretrieval_tui.index.lexical.ranking import Posting, best, scores_at

MAX_QUERY_CHARACTERS = 200_000
MAX_QUERY_TERMS = 256
"""A longer query keeps the terms that can count most: the others hardly move the order."""

Labels = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parameters:
    """How BM25 weighs; the defaults were tuned, see `benchmarks/lexical.py`.

    k1: how slowly repetition saturates, >= 0; b: how much length counts, 0 to 1; title_weight:
    how often a title's words count, >= 0.
    """

    k1: float = 1.2
    b: float = 0.7
    title_weight: float = 2.0

    def __post_init__(self) -> None:
        if not (self.k1 >= 0 and 0 <= self.b <= 1 and self.title_weight >= 0):
            raise ValueError(f"BM25 cannot weigh with {self}")
        if not math.isfinite(self.k1 + self.title_weight):
            raise ValueError(f"BM25 cannot weigh with {self}")


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of the query that the index has: its weight times idf, and where it stands."""

    place: int
    impact: float


class LexicalIndex:
    """One lexical index, open for reading. Any number of threads may ask at a time."""

    def __init__(
        self,
        folder: Path,
        facts: LexicalFacts,
        *,
        name: str,
        parameters: Parameters | None = None,
    ) -> None:
        """Map the files of `folder`; `facts` is what `write_index` returned.

        Raises:
            IndexFault: the files are damaged, do not fit `facts`, or were made by another
                analyser. `name` is what the remedy calls the index.
        """
        self._remedy = f"run: index compact {name}, or build the index again"
        self._parameters = parameters or Parameters()
        if facts.analyser != ANALYSER:
            raise IndexFault(
                f"the lexical index was made by {facts.analyser}, this version reads {ANALYSER}",
                remedy=self._remedy,
            )
        self._arrays = open_arrays(folder, remedy=self._remedy)
        self._facts = facts
        _check(facts, self._arrays, self._remedy)
        self._checked: set[int] = set()
        self._damping: NDArray[np.float32] | None = None
        self._lock = threading.Lock()

    @property
    def facts(self) -> LexicalFacts:
        """What the index holds."""
        return self._facts

    def search(self, query: str, k: int, allowed: Labels | None = None) -> tuple[Labels, Scores]:
        """The `k` best documents for `query` and their scores, best first, ties by label.

        A word that is repeated counts again. Only documents with at least one term of the query
        are given, and only labels in `allowed` (any order, may hold labels that are not there)
        unless it is None. A query of stop words, or of nothing, finds nothing.

        Raises:
            IndexFault: the postings of a term are damaged.
        """
        return self.search_weighted(weighted_terms(query), k, allowed)

    def search_weighted(
        self, terms: Sequence[tuple[str, float]], k: int, allowed: Labels | None = None
    ) -> tuple[Labels, Scores]:
        """As `search`, for terms as `analysis.tokens` gives them, each with its weight.

        Weights of the same term are added; terms with none left above 0 do not count.
        """
        found = self._terms(terms)
        if not found or k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if allowed is not None:
            if not np.all(allowed[1:] > allowed[:-1]):
                allowed = np.unique(allowed)
            allowed = allowed[(allowed >= 0) & (allowed < self._facts.labels)]
        postings = [self._posting(term) for term in found]
        return best(postings, self._dampings(), k, allowed, self._parameters.title_weight)

    def scores_of(self, query: str, labels: Labels) -> Scores:
        """The score of each of `labels` for `query`, in their order; 0 where no term is found,
        or no such document."""
        return self.scores_weighted(weighted_terms(query), labels)

    def scores_weighted(self, terms: Sequence[tuple[str, float]], labels: Labels) -> Scores:
        """As `scores_of`, for terms with weights as `search_weighted` takes them."""
        return self._scores_of(self._terms(terms), labels)

    def explain(self, query: str, label: int) -> list[tuple[str, float]]:
        """The words of `query` that found document `label`, as they were typed, each with its
        share of the score (they add up to 1), largest first; empty if none did.

        Where two words of the query are one term, the first stands for both.
        """
        typed: dict[str, str] = {}
        query = query[:MAX_QUERY_CHARACTERS]
        for term, start, end in spans(query):
            typed.setdefault(term, query[start:end])
        shares: dict[str, float] = {}
        one = np.array([label], dtype=np.int64)
        weighted = {term_hash(term): term for term, _ in weighted_terms(query)}
        for found in self._terms(weighted_terms(query)):
            score = float(self._scores_of([found], one)[0])
            if score > 0:
                word = typed[weighted[int(self._arrays.terms[found.place])]]
                shares[word] = shares.get(word, 0.0) + score
        whole = sum(shares.values())
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return [(word, score / whole) for word, score in ordered]

    def document_frequency(self, term: str) -> int:
        """In how many documents a term (as `analysis.tokens` gives it) stands."""
        place = self._arrays.find(term_hash(term))
        return 0 if place is None else self._count(place)

    def labels_with(self, term: str) -> Labels:
        """The documents with a term (as `analysis.tokens` gives it), ascending.

        Raises:
            IndexFault: its postings are damaged.
        """
        place = self._arrays.find(term_hash(term))
        if place is None:
            return np.zeros(0, np.int64)
        return self._posting(_Term(place, 0.0)).documents.astype(np.int64)

    def _count(self, place: int) -> int:
        return int(self._arrays.offsets[place + 1] - self._arrays.offsets[place])

    def _scores_of(self, terms: Sequence[_Term], labels: Labels) -> Scores:
        asked = np.asarray(labels, dtype=np.int64)
        inside = (asked >= 0) & (asked < self._facts.labels)
        # The postings are searched in place of the labels that are not there by label 0.
        safe = np.where(inside, asked, 0)
        postings = [self._posting(term) for term in terms]
        if not postings or not self._facts.labels:
            return np.zeros(len(asked), np.float32)
        scores = scores_at(postings, self._dampings(), safe, self._parameters.title_weight)
        return np.where(inside, scores, np.float32(0))

    def _terms(self, weighted: Sequence[tuple[str, float]]) -> list[_Term]:
        """The terms that the index has, those of fewest documents first."""
        weights: dict[str, float] = {}
        for term, weight in weighted:
            weights[term] = weights.get(term, 0.0) + weight
        alive = self._facts.documents
        found: list[_Term] = []
        for term, weight in weights.items():
            place = self._arrays.find(term_hash(term)) if 0 < weight < math.inf else None
            if place is not None:
                count = self._count(place)
                idf = math.log1p(max(0.0, alive - count + 0.5) / (count + 0.5))
                found.append(_Term(place, weight * idf * (self._parameters.k1 + 1)))
        found.sort(key=lambda term: (-term.impact, term.place))
        del found[MAX_QUERY_TERMS:]
        found.sort(key=lambda term: (self._count(term.place), term.place))
        return found

    def _posting(self, term: _Term) -> Posting:
        start, end = (int(at) for at in self._arrays.offsets[term.place : term.place + 2])
        documents = self._arrays.documents[start:end]
        if term.place not in self._checked:
            # Once a term: ascending and below the count means that nothing can lead outside.
            if int(documents[-1]) >= self._facts.labels or not np.all(
                documents[1:] > documents[:-1]
            ):
                raise IndexFault(
                    "the lexical index is damaged: documents.npy is out of order",
                    remedy=self._remedy,
                )
            self._checked.add(term.place)
        return Posting(documents, self._arrays.frequencies[start:end], term.impact)

    def _dampings(self) -> NDArray[np.float32]:
        """For each label k1 * (1 - b + b * length / average); infinite for the dead."""
        if self._damping is None:
            with self._lock:
                if self._damping is None:
                    self._damping = self._make_dampings()
        return self._damping

    def _make_dampings(self) -> NDArray[np.float32]:
        setting, facts = self._parameters, self._facts
        average = setting.title_weight * facts.title_length + facts.text_length
        titles, texts = self._arrays.lengths[:, 0], self._arrays.lengths[:, 1]
        lengths = titles * np.float32(setting.title_weight) + texts.astype(np.float32)
        scale = setting.b / average if average > 0 else 0.0
        damping = setting.k1 * (1 - setting.b + scale * lengths)
        return np.where(titles == DEAD, np.inf, damping).astype(np.float32)


def weighted_terms(query: str) -> list[tuple[str, float]]:
    """Each term of `query` with the number of times that it stands there."""
    counted = Counter(tokens(query[:MAX_QUERY_CHARACTERS]))
    return [(term, float(count)) for term, count in counted.items()]


def _check(facts: LexicalFacts, arrays: Arrays, remedy: str) -> None:
    """Raise unless the arrays are those that `facts` tells of."""
    pairs = (
        ("terms.npy", len(arrays.terms), facts.terms),
        ("documents.npy", len(arrays.documents), facts.postings),
        ("lengths.npy", len(arrays.lengths), facts.labels),
    )
    for name, have, due in pairs:
        if have != due:
            raise IndexFault(
                f"the lexical index is damaged: {name} has {have} rows where {due} are due",
                remedy=remedy,
            )
    sound = 0 <= facts.documents <= facts.labels and all(
        math.isfinite(length) and length >= 0 for length in (facts.title_length, facts.text_length)
    )
    if not sound:
        raise IndexFault("the lexical index is damaged: its facts make no sense", remedy=remedy)
