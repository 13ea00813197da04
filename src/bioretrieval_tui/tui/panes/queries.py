"""A list of queries with what each mode scores: sorted by a mode or a difference, filtered."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import Input

from bioretrieval_tui.evaluation.explore import QueryRow
from bioretrieval_tui.tui import judged
from bioretrieval_tui.tui.evaluating import Answer
from bioretrieval_tui.tui.panes.opening import OpeningPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet

_LINE = 60
"""Columns of what stands in place of queries."""


class QueriesPane(OpeningPane):
    """Base of the explorer. Subclasses compose a `VirtualTable` with the id `queries`, and show
    the documents of the query under the cursor."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.queries: list[QueryRow] = []
        self.shown: list[QueryRow] = []
        self.words = ""
        self.order: judged.Order = None
        self.pair = 0

    def close_documents(self) -> None:
        """Back to the queries alone."""
        raise NotImplementedError

    @property
    def list_of_queries(self) -> VirtualTable:
        """The queries."""
        return self.query_one("#queries", VirtualTable)

    @property
    def row(self) -> QueryRow | None:
        """The query under the cursor."""
        at = self.list_of_queries.cursor
        return self.shown[at] if 0 <= at < len(self.shown) else None

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that were ranked."""
        return tuple(run.mode for run in self.answer.runs) if self.answer is not None else ()

    @property
    def compared(self) -> tuple[str, str] | None:
        """The two modes whose difference is shown."""
        known = judged.pairs(self.modes)
        return known[self.pair % len(known)] if known else None

    def place(self) -> str | None:
        """The query under the cursor."""
        return self.row.id if self.row else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on a query."""
        self._fill(place)

    # What was opened ---------------------------------------------------------------------

    def show_queries(self, rows: list[QueryRow], answer: Answer | None) -> None:
        self.queries, self.answer, self.problem = rows, answer, ""
        self.words, self.order, self.pair = "", None, 0
        for filter_line in self.query(QueryLine):
            filter_line.display = False
        self.list_of_queries.set_columns(judged.query_columns(self.modes, self.compared))
        self.list_of_queries.empty = "No query fits." if rows else "Reading the benchmark"
        self._fill()
        if self.owner.current == self.pane_name:
            self.activate()

    def _fill(self, keep_at: str | None = None) -> None:
        """Queries anew; the cursor stays on its query, or goes to the top where that is gone."""
        keep_at = keep_at or self.place()
        self.shown = judged.arranged(self.queries, self.words, self.order, self.compared)
        at = next((i for i, row in enumerate(self.shown) if row.id == keep_at), 0)
        table = self.list_of_queries
        table.sorted_by = (self.order[0], self.order[1] == "down") if self.order else None
        table.show(judged.QueryRows(self.shown, self.modes, self.compared), at)
        self.head()
        self.show_page()

    def show_problem(self, text: str) -> None:
        """Say it where queries would stand."""
        self.list_of_queries.empty = "\n".join(textwrap.wrap(text, _LINE))
        self._fill()

    def head(self) -> None:
        """What is open, by what it was ranked, how many queries are shown."""
        spans = [Span("Explore", "strong")]
        found = self.answer
        if self.problem:
            spans.append(Span(f"  {self.problem}", "error"))
        elif found is not None:
            counts = f"{len(self.shown):,}"
            if len(self.shown) < len(self.queries):
                counts += f" of {len(self.queries):,}"
            model = found.model.rstrip("/").rpartition("/")[2]
            spans += [
                Span(f"  {found.benchmark}", "benchmark.strong"),
                Span(f" {found.split}  {counts} queries  nDCG@10 by {model}", "dim"),
            ]
            if self.compared and self.order and self.order[0] == judged.DELTA:
                spans.append(Span(f"  {self.compared[1]} less {self.compared[0]}", "ok"))
            if self.words:
                spans += [Span("  filter ", "faint"), Span(self.words, "ok")]
        elif self.ask is not None:
            spans.append(Span(f"  {self.ask.folder}", "dim"))
        self.query_one(HeadLine).show(*spans)

    # Sorting and filtering --------------------------------------------------------------------

    def action_column(self, by: int) -> None:
        """Choose the column to sort by."""
        self.list_of_queries.move_column(by)

    def action_sort(self) -> None:
        """By the chosen column, the worst first; again: the other way; again: as in the files."""
        table = self.list_of_queries
        key = table.columns[table.column].key
        if self.order == (key, "up"):
            self.order = (key, "down")
        elif self.order == (key, "down"):
            self.order = None
        else:
            self.order = (key, "up")
        self._fill()
        self.list_of_queries.move_to(0)

    def action_pair(self) -> None:
        """Compare the next two modes."""
        if len(judged.pairs(self.modes)) < 2:
            self.owner.say("There are no other two modes to compare")
            return
        self.pair += 1
        table = self.list_of_queries
        table.columns = tuple(judged.query_columns(self.modes, self.compared))
        self._fill()

    async def action_filter(self) -> None:
        """Open the filter line."""
        if not self.queries:
            self.owner.say("No benchmark is open: b chooses one")
            return
        found = self.query(QueryLine)
        if found:
            filter_line = found.first()
        else:
            filter_line = QueryLine("filter: words of the query, or its id")
            await self.mount(filter_line, after=self.query_one(HeadLine))
        self.close_documents()
        filter_line.display = True
        filter_line.value = self.words
        filter_line.cursor_position = len(self.words)
        filter_line.focus()

    def _filter_by(self, words: str) -> None:
        self.words = words
        self._fill()

    @on(Input.Changed)
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.display and event.value != self.words:
            self._filter_by(event.value)

    @on(Input.Submitted)
    def _filter_accepted(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = False
        self.list_of_queries.focus()

    @on(QueryLine.Left)
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.action_move(event.by)

    @on(QueryLine.Cancelled)
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        event.line.display = False
        self._filter_by("")
        self.list_of_queries.focus()

    # Out of here -------------------------------------------------------------------------

    def action_export(self) -> None:
        """Write the queries that are shown to a file."""
        rows, modes = list(self.shown), self.modes
        self.owner.export_sheet(lambda: _sheet(rows, modes), "queries", len(rows))


def _sheet(rows: list[QueryRow], modes: tuple[str, ...]) -> Sheet:
    from dataclasses import asdict

    from bioretrieval_tui.render.sheet import Column, Sheet

    return Sheet(
        title="Queries",
        columns=tuple(Column(name, name) for name in ("id", "text", "judged", "relevant", *modes)),
        rows=tuple(
            (row.id, row.text, row.judged, row.relevant, *(row.scores[mode] for mode in modes))
            for row in rows
        ),
        records=tuple(asdict(row) for row in rows),
    )
