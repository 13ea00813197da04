"""The app's share in fetching: asking what is wanted, the search that goes on, stars into an
index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING

from textual.worker import Worker

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.evalapp import EvaluatingApp

if TYPE_CHECKING:
    from bioretrieval_tui.tui.finding import Finding, Wanted
    from bioretrieval_tui.tui.panes.fetching import Wish


class FetchingApp(EvaluatingApp, inherit_bindings=False):
    """An app that fetches papers in a child process, whatever is shown."""

    def __init__(self, **how: object) -> None:
        super().__init__(**how)
        self._finding: Finding | None = None

    @property
    def finding(self) -> Finding:
        """The search of a service, made when it is first looked at."""
        if self._finding is None:
            from bioretrieval_tui.tui.finding import Finding

            self._finding = Finding(self._start_finding, self._found_changed)
        return self._finding

    async def on_unmount(self) -> None:
        """End the child with the app; the others are ended by the bases."""
        if self._finding is not None:
            await self._finding.close()

    def _start_finding(self, work: Coroutine[None, None, None]) -> Worker[None]:
        return self.run_worker(work, group="work")

    def _found_changed(self) -> None:
        from bioretrieval_tui.tui.panes.found import FoundPane

        if self.screen_stack:
            for pane in self.screen_stack[0].query(FoundPane):
                pane.found_changed()

    # Asking ------------------------------------------------------------------------------

    def ask_what_to_fetch(
        self, before: Wanted | None = None, *, query: str = "", index: str = ""
    ) -> None:
        """Ask what to fetch: `before` is what was asked last, else a query and an index."""
        from bioretrieval_tui.tui.finding import Wanted
        from bioretrieval_tui.tui.panes.fetching import USUAL, FetchDialog

        wanted = before or Wanted("pubmed", query, USUAL, index=index)
        self.push_screen(FetchDialog(self._names(), wanted), self._wished)

    def _wished(self, wish: Wish | None) -> None:
        if wish is None:
            return
        if wish.look:
            self.run_worker(self._look(wish.wanted))
        else:
            from bioretrieval_tui.tui.works import Job

            self.begin_work(Job("fetch", wish.wanted.index, words=wish.wanted.words(into=True)))

    async def _look(self, wanted: Wanted) -> None:
        from bioretrieval_tui.tui.panes.found import FoundPane

        self._remember()
        pane = await self.show_pane("found")
        if isinstance(pane, FoundPane):
            self.finding.begin(wanted)
            pane.begun()

    # Stars -------------------------------------------------------------------------------

    def ask_into(self, wanted: Wanted, count: str, put: Callable[[str], None]) -> None:
        """Ask which index `count` papers go into."""
        from bioretrieval_tui.tui.panes.fetching import IntoDialog

        def answered(wish: Wish | None) -> None:
            if wish is not None:
                put(wish.wanted.index)

        self.push_screen(IntoDialog(self._names(), wanted, count), answered)

    def put_into(self, name: str, papers: Mapping[str, bytes]) -> bool:
        """Put papers (lines of JSONL by their id) into an index; False if they cannot be kept."""
        from bioretrieval_tui.online.spool import keep_starred
        from bioretrieval_tui.tui.works import Job

        there = name in self._names()
        # A build that failed or was stopped left no index, and its papers in the file.
        before = self.works.outcomes.get(name)
        begun = before is not None and not before.done and before.job.verb != "remove"
        try:
            path = keep_starred(name, papers, restart=not (there or begun))
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return False
        # The one that runs may have read the file already.
        self.begin_work(Job("add" if there else "build", name, (str(path),)), again=True)
        return True

    def _names(self) -> Collection[str]:
        from bioretrieval_tui.index.layout import CATALOGUE
        from bioretrieval_tui.index.registry import index_names

        try:
            return self.works.there(name for name in index_names() if name != CATALOGUE)
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return []
