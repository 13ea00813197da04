"""SHA-256 of files, noted so that a large unchanged file is hashed once.

A note holds size, inode, modification and change time. Programs that restore a modification time
cannot restore the change time, and a file changed moments ago is not noted, since two writes may
share one tick of the clock. Notes lie in a folder for each index, or other folder of files: a large
index does not displace the notes of others, and those of replaced files go with the next note.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from bioretrieval_tui.paths import places, write_atomically

_SETTLED_NS = 2_000_000_000
"""Age of a file from which its checksum is noted: coarse clocks tick in seconds."""
_MOST_FOLDERS = 64
"""Folders of notes kept; those that were not used for longest are deleted."""


def _state(path: Path) -> list[str | int]:
    now = path.stat()
    return [str(path), now.st_size, now.st_ino, now.st_mtime_ns, now.st_ctime_ns]


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read now. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path, *, within: Path | None = None) -> str:
    """Hex SHA-256 of a file, from its note if the file has not changed; within: the folder whose
    notes have it, by default its own. Raises OSError if the file cannot be read; faults of the
    notes only cost time."""
    path = path.absolute()
    folder = path.parent if within is None else within.absolute()
    before, note = _state(path), _note_of(path, folder)
    with suppress(OSError, ValueError, TypeError):
        *kept, digest = json.loads(note.read_bytes())
        if kept == before:
            os.utime(note.parent)
            return str(digest)
    digest = sha256_of(path)
    after = path.stat()
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
    if settled and _state(path) == before:
        remember_all(folder, {path.relative_to(folder): digest})
    return digest


def remember_all(folder: Path, digests: Mapping[str | Path, str]) -> None:
    """Note the checksums of files of a folder, by their paths in it, that no other process writes
    now; without effect where notes cannot be kept."""
    folder = folder.absolute()
    with suppress(OSError, UnicodeEncodeError):  # then the next caller hashes again
        for name, digest in digests.items():
            path = folder / name
            write_atomically(_note_of(path, folder), json.dumps([*_state(path), digest]).encode())
        _sweep(folder, _notes_of(folder))


def _notes_of(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    return places().cache / "checksums" / name


def _note_of(path: Path, folder: Path) -> Path:
    return _notes_of(folder) / f"{quote(os.fsencode(path.relative_to(folder)), safe='')}.json"


def _sweep(folder: Path, notes: Path) -> None:
    """Delete the notes of files that are gone, and of folders that were not used for longest."""
    for other in notes.glob("*.json"):
        if not (folder / os.fsdecode(unquote_to_bytes(other.stem))).exists():
            other.unlink(missing_ok=True)
    used = sorted(notes.parent.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for old in used[:-_MOST_FOLDERS]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:  # a note of an earlier version
            old.unlink(missing_ok=True)
