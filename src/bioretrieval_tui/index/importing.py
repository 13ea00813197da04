"""Import of vectors that were computed elsewhere: an index without loading a model.

NCBI publishes MedCPT's vectors of all PubMed in chunks: a matrix (`embeds_chunk_N.npy`), the PMID
of each row (`pmids_chunk_N.json`) and the texts (`pubmed_chunk_N.json`). Matrices are
memory-mapped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document, Item, Record, Rejected
from bioretrieval_tui.documents.source import ReadSettings, reading_fault
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import CorpusError, UsageError
from bioretrieval_tui.index.build import BuildOutcome, build_with_vectors
from bioretrieval_tui.index.intake import Intake, feed_files
from bioretrieval_tui.index.manifest import ANY_REVISION, IdKind
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.vector_cache import LARGEST, ModelFacts
from bioretrieval_tui.index.vectors import UNREADABLE, Halves
from bioretrieval_tui.progress import Progress, Reporter, silent

_MOST_IDS_BYTES = 2**30


def import_vectors(
    name: str,
    vectors: Sequence[Path],
    ids: Sequence[Path],
    documents: Sequence[str | os.PathLike[str]],
    model: str,
    recipe: Encoding,
    *,
    dimension: int | None = None,
    settings: ReadSettings | None = None,
    id_kind: IdKind | None = None,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Build the index `name` from matrices, the ids of their rows, and the documents.

    model, recipe, dimension: the model that computed the vectors and how it encodes. A document
    without a vector is rejected; vectors without a document are counted and left out.

    Raises:
        UsageError: the numbers of vector files and id files differ. CorpusError: the content of a
            file is not valid. NotFoundError, IndexFault: as `build_index`.
    """
    if len(vectors) != len(ids):
        raise UsageError(
            f"{len(vectors)} files of vectors and {len(ids)} of ids were given",
            remedy="name one --ids for each --vectors, in the same order",
        )
    imported = _ImportedVectors(vectors, ids, model, recipe, dimension)
    read = feed_files(documents, settings or ReadSettings())

    def known(record: Record) -> Item:
        if imported.has(record.document.id):
            return record
        return Rejected(record.place, f"there is no vector for {record.document.id!r}")

    def feed(intake: Intake) -> None:
        intake.accept = known
        read(intake)

    outcome = build_with_vectors(
        name, feed, imported, ids=id_kind, reporter=reporter, report=report
    )
    outcome.report.without_document = int((~imported.used).sum())
    return outcome


class _ImportedVectors:
    """A `Vectoriser` over files. Ids are kept as 8 bytes of their hash.

    used: whether the document of each vector was read, bool (vectors,).
    """

    device = "imported"
    encoded = 0
    seconds = 0.0
    tokens = 0

    def __init__(
        self,
        vectors: Sequence[Path],
        ids: Sequence[Path],
        model: str,
        recipe: Encoding,
        dimension: int | None,
    ) -> None:
        self._parts = [_open(path) for path in vectors]
        widths = {part.shape[1] for part in self._parts} | ({dimension} if dimension else set())
        if len(widths) > 1:
            said = ", ".join(str(width) for width in sorted(widths))
            raise CorpusError(
                f"the vectors do not all have the dimension of {model}: {said}",
                remedy="name the files that belong to this model",
            )
        self._firsts = np.cumsum([0, *(len(part) for part in self._parts)])
        keys = []
        for path, part in zip(ids, self._parts, strict=True):
            names = _read_ids(path)
            if len(names) != len(part):
                raise CorpusError(
                    f"{path} names {len(names):,} ids for {len(part):,} vectors",
                    remedy="name the files of one chunk together",
                )
            keys.append(np.array([_key(name) for name in names], dtype=np.uint64))
        joined = np.concatenate(keys)
        self._order = np.argsort(joined, kind="stable")
        self._keys = joined[self._order]
        self.used = np.zeros(len(joined), dtype=bool)
        similarity = recipe.similarity or "cosine"
        self._facts = ModelFacts(
            model,
            ANY_REVISION,
            recipe,
            recipe_hash(recipe),
            widths.pop(),
            similarity,
            bool(recipe.normalise) or similarity == "cosine",
        )

    def start(self) -> ModelFacts:
        return self._facts

    def has(self, identifier: str) -> bool:
        """Whether there is a vector for this id; it then counts as used."""
        row = self._row(identifier)
        if row is not None:
            # `vectors` is too late for this: it is not called for a repeated text.
            self.used[row] = True
        return row is not None

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        taken = np.empty((len(documents), self._facts.dimension), dtype=np.float32)
        for place, document in enumerate(documents):
            row = self._row(document.id)
            if row is None:
                raise CorpusError(f"there is no vector for the document {document.id!r}")
            part = int(np.searchsorted(self._firsts, row, side="right")) - 1
            taken[place] = self._parts[part][row - self._firsts[part]]
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

    def close(self) -> None:
        self._parts = []

    def _row(self, identifier: str) -> int | None:
        key = _key(identifier)
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        if place == len(self._keys) or int(self._keys[place]) != key:
            return None
        return int(self._order[place])


def _open(path: Path) -> npt.NDArray[np.floating]:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
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
    opened: npt.NDArray[np.floating] = matrix
    return opened


def _read_ids(path: Path) -> list[str]:
    """The ids of the rows: a JSON list of texts or whole numbers, or one id a line."""
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
            f"{path} is not a list of ids: {error}",
            remedy="give a JSON list, or one id a line",
        ) from error


def _key(identifier: str) -> int:
    data = identifier.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
