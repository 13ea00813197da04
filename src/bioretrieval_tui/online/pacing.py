"""When a service may be asked: its pace, and how long to wait before asking again.

Services count the requests of an address or a key, not of a process. So the moment at which each
may be asked next stands in a small file that all processes of a user read and write under a lock.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

_SLICE = 0.2
"""Seconds of sleep between two looks whether anybody still wants the answer."""
_LONGEST_BACKOFF = 30.0
_FURTHEST = 600.0
"""Seconds ahead that a file may say: a clock that was set back must not stop everything."""


class Clock(Protocol):
    """What tells the time and waits."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


class Pacer:
    """Gives turns, for all threads: no two of one name nearer than they may be.

    shared: where other processes give turns, too; None if they do not matter.
    """

    def __init__(
        self, clock: Clock, step: Callable[[], None], shared: SharedTurns | None = None
    ) -> None:
        self._clock = clock
        self._step = step
        self._shared = shared
        self._next: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait_turn(self, name: str, rate: float, *, share: bool = False) -> None:
        """Until `name`, which takes `rate` requests a second, may be asked; `share`: whether other
        processes ask it."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                turn = max(now, self._next.get(name, 0.0), self._held.get(name, 0.0))
                if share and self._shared is not None:
                    turn = max(turn, now + self._shared.turn(name, turn - now, 1 / rate))
                self._next[name] = turn + 1 / rate
            self.sleep(turn - now)
            with self._lock:
                # Whoever waited for a turn when the service asked for peace has lost it.
                if self._clock.monotonic() >= self._held.get(name, 0.0):
                    return

    def hold(self, name: str, seconds: float, *, share: bool = False) -> None:
        """Nobody asks `name` for so long, whoever it was that was told to wait."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._held[name] = max(until, self._held.get(name, 0.0))
            if share and self._shared is not None:
                self._shared.turn(name, seconds, 0.0)

    def sleep(self, seconds: float) -> None:
        """Wait; raises what the step raises, soon after there is cause to."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 1e-9:
            self._step()
            self._clock.sleep(min(left, _SLICE))


class SharedTurns:
    """The next turns of services, one small file each in `folder`; usable from several processes.

    What cannot be read or written counts for nothing: a pace of one's own is better than no fetch.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def turn(self, name: str, earliest: float, length: float) -> float:
        """Take the first turn of `name` that is free and at least `earliest` seconds from now;
        `length`: seconds until the one after it. Returns the seconds until the turn."""
        from filelock import FileLock, Timeout

        began = time.time()
        path = self._folder / re.sub(r"[^a-z0-9.-]+", "_", name)
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{path.name}.lock"), timeout=1, poll_interval=0.002):
                now = time.time()
                ahead = min(_said(path) - now, _FURTHEST)
                turn = max(earliest, ahead)
                path.write_text(f"{now + turn + length:.6f}", encoding="ascii")
                return now - began + turn
        return earliest


def _said(path: Path) -> float:
    """The moment that a file names, in seconds since 1970; 0 where it names none."""
    try:
        return float(path.read_bytes()[:32])
    except (FileNotFoundError, ValueError):
        return 0.0


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: about 1, 2, 4, ..., never two clients in step."""
    return min(_LONGEST_BACKOFF, float(2**attempt)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def retry_after(said: str | None) -> float:
    """Seconds that a Retry-After header asks for (a number or a date); 0 where it says nothing."""
    text = (said or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
