"""Indexes whose documents and vectors are in a store: opening, copying there, connecting.

A copy goes to a collection of its own, whose name has the generation of the index that is copied,
so that one that was stopped goes on where it was. When all rows are there and counted, the manifest
is noted with the collection, its pointer is switched to it, and last the manifest is written here.
"""

from __future__ import annotations

import base64
import contextlib
import re
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.base import Base, open_base
from bioretrieval_tui.index.manifest import (
    IN_STORE,
    NEW_GRAPHS,
    FileFacts,
    Manifest,
    check_content,
    encode_manifest,
    fault,
    read_manifest,
    seal,
)
from bioretrieval_tui.index.registry import OpenIndex, index_names, manifest_of, sweep_index
from bioretrieval_tui.index.store_parts import StoreDocuments, StoreMatrix, StoreVectors
from bioretrieval_tui.index.stores import (
    AbsentFault,
    SilentFault,
    Store,
    StoreAddress,
    StoredRow,
    StoreFault,
    connect,
    parse_address,
)
from bioretrieval_tui.index.vector_matrix import Labels, Vectors, open_dead, open_longer
from bioretrieval_tui.paths import file_errors, write_atomically
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.util.formatting import plural

_Result = TypeVar("_Result")

_ROWS = 1_000
"""Documents that are sent at once."""
_OWNER = "owner"
"""The fact of a collection that tells from which home it was copied."""
_LOOKED = 4_096
_TRIES = 5
_WAIT = 4.0
"""Seconds before a copy tries again where the store does not answer, doubled each time."""
_INPUTS_BELOW = 200_000
"""Bytes of a manifest beyond which the copy in the store does without the list of inputs."""


class Stored(msgspec.Struct, frozen=True):
    """A copy in a store: the index, its collection, the documents, and how many of them an earlier
    call had sent."""

    name: str
    collection: str
    documents: int
    before: int
    seconds: float


def pointer_of(name: str) -> str:
    """The pointer to the collection of an index: letters, digits and underscores."""
    plain = re.sub(r"\W", "_", name)
    # Two names may differ in what is replaced only.
    return f"brtu_{plain}" if plain == name else f"brtu_{plain}_{zlib.crc32(name.encode()):08x}"


class StoreBase(msgspec.Struct, frozen=True):
    """An index in a store, as what is copied or exported from; the fields are those of `Base`."""

    manifest: Manifest
    folder: Path
    store: StoreDocuments
    matrix: StoreMatrix
    dead: frozenset[int]
    longer: frozenset[int] | None = None
    passages: None = None


@contextlib.contextmanager
def open_anywhere(name: str) -> Iterator[Base | StoreBase]:
    """As `open_base`, also for an index in a store."""
    manifest = manifest_of(name)
    if manifest.store is None:
        with open_base(name) as base:
            yield base
        return
    folder = layout.index_folder(name)
    store, collection = connected(manifest)
    with contextlib.closing(store):
        documents = StoreDocuments(store, collection, manifest)
        matrix = StoreMatrix(StoreVectors(store, collection, manifest))
        dead, longer = set[int](), None
        if not manifest.remote_text:
            dead |= {*open_dead(manifest, folder).tolist()}
            if manifest.longer is not None:
                check_content(manifest, folder, manifest.path(layout.LONGER))
                longer = frozenset(open_longer(manifest, folder).tolist())
        elif manifest.documents < manifest.rows:
            for start in range(0, manifest.rows, _LOOKED):
                labels = range(start, min(start + _LOOKED, manifest.rows))
                dead |= {*labels} - store.ids(collection, labels).keys()
        yield StoreBase(manifest, folder, documents, matrix, frozenset(dead), longer)


# Opening ------------------------------------------------------------------------------------------


def open_in_store(manifest: Manifest, folder: Path, failing: contextlib.ExitStack) -> OpenIndex:
    """Open an index whose manifest names a store. Raises StoreFault where the store does not
    answer, or holds another index under that name."""
    store, collection = connected(manifest)
    failing.callback(store.close)
    documents = StoreDocuments(store, collection, manifest)
    vectors = StoreVectors(store, collection, manifest)
    if manifest.fields is None:
        raise fault(manifest, "its manifest lacks the metadata")
    if manifest.remote_text:
        from bioretrieval_tui.index.milvus_text import open_text

        text, fields = open_text(store, collection, manifest, documents)
        return OpenIndex(manifest, folder, documents, text, fields, vectors)
    from bioretrieval_tui.index.metadata import MetadataIndex
    from bioretrieval_tui.index.text_index import TextIndex

    beside = TextIndex(folder / manifest.path(layout.TEXT), manifest.lexical, name=manifest.name)
    place, dead = folder / manifest.path(layout.METADATA), open_dead(manifest, folder)
    metadata = MetadataIndex(place, manifest.fields, dead, beside, documents)
    return OpenIndex(manifest, folder, documents, beside, metadata, vectors)


def connected(manifest: Manifest, *, load: bool = True) -> tuple[Store, str]:
    """The store of an index, and the collection that its pointer names there; load: ready to be
    read. Raises StoreFault where that is another one than the index was copied to."""
    if manifest.store is None or manifest.collection is None:
        raise UsageError(f"index {manifest.name} is not in a store")
    store = connect(parse_address(manifest.store), made=True)
    try:
        collection = store.pointed(manifest.collection)
        if collection is None:
            said = f"{store.address} no longer holds index {manifest.name}"
            again = f"bioretrieval-tui index remove {manifest.name}, and copy it there again"
            raise StoreFault(said, remedy=again)
        if noted_manifest(store, collection).generation != manifest.generation:
            raise StoreFault(
                f"others have replaced index {manifest.name} in {store.address}",
                remedy=f"bioretrieval-tui index connect {manifest.name} {store.address}",
            )
        if load:
            store.load(collection)
    except BaseException:
        store.close()
        raise
    return store, collection


def noted_manifest(store: Store, collection: str) -> Manifest:
    """The manifest that is noted with a collection. Raises StoreFault if there is none."""
    damaged = StoreFault(
        f"the collection {collection} of {store.address} is not an index",
        remedy="others have made or changed it: copy the index there again",
    )
    try:
        packed = base64.b85decode(store.facts(collection)["manifest"])
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(packed, 32 * 2**20)
        manifest = msgspec.json.decode(data, type=Manifest)
    except (KeyError, ValueError, zlib.error, msgspec.DecodeError) as error:
        raise damaged from error
    if manifest.store is None or manifest.format != IN_STORE:
        raise damaged
    return manifest


# Copying there ------------------------------------------------------------------------------------


def copy_to_store(
    name: str,
    address: StoreAddress,
    *,
    to: str | None = None,
    beside: bool | None = None,
    reporter: Reporter = silent,
) -> Stored:
    """Copy an index into a store, and register it as the index `to` (by default NAME-ENGINE; NAME
    itself moves it). Nothing is encoded.

    beside: whether BM25 and filters stay with files here; by default where the store has none.
    Raises NotFoundError, IndexFault, UsageError if there is another index `to` or the index cannot
    be in a store, StoreFault. A copy that was stopped goes on with the same call.
    """
    to = layout.check_own_name(f"{name}-{address.engine}" if to is None else to)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(layout.writing(to, "copied into a store"))
        if to != name:
            stack.enter_context(layout.using(name))
        source = stack.enter_context(open_anywhere(name))
        manifest = source.manifest
        _require_fit(manifest, to)
        store = connect(address)
        stack.callback(store.close)
        if manifest.remote_text:
            if beside or not store.takes_text:
                said = f"BM25 of index {name} is in its store, and cannot be beside the manifest"
                raise UsageError(said, remedy="export it, and import it here")
            beside = False
        copying = _Copying(source, store, to, beside, reporter)
        before = copying.send()
        made = copying.complete()
        if to == name and manifest.store not in (None, str(address)):
            there, collection = connected(manifest, load=False)  # it moves from another store
            with contextlib.closing(there):
                there.drop(collection)
    return Stored(
        to, copying.collection, made.documents, before, round(time.monotonic() - started, 3)
    )


def _require_fit(manifest: Manifest, to: str) -> None:
    """Raise UsageError where an index cannot be in a store, or not as `to`."""
    name = manifest.name
    if manifest.outdated:
        remedy = f"bioretrieval-tui index compact {name} (encodes nothing)"
        raise IndexFault(f"index {name} is of an older version: {manifest.outdated}", remedy=remedy)
    if not manifest.encoded:
        remedy = f"bioretrieval-tui index add-vectors {name}"
        raise UsageError(f"index {name} has no vectors, which a store needs", remedy=remedy)
    if manifest.passages:
        remedy = "build it without --passages for a store"
        raise UsageError(f"index {name} has several vectors a document", remedy=remedy)
    if to != name and to in index_names():
        held = manifest_of(to)
        if held.store is None or held.recipe_hash != manifest.recipe_hash:
            said = f"there is another index {to}"
            raise UsageError(said, remedy="name the copy: --as NAME")


def require_place(name: str, address: StoreAddress) -> None:
    """Check that an index of this name can be copied there, before it is built. Raises as
    `copy_to_store`."""
    with contextlib.closing(connect(address)) as store:
        _require_own(store, layout.check_own_name(name))


def _require_own(store: Store, name: str, collection: str | None = None) -> None:
    """Raise UsageError if the store has an index of this name from another home; collection: one
    that may stand there."""
    held = store.pointed(pointer_of(name))
    if held is None or held == collection:
        return
    with contextlib.suppress(AbsentFault):  # others have deleted it
        if store.facts(held).get(_OWNER) != layout.owner():
            _refuse(store, name, noted_manifest(store, held))


def _refuse(store: Store, name: str, other: Manifest) -> None:
    raise UsageError(
        f"{store.address} has an index {name} that was copied there from another home:"
        f" {plural(other.documents, 'document')}, {other.model}",
        remedy=f"use another name, or that index: index connect {name} {store.address}",
    )


class _Copying:
    """One copy of an index into a store."""

    def __init__(
        self,
        source: Base | StoreBase,
        store: Store,
        to: str,
        beside: bool | None,
        reporter: Reporter,
    ) -> None:
        self._source, self._store, self._to, self._reporter = source, store, to, reporter
        self._lost = False
        manifest = source.manifest
        self._beside = not store.takes_text if beside is None else beside
        self._pointer = pointer_of(to)
        kind = "" if self._beside else "_text"
        self.collection = f"{self._pointer}_{manifest.generation}{kind}"
        alive = np.ones(manifest.rows, dtype=np.bool_)
        alive[sorted(source.dead)] = False
        self._alive: Labels = np.flatnonzero(alive)

    def send(self) -> int:
        """Send all documents that are not there yet; returns how many were."""
        there = done = self._patiently(self._begin)
        total = len(self._alive)
        if there == total:
            return there
        rows = self._rows(there)
        try:
            while some := list(islice(rows, _ROWS)):
                labels = np.array([row.label for row in some], dtype=np.int64)
                vectors = self._source.matrix.take(labels)
                self._patiently(partial(self._insert, some, vectors))
                done += len(some)
                self._reporter(Progress("copying", done, total, unit="documents"))
            self._patiently(partial(self._store.finish, self.collection, self._reporter))
        except (BioRetrievalError, KeyboardInterrupt) as error:
            sent = f"{done:,} of {total:,} documents are in the store"
            error.add_note(f"{sent}; the same call goes on from there")
            raise
        return there

    def _begin(self) -> int:
        """Create the collection, or see how much of it is there, and cut it to whole batches."""
        store, name = self._store, self.collection
        _require_own(store, self._to, name)
        if name not in store.collections():
            store.create(name, self._source.manifest.dimension, text=not self._beside)
            store.describe(name, {_OWNER: layout.owner()})
            return 0
        store.load(name)
        if "manifest" in store.facts(name):
            return len(self._alive)
        # One at least is sent, and so `finish` is called: it may have been killed within.
        there = max(0, min(store.count(name), len(self._alive) - 1))
        return self._whole(there)

    def _whole(self, there: int) -> int:
        """How many rows are there without a gap, in whole batches; later ones are deleted."""
        there -= there % _ROWS
        while there and self._store.count(self.collection, int(self._alive[there - 1])) != there:
            there = there // 2 // _ROWS * _ROWS
        first = int(self._alive[there]) if there < len(self._alive) else len(self._alive)
        self._store.cut(self.collection, first)
        return there

    def _insert(self, rows: list[StoredRow], vectors: Vectors) -> None:
        """Add rows; after a lost connection those of them that arrived are deleted first."""
        if self._lost:
            self._store.cut(self.collection, rows[0].label)
            self._lost = False
        self._store.insert(self.collection, rows, vectors)

    def _patiently(self, step: Callable[[], _Result]) -> _Result:
        """Do a step; where the store does not answer, say so and try again for a minute."""
        wait = _WAIT
        for left in reversed(range(_TRIES)):
            try:
                return step()
            except SilentFault:
                if not left:
                    raise
                note = f"{self._store.address} does not answer; trying again"
                self._reporter(Progress("copying", 0, unit="documents", note=note))
                self._lost = True
                time.sleep(wait)
                wait *= 2
        raise AssertionError("unreachable")

    def _rows(self, there: int) -> Iterator[StoredRow]:
        """The living documents after the first `there`, of more."""
        names: dict[int, list[str]] = {}
        for alias, label in self._source.store.all_aliases():
            names.setdefault(label, []).append(alias)
        for label, record in self._source.store.records(int(self._alive[there])):
            if label not in self._source.dead:
                yield StoredRow.of(label, record, names.get(label, ()), text=not self._beside)

    def complete(self) -> Manifest:
        """Count the rows, note the manifest, switch the pointer, and write the manifest here."""
        store, due = self._store, len(self._alive)
        held = self._patiently(lambda: store.count(self.collection))
        if held != due:
            store.drop(self.collection)
            said = f"{store.address} holds {held:,} documents of index {self._to}, not {due:,}"
            raise StoreFault(
                f"{said}: two processes have written it", remedy="the same call starts again"
            )
        folder = layout.index_folder(self._to)
        manifest = self._files(folder)
        kept = manifest
        if len(msgspec.json.encode(manifest)) > _INPUTS_BELOW:
            kept = seal(msgspec.structs.replace(manifest, inputs=()))
        packed = zlib.compress(msgspec.json.encode(kept), 9)
        noted = {"manifest": base64.b85encode(packed).decode(), _OWNER: layout.owner()}
        store.describe(self.collection, noted)
        store.point(self._pointer, self.collection)
        with file_errors(f"index {self._to} cannot be written", remedy="free the disk"):
            write_atomically(folder / layout.MANIFEST, encode_manifest(manifest))
            layout.sync_folder(folder)
        self._sweep()
        sweep_index(folder, pools=True)
        return manifest

    def _sweep(self) -> None:
        """Delete older collections of this index, and those of copies that were not finished."""
        own = re.compile(rf"{self._pointer}_[0-9a-f]{{12}}(_text)?")
        for one in self._store.collections():
            older = one != self.collection and own.fullmatch(one)
            if older and self._store.facts(one).get(_OWNER) == layout.owner():
                self._store.drop(one)

    def _files(self, folder: Path) -> Manifest:
        """Put what stays beside the manifest into a new generation; returns the manifest."""
        old, source = self._source.manifest, self._source.folder
        generation = layout.new_token()
        beside = (layout.TEXT, layout.METADATA) if self._beside else ()
        needed = (layout.DEAD, layout.LONGER) if self._beside else ()
        files: dict[str, FileFacts] = {}
        with file_errors(f"index {self._to} cannot be written", remedy="free the disk"):
            (folder / generation).mkdir(parents=True)  # also where nothing stays beside
            for path, facts in old.files.items():
                made_of, _, within = path.partition("/")
                part = within.partition("/")[0]
                if made_of != old.generation or part not in (*needed, *beside):
                    continue
                check_content(old, source, path)
                target = folder / generation / within
                target.parent.mkdir(parents=True, exist_ok=True)
                layout.share_file(source / path, target)
                files[f"{generation}/{within}"] = facts
            for one in {path.parent for path in (folder / generation).rglob("*")}:
                layout.sync_folder(one)
        return seal(
            msgspec.structs.replace(
                old,
                format=IN_STORE,
                name=self._to,
                generation=generation,
                files=files,
                graph=msgspec.structs.replace(NEW_GRAPHS, ef=old.graph.ef),  # which only says `ef`
                store=str(self._store.address),
                collection=self._pointer,
                built=datetime.now(UTC).isoformat(timespec="seconds"),
                app=__version__,
            )
        )


# Connecting ---------------------------------------------------------------------------------------


def connect_index(name: str, address: StoreAddress, *, to: str | None = None) -> Manifest:
    """Register the index NAME of a store, that was copied there from elsewhere, as `to`. Raises
    NotFoundError if the store has none of this name, UsageError if there is another index `to`, or
    its text index is on the machine that copied it."""
    to = layout.check_own_name(name if to is None else to)
    store = connect(address)
    with contextlib.closing(store), layout.writing(to, "connected"):
        folder = layout.index_folder(to)
        held = read_manifest(folder) if to in index_names() else None
        if held is not None and (held.store is None or held.collection != pointer_of(name)):
            raise UsageError(f"there is another index {to}", remedy="name it: --as NAME")
        collection = store.pointed(pointer_of(name))
        if collection is None:
            names = ", ".join(indexes_in(store)) or "none"
            raise NotFoundError(f"{address} has no index {name}", remedy=f"it has: {names}")
        noted = noted_manifest(store, collection)
        if not noted.remote_text:
            said = f"BM25 and filters of {name} are in files of the home from which it was copied"
            remedy = f"there, run: index copy {name} --to HOME, for its files; or copy with --text"
            raise UsageError(said, remedy=f"{remedy} store")
        manifest = seal(msgspec.structs.replace(noted, name=to, store=str(address)))
        with file_errors(f"index {to} cannot be written", remedy="free the disk"):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / layout.MANIFEST, encode_manifest(manifest))
        sweep_index(folder)
        return manifest


def indexes_in(store: Store) -> list[str]:
    """The indexes that a store holds complete."""
    found = []
    for collection in store.collections():
        with contextlib.suppress(BioRetrievalError):
            found.append(noted_manifest(store, collection).name)
    return sorted(set(found))


def delete_in_store(name: str) -> None:
    """Delete the collection of an index in its store. Raises as `connected`."""
    store, collection = connected(manifest_of(name), load=False)
    with contextlib.closing(store), layout.writing(name, "deleted in its store"):
        store.drop(collection)


Finding = tuple[str, Literal["ok", "note", "missing"], str, str | None]
"""The result of a check: what, state, value, and what to do."""


def check_store(address: StoreAddress) -> Iterator[Finding]:
    """Check that a store answers, which version it is, and what it lets this user do: a collection
    of one document is made, found and deleted."""
    started = time.monotonic()
    if address.local and not Path(address.place).exists():
        yield "connection", "note", "there is nothing yet: the first copy makes it", None
        return
    try:
        store = connect(address)
    except BioRetrievalError as error:
        yield "connection", "missing", error.message, error.remedy
        return
    with contextlib.closing(store):
        took = 1_000 * (time.monotonic() - started)
        yield "connection", "ok", f"answers after {took:,.0f} ms", None
        yield "version", "ok", store.version, None
        where = "in the store" if store.takes_text else "beside the manifest, in files here"
        yield "BM25 and filters", "ok", where, None
        trial = f"brtu_check_{layout.new_token()}"
        try:
            store.create(trial, 2)
            row = StoredRow.of(0, Record(Document("check", "a title", "a text"), Place("check")))
            store.insert(trial, [row], np.array([[0.6, 0.8]], dtype=np.float32))
            store.finish(trial, silent)
            labels, scores = store.nearest(trial, np.array([0.6, 0.8], dtype=np.float32), 1, ef=10)
            if labels.tolist() != [0] or abs(float(scores[0]) - 1) > 1e-3:
                raise StoreFault(f"{address} did not find the only document")
            yield "rights", "ok", "collections can be made, filled, searched and deleted", None
        except BioRetrievalError as error:
            yield "rights", "missing", error.message, error.remedy
        finally:
            with contextlib.suppress(BioRetrievalError):
                store.drop(trial)
        names = indexes_in(store)
        yield "indexes", "ok", ", ".join(names) or "none yet", None
        begun = [one for one in store.collections() if _unfinished(store, one)]
        if begun:
            remedy = "the same copy goes on; one of that name that ends deletes it"
            yield "unfinished", "note", ", ".join(begun), remedy


def _unfinished(store: Store, collection: str) -> bool:
    facts = store.facts(collection)
    return _OWNER in facts and "manifest" not in facts
