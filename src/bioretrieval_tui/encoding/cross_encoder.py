"""Cross-encoders: one score for a query and a document read together, to rerank hits.

torch and transformers are imported within functions.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.device import check_name, pick, prepare_environment, silence
from bioretrieval_tui.encoding.encoder import Shape, refuse_no_numbers
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import ModelPart, recipe_hash, reranking_recipe
from bioretrieval_tui.encoding.token_batches import TextTokenizer
from bioretrieval_tui.encoding.torch_encoder import DeviceWorker, TorchEngine
from bioretrieval_tui.encoding.torch_modules import LOCAL, checked_length, explained
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

Scores = npt.NDArray[np.float32]

_loaded: dict[tuple[str, ...], CrossEncoder] = {}
_loading = threading.Lock()
_DEFAULT = Encoding(type="cross-encoder", grade="C")


def load_cross_encoder(
    model: str, recipe: Encoding | None = None, *, device: str = "auto", reporter: Reporter = silent
) -> CrossEncoder:
    """The cross-encoder of `model`; the last one loaded is kept. Parameters and errors are those of
    `CrossEncoder`."""
    recipe = recipe or _DEFAULT
    where = check_name(device)
    reranking_recipe(model, recipe)
    revision = files_of(ModelPart(model, None, recipe)).revision  # a folder's may have changed
    key = (model, revision, recipe_hash(recipe), where)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    with _loading:
        if key not in _loaded:
            _loaded.clear()
            _loaded[key] = CrossEncoder(model, recipe, device)
        found = _loaded[key]
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


class CrossEncoder:
    """Scores documents for a query, by torch in float32. Safe to call from several threads.

    model_id: a folder, or a hub id whose files are in the local hub cache: nothing is downloaded;
    recipe: how it reads a pair, query and "title text" where it does not say; device: as the user
    names it. Its scores are comparable with those of the same revision and recipe_hash only. Raises
    ModelError: files are missing, the recipe is not a cross-encoder's, or the model gives more than
    one score; UsageError: no such device name.
    """

    def __init__(self, model_id: str, recipe: Encoding, device: str) -> None:
        self._side = reranking_recipe(model_id, recipe)
        files = files_of(ModelPart(model_id, None, recipe))
        self.model_id = model_id
        self.revision = files.revision
        self.recipe_hash = recipe_hash(recipe)
        self.device = pick(device).partition(",")[0]
        spare = [_load_scorer(model_id, files.folder)]
        tokenizer = spare[0].tokenizer
        length = checked_length(model_id, self._side, spare[0][0].model, tokenizer)
        shape = Shape(1, length, length, str(tokenizer.sep_token or ""))
        texts = TextTokenizer.of(model_id, tokenizer)

        def make(name: str) -> DeviceWorker:
            scorer = spare.pop() if spare else _load_scorer(model_id, files.folder)
            types = recipe.token_type_ids is not False
            return DeviceWorker(scorer, name, texts.pad, types=types, dtype="float32")

        self._engine = TorchEngine(model_id, self.revision, shape, texts, self.device, make)

    def scores(
        self, query: str, documents: Sequence[Document], progress: Reporter = silent
    ) -> Scores:
        """float32 (n,): one raw logit per document, in their order; higher is better. `progress` is
        called after each batch; what it raises stops the work."""
        return self.pair_scores([(query, one) for one in documents], progress)

    def pair_scores(
        self, pairs: Sequence[tuple[str, Document]], progress: Reporter = silent
    ) -> Scores:
        """As `scores`, of pairs of a query and a document."""
        scores = np.zeros(len(pairs), dtype=np.float32)
        shape = self._engine.shape
        inputs = [
            self._side.document(document, separator=shape.separator, query=query)
            for query, document in pairs
        ]
        done = 0
        parts = self._engine.encoded(inputs, shape.document_length, urgent=False)
        with contextlib.closing(parts):
            for part in parts:
                scores[list(part.rows)] = part.vectors[:, 0]
                done += len(part.rows)
                step = Progress("reranking", done, len(inputs), note=part.note, device=self.device)
                progress(step)
        refuse_no_numbers(scores, self.model_id, self.device)
        return scores


def _load_scorer(model_id: str, folder: Path) -> Any:
    """A module that gives logits as sentence-transformers gives vectors, with its tokenizer, in
    float32, from local files only, without the model's own code."""
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
    if model.config.num_labels != 1:
        raise ModelError(
            f"{model_id} gives {model.config.num_labels} scores per document, not one",
            remedy="use a cross-encoder that was trained to rank",
        )

    class Scorer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sentence_embedding": self.model(**features).logits}

    modules = torch.nn.Sequential(Scorer())
    modules.tokenizer = tokenizer
    return modules
