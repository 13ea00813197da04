"""How long work reports itself: one frozen value a step, one callable that takes it.

Rooms that work (index, encoding) call a `Reporter`; faces (a bar on stderr, a bar in the app)
provide it. A reporter may raise `InterruptedByUser` to stop the work at the next step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units in `stage`; `total` is None while it is not known.

    `rate` is units a second over the whole stage, None until it means something; `tokens_rate`
    tokens a second where a model encodes on `device`; `read` the documents read so far where
    reading goes on beside the stage, and `input_share` how much of the input that is.
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
        """Done as a fraction of the total, or None."""
        return None if not self.total else min(1.0, self.done / self.total)

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far, or None where rate or total are not known."""
        if not self.rate or self.total is None:
            return None
        return max(0, self.total - self.done) / self.rate


Reporter = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A reporter that says nothing."""
