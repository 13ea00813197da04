"""Paths and file names of an index, and the lock of its one writer.

    indexes/NAME/manifest.json       names the files in force; replaced atomically
    indexes/NAME/<segment>/          documents and their vectors, written once: documents.sqlite,
                                     vectors.f16, passages.npy (what each vector is of, where
                                     documents have several)
    indexes/NAME/<generation>/       derived from all segments: graph.hnsw, graph-1.hnsw ... (a part
                                     of the vectors each), dead.npy (labels of deleted documents),
                                     longer.npy (of those with more tokens than the model reads),
                                     text/, metadata/
    indexes/NAME/.building-<token>/  a build that is not complete, or the remains of one
    indexes/NAME/.pool-<key>-<dim>   vectors that an unfinished build has computed
    indexes/.removed-NAME-<token>/   an index that is being deleted
    indexes/.trash-NAME-<time>/      one that the app removed: deleted when it ends, or after a day
    indexes/.locks/NAME.lock, .json  the lock of the one writer, and which process has it

The manifest is the only pointer: replacing a file is atomic, renaming one folder over another is
not. A reader that has an older generation open keeps its files. The lock is the kernel's, so it
ends with its process; the note beside it only says which process that is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bioretrieval_tui.errors import IndexFault, UsageError
from bioretrieval_tui.paths import places, write_atomically

MANIFEST = "manifest.json"
DOCUMENTS = "documents.sqlite"
VECTORS = "vectors.f16"
PASSAGES = "passages.npy"
GRAPH = "graph.hnsw"
DEAD = "dead.npy"
LONGER = "longer.npy"
TEXT = "text"
METADATA = "metadata"

# Versions of what an index stores; an older one is made again by compacting.
ANALYSER = "biomedical-english-2"
"""The terms of a text; raise it with any change of `analysis`."""
ENGINE = "tantivy-1"
"""How terms are laid out in tantivy's segments; raise it with the schema or the title's weight."""
VALUES = "metadata-2"
"""How values of fields are read from documents and folded; raise it with any change of them."""

CATALOGUE = "catalogue"
"""The index of the catalogue's entries, which the app makes, not `index build`."""

BUILDING_PREFIX = ".building-"
REMOVED_PREFIX = ".removed-"
TRASH_PREFIX = ".trash-"
POOL_PREFIX = ".pool-"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def graph_file(number: int) -> str:
    """The name of a graph's file; numbers count from 0."""
    return f"graph-{number}.hnsw" if number else GRAPH


def check_name(name: str) -> str:
    """`name` as given, if it can name an index on every file system; else raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name an index",
            remedy="use up to 64 lower-case letters, digits, '-', '_' and '.',"
            " with a letter or digit at both ends",
        )
    return name


def check_own_name(name: str) -> str:
    """As `check_name`; raises UsageError for the name of the catalogue's index, too."""
    if check_name(name) == CATALOGUE:
        raise UsageError(
            f"the index '{CATALOGUE}' is made from the catalogue itself",
            remedy="choose another name",
        )
    return name


def indexes_folder() -> Path:
    """The folder of all indexes; it may not exist yet."""
    return places().indexes


def index_folder(name: str) -> Path:
    """The folder of one index. Raises UsageError for an impossible name."""
    return indexes_folder() / check_name(name)


def owner() -> str:
    """The token of this home, by which stores know what was copied there from it; made at the first
    call. Raises IndexFault if it cannot be written."""
    path = indexes_folder() / ".owner"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, new_token().encode())
        return path.read_text("ascii", "replace").strip()
    except OSError as error:
        said = f"{path} cannot be written: {error.strerror or error}"
        raise IndexFault(said, remedy=f"check the folder {path.parent}") from error


def new_token() -> str:
    """A unique name for a segment or a generation."""
    return secrets.token_hex(6)


def pool_rows(pool: Path) -> int:
    """How many records a pool holds: hash, float16 vector of the dimension in its name, a byte,
    CRC-32."""
    return pool.stat().st_size // (16 + 2 * int(pool.name.rpartition("-")[2]) + 1 + 4)


def share_file(source: Path, target: Path) -> None:
    """Hard-link `target` to `source`, which is never changed in place; copy it if the file system
    has no hard links. Raises OSError."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries, so that a rename within it survives a power loss."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # Windows does not open folders, and orders renames itself
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class IndexBusy(IndexFault):
    """Another process or thread writes this index, which stays valid."""


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Keep the index `name` from being removed while it is read, for as long as this process
    lives; without effect where the folder of the locks cannot be written."""
    from filelock import FileLock, Timeout

    path = _uses(name) / f"{os.getpid()}-{secrets.token_hex(4)}"
    lock = FileLock(path)
    with contextlib.suppress(OSError, Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def require_unused(name: str) -> None:
    """Raise IndexBusy if a process is `using` this index; forgets those that ended."""
    from filelock import FileLock, Timeout

    with contextlib.suppress(OSError):
        for path in _uses(name).iterdir():
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                pid = path.name.partition("-")[0]
                said = f"index {name} is being used by process {pid}"
                raise IndexBusy(said, remedy="wait for it, or stop that process") from error
            lock.release()
            path.unlink(missing_ok=True)


def _uses(name: str) -> Path:
    return indexes_folder() / ".locks" / "used" / check_name(name)


@contextlib.contextmanager
def writing(name: str, doing: str) -> Iterator[None]:
    """Hold the index `name` for writing; `doing` is a participle, such as "built". Raises IndexBusy
    if another process or thread holds it, IndexFault if the folder cannot be written."""
    from filelock import FileLock, Timeout

    folder = indexes_folder() / ".locks"
    note = folder / f"{check_name(name)}.json"
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        by, remedy = "written by another process", "wait for it"
        with contextlib.suppress(OSError, ValueError, LookupError):
            holder = json.loads(note.read_bytes())
            by = "{doing} by process {pid} since {since}".format_map(holder)
            remedy = "wait for it, or stop that process"
        raise IndexBusy(f"index {name} is being {by}", remedy=remedy) from error
    except OSError as error:
        raise IndexFault(
            f"index {name} cannot be written: {error.strerror or error}",
            remedy=f"check the folder {indexes_folder()}",
        ) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        # On a full disk the build reports the error; the note must not hide it.
        with contextlib.suppress(OSError):
            for left in folder.glob(f".{note.name}.*.tmp"):
                left.unlink(missing_ok=True)  # of a writer that was killed
            holder = {"pid": os.getpid(), "since": since, "doing": doing}
            write_atomically(note, json.dumps(holder).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()
