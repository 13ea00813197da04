"""The base of all panes: what the app calls, what a pane may call, and the list beside its page.

A pane says what its columns are and what the page of the row under the cursor is (`make_page`).
A pane with a `section` lists entries of the catalogue, which can be filtered and sorted
(`EntrySession`), and binds the keys of the scope "browse" too.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.paths import Places
from bioretrieval_tui.render.entries import entry_page, entry_sheet
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_list import entry_columns, entry_rows
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import TableColumn, VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobQueue, JobRecord
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
"""Seconds without a move of the cursor after which the page beside it is shown whole.

While the cursor moves, the page shows its lead only, and nothing new when the list itself had to
scroll: a key over SSH stays under 2 kB at 120x40.
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
    def confirm_stop(self, job: Job) -> None: ...
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
    """Scopes of the registry whose keys work here, the most specific first."""
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ()
    """Scopes that work only in its dialogs: the help names them too."""
    TITLE: ClassVar[str] = ""
    """The title of a pane that has no digit."""
    COLUMNS: ClassVar[tuple[TableColumn, ...]] = ()
    EMPTY: ClassVar[str] = "No entry matches."
    SHOWS_WORK: ClassVar[bool] = False
    """The progress of the running job stands over the list."""
    FILTER_HINT: ClassVar[str] = 'filter: words, "a phrase", year>=2023, params<=500M, -term'

    def __init__(self, name: str, section: str = "") -> None:
        super().__init__(id=f"pane-{name}", classes="-list" if "list" in self.SCOPES else "")
        self.pane_name = name
        self.section = section
        self.page = PaintedPage(())
        self.entry_list: EntrySession | None = None
        """The filtered and sorted list, in a pane that lists entries."""
        self.letters = ""
        """What the next letter chooses: "link", "related" or nothing."""
        self._rest: Timer | None = None
        self._top = 0

    def compose(self) -> ComposeResult:
        yield HeadLine()
        if self.SHOWS_WORK:
            yield WorkBar()
        with Horizontal():
            columns = entry_columns(self.section) if self.section else self.COLUMNS
            yield VirtualTable(columns, empty=self.EMPTY)
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """List the entries of the section."""
        if self.section:
            self.entry_list = EntrySession(self.catalogue.section(self.section), self.catalogue)
            self.refill()

    @property
    def owner(self) -> PaneContext:
        """The app, as panes know it."""
        return cast(PaneContext, cast(Any, self.app))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the app shows."""
        return self.owner.catalogue

    @property
    def heading(self) -> str:
        """The title of the pane."""
        return next((title for name, title, _ in PANES if name == self.pane_name), self.TITLE)

    def in_background(
        self,
        group: str,
        work: Callable[_P, Coroutine[Any, Any, _T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> Worker[_T]:
        """Run `work(...)` without blocking keys; it replaces what runs in the same group.

        A partial, not a coroutine: a coroutine that is replaced early would never be awaited.
        """
        worker: Worker[_T] = self.run_worker(
            partial(work, *args, **kwargs), group=group, exclusive=True
        )
        return worker

    def activate(self) -> None:
        """Focus the list, or the page where it is being read: the pane was shown."""
        (self.detail if self.has_class("-reading") else self.table).focus()

    def place(self) -> str | None:
        """Where `back` returns to within this pane: an entry's id, or None."""
        return self.current_id

    def go_to(self, place: str | None) -> None:
        """Put the cursor on what `place` gave; a filter that hides the entry is removed."""
        if place is None or self.entry_list is None:
            return
        if not self.entry_list.shows(place):
            self.entry_list.lift()
            self.close_filter()
        self.refill(place)

    def jobs_changed(self) -> None:
        """Show a job that began, advanced or ended."""

    def job_ended(self, outcome: JobRecord) -> None:
        """Show the outcome of a job."""

    # The list and its page ---------------------------------------------------------------

    @property
    def table(self) -> VirtualTable:
        """The list."""
        return self.query_one(VirtualTable)

    @property
    def detail(self) -> Detail:
        """The page."""
        return self.query_one(Detail)

    def at_cursor(self, items: Sequence[_T]) -> _T | None:
        """The one of the items, which the list shows, that is under the cursor."""
        at = self.table.cursor
        return items[at] if 0 <= at < len(items) else None

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
        if self.current is None:
            return PaintedPage(())
        return paint(entry_page(self.current, self.catalogue))

    def head(self) -> None:
        """Write the line over the list."""
        if self.entry_list is not None:
            self.query_one(HeadLine).show(*self.list_head())

    @property
    def letter_hint(self) -> list[Span]:
        """What the line over the list says while a letter is awaited."""
        if not self.letters:
            return []
        return [Span(f"   {self.letters}: type its letter, esc cancels", "warn")]

    # The page ----------------------------------------------------------------------------

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
        if self._rest:
            self._rest.stop()
        before, self._top = self._top, event.table.top
        if before == self._top:  # the list did not scroll
            # The cursor is painted first: making a page takes longer than a frame may.
            self.call_after_refresh(self.show_page, lead=True)
        self._rest = self.set_timer(REST, self.show_page)

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
        self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_first(self) -> None:
        self.table.move_to(0)

    def action_last(self) -> None:
        self.table.move_to(len(self.table.rows) - 1)

    def action_enter(self) -> None:
        if len(self.table.rows):
            self._settle()
            self.add_class("-reading")
            self.detail.focus()

    def leave(self) -> bool:
        """Stop waiting for a letter, or leave the page; False if there was nothing to leave."""
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
        """Leave one thing: a mode, the page, or the filter."""
        found = self.entry_list
        if not self.leave() and found and (found.expression or found.problem):
            self.lift_filter()

    # Links, relations, clipboard -----------------------------------------------------------

    def _first_link(self) -> str | None:
        self._settle()
        if self.page.links:
            return self.page.links[0][1]
        self.owner.say("There is no link here")
        return None

    def action_open(self) -> None:
        if link := self._first_link():
            self.owner.open_link(link)

    def action_copy_link(self) -> None:
        if link := self._first_link():
            self.owner.copy_text(link, "link")

    def action_links(self) -> None:
        self._await_letter("link")

    def action_relations(self) -> None:
        self._await_letter("related")

    def _await_letter(self, what: str) -> None:
        self._settle()
        page = self.page
        first, count = page.links_at, len(page.links)
        if what == "related":
            first, count = page.jumps_at, len(page.jumps)
        if not count:
            self.owner.say(f"There are no {'links' if what == 'link' else 'relations'} here")
            return
        self.letters = what
        self.head()
        if not self.wide:
            self.action_enter()  # the letters stand in the page
        self.detail.reveal(first, first + count - 1)

    def on_key(self, event: events.Key) -> None:
        """Follow the letter after `l` or `r`."""
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
        return self.at_cursor(self.entry_list.shown) if self.entry_list else None

    @property
    def current_id(self) -> str | None:
        """The id of the entry under the cursor."""
        return self.current.id if self.current else None

    def refill(self, keep: str | None = None) -> None:
        """Show the rows again; the cursor stays on `keep` (or where it was) if that is shown."""
        found, table = self.entry_list, self.table
        if found is None:
            return
        keep = keep or self.current_id
        found.fill()
        rows = entry_rows(found.shown, table.columns, self.catalogue, self.mark)
        table.show(rows, found.place(keep))
        self.head()
        self.show_page()

    def mark(self, entry: AnyEntry) -> str:  # noqa: ARG002 - a pane that marks entries uses it
        """The mark in front of an entry's first cell."""
        return ""

    def action_column(self, by: int) -> None:
        self.table.move_column(by)

    def action_sort(self) -> None:
        """Sort by the chosen column; again: descending; a third time: catalogue order."""
        table = self.table
        column = table.columns[table.column]
        if self.entry_list is not None:
            way = self.entry_list.sort(column.key)
            table.sorted_by = self.entry_list.sorted_by
            self.refill()
            self.owner.say(f"Sorted by {column.title}, {way}" if way else "In catalogue order")

    # The filter line: a pane with another list says what the line's text does ---------------

    @property
    def filter_text(self) -> str:
        """The filter in force."""
        return self.entry_list.expression if self.entry_list else ""

    def filter_typed(self, text: str) -> None:
        """Filter by the text of the filter line."""
        if self.entry_list is None:
            return
        if self.entry_list.typed(text):
            self.refill()
        else:
            self.head()

    def filter_accepted(self, text: str) -> bool:  # noqa: ARG002 - it was filtered by already
        """Keep the filter; False if it is wrong, which is reported."""
        problem = self.entry_list.problem if self.entry_list else None
        if problem:
            self.owner.say(problem.line(), "error")
        return problem is None

    def lift_filter(self) -> None:
        """Remove the filter and hide its line."""
        if self.entry_list is not None:
            self.entry_list.lift()
        self.close_filter()
        self.refill()

    async def action_filter(self) -> None:
        filter_line = next(iter(self.query("#filter").results(QueryLine)), None)
        if filter_line is None:
            filter_line = QueryLine(self.FILTER_HINT, id="filter")
            await self.mount(filter_line, after=self.query_one(HeadLine))
        # The list is what it filters; in a narrow window the page would hide it.
        self.remove_class("-reading")
        filter_line.display = True
        filter_line.value = self.filter_text
        filter_line.cursor_position = len(filter_line.value)
        filter_line.focus()

    def close_filter(self) -> None:
        """Hide the filter line; the filter stays."""
        for filter_line in self.query("#filter"):
            filter_line.display = False
        if self.entry_list is not None:
            self.entry_list.problem = None

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.display:
            self.filter_typed(event.value)

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.filter_accepted(event.value):
            self.close_filter()
            self.head()
            self.table.focus()

    @on(QueryLine.Left, "#filter")
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.action_move(event.by)

    @on(QueryLine.Cancelled, "#filter")
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.lift_filter()
        self.table.focus()

    def row_ids(self) -> Sequence[str]:
        """The ids of the rows of a list of entries, in order."""
        return [entry.id for entry in self.entry_list.shown] if self.entry_list else ()

    def action_match(self, by: int) -> None:
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

    def list_head(self) -> list[Span]:
        """The line over a list of entries: title, counts, filter, or what is wrong with it."""
        found = self.entry_list
        if found is None:
            return []
        total, shown = len(found.entries), len(found.shown)
        counts = f"  {shown}" if shown == total else f"  {shown} of {total}"
        spans = [Span(self.heading, "strong"), Span(counts, "dim")]
        if found.problem:
            spans = [Span(found.problem.line(), "dim" if found.unfinished else "error")]
        elif found.expression:
            spans += [Span("  filter ", "faint"), Span(found.expression, "ok")]
        return [*spans, *self.letter_hint]

    def action_copy_bibtex(self) -> None:
        from bioretrieval_tui.render.formats import render

        if self.current is None:
            return
        text = "".join(render(entry_sheet([self.current], self.catalogue), "bibtex"))
        if text.strip():
            self.owner.copy_text(text, "BibTeX")
        else:
            self.owner.say("There is nothing to cite here")

    def action_export(self) -> None:
        if self.entry_list is not None:
            shown = self.entry_list.shown
            make = partial(entry_sheet, shown, self.catalogue)
            self.owner.export_sheet(make, self.pane_name, len(shown))


class BrowsePane(Pane):
    """One section of the catalogue, by the name of the pane."""

    BINDINGS = bindings("browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("list", "browse", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name, name)
