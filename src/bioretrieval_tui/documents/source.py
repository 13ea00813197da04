"""A corpus file as a stream: opened, decompressed, hashed and brought to UTF-8 while it is read, as
bytes or lines.

Memory is bounded: lines have a largest length, and compressed files a largest ratio. Also what a
reader is (`Format`), and the user's settings for it (`ReadSettings`).
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import msgspec

from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError, UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE_BYTES = 16 * 2**20
"""Longest line and largest record that are read. The longest known abstract is under 100 kB, the
largest PubMed record under 5 MB."""
STDIN = "-"
"""The name of an input from a pipe."""
CONVERT = "convert the file to UTF-8, or name its encoding with --encoding"

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_MOST_RATIO = 200
_RATIO_FROM = 256 * 2**20
"""Text expands ten to twenty times; 200 times, and so much of it, is an attack."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST = 4096
"""Bytes that are read at first, at least: they hold the encoding that an XML file declares."""
_DECLARED = re.compile(
    rb"(\s*<\?xml\s[^>]*?)\s+encoding\s*=\s*(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE
)
_WRONG = "bioretrieval-wrong"
codecs.register_error(_WRONG, lambda error: ("\udcff", getattr(error, "end", 0)))
# What Python calls encodings, but are escapes, host names, or depend on the machine.
_NO_TEXT = frozenset({"idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined",
                      "unicode_escape"})  # fmt: skip
_OTHERS = ("gb18030", "shift_jis", "big5", "euc_kr", "cp1251")


Dedupe = Literal["report", "merge", "off"]
"""Records of one work under several ids: name them, make them one document, or do not look."""


class ReadSettings(msgspec.Struct, frozen=True):
    """How files are read.

    format: a name, None to detect it by content; mapping: from our fields (`id`, `title`, `text`,
    or a name of metadata) to columns of a table or keys of JSON lines; strict: stop at the first
    rejected record; encoding: of the files without a byte order mark, None for UTF-8 (or what XML
    declares); delimiter: of a table's fields, None to detect it; dedupe: what is done with records
    of one work under several ids, see `Dedupe`.
    """

    format: str | None = None
    mapping: Mapping[str, str] = {}
    strict: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    dedupe: Dedupe = "report"


class Format(msgspec.Struct, frozen=True):
    """A corpus format.

    name: for `--format`; suffixes: of file names, without `.gz`; recognises: whether these first
    bytes (up to 64 kB, decompressed, in UTF-8) are of this format, by content alone; records: the
    records of a source (or RecordFaults, or what is Skipped) and their places, in file order,
    bounded in memory; may raise SourceDamaged where a file breaks off, CorpusError if it cannot be
    read at all; document: of a record, or the id of a deleted one; may raise RecordFault; shape:
    the remedy of faults without one; takes: which of the options `map` and `delimiter` apply to it.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    records: Callable[[SourceReader, ReadSettings], Iterator[tuple[Place, Any]]]
    document: Callable[[Any], Document | str]
    shape: str | None = None
    takes: tuple[str, ...] = ()


class SourceDamaged(CorpusError):
    """The file breaks off or cannot be decompressed further; what came before is sound. `offset`:
    bytes that were decompressed until then."""

    def __init__(self, message: str, offset: int, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.offset = offset


class SourceReader:
    """A corpus file, stdin (None) or `data` called `name`, read once; a context manager.

    gzip is detected by content. `head()` looks ahead; `lines()` or `blocks()` give the content;
    both are in UTF-8, into which UTF-16 and UTF-32 with a byte order mark are brought (unless it is
    XML), and files without one from `encoding`. `consumed` and `sha256()` are those of the whole
    file after the end. Construction raises NotFoundError if the file does not exist, CorpusError if
    it cannot be read.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        data: bytes | None = None,
        name: str = STDIN,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self.name = name if path is None else str(path)
        self.encoding = encoding or "utf-8"
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False
        try:
            stored: str | Path | int = os.devnull if path is None else path
            if path is None and data is None:
                stored = os.dup(sys.stdin.fileno())
            self._file = _HashingFile(stored)
            self._before = self._state()
            self._buffered = io.BufferedReader(self._file, _CHUNK)
            self._packed = self._buffered.peek(2)[:2] == _GZIP_MAGIC
        except OSError as error:
            raise reading_fault(self.name, error) from error
        except (AttributeError, ValueError) as error:  # a closed stdin, or one that is no file
            raise CorpusError("stdin cannot be read") from error
        self._stream: gzip.GzipFile | io.BufferedReader[_HashingFile] | io.BytesIO = self._buffered
        if data is not None:
            self._stream = io.BytesIO(data)
        elif self._packed:
            self._stream = gzip.GzipFile(fileobj=self._buffered)
        self._given = 0
        self._ahead = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._file.close()

    @property
    def consumed(self) -> int:
        """Bytes of the file as stored that were read so far."""
        return self._file.count

    def head(self, size: int = 1 << 16) -> bytes:
        """The first bytes of the decompressed content, fewer if it is shorter or damaged there.
        Call before any other method."""
        with suppress(SourceDamaged):  # reported, with its place, when the content is read
            while len(self._ahead) < size and (part := self._next(size - len(self._ahead))):
                self._ahead += part
        return self._ahead[:size]

    def blocks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the decompressed content in UTF-8, in parts of about `size` bytes. Raises
        SourceDamaged if the compressed data is damaged, cut off, or expands too much; CorpusError
        if the file cannot be read, or changed while it was read."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            yield ahead
        yield from iter(lambda: self._next(size), b"")
        self._check_unchanged()

    def lines(self, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
        """Yield numbers from 1, and lines with their ends, None if of more than `limit` bytes.
        Raises as `blocks`."""
        return _lines(self.blocks(), limit)

    def hash_rest(self) -> None:
        """Read the rest, so that `sha256()` is that of the whole file. Raises CorpusError as
        `blocks`."""
        try:
            while self._buffered.read(_CHUNK):
                pass
        except OSError as error:
            raise reading_fault(self.name, error) from error
        self._check_unchanged()

    def sha256(self) -> str:
        """Hex SHA-256 of the bytes, as stored, that were read so far."""
        return self._file.digest.hexdigest()

    def _next(self, size: int) -> bytes:
        """The next part in UTF-8; empty at the end."""
        if not self._begun:
            return self._first(size)
        while part := self._read(size):
            if decoded := self._decoded(part):
                return decoded
        return self._decoded(b"", final=True)

    def _first(self, size: int) -> bytes:
        """The first part, by which the encoding is chosen."""
        self._begun = True
        first = b""
        while len(first) < 4 and (part := self._read(max(size, _FIRST))):
            first += part
        for mark, encoding in _MARKS:
            if first.startswith(mark):
                # XML tells its own encoding, and its readers know UTF-16.
                is_xml = first[len(mark) : len(mark) + 4].strip(b"\0 \r\n").startswith(b"<")
                self.encoding = "utf-8" if is_xml else encoding
                break
        if codecs.lookup(self.encoding).name != "utf-8":
            self._decoder = codecs.getincrementaldecoder(self.encoding)(_WRONG)
            # What the file declares is no longer true.
            return _DECLARED.sub(rb"\1", self._decoded(first), count=1) or self._next(size)
        return first

    def _decoded(self, part: bytes, *, final: bool = False) -> bytes:
        """`part` in UTF-8, with what is not of the encoding as a byte that UTF-8 lacks, so that it
        is a fault of its record alone."""
        if self._decoder is None:
            return part
        return self._decoder.decode(part, final).encode("utf-8", "surrogateescape")

    def _read(self, size: int) -> bytes:
        try:
            # A part at a time: data decompressed before the damage must not be lost.
            part = self._stream.read1(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            what = "the gzip data is damaged or cut off here"
            remedy = "get the file again and compare its checksum"
            raise SourceDamaged(what, self._given, remedy) from error
        except OSError as error:
            raise reading_fault(self.name, error) from error
        self._given += len(part)
        beyond = self._given > _RATIO_FROM and self._given > _MOST_RATIO * self._file.count
        if self._packed and beyond:
            what = f"the gzip data expands to more than {_MOST_RATIO} times its size"
            remedy = "no text does that; decompress it yourself if you trust it"
            raise SourceDamaged(what, self._given, remedy)
        return part

    def _state(self) -> tuple[int, int] | None:
        now = None if self.path is None else os.fstat(self._file.fileno())
        return None if now is None else (now.st_size, now.st_mtime_ns)

    def _check_unchanged(self) -> None:
        if self._state() != self._before:
            remedy = "try again when no other program writes to it"
            raise CorpusError(f"{self.name} changed while it was read", remedy=remedy)


class _HashingFile(io.FileIO):
    """A file that hashes and counts every byte that a buffer reads of it."""

    def __init__(self, file: str | Path | int) -> None:
        super().__init__(file)
        self.digest = hashlib.sha256()
        self.count = 0

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size = super().readinto(buffer) or 0
        self.digest.update(memoryview(buffer).cast("B")[:size])
        self.count += size
        return size


def reading_fault(name: str, error: Exception) -> BioRetrievalError:
    """The error for the user of an operating system's error about the file `name`."""
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"there is no file {name}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CorpusError(f"{name} cannot be read: {reason}")


# Lines ------------------------------------------------------------------------------------------


class TextLine(NamedTuple):  # made five times as fast as a frozen dataclass
    """A line with its end: `number` from 1, `text`, and the fault of the record that it belongs to
    (then `text` only serves to find the record's end)."""

    number: int
    text: str
    fault: RecordFault | None = None


def text_lines(source: SourceReader) -> Iterator[TextLine]:
    """Yield the lines of a text file. Raises as `SourceReader.blocks`.

    Encodings are not guessed: a wrong guess would spoil names and symbols silently. A line that is
    not UTF-8 says which one may be right.
    """
    start = source.head()
    blocks = source.blocks()
    if b"\r" in start and b"\n" not in start:  # as on a Macintosh of old
        blocks = (block.replace(b"\r", b"\n") for block in blocks)
    for number, line in _lines(blocks, MAX_LINE_BYTES):
        if line is None:
            reason = f"a line is longer than {MAX_LINE_BYTES:,} bytes"
            yield TextLine(number, "", RecordFault(reason))
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            yield TextLine(number, line.decode("utf-8"))
        except UnicodeDecodeError as error:
            what = f"byte {error.start + 1} of line {number}"
            fault = not_decoded(line, what, source.encoding)
            yield TextLine(number, line.decode("utf-8", "replace"), fault)


def text_of_head(head: bytes) -> str:
    """The first bytes of a file as text, to detect its format; wrong bytes are replaced."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


# Encodings --------------------------------------------------------------------------------------


def text_encoding(name: str) -> str:
    """`name`, an encoding of texts. Raises UsageError if Python knows none of that name."""
    try:
        info = codecs.lookup(name)
        b"a".decode(name)  # refuses what is no encoding of texts
    except (LookupError, ValueError, TypeError) as error:
        if not isinstance(error, UnicodeError):
            info = None
    if info is None or info.name.replace("-", "_") in _NO_TEXT:
        remedy = "such as utf-8, utf-16-le, cp1252, latin-1, gb18030, shift_jis or koi8-r"
        raise UsageError(f"there is no text encoding {name[:40]!r}", remedy=remedy)
    return name


def not_decoded(data: bytes, place: str, encoding: str = "utf-8") -> RecordFault:
    """The fault of `data` with a wrong byte at `place`; it says which encoding may be right."""
    if encoding != "utf-8":
        return RecordFault(f"not {encoding.upper()} at {place}")
    return RecordFault(f"not UTF-8 at {place}; try --encoding {likely_encoding(data)}")


def likely_encoding(data: bytes) -> str:
    """The encodings that `data`, which is not UTF-8, may be in: Western if most letters beyond
    ASCII stand alone, else the multi-byte and Cyrillic ones that fit."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    if 2 * sum(len(run) == 1 for run in runs) > len(runs):
        return "cp1252" if _fits(data, "cp1252") else "latin-1"
    return " or ".join(name for name in _OTHERS if _fits(data, name)) or "latin-1"


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


# Lines of bytes ---------------------------------------------------------------------------------


_BLANK_LINES = re.compile(rb"(?<=\n)(?:[ \t\r]*+\n){16,}+")
"""So many that they mean no more than one: files of millions of them are attacks."""


def _lines(blocks: Iterable[bytes], limit: int) -> Iterator[tuple[int, bytes | None]]:
    number = size = 0
    begun: list[bytes] = []  # the parts of a line that is not complete
    too_long = False
    for part, left_out in _without_runs(blocks):
        first, *others = part.split(b"\n")
        begun.append(first)
        size += len(first)
        if others:
            for line in (b"".join(begun), *others[:-1]):
                number += 1
                over = too_long or len(line) >= limit
                yield number, None if over else line + b"\n"
                too_long = False
            begun, size = [others[-1]], len(others[-1])
            number += left_out
        if size > limit:
            begun, size, too_long = [], 0, True
    rest = b"".join(begun)
    if rest or too_long:
        yield number + 1, None if too_long or len(rest) > limit else rest


def _without_runs(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """The blocks with one line for each long run of blank lines, in parts, each with the number of
    lines that are left out behind it."""
    for block in blocks:
        start = 0
        for run in _BLANK_LINES.finditer(block):
            yield block[start : run.start()] + b"\n", run[0].count(b"\n") - 1
            start = run.end()
        yield block[start:], 0


def without_blanks(head: bytes) -> bytes:
    """The beginning of a file, with long runs of blanks and blank lines shortened: patterns that
    recognise formats would look at each again and again."""
    return _BLANKS.sub(lambda run: b"\n\n" if b"\n" in run[0] else b"    ", head)


_BLANKS = re.compile(rb"[ \t\r\n]{32,}+")
