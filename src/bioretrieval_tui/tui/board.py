"""The results matrix as a table: published results and runs of the user as rows.

A run stands in the column of the published results where benchmark, split and measure are the
same, else in a column of its own. Runs have no part in means, nor in what is best of a column.
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
from bioretrieval_tui.tui.widgets.table import Column
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
        axis = _axis(newest, catalogue)
        if axis is None:
            axis = Axis(f"own {newest.benchmark} {newest.split} {newest.sha256[:8]}", MAIN)
            split = "" if newest.split == "test" else f" {newest.split}"
            titles[axis] = f"{newest.benchmark}{split} (own)"
        figures = {axis: newest.metrics[MAIN]} if MAIN in newest.metrics else {}
        rows.append(OwnRow(run, figures))
    return OwnRows(tuple(rows), titles)


def _axis(record: EvaluationRecord, catalogue: Catalogue) -> Axis | None:
    """The column of the catalogue's benchmark, if the record is of that and of its test split."""
    known = isinstance(catalogue.by_id.get(record.catalogue or ""), Benchmark)
    if not known or record.split != "test" or record.catalogue is None:
        return None
    return Axis(record.catalogue, MEAN_METRIC)


def axis_key(axis: Axis) -> str:
    """The key of a column."""
    return f"{axis.benchmark} {axis.metric}"


def axes_of(matrix: ResultMatrix, own: Sequence[OwnRow]) -> tuple[Axis, ...]:
    """The published columns, and behind them those that only own rows have."""
    more = dict.fromkeys(axis for row in own for axis in row.figures)
    return (*matrix.axes, *(axis for axis in more if axis not in matrix.axes))


def columns_of(
    matrix: ResultMatrix, catalogue: Catalogue, own: Sequence[OwnRow], titles: Mapping[Axis, str]
) -> list[Column]:
    """The model's name (frozen), what own rows are, the mean, and one column an axis."""
    columns = [Column("model", "Model", MODEL_WIDTH, frozen=True)]
    if own:
        columns.append(Column("own", "Own", _OWN_WIDTH))
    if matrix.common:
        over = mean_title(matrix.common, catalogue)
        columns.append(Column("mean", over, len(over) + 2, align="right"))
    for axis in axes_of(matrix, own):
        name = titles.get(axis) or catalogue.names.get(axis.benchmark, axis.benchmark)
        title = name if axis.metric == "nDCG@10" else f"{name} ({axis.metric})"
        columns.append(Column(axis_key(axis), title, max(8, len(title) + 2), align="right"))
    return columns


def mean_title(common: Sequence[Axis], catalogue: Catalogue) -> str:
    """`Mean (NFCorpus, TREC-COVID)`; of more than two benchmarks, their number."""
    names = [catalogue.names.get(axis.benchmark, axis.benchmark) for axis in common]
    return f"Mean ({', '.join(names)})" if len(names) < 3 else f"Mean of {len(names)}"


def hidden_note(matrix: ResultMatrix) -> str:
    """What the matrix leaves out: `4 scores hidden (not comparable)`; "" for nothing."""
    said = []
    for why, count in matrix.hidden.items():
        if why == NO_SCORE:
            said.append(f"{count} {'model has' if count == 1 else 'models have'} no score here")
        else:
            said.append(f"{count} {'score' if count == 1 else 'scores'} hidden ({why})")
    return ", ".join(said)


class MatrixRows:
    """Rows of spans; marks are characters, so that they survive without colour."""

    def __init__(
        self,
        matrix: ResultMatrix,
        catalogue: Catalogue,
        rows: Sequence[MatrixRow | OwnRow],
        own: Sequence[OwnRow],
    ) -> None:
        self.rows = rows
        self.catalogue = catalogue
        self.axes = axes_of(matrix, own)
        self.has_own = bool(own)
        self.has_mean = bool(matrix.common)
        # The best of what is published: a run has no source that others can read.
        self.best = {
            axis: max(row.figures[axis].value for row in matrix.rows if axis in row.figures)
            for axis in matrix.axes
        }

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> Sequence[Span]:
        """Name, mean, scores. `*` secondary, `?` unverified, `t` trained on the benchmark; of runs
        `!` where they differ from the published score by more than 0.01."""
        row = self.rows[index]
        return self._own(row) if isinstance(row, OwnRow) else self._published(row)

    def _published(self, row: MatrixRow) -> list[Span]:
        spans = [Span(self.catalogue.names.get(row.model, row.model), "model")]
        if self.has_own:
            spans.append(Span(""))
        if row.mean is not None:
            spans.append(Span(f"{row.mean:.3f}  ", "strong"))
        for axis in self.axes:
            result = row.figures.get(axis)
            if result is None:
                spans.append(_NONE)
                continue
            mark = {"secondary": "*", "unverified": "?"}.get(result.status, " ")
            mark = "t" if result.zero_shot is False else mark
            role = "ok" if result.value == self.best[axis] else "text"
            role = "warn" if mark in "?t" else role
            # Three and four decimals stand under each other.
            spans.append(Span(f"{figure(result.value):<6}{mark}", role))
        return spans

    def _own(self, row: OwnRow) -> list[Span]:
        spans = [Span(f"{MARK} {row.run.name}", "own.strong"), Span(row.run.how, "own")]
        if self.has_mean:
            spans.append(_NONE)
        off = row.run.deviates
        mark = "!" if off else "t" if row.run.trained else " "
        for axis in self.axes:
            value = row.figures.get(axis)
            role = "warn" if off else "own"
            spans.append(_NONE if value is None else Span(f"{value:.4f}{mark}", role))
        return spans


def fitting(
    own: OwnRows, models: frozenset[str] | None, words: str, *, zero_shot_only: bool
) -> list[OwnRow]:
    """The runs that stay. models: entries that a filter keeps, None without one; words: the
    filter itself, for runs whose model the catalogue does not know."""

    def stays(row: OwnRow) -> bool:
        if zero_shot_only and row.run.zero_shot is not True:
            return False  # what a model has seen is known only where it has seen it
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
    last; so do all of them where a mean sorts, which they do not have."""
    rows: list[MatrixRow | OwnRow] = [*matrix.rows]
    if isinstance(sort, Axis):
        axis = sort
        both: list[MatrixRow | OwnRow] = [*matrix.rows, *own]
        rows = [row for row in both if axis in row.figures]

        def by_value(row: MatrixRow | OwnRow) -> tuple[float, str]:
            return -value_of(row, axis), _named(row, catalogue)

        others = [row for row in own if axis not in row.figures]
        return [*sorted(rows, key=by_value, reverse=reverse), *others]
    if sort == "model":
        rows += own
        return sorted(rows, key=lambda row: _named(row, catalogue), reverse=reverse)
    if sort == "own":
        newest = sorted(own, key=lambda row: row.record.date, reverse=not reverse)
        return [*newest, *rows]
    return [*rows, *own]


def value_of(row: MatrixRow | OwnRow, axis: Axis) -> float:
    """The figure of a row in a column that it has."""
    found = row.figures[axis]
    return found if isinstance(found, float) else found.value


def _named(row: MatrixRow | OwnRow, catalogue: Catalogue) -> str:
    if isinstance(row, OwnRow):
        return row.run.name.casefold()
    return catalogue.names.get(row.model, row.model).casefold()
