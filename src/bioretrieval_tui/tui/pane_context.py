"""What panes and their sessions may ask of the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import Places

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.backend.jobs import JobQueue
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.tui.desktop_session import DesktopSession
    from bioretrieval_tui.tui.folders import FolderMemory
    from bioretrieval_tui.tui.found_session import FoundSession
    from bioretrieval_tui.tui.job_session import JobSession
    from bioretrieval_tui.tui.kept_places import KeptPlaces
    from bioretrieval_tui.tui.row_marks import RowMarks
    from bioretrieval_tui.tui.shelf_session import ShelfSession
    from bioretrieval_tui.tui.undo import UndoStack


class PaneContext(Protocol):
    """The app as panes and their sessions know it."""

    catalogue: Catalogue
    where: Places
    current: str
    history: list[tuple[str, str | None]]
    index: str
    settings: SettingsStore
    client: SearchClient
    jobs: JobQueue
    job_session: JobSession
    folders: FolderMemory
    desktop: DesktopSession
    kept: KeptPlaces
    found: FoundSession
    marks: RowMarks
    shelf: ShelfSession
    undo: UndoStack

    def show_keys(self) -> None: ...
    def say(self, message: str, role: str = ...) -> None: ...
    def confirm(
        self, question: str, then: str, labels: tuple[str, str], do: Callable[[], None]
    ) -> None: ...
    def jump(self, identifier: str, *, then: str = ...) -> None: ...
    async def search_in(self, name: str, query: str = ...) -> None: ...
    async def action_go(self, name: str) -> None: ...
    def show_run(self, record: str) -> None: ...
    def tell_news(self, unread: int) -> None: ...

    board_problem: str

    async def widen(self) -> None: ...
    def compare(self, kind: str) -> None: ...
    def marks_changed(self) -> None: ...
    def sign(self, identifier: str) -> str: ...
