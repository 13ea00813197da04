"""Verification: whether every file of an index fits its manifest, and recall@10 of the graph.

Every part is checked on its own, so that one fault does not hide another, and no file that failed
its checksum is opened by native code.
"""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePosixPath

import numpy as np

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.index.hnsw import (
    FAILING_RECALL,
    NEAREST,
    TARGET_RECALL,
    load_graph,
    probe,
    reaching,
    recall_at,
)
from bioretrieval_tui.index.layout import GRAPH, METADATA, TEXT, index_folder
from bioretrieval_tui.index.manifest import Manifest, check_content
from bioretrieval_tui.index.metadata import MetadataIndex
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.index.text_index import TextIndex
from bioretrieval_tui.index.vectors import Labels, Matrix, open_dead, open_matrix
from bioretrieval_tui.progress import Progress, Reporter, silent

_LENGTH_WITHIN = 5e-3
"""Tolerance of the length of a unit vector after rounding to float16."""
_COMPACT = "bioretrieval-tui index compact {}"
_REBUILD = "build it again: bioretrieval-tui index build {} FILE..."
_REMOVE = "bioretrieval-tui index remove {0}, then bioretrieval-tui index build {0} FILE..."
"""For wrong vectors with the right checksum: building again would reuse them."""
_SHOWN = 20
_TRIES = 5
_HASHED = 500
"""Rows, evenly spread, whose text is compared with its content hash."""


def verify_index(name: str, reporter: Reporter = silent) -> Verification:
    """Check everything: files by checksum, counts of all parts, vectors, the graph's recall.

    An index that is replaced meanwhile is checked again.

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
    for number, path in enumerate(sorted(manifest.files)):
        note = PurePosixPath(path).name
        reporter(Progress("checksums", number, len(manifest.files), unit="files", note=note))
        fault = _file_fault(manifest, folder, path)
        if fault is not None:
            sound.discard(path)
            made = path.startswith(manifest.path(""))
            remedy = (_COMPACT if made else _REBUILD).format(name)
            checks.append(Check(f"file {note}", False, fault, remedy))
    reporter(Progress("checksums", len(manifest.files), len(manifest.files), unit="files"))
    if len(sound) == len(manifest.files):
        size = sum(facts.bytes for facts in manifest.files.values())
        checks.append(Check("files", True, f"{len(sound)} files, {size:,} bytes, all unaltered"))
    parts = _Parts(manifest, folder, sound)
    stages = (parts.documents, parts.vectors, parts.text, parts.metadata, parts.graph)
    for number, part in enumerate(stages):
        reporter(Progress("checking", number, len(stages), unit="parts"))
        remedy = _REBUILD.format(name)
        try:
            checks += filter(None, [part()])
        except BioRetrievalError as error:
            checks.append(Check(part.__name__, False, error.message, error.remedy or remedy))
        except FileNotFoundError as error:
            missing = Path(error.filename or "?").name
            checks.append(Check(part.__name__, False, f"{missing} is missing", remedy))
    reporter(Progress("checking", len(stages), len(stages), unit="parts"))
    parts.close()
    return Verification(name, tuple(checks))


def _file_fault(manifest: Manifest, folder: Path, name: str) -> str | None:
    """What is wrong with one file, or None."""
    path, facts = folder / name, manifest.files[name]
    try:
        check_content(manifest, folder, name, fresh=True)
    except FileNotFoundError:
        return "it is missing"
    except IndexFault as error:
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if path.is_file() and size != facts.bytes:
                return f"it has {size:,} bytes, not {facts.bytes:,}"
        return error.message.partition("is damaged: ")[2] or error.message
    return None


class _Parts:
    """The parts of an index, each checked if its files are `sound`."""

    def __init__(self, manifest: Manifest, folder: Path, sound: set[str]) -> None:
        self._manifest = manifest
        self._folder = folder
        self._sound = sound
        self._dead: Labels | None = None
        self._matrix: Matrix | None = None
        self._store: DocumentStore | None = None
        self._text: TextIndex | None = None

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def documents(self) -> Check | None:
        """The stores: SQLite's own check, counts, and the content hashes of a sample."""
        manifest = self._manifest
        if not self._sound >= set(manifest.stores()):
            return None
        self._store = store = DocumentStore([self._folder / path for path in manifest.stores()])
        wrong = store.check()
        rows = [segment.count for segment in store.segments] if wrong is None else []
        said = [segment.rows for segment in manifest.segments]
        if wrong is None and rows != said:
            wrong = f"{sum(rows):,} rows, not {sum(said):,}"
        if wrong is None:
            self._dead = open_dead(manifest, self._folder)
            strays = np.setdiff1d(np.array(store.marked_dead(), dtype=np.int64), self._dead)
            if len(strays):
                wrong = f"{len(strays):,} deleted ones count as present"
        if wrong is None:
            step = max(1, manifest.rows // _HASHED)
            altered = [label for label in range(0, manifest.rows, step) if not store.intact(label)]
            if altered:
                shown = ", ".join(map(str, altered[:_SHOWN]))
                wrong = f"rows do not fit their content hash: {shown}"
        if wrong is not None:
            return Check("documents", False, wrong, _REBUILD.format(manifest.name))
        deleted = manifest.rows - manifest.documents
        return Check("documents", True, f"{manifest.documents:,}, deleted or replaced: {deleted:,}")

    def vectors(self) -> Check | None:
        """The matrices: as many as documents, finite, of length 1 if the manifest says so."""
        manifest = self._manifest
        if not manifest.encoded:
            return Check("vectors", True, "none: the index serves BM25 alone")
        if not self._sound >= set(manifest.matrices()):
            return None
        self._matrix = matrix = open_matrix(manifest, self._folder)
        bad = 0
        for _, block in matrix.blocks():
            lengths = np.linalg.norm(block, axis=1)
            wrong = ~np.isfinite(lengths)
            if manifest.normalised:
                # A text without a token has a vector of zeros.
                wrong |= (np.abs(lengths - 1) > _LENGTH_WITHIN) & (lengths > 0)
            bad += int(wrong.sum())
        if bad:
            what = "not unit vectors" if manifest.normalised else "not finite"
            return Check("vectors", False, f"{bad:,} are {what}", _REMOVE.format(manifest.name))
        return Check("vectors", True, f"{matrix.rows:,} x {matrix.dimension} {manifest.dtype}")

    def text(self) -> Check | None:
        """The text index: opens, and holds the documents that are not deleted."""
        manifest, remedy = self._manifest, _COMPACT.format(self._manifest.name)
        if manifest.outdated:
            return Check("text index", False, manifest.outdated, remedy)
        if not self._all_sound(TEXT):
            return None
        folder = self._folder / manifest.path(TEXT)
        self._text = TextIndex(folder, manifest.lexical, name=manifest.name)
        found = f"{manifest.lexical.documents:,} documents"
        if manifest.lexical.documents == manifest.documents:
            return Check("text index", True, found)
        return Check("text index", False, f"{found}, not {manifest.documents:,}", remedy)

    def metadata(self) -> Check | None:
        """The metadata: opens, and fits a sample of documents."""
        manifest, facts = self._manifest, self._manifest.fields
        if self._store is None or self._dead is None or self._text is None or facts is None:
            return None
        if not self._all_sound(METADATA):
            return None
        index = MetadataIndex(
            self._folder / manifest.path(METADATA),
            facts,
            name=manifest.name,
            dead=self._dead,
            text=self._text,
            documents=self._store,
        )
        wrong = index.check(self._store)
        if wrong is not None:
            return Check("metadata", False, wrong, _COMPACT.format(manifest.name))
        return Check("metadata", True, f"{len(facts.names)} fields, {', '.join(facts.names)}")

    def graph(self) -> Check | None:
        """The graph: its count and dimension, and recall@10 against exact search."""
        manifest = self._manifest
        if manifest.path(GRAPH) not in self._sound or self._matrix is None or self._dead is None:
            return None
        graph = load_graph(manifest, self._folder)
        sampled = probe(self._matrix, self._dead, manifest.similarity)
        recall = recall_at(graph, sampled, manifest.graph.ef)
        found = (
            f"{manifest.rows:,} vectors, recall@{NEAREST} {recall:.3f} with ef"
            f" {manifest.graph.ef}, {len(sampled.labels)} sampled"
        )
        if recall >= FAILING_RECALL:
            return Check("graph", True, found)
        ef, reached = reaching(graph, sampled, TARGET_RECALL)
        found += f", under {FAILING_RECALL}; ef {ef} gives {reached:.3f}"
        return Check("graph", False, found, _COMPACT.format(manifest.name))

    def _all_sound(self, folder: str) -> bool:
        begin = f"{self._manifest.path(folder)}/"
        return all(path in self._sound for path in self._manifest.files if path.startswith(begin))
