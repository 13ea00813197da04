"""Static embeddings (model2vec): the mean of word vectors from a table, without a model library.

safetensors and tokenizers are imported within functions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.encoder import BaseEncoder, Shape, Vectors
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.recipe import SideInput, read_settings, side_recipe
from bioretrieval_tui.encoding.token_batches import encodable
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHUNK = 256
"""Texts that are tokenised at once, between two reports of progress."""
_ENDLESS = 2**31
_TABLES = ("embeddings", "embedding.weight")
"""The table's name in files of model2vec and of sentence-transformers."""


@dataclass(frozen=True, slots=True)
class _Table:
    """vectors: float32 (rows, dimension); rows: row of each token id, None where they are equal;
    weights: of each token in the mean, None where all are 1."""

    vectors: Vectors
    rows: npt.NDArray[np.int64] | None
    weights: Vectors | None


def load_static_encoder(model_id: str, files: ModelFiles, recipe: Encoding) -> StaticEncoder:
    """The encoder of a folder with model.safetensors, tokenizer.json and config.json.

    Raises:
        ModelError: a file is missing or malformed.
    """
    from tokenizers import Tokenizer

    folder = files.folder
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        # The library raises a bare Exception for any fault of the file.
        raise ModelError(f"{model_id}: its tokenizer.json cannot be loaded: {error}") from error
    table = _table(model_id, folder)
    known = len(table.vectors) if table.rows is None else len(table.rows)
    if max(tokenizer.get_vocab().values(), default=-1) >= known:
        raise ModelError(f"{model_id}: its tokenizer knows more words than its table has rows")
    normalise = recipe.normalise
    if normalise is None:
        normalise = bool(read_settings(folder / "config.json").get("normalize"))
    return StaticEncoder(model_id, files.revision, recipe, tokenizer, table, normalise)


class StaticEncoder(BaseEncoder):
    """An encoder without a neural network; see `encoder.Encoder` for the members.

    Safe to call from several threads. A text without a known word has a zero vector.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        tokenizer: Tokenizer,
        table: _Table,
        normalise: bool,
    ) -> None:
        query, document = (
            side_recipe(recipe, side).max_length or _ENDLESS for side in ("query", "document")
        )
        shape = Shape(int(table.vectors.shape[1]), query, document, separator="")
        super().__init__(model_id, revision, recipe, shape, device="cpu", dtype="float32")
        self.normalised = self.normalised or normalise
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._table = table
        self._unknown = _unknown(tokenizer)

    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors:
        return self._encode(inputs, max_length, silent, count=False)

    def _encode_documents(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter
    ) -> Vectors:
        return self._encode(inputs, max_length, progress, count=True)

    def _encode(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter, *, count: bool
    ) -> Vectors:
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        for start in range(0, len(inputs), _CHUNK):
            some = inputs[start : start + _CHUNK]
            encoded = self._tokenizer.encode_batch_fast(
                [encodable(one.first) for one in some], add_special_tokens=False
            )
            for row, one in enumerate(encoded, start):
                # Unknown tokens are left out before the text is cut, as model2vec does.
                known = [token for token in one.ids if token != self._unknown][:max_length]
                self._count(len(known) if count else 0)
                if known:
                    ids = np.array(known, dtype=np.int64)
                    rows = ids if self._table.rows is None else self._table.rows[ids]
                    found = self._table.vectors[rows]
                    if self._table.weights is not None:
                        found = found * self._table.weights[ids][:, None]
                    vectors[row] = found.mean(axis=0)
            progress(Progress("encoding", start + len(some), len(inputs)))
        return vectors


def _table(model_id: str, folder: Path) -> _Table:
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
    vectors = np.asarray(tensors[name], dtype=np.float32)
    rows = tensors.get("mapping")
    weights = tensors.get("weights")
    if rows is not None and not (0 <= int(rows.min()) <= int(rows.max()) < len(vectors)):
        raise ModelError(f"{model_id}: its mapping exceeds its table")
    return _Table(
        vectors,
        None if rows is None else rows.astype(np.int64),
        None if weights is None else weights.astype(np.float32),
    )


def _unknown(tokenizer: Any) -> int | None:
    """The id of words that the tokenizer does not know."""
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)
