"""A benchmark explored: its queries with what each mode scores, and where each mode ranked the
documents that people have judged."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.explore import QueryRow, QueryView
from bioretrieval_tui.tui import judged
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.evaluating import Answer
from bioretrieval_tui.tui.pages import Page
from bioretrieval_tui.tui.panes.queries import QueriesPane
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

EMPTY = "No benchmark is open: b chooses one.\n\nAny folder in BEIR's form will do."
_LINE = 50
"""Columns of what stands in place of documents."""


class QrelsPane(QueriesPane):
    """Queries at the left, the chosen one with its documents at the right, a document over it."""

    TITLE = "Explore a benchmark"
    BINDINGS = bindings("qrels")
    SCOPES: ClassVar[tuple[str, ...]] = ("qrels", "list", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)
    DEFAULT_CSS = """
    QrelsPane #right { display: none; width: 1fr; height: 1fr; }
    QrelsPane.-wide #queries { width: 50%; }
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
        self.view: QueryView | None = None

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

    # Parts -------------------------------------------------------------------------------

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

    def activate(self) -> None:
        """Keys go where they went."""
        (self.detail if self.has_class("-document") else self.table).focus()

    def show_queries(self, rows: list[QueryRow], answer: Answer | None) -> None:
        """Show these queries, and no document yet."""
        self.view = None
        self.close_documents()
        super().show_queries(rows, answer)
        self.documents.set_columns(judged.document_columns(self.modes))

    def close_documents(self) -> None:
        """Back to the queries alone."""
        self.remove_class("-reading", "-document")

    # Documents ---------------------------------------------------------------------------

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
