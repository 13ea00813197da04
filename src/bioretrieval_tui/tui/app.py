"""The app: panes under a bar of digits, one history, one status line.

It owns what panes share (the catalogue, the look, jumping and going back, links, clipboard,
export) and nothing of what they show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.events import Key, Resize

from bioretrieval_tui.actions import ACTIONS, PANES, Action, in_scope
from bioretrieval_tui.catalog.catalogue import Catalogue, section_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places, places
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.driver import CompactDriver
from bioretrieval_tui.tui.fetchapp import FetchingApp
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.themes import LOOKS, Look
from bioretrieval_tui.tui.widgets.bars import NavBar, StatusBar
from bioretrieval_tui.tui.widgets.canvas import Canvas
from bioretrieval_tui.tui.widgets.toosmall import LEAST_HEIGHT, LEAST_WIDTH, TooSmall

if TYPE_CHECKING:
    from bioretrieval_tui.library.store import Library
    from bioretrieval_tui.terminal.capabilities import Capabilities
    from bioretrieval_tui.terminal.clipboard import CopyResult

PANE_OF_SECTION = {"recipes": "leaderboard"}
PANE_CLASSES: dict[str, tuple[str, ...]] = {
    "home": ("home", "HomePane"),
    "leaderboard": ("leaderboard", "LeaderboardPane", "recipes"),
    "path": ("start", "StartPane"),
    "search": ("search", "SearchPane"),
    "indexes": ("indexes", "IndexesPane"),
    "qrels": ("qrels", "QrelsPane"),
    "news": ("news", "NewsPane"),
    "found": ("found", "FoundPane"),
}
"""(module, class, what else it is told) of the panes that are no plain section of the catalogue."""


class BioRetrievalApp(FetchingApp, inherit_bindings=False):
    """bioretrieval-tui."""

    TITLE = "bioretrieval-tui"
    ENABLE_COMMAND_PALETTE = False  # ours is made from the registry of actions
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
        # With NO_COLOR the terminal theme is taken and its named colours are dropped; Textual
        # would turn the colours of another theme into greys.
        super().__init__(
            driver_class=CompactDriver, ansi_color=True if "NO_COLOR" in os.environ else None
        )
        self.animation_level = "none"
        self.catalogue = catalogue
        self.where = where or places()
        self.problems = tuple(problems)
        self._capabilities = capabilities
        self.history: list[tuple[str, str | None]] = []
        self._library: Library | None = None
        for look in LOOKS.values():
            self.register_theme(look.theme)
        self.look: Look = LOOKS[self._first_look(theme)]
        # What its watcher would do, less another parse of the style sheet.
        self.set_reactive(App.theme, self.look.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self._refresh_truecolor_filter(self.ansi_theme)

    # Making ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Two bars and room for panes, which are made when first shown."""
        yield NavBar()
        with Container(id="panes"):
            yield self._make("home")
        yield StatusBar()

    def on_mount(self) -> None:
        """Take the focus, and say what is wrong with the overlays."""
        self._hints()
        self.pane.activate()
        if self.problems:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            self.say(f"{self.problems[0]}{more}", "error")

    def _first_look(self, wanted: str | None) -> str:
        """The look to begin with: the one asked for, else the one that was chosen last."""
        if self.no_color:
            return "terminal"
        if wanted:
            return wanted
        if not self.library.path.exists():
            return "dark"
        try:
            kept = self.library.setting("theme")
        except BioRetrievalError:
            kept = None
        return kept if kept in LOOKS else "dark"

    @property
    def capabilities(self) -> Capabilities:
        """What the terminal and the session can do; found out when first asked."""
        if self._capabilities is None:
            from bioretrieval_tui.terminal.capabilities import here

            self._capabilities = here()
        return self._capabilities

    @property
    def library(self) -> Library:
        """The reader's own marks."""
        if self._library is None:
            from bioretrieval_tui.library.store import Library

            self._library = Library(self.where.data / "library.sqlite")
        return self._library

    def _make(self, name: str) -> Pane:
        """A pane; its module is imported when it is first wanted."""
        module, made, *more = PANE_CLASSES.get(name, ("browse", "BrowsePane"))
        found = getattr(import_module(f"bioretrieval_tui.tui.panes.{module}"), made)
        return cast(Pane, found(name, *more))

    # Panes -------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        """The pane that is shown."""
        return self.screen_stack[0].query_one(f"#pane-{self.current}", Pane)

    async def show_pane(self, name: str) -> Pane:
        """Show a pane; it keeps the state that it was left in."""
        base = self.screen_stack[0]
        found = base.query(f"#pane-{name}").results(Pane)
        pane = next(iter(found), None)
        if name != self.current:
            self.pane.display = False
            self.current = name
        if pane is None:
            pane = self._make(name)
            await base.query_one("#panes").mount(pane)
        pane.display = True
        base.query_one(NavBar).go(name)
        self._hints()
        if self.works.current:
            self.works_changed()
        if self.evaluations.current:
            self.evaluation_changed()
        pane.activate()
        return pane

    async def action_go(self, name: str) -> None:
        """A digit key."""
        if name != self.current:
            self._remember()
            await self.show_pane(name)

    def _remember(self) -> None:
        here_now = (self.current, self.pane.place())
        if not self.history or self.history[-1] != here_now:
            self.history.append(here_now)
        del self.history[:-100]

    def jump(self, identifier: str, *, then: str = "") -> None:
        """Go to an entry, wherever it is listed, and run an action there; `back` returns."""
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
            # A pane that was made just now knows its size only then.
            self.call_after_refresh(self.run_action, then, pane)

    async def action_back(self) -> None:
        """Return to where the last jump came from."""
        if not self.history:
            self.say("Nothing to go back to")
            return
        name, place = self.history.pop()
        await self._arrive(name, place)

    async def search_in(self, name: str) -> None:
        """Make an index the one that is searched, and go there."""
        from bioretrieval_tui.tui.panes.search import SearchPane

        self._remember()
        pane = await self.show_pane("search")
        if isinstance(pane, SearchPane):
            pane.search_in(name)
            pane.action_query()

    # Status line -------------------------------------------------------------------------

    @property
    def status(self) -> StatusBar:
        """The bottom line."""
        return self.screen_stack[0].query_one(StatusBar)

    def say(self, message: str, role: str = "bar.strong") -> None:
        """Show a message until the next key."""
        self.status.say(message, role)

    def hint_actions(self) -> list[Action]:
        """The actions of the current pane that have a place in the bottom line."""
        found = [a for scope in self.pane.SCOPES for a in in_scope(scope) if a.footer]
        unique = {action.id: action for action in found}
        return sorted(unique.values(), key=lambda action: action.footer)

    def _hints(self) -> None:
        self.status.hints(self.hint_actions())

    def on_key(self, event: Key) -> None:
        """A message stays until the next key."""
        if self.status.message and event.key != "ctrl+c":
            self._hints()

    # Look and size -----------------------------------------------------------------------

    def _take_look(self, name: str) -> None:
        self.look = LOOKS[name]
        self.theme = name
        for canvas in self.screen_stack[0].query(Canvas):
            canvas.repaint()

    def action_theme(self) -> None:
        """The next theme, kept for the next start."""
        if self.no_color:
            self.say("NO_COLOR is set: no theme has colours")
            return
        names = list(LOOKS)
        name = names[(names.index(self.look.name) + 1) % len(names)]
        self._take_look(name)
        self.say(f"Theme: {name}")
        try:
            self.library.set_setting("theme", name)
        except BioRetrievalError as error:
            self.say(error.line(), "error")

    def action_redraw(self) -> None:
        """Draw everything, in case another program wrote on the screen."""
        if isinstance(self._driver, CompactDriver):
            self._driver.redraw()
        self.refresh(layout=True)

    def on_resize(self, event: Resize) -> None:
        """Say so kindly below the least size."""
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        base = self.screen_stack[0]
        if small and not base.query(TooSmall):
            base.mount(TooSmall())
        if base.has_class("-small") and not small:
            self.call_after_refresh(self.pane.activate)  # what is hidden loses the focus
        base.set_class(small, "-small")
        self.action_redraw()  # the terminal cut off what it liked, even if its size is the old one

    # Links, clipboard, export --------------------------------------------------------------

    def open_link(self, url: str) -> None:
        """Open an address where the reader sits; else show it whole and copy it."""
        self.run_worker(lambda: self._open(url), thread=True, exclusive=True, group="open")

    def _open(self, url: str) -> None:
        from bioretrieval_tui.terminal.opening import open_url

        result = open_url(url, self.capabilities)
        if result.action == "show":
            copied = self._copy(result.url)
            note = copied.message if copied.route != "dialog" else ""
            self.call_from_thread(self.show_text, result.message, result.url, note)
        else:
            role = "error" if result.action == "refused" else "bar.strong"
            self.call_from_thread(self.say, result.message, role)

    def copy_text(self, text: str, what: str) -> None:
        """Copy a text by the first route that takes it; else show it."""

        def work() -> None:
            result = self._copy(text)
            if result.route == "dialog":
                self.call_from_thread(self.show_text, result.message, text)
            else:
                self.call_from_thread(self.say, f"{what}: {result.message}")

        self.run_worker(work, thread=True, exclusive=True, group="copy")

    def _copy(self, text: str) -> CopyResult:
        """Copy, from a thread: a clipboard may take a fifth of a second to refuse."""
        from bioretrieval_tui.terminal.clipboard import copy

        return copy(text, self.capabilities, self._write_from_thread)

    def _write_from_thread(self, data: str) -> None:
        """Send an escape sequence through the driver, in order with the frames."""
        self.call_from_thread(self._write, data)

    def _write(self, data: str) -> None:
        if self._driver is not None:
            self._driver.write(data)
            self._driver.flush()

    def copy_bibtex(self, entries: Sequence[AnyEntry]) -> None:
        """Copy BibTeX records."""
        from bioretrieval_tui.render.entries import entry_sheet
        from bioretrieval_tui.render.formats import render

        text = "".join(render(entry_sheet(entries, self.catalogue), "bibtex"))
        if text.strip():
            self.copy_text(text, "BibTeX")
        else:
            self.say("Nothing here to cite")

    def show_text(self, title: str, text: str, note: str = "") -> None:
        """A dialog with raw text that a mouse can select."""
        from bioretrieval_tui.tui.panes.dialogs import TextDialog

        self.push_screen(TextDialog(title, text, note))

    def export_entries(self, entries: Sequence[AnyEntry], stem: str) -> None:
        """Ask for a file and write these entries to it."""
        from bioretrieval_tui.render.entries import entry_sheet

        self.export_sheet(lambda: entry_sheet(entries, self.catalogue), stem, len(entries))

    def export_sheet(self, make: Callable[[], object], stem: str, count: int) -> None:
        """Ask for a file and write a sheet to it; the ending chooses the format."""
        if not count:
            self.say("Nothing to export")
            return
        from bioretrieval_tui.tui.panes.dialogs import ExportDialog

        self.push_screen(ExportDialog(make, f"bioretrieval-{stem}.md", count), self._exported)

    def _exported(self, path: Path | None) -> None:
        if path:
            self.say(f"Wrote {path}")

    # Dialogs -----------------------------------------------------------------------------

    def action_help(self) -> None:
        """The keys of this pane."""
        from bioretrieval_tui.tui.panes.dialogs import HelpDialog

        title = next((title for name, title, _ in PANES if name == self.current), self.pane.TITLE)
        self.push_screen(HelpDialog(title, (*self.pane.SCOPES, *self.pane.MORE_SCOPES)))

    def action_palette(self) -> None:
        """Find an action or an entry by name."""
        from bioretrieval_tui.tui.panes.palette import Palette

        scopes = self.pane.SCOPES
        actions = [a for a in ACTIONS if a.palette and a.scope in scopes]
        self.push_screen(Palette(actions, self.catalogue), self._chosen)

    async def _chosen(self, choice: Action | str | None) -> None:
        if isinstance(choice, Action):
            await self.run_action(choice.name, self if choice.scope == "everywhere" else self.pane)
        elif isinstance(choice, str):
            self.jump(choice)
