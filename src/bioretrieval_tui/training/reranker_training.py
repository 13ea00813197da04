"""Cross-encoders that are trained here: from one that is, or from an encoder under a new head.

What is read is the pair that the recipe fills; the loop is that of `trainer.fit`, with the trainer
and the losses that sentence-transformers has for cross-encoders. torch and the libraries are
imported within functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bioretrieval_tui.catalog.models import Encoding, Side, TrainingSettings
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.device import prepare_environment, silence
from bioretrieval_tui.encoding.model_files import files_of, missing_weights
from bioretrieval_tui.encoding.recipe import (
    OWN_CODE,
    parts_of,
    recipe_of_folder,
    reranking_recipe,
)
from bioretrieval_tui.encoding.torch_modules import LOCAL, explained
from bioretrieval_tui.errors import ModelError, UsageError
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.hyperparameters import RunSettings
from bioretrieval_tui.training.losses import columns_of
from bioretrieval_tui.training.teachers import DISTILLED, rescale, score_factor
from bioretrieval_tui.training.trainable_models import CROSS_ENCODER, prepare_tokenizer
from bioretrieval_tui.training.trainer import Task
from bioretrieval_tui.training.training_watch import MOST_WATCHED

LOSSES = ("scores", "contrastive", "margin-mse", "kl")
"""Those of a cross-encoder."""
_ENCODERS = (CROSS_ENCODER, "bi-encoder", "none")
"""Types of recipes whose models can begin; none: it predicts masked words."""
_RANKED = 64
"""Held-out pairs that are scored at once: on the CPU several times as fast as a batch of eight."""
_SCALE = 10.0
"""Inverse temperature of the contrastive loss over scores from 0 to 1: the library's own."""


def starting_recipe(base: str, encoding: Encoding | None) -> Encoding:
    """How a reranker that begins with `base` reads a pair: as the base does, or query and "title
    text". Raises ModelError: it cannot begin one."""
    found = encoding or recipe_of_folder(Path(base).expanduser())
    if found is None:
        found = Encoding(type="none", grade="C")
    query, document = parts_of(base, found)
    faults = {
        f"it is a {found.type}": found.type not in _ENCODERS,
        "its queries and documents have two models": query != document,
        "it has an adapter": query.adapter is not None,
        "it runs code from its own repository": found.requires == OWN_CODE,
    }
    if reasons := [reason for reason, holds in faults.items() if holds]:
        raise ModelError(
            f"no reranker can be trained from {base}: {', '.join(reasons)}",
            remedy="name another with --base",
        )
    if found.type != CROSS_ENCODER:
        both = Side(pair=("{query}", "{title} {text}"))
        return Encoding(type=CROSS_ENCODER, grade="A", library="transformers", document=both)
    first, second = reranking_recipe(base, found).segments
    named = ({name for _, name in first}, {name for _, name in second})
    if named[0] & {"title", "text"} or "query" in named[1]:
        raise ModelError(
            f"{base} cannot be trained here: its first text is not the query alone",
            remedy="name another with --base",
        )
    return found


def check_reranker(settings: TrainingSettings, *, fresh: bool, mixed: bool = False) -> None:
    """Raise UsageError where the settings fit no cross-encoder. fresh: it gets a new head; mixed:
    its weights shall end between those of the base and the trained ones."""
    if settings.loss not in LOSSES:
        said = f"the loss {settings.loss} trains no reranker"
        raise UsageError(said, remedy=f"losses: {', '.join(LOSSES)}")
    if fresh and settings.lora is not None:
        said = "an adapter leaves the weights as they are, and a new reranker's head is random"
        raise UsageError(said, remedy="set lora=no, or begin with a cross-encoder")
    if fresh and mixed:
        said = "a new reranker's head is random before it is trained: there is nothing to mix with"
        raise UsageError(said, remedy="leave mix out, or begin with a cross-encoder")


def trainable_reranker(
    base: str, recipe: Encoding, settings: TrainingSettings, *, fresh: bool
) -> Any:
    """The CrossEncoder to train, in float32 on the CPU. recipe: as `starting_recipe` gives it;
    fresh: the base is an encoder: it gets a head whose weights are drawn by the seed, and will
    read as many tokens as it is trained on. Raises ModelError: the files are not here or damaged,
    or the model gives several scores; UsageError as `check_reranker`."""
    check_reranker(settings, fresh=fresh)
    folder = files_of(parts_of(base, recipe)[0]).folder
    prepare_environment()
    import torch
    import transformers
    from sentence_transformers import CrossEncoder as LibraryModel
    from sentence_transformers.base.modules import Transformer

    silence()
    transformers.set_seed(settings.seed or 0)
    with explained(base, folder):
        inner = Transformer(
            str(folder),
            transformer_task="sequence-classification",
            model_kwargs={**LOCAL, "use_safetensors": True, "dtype": torch.float32},
            processor_kwargs=dict(LOCAL),
            config_kwargs={**LOCAL, **({"num_labels": 1} if fresh else {})},
        )
        model = LibraryModel(modules=[inner], device="cpu", activation_fn=torch.nn.Identity())
    labels = inner.model.config.num_labels
    if labels != 1:
        raise ModelError(f"{base} gives {labels} scores per document, not one",
                         remedy="begin with an encoder: --set kind=reranker")  # fmt: skip
    prefix = f"{inner.model.base_model_prefix}."
    names = [name for name, _ in inner.model.named_parameters()]
    if fresh:
        names = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    missing = missing_weights(folder, names)
    if len(missing) > (len(names) // 2 if fresh else 0):
        # The library would fill them with random numbers and not say so.
        raise ModelError(
            f"{base} lacks {len(missing)} of its {len(names)} weights, such as {missing[0]}",
            remedy="get its files again, or name another with --base",
        )
    if recipe.token_type_ids is False:
        model.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if fresh:
        model.max_seq_length = min(model.max_seq_length or 512, _length(settings))
    return model.eval()


def _length(settings: TrainingSettings) -> int:
    """Tokens of a pair that are read in training."""
    return (settings.query_length or 64) + (settings.document_length or 256)


class PairTexts:
    """Queries and documents as a cross-encoder reads them, one at a time."""

    def __init__(self, base: str, recipe: Encoding, separator: str) -> None:
        self._side, self._separator = reranking_recipe(base, recipe), separator
        self._empty = Document("", "", "")

    def query(self, text: str) -> str:
        """The first text of a pair."""
        return self._side.document(self._empty, separator=self._separator, query=text).first

    def document(self, document: Document) -> str:
        """The second text of a pair."""
        return self._side.document(document, separator=self._separator).second or ""


def reranking_task(
    model: Any,
    recipe: Encoding,
    settings: RunSettings,
    examples: Sequence[Example],
    held: Sequence[Example],
    *,
    bf16: bool,
    fresh: bool = False,
) -> Task:
    """The training of a cross-encoder, for `trainer.fit`. settings: as `check_reranker` allows;
    fresh: its head is new. Raises as `columns_of`."""
    from sentence_transformers import CrossEncoderTrainer
    from sentence_transformers.cross_encoder import losses

    name = settings.loss
    undo = prepare_tokenizer(model, recipe, _length(settings))
    texts = PairTexts("the base", recipe, str(model.tokenizer.sep_token or ""))
    columns = columns_of(examples, texts, settings)
    negatives = [one for one in columns if one.startswith("negative_")]
    if name in DISTILLED:

        def own(queries: Sequence[str], documents: Sequence[str]) -> Any:
            pairs = list(zip(queries, documents, strict=True))
            return model.predict(pairs, show_progress_bar=False)

        rescale(columns, score_factor(None if fresh else own, columns))
    watched = _held_out(held, texts, bf16=bf16)
    if name == "contrastive":
        loss = losses.MultipleNegativesRankingLoss(model, scale=_SCALE)
        return Task(CrossEncoderTrainer, columns, loss, watched, undo)
    if name == "margin-mse":
        loss = losses.MarginMSELoss(model)
        return Task(CrossEncoderTrainer, columns, loss, watched, undo, "batch_sampler")
    documents = list(zip(*(columns[one] for one in ("positive", *negatives)), strict=True))
    if name == "kl":
        # The distance of two distributions and the cross-entropy of ListNet differ by a constant.
        listed = {"query": columns["anchor"], "documents": [list(one) for one in documents],
                  "label": columns["label"]}  # fmt: skip
        return Task(
            CrossEncoderTrainer, listed, losses.ListNetLoss(model), watched, undo, "batch_sampler"
        )
    rows = 1 + len(negatives)
    flat = {
        "query": [query for query in columns["anchor"] for _ in range(rows)],
        "document": [document for one in documents for document in one],
        "label": [float(place == 0) for _ in documents for place in range(rows)],
    }
    loss = losses.BinaryCrossEntropyLoss(model)
    return Task(CrossEncoderTrainer, flat, loss, watched, undo, "batch_sampler", rows)


def _held_out(held: Sequence[Example], texts: PairTexts, *, bf16: bool) -> Any | None:
    """Reranks the positives and negatives of the held-out queries, of as many queries as there are
    `MOST_WATCHED` documents for; nDCG@10. None without examples."""
    import torch
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    count = 0
    for one in held:
        if one.query not in found and count >= MOST_WATCHED:
            continue
        positive, negative = found.setdefault(one.query, ({}, {}))
        positive[texts.document(one.positive)] = None
        negative.update(dict.fromkeys(map(texts.document, one.negatives)))
        count += 1 + len(one.negatives)
    samples: list[dict[str, Any]] = [
        {"query": texts.query(query), "positive": list(positive),
         "negative": [each for each in negative if each not in positive]}
        for query, (positive, negative) in found.items() if negative.keys() - positive
    ]  # fmt: skip
    if not samples:
        return None

    class HeldOutReranking(CrossEncoderRerankingEvaluator):  # type: ignore[misc]  # untyped there
        def __call__(self, model: Any, *given: Any, **how: Any) -> dict[str, float]:
            with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
                scores: dict[str, float] = super().__call__(model, *given, **how)
            return scores

    return HeldOutReranking(samples, name="held", batch_size=_RANKED, write_csv=False)
