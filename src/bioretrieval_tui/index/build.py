"""Building an index: documents into the store, then vectors and graph, the manifest last.

All of it happens in a folder of its own; the old index answers until one small file is replaced.
Whatever stops a build (a bad record, a full disk, the user, kill -9) leaves the old one in force.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bioretrieval_tui import __version__
from bioretrieval_tui.corpus.beir import read_beir
from bioretrieval_tui.corpus.checksum import sha256_of
from bioretrieval_tui.corpus.document import Document, Record
from bioretrieval_tui.corpus.source import SourceReader, resolve
from bioretrieval_tui.corpus.store import StoreWriter
from bioretrieval_tui.encoding.encoder import EncoderFactory
from bioretrieval_tui.errors import CorpusError, IndexFault, UsageError
from bioretrieval_tui.index.encode import encode_store
from bioretrieval_tui.index.layout import (
    BUILDING_PREFIX,
    CATALOGUE,
    DOCUMENTS,
    FILES,
    MANIFEST,
    check_name,
    index_folder,
    new_generation,
    sync_file,
    sync_folder,
)
from bioretrieval_tui.index.lock import writing
from bioretrieval_tui.index.manifest import (
    FORMAT,
    FileFacts,
    GraphSettings,
    IdKind,
    InputFacts,
    Manifest,
    encode_manifest,
    seal,
)
from bioretrieval_tui.index.sweep import sweep_index, sweep_removed
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import Progress, Reporter, silent

_TELL_EVERY = 1_000

Fill = Callable[[StoreWriter, Reporter], tuple[InputFacts, ...]]
"""Puts all documents of a build into the store, and says what they were read from."""


def build_index(
    name: str,
    inputs: Sequence[str | os.PathLike[str]],
    encoder_factory: EncoderFactory,
    *,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
) -> Manifest:
    """Build the index `name` over BEIR files (.jsonl, .jsonl.gz) or folders that hold one.

    The encoder is asked for once the documents were read without fault. `ids` says what the
    documents' ids are, so that hits can link to them. `reporter` may raise `InterruptedByUser`.

    Raises:
        UsageError: an impossible name, or no inputs. NotFoundError: an input is not there.
        CorpusError: an input cannot be read whole, is empty, or an id is given twice.
        IndexFault: another process writes this index, it exists and `replace` is False, or the
            disk is full. ModelError: the encoder does not load.
        In every case the index is as it was before.
    """
    if check_name(name) == CATALOGUE:
        raise UsageError(
            f"the index {CATALOGUE!r} is made from the catalogue itself",
            remedy="choose another name",
        )
    if not inputs:
        raise UsageError("no corpus file is named", remedy="index build NAME FILE...")
    files = resolve(inputs)

    def fill(writer: StoreWriter, tell: Reporter) -> tuple[InputFacts, ...]:
        return tuple(_read_file(path, writer, tell) for path in files)

    return build_from(name, fill, encoder_factory, reporter=reporter, replace=replace, ids=ids)


def fill_with(documents: Iterable[Document], origin: str) -> Fill:
    """A `Fill` of documents that are at hand; `origin` stands for their file in messages."""

    def fill(writer: StoreWriter, _: Reporter) -> tuple[InputFacts, ...]:
        for number, document in enumerate(documents, start=1):
            writer.add(Record(document, origin, number))
        return ()

    return fill


def build_from(
    name: str,
    fill: Fill,
    encoder_factory: EncoderFactory,
    *,
    reporter: Reporter = silent,
    replace: bool = True,
    ids: IdKind | None = None,
    fingerprint: str | None = None,
) -> Manifest:
    """Build the index `name` from whatever `fill` puts into its store; see `build_index`."""
    folder = index_folder(name)
    with writing(name, "built"), _storage_faults(name):
        if not replace and (folder / MANIFEST).exists():
            raise IndexFault(f"there is an index {name} already", remedy="remove it first")
        sweep_removed()
        sweep_index(folder)
        generation = new_generation()
        work = folder / f"{BUILDING_PREFIX}{generation}"
        try:
            work.mkdir(parents=True)
            started = time.perf_counter()
            with StoreWriter(work / DOCUMENTS) as writer:
                inputs = fill(writer, reporter)
                count = writer.finish()
            if count == 0:
                raise CorpusError("the corpus is empty: it holds no document")
            encoder = encoder_factory()
            settings = GraphSettings()
            encoded = encode_store(work, encoder, settings, reporter)
            files = _seal(work, reporter)
            seconds = time.perf_counter() - started
            manifest = seal(
                Manifest(
                    format=FORMAT,
                    name=name,
                    generation=generation,
                    model=encoder.model_id,
                    revision=encoder.revision,
                    recipe=encoder.recipe,
                    recipe_hash=encoder.recipe_hash,
                    dimension=encoder.dimension,
                    dtype="float32",
                    similarity=encoder.similarity,
                    normalised=encoder.normalised,
                    documents=count,
                    files=files,
                    graph=settings,
                    built=datetime.now(UTC).isoformat(timespec="seconds"),
                    device=encoder.device,
                    seconds=round(seconds, 3),
                    docs_per_second=round(encoded.rate, 2),
                    app=__version__,
                    inputs=inputs,
                    ids=ids,
                    fingerprint=fingerprint,
                )
            )
            work.rename(folder / generation)
            sync_folder(folder)
            # The swap: from here on the new index is the index.
            write_atomically(folder / MANIFEST, encode_manifest(manifest))
            sync_folder(folder)
        finally:
            # Takes the ruin of a failed build as well as the generation that was replaced.
            sweep_index(folder)
    return manifest


def _read_file(path: Path, writer: StoreWriter, reporter: Reporter) -> InputFacts:
    before = writer.count
    with SourceReader(path) as source:
        for record in read_beir(source):
            writer.add(record)
            if writer.count % _TELL_EVERY == 0:
                reporter(Progress("reading", writer.count))
        read = source.summary(writer.count - before)
    reporter(Progress("reading", writer.count, note=path.name))
    return InputFacts(read.path, read.bytes, read.sha256, read.documents)


def _seal(work: Path, reporter: Reporter) -> dict[str, FileFacts]:
    """Flush every file to disk and take its size and checksum."""
    facts = {}
    for number, name in enumerate(FILES, start=1):
        path = work / name
        sync_file(path)
        facts[name] = FileFacts(path.stat().st_size, sha256_of(path))
        reporter(Progress("saving", number, len(FILES), unit="files"))
    sync_folder(work)
    return facts


@contextlib.contextmanager
def _storage_faults(name: str) -> Iterator[None]:
    """Turn what a full or failing disk raises into one line."""
    try:
        yield
    except BrokenPipeError:
        raise  # a reporter's stderr went away; the disk is well
    except (OSError, sqlite3.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise IndexFault(
            f"index {name} cannot be written: {reason}",
            remedy=f"free or check the disk of {index_folder(name).parent};"
            " what was there before is unchanged",
        ) from error
