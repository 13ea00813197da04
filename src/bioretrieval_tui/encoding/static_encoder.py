"""Static embeddings (model2vec): the mean of word vectors from a table, without a model library.

safetensors and tokenizers are imported within functions.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.encoder import ENDLESS, Encoded, Engine, Shape, Vectors
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.recipe import SideInput, read_settings, side_recipe
from bioretrieval_tui.encoding.token_batches import characters, head, portions, read_tokenizer
from bioretrieval_tui.errors import ModelError

_CHUNK = 256
"""Texts that are tokenised at once, between two reports of progress."""
_TABLES = ("embeddings", "embedding.weight")
"""The table's name in files of model2vec and of sentence-transformers."""


class StaticEngine(Engine):
    """An engine without a neural network. A text without a known word has a zero vector. files: a
    folder with model.safetensors, tokenizer.json and config.json; raises ModelError where one is
    missing or malformed."""

    def __init__(self, model_id: str, files: ModelFiles, recipe: Encoding) -> None:
        self._tokenizer = read_tokenizer(files.folder / "tokenizer.json")
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table, self._rows, self._weights = _table(model_id, files.folder)
        if max(self._tokenizer.get_vocab().values(), default=-1) >= len(self._rows):
            raise ModelError(f"{model_id}: its tokenizer knows more words than its table has rows")
        # The id of words that the tokenizer does not know.
        words = json.loads(self._tokenizer.to_str())["model"]
        self._unknown = words.get("unk_id")
        if not isinstance(self._unknown, int):
            token = words.get("unk_token")
            self._unknown = None if token is None else self._tokenizer.token_to_id(token)
        query, document = (
            side_recipe(recipe, side).max_length or ENDLESS for side in ("query", "document")
        )
        shape = Shape(int(self._table.shape[1]), query, document, separator="")
        super().__init__(files.revision, shape)
        if recipe.normalise is None:
            self.normalised = bool(read_settings(files.folder / "config.json").get("normalize"))

    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        del urgent  # a text takes microseconds
        heads = [SideInput(head(one.first, max_length, self._count)) for one in inputs]
        for some in portions(heads, _CHUNK):
            vectors = np.zeros((len(heads[some]), self.shape.dimension), dtype=np.float32)
            tokens, longer = 0, []
            for row, found in enumerate(self._known([one.first for one in heads[some]])):
                known, place = found[:max_length], some.start + row
                tokens += len(known)
                if len(known) < len(found) or characters(heads[place]) < characters(inputs[place]):
                    longer.append(place)
                if known:
                    words = self._table[self._rows[known]]
                    if self._weights is not None:
                        words = words * self._weights[known][:, None]
                    vectors[row] = words.mean(axis=0)
            yield Encoded(range(some.start, some.stop), vectors, tokens, longer=longer)

    def _known(self, texts: list[str]) -> list[list[int]]:
        """The tokens of each text. Unknown ones are left out before a text is cut, as model2vec
        does."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [[one for one in each.ids if one != self._unknown] for each in encodings]

    def _count(self, text: str) -> int:
        return len(self._known([text])[0])


def _table(
    model_id: str, folder: Path
) -> tuple[Vectors, npt.NDArray[np.int64], npt.NDArray[np.float32] | None]:
    """The table, float32 (rows, dimension); its row for each token id; the weight of each token id
    in the mean, None where all are 1."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{model_id}: model.safetensors cannot be loaded: {error}") from error
    name = next((each for each in _TABLES if each in tensors), None)
    if name is None or tensors[name].ndim != 2:
        raise ModelError(
            f"{model_id} is no table of static embeddings: model.safetensors has no"
            f" {_TABLES[0]} of two dimensions",
            remedy="correct `type` in the model's encoding",
        )
    vectors = tensors[name].astype(np.float32)
    rows = tensors.get("mapping", np.arange(len(vectors))).astype(np.int64)
    if not ((rows >= 0) & (rows < len(vectors))).all():
        raise ModelError(f"{model_id}: its mapping exceeds its table")
    weights = tensors.get("weights")
    return vectors, rows, None if weights is None else weights.astype(np.float32)
