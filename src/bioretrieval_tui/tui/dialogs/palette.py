"""The palette: every action of the registry and every entry of the catalogue, by a few letters."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import Action, shown_key
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema
from bioretrieval_tui.tui.dialogs.dialog import Dialog
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import TableColumn, VirtualTable

COLUMNS = (
    TableColumn("name", "", 24, 2),
    TableColumn("help", "", 20, 3),
    TableColumn("key", "", 8),
)


class Choices:
    """Rows of the palette: actions first, then entries."""

    def __init__(self, items: Sequence[Action | str], catalogue: Catalogue) -> None:
        self.items = items
        self.catalogue = catalogue

    def __len__(self) -> int:
        return len(self.items)

    def cells(self, index: int) -> list[Span]:
        """Name, what it is, key."""
        item = self.items[index]
        if isinstance(item, Action):
            key = shown_key(item.keys[0]) if item.keys else ""
            return [Span(item.label, "strong"), Span(item.help, "dim"), Span(key, "ok")]
        entry = self.catalogue.by_id[item]
        kind = kind_of(entry)
        return [Span(entry.name, f"{kind}.strong"), Span(f"{kind}  {entry.id}", "dim"), Span("")]


class Palette(Dialog[Action | str]):
    """Type, choose, enter: answers an action, or an entry's id."""

    DEFAULT_CSS = "Palette > Vertical { height: 80%; }"

    def __init__(self, actions: Sequence[Action], catalogue: Catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.items: list[Action | str] = [*actions, *catalogue.names]
        rows = [Row(a.id, a.label, (), a.help, {}.get) for a in actions]
        rows += [
            Row(e.id, e.name, (kind_of(e), *e.tags), e.id, {"kind": kind_of(e)}.get)
            for e in catalogue.entries
        ]
        self._filter = Filter(rows, Schema([Field("kind", "text")]))
        self.shown: list[Action | str] = list(self.items)

    def compose(self) -> ComposeResult:
        """A line and a list."""
        with Vertical():
            yield QueryLine("an action or an entry")
            yield VirtualTable(COLUMNS, chooses=True, empty="Nothing has this name.")

    def on_mount(self) -> None:
        """Show everything until a letter is typed."""
        self.query_one(VirtualTable).show(Choices(self.shown, self.catalogue))
        self.query_one(QueryLine).focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            found = self._filter.apply(event.value)
        except FilterError:
            return  # incomplete syntax: keep what is shown
        self.shown = [self.items[i] for i in found]
        self.query_one(VirtualTable).show(Choices(self.shown, self.catalogue))

    @on(QueryLine.Left)
    def _moved(self, event: QueryLine.Left) -> None:
        event.stop()
        table = self.query_one(VirtualTable)
        table.move_to(table.cursor + event.by)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._choose()

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self._choose()

    def _choose(self) -> None:
        at = self.query_one(VirtualTable).cursor
        self.dismiss(self.shown[at] if 0 <= at < len(self.shown) else None)
