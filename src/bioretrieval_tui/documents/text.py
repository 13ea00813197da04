"""What text from a file may hold, decided once for every reader, and how its bytes are decoded.

Only NUL is refused: no text has it, and SQLite and C libraries end a text there. Escapes and
other control characters are data here; the terminal room cleans what it shows.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, NamedTuple

from bioretrieval_tui.documents.source import MAX_LINE_BYTES, SourceDamaged, SourceReader

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONVERT = "convert the file to UTF-8"


class RecordFault(Exception):
    """Why one record is no document: `reason`, and what to do about it (or None)."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def sound(text: str) -> str:
    """`text` as it is.

    Raises:
        RecordFault: it holds a NUL, or half of a surrogate pair.
    """
    if "\0" in text:
        raise RecordFault("the record holds a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RecordFault("the record holds half of a character") from error
    return text


def plain(text: str) -> str:
    """`text` on one line, for formats that wrap theirs: each run of whitespace is one blank.

    Raises:
        RecordFault: as `sound`.
    """
    return " ".join(sound(text).split())


def sound_value(value: Any) -> Any:
    """A JSON value as it is, every text within it looked at. Raises RecordFault as `sound`."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            sound(item)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


class Line(NamedTuple):  # a frozen dataclass takes five times as long to make, and there are many
    """One line of a text file, its end left on: `number` from 1, `text`, and why the record in
    which it stands cannot be trusted (then `text` is only good for finding where that ends)."""

    number: int
    text: str
    fault: RecordFault | None = None


def text_lines(source: SourceReader, limit: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of a text file in UTF-8, or in UTF-16 where it begins with that mark.

    Other encodings are not guessed: a wrong guess would spoil names and symbols silently.

    Raises:
        SourceDamaged: the file breaks off, or is no UTF-16 from some place on.
        CorpusError: the file cannot be read, or changed meanwhile.
    """
    if source.head(2) in _UTF16_BOMS:
        yield from _utf16_lines(source, limit)
        return
    for number, line in source.lines(limit):
        if line is None:
            yield Line(number, "", _too_long(limit))
            continue
        if number == 1:
            line = line.removeprefix(_UTF8_BOM)
        try:
            yield Line(number, line.decode("utf-8"))
        except UnicodeDecodeError as error:
            fault = RecordFault(f"not UTF-8 at byte {error.start + 1} of line {number}", CONVERT)
            yield Line(number, line.decode("utf-8", "replace"), fault)


def text_of_head(head: bytes) -> str:
    """The first bytes of a file as text, for recognising its format; wrong bytes are replaced."""
    if head[:2] in _UTF16_BOMS:
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    return head.removeprefix(_UTF8_BOM).decode("utf-8", "replace")


def _utf16_lines(source: SourceReader, limit: int) -> Iterator[Line]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    number, seen, rest, too_long = 0, 0, "", False
    for block in source.blocks():
        seen += len(block)
        parts = (rest + _decoded(decoder, block, seen)).split("\n")
        rest = parts.pop()
        for part in parts:
            number += 1
            over = too_long or len(part) >= limit
            yield Line(number, "", _too_long(limit)) if over else Line(number, part + "\n")
            too_long = False
        if len(rest) > limit:
            rest, too_long = "", True
    rest += _decoded(decoder, b"", seen, final=True)
    if rest or too_long:
        over = too_long or len(rest) > limit
        yield Line(number + 1, "", _too_long(limit)) if over else Line(number + 1, rest)


def _decoded(
    decoder: codecs.IncrementalDecoder, block: bytes, seen: int, *, final: bool = False
) -> str:
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise SourceDamaged(
            "the file is no UTF-16 from about here on", offset=seen, remedy=CONVERT
        ) from error


def _too_long(limit: int) -> RecordFault:
    return RecordFault(f"a line is longer than {limit:,} bytes")
