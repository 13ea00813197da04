"""From texts to token ids (by the tokenizers library) and to batches of a token budget, prepared on
a thread ahead of the device. Independent of models and devices.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

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


class Batch(Struct, frozen=True):
    """Inputs as tokens; rows: of their vectors in the result."""

    rows: Sequence[int]
    inputs: Sequence[Tokens]

    @property
    def tokens(self) -> int:
        return sum(len(one.ids) for one in self.inputs)

    @property
    def longest(self) -> int:
        """Tokens of the longest input; a batch without any token still needs one column."""
        return max(1, *(len(one.ids) for one in self.inputs))

    @property
    def padded_tokens(self) -> int:
        return self.longest * len(self.rows)

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two halves; for a batch of two inputs or more."""
        half = len(self.rows) // 2
        first = Batch(self.rows[:half], self.inputs[:half])
        return first, Batch(self.rows[half:], self.inputs[half:])

    def parts(self, budget: int) -> Iterator[Batch]:
        """The batch in parts of at most `budget` padded tokens, or of one input each."""
        if len(self.rows) == 1 or self.padded_tokens <= budget:
            yield self
            return
        for half in self.halves():
            yield from half.parts(budget)

    def arrays(self, pad: int, *, types: bool) -> dict[str, Ids]:
        """The inputs of a transformers model, each int64 (inputs, longest), padded on the right:
        input_ids, attention_mask and, with `types`, token_type_ids."""
        ids = np.full((len(self.rows), self.longest), pad, dtype=np.int64)
        found = {"input_ids": ids, "attention_mask": np.zeros_like(ids)}
        if types:
            found["token_type_ids"] = np.zeros_like(ids)
        for row, one in enumerate(self.inputs):
            ids[row, : len(one.ids)] = one.ids
            found["attention_mask"][row, : len(one.ids)] = 1
            if types and one.types is not None:
                found["token_type_ids"][row, : len(one.ids)] = one.types
        return found


def token_batches(
    inputs: Sequence[SideInput], tokenise: Tokenise, budget: Callable[[], int]
) -> Iterator[Batch]:
    """All of `inputs`, longest first, in batches of at most `budget()` tokens, padding included; an
    input longer than the budget, which may shrink on the way, is a batch of its own. They are
    sorted by characters, which is cheap, then within a chunk by tokens."""
    order = sorted(range(len(inputs)), key=lambda row: -sum(len(one or "") for one in inputs[row]))
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        tokens = tokenise([inputs[row] for row in rows])
        ranked = sorted(zip(rows, tokens, strict=True), key=lambda pair: -len(pair[1].ids))
        while ranked:
            size = max(1, budget() // max(1, len(ranked[0][1].ids)))
            yield Batch(*zip(*ranked[:size], strict=True))
            del ranked[:size]


def ahead(items: Iterable[T], depth: int = _AHEAD) -> Generator[T, None, None]:
    """The same items, made on a separate thread up to `depth` in advance. Errors of `items` are
    raised here. Close the generator (or exhaust it) to end the thread."""
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
    """Tokens of texts and of pairs, special tokens included, cut to a length and never padded; safe
    to call from several threads. tokenizer: owned by this object from then on; pad: the padding id;
    append: an id added to every input after it was cut, or None."""

    def __init__(self, tokenizer: Tokenizer, pad: int, append: int | None = None) -> None:
        self.pad = pad
        self._append = append
        self._making = threading.Lock()
        # Truncation is a state of the library's object, so each length has its own.
        self._by_length: dict[int, Tokenizer] = {}
        self._tokenizer = tokenizer

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
        encodings = tokenizer.encode_batch_fast(
            [
                encodable(one.first)
                if one.second is None
                else (encodable(one.first), encodable(one.second))
                for one in inputs
            ]
        )
        found = []
        for one, encoding in zip(inputs, encodings, strict=True):
            tokens = Tokens(encoding.ids, None if one.second is None else encoding.type_ids)
            if self._append is not None:
                tokens.ids.append(self._append)
                if tokens.types is not None:  # the appended token is of the last segment
                    tokens.types.append(tokens.types[-1])
            found.append(tokens)
        return found

    def _of_length(self, max_length: int) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._making:
            found = self._by_length.get(max_length)
            if found is None:
                taken = bool(self._by_length)
                found = Tokenizer.from_str(self._tokenizer.to_str()) if taken else self._tokenizer
                # The file may set padding and a shorter truncation than the recipe's (that of the
                # embedded model sets both).
                found.no_padding()
                found.enable_truncation(max_length)
                self._by_length[max_length] = found
        return found


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json. Raises ModelError where the file is not one."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises a bare Exception for any fault of the file.
        raise ModelError(f"{path} is not a tokenizer: {error}") from error


def encodable(text: str) -> str:
    """Text without lone surrogates, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()
