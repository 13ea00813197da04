"""The indexes of this user: list, inspect, open, remove, and sweep what killed processes left.

Listing reads manifests and sizes only and imports neither numpy nor hnswlib.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.index.layout import (
    BUILDING_PREFIX,
    MANIFEST,
    METADATA,
    POOL_HASH_BYTES,
    POOL_HASHES,
    POOL_PREFIX,
    REMOVED_PREFIX,
    TEXT,
    check_name,
    index_folder,
    indexes_folder,
    writing,
)
from bioretrieval_tui.index.manifest import (
    Manifest,
    check_content,
    check_sizes,
    fault,
    read_manifest,
)

if TYPE_CHECKING:
    from bioretrieval_tui.documents.store import DocumentStore
    from bioretrieval_tui.index.metadata import MetadataIndex
    from bioretrieval_tui.index.text_index import TextIndex
    from bioretrieval_tui.index.vectors import VectorStore


_TRIES = 5
_COMPACT = "bioretrieval-tui index compact {}"


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index at a glance; what a damaged manifest cannot tell is None.

    status: "ok", "damaged: " and why, "outdated: " and what to run, or "unfinished: " and how many
    documents a first build has encoded. bytes: on disk; built: ISO 8601, UTC. dead_share: share of
    documents that were replaced or deleted and still take up disk space. segments: builds and
    additions since the last compaction. recall: recall@10 of the graph against exact search,
    measured when it was built. fields: what a filter may name.
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
    recall: float | None = None
    fields: tuple[str, ...] | None = None


@dataclass
class OpenIndex:
    """A complete index, open for reading, whose files were compared with the manifest."""

    manifest: Manifest
    folder: Path
    documents: DocumentStore
    lexical: TextIndex
    fields: MetadataIndex
    _vectors: VectorStore | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def vectors(self) -> VectorStore:
        """The vectors; they are checked, and their graph loaded, when they are first needed.

        Raises:
            IndexFault: the index has none, they are damaged, or a newer build replaced them.
        """
        from bioretrieval_tui.index.hnsw import HnswStore

        manifest, folder = self.manifest, self.folder
        with self._opening:
            if self._vectors is None:
                if not manifest.encoded:
                    raise IndexFault(
                        f"index {manifest.name} has no vectors: it was built for BM25 alone",
                        remedy="search it with the mode lexical, or build it again with a model",
                    )
                try:
                    for path in manifest.dense_files():
                        check_content(manifest, folder, path, fresh=False)
                    store = HnswStore(manifest, folder)
                    store.ready()
                except FileNotFoundError as error:
                    if manifest_of(manifest.name).generation == manifest.generation:
                        raise _lacks_file(manifest, error) from error
                    raise IndexFault(
                        f"index {manifest.name} was replaced meanwhile", remedy="try again"
                    ) from error
                self._vectors = store
            return self._vectors

    def close(self) -> None:
        """Close the documents; the other files are closed with the last reference."""
        self.documents.close()


def index_names() -> list[str]:
    """Names of all indexes, sorted, without those whose first build is not complete."""
    try:
        found = [path.name for path in indexes_folder().iterdir() if (path / MANIFEST).exists()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise IndexFault(
            f"the folder {indexes_folder()} cannot be read: {error.strerror}"
        ) from error
    return sorted(name for name in found if not name.startswith("."))


def list_indexes() -> list[IndexInfo]:
    """All indexes, sorted by name, with damaged and unfinished ones; files are compared by size."""
    found = [_inspect(indexes_folder() / name, deep=False) for name in index_names()]
    return sorted([*found, *unfinished()], key=lambda one: one.name)


def unfinished() -> list[IndexInfo]:
    """Indexes that were never complete, of which some documents are encoded."""
    found = []
    try:
        folders = [path for path in indexes_folder().iterdir() if not path.name.startswith(".")]
    except OSError:
        return []  # `index_names` says what is wrong
    for folder in folders:
        encoded = 0
        for journal in folder.glob(f"{POOL_PREFIX}*/{POOL_HASHES}"):
            with contextlib.suppress(OSError):
                encoded += journal.stat().st_size // POOL_HASH_BYTES
        if encoded and not (folder / MANIFEST).exists():
            status = f"unfinished: {encoded:,} documents encoded; build it again to go on"
            found.append(IndexInfo(folder.name, bytes=_bytes(folder), status=status))
    return found


def glance(name: str) -> IndexInfo:
    """One index, its files compared by size. Raises NotFoundError, UsageError as `info`."""
    return _inspect(_existing(name), deep=False)


def info(name: str) -> IndexInfo:
    """One index, every file compared by checksum.

    Raises:
        NotFoundError: there is none. UsageError: an impossible name.
    """
    return _inspect(_existing(name), deep=True)


def manifest_of(name: str) -> Manifest:
    """The manifest of an index, checked in itself. Raises NotFoundError, IndexFault."""
    try:
        return read_manifest(index_folder(name))
    except NotFoundError:
        raise _missing(name) from None


def open_index(name: str, *, vectors: bool = True) -> OpenIndex:
    """Open an index after comparing its files with the manifest.

    vectors: False opens vectors and graph only when they are first needed, so never for BM25. If
    a build completes meanwhile, the newer generation is opened.

    Raises:
        NotFoundError: there is none. IndexFault: it is damaged, of an older format, or has no
            vectors though they are asked for. UsageError: an impossible name.
    """
    from bioretrieval_tui.documents.store import DocumentStore
    from bioretrieval_tui.index.metadata import MetadataIndex
    from bioretrieval_tui.index.text_index import TextIndex
    from bioretrieval_tui.index.vectors import open_dead

    folder = index_folder(name)
    for _ in range(_TRIES):
        manifest = manifest_of(name)
        if manifest.outdated:
            raise IndexFault(
                f"index {name} cannot be searched by this version: {manifest.outdated}",
                remedy=f"run once: {_COMPACT.format(name)} (encodes nothing)",
            )
        documents: DocumentStore | None = None
        try:
            check_sizes(manifest, folder)
            dense, native = manifest.dense_files(), manifest.path(f"{TEXT}/")
            for path in manifest.files:
                if path not in dense:
                    # Files for native code are read now, even if their checksum is remembered.
                    check_content(manifest, folder, path, fresh=path.startswith(native))
            documents = DocumentStore([folder / path for path in manifest.stores()])
            if documents.rows != manifest.rows:
                raise fault(
                    manifest,
                    f"its store holds {documents.rows:,} documents, not {manifest.rows:,}",
                )
            text = TextIndex(folder / manifest.path(TEXT), manifest.lexical, name=name)
            if manifest.fields is None:
                raise fault(manifest, "its manifest lacks the metadata")
            fields = MetadataIndex(
                folder / manifest.path(METADATA),
                manifest.fields,
                name=name,
                dead=open_dead(manifest, folder),
                text=text,
                documents=documents,
            )
            index = OpenIndex(manifest, folder, documents, text, fields)
            if vectors:
                # At the first search a newer build may have swept the files.
                _ = index.vectors
            return index
        except (FileNotFoundError, IndexFault) as error:
            if documents is not None:
                documents.close()
            if manifest_of(name).generation != manifest.generation:
                continue
            if isinstance(error, IndexFault):
                raise
            raise _lacks_file(manifest, error) from error
    raise IndexFault(f"index {name} is replaced again and again", remedy="try again later")


def remove_index(name: str) -> int:
    """Delete an index, in one step, and return the bytes that it took.

    Raises:
        NotFoundError: there is none. IndexFault: it is being written, or cannot be deleted.
    """
    folder = index_folder(name)
    with writing(name, "removed"):
        if not (folder / MANIFEST).exists() and name not in {one.name for one in unfinished()}:
            raise _missing(name)
        size = _bytes(folder)
        away = folder.with_name(f"{REMOVED_PREFIX}{name}-{secrets.token_hex(4)}")
        try:
            folder.rename(away)
        except OSError as error:
            raise IndexFault(f"index {name} cannot be removed: {error.strerror}") from error
        sweep_removed()
    return size


def _inspect(folder: Path, *, deep: bool) -> IndexInfo:
    """One index, inspected again if it is replaced meanwhile; `deep` compares checksums."""
    try:
        for _ in range(_TRIES):
            manifest = read_manifest(folder)
            found = _info_of(manifest, folder, deep=deep)
            if found.status == "ok" or read_manifest(folder).generation == manifest.generation:
                break
        return found
    except BioRetrievalError as error:
        return IndexInfo(folder.name, bytes=_bytes(folder), status=_damaged(error.message))


def _info_of(manifest: Manifest, folder: Path, *, deep: bool) -> IndexInfo:
    status = "ok"
    try:
        check_sizes(manifest, folder)
        if deep:
            for path in manifest.files:
                check_content(manifest, folder, path, fresh=False)
    except IndexFault as error:
        status = _damaged(error.message)
    except FileNotFoundError as error:
        status = _damaged(_lacks_file(manifest, error).message)
    if status == "ok" and manifest.outdated:
        status = f"outdated: {manifest.outdated}; run: {_COMPACT.format(manifest.name)}"
    return IndexInfo(
        name=manifest.name,
        documents=manifest.documents,
        model=manifest.model if manifest.encoded else "none (BM25 only)",
        dimension=manifest.dimension,
        dtype=manifest.dtype,
        device=manifest.device,
        built=manifest.built,
        bytes=_bytes(folder),
        status=status,
        docs_per_second=manifest.docs_per_second,
        dead_share=round(1 - manifest.documents / manifest.rows, 4),
        aliases=manifest.aliases,
        segments=len(manifest.segments),
        recall=manifest.graph.recall,
        fields=None if manifest.fields is None else manifest.fields.names,
    )


def _damaged(message: str) -> str:
    return f"damaged: {message.partition('is damaged: ')[2] or message}"


def _lacks_file(manifest: Manifest, error: FileNotFoundError) -> IndexFault:
    name = Path(error.filename).name if error.filename else "a file"
    return fault(manifest, f"{name} is missing")


def _bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a build is sweeping
                total += Path(parent, name).lstat().st_size
    return total


def _existing(name: str) -> Path:
    """The folder of an index that was built. Raises NotFoundError, UsageError."""
    folder = index_folder(name)
    if not (folder / MANIFEST).exists():
        raise _missing(name)
    return folder


def _missing(name: str) -> NotFoundError:
    near = difflib.get_close_matches(check_name(name), index_names(), n=3)
    remedy = f"did you mean {', '.join(near)}?" if near else "see `index list`"
    return NotFoundError(f"there is no index {name}", remedy=remedy)


def sweep_index(folder: Path, *, pools: bool = False) -> None:
    """Remove from one index all but its manifest and the files that it names.

    pools: also remove the vectors of unfinished builds, once a build is finished. The caller holds
    the index for writing, so no process uses the other files. If the manifest cannot be read,
    folders are kept: a newer version may understand it.
    """
    if not folder.is_dir():
        return
    keep: set[str] | None = {MANIFEST}
    if (folder / MANIFEST).exists():
        try:
            manifest = read_manifest(folder)
            segments = (segment.id for segment in manifest.segments)
            keep = {MANIFEST, manifest.generation, *segments}
        except BioRetrievalError:
            keep = None
    for path in folder.iterdir():
        if path.name.startswith(POOL_PREFIX):
            if pools or not _holds_vectors(path):
                _discard(path)
            continue
        remains = path.name.startswith((BUILDING_PREFIX, f".{MANIFEST}."))
        if remains or (keep is not None and path.name not in keep):
            _discard(path)
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds only if it is empty


def sweep_removed() -> None:
    """Finish every interrupted removal. Two processes may do so at once."""
    for path in indexes_folder().glob(f"{REMOVED_PREFIX}*"):
        _discard(path)


def _holds_vectors(pool: Path) -> bool:
    try:
        return any(path.stat().st_size for path in pool.iterdir())
    except OSError:
        return True


def _discard(path: Path) -> None:
    """Delete a file or folder; what cannot be deleted is left for the next sweep."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
