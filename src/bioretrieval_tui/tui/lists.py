"""What each list shows: its columns, and one span a column for an entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Dataset,
    Milestone,
    Model,
    Paper,
    Recipe,
    Step,
)
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import Column
from bioretrieval_tui.util.formatting import count, short

COLUMNS: dict[str, tuple[Column, ...]] = {
    "papers": (
        Column("name", "Paper", 20, 3, priority=0),
        Column("year", "Year", 5, priority=1),
        Column("venue", "Venue", 14, 2, priority=3),
        Column("arxiv", "arXiv", 10, priority=2),
    ),
    "models": (
        Column("name", "Model", 22, 3, priority=0),
        Column("params", "Params", 7, align="right", priority=1),
        Column("role", "Role", 14, priority=2),
        Column("dimension", "Dim", 5, align="right", priority=3),
        Column("year", "Year", 5, priority=4),
        Column("licence", "Licence", 12, 1, priority=5),
    ),
    "datasets": (
        Column("name", "Dataset", 20, 2, priority=0),
        Column("use", "Use", 16, 3, priority=1),
        Column("size", "Size", 14, 2, priority=2),
        Column("licence", "Licence", 12, 1, priority=4),
    ),
    "benchmarks": (
        Column("name", "Benchmark", 18, 2, priority=0),
        Column("queries", "Queries", 8, align="right", priority=1),
        Column("documents", "Docs", 10, align="right", priority=2),
        Column("metric", "Metric", 10, 1, priority=3),
        Column("task", "Task", 14, 2, priority=4),
        Column("results", "Figures", 8, align="right", priority=5),
    ),
    "recipes": (
        Column("name", "Recipe", 13, 2, priority=0),
        Column("params", "Params", 6, align="right", priority=1),
        Column("method", "Training recipe", 15, 3, priority=2),
        Column("best", "Best result", 12, 3, priority=3),
        Column("paper", "Paper", 11, priority=4),
    ),
    "timeline": (
        Column("year", "Year", 5, priority=0),
        Column("name", "Milestone", 22, 3, priority=0),
        Column("era", "Era", 12, 1, priority=2),
    ),
    "path": (Column("number", "Step", 6, priority=0), Column("name", "", 30, 1, priority=0)),
}


def cells(
    entry: AnyEntry, columns: Sequence[Column], catalogue: Catalogue, *, rail: str = ""
) -> list[Span]:
    """The spans of one row, a span a column."""
    return [_cell(entry, column.key, catalogue, rail) for column in columns]


def _cell(entry: AnyEntry, key: str, catalogue: Catalogue, rail: str) -> Span:
    kind = kind_of(entry)
    if key == "name":
        role = f"{kind}.strong"
        if isinstance(entry, Dataset) and not entry.available:
            role = "faint"
        return Span((f"{rail} " if rail else "") + entry.name, role)
    if key == "results":
        found = len(catalogue.results_of(entry.id))
        return Span(str(found) if found else "", "dim")
    if key == "paper" and isinstance(entry, Recipe):
        paper = catalogue.by_id.get(entry.paper or "")
        text = (paper.arxiv or paper.name) if isinstance(paper, Paper) else ""
        return Span(text, "paper")
    text = _text(entry, key)
    status = entry.statuses.get(key)
    if text and status == "unverified":
        # The mark is a character, so that it survives without colour.
        return Span(f"{text}?", "warn")
    return Span(text, "text" if key in ("method", "task", "use") else "dim")


def _text(entry: AnyEntry, key: str) -> str:
    found = getattr(entry, key, None)
    if not found:
        return ""
    if key == "params":
        encoders = entry.encoders if isinstance(entry, Model) else 1
        return f"{encoders}x{short(found)}" if encoders > 1 else short(found)
    return count(found) if isinstance(found, int) and key not in ("year", "number") else str(found)


class EntryRows:
    """Rows of entries for a table."""

    def __init__(
        self,
        entries: Sequence[AnyEntry],
        columns: Sequence[Column],
        catalogue: Catalogue,
        mark: Callable[[AnyEntry], str] | None = None,
    ) -> None:
        self.entries = entries
        self.columns = columns
        self.catalogue = catalogue
        self.mark = mark

    def __len__(self) -> int:
        return len(self.entries)

    def cells(self, index: int) -> list[Span]:
        """One span a column."""
        entry = self.entries[index]
        rail = "●" if isinstance(entry, Milestone) else ""
        spans = cells(entry, self.columns, self.catalogue, rail=rail)
        if isinstance(entry, Step) and self.mark:
            spans[0] = Span(f"{self.mark(entry)} {entry.number}", "step")
        return spans
