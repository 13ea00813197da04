"""The leaderboard without widgets: recipes, the matrix of models by benchmarks, your runs.

A run stands in the column of the published results with its benchmark, split and measure, else in
a column of its own. Ranks and the best value of a column leave runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, overload

from msgspec import structs

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.fields import zero_shot_share
from bioretrieval_tui.catalog.matrix import (
    FACTS,
    RANKINGS,
    Axis,
    MatrixRow,
    MatrixView,
    Ranking,
    ScoreTable,
    axes_with,
    with_own,
)
from bioretrieval_tui.catalog.models import AnyEntry, Model, Recipe, Result
from bioretrieval_tui.render.evaluations import OwnRun, own_titles
from bioretrieval_tui.render.rankings import (
    MARK,
    SCORE,
    best_values,
    score_figure,
    score_mark,
    score_text,
)
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.tui.entry_session import EntrySession, paper_of
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import figure, short

Mode = Literal["recipes", "matrix", "heat"]
_NONE = Span("-  ", "faint")
_NO_CELL = Span("·", "faint")
_RECIPE_COLUMNS = (
    TableColumn("rank", "#", 3, align="right", priority=1),
    TableColumn("model", "Recipe", 14, 1, priority=0),
    TableColumn("params", "Params", 6, align="right", priority=7),
    TableColumn("score", "Mean", 6, align="right", priority=2),
)
_RUNS = ("yes", "needs", "no")
"""Whether a recipe can be trained here, in the order of the list."""
_SCORE_WIDTH = 8
"""Cells of a score with four decimals and two marks."""
_NAMES = (20, 26, 40)
"""Cells of a name in a narrow, a usual and a wide window."""
_LEAST_NAME = 18
"""Cells of a name in a heat map that needs the width."""
_WITH_ARROW = 100
"""Columns from which headings of recipes have space for an arrow."""
_TENTHS = 10
"""Parts of a column in the heat map."""


class OwnRow(MatrixRow, frozen=True, kw_only=True):
    """A run of the user as a row."""

    run: OwnRun


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """A training recipe with the results of the model that came out, None without any; mean: over
    the four sets, the published one where not all four scores are."""

    recipe: Recipe
    row: MatrixRow | None
    mean: float | None
    rank: int | None


AnyRow = MatrixRow | RecipeRow
_Cells = Callable[[MatrixRow], Sequence[Span]]


def row_id(row: AnyRow) -> str:
    if isinstance(row, RecipeRow):
        return row.recipe.id
    return row.run.record.id if isinstance(row, OwnRow) else row.model


class _LazyCells(Sequence[Span]):
    """The cells of a row: first and last ones as they are, a score when its column is on the
    screen."""

    def __init__(
        self,
        lead: Sequence[Span],
        row: MatrixRow,
        axes: Sequence[Axis],
        make: Callable[[MatrixRow, Axis], Span],
        last: Sequence[Span] = (),
    ) -> None:
        self.lead, self.row, self.axes, self.make, self.last = lead, row, axes, make, last

    def __len__(self) -> int:
        return len(self.lead) + len(self.axes) + len(self.last)

    @overload
    def __getitem__(self, at: int) -> Span: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Span]: ...
    def __getitem__(self, at: int | slice) -> Span | Sequence[Span]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        behind = at - len(self.lead)
        if behind < 0:
            return self.lead[at]
        if behind >= len(self.axes):
            return self.last[behind - len(self.axes)]
        return self.make(self.row, self.axes[behind])


@dataclass(frozen=True, slots=True)
class BoardScores:
    """What is made once of a catalogue: its scores by model, and the lists that filters narrow."""

    table: ScoreTable
    recipes: EntrySession
    models: EntrySession

    @classmethod
    def of(cls, catalogue: Catalogue, *, ready: bool = False) -> BoardScores:
        """ready: the first letter of a filter needs not wait for the words of all models."""
        table = ScoreTable(catalogue)
        entries = [catalogue.by_id[one] for one in table.models if one in catalogue.by_id]
        models = EntrySession(entries, catalogue)
        if ready:
            models.matching("ready")
        return cls(table, EntrySession(catalogue.section("recipes"), catalogue), models)


class BoardSession:
    """What the leaderboard shows, and how.

    mode: recipes, matrix, or the matrix as a heat map; view: columns, order and ranking of the
    matrix; recipe_sort: (column, reverse) of the recipes; own: all runs, newest first; with_own:
    they are shown; recipe_rows, model_rows: what is shown in each mode; shown_own: the runs that
    the filter keeps; sign: what stands before the name of a row with this id.
    """

    def __init__(self, catalogue: Catalogue, sign: Callable[[str], str] = lambda _: "") -> None:
        self.sign = sign
        self.mode: Mode = "recipes"
        self.view = MatrixView()
        self.recipe_sort = ("rank", False)
        self.own: Sequence[OwnRow] = ()
        self.with_own = True
        self.recipe_rows: Sequence[RecipeRow] = ()
        self.model_rows: Sequence[MatrixRow] = ()
        self.shown_own: Sequence[OwnRow] = ()
        self.use(BoardScores.of(catalogue))

    def use(self, scores: BoardScores) -> None:
        """Show other scores; filters, orders and runs stay."""
        before = getattr(self, "_sessions", ())
        self.catalogue, self.table = scores.table.catalogue, scores.table
        self._sessions = (scores.recipes, scores.models)
        for old, new in zip(before, self._sessions, strict=False):
            new.filter_by(old.filter)
        self.put_own(self.own)
        self.fill()

    @property
    def in_matrix(self) -> bool:
        return self.mode != "recipes"

    @property
    def own_first(self) -> bool:
        """Whether the runs stand before the models."""
        return self.in_matrix and self.with_own and self.view.sort == "own"

    @property
    def recipe_signs(self) -> set[str]:
        """The signs behind the scores of the recipes that are shown."""
        of_mean = ("*" for row in self.recipe_rows if row.mean == row.recipe.mean is not None)
        results = (row.row.figures.get(axis) for row in self.recipe_rows if row.row
                   for axis in self.matrix.basis)  # fmt: skip
        return {*of_mean, *"".join(score_mark(one) for one in results if one)}

    @property
    def rows(self) -> Sequence[AnyRow]:
        return self.model_rows if self.in_matrix else self.recipe_rows

    def forget(self) -> None:
        """Read the values of recipes and models again at the next filter."""
        for one in self._sessions:
            one.forget()

    @property
    def entries(self) -> EntrySession:
        """The recipes or the models, with the filter that is typed."""
        return self._sessions[self.in_matrix]

    def fill(self) -> None:
        """Filter, rank and order again."""
        session = self.entries
        if not self.in_matrix:
            session.fill()
            self.matrix = self.table.matrix(MatrixView(), [one.model for one in self._recipes()])
            self.recipe_rows = self._ordered_recipes()
            return
        if not self._sortable():
            self.view = structs.replace(self.view, sort="rank", reverse=False)
        kept = [entry.id for entry in session.matching(session.filter)]
        filtered = frozenset(kept) if session.filter.strip() else None
        published = self.view
        if published.sort == "own" or self.table.by_key.get(published.sort) in self.table.own:
            published = structs.replace(published, sort="rank", reverse=False)
        self.matrix = self.table.matrix(published, kept if filtered is not None else None)
        self.shown_own = [row for row in self.own if self.with_own and self._fits(row, filtered)]
        if self.view.sort == "own":
            up = self.view.reverse
            dated = sorted(self.shown_own, key=lambda row: row.run.record.date, reverse=not up)
            self.model_rows = [*dated, *self.matrix.rows]
        else:
            self.model_rows = with_own(self.matrix, self.shown_own, self.table, self.view)
        session.shown = [self.catalogue.by_id[row.model] for row in self.matrix.rows]

    def _recipes(self) -> list[Recipe]:
        return [one for one in self._sessions[0].shown if isinstance(one, Recipe)]

    # Views -------------------------------------------------------------------------------

    def sort_by(self, key: str) -> None:
        """Order by a column, best or largest first; again: the other way. Rows and columns stay."""
        if self.in_matrix:
            again = key == self.view.sort and not self.view.reverse
            self.view = structs.replace(self.view, sort=key, reverse=again)
        else:
            self.recipe_sort = (key, self.recipe_sort == (key, False))

    @property
    def sorted_by(self) -> tuple[str, bool]:
        """(column, largest first)."""
        key, reverse = (self.view.sort, self.view.reverse) if self.in_matrix else self.recipe_sort
        rising = key in ("rank", "model", "licence", "runnable") or (
            key == "score" and self.in_matrix and self.view.ranking == "mean-rank"
        )
        return key, reverse if rising else not reverse

    @property
    def direction(self) -> str:
        """How the column that sorts is ordered, in words."""
        key, descending = self.sorted_by
        if key in ("model", "licence", "year", "own", *FACTS):
            return "descending" if descending else "ascending"
        reverse = self.view.reverse if self.in_matrix else self.recipe_sort[1]
        return "worst first" if reverse else "best first"

    def next_ranking(self) -> Ranking:
        """Rank in the next way."""
        after = RANKINGS[(RANKINGS.index(self.view.ranking) + 1) % len(RANKINGS)]
        self.view = structs.replace(self.view, ranking=after, sort="rank", reverse=False)
        return after

    def choose(self, columns: Sequence[str]) -> None:
        """Show these columns in this order; () for all. They rank."""
        self.view = structs.replace(self.view, columns=tuple(columns), sort="rank", reverse=False)

    def put_own(self, rows: Sequence[OwnRow]) -> None:
        """Have these runs, and the columns that only they have."""
        self.own = rows
        self.table.add_own(own_titles([row.run for row in rows]))

    def _sortable(self) -> bool:
        """Whether the column that sorts is shown: columns go away with runs and with choices."""
        sort = self.view.sort
        if sort == "own":
            return self.with_own and bool(self.own)
        axis = self.table.by_key.get(sort)
        if axis in self.table.own and not self.with_own:
            return False
        known = sort in ("rank", "score", "model", "licence", "results", *FACTS)
        return known if axis is None else not self.view.columns or sort in self.view.columns

    def _fits(self, row: OwnRow, models: frozenset[str] | None) -> bool:
        """Whether the filter keeps a run. models: entries that it keeps, None without a filter."""
        if self.view.zero_shot and row.run.zero_shot is not True:
            return False
        if self.view.columns and not row.figures.keys() & set(self.matrix.axes):
            return False
        return row.run.fits(models, self.entries.filter)

    # Recipes -----------------------------------------------------------------------------

    def _ordered_recipes(self) -> list[RecipeRow]:
        """The recipes in their order; those without a value in the column that sorts come last."""
        by_model = {row.model: row for row in self.matrix.rows}
        found = {one.id: by_model.get(one.model) for one in self._recipes()}
        means = {
            one.id: row.score if row and row.score is not None else one.mean
            for one in self._recipes()
            for row in [found[one.id]]
        }
        order = sorted((mean for mean in means.values() if mean is not None), reverse=True)
        rows = [
            RecipeRow(one, found[one.id], mean, None if mean is None else order.index(mean) + 1)
            for one in self._recipes()
            for mean in [means[one.id]]
        ]
        key, reverse = self.recipe_sort

        def value(one: RecipeRow) -> float | str | None:
            if key == "model":
                return one.recipe.name.casefold()
            if key == "runnable":
                training = one.recipe.training
                return _RUNS.index(training.runnable) if training else None
            if key in ("params", "year"):
                found: int | None = getattr(one.recipe, key)
                return None if found is None else -found
            if key in ("rank", "score"):
                return one.rank
            axis = self.table.by_key.get(key)
            result = one.row.figures.get(axis) if one.row and axis else None
            return None if result is None else -result.value

        keyed = [(value(one), one) for one in rows]
        known = [(found, one) for found, one in keyed if found is not None]
        known.sort(key=lambda pair: pair[0], reverse=reverse)
        return [*(one for _, one in known), *(one for found, one in keyed if found is None)]

    # Columns and cells -------------------------------------------------------------------

    def columns(self, width: int = 80) -> tuple[TableColumn, ...]:
        """The columns in a window of `width` cells. What a wider one adds takes no score away."""
        if not self.in_matrix:
            arrow = 2 if width >= _WITH_ARROW else 0
            four = (
                TableColumn(self.table.key(axis), title, max(_SCORE_WIDTH, len(title) + arrow),
                            align="right", priority=3 + at)
                for at, axis in enumerate(self.matrix.basis)
                for title in [self.table.title(axis)]
            )  # fmt: skip
            year = TableColumn("year", "Year", 4, align="right")
            return (*_RECIPE_COLUMNS, *four, year, TableColumn("runnable", "Runs", 5, priority=9))
        heat, axes = self.mode == "heat", axes_with(self.matrix, self.shown_own)
        short_name, usual_name, long_name = _NAMES
        name = max(short_name, min(usual_name, width - 50), min(width // 4, long_name))
        roomy = heat and long_name + 20 + 3 * len(axes) <= width
        runs = [TableColumn("own", "Run", 6)] if self.shown_own else []
        if heat and not roomy:
            # What all columns leave.
            name = max(_LEAST_NAME, min(name, width - 7 - 7 * len(runs) - 2 * len(axes)))
        elif runs and not heat:
            name -= 8  # the runs take their cells from the names, not from the scores
        columns = [
            TableColumn("rank", "#", 4, align="right", frozen=True),
            TableColumn("model", "Model", name, frozen=True),
            *runs,
        ]
        if not heat:
            if self._ranked_apart:
                title = f"{SCORE[self.view.ranking].capitalize()} of {len(self.matrix.basis)}"
                columns.append(TableColumn("score", title, max(8, len(title) + 2), align="right"))
            columns += [
                TableColumn("params", "Params", 7, align="right"),
                TableColumn("zero_shot_share", "ZS %", 5, align="right"),
            ]
        for axis in axes:
            title = self.table.title(axis)
            size = 1 + roomy if heat else max(_SCORE_WIDTH, len(title) + 2)
            columns.append(
                TableColumn(self.table.key(axis), title, size, align="right", upright=heat)
            )
        return (*columns, *(() if heat else (TableColumn("licence", "Licence", 14),)))

    def list_rows(self) -> ListRows[RecipeRow] | ListRows[MatrixRow]:
        if not self.in_matrix:
            return ListRows(self.recipe_rows, self._recipe_cells, self._recipe_below)
        cells = self._heat_cells() if self.mode == "heat" else self._matrix_cells()
        return ListRows(self.model_rows, cells)

    def _recipe_cells(self, row: RecipeRow) -> list[Span]:
        recipe, found = row.recipe, row.row
        rank, score = str(row.rank or "-"), "-"
        if row.mean is not None:  # a published mean has the mark of a secondary value
            score = f"{row.mean:.4f}" if row.mean != recipe.mean else f"{figure(row.mean)}*"
        cells = [
            Span(rank, "strong"),
            Span(f"{self.sign(recipe.id)}{recipe.name.removesuffix(' recipe')}", "recipe.strong"),
            Span(short(recipe.params) or "-", "dim"), Span(score, "strong"),
        ]  # fmt: skip
        for axis in self.matrix.basis:
            result = found.figures.get(axis) if found else None
            cells.append(_score_cell(result, None) if result else _NONE)
        runs = recipe.training.runnable if recipe.training else ""
        return [*cells, Span(str(recipe.year or ""), "dim"), Span(runs, "dim")]

    def _recipe_below(self, row: RecipeRow) -> Row:
        paper = paper_of(row.recipe, self.catalogue)
        return (
            Span("    "),
            Span(f"{paper}  " if paper else "", "paper"),
            Span(row.recipe.method, "dim"),
        )

    def _matrix_cells(self) -> _Cells:
        """Rank, name, facts, mean, scores. Marks need no colour; of runs `!` where they differ from
        the published score by more than 0.01."""
        axes = axes_with(self.matrix, self.shown_own)
        # The best of what is published: a run has no source that others can read.
        best = cache(partial(best_values, self.matrix))

        def score(row: MatrixRow, axis: Axis) -> Span:
            found = row.figures.get(axis)
            if found is None:
                return _NONE
            if not isinstance(row, OwnRow):
                return _score_cell(found, best(axis)[0])
            off = row.run.deviates
            mark = "!" if off else "t" if row.run.trained else " "
            return Span(f"{found.value:.4f}{mark:<2}", "warn" if off else "own")

        def cells(row: MatrixRow) -> Sequence[Span]:
            score_of, facts = [Span("")] * self._ranked_apart, [Span("")] * 3
            if not isinstance(row, OwnRow):
                ranked = "strong" if row.score is not None else "faint"
                score_of = [Span(score_text(self.matrix, row), ranked)] * self._ranked_apart
                facts = self._facts(row)
            return _LazyCells(
                [*self._lead(row), *score_of, *facts[:2]], row, axes, score, facts[2:]
            )

        return cells

    def _facts(self, row: MatrixRow) -> list[Span]:
        """Parameters, share of zero-shot scores, licence."""
        entry = self.catalogue.by_id.get(row.model)
        if not isinstance(entry, Model):
            return [Span("-", "dim"), Span("?", "dim"), Span("")]
        share = zero_shot_share(entry, self.catalogue)
        return [
            Span(short(entry.params) or "-", "dim"),
            Span("?" if share is None else str(share), "dim"),
            Span(entry.licence or "-", "dim"),
        ]

    @property
    def _ranked_apart(self) -> bool:
        """Whether what ranks has a column of its own: the mean of one column is that column."""
        return len(self.matrix.basis) != 1 or self.view.ranking != "mean"

    def _heat_cells(self) -> _Cells:
        """A cell a score: the tenth of its column that it is in, 1 for the best, 0 for the last."""
        axes = axes_with(self.matrix, self.shown_own)
        values = {
            axis: sorted((row.figures[axis].value for row in self.matrix.rows
                          if axis in row.figures), reverse=True)
            for axis in self.matrix.axes
        }  # fmt: skip
        tenths = {
            axis: {value: at * _TENTHS // len(found) for at, value in reversed([*enumerate(found)])}
            for axis, found in values.items()
        }

        def cell(row: MatrixRow, axis: Axis) -> Span:
            result = row.figures.get(axis)
            if result is None:
                return _NO_CELL
            if isinstance(row, OwnRow):
                return Span(MARK, "own")
            tenth = tenths[axis][result.value]
            return Span(str((tenth + 1) % _TENTHS), _heat_role(tenth))

        def cells(row: MatrixRow) -> Sequence[Span]:
            return _LazyCells(self._lead(row), row, axes, cell)

        return cells

    def _lead(self, row: MatrixRow) -> list[Span]:
        """Rank and name, and in a list with runs the mode of a run."""
        if isinstance(row, OwnRow):
            return [
                Span(""),
                Span(self.sign(row.run.record.id) + row.run.title, "own.strong"),
                Span(mode_name(row.run.record.mode), "own"),
            ]
        entry = self.catalogue.by_id.get(row.model)
        listed = entry is not None and entry.status == "declared"
        name = self.sign(row.model) + self.catalogue.names.get(row.model, row.model)
        lead = [Span(str(row.rank or "-"), "dim"), Span(name, "dim" if listed else "model.strong")]
        return [*lead, Span("")] if self.shown_own else lead

    def result_at(self, row: AnyRow | None, key: str) -> Result | None:
        """The published result of a row in a column."""
        if not isinstance(row, MatrixRow) or isinstance(row, OwnRow):
            return None
        axis = self.table.by_key.get(key)
        return row.figures.get(axis) if axis else None

    def place_of(self, result: Result) -> tuple[int, int]:
        """The rank of a result in its column, and how many are ranked there."""
        axis = Axis(result.benchmark, result.metric, result.subset)
        values = [row.figures[axis].value for row in self.matrix.rows if axis in row.figures]
        return 1 + sum(value > result.value for value in values), len(values)

    def entry_of(self, row: AnyRow | None) -> AnyEntry | None:
        if isinstance(row, RecipeRow):
            return row.recipe
        if row is None or isinstance(row, OwnRow):
            return None
        return self.catalogue.by_id.get(row.model)


def _score_cell(result: Result, best: float | None) -> Span:
    mark = score_mark(result)
    role = "text" if mark in ("", "*") else "warn"
    if best is not None and result.value == best:
        role = "ok"
    return Span(f"{score_figure(result):<6}{mark:<2}", role)  # three and four decimals align


def _heat_role(tenth: int) -> str:
    """Top tenth, top quarter, top half, the rest."""
    return "heat.1" if tenth < 1 else "heat.2" if tenth < 3 else "heat.3" if tenth < 5 else "heat.4"


# Runs of the user -----------------------------------------------------------------------------


def own_rows(runs: Sequence[OwnRun]) -> list[OwnRow]:
    """The runs as rows, each with its column."""
    return [OwnRow(run.result.model, run.figures, own=run.name, run=run) for run in runs]
