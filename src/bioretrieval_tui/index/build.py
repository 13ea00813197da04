"""Building, extending and compacting an index: always beside the old one, the manifest last.

Every new state is written in a folder of its own and moved into place. Whatever stops a build (a
bad record under --strict, a full disk, the user, kill -9) leaves the old index in force, and the
vectors that were computed in a pool for the next attempt.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.writer import StoreWriter
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
    sync_file,
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
    MetadataFacts,
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
    facts_in,
)
from bioretrieval_tui.index.vectors import Halves, Labels, Matrix, open_dead, open_matrix
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import Progress, Reporter, silent


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """A finished build: the manifest in force, what was read, and whether anything changed."""

    manifest: Manifest
    report: Report
    changed: bool = True


@dataclass(slots=True)
class Reading:
    """What a build that failed had read: filled while it runs, for a report in any case."""

    report: Report = field(default_factory=Report)


@dataclass(frozen=True, slots=True)
class Base:
    """An index to build upon: its manifest and folder, its documents and vectors, and the labels
    that are dead."""

    manifest: Manifest
    folder: Path
    store: DocumentStore
    matrix: Matrix
    dead: frozenset[int]


@dataclass(frozen=True, slots=True)
class Settings:
    """base: the index that is extended, None for a whole new one; history: a manifest whose
    inputs and figures stay true of the new index (compacting)."""

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
    reading: Reading | None = None,
) -> BuildOutcome:
    """Build the index `name` over corpus files, folders of them, globs or stdin.

    Vectors of an older index of this name, or of an unfinished build, serve again where model and
    text are the same. The encoder is asked for once there are documents. `ids` says what the
    documents' ids are, so that hits can link to them. `reporter` may raise `InterruptedByUser`.

    Raises:
        UsageError: an impossible name, no inputs or an unknown format. NotFoundError: an input is
            not there. CorpusError: an input cannot be read, or there is no document in it.
        IndexFault: another process writes this index, it exists and `replace` is False, or the
            disk is full. ModelError: the encoder does not load.
        In every case the index is as it was before.
    """
    _refuse_catalogue(name)
    feed = feed_files(inputs, settings or ReadSettings())
    return build_from(
        name,
        feed,
        encoder_factory,
        reporter=reporter,
        replace=replace,
        ids=ids,
        reading=reading,
    )


def add_to_index(
    name: str,
    inputs: Sequence[str | os.PathLike[str]],
    factory_of: Callable[[Manifest], EncoderFactory],
    *,
    settings: ReadSettings | None = None,
    reporter: Reporter = silent,
    reading: Reading | None = None,
) -> BuildOutcome:
    """Add corpus files to an index: new records come in, changed ones replace, deleted ones go.

    Only what is new or changed is encoded, by the model that the index was built with, which
    `factory_of` gives; where nothing is, no model is loaded. An index of an older version is
    compacted first.

    Raises: as `build_index`; NotFoundError also where there is no such index.
    """
    _refuse_catalogue(name)
    feed = feed_files(inputs, settings or ReadSettings())
    return add_from(name, feed, factory_of, reporter=reporter, reading=reading)


def add_from(
    name: str,
    feed: Feed,
    factory_of: Callable[[Manifest], EncoderFactory],
    *,
    reporter: Reporter = silent,
    reading: Reading | None = None,
) -> BuildOutcome:
    """Add whatever `feed` gives to an index; see `add_to_index`."""
    _refuse_catalogue(name)
    found = read_manifest(index_folder(name))
    if found.outdated or not is_current(found.lexical):
        compact_index(name, reporter=reporter)
    with _work(name, "extended"), open_base(name, whole=True) as base:
        vectoriser = _of_base(base, factory_of(base.manifest))
        return _assembled(name, feed, vectoriser, Settings(base=base), reporter, reading)


def encoder_factory_of(
    device: str, reporter: Reporter = silent
) -> Callable[[Manifest], EncoderFactory]:
    """For extending an index: what loads the encoder of its manifest when a document needs it."""

    def of(manifest: Manifest) -> EncoderFactory:
        if manifest.revision == ANY_REVISION:
            raise IndexFault(
                f"index {manifest.name} has imported vectors, which no model here can add to",
                remedy="import all vectors anew",
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
    """Write an index anew without what is dead, from its own documents and vectors.

    Graph and lexical index are made again, so this also mends an index in which they are damaged.

    Raises:
        NotFoundError: there is none. IndexFault: another process writes it, its documents or
            vectors are damaged, or the disk is full.
    """
    with _work(name, "compacted"), open_base(name) as base:
        vectoriser = _of_base(base, _no_encoder)
        settings = Settings(
            ids=base.manifest.ids, fingerprint=base.manifest.fingerprint, history=base.manifest
        )
        feed = feed_store(base.store, base.dead)
        return _assembled(name, feed, vectoriser, settings, reporter, None)


def build_from(
    name: str,
    feed: Feed,
    encoder_factory: EncoderFactory,
    *,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
    fingerprint: str | None = None,
    reading: Reading | None = None,
) -> BuildOutcome:
    """Build the index `name` from whatever `feed` gives; see `build_index`."""
    folder = index_folder(name)
    with _work(name, "built"), _old_index(name) as base:
        if not replace and (folder / MANIFEST).exists():
            raise IndexFault(f"there is an index {name} already", remedy="remove it first")
        old = None if base is None else (facts_in(base.manifest), base.store, base.matrix)
        vectoriser = ModelVectors(folder, encoder_factory, old=old)
        settings = Settings(ids=ids, fingerprint=fingerprint)
        return _assembled(name, feed, vectoriser, settings, reporter, reading)


def build_lexical(
    name: str,
    feed: Feed,
    facts: ModelFacts,
    *,
    reporter: Reporter = silent,
    fingerprint: str | None = None,
) -> BuildOutcome:
    """Build the index `name` for BM25 alone: no vectors, and no model is loaded.

    facts: of the model that may encode the documents later. Vectors of an index that is replaced
    are kept in the pool for that.

    Raises: as `build_index`.
    """
    with _work(name, "built", pools=False):
        with _old_index(name) as base:
            if base is not None and base.manifest.encoded:
                _keep_vectors(base)
        return _assembled(
            name, feed, NoVectors(facts), Settings(fingerprint=fingerprint), reporter, None
        )


def _keep_vectors(base: Base) -> None:
    """Put the vectors of an index into its pool, where the next build that encodes finds them."""
    facts = facts_in(base.manifest)
    pool = VectorPool(base.folder, facts.key, facts.dimension)
    try:
        first = 0
        for documents in base.store.batches(WINDOW):
            labels = np.arange(first, first + len(documents), dtype=np.int64)
            digests = [document.content_hash() for document in documents]
            pool.append(digests, base.matrix.halves(labels))
            first += len(documents)
    finally:
        pool.close()


def _of_base(base: Base, factory: EncoderFactory) -> Vectoriser:
    """Vectors for an index that goes on from `base`; none where that has none."""
    facts = facts_in(base.manifest)
    if not base.manifest.encoded:
        return NoVectors(facts)
    return ModelVectors(base.folder, factory, facts=facts, old=(facts, base.store, base.matrix))


def build_with_vectors(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    *,
    ids: IdKind | None = None,
    reporter: Reporter = silent,
    reading: Reading | None = None,
) -> BuildOutcome:
    """Build the index `name` with vectors that are there already; see `importing`."""
    _refuse_catalogue(name)
    with _work(name, "built"):
        return _assembled(name, feed, vectoriser, Settings(ids=ids), reporter, reading)


@contextlib.contextmanager
def open_base(name: str, *, whole: bool = False) -> Iterator[Base]:
    """An index whose documents and vectors are checked and open, to build upon.

    whole: its graph and lexical index are built upon too, so they are checked as well. Otherwise
    nothing that was made from the documents is needed, not even the list of the dead.

    Raises:
        NotFoundError: there is none. IndexFault: what is needed of it is damaged.
    """
    folder = index_folder(name)
    manifest = read_manifest(folder)
    needed = [*manifest.stores(), *manifest.matrices()]
    _check_all(manifest, folder, needed, "build the index again from its corpus")
    if whole:
        made = [path for path in manifest.files if path not in needed]
        _check_all(manifest, folder, made, f"bioretrieval-tui index compact {name}")
    store = DocumentStore([folder / path for path in manifest.stores()])
    try:
        yield Base(
            manifest, folder, store, open_matrix(manifest, folder), _dead(manifest, folder, store)
        )
    finally:
        store.close()


def _check_all(manifest: Manifest, folder: Path, paths: Sequence[str], remedy: str) -> None:
    """Compare files with the manifest. Raises IndexFault, also for one that is missing."""
    for path in paths:
        try:
            check_content(manifest, folder, path, fresh=False)
        except FileNotFoundError as error:
            raise fault(manifest, f"{Path(path).name} is missing", remedy) from error
        except IndexFault as error:
            raise IndexFault(error.message, remedy=remedy) from error


def _dead(manifest: Manifest, folder: Path, store: DocumentStore) -> frozenset[int]:
    """The labels that are dead, from the list of them or, where that is damaged, from the
    documents themselves, which takes longer."""
    try:
        check_content(manifest, folder, manifest.path(DEAD), fresh=False)
        return frozenset(open_dead(manifest, folder).tolist())
    except (FileNotFoundError, IndexFault):
        return frozenset(store.superseded())


@contextlib.contextmanager
def _old_index(name: str) -> Iterator[Base | None]:
    """The index that is about to be replaced, for its vectors; None where it is of no use."""
    with contextlib.ExitStack() as stack:
        try:
            base = stack.enter_context(open_base(name))
        except (NotFoundError, IndexFault):
            base = None
        yield base


def _assembled(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    settings: Settings,
    reporter: Reporter,
    reading: Reading | None,
) -> BuildOutcome:
    reading = reading if reading is not None else Reading()
    started = time.perf_counter()
    try:
        manifest = assemble(
            name, feed, vectoriser, settings, reading.report, reporter, started=started
        )
    finally:
        vectoriser.close()
    changed = manifest is not None
    if manifest is None:
        manifest = settings.base.manifest if settings.base else read_manifest(index_folder(name))
    reading.report.documents = manifest.documents
    reading.report.encoded = vectoriser.encoded
    return BuildOutcome(manifest, reading.report, changed)


@contextlib.contextmanager
def _work(name: str, doing: str, *, pools: bool = True) -> Iterator[None]:
    """Hold the index for writing, sweep before and after, and say what a bad disk means.

    pools: whether a finished build uses up the vectors that unfinished ones left.
    """
    folder = index_folder(name)
    with writing(name, doing), _storage_faults(name):
        sweep_removed()
        sweep_index(folder)
        finished = False
        try:
            yield
            finished = True
        finally:
            # Takes the ruin of a failed build as well as what a new one has replaced.
            sweep_index(folder, pools=finished and pools)


def _refuse_catalogue(name: str) -> None:
    if check_name(name) == CATALOGUE:
        raise UsageError(
            f"the index {CATALOGUE!r} is made from the catalogue itself",
            remedy="choose another name",
        )


def _no_encoder() -> Encoder:
    raise IndexFault("a document has no vector in the index", remedy="build the index again")


@contextlib.contextmanager
def _storage_faults(name: str) -> Iterator[None]:
    """Turn what a full or failing disk raises into one line."""
    try:
        yield
    except BioRetrievalError:
        raise
    except BrokenPipeError:
        raise  # a reporter's stderr went away; the disk is well
    except (OSError, sqlite3.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise IndexFault(
            f"index {name} cannot be written: {reason}",
            remedy=f"free or check the disk of {index_folder(name).parent};"
            " what was there before is unchanged, and the next build goes on from here",
        ) from error


def assemble(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    settings: Settings,
    report: Report,
    reporter: Reporter,
    *,
    started: float,
) -> Manifest | None:
    """Build and put in force; None where an extension turned out to change nothing.

    The caller holds the index for writing and sweeps. `started`: perf_counter() at the beginning.

    Raises:
        CorpusError: nothing that could be found would be left. OSError, sqlite3.Error: the disk.
        Whatever reading, encoding and `reporter` raise.
    """
    folder = index_folder(name)
    base = settings.base
    work = folder / f"{BUILDING_PREFIX}{new_token()}"
    generation = work / "generation"
    generation.mkdir(parents=True)
    graph_settings = GraphSettings() if base is None else base.manifest.graph
    old_text = None if base is None else base.folder / base.manifest.path(TEXT)
    with (
        StoreWriter(
            work / DOCUMENTS,
            base.store if base is not None else None,
            base.dead if base is not None else frozenset(),
        ) as writer,
        TextIndexWriter(generation / TEXT, base=old_text) as text,
    ):
        intake = Intake(writer, report)
        filled = fill(
            work,
            writer,
            feed,
            intake,
            vectoriser,
            text,
            lambda facts: _start_graph(facts, graph_settings, base),
            reporter,
        )
        if base is not None and writer.changes == 0:
            return None
        writer.finish()
        died = np.array(sorted(writer.died), dtype=np.int64)
        dead = np.union1d(died, np.array(sorted(base.dead if base else ()), dtype=np.int64))
        alive = writer.next - len(dead)
        if alive <= 0:
            raise empty_fault(report)
        reporter(Progress("linking", 0, 4, unit="steps", note="text index"))
        text_facts = text.finish(dead=died, documents=alive, total=writer.next)
    matrix = _matrix(work / VECTORS, writer.rows, filled.facts, base)
    reporter(Progress("linking", 1, 4, unit="steps", note="metadata"))
    metadata = _write_metadata(work, generation / METADATA, base, dead, reporter)
    reporter(Progress("linking", 2, 4, unit="steps", note="measuring recall"))
    if filled.graph is None:
        (generation / GRAPH).touch()
    else:
        filled.graph.bury(died)
        graph_settings = filled.graph.tuned(
            graph_settings, probe(matrix, dead, filled.facts.similarity)
        )
        reporter(Progress("linking", 3, 4, unit="steps", note="saving the graph"))
        filled.graph.save(generation / GRAPH)
    np.save(generation / DEAD, dead)
    reporter(Progress("linking", 4, 4, unit="steps"))

    segment, token = SegmentFacts(new_token(), writer.rows), new_token()
    files = {
        path: facts
        for path, facts in (base.manifest.files if base is not None else {}).items()
        if base is not None and not path.startswith(f"{base.manifest.generation}/")
    }
    files |= _move(work, folder, segment.id, token, reporter)
    source = settings.history or (base.manifest if base is not None else None)
    rate = vectoriser.encoded / vectoriser.seconds if vectoriser.seconds else 0.0
    if not rate and source is not None:
        rate = source.docs_per_second  # nothing was encoded: the rate of before stays true
    manifest = seal(
        Manifest(
            format=FORMAT,
            name=name,
            generation=token,
            model=filled.facts.model,
            revision=filled.facts.revision,
            recipe=filled.facts.recipe,
            recipe_hash=filled.facts.recipe_hash,
            dimension=filled.facts.dimension,
            dtype="float16",
            similarity=filled.facts.similarity,
            normalised=filled.facts.normalised,
            documents=alive,
            segments=(*(base.manifest.segments if base is not None else ()), segment),
            files=files,
            graph=graph_settings,
            lexical=text_facts,
            fields=metadata,
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            device=vectoriser.device or (source.device if source is not None else ""),
            seconds=round(time.perf_counter() - started, 3),
            docs_per_second=round(rate, 2),
            app=__version__,
            aliases=writer.aliases + (base.manifest.aliases if base is not None else 0),
            inputs=(*(source.inputs if source is not None else ()), *intake.inputs),
            ids=settings.ids or (base.manifest.ids if base is not None else None),
            fingerprint=settings.fingerprint,
        )
    )
    # The swap: from here on the new index is the index.
    write_atomically(folder / MANIFEST, encode_manifest(manifest))
    sync_folder(folder)
    return manifest


def _start_graph(
    facts: ModelFacts, settings: GraphSettings, base: Base | None
) -> GraphBuilder | None:
    if not facts.dimension:
        return None
    if base is None:
        return GraphBuilder(facts.dimension, settings, WINDOW)
    return GraphBuilder.grown_from(load_graph(base.manifest, base.folder), settings)


def _write_metadata(
    work: Path, out: Path, base: Base | None, dead: Labels, reporter: Reporter
) -> MetadataFacts:
    """Metadata of the old segments and the new one, which is complete but not in its place."""
    old, paths = None, []
    if base is not None and base.manifest.fields is not None:
        old = (base.folder / base.manifest.path(METADATA), base.manifest.fields)
        paths = [base.folder / path for path in base.manifest.stores()]
    store = DocumentStore([*paths, work / DOCUMENTS])
    try:
        return write_metadata(out, store, base=old, dead=dead, reporter=reporter)
    finally:
        store.close()


def _matrix(path: Path, rows: int, facts: ModelFacts, base: Base | None) -> Matrix:
    """The vectors of the old segments and of the new one."""
    parts: list[Halves] = list(base.matrix.parts) if base is not None else []
    if rows and facts.dimension:
        parts.append(np.memmap(path, dtype="<f2", mode="r", shape=(rows, facts.dimension)))
    return Matrix(parts, facts.dimension)


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
        sync_file(path)
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
