"""The query explorer: a benchmark's queries with the score of each mode, and where each mode
ranked the judged documents of a query."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.backend.protocol import ReadDocument
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.metrics import MEASURES
from bioretrieval_tui.evaluation.qrels import FoundRow, QueryRow, QueryView
from bioretrieval_tui.render.evaluations import pair_title, query_list_sheet
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.qrels_session import DELTA, QrelsSession, difference
from bioretrieval_tui.tui.spans import addresses
from bioretrieval_tui.tui.text import Line, Span, fit, line
from bioretrieval_tui.tui.widgets.bars import HeadLine, WorkBar
from bioretrieval_tui.tui.widgets.canvas import Detail, SideBySide
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord

NONE_OPEN = "No benchmark is open: {another} chooses one"
EMPTY = NONE_OPEN + ".\n\nAny folder in BEIR format can be opened."
_QUERIES_WIDTH = 60
_DOCUMENTS_WIDTH = 50
"""Columns of a message in place of queries, and of documents."""
_DELTA_WIDTH = 13
_SCORE, _LABEL = 7, 8
"""Cells of a score in a list, and of the name of a mode on a page."""
_NAMED, _NAMES = 20, 40
"""Most cells of the name of a run file, and of all names together."""
"""Cells of the difference of two modes: the names of both, of a run file its beginning."""
_HIGH_GRADE = 2
"""Grade from which a document is highly relevant."""


class QrelsPane(Pane):
    """Queries at the left, the chosen one with its documents at the right, a document over it.

    `session` holds the benchmark; this class has the keys, the widgets and the painting.
    """

    TITLE = "Explore a benchmark"
    BINDINGS = bindings("qrels")
    SCOPES = ("qrels", "list", "everywhere")
    MORE_SCOPES = ("files", "path")
    DEFAULT_CSS = """
    QrelsPane #right { display: none; width: 1fr; height: 1fr; }
    QrelsPane.-wide #right, QrelsPane.-reading #right { display: block; }
    QrelsPane.-reading #queries { display: none; }
    QrelsPane.-wide.-reading #queries { display: block; }
    QrelsPane #query { display: block; width: 1fr; height: 8; }
    QrelsPane #documents { display: block; }
    QrelsPane #document { display: none; width: 1fr; }
    QrelsPane.-document #document { display: block; }
    QrelsPane.-document #query, QrelsPane.-document #documents { display: none; }
    """

    SHOWS_WORK = "runs"
    SHARE = 50
    FILTER_HINT = "filter: words of the query, or its id"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.session = QrelsSession(self)
        self.query_page = Detail("query", rule=True, measure=120)
        self.query_page.can_focus = False
        self.list_of_queries = VirtualTable(
            query_columns((), None), "queries", empty=keyed(EMPTY), lead=2
        )
        self.documents = VirtualTable(document_columns(()), "documents", empty="", lead=2)

    def compose(self) -> ComposeResult:
        yield HeadLine()
        yield WorkBar()
        with SideBySide():
            yield self.list_of_queries
            with Vertical(id="right"):
                yield self.query_page
                yield self.documents
                yield Detail("document", rule=True)

    def on_mount(self) -> None:
        self.head()

    def job_ended(self, outcome: JobRecord) -> None:
        self.session.job_ended(outcome)

    @property
    def table(self) -> VirtualTable:
        return self.documents if self.has_class("-reading") else self.list_of_queries

    @property
    def detail(self) -> Detail:
        return self.query_one("#document", Detail)

    @property
    def page_part(self) -> Widget:
        return self.query_one("#right")

    @property
    def row(self) -> QueryRow | None:
        return self.list_of_queries.at_cursor(self.session.shown)

    def activate(self) -> None:
        (self.detail if self.has_class("-document") else self.table).focus()

    def place(self) -> str | None:
        return self.row.id if self.row else None

    def go_to(self, place: str | None) -> None:
        self.refill(place)

    # What the session calls -----------------------------------------------------------

    def show_benchmark(self) -> None:
        """Show the queries of another benchmark, and no document yet."""
        session, table = self.session, self.list_of_queries
        self.remove_class("-reading", "-document")
        self.close_filter()
        table.set_columns(query_columns(session.modes, session.pair))
        table.empty = "No query matches." if session.queries else "Reading the benchmark"
        self.documents.set_columns(document_columns(session.modes))
        self.refill()
        if self.owner.current == self.pane_name:
            self.activate()

    def refill(self, keep: str | None = None) -> None:
        """Show the queries; the cursor goes to the one with the id `keep`, else stays on its query,
        else goes to the top."""
        self._show_queries(keep)
        self.show_page()

    def _show_queries(self, keep: str | None = None) -> None:
        session, table = self.session, self.list_of_queries
        keep = keep or session.chosen
        cursor = next((n for n, row in enumerate(session.shown) if row.id == keep), 0)
        table.sorted_by = (session.order[0], session.order[1] == "down") if session.order else None
        table.show(query_rows(session.shown, session.modes, session.pair), cursor)
        self.head()

    def show_message(self, text: str) -> None:
        self.list_of_queries.empty = "\n".join(textwrap.wrap(text, _QUERIES_WIDTH))
        self.refill()

    def show_view(self, problem: str = "") -> None:
        """Show the documents of the chosen query, or why they cannot be shown."""
        view, modes = self.session.view, self.session.modes
        if view is None:
            self.documents.empty = "\n".join(textwrap.wrap(problem, _DOCUMENTS_WIDTH))
            self.documents.update()
            return
        self.query_page.show(query_lines(view, modes))
        self.documents.show(document_rows(view, modes))

    def list_head(self) -> list[Span]:
        session, found = self.session, self.session.answer
        spans = [Span("Explore", "strong")]
        if session.problem:
            return [*spans, Span(f"  {session.problem}", "error")]
        if found is None:
            return [*spans, Span(f"  {session.job.folder}" if session.job else "", "dim")]
        counts = plural(len(session.queries), "query")
        if len(session.shown) < len(session.queries):
            counts = f"{len(session.shown):,} of {counts}"
        encoded = set(session.modes) - {"lexical", *(session.job.names if session.job else ())}
        model = f" by {found.model.rstrip('/').rpartition('/')[2]}" if encoded else ""
        spans += [
            Span(f"  {found.benchmark}", "benchmark.strong"),
            Span(f" {found.split}  {counts}  nDCG@10{model}", "dim"),
        ]
        if session.pair:
            spans.append(Span(f"  {pair_title(session.pair)}", "ok"))
        if session.filter:
            spans += [Span("  filter ", "faint"), Span(session.filter, "ok")]
        return spans

    def show_page(self, *, lead: bool = False) -> None:
        """Show the chosen query: its text at once, its documents once the cursor rests."""
        session, row = self.session, self.row
        if row is not None and session.view is not None and session.view.id == row.id:
            return
        text = [line(Span(row.text, "strong"))] if row is not None else []
        self.query_page.show(text)
        self.documents.empty = "Reading its documents" if row is not None and not lead else ""
        self.documents.show(document_rows(None, session.modes))
        session.choose(row, read=not lead)

    @property
    def sortable(self) -> VirtualTable:
        return self.list_of_queries

    def action_sort(self) -> None:
        """Sort by the chosen column, lowest first; again: highest first; again: unsorted."""
        if not self.session.queries:
            raise UsageError(keyed(NONE_OPEN))
        table = self.list_of_queries
        self.session.sort_by(table.columns[table.column].key)
        table.move_to(0)

    def action_pair(self) -> None:
        self.session.next_pair()
        self.list_of_queries.columns = query_columns(self.session.modes, self.session.pair)
        self._show_queries()  # the chosen query, and so its page, stays

    async def action_filter(self) -> None:
        if not self.session.queries:
            raise UsageError(keyed(NONE_OPEN))
        self.remove_class("-document")
        await super().action_filter()

    @property
    def filtered(self) -> QrelsSession:
        return self.session

    def action_enter(self) -> None:
        if not self.has_class("-reading"):
            if self.row is not None:
                self._settle()
                self.add_class("-reading")
                self.documents.focus()
            return
        rows = _found(self.session.view)
        if rows and not self.has_class("-document"):
            self.in_background("document", self._read, rows[self.documents.cursor])

    async def _read(self, row: FoundRow) -> None:
        document = await self.owner.client.ask(ReadDocument(row.id))
        self.detail.show(document_lines(row, self.session.modes, document))
        self.add_class("-document")
        self.detail.focus()

    def leave(self) -> bool:
        if not self.has_class("-document"):
            return super().leave()
        self.remove_class("-document")
        self.documents.focus()
        return True

    def action_clear(self) -> None:
        if self.leave():
            return
        session, running = self.session, self.owner.jobs.current
        if session.filter:
            self.lift_filter()
        elif running is not None and session.job == running:
            self.owner.job_session.ask_to_stop(running)

    def action_again(self) -> None:
        if self.session.job is None:
            raise UsageError(keyed(NONE_OPEN))
        self.session.rank(self.session.job)

    def action_export(self) -> None:
        shown = list(self.session.shown)
        make = partial(query_list_sheet, shown, self.session.modes)
        self.owner.desktop.export(make, "queries", len(shown), cites=False)


# Queries as rows ------------------------------------------------------------------------------


def _mode_columns(modes: Sequence[str]) -> Iterator[TableColumn]:
    """A column a mode; names of run files are longer than those of modes."""
    names = {mode: mode_name(mode) for mode in modes}
    most = min(_NAMED, _NAMES // max(1, len(names)))
    for mode, name in names.items():
        width = max(_SCORE, min(len(name), most))
        yield TableColumn(mode, name, width, align="right", priority=1)


def query_columns(modes: Sequence[str], pair: tuple[str, str] | None) -> tuple[TableColumn, ...]:
    """Id and text of a query, nDCG@10 of each mode, and the difference of a pair of modes."""
    columns = [
        TableColumn("id", "Query", 7, priority=4),
        TableColumn("text", "Text", 14, 1, priority=0),
        *_mode_columns(modes),
    ]
    if pair is not None:
        first, second = map(mode_name, pair)
        space = _DELTA_WIDTH - 1
        first = fit(first, min(len(first), max(space // 2, space - len(second))))
        second = fit(second, min(len(second), space - len(first)))
        title = f"{second}\N{MINUS SIGN}{first}"
        columns.append(TableColumn(DELTA, title, _DELTA_WIDTH, align="right", priority=2))
    return (*columns, TableColumn("relevant", "Rel", 4, align="right", priority=5))


def query_rows(
    queries: Sequence[QueryRow], modes: Sequence[str], pair: tuple[str, str] | None
) -> ListRows[QueryRow]:

    def cells(row: QueryRow) -> list[Span]:
        spans = [Span(row.id, "dim"), Span(row.text, "strong")]
        for value in (row.scores[mode] for mode in modes):
            role = "error" if value == 0 else "warn" if value < 0.5 else "ok"
            spans.append(Span(f"{value:.4f}", role))
        if pair is not None:
            gain = difference(row, pair)
            shown = Span(f"{gain:+.4f}", "ok" if gain > 0 else "warn")
            spans.append(Span("=", "faint") if abs(gain) < 0.00005 else shown)
        return [*spans, Span(str(row.relevant), "dim")]

    return ListRows(queries, cells)


def query_lines(view: QueryView, modes: Sequence[str]) -> list[Line]:
    """The query's text, and the scores of each mode for it."""
    lines = [line(Span(view.text, "strong"))]
    lines.append(line(Span(" " * 9 + "".join(f"{name:>9}" for name in MEASURES), "faint")))
    for mode in modes:
        values = view.scores.get(mode, {})
        shown = "".join(f"{values.get(name, 0.0):>9.3f}" for name in MEASURES)
        name = mode_name(mode)
        if len(name) > _LABEL:  # a run file
            lines.append(line(Span(name, "own")))
            name = ""
        lines.append(line(Span(fit(name, _LABEL) + " ", "own"), Span(shown)))
    missing = sum(row.title is None for row in view.judged)
    said = f"{len(view.judged):,} judged; top {len(view.unjudged):,} unjudged below"
    said += f"; {missing:,} not in the corpus" if missing else ""
    lines.append(line(Span(said, "faint")))
    return lines


# Documents as rows ----------------------------------------------------------------------------


def document_columns(modes: Sequence[str]) -> list[TableColumn]:
    """Grade and title of a document, the rank that each mode gave it, its id."""
    return [
        TableColumn("grade", "Grade", 5, align="right", priority=0),
        TableColumn("title", "Document", 24, 1, priority=0),
        *_mode_columns(modes),
        TableColumn("id", "Id", 8, priority=4),
    ]


def _found(view: QueryView | None) -> list[FoundRow]:
    return [*view.judged, *view.unjudged] if view is not None else []


def document_rows(view: QueryView | None, modes: Sequence[str]) -> ListRows[FoundRow]:
    """Judged documents, then the top unjudged ones; a dash where a mode did not find one."""

    def cells(row: FoundRow) -> list[Span]:
        grade = Span("none", "faint")
        if row.grade is not None:
            role = "dim" if row.grade < 1 else "strong" if row.grade >= _HIGH_GRADE else "ok"
            grade = Span(str(row.grade), role)
        ranks = [row.ranks.get(mode) for mode in modes]
        return [
            grade,
            Span("not in the corpus", "warn") if row.title is None else Span(row.title),
            *(Span("-", "faint") if rank is None else Span(f"{rank:,}", "ok") for rank in ranks),
            Span(row.id, "dim"),
        ]

    return ListRows(_found(view), cells)


def document_lines(
    row: FoundRow, modes: Sequence[str], document: tuple[str, str] | None
) -> list[Line]:
    """One document, with its grade and the rank that each mode gave it."""
    grade = "not judged" if row.grade is None else f"grade {row.grade}"
    ranks = ((mode, row.ranks.get(mode)) for mode in modes)
    places = "   ".join(
        f"{mode_name(mode)} {'-' if rank is None else f'{rank:,}'}" for mode, rank in ranks
    )
    lines = [line(Span(row.id, "dim"), Span(f"   {grade}", "own.strong"), Span(f"   {places}"))]
    if document is None:
        why = "The corpus does not contain this document: it counts as not found."
        return [*lines, line(), line(Span(why, "warn"))]
    title, text = document
    lines += [line(), line(Span(title, "strong"))] if title else []
    return [*lines, line(), *(line(*addresses(part)) for part in text.splitlines() or [""])]
