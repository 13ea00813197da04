"""The randomisation test: what its p must be where it is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.metrics import PERMUTATIONS, compare, randomisation


def test_identical_runs_have_p_1() -> None:
    assert randomisation([0.0] * 40)[0] == 1.0
    found = compare("a", "b", ({"q": 0.3, "r": 0.5}, {"q": 0.3, "r": 0.5}))
    assert (found.p, found.difference, found.ties) == (1.0, 0.0, 2)


def test_few_queries_are_tried_in_every_way() -> None:
    differences = [0.3, -0.1, 0.25, 0.05]
    seen = abs(sum(differences)) - 1e-12
    ways = [abs(np.dot(signs, differences)) >= seen for signs in product((1, -1), repeat=4)]
    p, tried, exact = randomisation(differences)
    assert (p, tried, exact) == (pytest.approx(sum(ways) / 16), 16, True)
    # All the same sign: only all plus and all minus are as far out.
    assert randomisation([0.1] * 10)[0] == pytest.approx(2 / 2**10)


def test_a_large_difference_has_a_small_p_and_noise_a_large_one() -> None:
    draws = np.random.default_rng(7)
    noise = draws.normal(0, 0.2, 300)
    assert randomisation(noise + 0.2)[0] == pytest.approx(1 / (PERMUTATIONS + 1))
    centred = noise - noise.mean()
    assert randomisation(centred)[0] > 0.9


def test_p_agrees_with_the_normal_approximation() -> None:
    draws = np.random.default_rng(3)
    differences = draws.normal(0, 1, 400) + 0.1
    from math import erfc, sqrt

    z = abs(differences.sum()) / sqrt((differences**2).sum())
    assert randomisation(differences)[0] == pytest.approx(erfc(z / sqrt(2)), abs=0.015)


def test_both_directions_and_every_call_agree() -> None:
    draws = np.random.default_rng(11)
    differences = draws.normal(0.02, 0.2, 100)
    p = randomisation(differences)[0]
    assert 0 < p < 1
    assert randomisation(-differences)[0] == p
    assert randomisation(differences)[0] == p
    # A query in which both are equal adds nothing.
    assert randomisation(np.append(differences, 0.0))[0] == p


def test_under_no_difference_p_is_evenly_spread() -> None:
    draws = np.random.default_rng(5)
    found = [randomisation(draws.normal(0, 1, 30), permutations=500)[0] for _ in range(200)]
    assert 0.02 <= np.mean(np.array(found) < 0.1) <= 0.18
    assert 0.4 <= np.mean(found) <= 0.6


def test_wins_and_losses_are_of_the_second() -> None:
    found = compare("old", "new", ({"a": 0.5, "b": 0.5, "c": 0.2}, {"a": 0.9, "b": 0.4, "c": 0.2}))
    assert (found.wins, found.losses, found.ties) == (1, 1, 1)
    assert found.difference == pytest.approx(0.1)
    assert [delta.query for delta in found.deltas] == ["a", "c", "b"]
    assert found.deltas[0].difference == pytest.approx(0.4)
    back = compare("new", "old", ({"a": 0.9}, {"a": 0.5}))
    assert back.difference == pytest.approx(-0.4)


def test_runs_over_other_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="not over the same queries"):
        compare("a", "b", ({"q": 1.0}, {"r": 1.0}))


def test_the_histogram_counts_every_query_once() -> None:
    gains = {"a": 0.3, "b": 0.1 + 0.2, "c": 0.31, "d": -0.05, "e": 0.0, "f": 0.0, "g": -0.2}
    found = compare("x", "y", (dict.fromkeys(gains, 0.0), gains))
    assert [(one.low, one.high, one.queries) for one in found.histogram] == [
        (-0.2, -0.1, 1), (-0.1, 0, 1), (0, 0, 2), (0, 0.1, 0), (0.1, 0.2, 0), (0.2, 0.3, 2),
        (0.3, 0.4, 1),
    ]  # fmt: skip
    gained, lost = found.most_changed(1)
    assert ([one.query for one in gained], [one.query for one in lost]) == (["c"], ["g"])
    equal = compare("x", "y", (gains, gains))
    assert [(one.low, one.high, one.queries) for one in equal.histogram] == [(0, 0, 7)]
