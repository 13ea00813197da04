"""The choice of a theme: the screen behind shows the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical

from bioretrieval_tui.tui.dialogs.dialog import Dialog, title_line
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.themes import LOOKS
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

_NOTES = {"dark": "", "light": "", "terminal": "the terminal's own colours"}


class ThemeDialog(Dialog[str]):
    """Answers the name of a theme. now: the one in use; show: shows another."""

    DEFAULT_CSS = """
    ThemeDialog { align: right bottom; }
    ThemeDialog > Vertical { width: 46; min-width: 46; height: 7; }
    """
    DIMS = False
    BINDINGS: ClassVar = [
        Binding("j,down,t", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("enter,space", "keep", show=False),
    ]

    def __init__(self, now: str, show: Callable[[str], None]) -> None:
        super().__init__()
        self.names = list(LOOKS)
        self.now = now
        self.show_theme = show
        columns = (TableColumn("name", "", 10), TableColumn("note", "", 26))
        self.table = VirtualTable(columns)

    def compose(self) -> ComposeResult:
        yield Vertical(title_line("Theme", "enter: keep   esc: restore"), self.table)

    def on_mount(self) -> None:
        rows = ListRows(self.names, lambda name: [Span(name), Span(_NOTES.get(name, ""), "dim")])
        self.table.show(rows, self.names.index(self.now))
        self.table.focus()

    def action_move(self, by: int) -> None:
        self.table.move_to((self.table.cursor + by) % len(self.names))

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        self.show_theme(self.names[self.table.cursor])

    @on(VirtualTable.Chosen)
    def action_keep(self) -> None:
        self.dismiss(self.names[self.table.cursor])
