"""SHA-256 of files, and a memory of it, so that a large unchanged file is hashed once.

The memory is keyed by path, size, inode, modification and change time. A change time cannot be
set back by a program that restores the modification time, and a file that was touched moments
ago is not remembered at all, since two writes may share one tick of the clock.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import msgspec

from bioretrieval_tui.paths import places, write_atomically

_SETTLED_NS = 2_000_000_000
"""A file must be this old before its checksum is remembered: coarse clocks tick in seconds."""


_MOST_NOTES = 256
"""Files come and go; the notes of those that went must not pile up."""


class _Seen(msgspec.Struct, frozen=True):
    path: str
    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read now.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, from memory where the file provably has not changed since.

    Raises:
        OSError: the file cannot be read. A memory that cannot be read or written only costs time.
    """
    path = path.absolute()
    before = path.stat()
    note = _note_of(path)
    seen = _read_note(note)
    if seen is not None and _describes(seen, path, before):
        return seen.sha256
    digest = sha256_of(path)
    after = path.stat()
    fresh = _Seen(
        str(path), after.st_size, after.st_ino, after.st_mtime_ns, after.st_ctime_ns, digest
    )
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
    if settled and _describes(fresh, path, before):
        _write_note(note, fresh)
    return digest


def _note_of(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return places().cache / "checksums" / f"{name}.json"


def _describes(seen: _Seen, path: Path, stat: os.stat_result) -> bool:
    return (seen.path, seen.size, seen.inode, seen.mtime_ns, seen.ctime_ns) == (
        str(path),
        stat.st_size,
        stat.st_ino,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )


def _read_note(note: Path) -> _Seen | None:
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Seen)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_note(note: Path, seen: _Seen) -> None:
    try:
        write_atomically(note, msgspec.json.encode(seen))
        _forget_oldest(note.parent)
    except (OSError, UnicodeEncodeError):
        # Without the note the next caller hashes again; that is slower and still right.
        return


def _forget_oldest(folder: Path) -> None:
    notes = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in notes[: max(0, len(notes) - _MOST_NOTES)]:
        path.unlink(missing_ok=True)
