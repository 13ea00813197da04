"""News: what the watches found, unread first to the eye, and the record under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.watches import News, Watched, mark_read, watches
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.listing import ListPane
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import Column, VirtualTable
from bioretrieval_tui.util.formatting import count

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet

COLUMNS = (
    Column("unread", "", 1, priority=0),
    Column("score", "Near", 4, align="right", priority=2),
    Column("title", "Title", 24, 4, priority=0),
    Column("date", "Date", 10, priority=1),
    Column("watch", "Watch", 12, 1, priority=3),
)
EMPTY = (
    "No news.\n\n"
    'bioretrieval-tui watch add "QUERY" watches a source,\n'
    "bioretrieval-tui watch run asks what is new."
)


@dataclass(frozen=True, slots=True)
class Told:
    """One record of one watch."""

    watch: str
    query: str
    source: str
    item: News
    index: str | None = None


class NewsRows:
    """Rows of news for a table."""

    def __init__(self, told: Sequence[Told]) -> None:
        self.told = told

    def __len__(self) -> int:
        return len(self.told)

    def cells(self, index: int) -> list[Span]:
        """One span a column; the mark of unread news is a character, not a colour."""
        one = self.told[index]
        item = one.item
        return [
            Span("" if item.read else "●", "ok"),
            Span("" if item.score is None else f"{item.score:.2f}", "dim"),
            Span(item.title, "dim" if item.read else "strong"),
            Span(item.date or str(item.year or ""), "dim"),
            Span(one.watch, "faint"),
        ]


class NewsPane(ListPane):
    """A list of records at the left, the record at the right."""

    TITLE = "News"
    BINDINGS = bindings("news")
    SCOPES: ClassVar[tuple[str, ...]] = ("news", "list", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.told: list[Told] = []
        self.everything = False

    def compose(self) -> ComposeResult:
        """Head, list and page."""
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS, empty=EMPTY)
            yield Detail()

    def activate(self) -> None:
        """A run of the watches may have come in while this was not shown."""
        if not self.has_class("-reading"):
            self._read(self.table.cursor)
        super().activate()

    def _read(self, cursor: int = 0) -> None:
        problems: list[str] = []
        try:
            found = watches(problems.append)
        except BioRetrievalError as error:
            found = []
            problems.append(error.line())
        if problems:
            self.owner.say(problems[0], "error")
        # A record that was read a moment ago stays where it is until one comes here again.
        self.told = listed(found, everything=self.everything)
        self.table.show(NewsRows(self.told), cursor)
        self.head()
        self.show_page()

    def head(self) -> None:
        """How much there is, and how much of it is unread."""
        unread = sum(not one.item.read for one in self.told)
        shown = "all" if self.everything else "unread"
        said = f"  {count(unread)} unread" + (f" of {count(len(self.told))}" if self.told else "")
        waiting = f"  a letter chooses a {self.letters}" if self.letters else ""
        self.query_one(HeadLine).show(
            Span("News", "strong"), Span(said, "dim"), Span(f"  {shown}", "faint"),
            Span(waiting, "warn"),
        )  # fmt: skip

    @property
    def one(self) -> Told | None:
        """The record under the cursor."""
        return self.told[self.table.cursor] if self.told else None

    def make_page(self) -> Page:
        """The record whole."""
        return Page(()) if self.one is None else news_page(self.one)

    # Marks -------------------------------------------------------------------------------

    def action_enter(self) -> None:
        """Into the record, which is then read."""
        super().action_enter()
        self._mark(True)

    def action_open(self) -> None:
        """Open the record's page, which is then read."""
        super().action_open()
        self._mark(True)

    def action_mark(self) -> None:
        """Mark the record as read, or not, and go on to the next."""
        if self.one is not None:
            self._mark(not self.one.item.read)
            self.table.move_to(self.table.cursor + 1)

    def action_mark_all(self) -> None:
        """Mark all of this record's watch as read."""
        if self.one is None:
            return
        watch = self.one.watch
        try:
            mark_read(watch)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.owner.say(f"All news of {watch} is read")
        self._read(self.table.cursor)

    def action_everything(self) -> None:
        """Show what was read, too, or unread news only."""
        self.everything = not self.everything
        self._read()

    def action_into(self) -> None:
        """Put the record into an index: that of its watch, unless another is typed."""
        one = self.one
        if one is None:
            self.owner.say("There is no news to put into an index")
            return
        from bioretrieval_tui.tui.finding import Wanted

        wanted = Wanted(one.source, one.query, index=one.index or "")
        paper = {one.item.id: line_of(one)}
        self.owner.ask_into(wanted, "1 paper", lambda name: self._put(name, paper))

    def _put(self, name: str, paper: dict[str, bytes]) -> None:
        if self.owner.put_into(name, paper):
            self._mark(True)

    def action_export(self) -> None:
        """Write the news that is shown to a file."""
        told = list(self.told)
        self.owner.export_sheet(lambda: sheet_of(told), "news", len(told))

    def _mark(self, read: bool) -> None:
        place = self.table.cursor
        one = self.one
        if one is None or one.item.read is read:
            return
        try:
            mark_read(one.watch, [one.item.id], read=read)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        item = msgspec.structs.replace(one.item, read=read)
        self.told[place] = replace(one, item=item)
        self.table.show(NewsRows(self.told), place)
        self.head()


def listed(found: Sequence[Watched], *, everything: bool) -> list[Told]:
    """News of all watches, the newest run first, nearest first within a run."""
    told = [
        Told(one.watch.name, one.watch.query, one.watch.source, item, one.watch.index)
        for one in found
        for item in one.news
        if everything or not item.read
    ]
    told.sort(key=lambda one: one.item.score if one.item.score is not None else -2.0, reverse=True)
    told.sort(key=lambda one: one.item.found, reverse=True)
    return told


def line_of(one: Told) -> bytes:
    """A record as a line of BEIR's JSONL, with the metadata that readers give."""
    item = one.item
    known = {
        "authors": list(item.authors), "journal": item.journal, "year": item.year,
        "date": item.date, "url": item.url, "pmid": item.id if one.source == "pubmed" else None,
    }  # fmt: skip
    metadata = {name: value for name, value in known.items() if value}
    record = {"_id": item.id, "title": item.title, "text": item.text, "metadata": metadata}
    return msgspec.json.encode(record) + b"\n"


def sheet_of(told: Sequence[Told]) -> Sheet:
    """News as a sheet, in the order shown."""
    from bioretrieval_tui.render.news import Part, news_sheet

    return news_sheet([Part(one.watch, one.query, one.source, (one.item,)) for one in told])


def news_page(one: Told) -> Page:
    """The page of one record."""
    item = one.item
    facts = [item.journal or "", item.date or str(item.year or ""), item.id]
    lines: list[Line] = [
        line(Span(item.title, "paper.strong")),
        line(Span(", ".join(item.authors), "dim")),
        line(Span("  ".join(filter(None, facts)), "dim")),
        line(),
        line(item.text or Span("No abstract.", "faint")),
        line(),
        line(Span("found by ", "faint"), Span(one.watch, "dim"),
             Span(f", {item.found[:16].replace('T', ' ')} UTC", "faint")),
        line(Span(one.query, "faint")),
    ]  # fmt: skip
    if item.score is not None:
        lines.append(line(Span(f"nearness {item.score:.3f}", "faint")))
    links: tuple[tuple[str, str], ...] = ()
    links_at = len(lines) + 1
    if item.url:
        links = (("page", item.url),)
        lines += [line(), line(Span("a page  ", "dim"), Span(item.url, "link", item.url), hang=4)]
    return Page(tuple(lines), links, (), lead=5, links_at=links_at)
