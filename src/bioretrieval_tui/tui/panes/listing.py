"""A list beside the page of the row under the cursor: moving, reading, links, relations."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from textual import events, on
from textual.timer import Timer

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.pane import WIDE, Pane
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

REST = 0.4
"""Seconds after which a resting cursor is a reader: the page beside it is then shown whole.

While it moves, the page shows its lead only, and nothing new when the list itself had to scroll:
a key over SSH stays under 2 kB at 120x40.
"""


class ListPane(Pane):
    """Base of the panes with a list. Subclasses compose a `VirtualTable` and a `Detail`, and say
    what the page of the row under the cursor is (`make_page`)."""

    BINDINGS = bindings("list")
    DEFAULT_CSS = """
    ListPane Horizontal { height: 1fr; }
    ListPane Detail { display: none; }
    ListPane.-wide Detail { display: block; width: 55%; }
    ListPane.-reading VirtualTable { display: none; }
    ListPane.-reading Detail { display: block; width: 1fr; }
    ListPane.-wide.-reading VirtualTable { display: block; }
    ListPane.-wide.-reading Detail { width: 55%; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.page = Page(())
        self.letters = ""
        """What the next letter chooses: "link", "related" or nothing."""
        self._rest: Timer | None = None
        self._top = 0

    @property
    def table(self) -> VirtualTable:
        """The list."""
        return self.query_one(VirtualTable)

    @property
    def detail(self) -> Detail:
        """The page."""
        return self.query_one(Detail)

    @property
    def wide(self) -> bool:
        """List and detail stand side by side."""
        return self.size.width >= WIDE

    def activate(self) -> None:
        """The list takes the focus, the detail where it alone is shown."""
        (self.detail if self.has_class("-reading") else self.table).focus()

    def on_resize(self) -> None:
        """Side by side when there is room."""
        self.set_class(self.wide, "-wide")
        self.detail.rule = self.wide
        self.detail.repaint()

    def make_page(self) -> Page:
        """The page of the row under the cursor; an empty one where there is no row."""
        raise NotImplementedError

    def head(self) -> None:
        """Write the line over the list."""

    # The page ----------------------------------------------------------------------------

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
        if self._rest:
            self._rest.stop()
        if not self._scrolled(event.table):
            # The cursor is painted first: making a page takes longer than a frame may.
            self.call_after_refresh(self.show_page, lead=True)
        self._rest = self.set_timer(REST, self.show_page)

    def _scrolled(self, table: VirtualTable) -> bool:
        """The list scrolled since it was last asked."""
        before, self._top = self._top, table.top
        return before != table.top

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self.action_enter()

    def show_page(self, *, lead: bool = False) -> None:
        """Show the page of the row under the cursor, or its lead only."""
        self.page = self.make_page()
        lines = self.page.lines[: self.page.lead] if lead else self.page.lines
        # A page that is shown already is left where it was scrolled to.
        self.detail.show(lines, keep_place=lines == self.detail.lines)

    def _settle(self) -> None:
        """Show the whole page now."""
        if self._rest:
            self._rest.stop()
        self.show_page()

    # Moving ------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """j, k."""
        self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        """ctrl+d, ctrl+u."""
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_first(self) -> None:
        """g."""
        self.table.move_to(0)

    def action_last(self) -> None:
        """G."""
        self.table.move_to(len(self.table.rows) - 1)

    def action_enter(self) -> None:
        """Into the detail."""
        if len(self.table.rows):
            self._settle()
            self.add_class("-reading")
            self.detail.focus()

    def leave(self) -> bool:
        """Out of a mode, or out of the detail; False if there was nothing to leave."""
        if self.letters:
            self.letters = ""
            self.head()
        elif self.has_class("-reading"):
            self.remove_class("-reading")
            self.table.focus()
        else:
            return False
        return True

    def action_clear(self) -> None:
        """Escape."""
        self.leave()

    # Links, relations, clipboard -----------------------------------------------------------

    def action_open(self) -> None:
        """Open the first link."""
        self._settle()
        if self.page.links:
            self.owner.open_link(self.page.links[0][1])
        else:
            self.owner.say("There is no link here")

    def action_copy_link(self) -> None:
        """Copy the first link."""
        self._settle()
        if self.page.links:
            self.owner.copy_text(self.page.links[0][1], "link")
        else:
            self.owner.say("There is no link here")

    def action_links(self) -> None:
        """Wait for the letter of a link."""
        self._settle()
        self._await_letter("link", bool(self.page.links))

    def action_relations(self) -> None:
        """Wait for the letter of a related entry."""
        self._settle()
        self._await_letter("related", bool(self.page.jumps))

    def _await_letter(self, what: str, there: bool) -> None:
        if not there:
            self.owner.say(f"There are no {'links' if what == 'link' else 'relations'} here")
            return
        self.letters = what
        self.head()
        if not self.wide:
            # The letters stand in the detail.
            self.action_enter()
        page = self.page
        first, count = (
            (page.links_at, len(page.links)) if what == "link" else (page.jumps_at, len(page.jumps))
        )
        self.detail.reveal(first, first + count - 1)

    def on_key(self, event: events.Key) -> None:
        """The letter after `l` or `r`."""
        if not self.letters or event.key == "escape" or event.character is None:
            return
        event.stop()
        event.prevent_default()
        what, self.letters = self.letters, ""
        self.head()
        index = ascii_lowercase.find(event.character.lower())
        targets: Sequence[object] = self.page.links if what == "link" else self.page.jumps
        if not 0 <= index < len(targets):
            self.owner.say(f"No {what} has the letter {event.character}")
        elif what == "related":
            self.owner.jump(self.page.jumps[index])
        elif event.character.isupper():
            self.owner.copy_text(self.page.links[index][1], "link")
        else:
            self.owner.open_link(self.page.links[index][1])
