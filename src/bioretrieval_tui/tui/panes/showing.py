"""The Search pane's lists and head line: one view or two, and the page of the hit in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.search.hits import Hit
from bioretrieval_tui.tui.asked import NOTHING, View, described, side_by_side
from bioretrieval_tui.tui.hits import (
    COLUMNS,
    BesideRows,
    HitRows,
    beside_columns,
    entry_hit_page,
    hit_page,
)
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.wording import WordingPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.headline import HeadLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import AnyEntry

WAITING = "Hits appear here as you type."
NONE = "No document fits."


class ShowingPane(WordingPane):
    """Base of the Search pane: shows what was answered."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.on_right = False
        """Of two lists the right one is in use."""
        self._former: list[tuple[View, int]] = []
        """What was shown before hits like one of it, with the cursor's place."""

    @property
    def list_of_hits(self) -> VirtualTable:
        """The list of hits that is in use, of one or two."""
        right = self.on_right and self.has_class("-beside")
        return self.query_one("#right" if right else "#hits", VirtualTable)

    @property
    def table(self) -> VirtualTable:
        """The list that keys move in."""
        return self.facet_list if self.facet_list.has_focus else self.list_of_hits

    @property
    def shown(self) -> View:
        """What the list in use shows."""
        return self.right if self.on_right and self.has_class("-beside") else self.view

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The rows of the list in use."""
        return self.shown.hits

    @property
    def hit(self) -> Hit | None:
        """The hit under the cursor."""
        at = self.list_of_hits.cursor
        return self.hits[at] if 0 <= at < len(self.hits) else None

    @property
    def entry(self) -> AnyEntry | None:
        """The entry of the catalogue that the hit under the cursor is, if it is one."""
        hit, at = self.hit, self.list_of_hits.cursor
        if hit is None or not (self.shown.index == CATALOGUE or self.shown.is_near(at)):
            return None
        return self.catalogue.by_id.get(hit.id)

    # Showing -----------------------------------------------------------------------------

    def show_view(self, view: View, right: View = NOTHING, cursor: int = 0) -> None:
        """Show one list, or two with each hit's place in the other."""
        if view.like is None:
            self._former.clear()
        self.view, self.right = view, right
        two = right is not NOTHING
        left_list = self.query_one("#hits", VirtualTable)
        left_list.empty = WAITING if view is NOTHING else NONE
        if two != self.has_class("-beside"):
            self.set_class(two, "-beside")
            columns = beside_columns("By words (BM25)", "Meaning") if two else COLUMNS
            left_list.set_columns(columns)
            self.call_after_refresh(left_list.repaint)
        if two:
            left_list.show(BesideRows(view.hits, right.hits), cursor)
            right_list = self.query_one("#right", VirtualTable)
            right_list.set_columns(beside_columns("By meaning (dense)", "Words"))
            right_list.show(BesideRows(right.hits, view.hits))
        else:
            self.on_right = False
            left_list.show(HitRows(view), cursor)
        self.fill_facets()
        self.tell()
        self.forget_whys()
        super().show_page()
        self.follow()

    def follow(self) -> None:
        """Of two lists: put the other's cursor on the same document, where it has it."""
        hit = self.hit
        if hit is None or not self.has_class("-beside"):
            return
        view, name = (self.view, "#hits") if self.on_right else (self.right, "#right")
        places = [at for at, other in enumerate(view.hits) if other.id == hit.id]
        if places:
            other = self.query_one(name, VirtualTable)
            other.show(other.rows, places[0])

    @on(VirtualTable.Moved, "#hits")
    @on(VirtualTable.Moved, "#right")
    def _follow_moved(self) -> None:
        self.follow()

    def show_page(self, *, lead: bool = False) -> None:
        """Show the page of the hit; once the cursor rests, ask why it was found."""
        super().show_page(lead=lead)
        if not lead:
            self.ask_why()

    def head(self) -> None:
        """Index, how was asked, what came, what is being done."""
        spans = [Span("Search", "strong"), Span(f"  {self.index}", "ok")]
        if self.problem is not None:
            spans = [self.problem_span()]
        elif self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        elif self.state:
            spans += [Span("   "), *self.state]
        elif self.has_class("-beside"):
            spans += side_by_side(self.view, self.right)
        elif self.view is not NOTHING:
            spans += described(self.view, self.model)
        else:
            words = "words | meaning" if self.beside else self.mode
            spans += [Span(f"  {words}", "dim"), Span(f"  {self.model}", "faint")]
            if self.where:
                spans.append(Span(f"  filter {self.where}", "ok"))
        self.query_one(HeadLine).show(*spans)

    def make_page(self) -> Page:
        """A document's text; an entry's page for hits of the catalogue."""
        hit, view = self.hit, self.shown
        if hit is None:
            return Page(())
        why, entry = self.why_of(hit), self.entry
        if entry is None:
            return hit_page(hit, view.words, why)
        return entry_hit_page(entry, self.catalogue, hit, view.words, why)
