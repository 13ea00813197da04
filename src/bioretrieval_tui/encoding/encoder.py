"""An encoder: templates, checks, unit length, and Euclidean distance by inner products. Engines
turn texts into the vectors of one model.

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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.recipe import SideInput, SideName, recipe_hash, side_recipe
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.encoding.token_batches import TextTokenizer

Vectors = npt.NDArray[np.float32]
EXTRA = 3
"""Components that are added to a vector for Euclidean distance."""
_SCALE = 1024.0
_LONGEST_TITLE = 400
"""Characters of a title that is read with each passage; a longer one is no title."""
_OVERLAP = 0.25
"""Share of a passage that the next one repeats, so that what is said across their border is in
one."""
ENDLESS = 2**31
"""The length of a model that reads everything."""


class Shape(Struct, frozen=True):
    """Properties of a loaded model. dimension: of its own vectors; lengths: in tokens, special
    tokens included; separator: fills {sep}."""

    dimension: int
    query_length: int
    document_length: int
    separator: str


class Encoded(NamedTuple):
    """float32 (rows, dimension) of the inputs in `rows`. tokens: without padding; note: for the
    user; longer: those of the rows that had more tokens than the model reads."""

    rows: Sequence[int]
    vectors: Vectors
    tokens: int
    note: str | None = None
    longer: Sequence[int] = ()


Kept = Callable[[Encoded], None]
"""Receives a batch of documents as it is encoded, with the vectors that the encoder returns."""


class Engine(ABC):
    """Computes the vectors of one model; safe to call from several threads. normalised: whether its
    own files ask for vectors of length 1; at_once: documents that it should be given at once, 0 for
    any number."""

    at_once = 0

    def __init__(
        self, revision: str, shape: Shape, *, device: str = "cpu", dtype: str = "float32"
    ) -> None:
        self.revision = revision
        self.shape = shape
        self.device = device
        self.dtype = dtype
        self.normalised = False

    tokenizer: TextTokenizer | None = None
    """Of a transformer; others read whole texts."""

    @abstractmethod
    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        """The vectors of all inputs, cut to `max_length` tokens, in any order; closing it ends the
        work. urgent: for a query, which precedes the next batch of documents."""

    def close(self) -> None:  # noqa: B027 - an engine of this process stays for the next use
        """End what runs elsewhere; safe to call twice."""


class Encoder:
    """Turns text into vectors, with everything that must agree between an index and a query.

    model_id: hub id, or the folder as the user named it; revision: commit of the hub, or
    `sha256:...` of a local folder's weights, of several models and adapters all of them with a
    plus between; dimension: length of a vector, for l2 with the EXTRA components; normalised:
    whether every vector has length 1; device: as the user would name it (cpu, mps, cuda,
    cuda:0,cuda:1); dtype: in which the model computes (bfloat16, float16 or float32), its vectors
    are float32; tokens: of documents encoded since loading, padding left out.

    load: the engine of a side, called when it is needed, at most once each; side: loaded now.
    Raises ModelError, on construction and when the other side is first used: a side cannot be
    loaded, or the two dimensions differ.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        load: Callable[[SideName], Engine],
        side: SideName = "document",
    ) -> None:
        self.model_id = model_id
        self.revision = revision
        self.recipe = recipe
        self.recipe_hash = recipe_hash(recipe)
        self.similarity: Similarity = recipe.similarity or "cosine"
        self.tokens = 0
        self._query, self._document = side_recipe(recipe, "query"), side_recipe(recipe, "document")
        self._load = load
        self._loading, self._counting = threading.Lock(), threading.Lock()
        self._engines: dict[SideName, Engine] = {}
        engine = self.engine(side)
        self.device, self.dtype = engine.device, engine.dtype
        self.dimension = engine.shape.dimension + (EXTRA if self.similarity == "l2" else 0)
        self.normalised = bool(recipe.normalise) or self.similarity == "cosine" or engine.normalised

    def engine(self, side: SideName) -> Engine:
        """The engine of one side, loaded now if it is not yet."""
        with self._loading:
            if side not in self._engines:
                found = self._load(side)
                width = found.shape.dimension
                others = {one.shape.dimension for one in self._engines.values()} - {width}
                if others:
                    raise ModelError(
                        f"the models of {self.model_id} do not belong together: vectors of"
                        f" {width} and of {others.pop()} components",
                        remedy="correct the models in its encoding",
                    )
                self._engines[side] = found
            return self._engines[side]

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a document that the model reads, None if there is no limit."""
        length = self.engine("document").shape.document_length
        return None if length == ENDLESS else length

    @property
    def at_once(self) -> int:
        """Documents that it should be given at once, 0 for any number."""
        return self.engine("document").at_once

    def close(self) -> None:
        """End what runs on other machines; others stay loaded for the next use."""
        for engine in self._engines.values():
            engine.close()

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """float32 (n, dimension), in the order of `texts`. instruction: replaces the recipe's own;
        recipes without {instruction} ignore it."""
        vectors = self.plain_queries(texts, instruction=instruction)
        return extended_queries(vectors) if self.similarity == "l2" else vectors

    def encode_documents(
        self,
        documents: Sequence[Document],
        progress: Reporter = silent,
        longer: list[int] | None = None,
        kept: Kept | None = None,
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`. `progress` receives the documents
        done after each batch; what it raises stops the work. longer: receives the places of
        documents that have more tokens than the model reads; kept: each batch, before progress."""
        if self.similarity != "l2":
            return self.plain_documents(documents, progress, longer, kept)

        def extended(part: Encoded) -> None:
            if kept is not None:
                kept(part._replace(vectors=extended_documents(part.vectors)))

        return extended_documents(self.plain_documents(documents, progress, longer, extended))

    def windows(self, document: Document) -> list[tuple[int, int]]:
        """Places (start, end) in a document's text that the model reads one after the other with
        its title, if the text is longer than what it reads at once; else one place."""
        engine, whole = self.engine("document"), [(0, len(document.text))]
        length, tokenizer = engine.shape.document_length, engine.tokenizer
        if tokenizer is None or len(document.title) + len(document.text) < length // 2:
            return whole
        empty = replace(document, text="", title=passage_title(document))
        (title,) = tokenizer.tokens(
            [self._document.document(empty, separator=engine.shape.separator)], length
        )
        size = max(length - len(title.ids), length // 2)
        found = tokenizer.windows(document.text, size, int(size * _OVERLAP))
        # What is read of a document with so long a title may be the title alone.
        return found if empty.title == document.title else [(0, found[0][1]), *found]

    def plain_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """Query vectors as the authors define them, without the EXTRA components."""
        side, engine = self._query, self.engine("query")
        if instruction is not None:
            side = side_recipe(self.recipe, "query", instruction=instruction)
        inputs = [side.query(text, separator=engine.shape.separator) for text in texts]
        return self._assembled(engine, inputs, engine.shape.query_length)

    def plain_documents(
        self,
        documents: Sequence[Document],
        progress: Reporter = silent,
        longer: list[int] | None = None,
        kept: Kept | None = None,
    ) -> Vectors:
        """Document vectors as the authors define them, without the EXTRA components."""
        engine = self.engine("document")
        separator = engine.shape.separator
        inputs = [self._document.document(one, separator=separator) for one in documents]
        return self._assembled(engine, inputs, engine.shape.document_length, progress, longer, kept)

    def _assembled(
        self,
        engine: Engine,
        inputs: Sequence[SideInput],
        max_length: int,
        progress: Reporter | None = None,
        longer: list[int] | None = None,
        kept: Kept | None = None,
    ) -> Vectors:
        """The vectors in the order of `inputs`; progress: of documents, None for queries."""
        vectors = np.zeros((len(inputs), engine.shape.dimension), dtype=np.float32)
        if not inputs:
            return vectors
        done = 0
        parts = engine.encoded(inputs, max_length, urgent=progress is None)
        with contextlib.closing(parts):
            for part in parts:
                refuse_no_numbers(part.vectors, self.model_id, self.device)
                found = unit_length(part.vectors) if self.normalised else part.vectors
                vectors[list(part.rows)] = found
                if longer is not None:
                    longer += part.longer
                if kept is not None:
                    kept(part._replace(vectors=found))
                if progress is not None:
                    done += len(part.rows)
                    with self._counting:
                        self.tokens += part.tokens
                    progress(Progress("encoding", done, len(inputs), note=part.note))
        return vectors


def passage_title(document: Document) -> str:
    """The title that is read with each passage of a document after the first."""
    return document.title if len(document.title) <= _LONGEST_TITLE else ""


EncoderFactory = Callable[[], Encoder]
"""Loads the encoder when it is needed, so that work that fails earlier loads no model."""


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
