"""News: what the watches found, and the record under the cursor."""

from __future__ import annotations

from typing import ClassVar

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.news_session import NewsSession, WatchNews, line_of
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import count


def _cells(one: WatchNews) -> list[Span]:
    item = one.item
    return [
        Span("" if item.read else "●", "ok"),
        Span("" if item.score is None else f"{item.score:.2f}", "dim"),
        Span(item.title, "dim" if item.read else "strong"),
        Span(item.date or str(item.year or ""), "dim"),
        Span(one.watch, "faint"),
    ]


class NewsPane(Pane):
    """A list of records at the left, the record at the right."""

    TITLE = "News"
    BINDINGS = bindings("news")
    SCOPES: ClassVar[tuple[str, ...]] = ("news", "list", "everywhere")

    COLUMNS: ClassVar[tuple[TableColumn, ...]] = (
        TableColumn("unread", "", 1, priority=0),
        TableColumn("score", "Near", 4, align="right", priority=2),
        TableColumn("title", "Title", 24, 4, priority=0),
        TableColumn("date", "Date", 10, priority=1),
        TableColumn("watch", "Watch", 12, 1, priority=3),
    )
    EMPTY: ClassVar[str] = (
        "No news.\n\n"
        'bioretrieval-tui watch add "QUERY" watches a source,\n'
        "bioretrieval-tui watch run looks for new records."
    )

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.session = NewsSession()

    def activate(self) -> None:
        """Read the news again: a shell may have run the watches."""
        if not self.has_class("-reading"):
            self._read(self.table.cursor)
        super().activate()

    def _read(self, cursor: int = 0) -> None:
        problem = self.session.load()
        if problem:
            self.owner.say(problem, "error")
        # A record that has just been read keeps its row until the pane is shown again.
        self.table.show(ListRows(self.session.rows, _cells), cursor)
        self.head()
        self.show_page()

    def head(self) -> None:
        total, unread = len(self.session.rows), self.session.unread
        shown = "all" if self.session.everything else "unread"
        said = f"  {count(unread)} unread" + (f" of {count(total)}" if total else "")
        spans = [Span("News", "strong"), Span(said, "dim"), Span(f"  {shown}", "faint")]
        self.query_one(HeadLine).show(*spans, *self.letter_hint)

    @property
    def one(self) -> WatchNews | None:
        """The record under the cursor."""
        return self.at_cursor(self.session.rows)

    def make_page(self) -> PaintedPage:
        return PaintedPage(()) if self.one is None else paint(self.one.page())

    # Marks -------------------------------------------------------------------------------

    def action_enter(self) -> None:
        """Open the record and mark it as read."""
        super().action_enter()
        self._mark(True)

    def action_open(self) -> None:
        """Open the record's link and mark it as read."""
        super().action_open()
        self._mark(True)

    def action_mark(self) -> None:
        if self.one is not None:
            self._mark(not self.one.item.read)
            self.table.move_to(self.table.cursor + 1)

    def action_mark_all(self) -> None:
        if self.one is None:
            return
        watch = self.one.watch
        try:
            self.session.mark_all(watch)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.owner.say(f"All news of {watch} is read")
        self._read(self.table.cursor)

    def action_everything(self) -> None:
        self.session.everything = not self.session.everything
        self._read()

    def action_into(self) -> None:
        one = self.one
        if one is None:
            self.owner.say("There is no news to add to an index")
            return
        paper = {one.item.id: line_of(one)}

        def put(name: str) -> None:
            if self.owner.put_into(name, paper):
                self._mark(True)

        self.owner.ask_into(one.index, "1 paper", put)

    def action_export(self) -> None:
        self.owner.export_sheet(self.session.sheet, "news", len(self.session.rows))

    def _mark(self, read: bool) -> None:
        place = self.table.cursor
        try:
            changed = bool(self.session.rows) and self.session.mark(place, read=read)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        if changed:
            self.table.show(ListRows(self.session.rows, _cells), place)
            self.head()
