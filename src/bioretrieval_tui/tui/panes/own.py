"""Own evaluations in a pane: reading them, the page of one, removing it, exploring behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.ownrows import MARK, OwnRow, OwnRows, own_rows
from bioretrieval_tui.tui.panes.browse import BrowsePane
from bioretrieval_tui.tui.widgets.document import Detail

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.tui.evaluating import Result


class OwnPane(BrowsePane):
    """Base of the leaderboard. Subclasses compose a `Detail` with the id `own` and say which own
    row is under the cursor (`own_row`), and show the rows anew when told (`own_changed`)."""

    DEFAULT_CSS = """
    OwnPane #own { display: none; width: 1fr; }
    OwnPane.-own #own { display: block; }
    """

    def __init__(self, name: str, section: str | None = None) -> None:
        super().__init__(name, section)
        self.own = OwnRows()

    @property
    def own_row(self) -> OwnRow | None:
        """The own row under the cursor."""
        raise NotImplementedError

    def own_changed(self) -> None:
        """Other records are there."""
        raise NotImplementedError

    def activate(self) -> None:
        """Shown: something may have been evaluated meanwhile."""
        super().activate()
        if self.has_class("-own"):
            self.own_detail.focus()
        self.run_worker(self._read, thread=True, group="own", exclusive=True)

    def _read(self) -> None:
        """In a thread: one small file a record."""
        from bioretrieval_tui.evaluation.records import records

        told: list[str] = []
        found: list[EvaluationRecord] = []
        try:
            found = records(told.append)
        except BioRetrievalError as error:
            told.append(error.line())
        if self.is_attached:
            self.app.call_from_thread(self._got, found, next(iter(told), ""))

    def _got(self, found: list[EvaluationRecord], problem: str) -> None:
        self.own = own_rows(found, self.catalogue)
        self.own_changed()
        if problem:
            self.owner.say(problem, "error")

    def evaluation_done(self, result: Result) -> None:
        """An evaluation has left its records."""
        if result.answer is not None:
            self.run_worker(self._read, thread=True, group="own", exclusive=True)

    @property
    def own_detail(self) -> Detail:
        """The page of an own row."""
        return self.query_one("#own", Detail)

    def leave(self) -> bool:
        """Out of the page of an own evaluation first."""
        return self._close_own() or super().leave()

    def _close_own(self) -> bool:
        if not self.has_class("-own"):
            return False
        self.remove_class("-own")
        self.table.focus()
        return True

    def action_remove(self) -> None:
        """Forget an own evaluation, after a question."""
        row = self.own_row
        if row is None:
            self.owner.say("Only own evaluations can be removed: move to a row with " + MARK)
            return
        from bioretrieval_tui.tui.panes.dialogs import Question

        record = row.record

        def answered(yes: bool | None) -> None:
            if yes:
                self._remove(record)

        then = f"{record.id}; its index stays." + (
            f" The one before it, of {row.earlier[0].date[:10]}, is shown then."
            if row.earlier
            else ""
        )
        question = Question(f"Remove this evaluation of {row.name}?", then, "Remove", "Keep")
        self.app.push_screen(question, answered)

    def _remove(self, record: EvaluationRecord) -> None:
        from bioretrieval_tui.evaluation.records import remove

        try:
            remove(record.id)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
        else:
            self.owner.say(f"Removed {record.id}")
        self._close_own()
        self.run_worker(self._read, thread=True, group="own", exclusive=True)

    def action_explore_own(self) -> None:
        """The queries and judgements behind an own evaluation; elsewhere, ask for a benchmark."""
        row = self.own_row
        if row is None:
            self.owner.action_explore()
        else:
            self.owner.explore_record(row.record)
