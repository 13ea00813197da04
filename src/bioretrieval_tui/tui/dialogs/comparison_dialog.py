"""The screen of a comparison: a column for each thing, labels that stay, equal rows to fold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical

from bioretrieval_tui.actions import in_scope
from bioretrieval_tui.backend.protocol import CompareRuns
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Entry
from bioretrieval_tui.render.comparison import (
    Compared,
    ComparedRow,
    EntryComparison,
    compare,
    comparison_sheet,
    runs_of_one_benchmark,
)
from bioretrieval_tui.render.rankings import LEGEND
from bioretrieval_tui.render.sheet import face, one_line
from bioretrieval_tui.render.terminal_text import cut
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, ExportDialog
from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog
from bioretrieval_tui.tui.text import Span, line, unbroken
from bioretrieval_tui.tui.widgets.bars import HeadLine, hints
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient

_LABEL, _LEAST_WIDTH, _USUAL_WIDTH, _MOST_LABEL, _MOST_TEXT = 20, 18, 26, 30, 80
_LEAST_NAME = 8
"""Cells of a name in the head, where there is not space for all."""
_BEST = "\N{BLACK UP-POINTING TRIANGLE}"
"""Behind the best score of a row: it shows without colour too."""
_SAME = "= "
"""Before the label of a row in which all are equal."""
_READ = 3
"""Lines for the whole text of the chosen cell."""


class ComparisonDialog(Dialog[None]):
    """The whole screen; where columns do not fit, it scrolls sideways."""

    DEFAULT_CSS = f"""
    ComparisonDialog > Vertical {{
        width: 100%; max-width: 100%; height: 100%; max-height: 100%; border: none; padding: 0;
    }}
    ComparisonDialog VirtualTable {{ height: 1fr; }}
    ComparisonDialog Detail {{ height: {_READ}; }}
    """
    BINDINGS: ClassVar = bindings("comparison")

    def __init__(self, found: EntryComparison) -> None:
        super().__init__()
        self.found = found
        self.folded = False
        self.remarks = any(row.remark for row in found.rows)
        self.shown: list[ComparedRow | str] = []
        """Rows, each section after its name."""
        self.title_line = HeadLine()
        self.table = VirtualTable((), squeeze=False)
        self.table.gap = 1
        self.whole = Detail(measure=1000)
        self.whole.can_focus = False
        self.keys = HeadLine()

    def compose(self) -> ComposeResult:
        yield Vertical(self.title_line, self.table, self.whole, self.note, self.keys)

    def on_mount(self) -> None:
        self.table.columns = (
            TableColumn("label", "", _LABEL, frozen=True),
            *(
                TableColumn(identifier, name, _LEAST_WIDTH, 1)
                for identifier, name in zip(self.found.ids, self.found.names, strict=True)
            ),
            *((TableColumn("remark", "Measured differently", 24, 2),) if self.remarks else ()),
        )
        self.table.column = 2  # the first that has differences
        self.note.show(Span(self._noted, "faint"))
        self.table.focus()
        self._fill(self.found.rows[0])

    @property
    def _noted(self) -> str:
        best = [f"{_BEST} best"] if any(row.best for row in self.found.rows) else []
        notes = (unbroken(one) if one == LEGEND else one for one in self.found.notes)
        return "; ".join([*best, *notes])

    def on_resize(self) -> None:
        width = self.app.size.width
        # A wide terminal shows longer names of benchmarks, and texts of queries.
        names = (min(_USUAL_WIDTH, max(_LEAST_WIDTH, cell_len(one))) for one in self.found.names)
        space = width - sum(name + 2 for name in names) - self.remarks * _USUAL_WIDTH
        longest = max(cell_len(row.label) for row in self.found.rows) + len(_SAME)
        label = max(_LABEL, min(_MOST_LABEL, width // 5), min(longest, space, _MOST_TEXT))
        first, *others = self.table.columns
        self.table.columns = (TableColumn(first.key, "", label, frozen=True), *others)
        self.table.update()
        actions = sorted((a for a in in_scope("comparison") if a.footer), key=lambda a: a.footer)
        self.keys.show(*hints(actions, width - 1, "strong", "faint"))
        self._head()

    def _fill(self, keep: ComparedRow | str | None = None) -> None:
        """Show the rows; the cursor stays on `keep`, or on the next row that is left."""
        self.shown = []
        at = 0
        for row in self.found.rows:
            kept = not (self.folded and row.equal)
            if kept and row.section not in self.shown:
                self.shown.append(row.section)
            if row is keep or row.section == keep:
                at = self.shown.index(keep) if keep in self.shown else len(self.shown)
            self.shown += [row] if kept else []
        self.table.show(ListRows(self.shown, self._cells), at)
        self._head()
        self._read()

    def _head(self) -> None:
        """Name all that is compared, also what is beyond the edge, and count equal rows."""
        names = self.found.names
        lead = f"{len(names)} side by side: "
        space = self.app.size.width - len(lead) - 2 * len(names)
        longest = next(
            (most for most in range(max(map(len, names)), _LEAST_NAME, -1)
             if sum(min(len(name), most) for name in names) <= space),
            _LEAST_NAME,
        )  # fmt: skip
        equal = sum(row.equal for row in self.found.rows)
        said = f"   {equal} equal rows {'folded' if self.folded else f'marked {_SAME.strip()}'}"
        named = ", ".join(cut(one_line(name), longest) for name in names)
        self.title_line.show(Span(lead, "dim"), Span(named, "strong"), Span(said, "faint"))

    def _cells(self, row: ComparedRow | str) -> Sequence[Span]:
        if isinstance(row, str):
            return [Span(row, "header")]
        sign, role = (_SAME, "faint") if row.equal else ("", "text")
        cells = [Span(f"{sign}{row.label}", "faint" if row.equal else "dim")]
        for at, value in enumerate(row.cells):
            seen = face(value)
            best = at in row.best
            mark = "?" if seen.unverified and seen.text and not row.differences else ""
            text = f"{seen.text}{mark}{f' {_BEST}' if best else ''}"
            cells.append(Span(text or "-", "ok" if best else role if seen.text else "faint"))
        return [*cells, *([Span(row.remark, "warn")] if self.remarks else [])]

    def _read(self) -> None:
        """Show the chosen cell whole, and the remark on its row."""
        row = self.table.at_cursor(self.shown)
        if row is None or isinstance(row, str):
            self.whole.show(())
            return
        spans = [Span(f"{row.label}  ", "dim")]
        at = self.table.column - 1
        if 0 <= at < len(row.cells):
            spans.append(Span(f"{self.found.names[at]}: ", "strong"))
            spans.append(Span(face(row.cells[at]).text or "no value"))
        if row.remark:
            spans.append(Span(f"  measured differently: {row.remark}", "warn"))
        self.whole.show([line(Span("─" * (self.app.size.width - 2), "rule")), line(*spans)])

    def on_virtual_table_moved(self) -> None:
        self._read()

    def action_move(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_edge(self, by: int) -> None:
        self.table.move_to(0 if by < 0 else len(self.shown) - 1)

    def action_column(self, by: int) -> None:
        self.table.move_column(by)
        self._read()

    def action_section(self) -> None:
        """Go to the next section; from the last one to the first."""
        starts = [at for at, row in enumerate(self.shown) if isinstance(row, str)]
        after = [at for at in starts if at > self.table.cursor]
        self.table.move_to((after or starts or [0])[0])
        # The section is read from its start.
        self.table.top = self.table.cursor
        self.table.update()

    def action_help(self) -> None:
        self.app.push_screen(HelpDialog("Comparison", ("comparison",)))

    def action_fold(self) -> None:
        self.folded = not self.folded
        self._fill(self.table.at_cursor(self.shown))

    def action_export(self) -> None:
        make = partial(comparison_sheet, self.found, differences=self.folded)
        rows = self.found.shown(differences=self.folded)
        dialog = ExportDialog(make, "bioretrieval-comparison.md", len(rows))
        self.app.push_screen(
            dialog, lambda path: self.note.show(Span(f"Wrote {path}", "ok")) if path else None
        )


async def compare_marked(
    marked: Sequence[Compared], catalogue: Catalogue, client: SearchClient
) -> EntryComparison:
    """What stands side by side for marked rows; runs of one benchmark also query by query. Raises
    BioRetrievalError."""
    entries = catalogue.by_id
    things = [entries.get(one.id, one) if isinstance(one, Entry) else one for one in marked]
    runs = runs_of_one_benchmark(things)
    by_query = None
    if runs is not None:
        by_query = await client.ask(CompareRuns(*runs))
    return await asyncio.to_thread(partial(compare, things, catalogue, by_query=by_query))
