"""Building, extending and compacting an index: always beside the old one, the manifest last.

Whatever stops it (a bad record under --strict, a full disk, the user, kill -9) leaves the old
index in force, and the vectors that were paid for in a pool for the next attempt.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bioretrieval_tui.corpus.reading import ReadSettings
from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index.assemble import Base, Settings, assemble
from bioretrieval_tui.index.intake import Feed, feed_files, feed_store
from bioretrieval_tui.index.layout import CATALOGUE, DEAD, MANIFEST, check_name, index_folder
from bioretrieval_tui.index.lock import writing
from bioretrieval_tui.index.manifest import (
    IdKind,
    Manifest,
    check_content,
    fault,
    read_manifest,
)
from bioretrieval_tui.index.matrix import open_dead, open_matrix
from bioretrieval_tui.index.pipeline import WINDOW
from bioretrieval_tui.index.pool import VectorPool
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.sweep import sweep_index, sweep_removed
from bioretrieval_tui.index.vectorise import (
    ModelFacts,
    ModelVectors,
    NoVectors,
    Vectoriser,
    facts_in,
)
from bioretrieval_tui.progress import Reporter, silent


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished build: the manifest in force, what was read, and whether anything changed."""

    manifest: Manifest
    report: Report
    changed: bool = True


@dataclass(slots=True)
class Reading:
    """What a build that failed had read: filled while it runs, for a report in any case."""

    report: Report = field(default_factory=Report)


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
) -> Outcome:
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
) -> Outcome:
    """Add corpus files to an index: new records come in, changed ones replace, deleted ones go.

    Only what is new or changed is encoded, by the model that the index was built with, which
    `factory_of` gives; where nothing is, no model is loaded.

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
) -> Outcome:
    """Add whatever `feed` gives to an index; see `add_to_index`."""
    _refuse_catalogue(name)
    folder = index_folder(name)
    with _work(name, "extended"), open_base(name, whole=True) as base:
        facts = facts_in(base.manifest)
        vectoriser: Vectoriser = NoVectors(facts)
        if base.manifest.encoded:
            vectoriser = ModelVectors(
                folder,
                factory_of(base.manifest),
                facts=facts,
                old=(facts, base.store, base.matrix),
            )
        return _assembled(name, feed, vectoriser, Settings(base=base), reporter, reading)


def compact_index(name: str, *, reporter: Reporter = silent) -> Outcome:
    """Write an index anew without what is dead, from its own documents and vectors.

    Graph and lexical index are made again, so this also mends an index in which they are damaged.

    Raises:
        NotFoundError: there is none. IndexFault: another process writes it, its documents or
            vectors are damaged, or the disk is full.
    """
    folder = index_folder(name)
    with _work(name, "compacted"), open_base(name) as base:
        facts = facts_in(base.manifest)
        vectoriser: Vectoriser = NoVectors(facts)
        if base.manifest.encoded:
            vectoriser = ModelVectors(
                folder, _no_encoder, facts=facts, old=(facts, base.store, base.matrix)
            )
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
) -> Outcome:
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
) -> Outcome:
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


def build_with_vectors(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    *,
    ids: IdKind | None = None,
    reporter: Reporter = silent,
    reading: Reading | None = None,
) -> Outcome:
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
) -> Outcome:
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
    return Outcome(manifest, reading.report, changed)


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
