"""Prepared encoders in the cache folder: found and checked, or written whole.

A prepared encoder is a folder of files and a note that says what they are and how they must
hash. Nothing is handed to native code before all of it was compared. This module knows neither
OpenVINO nor torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock

from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.base import Shape
from bioretrieval_tui.paths import places

_log = logging.getLogger(__name__)

FORMAT = 1
"""Of the note and the files; another number is another key, so old ones are never loaded."""
NOTE = "note.json"
_MOST = 8
"""Prepared encoders that are kept; each is as large as its model."""


class Key(msgspec.Struct, frozen=True):
    """All that decides whether a prepared encoder may be used."""

    model: str
    revision: str
    recipe: str
    openvino: str
    processor: str
    precision: str
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The folder's name."""
        canonical = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:32]


class Note(msgspec.Struct, frozen=True):
    """What the folder holds. `refused` says why there is nothing in it: it was tried and failed.

    worst: the lowest cosine to sentence-transformers that was found when it was prepared.
    """

    key: Key
    files: dict[str, str] = {}
    dimension: int = 0
    query_length: int = 0
    document_length: int = 0
    separator: str = ""
    pad: int = 0
    worst: float = 0.0
    refused: str | None = None

    @property
    def shape(self) -> Shape:
        """What an encoder must know of the model."""
        return Shape(self.dimension, self.query_length, self.document_length, self.separator)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder whose every file was compared with its note, or a refusal without files."""

    folder: Path
    note: Note

    def path(self, name: str) -> Path | None:
        """The file of that name, if the encoder has one."""
        return self.folder / name if name in self.note.files else None


def find(key: Key) -> Prepared | None:
    """The prepared encoder of `key`, or None where there is none that is whole."""
    folder = _root() / key.name
    note = _read_note(folder / NOTE)
    if note is None or note.key != key:
        return None
    try:
        for name, expected in note.files.items():
            if remembered_sha256(folder / name) != expected:
                _log.info("the prepared encoder %s is damaged in %s", folder, name)
                return None
    except OSError as error:
        _log.info("the prepared encoder %s cannot be read: %s", folder, error)
        return None
    return Prepared(folder, note)


@contextlib.contextmanager
def alone(key: Key) -> Iterator[None]:
    """Hold the right to write `key`; others, in this process or another, wait.

    Raises:
        OSError: the cache folder cannot be written.
    """
    _root().mkdir(parents=True, exist_ok=True)
    with FileLock(_root() / f"{key.name}.lock"):
        # Whoever left these behind is dead, since we hold the lock.
        for left in _root().glob(f".{key.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def store(key: Key, make: Callable[[Path], Note]) -> Prepared:
    """Have the encoder of `key` made beside its place and put it there; call within `alone`.

    make: writes the files into the folder that it is given, and returns the note for them.

    Raises:
        OSError: the disk is full or the folder cannot be written. Whatever `make` raises. What
            stood at the place before stands there still.
    """
    target = _root() / key.name
    beside = _root() / f".{key.name}.{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        note = make(beside)
        _write_note(beside / NOTE, note)
        if target.exists():
            # A damaged one: a folder cannot be renamed onto another that has files in it.
            old = _root() / f".{key.name}.old"
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _forget_oldest()
    return Prepared(target, note)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in `folder`, flushed to disk first. Raises OSError."""
    sums = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        sums[path.name] = sha256_of(path)
    return sums


def _root() -> Path:
    return places().cache / "encoders"


def _write_note(path: Path, note: Note) -> None:
    # The checksum of the note comes first: a flipped byte in a length or a padding id would give
    # wrong vectors as surely as one in the weights.
    data = msgspec.json.encode(note)
    path.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _read_note(path: Path) -> Note | None:
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(data).hexdigest().encode():
            return None
        return msgspec.json.decode(data, type=Note)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _forget_oldest() -> None:
    """Remove the folders that were prepared longest ago; who has one open keeps what it mapped."""
    kept = []
    for folder in _root().iterdir():
        with contextlib.suppress(OSError):
            # Another process may remove one at the same time.
            if folder.is_dir() and not folder.name.startswith("."):
                kept.append((folder.stat().st_mtime_ns, folder))
    for _, folder in sorted(kept)[: max(0, len(kept) - _MOST)]:
        shutil.rmtree(folder, ignore_errors=True)
