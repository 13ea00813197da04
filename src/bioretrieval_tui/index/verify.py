"""Verification: whether every file of an index fits its manifest, and recall@10 of the graph.

Every part is checked on its own, so that one fault does not hide another, and no file that failed
its checksum is opened by native code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.graph import (
    NEAREST,
    TARGET_RECALL,
    load_graph,
    probe,
    reaching,
    recall_at,
)
from bioretrieval_tui.index.manifest import COMPACT, REBUILD, Manifest, check_content
from bioretrieval_tui.index.metadata import MetadataIndex
from bioretrieval_tui.index.registry import OpenIndex, manifest_of, open_index
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.index.text_index import TextIndex, weighted_terms
from bioretrieval_tui.index.vector_matrix import (
    Labels,
    Matrix,
    Vectors,
    dead_rows,
    open_dead,
    open_matrix,
    open_passages,
)
from bioretrieval_tui.progress import Progress, Reporter, silent

COPY = "copy it there again: bioretrieval-tui index copy NAME --to ADDRESS --as {}"
FAILING_RECALL = 0.95
_LENGTH_WITHIN = 5e-3
"""Tolerance of the length of a unit vector after rounding to float16."""
_REMOVE = "bioretrieval-tui index remove {0}, then bioretrieval-tui index build {0} FILE..."
"""For wrong vectors with the right checksum: building again would reuse them."""
_SHOWN = 20
_TRIES = 5
_ROUNDED = 1e-4
_PLACES, _EACH = 20, 5
"""Places of a store at which documents are read, and how many there."""
_COMPARED = 20_000
"""Vectors of a store that are read."""
_ASKED = 100
_HASHED = 500
"""Rows, evenly spread, whose text is compared with its content hash."""


def verify_index(name: str, reporter: Reporter = silent) -> Verification:
    """Check everything: files by checksum, counts of all parts, vectors, the graph's recall. An
    index that is replaced meanwhile is checked again. Raises NotFoundError."""
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
    folder, files = layout.index_folder(manifest.name), manifest.files
    checks = [Check("manifest", True, f"format {manifest.format}, {manifest.model}")]
    sound = set(files)
    for number, path in enumerate(sorted(files)):
        note = PurePosixPath(path).name
        reporter(Progress("checksums", number, len(files), unit="files", note=note))
        try:
            check_content(manifest, folder, path, fresh=True)
        except IndexFault as error:
            sound.discard(path)
            said = error.message.partition("is damaged: ")[2]
            checks.append(Check(f"file {note}", False, said, error.remedy))
    reporter(Progress("checksums", len(files), len(files), unit="files"))
    if len(sound) == len(files):
        size = sum(facts.bytes for facts in files.values())
        checks.append(Check("files", True, f"{len(sound)} files, {size:,} bytes, all unaltered"))
    with contextlib.ExitStack() as stack:
        stages: dict[str, tuple[Callable[[], str], str]]
        if manifest.store is None:
            parts = _Parts(manifest, folder, sound, stack)
            stages = {
                "documents": (parts.documents, REBUILD),
                "vectors": (parts.vectors, _REMOVE),
                "text index": (parts.text, COMPACT),
                "metadata": (parts.metadata, COMPACT),
                "graph": (parts.graph, COMPACT),
            }
        else:
            there = _StoreParts(manifest, stack)
            looks = {
                "store": there.store,
                "documents": there.documents,
                "vectors": there.vectors,
                "text and fields": there.text,
                "graph": there.graph,
            }
            stages = {part: (look, COPY) for part, look in looks.items()}
        for number, (part, (look, remedy)) in enumerate(stages.items()):
            reporter(Progress("checking", number, len(stages), unit="parts"))
            try:
                found = look()
            except BioRetrievalError as error:
                remedy = error.remedy or remedy.format(manifest.name)
                checks.append(Check(part, False, error.message, remedy))
            else:
                checks += [Check(part, True, found)] if found else []
    reporter(Progress("checking", len(stages), len(stages), unit="parts"))
    return Verification(manifest.name, tuple(checks))


class _Parts(msgspec.Struct):
    """The parts of an index. Each method says what it found, or nothing if the files that it needs
    are not `sound`, and raises IndexFault where something is wrong."""

    _manifest: Manifest
    _folder: Path
    _sound: set[str]
    _stack: contextlib.ExitStack
    _store: DocumentStore | None = None
    _dead: Labels | None = None
    _matrix: Matrix | None = None
    _text: TextIndex | None = None

    def documents(self) -> str:
        """The stores: SQLite's own check, counts, and the content hashes of a sample."""
        manifest = self._manifest
        if not self._sound.issuperset(manifest.stores()):
            return ""
        store = DocumentStore([self._folder / path for path in manifest.stores()])
        self._stack.callback(store.close)
        if wrong := store.check():
            raise IndexFault(wrong)
        rows, said = sum(segment.count for segment in store.segments), manifest.rows
        if [one.count for one in store.segments] != [one.rows for one in manifest.segments]:
            raise IndexFault(f"{rows:,} rows, not {said:,}")
        self._dead = open_dead(manifest, self._folder)
        strays = np.setdiff1d(np.array(store.marked_dead(), dtype=np.int64), self._dead)
        if len(strays):
            raise IndexFault(f"{len(strays):,} deleted ones count as present")
        sample = range(0, said, max(1, said // _HASHED))
        altered = [label for label in sample if not store.intact(label)]
        if altered:
            shown = ", ".join(map(str, altered[:_SHOWN]))
            raise IndexFault(f"rows do not fit their content hash: {shown}")
        self._store = store
        return f"{manifest.documents:,}, deleted or replaced: {said - manifest.documents:,}"

    def vectors(self) -> str:
        """The matrices: as many as documents, finite, of length 1 if the manifest says so."""
        manifest = self._manifest
        if not manifest.encoded:
            return "none: the index serves BM25 alone"
        if not self._sound.issuperset(manifest.matrices()):
            return ""
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
            raise IndexFault(f"{bad:,} are {what}")
        return f"{matrix.rows:,} x {matrix.dimension} {manifest.dtype}"

    def text(self) -> str:
        """The text index: opens, and holds the documents that are not deleted."""
        manifest, facts = self._manifest, self._manifest.lexical
        if manifest.outdated:
            raise IndexFault(manifest.outdated)
        if not self._all_sound(layout.TEXT):
            return ""
        self._text = TextIndex(self._folder / manifest.path(layout.TEXT), facts, name=manifest.name)
        found = f"{facts.documents:,} documents"
        if facts.documents != manifest.documents:
            raise IndexFault(f"{found}, not {manifest.documents:,}")
        return found

    def metadata(self) -> str:
        """The metadata: opens, and fits a sample of documents."""
        facts, store = self._manifest.fields, self._store
        if store is None or self._dead is None or self._text is None or facts is None:
            return ""
        if not self._all_sound(layout.METADATA):
            return ""
        folder = self._folder / self._manifest.path(layout.METADATA)
        if wrong := MetadataIndex(folder, facts, self._dead, self._text, store).check():
            raise IndexFault(wrong)
        return f"{len(facts.names)} fields, {', '.join(facts.names)}"

    def graph(self) -> str:
        """The graph: its count and dimension, and recall@10 against exact search."""
        manifest, ef = self._manifest, self._manifest.graph.ef
        sound = self._sound.issuperset(part.path for part in manifest.graphs)
        if self._matrix is None or self._dead is None or not manifest.graphs or not sound:
            return ""
        dead = dead_rows(manifest, self._folder, open_passages(manifest, self._folder))
        lowest, sampled, better = 1.0, 0, ef
        for number, (_, first, rows) in enumerate(manifest.graphs):
            graph = load_graph(manifest, self._folder, number, dead)
            unused = dead[(dead >= first) & (dead < first + rows)] - first
            one = probe(self._matrix.between(first, first + rows), unused, manifest.similarity)
            recall = recall_at(graph, one, ef)
            if recall < FAILING_RECALL:
                better = max(better, reaching(graph, one, TARGET_RECALL)[0])
            lowest, sampled = min(lowest, recall), sampled + len(one.labels)
        parts = len(manifest.graphs)
        found = (
            f"{sum(part.rows for part in manifest.graphs):,} vectors"
            f"{f' in {parts} graphs, the lowest' if parts > 1 else ','} recall@{NEAREST}"
            f" {lowest:.3f} with ef {ef}, {sampled} sampled"
        )
        if lowest < FAILING_RECALL:
            raise IndexFault(f"{found}, under {FAILING_RECALL}; ef {better} is needed")
        return found

    def _all_sound(self, part: str) -> bool:
        begin = self._manifest.path(part)
        return all(path in self._sound for path in self._manifest.files if path.startswith(begin))


class _StoreParts:
    """The parts of an index in a store; as `_Parts`, of samples, as all would have to be read."""

    def __init__(self, manifest: Manifest, stack: contextlib.ExitStack) -> None:
        self._manifest, self._stack = manifest, stack
        self._index: OpenIndex | None = None
        self._vectors: Vectors | None = None
        self._labels: Labels = np.empty(0, np.int64)

    def store(self) -> str:
        """The store: it answers, and holds this index, with as many documents as it should."""
        from bioretrieval_tui.index.store_index import connected

        manifest = self._manifest
        store, collection = connected(manifest)
        with contextlib.closing(store):
            held = store.count(collection)
        if held != manifest.documents:
            said = f"{held:,} documents, not {manifest.documents:,}: others have changed it"
            raise IndexFault(said)
        self._index = open_index(manifest.name)
        self._stack.callback(self._index.close)
        return f"{store.address}, {store.version}, collection {collection}"

    def documents(self) -> str:
        """The content hashes of a sample."""
        if self._index is None:
            return ""
        documents, rows = self._index.documents, self._manifest.rows
        number, step = 0, max(1, rows // _PLACES)
        for start in range(0, rows, step):
            for label, record in islice(documents.records(start), min(step, _EACH)):
                if label >= start + step:
                    break
                number += 1
                if label not in documents.same_content(record.document.content_hash()):
                    raise IndexFault(f"document {label} does not fit its content hash")
        return f"{self._manifest.documents:,}, {number} sampled"

    def vectors(self) -> str:
        """Vectors of the first documents: finite, of length 1 where they should be."""
        manifest = self._manifest
        if self._index is None:
            return ""
        rows = islice(self._index.documents.records(), _COMPARED)
        labels = np.array([label for label, _ in rows], dtype=np.int64)
        self._labels, self._vectors = labels, self._index.vectors.beginnings(labels)
        lengths = np.linalg.norm(self._vectors, axis=1)
        wrong = ~np.isfinite(lengths)
        if manifest.normalised:
            wrong |= (np.abs(lengths - 1) > _LENGTH_WITHIN) & (lengths > 0)
        if wrong.any():
            what = "not unit vectors" if manifest.normalised else "not finite"
            raise IndexFault(f"{int(wrong.sum()):,} are {what}")
        return f"{manifest.documents:,} x {manifest.dimension}, {len(labels):,} read"

    def text(self) -> str:
        """BM25 and fields: a sample of documents is found by its own terms and its id."""
        if self._index is None:
            return ""
        index, wanted = self._index, self._labels[:: max(1, len(self._labels) // _PLACES)].tolist()
        if isinstance(index.fields, MetadataIndex) and (wrong := index.fields.check()):
            raise IndexFault(wrong)
        for label, document in zip(wanted, index.documents.get(wanted), strict=True):
            text = f"{document.title} {document.text}"[:1_000]
            if weighted_terms(text) and not index.lexical.scores_of(text, np.array([label]))[0] > 0:
                raise IndexFault(f"document {label} is not found by its own terms")
        where = "in the store" if self._manifest.remote_text else "beside the manifest"
        return f"{len(self._manifest.fields.names) if self._manifest.fields else 0} fields, {where}"

    def graph(self) -> str:
        """Recall@10 of the store's index: how many it finds of the documents that were read and
        are nearer to one of them than the last of ten."""
        if self._index is None or self._vectors is None:
            return ""
        labels, vectors = self._labels, self._vectors
        chosen = range(0, len(labels), max(1, len(labels) // _ASKED))
        found = due = 0
        for at in chosen:
            near, similarities = self._index.vectors.search(vectors[at], NEAREST)
            # Those that were read and are as near as the last one found should be found too.
            nearer = labels[vectors @ vectors[at] > similarities[-1] + _ROUNDED]
            due += len(nearer)
            found += int(np.isin(nearer, near).sum())
        recall = found / max(1, due)
        said = f"recall@{NEAREST} {recall:.3f}, {len(chosen)} sampled"
        if recall < FAILING_RECALL:
            raise IndexFault(f"{said}, under {FAILING_RECALL}")
        return said
