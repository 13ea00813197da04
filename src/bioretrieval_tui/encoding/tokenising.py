"""Text to token ids with the tokenizers library alone: no model library is loaded for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tokens(NamedTuple):
    """One input as a model reads it. types: the segment (0 or 1) of each token, None where the
    input has one segment only."""

    ids: list[int]
    types: list[int] | None = None


class TextTokenizer:
    """Tokens of texts and of pairs, special tokens included, cut to a length and never padded.

    Safe to call from several threads. tokenizer: belongs to this object from then on; pad: the id
    that fills a batch up; append: an id that ends every input, after it was cut, or None.
    """

    def __init__(self, tokenizer: Tokenizer, pad: int, append: int | None = None) -> None:
        self.pad = pad
        self._append = append
        self._made = threading.Lock()
        # Truncation is a state of the library's object, so each length has an object of its own.
        self._by_length: dict[int, Tokenizer] = {}
        self._spare: Tokenizer | None = tokenizer

    @classmethod
    def from_file(cls, path: Path, pad: int) -> TextTokenizer:
        """The tokenizer of a tokenizer.json.

        Raises:
            ModelError: the file is no tokenizer.
        """
        from tokenizers import Tokenizer

        try:
            return cls(Tokenizer.from_file(str(path)), pad)
        except Exception as error:
            # The library raises a bare Exception for whatever is wrong with the file.
            raise ModelError(f"{path} is no tokenizer: {error}") from error

    def tokens(self, inputs: Sequence[SideInput], max_length: int) -> list[Tokens]:
        """For each input at most `max_length` tokens; of a pair, the longer segment is cut."""
        tokenizer = self._of_length(max_length - (self._append is not None))
        encoded = tokenizer.encode_batch_fast([_given(one) for one in inputs])
        found = [
            Tokens(list(ids.ids), None if one.second is None else list(ids.type_ids))
            for one, ids in zip(inputs, encoded, strict=True)
        ]
        return found if self._append is None else [ended(one, self._append) for one in found]

    def _of_length(self, max_length: int) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._made:
            found = self._by_length.get(max_length)
            if found is None:
                if self._spare is not None:
                    found, self._spare = self._spare, None
                else:
                    other = next(iter(self._by_length.values()))
                    found = Tokenizer.from_str(other.to_str())
                # The file may ask for padding to a fixed length and for a shorter truncation than
                # the model's (the embedded model's file does both): neither is the recipe's.
                found.no_padding()
                found.enable_truncation(max_length)
                self._by_length[max_length] = found
        return found


def ended(tokens: Tokens, end: int) -> Tokens:
    """The tokens and one more, `end`, of the segment that they end in."""
    types = None if tokens.types is None else [*tokens.types, (tokens.types or [0])[-1]]
    return Tokens([*tokens.ids, end], types)


def encodable(text: str) -> str:
    """Text without halves of surrogate pairs, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()


def _given(one: SideInput) -> str | tuple[str, str]:
    first = encodable(one.first)
    return first if one.second is None else (first, encodable(one.second))
