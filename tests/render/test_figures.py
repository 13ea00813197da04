"""Figures as data: Pareto fronts, what is left out, ranks, and the same data as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import RANKINGS, MatrixView, ScoreTable
from bioretrieval_tui.catalog.models import Benchmark, Content, Model, Result
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.records import FORMAT, EvaluationRecord
from bioretrieval_tui.render.catalogue_figures import FigureWish, make_figure
from bioretrieval_tui.render.figures import (
    AXES,
    Figure,
    MeasuredRun,
    ScoredModel,
    figure_sheet,
    history_figure,
    pareto_front,
    profile_figure,
    quality_figure,
    runs_figure,
    timeline_figure,
)
from bioretrieval_tui.render.formats import render
from bioretrieval_tui.render.lineage import Era, Timeline, TimelineMark

PAIRS = st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), max_size=30)


def model(name: str, **facts: object) -> Model:
    values = {"role": "retriever", "summary": "Text.", "sources": ("card",)} | facts
    return Model(id=name.lower(), name=name, **values)  # type: ignore[arg-type]  # fields by name


SMALL = model("Small", params=20_000_000, released="2021-08-30", dimension=384, year=2021)
WORSE = model("Worse", params=110_000_000, year=2022, dimension=768)
LARGE = model("Large", params=7_000_000_000, released="2024-02-08", memory=14_000, dimension=4096)
WORDS = model("Words", params=0, released="1994-01-01")
SCORED = [
    ScoredModel(one, score)
    for one, score in ((SMALL, 0.6), (WORSE, 0.5), (LARGE, 0.8), (WORDS, 0.55))
]


@given(PAIRS, st.booleans())
def test_a_front_is_what_no_other_beats(pairs: list[tuple[float, float]], more: bool) -> None:
    sign = -1 if more else 1

    def beaten(one: tuple[float, float]) -> bool:
        return any(
            sign * x <= sign * one[0] and y >= one[1] and (x, y) != one for x, y in pairs
        )  # fmt: skip

    front = pareto_front(pairs, more=more)
    assert sorted(front) == [at for at, pair in enumerate(pairs) if not beaten(pair)]
    assert [pairs[at][1] for at in front] == sorted(pairs[at][1] for at in front)


def test_quality_has_its_front_and_says_what_has_no_place() -> None:
    figure = quality_figure(SCORED, "params", "nDCG@10", "SciFact", named={"small", "worse"})
    assert figure.title == "nDCG@10 of SciFact against parameters"
    assert [(p.name, p.standing) for p in figure.points] == [
        ("Small", "front"), ("Worse", "named"), ("Large", "front"),
    ]  # fmt: skip
    # A step line: up where the better model stands, and to the right end.
    assert figure.curves[0].corners == ((2e7, 0.6), (7e9, 0.6), (7e9, 0.8))
    assert figure.notes == ("1 model left out: parameters not known",)
    assert [point.standing for point in quality_figure(SCORED, "params", "m", "b").points] == [
        "front", "other", "front",
    ]  # fmt: skip


def test_a_year_alone_is_said_and_never_becomes_a_day() -> None:
    figure = quality_figure(SCORED, "released", "nDCG@10", "SciFact")
    texts = {point.name: figure.when(point) for point in figure.points}
    assert texts == {
        "Small": "2021-08-30", "Worse": "2022", "Large": "2024-02-08", "Words": "1994-01-01",
    }  # fmt: skip
    assert figure.notes == ("1 model known by the year alone: shown at the middle of it",)
    assert "Worse,2022,0.5,,false" in "".join(render(figure_sheet(figure), "csv"))


@pytest.mark.parametrize("against", AXES)
def test_every_axis_is_a_field_of_models_with_a_text(against: str) -> None:
    figure = quality_figure(SCORED, against, "nDCG@10", "SciFact")
    large = next(point for point in figure.points if point.id == "large")
    expected = {"params": "7B", "dimension": "4,096", "released": "2024-02-08", "memory": "14 GB"}
    assert figure.when(large) == expected[against]


def test_whole_numbers_have_no_fraction_in_data() -> None:
    sheet = figure_sheet(quality_figure(SCORED, "params", "nDCG@10", "SciFact"))
    assert "Large,7000000000,0.8," in "".join(render(sheet, "csv"))
    assert '"params": 7000000000,' in "".join(render(sheet, "json"))


def test_outliers_are_in_the_data_and_counted_in_a_drawing() -> None:
    crowd = [ScoredModel(model(f"M{n}", params=10**7 * (n + 2)), 0.5 + n / 1000) for n in range(30)]
    tiny = ScoredModel(model("Tiny", params=10**6), 0.01, "s")
    figure = quality_figure([*crowd, tiny], "params", "nDCG@10", "SciFact")
    assert len(figure.points) == 31
    assert figure.drawn.notes == ("1 model below 0.48 not drawn; the table has all",)
    assert [point.label for point in figure.points if point not in figure.drawn.points] == [
        "Tiny [s]"
    ]
    assert figure.low is not None
    assert {y for curve in figure.drawn.curves for _, y in curve.corners} >= {figure.low, 0.5}
    few = quality_figure([*crowd[:10], tiny], "params", "nDCG@10", "SciFact")
    assert few.drawn is few


def test_history_keeps_what_was_better_than_all_before() -> None:
    later = model("Later", released="2025-01-01")
    series = {"A": [*SCORED, ScoredModel(later, 0.7)], "B": [ScoredModel(SMALL, 0.1)]}
    figure = history_figure(series, "nDCG@10")
    assert [(p.name, p.series) for p in figure.points] == [
        ("Words", 0), ("Small", 0), ("Large", 0), ("Small", 1),
    ]  # fmt: skip
    ends = {curve.corners[-1][0] for curve in figure.curves}
    assert ends == {AXES["released"].place(max(point.x for point in figure.points))}


def test_a_profile_ranks_among_all_models_of_each_benchmark() -> None:
    scores = {
        ("one", "One"): {"small": 0.5, "a": 0.9, "b": 0.5, "c": 0.1},
        ("two", "Two"): {"small": 0.3},
        ("three", "Three"): {"a": 0.3},
    }
    figure = profile_figure(SMALL, scores)
    assert [(bar.name, bar.rank, bar.of, bar.share) for bar in figure.bars] == [
        ("Two", 1, 1, 1.0), ("One", 2, 4, pytest.approx(2 / 3)),
    ]  # fmt: skip


def test_runs_have_a_front_for_each_benchmark_and_say_where_machines_differ() -> None:
    runs = [
        MeasuredRun("1", "Fast", "facts", 900.0, 0.6, "cpu"),
        MeasuredRun("2", "Slow", "facts", 90.0, 0.7, "cpu"),
        MeasuredRun("3", "Neither", "facts", 80.0, 0.65, "cpu"),
        MeasuredRun("4", "Other", "covid", 10.0, 0.3, "gpu"),
    ]
    figure = runs_figure(runs, "nDCG@10")
    assert [point.name for point in figure.front] == ["Fast", "Slow", "Other"]
    assert figure.curves[0].corners[0] == (900.0, 0.6)
    assert figure.curves[0].corners[-1] == (80.0, 0.7)
    assert figure.notes == ("speeds of 2 machines: cpu; gpu",)
    assert runs_figure(runs[:3], "nDCG@10").notes == ()


def test_a_milestone_says_what_its_models_were_trained_from() -> None:
    marks = (
        TimelineMark("a", "A", 2019, heirs=("b",)),
        TimelineMark("b", "B", 2020, bases=("a",)),
    )
    figure = timeline_figure(Timeline((Era("encoders", marks),), ((2004, 2019),)))
    rows = json.loads("".join(render(figure_sheet(figure), "json")))
    assert [(row["year"], row["era"], row["trained_from"]) for row in rows] == [
        (2019, "encoders", ""), (2020, "encoders", "A"),
    ]  # fmt: skip
    assert figure.notes == ("no milestone between 2004 and 2019",)


@pytest.mark.parametrize("kind", ["points", "bars", "series"])
def test_the_data_of_a_figure_are_the_same_in_every_format(kind: str) -> None:
    figure: Figure = {
        "points": quality_figure(SCORED, "params", "nDCG@10", "SciFact"),
        "bars": profile_figure(SMALL, {("one", "One"): {"small": 0.5, "a": 0.9}}),
        "series": history_figure({"A": SCORED, "B": SCORED}, "nDCG@10"),
    }[kind]
    sheet = figure_sheet(figure)
    records = json.loads("".join(render(sheet, "json")))
    assert len(records) == len(figure.points or figure.bars) == len(sheet.rows)
    head = "".join(render(sheet, "csv")).splitlines()[0]
    assert set(head.split(",")) == set(records[0])
    assert figure.title in "".join(render(sheet, "markdown"))


# From the catalogue ----------------------------------------------------------------------------


def result(name: str, benchmark: str, value: float, **other: object) -> Result:
    values = {"source": "table"} | other
    return Result(model=name, benchmark=benchmark, value=value, **values)  # type: ignore[arg-type]


@pytest.fixture
def table() -> ScoreTable:
    sets = [
        Benchmark(id=name, name=name.upper(), summary="Text.", sources=("card",), members=members)
        for name, members in (
            ("a", ()),
            ("b", ()),
            ("both", ("a", "b", "Elsewhere")),
            ("none", ()),
            ("near", ()),
        )
    ]
    results = (
        result("small", "a", 0.6), result("small", "b", 0.4), result("large", "a", 0.8),
        result("large", "b", 0.5), result("worse", "a", 0.9, status="unverified"),
        result("worse", "a", 0.5), result("words", "a", 0.95, comparable=False),
        result("words", "a", 0.97, subset="part"), result("worse", "b", 0.7, metric="R@100"),
        result("small", "near", 0.8, metric="Spearman"),
    )  # fmt: skip
    entries = (SMALL, WORSE, LARGE, WORDS, *sets)
    return ScoreTable(Catalogue(Content(entries=entries, results=results, sources=())))


def over(*columns: str, **other: Any) -> MatrixView:
    return MatrixView(columns=columns, **other)


def test_only_comparable_scores_of_whole_benchmarks_are_drawn(table: ScoreTable) -> None:
    figure = make_figure(table, FigureWish(view=over("a")))
    assert {p.name: p.y for p in figure.points} == {"Small": 0.6, "Worse": 0.5, "Large": 0.8}


@pytest.mark.parametrize("names", [("a", "b"), ("both",)])
def test_a_mean_is_over_models_that_have_all_scores(
    table: ScoreTable, names: tuple[str, ...]
) -> None:
    figure = make_figure(table, FigureWish(view=over(*names)))
    assert figure.title == "mean nDCG@10 of A, B against parameters"
    assert {p.name: p.y for p in figure.points} == {"Small": 0.5, "Large": 0.65}
    assert figure.notes == ("1 model left out: not scored on each benchmark",)


@pytest.mark.parametrize("view", [{"ranking": one} for one in RANKINGS] + [{"complete": True}])
def test_quality_is_the_mean_whatever_ranks_the_board(
    table: ScoreTable, view: dict[str, Any]
) -> None:
    expected = make_figure(table, FigureWish(view=over("a", "b")))
    figure = make_figure(table, FigureWish(view=over("a", "b", **view)))
    assert (figure.points, figure.notes) == (expected.points, expected.notes)


def test_a_column_in_another_measure_is_named_as_left_out(table: ScoreTable) -> None:
    figure = make_figure(table, FigureWish(view=over("a", "near")))
    assert figure.title == "nDCG@10 of A against parameters"
    assert figure.notes == ("left out, in another measure: NEAR (Spearman)",)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (FigureWish(view=over("none")), "no column is called 'none'"),
        (FigureWish(view=over("a"), models=()), "no model that the filter keeps"),
        (FigureWish("profile", model="words"), "nothing to draw for 'Ranks of Words'"),
        (FigureWish("profile"), "no model is named"),
        (
            FigureWish("history", view=over("a", "near")),
            "(A: nDCG@10, NEAR: Spearman)",
        ),
        (FigureWish("runs"), "there are no runs"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_nothing_to_draw_is_said(table: ScoreTable, wish: FigureWish, said: str) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        make_figure(table, wish)
    assert said in caught.value.line()


def test_runs_are_drawn_where_their_speed_is_known(table: ScoreTable) -> None:
    def record(mode: str, **other: object) -> EvaluationRecord:
        values: dict[str, object] = {
            "benchmark": "facts", "split": "test", "sha256": "ab", "model": "lab/alpha",
            "revision": "0", "recipe_hash": "cd", "index": "eval", "queries": 5, "documents": 50,
            "depth": 100, "hardware": "A processor", "metrics": {"nDCG@10": 0.5}, "per_query": {},
            "latency_ms": {}, "versions": {},
        } | other  # fmt: skip
        return EvaluationRecord(format=FORMAT, id=mode, date="2026-03-01", mode=mode, **values)  # type: ignore[arg-type]

    known = record("dense", docs_per_second=120.5, encoded_on="cpu")
    figure = make_figure(table, FigureWish("runs"), [known, record("lexical")])
    assert [(point.x, figure.when(point), point.name) for point in figure.points] == [
        (120.5, "120", "alpha")
    ]
    with pytest.raises(BioRetrievalError, match="1 run without it"):
        make_figure(table, FigureWish("runs"), [record("lexical")])
