"""An encoder composed of sentence-transformers modules from a recipe.

torch and sentence_transformers are imported within functions.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bioretrieval_tui.catalog.entries import Encoding, Similarity
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.encoding.device import limit_threads, pick, silence
from bioretrieval_tui.encoding.encoder import Vectors
from bioretrieval_tui.encoding.recipe import SideRecipe, recipe_hash, side_recipe
from bioretrieval_tui.encoding.support import refuse_unsupported
from bioretrieval_tui.errors import BioRetrievalError, ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

_BATCH = {"cpu": 16, "cuda": 128, "mps": 64}
"""Texts a batch. Small on the CPU: larger ones only add padding and wait longer for a cancel."""
_FEW = 4
"""So few queries run on one thread. Ten words gain nothing from more, and on a busy machine
every layer would wait for the slowest thread's turn: seen, 1 s rather than 0.1 s."""
_ENDLESS = 10**9


class SentenceTransformerEncoder:
    """A plain bi-encoder of one model, for queries and documents alike.

    Safe to call from several threads: one batch runs at a time, and a waiting query goes before
    the next batch of documents, so that searching stays quick while an index is built.

    Raises (on construction):
        ModelError: the recipe asks for something not supported, or the files do not load.
    """

    def __init__(
        self, model_id: str, revision: str, folder: Path, recipe: Encoding, *, device: str = "auto"
    ) -> None:
        refuse_unsupported(model_id, recipe)
        self.model_id = model_id
        self.revision = revision
        self.recipe = recipe
        self.recipe_hash = recipe_hash(recipe)
        self.similarity: Similarity = recipe.similarity or "cosine"
        self.normalised = bool(recipe.normalise) or self.similarity == "cosine"
        self.dtype = "float32"
        self.device = pick(device)
        self._query = side_recipe(recipe, "query")
        self._document = side_recipe(recipe, "document")
        self._turns = _Turns()
        self._threads = limit_threads()
        self._model = _load_modules(model_id, folder, recipe, self.device)
        self._separator = str(self._model.tokenizer.sep_token or "")
        longest = _longest_input(self._model)
        self._lengths = {
            side.side: _checked_length(model_id, side, longest)
            for side in (self._query, self._document)
        }
        self.dimension = int(self._model.get_embedding_dimension())

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32 (n, dimension), in the order of `texts`."""
        inputs = [self._query.query(text, separator=self._separator).first for text in texts]
        return self._encode(inputs, self._query, urgent=True, progress=silent)

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`; `progress` after each batch."""
        inputs = [
            self._document.document(document, separator=self._separator).first
            for document in documents
        ]
        return self._encode(inputs, self._document, urgent=False, progress=progress)

    def _encode(
        self, inputs: Sequence[str], side: SideRecipe, *, urgent: bool, progress: Reporter
    ) -> Vectors:
        vectors = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        # Texts of like length share a batch, so little of it is padding.
        order = sorted(range(len(inputs)), key=lambda row: -len(inputs[row]))
        size = _BATCH[self.device.partition(":")[0]]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            texts = [_encodable(inputs[row]) for row in rows]
            with self._turns.take(urgent=urgent):
                few = urgent and len(inputs) <= _FEW
                vectors[rows] = self._run(texts, self._lengths[side.side], alone=few)
            progress(Progress("encoding", start + len(rows), len(order)))
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"{self.model_id} gave values that are no numbers on {self.device}",
                remedy="use --device cpu",
            )
        return _unit_length(vectors) if self.normalised else vectors

    def _run(self, texts: list[str], max_length: int, *, alone: bool) -> Vectors:
        """Encode one batch, `alone` on the calling thread."""
        import torch

        self._model.max_seq_length = max_length
        torch.set_num_threads(1 if alone else self._threads)
        try:
            encoded = self._model.encode(
                texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
            )
        except torch.cuda.OutOfMemoryError as error:
            raise ModelError(
                f"{self.device} has too little memory for {self.model_id}",
                remedy="use --device cpu",
            ) from error
        return np.asarray(encoded, dtype=np.float32)


class _Turns:
    """One caller at a time; an urgent one goes before those that wait."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent = 0

    @contextlib.contextmanager
    def take(self, *, urgent: bool) -> Iterator[None]:
        with self._free:
            self._urgent += urgent
            try:
                self._free.wait_for(lambda: not self._busy and (urgent or not self._urgent))
            finally:
                self._urgent -= urgent
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()


def _load_modules(model_id: str, folder: Path, recipe: Encoding, device: str) -> Any:
    """A SentenceTransformer of local files only, without code of the model's own."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    silence()
    local = {"local_files_only": True, "trust_remote_code": False}
    weights = {**local, "use_safetensors": True, "dtype": torch.float32}
    try:
        if recipe.pooling is None:
            # The authors' own modules say how they pool; without them the library would assume.
            if not (folder / "modules.json").is_file():
                raise ModelError(f"{model_id} has no modules.json that says how it pools")
            composed = SentenceTransformer(
                str(folder),
                device=device,
                model_kwargs=weights,
                processor_kwargs=dict(local),
                config_kwargs=dict(local),
                local_files_only=True,
                trust_remote_code=False,
            )
            # What stands before a text is the recipe's to say; the model's own would come on top.
            composed.default_prompt_name = None
            return composed
        transformer = Transformer(
            str(folder),
            model_kwargs=weights,
            processor_kwargs=dict(local),
            config_kwargs=dict(local),
        )
        pooling = Pooling(transformer.get_embedding_dimension(), recipe.pooling)
        modules = [transformer, pooling, *([Normalize()] if recipe.normalise else [])]
        return SentenceTransformer(modules=modules, device=device)
    except BioRetrievalError:
        raise
    except Exception as error:
        # The libraries raise whatever their depths raise; for the user it is one line.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{model_id} cannot be loaded from {folder}: {reason}") from error


def _longest_input(model: Any) -> int | None:
    """Tokens that the model can take at once, special tokens included; None if it does not say."""
    config = model[0].model.config
    positions = getattr(config, "max_position_embeddings", None)
    # RoBERTa and its kin count positions from padding_idx + 1, so two of them are never used.
    if positions and config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2
    limits = [value for value in (model.tokenizer.model_max_length, positions) if value]
    # A tokenizer that knows no limit says 10^30.
    return min((int(value) for value in limits if value < _ENDLESS), default=None)


def _checked_length(model_id: str, side: SideRecipe, longest: int | None) -> int:
    length = side.max_length or longest
    if length is None:
        raise ModelError(
            f"{model_id} does not say how many tokens it takes",
            remedy="add `max_length` to the model's encoding",
        )
    if longest is not None and length > longest:
        raise ModelError(
            f"{model_id} takes {longest} tokens, but its {side.side} recipe asks for"
            f" {side.max_length}",
            remedy="correct `max_length` in the model's encoding",
        )
    return length


def _encodable(text: str) -> str:
    """Text without halves of surrogate pairs, which the tokenizers refuse."""
    return text.encode("utf-8", "replace").decode()


def _unit_length(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled
