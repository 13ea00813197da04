"""The measures against numbers worked out by hand, and against trec_eval's own reading."""

from __future__ import annotations

from math import log2

import pytest

from bioretrieval_tui.evaluation.metrics import MEASURES, measure
from bioretrieval_tui.evaluation.trec_runs import in_order


def ranking(*names: str) -> list[tuple[str, float]]:
    return [(name, 1.0 / place) for place, name in enumerate(names, start=1)]


def test_one_query_by_hand() -> None:
    # Gains 2, 1 and 3, of which the last is in no corpus; a at place 1, b at place 4.
    found = measure({"q": {"a": 2, "b": 1, "c": 3, "z": 0}}, {"q": ranking("a", "x", "z", "b")})
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert found.metrics == pytest.approx(
        {
            "nDCG@10": (2 / log2(2) + 1 / log2(5)) / ideal,
            "AP@100": (1 / 1 + 2 / 4) / 3,
            "R@100": 2 / 3,
            "RR@10": 1.0,
            "P@10": 0.2,
        }
    )
    assert found.by_query == {"q": found.metrics}


def test_the_mean_is_over_every_judged_query() -> None:
    judgements = {"found": {"a": 1}, "late": {"b": 1}, "none": {"c": 0}, "unrun": {"d": 1}}
    others = [f"x{n}" for n in range(10)]
    found = measure(
        judgements,
        {"found": ranking("a"), "late": ranking(*others, "b"), "none": ranking("c"), "more": []},
    )
    assert set(found.by_query) == set(judgements)
    assert found.metrics == pytest.approx(
        {
            "nDCG@10": 1 / 4,
            "AP@100": (1 + 1 / 11) / 4,
            "R@100": 2 / 4,
            "RR@10": 1 / 4,
            "P@10": 0.1 / 4,
        }
    )


def test_documents_below_the_cut_do_not_count() -> None:
    others = [f"x{n}" for n in range(100)]
    found = measure({"q": {"a": 1}}, {"q": ranking(*others, "a")})
    assert found.metrics == dict.fromkeys(MEASURES, 0.0)


def test_grades_below_zero_are_no_gain() -> None:
    with_them = measure({"q": {"a": 1, "b": -1, "c": -2}}, {"q": ranking("b", "a", "c")})
    without = measure({"q": {"a": 1}}, {"q": ranking("b", "a", "c")})
    assert with_them.metrics == without.metrics
    assert with_them.metrics["RR@10"] == 0.5


def test_ties_keep_the_order_of_the_ranking_in_every_measure() -> None:
    tied = [("b", 0.5), ("a", 0.5)]
    first = measure({"q": {"b": 1}}, {"q": tied}).metrics
    second = measure({"q": {"a": 1}}, {"q": tied}).metrics
    assert (first["RR@10"], first["AP@100"]) == (1.0, 1.0)
    assert (second["RR@10"], second["AP@100"]) == (0.5, 0.5)
    assert second["nDCG@10"] == pytest.approx(1 / log2(3))


def test_the_order_is_that_of_trec_eval_itself() -> None:
    """Handed the raw scores, trec_eval sorts as `in_order` does: ties by id downwards, and in
    single precision, where the two middle ones are equal."""
    import pytrec_eval

    scores = {"a": 0.5, "c": 0.25, "b": 0.25 + 1e-9, "d": 0.1, "e": 0.1}
    ordered = in_order(list(scores.items()), {})
    assert [name for name, _ in ordered] == ["a", "c", "b", "e", "d"]
    for wanted in scores:
        judgements = {"q": {wanted: 1}}
        raw = pytrec_eval.RelevanceEvaluator(judgements, {"map_cut_100", "recip_rank"})
        theirs = raw.evaluate({"q": scores})["q"]
        ours = measure(judgements, {"q": ordered}).metrics
        assert ours["AP@100"] == pytest.approx(theirs["map_cut_100"])
        assert ours["RR@10"] == pytest.approx(theirs["recip_rank"])


def test_no_judgements_give_zeros() -> None:
    assert measure({}, {}).metrics == dict.fromkeys(MEASURES, 0.0)
