"""Large JSON files element by element: the members of one array or object, found by a scanner of
strings and brackets, each decoded on its own, so neither size nor one bad element matters.

What the scanner needs to go on is that strings end and brackets match; where they do not, the
rest of the file cannot be told apart and is given up, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.source import CONVERT, MAX_LINE_BYTES, SourceDamaged, SourceReader

MAX_ELEMENT_BYTES = MAX_LINE_BYTES

# A whole string; else a quote whose string does not end within the window; else a bracket.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|"|[\[\]{}]', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}\"]+")
_BOM = b"\xef\xbb\xbf"
_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_CLOSES = {b"[": b"]", b"{": b"}"}
_DEEPEST = 1_000
_REMEDY = "get the file again, or save it as valid JSON"


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its `offset` in the file (of its key, within an object), `key` (None within
    an array), and `value`, or the `fault` why it has none."""

    offset: int
    key: str | None
    value: Any = None
    fault: RecordFault | None = None

    def decoded(self) -> Any:
        """The value. Raises RecordFault where there is none."""
        if self.fault is not None:
            raise self.fault
        return self.value


def elements(
    source: SourceReader, path: tuple[str, ...] = (), *, limit: int = MAX_ELEMENT_BYTES
) -> Iterator[Element]:
    """The elements of the array or object that the file holds, or of the one that lies under
    the keys `path` in it (none, where no such key is there); of each in turn, where several
    follow each other. An element of more than `limit` bytes is said, but never held.

    Raises:
        SourceDamaged: the file ends within the JSON, or is no JSON from some place on.
        CorpusError: the file cannot be read, or changed meanwhile.
    """
    window = _Window(source)
    while True:
        if _enter(window, path):
            yield from _members(window, limit)
            _leave(window, len(path))
        if not window.peek():
            return


def decode(data: bytes) -> Any:
    """One JSON value. Raises RecordFault where it is none, or not UTF-8."""
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise RecordFault("the JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise RecordFault("the JSON is not UTF-8", CONVERT) from error
    except (msgspec.DecodeError, ValueError) as error:
        if b"\0" in data:
            raise RecordFault("the record holds a NUL character") from error
        reason = str(error).removeprefix("JSON is malformed: ")
        raise RecordFault(f"not JSON: {reason}") from error


class _Window:
    """The part of a file that is looked at: grows at its end, is dropped at its start."""

    def __init__(self, source: SourceReader) -> None:
        self._blocks = source.blocks()
        self._data = b""
        self._at = 0
        self._base = 0
        while len(self._data) < len(_BOM) and self._more():
            pass
        if self._data.startswith(_BOM):
            self._at = len(_BOM)

    @property
    def offset(self) -> int:
        """Bytes of the file before the next one."""
        return self._base + self._at

    def peek(self) -> bytes:
        """The next byte that is no whitespace, as yet to be read; empty at the end."""
        while True:
            match = _SPACE.match(self._data, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._more():
                return b""

    def take(self) -> bytes:
        """The next byte that is no whitespace; empty at the end."""
        byte = self.peek()
        self._at += len(byte)
        return byte

    def value(self, limit: int) -> bytes | None:
        """The bytes of the next value, to its end; None where it has more than `limit`, which
        are passed over.

        Raises:
            SourceDamaged: the file ends within it, a bracket has no match, or it is no value.
        """
        first = self.peek()
        start = self.offset
        kept: list[bytes] | None = []
        stack: list[bytes] = []
        size = 0
        while True:
            end, done = self._scan(first, stack, start)
            size += end - self._at
            if size > limit:
                kept = None
            if kept is not None:
                kept.append(self._data[self._at : end])
            self._at = end
            if done:
                return None if kept is None else b"".join(kept)
            if len(self._data) - self._at > limit:
                self._skip_string(start)  # a string of its own beyond the limit
                kept = None
                if not stack:
                    return None
            elif not self._more():
                if first not in b'[{"' and size:
                    return None if kept is None else b"".join(kept)
                raise _broken(start, "the file ends within the record that begins here")

    def _scan(self, first: bytes, stack: list[bytes], start: int) -> tuple[int, bool]:
        """Up to where the window can be told, and whether the value ends there."""
        data = self._data
        if first not in b'[{"' or not first:
            match = _SCALAR.match(data, self._at)
            if match is None:
                if self.offset == start:
                    raise _broken(start, "no JSON value begins here")
                return self._at, True
            return match.end(), match.end() < len(data)
        for match in _TOKEN.finditer(data, self._at):
            token = match[0]
            if token == b'"':
                return match.start(), False
            if token in b"[{":
                # Deeper than any decoder goes; a pile of brackets must not become a pile of ours.
                if len(stack) < _DEEPEST:
                    stack.append(_CLOSES[token])
                else:
                    raise _broken(start, "the JSON is nested too deeply")
            elif token in b"]}" and (not stack or stack.pop() != token):
                raise _broken(self._base + match.start(), "a bracket closes that was not opened")
            if not stack:
                return match.end(), True
        return len(data), False

    def _skip_string(self, start: int) -> None:
        """Pass over a string that begins here, without holding it."""
        self._at += 1
        while True:
            match = _REST.match(self._data, self._at)
            self._at = match.end() if match else self._at
            if self._data[self._at : self._at + 1] == b'"':
                self._at += 1
                return
            if not self._more():
                raise _broken(start, "the file ends within the record that begins here")

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._base += self._at
        self._data = self._data[self._at :] + block
        self._at = 0
        return bool(block)


def _enter(window: _Window, path: tuple[str, ...]) -> bool:
    """Go down to the value under `path`. False: it is not there, and the document is passed."""
    for depth, wanted in enumerate(path):
        if window.peek() != b"{":
            raise _broken(window.offset, "no JSON object begins here")
        window.take()
        closed = window.peek() == b"}"
        while not closed and _key(window) != wanted:
            window.value(0)
            closed = _is_last(window)
        if closed:
            window.take()
            _leave(window, depth)
            return False
    return True


def _leave(window: _Window, depth: int) -> None:
    """Pass over what follows in the objects that enclose a value, `depth` of them."""
    for _ in range(depth):
        while not _is_last(window):
            _key(window)
            window.value(0)
        window.take()


def _is_last(window: _Window) -> bool:
    """Whether an object ends after this member; else its comma is passed over."""
    if window.peek() == b",":
        window.take()
        return window.peek() == b"}"
    if window.peek() != b"}":
        raise _broken(window.offset, "no comma parts two members here")
    return True


def _members(window: _Window, limit: int) -> Iterator[Element]:
    opened = window.take()
    if opened not in (b"[", b"{"):
        raise _broken(window.offset - len(opened), "no JSON array or object begins here")
    closes = _CLOSES[opened]
    # A comma after the last element, which careless writers leave, is let pass.
    while window.peek() != closes:
        start = window.offset
        key = _key(window) if opened == b"{" else None
        yield _element(window, start, key, limit)
        if window.peek() == b",":
            window.take()
        elif window.peek() != closes:
            what = "no comma parts two elements here" if window.peek() else "the file ends here"
            raise _broken(window.offset, f"{what}, within the JSON")
    window.take()


def _key(window: _Window) -> str:
    start = window.offset
    if window.peek() != b'"':
        raise _broken(start, "no key of a JSON object begins here")
    data = window.value(MAX_ELEMENT_BYTES)
    if data is None:
        raise _broken(start, "a key is too long")
    try:
        key = decode(data)
    except RecordFault as fault:
        raise _broken(start, fault.reason) from fault
    if window.take() != b":":
        raise _broken(start, "a key has no value")
    return str(key)


def _element(window: _Window, start: int, key: str | None, limit: int) -> Element:
    data = window.value(limit)
    if data is None:
        fault = RecordFault(f"the record is longer than {limit:,} bytes")
        return Element(start, key, fault=fault)
    try:
        return Element(start, key, decode(data))
    except RecordFault as fault:
        return Element(start, key, fault=fault)


def _broken(offset: int, reason: str) -> SourceDamaged:
    return SourceDamaged(reason, offset=offset, remedy=_REMEDY)
