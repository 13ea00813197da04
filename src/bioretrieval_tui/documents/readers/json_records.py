"""JSON records: one object a line, or the elements of an array or object in a file of any size.

A scanner of strings and brackets finds the elements, which are decoded one by one, so that a bad
element loses no other. Where strings do not end or brackets do not match, the rest of the file is
rejected, with its place. (`ijson` stops at the first fault and gives no offsets.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.documents.bibliography import json_type, sound_value
from bioretrieval_tui.documents.document import Place, RecordFault
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    SourceDamaged,
    SourceReader,
    not_decoded,
)

BOM = b"\xef\xbb\xbf"

_TOKEN = re.compile(rb'[\[\]{}"]')
_MEMBER_TOKEN = re.compile(rb'[\[\]{}",]')
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}\"]*")
_CLOSES = {b"[": b"]", b"{": b"}", b'"': b'"'}
_DEEPEST = 1_000
"""Deepest nesting of brackets, above the decoder's own limit."""


def decode(data: bytes) -> Any:
    """Decode a JSON value. Raises RecordFault if it is invalid or not UTF-8."""
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise RecordFault("the JSON is nested too deeply") from error
    except ValueError as error:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise not_decoded(data, f"byte {wrong.start + 1} of the record") from error
        if b"\0" in data:
            raise RecordFault("the record holds a NUL character") from error
        reason = str(error).removeprefix("JSON is malformed: ")
        raise RecordFault(f"not JSON: {reason}") from error


def json_lines(
    source: SourceReader, _: object = None, *, limit: int = MAX_LINE_BYTES
) -> Iterator[tuple[Place, Any]]:
    """Yield the value of each line that is not blank, or its fault."""
    for number, line in source.lines(limit):
        if number == 1 and line:
            line = line.removeprefix(BOM)
        if line is None or line.strip():
            value = _decoded(line, limit, "line", "write one record a line")
            yield Place(source.name, line=number), value


def json_values(
    source: SourceReader, path: tuple[str, ...] = (), *, limit: int = MAX_LINE_BYTES
) -> Iterator[tuple[Place, Any]]:
    """Yield the records of a file in whatever shape they are: one a line, the elements of an array
    (under the keys `path` of an object), or objects after each other. Raises as `elements`."""
    if not path and is_lined(source.head()):
        yield from json_lines(source, limit=limit)
        return
    window = _JsonWindow(source)
    while opened := window.peek():
        if path or opened == b"[":
            for one in _members(window, path, limit):
                yield Place(source.name, offset=one.offset), one.value
        else:
            start = window.offset
            yield Place(source.name, offset=start), _decoded(window.value(limit), limit)


def is_lined(head: bytes) -> bool:
    """Whether the first line of a file that begins with `head` is a whole object, or longer."""
    line, end, _ = head.removeprefix(BOM).lstrip().partition(b"\n")
    return line.startswith(b"{") and (line.rstrip().endswith(b"}") or not end)


def first_object(head: bytes, path: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """The first record of a file in JSON that begins with `head`, as far as it is whole, or None if
    it is no object."""
    text = head.removeprefix(BOM).lstrip()
    start = 1 if text.startswith(b"[") else 0
    for key in path:
        found = re.compile(rb'"%s"\s*:\s*[\[{]' % re.escape(key.encode())).search(text, start)
        if found is None:
            return None
        start = found.end()
    body = text[start:].lstrip()
    if path and not body.startswith(b"{"):
        return None
    return _whole_members(body)


def array_keys(head: bytes) -> list[str]:
    """The keys of the object with which a file begins that hold arrays of objects."""
    body = head.removeprefix(BOM).lstrip()
    keys: list[str] = []
    key = b""
    depth = at = 0
    while match := _MEMBER_TOKEN.search(body, at):
        token, at = match[0], match.end()
        if token == b'"':
            rest = _STRING_REST.match(body, at)
            end = rest.end() if rest else len(body)
            key = body[at:end] if depth == 1 else key
            at = end + 1
        elif token in b"[{":
            inside = _SPACE.match(body, at)
            begins = body[inside.end() : inside.end() + 1] if inside else b""
            if depth == 1 and token == b"[" and begins == b"{":
                keys.append(key.decode("utf-8", "replace"))
            depth += 1
        elif token != b",":
            depth -= 1
            if depth <= 0:
                break
    return keys


def _whole_members(body: bytes) -> dict[str, Any] | None:
    """The object that begins here, as far as its members are whole; None if there is none."""
    depth = at = end = 0
    while match := _MEMBER_TOKEN.search(body, at):
        token, at = match[0], match.end()
        if token == b'"':
            rest = _STRING_REST.match(body, at)
            at = rest.end() + 1 if rest else len(body)
        elif token == b",":
            end = at - 1 if depth == 1 else end
        else:
            depth += 1 if token in b"[{" else -1
            if depth <= 0:
                break
    try:
        value = decode(body[:at] if depth <= 0 else body[:end] + b"}")
    except RecordFault:
        return None
    return value if isinstance(value, dict) else None


def _decoded(
    data: bytes | None, limit: int, what: str = "record", remedy: str | None = None
) -> Any:
    """A JSON value, in which all texts are sound, or its fault; None is data of more than `limit`
    bytes."""
    if data is None:
        return RecordFault(f"the {what} is longer than {limit:,} bytes", remedy)
    try:
        value = decode(data)
        # The decoder refuses halves of characters, and a NUL that is not escaped.
        is_doubtful = isinstance(value, dict) and b"\\u0000" in data
        return sound_value(value) if is_doubtful else value
    except RecordFault as fault:
        return fault


def json_object(value: Any) -> dict[str, Any]:
    """Return `value`, an object. Raises RecordFault if it is not one, or is empty."""
    if not isinstance(value, dict):
        raise RecordFault(f"the record is {json_type(value)}, not an object")
    if not value:  # at once: millions of them fit into a small compressed file
        raise RecordFault("the record is empty")
    return value


def text_field(record: dict[str, Any], name: str) -> str:
    """The text under `name`, "" if absent. Raises RecordFault if it is not text."""
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordFault(f"`{name}` is {json_type(value)}, not text")
    return value or ""


class JsonElement(NamedTuple):
    """An element: its byte `offset` in the file (that of its key in an object), its `key` (None in
    an array), and its `value` or RecordFault."""

    offset: int
    key: str | None
    value: Any


def elements(
    source: SourceReader, path: tuple[str, ...] = (), *, limit: int = MAX_LINE_BYTES
) -> Iterator[JsonElement]:
    """Yield the elements of the array or object in a file, or of the one under the keys `path`;
    if several follow each other, of each in turn. An element of more than `limit` bytes is
    reported, but not held in memory. Raises as `SourceReader.blocks`, and SourceDamaged if the file
    ends within the JSON, or stops being JSON."""
    window = _JsonWindow(source)
    yield from _members(window, path, limit)
    while window.peek():
        yield from _members(window, path, limit)


def _members(window: _JsonWindow, path: tuple[str, ...], limit: int) -> Iterator[JsonElement]:
    """Yield the elements of the container that begins here, or of the one under `path` in it."""
    opened = window.peek()
    if opened != b"{" and (path or opened != b"["):
        what = "object" if path else "array or object"
        raise _broken(window.offset, f"no JSON {what} begins here")
    closes = _CLOSES[window.take()]
    # A comma after the last element is accepted.
    while window.peek() != closes:
        start = window.offset
        key = _key(window) if opened == b"{" else None
        if not path:
            yield JsonElement(start, key, _decoded(window.value(limit), limit))
        elif key == path[0]:
            yield from _members(window, path[1:], limit)
        else:
            window.value(0)
        if window.peek() == b",":
            window.take()
        elif window.peek() != closes:
            what = "no comma between two elements here" if window.peek() else "the file ends here"
            raise _broken(window.offset, f"{what}, within the JSON")
    window.take()


def _key(window: _JsonWindow) -> str:
    start = window.offset
    key = _decoded(window.value(MAX_LINE_BYTES), MAX_LINE_BYTES)
    if isinstance(key, RecordFault):
        raise _broken(start, key.reason)
    if not isinstance(key, str) or window.take() != b":":
        raise _broken(start, "no key with a colon, of a JSON object, begins here")
    return key


class _JsonWindow:
    """The part of a file that is scanned: grows at its end, is dropped at its start."""

    def __init__(self, source: SourceReader) -> None:
        self._blocks = source.blocks()
        self._data = b""
        self._at = 0
        self._base = 0  # bytes of the file before `_data`
        while len(self._data) < len(BOM) and self._more():
            pass
        if self._data.startswith(BOM):
            self._at = len(BOM)

    @property
    def offset(self) -> int:
        return self._base + self._at

    def peek(self) -> bytes:
        """The next byte that is not whitespace, not consumed; empty at the end."""
        while True:
            match = _SPACE.match(self._data, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._data) or not self._more():
                return self._data[self._at : self._at + 1]

    def take(self) -> bytes:
        """The next byte that is not whitespace, consumed; empty at the end."""
        byte = self.peek()
        self._at += len(byte)
        return byte

    def value(self, limit: int) -> bytes | None:
        """Consume the next value; None if it has more than `limit` bytes."""
        is_scalar = self.peek() not in _CLOSES
        start, size = self.offset, 0
        kept: list[bytes] = []
        stack: list[bytes] = []  # the closing characters of open strings and brackets
        while True:
            begin = self._at
            if is_scalar and (match := _SCALAR.match(self._data, begin)):
                self._at = match.end()
                done = self._at < len(self._data)
            else:
                done = self._tokens(stack, start)
            size += self._at - begin
            kept = [*kept, self._data[begin : self._at]] if size <= limit else []
            if done or not self._more():
                break
        if is_scalar and size == 0:
            raise _broken(start, "no JSON value begins here")
        if not (is_scalar or done):
            raise _broken(start, "the file ends within the record that begins here")
        return None if size > limit else b"".join(kept)

    def _tokens(self, stack: list[bytes], start: int) -> bool:
        """Move to the end of the value, or of the window; whether the value ends there."""
        data = self._data
        while True:
            if stack and stack[-1] == b'"':
                rest = _STRING_REST.match(data, self._at)
                self._at = rest.end() if rest else self._at
                if data[self._at : self._at + 1] != b'"':
                    return False  # except a final backslash, the window is used up
                self._at += 1
                stack.pop()
            elif match := _TOKEN.search(data, self._at):
                token, self._at = match[0], match.end()
                if len(stack) == _DEEPEST and token in b"[{":
                    raise _broken(start, "the JSON is nested too deeply")
                if token in _CLOSES:
                    stack.append(_CLOSES[token])
                elif not stack or stack.pop() != token:
                    raise _broken(self.offset - 1, "a bracket closes that was not opened")
            else:
                self._at = len(data)
                return False
            if not stack:
                return True

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._base += self._at
        self._data = self._data[self._at :] + block
        self._at = 0
        return bool(block)


def _broken(offset: int, reason: str) -> SourceDamaged:
    return SourceDamaged(reason, offset, "get the file again, or save it as valid JSON")
