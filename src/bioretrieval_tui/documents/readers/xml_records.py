"""Cuts a stream of XML into its records by tag name and parses each record on its own.

Knows tags, not what they mean. A whole-file parser stops for good at the first fault; a record
that is parsed alone costs no neighbour, and no DOCTYPE ever reaches the parser, so entities
that a file declares do not exist here. In memory are one record and one block at a time.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Place, RecordFault, Rejected
from bioretrieval_tui.documents.readers.xmlahead import WORTH_IT, Parsed, parsed_ahead
from bioretrieval_tui.documents.readers.xmlparse import RecordParser
from bioretrieval_tui.documents.source import CONVERT

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_RECORD_BYTES = 16 * 2**20
"""Largest record that is read. The largest PubMed record known is under 5 MB."""

_HEAD = 512
_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_UTF8_BOM = codecs.BOM_UTF8
# Charsets in which the bytes of markup never stand for anything else, so that tags can be found
# before decoding.
_TRANSPARENT = re.compile(
    r"(ascii|utf-8|iso8859-\d+|cp125\d|koi8-[rtu]|mac-roman|gbk|gb2312|euc_\w+)$"
)
_HTML = re.compile(rb"(?is)\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html)[\s>]")
_CDATA_EDGE = re.compile(rb"\]\]>|<!\[CDATA\[")
_DOCTYPE = re.compile(
    rb"""<!DOCTYPE (?: [^>"'\[] | "[^"]*" | '[^']*' )*+
    (?: \[ (?: <!-- (?:(?!--).)*+ --> | [^\]"'] | "[^"]*" | '[^']*' )*+ \] \s* )?+ >""",
    re.VERBOSE | re.DOTALL,
)
_EMPTY_TAG = re.compile(rb"(?:[^<>\"'/]|\"[^\"<]*\"|'[^'<]*'|/(?!>))*+/>")
_BLANK = re.compile(rb"\s*+")
_WARY = 16
"""So many records of one file that are not closed, and every end is looked for with care at
once: looking far ahead for an end that belongs to another record would cost ever more."""
_CONTINUATION = bytes(range(0x80, 0xC0))
_NOT_FOUR_BYTES = bytes(set(range(256)) - set(range(0xF0, 0xF8)))


def records(
    blocks: Iterable[bytes],
    names: tuple[str, ...],
    file: str,
    *,
    limit: int = MAX_RECORD_BYTES,
    unread: tuple[str, ...] = (),
) -> Iterator[tuple[_Element, Place] | Rejected]:
    """The elements called one of `names`, in file order, wherever they stand in the tree.

    A record is `Rejected` that is not well-formed, holds bytes that are not of the charset of
    the file, names an entity that is no standard character, is larger than `limit` bytes, or is
    not closed. What stands in comments, CDATA sections and the DOCTYPE is not looked into. No
    record holds another: where one begins within another, the outer one was not closed.

    Elements called one of `unread` may be missing from what is given, and faults within them may
    go unseen: the caller does not look at them, and to parse long lists for nobody costs time.

    Offsets count bytes of the file to the start tag of the record; lines are not counted, which
    would cost a tenth of the time to find what most such files hold in one line.

    Raises: whatever `blocks` raises; nothing of its own.
    """
    rest = iter(blocks)
    head = b""
    while len(head) < _HEAD and (block := next(rest, b"")):
        head += block
    charset = _charset(head)
    if charset is None:
        yield Rejected(
            Place(file, offset=0),
            "the file is in a charset that is not read here",
            CONVERT,
        )
        return
    cutter = _Cutter(names, file, limit, charset, unread)
    stream: Iterator[bytes] = chain([head], rest)
    if charset.startswith("utf-16"):
        stream = _transcoded(stream, charset)
    first = next(stream, b"")
    while len(first) < WORTH_IT and (block := next(stream, b"")):
        first += block
    if charset != "utf-8" or len(first) < WORTH_IT:
        for block in chain([first], stream):
            cutter.feed(block)
            yield from cutter.taken()
    else:
        # A parser of its own: one parser is for one thread.
        parser = RecordParser(None, unread)
        with closing(parsed_ahead(chain([first], stream), names, parser)) as ahead:
            for block, parsed in ahead:
                cutter.feed(block, parsed)
                yield from cutter.taken()
    cutter.end()
    yield from cutter.taken()


def markup_of(head: bytes) -> bytes:
    """The first bytes of a file as UTF-8 without a byte order mark, for looking at its tags;
    empty where they do not begin like XML, or are of a web page."""
    charset = _charset(head)
    if charset is None:
        return b""
    if charset.startswith("utf-16"):
        head = b"".join(_transcoded([head], charset))
    head = head.removeprefix(_UTF8_BOM)
    return head if head.lstrip().startswith(b"<") and not _HTML.match(head) else b""


def _charset(head: bytes) -> str | None:
    """Python's name of the charset: by byte order mark, then as declared, else UTF-8."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return None
    if head.startswith((codecs.BOM_UTF16_LE, b"<\0?\0")):
        return "utf-16-le"
    if head.startswith((codecs.BOM_UTF16_BE, b"\0<\0?")):
        return "utf-16-be"
    declared = _DECLARED.match(head.removeprefix(_UTF8_BOM).lstrip())
    if declared is None or head.startswith(_UTF8_BOM):
        return "utf-8"
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name
    except LookupError:
        return None
    if name.startswith("utf-16"):
        return "utf-8"  # the declaration could be read as bytes, so it is not true
    return name if _TRANSPARENT.match(name) else None


def _transcoded(blocks: Iterable[bytes], charset: str) -> Iterator[bytes]:
    """UTF-16 as UTF-8. Half surrogate pairs come through as the bytes that they would be, which
    the parser refuses in the record where they stand."""
    decoder = codecs.getincrementaldecoder(charset)("surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")


class _Cutter:
    """Finds the records in what is fed to it; `taken()` gives those that are complete.

    The first closing tag after a start tag ends the record in nearly every case. So that piece
    is parsed first: it is well-formed only if it is the whole record. Only if it is not, a
    careful second look (`_cut`) heeds comments, CDATA sections and other start tags.
    """

    def __init__(
        self, names: tuple[str, ...], file: str, limit: int, charset: str, unread: tuple[str, ...]
    ) -> None:
        tags = b"|".join(name.encode() for name in names)
        start = rb"(?P<start>%s)(?=[\s/>])" % tags
        inert = rb"(?P<comment>!--)|(?P<cdata>!\[CDATA\[)"
        self._start_tag = re.compile(b"<" + start)
        self._outside = re.compile(rb"<(?:%s|(?P<doctype>!DOCTYPE)|%s)" % (inert, start))
        self._within = re.compile(rb"<(?:%s|%s|/(?P<end>%s)\s*+>)" % (inert, start, tags))
        self._longest = max(max(len(name) for name in names) + 2, 10)
        self._unclosed = 0
        self._parse = RecordParser(None if charset.startswith("utf-") else charset, unread)
        self._wide = charset.startswith("utf-16")
        self._file = file
        self._limit = limit
        self._data = b""
        self._at = 0  # everything before was looked at
        self._final = False
        self._lost = False  # within a record that is too large, until the next one begins
        self._name = b""  # of the record that began at `_begin`; empty outside
        self._begin = 0
        self._place = Place(file)
        self._ahead: Parsed = {}
        self._fault: tuple[int, RecordFault] | None = None  # of the piece that ended there
        self._mark = 0  # `_offset` is of this position
        self._offset = 0

    def feed(self, block: bytes, parsed: Parsed | None = None) -> None:
        """Take the next piece of the file, and records that were parsed ahead."""
        if parsed:
            self._ahead = parsed
        keep = self._begin if self._name else self._at
        self._locate(keep)
        self._data = self._data[keep:] + block
        self._at -= keep
        self._begin = self._mark = 0

    def end(self) -> None:
        """The file has ended."""
        self._final = True

    def taken(self) -> Iterator[tuple[_Element, Place] | Rejected]:
        """The records that can be told by now."""
        while self._name or self._seek():
            item = self._take()
            if item is None:
                return
            yield item

    def _seek(self) -> bool:
        """Go to the next start tag of a record."""
        pattern = self._start_tag if self._lost else self._outside
        while True:
            match = pattern.search(self._data, self._at)
            if match is None:
                self._at = max(self._at, len(self._data) - self._longest)
                return False
            if match.lastgroup != "start":
                end = self._passed(match)
                self._at = match.start() if end < 0 else end
                if end < 0:
                    return False
                continue
            self._lost = False
            self._name = match["start"]
            self._begin = match.start()
            self._at = match.end()
            self._place = self._locate(self._begin)
            return True

    def _take(self) -> tuple[_Element, Place] | Rejected | None:
        """The record that began, or None where its end is not here yet."""
        stop = min(len(self._data), self._begin + self._limit)
        full = stop - self._begin == self._limit
        if self._fault is None and self._unclosed < _WARY:
            end = self._first_end(stop)
            if end < 0 and not (full or self._final):
                return None
            if end >= 0:
                element = self._parsed(end)
                if element is not None:
                    return self._leave(end, element)
        end, complete = self._cut(stop, full or self._final)
        if end >= 0 and not complete:
            self._unclosed += 1
            return self._refuse(end, "the record is not closed before the next one begins")
        if end >= 0:
            element = self._parsed(end)
            if element is not None:
                return self._leave(end, element)
            fault = self._fault[1] if self._fault else RecordFault("not well-formed")
            return self._refuse(end, fault.reason, fault.remedy)
        if full:
            self._lost = True
            reason = f"the record is larger than {self._limit:,} bytes"
            return self._refuse(max(self._at, stop - self._longest), reason)
        if self._final:
            return self._refuse(
                stop, "the file ends within a record", "get the file again, it may be cut off"
            )
        return None

    def _first_end(self, stop: int) -> int:
        """Where the first closing tag ends; -1 if none stands before `stop`."""
        data, wanted = self._data, b"</" + self._name
        while True:
            found = data.find(wanted, self._at, stop)
            if found < 0:
                self._at = max(self._at, stop - len(wanted))
                return -1
            after = found + len(wanted)
            if data[after : after + 1] == b">" and after < stop:
                return after + 1
            blank = _BLANK.match(data, after, stop)
            after = blank.end() if blank else after
            if after >= stop:
                self._at = found
                return -1
            if data[after] == ord(">"):
                return after + 1
            self._at = after  # a longer name

    def _parsed(self, end: int) -> _Element | None:
        """The element up to `end`; where it is none, `_fault` says why."""
        if self._fault is not None and self._fault[0] == end:
            return None
        guessed = self._ahead.pop(self._place.offset or 0, None)
        if guessed is not None and guessed[0] - (self._place.offset or 0) == end - self._begin:
            return guessed[1]
        try:
            return self._parse(self._data[self._begin : end])
        except RecordFault as fault:
            self._fault = (end, fault)
            return None

    def _cut(self, stop: int, complete: bool) -> tuple[int, bool]:
        """Where the record ends, and whether it is closed there; -1 if that cannot be told
        before `stop`. `complete`: no more will come before `stop`."""
        data = self._data
        at = self._begin + 1 + len(self._name)
        if empty := _EMPTY_TAG.match(data, at, stop):
            return empty.end(), True
        while match := self._within.search(data, at, stop):
            at = match.end()
            kind = match.lastgroup
            if kind == "start":
                return match.start(), False
            if kind == "end":
                if match["end"] == self._name:
                    return at, True
                continue
            at = self._passed(match, stop, complete)
            if at < 0:
                break
        return -1, False

    def _passed(self, match: re.Match[bytes], stop: int = -1, complete: bool = False) -> int:
        """Where the comment, CDATA section or DOCTYPE ends; -1 where more must come to tell.

        One that is not closed is taken for text, so that it cannot swallow the records behind
        it: it ends where the next of its kind begins, which a true one could not hold.
        """
        data, begin, at = self._data, match.start(), match.end()
        if stop < 0:
            stop = min(len(data), begin + self._limit)
            complete = self._final or stop - begin == self._limit
        if match.lastgroup == "comment":
            dashes = data.find(b"--", at, stop)
            if 0 <= dashes < stop - 2:
                return dashes + 3 if data[dashes + 2] == ord(">") else at
        elif match.lastgroup == "cdata":
            if edge := _CDATA_EDGE.search(data, at, stop):
                return edge.end() if edge[0] == b"]]>" else at
        else:
            other = data.find(b"<!DOCTYPE", at, stop)
            if whole := _DOCTYPE.match(data, begin, stop if other < 0 else other):
                return whole.end()
            if other >= 0:
                return at
        return at if complete else -1

    def _leave(self, end: int, element: _Element) -> tuple[_Element, Place]:
        self._name, self._at, self._fault = b"", end, None
        return element, self._place

    def _refuse(self, end: int, reason: str, remedy: str | None = None) -> Rejected:
        self._name, self._at, self._fault = b"", end, None
        return Rejected(self._place, reason, remedy)

    def _locate(self, position: int) -> Place:
        """The place of `position`; asked for in ascending order, so each byte counts once."""
        if self._wide:
            self._offset += _utf16_bytes(self._data[self._mark : position])
        else:
            self._offset += position - self._mark
        self._mark = position
        return Place(self._file, offset=self._offset)


def _utf16_bytes(piece: bytes) -> int:
    """How many bytes in UTF-16 this piece of UTF-8 was; right for pieces of characters too."""
    characters = len(piece.translate(None, _CONTINUATION))
    return 2 * (characters + len(piece.translate(None, _NOT_FOUR_BYTES)))
