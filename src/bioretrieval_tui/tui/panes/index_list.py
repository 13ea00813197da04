"""Indexes: the list to search in, and the jobs that change it, which run in the background."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs
from msgspec.structs import replace

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.backend.job_folder import JobRecord
from bioretrieval_tui.backend.protocol import CompactJob, Job, RemoveJob, VectorsJob, VerifyJob
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.tui import index_session
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import FILES_FOLDER, first_folder
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.tui.work_lines import outcome_lines
from bioretrieval_tui.util.formatting import plural, size

if TYPE_CHECKING:
    from bioretrieval_tui.actions import Action
    from bioretrieval_tui.render.row_records import Chosen
    from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

EMPTY = (
    "No index of your own yet.\n\n"
    "{build} builds one here: choose files, name it.\n"
    "{fetch} fetches papers into one: PubMed, Europe PMC, arXiv.\n"
    "In a shell:\n"
    "bioretrieval-tui index build NAME FILE..."
)
_GONE = ", {remove}: remove it from the list"


class IndexesPane(Pane):
    """The list of indexes, the job that runs above it, the page of one beside it."""

    BINDINGS = bindings("indexes")
    SCOPES = ("indexes", "list", "everywhere")
    MORE_SCOPES = ("files", "path")
    COLUMNS = (
        TableColumn("name", "Index", 12, 2, priority=0),
        TableColumn("documents", "Docs", 9, align="right", priority=1),
        TableColumn("size", "Size", 7, align="right", priority=3),
        TableColumn("health", "Health", 11, 2, priority=0),
        TableColumn("model", "Model", 12, 2, priority=4),
        TableColumn("device", "Device", 6, priority=6),
        TableColumn("built", "Built", 10, priority=5),
    )
    EMPTY = "Reading the indexes"
    SHOWS_WORK = "jobs"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.rows: list[index_session.IndexRow] = []
        self.folder = self.owner.folders.remembered(FILES_FOLDER) or first_folder()
        """The folder of the file dialogs: the last one that was used."""
        self.session = index_session.IndexesSession(self.owner)

    def on_mount(self) -> None:
        self.head()

    def activate(self) -> None:
        """Read the list again: a shell may have changed it."""
        super().activate()
        work = self.after_paint("indexes", self._read)
        self.reading = self.reading or work

    async def _read(self, keep: str | None = None) -> None:
        await self.session.load()
        self.table.empty = self.session.problem or keyed(EMPTY)
        self._fill(keep)
        if any(info.store for info in self.session.infos):
            await self.session.load(stores=True)
            self._fill()

    def _fill(self, keep: str | None = None) -> None:
        keep = keep or self.place()
        self.rows = self.session.rows()
        at = next((i for i, row in enumerate(self.rows) if row.name == keep), self.table.cursor)
        self.table.show(ListRows(self.rows, self._cells), at)
        self.head()
        self.show_page()

    def _cells(self, row: index_session.IndexRow) -> list[Span]:
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
            Span(index_session.short_model(info.model), "model"),
            Span(info.device or "", "dim"),
            Span((info.built or "")[:10], "dim"),
        ]

    def list_head(self) -> list[Span]:
        infos, problem = self.session.infos, self.session.problem
        if problem:
            return [Span("Indexes", "strong"), Span(f"   {problem}", "error")]
        spans = [Span("Indexes", "strong"), Span(f"  {len(self.rows)}", "dim")]
        failed = self.session.resumable(self.row)
        if failed is not None and self.row and not self.row.info and not self.letters:
            return [
                *spans,
                Span(keyed("  {resume}: try again" + _GONE), "dim"),
                Span(f"  {failed.message}", failed.role),
            ]
        if infos:
            spans.append(Span(f"  {size(sum(info.bytes for info in infos))}", "dim"))
            spans.append(Span("  ● in Search", "dim"))
        cached = [info.bytes for info in infos if info.cached]
        if cached and not self.session.with_cached:
            hidden = f"  {len(cached)} of evaluations hidden ({size(sum(cached))})"
            spans.append(Span(f"{hidden}: {key_of('cached')} shows", "faint"))
        if infos and all(info.name == CATALOGUE for info in infos) and not self.letters:
            spans.append(
                Span(
                    keyed("   {build} builds one over your own texts, {fetch} fetches papers"),
                    "faint",
                )
            )
        return spans

    @property
    def thing(self) -> Chosen | None:
        return self.row.name if self.row else None

    @property
    def row(self) -> index_session.IndexRow | None:
        return self.table.at_cursor(self.rows)

    def make_page(self) -> PaintedPage:
        row = self.row
        if row is None:
            return PaintedPage(())
        from bioretrieval_tui.render.indexes import index_page

        facts = PaintedPage((line(Span(row.name, "strong")),))
        if row.info is not None:
            model = self.catalogue.model_of_hub(row.info.model or "")
            info = row.info
            if self.owner.jobs.of(row.name) is not None:
                info = structs.replace(info, status="a job changes it now")
            facts = paint(index_page(info, (model.id, model.name) if model else None))
        health, searched = self.session.health(row), row.name == self.owner.index
        said = [Span(*health)] if health[0] != "ok" else []  # the status below says so
        said += [Span("  " if said else ""), Span("● searched in Search", "ok")] if searched else []
        above = [line(*said)] if said else []
        outcome = self.session.outcome(row)
        if outcome is not None and self.owner.jobs.of(row.name) is None:
            above += [line(), *outcome_lines(outcome)]
            if outcome.state != "done":
                keys = "{resume}: try again, {log}: its log" + (_GONE if row.info is None else "")
                above.append(line(Span(keyed(keys), "dim")))
        return replace(facts.with_lines(1, above), lead=3)

    def show_page(self, *, lead: bool = False) -> None:
        super().show_page(lead=lead)
        if not lead:
            self.head()
            self._show_keys()

    def footer_place(self, action: Action) -> int:
        return self.session.footer_place(self.row, action)

    def _show_keys(self) -> None:
        if self.owner.current == self.pane_name:
            self.owner.show_keys()

    def ids(self) -> list[str]:
        return [row.name for row in self.rows]

    def action_cached(self) -> None:
        self.session.with_cached = not self.session.with_cached
        self._fill()

    def action_enter(self) -> None:
        """Open the page; on the page, search in its index."""
        if self.has_class("-reading"):
            self.run_worker(self.action_use(), group="arrive")
        else:
            super().action_enter()

    # Jobs --------------------------------------------------------------------------------

    def jobs_changed(self) -> None:
        super().jobs_changed()
        if [row.name for row in self.session.rows()] != self.ids():
            self._fill()
        else:
            self.table.update()
            if self.row is not None and self.owner.jobs.of(self.row.name):
                self.show_page()
        self._show_keys()

    def job_ended(self, outcome: JobRecord) -> None:  # noqa: ARG002 - the queue keeps it
        """Read the list again; an index that was just built is missing until then."""
        self.in_background("indexes", self._read, self.place())

    def _begin(self, job: Job, like: JobRecord | None = None) -> None:
        if self.owner.job_session.begin(job, like=like):
            self._fill(job.target)

    async def action_use(self) -> None:
        info = self.session.checked(self.row, "search in")
        if info.status != "ok":
            raise BioRetrievalError(f"{info.name} cannot be searched: {info.status}")
        await self.owner.search_in(info.name)

    def action_evaluate(self) -> None:
        name = self.session.checked(self.row, "evaluate", "complete").name
        self.owner.job_session.ask_what_to_evaluate(index=name)

    def action_train(self) -> None:
        """Ask what to train, with this index selected; the catalogue's is nothing to train on."""
        own = self.row is not None and self.row.name != CATALOGUE
        name = self.session.checked(self.row, "train on", "complete").name if own else ""
        self.owner.job_session.ask_what_to_train(on=name)

    def action_build(self) -> None:
        """Ask what to build; an unfinished index that `p` cannot resume is suggested."""
        from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

        info = self.row.info if self.row and not self.session.resumable(self.row) else None
        name = info.name if info and info.status.startswith(index_session.UNFINISHED) else ""
        infos, models = self.session.infos, index_session.model_choices(self.catalogue)
        dialog = FilesDialog(
            self.folder, recent=self.owner.folders.recent(), infos=infos, models=models, name=name,
            made=self.owner.jobs.names_after(()),
        )  # fmt: skip
        self._ask(dialog)

    async def action_add_files(self) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog

        name = self.session.checked(self.row, "add to", "files").name
        await asyncio.to_thread(index_session.require_model, name)
        self._ask(FilesDialog(self.folder, recent=self.owner.folders.recent(), adding=name))

    def _ask(self, dialog: FilesDialog) -> None:
        def chosen(job: Job | None) -> None:
            if job is not None:
                self.folder = dialog.picker.folder
                self.owner.folders.remember(FILES_FOLDER, self.folder)
                self._begin(job)

        self.app.push_screen(dialog, chosen)

    def action_fetch(self) -> None:
        """Ask what to fetch; into this index, unless it is the catalogue's."""
        info = self.row.info if self.row else None
        own = info is not None and info.name != CATALOGUE and not info.store
        self.owner.job_session.ask_what_to_fetch(index=info.name if info and own else "")

    def action_verify(self) -> None:
        info = self.session.checked(self.row, "verify")
        if info.status.startswith(index_session.UNFINISHED):
            raise UsageError(f"{info.name} is unfinished: there is nothing to verify yet")
        self._begin(VerifyJob(info.name))

    def action_vectors(self) -> None:
        info = self.session.checked(self.row, "encode", "files")
        if info.dimension:
            raise UsageError(f"{info.name} has its vectors, by {info.model}")
        self.run_worker(self._add_vectors(info.name), group="vectors", exclusive=True)

    async def _add_vectors(self, name: str) -> None:
        """Begin; where the model that the index names is not here, ask which one encodes it."""
        from bioretrieval_tui.encoding.embedded import MODEL_ID
        from bioretrieval_tui.index.registry import manifest_of
        from bioretrieval_tui.tui.dialogs.model_dialog import ModelDialog

        named = await asyncio.to_thread(manifest_of, name)
        short, remedy = index_session.short_model(named.model), index_session.remedy_of(named.model)
        choice = index_session.ModelChoice(short, named.model, named.recipe, remedy)
        if not await asyncio.to_thread(choice.missing):
            self._begin(VectorsJob(name))
            return
        choices = [*index_session.model_choices(self.catalogue)]
        known = [one for one in choices if one.model == named.model]
        choices += [] if known else [choice]

        def chosen(one: index_session.ModelChoice | None) -> None:
            if one is not None:
                model = one.model or MODEL_ID
                self._begin(VectorsJob(name, model, one.recipe, download=one.download))

        self.app.push_screen(ModelDialog(choices, (known or [choice])[0]), chosen)

    def action_compact(self) -> None:
        self._begin(CompactJob(self.session.checked(self.row, "compact", "files").name))

    def action_resume(self) -> None:
        """Submit the last job again, with its files and options; what it kept is used."""
        found = self.session.to_resume(self.row)
        self._begin(found.job, found)

    def action_log(self) -> None:
        found = self.owner.jobs.log(self.row.name) if self.row else None
        if found is None:
            raise UsageError("No job of this index is known")
        self.owner.desktop.show(*found)

    def action_remove(self) -> None:
        row = self.row
        if row is not None and row.info is None and self.session.outcome(row) is not None:
            self.owner.jobs.forget(row.name)
            self.owner.say(f"{row.name} was removed from the list; nothing of it was built")
            return
        job = self.owner.jobs.of(row.name) if row is not None else None
        if job is not None:
            then = keyed("{stop} stops it, then {remove} deletes")
            raise UsageError(f"{job.title}: {then} {job.target}")
        info = self.session.checked(self.row, "remove", "own")
        what = f"{plural(info.documents, 'document')}, " if info.documents is not None else ""
        self.owner.confirm(
            f"Remove the index {info.name}?",
            f"{what}{size(info.bytes)}; its source files stay"
            + (f", and what is in {info.store}." if info.store else ".")
            + keyed(" {undo} brings it back until you quit."),
            ("Remove", "Keep"),
            partial(self._begin, RemoveJob(info.name)),
        )

    def action_stop(self) -> None:
        """Stop the job that runs, after a question; drop one that waits, without."""
        jobs = self.owner.jobs
        waiting = jobs.of(self.row.name) if self.row else None
        if waiting is not None and waiting is not jobs.current:
            jobs.drop(waiting)
            self.owner.say(f"Dropped from the queue: {waiting.title_within}")
            self._fill()
        elif jobs.current is None:
            raise UsageError("No job is running")
        else:
            self.owner.job_session.ask_to_stop(jobs.current)

    def action_export(self) -> None:
        from bioretrieval_tui.render.indexes import index_sheet

        infos = list(self.session.infos)
        self.owner.desktop.export(partial(index_sheet, infos), "indexes", len(infos), cites=False)
