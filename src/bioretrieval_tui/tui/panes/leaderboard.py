"""The leaderboard: training recipes as a list, published and own results as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MEAN_METRIC, NO_SCORE, Axis, Matrix, MatrixRow, build
from bioretrieval_tui.catalog.models import AnyEntry, Model, Result
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.render.entries import entry_page, result_remarks
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.ownrows import MARK, OwnRow, OwnRows, fitting, merged, own_page, own_rows
from bioretrieval_tui.tui.panes.base import Pane
from bioretrieval_tui.tui.panes.browse import entry_columns, show_entries, title_of
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable
from bioretrieval_tui.util.formatting import figure

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.tui.evaluating import Result as EvaluationResult

MODEL_WIDTH = 24
_OWN_WIDTH = 18
_NONE = Span("-    ", "faint")


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"


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
        names = [catalogue.names.get(axis.benchmark, axis.benchmark) for axis in matrix.common]
        over = f"Mean ({', '.join(names) if len(names) < 3 else f'{len(names)} sets'})"
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


class LeaderboardPane(Pane):
    """Recipes first; `v` shows the matrix, with own evaluations among the published figures."""

    BINDINGS = bindings("leaderboard", "browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("leaderboard", "list", "browse", "everywhere")
    DEFAULT_CSS = """
    LeaderboardPane #matrix { display: none; }
    LeaderboardPane.-matrix #matrix { display: block; }
    LeaderboardPane.-matrix Horizontal { display: none; }
    LeaderboardPane.-own #matrix { display: none; }
    LeaderboardPane #own { display: none; width: 1fr; }
    LeaderboardPane.-own #own { display: block; }
    """

    def __init__(self, name: str, section: str) -> None:
        super().__init__(name)
        self.section = section
        self.own = OwnRows()
        self.zero_shot_only = False
        self.sort: Axis | str | None = None
        """None: by the number of figures."""
        self.axis: Axis | None = None
        """The last axis that sorted: the mean keeps to the models that have a figure there."""
        self.reverse = False
        self.matrix = Matrix((), (), (), {})
        self.with_own = True
        """Own rows are shown."""
        self.rows: list[MatrixRow | OwnRow] = []
        """What the matrix shows."""
        self.shown_own: list[OwnRow] = []
        """The own rows that the filter keeps, whatever the order hides."""

    def compose(self) -> ComposeResult:
        """The list of recipes, and the matrix under it until it is asked for."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(entry_columns(self.section), empty="No entry matches.")
            yield Detail(rule=True)
        yield VirtualTable(
            [Column("model", "Model", MODEL_WIDTH, frozen=True)],
            id="matrix", squeeze=False, empty="No result is left: clear the filter.",
        )  # fmt: skip
        yield Detail("own")

    def on_mount(self) -> None:
        """Fill the list of recipes."""
        self.entry_list = EntrySession(self.catalogue.section(self.section), self.catalogue)
        self.refill()

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

    @property
    def detail(self) -> Detail:
        """The page beside the list of recipes."""
        return self.query_one("Horizontal > Detail", Detail)

    def go_to(self, place: str | None) -> None:
        """A recipe's id leads to the list, a model's to the matrix."""
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_matrix:
            self.action_view()
        super().go_to(place)

    @property
    def own_row(self) -> OwnRow | None:
        """The own row under the cursor."""
        at = self.table.cursor
        row = self.rows[at] if self.in_matrix and 0 <= at < len(self.rows) else None
        return row if isinstance(row, OwnRow) else None

    @property
    def current(self) -> AnyEntry | None:
        """The entry under the cursor; own rows have none."""
        if not self.in_matrix:
            return super().current
        at = self.table.cursor
        row = self.rows[at] if 0 <= at < len(self.rows) else None
        return self.catalogue.by_id[row.model] if isinstance(row, MatrixRow) else None

    @property
    def current_id(self) -> str | None:
        """Its id, or the record's of an own row."""
        return self.own_row.record.id if self.own_row else super().current_id

    def own_changed(self) -> None:
        """Show them, where they are shown."""
        if self.in_matrix:
            self.refill()

    def action_view(self) -> None:
        """Recipes or matrix."""
        self._close_own()
        self._close_filter()
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
        """Only figures that are known to be zero-shot."""
        if not self.in_matrix:
            self.owner.say("Zero-shot is a choice of the results matrix: press v")
            return
        self.zero_shot_only = not self.zero_shot_only
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        session = self.entry_list
        if not self.in_matrix or session is None:
            show_entries(self, keep)
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
        table.columns = tuple(
            columns_of(self.matrix, self.catalogue, self.shown_own, self.own.titles)
        )
        keys = [column.key for column in table.columns]
        table.column = keys.index(chosen) if chosen in keys else 0
        key = axis_key(self.sort) if isinstance(self.sort, Axis) else self.sort
        # Best first is the arrow down; reversed is worst first.
        table.sorted_by = (key, not self.reverse) if key else None
        by_id = self.catalogue.by_id
        session.shown = [by_id[row.model] for row in self.matrix.rows]
        cursor = next((i for i, row in enumerate(self.rows) if _id(row) == keep), 0)
        rows = MatrixRows(self.matrix, self.catalogue, self.rows, self.shown_own)
        table.show(rows, cursor)
        self.head()
        self.show_page()

    def _sortable(self) -> bool:
        """The column that sorts is still there: those of own rows come and go."""
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
        """Choose a column; the head says what the figure under the cursor is."""
        super().action_column(by)
        self.head()

    def show_page(self, *, lead: bool = False) -> None:
        super().show_page(lead=lead)
        if self.in_matrix:
            self.head()

    def make_page(self) -> PaintedPage:
        """The page of the entry under the cursor."""
        if self.current is None:
            return PaintedPage(())
        return paint(entry_page(self.current, self.catalogue))

    def head(self) -> None:
        session = self.entry_list
        if session is None:
            return
        if not self.in_matrix or session.problem or self.letters:
            self.query_one(HeadLine).show(*self.list_head(title_of(self.pane_name)))
            return
        spans = [Span("Results", "strong"), Span(f"  {len(session.shown)} models", "dim")]
        shown = sum(isinstance(row, OwnRow) for row in self.rows)
        if shown:
            spans.append(Span(f"  {MARK} your runs: {shown}", "own"))
        result = self.figure_under_cursor()
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
                Span(f"  {self.own_row.how}, measured here; enter: its page", "dim"),
            ]
        elif session.expression:
            spans += [Span("  filter ", "faint"), Span(session.expression, "ok")]
        if self.zero_shot_only:
            spans.append(Span("  zero-shot only", "warn"))
        hidden = [
            counted(number, "model has no score here", "models have no score here")
            if why == NO_SCORE
            else f"{counted(number, 'score', 'scores')} hidden ({why})"
            for why, number in self.matrix.hidden.items()
        ]
        if self.own.rows and not self.with_own:
            hidden.append(f"{counted(len(self.own.rows), 'run', 'runs')} of yours hidden (w)")
        if hidden:
            spans.append(Span(f"  {', '.join(hidden)}", "faint"))
        off = "  ! differs by over 0.01 from published" if self.shown_own else ""
        legend = f"   * secondary  ? unverified  t trained on this benchmark{off}"
        spans.append(Span(legend, "faint"))
        self.query_one(HeadLine).show(*spans)

    def figure_under_cursor(self) -> Result | None:
        """The published figure at the cursor's row and column."""
        table = self.table
        row = self.rows[table.cursor] if 0 <= table.cursor < len(self.rows) else None
        if not isinstance(row, MatrixRow):
            return None
        key = table.columns[table.column].key
        return next((r for axis, r in row.figures.items() if axis_key(axis) == key), None)

    def row_ids(self) -> Sequence[str]:
        """The ids of the rows; own rows match no filter of entries."""
        if not self.in_matrix:
            return super().row_ids()
        return [row.model if isinstance(row, MatrixRow) else "" for row in self.rows]

    def action_own(self) -> None:
        """Show own rows, or not."""
        if not self.in_matrix:
            self.owner.say("Own evaluations stand in the results matrix: press v")
            return
        if not self.own.rows:
            self.owner.say("Nothing was evaluated here yet: E explores a benchmark, 8 begins one")
            return
        self._close_own()
        self.with_own = not self.with_own
        self.refill()

    def action_enter(self) -> None:
        """From the matrix to the model's page, or to that of an own evaluation."""
        row = self.own_row
        if row is not None:
            self.own_detail.show(own_page(row, self.catalogue).lines)
            self.add_class("-own")
            self.own_detail.focus()
        elif self.in_matrix and self.current:
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
        from bioretrieval_tui.render.entries import result_sheet

        shown = [row.figures[a] for row in self.matrix.rows for a in self.matrix.axes
                 if a in row.figures]  # fmt: skip
        names = self.catalogue.names
        self.owner.export_sheet(lambda: result_sheet(shown, names), "results", len(shown))

    # Own evaluations ---------------------------------------------------------------------

    def activate(self) -> None:
        """Shown: something may have been evaluated meanwhile."""
        super().activate()
        if self.has_class("-own"):
            self.own_detail.focus()
        self.run_worker(self._read, thread=True, group="own", exclusive=True)

    def _read(self) -> None:
        """In a thread: one small file a record."""
        from bioretrieval_tui.evaluation.records import records

        told: list[str] = []
        found: list[EvaluationRecord] = []
        try:
            found = records(told.append)
        except BioRetrievalError as error:
            told.append(error.line())
        if self.is_attached:
            self.app.call_from_thread(self._got, found, next(iter(told), ""))

    def _got(self, found: list[EvaluationRecord], problem: str) -> None:
        self.own = own_rows(found, self.catalogue)
        self.own_changed()
        if problem:
            self.owner.say(problem, "error")

    def evaluation_done(self, result: EvaluationResult) -> None:
        """An evaluation has left its records."""
        if result.answer is not None:
            self.run_worker(self._read, thread=True, group="own", exclusive=True)

    @property
    def own_detail(self) -> Detail:
        """The page of an own row."""
        return self.query_one("#own", Detail)

    def leave(self) -> bool:
        """Out of the page of an own evaluation first."""
        return self._close_own() or super().leave()

    def _close_own(self) -> bool:
        if not self.has_class("-own"):
            return False
        self.remove_class("-own")
        self.table.focus()
        return True

    def action_remove(self) -> None:
        """Forget an own evaluation, after a question."""
        row = self.own_row
        if row is None:
            self.owner.say("Only own evaluations can be removed: move to a row with " + MARK)
            return
        from bioretrieval_tui.tui.panes.dialogs import Question

        record = row.record

        def answered(yes: bool | None) -> None:
            if yes:
                self._remove(record)

        then = f"{record.id}; its index stays." + (
            f" The one before it, of {row.earlier[0].date[:10]}, is shown then."
            if row.earlier
            else ""
        )
        question = Question(f"Remove this evaluation of {row.name}?", then, "Remove", "Keep")
        self.app.push_screen(question, answered)

    def _remove(self, record: EvaluationRecord) -> None:
        from bioretrieval_tui.evaluation.records import remove

        try:
            remove(record.id)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
        else:
            self.owner.say(f"Removed {record.id}")
        self._close_own()
        self.run_worker(self._read, thread=True, group="own", exclusive=True)

    def action_explore_own(self) -> None:
        """The queries and judgements behind an own evaluation; elsewhere, ask for a benchmark."""
        row = self.own_row
        if row is None:
            self.owner.action_explore()
        else:
            self.owner.explore_record(row.record)


def _id(row: MatrixRow | OwnRow) -> str:
    return row.record.id if isinstance(row, OwnRow) else row.model
