"""What every pane is, and what it may ask of the app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Protocol, TypeVar, cast

from textual.widget import Widget
from textual.worker import Worker

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import Places
from bioretrieval_tui.tui.widgets.canvas import Canvas

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobQueue, Outcome
    from bioretrieval_tui.backend.protocol import Job
    from bioretrieval_tui.catalog.models import AnyEntry
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.online.spool import FetchRequest
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.tui.found_session import FoundSession

_P = ParamSpec("_P")
_T = TypeVar("_T")

WIDE = 100
"""Columns from which list and detail stand side by side."""


class PaneContext(Protocol):
    """The app as panes know it."""

    catalogue: Catalogue
    where: Places
    current: str
    history: list[tuple[str, str | None]]
    index: str

    @property
    def settings(self) -> SettingsStore: ...
    @property
    def client(self) -> SearchClient: ...
    @property
    def jobs(self) -> JobQueue: ...
    @property
    def found(self) -> FoundSession: ...

    def say(self, message: str, role: str = ...) -> None: ...
    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None: ...
    def jump(self, identifier: str, *, then: str = ...) -> None: ...
    async def search_in(self, name: str) -> None: ...
    def begin_job(self, job: Job, *, again: bool = ...) -> bool: ...
    def action_explore(self) -> None: ...
    def action_stop_evaluation(self) -> None: ...
    def explore_record(self, record: EvaluationRecord) -> None: ...
    def ask_what_to_fetch(
        self, before: FetchRequest | None = ..., *, query: str = ..., index: str = ...
    ) -> None: ...
    def ask_into(self, index: str | None, count: str, put: Callable[[str], None]) -> None: ...
    def put_into(self, name: str, papers: Mapping[str, bytes]) -> bool: ...
    def benchmark_folder(self, name: str = ...) -> Path: ...
    def remembered_folder(self, name: str) -> Path | None: ...
    def remember_folder(self, name: str, folder: Path) -> None: ...
    def open_link(self, url: str) -> None: ...
    def copy_text(self, text: str, what: str) -> None: ...
    def copy_bibtex(self, entries: Sequence[AnyEntry]) -> None: ...
    def export_entries(self, entries: Sequence[AnyEntry], stem: str) -> None: ...
    def export_sheet(self, make: Callable[[], Sheet], stem: str, count: int) -> None: ...


class Pane(Widget):
    """Base of the panes: something with a scope of keys that can be shown and take the focus."""

    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; layout: vertical; }"
    SCOPES: ClassVar[tuple[str, ...]] = ("everywhere",)
    """Scopes of the registry whose keys work here, most special first."""
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ()
    """Scopes that work in its dialogs only: the help names them too."""
    TITLE: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"pane-{name}")
        self.pane_name = name

    @property
    def owner(self) -> PaneContext:
        """The app, as panes know it."""
        return cast(PaneContext, cast(Any, self.app))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the app shows."""
        return self.owner.catalogue

    def in_background(
        self,
        group: str,
        work: Callable[_P, Coroutine[Any, Any, _T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> Worker[_T]:
        """Run `work(...)` beside the keys, in place of what runs in the same group.

        It is called when its turn comes: work that is replaced before would never be awaited.
        """
        later: Worker[_T] = self.run_worker(
            partial(work, *args, **kwargs), group=group, exclusive=True
        )
        return later

    def activate(self) -> None:
        """The pane was shown: take the focus."""

    def place(self) -> str | None:
        """What `back` should return to within this pane: an entry's id, or None."""
        return None

    def go_to(self, place: str | None) -> None:
        """Return to a place that `place` gave."""

    def jobs_changed(self) -> None:
        """A job began, went on or ended."""

    def job_ended(self, outcome: Outcome) -> None:
        """Take in the outcome of a job."""

    def redraw(self) -> None:
        """Draw everything again, after a change of look."""
        for canvas in self.query(Canvas):
            canvas.repaint()
