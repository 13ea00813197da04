"""SHA-256 of files, cached so that a large unchanged file is hashed once.

The key is path, size, inode, modification and change time. Programs that restore a modification
time cannot restore the change time, and a file changed moments ago is not cached, since two writes
may share one tick of the clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from bioretrieval_tui.paths import places, write_atomically

_SETTLED_NS = 2_000_000_000
"""Age of a file from which its checksum is cached: coarse clocks tick in seconds."""
_MOST_NOTES = 256
"""Checksums kept; the oldest are deleted."""


def _state(path: Path) -> list[str | int]:
    now = path.stat()
    return [str(path), now.st_size, now.st_ino, now.st_mtime_ns, now.st_ctime_ns]


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read now. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, from the cache if the file has not changed. Raises OSError if the file
    cannot be read; faults of the cache only cost time."""
    path = path.absolute()
    before = _state(path)
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    file = places().cache / "checksums" / f"{name}.json"
    with suppress(OSError, ValueError, TypeError):
        *kept, digest = json.loads(file.read_bytes())
        if kept == before:
            return str(digest)
    digest = sha256_of(path)
    after = path.stat()
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
    if settled and _state(path) == before:
        with suppress(OSError, UnicodeEncodeError):  # then the next caller hashes again
            write_atomically(file, json.dumps([*before, digest]).encode())
            notes = sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for old in notes[:-_MOST_NOTES]:
                old.unlink(missing_ok=True)
    return digest
