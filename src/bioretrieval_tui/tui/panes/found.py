"""Found: the papers of an online search as they arrive; starred papers go into an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.render.citation import hit_citations
from bioretrieval_tui.render.hits import paper_sheet
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.shelf import STAR
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.found_session import MOST_SHOWN, FoundSession
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Row, Span, line, wrap
from bioretrieval_tui.tui.widgets.bars import WorkBar
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import count

if TYPE_CHECKING:
    from bioretrieval_tui.render.row_records import Chosen

_MOST_SAID = 4
"""Lines of what the service says of a query."""


class FoundPane(Pane):
    """A list of papers at the left, the paper at the right."""

    TITLE = "Found"
    BINDINGS = bindings("found", "noting")
    SCOPES = ("found", "noting", "list", "everywhere")
    SHOWS_WORK = "jobs"
    COLUMNS = (
        TableColumn("star", "", 1, priority=0),
        TableColumn("title", "Title", 24, 3, priority=0),
        TableColumn("journal", "Journal", 12, 1, priority=3),
        TableColumn("year", "Year", 4, priority=1),
    )
    LEAD = 2
    EMPTY = "No search yet.\n\n{another-fetch} searches PubMed, Europe PMC or arXiv."

    @property
    def session(self) -> FoundSession:
        return self.owner.found

    def activate(self) -> None:
        """Show the papers that arrived while another pane was shown."""
        self.found_changed()
        super().activate()

    def found_changed(self) -> None:
        """Show another search from its start, papers that arrived, or the end of the search."""
        if not self.query(VirtualTable):  # not composed yet: `activate` shows them
            return
        session = self.session
        if session.request is not None:
            over = session.problem or f"{session.service} has no match."
            self.table.empty = "Waiting for the service." if session.under_way else over
        if not session.papers:
            self.remove_class("-reading")

        def cells(hit: Hit) -> list[Span]:
            journal = hit.metadata.get("journal")
            star = session.is_starred(hit)
            return [
                Span(STAR if star else "", "ok"),
                Span(hit.title or hit.text[:200], "strong" if star else "text"),
                Span(journal if isinstance(journal, str) else "", "dim"),
                Span(str(hit.year or ""), "dim"),
            ]

        self.table.show(ListRows(session.papers, cells), self.table.cursor)
        self.head()
        self.jobs_changed()
        if not self.page.lines or not session.papers:
            self.show_page()  # a page that is shown stays while papers arrive

    def jobs_changed(self) -> None:
        """Show over the list what the service says of the query, instead of jobs: cautions whole,
        other remarks a line each."""
        shown: list[Row] = []
        for text, role in self.session.said:
            rows = wrap(line(Span(text, role)), self.app.size.width - 2)
            shown += rows if role == "warn" else rows[:1]
        self.query_one(WorkBar).show(shown[:_MOST_SAID])

    def list_head(self) -> list[Span]:
        session, request = self.session, self.session.request
        spans = [Span("Found", "strong")]
        if session.given:
            spans.append(Span(f"  {session.given}", "dim"))
        if request is not None:
            of = f" of {count(session.total)}" if session.under_way and session.total else ""
            spans += [
                Span(f"  {session.service}: ", "dim"),
                Span(request.query),
                Span(f"  {count(len(session.papers))}{of}", "dim"),
            ]
        if starred := len(session.starred):
            spans.append(Span(f"  {count(starred)} starred", "ok"))
        if self.letters or request is None:
            return spans
        if session.under_way:
            spans.append(Span(f"  more are arriving; {key_of('clear')} stops", "faint"))
        elif session.problem:
            spans.append(Span(f"  {session.problem}", "warn"))
        elif session.found is not None and session.found > (request.most or MOST_SHOWN):
            most = request.most or MOST_SHOWN
            rest = "; a fetch brings all" if most >= MOST_SHOWN else ""
            first = f"  only the first {count(most)} of {count(session.found)} are shown"
            spans.append(Span(first + rest, "warn"))
        return spans

    @property
    def paper(self) -> Hit | None:
        return self.table.at_cursor(self.session.papers)

    def chosen_rows(self) -> Sequence[Chosen]:
        return self.session.starred or super().chosen_rows()

    @property
    def thing(self) -> Chosen | None:
        return self.paper

    def make_page(self) -> PaintedPage:
        if self.paper is None:
            return PaintedPage(())
        request = self.session.request
        mark = self.owner.shelf.of_hit(self.paper, entry=self.paper.index == CATALOGUE)
        return hit_page(self.paper, request.query if request else "", scored=False, mark=mark)

    def ids(self) -> list[str]:
        return [paper.id for paper in self.session.papers]

    async def action_star(self) -> None:
        if self.paper is None:
            raise UsageError(f"There is no paper to star: {key_of('another-fetch')} searches")
        await super().action_star()
        if not self.has_class("-reading"):
            self.table.move_to(self.table.cursor + 1)

    async def action_star_all(self) -> None:
        """Star all papers, or none if all are starred."""
        from bioretrieval_tui.render.shelf_items import hit_mark

        if not (papers := self.session.papers):
            raise UsageError(f"There is no paper to star: {key_of('another-fetch')} searches")
        await self.owner.shelf.star([hit_mark(one, self.catalogue) for one in papers])

    def shelf_changed(self) -> None:
        super().shelf_changed()
        self.head()

    def action_into(self) -> None:
        session = self.session
        papers = session.starred or [one for one in (self.paper,) if one is not None]
        if not papers:
            raise UsageError("There is no paper to add to an index yet")

        def put(name: str) -> None:
            if session.request is not None:
                session.request = msgspec.structs.replace(session.request, index=name)

        index = session.request.index if session.request else None
        self.owner.job_session.ask_into(index, session.chosen(papers), put)

    def action_fetch(self) -> None:
        """Ask for another search; the dialog begins with the last one."""
        self.owner.job_session.ask_what_to_fetch(self.session.request)

    def action_export(self) -> None:
        session, request = self.session, self.session.request
        hits = session.starred or session.papers
        title = f"{session.service}: {request.query}" if request else ""
        self.owner.desktop.export(
            lambda: paper_sheet(
                hits, title=title, citations=hit_citations(hits, self.owner.catalogue)
            ),
            "found",
            len(hits),
        )

    def action_clear(self) -> None:
        if self.leave():
            return
        if self.session.under_way:
            self.session.stop()
