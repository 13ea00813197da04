"""Indexes: what there is to search, and all work on it, which goes on while one browses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import first_folder
from bioretrieval_tui.tui.indexing import (
    COLUMNS,
    EMPTY,
    IndexRows,
    Listed,
    index_page,
    listed,
    model_choices,
    work_lines,
)
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.listing import ListPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable
from bioretrieval_tui.tui.widgets.workbar import WorkBar
from bioretrieval_tui.tui.words import size
from bioretrieval_tui.tui.works import Job, Outcome, Verb, kept

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet


class IndexesPane(ListPane):
    """The list of indexes, the work that runs above it, the page of one beside it."""

    BINDINGS = bindings("indexes")
    SCOPES: ClassVar[tuple[str, ...]] = ("indexes", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.infos: list[IndexInfo] = []
        self.rows: list[Listed] = []
        self.problem = ""
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
        self.head()
        self.works_changed()

    def activate(self) -> None:
        """Shown: the list may have changed in a shell meanwhile."""
        super().activate()
        self.refresh_list()

    # The list ----------------------------------------------------------------------------

    def on_resize(self) -> None:
        """The work is told in fewer words where there is less room."""
        self.works_changed()

    def refresh_list(self) -> None:
        """Read the indexes anew."""
        self.run_worker(self._read(), group="indexes", exclusive=True)

    async def _read(self) -> None:
        try:
            infos = await self.owner.client.list_indexes()
        except BioRetrievalError as error:
            self.problem = error.line()
        else:
            self.problem, self.infos = "", infos
        self.table.empty = self.problem or EMPTY
        self._fill()

    def _fill(self, keep: str | None = None) -> None:
        """Rows anew; the cursor stays on its index."""
        keep = keep or self.place()
        self.rows = listed(self.infos, self.owner.works)
        at = next((i for i, row in enumerate(self.rows) if row.name == keep), self.table.cursor)
        self.table.show(IndexRows(self.rows, self.owner.index, self.owner.works), at)
        self.head()
        self.show_page()

    def head(self) -> None:
        """How many, how large, or what is wrong."""
        own = [info for info in self.infos if info.name != CATALOGUE]
        spans = [Span("Indexes", "strong"), Span(f"  {len(self.infos)}", "dim")]
        if self.infos:
            spans.append(Span(f"  {size(sum(info.bytes for info in self.infos))}", "dim"))
        if self.problem:
            spans = [Span("Indexes", "strong"), Span(f"   {self.problem}", "error")]
        elif self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        elif self.infos and not own:
            spans.append(Span("   b builds one over your own texts, w fetches some", "faint"))
        self.query_one(HeadLine).show(*spans)

    @property
    def row(self) -> Listed | None:
        """The row under the cursor."""
        at = self.table.cursor
        return self.rows[at] if 0 <= at < len(self.rows) else None

    def make_page(self) -> Page:
        """All of the index under the cursor."""
        row = self.row
        if row is None:
            return Page(())
        active = row.name == self.owner.index
        return index_page(row, self.owner.works, self.catalogue, active=active)

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

    # Work --------------------------------------------------------------------------------

    def works_changed(self) -> None:
        """Work began, went on or ended."""
        works = self.owner.works
        self.query_one(WorkBar).show(work_lines(works, self.app.size.width))
        if [row.name for row in listed(self.infos, works)] != [row.name for row in self.rows]:
            self._fill()
        else:
            self.table.update()
            if self.row is not None and works.of(self.row.name):
                self.show_page()

    def work_done(self, outcome: Outcome) -> None:  # noqa: ARG002 - the app keeps it
        """Show what came of it."""
        self.refresh_list()

    def _begin(self, job: Job | None) -> None:
        """Begin a job, or let it wait for the one that runs."""
        if job is not None and self.owner.begin_work(job):
            self._fill(job.name)

    def _own(self, verb: str) -> IndexInfo | None:
        """The index under the cursor, if it may be changed here; says why not."""
        info = self._there(verb)
        if info is not None and info.name == CATALOGUE:
            self.owner.say(f"{CATALOGUE} is the app's own: it keeps itself up to date")
            return None
        return info

    def _there(self, verb: str) -> IndexInfo | None:
        """The index under the cursor, if there is one already; says why not."""
        row = self.row
        if row is None:
            self.owner.say(f"There is no index to {verb} yet: b builds one")
            return None
        if row.info is None:
            self.owner.say(f"{row.name} is not there yet")
        return row.info

    def _complete(self, verb: str) -> IndexInfo | None:
        """An index of one's own that is complete."""
        info = self._own(verb)
        if info is not None and info.status.startswith("unfinished"):
            self.owner.say(f"{info.name} is unfinished: b builds it, and goes on where it stopped")
            return None
        return info

    # Keys --------------------------------------------------------------------------------

    async def action_use(self) -> None:
        """Search in this index."""
        info = self._there("search in")
        if info is None:
            return
        if info.status != "ok":
            self.owner.say(f"{info.name} cannot be searched: {info.status}", "error")
            return
        await self.owner.search_in(info.name)

    def action_build(self) -> None:
        """Ask what to build; an unfinished one is suggested again."""
        from bioretrieval_tui.tui.panes.building import BuildDialog

        info = self.row.info if self.row else None
        name = info.name if info and info.status.startswith("unfinished") else ""
        dialog = BuildDialog(self.infos, model_choices(self.catalogue), self.folder, name)
        self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def action_add_files(self) -> None:
        """Ask which files to add."""
        info = self._complete("add to")
        if info is not None:
            from bioretrieval_tui.tui.panes.building import AddDialog

            dialog = AddDialog(info.name, self.folder)
            self.app.push_screen(dialog, partial(self._chosen_files, dialog))

    def _chosen_files(self, dialog: object, job: Job | None) -> None:
        from bioretrieval_tui.tui.panes.building import FilesDialog

        if job is not None and isinstance(dialog, FilesDialog):
            self.folder = dialog.folder
        self._begin(job)

    def action_fetch(self) -> None:
        """Ask what to fetch into an index; into this one unless it is the app's own."""
        info = self.row.info if self.row else None
        own = info is not None and info.name != CATALOGUE
        self.owner.ask_what_to_fetch(index=info.name if info and own else "")

    def action_verify(self) -> None:
        """Check every part."""
        info = self._there("verify")
        if info is not None and info.status.startswith("unfinished"):
            self.owner.say(f"{info.name} is unfinished: there is nothing to verify yet")
        elif info is not None:
            self._begin(Job("verify", info.name))

    def action_compact(self) -> None:
        """Write it anew without what is dead."""
        info = self._complete("compact")
        if info is not None:
            self._begin(Job("compact", info.name))

    def action_remove(self) -> None:
        """Remove it, after a question."""
        info = self._own("remove")
        if info is None:
            return
        what = f"{info.documents:,} documents, " if info.documents is not None else ""
        self._ask(
            f"Remove the index {info.name}?",
            f"{what}{size(info.bytes)}; the files that it was built from stay.",
            ("Remove", "Keep"),
            lambda: self._begin(Job("remove", info.name)),
        )

    def action_stop(self) -> None:
        """Stop the work that runs, after a question; what only waits, without one."""
        works = self.owner.works
        waiting = works.of(self.row.name) if self.row else None
        if waiting is not None and waiting is not works.current:
            works.drop(waiting)
            self.owner.say(f"Out of the queue: {waiting.doing.lower()}")
            self._fill()
            return
        job = works.current
        if job is None:
            self.owner.say("Nothing runs")
            return

        def stop() -> None:
            if works.current is job:
                works.stop()

        verb: Verb = job.verb
        later = kept(Job(verb, job.name)).removeprefix("; ")
        self._ask(f"Stop {job.doing.lower()}?", f"{later.capitalize()}.", ("Stop", "Go on"), stop)

    def _ask(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None:
        from bioretrieval_tui.tui.panes.dialogs import Question

        def answered(yes: bool | None) -> None:
            if yes:
                do()

        self.app.push_screen(Question(question, then, *labels), answered)

    def action_export(self) -> None:
        """Write the list to a file."""
        infos = list(self.infos)
        self.owner.export_sheet(lambda: _sheet(infos), "indexes", len(infos))


def _sheet(infos: list[IndexInfo]) -> Sheet:
    from dataclasses import asdict

    from bioretrieval_tui.render.sheet import Column, Sheet

    names = ("name", "documents", "model", "dimension", "bytes", "built", "status")
    records = tuple(asdict(info) for info in infos)
    return Sheet(
        title="Indexes",
        columns=tuple(Column(name, name) for name in names),
        rows=tuple(tuple(record[name] for name in names) for record in records),
        records=records,
    )
