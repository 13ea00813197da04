"""A clock that waits by moving on."""

from __future__ import annotations


class MovedClock:
    """Waits by moving on; `slept` are the waits."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.now += seconds
