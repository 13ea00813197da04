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

from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.tokenising import Tokens

Ids = npt.NDArray[np.int64]
Tokenise = Callable[[Sequence[SideInput]], list[Tokens]]
T = TypeVar("T")

_CHUNK = 64
"""Texts that are tokenised at once: enough to sort by true length, little to wait for."""
_AHEAD = 4
"""Batches that wait for the device: so that it never waits for a tokenizer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts as token ids.

    rows: where their vectors belong; sequences: token ids of each, of unlike lengths; types: the
    segment of each token, None where no input is a pair.
    """

    rows: tuple[int, ...]
    sequences: tuple[list[int], ...]
    types: tuple[list[int], ...] | None = None

    @classmethod
    def of(cls, rows: Sequence[int], tokens: Sequence[Tokens]) -> Batch:
        """The batch of these inputs; either all of them are pairs, or none is."""
        types = tuple(one.types for one in tokens if one.types is not None)
        return cls(tuple(rows), tuple(one.ids for one in tokens), types or None)

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return sum(map(len, self.sequences))

    def halves(self) -> tuple[Batch, Batch]:
        """The batch cut in two; for a batch of two texts or more."""
        middle = len(self.rows) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> Batch:
        types = None if self.types is None else self.types[rows]
        return Batch(self.rows[rows], self.sequences[rows], types)

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

    def padded_types(self) -> Ids:
        """Segments of the tokens, int64 (texts, longest), 0 where there is no token."""
        found = np.zeros((len(self.sequences), max(1, *map(len, self.sequences))), dtype=np.int64)
        for row, types in enumerate(self.types or ()):
            found[row, : len(types)] = types
        return found


def token_batches(
    inputs: Sequence[SideInput], tokenise: Tokenise, budget: Callable[[], int]
) -> Iterator[Batch]:
    """All of `inputs`, longest first, in batches of at most `budget()` tokens, padding counted.

    `budget` is asked for each batch, so it may shrink on the way; a text that is longer than the
    budget is a batch of its own. They are sorted by their characters, which is cheap, and within
    a chunk by their tokens, which is true.
    """
    order = sorted(range(len(inputs)), key=lambda row: -inputs[row].characters)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        tokens = tokenise([inputs[row] for row in rows])
        ranked = sorted(zip(rows, tokens, strict=True), key=lambda pair: -len(pair[1].ids))
        at = 0
        while at < len(ranked):
            longest = max(1, len(ranked[at][1].ids))
            some = ranked[at : at + max(1, budget() // longest)]
            at += len(some)
            yield Batch.of([row for row, _ in some], [one for _, one in some])


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
