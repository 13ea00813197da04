"""What can be taken back in this session: the last destructive things, the newest first."""

from __future__ import annotations

from collections.abc import Callable

from bioretrieval_tui.errors import UsageError


class UndoStack:
    """Things that were done, each with the call that takes it back."""

    MOST = 50

    def __init__(self) -> None:
        self._done: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, back: Callable[[], object]) -> None:
        """Keep what was done, in words such as "2 rows unmarked". back: called to undo it."""
        self._done = [*self._done, (what, back)][-self.MOST :]

    def pop(self) -> tuple[str, Callable[[], object]]:
        """Take the newest. Raises UsageError: there is none."""
        if not self._done:
            raise UsageError("Nothing to undo")
        return self._done.pop()
