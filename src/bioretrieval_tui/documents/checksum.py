"""SHA-256 of files, cached so that a large unchanged file is hashed once.

The key is path, size, inode, modification and change time. Programs that restore a modification
time cannot restore the change time, and a file changed moments ago is not cached, since two writes
may share one tick of the clock.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

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
    sha256: str = ""


def _note_of(path: Path) -> _ChecksumNote:
    now = path.stat()
    return _ChecksumNote(str(path), now.st_size, now.st_ino, now.st_mtime_ns, now.st_ctime_ns)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read now. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, from the cache if the file has not changed. Raises OSError if the file
    cannot be read; faults of the cache only cost time."""
    path = path.absolute()
    before = _note_of(path)
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    file = places().cache / "checksums" / f"{name}.json"
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        kept = msgspec.json.decode(file.read_bytes(), type=_ChecksumNote)
        if msgspec.structs.replace(kept, sha256="") == before:
            return kept.sha256
    digest = sha256_of(path)
    after = _note_of(path)
    settled = time.time_ns() - max(after.mtime_ns, after.ctime_ns) > _SETTLED_NS
    if settled and after == before:
        with suppress(OSError, UnicodeEncodeError):  # then the next caller hashes again
            write_atomically(
                file, msgspec.json.encode(msgspec.structs.replace(after, sha256=digest))
            )
            notes = sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for old in notes[:-_MOST_NOTES]:
                old.unlink(missing_ok=True)
    return digest
