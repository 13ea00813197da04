"""The leaderboard: training recipes as a list; published results and your runs as a matrix.

A run stands in the column of the published results with its benchmark, split and measure, else in
a column of its own. Means and the best value of a column leave runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import NO_SCORE, Axis, MatrixRow, ResultMatrix, build
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Model, Result
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.render.entries import result_remarks, result_sheet
from bioretrieval_tui.render.evaluations import MARK, OwnRun, own_runs, run_page
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import paint
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import figure

if TYPE_CHECKING:
    from bioretrieval_tui.backend.jobs import JobRecord

MODEL = TableColumn("model", "Model", 26, frozen=True)
_NONE = Span("-    ", "faint")


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A run of the user as a row.

    axis: its column; title: of a column without published results, else ""; figures: nDCG@10 by
    column, none if it was not measured.
    """

    run: OwnRun
    axis: Axis
    title: str
    figures: Mapping[Axis, float]


AnyRow = MatrixRow | OwnRow


class LeaderboardPane(Pane):
    """Recipes first; `v` shows the matrix, with your runs among the published results."""

    BINDINGS = bindings("leaderboard", "browse")
    SCOPES = ("leaderboard", "list", "browse", "everywhere")
    DEFAULT_CSS = """
    LeaderboardPane #matrix { display: none; }
    LeaderboardPane.-matrix #matrix { display: block; }
    LeaderboardPane.-matrix Horizontal { display: none; }
    LeaderboardPane #own { display: none; width: 1fr; }
    LeaderboardPane.-own #own { display: block; }
    LeaderboardPane.-own #matrix { display: none; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "recipes")
        self.matrix_table = VirtualTable(
            [MODEL], "matrix", squeeze=False, empty="No results: clear the filter."
        )
        self.own_detail = Detail("own")
        self.zero_shot_only = False
        self.sort: Axis | str | None = None
        """None: by the number of results."""
        self.axis: Axis | None = None
        """The last axis that sorted: the mean covers the models with a result on it."""
        self.reverse = False
        self.matrix = ResultMatrix((), (), (), {})
        self.own: Sequence[OwnRow] = ()
        """All runs, newest first."""
        self.with_own = True
        """Runs are shown."""
        self.rows: Sequence[AnyRow] = ()
        """What the matrix shows."""
        self.shown_own: Sequence[OwnRow] = ()
        """The runs that the filter keeps."""

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self.matrix_table
        yield self.own_detail

    @property
    def in_matrix(self) -> bool:
        return self.has_class("-matrix")

    @property
    def table(self) -> VirtualTable:
        recipes = self.query_one("Horizontal > VirtualTable", VirtualTable)
        return self.matrix_table if self.in_matrix else recipes

    @property
    def detail(self) -> Detail:
        return self.query_one("Horizontal > Detail", Detail)

    def go_to(self, place: str | None) -> None:
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_matrix:
            self.action_view()
        super().go_to(place)

    @property
    def row(self) -> AnyRow | None:
        return self.table.at_cursor(self.rows) if self.in_matrix else None

    @property
    def own_row(self) -> OwnRow | None:
        return self.row if isinstance(self.row, OwnRow) else None

    @property
    def current(self) -> AnyEntry | None:
        if not self.in_matrix:
            return super().current
        return self.catalogue.by_id[self.row.model] if isinstance(self.row, MatrixRow) else None

    def ids(self) -> Sequence[str]:
        return [row_id(row) for row in self.rows] if self.in_matrix else super().ids()

    def action_view(self) -> None:
        self._close_own()
        self.close_filter()
        self.toggle_class("-matrix")
        if self.sort is None:
            self.sort = self.axis = next(iter(build(self.catalogue).axes), None)
        self.remove_class("-reading")
        models = [m for m in self.catalogue.of_type(Model) if self.catalogue.results_of(m.id)]
        entries = models if self.in_matrix else self.catalogue.section(self.section)
        self.entry_list = EntrySession(entries, self.catalogue)
        self.refill()
        self.table.focus()

    def action_zero_shot(self) -> None:
        if not self.in_matrix:
            raise UsageError("The zero-shot filter is for the results matrix: press v")
        self.zero_shot_only = not self.zero_shot_only
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        session, catalogue = self.entry_list, self.catalogue
        if not self.in_matrix:
            super().refill(keep)
            return
        keep = keep or self.place()
        if not self._sortable():
            self.sort, self.reverse = self.axis, False
        ids = [entry.id for entry in session.matching(session.filter)]
        self.matrix = build(
            catalogue, models=ids, zero_shot_only=self.zero_shot_only,
            sort=self.sort, within=self.axis if self.sort == "mean" else None,
            reverse=self.reverse,
        )  # fmt: skip
        filtered = frozenset(ids) if session.filter.strip() else None
        self.shown_own = [row for row in self.own if self.with_own and self._fits(row, filtered)]
        self.rows = merged(
            self.matrix, self.shown_own, catalogue, sort=self.sort, reverse=self.reverse
        )
        session.shown = [catalogue.by_id[row.model] for row in self.matrix.rows]
        table = self.table
        chosen = table.columns[table.column].key if table.columns else "model"
        table.columns = columns_of(self.matrix, catalogue, self.shown_own)
        keys = [column.key for column in table.columns]
        table.column = keys.index(chosen) if chosen in keys else 0
        key = axis_key(self.sort) if isinstance(self.sort, Axis) else self.sort
        # Best first is shown as descending.
        table.sorted_by = (key, not self.reverse) if key else None
        cursor = next((i for i, row in enumerate(self.rows) if row_id(row) == keep), 0)
        table.show(matrix_rows(self.matrix, catalogue, self.rows, self.shown_own), cursor)
        self.head()
        self.show_page()

    def _sortable(self) -> bool:
        """Whether the column that sorts is shown: columns of runs may go away."""
        if self.sort == "own":
            return self.with_own and bool(self.own)
        if isinstance(self.sort, Axis) and self.sort.benchmark not in self.catalogue.by_id:
            return self.with_own and any(row.title and row.axis == self.sort for row in self.own)
        return True

    def _fits(self, row: OwnRow, models: frozenset[str] | None) -> bool:
        """Whether the filter keeps a run. models: entries that it keeps, None without a filter."""
        if self.zero_shot_only and row.run.zero_shot is not True:
            return False
        if models is None or row.run.model in models:
            return True
        # The catalogue does not know its model.
        text = f"{row.run.name} {row.run.record.mode} {row.run.record.benchmark} own".casefold()
        return row.run.model is None and self.entry_list.filter.casefold() in text

    def action_sort(self) -> None:
        """Sort the matrix by the chosen column, best first; again: worst first."""
        if not self.in_matrix:
            super().action_sort()
            return
        key = self.table.columns[self.table.column].key
        axes = axes_of(self.matrix, self.shown_own)
        axis = next((a for a in axes if axis_key(a) == key), None)
        wanted: Axis | str = axis or key
        self.reverse = not self.reverse if wanted == self.sort else False
        self.sort = wanted
        self.axis = axis if axis in self.matrix.axes else self.axis
        self.refill()

    def action_column(self, by: int) -> None:
        super().action_column(by)
        self.head()

    def show_page(self, *, lead: bool = False) -> None:
        super().show_page(lead=lead)
        if self.in_matrix:
            self.head()

    def list_head(self) -> list[Span]:
        session, own = self.entry_list, self.own_row
        if not self.in_matrix or session.problem or self.letters:
            return super().list_head()
        spans = [Span("Results", "strong"), Span(f"  {len(session.shown)} models", "dim")]
        if shown := sum(isinstance(row, OwnRow) for row in self.rows):
            spans.append(Span(f"  {MARK} your runs: {shown}", "own"))
        key = self.table.columns[self.table.column].key
        figures = self.row.figures if isinstance(self.row, MatrixRow) else {}
        names = self.catalogue.names
        if result := next((one for axis, one in figures.items() if axis_key(axis) == key), None):
            source = self.catalogue.sources.get(result.source)
            text = source.text.split(":")[0] if source else result.source
            remarks = result_remarks(result)
            spans += [
                Span(f"  {figure(result.value)}", "strong"),
                Span(f"  {remarks}" if remarks else "", "warn"),
                Span(f"  from {text}", "dim"),
            ]
        elif key == "mean":
            over = ", ".join(names.get(a.benchmark, a.benchmark) for a in self.matrix.common)
            spans.append(Span(f"  mean of {over}", "dim"))
        elif own:
            spans += [
                Span(f"  {own.run.record.benchmark}", "own"),
                Span(f"  {own.run.record.metrics.get(MAIN, 0.0):.4f}", "strong"),
                Span(f"  {own.run.how}, measured here; enter: its page", "dim"),
            ]
        elif session.filter:
            spans += [Span("  filter ", "faint"), Span(session.filter, "ok")]
        if self.zero_shot_only:
            spans.append(Span("  zero-shot only", "warn"))
        hidden = []
        for why, count in self.matrix.hidden.items():
            one = count == 1
            what = f"{'score' if one else 'scores'} hidden ({why})"
            if why == NO_SCORE:
                what = f"{'model has' if one else 'models have'} no score"
            hidden.append(f"{count} {what}")
        spans.append(Span(f"  {', '.join(hidden)}" if hidden else "", "dim"))
        if self.own and not self.with_own:
            spans.append(Span(f"  {MARK} your runs: {len(self.own)} hidden (w)", "faint"))
        off = "  ! differs by more than 0.01" if self.shown_own else ""
        marks = f"   * secondary  ? unverified  t trained on it{off}"
        return [*spans, Span(marks, "faint")]

    # Runs of the user --------------------------------------------------------------------

    def activate(self) -> None:
        super().activate()
        if self.has_class("-own"):
            self.own_detail.focus()
        self.in_background("own", self._read_runs)

    def job_ended(self, outcome: JobRecord) -> None:
        if outcome.evaluation is not None:
            self.in_background("own", self._read_runs)

    async def _read_runs(self) -> None:
        """Read one small file for each record, in a thread."""
        from bioretrieval_tui.evaluation.records import records

        problems: list[str] = []
        found = await asyncio.to_thread(records, problems.append)
        self.own = own_rows(found, self.catalogue)
        if self.in_matrix:
            self.refill()
        if problems:
            self.owner.say(problems[0], "error")

    def leave(self) -> bool:
        return self._close_own() or super().leave()

    def _close_own(self) -> bool:
        if not self.has_class("-own"):
            return False
        self.remove_class("-own")
        self.table.focus()
        return True

    def action_remove(self) -> None:
        row = self.own_row
        if row is None:
            raise UsageError(f"Only your runs can be deleted: move to a row with {MARK}")
        then = f"{row.run.record.id}; its index stays."
        if row.run.earlier:
            then += f" The run of {row.run.earlier[0].date[:10]} is shown instead."
        question, labels = f"Delete this run of {row.run.name}?", ("Delete", "Cancel")
        self.owner.confirm(question, then, labels, partial(self._delete, row.run.record.id))

    def _delete(self, record: str) -> None:
        from bioretrieval_tui.evaluation.records import remove

        self._close_own()
        self.in_background("own", self._read_runs)
        remove(record)
        self.owner.say(f"Deleted {record}")

    def action_explore_own(self) -> None:
        from bioretrieval_tui.tui.qrels_session import job_of_record

        if self.own_row is None:
            self.owner.action_explore()
            return
        try:
            job = job_of_record(self.own_row.run.record, self.catalogue)
        except BioRetrievalError as error:
            raise BioRetrievalError(f"{error.line()}: choose its folder with E") from error
        self.owner.explore(job)

    def action_own(self) -> None:
        if not self.in_matrix:
            raise UsageError("Your runs are in the results matrix: press v")
        if not self.own:
            raise UsageError("No runs yet: E explores a benchmark, 8 starts one")
        self._close_own()
        self.with_own = not self.with_own
        self.refill()

    def action_enter(self) -> None:
        row = self.own_row
        if row is not None:
            lines = paint(run_page(row.run)).lines
            hint = line(Span("x explores its queries and judgements, d deletes it", "faint"))
            self.own_detail.show([*lines, line(), hint])
            self.add_class("-own")
            self.own_detail.focus()
        elif self.in_matrix and self.current:
            self.owner.jump(self.current.id)
        else:
            super().action_enter()

    def action_letter(self, what: str) -> None:
        """Choose the letter on the model's page: the matrix does not show it."""
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id, then=f"letter('{what}')")
        else:
            super().action_letter(what)

    def action_export(self) -> None:
        if not self.in_matrix:
            super().action_export()
            return
        shown = [row.figures[axis] for row in self.matrix.rows for axis in self.matrix.axes
                 if axis in row.figures]  # fmt: skip
        make = partial(result_sheet, shown, self.catalogue.names)
        self.owner.export_sheet(make, "results", len(shown))


# Rows and columns of the matrix ---------------------------------------------------------------


def own_rows(records: Sequence[EvaluationRecord], catalogue: Catalogue) -> list[OwnRow]:
    """The runs of these records, which are newest first."""
    rows = []
    for run in own_runs(records, catalogue):
        newest, title = run.record, ""
        known = isinstance(catalogue.by_id.get(newest.catalogue or ""), Benchmark)
        if newest.catalogue is not None and known and newest.split == "test":
            axis = Axis(newest.catalogue, MAIN)
        else:
            axis = Axis(f"own {newest.benchmark} {newest.split} {newest.sha256[:8]}", MAIN)
            split = "" if newest.split == "test" else f" {newest.split}"
            title = f"{newest.benchmark}{split} (own)"
        figures = {axis: newest.metrics[MAIN]} if MAIN in newest.metrics else {}
        rows.append(OwnRow(run, axis, title, figures))
    return rows


def axis_key(axis: Axis) -> str:
    return f"{axis.benchmark} {axis.metric}"


def row_id(row: AnyRow) -> str:
    return row.run.record.id if isinstance(row, OwnRow) else row.model


def axes_of(matrix: ResultMatrix, own: Sequence[OwnRow]) -> tuple[Axis, ...]:
    """The published columns, then those that only runs have."""
    return tuple(dict.fromkeys([*matrix.axes, *(axis for row in own for axis in row.figures)]))


def columns_of(
    matrix: ResultMatrix, catalogue: Catalogue, own: Sequence[OwnRow]
) -> tuple[TableColumn, ...]:
    """The model's name (frozen), how a run was made, the mean, and one column for each axis."""
    columns, names = [MODEL], catalogue.names
    if own:
        columns.append(TableColumn("own", "Own", 16, priority=9))
    if matrix.common:
        over = f"Mean of {len(matrix.common)}"
        columns.append(TableColumn("mean", over, len(over) + 2, align="right"))
    titles = {row.axis: row.title for row in own if row.title}
    for axis in axes_of(matrix, own):
        title = titles.get(axis) or names.get(axis.benchmark, axis.benchmark)
        title = title if axis.metric == MAIN else f"{title} ({axis.metric})"
        columns.append(TableColumn(axis_key(axis), title, max(8, len(title) + 2), align="right"))
    return tuple(columns)


def matrix_rows(
    matrix: ResultMatrix, catalogue: Catalogue, rows: Sequence[AnyRow], own: Sequence[OwnRow]
) -> ListRows[AnyRow]:
    """Name, mean, scores. `*` secondary, `?` unverified, `t` trained on the benchmark; of runs `!`
    where they differ from the published score by more than 0.01. Marks need no colour."""
    axes = axes_of(matrix, own)
    # The best of what is published: a run has no source that others can read.
    best = {
        axis: max(row.figures[axis].value for row in matrix.rows if axis in row.figures)
        for axis in matrix.axes
    }

    def score(result: Result, axis: Axis) -> Span:
        mark = {"secondary": "*", "unverified": "?"}.get(result.status, " ")
        mark = "t" if result.zero_shot is False else mark
        role = "warn" if mark in "?t" else "ok" if result.value == best[axis] else "text"
        return Span(f"{figure(result.value):<6}{mark}", role)  # three and four decimals align

    def cells(row: AnyRow) -> list[Span]:
        if isinstance(row, OwnRow):
            off = row.run.deviates
            mark = "!" if off else "t" if row.run.trained else " "
            role = "warn" if off else "own"
            scores = {axis: Span(f"{one:.4f}{mark}", role) for axis, one in row.figures.items()}
            spans = [Span(f"{MARK} {row.run.name}", "own.strong"), Span(row.run.how, "own")]
            spans += [_NONE] if matrix.common else []
        else:
            scores = {axis: score(one, axis) for axis, one in row.figures.items()}
            spans = [Span(catalogue.names.get(row.model, row.model), "model")]
            spans += [Span("")] if own else []
            spans += [Span(f"{row.mean:.3f}  ", "strong")] if row.mean is not None else []
        return [*spans, *(scores.get(axis, _NONE) for axis in axes)]

    return ListRows(rows, cells)


def merged(
    matrix: ResultMatrix,
    own: Sequence[OwnRow],
    catalogue: Catalogue,
    *,
    sort: Axis | str | None,
    reverse: bool,
) -> list[AnyRow]:
    """Published results and runs in one order. Runs without a score in the column that sorts come
    last; so do all runs if the mean sorts, which they do not have."""
    rows: list[AnyRow] = [*matrix.rows, *own]

    def name(row: AnyRow) -> str:
        model = row_id(row)
        shown = row.run.name if isinstance(row, OwnRow) else catalogue.names.get(model, model)
        return shown.casefold()

    def by_value(row: AnyRow) -> tuple[float, str]:
        found = row.figures[sort] if isinstance(sort, Axis) else 0.0
        return -(found.value if isinstance(found, Result) else found), name(row)

    if isinstance(sort, Axis):
        ranked = [row for row in rows if sort in row.figures]
        others = [row for row in own if sort not in row.figures]
        return [*sorted(ranked, key=by_value, reverse=reverse), *others]
    if sort == "model":
        return sorted(rows, key=name, reverse=reverse)
    if sort == "own":
        newest = sorted(own, key=lambda row: row.run.record.date, reverse=not reverse)
        return [*newest, *matrix.rows]
    return rows
