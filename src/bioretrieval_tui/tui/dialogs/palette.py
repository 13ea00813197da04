"""The palette: every action of the app, index, theme and entry, by a few letters of its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import Action, key_of, keyed, title_of
from bioretrieval_tui.catalog.catalogue import kind_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema
from bioretrieval_tui.tui.dialogs.dialog import Dialog
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

COLUMNS = (
    TableColumn("name", "", 22, 1),
    TableColumn("help", "", 20, 8),
    TableColumn("key", "", 9),
)


@dataclass(frozen=True, slots=True)
class PaletteChoice:
    """An index or a setting. act: what choosing it does."""

    id: str
    label: str
    help: str
    act: Callable[[], object]


Choice = Action | PaletteChoice | AnyEntry


def choice_cells(
    item: Choice, here: Collection[str] = (), working: Collection[str] = ()
) -> list[Span]:
    """Name, what it is, key. here: scopes of this screen: the actions of others have the name of
    theirs; working: ids of the actions whose keys work now; in a line that takes letters, the
    others work after esc."""
    if isinstance(item, PaletteChoice):
        return [Span(item.label, "strong"), Span(item.help, "dim"), Span("")]
    if isinstance(item, Action):
        key = (
            Span(item.shown, "ok")
            if item.id in working
            else Span(f"{key_of('cancel')} {item.shown}" if item.keys else "", "faint")
        )
        said = item.help
        if item.scope not in here:
            title, digit = title_of(item.scope)
            key, said = Span(f"{digit} {item.shown}", "faint"), f"{title}: {said}"
        return [Span(item.label, "strong"), Span(said, "dim"), key]
    kind = kind_of(item)
    return [Span(item.name, f"{kind}.strong"), Span(f"{kind}  {item.id}", "dim"), Span("")]


class Palette(Dialog[Choice]):
    """Type, choose, enter: answers what was chosen.

    preview: a small dialog in a corner, which does what stands under the cursor; at: where that is.
    """

    DEFAULT_CSS = """
    Palette > Vertical { height: 80%; width: 96%; max-width: 100; }
    Palette.-preview { align: right bottom; }
    Palette.-preview > Vertical { min-width: 40; width: 40; height: 7; }
    """

    def __init__(
        self,
        actions: Sequence[Action | PaletteChoice],
        entries: Sequence[AnyEntry],
        here: Collection[str],
        working: Collection[str],
        *,
        preview: bool = False,
        at: int = 0,
    ) -> None:
        super().__init__()
        self.dims = not preview
        self.at = at
        self.set_class(preview, "-preview")
        self._cells = partial(choice_cells, here=here, working=working)
        self.items: list[Choice] = [*actions, *entries]
        rows = [Row(a.id, a.label, (), a.help, lambda _: None) for a in actions]
        rows += [
            Row(e.id, e.name, (kind_of(e), *e.tags), e.id, {"kind": kind_of(e)}.get)
            for e in entries
        ]
        self._filter = Filter(rows, Schema([Field("kind", "text")]))
        self.shown = self.items
        columns, nothing = COLUMNS[: 1 if preview else None], "Nothing has this name."
        self.table = VirtualTable(columns, chooses=True, one_click=True, empty=nothing)
        what = "an action, an index, a theme or an entry"
        self.line = QueryLine(
            keyed("{next-field} keeps, {close-field} restores") if preview else what
        )

    def compose(self) -> ComposeResult:
        yield Vertical(self.line, self.table, *([self.note] if self.dims else []))

    def on_mount(self) -> None:
        self.table.show(ListRows(self.shown, self._cells), self.at)
        self.line.focus()
        self._moved()

    def typed(self, field: Input) -> None:
        try:
            found = self._filter.apply(field.value)
        except FilterError:
            return  # incomplete syntax: keep what is shown
        wanted = field.value.strip().casefold()
        self.shown = [self.items[i] for i in found]
        self.shown.sort(key=lambda item: item.id.casefold() != wanted)  # that very id first
        self.table.show(ListRows(self.shown, self._cells))
        self._moved()

    @on(VirtualTable.Moved)
    def _moved(self) -> None:
        """Show whole what the row under the cursor does; in a preview, do it."""
        choice = self.table.at_cursor(self.shown)
        if self.dims:
            _, said, key = self._cells(choice) if choice else [Span("")] * 3
            self.note.show(said, Span(f"  {key.text}", key.role))
        elif isinstance(choice, PaletteChoice):
            choice.act()

    def left(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by)

    @on(VirtualTable.Chosen)
    def entered(self) -> None:
        self.dismiss(self.table.at_cursor(self.shown))
