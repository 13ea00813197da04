"""The leaderboard: training recipes as a list; published results and your runs as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from bioretrieval_tui.catalog.matrix import MEAN_METRIC, Axis, MatrixRow, ResultMatrix, build
from bioretrieval_tui.catalog.models import AnyEntry, Model, Result
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.render.entries import result_remarks
from bioretrieval_tui.render.evaluations import MARK, run_page
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.board import (
    MODEL_WIDTH,
    OwnRow,
    OwnRows,
    axes_of,
    axis_key,
    columns_of,
    fitting,
    hidden_note,
    matrix_rows,
    merged,
    own_rows,
    row_id,
)
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import paint
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import figure

if TYPE_CHECKING:
    from bioretrieval_tui.backend.jobs import JobRecord
    from bioretrieval_tui.evaluation.records import EvaluationRecord


class LeaderboardPane(Pane):
    """Recipes first; `v` shows the matrix, with your runs among the published results."""

    BINDINGS = bindings("leaderboard", "browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("leaderboard", "list", "browse", "everywhere")
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
        self.zero_shot_only = False
        self.sort: Axis | str | None = None
        """None: by the number of results."""
        self.axis: Axis | None = None
        """The last axis that sorted: the mean covers the models with a result on it."""
        self.reverse = False
        self.matrix = ResultMatrix((), (), (), {})
        self.own = OwnRows()
        self.with_own = True
        """Runs are shown."""
        self.rows: list[MatrixRow | OwnRow] = []
        """What the matrix shows."""
        self.shown_own: list[OwnRow] = []
        """The runs that the filter keeps."""

    def compose(self) -> ComposeResult:
        """The list of recipes, and the matrix and the page of a run, hidden at first."""
        yield from super().compose()
        yield VirtualTable(
            [TableColumn("model", "Model", MODEL_WIDTH, frozen=True)],
            id="matrix", squeeze=False, empty="No results: clear the filter.",
        )  # fmt: skip
        yield Detail("own")

    @property
    def in_matrix(self) -> bool:
        """The matrix is shown."""
        return self.has_class("-matrix")

    @property
    def table(self) -> VirtualTable:
        if self.in_matrix:
            return self.query_one("#matrix", VirtualTable)
        return self.query_one("Horizontal > VirtualTable", VirtualTable)

    @property
    def detail(self) -> Detail:
        return self.query_one("Horizontal > Detail", Detail)

    def go_to(self, place: str | None) -> None:
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_matrix:
            self.action_view()
        super().go_to(place)

    @property
    def row(self) -> MatrixRow | OwnRow | None:
        return self.at_cursor(self.rows) if self.in_matrix else None

    @property
    def own_row(self) -> OwnRow | None:
        """The run under the cursor."""
        return self.row if isinstance(self.row, OwnRow) else None

    @property
    def current(self) -> AnyEntry | None:
        if not self.in_matrix:
            return super().current
        return self.catalogue.by_id[self.row.model] if isinstance(self.row, MatrixRow) else None

    @property
    def current_id(self) -> str | None:
        return self.own_row.record.id if self.own_row else super().current_id

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
            self.owner.say("The zero-shot filter is for the results matrix: press v")
            return
        self.zero_shot_only = not self.zero_shot_only
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        session = self.entry_list
        if not self.in_matrix or session is None:
            super().refill(keep)
            return
        keep = keep or self.current_id
        if not self._sortable():
            self.sort, self.reverse = self.axis, False
        ids = [entry.id for entry in session.matching(session.expression)]
        self.matrix = build(
            self.catalogue, models=ids, zero_shot_only=self.zero_shot_only,
            sort=self.sort, within=self.axis if self.sort == "mean" else None,
            reverse=self.reverse,
        )  # fmt: skip
        kept = frozenset(ids) if session.expression.strip() else None
        own = fitting(self.own, kept, session.expression, zero_shot_only=self.zero_shot_only)
        self.shown_own = own if self.with_own else []
        self.rows = merged(
            self.matrix, self.shown_own, self.catalogue, sort=self.sort, reverse=self.reverse
        )
        table = self.table
        chosen = table.columns[table.column].key if table.columns else "model"
        table.columns = columns_of(self.matrix, self.catalogue, self.shown_own, self.own.titles)
        keys = [column.key for column in table.columns]
        table.column = keys.index(chosen) if chosen in keys else 0
        key = axis_key(self.sort) if isinstance(self.sort, Axis) else self.sort
        # Best first is shown as descending.
        table.sorted_by = (key, not self.reverse) if key else None
        by_id = self.catalogue.by_id
        session.shown = [by_id[row.model] for row in self.matrix.rows]
        cursor = next((i for i, row in enumerate(self.rows) if row_id(row) == keep), 0)
        rows = matrix_rows(self.matrix, self.catalogue, self.rows, self.shown_own)
        table.show(rows, cursor)
        self.head()
        self.show_page()

    def _sortable(self) -> bool:
        """Whether the column that sorts is shown: columns of runs may go away."""
        if self.sort == "own":
            return self.with_own and bool(self.own.rows)
        if isinstance(self.sort, Axis) and self.sort.benchmark not in self.catalogue.by_id:
            return self.with_own and self.sort in self.own.titles
        return True

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

    def head(self) -> None:
        session = self.entry_list
        if session is None:
            return
        if not self.in_matrix or session.problem or self.letters:
            super().head()
            return
        spans = [Span("Results", "strong"), Span(f"  {len(session.shown)} models", "dim")]
        shown = sum(isinstance(row, OwnRow) for row in self.rows)
        if shown:
            spans.append(Span(f"  {MARK} your runs: {shown}", "own"))
        result = self.result_under_cursor()
        if result:
            source = self.catalogue.sources.get(result.source)
            text = source.text.split(":")[0] if source else result.source
            remarks = result_remarks(result)
            spans += [
                Span(f"  {figure(result.value)}", "strong"),
                Span(f"  {remarks}" if remarks else "", "warn"),
                Span(f"  from {text}", "dim"),
            ]
        elif self.own_row:
            spans += [
                Span(f"  {self.own_row.record.benchmark}", "own"),
                Span(f"  {self.own_row.record.metrics.get(MEAN_METRIC, 0.0):.4f}", "strong"),
                Span(f"  {self.own_row.run.how}, measured here; enter: its page", "dim"),
            ]
        elif session.expression:
            spans += [Span("  filter ", "faint"), Span(session.expression, "ok")]
        if self.zero_shot_only:
            spans.append(Span("  zero-shot only", "warn"))
        off = "  ! differs by more than 0.01" if self.shown_own else ""
        marks = f"   * secondary  ? unverified  t trained on this benchmark{off}"
        spans.append(Span(marks, "faint"))
        hidden = hidden_note(self.matrix)
        if hidden:
            spans.append(Span(f"   {hidden}", "faint"))
        if self.own.rows and not self.with_own:
            spans.append(Span(f"  {MARK} your runs: {len(self.own.rows)} hidden (w)", "faint"))
        self.query_one(HeadLine).show(*spans)

    def result_under_cursor(self) -> Result | None:
        """The published result at the cursor's row and column."""
        row, key = self.row, self.table.columns[self.table.column].key
        if not isinstance(row, MatrixRow):
            return None
        return next((r for axis, r in row.figures.items() if axis_key(axis) == key), None)

    def row_ids(self) -> Sequence[str]:
        """The ids of the rows; runs match no filter of entries."""
        if not self.in_matrix:
            return super().row_ids()
        return [row.model if isinstance(row, MatrixRow) else "" for row in self.rows]

    # Runs of the user --------------------------------------------------------------------

    def activate(self) -> None:
        """Read the runs again: an evaluation may have ended."""
        super().activate()
        if self.has_class("-own"):
            self.own_detail.focus()
        self._read_runs()

    def job_ended(self, outcome: JobRecord) -> None:
        if outcome.evaluation is not None:
            self._read_runs()

    def _read_runs(self) -> None:
        self.run_worker(self._read, thread=True, group="own", exclusive=True)

    def _read(self) -> None:
        """Read one small file for each record, in a thread."""
        from bioretrieval_tui.evaluation.records import records

        problems: list[str] = []
        found: list[EvaluationRecord] = []
        try:
            found = records(problems.append)
        except BioRetrievalError as error:
            problems.append(error.line())
        if self.is_attached:
            self.app.call_from_thread(self._show_runs, found, next(iter(problems), ""))

    def _show_runs(self, found: list[EvaluationRecord], problem: str) -> None:
        self.own = own_rows(found, self.catalogue)
        if self.in_matrix:
            self.refill()
        if problem:
            self.owner.say(problem, "error")

    @property
    def own_detail(self) -> Detail:
        """The page of a run."""
        return self.query_one("#own", Detail)

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
            self.owner.say(f"Only your runs can be deleted: move to a row with {MARK}")
            return
        then = f"{row.record.id}; its index stays."
        if row.run.earlier:
            then += f" The run of {row.run.earlier[0].date[:10]} is shown instead."
        question, labels = f"Delete this run of {row.run.name}?", ("Delete", "Cancel")
        self.owner.confirm(question, then, labels, lambda: self._delete(row.record))

    def _delete(self, record: EvaluationRecord) -> None:
        from bioretrieval_tui.evaluation.records import remove

        try:
            remove(record.id)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
        else:
            self.owner.say(f"Deleted {record.id}")
        self._close_own()
        self._read_runs()

    def action_explore_own(self) -> None:
        row = self.own_row
        if row is None:
            self.owner.action_explore()
        else:
            self.owner.explore_record(row.record)

    def action_own(self) -> None:
        if not self.in_matrix:
            self.owner.say("Your runs are in the results matrix: press v")
            return
        if not self.own.rows:
            self.owner.say("No runs yet: E explores a benchmark, 8 starts one")
            return
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

    def action_links(self) -> None:
        """Choose a link on the model's page: the matrix does not show the letters."""
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id, then="links")
        else:
            super().action_links()

    def action_relations(self) -> None:
        if self.in_matrix and self.current:
            self.owner.jump(self.current.id, then="relations")
        else:
            super().action_relations()

    def action_export(self) -> None:
        if not self.in_matrix:
            super().action_export()
            return
        from bioretrieval_tui.render.entries import result_sheet

        shown = [row.figures[a] for row in self.matrix.rows for a in self.matrix.axes
                 if a in row.figures]  # fmt: skip
        names = self.catalogue.names
        self.owner.export_sheet(lambda: result_sheet(shown, names), "results", len(shown))
