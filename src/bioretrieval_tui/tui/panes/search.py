"""The Search pane: a query line, hits that appear while one types, and the page of a hit."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.hit_list import (
    BESIDE_COLUMNS,
    COLUMNS,
    BesideRows,
    FacetRows,
    HitRows,
    entry_hit_page,
    facet_columns,
    hit_page,
)
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.search_session import NOTHING, SearchSession, facet_values
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.input import AskLine, QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.backend.jobs import JobOutcome
    from bioretrieval_tui.catalog.models import AnyEntry

FILTER_HINT = "filter: year:2015.. mesh:asthma has:abstract -type:review"
WAITING = "Hits appear here as you type."
NONE = "No document fits."
EXPLAIN_PAUSE = 0.3
"""Seconds after which a hit under the cursor is explained."""
ROOMY = 140
"""Columns from which hits, facets and page fit side by side."""


class SearchPane(Pane):
    """A query line, hits, and the page of one; a filter line, facets and a second list on demand.

    `session` holds what is asked and shown; this class has the keys, the widgets and the painting.
    """

    BINDINGS = bindings("search")
    SCOPES: ClassVar[tuple[str, ...]] = ("search", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("ask",)
    DEFAULT_CSS = """
    SearchPane #filter, SearchPane #right, SearchPane #facets { display: none; }
    SearchPane.-narrowing #filter { display: block; }
    SearchPane.-beside #right { display: block; }
    SearchPane.-beside Detail, SearchPane.-wide.-beside Detail { display: none; }
    SearchPane.-beside.-reading #hits, SearchPane.-beside.-reading #right { display: none; }
    SearchPane.-beside.-reading Detail, SearchPane.-wide.-beside.-reading Detail {
        display: block; width: 1fr;
    }
    SearchPane.-facets #facets { display: block; width: 46; }
    SearchPane.-facets Detail, SearchPane.-wide.-facets Detail { display: none; }
    SearchPane.-facets.-reading #facets { display: none; }
    SearchPane.-wide #facets { width: 52; }
    SearchPane.-wide.-facets.-reading Detail { display: block; width: 55%; }
    SearchPane.-roomy.-facets Detail { display: block; width: 50%; }
    SearchPane.-roomy.-facets.-reading #facets { display: block; }
    SearchPane.-roomy.-facets.-reading Detail { display: block; width: 50%; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.session = SearchSession(self)
        self._explain_pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """The query line, the status line, and the lists with the page beside them."""
        yield AskLine("search: type a question, a claim, a topic", id="query")
        yield QueryLine(FILTER_HINT, id="filter")
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS, id="hits", empty=WAITING)
            yield VirtualTable(BESIDE_COLUMNS["dense"], id="right", empty=NONE)
            yield VirtualTable(facet_columns(0), id="facets", empty="No values.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Index the catalogue in the background, on this first need."""
        self.head()
        self.session.prepare()
        self.in_background("learn", self.session.learn)
        self.run_worker(self._load_queries, thread=True, group="history")

    def on_unmount(self) -> None:
        """Cancel what still waits for an answer: its screen is gone."""
        self.workers.cancel_node(self)

    def on_resize(self) -> None:
        """Show facets beside the page when there is room."""
        self.set_class(self.size.width >= ROOMY, "-roomy")

    def activate(self) -> None:
        """Focus the query line, or the hits if there are any."""
        if self.has_class("-reading"):
            self.detail.focus()
        elif self.session.shown.hits:
            self.list_of_hits.focus()
        else:
            self.line.focus()

    # Parts -------------------------------------------------------------------------------

    @property
    def line(self) -> AskLine:
        """The query line."""
        return self.query_one("#query", AskLine)

    @property
    def filter_line(self) -> QueryLine:
        """The line of the filter."""
        return self.query_one("#filter", QueryLine)

    @property
    def facet_list(self) -> VirtualTable:
        """The list of facets."""
        return self.query_one("#facets", VirtualTable)

    @property
    def list_of_hits(self) -> VirtualTable:
        """The list of hits in use, of one or two."""
        right = self.session.on_right and self.session.two_lists
        return self.query_one("#right" if right else "#hits", VirtualTable)

    @property
    def table(self) -> VirtualTable:
        """The list that keys move in."""
        return self.facet_list if self.facet_list.has_focus else self.list_of_hits

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The rows of the list in use."""
        return self.session.shown.hits

    @property
    def hit(self) -> Hit | None:
        """The hit under the cursor."""
        return self.hits[self.cursor] if 0 <= self.cursor < len(self.hits) else None

    @property
    def entry(self) -> AnyEntry | None:
        """The entry of the catalogue under the cursor, if the hit is one."""
        hit, view = self.hit, self.session.shown
        if hit is None or not (view.index == CATALOGUE or view.is_near(self.cursor)):
            return None
        return self.catalogue.by_id.get(hit.id)

    # What the session needs (SearchFace) -------------------------------------------------

    @property
    def cursor(self) -> int:
        """Row of the cursor in the list in use."""
        return self.list_of_hits.cursor

    def show_hits(self, cursor: int = 0) -> None:
        """Show one list, or two with the rank of each hit in the other."""
        session = self.session
        left, two = self.query_one("#hits", VirtualTable), session.two_lists
        left.empty = WAITING if session.view is NOTHING else NONE
        if two != self.has_class("-beside"):
            self.set_class(two, "-beside")
            left.set_columns(BESIDE_COLUMNS["lexical"] if two else COLUMNS)
            self.call_after_refresh(left.repaint)
        if two:
            left.show(BesideRows(session.view, session.right), cursor)
            right = self.query_one("#right", VirtualTable)
            right.show(BesideRows(session.right, session.view))
        else:
            left.show(HitRows(session.view), cursor)
        self._fill_facets()
        self.head()
        self._explain_soon()
        super().show_page()
        self._follow()

    def show_reason(self, document: str) -> None:
        """Show the page of a hit again where it was scrolled to: it is explained now."""
        if self.hit is not None and self.hit.id == document:
            self.page = self.make_page()
            self.detail.show(self.page.lines, keep_place=True)

    def opened_similar(self, document: str) -> None:
        """Similar documents are shown; `back` and escape return to the hit."""
        self.remove_class("-reading")
        self.owner.history.append((self.pane_name, document))
        self.list_of_hits.focus()

    # Painting ----------------------------------------------------------------------------

    def head(self) -> None:
        """Write the status line."""
        spans = [Span(*part) for part in self.session.status()]
        if self.letters and self.session.problem is None:
            spans = [*spans[:2], Span(f"   {self.letters}: type its letter, esc cancels", "warn")]
        self.query_one(HeadLine).show(*spans)

    def make_page(self) -> PaintedPage:
        """A document's text; an entry's page for hits of the catalogue."""
        hit = self.hit
        if hit is None:
            return PaintedPage(())
        query, why, entry = self.session.shown.text, self.session.reason(hit), self.entry
        if entry is None:
            return hit_page(hit, query, why)
        return entry_hit_page(entry, self.catalogue, hit, query, why)

    def show_page(self, *, lead: bool = False) -> None:
        """Show the page of the hit; explain it once the cursor rests."""
        super().show_page(lead=lead)
        if not lead:
            self._explain()

    def _explain_soon(self) -> None:
        self._explain(EXPLAIN_PAUSE)

    def _explain(self, after: float = 0.0) -> None:
        """Ask why the hit under the cursor was found, unless the cursor moves on before.

        Not while one types: comparing sentences takes ten times as long as a search, and the next
        search would have to wait for it.
        """
        if self._explain_pause:
            self._explain_pause.stop()
            self._explain_pause = None
        hit = self.hit
        if hit is None or not self.session.explainable(hit):
            return
        if after:
            self._explain_pause = self.set_timer(after, self._explain)
        elif not isinstance(self.app.focused, QueryLine):
            self.session.explain(hit)

    @on(VirtualTable.Moved, "#hits")
    @on(VirtualTable.Moved, "#right")
    def _follow(self) -> None:
        """Of two lists: put the other's cursor on the same document, where it has it."""
        session, hit = self.session, self.hit
        if hit is None or not session.two_lists:
            return
        view, name = (session.view, "#hits") if session.on_right else (session.right, "#right")
        places = [at for at, other in enumerate(view.hits) if other.id == hit.id]
        if places:
            other = self.query_one(name, VirtualTable)
            other.show(other.rows, places[0])

    # The query line ----------------------------------------------------------------------

    def action_query(self) -> None:
        """Type a query."""
        self.remove_class("-reading")
        self.line.focus()
        self.line.cursor_position = len(self.line.value)

    @on(Input.Changed, "#query")
    def _query_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.session.type(event.value)

    @on(Input.Submitted, "#query")
    def _query_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.session.accept()
        self._leave_line()

    @on(QueryLine.Left, "#query")
    def _query_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self._leave_line()
        if self.cursor:
            self.action_move(event.by)

    @on(QueryLine.Cancelled, "#query")
    def _query_cancelled(self, event: QueryLine.Cancelled) -> None:
        """Escape: cancel what is under way; the query stays."""
        event.stop()
        self.session.stop()
        self.session.tell()
        self._leave_line()

    @on(AskLine.NoneFound)
    def _no_earlier_query(self, event: AskLine.NoneFound) -> None:
        event.stop()
        self.owner.say("No earlier query is like that")

    def _leave_line(self) -> None:
        self.list_of_hits.focus()
        self._explain_soon()
        query = self.session.text.strip()
        if query and self.line.history.add(query):
            self.run_worker(partial(self._keep_query, query), thread=True, group="history")

    def _keep_query(self, query: str) -> None:
        try:
            self.owner.settings.keep_query(query)
        except BioRetrievalError as error:
            self.app.call_from_thread(self.owner.say, error.line(), "error")

    def _load_queries(self) -> None:
        """Load earlier queries, in a thread. A library that cannot be read is reported when a
        query is to be kept in it."""
        with contextlib.suppress(BioRetrievalError):
            queries = self.owner.settings.queries()
            self.app.call_from_thread(self.line.history.load, queries)

    # The filter and the facets -----------------------------------------------------------

    def action_narrow(self) -> None:
        """Open the line of the filter."""
        self.remove_class("-reading")
        self.add_class("-narrowing")
        line = self.filter_line
        line.value = self.session.where
        line.cursor_position = len(line.value)
        line.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-narrowing"):
            self.session.filter_by(event.value)

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.session.accept_filter(event.value):
            self._close_filter()

    @on(QueryLine.Left, "#filter")
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.list_of_hits.move_to(self.cursor + event.by)

    @on(QueryLine.Cancelled, "#filter")
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.session.lift_filter()
        self._close_filter()

    def _close_filter(self) -> None:
        had_focus = self.filter_line.has_focus
        self.remove_class("-narrowing")
        self.head()
        if had_focus:
            self.list_of_hits.focus()
            self._explain_soon()

    def action_facets(self) -> None:
        """Open or close the facets."""
        if self.has_class("-facets"):
            self._close_facets()
        elif self.session.two_lists:
            self.owner.say("Facets belong to one list: v closes the other")
        elif not self.session.view.answer.facets:
            self.owner.say("These hits have no years, journals or headings")
        else:
            self.remove_class("-reading")
            self.add_class("-facets")
            self._fill_facets()
            self.facet_list.focus()

    def _close_facets(self) -> None:
        had_focus = self.facet_list.has_focus
        self.remove_class("-facets")
        if had_focus:
            self.list_of_hits.focus()

    def _fill_facets(self) -> None:
        """Show the values of the hits; the cursor stays on its value."""
        if not self.has_class("-facets"):
            return
        table, answer, rows = self.facet_list, self.session.view.answer, self.facet_list.rows
        shown, at = facet_values(answer), table.cursor
        if isinstance(rows, FacetRows) and rows:
            clause = rows.values[at].clause
            at = next((n for n, one in enumerate(shown) if one.clause == clause), at)
        if not isinstance(rows, FacetRows) or shown:
            table.set_columns(facet_columns(answer.among))
        table.show(FacetRows(shown, self.session.where), at)
        table.repaint()

    def _take_facet(self) -> None:
        """Add the value under the cursor to the filter, or remove it."""
        rows, at = self.facet_list.rows, self.facet_list.cursor
        if not isinstance(rows, FacetRows) or not 0 <= at < len(rows):
            return
        self.session.toggle_facet(rows.values[at])
        if self.has_class("-narrowing"):
            self.filter_line.value = self.session.where

    @on(VirtualTable.Moved, "#facets")
    def _facet_moved(self, event: VirtualTable.Moved) -> None:
        """Another value is no other hit: the page stays."""
        event.stop()
        event.prevent_default()

    # Indexes and ways of searching -------------------------------------------------------

    async def action_next_index(self) -> None:
        """Search the next index."""
        name = await self.session.next_index()
        if name is not None:
            self.search_in(name)

    def search_in(self, name: str) -> None:
        """Search another index for what the query line holds."""
        self.session.search_in(name)
        self._close_filter()

    def job_ended(self, outcome: JobOutcome) -> None:
        """Leave an index that was removed. Hits of one that has changed stay: they must not move
        while one reads."""
        self.in_background("learn", self.session.learn)
        if outcome.removed == self.owner.index:
            self.search_in(CATALOGUE)

    def action_mode(self) -> None:
        """Hybrid, dense, BM25."""
        self.session.next_mode()

    def action_order(self) -> None:
        """Best first, or newest first."""
        self.session.next_order()

    def action_beside(self) -> None:
        """BM25 and dense side by side, or one list again."""
        if not self.session.text.strip():
            self.owner.say("Type a query first: press /")
            return
        self.session.beside = not self.session.beside
        self.session.prepare()
        self._close_facets()
        self.remove_class("-reading")
        self.session.send()
        self.list_of_hits.focus()

    def action_other_list(self) -> None:
        """tab, left, right."""
        if self.has_class("-reading"):
            self.leave()
        elif self.session.two_lists and not self.line.has_focus:
            self.session.on_right = not self.session.on_right
            self.list_of_hits.focus()
            self.show_page()
        elif self.has_class("-facets") and self.list_of_hits.has_focus:
            self.facet_list.focus()
        elif self.wide and self.list_of_hits.has_focus:
            self.detail.focus()
        else:
            self.list_of_hits.focus()

    def action_rerank(self) -> None:
        """Rerank the top hits."""
        self.session.rerank()

    def action_fetch(self) -> None:
        """Ask a service for what the query line holds."""
        own = self.owner.index if self.owner.index != CATALOGUE else ""
        self.owner.ask_what_to_fetch(query=self.session.text.strip(), index=own)

    # Similar documents -------------------------------------------------------------------

    def action_similar(self) -> None:
        """Documents similar to the hit under the cursor."""
        if self.hit is None:
            self.owner.say("There is no hit under the cursor")
        else:
            self.session.find_similar(self.hit, near=self.session.shown.is_near(self.cursor))

    def _return(self) -> None:
        """Show again what was shown before similar documents."""
        like, history = self.session.back(), self.owner.history
        if like is not None and history and history[-1] == (self.pane_name, like.id):
            history.pop()
        self.list_of_hits.focus()

    def place(self) -> str | None:
        """Where `back` returns to."""
        return self.hit.id if self.hit else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor back on a hit, or return from documents similar to it."""
        like = self.session.view.like
        if self.session.similar_open and like is not None and like.id == place:
            self._return()
            return
        for at, hit in enumerate(self.hits):
            if hit.id == place:
                self.list_of_hits.move_to(at)

    # Keys --------------------------------------------------------------------------------

    def action_enter(self) -> None:
        """Into the page; in the facets: add the value to the filter, or remove it."""
        if self.facet_list.has_focus:
            self._take_facet()
        else:
            super().action_enter()

    def action_clear(self) -> None:
        """One step out: of a mode, the page, the facets, a search, similar documents, a filter."""
        session = self.session
        if self.leave():
            return
        if self.has_class("-facets"):
            self._close_facets()
        elif session.busy:
            session.stop()
            session.tell()
        elif session.similar_open:
            self._return()
        elif session.beside:
            self.action_beside()
        elif session.where:
            session.lift_filter()
            self._close_filter()
        else:
            session.tell()

    def action_relations(self) -> None:
        """Related entries, for hits of the catalogue."""
        if self.entry is None:
            self.owner.say("Documents of an index have no relations")
        else:
            super().action_relations()

    def action_export(self) -> None:
        """Write the hits to a file."""
        view = self.session.shown
        stem = f"search-{view.index or self.owner.index}"
        self.owner.export_sheet(self.session.sheet, stem, len(view.answer.hits))
