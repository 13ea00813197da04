"""The leaderboard: training recipes, models by benchmarks as numbers or heat map, your runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, get_args

import msgspec
from msgspec import structs
from textual.app import ComposeResult

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.catalog.matrix import MEANINGS, MatrixView
from bioretrieval_tui.catalog.models import AnyEntry, Model, Recipe
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.render.entries import result_remarks, result_sheet
from bioretrieval_tui.render.evaluations import run_page
from bioretrieval_tui.render.rankings import (
    LEGEND,
    MARK,
    SCORE,
    hidden_words,
    matrix_sheet,
    missing_words,
    ranked_by,
    score_figure,
)
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.board_session import (
    BoardScores,
    BoardSession,
    Mode,
    OwnRow,
    own_rows,
    row_id,
)
from bioretrieval_tui.tui.last_session import PaneState
from bioretrieval_tui.tui.panes.browse import EntryPane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span, line, unbroken
from bioretrieval_tui.tui.widgets.table import GAP, ColumnChoice, VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.actions import Action
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.render.catalogue_figures import FigureWish
    from bioretrieval_tui.render.comparison import Compared
    from bioretrieval_tui.render.evaluations import OwnRun
    from bioretrieval_tui.render.row_records import Chosen
    from bioretrieval_tui.tui.dialogs.plot_dialog import PlotDialog
    from bioretrieval_tui.tui.entry_session import EntrySession


class LeaderboardPane(EntryPane):
    """Recipes first; `v` shows the matrix, `m` its heat map, with your runs among the results."""

    BINDINGS = bindings("leaderboard", "evaluating", "browse", "noting", "marking")
    SCOPES = ("leaderboard", "evaluating", "list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)
    WIDE = 170
    """The numbers of a recipe need the width."""
    EXPLAINS = (*MEANINGS.items(), ("signs behind a score", LEGEND))
    DEFAULT_CSS = """
    LeaderboardPane #matrix { display: none; }
    LeaderboardPane.-matrix #matrix { display: block; }
    LeaderboardPane.-matrix Horizontal { display: none; }
    LeaderboardPane.-matrix.-reading #matrix { display: none; }
    LeaderboardPane.-matrix.-reading Horizontal { display: block; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "recipes")
        self.matrix_table = VirtualTable(
            (), "matrix", squeeze=False, empty="No model that matches has a score here."
        )
        self.board = BoardSession(self.catalogue, self.owner.sign)
        self.entry_list: EntrySession = self.board.entries
        self._plot_before: tuple[FigureWish, str] | None = None
        """The plot that the page was opened from, and the id under its cursor."""
        self._run_wanted: str | None = None
        """The run that the cursor goes to once the runs are read."""

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self.matrix_table

    @property
    def in_matrix(self) -> bool:
        return self.board.in_matrix

    @property
    def list_width(self) -> int:
        return 0 if self.in_matrix else super().list_width

    def fit(self) -> None:
        """Arrange the parts, and the columns of the matrix, for the width of the app."""
        super().fit()
        if self.table.size.width:
            self.refill()

    @property
    def table(self) -> VirtualTable:
        recipes = self.query_one("Horizontal > VirtualTable", VirtualTable)
        return self.matrix_table if self.in_matrix else recipes

    def go_to(self, place: str | None) -> None:
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_matrix:
            self.action_view()
        super().go_to(place)

    @property
    def own_row(self) -> OwnRow | None:
        row = self.table.at_cursor(self.board.rows)
        return row if isinstance(row, OwnRow) else None

    @property
    def current(self) -> AnyEntry | None:
        return self.board.entry_of(self.table.at_cursor(self.board.rows))

    @property
    def kind(self) -> str:
        return "model" if self.in_matrix else "recipe"

    @property
    def markable(self) -> Compared | None:
        return self.own_row.run if self.own_row else self.current

    def shelf_changed(self) -> None:
        self.board.forget()
        super().shelf_changed()

    def ids(self) -> Sequence[str]:
        return [row_id(row) for row in self.board.rows]

    def chosen_rows(self) -> Sequence[Chosen]:
        own = None if self.owner.marks.count(self.kind) else self.own_row
        return super().chosen_rows() if own is None else [own.run.record.id]

    def state(self) -> PaneState:
        view = msgspec.json.encode(self.board.view).decode()
        return {**super().state(), "mode": self.board.mode, "view": view}

    def restore(self, state: PaneState) -> None:
        with contextlib.suppress(msgspec.DecodeError, KeyError):
            self.board.view = msgspec.json.decode(state["view"], type=MatrixView)
        for mode in get_args(Mode):
            if mode == state.get("mode") != self.board.mode:
                self._show(mode)
        self.entry_list.filter_by(state.get("filter", ""))
        self.entry_list.problem = None
        self.refill(state.get("place"))

    # The board ---------------------------------------------------------------------------

    def activate(self) -> None:
        super().activate()
        self.after_paint("board", self._widen)

    async def _widen(self) -> None:
        """Show the scores of the public board, once they are read."""
        await self.owner.widen()
        if self.board.catalogue is not self.catalogue:
            make = partial(BoardScores.of, self.catalogue, ready=True)
            scores, place = await asyncio.to_thread(make), self.place()
            above = self.table.cursor - self.table.top
            self.board.use(scores)
            if not self.app.is_headless:
                # What is read once holds no garbage; looking for it takes longer than a key may.
                gc.freeze()
            self.refill(place)
            self.table.top = max(0, self.table.cursor - above)

    def refill(self, keep: str | None = None) -> None:
        keep = keep or self.place()
        self.board.fill()
        self.entry_list = self.board.entries
        table = self.table
        chosen = table.columns[table.column].key if table.columns else "model"
        table.columns = self.board.columns(self.app.size.width)
        table.gap = GAP if self.board.mode == "matrix" else 1
        keys = [column.key for column in table.columns]
        table.column = keys.index(chosen) if chosen in keys else keys.index("model")
        table.sorted_by = self.board.sorted_by
        cursor = next((i for i, row in enumerate(self.board.rows) if row_id(row) == keep), 0)
        table.show(self.board.list_rows(), cursor)
        self.head()
        if not self._page_hidden:
            self.show_page()

    def action_view(self) -> None:
        self._show("recipes" if self.in_matrix else "matrix")

    def action_heat(self) -> None:
        self._show("matrix" if self.board.mode == "heat" else "heat")

    def _show(self, mode: Mode) -> None:
        self.close_filter()
        place = self.place() if self.in_matrix and mode != "recipes" else None
        self.board.mode = mode
        self.set_class(self.in_matrix, "-matrix")
        self.remove_class("-reading")
        self.fit()
        self.refill(place)
        self.table.focus()

    def _for_matrix(self, what: str) -> None:
        if not self.in_matrix:
            raise UsageError(f"{what} is for models by benchmarks: press {key_of('view')}")

    def action_sort(self) -> None:
        """Sort by the chosen column, best first; again: the other way. Nothing is hidden."""
        column = self.table.columns[self.table.column]
        self.board.sort_by(column.key)
        self.refill()
        title = "rank" if column.title == "#" else column.title
        self.owner.say(f"Sorted by {title}, {self.board.direction}")

    def action_rank(self) -> None:
        self._for_matrix("The ranking")
        ranking = self.board.next_ranking()
        self.refill()
        self.owner.say(f"Ranked by {SCORE[ranking]} (? explains it)")

    def action_complete(self) -> None:
        self._for_matrix("Complete rows")
        self._toggle("complete", "Only models with a score in each column that ranks", "All models")

    def action_zero_shot(self) -> None:
        self._for_matrix("The zero-shot filter")
        self._toggle("zero_shot", "Only scores known to be zero-shot", "All scores")

    def action_measured(self) -> None:
        self._for_matrix("The filter of self-reported scores")
        self._toggle("measured", "Self-reported scores are hidden", "All scores")

    def _toggle(self, name: str, on: str, off: str) -> None:
        chosen = not getattr(self.board.view, name)
        self.board.view = structs.replace(self.board.view, **{name: chosen})
        self.refill()
        self.owner.say(on if chosen else off)

    def action_columns(self) -> None:
        from bioretrieval_tui.tui.dialogs.column_dialog import ColumnDialog

        self._for_matrix("The choice of columns")
        table, view = self.board.table, self.board.view
        runs = Counter(row.run.axis for row in self.board.own)
        # The parts of a benchmark stand behind it.
        first = {axis.benchmark: at for at, axis in reversed([*enumerate(table.axes)])}
        choices = [
            ColumnChoice(table.key(axis), table.title(axis), table.counts[axis] or runs[axis])
            for axis in sorted(table.axes, key=lambda axis: first[axis.benchmark])
        ]
        ranks = ", ".join(map(table.title, table.matrix(MatrixView(), ()).basis))

        def chosen(columns: Sequence[str] | None) -> None:
            if columns is not None:
                self.owner.undo.add("columns chosen", partial(self._view, self.board.view))
                self.board.choose(columns)
                self.refill()

        dialog = ColumnDialog(
            choices,
            view.columns,
            f"all are shown; {ranks} rank",
            ("Benchmark", "Models"),
            "they are shown and rank",
        )
        self.app.push_screen(dialog, chosen)

    def _view(self, view: MatrixView) -> None:
        self.board.view = view
        self.refill()

    def action_plot(self) -> None:
        """Plot the models that are shown over the columns that rank."""
        from bioretrieval_tui.render.catalogue_figures import FigureWish

        board, entry = self.board, self.current
        models = {row.model for row in board.matrix.rows} if self.entry_list.filter else None
        model = entry.model if isinstance(entry, Recipe) else entry.id if entry else None
        self._plot(
            FigureWish(
                view=board.view if self.in_matrix else MatrixView(),
                model=model,
                models=models if self.in_matrix else None,
            )
        )

    def _plot(self, wish: FigureWish, keep: str = "") -> None:
        from bioretrieval_tui.render.catalogue_figures import make_figure
        from bioretrieval_tui.tui.dialogs.plot_dialog import PlotDialog

        board = self.board
        records = [one for row in board.own for one in (row.run.record, *row.run.earlier)]
        dialog = PlotDialog(lambda asked: make_figure(board.table, asked, records), wish, keep)
        self.app.push_screen(dialog, partial(self._plotted, dialog))

    def _plotted(self, dialog: PlotDialog, chosen: str | None) -> None:
        """Go to what was chosen on a plot: a model or a run on the board, or a benchmark."""
        if chosen is None:
            return
        if not self.in_matrix:
            self._show("matrix")
        if chosen in self.ids():
            self.refill(chosen)
            self.action_enter()
            self._plot_before = dialog.wish, chosen
            self.head()
        else:
            self.owner.jump(chosen)

    def action_column(self, by: int) -> None:
        super().action_column(by)
        self.head()

    @property
    def _page_hidden(self) -> bool:
        return not self.wide and not self.has_class("-reading")

    def show_page(self, *, lead: bool = False) -> None:
        if not (lead and self._page_hidden):
            super().show_page(lead=lead)
        if self.in_matrix:
            self.head()

    # What is shown -----------------------------------------------------------------------

    def make_page(self) -> PaintedPage:
        if self.own_row is None:
            return super().make_page()
        page = paint(run_page(self.own_row.run))
        hint = line(
            Span(
                keyed(
                    "{explore-own} explores its queries, {remove-own} deletes it;"
                    " {mark-row} marks it, {compare} compares two"
                ),
                "faint",
            )
        )
        return page.with_lines(len(page.lines), [line(), hint])

    def list_head(self) -> list[Span]:
        session = self.entry_list
        if session.problem or self.letters:
            return super().list_head()
        if self.has_class("-reading") and not self.wide:
            before = "plot" if self._plot_before else "list"
            return [Span(f"{key_of('clear')}: back to the {before}", "faint")]
        return self._matrix_head() if self.in_matrix else self._recipes_head()

    def _recipes_head(self) -> list[Span]:
        count = len(self.board.rows)
        words = "  by the mean of NFCorpus, SciFact, SCIDOCS and TREC-COVID"
        found = [Span("Recipes", "strong"), Span(f"  {count}", "dim"), *self._runs_head()]
        if self.entry_list.filter:
            return [*found, Span("  filter ", "faint"), Span(self.entry_list.filter, "ok")]
        signs = [one for one in LEGEND.split("  ") if one[0] in self.board.recipe_signs]
        return [*found, *(Span(f"  {unbroken(one)}", "dim") for one in signs), Span(words, "dim")]

    def _runs_head(self) -> list[Span]:
        """How many runs of the user there are, and what the key that leads to them does now."""
        board, key = self.board, key_of("own")
        if not board.own:
            return []
        if not board.with_own:
            return [
                Span(f"  {unbroken(f'{MARK} your runs: {len(board.own)} hidden ({key})')}", "faint")
            ]
        shown = len(board.shown_own) if self.in_matrix else len(board.own)
        does = f"{key} hides them" if board.own_first else f"{key}: on top"
        return [Span(f"  {unbroken(f'{MARK} your runs: {shown} ({does})')}", "own")]

    def _matrix_head(self) -> list[Span]:
        board, own = self.board, self.own_row
        matrix, view = board.matrix, board.view
        ranked = sum(row.rank is not None for row in matrix.rows)
        counts = f"{ranked} of {len(matrix.rows)}" if ranked < len(matrix.rows) else str(ranked)
        title = [Span("Board", "strong")]
        counted = [Span(f"  {counts} ranked", "dim")]
        if self.owner.board_problem:
            counted.append(Span("  without the public board", "error"))
        counted += self._runs_head()
        spans = list[Span]()
        key = self.table.columns[self.table.column].key
        row = self.table.at_cursor(board.rows)
        column = self.table.columns[self.table.column].title
        if result := board.result_at(row, key):
            at, count = board.place_of(result)
            source = self.catalogue.sources.get(result.source)
            text = source.text.split(":")[0] if source else result.source
            remarks = result_remarks(result)
            spans += [
                Span(f"  {column} ", "dim"),
                Span(score_figure(result), "strong"),
                Span(f" #{at} of {count}", "dim"),
                Span(f"  {remarks}" if remarks else "", "warn"),
                Span(f"  from {text}", "faint"),
            ]
        elif own:
            spans += [
                Span(f"  {own.run.record.benchmark}", "own"),
                Span(f"  {own.run.record.metrics.get(MAIN, 0.0):.4f}", "strong"),
                Span(f"  {own.run.how}, measured here; {key_of('enter')}: its page", "dim"),
            ]
        elif self.table.columns[self.table.column].upright:
            spans += [Span(f"  {column}", "dim"), Span(" no score", "faint")]
        else:
            if self.entry_list.filter:
                spans += [Span("  filter ", "faint"), Span(self.entry_list.filter, "ok")]
            spans.append(Span(f"  {ranked_by(matrix, board.table)}", "dim"))
            if view.ranking == "borda":
                spans.append(Span(f"  {missing_words(matrix)}", "dim"))
        if board.mode == "heat":
            # Its cells show no number: that of the one under the cursor comes first.
            tenths = unbroken("1 best tenth .. 9, 0 last tenth, · no score")
            at_cursor = bool(result or own or self.table.columns[self.table.column].upright)
            legend = Span(f"  {tenths}", "dim")
            spans = (
                [*title, *spans, legend, *counted]
                if at_cursor
                else [*title, legend, *counted, *spans]
            )
        else:
            spans = [*title, *counted, *spans]
        for shown, words in (
            (view.zero_shot, "zero-shot only"),
            (view.complete, "complete only"),
            (view.measured, "no self-reported scores"),
        ):
            spans.append(Span(f"  {words}" if shown else "", "warn"))
        hidden = unbroken(hidden_words(matrix), ", ")
        spans.append(Span(f"  {hidden}" if hidden else "", "dim"))
        off = "  ! differs by more than 0.01" if board.shown_own else ""
        marks = "" if board.mode == "heat" else f"   {unbroken(LEGEND + off)}"
        return [*spans, Span(marks, "dim")]

    def action_enter(self) -> None:
        if not self.has_class("-reading"):
            self._plot_before = None
        super().action_enter()
        self.head()

    def action_clear(self) -> None:
        """As in every list; a page that was opened from a plot gives way to the plot."""
        reading = self.has_class("-reading")
        super().action_clear()
        if reading and self._plot_before and not self.has_class("-reading"):
            self._plot(*self._plot_before)

    def leave(self) -> bool:
        left = super().leave()
        self.head()
        return left

    def action_export(self) -> None:
        if not self.in_matrix:
            super().action_export()
            return
        board = self.board
        make = partial(matrix_sheet, board.matrix, board.table, own=board.shown_own)
        self.owner.desktop.export(make, "board", len(board.rows), cites=False)

    def action_export_long(self) -> None:
        self._for_matrix("The export of single scores")
        matrix = self.board.matrix
        shown = [row.figures[axis] for row in matrix.rows for axis in matrix.axes
                 if axis in row.figures]  # fmt: skip
        make = partial(result_sheet, shown, self.catalogue.names)
        self.owner.desktop.export(make, "results", len(shown), cites=False)

    # Runs of the user --------------------------------------------------------------------

    def show_run(self, record: str) -> None:
        """Go to a run, which is being read."""
        self._run_wanted, self.board.with_own = record, True
        if not self.in_matrix:
            self._show("matrix")

    def runs_read(self, *, changed: bool) -> None:
        if changed:
            self.board.put_own(own_rows(self.runs))
        if self._run_wanted:
            self._go_to_run(self._run_wanted)
            self._run_wanted = None
        elif self.in_matrix and changed:
            self.refill()

    def _go_to_run(self, record: str) -> None:
        """Show a run among the results of its benchmark: that column sorts and is on screen."""
        for run in (row.run for row in self.board.own):
            if record not in (run.record.id, *(one.id for one in run.earlier)):
                continue
            board, key = self.board, self.board.table.key(run.axis)
            columns = tuple(dict.fromkeys((*board.view.columns, key))) if board.view.columns else ()
            board.view = structs.replace(
                board.view, columns=columns, sort=key, reverse=False, zero_shot=False
            )
            self.put_filter("", run.record.id)
            # With what is better and worse around it.
            self.table.top = max(0, self.table.cursor - self.table.page // 2)
            self._reveal(run)

    def _reveal(self, run: OwnRun) -> None:
        """Have the score of a run on screen."""
        keys = [column.key for column in self.table.columns]
        if (key := self.board.table.key(run.axis)) in keys:
            self.table.move_column(keys.index(key) - self.table.column)
        self.head()

    def action_remove(self) -> None:
        row = self.own_row
        if row is None:
            raise UsageError(f"Only your runs can be deleted: move to a row with {MARK}")
        then = f"{row.run.record.id}; its index stays."
        if row.run.earlier:
            then += f" The run of {row.run.earlier[0].date[:10]} is shown instead."
        question, labels = f"Delete this run of {row.run.name}?", ("Delete", "Cancel")
        self.owner.confirm(question, then, labels, partial(self._delete, row.run.record))

    def _delete(self, record: EvaluationRecord) -> None:
        from bioretrieval_tui.evaluation.records import remove

        self.leave()
        self.look_for_runs()
        remove(record.id)
        self.owner.undo.add(f"{record.id} deleted", partial(self._save, record))
        self.owner.say(f"Deleted {record.id}; {key_of('undo')} brings it back")

    def _save(self, record: EvaluationRecord) -> None:
        from bioretrieval_tui.evaluation.records import save

        save(record)
        self.look_for_runs()

    def filter_back(self, text: str) -> Callable[[], object]:
        mode = self.board.mode

        def back() -> None:
            if self.board.mode != mode:
                self._show(mode)
            self.put_filter(text)

        return back

    def action_explore_own(self) -> None:
        from bioretrieval_tui.tui.qrels_session import job_of_record

        if self.own_row is None:
            self.owner.job_session.ask_what_to_explore()
            return
        try:
            job = job_of_record(self.own_row.run.record, self.catalogue)
        except BioRetrievalError as error:
            raise BioRetrievalError(f"{error.line()}: choose its folder with E") from error
        self.owner.job_session.explore(job)

    def action_evaluate(self) -> None:
        if self.own_row is None:
            super().action_evaluate()
            return
        from bioretrieval_tui.evaluation.records import folder_of

        run, record = self.own_row.run, self.own_row.run.record
        benchmark = record.catalogue or ""
        with contextlib.suppress(BioRetrievalError):
            benchmark = str(folder_of(record).resolve())
        model = "" if record.mode == "lexical" else run.model or record.run or record.model
        self.owner.job_session.ask_what_to_evaluate(benchmark=benchmark, model=model)

    async def action_own(self) -> None:
        """Show the runs before the models, newest first; where they are, hide them."""
        board = self.board
        if not board.own:
            await self.read_runs()  # the key may come before they are read
        if not board.own:
            raise UsageError(f"No runs yet: {key_of('evaluate')} evaluates")
        if board.own_first:
            board.with_own, board.view = False, structs.replace(board.view, sort="rank")
            self.refill()
            self.owner.say(f"Your runs are hidden; {key_of('own')} shows them")
            return
        if not self.in_matrix:
            self._show("matrix")
        board.with_own, board.view = True, structs.replace(board.view, sort="own", reverse=False)
        run = board.own[0].run
        self.refill(run.record.id)
        self._reveal(run)

    def begin(self) -> None:
        """Show the newest run if an evaluation has ended since the board was shown."""
        if self.owner.job_session.evaluated:
            self.owner.job_session.evaluated = False
            self.board.own = ()  # it is not among those that were read
            self.run_worker(self.action_own(), group="own")

    def footer_place(self, action: Action) -> int:
        return 0 if action.id == "own" and not self.board.own else super().footer_place(action)
