"""Who runs next on a device: one caller at a time, and a waiting query before waiting documents."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """One caller at a time; an urgent one goes before those that wait.

    Work that is long takes a turn for each of its batches, so that a query waits for one batch
    at most.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent = 0

    @contextlib.contextmanager
    def take(self, *, urgent: bool) -> Iterator[None]:
        """Wait for the turn and hold it."""
        with self._free:
            self._urgent += urgent
            try:
                self._free.wait_for(lambda: not self._busy and (urgent or not self._urgent))
            finally:
                self._urgent -= urgent
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()
