"""The palette: every action of the registry and every entry of the catalogue, by a few letters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import Action
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema
from bioretrieval_tui.tui.dialogs.dialog import Dialog
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

COLUMNS = (
    TableColumn("name", "", 24, 2),
    TableColumn("help", "", 20, 3),
    TableColumn("key", "", 8),
)


def choice_cells(item: Action | AnyEntry, working: Collection[str] = ()) -> list[Span]:
    """Name, what it is, key. working: ids of the actions whose keys work now; in a line that takes
    letters, the others work after esc."""
    if isinstance(item, Action):
        key = Span(item.shown, "ok") if item.id in working else Span(f"esc {item.shown}", "faint")
        return [Span(item.label, "strong"), Span(item.help, "dim"), key]
    kind = kind_of(item)
    return [Span(item.name, f"{kind}.strong"), Span(f"{kind}  {item.id}", "dim"), Span("")]


class Palette(Dialog[Action | str]):
    """Type, choose, enter: answers an action, or an entry's id."""

    DEFAULT_CSS = "Palette > Vertical { height: 80%; }"

    def __init__(
        self, actions: Sequence[Action], catalogue: Catalogue, working: Collection[str]
    ) -> None:
        super().__init__()
        self._cells = partial(choice_cells, working=working)
        entries = (*catalogue.entries, *catalogue.listed)
        self.items: list[Action | AnyEntry] = [*actions, *entries]
        rows = [Row(a.id, a.label, (), a.help, lambda _: None) for a in actions]
        rows += [
            Row(e.id, e.name, (kind_of(e), *e.tags), e.id, {"kind": kind_of(e)}.get)
            for e in entries
        ]
        self._filter = Filter(rows, Schema([Field("kind", "text")]))
        self.shown = self.items
        self.table = VirtualTable(COLUMNS, chooses=True, empty="Nothing has this name.")

    def compose(self) -> ComposeResult:
        yield Vertical(QueryLine("an action or an entry"), self.table)

    def on_mount(self) -> None:
        self.table.show(ListRows(self.shown, self._cells))
        self.query_one(QueryLine).focus()

    def typed(self, field: Input) -> None:
        try:
            found = self._filter.apply(field.value)
        except FilterError:
            return  # incomplete syntax: keep what is shown
        self.shown = [self.items[i] for i in found]
        self.table.show(ListRows(self.shown, self._cells))

    def left(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by)

    @on(VirtualTable.Chosen)
    def entered(self) -> None:
        item = self.table.at_cursor(self.shown)
        self.dismiss(item if item is None or isinstance(item, Action) else item.id)
