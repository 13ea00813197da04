"""The app: panes under a bar of digits, one history, one status line.

It owns what panes share: the catalogue, the look, history, links, clipboard, export, the search
process and the queue of jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual import on, work
from textual._callback import invoke
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.dom import DOMNode
from textual.events import Event, Key, Resize
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import WorkerFailed

from bioretrieval_tui.actions import (
    ACTIONS,
    DIGITS,
    PANE_OF_SCOPE,
    Action,
    in_scope,
    while_typing,
)
from bioretrieval_tui.catalog.catalogue import Catalogue, section_of
from bioretrieval_tui.catalog.models import Entry, Model, Step
from bioretrieval_tui.errors import BioRetrievalError, CatalogueError, InterruptedByUser, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.memory import memory_fault
from bioretrieval_tui.paths import keep_report, places
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.driver import CompactDriver, CompactUpdate
from bioretrieval_tui.tui.folders import BENCHMARK_FOLDER, RECENT_FOLDERS, first_folder
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.row_marks import RowMarks
from bioretrieval_tui.tui.themes import LOOKS, Look
from bioretrieval_tui.tui.undo import UndoStack
from bioretrieval_tui.tui.widgets.bars import LEAST_HEIGHT, LEAST_WIDTH, NavBar, StatusBar, TooSmall
from bioretrieval_tui.tui.widgets.canvas import BaseScreen, Canvas, Detail, SideBySide
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.util.formatting import count, plural

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.backend.jobs import JobQueue
    from bioretrieval_tui.backend.protocol import EvaluateJob, FetchJob, Job
    from bioretrieval_tui.online.spool import FetchRequest
    from bioretrieval_tui.render.comparison import Compared
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.terminal.capabilities import Capabilities
    from bioretrieval_tui.terminal.desktop import CopyResult
    from bioretrieval_tui.tui.dialogs.file_dialogs import ChosenBenchmark
    from bioretrieval_tui.tui.dialogs.palette import Choice, PaletteChoice
    from bioretrieval_tui.tui.found_session import FoundSession
    from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
    from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane
    from bioretrieval_tui.tui.panes.search_pane import SearchPane

COUNT_WITHIN = 0.4
"""Most seconds between a digit and the digit or motion after it that make it a count."""
MOTION_KEYS = frozenset(("j", "k", "down", "up", "ctrl+d", "ctrl+u", "n", "N"))
MOST_RECENT = 4
"""Folders that are remembered."""
LONGEST = 0.5
"""Longest time in seconds that a key waits; the answer of a closed widget never comes."""
IDLE = 0.3
"""Seconds without a key after which the search process starts."""
AWAITED = frozenset(("arrive", "compare", "document"))
"""Groups of workers that lead to another pane or page: keys that are typed meanwhile are for it."""
PATIENCE = 2.0
"""Longest time in seconds that they wait for it, or for the list of a pane."""
FIND_JOBS = 0.5
"""Seconds between two looks for jobs of other apps, until there is one."""
LONG_JOB = 10.0
"""Seconds from which the end of a job is told by the terminal too."""
PANE_OF_SECTION = {"recipes": "leaderboard"}
PANE_CLASSES: dict[str, tuple[str, str]] = {
    "home": ("home", "HomePane"),
    "timeline": ("evolution", "EvolutionPane"),
    "models": ("model_list", "ModelsPane"),
    "benchmarks": ("pane", "BenchmarksPane"),
    "leaderboard": ("leaderboard", "LeaderboardPane"),
    "path": ("start", "StartPane"),
    "search": ("search_pane", "SearchPane"),
    "indexes": ("index_list", "IndexesPane"),
    "qrels": ("qrels_pane", "QrelsPane"),
    "news": ("news_list", "NewsPane"),
    "found": ("found", "FoundPane"),
}
"""(module, class) of the panes that are not a plain section of the catalogue."""


@dataclass(frozen=True, slots=True)
class _Count:
    """Digits that may become a count, and where the app was before the first of them. time: of the
    last one."""

    pane: str
    focused: Widget | None
    history: tuple[tuple[str, str | None], ...]
    digits: str = ""
    time: float = 0.0


class BioRetrievalApp(App[None], inherit_bindings=False):
    """bioretrieval-tui."""

    class KeyHandled(Message):
        """Follows a key through the same queues, so it arrives after the key's action; sent once
        more, it follows the messages that the action has posted."""

        def __init__(self, target: MessagePump, more: int) -> None:
            super().__init__()
            self.target = target
            self.more = more

    TITLE = "bioretrieval-tui"
    ENABLE_COMMAND_PALETTE = False  # `Palette` is made from the registry of actions
    ALLOW_SELECT = False
    CSS = """
    Screen { layout: vertical; background: $background; layers: default notice; }
    Dialog { background: transparent; }
    #panes { height: 1fr; }
    Screen.-low NavBar, Screen.-flat NavBar, Screen.-flat Pane > HeadLine { display: none; }
    Screen.-flat WorkBar { max-height: 1; }
    Screen.-tiny TooSmall { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-broad")]  # noqa: RUF012 - as in Textual
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-low"), (15, "-high")]  # noqa: RUF012
    """Classes of every screen: below 15 rows there is one line of frame, below 10 no head line."""
    BINDINGS: ClassVar = bindings("everywhere")

    def __init__(
        self,
        catalogue: Catalogue,
        *,
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
        catalogue.here = _is_here
        self.where = places()
        self.problems = tuple(problems)
        self._capabilities = capabilities
        self.history: list[tuple[str, str | None]] = []
        self.faults: list[Exception] = []
        """Exceptions that were caught; the last ten."""
        self._mounted = False
        self.board_problem = ""
        """Why the public board could not be read."""
        self._telling = False
        """An exception is being shown."""
        self._keys: deque[Key] = deque()
        self._under_way = self._key_at = 0.0
        """When the current key was passed on, 0 if its action is done; when the last one came."""
        self._launched: asyncio.Task[asyncio.subprocess.Process] | None = None
        """The start of the search process, where nothing had asked for it yet."""
        self._count: _Count | None = None
        self.current = "home"
        """The pane that is shown."""
        self.marks = RowMarks()
        self.undo = UndoStack()
        self.trashed: set[str] = set()
        """Indexes that were removed: `undo` brings them back until the app ends."""
        self.index = CATALOGUE
        """The index that Search searches."""
        self._quitting: Screen[bool] | None = None
        self._finding: Timer | None = None
        for look in LOOKS.values():
            self.register_theme(look.theme)
        with contextlib.suppress(BioRetrievalError):
            if not theme and not self.no_color and self.settings.path.exists():
                theme = self.settings.setting("theme")
        known = theme if theme in LOOKS else "dark"
        self.look: Look = LOOKS["terminal" if self.no_color else known]
        # As its watcher does, without parsing the style sheet again.
        self.set_reactive(App.theme, self.look.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)

    def get_default_screen(self) -> BaseScreen:
        return BaseScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield NavBar()
        with SideBySide(id="panes"):
            yield self._make("home")
        yield StatusBar()

    def on_mount(self) -> None:
        self.status.hints(self.hint_actions())
        self.pane.activate()
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            self.say(f"{self.problems[0]}{more}", "error")
        self._mounted = True
        if not self.is_headless:
            self.set_timer(IDLE, self._warm_up)
        self._finding = self.set_interval(FIND_JOBS, self._find_jobs)

    # Errors and faults -------------------------------------------------------------------

    # Textual ends the app at the first exception, and with it the message loop of the widget whose
    # handler raised it. Here every loop is guarded, and all exceptions (of handlers, actions,
    # workers, timers, painting) go to `_handle_exception`.

    def _register(self, parent: DOMNode, *widgets: Widget, **where: Any) -> list[Widget]:
        """Guard the message loop of each widget before it starts."""
        for widget in widgets:
            dispatch = widget._dispatch_message
            widget._dispatch_message = partial(self._guarded, dispatch)  # type: ignore[method-assign]  # for one widget
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

    def _caught(self, call: Callable[..., None]) -> Callable[..., None]:
        """Guard a callback of a task, which Textual does not know."""

        def guarded(*args: Any) -> None:
            try:
                call(*args)
            except Exception as error:  # noqa: BLE001 - shown and logged
                self._handle_exception(error)

        return guarded

    def _handle_exception(self, error: Exception) -> None:
        """Show an error with a message for the user; log any other exception, report it, draw the
        pane again and continue.

        Before the app is mounted it cannot continue, and Textual ends it.
        """
        if not self._mounted or self._exit:
            super()._handle_exception(error)
            return
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error
        if isinstance(error, InterruptedByUser):
            return
        error = memory_fault(error) or error
        if isinstance(error, BioRetrievalError):
            self.say(error.line(), "bar.strong" if type(error) is UsageError else "error")
            return
        known = _identity(error) in map(_identity, self.faults)
        self.faults = [*self.faults[-9:], error]
        # An exception of every frame is logged once.
        kept = "" if known else f"; {keep_report(error)}"
        if self._telling:
            return  # the status line itself cannot be drawn
        self._telling = True
        try:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            self.say(f"Error in this pane: {said[:80]}{kept}", "error")
            if not known:
                for screen in self.screen_stack[-1:]:
                    for canvas in screen.query(Canvas):
                        canvas.repaint()
        finally:
            self._telling = False

    # Keys in their order -----------------------------------------------------------------

    # Over SSH several keys arrive in one packet. Textual passes each key on at once to the widget
    # with the focus, and runs its action once the key has bubbled up to the app: of `/bica`, `b`
    # would be lost before `/` has opened the line. Here a key waits for the action of the one
    # before it.

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and not event.is_forwarded:
            unseen = self.screen.has_class("-tiny") and not isinstance(self.focused, QueryLine)
            if unseen and event.key != "ctrl+c":
                return  # nothing is seen that it could be for
            self._keys.append(event)
            self._key_at = time.monotonic()
            await self._next_key()
        else:
            await super().on_event(event)

    def on_paste(self) -> None:
        """Say that nothing under the cursor takes a paste."""
        self.say("There is no line here to paste into", "warn")

    def on_query_line_joined(self, event: QueryLine.Joined) -> None:
        self.say(f"Pasted {event.by} lines as one")

    async def _next_key(self) -> None:
        if not self._keys:
            return
        if self._under_way and time.monotonic() - self._under_way < LONGEST:
            self.set_timer(LONGEST, self._next_key)
            return
        if self._awaited(self._keys[0]):
            self.set_timer(0.02, self._next_key)
            return
        self._under_way = time.monotonic()
        target, event = self.focused or self.screen, self._keys.popleft()
        try:
            if not await self._counted(event):
                await super().on_event(event)
        finally:
            self._key_handled(self.KeyHandled(target, 2))

    def _awaited(self, event: Key) -> bool:
        """Whether a key is for what is not there yet: a page, another pane, or its list."""
        if time.monotonic() - event.time > PATIENCE or event.key == "ctrl+c":
            return False
        if any(one.group in AWAITED and not one.is_finished for one in self.workers):
            return True
        shown = [one for one in self._panes() if one.pane_name == self.current]
        reading = shown[0].reading if shown and len(self.screen_stack) == 1 else None
        elsewhere = event.key in self._bindings.key_to_bindings
        return reading is not None and not reading.is_finished and not elsewhere

    async def _counted(self, event: Key) -> bool:
        """Whether a key is a motion whose count was typed just before it. The digits have led to
        their panes; the app returns from there, and no trace remains in the history."""
        before, self._count = self._count, None
        if len(self.screen_stack) > 1 or self.line is not None:
            return False  # letters and digits are text there
        if before is not None and event.time - before.time > COUNT_WITHIN:
            before = None
        if event.key in DIGITS.values():
            first = before or _Count(self.current, self.focused, tuple(self.history))
            self._count = replace(first, digits=(first.digits + event.key)[:4], time=event.time)
            return False
        number = int(before.digits) if before else 0
        if before is None or not number or event.key not in MOTION_KEYS:
            return False
        if before.pane != self.current:
            await self.show_pane(before.pane)
            self.screen._refresh_layout()  # what is shown again has a size after that
        self.history = list(before.history)
        page = before.focused if isinstance(before.focused, Detail) else None
        known = (a for s in (("detail",) if page else self.pane.SCOPES) for a in in_scope(s))
        motion = next((action.name for action in known if event.key in action.keys), "")
        if motion:  # such as move(-1)
            await self.run_action(motion.replace("1", str(number)), page or self.pane)
        return bool(motion)

    @on(KeyHandled)
    def _key_handled(self, message: KeyHandled) -> None:
        again = self.KeyHandled(message.target, message.more - 1)
        if message.more and message.target.post_message(again):
            return
        self._under_way = 0.0
        if self._keys:
            # After what the action has requested, such as another focus.
            self.call_later(self._next_key)

    # What panes share, made when first used ----------------------------------------------

    @cached_property
    def capabilities(self) -> Capabilities:
        from bioretrieval_tui.terminal.capabilities import here

        return self._capabilities or here()

    @cached_property
    def settings(self) -> SettingsStore:
        from bioretrieval_tui.settings import SettingsStore

        return SettingsStore(self.where.data / "library.sqlite")

    @cached_property
    def client(self) -> SearchClient:
        """The search process, started when the app is idle, or by its first request."""
        from bioretrieval_tui.backend.client import SearchClient

        return SearchClient(launched=self._launched)

    def _warm_up(self) -> None:
        """Start the search process before it is needed, once no key was pressed for a moment."""
        if self._launched is not None or "client" in vars(self):
            return
        if time.monotonic() - self._key_at < IDLE:
            self.set_timer(IDLE, self._warm_up)
            return
        from bioretrieval_tui.backend.launch import SEARCHES, launch
        from bioretrieval_tui.settings import switched

        if not switched("preload")[0]:
            return
        self._launched = asyncio.create_task(launch(SEARCHES, "auto", warm=True))

    @cached_property
    def jobs(self) -> JobQueue:
        from bioretrieval_tui.backend.jobs import JobQueue

        folder, caught = self.where.state / "jobs", self._caught
        found = JobQueue(folder, caught(self._jobs_changed), caught(self._job_ended))
        self.call_later(self._welcome_jobs, found)
        found.look()
        return found

    @cached_property
    def found(self) -> FoundSession:
        """The online search, which runs while any pane is shown."""
        from bioretrieval_tui.tui.found_session import FoundSession

        return FoundSession(self._caught(self._found_changed))

    async def on_unmount(self) -> None:
        self.workers.cancel_all()
        if self._launched is not None:
            _ = self.client  # which ends the process
        for name in ("jobs", "found", "client"):
            if name in vars(self):  # it was used
                await getattr(self, name).close()
        if self.trashed:
            from bioretrieval_tui.index.registry import sweep_removed

            await asyncio.to_thread(sweep_removed, self.trashed)

    async def action_quit(self) -> None:
        """Quit; while jobs run, after a question. Quitting again answers it: they keep running."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        jobs = self.jobs.all if self.jobs_used else []
        if not jobs or (self._quitting is not None and self.screen is self._quitting):
            self.exit()
            return

        def answered(keep: bool | None) -> None:
            if keep is not None:
                if not keep:
                    self.jobs.stop_all()
                self.exit()

        waits = f" ({plural(len(jobs) - 1, 'more job')} in the queue)" if jobs[1:] else ""
        self._quitting = Confirm(
            f"Quit while {jobs[0].title_within} runs{waits}?",
            "It goes on in the background, also when the terminal is closed. If it is stopped, "
            f"{jobs[0].KEPT}.",
            "Keep running", "Cancel", stop="Stop",
        )  # fmt: skip
        self.push_screen(self._quitting, answered)

    # Panes -------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        return self.screen_stack[0].query_one(f"#pane-{self.current}", Pane)

    def _panes(self) -> Iterable[Pane]:
        """The panes that were shown; none while the app quits."""
        return self.screen_stack[0].query(Pane) if self.screen_stack else ()

    def _make(self, name: str) -> Pane:
        module, class_name = PANE_CLASSES.get(name, ("pane", "BrowsePane"))
        found = getattr(import_module(f"bioretrieval_tui.tui.panes.{module}"), class_name)
        return cast(Pane, found(name))

    async def show_pane(self, name: str) -> Pane:
        """Show a pane in the state that it was left in."""
        base = self.screen_stack[0]
        pane = next((one for one in self._panes() if one.pane_name == name), None)
        self.current = name
        if pane is None:
            pane = self._make(name)
            pane.display = False  # until it is complete
            await base.query_one("#panes").mount(pane)
        for one in self._panes():
            one.display = one.pane_name == self.current
        self.nav.go(name)
        if name == "found":
            self.nav.note(name, "")
        self.status.hints(self.hint_actions())
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
            raise BioRetrievalError(f"No entry has the id '{identifier}'")
        section = section_of(entry)
        self._remember()
        pane = PANE_OF_SECTION.get(section, section)
        self.run_worker(self._arrive(pane, identifier, then), group="arrive")

    async def _arrive(self, name: str, place: str | None, then: str = "") -> None:
        pane = await self.show_pane(name)
        pane.go_to(place)
        if then:
            # A new pane has a size only after the refresh.
            self.call_after_refresh(self.run_action, then, pane)

    async def action_back(self) -> None:
        if not self.history:
            raise UsageError("Nothing to go back to")
        name, place = self.history.pop()
        await self._arrive(name, place)

    async def search_in(self, name: str, query: str = "") -> None:
        """Make an index the one that is searched, and go to Search. query: what to ask it."""
        self._remember()
        pane = cast("SearchPane", await self.show_pane("search"))
        pane.search_in(name)
        pane.action_query()
        if query:
            pane.line.put(query)

    @work
    async def show_run(self, record: str) -> None:
        """Go to one of the user's runs on the leaderboard."""
        self._remember()
        cast("LeaderboardPane", await self.show_pane("leaderboard")).show_run(record)

    def tell_news(self, unread: int) -> None:
        """Show in the bar how many records of watches are unread."""
        self.nav.note("news", count(unread) if unread else "")

    async def widen(self) -> None:
        """Read the public board into the catalogue, once; without it, say why."""
        from bioretrieval_tui.catalog.listing import load_listing

        if self.catalogue.board is not None or self.board_problem:
            return
        try:
            wide = await asyncio.to_thread(load_listing, self.catalogue, main_only=True)
        except CatalogueError:
            # Its place and the remedy do not fit in a narrow line; `doctor` shows both whole.
            self.board_problem = "Public board unreadable: bioretrieval-tui doctor says why"
            self.say(self.board_problem, "error")
        else:
            if self.catalogue.board is None:  # two panes may have asked
                self.catalogue = wide

    def marks_changed(self) -> None:
        for pane in self._panes():
            pane.marks_changed()

    def compare(self, kind: str) -> None:
        """Show what is marked of a kind side by side. Raises UsageError: too little is marked."""
        self.run_worker(self._compare(self.marks.to_compare(kind)), group="compare", exclusive=True)

    async def _compare(self, marked: Sequence[Compared]) -> None:
        from bioretrieval_tui.backend.protocol import CompareRuns
        from bioretrieval_tui.render.comparison import compare, runs_of_one_benchmark
        from bioretrieval_tui.tui.dialogs.comparison_dialog import ComparisonDialog

        await self.widen()
        known = self.catalogue.by_id
        things = [known.get(one.id, one) if isinstance(one, Entry) else one for one in marked]
        runs = runs_of_one_benchmark(things)
        by_query = None
        if runs is not None:
            by_query = await self.client.ask(CompareRuns(*runs))
        make = partial(compare, things, self.catalogue, by_query=by_query)
        found = await asyncio.to_thread(make)
        if not isinstance(self.screen, ComparisonDialog):
            self.push_screen(ComparisonDialog(found))

    # Jobs --------------------------------------------------------------------------------

    def begin_job(self, job: Job, *, again: bool = False, like: JobRecord | None = None) -> bool:
        """Start or queue a job and say so; False if the same job is in the queue already."""
        before = self.jobs.current
        begun = self.jobs.submit(job, again=again, like=like)
        queued = f"Waits for {before.title_within}: {job.title_within}" if before else job.title
        self.say(queued if begun else f"{job.title}: already running or waiting")
        return begun

    @property
    def jobs_used(self) -> bool:
        """Whether there may be jobs: the queue is made when it is first used."""
        return "jobs" in vars(self)

    def _find_jobs(self) -> None:
        """Look for jobs that another app, a command or an earlier session has left."""
        if self.jobs_used or any((self.where.state / "jobs").glob("*.json")):
            if self._finding is not None:
                self._finding.stop()
            _ = self.jobs  # once made, it follows them

    def _welcome_jobs(self, jobs: JobQueue) -> None:
        """Show what runs; say how jobs ended while no app looked, or what cannot be read."""
        self._jobs_changed()
        if jobs.missed:
            *others, last = jobs.missed
            more = f" ({plural(len(others), 'more job')} ended)" if others else ""
            self.say(f"While you were away: {last.message}{more}", last.role)
        elif jobs.damaged:
            folder, count = self.where.state / "jobs", len(jobs.damaged)
            what = f"{plural(count, 'job record')} in {folder} cannot be read: {jobs.damaged[0]}"
            self.say(what, "warn")

    def ask_to_resume(self, record: JobRecord) -> None:
        """Ask whether a job that failed or was stopped is submitted again, or listed no more."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        def answered(resume: bool | None) -> None:
            if resume:
                self.begin_job(record.job, like=record)
            elif resume is False:
                self.jobs.forget(record.job.target)

        title = f"Resume {record.job.title_within}?"
        self.push_screen(
            Confirm(title, record.message, "Resume", "Cancel", stop="Remove from list"), answered
        )

    def _jobs_changed(self) -> None:
        self._show_work()
        for pane in self._panes():
            pane.jobs_changed()

    def _show_work(self) -> None:
        """Show the running job in the status line, unless the pane shows its progress."""
        if self.screen_stack and self.jobs_used:
            from bioretrieval_tui.tui.work_lines import job_hint

            shows = self.pane.SHOWS_WORK
            shown = shows == "jobs" or (shows and self.jobs.evaluation is not None)
            self.status.working("" if shown else job_hint(self.jobs))

    def _job_ended(self, outcome: JobRecord) -> None:
        if not self.screen_stack:
            return
        said = outcome.message
        if outcome.removed:
            self.trashed.add(outcome.removed)
            self.undo.add(f"{outcome.removed} removed", partial(self._restore, outcome.removed))
            said += "; u brings it back"
        self.say(said, "bar.strong" if outcome.role == "ok" else outcome.role)
        if outcome.seconds >= LONG_JOB:
            self._alert(outcome.message)
        for pane in self._panes():
            pane.job_ended(outcome)
        if outcome.removed == self.index:
            self.index = CATALOGUE  # Search was never shown

    @work(group="alert")
    async def _alert(self, text: str) -> None:
        """Tell those who look elsewhere that a long job ended, unless config.toml forbids it."""
        from bioretrieval_tui.settings import switched
        from bioretrieval_tui.terminal.desktop import alert

        if switched("notify")[0]:
            await asyncio.to_thread(alert, text, self.capabilities, self._ordered)

    async def _restore(self, name: str) -> None:
        from bioretrieval_tui.index.registry import restore_index

        await asyncio.to_thread(restore_index, name)
        self.pane.activate()

    def action_stop_evaluation(self) -> None:
        if self.jobs.evaluation is None:
            raise UsageError("No evaluation is running")
        self.confirm_stop(self.jobs.evaluation)

    def confirm_stop(self, job: Job) -> None:
        def stop() -> None:
            if self.jobs.current is job:
                self.jobs.stop()

        self.confirm(f"Stop {job.title_within}?", job.kept, ("Stop", "Keep running"), stop)

    def ask_what_to_evaluate(
        self, *, benchmark: str = "", model: str = "", index: str = ""
    ) -> None:
        """Ask what to evaluate, and queue it. benchmark, model (ids of entries) and index: are
        selected."""
        from bioretrieval_tui.tui.dialogs.evaluation_dialog import EvaluationDialog
        from bioretrieval_tui.tui.evaluation_session import EvaluationPlan, MachineFacts

        def evaluate(plan: EvaluationPlan | None) -> None:
            for job in plan.jobs if plan else ():
                self.begin_job(job)
            if plan and len(plan.jobs) > 1:
                self.say(f"Queued: {plan.line()}")

        steps = (f"{BENCHMARK_FOLDER} {step.id}" for step in self.catalogue.of_type(Step))
        folders = [self.remembered_folder(name) for name in (BENCHMARK_FOLDER, *steps)]
        read = partial(MachineFacts.read, self.catalogue, [one for one in folders if one])
        subject = (benchmark, model, index)
        dialog = EvaluationDialog(self.catalogue, read, self.begin_job, *subject)
        self.push_screen(dialog, evaluate)

    async def action_explore(self) -> None:
        """Go to the benchmark that is explored; where it is shown, or none is, ask for one."""
        known = next(iter(self.screen_stack[0].query("#pane-qrels").results(Pane)), None)
        if known is not None and known.place() and self.current != known.pane_name:
            await self.action_go(known.pane_name)
        else:
            self.action_ask_what_to_explore()

    def action_ask_what_to_explore(self) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
        from bioretrieval_tui.tui.index_session import model_choices
        from bioretrieval_tui.tui.qrels_session import exploring_job

        def explore(chosen: ChosenBenchmark | None) -> None:
            if chosen is not None:
                how = chosen.folder, chosen.modes, chosen.model
                self.explore(exploring_job(self.catalogue, *how, download=chosen.download))
                self.remember_folder(BENCHMARK_FOLDER, chosen.folder)

        folder = self.remembered_folder(BENCHMARK_FOLDER) or first_folder()
        models = model_choices(self.catalogue)
        recent = self.recent_folders()
        title = "Explore a benchmark"
        self.push_screen(BenchmarkDialog(title, "Explore", folder, models, recent=recent), explore)

    @work(group="arrive")
    async def explore(self, job: EvaluateJob) -> None:
        """Show the benchmark of a job in the explorer; it is ranked unless rankings are kept."""
        self._remember()
        cast("QrelsPane", await self.show_pane("qrels")).session.open(job)

    def remembered_folder(self, name: str) -> Path | None:
        """The folder that a setting remembers, if it still exists."""
        try:
            kept = self.settings.setting(name)
            return Path(kept) if kept and Path(kept).is_dir() else None
        except (BioRetrievalError, OSError, ValueError):
            return None

    def remember_folder(self, name: str, folder: Path) -> None:
        """Keep the folder of a setting, and among the recent ones."""
        chosen = folder.absolute()
        recent = list(dict.fromkeys([chosen, *self.recent_folders()]))[:MOST_RECENT]
        with contextlib.suppress(UnicodeEncodeError):  # no name that SQLite holds
            self.settings.set_setting(name, str(chosen))
            self.settings.set_setting(RECENT_FOLDERS, "\n".join(map(str, recent)))

    def recent_folders(self) -> list[Path]:
        """The folders that were used last and still exist."""
        with contextlib.suppress(BioRetrievalError, OSError, ValueError):
            kept = self.settings.setting(RECENT_FOLDERS) or ""
            return [Path(one) for one in kept.split("\n") if one and Path(one).is_dir()]
        return []

    # Fetching ----------------------------------------------------------------------------

    def ask_what_to_fetch(
        self, before: FetchRequest | None = None, *, query: str = "", index: str = ""
    ) -> None:
        """Ask what to fetch. before: the last request; without it, `query` and `index` are used."""
        from bioretrieval_tui.online.spool import FetchRequest
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import USUAL, FetchDialog

        def wished(wish: FetchJob | FetchRequest | None) -> None:
            if isinstance(wish, FetchRequest):
                self._remember()
                self.found.begin(wish)
                self.run_worker(self.show_pane("found"), group="arrive")
            elif wish is not None:
                self.begin_job(wish)

        request = before or FetchRequest("pubmed", query, most=USUAL, index=index or None)
        self.push_screen(FetchDialog(self._index_names(), request), wished)

    def ask_into(
        self, index: str | None, papers: Mapping[str, bytes], then: Callable[[str], None]
    ) -> None:
        """Ask which index papers (lines of JSONL by their id) go into, and put them there.
        index: is suggested; then: called with the name of the index."""
        from bioretrieval_tui.backend.protocol import AddJob, BuildJob, RemoveJob
        from bioretrieval_tui.online.spool import keep_starred
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import IntoDialog

        def put(name: str | None) -> None:
            if name is None:
                return
            exists = name in self._index_names()
            # A build that failed or was stopped left no index, but its papers are in the file.
            before = self.jobs.last(name)
            begun = before and before.state != "done" and not isinstance(before.job, RemoveJob)
            path = keep_starred(name, papers, restart=not (exists or begun))
            job = (AddJob if exists else BuildJob)(name, (str(path),))
            self.begin_job(job, again=True)  # one that runs may have read the file already
            then(name)

        count = plural(len(papers), "paper")
        self.push_screen(IntoDialog(self._index_names(), index or "", count), put)

    def _index_names(self) -> Collection[str]:
        from bioretrieval_tui.index.registry import index_names

        return self.jobs.names_after(name for name in index_names() if name != CATALOGUE)

    def _found_changed(self) -> None:
        if self.current != "found":
            self.nav.note("found", count(len(self.found.papers)))
        for pane in self._panes():
            pane.found_changed()

    @property
    def nav(self) -> NavBar:
        return self.screen_stack[0].query_one(NavBar)

    @property
    def status(self) -> StatusBar:
        return self.screen_stack[0].query_one(StatusBar)

    def say(self, message: str, role: str = "bar.strong") -> None:
        """Show a message until the next key; nothing while the app is taken down."""
        for screen in self.screen_stack[:1]:
            for bar in screen.query(StatusBar):
                bar.say(message, role)

    @property
    def line(self) -> QueryLine | None:
        """The line of the pane that has the focus: letters are text in it."""
        focused = self.screen_stack[0].focused
        return focused if isinstance(focused, QueryLine) else None

    def working_actions(self) -> list[Action]:
        """The actions whose keys work now, those of the focused line first."""
        found, line = [a for scope in self.pane.SCOPES for a in in_scope(scope)], self.line
        if line is not None:
            found = [*line.keys, *while_typing(found, line._bindings.key_to_bindings)]
        return list({action.id: action for action in found}.values())

    def hint_actions(self) -> list[Action]:
        """The actions that the status line shows."""
        shown = (action for action in self.working_actions() if action.footer)
        return sorted(shown, key=lambda action: action.footer)

    def on_descendant_focus(self) -> None:
        """Show the keys of what has the focus now; a message stays."""
        self.status.actions = self.hint_actions()
        self.status.update()

    async def action_undo(self) -> None:
        what, back = self.undo.pop()
        await invoke(back)
        self.say(f"Undone: {what}")

    def on_key(self, event: Key) -> None:
        if self.status.message and event.key != "ctrl+c":
            self.status.hints(self.hint_actions())

    # Look and size -----------------------------------------------------------------------

    def action_theme(self) -> None:
        """Choose a theme, which is shown while the cursor is on it."""
        from bioretrieval_tui.tui.dialogs.palette import Palette

        if self.no_color:
            raise UsageError("NO_COLOR is set: themes have no colours")
        before = self.look.name

        def kept(choice: Choice | None) -> None:
            if choice is None:
                self.use_look(before)
            else:
                self._keep_look(choice.id)

        themes, at = self._theme_choices(self.use_look), list(LOOKS).index(before)
        self.push_screen(Palette(themes, (), (), (), preview=True, at=at), kept)

    def use_look(self, name: str) -> None:
        self.look = LOOKS[name]
        self.theme = name
        for screen in self.screen_stack:
            for canvas in screen.query(Canvas):
                canvas.repaint()

    def _keep_look(self, name: str) -> None:
        if self.no_color:
            raise UsageError("NO_COLOR is set: themes have no colours")
        self.use_look(name)
        self.say(f"Theme: {name}")
        self.settings.set_setting("theme", name)

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
        tiny = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        for screen in self.screen_stack:
            if tiny and not screen.query(TooSmall):
                screen.mount(TooSmall())
            screen.set_class(tiny, "-tiny")
        self.action_redraw()  # the terminal may have cut lines, even if its size is the old one

    # Links, clipboard, export --------------------------------------------------------------

    @work(exclusive=True, group="open")
    async def open_link(self, url: str) -> None:
        """Open an address in the user's browser; if that is not possible, show it and copy it."""
        from bioretrieval_tui.terminal.desktop import open_url

        result = await asyncio.to_thread(open_url, url, self.capabilities)
        if result.action == "show":
            copied = await self._copied(result.url)
            note = copied.message if copied.route != "dialog" else ""
            self.show_text(result.message, result.url, note)
        else:
            self.say(result.message, "error" if result.action == "refused" else "bar.strong")

    @on(Canvas.Followed)
    def _followed(self, event: Canvas.Followed) -> None:
        if event.url:
            self.open_link(event.url)
        else:
            self.jump(event.entry)

    @on(Detail.Selected)
    def _selected(self, event: Detail.Selected) -> None:
        self.copy_text(event.text, "selection")

    @work(exclusive=True, group="copy")
    async def copy_text(self, text: str, what: str) -> None:
        """Copy a text by the first route that works; else show it."""
        result = await self._copied(text)
        if result.route == "dialog":
            self.show_text(result.message, text)
        else:
            self.say(f"{what}: {result.message}")

    async def _copied(self, text: str) -> CopyResult:
        """Copy, in a thread: a clipboard may take 0.2 seconds to refuse."""
        from bioretrieval_tui.terminal.desktop import copy

        return await asyncio.to_thread(copy, text, self.capabilities, self._ordered)

    def _ordered(self, data: str) -> None:
        """Write to the terminal, from a thread, in order with the frames."""

        def write() -> None:
            if self._driver is not None:
                self._driver.write(data)
                self._driver.flush()

        self.call_from_thread(write)

    def show_text(self, title: str, text: str, note: str = "") -> None:
        """Show raw text that a mouse can select, in a dialog."""
        from bioretrieval_tui.tui.dialogs.dialog import PageDialog, text_lines

        self.push_screen(PageDialog(text_lines(title, text, note), fitted=True))

    def export_sheet(
        self, make: Callable[[], Sheet], stem: str, count: int, *, cites: bool = True
    ) -> None:
        """Ask for a file and write a sheet to it; the extension sets the format. cites: the sheet
        has a bibliography."""
        from bioretrieval_tui.tui.dialogs.dialog import ExportDialog

        if not count:
            raise UsageError("Nothing to export")
        dialog = ExportDialog(make, f"bioretrieval-{stem}.md", count, cites=cites)
        self.push_screen(dialog, lambda path: self.say(f"Wrote {path}") if path else None)

    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None:
        """Ask a question. then: the consequence; labels: of yes and no; do: called on yes."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        self.push_screen(Confirm(question, then, *labels), lambda yes: do() if yes else None)

    def action_help(self) -> None:
        from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog

        typed = self.line.scopes if self.line else ()
        reads = ("detail", "line") if "list" in self.pane.SCOPES else ()
        scopes = (*typed, *self.pane.SCOPES, *self.pane.MORE_SCOPES, *reads)
        terms = () if typed else self.pane.EXPLAINS
        self.push_screen(HelpDialog(self.pane.heading, scopes, terms))

    def action_palette(self) -> None:
        from bioretrieval_tui.tui.dialogs.palette import Palette, PaletteChoice

        here = self.pane.SCOPES
        offered = [action for action in ACTIONS if action.palette]
        working = {action.id: action for action in self.working_actions()}
        actions = [working.get(action.id, action) for action in offered if action.scope in here]
        more = [a for a in offered if a.scope not in here and a.scope in PANE_OF_SCOPE]
        choices = [
            PaletteChoice(f"index {name}", f"Search {name}", "Search in this index",
                          partial(self.search_in, name))
            for name in self._index_names()
        ]  # fmt: skip
        choices += self._theme_choices(self._keep_look)
        entries = (*self.catalogue.entries, *self.catalogue.listed)
        dialog = Palette([*actions, *more, *choices], entries, here, working)
        self.push_screen(dialog, self._chosen)

    def _theme_choices(self, act: Callable[[str], None]) -> list[PaletteChoice]:
        from bioretrieval_tui.tui.dialogs.palette import PaletteChoice

        return [
            PaletteChoice(name, f"Theme: {name}", "Use these colours", partial(act, name))
            for name in LOOKS
        ]

    async def _chosen(self, choice: Choice | None) -> None:
        """Do what was chosen in the palette; an action of another pane is run there."""
        if isinstance(choice, Action):
            if choice.scope not in self.pane.SCOPES:
                await self.action_go(PANE_OF_SCOPE[choice.scope])
            target = self if choice.scope == "everywhere" else self.pane
            # A new pane has a size only after the refresh.
            self.call_after_refresh(self.run_action, choice.name, target)
        elif isinstance(choice, Entry):
            self.jump(choice.id)
        elif choice is not None:
            await invoke(choice.act)


def _is_here(entry: Model) -> bool:
    from bioretrieval_tui.encoding.model_files import entry_is_here

    return entry_is_here(entry)


def _identity(error: Exception) -> tuple[object, ...]:
    """Type, message and place of an exception: equal for repetitions of one fault."""
    return type(error), str(error), *traceback.extract_tb(error.__traceback__)[-1:]
