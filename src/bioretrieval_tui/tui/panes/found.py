"""Found: papers of a service as they come; the ones with a star go into an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.finding import MOST_SHOWN, Finding
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.listing import ListPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable
from bioretrieval_tui.tui.words import plural
from bioretrieval_tui.util.formatting import count

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.search.hits import Hit
    from bioretrieval_tui.tui.finding import Paper

COLUMNS = (
    Column("star", "", 1, priority=0),
    Column("title", "Title", 24, 3, priority=0),
    Column("journal", "Journal", 12, 1, priority=3),
    Column("year", "Year", 4, priority=1),
)
NOTHING = "Nothing was asked for yet.\n\nw asks PubMed, Europe PMC or arXiv."
WAITING = "The service is being asked."


class FoundRows:
    """Papers for a table; the mark of a star is a character, not a colour."""

    def __init__(self, finding: Finding) -> None:
        self.papers = finding.papers
        self.starred: Mapping[str, None] = finding.starred

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


class FoundPane(ListPane):
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
    def finding(self) -> Finding:
        """The search, which goes on whatever is shown."""
        return self.owner.finding

    def activate(self) -> None:
        """Papers may have come while this was not shown."""
        self.found_changed()
        super().activate()

    def begun(self) -> None:
        """Another search: from its first paper on."""
        self.remove_class("-reading")
        self.table.show(FoundRows(self.finding), 0)
        self.show_page()

    def found_changed(self) -> None:
        """Papers came, or the search is over."""
        finding = self.finding
        if finding.wanted is not None:
            over = finding.problem or f"{finding.wanted.service} has nothing of this."
            self.table.empty = WAITING if finding.under_way else over
        self.table.show(FoundRows(finding), self.table.cursor)
        self.head()
        if not self.page.lines:  # else the reader's page stays while others come behind it
            self.show_page()

    def head(self) -> None:
        """What was asked, how many came, how many have a star."""
        finding = self.finding
        spans = [Span("Found", "strong")]
        if finding.wanted is not None:
            spans += [Span(f"  {finding.wanted.service}: ", "dim"), Span(finding.wanted.query)]
            of = f" of {count(finding.total)}" if finding.under_way and finding.total else ""
            spans.append(Span(f"  {count(len(finding.papers))}{of}", "dim"))
        if finding.starred:
            spans.append(Span(f"  {count(len(finding.starred))} starred", "ok"))
        if self.letters:
            spans.append(Span(f"  a letter chooses a {self.letters}", "warn"))
        elif finding.under_way:
            spans.append(Span("  more are coming; esc stops", "faint"))
        elif finding.problem:
            spans.append(Span(f"  {finding.problem}", "warn"))
        elif len(finding.papers) >= MOST_SHOWN:
            spans.append(Span("  no more are shown; into an index all can go", "faint"))
        self.query_one(HeadLine).show(*spans)

    @property
    def paper(self) -> Paper | None:
        """The paper under the cursor."""
        at = self.table.cursor
        return self.finding.papers[at] if 0 <= at < len(self.finding.papers) else None

    def make_page(self) -> Page:
        """The paper whole, with the words of the query marked."""
        if self.paper is None or self.finding.wanted is None:
            return Page(())
        return hit_page(self.paper.hit, self.finding.wanted.query, scored=False)

    def place(self) -> str | None:
        """The paper under the cursor."""
        return self.paper.hit.id if self.paper else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on a paper."""
        for at, paper in enumerate(self.finding.papers):
            if paper.hit.id == place:
                self.table.move_to(at)

    # Keys --------------------------------------------------------------------------------

    def action_star(self) -> None:
        """Star the paper, or not, and go on to the next."""
        if self.paper is None:
            return
        self.finding.star(self.paper.hit.id)
        self._starred()
        if not self.has_class("-reading"):
            self.table.move_to(self.table.cursor + 1)

    def action_star_all(self) -> None:
        """Star all, or none."""
        self.finding.star_all()
        self._starred()

    def _starred(self) -> None:
        self.table.update()
        self.head()

    def action_into(self) -> None:
        """Put the starred ones into an index; without a star, the one under the cursor."""
        finding = self.finding
        if not finding.starred and self.paper is not None:
            finding.star(self.paper.hit.id)
            self._starred()
        if finding.wanted is None or not finding.starred:
            self.owner.say("There is no paper to put into an index yet")
            return
        self.owner.ask_into(finding.wanted, plural(len(finding.starred), "paper"), self._put)

    def _put(self, name: str) -> None:
        finding = self.finding
        if finding.wanted is None or not self.owner.put_into(name, finding.chosen()):
            return
        finding.wanted = replace(finding.wanted, index=name)
        finding.starred.clear()
        self._starred()

    def action_fetch(self) -> None:
        """Ask for something else; the dialog begins with what was asked last."""
        self.owner.ask_what_to_fetch(self.finding.wanted)

    def action_export(self) -> None:
        """Write the starred papers to a file, or all of them where none has a star."""
        finding = self.finding
        hits = [one.hit for one in finding.papers
                if not finding.starred or one.hit.id in finding.starred]  # fmt: skip
        wanted = finding.wanted
        title = f"{wanted.service}: {wanted.query}" if wanted else ""
        self.owner.export_sheet(lambda: _sheet(hits, title), "found", len(hits))

    def action_clear(self) -> None:
        """Out of the page, else stop what still comes."""
        if self.leave():
            return
        if self.finding.under_way:
            self.finding.stop()
        elif self.finding.starred:
            self.finding.starred.clear()
            self._starred()

    def action_relations(self) -> None:
        """There are none."""
        self.owner.say("Papers that were found have no relations yet")


def _sheet(hits: list[Hit], title: str) -> Sheet:
    from bioretrieval_tui.render.hits import hit_citations, paper_sheet

    return paper_sheet(hits, title=title, citations=hit_citations(hits))
