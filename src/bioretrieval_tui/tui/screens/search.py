"""Search: type, and what is near in meaning and words appears; the search process does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.search.hits import MODES
from bioretrieval_tui.tui.asked import NOTHING, View
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.citing import sheet_of
from bioretrieval_tui.tui.hits import (
    COLUMNS,
)
from bioretrieval_tui.tui.screens.showing import NONE, WAITING, ShowingPane
from bioretrieval_tui.tui.widgets.ask_line import AskLine
from bioretrieval_tui.tui.widgets.detail import Detail
from bioretrieval_tui.tui.widgets.headline import HeadLine
from bioretrieval_tui.tui.widgets.query_line import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.tui.works import Outcome

FILTER_HINT = "filter: year:2015.. mesh:asthma has:abstract -type:review"


class SearchPane(ShowingPane):
    """A query line, hits, and the reader; a filter line, facets and a second list on demand."""

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
    SearchPane.-facets #facets { display: block; width: 34; }
    SearchPane.-facets Detail, SearchPane.-wide.-facets Detail { display: none; }
    SearchPane.-facets.-reading #facets { display: none; }
    SearchPane.-wide #facets { width: 44; }
    SearchPane.-wide.-facets.-reading Detail { display: block; width: 55%; }
    SearchPane.-roomy.-facets Detail { display: block; width: 50%; }
    SearchPane.-roomy.-facets.-reading #facets { display: block; }
    SearchPane.-roomy.-facets.-reading Detail { display: block; width: 50%; }
    """

    def compose(self) -> ComposeResult:
        """The line is always there; hits and reader under it, the others when asked for."""
        yield AskLine("search by meaning and words: type a question, a claim, a topic", id="query")
        yield QueryLine(FILTER_HINT, id="filter")
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS, id="hits", empty=WAITING)
            yield VirtualTable(COLUMNS, id="right", empty=NONE)
            yield VirtualTable(COLUMNS, id="facets", empty="Nothing to choose from here.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Make the catalogue's index in the background, on this first need."""
        self.head()
        self.prepare()
        self.in_background("learn", self.learn)
        self.run_worker(self.load_queries, thread=True, group="history")

    def activate(self) -> None:
        """The query line takes the focus; the list if there are hits to return to."""
        if self.has_class("-reading"):
            self.detail.focus()
        elif self.hits:
            self.list_of_hits.focus()
        else:
            self.line.focus()

    def on_unmount(self) -> None:
        """What still waits for an answer must not write into a screen that is gone."""
        self.workers.cancel_node(self)

    # Indexes -----------------------------------------------------------------------------

    async def action_next_index(self) -> None:
        """Search the next index."""
        try:
            infos = await self.client.list_indexes()
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.infos = {info.name: info for info in infos}
        known = [info.name for info in infos if info.status == "ok"]
        names = [CATALOGUE, *(name for name in known if name != CATALOGUE)]
        if len(names) == 1:
            self.owner.say("No index of your own yet: 0 leads to where one is built")
            return
        at = names.index(self.index) if self.index in names else -1
        self.search_in(names[(at + 1) % len(names)])

    def search_in(self, name: str) -> None:
        """Search another index: what stands in the line is asked there."""
        self.index = name
        self.show_view(NOTHING)
        self.lift_if_unfit()
        self.send()
        if name not in self.infos:
            self.in_background("learn", self.learn)

    def work_done(self, outcome: Outcome) -> None:
        """An index that is gone is searched no longer. Hits of one that has changed stay: they
        must not move under a reader's eyes."""
        self.in_background("learn", self.learn)
        if outcome.done and outcome.job.verb == "remove" and outcome.job.name == self.index:
            self.search_in(CATALOGUE)

    # Ways of searching -------------------------------------------------------------------

    def action_mode(self) -> None:
        """Hybrid, dense, lexical."""
        self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        self.beside = False
        self._again()

    def action_order(self) -> None:
        """Best first, or newest first."""
        self.order = "relevance" if self.order == "date" else "date"
        self._again()
        if not self.query_text.strip():
            self.owner.say("Newest first" if self.order == "date" else "Best first")

    def _again(self) -> None:
        """Ask anew, or say how it will be asked."""
        self.prepare()
        self.send()
        self.head()

    def action_beside(self) -> None:
        """Two lists, or one again."""
        if not self.query_text.strip():
            self.owner.say("Type a query first: / leads to the line")
            return
        self.beside = not self.beside
        self.close_facets()
        self.remove_class("-reading")
        self.prepare()
        self.send()
        self.list_of_hits.focus()

    def action_other_list(self) -> None:
        """tab, left, right."""
        if self.has_class("-reading"):
            self.leave()
        elif self.has_class("-beside") and not self.line.has_focus:
            self.on_right = not self.on_right
            self.list_of_hits.focus()
            self.show_page()
        elif self.has_class("-facets") and self.list_of_hits.has_focus:
            self.facet_list.focus()
        elif self.wide and self.list_of_hits.has_focus:
            self.detail.focus()
        else:
            self.list_of_hits.focus()

    def action_rerank(self) -> None:
        """Have the best read again."""
        if self.view.question is None or not self.view.hits:
            self.owner.say("There are no hits of a query to read again")
            return
        self.beside = False
        self.read_again()

    def action_fetch(self) -> None:
        """Ask a service for what stands in the line."""
        own = self.index if self.index != CATALOGUE else ""
        self.owner.ask_what_to_fetch(query=self.query_text.strip(), index=own)

    # Likeness ----------------------------------------------------------------------------

    def action_similar(self) -> None:
        """More like the hit under the cursor."""
        hit = self.hit
        if hit is None:
            self.owner.say("There is no hit to look for more like it")
            return
        near = self.shown.is_near(self.list_of_hits.cursor)
        self.look_for_similar(hit, CATALOGUE if near else self.shown.index)

    def show_like(self, view: View) -> None:
        """Documents like a hit; `back` and escape return to where it stood."""
        self.remove_class("-reading")
        former = (self.shown, self.list_of_hits.cursor)
        former_views = [*self._former, former]
        if view.like is not None:
            self.owner.history.append((self.pane_name, view.like.id))
        self.beside = False
        self.show_view(view)
        self._former = former_views
        self.list_of_hits.focus()

    def _return(self) -> None:
        """To what was shown before."""
        like = self.view.like
        (view, cursor), former = self._former[-1], self._former[:-1]
        self.show_view(view, cursor=cursor)
        self._former = former
        history = self.owner.history
        if like is not None and history and history[-1] == (self.pane_name, like.id):
            history.pop()
        self.list_of_hits.focus()

    def place(self) -> str | None:
        """Where `back` returns to."""
        return self.hit.id if self.hit else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor back on a hit, or return from what was like it."""
        if self._former and self.view.like is not None and self.view.like.id == place:
            self._return()
            return
        for at, hit in enumerate(self.hits):
            if hit.id == place:
                self.list_of_hits.move_to(at)

    # Keys --------------------------------------------------------------------------------

    def action_enter(self) -> None:
        """Into the page; in the facets: take the value, or leave it out."""
        if self.facet_list.has_focus:
            self.take_facet()
        else:
            super().action_enter()

    def action_clear(self) -> None:
        """One step out: of a mode, the page, what stands beside, a search, a likeness, a filter."""
        if self.leave():
            return
        if self.has_class("-facets"):
            self.close_facets()
        elif self.under_way or self._wait:
            self.stop()
            self.tell()
        elif self._former:
            self._return()
        elif self.beside:
            self.action_beside()
        elif self.where:
            self.lift_filter()
        else:
            self.tell()

    def action_relations(self) -> None:
        """Related entries, for hits of the catalogue."""
        if self.entry is None:
            self.owner.say("Documents of an index have no relations yet")
            return
        super().action_relations()

    def action_export(self) -> None:
        """Write the hits to a file."""
        view = self.shown
        self.owner.export_sheet(
            lambda: sheet_of(view, self.catalogue),
            f"search-{view.index or self.index}",
            len(view.answer.hits),
        )
