"""What a model is trained on, as columns of texts, and by which loss.

The losses are those of sentence-transformers, but for the one of BioHiCL, which it does not have.
torch and the library are imported within functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from bioretrieval_tui.catalog.models import Encoding, TrainingSettings
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.recipe import SideRecipe, side_recipe
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.teachers import DISTILLED, has_scores

NEED_NEGATIVES = ("triplet", "margin-mse", "kl", "scores")
_MICRO = 64
"""Texts of a forward pass where gradients of a larger batch are cached."""


class FilledTexts(Protocol):
    """Examples as the texts that a model reads."""

    def query(self, text: str) -> str: ...
    def document(self, document: Document) -> str: ...


class Texts:
    """Examples as the texts that a bi-encoder reads, by its recipe."""

    def __init__(self, recipe: Encoding, settings: TrainingSettings, tokenizer: Any) -> None:
        self._query: SideRecipe = side_recipe(recipe, "query")
        self._document: SideRecipe = side_recipe(recipe, "document")
        self._separator = str(tokenizer.sep_token or "")
        self._tokenizer, self._longest = tokenizer, settings.query_length

    def query(self, text: str) -> str:
        """A query as the model reads it, cut to the length that is set for queries."""
        filled = self._query.query(text, separator=self._separator).first
        longest = self._longest
        if longest is None or len(filled) <= 2 * longest:
            return filled
        offsets = self._tokenizer(
            filled, truncation=True, max_length=longest, return_offsets_mapping=True
        )["offset_mapping"]
        return filled[: max(end for _, end in offsets)] if offsets else filled

    def document(self, document: Document) -> str:
        """A document as the model reads it."""
        return self._document.document(document, separator=self._separator).first


def check_negatives(settings: TrainingSettings, examples: Sequence[Example]) -> None:
    """Raise UsageError where the loss needs negatives and no example has any."""
    if settings.loss in NEED_NEGATIVES and not any(one.negatives for one in examples):
        remedy = "give pairs with negatives, or mine them from texts: --on INDEX or a benchmark"
        raise UsageError(f"the loss {settings.loss} needs negatives", remedy=remedy)


def columns_of(
    examples: Sequence[Example], texts: FilledTexts, settings: TrainingSettings
) -> dict[str, list[Any]]:
    """The columns of a training set: anchor, positive, negatives, and the label that the loss
    takes. Every row has as many negatives as the settings say, or none; where an example has fewer,
    its own are repeated, and those of its neighbour are used where it has none; where a teacher's
    scores are learnt (the label holds them, positive first), it is left out then. Raises
    UsageError: the loss needs scores, or negatives, and no example has them."""
    check_negatives(settings, examples)
    distils = settings.loss in DISTILLED
    wanted = max(settings.negatives_each or 0, settings.loss in NEED_NEGATIVES)
    if distils:
        examples = [one for one in examples if one.negatives and has_scores(one)]
        if not examples:
            said = f"the loss {settings.loss} needs the scores of a teacher, which these pairs lack"
            raise UsageError(said, remedy="--set teacher=hybrid, or the name of a model")
    wanted = wanted if any(one.negatives for one in examples) else 0
    columns: dict[str, list[Any]] = {"anchor": [], "positive": []}
    for number in range(wanted):
        columns[f"negative_{number + 1}"] = []
    labels: list[Any] = []
    lent: tuple[Document, ...] = next((one.negatives for one in examples if one.negatives), ())
    for one in examples:
        columns["anchor"].append(texts.query(one.query))
        columns["positive"].append(texts.document(one.positive))
        lent = one.negatives or lent
        for number in range(wanted):
            negative = lent[number % len(lent)]
            columns[f"negative_{number + 1}"].append(texts.document(negative))
        if distils:
            first, *others = one.scores
            labels.append([first, *(others[number % len(others)] for number in range(wanted))])
        elif settings.loss == "mesh":
            labels.append(one.weight)
    if labels:
        columns["label"] = labels
    return columns


def loss_of(model: Any, settings: TrainingSettings) -> Any:
    """The loss of sentence-transformers that the settings name, by the similarity of the model's
    vectors. Raises UsageError: it is not of such a model."""
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.util import SimilarityFunction

    named = model.similarity_fn_name
    temperature, batch = settings.temperature or 0.05, settings.batch or 32
    if settings.loss == "contrastive":
        alike = SimilarityFunction.to_similarity_fn(named)
        how = {"scale": 1 / temperature, "similarity_fct": alike}
        if batch > _MICRO:
            return losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=_MICRO, **how)
        return losses.MultipleNegativesRankingLoss(model, **how)
    if settings.loss == "mesh":
        return mesh_loss(model, settings)
    if settings.loss == "scores":
        remedy = "set kind=reranker, or loss=contrastive"
        raise UsageError("the loss scores trains a cross-encoder", remedy=remedy)
    if settings.loss == "triplet":
        metric = losses.TripletDistanceMetric
        far = metric.COSINE if named == "cosine" else metric.EUCLIDEAN
        return losses.TripletLoss(model, distance_metric=far, triplet_margin=settings.margin or 1.0)
    pairwise = SimilarityFunction.to_similarity_pairwise_fn(named)
    if settings.loss == "margin-mse":
        return losses.MarginMSELoss(model, similarity_fct=pairwise)
    return losses.DistillKLDivLoss(model, similarity_fct=pairwise, temperature=temperature)


def mesh_loss(model: Any, settings: TrainingSettings) -> Any:
    """The loss of BioHiCL (arXiv 2604.15591): the squared difference of cosine and label
    similarity, plus `mesh_weight` times a contrastive term over the positive and the document's own
    negatives, weighted by the label similarity."""
    import torch
    from sentence_transformers.util import pairwise_cos_sim

    temperature, weight = settings.temperature or 1.0, settings.mesh_weight or 0.0

    class MeshLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, sentence_features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor
        ) -> torch.Tensor:
            vectors = [self.model(one)["sentence_embedding"] for one in sentence_features]
            first, *others = vectors
            cosines = torch.stack([pairwise_cos_sim(first, one) for one in others], dim=1)
            wanted = torch.zeros_like(cosines)
            wanted[:, 0] = labels
            regression = torch.nn.functional.mse_loss(cosines, wanted)
            if len(others) < 2 or not weight:
                return regression
            ranked = torch.log_softmax(cosines / temperature, dim=1)[:, 0]
            contrast: torch.Tensor = -(labels * ranked).mean()
            return regression + weight * contrast

    return MeshLoss()
