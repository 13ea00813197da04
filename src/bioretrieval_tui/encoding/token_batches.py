"""From texts to token ids (by the tokenizers library) and to batches of a token budget, prepared on
a thread ahead of the device. Independent of models and devices.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tokens(NamedTuple):
    """One input as a model reads it. types: the segment (0 or 1) of each token, None where the
    input has one segment only."""

    ids: list[int]
    types: list[int] | None = None


Ids = npt.NDArray[np.int64]
Tokenise = Callable[[Sequence[SideInput]], list[Tokens]]
T = TypeVar("T")

_CHUNK = 64
"""Texts that are tokenised at once: enough to sort by true length, and a short wait."""
_AHEAD = 4
"""Batches prepared in advance, so that the device never waits for a tokenizer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts as token ids.

    rows: of their vectors in the result; sequences: token ids of each, of unlike lengths; types:
    the segment of each token, None where no input is a pair.
    """

    rows: tuple[int, ...]
    sequences: tuple[list[int], ...]
    types: tuple[list[int], ...] | None = None

    @classmethod
    def of(cls, rows: Sequence[int], tokens: Sequence[Tokens]) -> Batch:
        """The batch of these inputs; either all or none of them are pairs."""
        types = tuple(one.types for one in tokens if one.types is not None)
        return cls(tuple(rows), tuple(one.ids for one in tokens), types or None)

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return sum(map(len, self.sequences))

    @property
    def padded_tokens(self) -> int:
        """Tokens with padding."""
        return max(1, *map(len, self.sequences)) * len(self.rows)

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two halves; for a batch of two texts or more."""
        middle = len(self.rows) // 2

        def part(rows: slice) -> Batch:
            types = None if self.types is None else self.types[rows]
            return Batch(self.rows[rows], self.sequences[rows], types)

        return part(slice(None, middle)), part(slice(middle, None))

    def parts(self, budget: int) -> Iterator[Batch]:
        """The batch in parts of at most `budget` padded tokens, or of one text each."""
        if len(self.rows) == 1 or self.padded_tokens <= budget:
            yield self
            return
        for half in self.halves():
            yield from half.parts(budget)

    def inputs(self, pad: int, *, types: bool) -> dict[str, Ids]:
        """The inputs of a transformers model, each int64 (texts, longest), padded on the right:
        input_ids, attention_mask and, with `types`, token_type_ids."""
        # A batch without any token still needs a column, with a mask of zeros.
        longest = max(1, *map(len, self.sequences))
        ids = np.full((len(self.sequences), longest), pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(self.sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        found = {"input_ids": ids, "attention_mask": mask}
        if types:
            found["token_type_ids"] = np.zeros_like(ids)
            for row, segments in enumerate(self.types or ()):
                found["token_type_ids"][row, : len(segments)] = segments
        return found


def token_batches(
    inputs: Sequence[SideInput], tokenise: Tokenise, budget: Callable[[], int]
) -> Iterator[Batch]:
    """All of `inputs`, longest first, in batches of at most `budget()` tokens, padding included.

    `budget` is called for each batch, so it may shrink; a text longer than the budget is a batch of
    its own. Inputs are sorted by characters, which is cheap, then within a chunk by tokens.
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


def ahead(items: Iterable[T], depth: int = _AHEAD) -> Generator[T, None, None]:
    """The same items, made on a separate thread up to `depth` in advance.

    Errors of `items` are raised here. Close the generator (or exhaust it) to end the thread.
    """
    source = iter(items)
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="tokenising") as maker:
        made: deque[Future[Any]] = deque(maker.submit(next, source, end) for _ in range(depth))
        try:
            while (item := made.popleft().result()) is not end:
                made.append(maker.submit(next, source, end))
                yield item
        finally:
            maker.shutdown(wait=False, cancel_futures=True)


class TextTokenizer:
    """Tokens of texts and of pairs, special tokens included, cut to a length and never padded.

    Safe to call from several threads. tokenizer: owned by this object from then on; pad: the
    padding id; append: an id added to every input after it was cut, or None.
    """

    def __init__(self, tokenizer: Tokenizer, pad: int, append: int | None = None) -> None:
        self.pad = pad
        self._append = append
        self._made = threading.Lock()
        # Truncation is a state of the library's object, so each length has its own.
        self._by_length: dict[int, Tokenizer] = {}
        self._tokenizer = tokenizer

    @classmethod
    def from_file(cls, path: Path, pad: int) -> TextTokenizer:
        """The tokenizer of a tokenizer.json. Raises ModelError where the file is not one."""
        from tokenizers import Tokenizer

        try:
            return cls(Tokenizer.from_file(str(path)), pad)
        except Exception as error:
            # The library raises a bare Exception for any fault of the file.
            raise ModelError(f"{path} is not a tokenizer: {error}") from error

    @classmethod
    def of(cls, model_id: str, tokenizer: Any, append: int | None = None) -> TextTokenizer:
        """The tokenizer of a transformers model. Raises ModelError where it has no fast form."""
        from tokenizers import Tokenizer

        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise ModelError(
                f"{model_id}: its tokenizer has no fast form (tokenizer.json), which is needed",
                remedy="get a revision of the model that has tokenizer.json",
            )
        return cls(Tokenizer.from_str(fast.to_str()), int(tokenizer.pad_token_id or 0), append)

    def tokens(self, inputs: Sequence[SideInput], max_length: int) -> list[Tokens]:
        """At most `max_length` tokens of each input; of a pair, the longer segment is cut."""
        tokenizer = self._of_length(max_length - (self._append is not None))
        encoded = tokenizer.encode_batch_fast(
            [
                encodable(one.first)
                if one.second is None
                else (encodable(one.first), encodable(one.second))
                for one in inputs
            ]
        )
        found = []
        for one, ids in zip(inputs, encoded, strict=True):
            types = None if one.second is None else list(ids.type_ids)
            if self._append is None:
                found.append(Tokens(list(ids.ids), types))
            else:
                # The appended token is of the last segment.
                types = types and [*types, types[-1]]
                found.append(Tokens([*ids.ids, self._append], types))
        return found

    def _of_length(self, max_length: int) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._made:
            found = self._by_length.get(max_length)
            if found is None:
                if self._by_length:
                    other = next(iter(self._by_length.values()))
                    found = Tokenizer.from_str(other.to_str())
                else:
                    found = self._tokenizer
                # The file may set padding and a shorter truncation than the recipe's (that of the
                # embedded model sets both).
                found.no_padding()
                found.enable_truncation(max_length)
                self._by_length[max_length] = found
        return found


def encodable(text: str) -> str:
    """Text without lone surrogates, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()
