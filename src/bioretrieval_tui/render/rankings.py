"""The matrix of published results as a sheet: a row a model, a column a benchmark, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from bioretrieval_tui.catalog.fields import TABLE
from bioretrieval_tui.catalog.matrix import (
    Axis,
    MatrixRow,
    ResultMatrix,
    ScoreTable,
    axes_with,
    with_own,
)
from bioretrieval_tui.catalog.models import Model, Result
from bioretrieval_tui.render.sheet import Cell, ColumnOf, Sheet, Shown, column, sheet_of
from bioretrieval_tui.util.formatting import figure, plural, short

SCORE = {"mean": "mean", "mean-rank": "mean rank", "borda": "Borda"}
"""Heading of the column that ranks, by the ranking."""
LEGEND = "t trained on this benchmark  s self-reported  r reranks  * secondary  ? unverified"
MARK = "\N{BLACK DIAMOND}"
"""Before the name of every run of the user: it shows without colour too."""
_DOUBTS = {"unverified": "?", "secondary": "*"}


def score_mark(result: Result) -> str:
    """The signs behind a score, at most two; "" where there is nothing to say."""
    trained = "t" if result.zero_shot is False else ""
    reported = "s" if result.kind == "self-reported" else ""
    reranked = "r" if result.reranked else ""
    return (trained + reported + reranked + _DOUBTS.get(result.status, ""))[:2]


def score_figure(result: Result) -> str:
    """A score with four decimals, or three where no more were published."""
    return figure(round(result.value, 4))


def score_text(matrix: ResultMatrix, row: MatrixRow) -> str:
    """What ranks a row: its mean, mean rank or points; where it has none, how many of the scores
    it has."""
    if row.score is None:
        return f"{row.have}/{len(matrix.basis)}" if matrix.basis else ""
    if matrix.view.ranking == "mean":
        return f"{row.score:.4f}"
    return f"{row.score:.1f}" if matrix.view.ranking == "mean-rank" else f"{row.score:g}"


def best_values(matrix: ResultMatrix, axis: Axis) -> list[float]:
    """The best and the second-best value of a column."""
    found = {row.figures[axis].value for row in matrix.rows if axis in row.figures}
    return sorted(found, reverse=True)[:2]


def ranked_by(matrix: ResultMatrix, table: ScoreTable) -> str:
    """What ranks, and over which columns."""
    if not matrix.basis:
        return ""
    return f"{SCORE[matrix.view.ranking]} of {', '.join(map(table.title, matrix.basis))}"


def missing_words(matrix: ResultMatrix) -> str:
    """How many models lack a score that ranks, and what that means; "" for none."""
    count = sum(row.have < len(matrix.basis) for row in matrix.rows)
    borda = matrix.view.ranking == "borda"
    means = "a missing one earns no points" if borda else "without rank"
    return f"{plural(count, 'model')} without all of these scores: {means}" if count else ""


def hidden_words(matrix: ResultMatrix) -> str:
    """What is left out and why, in words; "" for nothing."""
    said = []
    for why, count in matrix.hidden.items():
        what = plural(count, "model" if why == "incomplete" else "score")
        said.append(f"{what} hidden ({why})")
    return ", ".join(said)


def matrix_sheet(
    matrix: ResultMatrix,
    table: ScoreTable,
    *,
    limit: int | None = None,
    own: Sequence[MatrixRow] = (),
) -> Sheet:
    """The matrix with runs of the user as it is shown, wide. Records hold the results by column."""
    catalogue, names = table.catalogue, table.catalogue.names
    axes = axes_with(matrix, own)
    best = {axis: best_values(matrix, axis) for axis in axes}
    rows = with_own(matrix, own, table, matrix.view)[:limit]

    def value(row: MatrixRow, axis: Axis) -> Cell:
        result = row.figures.get(axis)
        if result is None:
            return None
        place = best[axis].index(result.value) if result.value in best[axis] else -1
        emphasis = ("best", "second")[place] if place >= 0 else ""
        unread = result.status == "unverified"
        mark = score_mark(result).replace("?", "")  # which formats add themselves
        return Shown(result.value, score_figure(result), None, unread, emphasis, mark)  # type: ignore[arg-type]  # one of three literals

    def params(row: MatrixRow) -> Cell:
        entry = catalogue.by_id.get(row.model)
        known = entry.params if isinstance(entry, Model) else None
        return None if known is None else Shown(known, short(known))

    def name(row: MatrixRow) -> Cell:
        return Shown(row.own, f"{MARK} {row.own}") if row.own else names.get(row.model, row.model)

    def ranked(row: MatrixRow) -> Cell:
        if row.own:
            return None
        rounded = None if row.score is None else round(row.score, 6)
        return Shown(rounded, score_text(matrix, row))

    def fact(name: str, row: MatrixRow) -> Cell:
        entry = catalogue.by_id.get(row.model)
        found: Cell = TABLE.by_name[name].read(entry, catalogue) if entry else None
        return found

    def score(axis: Axis) -> ColumnOf[MatrixRow]:
        return column(table.key(axis), table.title(axis), lambda row: value(row, axis),
                      align="right")  # fmt: skip

    columns: Sequence[ColumnOf[MatrixRow]] = (
        column("rank", "#", lambda row: row.rank, align="right"),
        column("model_id", make=lambda row: row.model, data_only=True),
        column("model", make=name, weight=3, min_width=12),
        column("score", SCORE[matrix.view.ranking], ranked, align="right",
               data_only=len(matrix.basis) == 1 and matrix.view.ranking == "mean"),
        column("params", make=params, align="right"),
        column("zero_shot_share", "ZS %", partial(fact, "zero_shot_share"), align="right"),
        column("licence", make=partial(fact, "licence"), data_only=True),
        *map(score, axes),
    )  # fmt: skip

    def record(row: MatrixRow) -> dict[str, Any]:
        entry = catalogue.by_id.get(row.model)
        facts = {
            name: TABLE.by_name[name].read(entry, catalogue) if entry else None
            for name in ("params", "licence", "released", "zero_shot_share")
        }
        return {
            "rank": row.rank,
            "model": row.model,
            "name": row.own or names.get(row.model, row.model),
            **facts,
            "ranking": matrix.view.ranking,
            "score": None if row.score is None else round(row.score, 6),
            "of": [table.key(axis) for axis in matrix.basis],
            "have": row.have,
            "results": {
                table.key(axis): {
                    "value": result.value,
                    "metric": result.metric,
                    "zero_shot": result.zero_shot,
                    "kind": result.kind,
                    "source": result.source,
                }
                for axis, result in row.figures.items()
            },
        }

    marks = {sign for row in rows for one in row.figures.values() for sign in score_mark(one)}
    signs = (one for one in LEGEND.split("  ") if one[0] in marks)
    mine = f"{MARK} your run" if any(row.own for row in rows) else ""
    told = "; ".join(filter(None, (ranked_by(matrix, table), ", ".join(signs), mine)))
    return sheet_of("Models by benchmarks", columns, rows, record, note=told[:1].upper() + told[1:])
