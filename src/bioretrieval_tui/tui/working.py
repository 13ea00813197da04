"""The app's share in work on indexes: the search process, the jobs, and leaving while one runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING

from textual.screen import Screen
from textual.worker import Worker

from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.typeahead import OrderedKeys
from bioretrieval_tui.tui.widgets.bars import StatusBar
from bioretrieval_tui.tui.works import Job, Outcome, Works, kept

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient


class WorkingApp(OrderedKeys, inherit_bindings=False):
    """An app whose panes share one search process, and whose work goes on whatever is shown."""

    def __init__(self, **how: object) -> None:
        super().__init__(**how)
        self.current = "home"
        """The pane that is shown."""
        self._index: str | None = None
        self.works = Works(
            lambda: self.client, self._start_work, self.works_changed, self._work_done
        )
        self._client: SearchClient | None = None
        self._leaving: Screen[bool] | None = None

    @property
    def index(self) -> str:
        """The index that Search searches; the catalogue's own until another is chosen."""
        if self._index is None:
            # No start of the app pays for the room of indexes.
            from bioretrieval_tui.index.layout import CATALOGUE

            self._index = CATALOGUE
        return self._index

    @index.setter
    def index(self, name: str | None) -> None:
        self._index = name

    @property
    def client(self) -> SearchClient:
        """The search process, started when it is first asked something."""
        if self._client is None:
            from bioretrieval_tui.backend.client import SearchClient

            self._client = SearchClient()
        return self._client

    async def on_unmount(self) -> None:
        """End the search process with the app."""
        await self.works.close()
        self.workers.cancel_all()
        if self._client is not None:
            await self._client.close()

    def say(self, message: str, role: str = "bar.strong") -> None:
        """Show a message until the next key."""
        raise NotImplementedError

    def begin_work(self, job: Job, *, again: bool = False) -> bool:
        """Begin a job, or let it wait, and say so; False if the very same does already."""
        from bioretrieval_tui.tui.indexing import job_note

        begun = self.works.add(job, again=again)
        self.say(
            job_note(job, self.works) if begun else f"{job.doing}: this waits already, or runs"
        )
        return begun

    def _start_work(self, work: Coroutine[None, None, None]) -> Worker[None]:
        return self.run_worker(work, group="work")

    def works_changed(self) -> None:
        """Show how far the work is, here and in every pane."""
        from bioretrieval_tui.tui.indexing import work_hint

        if not self.screen_stack:
            return  # the app is leaving, and nothing is shown any more
        # The Indexes pane shows all of it.
        self.screen_stack[0].query_one(StatusBar).working(
            "" if self.current == "indexes" else work_hint(self.works)
        )
        for pane in self.screen_stack[0].query(Pane):
            pane.works_changed()

    def _work_done(self, outcome: Outcome) -> None:
        if not self.screen_stack:
            return
        self.say(outcome.line, "bar.strong" if outcome.role == "ok" else outcome.role)
        for pane in self.screen_stack[0].query(Pane):
            pane.work_done(outcome)
        if outcome.done and outcome.job.verb == "remove" and outcome.job.name == self.index:
            self._index = None  # Search was never shown

    async def action_quit(self) -> None:
        """Leave; while work runs, after a question (and asked again during it, at once)."""
        from bioretrieval_tui.tui.panes.dialogs import Question

        job = self.works.current
        if job is None or (isinstance(self.screen, Question) and self.screen is self._leaving):
            self.exit()
            return
        then = kept(job).removeprefix("; ").capitalize()
        question = f"Leave? {job.doing} stops then."
        self._leaving = Question(question, f"{then}.", "Leave", "Stay")
        self.push_screen(self._leaving, lambda yes: self.exit() if yes else None)
