"""The results matrix as a table: columns, and rows of published and own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis, Matrix, MatrixRow
from bioretrieval_tui.tui.ownrows import MARK, OwnRow
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import Column
from bioretrieval_tui.util.formatting import figure

MODEL_WIDTH = 24
_OWN_WIDTH = 18
_NONE = Span("-    ", "faint")


def axis_key(axis: Axis) -> str:
    """The key of a column."""
    return f"{axis.benchmark} {axis.metric}"


def axes_of(matrix: Matrix, own: Sequence[OwnRow]) -> tuple[Axis, ...]:
    """The published columns, and behind them those that only own rows have."""
    more = dict.fromkeys(axis for row in own for axis in row.figures)
    return (*matrix.axes, *(axis for axis in more if axis not in matrix.axes))


def columns_of(
    matrix: Matrix, catalogue: Catalogue, own: Sequence[OwnRow], titles: Mapping[Axis, str]
) -> list[Column]:
    """The model's name (frozen), what own rows are, the mean, and one column an axis."""
    columns = [Column("model", "Model", MODEL_WIDTH, frozen=True)]
    if own:
        columns.append(Column("own", "Own", _OWN_WIDTH))
    if matrix.common:
        over = f"Mean of {len(matrix.common)}"
        columns.append(Column("mean", over, len(over) + 2, align="right"))
    for axis in axes_of(matrix, own):
        name = titles.get(axis) or catalogue.names.get(axis.benchmark, axis.benchmark)
        title = name if axis.metric == "nDCG@10" else f"{name} ({axis.metric})"
        columns.append(Column(axis_key(axis), title, max(8, len(title) + 2), align="right"))
    return columns


class MatrixRows:
    """Rows of spans; marks are characters, so that they survive without colour."""

    def __init__(
        self,
        matrix: Matrix,
        catalogue: Catalogue,
        rows: Sequence[MatrixRow | OwnRow],
        own: Sequence[OwnRow],
    ) -> None:
        self.rows = rows
        self.catalogue = catalogue
        self.axes = axes_of(matrix, own)
        self.has_own = bool(own)
        self.has_mean = bool(matrix.common)
        # The best of what is published: an own figure has no source that others can read.
        self.best = {
            axis: max(row.figures[axis].value for row in matrix.rows if axis in row.figures)
            for axis in matrix.axes
        }

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> Sequence[Span]:
        """Name, mean, figures. `*` secondary, `?` unverified, `t` trained on it; of own rows `!`
        over 0.01 from what is published."""
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
        spans = [Span(f"{MARK} {row.name}", "own.strong"), Span(row.how, "own")]
        if self.has_mean:
            spans.append(_NONE)
        mark = "!" if row.off else "t" if row.trained else " "
        for axis in self.axes:
            value = row.figures.get(axis)
            role = "warn" if row.off else "own"
            spans.append(_NONE if value is None else Span(f"{value:.4f}{mark}", role))
        return spans
