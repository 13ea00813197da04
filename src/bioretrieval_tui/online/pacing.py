"""When a service may be asked: its pace, and how long to wait before asking again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Protocol

_SLICE = 0.2
"""Seconds of sleep between two looks whether anybody still wants the answer."""
_LONGEST_BACKOFF = 30.0


class Clock(Protocol):
    """What tells the time and waits."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


class Pacer:
    """Gives turns, for all threads: no two of one name nearer than they may be."""

    def __init__(self, clock: Clock, step: Callable[[], None]) -> None:
        self._clock = clock
        self._step = step
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait_turn(self, name: str, rate: float) -> None:
        """Until `name`, which takes `rate` requests a second, may be asked."""
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._next.get(name, 0.0))
            self._next[name] = turn + 1 / rate
        self.sleep(turn - now)

    def hold(self, name: str, seconds: float) -> None:
        """Nobody asks `name` for so long, whichever thread it was that was told to wait."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._next[name] = max(until, self._next.get(name, 0.0))

    def sleep(self, seconds: float) -> None:
        """Wait; raises what the step raises, soon after there is cause to."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 1e-9:
            self._step()
            self._clock.sleep(min(left, _SLICE))


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
