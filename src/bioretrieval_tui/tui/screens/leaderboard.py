"""The leaderboard: training recipes as a list, and published figures as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from bioretrieval_tui.catalog.entries import Model, Result
from bioretrieval_tui.catalog.matrix import Axis, Matrix, build
from bioretrieval_tui.catalog.numbers import figure
from bioretrieval_tui.catalog.view import Catalogue
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.pages import result_marks
from bioretrieval_tui.tui.screens.browse import BrowsePane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.headline import HeadLine
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable

MODEL_WIDTH = 24


def columns_of(matrix: Matrix, catalogue: Catalogue) -> list[Column]:
    """The model's name (frozen), the mean, and one column an axis."""
    columns = [Column("model", "Model", MODEL_WIDTH, frozen=True)]
    if matrix.common:
        over = f"Mean of {len(matrix.common)}"
        columns.append(Column("mean", over, len(over) + 2, align="right"))
    for axis in matrix.axes:
        name = catalogue.names.get(axis.benchmark, axis.benchmark)
        title = name if axis.metric == "nDCG@10" else f"{name} ({axis.metric})"
        columns.append(Column(_key(axis), title, max(8, len(title) + 2), align="right"))
    return columns


def _key(axis: Axis) -> str:
    return f"{axis.benchmark} {axis.metric}"


class MatrixRows:
    """The matrix as rows of spans; marks are characters, so that they survive without colour."""

    def __init__(self, matrix: Matrix, catalogue: Catalogue) -> None:
        self.matrix = matrix
        self.catalogue = catalogue
        self.best = {
            axis: max(row.figures[axis].value for row in matrix.rows if axis in row.figures)
            for axis in matrix.axes
        }

    def __len__(self) -> int:
        return len(self.matrix.rows)

    def cells(self, index: int) -> Sequence[Span]:
        """Name, mean, figures. `*` secondary, `?` unverified, `t` trained on it."""
        row = self.matrix.rows[index]
        spans = [Span(self.catalogue.names.get(row.model, row.model), "model")]
        if row.mean is not None:
            spans.append(Span(f"{row.mean:.3f}  ", "strong"))
        for axis in self.matrix.axes:
            result = row.figures.get(axis)
            if result is None:
                spans.append(Span("-    ", "faint"))
                continue
            mark = {"secondary": "*", "unverified": "?"}.get(result.status, " ")
            mark = "t" if result.zero_shot is False else mark
            role = "ok" if result.value == self.best[axis] else "text"
            role = "warn" if mark in "?t" else role
            # Three and four decimals stand under each other.
            spans.append(Span(f"{figure(result.value):<6}{mark}", role))
        return spans


class LeaderboardPane(BrowsePane):
    """Recipes first; `v` shows the matrix."""

    BINDINGS = bindings("leaderboard")
    SCOPES: ClassVar[tuple[str, ...]] = ("leaderboard", "list", "browse", "everywhere")
    DEFAULT_CSS = """
    LeaderboardPane #matrix { display: none; }
    LeaderboardPane.-matrix #matrix { display: block; }
    LeaderboardPane.-matrix Horizontal { display: none; }
    """

    def __init__(self, name: str, section: str) -> None:
        super().__init__(name, section)
        self.zero_shot_only = False
        self.sort: Axis | str | None = None
        """None: by the number of figures."""
        self.axis: Axis | None = None
        """The last axis that sorted: the mean keeps to the models that have a figure there."""
        self.reverse = False
        self.matrix = Matrix((), (), (), {})

    def compose(self) -> ComposeResult:
        """The list of recipes, and the matrix under it until it is asked for."""
        yield from super().compose()
        yield VirtualTable(
            [Column("model", "Model", MODEL_WIDTH, frozen=True)],
            id="matrix", squeeze=False, empty="No figure is left: lift the filter.",
        )  # fmt: skip

    @property
    def in_matrix(self) -> bool:
        """The matrix is shown."""
        return self.has_class("-matrix")

    @property
    def table(self) -> VirtualTable:
        """The list that keys move in."""
        if self.in_matrix:
            return self.query_one("#matrix", VirtualTable)
        return self.query_one("Horizontal > VirtualTable", VirtualTable)

    def go_to(self, place: str | None) -> None:
        """A recipe's id leads to the list, a model's to the matrix."""
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_matrix:
            self.action_view()
        super().go_to(place)

    def action_view(self) -> None:
        """Recipes or matrix."""
        self._close_filter()
        self.expression = ""
        self._filter = None
        self.toggle_class("-matrix")
        if self.sort is None:
            self.sort = self.axis = next(iter(build(self.catalogue).axes), None)
        self.remove_class("-reading")
        models = [m for m in self.catalogue.of_type(Model) if self.catalogue.results_of(m.id)]
        self.entries = models if self.in_matrix else self.catalogue.section(self.section)
        self.refill()
        self.table.focus()

    def action_zero_shot(self) -> None:
        """Only figures that are known to be zero-shot."""
        if not self.in_matrix:
            self.owner.say("Zero-shot is a choice of the results matrix: press v")
            return
        self.zero_shot_only = not self.zero_shot_only
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        if not self.in_matrix:
            super().refill(keep)
            return
        keep = keep or self.current_id
        ids = [entry.id for entry in self._matching(self.expression)]
        self.matrix = build(
            self.catalogue, models=ids, zero_shot_only=self.zero_shot_only,
            sort=self.sort, within=self.axis if self.sort == "mean" else None,
            reverse=self.reverse,
        )  # fmt: skip
        table = self.table
        chosen = table.columns[table.column].key if table.columns else "model"
        table.columns = tuple(columns_of(self.matrix, self.catalogue))
        keys = [column.key for column in table.columns]
        table.column = keys.index(chosen) if chosen in keys else 0
        key = _key(self.sort) if isinstance(self.sort, Axis) else self.sort
        # Best first is the arrow down; reversed is worst first.
        table.sorted_by = (key, not self.reverse) if key else None
        by_id = self.catalogue.by_id
        self.shown = [by_id[row.model] for row in self.matrix.rows]
        cursor = next((i for i, e in enumerate(self.shown) if e.id == keep), 0)
        table.show(MatrixRows(self.matrix, self.catalogue), cursor)
        self.head()
        self.show_page()

    def action_sort(self) -> None:
        """Sort the matrix by the chosen column, best first; again: worst first."""
        if not self.in_matrix:
            super().action_sort()
            return
        key = self.table.columns[self.table.column].key
        axis = next((a for a in self.matrix.axes if _key(a) == key), None)
        wanted: Axis | str = axis or key
        self.reverse = not self.reverse if wanted == self.sort else False
        self.sort = wanted
        self.axis = axis or self.axis
        self.refill()

    def action_column(self, by: int) -> None:
        """Choose a column; the head says what the figure under the cursor is."""
        super().action_column(by)
        self.head()

    def show_page(self, *, lead: bool = False) -> None:
        super().show_page(lead=lead)
        if self.in_matrix:
            self.head()

    def head(self) -> None:
        if not self.in_matrix or self.problem or self.letters:
            super().head()
            return
        spans = [Span("Results", "strong"), Span(f"  {len(self.shown)} models", "dim")]
        result = self.figure_under_cursor()
        if result:
            source = self.catalogue.sources.get(result.source)
            text = source.text.split(":")[0] if source else result.source
            spans += [Span(f"  {figure(result.value)}", "strong"), result_marks(result),
                      Span(f"  from {text}", "dim")]  # fmt: skip
        elif self.expression:
            spans += [Span("  filter ", "faint"), Span(self.expression, "ok")]
        if self.zero_shot_only:
            spans.append(Span("  zero-shot only", "warn"))
        hidden = ", ".join(f"{n} {why}" for why, n in self.matrix.hidden.items())
        if hidden:
            spans.append(Span(f"  hidden: {hidden}", "faint"))
        spans.append(Span("   * secondary  ? unverified  t trained on it", "faint"))
        self.query_one(HeadLine).show(*spans)

    def figure_under_cursor(self) -> Result | None:
        """The result record at the cursor's row and column."""
        table = self.table
        if not 0 <= table.cursor < len(self.matrix.rows):
            return None
        key = table.columns[table.column].key
        figures = self.matrix.rows[table.cursor].figures
        return next((r for axis, r in figures.items() if _key(axis) == key), None)

    def action_enter(self) -> None:
        """From the matrix to the model's page."""
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id)
        else:
            super().action_enter()

    def action_links(self) -> None:
        """The links of the model, on its page: the matrix does not show their letters."""
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id, then="links")
        else:
            super().action_links()

    def action_relations(self) -> None:
        """The relations of the model, on its page."""
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id, then="relations")
        else:
            super().action_relations()

    def action_export(self) -> None:
        """The figures that are shown, as records; or the recipes."""
        if not self.in_matrix:
            super().action_export()
            return
        from bioretrieval_tui.export.results import result_sheet

        shown = [row.figures[a] for row in self.matrix.rows for a in self.matrix.axes
                 if a in row.figures]  # fmt: skip
        names = self.catalogue.names
        self.owner.export_sheet(lambda: result_sheet(shown, names), "results", len(shown))
