"""XML records of a stream, cut out by their tags and parsed one at a time.

A parser of the whole file stops at the first fault. Parsed alone, a damaged record loses no other,
and no DOCTYPE reaches the parser: declared entities do not exist, and nothing is fetched. Memory
holds one record and one block of the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from html.entities import html5
from itertools import chain
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Place, RecordFault, Rejected
from bioretrieval_tui.documents.source import CONVERT

if TYPE_CHECKING:
    from lxml.etree import XMLSyntaxError, _Element

MAX_RECORD_BYTES = 16 * 2**20
"""Largest record that is read. The largest PubMed record known is under 5 MB."""
MAX_PARTS = 1_000_000
"""Elements and attributes of one record: libxml2 needs about 120 bytes for each."""

_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
# Charsets in which markup bytes have no other meaning, so that tags are found before decoding.
_TRANSPARENT = re.compile(
    r"(ascii|utf-8|iso8859-\d+|cp125\d|koi8-[rtu]|mac-roman|gbk|gb2312|euc_\w+)$"
)
_HTML = re.compile(rb"(?is)\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html)[\s>]")

_SECTIONS = rb"(?P<comment>!--)|(?P<cdata>!\[CDATA\[)"
_LONGEST_OPENING = len("<!DOCTYPE")
_CDATA_EDGE = re.compile(rb"\]\]>|<!\[CDATA\[")
_DOCTYPE = re.compile(
    rb"""<!DOCTYPE (?: [^>"'\[] | "[^"]*" | '[^']*' )*+
    (?: \[ (?: <!-- (?:(?!--).)*+ --> | [^\]"'] | "[^"]*" | '[^']*' )*+ \] \s* )?+ >""",
    re.VERBOSE | re.DOTALL,
)
_EMPTY_TAG = re.compile(rb"(?:[^<>\"'/]++|\"[^\"<]*\"|'[^'<]*'|/(?!>))*+/>")

_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_UNKNOWN_ENTITY, _UNKNOWN_PREFIX = 26, 201  # libxml2's xmlParserErrors
# An entity is text within the first two. The next of their kind ends one that is not closed.
_REFERENCE = re.compile(
    rb"<!-- (?:(?!--).)*+ -->"
    rb"| <!\[CDATA\[ (?: (?! \]\]> | <!\[CDATA\[ ) . )*+ \]\]>"
    rb"| & ([A-Za-z][A-Za-z0-9]{1,39}) ;",
    re.DOTALL | re.VERBOSE,
)
_PREFIX = re.compile(rb"[<\s/]([A-Za-z_][A-Za-z0-9_.-]{0,39}):(?=[A-Za-z_])")
_DECLARED_PREFIX = re.compile(rb"\sxmlns:([^\s=]+)\s*=")
_MOST_PREFIXES = 64
_MESSAGE_PLACE = re.compile(r",? line \d+(?:, column \d+)?")


def records(
    blocks: Iterable[bytes],
    names: tuple[str, ...],
    file: str,
    *,
    limit: int = MAX_RECORD_BYTES,
) -> Iterator[tuple[_Element, Place] | Rejected]:
    """Yield the elements called one of `names`, in file order, at any depth.

    A record is `Rejected` if it is not well-formed, holds bytes outside the charset of the file,
    uses an unknown entity, is larger than `limit` bytes, or is not closed. Comments, CDATA
    sections and the DOCTYPE are skipped. No record contains another: if one begins within
    another, the outer one was not closed.

    Places are byte offsets in the file, since most such files are one line.

    Raises: whatever `blocks` raises.
    """
    rest = iter(blocks)
    head = b""
    while len(head) < 512 and (block := next(rest, b"")):
        head += block
    charset = _charset(head)
    if charset is None:
        reason = "the file is in a charset that cannot be read"
        yield Rejected(Place(file, offset=0), reason, CONVERT)
        return
    parser = RecordParser(None if charset.startswith("utf-") else charset)
    stream: Iterator[bytes] = chain([head], rest)
    if charset.startswith("utf-16"):
        stream = _transcoded(stream, charset)
    cutter = _Cutter(stream, names, limit, wide=charset.startswith("utf-16"))
    for offset, data, fault in cutter.cut():
        place = Place(file, offset=offset)
        try:
            if fault is not None:
                raise fault
            yield parser(data), place
        except RecordFault as why:
            yield Rejected(place, why.reason, why.remedy)


def markup_of(head: bytes) -> bytes:
    """The first bytes of a file as UTF-8 without a byte order mark, to search for tags; empty if
    they do not begin like XML, or are a web page."""
    charset = _charset(head)
    if charset is None:
        return b""
    if charset.startswith("utf-16"):
        head = b"".join(_transcoded([head], charset))
    head = head.removeprefix(codecs.BOM_UTF8)
    return head if head.lstrip().startswith(b"<") and not _HTML.match(head) else b""


def _charset(head: bytes) -> str | None:
    """Python's name of the charset: by byte order mark, else as declared, else UTF-8."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return None
    if head.startswith((codecs.BOM_UTF16_LE, b"<\0?\0")):
        return "utf-16-le"
    if head.startswith((codecs.BOM_UTF16_BE, b"\0<\0?")):
        return "utf-16-be"
    declared = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8).lstrip())
    if declared is None or head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name
    except LookupError:
        return None
    if name.startswith("utf-16"):
        return "utf-8"  # the declaration was read as bytes, so it is wrong
    return name if _TRANSPARENT.match(name) else None


def _transcoded(blocks: Iterable[bytes], charset: str) -> Iterator[bytes]:
    """UTF-16 as UTF-8. Lone surrogates pass as bytes, which the parser rejects in their record."""
    decoder = codecs.getincrementaldecoder(charset)("surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")


class _Cutter:
    """Cuts a stream of UTF-8, or of a charset with the same markup, into records.

    The tokens within a record are start and end tags of records, comments and CDATA sections.
    Each holds one `<`, its first character, so a search resumes at the last `<` with more data.

    wide: the file is in UTF-16, and offsets count its bytes.
    """

    def __init__(
        self, blocks: Iterator[bytes], names: tuple[str, ...], limit: int, *, wide: bool
    ) -> None:
        tags = b"|".join(name.encode() for name in names)
        start = rb"(?P<start>%s)(?=[\s/>])" % tags
        self._start_tag = re.compile(b"<" + start)
        self._outside = re.compile(rb"<(?:%s|(?P<doctype>!DOCTYPE)|%s)" % (_SECTIONS, start))
        self._within = re.compile(rb"<(?:%s|%s|/(?P<end>%s)\s*+>)" % (_SECTIONS, start, tags))
        self._longest = max(_LONGEST_OPENING, *(len(name) + 2 for name in names))
        self._blocks = blocks
        self._limit = limit
        self._wide = wide
        self._data = b""
        self._begin = -1  # of the record in `_data`; -1 outside
        self._at = 0  # all before was searched
        self._lost = False  # within a record that is too large, until the next one begins
        self._offset = 0  # of `_data` in the file

    def cut(self) -> Iterator[tuple[int, bytes, RecordFault | None]]:
        """Yield the offset and bytes of each record, or the fault."""
        while match := self._seek():
            if match.lastgroup != "start":
                self._pass_section(match)
                continue
            self._begin, self._at, self._lost = match.start(), match.end(), False
            fault = self._find_end(match["start"])
            offset = self._offset + self._width(self._begin)
            yield offset, b"" if fault else self._data[self._begin : self._at], fault
            self._begin = -1

    def _seek(self) -> re.Match[bytes] | None:
        """Find the next token outside of records; None at the end of the file."""
        pattern = self._start_tag if self._lost else self._outside
        while True:
            if match := pattern.search(self._data, self._at):
                return match
            size = len(self._data)
            last = self._data.rfind(b"<", max(self._at, size - self._longest))
            self._at = size if last < 0 else last
            if not self._more():
                return None

    def _find_end(self, name: bytes) -> RecordFault | None:
        """Move to the end of the open record; return the fault if it has no valid end."""
        is_first = True
        while True:
            stop = min(len(self._data), self._begin + self._limit)
            full = stop - self._begin == self._limit
            token = self._within.search(self._data, self._at, stop)
            if token is None:
                self._at = max(self._at, self._data.rfind(b"<", self._at, stop))
                if not full and self._more():
                    continue
            if is_first:
                after_name = self._begin + 1 + len(name)
                before = token.start() if token else stop
                if empty := _EMPTY_TAG.match(self._data, after_name, before):
                    self._at = empty.end()
                    return None
                is_first = False
            if token is None and full:
                self._lost = True
                return RecordFault(f"the record is larger than {self._limit:,} bytes")
            if token is None:
                remedy = "get the file again, it may be cut off"
                return RecordFault("the file ends within a record", remedy)
            if token.lastgroup == "start":
                self._at = token.start()
                return RecordFault("the record is not closed before the next one begins")
            if token.lastgroup != "end":
                self._pass_section(token)
                continue
            self._at = token.end()
            if token["end"] == name:
                return None

    def _pass_section(self, token: re.Match[bytes]) -> None:
        """Skip a comment, CDATA section or DOCTYPE.

        An unclosed one counts as text, so that it hides no record: it ends where the next of its
        kind begins, which a closed one cannot contain.
        """
        kind, opening = str(token.lastgroup), len(token[0])
        self._at = token.start()
        while True:
            first = self._at if self._begin < 0 else self._begin
            stop = min(len(self._data), first + self._limit)
            end = _section_end(kind, self._data, self._at, self._at + opening, stop)
            if end is None and stop - first < self._limit and self._more():
                continue
            self._at = self._at + opening if end is None else end
            return

    def _more(self) -> bool:
        """Take the next block and drop what was processed; False at the end."""
        block = next(self._blocks, None)
        if block is None:
            return False
        keep = self._at if self._begin < 0 else self._begin
        self._offset += self._width(keep)
        self._data = self._data[keep:] + block
        self._at -= keep
        if self._begin > 0:
            self._begin = 0
        return True

    def _width(self, size: int) -> int:
        """The bytes of the file for the first `size` bytes of `_data`."""
        if not self._wide:
            return size
        text = self._data[:size].decode("utf-8", "surrogatepass")
        return len(text.encode("utf-16-le", "surrogatepass"))


def _section_end(kind: str, data: bytes, begin: int, at: int, stop: int) -> int | None:
    """The end of a comment, CDATA section or DOCTYPE; `at`, the end of its opening, if it is not
    closed; None if that needs more data."""
    if kind == "comment":
        dashes = data.find(b"--", at, stop)
        if 0 <= dashes < stop - 2:
            return dashes + 3 if data[dashes + 2] == ord(">") else at
        return None
    if kind == "cdata":
        edge = _CDATA_EDGE.search(data, at, stop)
        return None if edge is None else edge.end() if edge[0] == b"]]>" else at
    other = data.find(b"<!DOCTYPE", at, stop)
    if whole := _DOCTYPE.match(data, begin, stop if other < 0 else other):
        return whole.end()
    return None if other < 0 else at


class RecordParser:
    """Parses records cut out of a file in `charset` (Python's name; None for UTF-8). Prefixes and
    named characters, which the file or its DTD declares, are declared in the record again."""

    def __init__(self, charset: str | None = None) -> None:
        from lxml import etree

        self._charset = charset
        self._error = etree.XMLSyntaxError
        self._fromstring = etree.fromstring
        self._parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )

    def __call__(self, data: bytes) -> _Element:
        """Parse a record.

        Raises:
            RecordFault: it is not well-formed or not in the charset, or has too many parts.
        """
        if self._charset is not None:
            data = _decoded(data, self._charset)
        if len(data) > 2 * MAX_PARTS:
            parts = data.count(b"<") - data.count(b"</") + data.count(b"=")
            if parts > MAX_PARTS:
                raise RecordFault(f"the record has more than {MAX_PARTS:,} parts")
        try:
            return self._fromstring(data, self._parser)
        except self._error as error:
            if getattr(error, "code", None) not in (_UNKNOWN_ENTITY, _UNKNOWN_PREFIX):
                raise _fault(error) from error
        try:
            return self._fromstring(_declared(_REFERENCE.sub(_character, data)), self._parser)
        except self._error as error:
            raise _fault(error) from error


def _decoded(data: bytes, charset: str) -> bytes:
    try:
        return data.decode(charset).encode("utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1:,} of the record"
        raise RecordFault(f"{place} is not {charset}, the declared charset", CONVERT) from error


def _character(match: re.Match[bytes]) -> bytes:
    """Numeric references for a named character; other text unchanged."""
    if match[1] is None:
        return match[0]
    name = match[1].decode("ascii")
    text = None if name in _XML_ENTITIES else html5.get(name + ";")
    return match[0] if text is None else b"".join(b"&#%d;" % ord(char) for char in text)


def _declared(data: bytes) -> bytes:
    """Declare every prefix that a record uses."""
    tag = data[: data.find(b">")]
    missing = set(_PREFIX.findall(data)) - set(_DECLARED_PREFIX.findall(tag)) - {b"xml", b"xmlns"}
    name = re.match(rb"<[^\s/>]+", data)
    if not missing or len(missing) > _MOST_PREFIXES or name is None:
        return data
    given = b"".join(b' xmlns:%s="urn:prefix:%s"' % (p, p) for p in sorted(missing))
    return data[: name.end()] + given + data[name.end() :]


def _fault(error: XMLSyntaxError) -> RecordFault:
    message = " ".join(_MESSAGE_PLACE.sub("", error.msg or "").split())[:200]
    at = f" in its line {error.lineno}" if (error.lineno or 1) > 1 else ""
    return RecordFault(f"not well-formed XML{at}: {message or 'it cannot be parsed'}")
