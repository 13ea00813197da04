"""Figures of the catalogue and of the user's runs: which scores go into which figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Model, Result
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.render.figures import (
    MOST_SERIES,
    Figure,
    FigureKind,
    MeasuredRun,
    history_figure,
    profile_figure,
    quality_figure,
    runs_figure,
    timeline_figure,
)
from bioretrieval_tui.render.lineage import timeline
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord

FOUR_SETS = ("nfcorpus", "scifact", "scidocs", "trec-covid")
"""The benchmarks whose mean is meant where none is named."""
_TRUST = {"confirmed": 0, "secondary": 1, "unverified": 3}


class FigureWish(Struct, frozen=True):
    """What to plot. against: of `figures.AXES`; benchmarks: their ids, none for the four sets;
    model: whose profile; models: the ids that are shown, None for all."""

    kind: FigureKind = "pareto"
    against: str = "params"
    benchmarks: tuple[str, ...] = ()
    model: str | None = None
    models: Collection[str] | None = None


def make_figure(
    catalogue: Catalogue, wish: FigureWish, records: Sequence[EvaluationRecord] = ()
) -> Figure:
    """The figure of a wish whose ids are those of the catalogue. Raises BioRetrievalError: there is
    nothing to draw."""
    if wish.kind == "runs":
        return _runs(catalogue, records)
    if wish.kind == "timeline":
        return timeline_figure(timeline(catalogue))
    if wish.kind == "profile":
        figure = _profile(catalogue, wish)
        remedy = "its scores: bioretrieval-tui results -m " + (wish.model or "")
    else:
        figure = (_history if wish.kind == "history" else _quality)(catalogue, wish)
        remedy = "; ".join(figure.notes) or "benchmarks with scores: bioretrieval-tui results"
        if wish.models is not None:
            remedy = "no model that the filter keeps has a place in it"
    if not (figure.points or figure.bars):
        raise BioRetrievalError(f"nothing to draw for '{figure.title}'", remedy=remedy)
    return figure


def _quality(catalogue: Catalogue, wish: FigureWish) -> Figure:
    sets = _sets(catalogue, wish)
    metric = _metric(catalogue, sets[0].id) if len(sets) == 1 else MAIN
    columns = [scores_of(catalogue, one.id, metric, wish.models) for one in sets]
    complete = set(columns[0]).intersection(*columns)
    # As many decimals as the scores have.
    means = {name: round(sum(one[name] for one in columns) / len(columns), 4) for name in complete}
    names = ", ".join(one.name for one in sets)
    figure = quality_figure(
        [(model, means[model.id]) for model in _models(catalogue, complete)],
        wish.against,
        metric if len(sets) == 1 else f"mean {metric}",
        names,
        named={model.id for model in catalogue.of_type(Model)},
    )
    if partly := len(set().union(*columns) - complete):
        note = f"{plural(partly, 'model')} left out: not scored on each benchmark"
        figure = replace(figure, notes=(note, *figure.notes))
    return figure


def _history(catalogue: Catalogue, wish: FigureWish) -> Figure:
    sets = _sets(catalogue, wish)[:MOST_SERIES]
    measures = {one.id: _metric(catalogue, one.id) for one in sets}
    if len(set(measures.values())) > 1:
        by_set = ", ".join(f"{one.name} by {measures[one.id]}" for one in sets)
        raise BioRetrievalError(
            f"these benchmarks have different measures ({by_set})", remedy="plot them apart"
        )
    series = {}
    for one in sets:
        found = scores_of(catalogue, one.id, measures[one.id], wish.models)
        series[one.name] = [(model, found[model.id]) for model in _models(catalogue, found)]
    return history_figure(series, measures[sets[0].id])


def _profile(catalogue: Catalogue, wish: FigureWish) -> Figure:
    model = catalogue.by_id.get(wish.model or "")
    if not isinstance(model, Model):
        raise BioRetrievalError("no model is named", remedy="name one, such as medcpt")
    known = dict.fromkeys(result.benchmark for result in catalogue.results_of(model.id))
    chosen = [one for one in known if not wish.benchmarks or one in wish.benchmarks]
    scores = {
        (one, catalogue.names.get(one, one)):
            scores_of(catalogue, one, _metric(catalogue, one), wish.models)
        for one in chosen
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


# Scores ---------------------------------------------------------------------------------------


def scores_of(
    catalogue: Catalogue, benchmark: str, metric: str, models: Collection[str] | None = None
) -> dict[str, float]:
    """The comparable scores of the whole benchmark, by model; the best known where there are
    several."""
    best: dict[str, Result] = {}
    for one in _comparable(catalogue, benchmark):
        if one.metric == metric and (models is None or one.model in models):
            held = best.get(one.model)
            if held is None or _doubt(one) < _doubt(held):
                best[one.model] = one
    return {model: result.value for model, result in best.items()}


def _doubt(one: Result) -> tuple[int, bool]:
    """Lowest for the score that counts where a model has several."""
    return _TRUST.get(one.status, 2), one.kind == "self-reported"


def _comparable(catalogue: Catalogue, benchmark: str) -> list[Result]:
    return [
        one
        for one in catalogue.results_of(benchmark)
        if one.benchmark == benchmark and one.comparable and one.subset is None
    ]


def _metric(catalogue: Catalogue, benchmark: str) -> str:
    """The measure of a benchmark: nDCG@10 where a score has it, else the most frequent one."""
    counts = Counter(one.metric for one in _comparable(catalogue, benchmark))
    return MAIN if MAIN in counts or not counts else counts.most_common(1)[0][0]


def _sets(catalogue: Catalogue, wish: FigureWish) -> list[Benchmark]:
    """The benchmarks of a wish; a suite without scores of its own stands for its members."""
    found: dict[str, Benchmark] = {}
    names = wish.benchmarks or FOUR_SETS
    for name in names:
        one = catalogue.by_id.get(name)
        if isinstance(one, Benchmark):
            alone = not one.members or _comparable(catalogue, name)
            for part in (name,) if alone else one.members:
                member = catalogue.by_id.get(part)
                if isinstance(member, Benchmark) and (alone or _comparable(catalogue, part)):
                    found[part] = member
    if not found:
        raise BioRetrievalError(
            f"there are no scores of {', '.join(names)}",
            remedy="benchmarks with scores: bioretrieval-tui results",
        )
    return list(found.values())


def _models(catalogue: Catalogue, ids: Collection[str]) -> list[Model]:
    """The models of these ids, in the order of their ids."""
    found = (catalogue.by_id.get(one) for one in sorted(ids))
    return [one for one in found if isinstance(one, Model)]
