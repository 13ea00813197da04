"""Figures of the catalogue and of the user's runs: which scores go into which figure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis, MatrixView, ResultMatrix, ScoreTable
from bioretrieval_tui.catalog.models import Model, Result
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.render.figures import (
    MOST_SERIES,
    Figure,
    FigureKind,
    MeasuredRun,
    ScoredModel,
    history_figure,
    profile_figure,
    quality_figure,
    runs_figure,
    timeline_figure,
)
from bioretrieval_tui.render.lineage import timeline
from bioretrieval_tui.render.rankings import LEGEND, score_mark
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord


_MEANINGS = {part[0]: part[1:] for part in LEGEND.split("  ")}
"""The signs behind scores."""


class FigureWish(Struct, frozen=True):
    """What to plot. against: of `figures.AXES`; view: the columns (none: the four sets) and which
    scores count; model: whose profile; models: the ids that are shown, None for all."""

    kind: FigureKind = "pareto"
    against: str = "params"
    view: MatrixView = MatrixView()
    model: str | None = None
    models: Collection[str] | None = None


def make_figure(
    table: ScoreTable, wish: FigureWish, records: Sequence[EvaluationRecord] = ()
) -> Figure:
    """The figure of a wish whose ids are those of the catalogue. Raises UsageError: there is no
    such column; BioRetrievalError: there is nothing to draw."""
    if wish.kind == "runs":
        return _runs(table.catalogue, records)
    if wish.kind == "timeline":
        return timeline_figure(timeline(table.catalogue))
    make = {"pareto": _quality, "history": _history, "profile": _profile}[wish.kind]
    figure = make(table, wish)
    if not (figure.points or figure.bars):
        remedy = "; ".join(figure.notes) or "what has scores: bioretrieval-tui results --wide"
        if wish.models is not None:
            remedy = "no model that the filter keeps has a place in it"
        raise BioRetrievalError(f"nothing to draw for '{figure.title}'", remedy=remedy)
    for asked, said in (
        (wish.view.zero_shot, "only results known to be zero-shot"),
        (wish.view.measured, "no self-reported results"),
    ):
        figure = replace(figure, notes=(*figure.notes, said)) if asked else figure
    return _explained(figure)


def _quality(table: ScoreTable, wish: FigureWish) -> Figure:
    # The mean of the scores, whatever ranks the board; models without it are counted in a note.
    view = replace(wish.view, ranking="mean", complete=False)
    matrix = table.matrix(view, wish.models)
    basis = matrix.basis
    metric = basis[0].metric if basis else MAIN
    rows = [row for row in matrix.rows if row.have]
    figure = quality_figure(
        [
            ScoredModel(model, row.score, _marks(row.figures[axis] for axis in basis))
            for row in rows
            if row.score is not None
            and isinstance(model := table.catalogue.by_id.get(row.model), Model)
        ],
        wish.against,
        metric if len(basis) == 1 else f"mean {metric}",
        ", ".join(map(table.title, basis)),
        named={model.id for model in table.catalogue.of_type(Model)},
    )
    if partly := sum(row.score is None for row in rows):
        note = f"{plural(partly, 'model')} left out: not scored on each benchmark"
        figure = replace(figure, notes=(note, *figure.notes))
    others = [axis for axis in matrix.axes if axis not in basis] if view.columns else []
    if others:
        note = f"left out, in another measure: {', '.join(map(table.title, others))}"
        figure = replace(figure, notes=(note, *figure.notes))
    return figure


def _marks(results: Iterable[Result]) -> str:
    """The signs behind any of these scores."""
    found = {sign for result in results for sign in score_mark(result)}
    return "".join(sign for sign in _MEANINGS if sign in found)


def _explained(figure: Figure) -> Figure:
    """The figure with a note of what the signs behind its names mean."""
    used = {sign for point in figure.points if point.standing != "other" for sign in point.mark}
    said = ", ".join(f"[{sign}]{words}" for sign, words in _MEANINGS.items() if sign in used)
    return replace(figure, notes=(said, *figure.notes)) if said else figure


def _history(table: ScoreTable, wish: FigureWish) -> Figure:
    matrix = table.matrix(wish.view, wish.models)
    axes = matrix.axes if wish.view.columns else matrix.basis
    if len(axes) > MOST_SERIES:
        raise BioRetrievalError(f"history shows at most {MOST_SERIES} benchmarks, not {len(axes)}")
    if len({axis.metric for axis in axes}) > 1:
        names = table.catalogue.names
        named = ", ".join(f"{names.get(one.benchmark)}: {one.metric}" for one in axes)
        raise BioRetrievalError(
            f"these benchmarks have different measures ({named})", remedy="plot them apart"
        )
    series = {table.title(axis): _scored(table, matrix, axis) for axis in axes}
    return history_figure(series, axes[0].metric if axes else MAIN)


def _scored(table: ScoreTable, matrix: ResultMatrix, axis: Axis) -> list[ScoredModel]:
    """The models with a score in a column."""
    rows = ((table.catalogue.by_id.get(row.model), row.figures.get(axis)) for row in matrix.rows)
    return [
        ScoredModel(model, found.value, score_mark(found))
        for model, found in rows
        if found and isinstance(model, Model)
    ]


def _profile(table: ScoreTable, wish: FigureWish) -> Figure:
    model = table.catalogue.by_id.get(wish.model or "")
    if not isinstance(model, Model):
        raise BioRetrievalError("no model is named", remedy="name one, such as medcpt")
    matrix = table.matrix(wish.view, wish.models)
    scores = {
        (axis.benchmark, table.title(axis)):
            {row.model: row.figures[axis].value for row in matrix.rows if axis in row.figures}
        for axis in matrix.axes
    }  # fmt: skip
    return profile_figure(model, scores)


def _runs(catalogue: Catalogue, records: Sequence[EvaluationRecord]) -> Figure:
    from bioretrieval_tui.render.evaluations import own_runs

    runs = [run for run in own_runs(records, catalogue) if MAIN in run.record.metrics]
    measured = [
        MeasuredRun(
            id=run.record.id,
            name=run.name,
            benchmark=run.record.benchmark,
            speed=run.record.docs_per_second,
            score=run.record.metrics[MAIN],
            machine=f"{run.record.encoded_on} ({run.record.hardware})",
        )
        for run in runs
        if run.record.docs_per_second
    ]
    if not measured:
        missing = f"{plural(len(runs), 'run')} without it" if runs else "there are no runs"
        raise BioRetrievalError(
            f"no run has a speed of encoding ({missing}; BM25 encodes nothing)",
            remedy="evaluate a model: bioretrieval-tui eval FOLDER -m dense",
        )
    return runs_figure(measured, MAIN)
