"""The results matrix: only like beside like, and nothing ranked that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MEAN_METRIC, Axis, ResultMatrix, build
from bioretrieval_tui.catalog.models import Benchmark, Content, Model, Result

MODELS = ("able", "baker", "charlie", "delta")
SETS = ("facts", "covid", "nutrition")
FACTS, COVID, NUTRITION = (Axis(name, "nDCG@10") for name in SETS)


def made(*results: Result) -> Catalogue:
    common: dict[str, Any] = {"summary": "A summary.", "sources": ("card",)}
    models = [Model(id=m, name=m.title(), role="retriever", **common) for m in MODELS]
    sets = [Benchmark(id=b, name=b.title(), **common) for b in SETS]
    return Catalogue(Content(entries=(*models, *sets), results=results, sources=()))


def figure(model: str, benchmark: str, value: float, **other: Any) -> Result:
    return Result(model=model, benchmark=benchmark, value=value, source="card", **other)


def order(matrix: ResultMatrix) -> list[str]:
    return [row.model for row in matrix.rows]


@pytest.fixture
def three() -> Catalogue:
    """Able has all three, baker two, charlie one."""
    return made(
        figure("able", "facts", 0.5),
        figure("able", "covid", 0.6),
        figure("able", "nutrition", 0.3),
        figure("baker", "facts", 0.7),
        figure("baker", "covid", 0.4),
        figure("charlie", "facts", 0.6),
    )


def test_rows_with_most_figures_and_columns_with_most_models_come_first(three: Catalogue) -> None:
    matrix = build(three)
    assert order(matrix) == ["able", "baker", "charlie"]
    assert matrix.axes == (FACTS, COVID, NUTRITION)
    assert matrix.hidden == {}
    assert matrix.rows[1].figures[FACTS].value == 0.7


def test_what_is_not_comparable_is_counted_and_not_shown() -> None:
    matrix = build(
        made(
            figure("able", "facts", 0.5),
            figure("baker", "facts", 0.99, comparable=False, note="reranked"),
        )
    )
    assert order(matrix) == ["able"]
    assert matrix.hidden == {"not comparable": 1}


def test_parts_of_a_benchmark_are_no_column() -> None:
    matrix = build(made(figure("able", "facts", 0.5), figure("able", "facts", 0.9, subset="hard")))
    assert matrix.rows[0].figures[FACTS].value == 0.5
    assert matrix.axes == (FACTS,)


def test_measures_of_one_benchmark_are_columns_of_their_own() -> None:
    matrix = build(made(figure("able", "facts", 0.5), figure("able", "facts", 0.9, metric="R@100")))
    assert set(matrix.axes) == {FACTS, Axis("facts", "R@100")}


@pytest.mark.parametrize("turned", [False, True])
def test_confirmed_figures_are_preferred(turned: bool) -> None:
    results = [
        figure("able", "facts", 0.9, status="unverified"),
        figure("able", "facts", 0.8, status="secondary"),
        figure("able", "facts", 0.7),
        figure("able", "covid", 0.9, status="unverified"),
        figure("able", "covid", 0.8, status="secondary"),
    ]
    (row,) = build(made(*(reversed(results) if turned else results))).rows
    assert (row.figures[FACTS].value, row.figures[COVID].value) == (0.7, 0.8)


def test_the_mean_is_over_what_every_row_has(three: Catalogue) -> None:
    matrix = build(three)
    assert matrix.common == (FACTS,)
    assert [row.mean for row in matrix.rows] == [0.5, 0.7, 0.6]
    # With fewer rows there is more in common, and the mean is taken anew.
    matrix = build(three, models=["able", "baker"])
    assert matrix.common == (COVID, FACTS)
    assert [row.mean for row in matrix.rows] == pytest.approx([0.55, 0.55])


def test_the_mean_is_of_one_measure_only() -> None:
    everywhere = [
        figure(model, "facts", value, metric=metric)
        for model, value in (("able", 0.2), ("baker", 0.4))
        for metric in (MEAN_METRIC, "R@100", "AP@100")
    ]
    matrix = build(made(*everywhere))
    assert matrix.common == (FACTS,)
    assert len(matrix.axes) == 3
    only_recall = build(made(*(r for r in everywhere if r.metric == "R@100")))
    assert only_recall.common == ()
    assert [row.mean for row in only_recall.rows] == [None, None]


def test_one_row_has_no_mean(three: Catalogue) -> None:
    matrix = build(three, models=["able"])
    assert (matrix.common, matrix.rows[0].mean) == ((), None)


def test_sorting_by_a_column_hides_the_rows_without_it(three: Catalogue) -> None:
    matrix = build(three, sort=COVID)
    assert order(matrix) == ["able", "baker"]
    assert matrix.hidden == {"no score here": 1}
    assert matrix.common == (COVID, FACTS)
    assert order(build(three, sort=COVID, reverse=True)) == ["baker", "able"]
    assert order(build(three, sort=FACTS)) == ["baker", "charlie", "able"]


def test_sorting_by_mean_and_by_name(three: Catalogue) -> None:
    assert order(build(three, sort="mean")) == ["baker", "charlie", "able"]
    assert order(build(three, sort="mean", reverse=True)) == ["able", "charlie", "baker"]
    assert order(build(three, sort="model")) == ["able", "baker", "charlie"]
    assert order(build(three, sort="model", reverse=True)) == ["charlie", "baker", "able"]


def test_the_mean_keeps_within_a_column(three: Catalogue) -> None:
    matrix = build(three, sort="mean", within=COVID)
    assert order(matrix) == ["able", "baker"]
    assert matrix.common == (COVID, FACTS)
    assert matrix.hidden == {"no score here": 1}
    # An order by a column is within that column.
    assert order(build(three, sort=FACTS, within=COVID)) == ["baker", "charlie", "able"]


def test_zero_shot_only_keeps_what_is_known_to_be() -> None:
    catalogue = made(
        figure("able", "facts", 0.5, zero_shot=True),
        figure("able", "covid", 0.6, zero_shot=False),
        figure("baker", "facts", 0.7),
        figure("charlie", "facts", 0.8, comparable=False),
    )
    matrix = build(catalogue, zero_shot_only=True)
    assert order(matrix) == ["able"]
    assert matrix.axes == (FACTS,)
    assert matrix.hidden == {"not known to be zero-shot": 2, "not comparable": 1}
    # An axis that no row has any more leaves nothing to sort.
    assert build(catalogue, zero_shot_only=True, sort=COVID).rows == ()


def test_zero_shot_only_falls_back_on_a_less_trusted_figure() -> None:
    matrix = build(
        made(
            figure("able", "facts", 0.9, zero_shot=False),
            figure("able", "facts", 0.4, zero_shot=True, status="secondary"),
        ),
        zero_shot_only=True,
    )
    assert matrix.rows[0].figures[FACTS].value == 0.4


def test_chosen_models_only(three: Catalogue) -> None:
    assert order(build(three, models=["charlie", "no such model"])) == ["charlie"]
    nothing = build(three, models=[])
    assert (nothing.rows, nothing.axes, nothing.common, nothing.hidden) == ((), (), (), {})


def test_the_shipped_catalogue_ranks_nothing_that_cannot_be(catalogue: Catalogue) -> None:
    for sort in (None, "mean", "model", *build(catalogue).axes):
        matrix = build(catalogue, sort=sort)
        for row in matrix.rows:
            assert row.figures
            for axis, result in row.figures.items():
                assert (result.benchmark, result.metric) == (axis.benchmark, axis.metric)
                assert result.comparable
                assert result.subset is None
            assert set(matrix.common) <= set(row.figures)
        if isinstance(sort, Axis):
            values = [row.figures[sort].value for row in matrix.rows]
            assert values == sorted(values, reverse=True)
