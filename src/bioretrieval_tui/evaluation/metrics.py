"""The measures of a run by ir-measures (by trec_eval's code, except RR), and the significance of
the difference between two runs by Fisher's randomisation test over paired queries.

ir-measures, numpy and statistics are imported within functions: they take a third of a second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAIN = "nDCG@10"
MEASURES = (MAIN, "AP@100", "R@100", "RR@10", "P@10")
"""In the spelling of ir-measures."""
DEPTH = 100
"""Documents per query that these measures need."""
PERMUTATIONS = 10_000
SEED = 20_080_426
"""Fixed, so that p is reproducible."""
_AT_ONCE = 500

Ranking = Sequence[tuple[str, float]]
"""Document ids with their scores, best first."""


class Measured(msgspec.Struct, frozen=True):
    """metrics: the mean over all judged queries; by_query: value by query and measure."""

    metrics: Mapping[str, float]
    by_query: Mapping[str, Mapping[str, float]]


def measure(
    judgements: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Ranking]
) -> Measured:
    """Measure rankings by query id against judgements by query id and document id.

    Every query of `judgements` counts: one without a ranking, or without a relevant document, as 0.
    A judged document that was not found, or is not in the corpus, counts in recall and in the ideal
    ranking. Grade 1 and above is relevant; nDCG uses the grade as the gain, a grade below 0 as 0.
    Documents without a judgement are not relevant.
    """
    from statistics import fmean

    import ir_measures

    parsed = {name: ir_measures.parse_measure(name) for name in MEASURES}
    # Ranks instead of scores: trec_eval would sort ties by descending id and the code of RR by
    # ascending id, while the ranker decides the order.
    places = {
        query: {name: float(-place) for place, (name, _) in enumerate(rankings.get(query, ()))}
        for query in judgements
    }
    # trec_eval treats grades below 0 differently.
    grades = {
        query: {name: max(0, grade) for name, grade in graded.items()}
        for query, graded in judgements.items()
    }
    found: dict[str, dict[str, float]] = {
        query: dict.fromkeys(MEASURES, 0.0) for query in judgements
    }
    names = {str(one): name for name, one in parsed.items()}
    for one in ir_measures.iter_calc(list(parsed.values()), grades, places):
        found[one.query_id][names[str(one.measure)]] = float(one.value)
    means = {name: fmean([one[name] for one in found.values()] or [0.0]) for name in MEASURES}
    return Measured(means, found)


# Two runs -------------------------------------------------------------------------------------


class Delta(msgspec.Struct, frozen=True):
    """One query: its values in both runs, second minus first, and its text where known."""

    query: str
    first: float
    second: float
    difference: float
    text: str = ""


class Bin(msgspec.Struct, frozen=True):
    """The number of queries whose difference is from `low` to `high`; the bound nearer to 0 does
    not belong to it. Both are 0 for equal queries."""

    low: float
    high: float
    queries: int


class Comparison(msgspec.Struct, frozen=True):
    """Two runs over the same queries.

    first, second: their names; difference: mean of second minus first; p: two-sided probability of
    a mean difference at least as large if the runs were interchangeable; permutations: number of
    sign flips tried; exact: whether these are all; wins, losses, ties: queries in which the second
    is better, worse, equal; deltas: every query, largest gain of the second first; histogram: of
    the differences, most negative first, without the empty bins at its ends.
    """

    first: str
    second: str
    measure: str
    difference: float
    p: float
    permutations: int
    exact: bool
    wins: int
    losses: int
    ties: int
    deltas: tuple[Delta, ...]
    histogram: tuple[Bin, ...] = ()

    def most_changed(self, each: int) -> tuple[list[Delta], list[Delta]]:
        """The queries that gained most, and those that lost most, at most `each`, worst last."""
        gained = [delta for delta in self.deltas if delta.difference > 0]
        lost = [delta for delta in self.deltas if delta.difference < 0]
        return gained[:each], lost[-each:]


def compare(
    first: str,
    second: str,
    values: tuple[Mapping[str, float], Mapping[str, float]],
    *,
    texts: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare two runs by their values per query; texts: of the queries, to show. Raises
    UsageError: they are not over the same queries."""
    before, after = values
    if before.keys() != after.keys():
        raise UsageError(
            f"{first} and {second} are not over the same queries",
            remedy="compare runs of one benchmark and split",
        )
    said = texts or {}
    deltas = [
        Delta(one, value, after[one], after[one] - value, said.get(one, ""))
        for one, value in before.items()
    ]
    deltas.sort(key=lambda delta: (-delta.difference, delta.query))
    differences = [delta.difference for delta in deltas]
    return Comparison(
        first,
        second,
        MAIN,
        sum(differences) / max(1, len(differences)),
        *randomisation(differences),
        wins=sum(one > 0 for one in differences),
        losses=sum(one < 0 for one in differences),
        ties=differences.count(0),
        deltas=tuple(deltas),
        histogram=tuple(_histogram(differences)),
    )


def _histogram(differences: Sequence[float]) -> list[Bin]:
    """The differences in tenths; equal queries have a bin of their own."""
    # Without binary noise: 0.3 belongs to the bin that ends there.
    tenths = Counter(
        int(math.copysign(math.ceil(abs(one) * 10 - 1e-9), one)) if abs(one) > 1e-9 else 0
        for one in differences
    )
    every = range(min([0, *tenths]), max([0, *tenths]) + 1)
    return [
        Bin(min(at, at - (at > 0)) / 10, max(at, at + (at < 0)) / 10, tenths[at]) for at in every
    ]


def randomisation(
    differences: npt.NDArray[np.float64] | Sequence[float],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> tuple[float, int, bool]:
    """p of the two-sided paired randomisation test, the sign flips tried, and whether all were.

    Each query's difference keeps or changes its sign; p is the share of draws whose mean is at
    least as far from 0 as the observed one, which counts as a draw, so that p is never 0. Where
    there are at most `permutations` ways to flip, each is used once.
    """
    import numpy as np

    given = np.asarray(differences, dtype=np.float64)
    given = given[given != 0]  # flipping a 0 changes no sum
    if not len(given):
        return 1.0, 1, True
    # Sums of the same numbers in another order differ in their last digits.
    seen = abs(given.sum()) - 1e-9 * np.abs(given).sum()
    if len(given) < 63 and 2 ** len(given) <= permutations:
        codes = np.arange(2 ** len(given))
        every = 1.0 - 2.0 * ((codes[:, None] >> np.arange(len(given))) & 1)
        return float((np.abs(every @ given) >= seen).mean()), len(codes), True
    draws = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, permutations, _AT_ONCE):
        rows = min(_AT_ONCE, permutations - start)
        signs = 1.0 - 2.0 * draws.integers(0, 2, size=(rows, len(given)), dtype=np.int8)
        extreme += int((np.abs(signs @ given) >= seen).sum())
    return (extreme + 1) / (permutations + 1), permutations, False
