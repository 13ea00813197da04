"""Vectors that were paid for: what an unfinished build has encoded, found again by content.

A build that is killed loses its documents, which are quick to read again, and keeps its vectors:
they are appended here, window by window, with a journal line behind each. The next build of the
index by the same model and recipe looks every document up by its content hash, so it goes on
where the vectors end, whatever else has changed in the files.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.index.layout import (
    POOL_HASH_BYTES,
    POOL_HASHES,
    POOL_PREFIX,
    sync_folder,
)

Halves = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]

_JOURNAL = "journal.jsonl"
_VECTORS = "vectors.f16"
_MOST_LINE = 1_024


class _Window(msgspec.Struct, frozen=True):
    """One line of the journal: how many vectors the window has, and the CRC-32 of its parts."""

    count: int
    hashes: int
    vectors: int


def pool_key(model: str, revision: str, recipe_hash: str, dimension: int) -> str:
    """Names the vectors that are comparable: 12 hex digits."""
    parts = "\n".join((model, revision, recipe_hash, str(dimension)))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()[:12]


class VectorPool:
    """The pool of one index and one encoder, open for looking up and appending.

    What the journal does not vouch for (a window that was being written, altered bytes) is cut
    off when the pool is opened.

    Raises:
        OSError: the folder cannot be read or written, or the disk is full.
    """

    def __init__(self, index: Path, key: str, dimension: int) -> None:
        self.folder = index / f"{POOL_PREFIX}{key}"
        self._dimension = dimension
        self._width = 2 * dimension
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(index)
        self.kept = self._recover()
        """Vectors that were here when the pool was opened."""
        self._keys, self._order = self._index()
        self._old = _open_rows(self.folder / _VECTORS, self.kept, dimension)
        self._vectors = (self.folder / _VECTORS).open("ab")
        self._hashes = (self.folder / POOL_HASHES).open("ab")
        self._journal = (self.folder / _JOURNAL).open("ab")

    def close(self) -> None:
        """Let go of the files; safe to call twice."""
        for stream in (self._vectors, self._hashes, self._journal):
            stream.close()

    def find(self, digests: Sequence[bytes]) -> Rows:
        """Rows of the vectors that were kept for these content hashes, -1 where there is none."""
        rows = np.full(len(digests), -1, dtype=np.int64)
        if not self.kept or not digests:
            return rows
        wanted = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
        places = np.searchsorted(self._keys[:, 0], wanted[:, 0])
        places = np.minimum(places, len(self._keys) - 1)
        # Half of a hash decides where to look, the whole of it whether it is the one. Two that
        # share a half hide one another at worst, and then one is encoded again.
        same = (self._keys[places] == wanted).all(axis=1)
        rows[same] = self._order[places[same]]
        return rows

    def take(self, rows: Rows) -> Halves:
        """The vectors in these rows: float16 (n, dimension)."""
        taken: Halves = self._old[rows]
        return taken

    def append(self, digests: Sequence[bytes], vectors: Halves) -> None:
        """Keep vectors for their content hashes; they are safe on disk when this returns."""
        data = np.ascontiguousarray(vectors, dtype="<f2").tobytes()
        names = b"".join(digests)
        _write(self._vectors, data)
        _write(self._hashes, names)
        line = msgspec.json.encode(_Window(len(digests), zlib.crc32(names), zlib.crc32(data)))
        _write(self._journal, line + b"\n")

    def _recover(self) -> int:
        """Cut all files to what the journal vouches for; how many vectors that is."""
        good, journal_end = 0, 0
        paths = [self.folder / name for name in (_JOURNAL, POOL_HASHES, _VECTORS)]
        for path in paths:
            path.touch()
        with (
            paths[0].open("rb") as journal,
            paths[1].open("rb") as hashes,
            paths[2].open("rb") as vectors,
        ):
            while line := journal.readline(_MOST_LINE):
                window = _parse(line)
                if window is None:
                    break
                names = hashes.read(POOL_HASH_BYTES * window.count)
                data = vectors.read(self._width * window.count)
                whole = (
                    len(names) == POOL_HASH_BYTES * window.count
                    and len(data) == self._width * window.count
                )
                if not whole or (zlib.crc32(names), zlib.crc32(data)) != (
                    window.hashes,
                    window.vectors,
                ):
                    break
                good += window.count
                journal_end = journal.tell()
        for path, size in zip(
            paths, (journal_end, POOL_HASH_BYTES * good, self._width * good), strict=True
        ):
            os.truncate(path, size)
        return good

    def _index(self) -> tuple[npt.NDArray[np.uint64], Rows]:
        """Content hashes in order, as two halves each, and the rows that they belong to."""
        data = (self.folder / POOL_HASHES).read_bytes()
        keys = np.frombuffer(data, dtype="<u8").reshape(-1, 2)
        order = np.argsort(keys[:, 0], kind="stable").astype(np.int64)
        return keys[order], order


def _parse(line: bytes) -> _Window | None:
    try:
        window = msgspec.json.decode(line, type=_Window)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return window if line.endswith(b"\n") and 0 < window.count <= 1 << 24 else None


def _open_rows(path: Path, count: int, dimension: int) -> Halves:
    if count == 0:
        return np.empty((0, dimension), dtype=np.float16)
    return np.memmap(path, dtype="<f2", mode="r", shape=(count, dimension))


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()
    os.fsync(stream.fileno())
