"""The base of all panes: what the app calls, what a pane may call, and the list beside its page.

A pane says what its columns are (`COLUMNS`), what stands over the list (`list_head`) and what the
page of the row under the cursor is (`make_page`). The panes of `browse` list entries of the
catalogue.

An action that is not possible raises `UsageError`, and lets other errors pass: the app shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker

from bioretrieval_tui.actions import PANES, READING, Action, commands_in, key_of, keyed
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Entry
from bioretrieval_tui.errors import FilterError, UsageError
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.last_session import PaneState
from bioretrieval_tui.tui.pane_context import PaneContext
from bioretrieval_tui.tui.pane_layout import LEAST_TALL, PaneLayout, Zoom
from bioretrieval_tui.tui.spans import PaintedPage, letters, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.canvas import Detail, SideBySide
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import TableColumn, VirtualTable
from bioretrieval_tui.tui.work_lines import job_lines
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.render.comparison import Compared
    from bioretrieval_tui.render.page import Page
    from bioretrieval_tui.render.row_records import Chosen
    from bioretrieval_tui.shelf import ShelfMark
    from bioretrieval_tui.tui.qrels_session import QrelsSession
    from bioretrieval_tui.tui.search_session import SearchSession
    from bioretrieval_tui.tui.shelf_session import ShelfSession

_T = TypeVar("_T")
_LONGEST_FILTER = 40

SETTLED = 1.0
"""Seconds without a change after which the layout of a pane is kept."""
REST = 0.4
"""Seconds without a move of the cursor after which the page beside it is shown whole.

While the cursor moves, the page shows its lead only, and nothing new when the list itself had to
scroll: a key over SSH stays under 2 kB at 120x40.
"""


class Pane(Widget):
    """Base of the panes."""

    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; layout: vertical; }
    Pane Horizontal { height: 1fr; }
    Pane.-list Detail { display: none; }
    Pane.-list.-wide Detail, Pane.-list.-reading Detail { display: block; }
    Pane.-list.-reading VirtualTable { display: none; }
    Pane.-list.-wide.-reading VirtualTable { display: block; }
    """

    BLANK = True  # its parts cover it
    BINDINGS = bindings("list")
    SCOPES: ClassVar[tuple[str, ...]] = ("everywhere",)
    """Scopes of the registry whose keys work here, the most specific first."""
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ()
    """Scopes that work only in its dialogs: the help names them too."""
    TITLE: ClassVar[str] = ""
    """The title of a pane that has no digit."""
    COLUMNS: ClassVar[tuple[TableColumn, ...]] = ()
    EMPTY: ClassVar[str] = "No entry matches.\n\n{clear} clears the filter."
    LEAD: ClassVar[int] = 0
    """Columns that have the first of two lines of a row for themselves."""
    WIDE: ClassVar[int] = 100
    """Columns from which list and page stand side by side."""
    SHARE: ClassVar[int] = 45
    """Percent of the width that the list has there, or more where its columns need it."""
    SHOWS_WORK: ClassVar[Literal["", "runs", "jobs"]] = ""
    """What stands over the list while it runs: evaluations and trainings, or any job."""
    EXPLAINS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Terms and what they mean, for its help."""
    FILTER_HINT: ClassVar[str] = 'filter: words, "a phrase", year>=2023, params<=500M, -term'

    def __init__(self, name: str) -> None:
        super().__init__(id=f"pane-{name}", classes="-list" if "list" in self.SCOPES else "")
        self.pane_name = name
        self.page = PaintedPage(())
        self.entry_list = EntrySession((), self.catalogue)
        """The filtered and sorted list, empty in a pane that lists something else."""
        self.letters = ""
        """What the next letter chooses: "link", "related" or nothing."""
        self.place_before: str | None = None
        """Where the cursor was when the filter line was opened."""
        listed = "list" in self.SCOPES
        self.split = PaneLayout.of(self.owner.settings, name) if listed else PaneLayout()
        self._unkept: Timer | None = None
        """Runs until a change of `split` is kept."""
        self.typed = ""
        """The first of two letters."""
        self.filter_before = ""
        """The filter that was accepted before the line was opened."""
        self.reading: Worker[None] | None = None
        """Reads what is listed, for the first time: keys of the pane wait for it."""
        self._rest: Timer | None = None
        self._top = 0
        self._fitted: Size | None = None
        """The size of the app when the pane was told of its own last."""

    def compose(self) -> ComposeResult:
        yield HeadLine()
        if self.SHOWS_WORK:
            yield WorkBar()
        with SideBySide():
            yield self.make_table()
            yield Detail(rule=True)

    def make_table(self) -> VirtualTable:
        return VirtualTable(self.COLUMNS, empty=keyed(self.EMPTY), lead=self.LEAD)

    def on_mount(self) -> None:
        self.fit()  # a new widget may miss its first Resize, if it was measured before the layout
        if self.split.zoom == "page":
            self.split.zoom = ""
            self.call_after_refresh(self._zoom_to, "page")

    def on_unmount(self) -> None:
        if self._unkept:
            self._keep_layout()

    @property
    def owner(self) -> PaneContext:
        return cast(PaneContext, cast(Any, self.app))

    @property
    def catalogue(self) -> Catalogue:
        return self.owner.catalogue

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes whose keys work where the focus is, the most specific first."""
        page = "list" in self.SCOPES and self.is_mounted and self.detail.has_focus
        here = READING if page else ()
        return (*here, *self.SCOPES, commands_in(self.pane_name))

    @property
    def heading(self) -> str:
        return next((title for name, title, _ in PANES if name == self.pane_name), self.TITLE)

    def in_background(
        self, group: str, work: Callable[..., Coroutine[Any, Any, _T]], *args: Any
    ) -> Worker[_T]:
        """Run `work(...)` without blocking keys; it replaces what runs in the same group."""
        # A partial, not a coroutine: a coroutine that is replaced early would never be awaited.
        worker: Worker[_T] = self.run_worker(partial(work, *args), group=group, exclusive=True)
        return worker

    def after_paint(
        self, group: str, work: Callable[..., Coroutine[Any, Any, _T]], *args: Any
    ) -> Worker[_T]:
        """As `in_background`, once what is shown now is painted: an import would hold it up."""

        async def waiting() -> _T:
            painted = asyncio.Event()
            self.call_after_refresh(painted.set)
            with suppress(TimeoutError):  # Textual forgets it where a callback before it fails
                await asyncio.wait_for(painted.wait(), REST)
            return await work(*args)

        return self.in_background(group, waiting)

    def activate(self) -> None:
        """Focus the list, or the page where it is being read: the pane was shown."""
        (self.detail if self.has_class("-reading") else self.table).focus()

    def begin(self) -> None:
        """Do what one comes for: the pane was chosen by its key."""

    def ids(self) -> Sequence[str]:
        return [entry.id for entry in self.entry_list.shown]

    def place(self) -> str | None:
        """The id of the row under the cursor: where `back` returns to within this pane."""
        ids = self.ids()
        return self.table.at_cursor(ids) if ids else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on what `place` gave."""
        if place in (ids := self.ids()):
            self.table.show(self.table.rows, ids.index(place))
            self.show_page()

    def footer_place(self, action: Action) -> int:
        """The place of a key in the bottom line; 0 for none."""
        return action.footer

    def chosen_rows(self) -> Sequence[Chosen]:
        """What a picker prints: the marked rows, or the one under the cursor."""
        marked = list(self.owner.marks.held(self.kind).values()) if self.kind else []
        found = [one if isinstance(one, Entry) else one.record.id for one in marked]
        thing = [] if self.thing is None else [self.thing]
        return cast("Sequence[Chosen]", found or thing)

    @property
    def thing(self) -> Chosen | None:
        """What stands under the cursor."""
        return self.current

    def state(self) -> PaneState:
        """What the next session begins with: filter, order and the row under the cursor."""
        found = self.entry_list
        kept = {"place": self.place() or "", "filter": found.filter}
        if found.sorted_by:
            kept |= {"sort": found.sorted_by[0], "reverse": "yes" * found.sorted_by[1]}
        return {name: value for name, value in kept.items() if value}

    def recall(self, state: PaneState) -> None:
        """Show a filter that was saved."""
        self.close_filter()
        self.restore(state)
        self.remove_class("-reading")
        self.table.focus()

    def restore(self, state: PaneState) -> None:
        """Show what `state` told, as far as it is there still."""
        if (place := state.get("place")) in self.ids():
            self.go_to(place)

    def jobs_changed(self) -> None:
        for bar in self.query(WorkBar):
            any_kind = self.SHOWS_WORK == "jobs"
            bar.show(job_lines(self.owner.jobs, self.app.size.width, any_kind=any_kind))

    def job_ended(self, outcome: JobRecord) -> None:
        """Show the outcome of a job."""

    def found_changed(self) -> None:
        """Show what an online search found, or its end."""

    # The list and its page ---------------------------------------------------------------

    @property
    def table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def wide(self) -> bool:
        """The page stands beside the list."""
        return bool(self.list_width)

    @property
    def list_width(self) -> int:
        """Columns of the list beside its page; 0 where one of them is shown at a time."""
        table, tall = self.query(VirtualTable).first(), self.app.size.height >= LEAST_TALL
        return self.split.list_width(table, self.app.size.width, self.WIDE, self.SHARE, tall=tall)

    def on_resize(self) -> None:
        if self._fitted != self.app.size:  # else it is only shown again
            self._fitted = self.app.size
            self.fit()

    def fit(self) -> None:
        """Arrange the parts for the size of the app."""
        self.jobs_changed()
        if not self.has_class("-list"):
            return
        cells, (width, height) = self.list_width, self.app.size
        self.set_class(bool(cells), "-wide")
        self.page_part.styles.width = width - cells if cells else "1fr"
        for table in self.query(VirtualTable):
            tall = height >= LEAST_TALL and (bool(cells) or table.titled)
            if tall != table.tall:
                table.tall = tall
                table.update()

    @property
    def page_part(self) -> Widget:
        """What stands beside the list."""
        return self.detail

    def make_page(self) -> PaintedPage:
        """The page of the row under the cursor; an empty one where there is no row."""
        from bioretrieval_tui.render.entries import entry_page

        if self.current is None:
            return PaintedPage(())
        page = entry_page(self.current, self.catalogue)
        if mark := self.owner.shelf.shelf.entry(self.current.id):
            from bioretrieval_tui.render.shelf_items import with_mark

            page = with_mark(page, mark)
        return paint(self.completed(page, self.current.id))

    def completed(self, page: Page, identifier: str) -> Page:  # noqa: ARG002 - for a pane that adds
        """The page of an entry with what else is known of it."""
        return page

    def head(self) -> None:
        spans = self.list_head()
        if "marking" in self.SCOPES and not self.entry_list.problem:
            count = self.owner.marks.count(self.kind)
            more = f", {key_of('compare')} compares" if count > 1 else ""
            spans.insert(1, Span(f"  {count} marked{more}" if count else "", "ok"))
        if self.letters:
            what = f"{self.typed} and its second letter" if self.typed else "type its letter"
            spans = [*spans, Span(f"   {self.letters}: {what}, {key_of('clear')} cancels", "warn")]
        self.query_one(HeadLine).show(*spans)

    def list_head(self) -> list[Span]:
        """The line over the list: here title, counts, filter, or what is wrong with it."""
        found = self.entry_list
        if found.problem:
            wrong = type(found.problem) is FilterError  # else it is only incomplete
            return [Span(found.problem.line(), "error" if wrong else "dim")]
        total, shown = len(found.entries), len(found.shown)
        counts = f"  {shown}" if shown == total else f"  {shown} of {total}"
        spans = [Span(self.heading, "strong"), Span(counts, "dim")]
        if found.filter:
            spans += [Span("  filter ", "faint"), Span(found.filter, "ok")]
        return spans

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        if self._rest:
            self._rest.stop()
        before, self._top = self._top, event.table.top
        if before == self._top:  # the list did not scroll
            # The cursor is painted first: making a page takes longer than a frame may.
            self.call_after_refresh(self.show_page, lead=True)
        self._rest = self.set_timer(REST, self.show_page)

    @on(VirtualTable.Chosen)
    def _chosen(self) -> None:
        self.action_enter()

    @on(VirtualTable.HeaderClicked)
    def _header_clicked(self, event: VirtualTable.HeaderClicked) -> None:
        if event.table is self.sortable:
            self.action_sort()

    @property
    def sortable(self) -> VirtualTable | None:
        """The list that `sort` sorts."""
        return None

    def action_sort(self) -> None:
        raise UsageError("There is nothing to sort here")

    def show_page(self, *, lead: bool = False) -> None:
        """Show the page of the row under the cursor, or its lead only."""
        self.page = self.make_page()
        lines = self.page.lines[: self.page.lead] if lead else self.page.lines
        # A page that is shown already is left where it was scrolled to.
        sections = () if lead else self.page.sections
        self.detail.show(lines, sections, keep_place=lines == self.detail.lines)

    def _settle(self) -> None:
        if self._rest:
            self._rest.stop()
        self.show_page()

    def action_move(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_edge(self, by: int) -> None:
        self.table.move_to(0 if by < 0 else len(self.table.rows) - 1)

    def action_to_row(self, number: int) -> None:
        self.table.move_to(number - 1)

    def action_centre(self) -> None:
        self.table.centre()

    def action_enter(self) -> None:
        """Open the page; there: half a page down."""
        if self.detail.has_focus:
            self.detail.action_scroll_half(1)
        elif len(self.table.rows):
            self._settle()
            self.add_class("-reading")
            self.detail.focus()
        else:
            raise UsageError("There is no row here")

    def leave(self) -> bool:
        """Stop waiting for a letter, leave the page, or show both again; False if there was nothing
        to leave."""
        if self.letters:
            self.letters = self.typed = ""
            self.head()
        elif self.split.zoom and (self.split.zoom == "page" or not self.has_class("-reading")):
            self._zoom_to("")
        elif self.has_class("-reading"):
            self.remove_class("-reading")
            self.table.focus()
        else:
            return False
        return True

    def action_clear(self) -> None:
        if not self.leave() and (self.entry_list.filter or self.entry_list.problem):
            self.lift_filter()

    # The border between list and page ------------------------------------------------------

    def action_split(self, by: int) -> None:
        cells = self.list_width
        if not cells:
            raise UsageError("No page stands beside the list here")
        before = self.split.share
        self.split.move(by, cells, self.app.size.width)
        if by < 0 and self.list_width == cells:
            self.split.share = before
            fewer = f"; {key_of('columns')} chooses fewer" if "browse" in self.SCOPES else ""
            raise UsageError(f"The columns of the list need this width{fewer}")
        self._arranged()

    def action_zoom(self) -> None:
        """The page alone, then the list alone, then both. One is alone in a narrow window."""
        if not (self.wide or self.split.zoom):
            if not self.leave():
                self.action_enter()
            return
        if not self.split.zoom:
            self._zoom_to("page" if len(self.table.rows) else "list")
        else:
            self._zoom_to("list" if self.split.zoom == "page" else "")

    def _zoom_to(self, zoom: Zoom) -> None:
        self.split.zoom = zoom
        self._arranged()
        if zoom != "page":
            self.remove_class("-reading")
            self.table.focus()
        elif not self.has_class("-reading"):
            self.action_enter()

    def _arranged(self) -> None:
        self.fit()
        if self._unkept:
            self._unkept.stop()
        self._unkept = self.set_timer(SETTLED, self._keep_layout)

    def _keep_layout(self) -> None:
        self._unkept = None
        self.split.keep(self.owner.settings, self.pane_name)

    def action_section(self, by: int) -> None:
        """Go to the next or previous section of the page."""
        self._settle()
        if not (self.wide or self.has_class("-reading")):
            self.action_enter()
        self.detail.jump(by)

    # Links and relations -------------------------------------------------------------------

    def _first_link(self) -> str:
        self._settle()
        if not self.page.links:
            raise UsageError("There is no link here")
        return self.page.links[0][1]

    def action_open(self) -> None:
        self.owner.desktop.open(self._first_link())

    def action_copy_link(self) -> None:
        self.owner.desktop.copy(self._first_link(), "link")

    def action_letter(self, what: str) -> None:
        """Wait for the letter of a link (`what` is "link") or of an entry ("related")."""
        self._settle()
        page = self.page
        first, count = page.links_at, len(page.links)
        if what == "related":
            first, count = page.jumps_at, len(page.jumps)
        if not count:
            raise UsageError(f"There are no {'links' if what == 'link' else 'relations'} here")
        self.letters = what
        self.head()
        if not (self.wide or self.has_class("-reading")):
            self.action_enter()  # the letters stand in the page
        self.detail.reveal(max(0, first - 1), first + count - 1)

    def on_key(self, event: events.Key) -> None:
        """Follow the letter after `l` or `r`; until then, arrows scroll to letters further down."""
        half = max(1, self.detail.size.height // 2) if self.letters else 0
        scrolls = {"down": 1, "up": -1, "pagedown": half, "pageup": -half}
        if not self.letters or not (event.is_printable or event.key in scrolls):
            return
        event.stop()
        event.prevent_default()
        if event.key in scrolls:
            self.detail.scroll_rows(scrolls[event.key])
            return
        what, typed = self.letters, self.typed + (event.character or "")
        targets: Sequence[object] = self.page.links if what == "link" else self.page.jumps
        marks = letters(len(targets))
        if any(mark != typed.lower() and mark.startswith(typed.lower()) for mark in marks):
            self.typed = typed
            self.head()
            return
        self.letters = self.typed = ""
        self.head()
        if typed.lower() not in marks:
            raise UsageError(f"No {what} has the letter{'s' * (len(typed) > 1)} {typed}")
        index = marks.index(typed.lower())
        if what == "related":
            self.owner.jump(self.page.jumps[index])
        elif typed != typed.lower():
            self.owner.desktop.copy(self.page.links[index][1], "link")
        else:
            self.owner.desktop.open(self.page.links[index][1])

    # Rows ----------------------------------------------------------------------------------

    @property
    def current(self) -> AnyEntry | None:
        """The entry under the cursor, where the rows are entries."""
        return self.table.at_cursor(self.entry_list.shown)

    def refill(self, keep: str | None = None) -> None:
        """Show the rows again; the cursor stays on `keep` (or where it was) if that is shown."""

    # Marked rows -------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """The kind of the rows: what one of them can be compared with."""
        return ""

    @property
    def markable(self) -> Compared | None:
        """What the row under the cursor stands for."""
        return self.current

    def marks_changed(self) -> None:
        """Show which rows are marked."""
        if "marking" in self.SCOPES:
            self.table.update()
            self.head()

    def action_mark_row(self) -> None:
        thing, identifier = self.markable, self.place()
        if thing is None or identifier is None:
            raise UsageError("There is no row to mark")
        self._change_marks(self.owner.marks.toggle, self.kind, identifier, thing)
        self.action_move(1)

    def action_unmark(self) -> None:
        self._change_marks(self.owner.marks.clear, self.kind)

    def _change_marks(self, change: Callable[..., None], kind: str, *args: object) -> None:
        """Change the marks of a kind; `undo` brings back those that go."""
        marks = self.owner.marks
        before = marks.held(kind)
        change(kind, *args)
        if (gone := len(before) - marks.count(kind)) > 0:
            what = f"{plural(gone, 'row')} unmarked"
            self.owner.undo.add(what, partial(self._mark_again, kind, before))
        self.owner.marks_changed()

    def _mark_again(self, kind: str, held: dict[str, Compared]) -> None:
        self.owner.marks.put(kind, held)
        self.owner.marks_changed()

    def action_compare(self) -> None:
        self.owner.compare(self.kind)

    # The shelf ---------------------------------------------------------------------------

    def noted(self) -> ShelfMark | None:
        """The row under the cursor as a thing to keep. Raises UsageError: it cannot be kept."""
        from bioretrieval_tui.render.shelf_items import entry_mark, hit_mark

        thing = self.thing
        if isinstance(thing, Entry):
            return entry_mark(thing)
        return None if thing is None or isinstance(thing, str) else hit_mark(thing, self.catalogue)

    def shelf_changed(self) -> None:
        """Show what is starred and noted now."""
        if "noting" in self.SCOPES:
            self.table.update()
            self.show_page()

    async def action_star(self) -> None:
        thing = self.noted()
        await self.owner.shelf.star([thing] if thing else [])

    def action_note(self) -> None:
        self.owner.shelf.ask_for_note(self.noted())

    def action_column(self, by: int) -> None:
        self.table.move_column(by)

    # The filter line -----------------------------------------------------------------------

    @property
    def filtered(self) -> EntrySession | QrelsSession | SearchSession | ShelfSession:
        """What the filter line narrows."""
        return self.entry_list

    def lift_filter(self, keep: str | None = None) -> None:
        """Clear the filter; `undo` brings it back."""
        self._keep_filter(self.filtered.filter, "cleared")
        self.put_filter("", keep)

    def put_filter(self, text: str, keep: str | None = None) -> None:
        self.filtered.filter_by(text, whole=True)
        self.close_filter()
        self.refill(keep)

    def filter_back(self, text: str) -> Callable[[], object]:
        """What puts a filter of the present list in force again."""
        return partial(self.put_filter, text)

    def _keep_filter(self, text: str, done: str) -> None:
        if text.strip():
            what = f"filter {shortened(text, _LONGEST_FILTER)} {done} in {self.heading}"
            self.owner.undo.add(what, self.filter_back(text))

    async def action_filter(self) -> None:
        filter_line = next(iter(self.query("#filter").results(QueryLine)), None)
        if filter_line is None:
            filter_line = QueryLine(self.FILTER_HINT, id="filter")
            await self.mount(filter_line, after=self.query_one(HeadLine))
        # The list is what it filters; in a narrow window the page would hide it.
        self.remove_class("-reading")
        self.place_before = self.place()
        filter_line.display = True
        filter_line.value = self.filter_before = self.filtered.filter
        filter_line.resume()

    def close_filter(self) -> None:
        """Hide the filter line; the filter stays."""
        self.query("#filter").set(display=False)
        self.entry_list.problem = None

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        if event.input.display:
            self.filtered.filter_by(event.value)
            # Not where the cursor is: a half-typed filter may have put it anywhere.
            self.refill(self.place_before)

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        self.filtered.filter_by(event.value, whole=True)
        if self.filtered.filter != self.filter_before:
            self._keep_filter(self.filter_before, "replaced" if event.value else "cleared")
        self.close_filter()
        self.head()
        self.table.focus()

    @on(QueryLine.Left, "#filter")
    def _filter_left(self, event: QueryLine.Left) -> None:
        self.action_move(event.by)
        self.place_before = self.place()

    @on(QueryLine.Cancelled, "#filter")
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        """Undo the edit: the accepted filter is in force again. Without an edit, clear it."""
        if event.line.value == self.filter_before:
            self.lift_filter(self.place_before)
        else:
            self.put_filter(self.filter_before, self.place_before)
        self.table.focus()
