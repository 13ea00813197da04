"""The choice of the indexes that Search searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, title_line
from bioretrieval_tui.tui.index_session import short_model
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

_COLUMNS = (
    TableColumn("mark", "", 3, priority=0),
    TableColumn("name", "Index", 12, 2, priority=0),
    TableColumn("documents", "Documents", 9, align="right", priority=2),
    TableColumn("model", "Model", 16, priority=3),
    TableColumn("state", "", 7, 1, priority=4),
)
_AROUND = 5
"""Lines of the box that are not rows: frame, title, header, note."""


class IndexDialog(Dialog[Sequence[str]]):
    """Answers the selected indexes, those that are searched now before the others; without a
    selection, or if only the cursor was moved, the one under the cursor.

    current: those that are searched now; state_of: whether the model of an index is loaded.
    """

    DEFAULT_CSS = "IndexDialog VirtualTable { height: 1fr; }"
    BINDINGS: ClassVar = bindings("index-choice")

    def __init__(
        self, infos: Sequence[IndexInfo], current: Sequence[str], state_of: Callable[[str], str]
    ) -> None:
        super().__init__()
        self.infos, self.state_of = infos, state_of
        self.rows = [one.name for one in infos]
        self.current = tuple(name for name in current if name in self.rows)
        self.selected = list(self.current)
        self.table = VirtualTable(_COLUMNS, chooses=True)

    def compose(self) -> ComposeResult:
        keys = "{index-take} select  {indexes-search} search  {dialog-close} cancel"
        yield Vertical(title_line("Indexes to search", keys), self.table, self.note)

    def on_mount(self) -> None:
        rows = len(self.infos) + _AROUND
        self.query_one(Vertical).styles.height = min(rows, self.app.size.height * 9 // 10)
        at = self.rows.index(self.current[0]) if self.current else 0
        self.table.show(ListRows(self.infos, self._cells), at)
        self.table.focus()
        self._explain()

    def _cells(self, one: IndexInfo) -> list[Span]:
        taken, fine = one.name in self.selected, one.status == "ok"
        return [
            Span("[x]", "ok") if taken else Span("[ ]", "faint"),
            Span(one.name, "strong" if taken else "text"),
            Span("" if one.documents is None else f"{one.documents:,}", "dim"),
            Span(short_model(one.model), "dim"),
            Span(self.state_of(one.name) if fine else one.status, "dim" if fine else "warn"),
        ]

    @property
    def answer(self) -> list[str]:
        at = self.table.at_cursor(self.infos)
        moved = tuple(self.selected) == self.current and at and at.name not in self.selected
        return [at.name] if at and (moved or not self.selected) else self.selected

    @on(VirtualTable.Moved)
    def _explain(self) -> None:
        self.note.show(
            Span(keyed("{indexes-search} searches "), "dim"), Span(" + ".join(self.answer), "ok")
        )

    @on(VirtualTable.Chosen)
    def action_take(self) -> None:
        at = self.table.at_cursor(self.infos)
        if at is None:
            return
        if at.name in self.selected:
            self.selected.remove(at.name)
        else:
            self.selected.append(at.name)
        self.table.repaint()
        self._explain()

    def action_accept(self) -> None:
        self.dismiss(tuple(self.answer))
