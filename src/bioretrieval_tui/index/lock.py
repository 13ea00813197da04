"""One writer at a time for an index; a second one learns who holds it.

The lock is the kernel's, so it is gone with its process however that ended. Who holds it stands
in a file beside it, which is a courtesy and never decides anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.layout import check_name, indexes_folder
from bioretrieval_tui.paths import write_atomically


class IndexBusy(IndexFault):
    """Another process or thread writes this index; it is whole, and will be."""


class Holder(msgspec.Struct, frozen=True):
    """The process that writes an index, and since when (ISO 8601, UTC)."""

    pid: int
    since: str
    doing: str


@contextlib.contextmanager
def writing(name: str, doing: str) -> Iterator[None]:
    """Hold the index `name` for writing; `doing` is a participle, such as "built".

    Raises:
        IndexBusy: another process or thread holds it. IndexFault: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = indexes_folder() / ".locks"
    note = folder / f"{check_name(name)}.json"
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise _busy(name, note) from error
    except OSError as error:
        raise IndexFault(
            f"index {name} cannot be written: {error.strerror or error}",
            remedy=f"check the folder {indexes_folder()}",
        ) from error
    try:
        _announce(note, doing)
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def _announce(note: Path, doing: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with contextlib.suppress(OSError):
        for left in note.parent.glob(f".{note.name}.*.tmp"):
            left.unlink(missing_ok=True)  # of a writer that was killed; the lock is ours now
        # On a full disk the build itself says so; the courtesy must not hide that.
        write_atomically(note, msgspec.json.encode(Holder(os.getpid(), since, doing)))


def _busy(name: str, note: Path) -> IndexBusy:
    try:
        holder = msgspec.json.decode(note.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return IndexBusy(f"index {name} is being written by another process", remedy="wait for it")
    return IndexBusy(
        f"index {name} is being {holder.doing} by process {holder.pid} since {holder.since}",
        remedy="wait for it, or stop that process",
    )
