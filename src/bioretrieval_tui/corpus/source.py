"""A corpus file as a stream: found, opened, unpacked and hashed while it is read.

Knows bytes and lines, not formats; every reader stands on it. Nothing here holds a file in
memory: lines are bounded, and a longer one is an error rather than an allocation.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read. The longest abstract known is under 100 kB."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """What was read of one file: where it is, how much, and the SHA-256 of its bytes as stored."""

    path: str
    bytes: int
    sha256: str
    documents: int


def resolve(inputs: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The corpus files that `inputs` name, in order: a file is itself, a folder its corpus.jsonl.

    Raises:
        NotFoundError: a file, or a corpus within a folder, is not there.
        CorpusError: an input is named twice, or cannot be looked at.
    """
    files: list[Path] = []
    for given in inputs:
        path = _resolve_one(Path(given))
        if any(_same(path, other) for other in files):
            raise CorpusError(f"{path} is named twice", remedy="name every input once")
        files.append(path)
    return files


class SourceReader:
    """One corpus file, open for reading once; gzip is recognised by content, not by name.

    Use as a context manager. `lines()` gives the lines; `summary()` is complete once they have
    been read to the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        try:
            raw = path.open("rb", buffering=0)
        except OSError as error:
            raise _reading_fault(path, error) from error
        self._hashing = _HashingFile(raw)
        self._before = os.fstat(raw.fileno())
        packed = cast("io.RawIOBase", self._hashing)
        buffered = io.BufferedReader(packed, _CHUNK)
        try:
            is_gzip = buffered.peek(2)[:2] == _GZIP_MAGIC
        except OSError as error:
            raw.close()
            raise _reading_fault(path, error) from error
        self.stream: BinaryIO = (
            cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=buffered), _CHUNK))
            if is_gzip
            else buffered
        )
        self._buffered = buffered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.stream.close()
        self._buffered.close()
        self._hashing.close()

    def lines(self, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes]]:
        """Pairs of line number (from 1) and line (bytes, its end included).

        Raises:
            CorpusError: a line is longer than `limit` bytes, the gzip data is damaged, or the
                file cannot be read or changed while it was read.
        """
        number = 0
        while True:
            try:
                line = self.stream.readline(limit + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise CorpusError(
                    f"{self.name}:{number + 1}: the gzip data is damaged or cut off here",
                    remedy="get the file again and compare its checksum",
                ) from error
            except OSError as error:
                raise _reading_fault(self.path, error) from error
            if not line:
                self._check_unchanged()
                return
            number += 1
            if len(line) > limit:
                raise CorpusError(
                    f"{self.name}:{number}: the line is longer than {limit:,} bytes",
                    remedy="write one record a line",
                )
            yield number, line

    def summary(self, documents: int) -> Source:
        """Path, size and checksum of what was read, with the number of documents it gave."""
        return Source(
            str(self.path.absolute()),
            self._hashing.count,
            self._hashing.digest.hexdigest(),
            documents,
        )

    def _check_unchanged(self) -> None:
        now = os.fstat(self._hashing.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._before.st_size, self._before.st_mtime_ns):
            raise CorpusError(
                f"{self.name} changed while it was read",
                remedy="try again when nothing writes to it",
            )


class _HashingFile(io.RawIOBase):
    """A raw file that hashes and counts every byte which passes through it."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__()
        self._raw = raw
        self.digest = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        view = memoryview(buffer)
        size = self._raw.readinto(view)
        if size:
            self.digest.update(view[:size])
            self.count += size
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def _resolve_one(path: Path) -> Path:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            for name in ("corpus.jsonl", "corpus.jsonl.gz"):
                inside = path / name
                if inside.is_file():
                    return inside
            raise NotFoundError(
                f"the folder {path} holds no corpus.jsonl or corpus.jsonl.gz",
                remedy="name the corpus file itself",
            )
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise _reading_fault(path, error) from error
    if not stat.S_ISREG(mode):
        # A pipe or a device may never end, and cannot be hashed or read again.
        raise CorpusError(f"{path} is not a regular file", remedy="save it to a file first")
    return path


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _reading_fault(path: Path, error: Exception) -> BioRetrievalError:
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"there is no file {path}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CorpusError(f"{path} cannot be read: {reason}")
