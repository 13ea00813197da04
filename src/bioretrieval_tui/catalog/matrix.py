"""Published results as a matrix of models by benchmarks; only comparable scores share a column.

A column is one benchmark in one measure. Scores that are not comparable are counted, not ranked;
the mean is taken only over columns of one measure that every shown row has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Result, Status

_TRUST: dict[Status, int] = {"confirmed": 0, "secondary": 1, "unverified": 2}
MEAN_METRIC = "nDCG@10"
NO_SCORE = "no score here"
"""Why models are hidden where a column sorts; the other reasons count scores."""


class Axis(Struct, frozen=True):
    """One column: a benchmark in one measure."""

    benchmark: str
    metric: str


class MatrixRow(Struct, frozen=True):
    """One model: its result in each column that it has, and its mean over the common ones."""

    model: str
    figures: dict[Axis, Result]
    mean: float | None = None


class ResultMatrix(Struct, frozen=True):
    """`common`: the columns that the means are over; `hidden`: results left out, by reason."""

    axes: tuple[Axis, ...]
    rows: tuple[MatrixRow, ...]
    common: tuple[Axis, ...]
    hidden: dict[str, int]


def build(
    catalogue: Catalogue,
    *,
    models: Iterable[str] | None = None,
    zero_shot_only: bool = False,
    sort: Axis | str | None = None,
    within: Axis | None = None,
    reverse: bool = False,
) -> ResultMatrix:
    """Build the matrix of whole-benchmark results.

    models: ids to show (None: all with results); sort: an axis, "mean", "model" or None (by the
    number of results). Sorting by an axis hides the models that have no result there; a mean is
    recomputed over the rows that stay. within: hide the models that have no result there, whatever
    the order: without it the mean is over what all models share, which is soon nothing.
    reverse: ascending values (best first is the default).
    """
    hidden: Counter[str] = Counter()
    wanted = None if models is None else set(models)
    cells: dict[str, dict[Axis, Result]] = {}
    for result in catalogue.results:
        if result.subset is not None or (wanted is not None and result.model not in wanted):
            continue
        if not result.comparable:
            hidden["not comparable"] += 1
        elif zero_shot_only and result.zero_shot is not True:
            hidden["not known to be zero-shot"] += 1
        else:
            axis = Axis(result.benchmark, result.metric)
            row = cells.setdefault(result.model, {})
            known = row.get(axis)
            if known is None or _TRUST[result.status] < _TRUST[known.status]:
                row[axis] = result
    needed = sort if isinstance(sort, Axis) else within
    if needed is not None:
        without = [model for model, row in cells.items() if needed not in row]
        hidden[NO_SCORE] += len(without)
        cells = {model: row for model, row in cells.items() if model not in without}
    counts = Counter(axis for row in cells.values() for axis in row)
    axes = sorted(counts, key=lambda axis: (-counts[axis], axis.benchmark))
    common = tuple(
        axis
        for axis in axes
        if axis.metric == MEAN_METRIC and counts[axis] == len(cells) and len(cells) > 1
    )

    def mean(row: dict[Axis, Result]) -> float | None:
        return sum(row[axis].value for axis in common) / len(common) if common else None

    def order(row: MatrixRow) -> tuple[float, str]:
        value = float(len(row.figures)) if sort != "model" else 0.0
        if isinstance(sort, Axis):
            value = row.figures[sort].value
        elif sort == "mean":
            value = -1.0 if row.mean is None else row.mean
        return -value, catalogue.names.get(row.model, row.model).casefold()

    rows = [MatrixRow(model, row, mean(row)) for model, row in cells.items()]
    rows.sort(key=order, reverse=reverse)
    return ResultMatrix(tuple(axes), tuple(rows), common, {k: n for k, n in hidden.items() if n})
