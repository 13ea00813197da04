"""The indexes of this user: list, inspect, open, remove, and sweep what killed processes left.

Listing reads manifests and sizes only and imports neither numpy nor hnswlib.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.config import configuration
from bioretrieval_tui.errors import (
    BioRetrievalError,
    IndexFault,
    NotFoundError,
    UsageError,
    VectorsMissing,
)
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.manifest import (
    COMPACT,
    Manifest,
    check_content,
    check_size,
    fault,
    read_manifest,
)
from bioretrieval_tui.paths import file_errors
from bioretrieval_tui.util.formatting import did_you_mean

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.documents.store import Documents
    from bioretrieval_tui.index.parts import DenseSearch, FieldSearch, LexicalSearch

TRASH = layout.TRASH_PREFIX
_DAY = 24 * 3600 * 10**9
"""Nanoseconds that the trash keeps an index."""
_TRIES = 5
OUT_OF_REACH = "out of reach"
_STORES_SECONDS = 8.0
_OF_EVALUATION = re.compile(r"eval-.+-[0-9a-f]{8}")
"""Names of indexes that evaluations make: an unfinished one has no manifest that tells."""


class IndexInfo(Struct, frozen=True):
    """One index at a glance; what a damaged manifest cannot tell is None.

    status: "ok", "damaged: " and why, "out of reach: " and why of a store, "outdated: " and what to
    run, or "unfinished: " and how many documents a first build has encoded. built: ISO 8601, UTC.
    dead_share: share of documents that were replaced or deleted and still take up disk space.
    segments: builds and additions since the last compaction. recall: recall@10 of the graphs when
    they were built; graphs: how many; outside: vectors that are in none. parts: bytes by part of
    the index. max_tokens: of a document that the model reads, None if there is no limit or it is
    not known; longer: documents that have more, None if that is not known; passages: the vectors of
    an index where those have several. store: where its documents and vectors are, None for files.
    fields: what a filter may name. cached: an evaluation made it, and `clear_cache` removes it.
    """

    name: str
    documents: int | None = None
    model: str | None = None
    dimension: int | None = None
    dtype: str | None = None
    device: str | None = None
    built: str | None = None
    bytes: int = 0
    status: str = "ok"
    docs_per_second: float | None = None
    dead_share: float | None = None
    aliases: int | None = None
    segments: int | None = None
    store: str | None = None
    recall: float | None = None
    graphs: int | None = None
    outside: int | None = None
    parts: dict[str, int] | None = None
    max_tokens: int | None = None
    longer: int | None = None
    passages: int | None = None
    fields: tuple[str, ...] | None = None
    cached: bool = False


@dataclass
class OpenIndex:
    """A complete index, open for reading, whose files were compared with the manifest."""

    manifest: Manifest
    folder: Path
    documents: Documents
    lexical: LexicalSearch
    fields: FieldSearch
    _vectors: DenseSearch | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def vectors(self) -> DenseSearch:
        """The vectors; they are checked, and their graph loaded, when they are first needed. Raises
        IndexFault if there are none, they are damaged, or a newer build replaced them."""
        from bioretrieval_tui.index.vectors import VectorStore

        manifest, folder = self.manifest, self.folder
        with self._opening:
            if self._vectors is None:
                if not manifest.encoded:
                    add = f"bioretrieval-tui index add-vectors {manifest.name}"
                    raise VectorsMissing(
                        f"index {manifest.name} has no vectors",
                        remedy=f"mode lexical needs none; to add them, run: {add}",
                    )
                try:
                    for path in manifest.dense_files():
                        check_content(manifest, folder, path)
                    self._vectors = VectorStore(manifest, folder, later=True)
                except IndexFault as error:
                    if manifest_of(manifest.name).generation == manifest.generation:
                        raise
                    raise IndexFault(
                        f"index {manifest.name} was replaced meanwhile", remedy="try again"
                    ) from error
            return self._vectors

    def living(self) -> Iterator[Document]:
        """All documents that are neither deleted nor replaced, in order of their labels."""
        from bioretrieval_tui.index.vector_matrix import open_dead

        dead = frozenset[int]()
        if self.manifest.store is None:  # which has no others
            dead = frozenset(open_dead(self.manifest, self.folder).tolist())
        for label, record in self.documents.records():
            if label not in dead:
                yield record.document

    def close(self) -> None:
        """Close the documents; the other files are closed with the last reference."""
        self.documents.close()


def index_names() -> list[str]:
    """Names of all indexes, sorted, without those whose first build is not complete."""
    folder = layout.indexes_folder()
    try:
        found = [path.name for path in folder.iterdir() if (path / layout.MANIFEST).exists()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise IndexFault(f"the folder {folder} cannot be read: {error.strerror}") from error
    return sorted(name for name in found if not name.startswith("."))


def list_indexes() -> list[IndexInfo]:
    """All indexes, sorted by name, with damaged and unfinished ones; files are compared by size."""
    found = [_inspect(layout.indexes_folder() / name, deep=False) for name in index_names()]
    return sorted([*found, *unfinished()], key=lambda one: one.name)


def unfinished() -> list[IndexInfo]:
    """Indexes that were never complete, of which some documents are encoded."""
    folders: list[Path] = []
    with contextlib.suppress(OSError):  # `index_names` says what is wrong
        folders = sorted(layout.indexes_folder().glob("[!.]*/"))
    return [
        IndexInfo(
            folder.name,
            bytes=folder_bytes(folder),
            status=f"unfinished: {count:,} documents encoded; build it again to go on",
            cached=bool(_OF_EVALUATION.fullmatch(folder.name)),
        )
        for folder in folders
        if not (folder / layout.MANIFEST).exists() and (count := _pooled(folder))
    ]


def kept_vectors(name: str) -> int:
    """How many documents of an index a build that was stopped has encoded for the next one."""
    return _pooled(layout.index_folder(name))


def _pooled(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(map(layout.pool_rows, folder.glob(f"{layout.POOL_PREFIX}*-*")))
    return 0


def info(name: str, *, deep: bool = True) -> IndexInfo:
    """One index, every file compared by checksum, or by size alone. Raises NotFoundError if there
    is none, UsageError for an impossible name."""
    folder = layout.index_folder(name)
    if not (folder / layout.MANIFEST).exists():
        raise _missing(name)
    return _inspect(folder, deep=deep)


def manifest_of(name: str) -> Manifest:
    """The manifest of an index, checked in itself. Raises NotFoundError, IndexFault."""
    try:
        return read_manifest(layout.index_folder(name))
    except NotFoundError:
        raise _missing(name) from None


def open_index(name: str, *, vectors: bool = True) -> OpenIndex:
    """Open an index after comparing its files with the manifest; if a build completes meanwhile,
    the newer generation.

    vectors: False opens vectors and graph only when they are first needed, so never for BM25.
    Raises NotFoundError if there is none, UsageError for an impossible name, IndexFault if it is
    damaged, of an older format, or has no vectors though they are asked for.
    """
    for _ in range(_TRIES):
        manifest = manifest_of(name)
        if manifest.outdated:
            raise IndexFault(
                f"index {name} cannot be searched by this version: {manifest.outdated}",
                remedy=f"{COMPACT.format(name)} (encodes nothing)",
            )
        try:
            with contextlib.ExitStack() as failing:
                index = _opened(manifest, failing)
                if vectors:
                    # At the first search a newer build may have swept the files.
                    _ = index.vectors
                failing.pop_all()
                return index
        except IndexFault:
            if manifest_of(name).generation == manifest.generation:
                raise
    raise IndexFault(f"index {name} is replaced again and again", remedy="try again later")


def _opened(manifest: Manifest, failing: contextlib.ExitStack) -> OpenIndex:
    from bioretrieval_tui.documents.store import DocumentStore
    from bioretrieval_tui.index.metadata import MetadataIndex
    from bioretrieval_tui.index.text_index import TextIndex
    from bioretrieval_tui.index.vector_matrix import open_dead

    folder, name = layout.index_folder(manifest.name), manifest.name
    dense = manifest.dense_files()
    for path in manifest.files:
        check_size(manifest, folder, path)
    for path in manifest.files:
        if path not in dense:
            # A remembered checksum does for the text index: tantivy does not leave its files.
            check_content(manifest, folder, path)
    if manifest.store is not None:
        from bioretrieval_tui.index.store_index import open_in_store

        return open_in_store(manifest, folder, failing)
    documents = DocumentStore([folder / path for path in manifest.stores()])
    failing.callback(documents.close)
    if (rows := documents.rows) != manifest.rows:
        raise fault(manifest, f"its store holds {rows:,} documents, not {manifest.rows:,}")
    text = TextIndex(folder / manifest.path(layout.TEXT), manifest.lexical, name=name)
    if manifest.fields is None:
        raise fault(manifest, "its manifest lacks the metadata")
    place, dead = folder / manifest.path(layout.METADATA), open_dead(manifest, folder)
    fields = MetadataIndex(place, manifest.fields, dead, text, documents)
    return OpenIndex(manifest, folder, documents, text, fields)


def remove_index(name: str, *, trash: bool = False) -> int:
    """Delete an index, in one step, and return the bytes that it took. trash: `restore_index` can
    bring it back for a day. Raises NotFoundError, and IndexFault if it is being written, is used
    by an evaluation or cannot be deleted."""
    folder = layout.index_folder(name)
    with layout.writing(name, "removed"):
        if name not in (*index_names(), *(one.name for one in unfinished())):
            raise _missing(name)
        layout.require_unused(name)
        size = folder_bytes(folder)
        gone = f"{layout.REMOVED_PREFIX}{name}-{secrets.token_hex(4)}"
        try:
            folder.rename(folder.with_name(f"{TRASH}{name}-{time.time_ns()}" if trash else gone))
        except OSError as error:
            raise IndexFault(f"index {name} cannot be removed: {error.strerror}") from error
        sweep_removed()
    return size


def trash() -> Iterator[tuple[str, Path, int]]:
    """Name, folder and bytes of every index that was removed and can be restored, oldest first."""
    found = (
        (path, path.name.rpartition("-")) for path in layout.indexes_folder().glob(f"{TRASH}*")
    )
    for path, (head, _, at) in sorted(found, key=lambda one: one[1][2].zfill(20)):
        if at.isdigit():  # else it is being deleted
            yield head.removeprefix(TRASH), path, folder_bytes(path)


def restore_index(name: str) -> None:
    """Bring back the index of this name that was removed last. Raises NotFoundError if it was
    deleted meanwhile, UsageError if there is another of this name now, IndexFault."""
    with layout.writing(name, "restored"):
        if layout.index_folder(name).exists():
            raise UsageError(f"there is an index {name} now: remove it first")
        found = [path for one, path, _ in trash() if one == name]
        if not found:
            raise NotFoundError(f"the index {name} was deleted meanwhile")
        with file_errors(f"index {name} cannot be restored"):
            found[-1].rename(layout.index_folder(name))


def _inspect(folder: Path, *, deep: bool) -> IndexInfo:
    """One index, inspected again if it is replaced meanwhile; `deep` compares checksums."""
    check = check_content if deep else check_size
    try:
        for _ in range(_TRIES):
            manifest, status = read_manifest(folder), "ok"
            if manifest.outdated:
                status = f"outdated: {manifest.outdated}; {COMPACT.format(manifest.name)}"
            try:
                for path in manifest.files:
                    check(manifest, folder, path)
                if deep and manifest.store is not None:
                    status = _state_in_store(manifest)
                break
            except IndexFault as error:
                status = _damaged(error)
                if read_manifest(folder).generation == manifest.generation:
                    break
    except BioRetrievalError as error:
        return IndexInfo(folder.name, bytes=folder_bytes(folder), status=_damaged(error))
    return IndexInfo(
        name=manifest.name,
        documents=manifest.documents,
        model=manifest.model if manifest.encoded else "BM25 only",
        dimension=manifest.dimension,
        dtype=manifest.dtype,
        device=manifest.device,
        built=manifest.built,
        bytes=folder_bytes(folder),
        status=status,
        docs_per_second=manifest.docs_per_second,
        dead_share=round(1 - manifest.documents / manifest.rows, 4),
        aliases=manifest.aliases,
        segments=len(manifest.segments),
        store=manifest.store,
        recall=manifest.graph.recall,
        graphs=len(manifest.graphs),
        outside=None
        if manifest.store
        else manifest.vectors - sum(part.rows for part in manifest.graphs),
        parts=manifest.bytes_by_part,
        max_tokens=manifest.max_tokens,
        longer=manifest.longer,
        passages=manifest.vectors if manifest.passages else None,
        fields=None if manifest.fields is None else manifest.fields.names,
        cached=_made_by_evaluation(manifest),
    )


def _state_in_store(manifest: Manifest) -> str:
    """The status of an index by its store."""
    from bioretrieval_tui.index.store_index import connected

    try:
        connected(manifest, load=False)[0].close()
    except BioRetrievalError as error:
        return f"{OUT_OF_REACH}: {error.line()}"
    return "ok"


def with_states(found: Sequence[IndexInfo]) -> list[IndexInfo]:
    """The same indexes, those in a store with the status that the store gives within seconds. What
    one process at a time can open is not asked: that would keep others out."""
    from concurrent.futures import ThreadPoolExecutor, wait

    from bioretrieval_tui.index.stores import parse_address

    asked = [
        one
        for one in found
        if one.store and one.status == "ok" and not parse_address(one.store).exclusive
    ]
    if not asked:
        return list(found)
    pool = ThreadPoolExecutor(len(asked), "stores")
    work = {pool.submit(_state_in_store, manifest_of(one.name)): one.name for one in asked}
    done, _ = wait(work, timeout=_STORES_SECONDS)
    pool.shutdown(wait=False)
    states = dict.fromkeys(work.values(), f"{OUT_OF_REACH}: no answer")
    states |= {work[one]: one.result() for one in done if one.exception() is None}
    return [replace(one, status=states.get(one.name, one.status)) for one in found]


# The cache: indexes that evaluations made, and the vectors of unfinished builds ----------------


def _made_by_evaluation(manifest: Manifest) -> bool:
    return manifest.fingerprint is not None and manifest.name != layout.CATALOGUE


def most_cached() -> int:
    """Bytes that the indexes of evaluations may take: 20 GiB, or as `cache_gib` says."""
    return int(configuration().config.cache_gib * 2**30)


def keep_within_cache(name: str) -> list[str]:
    """Note that an evaluation uses the index `name`, and remove those of other evaluations, the
    least recently used first, until all fit into `most_cached`. Returns the names of those."""
    with contextlib.suppress(OSError):
        os.utime(layout.index_folder(name))
    cached = [one for one in list_indexes() if one.cached]
    used = {one.name: _used(one.name) for one in cached}
    total, gone = sum(one.bytes for one in cached), []
    for one in sorted(cached, key=lambda one: used[one.name]):
        if total <= most_cached():
            break
        if one.name != name:
            with contextlib.suppress(BioRetrievalError):  # it is in use, or gone
                total -= remove_index(one.name)
                gone.append(one.name)
    return gone


def _used(name: str) -> float:
    with contextlib.suppress(OSError):
        return layout.index_folder(name).stat().st_mtime
    return 0.0


def clear_cache() -> tuple[int, list[str]]:
    """Remove the indexes of evaluations and the vectors of unfinished builds; returns the bytes,
    and the names of the indexes that stay: another process writes or uses them."""
    freed, busy = 0, dict[str, None]()
    for one in list_indexes():
        if one.cached:
            try:
                freed += remove_index(one.name)
            except layout.IndexBusy:
                busy[one.name] = None
    for path in layout.indexes_folder().glob(f"[!.]*/{layout.POOL_PREFIX}*"):
        try:
            with layout.writing(path.parent.name, "swept"), contextlib.suppress(OSError):
                freed += path.stat().st_size
                path.unlink()
                path.parent.rmdir()  # succeeds only if it is empty
        except layout.IndexBusy:
            busy[path.parent.name] = None
    return freed, [*busy]


def _damaged(error: BioRetrievalError) -> str:
    return f"damaged: {error.message.partition('is damaged: ')[2] or error.message}"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a build is sweeping
                total += Path(parent, name).lstat().st_size
    return total


def _missing(name: str) -> NotFoundError:
    remedy = did_you_mean(layout.check_name(name), index_names(), "see `index list`", most=3)
    return NotFoundError(f"there is no index {name}", remedy=remedy)


def sweep_index(folder: Path, *, pools: bool = False) -> None:
    """Remove from one index, which the caller holds for writing, all but its manifest and the files
    that it names; all is kept of one whose manifest cannot be read, as a newer version may
    understand it. pools: also remove the vectors of unfinished builds, once a build is finished."""
    if not folder.is_dir():
        return
    remains = (layout.BUILDING_PREFIX, f".{layout.MANIFEST}.")
    keep: set[str] | None = {layout.MANIFEST}
    if (folder / layout.MANIFEST).exists():
        try:
            manifest = read_manifest(folder)
            segments = [segment.id for segment in manifest.segments if manifest.store is None]
            keep = {layout.MANIFEST, manifest.generation, *segments}
        except BioRetrievalError:
            keep = None
    for path in folder.iterdir():
        gone = path.name.startswith(remains) or (keep is not None and path.name not in keep)
        if path.name.startswith(layout.POOL_PREFIX):
            gone = pools or path.stat().st_size == 0
        if gone:
            _discard(path)
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds only if it is empty


def sweep_removed(names: Collection[str] = ()) -> None:
    """Finish every interrupted removal, and delete what has been in the trash for a day, or has one
    of these names. Two processes may do so at once."""
    for path in layout.indexes_folder().glob(f"{layout.REMOVED_PREFIX}*"):
        _discard(path)
    for name, path, _ in trash():
        age = time.time_ns() - int(path.name.rpartition("-")[2])
        if name in names or age > _DAY:
            _discard(path)


def _discard(path: Path) -> None:
    """Delete a file or folder; what cannot be deleted is left for the next sweep."""
    if path.is_dir() and not path.is_symlink():
        # A reader that opens it now would put tantivy's lock file into a folder being emptied.
        with contextlib.suppress(OSError):
            path = path.rename(path.with_name(f"{path.name}-gone"))
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
