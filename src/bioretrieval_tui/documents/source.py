"""A corpus file as a stream: opened, unpacked and hashed while it is read, as bytes or lines.

Every reader stands on it. No file is held in memory: lines are bounded, and so is how far a small
packed file may unpack. Also how the user wants files read (`ReadOptions`, `ReadSettings`).
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE_BYTES = 16 * 2**20
"""Longest line that is read. The longest abstract known is under 100 kB."""
STDIN = "-"
"""What an input is called that comes through a pipe."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_MOST_RATIO = 200
_RATIO_FROM = 256 * 2**20
"""Text unpacks to ten or twenty times its size; 200 times, and so much of it, is an attack."""


class SourceDamaged(CorpusError):
    """The file breaks off or cannot be unpacked further; what came before is sound.

    `offset`: bytes that were unpacked until then.
    """

    def __init__(self, message: str, *, offset: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One file that was read: its path, its size and the SHA-256 of its bytes as stored."""

    path: str
    bytes: int
    sha256: str


class SourceReader:
    """One corpus file or stdin, open for reading once; gzip is recognised by content.

    Use as a context manager. `head()` looks ahead; `lines()` or `blocks()` give the content;
    `summary()` is complete once that was read to the end.

    Raises (on construction):
        NotFoundError: there is no such file. CorpusError: it cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.name = STDIN if path is None else str(path)
        try:
            raw = _stdin() if path is None else path.open("rb", buffering=0)
        except OSError as error:
            raise reading_fault(self.name, error) from error
        self._hashing = _HashingFile(raw)
        self._before = os.fstat(raw.fileno())
        buffered = io.BufferedReader(cast("io.RawIOBase", self._hashing), _CHUNK)
        self._buffered = buffered
        try:
            is_gzip = buffered.peek(2)[:2] == _GZIP_MAGIC
        except OSError as error:
            raw.close()
            raise reading_fault(self.name, error) from error
        self._stream: io.BufferedReader[io.RawIOBase] | gzip.GzipFile = buffered
        if is_gzip:
            self._stream = gzip.GzipFile(fileobj=buffered)
        self._given = 0
        self._packed = is_gzip
        self._ahead = b""

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
        self._stream.close()
        self._buffered.close()
        self._hashing.close()

    @property
    def size(self) -> int | None:
        """Bytes of the file as stored; None for a pipe."""
        return self._before.st_size if self.path is not None else None

    @property
    def consumed(self) -> int:
        """Bytes of the file as stored that were read so far: of `size`, the share that is done."""
        return self._hashing.count

    def head(self, size: int = 1 << 16) -> bytes:
        """The first bytes of the unpacked content, fewer where it is shorter or damaged there.
        Call before anything else is read."""
        while len(self._ahead) < size:
            try:
                part = self._read(size - len(self._ahead))
            except SourceDamaged:
                break  # reported, with its place, when the content is read
            if not part:
                break
            self._ahead += part
        return self._ahead[:size]

    def blocks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """The unpacked content in pieces of about `size` bytes.

        Raises:
            SourceDamaged: the packed data is damaged, cut off, or unpacks beyond all measure.
            CorpusError: the file cannot be read, or changed while it was read.
        """
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            yield ahead
        yield from iter(lambda: self._read(size), b"")
        self._check_unchanged()

    def lines(self, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
        """Pairs of line number (from 1) and line (bytes, its end included); None stands for a
        line that is longer than `limit` bytes and was passed over.

        Raises:
            SourceDamaged, CorpusError: as `blocks`.
        """
        return _lines(self.blocks(), limit)

    def hash_rest(self) -> None:
        """Read what is left without looking at it, so that `summary()` is complete: for formats
        that open the file on their own. Raises CorpusError as `blocks` does."""
        try:
            while self._hashing.read(_CHUNK):
                pass
        except OSError as error:
            raise reading_fault(self.name, error) from error
        self._check_unchanged()

    def summary(self) -> SourceSummary:
        """Path, size and checksum of what was read."""
        shown = STDIN if self.path is None else str(self.path.absolute())
        return SourceSummary(shown, self._hashing.count, self._hashing.digest.hexdigest())

    def _read(self, size: int) -> bytes:
        try:
            # One step at a time: what was unpacked before the damage must not be lost with it.
            part = self._stream.read1(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise SourceDamaged(
                "the gzip data is damaged or cut off here",
                offset=self._given,
                remedy="get the file again and compare its checksum",
            ) from error
        except OSError as error:
            raise reading_fault(self.name, error) from error
        self._given += len(part)
        beyond = self._given > _RATIO_FROM and self._given > _MOST_RATIO * self._hashing.count
        if self._packed and beyond:
            raise SourceDamaged(
                f"the gzip data unpacks to more than {_MOST_RATIO} times its size",
                offset=self._given,
                remedy="no text does that; unpack it yourself if you trust it",
            )
        return part

    def _check_unchanged(self) -> None:
        if self.path is None:
            return
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

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        view = memoryview(buffer).cast("B")
        size = self._raw.readinto(view)
        if size:
            self.digest.update(view[:size])
            self.count += size
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def reading_fault(name: str, error: Exception) -> BioRetrievalError:
    """What an operating system's error about the file `name` is to the user."""
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"there is no file {name}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CorpusError(f"{name} cannot be read: {reason}")


def _stdin() -> io.FileIO:
    try:
        return io.FileIO(os.dup(sys.stdin.fileno()), "rb")
    except (AttributeError, ValueError) as error:  # there is none, or no real one
        raise CorpusError("there is nothing to read on stdin") from error


class MemorySource(SourceReader):
    """`data` (not packed) as a source; `name` stands for the file in messages."""

    def __init__(self, data: bytes, name: str) -> None:
        # Nothing is opened, so the file's own construction is left out on purpose.
        self.path = None
        self.name = name
        self._data = io.BytesIO(data)
        self._ahead = b""

    @property
    def consumed(self) -> int:
        """Bytes that were given so far."""
        return self._data.tell()

    def close(self) -> None:
        """Nothing is open."""

    def hash_rest(self) -> None:
        """Nothing needs to be read for the checksum."""

    def summary(self) -> SourceSummary:
        """Name, size and checksum."""
        data = self._data.getvalue()
        return SourceSummary(self.name, len(data), hashlib.sha256(data).hexdigest())

    def _read(self, size: int) -> bytes:
        return self._data.read(size)


# Lines ------------------------------------------------------------------------------------------

CONVERT = "convert the file to UTF-8"
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextLine(
    NamedTuple
):  # a frozen dataclass takes five times as long to make, and there are many
    """One line of a text file, its end left on: `number` from 1, `text`, and why the record in
    which it stands cannot be trusted (then `text` is only good for finding where that ends)."""

    number: int
    text: str
    fault: RecordFault | None = None


def text_lines(source: SourceReader, limit: int = MAX_LINE_BYTES) -> Iterator[TextLine]:
    """The lines of a text file in UTF-8, or in UTF-16 where it begins with that mark.

    Other encodings are not guessed: a wrong guess would spoil names and symbols silently.

    Raises:
        SourceDamaged: the file breaks off, or is no UTF-16 from some place on.
        CorpusError: the file cannot be read, or changed meanwhile.
    """
    is_utf16 = source.head(2) in _UTF16_BOMS
    lines = _lines(_transcoded(source.blocks()), limit) if is_utf16 else source.lines(limit)
    for number, line in lines:
        if line is None:
            yield TextLine(number, "", RecordFault(f"a line is longer than {limit:,} bytes"))
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield TextLine(number, line.decode("utf-8"))
        except UnicodeDecodeError as error:
            fault = RecordFault(f"not UTF-8 at byte {error.start + 1} of line {number}", CONVERT)
            yield TextLine(number, line.decode("utf-8", "replace"), fault)


def text_of_head(head: bytes) -> str:
    """The first bytes of a file as text, for recognising its format; wrong bytes are replaced."""
    if head[:2] in _UTF16_BOMS:
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def _lines(blocks: Iterable[bytes], limit: int) -> Iterator[tuple[int, bytes | None]]:
    number = 0
    rest = b""
    too_long = False
    for block in blocks:
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        for part in parts:
            number += 1
            over = too_long or len(part) >= limit
            yield number, None if over else part + b"\n"
            too_long = False
        if len(rest) > limit:
            rest, too_long = b"", True
    if rest or too_long:
        yield number + 1, None if too_long or len(rest) > limit else rest


def _transcoded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """UTF-16 as UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    seen = 0
    try:
        for block in blocks:
            seen += len(block)
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        reason = "the file is no UTF-16 from about here on"
        raise SourceDamaged(reason, offset=seen, remedy=CONVERT) from error


# How files are read -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How tables are read: `mapping`, from our fields (`id`, `title`, `text`, or
    a metadata name) to the columns of a table."""

    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How files are read. format: a name, or None to recognise each by its content; strict: stop
    at the first record that is rejected."""

    format: str | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    strict: bool = False
