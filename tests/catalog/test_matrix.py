"""The results matrix: like beside like, nothing ranked that cannot be, nothing lost by order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis, MatrixView, ResultMatrix, ScoreTable
from bioretrieval_tui.catalog.models import Benchmark, Content, Model, Result, Subset
from bioretrieval_tui.errors import UsageError

MODELS = ("able", "baker", "charlie", "delta")
SETS = ("facts", "covid", "nutrition")
FACTS, COVID, NUTRITION = (Axis(name, "nDCG@10") for name in SETS)


def made(*results: Result, sets: tuple[Benchmark, ...] = ()) -> ScoreTable:
    common: dict[str, Any] = {"summary": "A summary.", "sources": ("card",)}
    models = [
        Model(id=m, name=m.title(), role="retriever", params=at * 1000 or None, **common)
        for at, m in enumerate(MODELS)
    ]
    known = [Benchmark(id=b, name=b.title(), **common) for b in SETS]
    return ScoreTable(Catalogue(Content(entries=(*models, *known, *sets), results=results,
                                        sources=())))  # fmt: skip


def figure(model: str, benchmark: str, value: float, **other: Any) -> Result:
    return Result(model=model, benchmark=benchmark, value=value, source="card", **other)


def order(matrix: ResultMatrix) -> list[str]:
    return [row.model for row in matrix.rows]


def ranks(matrix: ResultMatrix) -> dict[str, int | None]:
    return {row.model: row.rank for row in matrix.rows}


@pytest.fixture
def three() -> ScoreTable:
    """Able has all three, baker two, charlie one."""
    return made(
        figure("able", "facts", 0.5),
        figure("able", "covid", 0.6),
        figure("able", "nutrition", 0.3),
        figure("baker", "facts", 0.7),
        figure("baker", "covid", 0.4),
        figure("charlie", "facts", 0.6),
    )


ALL = ("facts", "covid", "nutrition")


def test_columns_with_most_models_come_first_and_no_row_is_dropped(three: ScoreTable) -> None:
    matrix = three.matrix(MatrixView())
    assert matrix.axes == (FACTS, COVID, NUTRITION)
    assert set(order(matrix)) == {"able", "baker", "charlie"}
    assert matrix.hidden == {}


def test_the_four_sets_rank_where_no_columns_are_chosen() -> None:
    sets = tuple(
        Benchmark(id=name, name=name, summary="A set.", sources=("card",))
        for name in ("nfcorpus", "scifact", "scidocs", "trec-covid")
    )
    scores = [figure("able", one.id, 0.4) for one in sets] + [figure("able", "facts", 0.9)]
    scores += [figure("baker", one.id, 0.5) for one in sets[:3]] + [figure("baker", "facts", 1.0)]
    matrix = made(*scores, sets=sets).matrix(MatrixView())
    assert [axis.benchmark for axis in matrix.basis] == [one.id for one in sets]
    assert [axis.benchmark for axis in matrix.axes] == [*(one.id for one in sets), "facts"]
    able, baker = matrix.rows
    assert (able.model, able.rank, able.score, able.have) == ("able", 1, 0.4, 4)
    assert (baker.rank, baker.score, baker.have) == (None, None, 3)


def test_what_is_not_comparable_is_counted_and_not_shown() -> None:
    table = made(
        figure("able", "facts", 0.5),
        figure("baker", "facts", 0.99, comparable=False, note="reranked"),
    )
    matrix = table.matrix(MatrixView())
    assert order(matrix) == ["able"]
    assert matrix.hidden == {"not comparable": 1}


def test_the_best_known_and_measured_value_of_a_cell_counts() -> None:
    table = made(
        figure("able", "facts", 0.9, status="unverified"),
        figure("able", "facts", 0.8, status="secondary"),
        figure("able", "facts", 0.7, kind="self-reported"),
        figure("able", "facts", 0.6, kind="run"),
    )
    assert table.matrix(MatrixView()).rows[0].figures[FACTS].value == 0.6


def test_a_mean_needs_every_score(three: ScoreTable) -> None:
    matrix = three.matrix(MatrixView(columns=ALL[:2]))
    assert [(row.model, row.score, row.have) for row in matrix.rows] == [
        ("able", pytest.approx(0.55), 2), ("baker", pytest.approx(0.55), 2), ("charlie", None, 1),
    ]  # fmt: skip
    assert ranks(matrix) == {"able": 1, "baker": 1, "charlie": None}


def test_a_mean_is_over_one_measure() -> None:
    table = made(figure("able", "facts", 0.5), figure("able", "covid", 0.9, metric="MAP"))
    matrix = table.matrix(MatrixView(columns=("facts", "covid@map")))
    assert matrix.basis == (FACTS,)
    assert matrix.rows[0].score == 0.5
    alone = table.matrix(MatrixView(columns=("covid@map",)))
    assert alone.rows[0].score == 0.9


def test_mean_ranks_share_ties_and_need_every_score() -> None:
    table = made(
        *(figure(model, "facts", value) for model, value in zip(MODELS, (5, 4, 4, 1), strict=True)),
        *(
            figure(model, "covid", value)
            for model, value in zip(MODELS[:3], (1, 1, 2), strict=True)
        ),
    )
    matrix = table.matrix(MatrixView(columns=ALL[:2], ranking="mean-rank"))
    assert {row.model: row.score for row in matrix.rows} == {
        "able": (1 + 2.5) / 2, "baker": (2.5 + 2.5) / 2, "charlie": (2.5 + 1) / 2, "delta": None,
    }  # fmt: skip
    assert ranks(matrix) == {"able": 1, "charlie": 1, "baker": 3, "delta": None}
    assert order(matrix) == ["able", "charlie", "baker", "delta"]


def test_borda_counts_who_is_beaten_and_a_missing_score_earns_nothing(three: ScoreTable) -> None:
    matrix = three.matrix(MatrixView(columns=ALL, ranking="borda"))
    assert {row.model: row.score for row in matrix.rows} == {"able": 1, "baker": 2, "charlie": 1}
    tie = made(figure("able", "facts", 0.5), figure("baker", "facts", 0.5))
    assert [row.score for row in tie.matrix(MatrixView(ranking="borda")).rows] == [0.5, 0.5]


def test_ranks_are_over_the_models_that_are_shown(three: ScoreTable) -> None:
    view = MatrixView(columns=("facts",), ranking="borda")
    assert ranks(three.matrix(view)) == {"baker": 1, "charlie": 2, "able": 3}
    assert ranks(three.matrix(view, ["able", "charlie"])) == {"charlie": 1, "able": 2}


def test_complete_rows_only(three: ScoreTable) -> None:
    matrix = three.matrix(MatrixView(columns=ALL[:2], complete=True))
    assert order(matrix) == ["able", "baker"]
    assert matrix.hidden == {"incomplete": 1}


@pytest.mark.parametrize("reverse", [False, True])
def test_sorting_hides_nothing_and_puts_the_unknown_last(three: ScoreTable, reverse: bool) -> None:
    for sort, ranked in (
        ("covid", ["able", "baker"]),
        ("nutrition", ["able"]),
        ("params", ["charlie", "baker"]),
        ("results", ["able", "baker", "charlie"]),
        ("model", ["able", "baker", "charlie"]),
    ):
        matrix = three.matrix(MatrixView(sort=sort, reverse=reverse))
        assert matrix.axes == (FACTS, COVID, NUTRITION)
        found = order(matrix)
        assert sorted(found) == ["able", "baker", "charlie"]
        assert found[: len(ranked)] == (ranked[::-1] if reverse else ranked), sort


def test_zero_shot_and_measured_scores_alone() -> None:
    table = made(
        figure("able", "facts", 0.5, zero_shot=True, kind="self-reported"),
        figure("baker", "facts", 0.6, zero_shot=False, kind="run"),
        figure("charlie", "facts", 0.7, kind="no-revision"),
    )
    zero = table.matrix(MatrixView(zero_shot=True))
    assert order(zero) == ["able"]
    assert zero.hidden == {"not known to be zero-shot": 2}
    measured = table.matrix(MatrixView(measured=True))
    assert order(measured) == ["charlie", "baker"]
    assert measured.hidden == {"self-reported": 1}


def test_another_value_stands_in_for_one_that_does_not_count() -> None:
    table = made(
        figure("able", "facts", 0.6, kind="run"),
        figure("able", "facts", 0.7, zero_shot=True, status="secondary"),
    )
    assert table.matrix(MatrixView(zero_shot=True)).rows[0].figures[FACTS].value == 0.7


def part(name: str, **more: Any) -> Subset:
    return Subset(name=name, **more)


def test_subsets_are_columns_of_their_own_unless_they_are_averaged() -> None:
    common: dict[str, Any] = {"summary": "A set.", "sources": ("card",)}
    parts = Benchmark(id="parts", name="Parts (of a whole)", subsets=(part("a"), part("b")),
                      **common)  # fmt: skip
    whole = Benchmark(id="whole", name="Whole", averaged=True, subsets=(part("fr"), part("en")),
                      **common)  # fmt: skip
    table = made(
        figure("able", "parts", 0.1, subset="a"),
        figure("baker", "parts", 0.1, subset="a"),
        figure("able", "parts", 0.1, subset="b"),  # one score ranks nothing
        figure("able", "parts", 0.2, subset="a train"),
        figure("able", "whole", 0.3, subset="fr"),
        figure("able", "whole", 0.4),
        sets=(parts, whole),
    )
    assert [table.key(axis) for axis in table.axes[: table.usual]] == ["parts:a", "whole"]
    assert [table.key(axis) for axis in table.axes[table.usual :]] == [
        "parts:a train",
        "parts:b",
        "whole:fr",
    ]
    assert table.title(table.by_key["parts:a"]) == "Parts a"
    assert table.columns(["parts"]) == ("parts:a", "parts:a train", "parts:b")
    assert table.columns(["WHOLE:FR", "whole"]) == ("whole:fr", "whole")


def test_an_unknown_column_names_the_nearest(three: ScoreTable) -> None:
    with pytest.raises(UsageError) as caught:
        three.columns(["nutritoin"])
    assert "did you mean nutrition?" in caught.value.line()


SCORES = st.dictionaries(
    st.tuples(st.sampled_from(MODELS), st.sampled_from(SETS)), st.integers(0, 4), min_size=1
)


@given(SCORES, st.sampled_from(["mean", "mean-rank", "borda"]))
def test_rankings_follow_their_definitions(scores: dict[tuple[str, str], int], way: Any) -> None:
    table = made(*(figure(m, b, value / 4) for (m, b), value in scores.items()))
    matrix = table.matrix(MatrixView(columns=tuple(table.by_key), ranking=way))
    for row in matrix.rows:
        whole = all((row.model, axis.benchmark) in scores for axis in matrix.basis)
        if way != "borda":
            assert (row.score is None) is not whole
        if row.score is None:
            continue
        points, places = 0.0, []
        for axis in matrix.basis:
            mine = scores.get((row.model, axis.benchmark))
            column = [v for (_, b), v in scores.items() if b == axis.benchmark]
            if mine is not None:
                ties = (column.count(mine) - 1) / 2
                points += sum(v < mine for v in column) + ties
                places.append(1 + sum(v > mine for v in column) + ties)
        expected = {
            "mean": sum(scores[row.model, axis.benchmark] / 4 for axis in matrix.basis)
            / len(matrix.basis) if whole else None,
            "mean-rank": sum(places) / len(matrix.basis),
            "borda": points,
        }[way]  # fmt: skip
        assert row.score == pytest.approx(expected)
        better = [
            other for other in matrix.rows
            if other.score is not None
            and (other.score < row.score - 1e-9 if way == "mean-rank"
                 else other.score > row.score + 1e-9)
        ]  # fmt: skip
        assert row.rank == 1 + len(better)
