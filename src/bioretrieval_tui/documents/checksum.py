"""SHA-256 of files, cached so that a large unchanged file is hashed once.

The key is path, size, inode, modification and change time. Programs that restore a modification
time cannot restore the change time, and a file changed moments ago is not cached, since two writes
may share one tick of the clock.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Self

import msgspec

from bioretrieval_tui.paths import places, write_atomically

_SETTLED_NS = 2_000_000_000
"""Age of a file from which its checksum is cached: coarse clocks tick in seconds."""
_MOST_NOTES = 256
"""Checksums kept; the oldest are deleted."""


class _ChecksumNote(msgspec.Struct, frozen=True):
    path: str
    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path, stat: os.stat_result, sha256: str) -> Self:
        return cls(str(path), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, sha256)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read now. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, from the cache if the file has not changed. Raises OSError if the file
    cannot be read; faults of the cache only cost time."""
    path = path.absolute()
    before = path.stat()
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    file = places().cache / "checksums" / f"{name}.json"
    try:
        note = msgspec.json.decode(file.read_bytes(), type=_ChecksumNote)
        if note == _ChecksumNote.of(path, before, note.sha256):
            return note.sha256
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        pass
    digest = sha256_of(path)
    after = path.stat()
    note = _ChecksumNote.of(path, after, digest)
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
    if settled and note == _ChecksumNote.of(path, before, digest):
        _keep(file, note)
    return digest


def _keep(file: Path, note: _ChecksumNote) -> None:
    try:
        write_atomically(file, msgspec.json.encode(note))
        notes = sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in notes[:-_MOST_NOTES]:
            path.unlink(missing_ok=True)
    except (OSError, UnicodeEncodeError):
        # The next caller hashes again.
        return
