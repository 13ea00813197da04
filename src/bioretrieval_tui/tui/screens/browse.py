"""A list of entries beside the page of the one under the cursor: most panes are this."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.entries import AnyEntry
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.lists import COLUMNS, EntryRows
from bioretrieval_tui.tui.pages import Page, entry_page
from bioretrieval_tui.tui.screens.pane import WIDE, HeadLine, Pane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.document import DocumentView
from bioretrieval_tui.tui.widgets.query_line import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.filter import Filter

REST = 0.4
"""Seconds after which a resting cursor is a reader: the page beside it is then shown whole.

While it moves, the page shows its lead only, and nothing new when the list itself had to scroll:
a key over SSH stays under 2 kB at 120x40.
"""


class Detail(DocumentView):
    """The page beside the list; scrolls by its own keys when it has the focus."""

    BINDINGS = bindings("detail")

    def action_scroll_lines(self, by: int) -> None:
        """j, k."""
        self.scroll_by(by)

    def action_scroll_half(self, by: int) -> None:
        """ctrl+d, ctrl+u."""
        self.scroll_by(by * max(1, self.size.height // 2))

    def action_scroll_edge(self, to: int) -> None:
        """g, G."""
        self.scroll_by(to * 1_000_000)


class BrowsePane(Pane):
    """One section of the catalogue: list, filter, sort, detail."""

    BINDINGS = bindings("list")
    SCOPES: ClassVar[tuple[str, ...]] = ("list", "everywhere")
    DEFAULT_CSS = """
    BrowsePane Horizontal { height: 1fr; }
    BrowsePane Detail { display: none; }
    BrowsePane.-wide Detail { display: block; width: 55%; }
    BrowsePane.-reading VirtualTable { display: none; }
    BrowsePane.-reading Detail { display: block; width: 1fr; }
    BrowsePane.-wide.-reading VirtualTable { display: block; }
    BrowsePane.-wide.-reading Detail { width: 55%; }
    """

    def __init__(self, name: str, section: str | None = None) -> None:
        super().__init__(name)
        self.section = section or name
        self.title_text = next(title for pane, title, _ in PANES if pane == name)
        self.entries: Sequence[AnyEntry] = ()
        self.shown: list[AnyEntry] = []
        self.expression = ""
        self.last_expression = ""
        self.problem: FilterError | None = None
        self.page = Page(())
        self.letters = ""
        self._filter: Filter | None = None
        self._rest: Timer | None = None
        self._top = 0

    # Making ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Head, list, detail; the filter line comes when it is first asked for."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS[self.section], empty="No entry matches.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Fill the list."""
        self.entries = self.catalogue.section(self.section)
        self._refill()

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
        return self.has_class("-wide")

    def activate(self) -> None:
        """The list takes the focus, the detail where it alone is shown."""
        (self.detail if self.has_class("-reading") else self.table).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side when there is room."""
        self.set_class(event.size.width >= WIDE, "-wide")
        self.detail.rule = self.wide
        self.detail.repaint()

    # Rows --------------------------------------------------------------------------------

    def mark(self, entry: AnyEntry) -> str:
        """A mark before a row, for panes that have one."""
        return ""

    def _refill(self, keep: str | None = None) -> None:
        """Filter and sort anew; the cursor stays on `keep` (or where it was) if that is shown."""
        keep = keep or self.current_id
        entries = self._matching(self.expression)
        table = self.table
        if table.sorted_by:
            from bioretrieval_tui.catalog.rows import ordered

            key, reverse = table.sorted_by
            entries = ordered(entries, key, self.catalogue, reverse=reverse)
        self.shown = entries
        cursor = next((i for i, e in enumerate(entries) if e.id == keep), 0)
        table.show(EntryRows(entries, table.columns, self.catalogue, self.mark), cursor)
        self._head()
        self._show_page()

    def _matching(self, expression: str) -> list[AnyEntry]:
        if not expression.strip():
            return list(self.entries)
        if self._filter is None:
            from bioretrieval_tui.catalog.rows import make_filter

            self._filter = make_filter(self.entries, self.catalogue)
        return [self.entries[i] for i in self._filter.apply(expression)]

    def _head(self) -> None:
        total, shown = len(self.entries), len(self.shown)
        counts = f"  {shown}" if shown == total else f"  {shown} of {total}"
        spans = [Span(self.title_text, "strong"), Span(counts, "dim")]
        if self.problem:
            spans = [Span(self.problem.line(), "error")]
        elif self.expression:
            spans += [Span("  filter ", "faint"), Span(self.expression, "ok")]
        if self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        self.query_one(HeadLine).show(*spans)

    @property
    def current(self) -> AnyEntry | None:
        """The entry under the cursor."""
        at = self.table.cursor
        return self.shown[at] if 0 <= at < len(self.shown) else None

    @property
    def current_id(self) -> str | None:
        """Its id."""
        return self.current.id if self.current else None

    def place(self) -> str | None:
        """Where `back` returns to."""
        return self.current_id

    def go_to(self, place: str | None) -> None:
        """Put the cursor on an entry; a filter that hides it is lifted."""
        if place is None:
            return
        if all(entry.id != place for entry in self.shown):
            self.expression = ""
            self._close_filter()
        self._refill(place)

    # The page ----------------------------------------------------------------------------

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
        if self._rest:
            self._rest.stop()
        if not self._scrolled(event.table):
            self._show_page(lead=True)
        self._rest = self.set_timer(REST, self._show_page)

    def _scrolled(self, table: VirtualTable) -> bool:
        """The list scrolled since it was last asked."""
        before, self._top = self._top, table.top
        return before != table.top

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self.action_enter()

    def make_page(self, entry: AnyEntry) -> Page:
        """The page of an entry; panes add to it."""
        return entry_page(entry, self.catalogue)

    def _show_page(self, *, lead: bool = False) -> None:
        entry = self.current
        self.page = self.make_page(entry) if entry else Page(())
        self.detail.show(self.page.lines[: self.page.lead] if lead else self.page.lines)

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
        if self.current:
            self._settle()
            self.add_class("-reading")
            self.detail.focus()

    def action_clear(self) -> None:
        """Out of a mode, out of the detail, then out of the filter."""
        if self.letters:
            self.letters = ""
            self._head()
        elif self.has_class("-reading"):
            self.remove_class("-reading")
            self.table.focus()
        elif self.expression or self.problem:
            self.expression, self.problem = "", None
            self._close_filter()
            self._refill()

    # Sorting -----------------------------------------------------------------------------

    def action_column(self, by: int) -> None:
        """Choose the column to sort by."""
        self.table.move_column(by)

    def action_sort(self) -> None:
        """Sort by the chosen column; again: the other way; a third time: as it was."""
        table = self.table
        key = table.columns[table.column].key
        if table.sorted_by == (key, False):
            table.sorted_by = (key, True)
        elif table.sorted_by == (key, True):
            table.sorted_by = None
        else:
            table.sorted_by = (key, False)
        self._refill()
        way = table.sorted_by and ("descending" if table.sorted_by[1] else "ascending")
        self.owner.say(f"Sorted by {key}, {way}" if way else "In catalogue order")

    # Filtering ---------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Open the filter line."""
        found = self.query(QueryLine)
        if found:
            filter_line = found.first()
        else:
            filter_line = QueryLine('filter: words, "a phrase", year>=2023, params<=500M, -term')
            await self.mount(filter_line, after=self.query_one(HeadLine))
        filter_line.display = True
        filter_line.value = self.expression
        filter_line.cursor_position = len(self.expression)
        filter_line.focus()

    def _close_filter(self) -> None:
        for filter_line in self.query(QueryLine):
            filter_line.display = False
        self.problem = None

    @on(Input.Changed)
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if not event.input.display:
            return
        try:
            self._matching(event.value)
        except FilterError as problem:
            # Half-typed: say where, keep showing what was last right.
            self.problem = problem
            self._head()
            return
        self.problem = None
        if event.value != self.expression:
            self.expression = event.value
            self.last_expression = event.value or self.last_expression
            self._refill()
        else:
            self._head()

    @on(Input.Submitted)
    def _filter_accepted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.problem:
            self.owner.say(self.problem.line(), "error")
            return
        self._close_filter()
        self._head()
        self.table.focus()

    @on(QueryLine.Left)
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.action_move(event.by)

    @on(QueryLine.Cancelled)
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.expression = ""
        self._close_filter()
        self._refill()
        self.table.focus()

    def action_match(self, by: int) -> None:
        """Next or previous row that matches the last filter."""
        expression = self.expression or self.last_expression
        if not expression:
            self.owner.say("No filter yet: press / first")
            return
        matching = {entry.id for entry in self._matching(expression)}
        count = len(self.shown)
        at = self.table.cursor
        for step in range(1, count + 1):
            index = (at + by * step) % count
            if self.shown[index].id in matching:
                self.table.move_to(index)
                return
        self.owner.say(f"No row matches {expression}")

    # Links, relations, clipboard -----------------------------------------------------------

    def action_open(self) -> None:
        """Open the first link."""
        self._settle()
        if self.page.links:
            self.owner.open_link(self.page.links[0][1])
        else:
            self.owner.say("This entry has no link")

    def action_copy_link(self) -> None:
        """Copy the first link."""
        self._settle()
        if self.page.links:
            self.owner.copy_text(self.page.links[0][1], "link")
        else:
            self.owner.say("This entry has no link")

    def action_copy_bibtex(self) -> None:
        """Copy a BibTeX record of the entry."""
        if self.current:
            self.owner.copy_bibtex([self.current])

    def action_links(self) -> None:
        """Wait for the letter of a link."""
        self._settle()
        self._await_letter("link", bool(self.page.links))

    def action_relations(self) -> None:
        """Wait for the letter of a related entry."""
        self._settle()
        self._await_letter("related", bool(self.page.jumps))

    def _settle(self) -> None:
        """Show the whole page now."""
        if self._rest:
            self._rest.stop()
        self._show_page()

    def _await_letter(self, what: str, there: bool) -> None:
        if not there:
            self.owner.say(f"This entry has no {'links' if what == 'link' else 'relations'}")
            return
        self.letters = what
        self._head()
        if not self.wide:
            # The letters stand in the detail.
            self.action_enter()

    def on_key(self, event: events.Key) -> None:
        """The letter after `l` or `r`."""
        if not self.letters or event.key == "escape" or event.character is None:
            return
        event.stop()
        event.prevent_default()
        what, self.letters = self.letters, ""
        self._head()
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

    def action_export(self) -> None:
        """Write what is shown to a file."""
        self.owner.export_entries(self.shown, self.pane_name)
