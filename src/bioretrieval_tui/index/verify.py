"""Whether an index is what its manifest says, down to the last byte and the last neighbour.

Every part is looked at on its own, so that one fault does not hide another, and nothing that
failed its checksum is handed to native code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.index.fields.checking import check_fields
from bioretrieval_tui.index.fields.opened import FieldIndex
from bioretrieval_tui.index.graph import (
    FAILING_RECALL,
    NEAREST,
    TARGET_RECALL,
    load_graph,
    probe,
    reaching,
    recall_at,
)
from bioretrieval_tui.index.layout import FIELDS, GRAPH, LEXICAL, index_folder
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
from bioretrieval_tui.index.manifest import Manifest, check_content
from bioretrieval_tui.index.matrix import Labels, Matrix, open_dead, open_matrix
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.index.verification import Check, Verification
from bioretrieval_tui.progress import Progress, Reporter, silent

_LENGTH_WITHIN = 5e-3
"""How far a vector of length 1 may be off after it was rounded to float16."""
_COMPACT = "bioretrieval-tui index compact {}"
_REBUILD = "build it again: bioretrieval-tui index build {} FILE..."
_ANEW = "bioretrieval-tui index remove {0}, then bioretrieval-tui index build {0} FILE..."
"""Where the vectors are wrong though their checksum is right: building again would reuse them."""
_SHOWN = 20
_TRIES = 5
_HASHED = 500
"""Rows whose text is compared with its content hash, spread over all of them."""


def verify_index(name: str, reporter: Reporter = silent) -> Verification:
    """Check everything: files by checksum, counts of all parts, vectors, the graph's recall.

    An index that is replaced meanwhile is checked again, as the one that it is now.

    Raises:
        NotFoundError: there is no such index. Whatever `reporter` raises.
    """
    found = Verification(name, ())
    for _ in range(_TRIES):
        try:
            manifest = manifest_of(name)
            found = _verified(manifest, reporter)
            if found.ok or manifest_of(name).generation == manifest.generation:
                break
        except IndexFault as error:
            return Verification(name, (Check("manifest", False, error.message, error.remedy),))
    return found


def _verified(manifest: Manifest, reporter: Reporter) -> Verification:
    name = manifest.name
    folder = index_folder(name)
    checks = [Check("manifest", True, f"format {manifest.format}, {manifest.model}")]
    sound = set(manifest.files)
    for check, path in _files(manifest, folder, reporter):
        if not check.ok:
            sound.discard(path)
            checks.append(check)
    if len(sound) == len(manifest.files):
        size = sum(facts.bytes for facts in manifest.files.values())
        checks.append(Check("files", True, f"{len(sound)} files, {size:,} bytes, all unaltered"))
    parts = _Parts(manifest, folder, sound)
    made = (parts.documents, parts.vectors, parts.words, parts.fields, parts.graph)
    for number, part in enumerate(made):
        reporter(Progress("checking", number, len(made), unit="parts"))
        checks.extend(_guarded(name, part))
    reporter(Progress("checking", len(made), len(made), unit="parts"))
    parts.close()
    return Verification(name, tuple(checks))


def _guarded(name: str, part: Callable[[], Iterator[Check]]) -> list[Check]:
    checks = []
    what = getattr(part, "__name__", "part")
    try:
        for check in part():
            checks.append(check)  # noqa: PERF402 - what came before a fault counts
    except BioRetrievalError as error:
        checks.append(Check(what, False, error.message, error.remedy or _REBUILD.format(name)))
    except FileNotFoundError as error:
        missing = Path(error.filename or "?").name
        checks.append(Check(what, False, f"{missing} is missing", _REBUILD.format(name)))
    return checks


def _files(manifest: Manifest, folder: Path, reporter: Reporter) -> Iterator[tuple[Check, str]]:
    total = len(manifest.files)
    for number, path in enumerate(sorted(manifest.files)):
        reporter(Progress("checksums", number, total, unit="files", note=PurePosixPath(path).name))
        one = PurePosixPath(path)
        made = path.startswith(f"{manifest.generation}/")
        remedy = (_COMPACT if made else _REBUILD).format(manifest.name)
        try:
            check_content(manifest, folder, path, fresh=True)
        except FileNotFoundError:
            yield Check(f"file {one.name}", False, "it is missing", remedy), path
        except IndexFault as error:
            said = error.message.partition("is damaged: ")[2] or error.message
            size = _size(folder / path)
            if size is not None and size != manifest.files[path].bytes:
                said = f"it has {size:,} bytes, not {manifest.files[path].bytes:,}"
            yield Check(f"file {one.name}", False, said, remedy), path
        else:
            yield Check(f"file {one.name}", True, "unaltered"), path
    reporter(Progress("checksums", total, total, unit="files"))


def _size(path: Path) -> int | None:
    """Bytes of a file; None for what is none, or cannot be looked at."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


class _Parts:
    """The parts of an index, each checked where its files are sound."""

    def __init__(self, manifest: Manifest, folder: Path, sound: set[str]) -> None:
        self._manifest = manifest
        self._folder = folder
        self._sound = sound
        self._dead: Labels | None = None
        self._matrix: Matrix | None = None
        self._store: DocumentStore | None = None

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def documents(self) -> Iterator[Check]:
        """The stores: SQLite's own check, counts, and the content hashes of a sample."""
        manifest = self._manifest
        if not self._sound >= set(manifest.stores()):
            return
        self._store = store = DocumentStore([self._folder / path for path in manifest.stores()])
        remedy = _REBUILD.format(manifest.name)
        wrong = store.check()
        if wrong is not None:
            yield Check("documents", False, wrong, remedy)
            return
        rows = [segment.count for segment in store.segments]
        said = [segment.rows for segment in manifest.segments]
        if rows != said:
            yield Check("documents", False, f"{sum(rows):,} rows, not {sum(said):,}", remedy)
            return
        self._dead = dead = open_dead(manifest, self._folder)
        marked = store.marked_dead()
        strays = np.setdiff1d(np.array(marked, dtype=np.int64), dead)
        if len(strays):
            yield Check("documents", False, f"{len(strays):,} dead ones count as alive", remedy)
            return
        step = max(1, manifest.rows // _HASHED)
        altered = [label for label in range(0, manifest.rows, step) if not store.intact(label)]
        if altered:
            shown = ", ".join(map(str, altered[:_SHOWN]))
            yield Check("documents", False, f"rows do not fit their content hash: {shown}", remedy)
            return
        yield Check("documents", True, f"{manifest.documents:,} alive, {len(dead):,} dead")

    def vectors(self) -> Iterator[Check]:
        """The matrices: as many as documents, all numbers, of length 1 where that is promised."""
        manifest = self._manifest
        if not manifest.encoded:
            yield Check("vectors", True, "none: the index serves BM25 alone")
            return
        if not self._sound >= set(manifest.matrices()):
            return
        self._matrix = matrix = open_matrix(manifest, self._folder)
        bad = 0
        for _, block in matrix.blocks():
            lengths = np.linalg.norm(block, axis=1)
            wrong = ~np.isfinite(lengths)
            if manifest.normalised:
                # A text without a single token gives zeros, which no length can be made of.
                wrong |= (np.abs(lengths - 1) > _LENGTH_WITHIN) & (lengths > 0)
            bad += int(wrong.sum())
        if bad:
            yield Check(
                "vectors", False, f"{bad:,} are no unit vectors", _ANEW.format(manifest.name)
            )
        else:
            shape = f"{matrix.rows:,} x {matrix.dimension} {manifest.dtype}"
            yield Check("vectors", True, shape)

    def words(self) -> Iterator[Check]:
        """The lexical index: opens, and holds the documents that are alive."""
        manifest = self._manifest
        if not self._sounds(LEXICAL):
            return
        folder = self._folder / manifest.path(LEXICAL)
        LexicalIndex(folder, manifest.lexical, name=manifest.name)
        remedy = _COMPACT.format(manifest.name)
        count = manifest.lexical.documents
        if count != manifest.documents:
            found = f"{count:,} documents, not {manifest.documents:,}"
            yield Check("lexical index", False, found, remedy)
        else:
            found = f"{count:,} documents, {manifest.lexical.terms:,} terms"
            yield Check("lexical index", True, found)

    def fields(self) -> Iterator[Check]:
        """The fields: open, and say of a sample of documents what the documents say."""
        manifest, remedy = self._manifest, _COMPACT.format(self._manifest.name)
        if manifest.fields is None:
            yield Check("fields", True, f"none in format {manifest.format}: no filters")
            return
        if (
            self._store is None
            or self._dead is None
            or not (self._sounds(FIELDS) and self._sounds(LEXICAL))
        ):
            return
        index = FieldIndex(
            self._folder / manifest.path(FIELDS),
            manifest.fields,
            name=manifest.name,
            dead=self._dead,
            lexical=LexicalIndex(
                self._folder / manifest.path(LEXICAL), manifest.lexical, name=manifest.name
            ),
            documents=self._store,
        )
        wrong = check_fields(index, self._store, self._dead)
        shown = f"{len(manifest.fields.names)} fields, {', '.join(manifest.fields.names)}"
        yield Check("fields", wrong is None, wrong or shown, None if wrong is None else remedy)

    def _sounds(self, folder: str) -> bool:
        """Whether all files of a folder of the generation are what they should be."""
        begin = f"{self._manifest.path(folder)}/"
        return all(path in self._sound for path in self._manifest.files if path.startswith(begin))

    def graph(self) -> Iterator[Check]:
        """The graph: its count and dimension, and recall@10 against exact search."""
        manifest = self._manifest
        if manifest.path(GRAPH) not in self._sound or self._matrix is None or self._dead is None:
            return
        graph = load_graph(manifest, self._folder)
        sampled = probe(self._matrix, self._dead, self._manifest.similarity)
        recall = recall_at(graph, sampled, manifest.graph.ef)
        found = (
            f"{manifest.rows:,} vectors, recall@{NEAREST} {recall:.3f} with ef"
            f" {manifest.graph.ef}, {len(sampled.labels)} sampled"
        )
        if recall >= FAILING_RECALL:
            yield Check("graph", True, found)
            return
        ef, reached = reaching(graph, sampled, TARGET_RECALL)
        found += f", under {FAILING_RECALL}; ef {ef} gives {reached:.3f}"
        yield Check("graph", False, found, _COMPACT.format(manifest.name))
