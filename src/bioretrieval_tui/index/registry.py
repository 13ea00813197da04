"""The indexes of this user: list, look at, open, remove.

Listing reads manifests and sizes only and imports neither numpy nor hnswlib.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.index.layout import (
    FIELDS,
    GRAPH,
    LEXICAL,
    MANIFEST,
    POOL_HASH_BYTES,
    POOL_HASHES,
    POOL_PREFIX,
    REMOVED_PREFIX,
    check_name,
    index_folder,
    indexes_folder,
)
from bioretrieval_tui.index.lock import writing
from bioretrieval_tui.index.manifest import (
    REBUILD,
    Manifest,
    check_content,
    check_contents,
    check_sizes,
    read_manifest,
)
from bioretrieval_tui.index.sweep import sweep_removed

if TYPE_CHECKING:
    from bioretrieval_tui.corpus.store import DocumentStore
    from bioretrieval_tui.index.fields.opened import FieldIndex
    from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
    from bioretrieval_tui.index.vectors import VectorStore

_TRIES = 5


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index at a glance. `status` is "ok", "damaged: " and why, or "unfinished: " and how far
    a first build has come; what a damaged manifest cannot tell is None. `dead_share`: documents
    that were replaced or deleted and still take room, of all; `segments`: builds and additions
    since it was last compacted."""

    name: str
    documents: int | None
    model: str | None
    dimension: int | None
    dtype: str | None
    device: str | None
    built: str | None
    bytes: int
    status: str
    docs_per_second: float | None
    dead_share: float | None = None
    aliases: int | None = None
    segments: int | None = None
    recall: float | None = None
    """recall@10 of the graph against exact search, measured when it was built."""
    fields: tuple[str, ...] | None = None
    """What a filter may name; None for an index that is too old for filters."""


class OpenIndex:
    """A complete index, open for reading, whose files were compared with the manifest.

    fields: None for an index that is too old for filters; see `filterable`.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        documents: DocumentStore,
        lexical: LexicalIndex,
        fields: FieldIndex | None,
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.documents = documents
        self.lexical = lexical
        self.fields = fields
        self._vectors: VectorStore | None = None
        self._opening = threading.Lock()

    @property
    def vectors(self) -> VectorStore:
        """The vectors; checked, and their graph loaded, when they are first needed.

        Raises:
            IndexFault: the index has none, they are damaged, or a newer build replaced them.
        """
        with self._opening:
            if self._vectors is None:
                try:
                    self._vectors = _open_vectors(self.manifest, self.folder)
                except FileNotFoundError as error:
                    if manifest_of(self.manifest.name).generation == self.manifest.generation:
                        raise _lacks_file(self.manifest, error) from error
                    raise IndexFault(
                        f"index {self.manifest.name} was replaced meanwhile", remedy="try again"
                    ) from error
            return self._vectors

    def filterable(self) -> FieldIndex:
        """The fields, where there must be some. Raises IndexFault for an index without."""
        if self.fields is None:
            raise IndexFault(
                f"index {self.manifest.name} is of an older version and cannot be filtered",
                remedy=f"run once: bioretrieval-tui index compact {self.manifest.name}",
            )
        return self.fields

    def close(self) -> None:
        """Let go of the documents; vectors and words go with the last reference."""
        self.documents.close()


def index_names() -> list[str]:
    """Names of all indexes, sorted; one whose first build is under way is none yet."""
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
    """All indexes, sorted by name; files are compared by size. A damaged one is listed as such,
    and so is one whose first build was cut short."""
    found = [_look(indexes_folder() / name, deep=False) for name in index_names()]
    return sorted([*found, *unfinished()], key=lambda one: one.name)


def unfinished() -> list[IndexInfo]:
    """Indexes that have never been complete, and of which something was encoded already."""
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
            found.append(_unknown(folder, status))
    return found


def glance(name: str) -> IndexInfo:
    """One index, its files compared by size. Raises NotFoundError, UsageError as `info`."""
    folder = index_folder(name)
    if not (folder / MANIFEST).exists():
        raise _missing(name)
    return _look(folder, deep=False)


def info(name: str) -> IndexInfo:
    """One index, every file compared by checksum.

    Raises:
        NotFoundError: there is none. UsageError: no such name is possible.
    """
    folder = index_folder(name)
    if not (folder / MANIFEST).exists():
        raise _missing(name)
    return _look(folder, deep=True)


def manifest_of(name: str) -> Manifest:
    """The manifest of an index, checked in itself. Raises NotFoundError, IndexFault."""
    try:
        return read_manifest(index_folder(name))
    except NotFoundError:
        raise _missing(name) from None


def open_index(name: str, *, vectors: bool = True) -> OpenIndex:
    """Open an index after comparing its files with the manifest.

    vectors: False leaves vectors and graph unread until they are first needed, which BM25 never
    does. A build that completes meanwhile is no fault: the newer generation is opened then.

    Raises:
        NotFoundError: there is none. IndexFault: it is damaged, or has no vectors though they are
            asked for. UsageError: an impossible name.
    """
    from bioretrieval_tui.corpus.store import DocumentStore
    from bioretrieval_tui.index.fields.opened import FieldIndex
    from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
    from bioretrieval_tui.index.matrix import open_dead

    folder = index_folder(name)
    for _ in range(_TRIES):
        manifest = manifest_of(name)
        documents: DocumentStore | None = None
        try:
            check_sizes(manifest, folder)
            dense = _dense_files(manifest)
            for path in manifest.files:
                if path not in dense:
                    check_content(manifest, folder, path, fresh=False)
            documents = DocumentStore([folder / path for path in manifest.stores()])
            if documents.rows != manifest.rows:
                raise IndexFault(
                    f"index {name} is damaged: its store holds {documents.rows:,} documents,"
                    f" not {manifest.rows:,}",
                    remedy=REBUILD,
                )
            words = LexicalIndex(folder / manifest.path(LEXICAL), manifest.lexical, name=name)
            fields = None
            if manifest.fields is not None:
                fields = FieldIndex(
                    folder / manifest.path(FIELDS),
                    manifest.fields,
                    name=name,
                    dead=open_dead(manifest, folder),
                    lexical=words,
                    documents=documents,
                )
            index = OpenIndex(manifest, folder, documents, words, fields)
            if vectors:
                # Now, and not at the first search: by then a newer build may have swept the files.
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


def _dense_files(manifest: Manifest) -> set[str]:
    """What only dense search reads, as `files` names it."""
    return {*manifest.matrices(), manifest.path(GRAPH)}


def _open_vectors(manifest: Manifest, folder: Path) -> VectorStore:
    """Check and open the vectors, with the graph where searches will walk it.

    Raises:
        IndexFault: there are none, or they are damaged. FileNotFoundError: they were swept.
    """
    from bioretrieval_tui.index.vectors import HnswStore

    if not manifest.encoded:
        raise IndexFault(
            f"index {manifest.name} has no vectors: it was built for BM25 alone",
            remedy="search it with the mode lexical, or build it again with a model",
        )
    for path in sorted(_dense_files(manifest)):
        check_content(manifest, folder, path, fresh=False)
    store = HnswStore(manifest, folder)
    store.ready()
    return store


def remove_index(name: str) -> int:
    """Delete an index and return the bytes that it took. It is whole until it is gone.

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


def _look(folder: Path, *, deep: bool) -> IndexInfo:
    """One index at a glance; one that is replaced meanwhile is no damaged one, so it is looked at
    again."""
    found = _unknown(folder, _damaged("it is replaced again and again"))
    for _ in range(_TRIES):
        try:
            manifest = read_manifest(folder)
            found = _look_at(manifest, folder, deep=deep)
            if found.status == "ok" or read_manifest(folder).generation == manifest.generation:
                break
        except BioRetrievalError as error:
            return _unknown(folder, _damaged(error.message))
    return found


def _look_at(manifest: Manifest, folder: Path, *, deep: bool) -> IndexInfo:
    status = "ok"
    try:
        check_sizes(manifest, folder)
        if deep:
            check_contents(manifest, folder)
    except IndexFault as error:
        status = _damaged(error.message)
    except FileNotFoundError as error:
        status = _damaged(_lacks_file(manifest, error).message)
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


def _unknown(folder: Path, status: str) -> IndexInfo:
    """An index of which nothing is known but its name, its size and what is wrong."""
    return IndexInfo(
        name=folder.name,
        documents=None,
        model=None,
        dimension=None,
        dtype=None,
        device=None,
        built=None,
        bytes=_bytes(folder),
        status=status,
        docs_per_second=None,
    )


def _damaged(message: str) -> str:
    return f"damaged: {message.partition('is damaged: ')[2] or message}"


def _lacks_file(manifest: Manifest, error: FileNotFoundError) -> IndexFault:
    name = Path(error.filename).name if error.filename else "a file"
    return IndexFault(f"index {manifest.name} is damaged: {name} is missing", remedy=REBUILD)


def _bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except FileNotFoundError:
                continue  # a build is sweeping
    return total


def _missing(name: str) -> NotFoundError:
    near = difflib.get_close_matches(check_name(name), index_names(), n=3)
    remedy = f"did you mean {', '.join(near)}?" if near else "see `index list`"
    return NotFoundError(f"there is no index {name}", remedy=remedy)
