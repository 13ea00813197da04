"""The significance of the difference between two runs, by Fisher's randomisation test over paired
queries, and the difference of each query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.metrics import MAIN

PERMUTATIONS = 10_000
SEED = 20_080_426
"""Fixed, so that p is reproducible."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Delta:
    """One query: its values in both runs, and its text where known."""

    query: str
    first: float
    second: float
    text: str = ""

    @property
    def difference(self) -> float:
        """Second minus first: above 0 where the second run is better."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the same queries.

    first, second: their names; difference: mean of second minus first; p: two-sided probability of
    a mean difference at least as large if the runs were interchangeable; permutations: number of
    sign flips tried; exact: whether these are all; wins, losses, ties: queries in which the second
    is better, worse, equal; deltas: every query, largest gain of the second first.
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


def compare(
    first: str,
    second: str,
    values: tuple[Mapping[str, float], Mapping[str, float]],
    *,
    texts: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare two runs by their values per query; texts: of the queries, to show.

    Raises:
        UsageError: they are not over the same queries.
    """
    before, after = values
    if before.keys() != after.keys():
        raise UsageError(
            f"{first} and {second} are not over the same queries",
            remedy="compare runs of one benchmark and split",
        )
    said = texts or {}
    deltas = [Delta(one, before[one], after[one], said.get(one, "")) for one in before]
    deltas.sort(key=lambda delta: (-delta.difference, delta.query))
    differences = np.array([delta.difference for delta in deltas])
    p, permutations, exact = randomisation(differences)
    return Comparison(
        first=first,
        second=second,
        measure=MAIN,
        difference=float(differences.mean()) if len(differences) else 0.0,
        p=p,
        permutations=permutations,
        exact=exact,
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
        deltas=tuple(deltas),
    )


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
