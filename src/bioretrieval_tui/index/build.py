"""Building, extending and compacting an index: always beside the old one, the manifest last.

Every new state is written to a folder of its own and moved into place. A build that is stopped (by
a bad record under --strict, a full disk, the user, kill -9) leaves the old index in force, and
keeps the computed vectors in a pool for the next attempt.

Reading, encoding and inserting run at once, each in its own thread. The calling thread encodes,
window after window, and is the only one that reports, so that a reporter may raise. Windows are
counted by label, so the documents of a window depend on the files alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.checksum import remember_all, sha256_of
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory
from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.base import Base, InStore, home_vectors, open_base
from bioretrieval_tui.index.estimate import AFTER, BuildEstimate, estimated
from bioretrieval_tui.index.graph import GraphParts
from bioretrieval_tui.index.half_precision import widened
from bioretrieval_tui.index.intake import Feed, Intake, empty_fault, feed_files, feed_store
from bioretrieval_tui.index.manifest import (
    FORMAT,
    FileFacts,
    GraphSettings,
    IdKind,
    Manifest,
    SegmentFacts,
    encode_manifest,
    read_manifest,
    seal,
)
from bioretrieval_tui.index.metadata import EarlyBlocks, write_metadata
from bioretrieval_tui.index.passages import RECORD, Passages, Table
from bioretrieval_tui.index.registry import sweep_index, sweep_removed
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.second_process import helping
from bioretrieval_tui.index.text_index import TextIndexWriter
from bioretrieval_tui.index.vector_cache import (
    IMPORTED,
    ModelFacts,
    ModelVectors,
    Vectoriser,
    VectorPool,
    embedded_facts,
    facts_of,
    facts_without_files,
    known_facts,
)
from bioretrieval_tui.index.vector_matrix import Halves, Matrix
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import ESTIMATE, Progress, Reporter, silent

WINDOW = 512
"""Documents that are encoded together: enough to sort by length, few to hold or to lose. Where
they are long, what the store reads at once is a window."""
_ACCELERATED = 16
"""Times as many on an accelerator, which encodes a single window too quickly to stay busy."""
_PARTLY = 64
"""Documents that an addition encodes at least for its speed to be noted."""
_WAITING = 4
"""Encoded windows that may wait to be inserted."""

Inputs = Sequence[str | os.PathLike[str]]


class BuildOutcome(msgspec.Struct, frozen=True):
    """A finished build: the manifest in force, what was read, and whether anything changed."""

    manifest: Manifest
    report: Report
    changed: bool = True


def build_index(
    name: str,
    inputs: Inputs | Feed,
    source: EncoderFactory | Vectoriser,
    *,
    settings: ReadSettings | None = None,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
    fingerprint: str | None = None,
    report: Report | None = None,
    passages: bool = False,
    facts: ModelFacts | None = None,
    in_store: bool = False,
) -> BuildOutcome:
    """Build the index `name` over corpus files, folders of them, globs or stdin, or a feed.

    source: what loads the encoder, once there are documents, or a vectoriser: a plain one gives an
    index for BM25 alone. facts: of the encoder, where they are known: it is then loaded only if a
    document has no vector yet. Vectors that this home has, see `home_vectors`, are reused where
    model and text are the same; those of the index are kept where BM25 replaces them. ids: what the
    documents' ids are, so that hits can link to them. fingerprint: of what the app makes an index
    from by itself. passages: whether documents that are longer than the model reads get a vector
    for each passage of that length. in_store: whether an index of the name that is in a store may
    be replaced, see `open_base`. reporter: may raise `InterruptedByUser`. report: filled while
    the build runs, so that it is there for a build that fails.

    Raises UsageError for an impossible name, no inputs or an unknown format; NotFoundError if an
    input does not exist; CorpusError if one cannot be read, or none holds a document; IndexFault if
    another process writes this index, it exists and `replace` is False, or the disk is full;
    ModelError if the encoder does not load. In every case the index is as it was before.
    """
    if fingerprint is None:
        _refuse_catalogue(name)
    feed = inputs if callable(inputs) else feed_files(inputs, settings or ReadSettings())
    folder = layout.index_folder(name)
    lexical = type(source) is Vectoriser
    with _writing(name, "built", pools=not lexical), contextlib.ExitStack() as stack:
        base = None  # also for an old index that is damaged
        with contextlib.suppress(NotFoundError, IndexFault, *([InStore] if in_store else [])):
            base = stack.enter_context(open_base(name))
        if not replace and (folder / layout.MANIFEST).exists():
            raise IndexFault(f"there is an index {name} already", remedy="remove it first")
        if lexical and base is not None and base.manifest.encoded:
            _keep_vectors(base)
        if not isinstance(source, Vectoriser):
            source = _model_vectors(name, source, base, facts, passages=passages)
        return _assemble(
            name, feed, source, ids=ids, fingerprint=fingerprint, report=report, reporter=reporter
        )


def build_for_model(
    name: str,
    inputs: Inputs,
    model: str,
    recipe: Encoding | None = None,
    *,
    lexical: bool = False,
    device: str = "auto",
    reporter: Reporter = silent,
    **how: Any,
) -> BuildOutcome:
    """Build an index as `build_index` does, for a model: a hub id or folder, and its recipe.

    lexical: for BM25 alone: no model is loaded; else it is prepared for queries too. how: further
    arguments of `build_index`.
    """
    known = known_facts(model, recipe)
    if lexical:
        plain = Vectoriser(known or facts_without_files(model, recipe))
        return build_index(name, inputs, plain, reporter=reporter, **how)
    load = partial(load_encoder, model, recipe, device=device, reporter=reporter)
    outcome = build_index(name, inputs, load, facts=known, reporter=reporter, **how)
    prepare_query_encoder(model, recipe, reporter=reporter)
    return outcome


def _model_vectors(
    name: str,
    source: EncoderFactory,
    base: Base | None,
    facts: ModelFacts | None,
    *,
    passages: bool,
) -> ModelVectors:
    """Vectors by a model for a new state of an index."""
    folder = layout.index_folder(name)
    return ModelVectors(
        folder,
        source,
        facts=facts,
        old=None if base is None else base.vectors(),
        others=partial(home_vectors, folder),
        max_tokens=embedded.MOST_TOKENS if facts == embedded_facts() else None,
        passages=passages,
    )


def _keep_vectors(base: Base) -> None:
    """Put all vectors of an index into its pool, for a later build."""
    facts, first = facts_of(base.manifest), 0
    with contextlib.closing(VectorPool(base.folder, facts.key, facts.dimension)) as pool:
        for documents in base.store.batches(WINDOW):
            labels = np.arange(first, first + len(documents))
            longer = [None if base.longer is None else one in base.longer for one in labels]
            digests = [one.content_hash() for one in documents]
            rows = labels if base.passages is None else base.passages.firsts(labels)
            pool.append(digests, base.matrix.halves(rows), longer)
            first += len(documents)


def add_to_index(
    name: str,
    inputs: Inputs | Feed,
    load: Callable[..., Encoder] | None = None,
    *,
    source: Vectoriser | None = None,
    device: str = "auto",
    settings: ReadSettings | None = None,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Add corpus files or a feed: new records are added, changed ones replaced, deleted removed.

    Only new and changed documents are encoded, by the model that the index was built with, which is
    loaded if there are any; load: called as `load_encoder`, the default; source: has their vectors
    instead, by the same model and recipe. An index of an older version is compacted first. Raises
    as `build_index`, and NotFoundError if there is no such index.
    """
    _refuse_catalogue(name)
    feed = inputs if callable(inputs) else feed_files(inputs, settings or ReadSettings())
    found = read_manifest(layout.index_folder(name))
    if found.outdated:
        compact_index(name, reporter=reporter)
    with _writing(name, "extended"), open_base(name, whole=True) as base:
        old = base.manifest
        factory = partial(
            load or load_encoder,
            old.model,
            old.recipe,
            device=device,
            revision=old.known_revision,
            reporter=reporter,
        )
        vectoriser = source or base.vectoriser(factory)
        return _assemble(name, feed, vectoriser, base=base, report=report, reporter=reporter)


def add_vectors(
    name: str,
    source: EncoderFactory,
    *,
    facts: ModelFacts | None = None,
    passages: bool = False,
    reporter: Reporter = silent,
    report: Report | None = None,
) -> BuildOutcome:
    """Rewrite an index with the vectors of a model, from its own documents; other parameters as of
    `build_index`. BM25 answers meanwhile. Raises as `compact_index`, and as the encoder does."""
    _refuse_catalogue(name)
    with _writing(name, "given vectors"), open_base(name) as base:
        old, feed = base.manifest, feed_store(base.store, base.dead)
        vectoriser = _model_vectors(name, source, base, facts, passages=passages)
        return _assemble(
            name,
            feed,
            vectoriser,
            ids=old.ids,
            fingerprint=old.fingerprint,
            source=old,
            report=report,
            reporter=reporter,
        )


def compact_index(name: str, *, reporter: Reporter = silent) -> BuildOutcome:
    """Rewrite an index without deleted documents, from its own documents and vectors.

    Graph, text index and metadata are rebuilt, so this also repairs an index in which they are
    damaged. Raises NotFoundError, and IndexFault if another process writes the index, its documents
    or vectors are damaged, or the disk is full.
    """

    def no_encoder() -> Encoder:
        raise IndexFault("a document has no vector in the index", remedy="build the index again")

    with _writing(name, "compacted"), open_base(name) as base:
        old, feed = base.manifest, feed_store(base.store, base.dead)
        return _assemble(
            name,
            feed,
            base.vectoriser(no_encoder),
            ids=old.ids,
            fingerprint=old.fingerprint,
            source=old,
            reporter=reporter,
        )


@contextlib.contextmanager
def _writing(name: str, doing: str, *, pools: bool = True) -> Iterator[None]:
    """Hold the index for writing, sweep before and after, and turn disk errors into IndexFault.
    pools: whether a finished build uses up the vectors that unfinished ones left."""
    folder = layout.index_folder(name)
    with layout.writing(name, doing):
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
                if finished:
                    # After the sweep, which takes away other names of files that are shared.
                    files = read_manifest(folder).files
                    remember_all(folder, {path: one.sha256 for path, one in files.items()})
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
    if layout.check_name(name) == layout.CATALOGUE:
        raise UsageError(
            f"the index {layout.CATALOGUE!r} is made from the catalogue itself",
            remedy="choose another name",
        )


def _assemble(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    *,
    base: Base | None = None,
    ids: IdKind | None = None,
    fingerprint: str | None = None,
    source: Manifest | None = None,
    report: Report | None = None,
    reporter: Reporter,
) -> BuildOutcome:
    """Build and put in force, unless an extension changes nothing. The caller holds the index for
    writing, sweeps, and turns disk errors into IndexFault.

    base: the index to extend, None for a new one; source: a manifest whose inputs and encoding
    speed remain true of the new index (compacting).
    """
    started = time.perf_counter()
    report = report or Report()
    folder = layout.index_folder(name)
    old = None if base is None else base.manifest
    work = folder / f"{layout.BUILDING_PREFIX}{layout.new_token()}"
    generation = work / "generation"
    generation.mkdir(parents=True)
    store, gone = (None, frozenset[int]()) if base is None else (base.store, base.dead)
    old_text = None if old is None else folder / old.path(layout.TEXT)
    with (
        helping() as helpers,
        StoreWriter(work / layout.DOCUMENTS, store, gone) as writer,
        TextIndexWriter(generation / layout.TEXT, base=old_text, helpers=helpers) as text,
    ):
        intake = Intake(writer, report, accept=vectoriser.accept)
        out = generation / layout.METADATA
        blocks = None if old is not None else EarlyBlocks(out, writer, helpers[0])
        filled = _fill(work, generation, feed, intake, vectoriser, text, blocks, base, reporter)
        facts, graphs, longer, tables = filled
        report.encoded, report.without_document = vectoriser.encoded, vectoriser.unused
        if old is not None and writer.changes == 0:
            report.documents, report.longer = old.documents, old.longer
            report.max_tokens = old.max_tokens
            report.passages = old.vectors if old.passages else None
            return BuildOutcome(old, report, changed=False)
        writer.finish()
        died = np.array(sorted(writer.died), dtype=np.int64)
        dead = np.array(sorted(writer.died | gone), dtype=np.int64)
        report.documents = alive = writer.next - len(dead)
        if longer is not None:
            report.longer = len(longer) - int(np.isin(longer, dead).sum())
        report.max_tokens = vectoriser.max_tokens
        if alive <= 0:
            raise empty_fault(report)
        reporter(Progress("linking", 0, 4, unit="steps", note="text index"))
        text_facts = text.finish(dead=died, documents=alive, total=writer.next)
        reporter(Progress("linking", 1, 4, unit="steps", note="metadata"))
        older, old_metadata = [], None
        if old is not None and old.fields is not None:
            older = [folder / path for path in old.stores()]
            old_metadata = (folder / old.path(layout.METADATA), old.fields)
        with contextlib.closing(DocumentStore([*older, work / layout.DOCUMENTS])) as whole:
            metadata = write_metadata(
                out,
                whole,
                base=old_metadata,
                dead=dead,
                reporter=reporter,
                second=helpers[0],
                first=0 if blocks is None else blocks.end,
            )
    passages, several = None, None
    if tables or (base is not None and base.passages is not None):
        new = np.concatenate([np.empty(0, RECORD), *tables])
        np.save(work / layout.PASSAGES, new)
        older_tables = [] if base is None or base.passages is None else [base.passages.table]
        passages, several = Passages([*older_tables, new], writer.next), len(new)
        report.passages = passages.rows
    reporter(Progress("linking", 2, 4, unit="steps", note="graph"))
    graph_settings = GraphSettings()
    if graphs is not None:
        graphs.take_tail()
        graph_settings = graphs.finish()
    reporter(Progress("linking", 3, 4, unit="steps"))
    np.save(generation / layout.DEAD, dead)
    if longer is not None:
        np.save(generation / layout.LONGER, np.array(sorted(longer), dtype=np.int64))
    reporter(Progress("linking", 4, 4, unit="steps"))

    segment = SegmentFacts(layout.new_token(), writer.rows, several)
    token = layout.new_token()
    files = _move(work, folder, segment.id, token, old, reporter)
    if old is not None:
        kept = (*old.stores(), *old.matrices(), *old.passage_tables())
        files |= {path: old.files[path] for path in kept}
    source = source or old
    rate = vectoriser.encoded / vectoriser.seconds if vectoriser.seconds else 0.0
    if source is not None and vectoriser.encoded < _PARTLY:
        rate = source.docs_per_second  # of a few documents it says nothing: the earlier one does
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
            max_tokens=report.max_tokens,
            longer=report.longer,
            passages=passages is not None,
            inputs=(*(source.inputs if source else ()), *intake.inputs),
            ids=ids or (old.ids if old else None),
            fingerprint=fingerprint,
        )
    )
    # From here on the new index is the index.
    write_atomically(folder / layout.MANIFEST, encode_manifest(manifest))
    layout.sync_folder(folder)
    return BuildOutcome(manifest, report)


class _Filled(NamedTuple):
    """What a build has made of its documents. facts: of the vectors; graphs: None without vectors;
    longer: the labels of all documents with more tokens than the model reads, None
    if that is not known; tables: of the passages of new documents, in order, none without."""

    facts: ModelFacts
    graphs: GraphParts | None
    longer: list[int] | None
    tables: list[Table]


def _fill(
    work: Path,
    generation: Path,
    feed: Feed,
    intake: Intake,
    vectoriser: Vectoriser,
    text: TextIndexWriter,
    blocks: EarlyBlocks | None,
    base: Base | None,
    reporter: Reporter,
) -> _Filled:
    """Put the documents of `feed` into the store, with their vectors, graph and text index; and
    first blocks of their metadata, while others are read.

    Raises CorpusError if there is no document at all, and the first error that reading, encoding,
    writing or `reporter` raise; all threads are ended then.
    """
    writer, report = intake.writer, intake.report
    done = 0
    known = frozenset[int]() if base is None else base.longer
    longer = None if known is None else list(known)
    estimate: BuildEstimate | None = None
    graphs: GraphParts | None = None
    waiting: deque[Future[None]] = deque()
    tables: list[Table] = []

    def tell_reading() -> None:
        share, file = intake.share, intake.file
        reporter(Progress("reading", report.read, note=file, input_share=share, unit="records"))

    def tell(step: Progress | None = None) -> None:
        """Report the whole; `step` is a batch of the window that is being encoded."""
        running = 0 if step is None else step.done
        encoded, tokens = vectoriser.encoded + running, vectoriser.tokens
        elapsed = time.perf_counter() - begun or 1e-9
        if vectoriser.device in ("", IMPORTED):
            encoded = done + running  # nothing is encoded, and all go at one speed
        reporter(
            Progress(
                "encoding" if vectoriser.device else "indexing",  # no model was needed
                done + running,
                # Known as soon as all is read, which may be in the middle of a long window.
                writer.rows if intake.over else None,
                rate=encoded / elapsed if encoded else None,
                note=None if step is None else step.note,
                tokens_rate=tokens / elapsed if encoded and tokens else None,
                device=vectoriser.device or None,
                read=report.read,
                input_share=intake.share,
            )
        )

    def written() -> Matrix:
        """All vectors so far."""
        if not out.closed:
            out.flush()
        path, parts = work / layout.VECTORS, [] if base is None else list(base.matrix.parts)
        if rows := path.stat().st_size // (2 * facts.dimension):
            shape = (rows, facts.dimension)
            parts.append(np.memmap(path, dtype="<f2", mode="r", shape=shape))
        return Matrix(parts, facts.dimension)

    def reckon() -> None:
        """Say what the build will take, once that can be measured, and whether it fits the disk."""
        nonlocal estimate
        elapsed, share = time.perf_counter() - begun, 1.0 if intake.over else intake.share
        ended = intake.over and done >= writer.rows
        if estimate is not None or elapsed < AFTER or not share or ended:
            return
        estimate = estimated(
            rows=writer.rows,
            share=share,
            done=done,
            seconds=elapsed,
            stored=writer.size,
            dimension=facts.dimension,
            vectors=sum(map(len, tables)) / done if tables else 1.0,
            pooled=isinstance(vectoriser, ModelVectors),
        )
        reporter(Progress(ESTIMATE, 0, note=estimate.line))
        new = (path.stat().st_size for path in work.iterdir() if path.is_file())
        estimate.require_space(work.parent, sum(new))  # what is below may be shared

    def insert(first: int, documents: Sequence[Document], vectors: Halves) -> None:
        out.write(np.ascontiguousarray(vectors, dtype="<f2").data)
        index_terms = text.begin(documents)  # another process splits them while the graph grows
        if graphs is not None and base is None:
            graphs.add(widened(vectors), writer.next if intake.over and not tables else 0)
        elif graphs is not None:
            graphs.take_tail()
        index_terms(first)
        if blocks is not None and not intake.over:
            blocks.follow(first + len(documents))

    with contextlib.ExitStack() as stack:
        stack.callback(vectoriser.close)
        stack.callback(intake.stop)
        intake.start(feed)
        intake.wait_for_rows(WINDOW, tell_reading)
        if not writer.next:
            raise empty_fault(report)  # before a model is loaded for nothing
        facts = vectoriser.start()
        out = stack.enter_context((work / layout.VECTORS).open("wb"))
        if facts.dimension:
            old = None if base is None else (base.manifest, base.folder)
            graphs = GraphParts(generation, facts.dimension, facts.similarity, written, old)
        inserting = ThreadPoolExecutor(1, "inserting")
        stack.callback(inserting.shutdown, cancel_futures=True)
        begun, start = time.perf_counter(), writer.first
        while True:
            # No device: no model was needed so far, and looking up needs no large window.
            accelerated = vectoriser.device.partition(":")[0] in ("cuda", "mps")
            window = max(WINDOW * (_ACCELERATED if accelerated else 1), vectoriser.at_once)
            intake.wait_for_rows(start + window - writer.first, tell)
            documents = writer.read(start, window)
            if not documents:
                break
            vectors, table = vectoriser.rows(start, documents, tell)
            tables += [] if table is None else [table]
            if longer is not None and vectoriser.longer is not None:
                longer += (start + place for place in vectoriser.longer)
            else:
                longer = None
            done += len(documents)
            tell()
            reckon()
            while waiting and (waiting[0].done() or len(waiting) > _WAITING):
                waiting.popleft().result()
            waiting.append(inserting.submit(insert, start, documents, vectors))
            start += len(documents)
        for one in waiting:
            one.result()
    return _Filled(facts, graphs, longer, tables)


def _move(
    work: Path,
    folder: Path,
    segment: str,
    generation: str,
    old: Manifest | None,
    reporter: Reporter,
) -> dict[str, FileFacts]:
    """Flush every new file, take its size and checksum, and move both folders into place. old: of
    the index that is extended, of whose files some are shared."""
    (work / "segment").mkdir()
    for path in [one for one in work.iterdir() if one.is_file()]:
        path.rename(work / "segment" / path.name)
    facts: dict[str, FileFacts] = {}
    moved = {work / "segment": segment, work / "generation": generation}
    made = [(root, path) for root in moved for path in sorted(root.rglob("*")) if path.is_file()]
    for number, (root, path) in enumerate(made, start=1):
        within = path.relative_to(root).as_posix()
        known = None if old is None else _shared(path, within, old, folder)
        if known is None:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())  # raises OSError on a full disk
            known = FileFacts(path.stat().st_size, sha256_of(path))
        facts[f"{moved[root]}/{within}"] = known
        reporter(Progress("saving", number, len(made), unit="files"))
    for root, token in moved.items():
        for inner in {path.parent for path in root.rglob("*")} | {root}:
            layout.sync_folder(inner)
        root.rename(folder / token)
    layout.sync_folder(folder)
    return facts


def _shared(path: Path, within: str, old: Manifest, folder: Path) -> FileFacts | None:
    """The facts of a file if it is also one of the index that is extended, which was checked when
    the build began."""
    try:
        same = path.samefile(folder / old.path(within))
    except OSError:
        return None
    return old.files.get(old.path(within)) if same else None
