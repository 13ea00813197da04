"""Indexes: the list to search in, and the jobs that change it, which run in the background."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from bioretrieval_tui.backend.jobs import JobQueue, JobRecord
from bioretrieval_tui.backend.protocol import CompactJob, Job, RemoveJob, VerifyJob
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import first_folder
from bioretrieval_tui.tui.index_session import (
    UNFINISHED,
    IndexesSession,
    IndexRow,
    model_choices,
    model_entry,
    short_model,
)
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.tui.work_lines import job_lines, outcome_lines
from bioretrieval_tui.util.formatting import size

if TYPE_CHECKING:
    from bioretrieval_tui.index.registry import IndexInfo
    from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

COLUMNS = (
    TableColumn("name", "Index", 12, 2, priority=0),
    TableColumn("documents", "Docs", 9, align="right", priority=1),
    TableColumn("size", "Size", 7, align="right", priority=3),
    TableColumn("health", "Health", 11, 2, priority=0),
    TableColumn("model", "Model", 12, 2, priority=4),
    TableColumn("device", "Device", 6, priority=6),
    TableColumn("built", "Built", 10, priority=5),
)
EMPTY = (
    "No index of your own yet.\n\n"
    "b builds one here: choose files, name it.\n"
    "w fetches papers into one: PubMed, Europe PMC, arXiv.\n"
    "In a shell:\n"
    "bioretrieval-tui index build NAME FILE..."
)


class IndexesPane(Pane):
    """The list of indexes, the job that runs above it, the page of one beside it."""

    BINDINGS = bindings("indexes")
    SCOPES: ClassVar[tuple[str, ...]] = ("indexes", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)
    COLUMNS: ClassVar[tuple[TableColumn, ...]] = COLUMNS
    EMPTY: ClassVar[str] = "Reading the indexes"
    SHOWS_WORK: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.rows: list[IndexRow] = []
        self.folder = first_folder()
        """The folder of the file dialogs: the last one that was used."""

    def on_mount(self) -> None:
        self.session = IndexesSession(self.owner)
        self.head()
        self.jobs_changed()

    def activate(self) -> None:
        """Read the list again: a shell may have changed it."""
        super().activate()
        self.refresh_list()

    @property
    def jobs(self) -> JobQueue:
        """The queue of jobs."""
        return self.owner.jobs

    # The list ----------------------------------------------------------------------------

    def on_resize(self) -> None:
        self.jobs_changed()

    def refresh_list(self) -> None:
        """Read the indexes again."""
        self.in_background("indexes", self._read)

    async def _read(self) -> None:
        await self.session.load()
        self.table.empty = self.session.problem or EMPTY
        self._fill()

    def _fill(self, keep: str | None = None) -> None:
        keep = keep or self.place()
        self.rows = self.session.rows()
        at = next((i for i, row in enumerate(self.rows) if row.name == keep), self.table.cursor)
        self.table.show(ListRows(self.rows, self._cells), at)
        self.head()
        self.show_page()

    def _cells(self, row: IndexRow) -> list[Span]:
        mark = "●" if row.name == self.owner.index else " "
        name, health = Span(f"{mark} {row.name}", "strong"), Span(*self.session.health(row))
        info = row.info
        if info is None:
            return [name, Span(""), Span(""), health]
        return [
            name,
            Span("" if info.documents is None else f"{info.documents:,}", "text"),
            Span(size(info.bytes), "dim"),
            health,
            Span(short_model(info.model), "model"),
            Span(info.device or "", "dim"),
            Span((info.built or "")[:10], "dim"),
        ]

    def head(self) -> None:
        infos, problem = self.session.infos, self.session.problem
        spans = [Span("Indexes", "strong"), Span(f"  {len(infos)}", "dim")]
        if infos:
            spans.append(Span(f"  {size(sum(info.bytes for info in infos))}", "dim"))
        if problem:
            spans = [Span("Indexes", "strong"), Span(f"   {problem}", "error")]
        elif self.letters:
            spans += self.letter_hint
        elif infos and all(info.name == CATALOGUE for info in infos):
            spans.append(Span("   b builds one over your own texts, w fetches papers", "faint"))
        self.query_one(HeadLine).show(*spans)

    @property
    def row(self) -> IndexRow | None:
        return self.at_cursor(self.rows)

    def make_page(self) -> PaintedPage:
        """The index under the cursor, and the outcome of the last job on it."""
        row = self.row
        if row is None:
            return PaintedPage(())
        from bioretrieval_tui.render.indexes import index_page

        info = row.info
        facts = PaintedPage((line(Span(row.name, "strong")),))
        if info is not None:
            facts = paint(index_page(info, model_entry(info, self.catalogue)))
        searched = "  ● searched in Search" if row.name == self.owner.index else ""
        above = [line(Span(*self.session.health(row)), Span(searched, "ok"))]
        outcome = self.jobs.outcomes.get(row.name)
        if outcome is not None:
            above += [line(), *outcome_lines(outcome)]
        return replace(
            facts,
            lines=(facts.lines[0], *above, *facts.lines[1:]),
            lead=3,
            links_at=facts.links_at + len(above),
            jumps_at=facts.jumps_at + len(above),
        )

    def place(self) -> str | None:
        return self.row.name if self.row else None

    def go_to(self, place: str | None) -> None:
        self._fill(place)

    def action_enter(self) -> None:
        """Open the page; on the page, search in its index."""
        if self.has_class("-reading"):
            self.run_worker(self.action_use())
        else:
            super().action_enter()

    # Jobs --------------------------------------------------------------------------------

    def jobs_changed(self) -> None:
        """Show the jobs, and the rows of indexes that they make."""
        self.query_one(WorkBar).show(job_lines(self.jobs, self.app.size.width))
        if [row.name for row in self.session.rows()] != [row.name for row in self.rows]:
            self._fill()
        else:
            self.table.update()
            if self.row is not None and self.jobs.of(self.row.name):
                self.show_page()

    def job_ended(self, outcome: JobRecord) -> None:  # noqa: ARG002 - the queue keeps it
        self.refresh_list()

    def _begin(self, job: Job | None) -> None:
        if job is not None and self.owner.begin_job(job):
            self._fill(job.target)

    # Keys --------------------------------------------------------------------------------

    def _checked(
        self, verb: str, needs: Literal["any", "complete", "own"] = "any"
    ) -> IndexInfo | None:
        """The index under the cursor; None, with a message, if `verb` cannot be done with it."""
        try:
            return self.session.checked(self.row, verb, needs)
        except UsageError as error:
            self.owner.say(error.line())
            return None

    async def action_use(self) -> None:
        info = self._checked("search in")
        if info is not None and info.status != "ok":
            self.owner.say(f"{info.name} cannot be searched: {info.status}", "error")
        elif info is not None:
            await self.owner.search_in(info.name)

    def action_build(self) -> None:
        """Ask what to build; an unfinished index is suggested."""
        from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

        info = self.row.info if self.row else None
        name = info.name if info and info.status.startswith(UNFINISHED) else ""
        infos, models = self.session.infos, model_choices(self.catalogue)
        dialog = FilesDialog(self.folder, infos=infos, models=models, name=name)
        self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def action_add_files(self) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

        info = self._checked("add to", "complete")
        if info is not None:
            dialog = FilesDialog(self.folder, adding=info.name)
            self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def _chosen_files(self, dialog: FilesDialog, job: Job | None) -> None:
        if job is not None:
            self.folder = dialog.picker.folder
        self._begin(job)

    def action_fetch(self) -> None:
        """Ask what to fetch; into this index, unless it is the catalogue's."""
        info = self.row.info if self.row else None
        own = info is not None and info.name != CATALOGUE
        self.owner.ask_what_to_fetch(index=info.name if info and own else "")

    def action_verify(self) -> None:
        info = self._checked("verify")
        if info is not None and info.status.startswith(UNFINISHED):
            self.owner.say(f"{info.name} is unfinished: there is nothing to verify yet")
        elif info is not None:
            self._begin(VerifyJob(info.name))

    def action_compact(self) -> None:
        info = self._checked("compact", "complete")
        if info is not None:
            self._begin(CompactJob(info.name))

    def action_remove(self) -> None:
        info = self._checked("remove", "own")
        if info is None:
            return
        what = f"{info.documents:,} documents, " if info.documents is not None else ""
        self.owner.confirm(
            f"Remove the index {info.name}?",
            f"{what}{size(info.bytes)}; its source files stay.",
            ("Remove", "Keep"),
            lambda: self._begin(RemoveJob(info.name)),
        )

    def action_stop(self) -> None:
        """Stop the job that runs, after a question; drop one that waits, without."""
        jobs = self.jobs
        waiting = jobs.of(self.row.name) if self.row else None
        if waiting is not None and waiting is not jobs.current:
            jobs.drop(waiting)
            self.owner.say(f"Dropped from the queue: {waiting.title_within}")
            self._fill()
            return
        if jobs.current is None:
            self.owner.say("No job is running")
        else:
            self.owner.confirm_stop(jobs.current)

    def action_export(self) -> None:
        from bioretrieval_tui.render.indexes import index_sheet

        infos = list(self.session.infos)
        self.owner.export_sheet(lambda: index_sheet(infos), "indexes", len(infos))
