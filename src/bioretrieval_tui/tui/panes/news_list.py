"""News: what the watches found, and the record under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.watches import mark_read
from bioretrieval_tui.render.news import news_page, news_sheet
from bioretrieval_tui.render.row_records import Chosen
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.shelf import STAR, ShelfMark
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.news_session import NewsSession, WatchNews, document_of_news, line_of
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn
from bioretrieval_tui.util.formatting import count


def _cells(mark_of: Callable[[WatchNews], ShelfMark | None], one: WatchNews) -> list[Span]:
    item, mark = one.item, mark_of(one)
    star = f"{STAR} " if mark and mark.starred else ""
    return [
        Span("" if item.read else "●", "ok"),
        Span("" if item.score is None else f"{item.score:.2f}", "dim"),
        Span(f"{star}{item.title}", "dim" if item.read else "strong"),
        Span(item.date or str(item.year or ""), "dim"),
        Span(one.watch.name, "faint"),
    ]


class NewsPane(Pane):
    """A list of records at the left, the record at the right."""

    TITLE = "News"
    BINDINGS = bindings("news", "noting")
    SCOPES = ("news", "noting", "list", "everywhere")

    COLUMNS = (
        TableColumn("unread", "", 1, priority=0),
        TableColumn("score", "Near", 4, align="right", priority=2),
        TableColumn("title", "Title", 24, 4, priority=0),
        TableColumn("date", "Date", 10, priority=1),
        TableColumn("watch", "Watch", 12, 1, priority=3),
    )
    LEAD = 3
    EMPTY = (
        "No unread news; {everything} shows what was read.\n\n"
        "A watch asks PubMed, Europe PMC or arXiv again for a query. In a shell:\n"
        'bioretrieval-tui watch add "QUERY" adds one,\n'
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
        if problem := self.session.load():
            self.owner.say(problem, "error")
        # A record that has just been read keeps its row until the pane is shown again.
        self.table.show(ListRows(self.session.rows, partial(_cells, self._mark_of)), cursor)
        self.head()
        self.show_page()

    def head(self) -> None:
        super().head()
        self.owner.tell_news(self.session.unread)

    def list_head(self) -> list[Span]:
        total, unread = len(self.session.rows), self.session.unread
        shown = f" of {count(total)}" if self.session.everything else ""
        return [Span("News", "strong"), Span(f"  ● {count(unread)} unread{shown}", "dim")]

    @property
    def one(self) -> WatchNews | None:
        return self.table.at_cursor(self.session.rows)

    @property
    def thing(self) -> Chosen | None:
        if self.one is None:
            return None
        one, known = self.one.item, document_of_news(self.one).metadata
        made = (one.id, one.title, one.text, one.year, one.url, one.score or 0)
        return Hit(1, *made, metadata=known)

    def make_page(self) -> PaintedPage:
        one = self.one
        if one is None:
            return PaintedPage(())
        page = news_page(one.part, one.item)
        if mark := self._mark_of(one):
            from bioretrieval_tui.render.shelf_items import with_mark

            page = with_mark(page, mark)
        return paint(page)

    def _mark_of(self, one: WatchNews) -> ShelfMark | None:
        return self.owner.shelf.of_document(document_of_news(one))

    def action_enter(self) -> None:
        super().action_enter()
        self._mark(True)

    def action_open(self) -> None:
        self._mark(True)
        super().action_open()

    def action_mark(self) -> None:
        if self.one is None:
            raise UsageError("There is no news to mark")
        self._mark(not self.one.item.read)
        self.table.move_to(self.table.cursor + 1)

    def action_mark_all(self) -> None:
        if self.one is not None:
            watch = self.one.watch.name
            rows = self.session.rows
            unread = [one.item.id for one in rows if one.watch.name == watch and not one.item.read]
            mark_read(watch)
            self.owner.undo.add(
                f"all news of {watch} marked as read", partial(self._unread, watch, unread)
            )
            self.owner.say(f"All news of {watch} is read")
            self._read(self.table.cursor)

    def _unread(self, watch: str, news: Sequence[str]) -> None:
        mark_read(watch, news, read=False)
        self._read(self.table.cursor)

    def action_everything(self) -> None:
        self.session.everything = not self.session.everything
        self._read()

    def action_into(self) -> None:
        one = self.one
        if one is None:
            raise UsageError("There is no news to add to an index")
        self.owner.job_session.ask_into(
            one.watch.index, {one.item.id: line_of(one)}, lambda _: self._mark(True)
        )

    def action_export(self) -> None:
        rows = self.session.rows
        make = partial(news_sheet, [one.part for one in rows])
        self.owner.desktop.export(make, "news", len(rows))

    def _mark(self, read: bool) -> None:
        place = self.table.cursor
        if self.session.rows and self.session.mark(place, read=read):
            self.table.show(ListRows(self.session.rows, partial(_cells, self._mark_of)), place)
            self.head()
