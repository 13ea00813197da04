"""The app: panes under a bar of digits, one history, one status line.

It owns what panes share: the catalogue, the look, history, links, clipboard, export, the search
process and the queue of jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual import on, work
from textual._callback import invoke
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.dom import DOMNode
from textual.events import Event, Key, Paste, Resize
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed

from bioretrieval_tui.actions import (
    Action,
    commands_in,
    idle_key,
    in_scope,
    untaken,
    use,
    while_typing,
)
from bioretrieval_tui.catalog.catalogue import Catalogue, section_of
from bioretrieval_tui.config import configuration
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CatalogueError,
    InterruptedByUser,
    UsageError,
)
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.memory import memory_fault
from bioretrieval_tui.paths import keep_report, places
from bioretrieval_tui.shelf import STAR
from bioretrieval_tui.theme_files import read_themes
from bioretrieval_tui.tui.bindings import bindings, rebind
from bioretrieval_tui.tui.command_session import CommandSession, faults_of_commands
from bioretrieval_tui.tui.desktop_session import DesktopSession
from bioretrieval_tui.tui.driver import CompactDriver, CompactUpdate
from bioretrieval_tui.tui.entry_session import is_here
from bioretrieval_tui.tui.folders import FolderMemory
from bioretrieval_tui.tui.job_session import JobSession
from bioretrieval_tui.tui.kept_places import KeptPlaces
from bioretrieval_tui.tui.key_queue import KeyHandled, KeyQueue
from bioretrieval_tui.tui.last_session import KEPT_EVERY, LastSession
from bioretrieval_tui.tui.palette_session import PaletteSession
from bioretrieval_tui.tui.panes.classes import PANE_NAMES, make_pane, pane_of
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.row_marks import RowMarks
from bioretrieval_tui.tui.themes import LOOKS, Look, own_looks
from bioretrieval_tui.tui.undo import UndoStack
from bioretrieval_tui.tui.widgets.bars import LEAST_HEIGHT, LEAST_WIDTH, NavBar, StatusBar, TooSmall
from bioretrieval_tui.tui.widgets.canvas import BaseScreen, Canvas, Detail, SideBySide
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable
from bioretrieval_tui.util.formatting import count

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobQueue
    from bioretrieval_tui.render.comparison import Compared
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.terminal.capabilities import Capabilities
    from bioretrieval_tui.tui.found_session import FoundSession
    from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
    from bioretrieval_tui.tui.panes.search_pane import SearchPane
    from bioretrieval_tui.tui.selection import Selection
    from bioretrieval_tui.tui.shelf_session import ShelfSession

IDLE = 0.3
"""Seconds without a key after which the search process starts."""


class BioRetrievalApp(App[None], inherit_bindings=False):
    """bioretrieval-tui."""

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
        fresh: bool = False,
        pane: str = "",
        where: str = "",
        selection: Selection | None = None,
        given: Sequence[str] = (),
    ) -> None:
        """fresh: begin with Home, not with what the last session showed; pane: begin with this one,
        and the filter `where`; selection: enter chooses rows for it and ends the app; given:
        identifiers of documents and entries to show."""
        # With NO_COLOR the terminal theme is used without its named colours; Textual would turn
        # the colours of another theme into greys.
        super().__init__(
            # In a browser (`serve`) the driver is named by the environment.
            driver_class=None if "TEXTUAL_DRIVER" in os.environ else CompactDriver,
            ansi_color=True if "NO_COLOR" in os.environ else None,
        )
        self.configuration = configuration()
        faulty = faults_of_commands(self.configuration)
        actions, lacking = self.configuration.actions, {f"command-{number}" for number in faulty}
        if lacking:
            actions = tuple(one for one in actions if one.id not in lacking)
        use(actions)  # without keys of the user's the registry itself: no widget is bound again
        rebind(self, "everywhere")
        self.animation_level = "none"
        self.catalogue = catalogue
        catalogue.here = is_here
        catalogue.shelf = lambda: self.shelf.shelf
        self.where = places()
        themes, at_fault = read_themes()
        self.looks = {**LOOKS, **own_looks(themes)}
        told = (*self.configuration.problems, *faulty.values(), *at_fault)
        self.problems = (*map(str, told), *problems)
        self._capabilities = capabilities
        self.history: list[tuple[str, str | None]] = []
        self.faults: list[Exception] = []
        """Exceptions that were caught; the last ten."""
        self._mounted = False
        self.board_problem = ""
        """Why the public board could not be read."""
        self._telling = False
        """An exception is being shown."""
        self.key_queue = KeyQueue(self, super().on_event)
        self.job_session = JobSession(self)
        self.desktop = DesktopSession(self)
        self.kept = KeptPlaces(self)
        self.choices = PaletteSession(self)
        self.commands = CommandSession(self)
        self._launched: asyncio.Task[asyncio.subprocess.Process] | None = None
        """The start of the search process, where nothing had asked for it yet."""
        self.last_session = LastSession(self.settings, fresh=fresh or bool(where))
        self.selection = selection
        self._given = tuple(given)
        self._where = where
        self.current = pane or self.last_session.first_pane(PANE_NAMES)
        """The pane that is shown."""
        self.marks = RowMarks()
        self.undo = UndoStack()
        self.index = CATALOGUE
        """The index that Search searches."""
        self._quitting: Screen[bool] | None = None
        for look in self.looks.values():
            self.register_theme(look.theme)
        with contextlib.suppress(BioRetrievalError):
            if not theme and not self.no_color and self.settings.path.exists():
                theme = self.settings.setting("theme")
        wanted = ("terminal" if self.no_color else theme, self.configuration.config.theme, "dark")
        self.look: Look = next(self.looks[one] for one in wanted if one in self.looks)
        # As its watcher does, without parsing the style sheet again.
        self.set_reactive(App.theme, self.look.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)

    def get_default_screen(self) -> BaseScreen:
        return BaseScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield NavBar()
        with SideBySide(id="panes"):
            yield make_pane(self.current)
        yield StatusBar()

    def on_mount(self) -> None:
        self.status.hints(self.hint_actions())
        self._restore(self.pane)
        if self._where:
            self.call_later(self.pane.put_filter, self._where)
        self.nav.go(self.current)
        self.pane.activate()
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            self.say(f"{self.problems[0]}{more}", "error")
        self._mounted = True
        if not self.is_headless:
            self.set_timer(IDLE, self._warm_up)
        if self._given:
            self._show_given()
        self.job_session.find()
        self.call_after_refresh(self.run_worker, self._read_shelf, group="shelf")
        self.set_interval(KEPT_EVERY, lambda: self.last_session.keep(self))

    @work(group="arrive")
    async def _show_given(self) -> None:
        """Show the documents and entries that were named on stdin."""
        from bioretrieval_tui.tui.found_session import find_given

        found = await find_given(self.client, self.catalogue, self._given)
        await self.show_pane("found")
        self.found.give(*found)

    def _restore(self, pane: Pane) -> None:
        """Show what a pane showed in the last session; a damaged state is left out."""
        try:
            pane.restore(self.last_session.take(pane.pane_name))
        except Exception as error:  # noqa: BLE001 - shown and logged
            self._handle_exception(error)

    # Errors and faults -------------------------------------------------------------------

    # Textual ends the app at the first exception, and with it the message loop of the widget whose
    # handler raised it. Here every loop is guarded, and all exceptions (of handlers, actions,
    # workers, timers, painting) go to `_handle_exception`.

    def _register(self, parent: DOMNode, *widgets: Widget, **where: Any) -> list[Widget]:
        """Guard the message loop of each widget before it starts; give it its keys."""
        for widget in widgets:
            dispatch = widget._dispatch_message
            rebind(widget, commands_in(widget.pane_name) if isinstance(widget, Pane) else "")
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

    def caught(self, call: Callable[..., None]) -> Callable[..., None]:
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

        Before the app is mounted it cannot continue, and Textual ends it. While it quits, nothing
        can be shown, and what fails as widgets are removed is no failure of the app.
        """
        if not self._mounted:
            super()._handle_exception(error)
            return
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error
        if self.leaving:
            self.faults = [*self.faults[-9:], error]
            keep_report(error)
            return
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

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self.key_queue.add(event)
        else:
            await super().on_event(event)

    @on(KeyHandled)
    def _key_handled(self, message: KeyHandled) -> None:
        self.key_queue.handled(message)

    def on_paste(self) -> None:
        self.say("There is no line here to paste into", "warn")

    def on_query_line_joined(self, event: QueryLine.Joined) -> None:
        self.say(f"Pasted {event.by} lines as one")

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
        if self.key_queue.idle < IDLE:
            self.set_timer(IDLE, self._warm_up)
            return
        from bioretrieval_tui.backend.launch import SEARCHES, launch

        if not self.configuration.config.preload:
            return
        self._launched = asyncio.create_task(launch(SEARCHES, "auto", warm=True))

    @cached_property
    def jobs(self) -> JobQueue:
        return self.job_session.open_queue()

    @cached_property
    def folders(self) -> FolderMemory:
        return FolderMemory(self.settings)

    @cached_property
    def found(self) -> FoundSession:
        """The online search, which runs while any pane is shown."""
        from bioretrieval_tui.tui.found_session import FoundSession

        return FoundSession(self.caught(self._found_changed), self.shelf)

    @cached_property
    def shelf(self) -> ShelfSession:
        from bioretrieval_tui.tui.shelf_session import ShelfSession

        return ShelfSession(self, self.caught(self._shelf_changed))

    def _shelf_changed(self) -> None:
        for pane in self.panes():
            pane.shelf_changed()

    async def _read_shelf(self) -> None:
        await self.shelf.read()

    def exit(self, *args: Any, **how: Any) -> None:
        """End the app; what it shows is kept for the next start."""
        if not self.leaving:
            self.last_session.keep(self)
        super().exit(*args, **how)

    @property
    def leaving(self) -> bool:
        """Whether the app quits: its widgets are there, partly there or gone."""
        return self._exit

    async def on_unmount(self) -> None:
        self.workers.cancel_all()
        if self._launched is not None:
            _ = self.client  # which ends the process
        await self.job_session.close()
        for name in ("found", "client"):
            if name in vars(self):  # it was used
                await getattr(self, name).close()

    async def action_quit(self) -> None:
        """Quit; while jobs run, after a question. Quitting again answers it: they keep running."""
        jobs = self.jobs.all if self.job_session.used else []
        if not jobs or (self._quitting is not None and self.screen is self._quitting):
            self.exit()
        else:
            self._quitting = self.job_session.ask_to_quit(jobs)

    # Panes -------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        return self.screen_stack[0].query_one(f"#pane-{self.current}", Pane)

    def panes(self) -> Iterable[Pane]:
        """The panes that were shown; none while the app quits."""
        if not self.screen_stack:
            return ()
        # Not by a query, which looks at all widgets of all panes.
        boxes = (one for one in self.screen_stack[0].children if one.id == "panes")
        return [pane for box in boxes for pane in box.children if isinstance(pane, Pane)]

    async def show_pane(self, name: str) -> Pane:
        """Show a pane in the state that it was left in."""
        base = self.screen_stack[0]
        pane = next((one for one in self.panes() if one.pane_name == name), None)
        self.current = name
        if pane is None:
            pane = make_pane(name)
            pane.display = False  # until it is complete
            await base.query_one("#panes").mount(pane)
            self._restore(pane)
        for one in self.panes():
            one.display = one.pane_name == self.current
        self.nav.go(name)
        if name == "found":
            self.nav.note(name, "")
        self.status.hints(self.hint_actions())
        self.job_session.show()
        pane.activate()
        return pane

    async def action_go(self, name: str) -> None:
        if name != self.current:
            self.remember()
            (await self.show_pane(name)).begin()

    def remember(self) -> None:
        # Before the pane is composed it has no list, and no place.
        place = (self.current, self.pane.place() if self.pane.query(VirtualTable) else None)
        if self.history[-1:] != [place]:
            self.history.append(place)
        del self.history[:-100]

    def jump(self, identifier: str, *, then: str = "") -> None:
        """Go to an entry in its pane, and run an action there; `back` returns."""
        entry = self.catalogue.by_id.get(identifier)
        if entry is None:
            raise BioRetrievalError(f"No entry has the id '{identifier}'")
        self.remember()
        self.run_worker(self.arrive(pane_of(section_of(entry)), identifier, then), group="arrive")

    async def arrive(self, name: str, place: str | None, then: str = "") -> None:
        """Show a pane with the cursor on a row, and run an action there."""
        pane = await self.show_pane(name)
        pane.go_to(place)
        if then:
            # A new pane has a size only after the refresh.
            self.call_after_refresh(self.run_action, then, pane)

    async def action_back(self) -> None:
        if not self.history:
            raise UsageError("Nothing to go back to")
        name, place = self.history.pop()
        await self.arrive(name, place)

    def action_keep_place(self) -> None:
        self.kept.keep_place()

    def action_go_to_place(self) -> None:
        self.kept.go_to_place()

    def action_keep_search(self) -> None:
        self.kept.keep_search()

    def action_saved(self) -> None:
        self.kept.choose()

    async def search_in(self, name: str, query: str = "") -> None:
        """Make an index the one that is searched, and go to Search. query: what to ask it."""
        self.remember()
        pane = cast("SearchPane", await self.show_pane("search"))
        pane.search_in(name)
        pane.action_query()
        if query:
            pane.line.put(query)

    @work
    async def show_run(self, record: str) -> None:
        """Go to one of the user's runs on the leaderboard."""
        self.remember()
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
        for pane in self.panes():
            pane.marks_changed()

    def sign(self, identifier: str) -> str:
        """What stands before the name of an entry or a run in a list: whether it is marked, and
        starred."""
        mark = self.shelf.shelf.entry(identifier)
        return self.marks.sign(identifier) + (f"{STAR} " if mark and mark.starred else "")

    def compare(self, kind: str) -> None:
        """Show what is marked of a kind side by side. Raises UsageError: too little is marked."""
        self.run_worker(self._compare(self.marks.to_compare(kind)), group="compare", exclusive=True)

    async def _compare(self, marked: Sequence[Compared]) -> None:
        from bioretrieval_tui.tui.dialogs.comparison_dialog import ComparisonDialog, compare_marked

        await self.widen()
        found = await compare_marked(marked, self.catalogue, self.client)
        if not isinstance(self.screen, ComparisonDialog):
            self.push_screen(ComparisonDialog(found))

    # Questions about jobs -------------------------------------------------------------------

    def action_stop_evaluation(self) -> None:
        if self.jobs.run is None:
            raise UsageError("No evaluation and no training is running")
        self.job_session.ask_to_stop(self.jobs.run)

    async def action_explore(self) -> None:
        await self.job_session.show_explored()

    def action_ask_what_to_explore(self) -> None:
        self.job_session.ask_what_to_explore()

    def index_names(self) -> Collection[str]:
        """The indexes that there are, or will be once the queue of jobs is done."""
        from bioretrieval_tui.index import registry

        return self.jobs.names_after(name for name in registry.index_names() if name != CATALOGUE)

    def _found_changed(self) -> None:
        if self.current != "found":
            self.nav.note("found", count(len(self.found.papers)))
        for pane in self.panes():
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
        found, line = [a for scope in self.pane.scopes for a in in_scope(scope)], self.line
        if line is not None:
            found = [*line.keys, *while_typing(found, line._bindings.key_to_bindings)]
        if self.selection is not None and line is None:
            found = [self.selection.named(action) for action in found]
        return [*untaken(found)]

    def hint_actions(self) -> list[Action]:
        """The actions that the status line shows."""
        place = self.pane.footer_place
        return sorted((a for a in self.working_actions() if a.keys and place(a)), key=place)

    def on_descendant_focus(self) -> None:
        self.show_keys()

    def show_keys(self) -> None:
        """Show the keys that work now; a message stays."""
        self.status.actions = self.hint_actions()
        self.status.update()

    async def action_undo(self) -> None:
        what, back = self.undo.pop()
        await invoke(back)
        self.say(f"Undone: {what}")

    def on_key(self, event: Key) -> None:
        if self.status.message and event.key != "ctrl+c":
            self.status.hints(self.hint_actions())
        for_pane = event.is_printable and len(self.screen_stack) == 1 and self.line is None
        if for_pane and (said := idle_key(event.key, self.working_actions())):
            self.say(said)

    # Look and size -----------------------------------------------------------------------

    def action_theme(self) -> None:
        self.choices.choose_look()

    def use_look(self, name: str) -> None:
        self.look = self.looks[name]
        self.theme = name
        for screen in self.screen_stack:
            for canvas in screen.query(Canvas):
                canvas.repaint()

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

    @on(Canvas.Followed)
    def _followed(self, event: Canvas.Followed) -> None:
        if event.url:
            self.desktop.open(event.url)
        else:
            self.jump(event.entry)

    @on(Detail.Selected)
    def _selected(self, event: Detail.Selected) -> None:
        self.desktop.copy(event.text, "selection")

    def ordered(self, data: str) -> None:
        """Write to the terminal, from a thread, in order with the frames."""

        def write() -> None:
            if self._driver is not None:
                self._driver.write(data)
                self._driver.flush()

        self.call_from_thread(write)

    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None:
        """Ask a question. then: the consequence; labels: of yes and no; do: called on yes."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        self.push_screen(Confirm(question, then, *labels), lambda yes: do() if yes else None)

    def action_user_command(self, number: int) -> None:
        self.commands.run(number)

    def action_help(self) -> None:
        from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog

        self.push_screen(HelpDialog.of(self.pane, self.line))

    def action_palette(self) -> None:
        self.choices.open_palette()


def _identity(error: Exception) -> tuple[object, ...]:
    """Type, message and place of an exception: equal for repetitions of one fault."""
    return type(error), str(error), *traceback.extract_tb(error.__traceback__)[-1:]
