"""Published results as a matrix of models by benchmarks, ranked; only comparable scores share a
column.

A column is a benchmark, or one subset of it, in one measure. Runs of the user stand among the
results without a rank (`with_own`); a benchmark that only they have is a column too, behind the
others. `ScoreTable` holds the scores of a
catalogue by model and column; `ScoreTable.matrix` makes what a `MatrixView` asks for: columns,
order, ranking, which rows and scores count. The app and `results --wide` use the same two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, get_args

from msgspec import Struct

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Model, Result, Status
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.util.formatting import did_you_mean

_TRUST: dict[Status, int] = {"confirmed": 0, "secondary": 1, "declared": 1, "unverified": 2}
MEAN_METRIC = "nDCG@10"
FOUR = ("nfcorpus", "scifact", "scidocs", "trec-covid")
"""The benchmarks that rank where no columns are chosen: most models have a score on all of them."""
Ranking = Literal["mean", "mean-rank", "borda"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
MEANINGS: dict[Ranking, str] = {
    "mean": "mean of the scores; only models with a score in each of the columns have one",
    "mean-rank": "mean of the ranks in each column among the models shown (ties share the mean of"
    " their ranks); only models with a score in each of the columns have one; lower is better",
    "borda": "points in each column for every model shown that scores lower, half a point for a"
    " tie; a missing score earns none, so models with few scores rank low",
}
"""Definition of each ranking, for help and documentation."""
FACTS = ("params", "released", "zero_shot_share")
"""Facts of a model that the matrix can be sorted by, as by its columns."""


class Axis(Struct, frozen=True):
    """One column: a benchmark, or a subset of it, in one measure."""

    benchmark: str
    metric: str
    subset: str | None = None


class MatrixView(Struct, frozen=True, kw_only=True):
    """What is asked of the matrix.

    columns: keys of the columns, in order (see `ScoreTable.key`); () for all, ranked by `FOUR`;
    ranking: how models are ranked over the chosen columns; complete: only models with a score in
    each column that ranks; zero_shot: only scores known to be zero-shot; measured: no self-reported
    scores; sort: "rank" or "score" (what ranks), "model", "licence", "results", one of `FACTS` or
    a key of a column; reverse: worst first.
    """

    columns: tuple[str, ...] = ()
    ranking: Ranking = "mean"
    complete: bool = False
    zero_shot: bool = False
    measured: bool = False
    sort: str = "rank"
    reverse: bool = False


class MatrixRow(Struct, frozen=True):
    """One model: its result in each column that it has; score: its mean, mean rank or points;
    have: scores in the columns that rank; rank: 1 for the best, equal for ties; own: the name of a
    run of the user, "" of a published model."""

    model: str
    figures: Mapping[Axis, Result]
    have: int = 0
    score: float | None = None
    rank: int | None = None
    own: str = ""


Row = TypeVar("Row", bound=MatrixRow)


class ResultMatrix(Struct, frozen=True):
    """axes: the columns that are shown; basis: those of them that rank; hidden: scores and models
    that are left out, by reason."""

    view: MatrixView
    axes: tuple[Axis, ...]
    basis: tuple[Axis, ...]
    rows: tuple[MatrixRow, ...]
    hidden: Mapping[str, int]


class ScoreTable:
    """The scores of a catalogue by model and column.

    axes: all columns with a score: the usual ones (whole benchmarks, and subsets of those that have
    no score as a whole if several models have one) with most models first, `FOUR` before them; then
    the other subsets; at last those of `own`.
    usual: how many of them are usual; own: titles of the columns that only runs of the user have.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._cells: dict[str, dict[Axis, list[Result]]] = defaultdict(lambda: defaultdict(list))
        self._hidden: Counter[Axis] = Counter()
        """Scores that are not comparable, by column."""
        counts: Counter[Axis] = Counter()
        for result in catalogue.results:
            axis = Axis(result.benchmark, result.metric, result.subset)
            if not result.comparable:
                self._hidden[axis] += 1
                continue
            held = self._cells[result.model][axis]
            counts[axis] += not held
            held.append(result)
        for row in self._cells.values():
            for held in row.values():
                held.sort(key=_trust)

        def usual(axis: Axis) -> bool:
            return self._usual(axis) and (counts[axis] > 1 or axis.subset is None)

        order = {name: at for at, name in enumerate(FOUR)}

        def place(axis: Axis) -> tuple[object, ...]:
            four = order.get(axis.benchmark, len(FOUR)) if axis.subset is None else len(FOUR)
            name = catalogue.names.get(axis.benchmark, axis.benchmark)
            return not usual(axis), four, -counts[axis], name, axis.subset or "", axis.metric

        self.counts: Mapping[Axis, int] = counts
        self._published = tuple(sorted(counts, key=place))
        self.usual = sum(map(usual, self._published))
        self.add_own({})
        shown = set(self.axes[: self.usual])
        self._whole: dict[str, dict[Axis, Result]] = {
            model: {axis: held[0] for axis, held in row.items() if axis in shown}
            for model, row in self._cells.items()
        }
        """The best known result of each usual column: what is shown most."""

    def add_own(self, titles: Mapping[Axis, str]) -> None:
        """Add the columns that only runs of the user have, instead of earlier ones."""
        self.own = titles
        self.axes = (*self._published, *titles)
        self.by_key = {self.key(axis): axis for axis in self.axes}

    def _usual(self, axis: Axis) -> bool:
        if axis.subset is None:
            return True
        entry = self.catalogue.by_id.get(axis.benchmark)
        if not isinstance(entry, Benchmark) or entry.averaged:
            return False
        return any(part.name == axis.subset for part in entry.subsets)

    def key(self, axis: Axis) -> str:
        """How a column is written: `nfcorpus`, `curev1:fr`; with another measure than its
        benchmark's usual one, `litsearch@Recall@5`."""
        entry = self.catalogue.by_id.get(axis.benchmark)
        usual = (isinstance(entry, Benchmark) and entry.metric) or MEAN_METRIC
        subset = f":{axis.subset}" if axis.subset else ""
        return f"{axis.benchmark}{subset}" + ("" if axis.metric == usual else f"@{axis.metric}")

    def title(self, axis: Axis) -> str:
        """The heading of a column: the benchmark without what its name has in brackets."""
        if axis in self.own:
            return self.own[axis]
        name = self.catalogue.names.get(axis.benchmark, axis.benchmark).partition(" (")[0]
        subset = f" {axis.subset}" if axis.subset else ""
        return f"{name}{subset}" + ("" if axis.metric == MEAN_METRIC else f" ({axis.metric})")

    def columns(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The columns that these keys name; a suite stands for its members, a benchmark without a
        score as a whole for its subsets. Raises UsageError: there is no such column; the nearest
        are named."""
        found: dict[str, None] = {}
        for written in keys:
            key = written.strip().casefold()
            names = [one for one in self.by_key if one.casefold() == key]
            entry = self.catalogue.by_id.get(key)
            if not names and isinstance(entry, Benchmark):
                names = [one for one in entry.members if one in self.by_key]
                names = names or [self.key(axis) for axis in self.axes if axis.benchmark == key]
            if not names:
                near = did_you_mean(
                    key, self.by_key, "see: bioretrieval-tui results --wide", most=3
                )
                raise UsageError(f"no column is called '{written}'", remedy=near)
            found |= dict.fromkeys(names)
        return tuple(found)

    @property
    def models(self) -> list[str]:
        """Ids of the models with a score."""
        return list(self._cells)

    def scores_of(self, model: str) -> dict[Axis, Result]:
        """The score of a model in each column that it has."""
        return {axis: held[0] for axis, held in self._cells.get(model, {}).items()}

    def matrix(self, view: MatrixView, models: Collection[str] | None = None) -> ResultMatrix:
        """The matrix of the models with these ids (None: of all). Raises UsageError: the view names
        an unknown column."""
        axes = tuple(self.by_key[key] for key in self.columns(view.columns))
        # No model is ranked by a column that only runs have.
        basis = tuple(axis for axis in axes if axis not in self.own) or axes
        if not axes:
            axes = self.axes[: self.usual]
            known = [axis for axis in axes if axis.metric == MEAN_METRIC][: len(FOUR)]
            four = [axis for axis in known if axis.benchmark in FOUR]
            basis = tuple(four or known or axes[:1])
        if view.ranking == "mean":
            measure = MEAN_METRIC if any(a.metric == MEAN_METRIC for a in basis) else ""
            measure = measure or next((axis.metric for axis in basis), "")
            basis = tuple(axis for axis in basis if axis.metric == measure)
        hidden, rows = self._rows(view, models, axes)
        if view.complete:
            whole = [one for one in rows if all(axis in one[1] for axis in basis)]
            hidden["incomplete"] = len(rows) - len(whole)
            rows = whole
        scores = _scores(view.ranking, basis, dict(rows))
        made = _ranked(rows, basis, scores, lower=view.ranking == "mean-rank")
        ordered = self._ordered(made, view)
        return ResultMatrix(
            view, axes, basis, tuple(ordered), {k: n for k, n in hidden.items() if n}
        )

    def _rows(
        self, view: MatrixView, models: Collection[str] | None, axes: Sequence[Axis]
    ) -> tuple[Counter[str], list[tuple[str, dict[Axis, Result]]]]:
        """The scores that count in each column, by model; models without any are left out."""
        hidden: Counter[str] = Counter()
        if models is None:
            hidden["not comparable"] = sum(self._hidden[axis] for axis in axes)
        wanted = self._cells if models is None else models
        if not (view.zero_shot or view.measured or view.columns):
            return hidden, [(one, row) for one in wanted if (row := self._whole.get(one))]
        rows = []
        for model in wanted:
            held = self._cells.get(model, {})
            row = {}
            for axis in axes:
                found = held.get(axis)
                if not found:
                    continue
                for result in found:
                    if view.zero_shot and result.zero_shot is not True:
                        reason = "not known to be zero-shot"
                    elif view.measured and result.kind == "self-reported":
                        reason = "self-reported"
                    else:
                        row[axis] = result
                        break
                else:
                    hidden[reason] += 1
            if row:
                rows.append((model, row))
        return hidden, rows

    def _ordered(self, rows: list[MatrixRow], view: MatrixView) -> list[MatrixRow]:
        """Rows by what the view sorts by, best or largest first; those without it come last."""
        names, sort = self.catalogue.names, view.sort

        def name(row: MatrixRow) -> str:
            return names.get(row.model, row.model).casefold()

        if sort == "model":
            return sorted(rows, key=name, reverse=view.reverse)
        if sort == "licence":
            return self._by_licence(rows, reverse=view.reverse)
        axis = self.by_key.get(sort)

        def value(row: MatrixRow) -> float | None:
            if axis is not None:
                found = row.figures.get(axis)
                return found.value if found else None
            if sort == "results":
                return float(len(row.figures))
            if sort in FACTS:
                return _fact(self.catalogue, row.model, sort)
            return None if row.rank is None else -float(row.rank)

        keyed = [(value(row), row) for row in rows]
        known = [(one, row) for one, row in keyed if one is not None]
        rest = [row for one, row in keyed if one is None]
        sign = 1 if view.reverse else -1
        known.sort(key=lambda pair: (sign * pair[0], name(pair[1])))
        rest.sort(key=lambda row: (-row.have, -(row.score or 0), name(row)))
        return [*(row for _, row in known), *rest]

    def _by_licence(self, rows: Iterable[MatrixRow], *, reverse: bool) -> list[MatrixRow]:
        entries = self.catalogue.by_id
        keyed = [(str(getattr(entries.get(row.model), "licence", None) or ""), row) for row in rows]
        known = [(text.casefold(), row) for text, row in keyed if text]
        known.sort(key=lambda pair: pair[0], reverse=reverse)
        return [*(row for _, row in known), *(row for text, row in keyed if not text)]


def with_own(
    matrix: ResultMatrix, own: Sequence[Row], table: ScoreTable, view: MatrixView
) -> list[MatrixRow | Row]:
    """Published results and runs in one order. A run is placed by its score where the column of its
    benchmark sorts, or alone ranks; else runs come last."""
    rows: list[MatrixRow | Row] = [*matrix.rows, *own]
    if view.sort == "model":
        names = table.catalogue.names

        def name(row: MatrixRow | Row) -> str:
            return (row.own or names.get(row.model, row.model)).casefold()

        return sorted(rows, key=name, reverse=view.reverse)
    sorts = table.by_key.get(view.sort)
    if view.sort == "rank" and len(matrix.basis) == 1:
        sorts = matrix.basis[0]
    if sorts is None:
        return rows
    axis = sorts
    # Equal published scores keep the order of the matrix, and stand before runs; equal runs have
    # that of their names: their dates change with every evaluation.
    named: list[MatrixRow | Row] = [*matrix.rows]
    named += sorted(own, key=lambda row: (row.own.casefold(), row.model))
    ranked = [row for row in named if axis in row.figures]
    ranked.sort(key=lambda row: row.figures[axis].value, reverse=not view.reverse)
    return [*ranked, *(row for row in rows if axis not in row.figures)]


def axes_with(matrix: ResultMatrix, own: Iterable[MatrixRow]) -> tuple[Axis, ...]:
    """The published columns, then those that only runs have, unless columns were chosen."""
    more = () if matrix.view.columns else (axis for row in own for axis in row.figures)
    return tuple(dict.fromkeys([*matrix.axes, *more]))


def _trust(result: Result) -> tuple[int, bool]:
    return _TRUST[result.status], result.kind == "self-reported"


def _fact(catalogue: Catalogue, model: str, name: str) -> float | None:
    """A fact of a model as a number; a date as its digits."""
    entry = catalogue.by_id.get(model)
    found = fields.TABLE.by_name[name].read(entry, catalogue) if isinstance(entry, Model) else None
    return None if found is None else float(str(found).replace("-", ""))


def _scores(
    ranking: Ranking, basis: Sequence[Axis], rows: Mapping[str, Mapping[Axis, Result]]
) -> dict[str, float]:
    """The mean, mean rank or points of each model; see `MEANINGS`."""
    whole = {model for model, row in rows.items() if all(axis in row for axis in basis)}
    if not basis:
        return {}
    if ranking == "mean":
        return {m: sum(rows[m][axis].value for axis in basis) / len(basis) for m in whole}
    total: dict[str, float] = defaultdict(float)
    for axis in basis:
        values = {model: row[axis].value for model, row in rows.items() if axis in row}
        counts = Counter(values.values())
        below, lower = {}, 0
        for value in sorted(counts):
            below[value] = lower
            lower += counts[value]
        for model, value in values.items():
            ties = (counts[value] - 1) / 2
            if ranking == "borda":
                total[model] += below[value] + ties
            elif model in whole:
                total[model] += (len(values) - below[value] - counts[value] + 1 + ties) / len(basis)
    return dict(total)


def _ranked(
    rows: Iterable[tuple[str, dict[Axis, Result]]],
    basis: Sequence[Axis],
    scores: Mapping[str, float],
    *,
    lower: bool,
) -> list[MatrixRow]:
    """Rows with their scores and ranks; equal scores (to six decimals) have equal ranks."""
    rounded = {model: round(score, 6) for model, score in scores.items()}
    counts = Counter(rounded.values())
    ranks, at = {}, 1
    for value in sorted(counts, reverse=not lower):
        ranks[value] = at
        at += counts[value]
    return [
        MatrixRow(
            model, row, sum(axis in row for axis in basis), scores.get(model),
            ranks[rounded[model]] if model in rounded else None,
        )
        for model, row in rows
    ]  # fmt: skip
