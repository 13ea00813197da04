"""Where the vectors of a build come from: an old index, an unfinished build, a model, or files.

Vectors of a model are looked up by the content hash of documents, so each document is encoded
once. A build that is killed loses its documents, which are quick to read again, but not its
vectors: they are appended to a pool every few seconds, and the next build of the index by the same
model and recipe continues where they end.

Vectors that were computed elsewhere are looked up by id. NCBI publishes MedCPT's vectors of all
PubMed in chunks: a matrix (`embeds_chunk_N.npy`), the PMID of each row (`pmids_chunk_N.json`) and
the texts (`pubmed_chunk_N.json`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document, Item, Record, Rejected
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoded, Encoder, EncoderFactory, Kept, Vectors
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import CorpusError, IndexFault, ModelError, UsageError
from bioretrieval_tui.index.layout import POOL_PREFIX, pool_rows, sync_folder
from bioretrieval_tui.index.manifest import ANY_REVISION, UNREADABLE, Manifest
from bioretrieval_tui.index.passages import Passages, Table, table_of
from bioretrieval_tui.index.vector_matrix import Halves, Labels, Matrix
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.util.npy_files import load_npy

IMPORTED = "imported"
"""The device of vectors that were given."""
LARGEST = float(np.finfo(np.float16).max)
"""Vectors are stored as float16: larger values cannot be kept."""
_MOST_IDS_BYTES = 2**30
_PART = 64
"""Documents that encoders put into batches together; the parts that are kept are multiples."""
_LOST = 5.0
"""Seconds of encoding that a kill may cost, about; and those of the first `_PART` documents."""


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
        """Names vectors that may be in one index: 12 hex digits."""
        parts = "\n".join((self.model, self.revision, self.recipe_hash, str(self.dimension)))
        return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()[:12]


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


def _facts_by(model: str, revision: str, recipe: Encoding, dimension: int) -> ModelFacts:
    similarity, hash_ = recipe.similarity or "cosine", recipe_hash(recipe)
    unit = bool(recipe.normalise) or similarity == "cosine"
    return ModelFacts(model, revision, recipe, hash_, dimension, similarity, unit)


def embedded_facts() -> ModelFacts:
    """The facts of the embedded model, without loading it."""
    return _facts_by(embedded.MODEL_ID, embedded.REVISION, embedded.RECIPE, embedded.DIMENSION)


def known_facts(model: str, recipe: Encoding | None) -> ModelFacts | None:
    """The facts of a model if they are known before it is loaded: of the embedded one by its own
    recipe."""
    found = embedded_facts()
    own = model == found.model and recipe_hash(recipe or found.recipe) == found.recipe_hash
    return found if own else None


def facts_without_files(model: str, recipe: Encoding | None) -> ModelFacts:
    """The facts of a model for an index without vectors: its revision is not known."""
    return _facts_by(model, "", recipe or embedded.RECIPE, 0)


class VectorSource(Protocol):
    """Vectors by the content hash of documents."""

    def find(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Halves, bool | None]]:
        """What is held, by content hash: the vector, float16 (dimension,), and whether the text is
        longer than the model reads, None if that is not known."""
        ...


class PooledVectors:
    """The vectors of an unfinished build, as its file has them now: records of content hash,
    float16 vector, whether the text is longer than the model reads (-1: not known), CRC-32. One
    that was cut off or altered is not found. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.record = pool_record(int(path.name.rpartition("-")[2]))
        self._kept: npt.NDArray[np.void] = np.empty(0, self.record)
        if rows := pool_rows(path):  # an empty file cannot be mapped
            self._kept = np.memmap(path, dtype=self.record, mode="r", shape=(rows,))
        self._order = np.argsort(self._kept["hash"][:, 0], kind="stable")
        self._halves = self._kept["hash"][self._order, 0]

    def find(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Halves, bool | None]]:
        """See `VectorSource`."""
        found = {}
        for digest in digests:
            # The first half of a hash says where to look, the whole hash whether it is the same.
            half = np.frombuffer(digest, "<u8", count=1)[0]
            first, end = np.searchsorted(self._halves, half), len(self._halves)
            while first < end and self._halves[first] == half:
                record = self._kept[self._order[first]]
                data = record.tobytes()
                if data.startswith(digest) and zlib.crc32(data[:-4]) == record["crc"]:
                    longer = None if record["longer"] < 0 else bool(record["longer"])
                    found[digest] = (record["vector"], longer)
                    break
                first += 1
        return found


def pool_record(dimension: int) -> np.dtype[np.void]:
    vector = ("vector", "<f2", (dimension,))
    return np.dtype([("hash", "<u8", (2,)), vector, ("longer", "i1"), ("crc", "<u4")])


class VectorPool:
    """The file in which a build keeps its vectors until it is complete, see `PooledVectors`. A
    record that a kill cut off is removed when it is opened. What is appended is found after opening
    again. Raises OSError."""

    def __init__(self, index: Path, key: str, dimension: int) -> None:
        self.path = index / f"{POOL_PREFIX}{key}-{dimension}"
        index.mkdir(parents=True, exist_ok=True)
        self._record = pool_record(dimension)
        self._stream = self.path.open("ab")
        sync_folder(index)
        self._stream.truncate(pool_rows(self.path) * self._record.itemsize)
        self.find = PooledVectors(self.path).find

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._stream.close()

    def append(
        self, digests: Sequence[bytes], vectors: Halves, longer: Sequence[bool | None]
    ) -> None:
        """Keep vectors for their content hashes, and whether the texts are longer than the model
        reads; they are safe on disk when this returns."""
        records = np.empty(len(digests), self._record)
        records["hash"] = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
        records["vector"] = vectors
        records["longer"] = [-1 if one is None else one for one in longer]
        records["crc"] = [zlib.crc32(record.tobytes()[:-4]) for record in records]
        self._stream.write(records.tobytes())
        self._stream.flush()
        os.fsync(self._stream.fileno())


class Vectoriser:
    """Gives documents their vectors; this one gives none, for an index that serves BM25 alone.

    facts: of the model that may encode the documents later. device: where a model runs, empty if
    none was needed. encoded, seconds, tokens: documents that a model encoded, how long that took,
    and their tokens if they are counted; at_once: documents that it should be given at once, 0 for
    any number; unused: vectors of no document. longer: places, among the
    documents that were given last, of those with more tokens than the model reads, None if that is
    not known of one; max_tokens: how many it reads, None for no limit.
    """

    device = ""
    encoded = 0
    seconds = 0.0
    tokens = 0
    at_once = 0
    unused = 0
    longer: Sequence[int] | None = None
    max_tokens: int | None = None

    def __init__(self, facts: ModelFacts) -> None:
        self._facts = msgspec.structs.replace(facts, dimension=0)

    def accept(self, record: Record) -> Item:
        """The record, or why it is rejected."""
        return record

    def start(self) -> ModelFacts:
        """Prepare and return what the vectors will be; load a model if one is needed."""
        return self._facts

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:  # noqa: ARG002
        """float16 (n, dimension) for `documents`; `tell` is called after each batch with how many
        of those to encode are done."""
        return np.empty((len(documents), 0), dtype=np.float16)

    def rows(
        self, first: int, documents: Sequence[Document], tell: Reporter
    ) -> tuple[Halves, Table | None]:
        """The vectors of documents with the labels from `first` on, and the table of their
        passages, None where each document has one vector; otherwise as `vectors`."""
        del first
        return self.vectors(documents, tell), None

    def close(self) -> None:
        """Close all files."""


class IndexVectors(NamedTuple):
    """The vectors of an index, to be reused. longer: labels of documents with more tokens than the
    model reads, None if that is not known; passages: None where each document has one vector."""

    facts: ModelFacts
    store: DocumentStore
    matrix: Matrix
    longer: frozenset[int] | None
    passages: Passages | None = None

    def find(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Halves, bool | None]]:
        """See `VectorSource`; nothing where the index cannot be read any more."""
        try:
            rows = (self.passages or self.store).by_content(digests)
            halves = self.matrix.halves(np.array(list(rows.values()), dtype=np.int64))
        except (sqlite3.Error, OSError, IndexFault):
            return {}
        known = None if self.passages is not None else self.longer
        said = [None if known is None else row in known for row in rows.values()]
        return dict(zip(rows, zip(halves, said, strict=True), strict=True))


class ModelVectors(Vectoriser):
    """Vectors from a model, each document encoded once. folder: of the index; old: an index whose
    vectors are reused if its facts are the same; others: further vectors by the given model,
    opened while documents lack one; facts, max_tokens: those that the vectors must
    have, if the index has some already: the model is then loaded when a document first needs it;
    passages: whether a document that is longer than the model reads has several vectors."""

    def __init__(
        self,
        folder: Path,
        factory: EncoderFactory,
        *,
        facts: ModelFacts | None = None,
        old: IndexVectors | None = None,
        others: Callable[[ModelFacts], Iterator[VectorSource]] = lambda _: iter(()),
        max_tokens: int | None = None,
        passages: bool = False,
    ) -> None:
        self._folder = folder
        self._factory = factory
        self._wanted = facts
        self._old = old
        self._others = others
        self._sources: list[VectorSource] = []
        self._more: Iterator[VectorSource] = iter(())
        self.passages = passages
        self.max_tokens = max_tokens
        self._encoder: Encoder | None = None
        self._pool: VectorPool | None = None
        self._tokens_before = 0
        self._rate = 0.0

    def start(self) -> ModelFacts:
        self._facts = self._wanted or facts_of(self._loaded())
        if self._old is not None and self._old.facts.key != self._facts.key:
            self._old = None
        self._pool = VectorPool(self._folder, self._facts.key, self._facts.dimension)
        self._sources = [self._pool, *([self._old] if self._old is not None else [])]
        self._more = self._others(self._facts)
        return self._facts

    def _held(self) -> Iterator[VectorSource]:
        """The sources that are open, then the others, opened one by one."""
        yield from tuple(self._sources)
        for source in self._more:
            self._sources.append(source)
            yield source

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        found = np.empty((len(documents), self._facts.dimension), dtype=np.float16)
        longer: dict[bytes, bool | None] = {}
        missing: dict[bytes, list[int]] = {}
        for place, document in enumerate(documents):
            missing.setdefault(document.content_hash(), []).append(place)
        places = dict(missing)
        for source in self._held():
            for digest, (half, longer[digest]) in source.find(list(missing)).items():
                found[missing.pop(digest)] = half
            if not missing:
                break
        # Longest first, as encoders batch them: parts then have the batches of the whole.
        waiting = sorted(
            ((documents[rows[0]], digest) for digest, rows in missing.items()),
            key=lambda one: -len(one[0].title) - len(one[0].text),
        )
        begun = 0
        while begun < len(waiting):
            # What is encoded elsewhere is kept as it arrives, so that no worker has to wait.
            size = self._loaded().at_once or int(self._rate * _LOST)
            part = waiting[begun : begun + _PART * max(1, size // _PART)]
            for digest, half, cut in self._encoded(part, begun, tell):
                found[missing[digest]], longer[digest] = half, cut
            begun += len(part)
        self.encoded += begun
        self.longer = None
        if None not in longer.values():
            self.longer = [row for digest in places if longer[digest] for row in places[digest]]
        return found

    def rows(
        self, first: int, documents: Sequence[Document], tell: Reporter
    ) -> tuple[Halves, Table | None]:
        if not self.passages:
            return super().rows(first, documents, tell)
        spans = [self._spans(document) for document in documents]
        read, table = table_of(first, documents, spans)

        def heard(step: Progress) -> None:
            note = f"{step.done:,} of {len(read):,} passages of this part"
            tell(
                msgspec.structs.replace(
                    step, done=step.done * len(documents) // len(read), note=note
                )
            )

        vectors = self.vectors(read, heard)
        self.longer = [place for place, each in enumerate(spans) if len(each) > 1]
        return vectors, table

    def _spans(self, document: Document) -> list[tuple[int, int]]:
        old = None if self._old is None else self._old.passages
        found = None if old is None else old.spans_of(document.content_hash())
        return found or self._loaded().windows(document)

    def _encoded(
        self, part: Sequence[tuple[Document, bytes]], begun: int, tell: Reporter
    ) -> Iterator[tuple[bytes, Halves, bool]]:
        """Encode documents, `begun` ones after the first of a window, and keep their vectors; with
        each, whether the document is longer than the model reads."""
        assert self._pool is not None  # noqa: S101 - start() comes first
        encoder, before = self._loaded(), time.perf_counter()

        def heard(step: Progress) -> None:
            self.tokens = encoder.tokens - self._tokens_before
            tell(msgspec.structs.replace(step, done=begun + step.done))

        documents, digests = zip(*part, strict=True)
        cut: list[int] = []
        if encoder.at_once:
            with self._kept_at_once(digests, encoder) as kept:
                encoded = encoder.encode_documents(documents, heard, cut, kept)
        else:
            encoded = encoder.encode_documents(documents, heard, cut)
        seconds = time.perf_counter() - before
        self.seconds += seconds
        self._rate = len(part) / max(seconds, 1e-9)
        halves = _halved(encoded, len(part), encoder)
        said = np.isin(np.arange(len(part)), cut).tolist()
        if not encoder.at_once:
            self._pool.append(digests, halves, said)
        return zip(digests, halves, said, strict=True)

    @contextlib.contextmanager
    def _kept_at_once(self, digests: Sequence[bytes], encoder: Encoder) -> Iterator[Kept]:
        """Gives what keeps batches of a part every few seconds, and in the end all that came."""
        pool = self._pool
        assert pool is not None  # noqa: S101 - start() comes first
        held: list[Encoded] = []
        since = time.perf_counter()

        def keep(part: Encoded) -> None:
            nonlocal since
            held.append(part)
            if time.perf_counter() - since >= _LOST:
                write()
                since = time.perf_counter()

        def write() -> None:
            for part in held:
                halves, cut = _halved(part.vectors, len(part.rows), encoder), set(part.longer)
                said = [row in cut for row in part.rows]
                pool.append([digests[row] for row in part.rows], halves, said)
            held.clear()

        try:
            yield keep
        finally:
            write()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        if self._encoder is not None:
            self._encoder.close()
        if isinstance(self._more, Generator):
            self._more.close()

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            self._encoder = encoder = self._factory()
            given = facts_of(encoder)
            if self._wanted is not None and self._wanted.revision == ANY_REVISION:
                given = msgspec.structs.replace(given, revision=ANY_REVISION)
            if self._wanted is not None and given.key != self._wanted.key:
                raise IndexFault(
                    f"the index was built with {self._wanted.model} in another revision or recipe"
                    f" than {encoder.model_id} has here",
                    remedy="build the index again with the model that is here",
                )
            self._tokens_before, self.at_once = encoder.tokens, encoder.at_once
            self.max_tokens = encoder.max_tokens
            self.device = encoder.device
        return self._encoder


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


class ImportedVectors(Vectoriser):
    """Vectors from matrices, memory-mapped; ids are kept as 8 bytes of their hash.

    vectors, ids: files, of one chunk each; model, recipe, dimension: the model that computed the
    vectors and how it encodes. A document without a vector is rejected. Raises UsageError if the
    numbers of files differ, CorpusError if they are not valid or do not belong together.
    """

    device = IMPORTED

    def __init__(
        self,
        vectors: Sequence[Path],
        ids: Sequence[Path],
        model: str,
        recipe: Encoding,
        dimension: int | None = None,
    ) -> None:
        if len(vectors) != len(ids):
            raise UsageError(
                f"{len(vectors)} files of vectors and {len(ids)} of ids were given",
                remedy="name one --ids for each --vectors, in the same order",
            )
        self._parts = [open_imported(path) for path in vectors]
        widths = {part.shape[1] for part in self._parts} | ({dimension} if dimension else set())
        if len(widths) > 1:
            said = ", ".join(str(width) for width in sorted(widths))
            raise CorpusError(
                f"the vectors do not all have the dimension of {model}: {said}",
                remedy="name the files that belong to this model",
            )
        self._facts = _facts_by(model, ANY_REVISION, recipe, widths.pop())
        self._firsts = np.cumsum([0, *(len(part) for part in self._parts)])
        keys = []
        for path, part in zip(ids, self._parts, strict=True):
            names = read_ids(path)
            if len(names) != len(part):
                raise CorpusError(
                    f"{path} names {len(names):,} ids for {len(part):,} vectors",
                    remedy="name the files of one chunk together",
                )
            keys.append(np.fromiter(map(_key, names), np.uint64, len(names)))
        joined = np.concatenate(keys)
        self._order = np.argsort(joined, kind="stable")
        self._keys = joined[self._order]
        self._used = np.zeros(len(joined), dtype=bool)
        self.unused = len(joined)

    def accept(self, record: Record) -> Item:
        (row,) = self._rows([record.document])
        if row < 0:
            return Rejected(record.place, f"there is no vector for {record.document.id!r}")
        # `vectors` is too late for this: it is not called for a repeated text.
        self.unused -= not self._used[row]
        self._used[row] = True
        return record

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        taken = np.full((len(documents), self._facts.dimension), np.nan, dtype=np.float32)
        rows = self._rows(documents)
        for first, part in zip(self._firsts, self._parts, strict=False):
            inside = (rows >= first) & (rows < first + len(part))
            taken[inside] = part[rows[inside] - first]
        bad = np.flatnonzero(~(np.abs(taken) <= LARGEST).all(axis=1))
        if len(bad):
            raise CorpusError(
                f"the vector of {documents[bad[0]].id!r} has values that are not finite or exceed"
                f" {LARGEST:,.0f}",
                remedy="get the file again and compare its checksum",
            )
        if self._facts.normalised:
            lengths = np.linalg.norm(taken, axis=1, keepdims=True)
            np.divide(taken, lengths, out=taken, where=lengths > 0)
        tell(Progress("encoding", len(documents), len(documents)))
        return taken.astype(np.float16)

    def _rows(self, documents: Sequence[Document]) -> Labels:
        """The rows of the vectors of these documents, -1 where there is none."""
        keys = np.fromiter((_key(one.id) for one in documents), np.uint64, len(documents))
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._order[places], -1)


def _key(identifier: str) -> int:
    data = identifier.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def open_imported(path: Path) -> npt.NDArray[np.floating]:
    """A matrix of vectors (rows, dimension), memory-mapped. Raises NotFoundError, and CorpusError
    if the file is none or is cut off."""
    try:
        matrix = load_npy(path, mapped=True)
    except OSError as error:
        raise reading_fault(str(path), error) from error
    except UNREADABLE as error:
        raise CorpusError(f"{path} is not a .npy matrix", remedy="see numpy.save") from error
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise CorpusError(f"{path} is an archive, not one matrix", remedy="unpack it first")
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or 0 in matrix.shape:
        shape = "x".join(map(str, matrix.shape))
        raise CorpusError(
            f"{path} holds {shape} {matrix.dtype}, not rows of vectors",
            remedy="give a matrix of float16 or float32 with one row for each document",
        )
    return matrix


def read_ids(path: Path) -> list[str]:
    """The ids of the rows: a JSON list of texts or whole numbers, or one id a line. Raises
    NotFoundError, and CorpusError if the file is none."""
    try:
        if path.stat().st_size > _MOST_IDS_BYTES:
            raise CorpusError(f"{path} is too large for a list of ids: over 1 GiB")
        data = path.read_bytes()
    except OSError as error:
        raise reading_fault(str(path), error) from error
    try:
        if data.lstrip()[:1] == b"[":
            return [str(one) for one in msgspec.json.decode(data, type=list[str | int])]
        return [line.strip() for line in data.decode().splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{path} is not a list of ids: {error}", remedy="give a JSON list, or one id a line"
        ) from error
