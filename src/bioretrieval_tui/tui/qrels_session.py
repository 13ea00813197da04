"""The state and the requests of the query explorer, without a widget.

A `QrelsSession` has a benchmark ranked (or finds kept rankings), sorts and filters its queries,
and reads a query's documents from the search process.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bioretrieval_tui.backend.protocol import (
    EvaluateJob,
    EvaluationSummary,
    OpenBenchmark,
    ReadDocument,
    ViewQuery,
)
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.tui.kept_rankings import (
    StoredRankings,
    keep_rankings,
    make_folder,
    stored_rankings,
    with_run_file,
)

if TYPE_CHECKING:
    from bioretrieval_tui.backend.jobs import JobRecord
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.tui.panes.pane import PaneContext

DELTA = "delta"
"""Key of the column with the difference of two modes."""
QueryOrder = tuple[str, Literal["up", "down"]] | None
"""The column that sorts, and whether its values go up; None: as in the files."""


class QrelsFace(Protocol):
    """What a session needs of the pane that shows it; `QrelsPane` describes the methods."""

    @property
    def owner(self) -> PaneContext: ...
    def in_background(
        self, group: str, work: Callable[..., Coroutine[Any, Any, object]], *args: Any
    ) -> object: ...
    def show_benchmark(self) -> None: ...
    def show_queries(self, at: str | None = None) -> None: ...
    def show_message(self, text: str) -> None: ...
    def show_view(self, problem: str = "") -> None: ...


class QrelsSession:
    """A benchmark with its queries.

    job: the evaluation that ranks the benchmark; answer: the summary of the rankings shown.
    queries: all queries; shown: those that `filter` (words) keeps, in `order`.
    view: the chosen query with its documents, None until they are read.
    problem: why there is nothing to show.
    """

    def __init__(self, face: QrelsFace) -> None:
        self.face = face
        self.job: EvaluateJob | None = None
        self.answer: EvaluationSummary | None = None
        self.problem = ""
        self.queries: list[QueryRow] = []
        self.shown: list[QueryRow] = []
        self.filter = ""
        self.order: QueryOrder = None
        self.view: QueryView | None = None
        self._chosen: str | None = None
        self._pair = 0

    # Opening -----------------------------------------------------------------------------

    def open(self, job: EvaluateJob) -> None:
        """Show the benchmark of a job: kept rankings at once, others once they are made."""
        self.job = with_run_file(job, self.face.owner.where)
        self._show([], None)
        self.face.in_background("explore", self._open, self.job)

    async def _open(self, job: EvaluateJob) -> None:
        kept = stored_rankings(job)
        if kept is None or not await self._show_kept(job, kept):
            self.rank(job)

    async def _show_kept(self, job: EvaluateJob, kept: StoredRankings) -> bool:
        """Show the queries; False if the files have changed since they were ranked."""
        try:
            folder, found = str(Path(job.folder).absolute()), kept.summary
            request = OpenBenchmark(folder, found.split, found.sha256, found.index, kept.runs)
            rows = await self.face.owner.client.ask(request)
        except BioRetrievalError as error:
            self._fail(error.line())
            return True
        if rows is not None:
            self._show(rows, kept.summary)
        return rows is not None

    def rank(self, job: EvaluateJob) -> None:
        """Rank the benchmark, in a process of its own."""
        try:
            make_folder(job)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        self.problem = ""
        if not self.face.owner.jobs.submit(job):
            self.face.owner.say("This benchmark is being ranked, or waits, already")
        self.face.show_message("Ranking; it continues while other panes are shown.")

    def job_ended(self, outcome: JobRecord) -> None:
        """Show the queries of a finished evaluation, if it is of this job."""
        if self.job is None or outcome.job != self.job:
            return
        if outcome.evaluation is None:
            self._fail(outcome.message)
            return
        try:
            kept = keep_rankings(self.job, outcome.evaluation)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        self.face.in_background("explore", self._show_kept, self.job, kept)

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self.face.show_message(problem)

    def _show(self, rows: list[QueryRow], answer: EvaluationSummary | None) -> None:
        self.queries, self.answer, self.problem = rows, answer, ""
        self.filter, self.order, self._pair, self.view = "", None, 0, None
        self._arrange()
        self.face.show_benchmark()

    # Queries -----------------------------------------------------------------------------

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that were ranked."""
        return tuple(run.mode for run in self.answer.runs) if self.answer is not None else ()

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two modes whose difference is shown."""
        known = pairs(self.modes)
        return known[self._pair % len(known)] if known else None

    def filter_by(self, words: str) -> None:
        """Keep the queries with all of these words in id or text."""
        self.filter = words
        self._arrange()
        self.face.show_queries()

    def sort_by(self, key: str) -> None:
        """Sort by a column, lowest first; again: highest first; again: as in the files."""
        following: dict[QueryOrder, QueryOrder] = {(key, "up"): (key, "down"), (key, "down"): None}
        self.order = following.get(self.order, (key, "up"))
        self._arrange()
        self.face.show_queries()

    def next_pair(self) -> bool:
        """Compare the next two modes; False if there are no other two."""
        if len(pairs(self.modes)) < 2:
            self.face.owner.say("There are no other two modes to compare")
            return False
        self._pair += 1
        self._arrange()
        return True

    def _arrange(self) -> None:
        self.shown = arranged(self.queries, self.filter, self.order, self.pair)

    # Documents ---------------------------------------------------------------------------

    def choose(self, row: QueryRow | None, *, read: bool) -> None:
        """Make a query the chosen one; `read`: with its documents."""
        self.view = None
        self._chosen = row.id if row is not None else None
        if row is not None and read:
            self.face.in_background("view", self._look_up, row.id)

    async def _look_up(self, query: str) -> None:
        try:
            view = await self.face.owner.client.ask(ViewQuery(query))
        except BioRetrievalError as error:
            self.face.show_view(error.line())
            return
        if self._chosen == query:
            self.view = view
            self.face.show_view()

    async def document(self, name: str) -> tuple[str, str] | None:
        """Title and text of a document, None if the corpus does not have it.

        Raises:
            BioRetrievalError: it cannot be read.
        """
        return await self.face.owner.client.ask(ReadDocument(name))

    # Export ------------------------------------------------------------------------------

    def sheet(self) -> Sheet:
        """The queries that are shown, with the score of each mode."""
        from bioretrieval_tui.render.evaluations import query_list_sheet

        return query_list_sheet(list(self.shown), self.modes)


def pairs(modes: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of modes, in their order."""
    return [(a, b) for i, a in enumerate(modes) for b in modes[i + 1 :]]


def difference(row: QueryRow, pair: tuple[str, str]) -> float:
    """nDCG@10 of the second mode minus that of the first."""
    return row.scores[pair[1]] - row.scores[pair[0]]


def arranged(
    rows: Sequence[QueryRow], words: str, order: QueryOrder, pair: tuple[str, str] | None
) -> list[QueryRow]:
    """The queries with every one of `words` in id or text, in an order. Equal ones stay as in the
    files."""
    wanted = words.casefold().split()
    kept = [
        row for row in rows if all(word in f"{row.id} {row.text}".casefold() for word in wanted)
    ]
    if order is None:
        return kept
    key, way = order

    def value(row: QueryRow) -> float:
        if key == DELTA:
            return difference(row, pair) if pair is not None else 0.0
        return float(row.relevant) if key == "relevant" else row.scores.get(key, 0.0)

    if key in ("id", "text"):
        return sorted(kept, key=lambda row: getattr(row, key).casefold(), reverse=way == "down")
    return sorted(kept, key=value, reverse=way == "down")
