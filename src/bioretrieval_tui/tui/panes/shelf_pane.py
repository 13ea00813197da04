"""Shelf: what the reader starred, tagged and annotated, and saved searches over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.render.entries import entry_page
from bioretrieval_tui.render.hits import hit_page
from bioretrieval_tui.render.page import Group, Page, fact, facts
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.render.shelf_items import hit_of, save_shelf, shelf_sheet, with_mark
from bioretrieval_tui.shelf import STAR, SavedSearch, ShelfMark, noted_as
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.note_dialog import saved_words
from bioretrieval_tui.tui.last_session import PaneState
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.shelf_session import ShelfRow, ShelfSession
from bioretrieval_tui.tui.spans import PaintedPage, paint
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.render.row_records import Chosen


def _cells(row: ShelfRow) -> list[Span]:
    if isinstance(row, SavedSearch):
        pane, what = saved_words(row)
        return [Span(f"'{row.letter}", "ok"), Span(what, "strong"), Span("saved", "dim"),
                Span(pane, "dim"), Span(""), Span("")]  # fmt: skip
    return [
        Span(STAR if row.starred else "", "ok"),
        Span(row.title or row.key, "strong"),
        Span(row.status, "ok" if row.status == "reading" else "dim"),
        Span(row.kind, "dim"),
        Span(", ".join(row.tags)),
        Span(shortened(row.note), "dim"),
    ]


def _empty() -> str:
    star, note, keep = map(key_of, ("star", "note", "keep-filter"))
    return (
        f"The shelf is empty.\n\n{star} stars the row under the cursor, in every list;\n"
        f"{note} adds a status, tags and a note;\n"
        f"{keep} in a query or a filter saves it under a letter."
    )


class ShelfPane(Pane):
    """A list of saved searches and marks at the left, the page of one at the right."""

    TITLE = "Shelf"
    BINDINGS = bindings("shelf", "noting")
    SCOPES = ("shelf", "noting", "list", "everywhere")
    COLUMNS = (
        TableColumn("starred", STAR, 2, priority=0),
        TableColumn("title", "Title", 24, 4, priority=0),
        TableColumn("status", "Status", 7, priority=1),
        TableColumn("kind", "Kind", 9, priority=3),
        TableColumn("tags", "Tags", 10, 1, priority=2),
        TableColumn("note", "Note", 16, 3, priority=4),
    )
    LEAD = 2
    FILTER_HINT = 'filter: words, is:starred status:reading tag:x note:"..." kind:model'

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._wanted: str | None = None
        """The row that the last session ended on, until the shelf is read."""

    @property
    def session(self) -> ShelfSession:
        return self.owner.shelf

    def activate(self) -> None:
        """Read the shelf again: a shell or another app may have changed it."""
        super().activate()
        self.after_paint("shelf", self.session.read)

    def shelf_changed(self) -> None:
        self.refill()

    def refill(self, keep: str | None = None) -> None:
        session, at = self.session, self.table.cursor
        keep = keep or self._wanted or self.place()
        session.fill()
        ids = self.ids()
        if ids:
            self._wanted = None
        self.table.sorted_by = session.sorted_by
        self.table.empty = "Nothing on the shelf matches." if session.filter else _empty()
        self.table.show(ListRows(session.shown, _cells), ids.index(keep) if keep in ids else at)
        self.head()
        self.show_page()

    def ids(self) -> Sequence[str]:
        return [f"saved:{one.letter}" if isinstance(one, SavedSearch) else one.key
                for one in self.session.shown]  # fmt: skip

    @property
    def row(self) -> ShelfRow | None:
        return self.table.at_cursor(self.session.shown)

    def noted(self) -> ShelfMark | None:
        return self.row if isinstance(self.row, ShelfMark) else None

    @property
    def thing(self) -> Chosen | None:
        mark = self.noted()
        if mark is None:
            return None
        entry = self.catalogue.by_id.get(mark.entry)
        return entry or hit_of(mark, self.session.store.about(mark.key))

    def list_head(self) -> list[Span]:
        session = self.session
        if session.problem:
            wrong = type(session.problem) is FilterError  # else it is only incomplete
            return [Span(session.problem.line(), "error" if wrong else "dim")]
        total = len(session.shelf.marks)
        shown = sum(isinstance(one, ShelfMark) for one in session.shown)
        counts = f"  {shown:,}" if shown == total else f"  {shown:,} of {total:,}"
        spans = [Span("Shelf", "strong"), Span(counts, "dim")]
        if session.filter:
            spans += [Span("  filter ", "faint"), Span(session.filter, "ok")]
        return spans

    def make_page(self) -> PaintedPage:
        row = self.row
        if row is None:
            return PaintedPage(())
        if isinstance(row, SavedSearch):
            pane, what = saved_words(row)
            state = ((name, " ".join(value.split("\n"))) for name, value in row.state.items())
            return paint(Page(what, byline=fact("", pane).values,
                              sections=(Group("", facts(state)),)))  # fmt: skip
        entry = self.catalogue.by_id.get(row.entry)
        if entry is not None:
            return paint(with_mark(entry_page(entry, self.catalogue, away=True), row))
        hit = hit_of(row, self.session.store.about(row.key))
        return paint(with_mark(hit_page(hit, scored=False), row))

    def action_enter(self) -> None:
        """Go to the entry, show the document, or show the saved search again."""
        row = self.row
        if isinstance(row, SavedSearch):
            self.in_background("arrive", self.owner.kept.open_saved, row)
        elif row is not None and row.entry:
            self.in_background("arrive", self._jump, row.entry)
        else:
            super().action_enter()

    async def _jump(self, entry: str) -> None:
        """Go to an entry, also of the public board; show the page of one that is gone."""
        if entry not in self.catalogue.by_id:
            await self.owner.widen()
        if entry in self.catalogue.by_id:
            self.owner.jump(entry)
        else:
            super().action_enter()

    async def action_remove(self) -> None:
        row = self.row
        if isinstance(row, SavedSearch):
            await self.session.forget(row)
        elif row is not None:
            what = f"{shortened(row.title, 40)} taken off the shelf"
            self.leave()
            await self.session.change([row], noted_as(ShelfMark(keys=row.keys)), what)
            self.owner.say(f"{what}; {key_of('undo')} brings it back")

    # Filter and order --------------------------------------------------------------------

    @property
    def filtered(self) -> ShelfSession:
        return self.session

    def close_filter(self) -> None:
        super().close_filter()
        self.session.problem = None

    @property
    def sortable(self) -> VirtualTable:
        return self.table

    def action_sort(self) -> None:
        column = self.table.columns[self.table.column]
        way = self.session.sort(column.key)
        self.refill()
        title = "star" if column.key == "starred" else column.title
        self.owner.say(f"Sorted by {title}, {way}" if way else "Newest change first")

    def action_clear(self) -> None:
        if not self.leave() and (self.session.filter or self.session.problem):
            self.lift_filter()

    def state(self) -> PaneState:
        sort = self.session.sorted_by
        kept = {"place": self.place() or "", "filter": self.session.filter}
        if sort:
            kept |= {"sort": sort[0], "reverse": "yes" * sort[1]}
        return {name: value for name, value in kept.items() if value}

    def restore(self, state: PaneState) -> None:
        if state.get("sort") in {column.key for column in self.COLUMNS}:
            self.session.sorted_by = (state["sort"], "reverse" in state)
        self.session.filter_by(state.get("filter", ""))
        self.session.problem = None
        self._wanted = state.get("place")
        self.refill()

    def action_export(self) -> None:
        """Write what is shown: a reading list, everything, or citations, by the extension."""
        keys = {one.key for one in self.session.shown if isinstance(one, ShelfMark)}

        def marks() -> list[ShelfMark]:
            return [one for one in self.session.store.marks(about=True) if one.key in keys]

        self.owner.desktop.export(
            lambda: shelf_sheet(marks(), self.catalogue),
            "reading-list",
            len(keys),
            write=lambda path: save_shelf(path, marks(), self.catalogue),
        )
