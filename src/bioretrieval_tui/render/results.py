"""Published figures as a sheet, one record a row, with everything that a comparison must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bioretrieval_tui.catalog.models import Result
from bioretrieval_tui.render.records import record
from bioretrieval_tui.render.sheet import Cell, Column, Each, Figure, Sheet, Unverified

ZERO_SHOT = {True: "yes", False: "no", None: "unknown"}

# Whatever a figure must not be read without stands left of what a narrow table leaves out first.
_COLUMNS = (
    Column("model_id", "model id", data_only=True),
    Column("benchmark_id", "benchmark id", data_only=True),
    Column("model", "model", weight=3, min_width=12),
    Column("benchmark", "benchmark", weight=2, min_width=9),
    Column("subset", "subset", min_width=5),
    Column("metric", "metric", min_width=7),
    Column("value", "value", "right"),
    Column("comparable", "compare", min_width=7),
    Column("zero_shot", "zero-shot", min_width=9),
    Column("status", "status", min_width=10),
    Column("source", "source", min_width=12),
    Column("note", "note", weight=3, min_width=16),
)


def result_sheet(
    results: Sequence[Result], names: Mapping[str, str], *, title: str = "Published results"
) -> Sheet:
    """Results as rows in the order given; the value is the published fraction, not rounded."""
    return Sheet(
        title=title,
        columns=_COLUMNS,
        rows=Each(lambda result: _row(result, names), results),
        records=Each(record, results),
    )


def _row(result: Result, names: Mapping[str, str]) -> tuple[Cell, ...]:
    value: Cell = result.value
    if result.status == "unverified":
        value = Unverified(result.value)
    return (
        result.model,
        result.benchmark,
        names.get(result.model, result.model),
        names.get(result.benchmark, result.benchmark),
        result.subset,
        result.metric,
        value,
        # Said only where it matters: a column full of "yes" hides the one row that is not.
        Figure(result.comparable, "" if result.comparable else "no"),
        ZERO_SHOT[result.zero_shot],
        result.status,
        result.source,
        result.note,
    )
