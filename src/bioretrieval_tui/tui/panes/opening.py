"""Opening a benchmark in a pane: kept rankings at once, others when a child process made them."""

from __future__ import annotations

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.explore import QueryRow
from bioretrieval_tui.tui.evaluating import Answer, Ask, Result
from bioretrieval_tui.tui.exploring import Explorer, Stored, keep, prepare, stored, with_run
from bioretrieval_tui.tui.panes.listing import ListPane
from bioretrieval_tui.tui.widgets.bars import WorkBar
from bioretrieval_tui.tui.work_lines import evaluation_lines


class OpeningPane(ListPane):
    """Base of the explorer. Subclasses compose a `WorkBar`, and show queries and problems."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ask: Ask | None = None
        self.answer: Answer | None = None
        """What the queries that are shown were ranked by."""
        self.problem = ""
        self.explorer = Explorer()

    async def on_unmount(self) -> None:
        """End the process that reads the rankings."""
        await self.explorer.close()

    def show_queries(self, rows: list[QueryRow], answer: Answer | None) -> None:
        """Show these queries; none and None while they are being read."""
        raise NotImplementedError

    def show_problem(self, text: str) -> None:
        """Say why there are no queries."""
        raise NotImplementedError

    def fail(self, problem: str) -> None:
        """What was asked for cannot be shown."""
        self.problem = problem
        self.show_problem(problem)

    def open(self, ask: Ask) -> None:
        """Show what `ask` ranks: kept rankings at once, others when they were made."""
        self.ask = with_run(ask, self.owner.where)
        self.show_queries([], None)
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
            self.fail(error.line())
            return True
        if rows is not None:
            self.show_queries(rows, kept.answer)
        return rows is not None

    def _rank(self, ask: Ask) -> None:
        """Have it ranked, in a process of its own."""
        try:
            prepare(ask)
        except BioRetrievalError as error:
            self.fail(error.line())
            return
        self.problem = ""
        if not self.owner.evaluations.add([ask]):
            self.owner.say("This is being ranked already, or waits")
        self.show_problem("Ranking; this goes on while you look at something else.")

    def evaluation_changed(self) -> None:
        """Show how far the one that runs is."""
        rows = evaluation_lines(self.owner.evaluations, self.app.size.width)
        self.query_one(WorkBar).show(rows)

    def evaluation_done(self, result: Result) -> None:
        """Show its queries, if it was ours."""
        if self.ask is None or result.ask != self.ask:
            return
        if result.answer is None:
            self.fail(result.line)
            return
        try:
            kept = keep(self.ask, result.answer)
        except BioRetrievalError as error:
            self.fail(error.line())
            return
        self.run_worker(self._show_kept(self.ask, kept), group="explore", exclusive=True)

    def action_another(self) -> None:
        """Choose another benchmark."""
        self.owner.action_explore()

    def action_again(self) -> None:
        """Rank anew."""
        if self.ask is None:
            self.owner.say("No benchmark is open: b chooses one")
        else:
            self._rank(self.ask)
