"""Cross-encoders: one score for a query and a document read together, to rerank hits.

torch and transformers are imported within functions.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.device import (
    check_name,
    limit_threads,
    pick,
    prepare_environment,
    silence,
)
from bioretrieval_tui.encoding.model_files import ModelFiles, source_of
from bioretrieval_tui.encoding.recipe import (
    ModelPart,
    recipe_hash,
    refuse_reranking,
    reranking_recipe,
)
from bioretrieval_tui.encoding.token_batches import Batch, TextTokenizer, token_batches
from bioretrieval_tui.encoding.torch_encoder import BUDGETS, OutOfDeviceMemory, device_memory
from bioretrieval_tui.encoding.torch_modules import LOCAL, checked_length, explained, takes_types
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

Scores = npt.NDArray[np.float32]

_loaded: dict[tuple[str, str | None, str, str], CrossEncoder] = {}
_loading = threading.Lock()
_DEFAULT = Encoding(type="cross-encoder", grade="C")


def load_cross_encoder(
    model: str,
    recipe: Encoding | None = None,
    *,
    device: str = "auto",
    revision: str | None = None,
    reporter: Reporter = silent,
) -> CrossEncoder:
    """The cross-encoder of `model`; the last one loaded is kept.

    model: a folder, or a hub id whose files are in the local hub cache: nothing is downloaded.
    recipe: how it reads a pair; query and "title text" by default. revision: refuse any other.

    Raises:
        ModelError: files are missing, the recipe is not a cross-encoder's, the model gives more
            than one score, or the revision is another. UsageError: no such device name.
    """
    check_name(device)
    chosen = recipe if recipe is not None else _DEFAULT
    refuse_reranking(model, chosen)
    key = (model, revision, recipe_hash(chosen), device)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    with _loading:
        found = _loaded.get(key)
        if found is None:
            _loaded.clear()
            files = source_of(ModelPart(model, None, chosen), revision).files()
            where = pick(device).partition(",")[0]
            limit_threads()
            found = _loaded[key] = CrossEncoder(model, files, chosen, where)
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


class CrossEncoder:
    """Scores documents for a query, by torch in float32; see `load_cross_encoder`.

    Its scores are comparable with those of the same revision and recipe_hash only; device: as the
    user would name it (cpu, mps, cuda, cuda:0). Safe to call from several threads.
    """

    def __init__(self, model_id: str, files: ModelFiles, recipe: Encoding, device: str) -> None:
        self.model_id = model_id
        self.revision = files.revision
        self.recipe_hash = recipe_hash(recipe)
        self.device = device
        self._side = reranking_recipe(recipe)
        model, tokenizer = _from_files(model_id, files.folder)
        if model.config.num_labels != 1:
            raise ModelError(
                f"{model_id} gives {model.config.num_labels} scores per document, not one",
                remedy="use a cross-encoder that was trained to rank",
            )
        self._length = checked_length(model_id, self._side, model, tokenizer)
        self._tokenizer = TextTokenizer.of(model_id, tokenizer)
        self._separator = str(tokenizer.sep_token or "")
        self._types = recipe.token_type_ids is not False and takes_types(model, tokenizer)
        self._model = model.to(device).eval()
        self._budget = 4096 if device == "cpu" else BUDGETS[device.partition(":")[0]]
        self._running = threading.Lock()

    def scores(
        self, query: str, documents: Sequence[Document], progress: Reporter = silent
    ) -> Scores:
        """float32 (n,): one raw logit per document, in their order; higher is better.

        `progress` is called after each batch; what it raises stops the work.
        """
        scores = np.zeros(len(documents), dtype=np.float32)
        inputs = [
            self._side.document(one, separator=self._separator, query=query) for one in documents
        ]
        done = 0
        with self._running:
            for batch in token_batches(
                inputs,
                lambda some: self._tokenizer.tokens(some, self._length),
                lambda: self._budget,
            ):
                scores[list(batch.rows)] = self._run(batch)
                done += len(batch.rows)
                progress(Progress("reranking", done, len(documents), device=self.device))
        if not np.isfinite(scores).all():
            raise ModelError(
                f"{self.model_id} gave values that are not numbers on {self.device}",
                remedy="use --device cpu",
            )
        return scores

    def _run(self, batch: Batch) -> Scores:
        try:
            with device_memory():
                return self._logits(batch)
        except OutOfDeviceMemory as error:
            if len(batch.rows) == 1:
                raise ModelError(
                    f"there is too little memory for {self.model_id} on {self.device}",
                    remedy="use --device cpu, or rerank fewer documents",
                ) from error
        self._budget = max(1, batch.padded_tokens // 2)
        return np.concatenate([self._run(half) for half in batch.halves()])

    def _logits(self, batch: Batch) -> Scores:
        import torch

        arrays = batch.inputs(self._tokenizer.pad, types=self._types)
        inputs = {name: torch.from_numpy(one).to(self.device) for name, one in arrays.items()}
        with torch.inference_mode():
            logits = self._model(**inputs).logits[:, 0]
        return np.array(logits.float().cpu().numpy(), dtype=np.float32)


def _from_files(model_id: str, folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer in float32, from local files only, without the model's own code."""
    prepare_environment()
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    silence()
    with explained(model_id, folder):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **LOCAL)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            str(folder),
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **LOCAL,
        )
    if missing := sorted(info["missing_keys"]):
        # The library fills them with random numbers: every score would be noise.
        raise ModelError(
            f"{model_id} is no cross-encoder: its files lack {missing[0]}",
            remedy="use a model that was trained to score pairs",
        )
    return model, tokenizer
