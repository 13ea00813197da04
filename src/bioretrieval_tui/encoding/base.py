"""What every encoder does alike: fill the recipe's templates, check and scale the vectors.

Knows no model library; how token ids become vectors is for the classes built on this one.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.distance import EXTRA, extended_documents, extended_queries
from bioretrieval_tui.encoding.recipe import SideInput, SideRecipe, recipe_hash, side_recipe
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Reporter, silent

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a model once it is loaded.

    dimension: of the model's own vectors; lengths of queries and documents: tokens, special tokens
    included; separator: fills {sep}.
    """

    dimension: int
    query_length: int
    document_length: int
    separator: str


class BaseEncoder(ABC):
    """A plain bi-encoder of one model; see `encoder.Encoder` for the members."""

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        shape: Shape,
        *,
        device: str,
        dtype: str,
    ) -> None:
        self.model_id = model_id
        self.revision = revision
        self.recipe = recipe
        self.recipe_hash = recipe_hash(recipe)
        self.similarity: Similarity = recipe.similarity or "cosine"
        self.dimension = shape.dimension + (EXTRA if self.similarity == "l2" else 0)
        self.normalised = bool(recipe.normalise) or self.similarity == "cosine"
        self.device = device
        self.dtype = dtype
        self._shape = shape
        self._query: SideRecipe = side_recipe(recipe, "query")
        self._document: SideRecipe = side_recipe(recipe, "document")
        self._counting = threading.Lock()
        self._tokens = 0

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""
        return self._tokens

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """float32 (n, dimension), in the order of `texts`; see `encoder.Encoder`."""
        vectors = self.plain_queries(texts, instruction=instruction)
        return extended_queries(vectors) if self.similarity == "l2" else vectors

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`; `progress` after each batch."""
        vectors = self.plain_documents(documents, progress)
        return extended_documents(vectors) if self.similarity == "l2" else vectors

    def plain_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Vectors of queries as the authors have them, without what `distance` adds."""
        side = self._query
        if instruction is not None:
            side = side_recipe(self.recipe, "query", instruction=instruction)
        inputs = [side.query(text, separator=self._shape.separator) for text in texts]
        return self._finished(self._encode_queries(inputs, self._shape.query_length))

    def plain_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """Vectors of documents as the authors have them, without what `distance` adds."""
        separator = self._shape.separator
        inputs = [self._document.document(one, separator=separator) for one in documents]
        return self._finished(self._encode_documents(inputs, self._shape.document_length, progress))

    @abstractmethod
    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors: ...

    @abstractmethod
    def _encode_documents(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter
    ) -> Vectors: ...

    def _count(self, tokens: int) -> None:
        with self._counting:
            self._tokens += tokens

    def _finished(self, vectors: Vectors) -> Vectors:
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"{self.model_id} gave values that are no numbers on {self.device}",
                remedy="use --device cpu",
            )
        return unit_length(vectors) if self.normalised else vectors


def unit_length(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled
