"""Indexes: the list to search in, and the jobs that change it, which run whatever is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.backend.jobs import JobOutcome, JobQueue
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
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable
from bioretrieval_tui.tui.work_lines import job_lines, outcome_lines
from bioretrieval_tui.util.formatting import size

COLUMNS = (
    Column("name", "Index", 12, 2, priority=0),
    Column("documents", "Docs", 9, align="right", priority=1),
    Column("size", "Size", 7, align="right", priority=3),
    Column("health", "Health", 11, 2, priority=0),
    Column("model", "Model", 12, 2, priority=4),
    Column("device", "Device", 6, priority=6),
    Column("built", "Built", 10, priority=5),
)
EMPTY = (
    "No index of your own yet.\n\n"
    "b builds one here: choose files, name it.\n"
    "w fetches papers into one: PubMed, Europe PMC, arXiv.\n"
    "In a shell:\n"
    "bioretrieval-tui index build NAME FILE..."
)


class IndexRows:
    """Indexes for a table; `active` is the one that Search searches."""

    def __init__(self, rows: Sequence[IndexRow], active: str, session: IndexesSession) -> None:
        self.rows = rows
        self.active = active
        self.session = session

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> list[Span]:
        """One span a column."""
        row = self.rows[index]
        mark = "●" if row.name == self.active else " "
        name, health, info = (
            Span(f"{mark} {row.name}", "strong"),
            self.session.health(row),
            row.info,
        )
        if info is None:
            return [name, Span(""), Span(""), Span(*health), Span(""), Span(""), Span("")]
        return [
            name,
            Span("" if info.documents is None else f"{info.documents:,}", "text"),
            Span(size(info.bytes), "dim"),
            Span(*health),
            Span(short_model(info.model), "model"),
            Span(info.device or "", "dim"),
            Span((info.built or "")[:10], "dim"),
        ]


class IndexesPane(Pane):
    """The list of indexes, the job that runs above it, the page of one beside it."""

    BINDINGS = bindings("indexes")
    SCOPES: ClassVar[tuple[str, ...]] = ("indexes", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.rows: list[IndexRow] = []
        self.folder = first_folder()
        """Where choosing files begins: where it ended last."""

    def compose(self) -> ComposeResult:
        """Head, work, list and page."""
        yield HeadLine()
        yield WorkBar()
        with Horizontal():
            yield VirtualTable(COLUMNS, empty="Reading the indexes")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Say that the list is being read; `activate` reads it."""
        self.session = IndexesSession(self.owner)
        self.head()
        self.jobs_changed()

    def activate(self) -> None:
        """Shown: the list may have changed in a shell meanwhile."""
        super().activate()
        self.refresh_list()

    @property
    def jobs(self) -> JobQueue:
        """The queue of jobs."""
        return self.owner.jobs

    # The list ----------------------------------------------------------------------------

    def on_resize(self) -> None:
        """The job is shown in fewer words where there is less room."""
        self.jobs_changed()

    def refresh_list(self) -> None:
        """Read the indexes again."""
        self.in_background("indexes", self._read)

    async def _read(self) -> None:
        await self.session.load()
        self.table.empty = self.session.problem or EMPTY
        self._fill()

    def _fill(self, keep: str | None = None) -> None:
        """Fill the list; the cursor stays on its index."""
        keep = keep or self.place()
        self.rows = self.session.rows()
        at = next((i for i, row in enumerate(self.rows) if row.name == keep), self.table.cursor)
        self.table.show(IndexRows(self.rows, self.owner.index, self.session), at)
        self.head()
        self.show_page()

    def head(self) -> None:
        """How many, how large, or what is wrong."""
        infos, problem = self.session.infos, self.session.problem
        spans = [Span("Indexes", "strong"), Span(f"  {len(infos)}", "dim")]
        if infos:
            spans.append(Span(f"  {size(sum(info.bytes for info in infos))}", "dim"))
        if problem:
            spans = [Span("Indexes", "strong"), Span(f"   {problem}", "error")]
        elif self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        elif infos and all(info.name == CATALOGUE for info in infos):
            spans.append(Span("   b builds one over your own texts, w fetches some", "faint"))
        self.query_one(HeadLine).show(*spans)

    @property
    def row(self) -> IndexRow | None:
        """The row under the cursor."""
        at = self.table.cursor
        return self.rows[at] if 0 <= at < len(self.rows) else None

    def make_page(self) -> PaintedPage:
        """All of the index under the cursor, and what came of the last job on it."""
        row = self.row
        if row is None:
            return PaintedPage(())
        from bioretrieval_tui.render.indexes import index_page

        info = row.info
        facts = (
            paint(index_page(info, model_entry(info, self.catalogue)))
            if info is not None
            else PaintedPage((line(Span(row.name, "strong")),))
        )
        byline = [Span(*self.session.health(row))]
        if row.name == self.owner.index:
            byline.append(Span("  ● searched in Search", "ok"))
        above: list[Line] = [line(*byline)]
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
        """The name of the index under the cursor."""
        return self.row.name if self.row else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on an index."""
        self._fill(place)

    def action_enter(self) -> None:
        """Into the page; on the page, search in its index."""
        if self.has_class("-reading"):
            self.run_worker(self.action_use())
        else:
            super().action_enter()

    # Jobs --------------------------------------------------------------------------------

    def jobs_changed(self) -> None:
        """A job began, went on or ended."""
        self.query_one(WorkBar).show(job_lines(self.jobs, self.app.size.width))
        if [row.name for row in self.session.rows()] != [row.name for row in self.rows]:
            self._fill()
        else:
            self.table.update()
            if self.row is not None and self.jobs.of(self.row.name):
                self.show_page()

    def job_ended(self, outcome: JobOutcome) -> None:  # noqa: ARG002 - the queue keeps it
        """Show what came of it."""
        self.refresh_list()

    def _begin(self, job: Job | None) -> None:
        if job is not None and self.owner.begin_job(job):
            self._fill(job.target)

    # Keys --------------------------------------------------------------------------------

    async def action_use(self) -> None:
        """Search in this index."""
        try:
            info = self.session.checked(self.row, "search in")
        except UsageError as error:
            self.owner.say(error.line())
            return
        if info.status != "ok":
            self.owner.say(f"{info.name} cannot be searched: {info.status}", "error")
            return
        await self.owner.search_in(info.name)

    def action_build(self) -> None:
        """Ask what to build; an unfinished one is suggested again."""
        from bioretrieval_tui.tui.dialogs.file_dialogs import BuildDialog

        info = self.row.info if self.row else None
        name = info.name if info and info.status.startswith(UNFINISHED) else ""
        models = model_choices(self.catalogue)
        dialog = BuildDialog(self.session.infos, models, self.folder, name)
        self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def action_add_files(self) -> None:
        """Ask which files to add."""
        from bioretrieval_tui.tui.dialogs.file_dialogs import AddDialog

        try:
            info = self.session.checked(self.row, "add to", "complete")
        except UsageError as error:
            self.owner.say(error.line())
            return
        dialog = AddDialog(info.name, self.folder)
        self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def _chosen_files(self, dialog: object, job: Job | None) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import PickerDialog

        if job is not None and isinstance(dialog, PickerDialog):
            self.folder = dialog.folder
        self._begin(job)

    def action_fetch(self) -> None:
        """Ask what to fetch into an index; into this one unless it is the app's own."""
        info = self.row.info if self.row else None
        own = info is not None and info.name != CATALOGUE
        self.owner.ask_what_to_fetch(index=info.name if info and own else "")

    def action_verify(self) -> None:
        """Check every part."""
        try:
            info = self.session.checked(self.row, "verify")
        except UsageError as error:
            self.owner.say(error.line())
            return
        if info.status.startswith(UNFINISHED):
            self.owner.say(f"{info.name} is unfinished: there is nothing to verify yet")
        else:
            self._begin(VerifyJob(info.name))

    def action_compact(self) -> None:
        """Rewrite it without deleted and replaced documents."""
        try:
            info = self.session.checked(self.row, "compact", "complete")
        except UsageError as error:
            self.owner.say(error.line())
            return
        self._begin(CompactJob(info.name))

    def action_remove(self) -> None:
        """Remove it, after a question."""
        try:
            info = self.session.checked(self.row, "remove", "own")
        except UsageError as error:
            self.owner.say(error.line())
            return
        what = f"{info.documents:,} documents, " if info.documents is not None else ""
        self.owner.confirm(
            f"Remove the index {info.name}?",
            f"{what}{size(info.bytes)}; the files that it was built from stay.",
            ("Remove", "Keep"),
            lambda: self._begin(RemoveJob(info.name)),
        )

    def action_stop(self) -> None:
        """Stop the job that runs, after a question; drop one that only waits, without."""
        jobs = self.jobs
        waiting = jobs.of(self.row.name) if self.row else None
        if waiting is not None and waiting is not jobs.current:
            jobs.drop(waiting)
            self.owner.say(f"Dropped from the queue: {waiting.title_within}")
            self._fill()
            return
        job = jobs.current
        if job is None:
            self.owner.say("No job is running")
            return

        def stop() -> None:
            if jobs.current is job:
                jobs.stop()

        self.owner.confirm(f"Stop {job.title_within}?", job.kept, ("Stop", "Keep running"), stop)

    def action_export(self) -> None:
        """Write the list to a file."""
        from bioretrieval_tui.render.indexes import index_sheet

        infos = list(self.session.infos)
        self.owner.export_sheet(lambda: index_sheet(infos), "indexes", len(infos))
