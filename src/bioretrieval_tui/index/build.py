"""Building, extending and compacting an index: always beside the old one, the manifest last.

Every new state is written to a folder of its own and moved into place. A build that is stopped (by
a bad record under --strict, a full disk, the user, kill -9) leaves the old index in force, and
keeps the computed vectors in a pool for the next attempt.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store import DocumentStore, StoreWriter
from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index.hnsw import GraphBuilder, load_graph, probe
from bioretrieval_tui.index.intake import Feed, Intake, empty_fault, feed_files, feed_store
from bioretrieval_tui.index.layout import (
    BUILDING_PREFIX,
    CATALOGUE,
    DEAD,
    DOCUMENTS,
    GRAPH,
    MANIFEST,
    METADATA,
    SEGMENT_FILES,
    TEXT,
    VECTORS,
    check_name,
    index_folder,
    new_token,
    sync_folder,
    writing,
)
from bioretrieval_tui.index.manifest import (
    ANY_REVISION,
    FORMAT,
    FileFacts,
    GraphSettings,
    IdKind,
    Manifest,
    SegmentFacts,
    check_content,
    encode_manifest,
    fault,
    read_manifest,
    seal,
)
from bioretrieval_tui.index.metadata import write_metadata
from bioretrieval_tui.index.pipeline import WINDOW, fill
from bioretrieval_tui.index.registry import sweep_index, sweep_removed
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.text_index import TextIndexWriter, is_current
from bioretrieval_tui.index.vector_cache import (
    ModelFacts,
    ModelVectors,
    NoVectors,
    Vectoriser,
    VectorPool,
    facts_of,
)
from bioretrieval_tui.index.vectors import Halves, Matrix, open_dead, open_matrix
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import Progress, Reporter, silent


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """A finished build: the manifest in force, what was read, and whether anything changed."""

    manifest: Manifest
    report: Report
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Base:
    """An index to build upon: its manifest and folder, its documents and vectors, and the labels
    of its deleted documents."""

    manifest: Manifest
    folder: Path
    store: DocumentStore
    matrix: Matrix
    dead: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Settings:
    """base: the index to extend, None for a new one; history: a manifest whose inputs and encoding
    speed remain true of the new index (compacting)."""

    base: Base | None = None
    ids: IdKind | None = None
    fingerprint: str | None = None
    history: Manifest | None = None


def build_index(
    name: str,
    inputs: Sequence[str | os.PathLike[str]],
    encoder_factory: EncoderFactory,
    *,
    settings: ReadSettings | None = None,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
    report: Report | None = None,
) -> BuildOutcome:
    """Build the index `name` over corpus files, folders of them, globs or stdin.

    Vectors of an older index of this name, or of an unfinished build, are reused where model and
    text are the same. The encoder is loaded once there are documents. `ids` says what the
    documents' ids are, so that hits can link to them. `reporter` may raise `InterruptedByUser`.
    `report` is filled while the build runs, so that it is there for a build that fails.

    Raises:
        UsageError: an impossible name, no inputs or an unknown format. NotFoundError: an input
            does not exist. CorpusError: an input cannot be read, or contains no document.
        IndexFault: another process writes this index, it exists and `replace` is False, or the
            disk is full. ModelError: the encoder does not load.
        In every case the index is as it was before.
    """
    _refuse_catalogue(name)
    return build_from(
        name,
        feed_files(inputs, settings or ReadSettings()),
        encoder_factory,
        reporter=reporter,
        replace=replace,
        ids=ids,
        report=report,
    )


def build_from(
    name: str,
    feed: Feed,
    encoder_factory: EncoderFactory,
    *,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
    fingerprint: str | None = None,
    report: Report | None = None,
) -> BuildOutcome:
    """Build the index `name` from the documents of `feed`; see `build_index`."""
    folder = index_folder(name)
    with _writing(name, "built"), _old_index(name) as base:
        if not replace and (folder / MANIFEST).exists():
            raise IndexFault(f"there is an index {name} already", remedy="remove it first")
        old = None if base is None else (facts_of(base.manifest), base.store, base.matrix)
        vectoriser = ModelVectors(folder, encoder_factory, old=old)
        settings = _Settings(ids=ids, fingerprint=fingerprint)
        return _assemble(name, feed, vectoriser, settings, reporter, report)


def build_lexical(
    name: str,
    feed: Feed,
    facts: ModelFacts,
    *,
    reporter: Reporter = silent,
    fingerprint: str | None = None,
) -> BuildOutcome:
    """Build the index `name` for BM25 alone, without vectors and without loading a model.

    facts: of the model that may encode the documents later. Vectors of an index that is replaced
    are kept in the pool for it.

    Raises: as `build_index`.
    """
    with _writing(name, "built", pools=False):
        with _old_index(name) as base:
            if base is not None and base.manifest.encoded:
                old = facts_of(base.manifest)
                first = 0
                with contextlib.closing(VectorPool(base.folder, old.key, old.dimension)) as pool:
                    for documents in base.store.batches(WINDOW):
                        labels = np.arange(first, first + len(documents))
                        digests = [document.content_hash() for document in documents]
                        pool.append(digests, base.matrix.halves(labels))
                        first += len(documents)
        settings = _Settings(fingerprint=fingerprint)
        return _assemble(name, feed, NoVectors(facts), settings, reporter, None)


def build_with_vectors(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    *,
    ids: IdKind | None = None,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Build the index `name` with existing vectors; see `importing`."""
    _refuse_catalogue(name)
    with _writing(name, "built"):
        return _assemble(name, feed, vectoriser, _Settings(ids=ids), reporter, report)


def add_to_index(
    name: str,
    inputs: Sequence[str | os.PathLike[str]],
    factory_of: Callable[[Manifest], EncoderFactory],
    *,
    settings: ReadSettings | None = None,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Add corpus files to an index: new records are added, changed ones replaced, deleted removed.

    Only new and changed documents are encoded, by the model that the index was built with, which
    `factory_of` loads; if there are none, no model is loaded. An index of an older version is
    compacted first.

    Raises: as `build_index`; NotFoundError also if there is no such index.
    """
    _refuse_catalogue(name)
    feed = feed_files(inputs, settings or ReadSettings())
    return add_from(name, feed, factory_of, reporter=reporter, report=report)


def add_from(
    name: str,
    feed: Feed,
    factory_of: Callable[[Manifest], EncoderFactory],
    *,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Add the documents of `feed` to an index; see `add_to_index`."""
    _refuse_catalogue(name)
    found = read_manifest(index_folder(name))
    if found.outdated or not is_current(found.lexical):
        compact_index(name, reporter=reporter)
    with _writing(name, "extended"), open_base(name, whole=True) as base:
        vectoriser = _of_base(base, factory_of(base.manifest))
        return _assemble(name, feed, vectoriser, _Settings(base=base), reporter, report)


def encoder_factory_of(
    device: str, reporter: Reporter = silent
) -> Callable[[Manifest], EncoderFactory]:
    """For extending an index: what loads the encoder of its manifest when a document needs it."""

    def of(manifest: Manifest) -> EncoderFactory:
        if manifest.revision == ANY_REVISION:
            raise IndexFault(
                f"index {manifest.name} has imported vectors, which no model here can add to",
                remedy="import all vectors again",
            )
        return lambda: load_encoder(
            manifest.model,
            manifest.recipe,
            device=device,
            revision=manifest.revision,
            reporter=reporter,
        )

    return of


def compact_index(name: str, *, reporter: Reporter = silent) -> BuildOutcome:
    """Rewrite an index without deleted documents, from its own documents and vectors.

    Graph, text index and metadata are rebuilt, so this also repairs an index in which they are
    damaged.

    Raises:
        NotFoundError: there is none. IndexFault: another process writes it, its documents or
            vectors are damaged, or the disk is full.
    """

    def no_encoder() -> Encoder:
        raise IndexFault("a document has no vector in the index", remedy="build the index again")

    with _writing(name, "compacted"), open_base(name) as base:
        old = base.manifest
        settings = _Settings(ids=old.ids, fingerprint=old.fingerprint, history=old)
        feed = feed_store(base.store, base.dead)
        return _assemble(name, feed, _of_base(base, no_encoder), settings, reporter, None)


def _of_base(base: Base, factory: EncoderFactory) -> Vectoriser:
    """Vectors like those of `base`; none if it has none."""
    facts = facts_of(base.manifest)
    if not base.manifest.encoded:
        return NoVectors(facts)
    return ModelVectors(base.folder, factory, facts=facts, old=(facts, base.store, base.matrix))


@contextlib.contextmanager
def open_base(name: str, *, whole: bool = False) -> Iterator[Base]:
    """An index whose documents and vectors are checked and open, to build upon.

    whole: its graph, text index and metadata are extended too, so they are checked as well.
    Otherwise nothing derived from the documents is needed, not even the list of deleted labels.

    Raises:
        NotFoundError: there is none. IndexFault: a file that is needed is damaged.
    """
    folder = index_folder(name)
    manifest = read_manifest(folder)
    needed = [*manifest.stores(), *manifest.matrices()]
    derived = [path for path in manifest.files if path not in needed] if whole else []
    for path in (*needed, *derived):
        remedy = "build the index again from its corpus"
        if path in derived:
            remedy = f"bioretrieval-tui index compact {name}"
        try:
            check_content(manifest, folder, path, fresh=False)
        except FileNotFoundError as error:
            raise fault(manifest, f"{Path(path).name} is missing", remedy) from error
        except IndexFault as error:
            raise IndexFault(error.message, remedy=remedy) from error
    with contextlib.closing(DocumentStore([folder / path for path in manifest.stores()])) as store:
        matrix = open_matrix(manifest, folder)
        try:
            check_content(manifest, folder, manifest.path(DEAD), fresh=False)
            dead = frozenset(open_dead(manifest, folder).tolist())
        except (FileNotFoundError, IndexFault):
            dead = frozenset(store.superseded())  # takes longer
        yield Base(manifest, folder, store, matrix, dead)


@contextlib.contextmanager
def _old_index(name: str) -> Iterator[Base | None]:
    """The index to be replaced, for its vectors; None if there is none or it is damaged."""
    with contextlib.ExitStack() as stack:
        base = None
        with contextlib.suppress(NotFoundError, IndexFault):
            base = stack.enter_context(open_base(name))
        yield base


@contextlib.contextmanager
def _writing(name: str, doing: str, *, pools: bool = True) -> Iterator[None]:
    """Hold the index for writing, sweep before and after, and turn disk errors into IndexFault.

    pools: whether a finished build uses up the vectors that unfinished ones left.
    """
    folder = index_folder(name)
    with writing(name, doing):
        finished = False
        try:
            sweep_removed()
            sweep_index(folder)
            try:
                yield
                finished = True
            finally:
                # Removes the remains of a failed build as well as what a new one has replaced.
                sweep_index(folder, pools=finished and pools)
        except (BioRetrievalError, BrokenPipeError):
            raise  # a broken pipe is the reporter's stderr, not the disk
        except (OSError, sqlite3.Error) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise IndexFault(
                f"index {name} cannot be written: {reason}",
                remedy=f"free or check the disk of {folder.parent};"
                " what was there before is unchanged, and the next build goes on from here",
            ) from error


def _refuse_catalogue(name: str) -> None:
    if check_name(name) == CATALOGUE:
        raise UsageError(
            f"the index {CATALOGUE!r} is made from the catalogue itself",
            remedy="choose another name",
        )


def _assemble(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    settings: _Settings,
    reporter: Reporter,
    report: Report | None,
) -> BuildOutcome:
    """Build and put in force, unless an extension changes nothing.

    The caller holds the index for writing, sweeps, and turns disk errors into IndexFault.
    """
    started = time.perf_counter()
    report = Report() if report is None else report
    folder = index_folder(name)
    base = settings.base
    old = None if base is None else base.manifest
    work = folder / f"{BUILDING_PREFIX}{new_token()}"
    generation = work / "generation"
    generation.mkdir(parents=True)
    graph_settings = GraphSettings() if old is None else old.graph

    def start_graph(facts: ModelFacts) -> GraphBuilder | None:
        if not facts.dimension:
            return None
        if base is None:
            return GraphBuilder(facts.dimension, graph_settings, WINDOW)
        return GraphBuilder.grown_from(load_graph(base.manifest, base.folder), graph_settings)

    with (
        StoreWriter(
            work / DOCUMENTS,
            None if base is None else base.store,
            frozenset() if base is None else base.dead,
        ) as writer,
        TextIndexWriter(
            generation / TEXT,
            base=None if base is None else base.folder / base.manifest.path(TEXT),
        ) as text,
    ):
        intake = Intake(writer, report)
        facts, graph = fill(work, writer, feed, intake, vectoriser, text, start_graph, reporter)
        if old is not None and writer.changes == 0:
            report.documents, report.encoded = old.documents, vectoriser.encoded
            return BuildOutcome(old, report, changed=False)
        writer.finish()
        died = np.array(sorted(writer.died), dtype=np.int64)
        dead = np.array(sorted(writer.died | (base.dead if base else set())), dtype=np.int64)
        alive = writer.next - len(dead)
        if alive <= 0:
            raise empty_fault(report)
        reporter(Progress("linking", 0, 4, unit="steps", note="text index"))
        text_facts = text.finish(dead=died, documents=alive, total=writer.next)
    reporter(Progress("linking", 1, 4, unit="steps", note="metadata"))
    stores, old_metadata = [work / DOCUMENTS], None
    if base is not None and base.manifest.fields is not None:
        stores[:0] = [base.folder / path for path in base.manifest.stores()]
        old_metadata = (base.folder / base.manifest.path(METADATA), base.manifest.fields)
    with contextlib.closing(DocumentStore(stores)) as store:
        metadata = write_metadata(
            generation / METADATA, store, base=old_metadata, dead=dead, reporter=reporter
        )
    reporter(Progress("linking", 2, 4, unit="steps", note="measuring recall"))
    if graph is None:
        (generation / GRAPH).touch()
    else:
        parts: list[Halves] = [] if base is None else list(base.matrix.parts)
        if writer.rows:
            shape = (writer.rows, facts.dimension)
            parts.append(np.memmap(work / VECTORS, dtype="<f2", mode="r", shape=shape))
        graph.bury(died)
        sampled = probe(Matrix(parts, facts.dimension), dead, facts.similarity)
        graph_settings = graph.tuned(graph_settings, sampled)
        reporter(Progress("linking", 3, 4, unit="steps", note="saving the graph"))
        graph.save(generation / GRAPH)
    np.save(generation / DEAD, dead)
    reporter(Progress("linking", 4, 4, unit="steps"))

    segment, token = SegmentFacts(new_token(), writer.rows), new_token()
    files = {} if old is None else dict(old.files)
    if old is not None:
        files = {path: one for path, one in files.items() if not path.startswith(old.path(""))}
    files |= _move(work, folder, segment.id, token, reporter)
    source = settings.history or old
    rate = vectoriser.encoded / vectoriser.seconds if vectoriser.seconds else 0.0
    if not rate and source is not None:
        rate = source.docs_per_second  # nothing was encoded: the earlier rate remains true
    manifest = seal(
        Manifest(
            format=FORMAT,
            name=name,
            generation=token,
            **msgspec.structs.asdict(facts),
            dtype="float16",
            documents=alive,
            segments=(*(old.segments if old else ()), segment),
            files=files,
            graph=graph_settings,
            lexical=text_facts,
            fields=metadata,
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            device=vectoriser.device or (source.device if source else ""),
            seconds=round(time.perf_counter() - started, 3),
            docs_per_second=round(rate, 2),
            app=__version__,
            aliases=writer.aliases + (old.aliases if old else 0),
            inputs=(*(source.inputs if source else ()), *intake.inputs),
            ids=settings.ids or (old.ids if old else None),
            fingerprint=settings.fingerprint,
        )
    )
    # From here on the new index is the index.
    write_atomically(folder / MANIFEST, encode_manifest(manifest))
    sync_folder(folder)
    report.documents, report.encoded = alive, vectoriser.encoded
    return BuildOutcome(manifest, report)


def _move(
    work: Path, folder: Path, segment: str, generation: str, reporter: Reporter
) -> dict[str, FileFacts]:
    """Flush every new file, take its size and checksum, and move both folders into place."""
    facts: dict[str, FileFacts] = {}
    made = sorted(path for path in (work / "generation").rglob("*") if path.is_file())
    new = [(work / name, f"{segment}/{name}") for name in SEGMENT_FILES]
    new += [
        (path, f"{generation}/{path.relative_to(work / 'generation').as_posix()}") for path in made
    ]
    for number, (path, name) in enumerate(new, start=1):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())  # raises OSError on a full disk
        facts[name] = FileFacts(path.stat().st_size, sha256_of(path))
        reporter(Progress("saving", number, len(new), unit="files"))
    (work / "segment").mkdir()
    for name in SEGMENT_FILES:
        (work / name).rename(work / "segment" / name)
    for part, token in (("segment", segment), ("generation", generation)):
        for inner in {path.parent for path in (work / part).rglob("*")} | {work / part}:
            sync_folder(inner)
        (work / part).rename(folder / token)
    sync_folder(folder)
    return facts
