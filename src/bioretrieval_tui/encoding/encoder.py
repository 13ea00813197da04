"""The protocol of an encoder, and the base of all encoders of one model: templates, checks, unit
length, and Euclidean distance by inner products.

Independent of model libraries; subclasses turn token ids into vectors.

An index computes inner products only. For models whose authors rank by Euclidean distance, a
document x and a query q get additional components, such that their inner product is exactly
-|q - x|^2: the nearest comes first, and the score is still a distance. With c = 1024:

    document  [ x,   -h,  -l,  1      ]    h + l = |x|^2 / 2c
    query     [ 2q,  2c,  2c,  -|q|^2 ]

Document vectors are stored in half precision, whose eleven bits are too few for a squared length,
so h has its first bits and l the rest; the length is that of the stored vector, with which queries
are compared. c keeps h small, so that two documents, which the HNSW graph compares while it is
built, are compared by x.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.recipe import SideInput, recipe_hash, side_recipe
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

Vectors = npt.NDArray[np.float32]
EXTRA = 3
"""Components that are added to a vector for Euclidean distance."""
_SCALE = 1024.0


class Encoder(Protocol):
    """Turns text into vectors, with everything that must agree between an index and a query.

    model_id: hub id, or the folder as the user named it; revision: commit of the hub, or
    `sha256:...` of a local folder's weights, of several models and adapters all of them with a
    plus between; dimension: length of a vector, for l2 with the EXTRA components; normalised:
    whether every vector has length 1; device: as the user would name it (cpu, mps, cuda,
    cuda:0,cuda:1); dtype: in which the model computes (bfloat16, float16 or float32), its vectors
    are float32.
    """

    model_id: str
    revision: str
    recipe: Encoding
    recipe_hash: str
    dimension: int
    similarity: Similarity
    normalised: bool
    device: str
    dtype: str

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """float32 (n, dimension), in the order of `texts`.

        instruction: replaces the recipe's own; recipes without {instruction} ignore it.
        """

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`.

        `progress` receives the documents done after each batch; what it raises stops the work.
        """


EncoderFactory = Callable[[], Encoder]
"""Loads the encoder when it is needed, so that work that fails earlier loads no model."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Properties of a loaded model. dimension: of its own vectors; lengths: in tokens, special
    tokens included; separator: fills {sep}."""

    dimension: int
    query_length: int
    document_length: int
    separator: str


class Encoded(NamedTuple):
    """float32 (rows, dimension) of the inputs in `rows`. tokens: without padding; note: for the
    user."""

    rows: Sequence[int]
    vectors: Vectors
    tokens: int
    note: str | None = None


class BaseEncoder(ABC):
    """An encoder of one model; see `Encoder` for the members."""

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        shape: Shape,
        *,
        device: str = "cpu",
        dtype: str = "float32",
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
        self.tokens = 0
        self._shape = shape
        self._query = side_recipe(recipe, "query")
        self._document = side_recipe(recipe, "document")
        self._counting = threading.Lock()

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """See `Encoder.encode_queries`."""
        vectors = self.plain_queries(texts, instruction=instruction)
        return extended_queries(vectors) if self.similarity == "l2" else vectors

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """See `Encoder.encode_documents`."""
        vectors = self.plain_documents(documents, progress)
        return extended_documents(vectors) if self.similarity == "l2" else vectors

    def plain_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Query vectors as the authors define them, without the EXTRA components."""
        side = self._query
        if instruction is not None:
            side = side_recipe(self.recipe, "query", instruction=instruction)
        inputs = [side.query(text, separator=self._shape.separator) for text in texts]
        return self._assembled(inputs, self._shape.query_length, urgent=True, progress=silent)

    def plain_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """Document vectors as the authors define them, without the EXTRA components."""
        separator = self._shape.separator
        inputs = [self._document.document(one, separator=separator) for one in documents]
        length = self._shape.document_length
        return self._assembled(inputs, length, urgent=False, progress=progress)

    @abstractmethod
    def _encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        """The vectors of all inputs, in any order; closing it ends the work. urgent: for a query,
        which precedes the next batch of documents."""

    def _assembled(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool, progress: Reporter
    ) -> Vectors:
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if not inputs:
            return vectors
        done = 0
        with contextlib.closing(self._encoded(inputs, max_length, urgent=urgent)) as parts:
            for part in parts:
                vectors[list(part.rows)] = part.vectors
                done += len(part.rows)
                if not urgent:
                    with self._counting:
                        self.tokens += part.tokens
                progress(Progress("encoding", done, len(inputs), note=part.note))
        refuse_no_numbers(vectors, self.model_id, self.device)
        return unit_length(vectors) if self.normalised else vectors


def refuse_no_numbers(values: Vectors, model_id: str, device: str) -> None:
    """Raise a ModelError where a model gave infinite values or values that are not numbers."""
    if not np.isfinite(values).all():
        raise ModelError(
            f"{model_id} gave values that are not numbers on {device}", remedy="use --device cpu"
        )


def unit_length(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def extended_documents(vectors: Vectors) -> Vectors:
    """float32 (n, dimension + EXTRA) of document vectors (n, dimension)."""
    halves = vectors.astype(np.float16).astype(np.float64)
    wanted = (halves**2).sum(axis=1) / (2 * _SCALE)
    first = wanted.astype(np.float16).astype(np.float64)
    extra = np.stack([-first, first - wanted, np.ones_like(first)], axis=1)
    return np.concatenate([vectors, extra.astype(np.float32)], axis=1)


def extended_queries(vectors: Vectors) -> Vectors:
    """float32 (n, dimension + EXTRA) of query vectors (n, dimension)."""
    squares = (vectors.astype(np.float64) ** 2).sum(axis=1)
    extra = np.empty((len(vectors), EXTRA), dtype=np.float32)
    extra[:, :2] = 2 * _SCALE
    extra[:, 2] = -squares
    return np.concatenate([2 * vectors, extra], axis=1)


def as_queries(documents: Vectors) -> Vectors:
    """Query vectors to find the neighbours of documents, from the extended vectors (n, dimension +
    EXTRA) of an index."""
    return extended_queries(documents[:, :-EXTRA].astype(np.float32))
