"""From texts to batches of a token budget, tokenised ahead of the device on a thread.

Pure logic over token ids; knows neither a model nor a device.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Tokenise = Callable[[Sequence[str]], list[list[int]]]
T = TypeVar("T")

_CHUNK = 64
"""Texts that are tokenised at once: enough to sort by true length, little to wait for."""
_AHEAD = 4
"""Batches that wait for the device: so that it never waits for a tokenizer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts as token ids.

    rows: where their vectors belong; sequences: token ids of each, of unlike lengths.
    """

    rows: tuple[int, ...]
    sequences: tuple[list[int], ...]

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return sum(map(len, self.sequences))

    def halves(self) -> tuple[Batch, Batch]:
        """The batch cut in two; for a batch of two texts or more."""
        middle = len(self.rows) // 2
        return (
            Batch(self.rows[:middle], self.sequences[:middle]),
            Batch(self.rows[middle:], self.sequences[middle:]),
        )

    def padded(self, pad: int) -> tuple[Ids, Ids]:
        """Token ids and attention mask, both int64 (texts, longest), padded on the right."""
        # A text without any token still needs a column; its mask of zeros says that it is empty.
        longest = max(1, *map(len, self.sequences))
        ids = np.full((len(self.sequences), longest), pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(self.sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        return ids, mask


def token_batches(
    texts: Sequence[str], tokenise: Tokenise, budget: Callable[[], int]
) -> Iterator[Batch]:
    """All of `texts`, longest first, in batches of at most `budget()` tokens, padding counted.

    `budget` is asked for each batch, so it may shrink on the way; a text that is longer than the
    budget is a batch of its own. Texts are sorted by their characters, which is cheap, and within
    a chunk by their tokens, which is true.
    """
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        sequences = tokenise([texts[row] for row in rows])
        ranked = sorted(zip(rows, sequences, strict=True), key=lambda pair: -len(pair[1]))
        at = 0
        while at < len(ranked):
            longest = max(1, len(ranked[at][1]))
            some = ranked[at : at + max(1, budget() // longest)]
            at += len(some)
            yield Batch(tuple(row for row, _ in some), tuple(ids for _, ids in some))


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def ahead(items: Iterable[T], depth: int = _AHEAD) -> Generator[T, None, None]:
    """The same items, made on a thread of their own up to `depth` in advance.

    What making them raises is raised here. Close the generator (or exhaust it) to end the thread.
    """
    made: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def hand_on(item: T | _End) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                hand_on(item)
                if stopped.is_set():
                    return
            hand_on(_End(None))
        except BaseException as error:  # noqa: BLE001
            # Raised again by the consumer, whose thread it concerns.
            hand_on(_End(error))

    maker = threading.Thread(target=make, name="tokenising", daemon=True)
    maker.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        maker.join()
