"""A benchmark explored: its queries with what each mode scores, and where each mode ranked the
documents that people have judged."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.explore import QueryRow, QueryView
from bioretrieval_tui.tui import judged
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.evaluating import Answer, Ask, Result
from bioretrieval_tui.tui.exploring import Explorer, Stored, keep, prepare, stored, with_run
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.screens.listing import ListPane
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.detail import Detail
from bioretrieval_tui.tui.widgets.headline import HeadLine
from bioretrieval_tui.tui.widgets.query_line import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable
from bioretrieval_tui.tui.widgets.workbar import WorkBar

if TYPE_CHECKING:
    from bioretrieval_tui.export.sheet import Sheet

EMPTY = "No benchmark is open: b chooses one.\n\nAny folder in BEIR's form will do."
_LINE = 60
"""Columns of what stands in place of queries."""


class QrelsPane(ListPane):
    """Queries at the left, the chosen one with its documents at the right, a document over it."""

    TITLE = "Explore a benchmark"
    BINDINGS = bindings("qrels")
    SCOPES: ClassVar[tuple[str, ...]] = ("qrels", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)
    DEFAULT_CSS = """
    QrelsPane #right { display: none; width: 1fr; height: 1fr; }
    QrelsPane.-wide #queries { width: 46%; }
    QrelsPane.-wide #right, QrelsPane.-reading #right { display: block; }
    QrelsPane.-reading #queries { display: none; }
    QrelsPane.-wide.-reading #queries { display: block; }
    QrelsPane #query { display: block; width: 1fr; height: 8; }
    QrelsPane #documents { display: block; }
    QrelsPane #document { display: none; width: 1fr; }
    QrelsPane.-document #document { display: block; }
    QrelsPane.-document #query, QrelsPane.-document #documents { display: none; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ask: Ask | None = None
        self.answer: Answer | None = None
        self.queries: list[QueryRow] = []
        self.shown: list[QueryRow] = []
        self.words = ""
        self.order: judged.Order = None
        self.pair = 0
        self.view: QueryView | None = None
        self.problem = ""
        self.explorer = Explorer()

    def compose(self) -> ComposeResult:
        """Head, work, queries, and at their right the query with its documents."""
        yield HeadLine()
        yield WorkBar()
        with Horizontal():
            yield VirtualTable(judged.query_columns((), None), "queries", empty=EMPTY)
            with Vertical(id="right"):
                yield Detail("query", measure=120)
                yield VirtualTable(judged.document_columns(()), "documents", empty="")
                yield Detail("document", rule=True)

    def on_mount(self) -> None:
        """Nothing is open yet."""
        self.query_one("#query", Detail).can_focus = False
        self.head()
        self.evaluation_changed()

    async def on_unmount(self) -> None:
        """End the process that reads the rankings."""
        await self.explorer.close()

    # Parts -------------------------------------------------------------------------------

    @property
    def list_of_queries(self) -> VirtualTable:
        """The queries."""
        return self.query_one("#queries", VirtualTable)

    @property
    def documents(self) -> VirtualTable:
        """The documents of the chosen query."""
        return self.query_one("#documents", VirtualTable)

    @property
    def table(self) -> VirtualTable:
        """The list that keys move in."""
        return self.documents if self.has_class("-reading") else self.list_of_queries

    @property
    def detail(self) -> Detail:
        """The document."""
        return self.query_one("#document", Detail)

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

    def activate(self) -> None:
        """Keys go where they went."""
        (self.detail if self.has_class("-document") else self.table).focus()

    def place(self) -> str | None:
        """The query under the cursor."""
        return self.row.id if self.row else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor on a query."""
        self._fill(place)

    # Opening -----------------------------------------------------------------------------

    def open(self, ask: Ask) -> None:
        """Show what `ask` ranks: kept rankings at once, others when they were made."""
        self.ask = with_run(ask, self.owner.where)
        self._show([], None)
        self.run_worker(self._open(self.ask), group="explore", exclusive=True)

    async def _open(self, ask: Ask) -> None:
        kept = stored(ask)
        if kept is None or not await self._show_kept(ask, kept):
            self._rank(ask)

    async def _show_kept(self, ask: Ask, kept: Stored) -> bool:
        """Show the queries; False where the files have changed since they were ranked."""
        try:
            rows = await self.explorer.open(ask.folder, kept)
        except BioRetrievalError as error:
            self._fail(error.line())
            return True
        if rows is not None:
            self._show(rows, kept.answer)
        return rows is not None

    def _rank(self, ask: Ask) -> None:
        """Have it ranked, in a process of its own."""
        try:
            prepare(ask)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        self.problem = ""
        self.list_of_queries.empty = "Ranking; this goes on while you look at something else."
        if not self.owner.evaluations.add([ask]):
            self.owner.say("This is being ranked already, or waits")
        self._fill()

    def _show(self, rows: list[QueryRow], answer: Answer | None) -> None:
        self.queries, self.answer, self.view, self.problem = rows, answer, None, ""
        self.words, self.order, self.pair = "", None, 0
        self.remove_class("-reading", "-document")
        for filter_line in self.query(QueryLine):
            filter_line.display = False
        self.list_of_queries.set_columns(judged.query_columns(self.modes, self.compared))
        self.documents.set_columns(judged.document_columns(self.modes))
        self.list_of_queries.empty = "No query fits." if rows else "Reading the benchmark"
        self._fill()
        if self.owner.current == self.pane_name:
            self.activate()

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self.list_of_queries.empty = "\n".join(textwrap.wrap(problem, _LINE))
        self._fill()

    def evaluation_changed(self) -> None:
        """Show how far the one that runs is."""
        rows = judged.evaluation_lines(self.owner.evaluations, self.app.size.width)
        self.query_one(WorkBar).show(rows)

    def evaluation_done(self, result: Result) -> None:
        """Show its queries, if it was ours."""
        if self.ask is None or result.ask != self.ask:
            return
        if result.answer is None:
            self._fail(result.line)
            return
        try:
            kept = keep(self.ask, result.answer)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        self.run_worker(self._show_kept(self.ask, kept), group="explore", exclusive=True)

    # Queries and their documents ------------------------------------------------------------

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

    def make_page(self) -> Page:
        """Documents stand in a table; no page has letters here."""
        return Page(())

    def show_page(self, *, lead: bool = False) -> None:
        """Show the chosen query: its text at once, its documents once the cursor rests."""
        row = self.row
        if row is not None and self.view is not None and self.view.id == row.id:
            return
        self.view = None
        text = [line(Span(row.text, "strong"))] if row is not None else []
        self.query_one("#query", Detail).show(text)
        self.documents.empty = "Reading its documents" if row is not None and not lead else ""
        self.documents.show(judged.DocumentRows(None, self.modes))
        if row is not None and not lead:
            self.run_worker(self._look_up(row.id), group="view", exclusive=True)

    async def _look_up(self, query: str) -> None:
        try:
            view = await self.explorer.view(query)
        except BioRetrievalError as error:
            self.documents.empty = "\n".join(textwrap.wrap(error.line(), _LINE))
            self.documents.update()
            return
        if self.row is None or self.row.id != query:
            return
        self.view = view
        self.query_one("#query", Detail).show(judged.query_lines(view, self.modes))
        self.documents.show(judged.DocumentRows(view, self.modes))

    def on_resize(self) -> None:
        """The query has the rule that the document has."""
        query = self.query_one("#query", Detail)
        query.rule = self.wide
        query.repaint()
        self.evaluation_changed()

    def action_enter(self) -> None:
        """From the query to its documents, from there to one of them."""
        if not self.has_class("-reading"):
            if self.row is not None:
                self._settle()
                self.add_class("-reading")
                self.documents.focus()
            return
        rows = judged.DocumentRows(self.view, self.modes).rows
        if rows and not self.has_class("-document"):
            chosen = rows[self.documents.cursor]
            self.run_worker(self._read(chosen), group="document", exclusive=True)

    async def _read(self, row: judged.Found) -> None:
        try:
            document = await self.explorer.document(row.id)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.detail.show(judged.document_lines(row, self.modes, "-", document))
        self.add_class("-document")
        self.detail.focus()

    def leave(self) -> bool:
        """Out of the document, out of the documents."""
        if self.has_class("-document"):
            self.remove_class("-document")
            self.documents.focus()
        elif self.has_class("-reading"):
            self.remove_class("-reading")
            self.list_of_queries.focus()
        else:
            return False
        return True

    def action_clear(self) -> None:
        """Out of a part, out of the filter, then out of what runs."""
        if self.leave():
            return
        if self.words:
            self._filter_by("")
        elif self.ask is not None and self.ask == self.owner.evaluations.current:
            self.owner.action_stop_evaluation()

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
        self.remove_class("-reading", "-document")
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

    def action_another(self) -> None:
        """Choose another benchmark."""
        self.owner.action_explore()

    def action_again(self) -> None:
        """Rank anew."""
        if self.ask is None:
            self.owner.say("No benchmark is open: b chooses one")
        else:
            self._rank(self.ask)

    def action_export(self) -> None:
        """Write the queries that are shown to a file."""
        rows, modes = list(self.shown), self.modes
        self.owner.export_sheet(lambda: _sheet(rows, modes), "queries", len(rows))


def _sheet(rows: list[QueryRow], modes: tuple[str, ...]) -> Sheet:
    from dataclasses import asdict

    from bioretrieval_tui.export.sheet import Column, Sheet

    return Sheet(
        title="Queries",
        columns=tuple(Column(name, name) for name in ("id", "text", "judged", "relevant", *modes)),
        rows=tuple(
            (row.id, row.text, row.judged, row.relevant, *(row.scores[mode] for mode in modes))
            for row in rows
        ),
        records=tuple(asdict(row) for row in rows),
    )
