"""The app: panes under a bar of digits, one history, one status line.

It owns what panes share: the catalogue, the look, history, links, clipboard, export, the search
process and the queue of jobs.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.dom import DOMNode
from textual.events import Key, Resize
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed

from bioretrieval_tui.actions import ACTIONS, Action, in_scope
from bioretrieval_tui.catalog.catalogue import Catalogue, section_of
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places, full_traceback, keep_report, places
from bioretrieval_tui.tui.bindings import OrderedKeys, bindings
from bioretrieval_tui.tui.driver import CompactDriver, CompactUpdate
from bioretrieval_tui.tui.folders import BENCHMARK_FOLDER, first_folder
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.themes import LOOKS, Look
from bioretrieval_tui.tui.widgets.bars import LEAST_HEIGHT, LEAST_WIDTH, NavBar, StatusBar, TooSmall
from bioretrieval_tui.tui.widgets.canvas import Canvas

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobQueue, JobRecord
    from bioretrieval_tui.backend.protocol import EvaluateJob, FetchJob, Job
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.online.spool import FetchRequest
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.terminal.capabilities import Capabilities
    from bioretrieval_tui.terminal.desktop import CopyResult
    from bioretrieval_tui.tui.dialogs.file_dialogs import ChosenBenchmark
    from bioretrieval_tui.tui.found_session import FoundSession

PANE_OF_SECTION = {"recipes": "leaderboard"}
PANES_WITH_EVALUATION = ("path", "qrels")
"""Panes that show the progress of the running evaluation."""
PANE_CLASSES: dict[str, tuple[str, str]] = {
    "home": ("home", "HomePane"),
    "leaderboard": ("leaderboard", "LeaderboardPane"),
    "path": ("start", "StartPane"),
    "search": ("search_pane", "SearchPane"),
    "indexes": ("index_list", "IndexesPane"),
    "qrels": ("qrels_pane", "QrelsPane"),
    "news": ("news_list", "NewsPane"),
    "found": ("found", "FoundPane"),
}
"""(module, class) of the panes that are not a plain section of the catalogue."""


def _identity(error: Exception) -> tuple[type[Exception], str, int | None]:
    """Type, message and line of an exception: equal for repetitions of one fault."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return type(error), str(error), None if found is None else found.tb_lineno


class BioRetrievalApp(OrderedKeys, inherit_bindings=False):
    """bioretrieval-tui."""

    TITLE = "bioretrieval-tui"
    ENABLE_COMMAND_PALETTE = False  # `Palette` is made from the registry of actions
    ALLOW_SELECT = False
    CSS = """
    Screen { layout: vertical; background: $background; }
    #panes { height: 1fr; }
    Screen.-small #panes, Screen.-small NavBar, Screen.-small StatusBar { display: none; }
    Screen.-small TooSmall { display: block; }
    """
    BINDINGS: ClassVar = [*bindings("everywhere"), Binding("ctrl+c", "quit", show=False)]

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        where: Places | None = None,
        problems: Sequence[str] = (),
        theme: str | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        # With NO_COLOR the terminal theme is used without its named colours; Textual would turn
        # the colours of another theme into greys.
        super().__init__(
            driver_class=CompactDriver, ansi_color=True if "NO_COLOR" in os.environ else None
        )
        self.animation_level = "none"
        self.catalogue = catalogue
        self.where = where or places()
        self.problems = tuple(problems)
        self._capabilities = capabilities
        self.history: list[tuple[str, str | None]] = []
        self.faults: list[Exception] = []
        """Exceptions that were caught; the last ten."""
        self._mounted = False
        self.current = "home"
        """The pane that is shown."""
        self._index: str | None = None
        self._client: SearchClient | None = None
        self._jobs: JobQueue | None = None
        self._found: FoundSession | None = None
        self._quitting: Screen[bool] | None = None
        for look in LOOKS.values():
            self.register_theme(look.theme)
        self.look: Look = LOOKS[self._first_look(theme)]
        # As its watcher does, without parsing the style sheet again.
        self.set_reactive(App.theme, self.look.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)

    def compose(self) -> ComposeResult:
        """Two bars and the panes, which are made when first shown."""
        yield NavBar()
        with Container(id="panes"):
            yield self._make("home")
        yield StatusBar()

    def on_mount(self) -> None:
        """Focus Home, and report the first problem of the overlays."""
        self._hints()
        self.pane.activate()
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            self.say(f"{self.problems[0]}{more}", "error")
        self._mounted = True

    # Faults ------------------------------------------------------------------------------

    # Textual ends the app at the first exception, and with it the message loop of the widget whose
    # handler raised it. Here every loop is guarded, and all exceptions (of handlers, actions,
    # workers, timers, painting) go to `_handle_exception`.

    def _register(self, parent: DOMNode, *widgets: Widget, **where: Any) -> list[Widget]:
        """Guard the message loop of each widget before it starts."""
        for widget in widgets:
            dispatch = widget._dispatch_message
            widget._dispatch_message = partial(self._guarded, dispatch)  # type: ignore[method-assign]
        return super()._register(parent, *widgets, **where)

    async def _dispatch_message(self, message: Message) -> None:
        await self._guarded(super()._dispatch_message, message)

    async def _guarded(
        self, dispatch: Callable[[Message], Awaitable[None]], message: Message
    ) -> None:
        try:
            await dispatch(message)
        except Exception as error:
            if not self._mounted:
                raise
            self._handle_exception(error)

    def _handle_exception(self, error: Exception) -> None:
        """Log an exception, report it, draw the pane again and continue.

        Before the app is mounted it cannot continue, and Textual ends it.
        """
        if not self._mounted or self._exit:
            super()._handle_exception(error)
            return
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error
        known = _identity(error) in map(_identity, self.faults)
        self.faults = [*self.faults[-9:], error]
        # An exception of every frame is logged once.
        kept = "" if known else f"; {keep_report(full_traceback(error))}"
        said = " ".join(f"{type(error).__name__}: {error}".split())
        self.say(f"Error in this pane: {said[:80]}{kept}", "error")
        if not known:
            for canvas in self.screen.query(Canvas):
                canvas.repaint()

    def _first_look(self, wanted: str | None) -> str:
        """The look to start with: the wanted one, else the last one that was chosen."""
        if self.no_color:
            return "terminal"
        if wanted:
            return wanted
        if not self.settings.path.exists():
            return "dark"
        try:
            kept = self.settings.setting("theme")
        except BioRetrievalError:
            kept = None
        return kept if kept in LOOKS else "dark"

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the terminal and the session can do, detected on first use."""
        from bioretrieval_tui.terminal.capabilities import here

        return self._capabilities or here()

    @cached_property
    def settings(self) -> SettingsStore:
        """The stored settings, marks of steps and earlier queries."""
        from bioretrieval_tui.settings import SettingsStore

        return SettingsStore(self.where.data / "library.sqlite")

    @property
    def index(self) -> str:
        """The index that Search searches; the catalogue's own until another is chosen."""
        from bioretrieval_tui.index.layout import CATALOGUE  # not at the start: it is not needed

        return self._index or CATALOGUE

    @index.setter
    def index(self, name: str) -> None:
        self._index = name

    @property
    def client(self) -> SearchClient:
        """The search process, started by its first request."""
        if self._client is None:
            from bioretrieval_tui.backend.client import SearchClient

            self._client = SearchClient()
        return self._client

    @property
    def jobs(self) -> JobQueue:
        """The queue of jobs."""
        if self._jobs is None:
            from bioretrieval_tui.backend.jobs import JobQueue

            self._jobs = JobQueue(self.where.state / "jobs", self._jobs_changed, self._job_ended)
        return self._jobs

    @property
    def found(self) -> FoundSession:
        """The online search, which runs while any pane is shown."""
        if self._found is None:
            from bioretrieval_tui.tui.found_session import FoundSession

            self._found = FoundSession(self._found_changed)
        return self._found

    async def on_unmount(self) -> None:
        """End the child processes with the app."""
        for one in (self._jobs, self._found):
            if one is not None:
                await one.close()
        self.workers.cancel_all()
        if self._client is not None:
            await self._client.close()

    async def action_quit(self) -> None:
        """Quit; while a job runs, after a question (quitting again answers it)."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        job = self._jobs.current if self._jobs else None
        asked = isinstance(self.screen, Confirm) and self.screen is self._quitting
        if job is None or asked:
            self.exit()
            return
        self._quitting = Confirm(f"Quit? {job.title} stops.", job.kept, "Quit", "Keep running")
        self.push_screen(self._quitting, lambda yes: self.exit() if yes else None)

    def _make(self, name: str) -> Pane:
        module, class_name = PANE_CLASSES.get(name, ("pane", "BrowsePane"))
        found = getattr(import_module(f"bioretrieval_tui.tui.panes.{module}"), class_name)
        return cast(Pane, found(name))

    # Panes -------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        """The pane that is shown."""
        return self.screen_stack[0].query_one(f"#pane-{self.current}", Pane)

    async def show_pane(self, name: str) -> Pane:
        """Show a pane in the state that it was left in."""
        base = self.screen_stack[0]
        pane = next(iter(base.query(f"#pane-{name}").results(Pane)), None)
        if name != self.current:
            self.pane.display = False
            self.current = name
        if pane is None:
            pane = self._make(name)
            await base.query_one("#panes").mount(pane)
        pane.display = True
        base.query_one(NavBar).go(name)
        self._hints()
        self._show_work()
        pane.activate()
        return pane

    async def action_go(self, name: str) -> None:
        if name != self.current:
            self._remember()
            await self.show_pane(name)

    def _remember(self) -> None:
        place = (self.current, self.pane.place())
        if self.history[-1:] != [place]:
            self.history.append(place)
        del self.history[:-100]

    def jump(self, identifier: str, *, then: str = "") -> None:
        """Go to an entry in its pane, and run an action there; `back` returns."""
        entry = self.catalogue.by_id.get(identifier)
        if entry is None:
            self.say(f"No entry has the id '{identifier}'", "error")
            return
        section = section_of(entry)
        self._remember()
        self.run_worker(self._arrive(PANE_OF_SECTION.get(section, section), identifier, then))

    async def _arrive(self, name: str, place: str | None, then: str = "") -> None:
        pane = await self.show_pane(name)
        pane.go_to(place)
        if then:
            # A new pane has a size only after the refresh.
            self.call_after_refresh(self.run_action, then, pane)

    async def action_back(self) -> None:
        """Return to the place before the last jump."""
        if not self.history:
            self.say("Nothing to go back to")
            return
        name, place = self.history.pop()
        await self._arrive(name, place)

    async def search_in(self, name: str) -> None:
        """Make an index the one that is searched, and go to Search."""
        from bioretrieval_tui.tui.panes.search_pane import SearchPane

        self._remember()
        pane = cast(SearchPane, await self.show_pane("search"))
        pane.search_in(name)
        pane.action_query()

    # Jobs --------------------------------------------------------------------------------

    def begin_job(self, job: Job, *, again: bool = False) -> bool:
        """Start or queue a job and say so; False if the same job is in the queue already."""
        before = self.jobs.current
        begun = self.jobs.submit(job, again=again)
        if not begun:
            self.say(f"{job.title}: already running or waiting")
        elif before is None:
            self.say(job.title)
        else:
            self.say(f"Waits for {before.title_within}: {job.title_within}")
        return begun

    def _jobs_changed(self) -> None:
        if not self.screen_stack:
            return  # the app is quitting
        self._show_work()
        for pane in self.screen_stack[0].query(Pane):
            pane.jobs_changed()

    def _show_work(self) -> None:
        """Show the running job in the status line, unless the pane shows its progress."""
        from bioretrieval_tui.tui.work_lines import job_hint

        jobs, hint = self._jobs, ""
        if jobs is not None and self.current != "indexes":
            shown = jobs.evaluation is not None and self.current in PANES_WITH_EVALUATION
            hint = "" if shown else job_hint(jobs)
        self.status.working(hint)

    def _job_ended(self, outcome: JobRecord) -> None:
        if not self.screen_stack:
            return
        self.say(outcome.message, "bar.strong" if outcome.role == "ok" else outcome.role)
        for pane in self.screen_stack[0].query(Pane):
            pane.job_ended(outcome)
        if outcome.removed == self.index:
            self._index = None  # Search was never shown

    # Evaluations -------------------------------------------------------------------------

    def action_stop_evaluation(self) -> None:
        job = self.jobs.evaluation
        if job is None:
            self.say("No evaluation is running")
        else:
            self.confirm_stop(job)

    def confirm_stop(self, job: Job) -> None:
        """Ask whether to stop the job that runs."""

        def stop() -> None:
            if self.jobs.current is job:
                self.jobs.stop()

        self.confirm(f"Stop {job.title_within}?", job.kept, ("Stop", "Keep running"), stop)

    def action_explore(self) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
        from bioretrieval_tui.tui.index_session import model_choices

        dialog = BenchmarkDialog(
            "Explore a benchmark", "Explore", self.benchmark_folder(),
            model_choices(self.catalogue),
        )  # fmt: skip
        self.push_screen(dialog, self._chosen_benchmark)

    def _chosen_benchmark(self, chosen: ChosenBenchmark | None) -> None:
        from bioretrieval_tui.tui.kept_rankings import exploring_job

        if chosen is not None:
            self.remember_folder(BENCHMARK_FOLDER, chosen.folder)
            job = exploring_job(self.catalogue, chosen.folder, chosen.modes, chosen.model)
            self.explore(job)

    def explore(self, job: EvaluateJob) -> None:
        """Show the benchmark of a job in the explorer; it is ranked unless rankings are kept."""
        from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane

        async def show() -> None:
            cast(QrelsPane, await self.show_pane("qrels")).session.open(job)

        self._remember()
        self.run_worker(show())

    def explore_record(self, record: EvaluationRecord) -> None:
        """Explore the benchmark of an evaluation, from the folder that its index was built from."""
        from bioretrieval_tui.tui.kept_rankings import job_of_record

        try:
            self.explore(job_of_record(record, self.catalogue))
        except BioRetrievalError as error:
            self.say(f"{error.line()}: choose its folder with E", "error")

    # Folders that were chosen ------------------------------------------------------------

    def benchmark_folder(self, name: str = BENCHMARK_FOLDER) -> Path:
        """The folder that choosing a benchmark starts in: the last one, else the working folder."""
        known = self.remembered_folder(name) or self.remembered_folder(BENCHMARK_FOLDER)
        return known or first_folder()

    def remembered_folder(self, name: str) -> Path | None:
        """The folder that a setting remembers, if it still exists."""
        try:
            kept = self.settings.setting(name)
            return Path(kept) if kept and Path(kept).is_dir() else None
        except (BioRetrievalError, OSError, ValueError):
            return None

    def remember_folder(self, name: str, folder: Path) -> None:
        """Store a folder in a setting."""
        try:
            self.settings.set_setting(name, str(folder.absolute()))
        except BioRetrievalError as error:
            self.say(error.line(), "error")

    # Fetching ----------------------------------------------------------------------------

    def _found_changed(self) -> None:
        from bioretrieval_tui.tui.panes.found import FoundPane

        if self.screen_stack:
            for pane in self.screen_stack[0].query(FoundPane):
                pane.found_changed()

    def ask_what_to_fetch(
        self, before: FetchRequest | None = None, *, query: str = "", index: str = ""
    ) -> None:
        """Ask what to fetch. before: the last request; without it, `query` and `index` are used."""
        from bioretrieval_tui.online.spool import FetchRequest
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import USUAL, FetchDialog

        request = before or FetchRequest("pubmed", query, most=USUAL, index=index or None)
        self.push_screen(FetchDialog(self._index_names(), request), self._wished)

    def _wished(self, wish: FetchJob | FetchRequest | None) -> None:
        from bioretrieval_tui.online.spool import FetchRequest

        if isinstance(wish, FetchRequest):
            self.run_worker(self._preview(wish))
        elif wish is not None:
            self.begin_job(wish)

    async def _preview(self, request: FetchRequest) -> None:
        from bioretrieval_tui.tui.panes.found import FoundPane

        self._remember()
        pane = cast(FoundPane, await self.show_pane("found"))
        self.found.begin(request)
        pane.begun()

    def ask_into(self, index: str | None, count: str, put: Callable[[str], None]) -> None:
        """Ask which index `count` papers go into; `index` is suggested."""
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import IntoDialog

        dialog = IntoDialog(self._index_names(), index or "", count)
        self.push_screen(dialog, lambda name: put(name) if name is not None else None)

    def put_into(self, name: str, papers: Mapping[str, bytes]) -> bool:
        """Put papers (lines of JSONL by their id) into an index; False if they cannot be kept."""
        from bioretrieval_tui.backend.protocol import AddJob, BuildJob, RemoveJob
        from bioretrieval_tui.online.spool import keep_starred

        exists = name in self._index_names()
        # A build that failed or was stopped left no index, but its papers are in the file.
        before = self.jobs.outcomes.get(name)
        begun = (
            before is not None and before.state != "done" and not isinstance(before.job, RemoveJob)
        )
        try:
            path = keep_starred(name, papers, restart=not (exists or begun))
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return False
        job = AddJob(name, (str(path),)) if exists else BuildJob(name, (str(path),))
        self.begin_job(job, again=True)  # a running job may have read the file already
        return True

    def _index_names(self) -> Collection[str]:
        from bioretrieval_tui.index.layout import CATALOGUE
        from bioretrieval_tui.index.registry import index_names

        try:
            return self.jobs.names_after(name for name in index_names() if name != CATALOGUE)
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return []

    # Status line -------------------------------------------------------------------------

    @property
    def status(self) -> StatusBar:
        """The status line."""
        return self.screen_stack[0].query_one(StatusBar)

    def say(self, message: str, role: str = "bar.strong") -> None:
        """Show a message until the next key."""
        self.status.say(message, role)

    def hint_actions(self) -> list[Action]:
        """The actions of the current pane that the status line shows."""
        found = [a for scope in self.pane.SCOPES for a in in_scope(scope) if a.footer]
        unique = {action.id: action for action in found}
        return sorted(unique.values(), key=lambda action: action.footer)

    def _hints(self) -> None:
        self.status.hints(self.hint_actions())

    def on_key(self, event: Key) -> None:
        if self.status.message and event.key != "ctrl+c":
            self._hints()

    # Look and size -----------------------------------------------------------------------

    def action_theme(self) -> None:
        if self.no_color:
            self.say("NO_COLOR is set: themes have no colours")
            return
        names = list(LOOKS)
        name = names[(names.index(self.look.name) + 1) % len(names)]
        self.look = LOOKS[name]
        self.theme = name
        for canvas in self.screen_stack[0].query(Canvas):
            canvas.repaint()
        self.say(f"Theme: {name}")
        try:
            self.settings.set_setting("theme", name)
        except BioRetrievalError as error:
            self.say(error.line(), "error")

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send the cells that an update changes, where Textual would send whole widgets."""
        driver = self._driver
        if isinstance(driver, CompactDriver) and isinstance(renderable, CompositorUpdate):
            renderable = CompactUpdate(renderable, driver)
        super()._display(screen, renderable)

    def action_redraw(self) -> None:
        """Draw everything again, in case another program wrote on the screen."""
        if isinstance(self._driver, CompactDriver):
            self._driver.redraw()
        self.refresh(layout=True)

    def on_resize(self, event: Resize) -> None:
        """Show a notice below the least size."""
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        base = self.screen_stack[0]
        if small and not base.query(TooSmall):
            base.mount(TooSmall())
        if base.has_class("-small") and not small:
            self.call_after_refresh(self.pane.activate)  # what is hidden loses the focus
        base.set_class(small, "-small")
        self.action_redraw()  # the terminal may have cut lines, even if its size is the old one

    # Links, clipboard, export --------------------------------------------------------------

    def open_link(self, url: str) -> None:
        """Open an address in the user's browser; if that is not possible, show it and copy it."""

        def work() -> None:
            from bioretrieval_tui.terminal.desktop import open_url

            result = open_url(url, self.capabilities)
            if result.action == "show":
                copied = self._copy(result.url)
                note = copied.message if copied.route != "dialog" else ""
                self.call_from_thread(self.show_text, result.message, result.url, note)
            else:
                role = "error" if result.action == "refused" else "bar.strong"
                self.call_from_thread(self.say, result.message, role)

        self.run_worker(work, thread=True, exclusive=True, group="open")

    def copy_text(self, text: str, what: str) -> None:
        """Copy a text by the first route that works; else show it."""

        def work() -> None:
            result = self._copy(text)
            if result.route == "dialog":
                self.call_from_thread(self.show_text, result.message, text)
            else:
                self.call_from_thread(self.say, f"{what}: {result.message}")

        self.run_worker(work, thread=True, exclusive=True, group="copy")

    def _copy(self, text: str) -> CopyResult:
        """Copy, from a thread: a clipboard may take 0.2 seconds to refuse."""
        from bioretrieval_tui.terminal.desktop import copy

        def write(data: str) -> None:
            if self._driver is not None:
                self._driver.write(data)
                self._driver.flush()

        # An escape sequence goes through the driver, in order with the frames.
        return copy(text, self.capabilities, partial(self.call_from_thread, write))

    def show_text(self, title: str, text: str, note: str = "") -> None:
        """Show raw text that a mouse can select, in a dialog."""
        from bioretrieval_tui.tui.dialogs.dialog import PageDialog, text_lines

        self.push_screen(PageDialog(text_lines(title, text, note), fitted=True))

    def export_sheet(self, make: Callable[[], Sheet], stem: str, count: int) -> None:
        """Ask for a file and write a sheet to it; the extension sets the format."""
        if not count:
            self.say("Nothing to export")
            return
        from bioretrieval_tui.tui.dialogs.dialog import ExportDialog

        dialog = ExportDialog(make, f"bioretrieval-{stem}.md", count)
        self.push_screen(dialog, lambda path: self.say(f"Wrote {path}") if path else None)

    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None:
        """Ask a question. then: the consequence; labels: of yes and no; do: called on yes."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        self.push_screen(Confirm(question, then, *labels), lambda yes: do() if yes else None)

    # Dialogs -----------------------------------------------------------------------------

    def action_help(self) -> None:
        from bioretrieval_tui.tui.dialogs.dialog import PageDialog, help_lines

        scopes = (*self.pane.SCOPES, *self.pane.MORE_SCOPES)
        self.push_screen(PageDialog(help_lines(self.pane.heading, scopes)))

    def action_palette(self) -> None:
        from bioretrieval_tui.tui.dialogs.palette import Palette

        scopes = self.pane.SCOPES
        actions = [a for a in ACTIONS if a.palette and a.scope in scopes]
        self.push_screen(Palette(actions, self.catalogue), self._chosen)

    async def _chosen(self, choice: Action | str | None) -> None:
        if isinstance(choice, Action):
            await self.run_action(choice.name, self if choice.scope == "everywhere" else self.pane)
        elif isinstance(choice, str):
            self.jump(choice)
