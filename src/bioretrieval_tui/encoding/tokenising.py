"""Text to token ids with the tokenizers library alone: no model library is loaded for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TextTokenizer:
    """Token ids of single texts, special tokens included, cut to a length and never padded.

    Safe to call from several threads. tokenizer: belongs to this object from then on; pad: the id
    that fills a batch up.

    """

    def __init__(self, tokenizer: Tokenizer, pad: int) -> None:
        self.pad = pad
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

    def ids(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """For each text at most `max_length` token ids."""
        tokenizer = self._of_length(max_length)
        encoded = tokenizer.encode_batch_fast([encodable(text) for text in texts])
        return [list(one.ids) for one in encoded]

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


def encodable(text: str) -> str:
    """Text without halves of surrogate pairs, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()
