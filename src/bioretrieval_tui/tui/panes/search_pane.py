"""The Search pane: a query line, hits that appear while one types, and the page of a hit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.search.types import MODES, ORDERS, SCORE_MEANINGS, Hit
from bioretrieval_tui.settings import LAST_INDEX
from bioretrieval_tui.tui import hit_list
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.facets import FacetValue, clause_in, facet_values
from bioretrieval_tui.tui.last_session import PaneState
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.search_session import NOTHING, SearchSession
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span, publications
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Detail, SideBySide
from bioretrieval_tui.tui.widgets.input import AskLine, QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.catalog.models import AnyEntry
    from bioretrieval_tui.render.row_records import Chosen
    from bioretrieval_tui.shelf import ShelfMark

WAITING = "Hits appear here as you type."
NONE = "No document matches."
NONE_YET = "No document has a term of the query."
EXPLAIN_PAUSE = 0.3
"""Seconds without a move of the cursor after which a hit is explained."""
FACETS_WIDTH = 46
"""Columns of the facets in a narrow window; see `DEFAULT_CSS`."""
FACET_PANEL = 52
"""Columns of the facets in a wide window."""
THREE_PARTS = 140
"""Columns from which hits, facets and page fit side by side."""


class HeadingSuggester(Suggester):
    """Headings of MeSH in a filter: grey behind the cursor, which `right` takes."""

    def __init__(self, session: SearchSession) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._session = session

    async def get_suggestion(self, value: str) -> str | None:
        return await self._session.offer(value)


class SearchPane(Pane):
    """A query line, hits, and the page of one; a filter line, facets and a second list on demand.

    `session` holds the query and the hits; this class has the keys, the widgets and the painting.
    """

    BINDINGS = bindings("search", "noting")
    SCOPES = ("search", "noting", "list", "everywhere")
    MORE_SCOPES = ("facets", "ask")
    DEFAULT_CSS = """
    SearchPane #filter, SearchPane #right, SearchPane #facet-panel { display: none; }
    SearchPane.-beside #right { display: block; }
    SearchPane.-beside Detail { display: none; }
    SearchPane.-beside.-reading #hits, SearchPane.-beside.-reading #right { display: none; }
    SearchPane.-beside.-reading Detail { display: block; }
    SearchPane.-facets #facet-panel { display: block; width: 46; }
    SearchPane.-facets Detail, SearchPane.-wide.-facets Detail { display: none; }
    SearchPane.-facets.-reading #facet-panel { display: none; }
    SearchPane.-wide #facet-panel { width: 52; }
    SearchPane.-wide.-facets.-reading Detail, SearchPane.-three.-facets Detail { display: block; }
    SearchPane.-three.-facets.-reading #facet-panel,
    SearchPane.-three.-facets.-reading #facets { display: block; }
    """

    EXPLAINS = tuple(SCORE_MEANINGS.items())

    FILTER_HINT = "filter: year:2015.. mesh:asthma has:abstract -type:review"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.session = SearchSession(self)
        self.line = AskLine("search: type a question, a claim, a topic", id="query")
        self.filter_line = QueryLine(self.FILTER_HINT, id="filter")
        self.filter_line.suggester = HeadingSuggester(self.session)
        self.left = VirtualTable(hit_list.HIT_COLUMNS, id="hits", empty=WAITING, lead=2)
        self.right = VirtualTable(hit_list.BESIDE_COLUMNS["dense"], id="right", empty=NONE, lead=2)
        self.facet_list = VirtualTable(hit_list.FACET_COLUMNS, id="facets", empty="No values.")
        self.counted, self.years = HeadLine(), HeadLine()
        """What the facets count, and how many of the hits each year has."""
        self.facets: list[FacetValue] = []
        """What the list of facets shows."""

    def compose(self) -> ComposeResult:
        yield self.line
        yield self.filter_line
        yield HeadLine()
        with SideBySide():
            yield self.left
            yield self.right
            with Vertical(id="facet-panel"):
                yield self.counted
                yield self.years
                yield self.facet_list
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Load the model in the background, now that it is needed."""
        self.head()
        self.session.prepare()
        self.after_paint("learn", self.session.learn)
        self.after_paint("history", self._load_queries)

    def fit(self) -> None:
        super().fit()
        width = self.app.size.width
        three = self.wide and width >= THREE_PARTS
        self.set_class(three, "-three")
        if three and self.has_class("-facets"):
            left = width - FACET_PANEL
            self.detail.styles.width = left * (width - self.list_width) // width

    @property
    def list_width(self) -> int:
        return 0 if self.session.two_lists else super().list_width

    def activate(self) -> None:
        if self.has_class("-reading"):
            self.detail.focus()
        else:
            asked = self.hits or self.line.value.strip()
            (self.list_of_hits if asked else self.line).focus()

    def begin(self) -> None:
        """Take a query, which replaces the last one; a page that is read stays."""
        if not self.has_class("-reading"):
            self.action_query()

    @property
    def list_of_hits(self) -> VirtualTable:
        return self.right if self.session.on_right and self.session.two_lists else self.left

    @property
    def table(self) -> VirtualTable:
        return self.facet_list if self.facet_list.has_focus else self.list_of_hits

    @property
    def scopes(self) -> tuple[str, ...]:
        known = super().scopes
        return ("facets", *known) if self.facet_list.has_focus else known

    @property
    def hits(self) -> tuple[Hit, ...]:
        return self.session.shown.hits

    @property
    def hit(self) -> Hit | None:
        return self.list_of_hits.at_cursor(self.hits)

    @property
    def entry(self) -> AnyEntry | None:
        """The entry of the catalogue under the cursor, if the hit is one."""
        hit, view = self.hit, self.session.shown
        if hit is None or (view.index_of(hit) != CATALOGUE and not view.is_near(self.cursor)):
            return None
        return self.catalogue.by_id.get(hit.id)

    # What the session calls -------------------------------------------------------------

    @property
    def cursor(self) -> int:
        return self.list_of_hits.cursor

    def show_hits(self, cursor: int = 0) -> None:
        """Show one list, or two with the rank of each hit in the other."""
        session, left = self.session, self.left
        left.empty = NONE_YET if session.view.answer.pending else NONE
        left.empty = WAITING if session.view is NOTHING else left.empty
        if session.two_lists != self.has_class("-beside"):
            self.set_class(session.two_lists, "-beside")
            self.fit()
        columns = hit_list.columns_of(session.view, session.right)
        if left.columns != columns:
            left.set_columns(columns)
            # A second line for the rank in the other list alone would be wasted.
            left.lead = self.right.lead = 2 if len(columns) > 3 else 0
            self.right.set_columns(hit_list.columns_of(session.right, session.view, "dense"))
            self.call_after_refresh(left.repaint)
        left.show(hit_list.hit_rows(session.view, session.right, self._mark_of), cursor)
        if session.two_lists:
            self.right.show(hit_list.hit_rows(session.right, session.view, self._mark_of))
        self._fill_facets()
        self.head()
        self._explain(EXPLAIN_PAUSE)
        super().show_page()
        self._follow()

    def show_reason(self, hit: Hit) -> None:
        """Show the page of a hit again, where it was scrolled to, with its explanation."""
        if self.hit is not None and self.hit.key == hit.key:
            self.page = self.make_page()
            self.detail.show(self.page.lines, keep_place=True)

    def opened_similar(self, document: str) -> None:
        """Show the hits similar to this document; `back` and escape return to it."""
        self.remove_class("-reading")
        self.owner.history.append((self.pane_name, document))
        self.list_of_hits.focus()

    def head(self) -> None:
        self.query_one(HeadLine).at_least = 4 if self.session.problem else 1  # it is shown whole
        super().head()

    def list_head(self) -> list[Span]:
        spans = [Span(*part) for part in self.session.status()]
        return spans[:2] if self.letters else spans

    def make_page(self) -> PaintedPage:
        hit, query = self.hit, self.session.shown.text
        if hit is None:
            return PaintedPage(())
        why = self.session.reasons.get(hit.key)
        mark, entry = self._mark_of(self.cursor, hit), self.entry
        if entry is None:
            return hit_list.hit_page(hit, query, why, mark=mark)
        return hit_list.entry_hit_page(entry, self.catalogue, hit, query, why, mark)

    def _mark_of(self, at: int, hit: Hit) -> ShelfMark | None:
        view = self.session.shown
        entry = view.index_of(hit) == CATALOGUE or view.is_near(at)
        return self.owner.shelf.of_hit(hit, entry=entry)

    def recall(self, state: PaneState) -> None:
        super().recall(state)
        self.session.text = self.line.value
        self.session.send()

    def show_page(self, *, lead: bool = False) -> None:
        """Show the page of the hit; explain it once the cursor rests."""
        super().show_page(lead=lead)
        if not lead:
            self._explain()

    def _explain(self, after: float = 0.0) -> None:
        """Ask `after` seconds without a move why the hit under the cursor was found."""
        if self.hit is not None:
            self.session.explain(self.hit, after)

    @property
    def typing(self) -> bool:
        return isinstance(self.app.focused, QueryLine)

    @on(VirtualTable.Moved, "#hits")
    @on(VirtualTable.Moved, "#right")
    def _follow(self) -> None:
        """Put the cursor of the other list on the same document, if the list has it."""
        session, hit = self.session, self.hit
        if hit is None or not session.two_lists:
            return
        view, other = (session.view, self.left) if session.on_right else (session.right, self.right)
        at = next((at for at, one in enumerate(view.hits) if one.key == hit.key), other.cursor)
        other.show(other.rows, at)

    # The query line ----------------------------------------------------------------------

    def action_query(self) -> None:
        self.remove_class("-reading")
        self.line.resume()

    @on(Input.Changed, "#query")
    def _query_changed(self, event: Input.Changed) -> None:
        self.session.type(event.value)

    @on(QueryLine.Joined, "#query")
    def _query_joined(self, event: QueryLine.Joined) -> None:
        event.stop()
        rest = self.session.unread(event.line.value)
        self.owner.say(f"Pasted {event.by} lines as one query{rest}")

    @on(Input.Submitted, "#query")
    def _query_submitted(self) -> None:
        self.session.accept()
        self._leave_line()

    @on(QueryLine.Left, "#query")
    def _query_left(self, event: QueryLine.Left) -> None:
        self._leave_line()
        if self.cursor:
            self.action_move(event.by)

    @on(QueryLine.Cancelled, "#query")
    def _query_cancelled(self) -> None:
        """Return to the query that was edited; the first one has none before it: it is searched."""
        before = self.session.before
        first = before is not None and not before[0].strip()
        if not first:
            self.session.stop()
        self._leave_line()  # what was typed can be recalled
        if first:
            self.session.accept()
        elif before is not None:
            self.session.take_back(*before)
            self.line.put(self.session.text)

    @on(AskLine.NoneFound)
    def _no_earlier_query(self) -> None:
        raise UsageError("No earlier query matches")

    def _leave_line(self) -> None:
        self.list_of_hits.focus()
        self._explain(EXPLAIN_PAUSE)
        self.session.before = None
        query = self.session.text.strip()
        if query and self.line.remember(query):
            self.in_background("keep", asyncio.to_thread, self.owner.settings.keep_query, query)

    async def _load_queries(self) -> None:
        # An unreadable settings file is reported when a query is written to it.
        with contextlib.suppress(BioRetrievalError):
            self.line.load(await asyncio.to_thread(self.owner.settings.queries))

    # The filter and the facets -----------------------------------------------------------

    @property
    def filtered(self) -> SearchSession:
        return self.session

    def refill(self, keep: str | None = None) -> None:  # noqa: ARG002 - hits come by themselves
        self.head()

    def close_filter(self) -> None:
        had_focus = self.filter_line.has_focus
        super().close_filter()
        self.session.offered = ()
        self.head()
        if had_focus:
            self.list_of_hits.focus()
            self._explain(EXPLAIN_PAUSE)

    def action_facets(self) -> None:
        if self.has_class("-facets"):
            self._close_facets()
        elif self.session.two_lists:
            raise UsageError("Facets belong to one list: v closes the other")
        elif not self.session.view.answer.facets:
            raise UsageError("These hits have no years, journals or headings")
        else:
            self.remove_class("-reading")
            self.add_class("-facets")
            self.fit()
            self._fill_facets()
            self.facet_list.focus()

    def _close_facets(self) -> None:
        had_focus = self.facet_list.has_focus
        self.remove_class("-facets")
        self.fit()
        if had_focus:
            self.list_of_hits.focus()

    def _fill_facets(self) -> None:
        """Show the values of the hits; the cursor stays on its value."""
        if not self.has_class("-facets"):
            return
        table, answer = self.facet_list, self.session.view.answer
        at, clause = table.cursor, self.facets[table.cursor].clause if self.facets else ""
        self.facets = facet_values(answer)
        at = next((n for n, one in enumerate(self.facets) if one.clause == clause), at)
        told = hit_list.counted_in(answer.among, self.session.widened)
        if any(clause_in(self.session.filter, one.clause) for one in self.facets):
            told += "  ● in the filter"
        self.counted.show(Span(told, "dim"))
        years = publications((hit.year for hit in answer.hits), FACETS_WIDTH - 2)
        self.years.show(*years)
        self.years.display = bool(years)
        table.show(hit_list.facet_rows(self.facets, self.session.filter), at)
        table.repaint()

    @on(VirtualTable.Moved, "#facets")
    def _facet_moved(self, event: VirtualTable.Moved) -> None:
        event.prevent_default()  # the hit under the cursor is the same

    async def action_choose_index(self) -> None:
        from bioretrieval_tui.tui.dialogs.index_dialog import IndexDialog

        session = self.session

        def chosen(names: Sequence[str] | None) -> None:
            if names and tuple(names) != session.names:
                self.search_in(*names)

        dialog = IndexDialog(await session.choices(), session.names, session.state_of)
        self.app.push_screen(dialog, chosen)

    def search_in(self, name: str, *also: str) -> None:
        self.session.search_in(name, *also)
        self.close_filter()
        if name != CATALOGUE:
            self.owner.settings.set_setting(LAST_INDEX, name)

    @property
    def thing(self) -> Chosen | None:
        return self.entry or self.hit

    def state(self) -> PaneState:
        session = self.session
        kept = {"query": session.text.strip(), "filter": session.filter, "mode": session.mode,
                "order": session.order, "indexes": "\n".join(session.names)}  # fmt: skip
        return {name: value for name, value in kept.items() if value}

    def restore(self, state: PaneState) -> None:
        from bioretrieval_tui.index.registry import index_names

        session, known = self.session, {CATALOGUE, *index_names()}
        session.mode = next((one for one in MODES if one == state.get("mode")), session.mode)
        session.order = next((one for one in ORDERS if one == state.get("order")), session.order)
        session.filter = state.get("filter", "")
        names = [one for one in state.get("indexes", "").split("\n") if one in known]
        if names and tuple(names) != session.names:
            session.search_in(*names)
        self.line.put(state.get("query", ""))

    def job_ended(self, outcome: JobRecord) -> None:
        """Leave an index that was removed. Hits of a changed index stay as they are while they are
        read."""
        self.session.forget(outcome.job.target)
        self.in_background("learn", self.session.learn)
        names = self.session.names
        if outcome.removed in names:
            left = [name for name in names if name != outcome.removed]
            self.search_in(*(left or [CATALOGUE]))

    def action_mode(self) -> None:
        self.session.next_mode()

    def action_order(self) -> None:
        self.session.next_order()

    def action_beside(self) -> None:
        if not self.session.text.strip():
            raise UsageError(f"Type a query first: press {key_of('query')}")
        self.session.beside = not self.session.beside
        self.session.prepare()
        self._close_facets()
        self.remove_class("-reading")
        self.session.send()
        self.list_of_hits.focus()

    def action_other_list(self) -> None:
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
        self.session.rerank()

    def action_fetch(self) -> None:
        own = self.owner.index if self.owner.index != CATALOGUE else ""
        self.owner.job_session.ask_what_to_fetch(query=self.session.text.strip(), index=own)

    def action_similar(self) -> None:
        if self.hit is None:
            raise UsageError("There is no hit under the cursor")
        self.session.find_similar(self.hit, near=self.session.shown.is_near(self.cursor))

    def _return(self) -> None:
        like, history = self.session.back(), self.owner.history
        if like is not None and history[-1:] == [(self.pane_name, like.id)]:
            history.pop()
        self.list_of_hits.focus()

    def place(self) -> str | None:
        return self.hit.id if self.hit else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor back on a hit, or return from documents similar to it."""
        like = self.session.view.like
        if like is not None and like.id == place:
            self._return()
        elif place in (ids := [hit.id for hit in self.hits]):
            self.list_of_hits.move_to(ids.index(place))

    def action_enter(self) -> None:
        """Open the page; in the facets: add the value to the filter, or remove it."""
        if not self.facet_list.has_focus:
            super().action_enter()
        elif self.facets:
            self.session.toggle_facet(self.facets[self.facet_list.cursor])
            if self.filter_line.display:
                self.filter_line.value = self.session.filter

    def action_clear(self) -> None:
        session = self.session
        if self.leave():
            return
        if self.has_class("-facets"):
            self._close_facets()
        elif session.busy:
            session.stop()
        elif session.view.like is not None:
            self._return()
        elif session.beside:
            self.action_beside()
        elif session.filter:
            self.lift_filter()
        else:
            session.tell()

    def action_export(self) -> None:
        view = self.session.shown
        stem = f"search-{view.index or self.owner.index}"
        self.owner.desktop.export(self.session.sheet, stem, len(view.answer.hits))
