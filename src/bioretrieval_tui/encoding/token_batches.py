"""From texts to token ids (by the tokenizers library) and to batches of a token budget, prepared on
a thread ahead of the device. Independent of models and devices.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from bioretrieval_tui.encoding.recipe import Padding, SideInput
from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class Tokens(NamedTuple):
    """One input as a model reads it. types: the segment (0 or 1) of each token, None where the
    input has one segment only; longer: whether it had more tokens, which were cut; padding: how
    many of the tokens are padding that the model must not attend to."""

    ids: list[int]
    types: list[int] | None = None
    longer: bool = False
    padding: int = 0


Ids = npt.NDArray[np.int64]
Tokenise = Callable[[Sequence[SideInput]], list[Tokens]]
T = TypeVar("T")

MOST_CHARACTERS = 2**20
"""Characters that are tokenised at once, of one text or of several: a tokenizer takes some sixty
bytes of memory for each."""
_CHARACTERS = 16
"""Characters that are looked at for each token; words of a language have three to six."""
_MOST_A_TOKEN = 256
"""As many where those give too few tokens: long sequences without blanks, or blanks only."""
_MARGIN = 128
"""Tokens that must follow those that are read: a cut changes the tokens of one word, and a word of
more than a hundred characters is a single unknown token to many models."""
CHUNK = 64
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
    def longer(self) -> list[int]:
        """The rows of inputs that were cut."""
        return [row for row, one in zip(self.rows, self.inputs, strict=True) if one.longer]

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
            found["attention_mask"][row, : len(one.ids) - one.padding] = 1
            if types and one.types is not None:
                found["token_type_ids"][row, : len(one.ids)] = one.types
        return found


def token_batches(
    inputs: Sequence[SideInput], tokenise: Tokenise, budget: Callable[[], int]
) -> Iterator[Batch]:
    """All of `inputs`, longest first, in batches of at most `budget()` tokens, padding included; an
    input longer than the budget, which may shrink on the way, is a batch of its own. They are
    sorted by characters, which is cheap, then within a chunk by tokens."""
    order = sorted(range(len(inputs)), key=lambda row: -characters(inputs[row]))
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
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
    """Tokens of texts and of pairs, special tokens included, cut to a length, and padded only where
    a recipe asks for it; safe to call from several threads. tokenizer: owned by this object from
    then on; pad: the padding id; append: an id added to every input after it was cut, or None;
    padding: of every input to the length, see `padding_of`."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        pad: int,
        append: int | None = None,
        padding: Padding | None = None,
    ) -> None:
        self.pad = pad
        self._padding = padding
        self._append = append
        self._making = threading.Lock()
        # Truncation is a state of the library's object, so each length has its own.
        self._by_length: dict[int, Tokenizer] = {}
        self._tokenizer = tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return TextTokenizer, (self._tokenizer, self.pad, self._append, self._padding)

    @classmethod
    def of(
        cls,
        model_id: str,
        tokenizer: Any,
        append: int | None = None,
        padding: Padding | None = None,
    ) -> TextTokenizer:
        """The tokenizer of a transformers model. Raises ModelError where it has no fast form."""
        from tokenizers import Tokenizer

        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise ModelError(
                f"{model_id}: its tokenizer has no fast form (tokenizer.json), which is needed",
                remedy="get a revision of the model that has tokenizer.json",
            )
        pad = int(tokenizer.pad_token_id or 0)
        return cls(Tokenizer.from_str(fast.to_str()), pad, append, padding)

    def tokens(self, inputs: Sequence[SideInput], max_length: int) -> list[Tokens]:
        """At most `max_length` tokens of each input; of a pair, the longer segment is cut."""
        tokenizer = self._of_length(max_length - (self._append is not None))

        def count(text: str) -> int:
            encoding = tokenizer.encode_batch_fast([text], add_special_tokens=False)[0]
            return len(encoding) + sum(map(len, encoding.overflowing))

        cut = partial(head, tokens=max_length, count=count)
        heads = [SideInput(cut(one.first), one.second and cut(one.second)) for one in inputs]
        encodings: list[Encoding] = []
        for some in portions(heads):
            given = [one.first if one.second is None else one for one in heads[some]]
            encodings += tokenizer.encode_batch_fast(given)
        found = []
        for one, read, encoding in zip(inputs, heads, encodings, strict=True):
            longer = bool(encoding.overflowing) or characters(read) < characters(one)
            types = None if one.second is None else encoding.type_ids
            tokens = Tokens(encoding.ids, types, longer)
            if self._append is not None:
                tokens.ids.append(self._append)
                if tokens.types is not None:  # the appended token is of the last segment
                    tokens.types.append(tokens.types[-1])
            if self._padding is not None:
                blanks = max_length - len(tokens.ids)
                tokens.ids.extend([self.pad] * blanks)
                if tokens.types is not None:
                    tokens.types.extend([0] * blanks)
                tokens = tokens._replace(padding=blanks if self._padding == "averaged" else 0)
            found.append(tokens)
        return found

    def windows(self, text: str, size: int, overlap: int) -> list[tuple[int, int]]:
        """Places (start, end) of a text that is read in windows of at most `size` tokens, special
        tokens left out. Each begins at a word, at least `overlap` tokens before the end of the one
        before it. A text that is not longer, or has no token, is one window."""
        tokenizer, spans, begin = self._of_length(0), list[tuple[int, int]](), 0
        while begin < len(text):
            part = encodable(text[begin : begin + MOST_CHARACTERS])
            places = tokenizer.encode(part, add_special_tokens=False).offsets
            starts = [0] if places else []
            while starts and starts[-1] + size < len(places):
                after = starts[-1] + size - overlap
                # A window moves on by half of its tokens at least, also within a long word.
                candidates = range(after, starts[-1] + size // 2, -1)
                words = (at for at in candidates if part[places[at][0] - 1].isspace())
                starts.append(next(words, after))
            for start in starts:
                end = min(start + size, len(places)) - 1
                spans.append((begin + places[start][0], begin + places[end][1]))
            begin += len(part)
            if begin < len(text) and len(starts) > 1:
                begin = spans.pop()[0]  # the last window goes on in the next part
        if len(spans) < 2:
            return [(0, len(text))]
        # What makes no token, at an end or between windows, belongs to the text all the same.
        begins = [0, *(begin for begin, _ in spans[1:])]
        ends = [max(end, begin) for (_, end), (begin, _) in pairwise(spans)]
        return list(zip(begins, [*ends, len(text)], strict=True))

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
                found.no_truncation()
                if max_length:
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


def head(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """The beginning of `text`, encodable, whose first `tokens` tokens are those of the whole.
    count: the tokens of a text. A whole text costs a tokenizer time and memory for all of it, and
    models read its first thousand characters."""
    enough = tokens + _MARGIN
    size = _CHARACTERS * enough
    part = encodable(text[:size])
    if len(text) <= size or count(part) >= enough:
        return part
    return encodable(text[: min(_MOST_A_TOKEN * enough, MOST_CHARACTERS)])


def portions(inputs: Sequence[SideInput], most: int = CHUNK) -> Iterator[slice]:
    """Parts of a list, each of at most `most` inputs and MOST_CHARACTERS, or of one input."""
    start = size = 0
    for place, one in enumerate(inputs):
        length = characters(one)
        if place > start and (size + length > MOST_CHARACTERS or place - start == most):
            yield slice(start, place)
            start, size = place, 0
        size += length
    yield slice(start, len(inputs))


def characters(one: SideInput) -> int:
    """The length of an input, both segments together."""
    return len(one.first) + len(one.second or "")


def encodable(text: str) -> str:
    """Text without lone surrogates, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()
