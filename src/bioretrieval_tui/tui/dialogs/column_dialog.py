"""The choice of the columns of a list, and of their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, title_line
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import ColumnChoice, ListRows, TableColumn, VirtualTable


class ColumnDialog(Dialog[Sequence[str]]):
    """Chosen columns first, in their order, then the others. Answers the keys of the chosen
    columns, () for the usual ones.

    choices: the columns; chosen: those that are shown now, () for the usual ones; usual, said: what
    the dialog says of the usual ones, and of chosen ones behind their number; titles: of the list.
    """

    DEFAULT_CSS = "ColumnDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = bindings("column-choice")

    def __init__(
        self,
        choices: Sequence[ColumnChoice],
        chosen: Sequence[str],
        usual: str,
        titles: tuple[str, str],
        said: str = "they are shown in this order",
    ) -> None:
        super().__init__()
        self.choices = {choice.key: choice for choice in choices}
        self.chosen = [key for key in chosen if key in self.choices]
        self.usual = usual
        self.said = said
        self.shown: list[str] = []
        self.line = QueryLine("part of a name")
        columns = (
            TableColumn("mark", "", 3),
            TableColumn("title", titles[0], 24, 1),
            TableColumn("count", titles[1], 7, align="right"),
        )
        self.list = VirtualTable(columns, chooses=True, empty="No column has this name.")

    def compose(self) -> ComposeResult:
        keys = (
            "{columns-accept} ok  {dialog-close} cancel  {column-take} choose"
            "  {column-later} {column-earlier} move  {columns-usual} usual  {column-find} find"
        )
        yield Vertical(title_line("Columns", keys), self.line, self.list, self.note)

    def on_mount(self) -> None:
        self.line.display = False
        self.list.focus()
        self.fill()

    def fill(self, keep: str | None = None) -> None:
        """Show the columns whose name holds the words of the line; the cursor stays on `keep`."""
        words = self.line.value.casefold().split()
        self.shown = [
            key
            for key in dict.fromkeys([*self.chosen, *self.choices])
            if all(word in f"{key} {self.choices[key].title}".casefold() for word in words)
        ]
        at = self.shown.index(keep) if keep in self.shown else 0
        self.list.show(ListRows(self.shown, self._cells), at)
        count = len(self.chosen)
        self.note.show(Span(f"{count} chosen: {self.said}" if count else self.usual, "dim"))

    def _cells(self, key: str) -> list[Span]:
        taken, choice = key in self.chosen, self.choices[key]
        mark = f"{self.chosen.index(key) + 1}" if taken else "-"
        return [
            Span(mark, "ok" if taken else "faint"),
            Span(choice.title, "benchmark.strong" if taken else "text"),
            Span(str(choice.count), "dim"),
        ]

    @property
    def at(self) -> str | None:
        return self.list.at_cursor(self.shown)

    def action_find(self) -> None:
        self.line.display = True
        self.line.focus()

    def typed(self, _: object) -> None:
        self.fill(self.at)

    def left(self, by: int) -> None:
        self.entered()
        self.action_move(by)

    def entered(self) -> None:
        self.list.focus()

    def action_take(self) -> None:
        key = self.at
        if key is None:
            return
        below = self.shown[min(self.list.cursor + 1, len(self.shown) - 1)]
        if key in self.chosen:
            self.chosen.remove(key)
        else:
            self.chosen.append(key)
        self.fill(below)

    def action_shift(self, by: int) -> None:
        key = self.at
        if key not in self.chosen:
            self.note.show(Span(keyed("{column-take} chooses a column first"), "warn"))
            return
        at = self.chosen.index(key)
        to = max(0, min(at + by, len(self.chosen) - 1))
        self.chosen.insert(to, self.chosen.pop(at))
        self.fill(key)

    def action_reset(self) -> None:
        self.chosen = []
        self.fill()

    def action_accept(self) -> None:
        self.dismiss(tuple(self.chosen))
