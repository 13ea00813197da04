"""The base of all panes: what the app calls, what a pane may call, and the list beside its page.

A pane that has a list composes a `VirtualTable` and a `Detail` and says what the page of the row
under the cursor is (`make_page`). A list of entries that can be filtered and sorted has an
`EntrySession` and binds the keys of the scope "browse" too.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar, cast

from textual import events, on
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.paths import Places
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobOutcome, JobQueue
    from bioretrieval_tui.backend.protocol import Job
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.online.spool import FetchRequest
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.tui.found_session import FoundSession

_P = ParamSpec("_P")
_T = TypeVar("_T")

WIDE = 100
"""Columns from which list and detail stand side by side."""
REST = 0.4
"""Seconds after which a resting cursor is a reader: the page beside it is then shown whole.

While it moves, the page shows its lead only, and nothing new when the list itself had to scroll:
a key over SSH stays under 2 kB at 120x40.
"""


class PaneContext(Protocol):
    """The app as panes know it."""

    catalogue: Catalogue
    where: Places
    current: str
    history: list[tuple[str, str | None]]
    index: str

    @property
    def settings(self) -> SettingsStore: ...
    @property
    def client(self) -> SearchClient: ...
    @property
    def jobs(self) -> JobQueue: ...
    @property
    def found(self) -> FoundSession: ...

    def say(self, message: str, role: str = ...) -> None: ...
    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None: ...
    def jump(self, identifier: str, *, then: str = ...) -> None: ...
    async def search_in(self, name: str) -> None: ...
    def begin_job(self, job: Job, *, again: bool = ...) -> bool: ...
    def action_explore(self) -> None: ...
    def action_stop_evaluation(self) -> None: ...
    def explore_record(self, record: EvaluationRecord) -> None: ...
    def ask_what_to_fetch(
        self, before: FetchRequest | None = ..., *, query: str = ..., index: str = ...
    ) -> None: ...
    def ask_into(self, index: str | None, count: str, put: Callable[[str], None]) -> None: ...
    def put_into(self, name: str, papers: Mapping[str, bytes]) -> bool: ...
    def benchmark_folder(self, name: str = ...) -> Path: ...
    def remembered_folder(self, name: str) -> Path | None: ...
    def remember_folder(self, name: str, folder: Path) -> None: ...
    def open_link(self, url: str) -> None: ...
    def copy_text(self, text: str, what: str) -> None: ...
    def copy_bibtex(self, entries: Sequence[AnyEntry]) -> None: ...
    def export_entries(self, entries: Sequence[AnyEntry], stem: str) -> None: ...
    def export_sheet(self, make: Callable[[], Sheet], stem: str, count: int) -> None: ...


class Pane(Widget):
    """Base of the panes."""

    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; layout: vertical; }
    Pane Horizontal { height: 1fr; }
    Pane.-list Detail { display: none; }
    Pane.-list.-wide Detail { display: block; width: 55%; }
    Pane.-list.-reading VirtualTable { display: none; }
    Pane.-list.-reading Detail { display: block; width: 1fr; }
    Pane.-list.-wide.-reading VirtualTable { display: block; }
    Pane.-list.-wide.-reading Detail { width: 55%; }
    """

    BINDINGS = bindings("list")
    SCOPES: ClassVar[tuple[str, ...]] = ("everywhere",)
    """Scopes of the registry whose keys work here, most special first."""
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ()
    """Scopes that work in its dialogs only: the help names them too."""
    TITLE: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"pane-{name}", classes="-list" if "list" in self.SCOPES else "")
        self.pane_name = name
        self.page = PaintedPage(())
        self.entry_list: EntrySession | None = None
        """What is filtered and sorted, in a pane that lists entries."""
        self.letters = ""
        """What the next letter chooses: "link", "related" or nothing."""
        self._rest: Timer | None = None
        self._top = 0

    @property
    def owner(self) -> PaneContext:
        """The app, as panes know it."""
        return cast(PaneContext, cast(Any, self.app))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the app shows."""
        return self.owner.catalogue

    def in_background(
        self,
        group: str,
        work: Callable[_P, Coroutine[Any, Any, _T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> Worker[_T]:
        """Run `work(...)` beside the keys, in place of what runs in the same group.

        It is called when its turn comes: work that is replaced before would never be awaited.
        """
        later: Worker[_T] = self.run_worker(
            partial(work, *args, **kwargs), group=group, exclusive=True
        )
        return later

    def activate(self) -> None:
        """The pane was shown: the list takes the focus, the detail where it alone is shown."""
        (self.detail if self.has_class("-reading") else self.table).focus()

    def place(self) -> str | None:
        """What `back` should return to within this pane: an entry's id, or None."""
        return self.current_id

    def go_to(self, place: str | None) -> None:
        """Put the cursor on what `place` gave; a filter that hides an entry is lifted."""
        if place is None or self.entry_list is None:
            return
        if not self.entry_list.shows(place):
            self.entry_list.lift()
            self._close_filter()
        self.refill(place)

    def jobs_changed(self) -> None:
        """A job began, went on or ended."""

    def job_ended(self, outcome: JobOutcome) -> None:
        """Take in the outcome of a job."""

    # The list and its page ---------------------------------------------------------------

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

    def on_resize(self) -> None:
        """Set list and detail side by side where both fit."""
        if not self.has_class("-list"):
            return
        self.set_class(self.wide, "-wide")
        self.detail.rule = self.wide
        self.detail.repaint()

    def make_page(self) -> PaintedPage:
        """The page of the row under the cursor; an empty one where there is no row."""
        return PaintedPage(())

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
        """Whether the list scrolled since the last call."""
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
        """Out of a mode, out of the detail, then out of the filter."""
        found = self.entry_list
        if not self.leave() and found and (found.expression or found.problem):
            found.lift()
            self._close_filter()
            self.refill()

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

    # A list of entries: filter and sort ----------------------------------------------------

    @property
    def current(self) -> AnyEntry | None:
        """The entry under the cursor, in a list of entries."""
        shown = self.entry_list.shown if self.entry_list else ()
        at = self.table.cursor if shown else -1
        return shown[at] if 0 <= at < len(shown) else None

    @property
    def current_id(self) -> str | None:
        """Its id."""
        return self.current.id if self.current else None

    def refill(self, keep: str | None = None) -> None:
        """Show the rows again; the cursor stays on `keep` (or where it was) if that is shown."""

    def action_column(self, by: int) -> None:
        """Choose the column to sort by."""
        self.table.move_column(by)

    def action_sort(self) -> None:
        """Sort by the chosen column; again: the other way; a third time: as it was."""
        table = self.table
        column = table.columns[table.column]
        if self.entry_list is not None:
            way = self.entry_list.sort(column.key)
            table.sorted_by = self.entry_list.sorted_by
            self.refill()
            self.owner.say(f"Sorted by {column.title}, {way}" if way else "In catalogue order")

    async def action_filter(self) -> None:
        """Open the filter line."""
        found = self.query("#filter").results(QueryLine)
        filter_line = next(iter(found), None)
        if filter_line is None:
            hint = 'filter: words, "a phrase", year>=2023, params<=500M, -term'
            filter_line = QueryLine(hint, id="filter")
            await self.mount(filter_line, after=self.query_one(HeadLine))
        # The list is what it filters; in a narrow window the page would hide it.
        self.remove_class("-reading")
        filter_line.display = True
        filter_line.value = self.entry_list.expression if self.entry_list else ""
        filter_line.cursor_position = len(filter_line.value)
        filter_line.focus()

    def _close_filter(self) -> None:
        for filter_line in self.query("#filter"):
            filter_line.display = False
        if self.entry_list is not None:
            self.entry_list.problem = None

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if not event.input.display or self.entry_list is None:
            return
        if self.entry_list.typed(event.value):
            self.refill()
        else:
            self.head()

    @on(Input.Submitted, "#filter")
    def _filter_accepted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.entry_list and self.entry_list.problem:
            self.owner.say(self.entry_list.problem.line(), "error")
            return
        self._close_filter()
        self.head()
        self.table.focus()

    @on(QueryLine.Left, "#filter")
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.action_move(event.by)

    @on(QueryLine.Cancelled, "#filter")
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        if self.entry_list is not None:
            self.entry_list.lift()
        self._close_filter()
        self.refill()
        self.table.focus()

    def row_ids(self) -> Sequence[str]:
        """The ids of the rows of a list of entries, in order."""
        return [entry.id for entry in self.entry_list.shown] if self.entry_list else ()

    def action_match(self, by: int) -> None:
        """Next or previous row that matches the last filter."""
        found = self.entry_list
        expression = found and (found.expression or found.last_expression)
        if found is None or not expression:
            self.owner.say("No filter yet: press / first")
            return
        at = found.next_match(self.row_ids(), self.table.cursor, by)
        if at is None:
            self.owner.say(f"No row matches {expression}")
        else:
            self.table.move_to(at)

    def list_head(self, title: str) -> list[Span]:
        """The line over a list of entries: title, counts, filter, or what is wrong with it."""
        found = self.entry_list
        if found is None:
            return []
        total, shown = len(found.entries), len(found.shown)
        counts = f"  {shown}" if shown == total else f"  {shown} of {total}"
        spans = [Span(title, "strong"), Span(counts, "dim")]
        if found.problem:
            spans = [Span(found.problem.line(), "dim" if found.unfinished else "error")]
        elif found.expression:
            spans += [Span("  filter ", "faint"), Span(found.expression, "ok")]
        if self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        return spans

    def action_copy_bibtex(self) -> None:
        """Copy a BibTeX record of the entry."""
        if self.current:
            self.owner.copy_bibtex([self.current])

    def action_export(self) -> None:
        """Write what is shown to a file."""
        if self.entry_list is not None:
            self.owner.export_entries(self.entry_list.shown, self.pane_name)
