"""Where the vectors of a build come from: the old index, an unfinished build, or the model.

Vectors are looked up by the content hash of documents, so each document is encoded once. A build
that is killed loses its documents, which are quick to read again, but not its vectors: they are
appended to a pool, window by window, each followed by a line of a journal, and the next build of
the index by the same model and recipe continues where they end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory, Vectors
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, ModelError
from bioretrieval_tui.index.layout import (
    POOL_HASH_BYTES,
    POOL_HASHES,
    POOL_PREFIX,
    sync_folder,
)
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.vectors import Halves, Labels, Matrix
from bioretrieval_tui.progress import Reporter

LARGEST = float(np.finfo(np.float16).max)
"""Vectors are stored as float16: larger values cannot be kept."""

_JOURNAL = "journal.jsonl"
_VECTORS = "vectors.f16"
_MOST_LINE = 1_024
"""Bytes of a line of the journal."""


class _Window(msgspec.Struct, frozen=True):
    """One line of the journal: how many vectors the window has, and the CRC-32 of its parts."""

    count: int
    hashes: int
    vectors: int


def pool_key(model: str, revision: str, recipe_hash: str, dimension: int) -> str:
    """Names the vectors that are comparable: 12 hex digits."""
    parts = "\n".join((model, revision, recipe_hash, str(dimension)))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()[:12]


class VectorPool:
    """The pool of one index and one encoder, open for looking up and appending.

    Everything after the last window that fits the journal (a window that was being written,
    altered bytes) is cut off when the pool is opened.

    kept: vectors that the pool had then.

    Raises:
        OSError: the folder cannot be read or written, or the disk is full.
    """

    def __init__(self, index: Path, key: str, dimension: int) -> None:
        self.folder = index / f"{POOL_PREFIX}{key}"
        self._width = 2 * dimension
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(index)
        journal, hashes, vectors = (
            self.folder / name for name in (_JOURNAL, POOL_HASHES, _VECTORS)
        )
        self.kept = self._recover(journal, hashes, vectors)
        # Content hashes in order, as two halves each, and the rows that they belong to.
        keys = np.frombuffer(hashes.read_bytes(), dtype="<u8").reshape(-1, 2)
        self._order = np.argsort(keys[:, 0], kind="stable")
        self._keys = keys[self._order]
        shape = (self.kept, dimension)
        self._old: Halves = np.empty(shape, dtype=np.float16)
        if self.kept:  # an empty file cannot be mapped
            self._old = np.memmap(vectors, dtype="<f2", mode="r", shape=shape)
        self._streams = [path.open("ab") for path in (vectors, hashes, journal)]

    def close(self) -> None:
        """Close the files; safe to call twice."""
        for stream in self._streams:
            stream.close()

    def find(self, digests: Sequence[bytes]) -> Labels:
        """Rows of the vectors for these content hashes, -1 where there is none."""
        rows = np.full(len(digests), -1, dtype=np.int64)
        if not self.kept or not digests:
            return rows
        wanted = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
        places = np.searchsorted(self._keys[:, 0], wanted[:, 0])
        places = np.minimum(places, len(self._keys) - 1)
        # The first half of a hash says where to look, the whole hash whether it is the same. Of two
        # hashes with the same first half one may be missed, and is then encoded again.
        same = (self._keys[places] == wanted).all(axis=1)
        rows[same] = self._order[places[same]]
        return rows

    def take(self, rows: Labels) -> Halves:
        """The vectors in these rows: float16 (n, dimension)."""
        taken: Halves = self._old[rows]
        return taken

    def append(self, digests: Sequence[bytes], vectors: Halves) -> None:
        """Keep vectors for their content hashes; they are safe on disk when this returns."""
        data = np.ascontiguousarray(vectors, dtype="<f2").tobytes()
        names = b"".join(digests)
        line = msgspec.json.encode(_Window(len(digests), zlib.crc32(names), zlib.crc32(data)))
        for stream, part in zip(self._streams, (data, names, line + b"\n"), strict=True):
            stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())

    def _recover(self, *paths: Path) -> int:
        """Cut journal, hashes and vectors to the windows that fit; return how many vectors."""
        good, journal_end = 0, 0
        for path in paths:
            path.touch()
        with contextlib.ExitStack() as stack:
            journal, hashes, vectors = (stack.enter_context(path.open("rb")) for path in paths)
            while line := journal.readline(_MOST_LINE):
                try:
                    window = msgspec.json.decode(line, type=_Window)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    break
                if not line.endswith(b"\n") or not 0 < window.count <= 1 << 24:
                    break
                names = hashes.read(POOL_HASH_BYTES * window.count)
                data = vectors.read(self._width * window.count)
                if (len(names), len(data), zlib.crc32(names), zlib.crc32(data)) != (
                    POOL_HASH_BYTES * window.count,
                    self._width * window.count,
                    window.hashes,
                    window.vectors,
                ):
                    break
                good += window.count
                journal_end = journal.tell()
        sizes = (journal_end, POOL_HASH_BYTES * good, self._width * good)
        for path, size in zip(paths, sizes, strict=True):
            os.truncate(path, size)
        return good


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
        """Names vectors that may be in one index."""
        return pool_key(self.model, self.revision, self.recipe_hash, self.dimension)


def facts_of(source: Encoder | Manifest) -> ModelFacts:
    """The facts of a loaded encoder, or those that an index was built with."""
    return ModelFacts(
        source.model if isinstance(source, Manifest) else source.model_id,
        source.revision,
        source.recipe,
        source.recipe_hash,
        source.dimension,
        source.similarity,
        source.normalised,
    )


def embedded_facts() -> ModelFacts:
    """The facts of the embedded model, without loading it."""
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
        """Prepare and return what the vectors will be; load a model if one is needed."""

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        """float16 (n, dimension) for `documents`; `tell` is called after each batch with how many
        of those to encode are done."""

    @property
    def device(self) -> str:
        """Where the model runs; empty if none was needed."""

    @property
    def encoded(self) -> int:
        """Documents that a model encoded."""

    @property
    def seconds(self) -> float:
        """Seconds that encoding them took."""

    @property
    def tokens(self) -> int:
        """Tokens that were encoded, 0 where they are not counted."""

    def close(self) -> None:
        """Close all files."""


class ModelVectors:
    """Vectors from a model, each document encoded once; a `Vectoriser`.

    folder: of the index; old: an index whose vectors are reused if its facts are the same; facts:
    those that the vectors must have, if the index has some already: the model is then loaded when
    a document first needs it, which may be never.
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
        self.encoded = 0
        self.seconds = 0.0

    @property
    def device(self) -> str:
        return self._encoder.device if self._encoder is not None else ""

    @property
    def tokens(self) -> int:
        return 0 if self._encoder is None else self._encoder.tokens - self._tokens_before

    def start(self) -> ModelFacts:
        if self._facts is None:
            self._facts = facts_of(self._loaded())
        if self._old is not None and self._old[0].key != self._facts.key:
            self._old = None
        self._pool = VectorPool(self._folder, self._facts.key, self._facts.dimension)
        return self._facts

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
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
        if self._old is not None:
            _, store, matrix = self._old
            there = store.by_content(list(missing))
            halves = matrix.halves(np.array(list(there.values()), dtype=np.int64))
            for digest, half in zip(there, halves, strict=True):
                found[missing.pop(digest)] = half
        if missing:
            encoder = self._loaded()
            texts = [documents[places[0]] for places in missing.values()]
            before = time.perf_counter()
            encoded = encoder.encode_documents(texts, tell)
            self.seconds += time.perf_counter() - before
            self.encoded += len(texts)
            halves = _halved(encoded, len(texts), encoder)
            self._pool.append(list(missing), halves)
            for places, half in zip(missing.values(), halves, strict=True):
                found[places] = half
        return found

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

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
    """A `Vectoriser` without vectors, for an index that serves BM25 alone.

    facts: of the model that may encode the documents later; it is not loaded.
    """

    device = ""
    encoded = 0
    seconds = 0.0
    tokens = 0

    def __init__(self, facts: ModelFacts) -> None:
        self._facts = msgspec.structs.replace(facts, dimension=0)

    def start(self) -> ModelFacts:
        return self._facts

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:  # noqa: ARG002 - protocol
        """float16 (n, 0)."""
        return np.empty((len(documents), 0), dtype=np.float16)

    def close(self) -> None:
        """Nothing is open."""


def _halved(vectors: Vectors, count: int, encoder: Encoder) -> Halves:
    """Vectors as they are stored. Raises ModelError for a wrong shape, type or value."""
    if vectors.shape != (count, encoder.dimension) or vectors.dtype != np.float32:
        raise ModelError(
            f"{encoder.model_id} gave {vectors.shape} {vectors.dtype}"
            f" for {count} documents of {encoder.dimension} dimensions"
        )
    if not (np.abs(vectors) <= LARGEST).all():
        raise ModelError(
            f"{encoder.model_id} gave values on {encoder.device} that are not finite or exceed"
            f" {LARGEST:,.0f}",
            remedy="use --device cpu",
        )
    return vectors.astype(np.float16)
