"""The results matrix as a table: published results and runs of the user as rows.

A run stands in the column of the published results with its benchmark, split and measure, else in
a column of its own. Means and the best value of a column leave runs out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MEAN_METRIC, NO_SCORE, Axis, MatrixRow, ResultMatrix
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.render.evaluations import MARK, OwnRun, own_runs
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import figure

MODEL_WIDTH = 26
_OWN_WIDTH = 18
_NONE = Span("-    ", "faint")


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A run of the user as a row; figures: nDCG@10 by column."""

    run: OwnRun
    figures: Mapping[Axis, float]

    @property
    def record(self) -> EvaluationRecord:
        """The newest record of the run."""
        return self.run.record


@dataclass(frozen=True, slots=True)
class OwnRows:
    """All runs as rows, newest first. titles: of the columns without published results."""

    rows: tuple[OwnRow, ...] = ()
    titles: Mapping[Axis, str] = field(default_factory=dict)


def own_rows(records: Sequence[EvaluationRecord], catalogue: Catalogue) -> OwnRows:
    """The runs of these records, which are newest first."""
    rows: list[OwnRow] = []
    titles: dict[Axis, str] = {}
    for run in own_runs(records, catalogue):
        newest = run.record
        known = isinstance(catalogue.by_id.get(newest.catalogue or ""), Benchmark)
        if newest.catalogue is not None and known and newest.split == "test":
            axis = Axis(newest.catalogue, MEAN_METRIC)
        else:
            axis = Axis(f"own {newest.benchmark} {newest.split} {newest.sha256[:8]}", MAIN)
            split = "" if newest.split == "test" else f" {newest.split}"
            titles[axis] = f"{newest.benchmark}{split} (own)"
        figures = {axis: newest.metrics[MAIN]} if MAIN in newest.metrics else {}
        rows.append(OwnRow(run, figures))
    return OwnRows(tuple(rows), titles)


def axis_key(axis: Axis) -> str:
    """The key of a column."""
    return f"{axis.benchmark} {axis.metric}"


def axes_of(matrix: ResultMatrix, own: Sequence[OwnRow]) -> tuple[Axis, ...]:
    """The published columns, then those that only runs have."""
    more = dict.fromkeys(axis for row in own for axis in row.figures)
    return (*matrix.axes, *(axis for axis in more if axis not in matrix.axes))


def columns_of(
    matrix: ResultMatrix, catalogue: Catalogue, own: Sequence[OwnRow], titles: Mapping[Axis, str]
) -> tuple[TableColumn, ...]:
    """The model's name (frozen), how a run was made, the mean, and one column for each axis."""
    columns = [TableColumn("model", "Model", MODEL_WIDTH, frozen=True)]
    if own:
        columns.append(TableColumn("own", "Own", _OWN_WIDTH))
    if matrix.common:
        names = [catalogue.names.get(axis.benchmark, axis.benchmark) for axis in matrix.common]
        over = f"Mean ({', '.join(names)})" if len(names) < 3 else f"Mean of {len(names)}"
        columns.append(TableColumn("mean", over, len(over) + 2, align="right"))
    for axis in axes_of(matrix, own):
        name = titles.get(axis) or catalogue.names.get(axis.benchmark, axis.benchmark)
        title = name if axis.metric == "nDCG@10" else f"{name} ({axis.metric})"
        columns.append(TableColumn(axis_key(axis), title, max(8, len(title) + 2), align="right"))
    return tuple(columns)


def hidden_note(matrix: ResultMatrix) -> str:
    """What the matrix leaves out: `4 scores hidden (not comparable)`; "" for nothing."""
    said = []
    for why, count in matrix.hidden.items():
        if why == NO_SCORE:
            said.append(f"{count} {'model has' if count == 1 else 'models have'} no score here")
        else:
            said.append(f"{count} {'score' if count == 1 else 'scores'} hidden ({why})")
    return ", ".join(said)


def matrix_rows(
    matrix: ResultMatrix,
    catalogue: Catalogue,
    rows: Sequence[MatrixRow | OwnRow],
    own: Sequence[OwnRow],
) -> ListRows[MatrixRow | OwnRow]:
    """Name, mean, scores. `*` secondary, `?` unverified, `t` trained on the benchmark; of runs `!`
    where they differ from the published score by more than 0.01. Marks need no colour."""
    axes = axes_of(matrix, own)
    # The best of what is published: a run has no source that others can read.
    best = {
        axis: max(row.figures[axis].value for row in matrix.rows if axis in row.figures)
        for axis in matrix.axes
    }

    def published(row: MatrixRow) -> list[Span]:
        spans = [Span(catalogue.names.get(row.model, row.model), "model")]
        if own:
            spans.append(Span(""))
        if row.mean is not None:
            spans.append(Span(f"{row.mean:.3f}  ", "strong"))
        for axis in axes:
            result = row.figures.get(axis)
            if result is None:
                spans.append(_NONE)
                continue
            mark = {"secondary": "*", "unverified": "?"}.get(result.status, " ")
            mark = "t" if result.zero_shot is False else mark
            role = "ok" if result.value == best[axis] else "text"
            # Three and four decimals are aligned.
            spans.append(Span(f"{figure(result.value):<6}{mark}", "warn" if mark in "?t" else role))
        return spans

    def cells(row: MatrixRow | OwnRow) -> list[Span]:
        if not isinstance(row, OwnRow):
            return published(row)
        spans = [Span(f"{MARK} {row.run.name}", "own.strong"), Span(row.run.how, "own")]
        if matrix.common:
            spans.append(_NONE)
        off = row.run.deviates
        mark = "!" if off else "t" if row.run.trained else " "
        for axis in axes:
            value = row.figures.get(axis)
            role = "warn" if off else "own"
            spans.append(_NONE if value is None else Span(f"{value:.4f}{mark}", role))
        return spans

    return ListRows(rows, cells)


def fitting(
    own: OwnRows, models: frozenset[str] | None, words: str, *, zero_shot_only: bool
) -> list[OwnRow]:
    """The runs that a filter keeps. models: entries that it keeps, None without a filter; words:
    the filter, for runs whose model the catalogue does not know."""

    def stays(row: OwnRow) -> bool:
        if zero_shot_only and row.run.zero_shot is not True:
            return False
        if models is None or row.run.model in models:
            return True
        text = f"{row.run.name} {row.record.mode} {row.record.benchmark} own".casefold()
        return row.run.model is None and words.casefold() in text

    return [row for row in own.rows if stays(row)]


def merged(
    matrix: ResultMatrix,
    own: Sequence[OwnRow],
    catalogue: Catalogue,
    *,
    sort: Axis | str | None,
    reverse: bool,
) -> list[MatrixRow | OwnRow]:
    """Published results and runs in one order. Runs without a score in the column that sorts come
    last; so do all runs if the mean sorts, which they do not have."""
    rows: list[MatrixRow | OwnRow] = [*matrix.rows, *own]

    def name(row: MatrixRow | OwnRow) -> str:
        own_name = row.run.name if isinstance(row, OwnRow) else None
        return (own_name or catalogue.names.get(row_id(row), row_id(row))).casefold()

    if isinstance(sort, Axis):
        axis = sort

        def by_value(row: MatrixRow | OwnRow) -> tuple[float, str]:
            found = row.figures[axis]
            return -(found if isinstance(found, float) else found.value), name(row)

        ranked = [row for row in rows if axis in row.figures]
        others = [row for row in own if axis not in row.figures]
        return [*sorted(ranked, key=by_value, reverse=reverse), *others]
    if sort == "model":
        return sorted(rows, key=name, reverse=reverse)
    if sort == "own":
        newest = sorted(own, key=lambda row: row.record.date, reverse=not reverse)
        return [*newest, *matrix.rows]
    return rows


def row_id(row: MatrixRow | OwnRow) -> str:
    """The id of a run's record, or of a model."""
    return row.record.id if isinstance(row, OwnRow) else row.model
