"""Progress of long tasks: a frozen value for each step, passed to a callable.

Tasks (index, encoding) call a `Reporter`; the command line and the app provide one that draws a
bar. A reporter may raise `InterruptedByUser` to stop the task at the next step.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """One step of a task.

    stage: what is being done; done, total: units, total None while unknown; unit: their name,
    plural; rate: units a second over the whole stage; note: a short remark; tokens_rate, device:
    tokens a second that a model encodes, and its device; read, input_share: documents read by a
    reader that runs ahead, and the share of the input that they are (0 to 1).
    """

    stage: str
    done: int
    total: int | None = None
    unit: str = "documents"
    rate: float | None = None
    note: str | None = None
    tokens_rate: float | None = None
    device: str | None = None
    read: int | None = None
    input_share: float | None = None

    @property
    def share(self) -> float | None:
        """`done` as a fraction of `total`, or None."""
        return None if not self.total else min(1.0, self.done / self.total)

    @property
    def is_estimate(self) -> bool:
        """Whether the note should stay in sight: what the task will take, or lost workers."""
        return self.stage in (ESTIMATE, WORKERS)

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the rate, None where rate or total are unknown."""
        if not self.rate or self.total is None:
            return None
        return max(0, self.total - self.done) / self.rate


ESTIMATE = "estimate"
"""The stage of a step whose note stays in sight: what the task will take."""
WORKERS = "workers"
"""Likewise, where workers on other machines were lost."""

Reporter = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Ignore all progress."""
