"""Rate limiting: when a service may be asked next, for all threads and all processes of a user.

Services count the requests of an address or a key, not of a process. So the moment of the next
request to each stands in a small file that all processes of a user read and write under a lock.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

_SLICE = 0.2
"""Seconds of sleep between two calls of `step`."""
_FURTHEST = 600.0
"""Seconds ahead that a file may say: a clock that was set back must not stop everything."""


class Clock(Protocol):
    """Tells the time and waits; the module `time` is one."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


class RateLimiter:
    """Spaces requests evenly, for all threads: no two with one name nearer than its rate allows.

    step: called while waiting, may raise to end it; shared: the schedule of all processes, or
    None if other processes do not count.
    """

    def __init__(
        self, clock: Clock, step: Callable[[], None], shared: SharedSchedule | None = None
    ) -> None:
        self._clock = clock
        self._step = step
        self._shared = shared
        self._next: dict[str, float] = {}
        self._paused: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str, rate: float, *, share: bool = False) -> None:
        """Wait until `name`, which takes `rate` requests a second, may be asked; share: count the
        requests of other processes too."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                turn = max(now, self._next.get(name, 0.0), self._paused.get(name, 0.0))
                if share and self._shared is not None:
                    turn = max(turn, now + self._shared.reserve(name, turn - now, 1 / rate))
                self._next[name] = turn + 1 / rate
            self._sleep(turn - now)
            with self._lock:
                # A pause that began during the wait holds for this thread, too.
                if self._clock.monotonic() >= self._paused.get(name, 0.0):
                    return

    def pause(self, name: str, seconds: float, *, share: bool = False) -> None:
        """Let no thread ask `name` for so long, whichever of them was told to wait."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._paused[name] = max(until, self._paused.get(name, 0.0))
            if share and self._shared is not None:
                self._shared.reserve(name, seconds, 0.0)

    def _sleep(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 1e-9:
            self._step()
            self._clock.sleep(min(left, _SLICE))


class SharedSchedule:
    """The moments of the next requests, one small file a name in `folder`, for all processes.

    A file that cannot be read or written is ignored: an unshared pace is better than no fetch.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def reserve(self, name: str, earliest: float, length: float) -> float:
        """Reserve the first free moment of `name` at least `earliest` seconds from now and
        return the seconds until it; length: seconds until the moment after it."""
        from filelock import FileLock, Timeout

        began = time.time()
        path = self._folder / re.sub(r"[^a-z0-9.-]+", "_", name)
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{path.name}.lock"), timeout=1, poll_interval=0.002):
                now = time.time()
                turn = max(earliest, min(_moment_in(path) - now, _FURTHEST))
                path.write_text(f"{now + turn + length:.6f}", encoding="ascii")
                return now - began + turn
        return earliest


def _moment_in(path: Path) -> float:
    """The moment that a file holds, in seconds since 1970; 0 where it holds none."""
    try:
        return float(path.read_bytes()[:32])
    except (FileNotFoundError, ValueError):
        return 0.0


def retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header (a number or a date) asks for; 0 where it is invalid."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
