"""The sections of the catalogue: each a list of entries with the page of one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.backend.protocol import TrainJob
from bioretrieval_tui.catalog.catalogue import kind_of_section
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Model, Recipe
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_list import column_choices, entry_columns, entry_rows, entry_table
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.last_session import PaneState
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.actions import Action
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.render.evaluations import OwnRun
    from bioretrieval_tui.render.page import Page
    from bioretrieval_tui.training.own_models import Lineage, UnfinishedTraining


class EntryPane(Pane):
    """A list of entries of the catalogue, which can be filtered and sorted (`EntrySession`)."""

    def __init__(self, name: str, section: str) -> None:
        super().__init__(name)
        self.section = section
        self.entry_list = EntrySession(self.catalogue.section(section), self.catalogue)
        self.runs: Sequence[OwnRun] = ()
        """Of the user, in a pane whose entries can be evaluated."""

    def make_table(self) -> VirtualTable:
        return entry_table(self.section, self.split.columns, keyed(self.EMPTY))

    def on_mount(self) -> None:
        super().on_mount()
        self.refill()

    @property
    def kind(self) -> str:
        return kind_of_section(self.section)

    @property
    def sortable(self) -> VirtualTable | None:
        return self.table

    def go_to(self, place: str | None) -> None:
        """Put the cursor on an entry; a filter that hides it is removed."""
        if place is not None and place not in self.ids():
            self.lift_filter(place)
        elif place is not None:
            self.refill(place)

    def restore(self, state: PaneState) -> None:
        if not {"filter", "sort"} & state.keys():
            super().restore(state)
            return
        found = self.entry_list
        found.filter_by(state.get("filter", ""))
        found.problem = None
        if state.get("sort") in {column.key for column in self.table.columns}:
            found.sorted_by = self.table.sorted_by = state["sort"], "reverse" in state
        self.refill(state.get("place"))

    def shelf_changed(self) -> None:
        self.entry_list.forget()
        if self.entry_list.filter:
            self.refill()
        else:
            super().shelf_changed()

    def refill(self, keep: str | None = None) -> None:
        keep, found = keep or self.place(), self.entry_list
        found.fill()
        at = next((at for at, one in enumerate(found.shown) if one.id == keep), 0)
        rows = entry_rows(found.shown, self.table.columns, self.catalogue, self.mark)
        self.table.show(rows, at)
        self.head()
        self.show_page()

    def mark(self, entry: AnyEntry) -> str:
        return self.owner.sign(entry.id)

    # Runs of the user ----------------------------------------------------------------------

    def activate(self) -> None:
        super().activate()
        self.look_for_runs()

    def job_ended(self, outcome: JobRecord) -> None:
        if outcome.evaluation is not None:
            self.look_for_runs()

    def completed(self, page: Page, identifier: str) -> Page:
        if not self.runs:
            return page
        from bioretrieval_tui.render.evaluations import with_runs

        return with_runs(page, identifier, self.runs)

    def look_for_runs(self) -> None:
        if "evaluating" in self.SCOPES:
            self.after_paint("own", self.read_runs)

    async def read_runs(self) -> None:
        """Read one small file for each record, in a thread."""
        from bioretrieval_tui.evaluation.records import records
        from bioretrieval_tui.render.evaluations import own_runs

        problems: list[str] = []
        found = await asyncio.to_thread(records, problems.append)
        before, self.runs = self.runs, own_runs(found, self.catalogue)
        self.runs_read(changed=self.runs != before)
        if problems:
            self.owner.say(problems[0], "error")

    def runs_read(self, *, changed: bool) -> None:
        """Show the runs of the user, which were read again."""
        if changed:
            self.show_page()

    # Order, matches, export ----------------------------------------------------------------

    def action_sort(self) -> None:
        """Sort by the chosen column; again: descending; a third time: catalogue order."""
        table = self.table
        column = table.columns[table.column]
        way = self.entry_list.sort(column.key)
        table.sorted_by = self.entry_list.sorted_by
        self.refill()
        # The title over a tree is its axis.
        name = column.title if any(map(str.isalpha, column.title)) else column.key
        self.owner.say(f"Sorted by {name}, {way}" if way else "In catalogue order")

    def action_columns(self) -> None:
        """Choose the columns of the list."""
        from bioretrieval_tui.tui.dialogs.column_dialog import ColumnDialog

        choices = column_choices(self.section, self.entry_list.entries, self.catalogue)
        usual = tuple(column.key for column in entry_columns(self.section))
        titles = [choice.title for choice in choices if choice.key in usual]

        def chosen(columns: Sequence[str] | None) -> None:
            if columns is None:
                return
            self.split.columns = () if tuple(columns) == usual else tuple(columns)
            sorted_by = self.table.sorted_by
            self.table.set_columns(entry_columns(self.section, self.split.columns))
            self.table.sorted_by = sorted_by
            self._arranged()
            self.refill()

        dialog = ColumnDialog(
            choices,
            self.split.columns or usual,
            f"the usual ones are shown: {', '.join(titles)}",
            ("Field", "Entries"),
        )
        self.app.push_screen(dialog, chosen)

    def action_match(self, by: int) -> None:
        expression = self.entry_list.filter or self.entry_list.last_filter
        if not expression:
            raise UsageError(f"No filter yet: press {key_of('filter')} first")
        at, ids = self.table.cursor, self.ids()
        for _ in range(min(abs(by), len(ids))):
            found = self.entry_list.next_match(ids, at, 1 if by > 0 else -1)
            if found is None:
                raise UsageError(f"No row matches {expression}")
            at = found
        self.table.move_to(at)

    def action_copy_bibtex(self) -> None:
        from bioretrieval_tui.render.entries import entry_sheet
        from bioretrieval_tui.render.formats import render

        if self.current is None:
            return
        text = "".join(render(entry_sheet([self.current], self.catalogue), "bibtex"))
        if not text.strip():
            raise UsageError("There is nothing to cite here")
        self.owner.desktop.copy(text, "BibTeX")

    def action_export(self) -> None:
        from bioretrieval_tui.render.entries import entry_sheet

        shown = self.entry_list.shown
        make = partial(entry_sheet, shown, self.catalogue)
        self.owner.desktop.export(make, self.pane_name, len(shown))

    def action_evaluate(self) -> None:
        """Ask what to evaluate, with the entry under the cursor selected."""
        entry = self.current
        benchmark = entry.id if isinstance(entry, Benchmark) else ""
        model = entry.id if isinstance(entry, Model) else getattr(entry, "model", "")
        if isinstance(entry, Model) and entry.role == "lexical":
            model = ""  # BM25 runs without one
        self.owner.job_session.ask_what_to_evaluate(benchmark=benchmark, model=model)

    def action_train(self) -> None:
        """Ask what to train, with the entry under the cursor selected."""
        entry = self.current
        ask = self.owner.job_session.ask_what_to_train
        if isinstance(entry, Recipe):
            from bioretrieval_tui.training.training_request import check_runnable

            check_runnable(entry)
            ask(recipe=entry.id)
        elif isinstance(entry, Model):
            ask(base=entry.weights or "")  # without weights, from another base
        else:
            ask(on=entry.id if entry is not None else "")


class BrowsePane(EntryPane):
    """One section of the catalogue, by the name of the pane."""

    BINDINGS = bindings("browse", "noting", "marking")
    SCOPES = ("list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)
    SHARE = 40
    """Titles of papers are much to send where a list scrolls."""

    def __init__(self, name: str) -> None:
        super().__init__(name, name)


class BenchmarksPane(EntryPane):
    """The benchmarks, which can be run."""

    BINDINGS = bindings("evaluating", "browse", "noting", "marking")
    SCOPES = ("evaluating", "list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)

    def __init__(self, name: str) -> None:
        super().__init__(name, name)


class ModelsPane(EntryPane):
    """The models that were trained here, the curated ones, and with a key the listed ones of the
    public board behind them.

    Pages tell the scores of the board once it is read, and how far a training is.
    """

    SHOWS_WORK = "runs"
    BINDINGS = bindings("models", "evaluating", "browse", "noting", "marking")
    SCOPES = ("models", "evaluating", "list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)

    def __init__(self, name: str) -> None:
        super().__init__(name, "models")
        self.with_listed = False

    def activate(self) -> None:
        super().activate()
        self.after_paint("board", self._widen)

    async def _widen(self) -> None:
        await self.owner.widen()
        await self.owner.job_session.renew_models()
        if self.entry_list.catalogue is not self.catalogue:
            self._relist()

    # Models of the user --------------------------------------------------------------------

    @property
    def own(self) -> Lineage | UnfinishedTraining | None:
        """What is known of the user's model under the cursor."""
        return self.catalogue.own.get(self.place() or "")

    def job_ended(self, outcome: JobRecord) -> None:
        super().job_ended(outcome)
        self.in_background("board", self._widen)

    def jobs_changed(self) -> None:
        """Show how far the training is whose page is shown, and a new one in the list."""
        super().jobs_changed()
        job = self.owner.jobs.run
        if not isinstance(job, TrainJob):
            return
        if job.request.name not in self.catalogue.own:
            self.in_background("board", self._widen)
        elif self.place() == job.request.name:
            self.show_page()

    @property
    def begun(self) -> UnfinishedTraining | None:
        """The training under the cursor, which is not finished."""
        own = self.own
        if own is None:
            return None
        from bioretrieval_tui.training.own_models import UnfinishedTraining

        return own if isinstance(own, UnfinishedTraining) else None

    @property
    def ended(self) -> UnfinishedTraining | None:
        """The training under the cursor, if it was ended: no process is at it, and no job."""
        begun = self.begun
        if begun is None or begun.runs or self.owner.jobs.of(f"model {self.place()}"):
            return None
        return begun

    def footer_place(self, action: Action) -> int:
        needed = {"remove-model": self.own, "resume-training": self.ended,
                  "finish-training": self.ended}  # fmt: skip
        return super().footer_place(action) if needed.get(action.id, self) is not None else 0

    def show_page(self, *, lead: bool = False) -> None:
        super().show_page(lead=lead)
        if not lead and self.catalogue.own and self.owner.current == self.pane_name:
            self.owner.show_keys()

    def make_page(self) -> PaintedPage:
        """Of a training that was ended: how, and the keys that go on with it."""
        page = super().make_page()
        if self.ended is None:
            return page
        last = self.owner.jobs.last(f"model {self.place()}")
        said = [line(Span(last.message, last.role))] if last else []
        keys = (
            "{resume-training} resumes it, {finish-training} ends it with its best weights so far"
        )
        return page.with_lines(2, [*said, line(Span(keyed(keys), "dim"))])

    def _to_go_on(self) -> UnfinishedTraining:
        """The training under the cursor, which was ended. Raises UsageError."""
        if self.ended is not None:
            return self.ended
        if self.begun is None:
            raise UsageError("This is no training of yours that was ended")
        raise UsageError(f"It runs, or waits to run; {key_of('stop-evaluation')} stops it")

    def action_resume(self) -> None:
        self.owner.job_session.begin(TrainJob(self._to_go_on().request))

    def action_finish(self) -> None:
        self.owner.job_session.begin(TrainJob(self._to_go_on().request, finish=True))

    def action_remove(self) -> None:
        name = self.place()
        if self.own is None or name is None:
            raise UsageError("Only models of yours can be deleted")
        then = "Its weights and where it comes from are deleted; its scores stay on the board."

        def remove() -> None:
            self.in_background("board", self._remove, name)

        self.owner.confirm(f"Delete the model {name}?", then, ("Delete", "Keep"), remove)

    async def _remove(self, name: str) -> None:
        from bioretrieval_tui.training.own_models import remove_model

        await asyncio.to_thread(remove_model, name)
        await self._widen()
        self.owner.say(f"{name} was deleted")

    def _relist(self) -> None:
        """List the models again; filter, order and cursor stay."""
        before, place = self.entry_list, self.place()
        entries = self.catalogue.models if self.with_listed else self.catalogue.of_type(Model)
        self.entry_list = EntrySession(entries, self.catalogue)
        self.entry_list.filter_by(before.filter)
        self.entry_list.sorted_by = before.sorted_by
        self.refill(place)

    async def action_listed(self) -> None:
        await self.owner.widen()
        self.with_listed = not self.with_listed
        self._relist()
        if self.owner.board_problem:
            raise UsageError(self.owner.board_problem)
        count = len(self.catalogue.listed)
        shown = f"{count} listed models: their facts are declared to mteb, not checked"
        self.owner.say(shown if self.with_listed else "Curated models")

    def mark(self, entry: AnyEntry) -> str:
        listed = "\N{MIDDLE DOT} " if entry.status == "declared" else ""
        own = ""
        if entry.id in self.catalogue.own:
            from bioretrieval_tui.render.rankings import MARK

            own = f"{MARK} "
        return super().mark(entry) + listed + own

    def go_to(self, place: str | None) -> None:
        entry = self.catalogue.by_id.get(place or "")
        if entry is not None and entry.status == "declared" and not self.with_listed:
            self.with_listed = True
            self._relist()
        super().go_to(place)

    def list_head(self) -> list[Span]:
        spans = super().list_head()
        if self.with_listed and not self.entry_list.problem:
            spans.append(
                Span("  \N{MIDDLE DOT} listed: facts declared to mteb, not checked", "faint")
            )
        return spans
