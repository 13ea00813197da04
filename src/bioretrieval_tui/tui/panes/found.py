"""Found: papers of a service as they come; the ones with a star go into an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.found_session import MOST_SHOWN, FoundPaper, FoundSession, service_of
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable
from bioretrieval_tui.util.formatting import count, plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.search.types import Hit

COLUMNS = (
    Column("star", "", 1, priority=0),
    Column("title", "Title", 24, 3, priority=0),
    Column("journal", "Journal", 12, 1, priority=3),
    Column("year", "Year", 4, priority=1),
)
NOTHING = "No search yet.\n\nw searches PubMed, Europe PMC or arXiv."
WAITING = "Waiting for the service."


class FoundRows:
    """Papers for a table; the mark of a star is a character, not a colour."""

    def __init__(self, session: FoundSession) -> None:
        self.papers = session.papers
        self.starred: Mapping[str, None] = session.starred

    def __len__(self) -> int:
        return len(self.papers)

    def cells(self, index: int) -> list[Span]:
        """One span a column."""
        hit = self.papers[index].hit
        starred = hit.id in self.starred
        journal = hit.metadata.get("journal")
        return [
            Span("*" if starred else "", "ok"),
            Span(hit.title or hit.text[:200], "strong" if starred else "text"),
            Span(journal if isinstance(journal, str) else "", "dim"),
            Span(str(hit.year or ""), "dim"),
        ]


class FoundPane(Pane):
    """A list of papers at the left, the paper at the right."""

    TITLE = "Found"
    BINDINGS = bindings("found")
    SCOPES: ClassVar[tuple[str, ...]] = ("found", "list", "everywhere")

    def compose(self) -> ComposeResult:
        """Head, list and page."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS, empty=NOTHING)
            yield Detail()

    @property
    def session(self) -> FoundSession:
        """The search, which goes on whatever is shown."""
        return self.owner.found

    def activate(self) -> None:
        """Papers may have come while this was not shown."""
        self.found_changed()
        super().activate()

    def begun(self) -> None:
        """Another search: from its first paper on."""
        self.remove_class("-reading")
        self.table.show(FoundRows(self.session), 0)
        self.show_page()

    def found_changed(self) -> None:
        """Papers came, or the search is over."""
        session = self.session
        if session.request is not None:
            over = session.problem or f"{service_of(session.request)} has no match."
            self.table.empty = WAITING if session.under_way else over
        self.table.show(FoundRows(session), self.table.cursor)
        self.head()
        if not self.page.lines:  # else the reader's page stays while others come behind it
            self.show_page()

    def head(self) -> None:
        """What was asked, how many came, how many have a star."""
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
            spans.append(Span(f"  a letter chooses a {self.letters}", "warn"))
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
        at = self.table.cursor
        return self.session.papers[at] if 0 <= at < len(self.session.papers) else None

    def make_page(self) -> PaintedPage:
        """The paper whole, with the words of the query marked."""
        if self.paper is None or self.session.request is None:
            return PaintedPage(())
        return hit_page(self.paper.hit, self.session.request.query, scored=False)

    def place(self) -> str | None:
        """The paper under the cursor."""
        return self.paper.hit.id if self.paper else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on a paper."""
        for at, paper in enumerate(self.session.papers):
            if paper.hit.id == place:
                self.table.move_to(at)

    # Keys --------------------------------------------------------------------------------

    def action_star(self) -> None:
        """Star the paper, or not, and go on to the next."""
        if self.paper is None:
            return
        self.session.star(self.paper.hit.id)
        self._starred()
        if not self.has_class("-reading"):
            self.table.move_to(self.table.cursor + 1)

    def action_star_all(self) -> None:
        """Star all, or none."""
        self.session.star_all()
        self._starred()

    def _starred(self) -> None:
        self.table.update()
        self.head()

    def action_into(self) -> None:
        """Put the starred ones into an index; without a star, the one under the cursor."""
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
        """Ask for something else; the dialog begins with what was asked last."""
        self.owner.ask_what_to_fetch(self.session.request)

    def action_export(self) -> None:
        """Write the starred papers to a file, or all of them where none has a star."""
        session = self.session
        hits = [one.hit for one in session.papers
                if not session.starred or one.hit.id in session.starred]  # fmt: skip
        request = session.request
        title = f"{service_of(request)}: {request.query}" if request else ""
        self.owner.export_sheet(lambda: _sheet(hits, title), "found", len(hits))

    def action_clear(self) -> None:
        """Out of the page, else stop what still comes."""
        if self.leave():
            return
        if self.session.under_way:
            self.session.stop()
        elif self.session.starred:
            self.session.starred.clear()
            self._starred()

    def action_relations(self) -> None:
        """There are none."""
        self.owner.say("Papers that were found have no relations yet")


def _sheet(hits: list[Hit], title: str) -> Sheet:
    from bioretrieval_tui.render.hits import hit_citations, paper_sheet

    return paper_sheet(hits, title=title, citations=hit_citations(hits))
