"""Where the vectors of a build come from: the old index, an unfinished build, or the model.

All of them are looked up by the content of the documents, so a document is encoded once however
often it is read, and a build that was cut short goes on where its vectors end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.entries import Encoding, Similarity
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory, Vectors
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, ModelError
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.matrix import Matrix
from bioretrieval_tui.index.pool import VectorPool, pool_key
from bioretrieval_tui.progress import Reporter

Halves = npt.NDArray[np.float16]
_LARGEST = float(np.finfo(np.float16).max)


class ModelFacts(msgspec.Struct, frozen=True):
    """What two sets of vectors must share to be comparable, and their length."""

    model: str
    revision: str
    recipe: Encoding
    recipe_hash: str
    dimension: int
    similarity: Similarity
    normalised: bool

    @property
    def key(self) -> str:
        """Names vectors that may stand in one index."""
        return pool_key(self.model, self.revision, self.recipe_hash, self.dimension)


def facts_of(encoder: Encoder) -> ModelFacts:
    """The facts of a loaded encoder."""
    return ModelFacts(
        encoder.model_id,
        encoder.revision,
        encoder.recipe,
        encoder.recipe_hash,
        encoder.dimension,
        encoder.similarity,
        encoder.normalised,
    )


def facts_in(manifest: Manifest) -> ModelFacts:
    """The facts that an index was built with."""
    return ModelFacts(
        manifest.model,
        manifest.revision,
        manifest.recipe,
        manifest.recipe_hash,
        manifest.dimension,
        manifest.similarity,
        manifest.normalised,
    )


def embedded_facts() -> ModelFacts:
    """The facts of the embedded model, which is not loaded for them."""
    recipe = embedded.RECIPE
    return ModelFacts(
        embedded.MODEL_ID,
        embedded.REVISION,
        recipe,
        recipe_hash(recipe),
        embedded.DIMENSION,
        recipe.similarity or "cosine",
        normalised=True,
    )


class Vectoriser(Protocol):
    """Gives documents their vectors."""

    def start(self) -> ModelFacts:
        """Make ready and say what the vectors will be; loads a model where one is needed."""

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        """float16 (n, dimension) for `documents`; `tell` hears after each batch how many of those
        that must be encoded are done."""

    @property
    def device(self) -> str: ...

    @property
    def encoded(self) -> int:
        """Documents that a model encoded."""

    @property
    def seconds(self) -> float:
        """Seconds that encoding them took."""

    @property
    def tokens(self) -> int:
        """Tokens that were encoded, 0 where nobody counts them."""

    def close(self) -> None:
        """Let go of everything."""


class ModelVectors:
    """Vectors from a model, once each.

    folder: of the index; old: an index whose vectors serve again where its facts are the same;
    facts: those that the vectors must have, where the index says so already: the model is then
    loaded when a document first needs it, which may be never.
    """

    def __init__(
        self,
        folder: Path,
        factory: EncoderFactory,
        *,
        facts: ModelFacts | None = None,
        old: tuple[ModelFacts, DocumentStore, Matrix] | None = None,
    ) -> None:
        self._folder = folder
        self._factory = factory
        self._facts = facts
        self._old = old
        self._encoder: Encoder | None = None
        self._pool: VectorPool | None = None
        self._tokens_before = 0
        self._encoded = 0
        self._seconds = 0.0

    @property
    def device(self) -> str:
        """Where the model runs; empty while none was needed."""
        return self._encoder.device if self._encoder is not None else ""

    @property
    def encoded(self) -> int:
        """See `Vectoriser.encoded`."""
        return self._encoded

    @property
    def seconds(self) -> float:
        """See `Vectoriser.seconds`."""
        return self._seconds

    @property
    def tokens(self) -> int:
        """See `Vectoriser.tokens`."""
        return 0 if self._encoder is None else self._encoder.tokens - self._tokens_before

    def start(self) -> ModelFacts:
        """See `Vectoriser.start`."""
        if self._facts is None:
            self._facts = facts_of(self._loaded())
        if self._old is not None and self._old[0].key != self._facts.key:
            self._old = None
        self._pool = VectorPool(self._folder, self._facts.key, self._facts.dimension)
        return self._facts

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        """See `Vectoriser.vectors`."""
        if self._facts is None or self._pool is None:
            raise RuntimeError("start() comes first")
        digests = [document.content_hash() for document in documents]
        found = np.empty((len(documents), self._facts.dimension), dtype=np.float16)
        rows = self._pool.find(digests)
        kept = np.flatnonzero(rows >= 0)
        found[kept] = self._pool.take(rows[kept])
        missing: dict[bytes, list[int]] = {}
        for place in np.flatnonzero(rows < 0).tolist():
            missing.setdefault(digests[place], []).append(place)
        self._from_old(missing, found)
        if missing:
            self._encode(documents, missing, found, tell)
        return found

    def close(self) -> None:
        """See `Vectoriser.close`."""
        if self._pool is not None:
            self._pool.close()

    def _from_old(self, missing: dict[bytes, list[int]], found: Halves) -> None:
        """Move what the old index has out of `missing` and into `found`."""
        if self._old is None:
            return
        _, store, matrix = self._old
        there = store.by_content(list(missing))
        halves = matrix.halves(np.array(list(there.values()), dtype=np.int64))
        for digest, half in zip(there, halves, strict=True):
            found[missing.pop(digest)] = half

    def _encode(
        self,
        documents: Sequence[Document],
        missing: dict[bytes, list[int]],
        found: Halves,
        tell: Reporter,
    ) -> None:
        encoder = self._loaded()
        texts = [documents[places[0]] for places in missing.values()]
        before = time.perf_counter()
        vectors = encoder.encode_documents(texts, tell)
        self._seconds += time.perf_counter() - before
        self._encoded += len(texts)
        halves = halved(vectors, len(texts), encoder)
        if self._pool is not None:
            self._pool.append(list(missing), halves)
        for places, half in zip(missing.values(), halves, strict=True):
            found[places] = half

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            encoder = self._factory()
            if self._facts is not None and facts_of(encoder).key != self._facts.key:
                raise IndexFault(
                    f"the index was built with {self._facts.model} in another revision or recipe"
                    f" than {encoder.model_id} has here",
                    remedy="build the index again with the model that is here",
                )
            self._encoder = encoder
            self._tokens_before = encoder.tokens
        return self._encoder


class NoVectors:
    """Gives documents no vectors, for an index that serves BM25 alone.

    facts: of the model that may encode the documents later. It is not loaded.
    """

    device = ""
    encoded = 0
    seconds = 0.0
    tokens = 0

    def __init__(self, facts: ModelFacts) -> None:
        self._facts = msgspec.structs.replace(facts, dimension=0)

    def start(self) -> ModelFacts:
        """See `Vectoriser.start`."""
        return self._facts

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:  # noqa: ARG002 - protocol
        """float16 (n, 0)."""
        return np.empty((len(documents), 0), dtype=np.float16)

    def close(self) -> None:
        """See `Vectoriser.close`."""


def halved(vectors: Vectors, count: int, encoder: Encoder) -> Halves:
    """Vectors as they are kept. Raises ModelError where they are not what was promised."""
    if vectors.shape != (count, encoder.dimension) or vectors.dtype != np.float32:
        raise ModelError(
            f"{encoder.model_id} gave {vectors.shape} {vectors.dtype}"
            f" for {count} documents of {encoder.dimension} dimensions"
        )
    if not (np.abs(vectors) <= _LARGEST).all():
        raise ModelError(
            f"{encoder.model_id} gave values that are no numbers or too large on {encoder.device}",
            remedy="use --device cpu",
        )
    return vectors.astype(np.float16)
