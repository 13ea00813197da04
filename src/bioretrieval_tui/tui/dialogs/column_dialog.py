"""The choice of the board's columns: which benchmarks are shown, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical

from bioretrieval_tui.catalog.matrix import MatrixView, ScoreTable
from bioretrieval_tui.tui.dialogs.dialog import Dialog, title_line
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

_COLUMNS = (
    TableColumn("mark", "", 3),
    TableColumn("title", "Benchmark", 24, 1),
    TableColumn("models", "Models", 7, align="right"),
)


class ColumnDialog(Dialog[Sequence[str]]):
    """Chosen columns first, in their order, then the others. Answers the keys of the chosen
    columns, () for all.

    table: where the columns are; chosen: those that are shown now, () for all.
    """

    DEFAULT_CSS = "ColumnDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = [
        Binding("space", "take", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("ctrl+d,pagedown", "move(10)", show=False),
        Binding("ctrl+u,pageup", "move(-10)", show=False),
        Binding("J,shift+down", "shift(1)", show=False),
        Binding("K,shift+up", "shift(-1)", show=False),
        Binding("a", "reset", show=False),
        Binding("slash", "find", show=False),
        Binding("enter", "accept", show=False),
    ]

    def __init__(self, table: ScoreTable, chosen: Sequence[str]) -> None:
        super().__init__()
        self.scores = table
        self.chosen = list(chosen)
        self.usual_basis = table.matrix(MatrixView(), ()).basis
        """The columns that rank where none are chosen."""
        self.shown: list[str] = []
        self.line = QueryLine("part of a name")
        self.list = VirtualTable(_COLUMNS, chooses=True, empty="No benchmark has this name.")

    def compose(self) -> ComposeResult:
        keys = "space choose  J K move  / find  a all  enter ok"
        yield Vertical(title_line("Columns", keys), self.line, self.list, self.note)

    def on_mount(self) -> None:
        self.line.display = False
        self.list.focus()
        self.fill()

    def fill(self, keep: str | None = None) -> None:
        """Show the columns whose name holds the words of the line, the parts of a benchmark behind
        it; the cursor stays on `keep`."""
        axes = self.scores.axes
        first = {axis.benchmark: at for at, axis in reversed([*enumerate(axes)])}
        order = sorted(axes, key=lambda axis: first[axis.benchmark])
        words = self.line.value.casefold().split()
        keys = dict.fromkeys([*self.chosen, *map(self.scores.key, order)])
        self.shown = [
            key for key in keys
            if all(word in f"{key} {self._title(key)}".casefold() for word in words)
        ]  # fmt: skip
        at = self.shown.index(keep) if keep in self.shown else 0
        self.list.show(ListRows(self.shown, self._cells), at)
        count = len(self.chosen)
        said = f"{count} chosen: they are shown and rank"
        if not count:
            said = f"all are shown; {', '.join(map(self.scores.title, self.usual_basis))} rank"
        self.note.show(Span(said, "dim"))

    def _title(self, key: str) -> str:
        return self.scores.title(self.scores.by_key[key])

    def _cells(self, key: str) -> list[Span]:
        taken = key in self.chosen
        mark = f"{self.chosen.index(key) + 1}" if taken else "-"
        count = self.scores.counts[self.scores.by_key[key]]
        role = "benchmark.strong" if taken else "text"
        return [Span(mark, "ok" if taken else "faint"), Span(self._title(key), role),
                Span(str(count), "dim")]  # fmt: skip

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

    def action_move(self, by: int) -> None:
        self.list.move_to(self.list.cursor + by)

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
            self.note.show(Span("space chooses a column first", "warn"))
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
