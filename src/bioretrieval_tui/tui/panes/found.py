"""Found: the papers of an online search as they arrive; starred papers go into an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.found_session import MOST_SHOWN, FoundPaper, FoundSession, service_of
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import count, plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet


class FoundPane(Pane):
    """A list of papers at the left, the paper at the right."""

    TITLE = "Found"
    BINDINGS = bindings("found")
    SCOPES: ClassVar[tuple[str, ...]] = ("found", "list", "everywhere")
    COLUMNS: ClassVar[tuple[TableColumn, ...]] = (
        TableColumn("star", "", 1, priority=0),
        TableColumn("title", "Title", 24, 3, priority=0),
        TableColumn("journal", "Journal", 12, 1, priority=3),
        TableColumn("year", "Year", 4, priority=1),
    )
    EMPTY: ClassVar[str] = "No search yet.\n\nw searches PubMed, Europe PMC or arXiv."

    @property
    def session(self) -> FoundSession:
        """The search, which continues while other panes are shown."""
        return self.owner.found

    def activate(self) -> None:
        """Show the papers that arrived while another pane was shown."""
        self.found_changed()
        super().activate()

    def begun(self) -> None:
        """Show another search from its first paper."""
        self.remove_class("-reading")
        self._fill(0)
        self.show_page()

    def _fill(self, cursor: int) -> None:
        papers, starred = self.session.papers, self.session.starred

        def cells(paper: FoundPaper) -> list[Span]:
            hit, journal = paper.hit, paper.hit.metadata.get("journal")
            star = hit.id in starred
            return [
                Span("*" if star else "", "ok"),
                Span(hit.title or hit.text[:200], "strong" if star else "text"),
                Span(journal if isinstance(journal, str) else "", "dim"),
                Span(str(hit.year or ""), "dim"),
            ]

        self.table.show(ListRows(papers, cells), cursor)

    def found_changed(self) -> None:
        """Show papers that arrived, or the end of the search."""
        session = self.session
        if session.request is not None:
            over = session.problem or f"{service_of(session.request)} has no match."
            self.table.empty = "Waiting for the service." if session.under_way else over
        self._fill(self.table.cursor)
        self.head()
        if not self.page.lines:  # a page that is shown stays while papers arrive
            self.show_page()

    def head(self) -> None:
        session = self.session
        spans = [Span("Found", "strong")]
        if session.request is not None:
            spans += [
                Span(f"  {service_of(session.request)}: ", "dim"),
                Span(session.request.query),
            ]
            of = f" of {count(session.total)}" if session.under_way and session.total else ""
            spans.append(Span(f"  {count(len(session.papers))}{of}", "dim"))
        if session.starred:
            spans.append(Span(f"  {count(len(session.starred))} starred", "ok"))
        if self.letters:
            spans += self.letter_hint
        elif session.under_way:
            spans.append(Span("  more are arriving; esc stops", "faint"))
        elif session.problem:
            spans.append(Span(f"  {session.problem}", "warn"))
        elif len(session.papers) >= MOST_SHOWN:
            spans.append(Span("  only these are shown; a fetch brings all", "faint"))
        self.query_one(HeadLine).show(*spans)

    @property
    def paper(self) -> FoundPaper | None:
        """The paper under the cursor."""
        return self.at_cursor(self.session.papers)

    def make_page(self) -> PaintedPage:
        if self.paper is None or self.session.request is None:
            return PaintedPage(())
        return hit_page(self.paper.hit, self.session.request.query, scored=False)

    def place(self) -> str | None:
        return self.paper.hit.id if self.paper else None

    def go_to(self, place: str | None) -> None:
        for at, paper in enumerate(self.session.papers):
            if paper.hit.id == place:
                self.table.move_to(at)

    # Keys --------------------------------------------------------------------------------

    def action_star(self) -> None:
        if self.paper is None:
            return
        self.session.star(self.paper.hit.id)
        self._starred()
        if not self.has_class("-reading"):
            self.table.move_to(self.table.cursor + 1)

    def action_star_all(self) -> None:
        self.session.star_all()
        self._starred()

    def _starred(self) -> None:
        self.table.update()
        self.head()

    def action_into(self) -> None:
        session = self.session
        if not session.starred and self.paper is not None:
            session.star(self.paper.hit.id)
            self._starred()
        if session.request is None or not session.starred:
            self.owner.say("There is no paper to add to an index yet")
            return
        self.owner.ask_into(session.request.index, plural(len(session.starred), "paper"), self._put)

    def _put(self, name: str) -> None:
        session = self.session
        if session.request is None or not self.owner.put_into(name, session.chosen()):
            return
        session.request = msgspec.structs.replace(session.request, index=name)
        session.starred.clear()
        self._starred()

    def action_fetch(self) -> None:
        """Ask for another search; the dialog begins with the last one."""
        self.owner.ask_what_to_fetch(self.session.request)

    def action_export(self) -> None:
        session = self.session
        hits = [one.hit for one in session.papers
                if not session.starred or one.hit.id in session.starred]  # fmt: skip
        request = session.request
        title = f"{service_of(request)}: {request.query}" if request else ""

        def sheet() -> Sheet:
            from bioretrieval_tui.render.citation import hit_citations
            from bioretrieval_tui.render.hits import paper_sheet

            return paper_sheet(hits, title=title, citations=hit_citations(hits))

        self.owner.export_sheet(sheet, "found", len(hits))

    def action_clear(self) -> None:
        """Leave the page, stop the search, or clear the stars."""
        if self.leave():
            return
        if self.session.under_way:
            self.session.stop()
        elif self.session.starred:
            self.session.starred.clear()
            self._starred()

    def action_relations(self) -> None:
        self.owner.say("Found papers have no relations")
