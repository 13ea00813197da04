"""XML records of a stream, cut out by their tags and parsed one at a time, and their plain text.

A parser of the whole file stops at the first fault. Parsed alone, a damaged record loses no other,
and no DOCTYPE reaches the parser: declared entities do not exist, and nothing is fetched. Memory
holds one record and one block of the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache
from html.entities import html5
from itertools import chain
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Place, RecordFault
from bioretrieval_tui.documents.source import CONVERT, MAX_LINE_BYTES, SourceReader
from bioretrieval_tui.documents.superscripts import subscript, superscript

if TYPE_CHECKING:
    from lxml.etree import XMLParser, _Element

MAX_PARTS = 1_000_000
"""Elements and attributes of one record: libxml2 needs about 120 bytes for each."""

_DECLARED = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
# Charsets in which markup bytes have no other meaning, so that tags are found before decoding.
_TRANSPARENT = re.compile(
    r"(ascii|utf-8|iso8859-\d+|cp125\d|koi8-[rtu]|mac-roman|gbk|gb2312|euc_\w+)$"
)
_HTML = re.compile(rb"(?is)\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html)[\s>]")

# What is skipped between tags, by its beginning, and the rest of it if it is closed. No group is
# repeated possessively: before Python 3.11.5 that matches too little (python/cpython#106052).
_SECTIONS = {
    b"<!--": re.compile(rb".*?-->", re.DOTALL),
    b"<![CDATA[": re.compile(rb".*?\]\]>", re.DOTALL),
    b"<!DOCTYPE": re.compile(rb"[^\[>]*+(?:\[.*?\]\s*)?>", re.DOTALL),
}
_EMPTY_TAG = re.compile(rb"(?:[^<>\"'/]++|\"[^\"<]*\"|'[^'<]*'|/(?!>))*/>")

_XML_ENTITIES = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_UNKNOWN_ENTITY, _UNKNOWN_PREFIX = 26, 201  # libxml2's xmlParserErrors
_REFERENCE = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,39});")
_PREFIX = re.compile(rb"[<\s/]([A-Za-z_][A-Za-z0-9_.-]{0,39}):(?=[A-Za-z_])")
_DECLARED_PREFIX = re.compile(rb"\sxmlns:([^\s=]+)\s*=")
_MOST_PREFIXES = 64
_MESSAGE_PLACE = re.compile(r",? line \d+(?:, column \d+)?")


def xml_records(
    source: SourceReader, _: object, names: tuple[str, ...], *, limit: int = MAX_LINE_BYTES
) -> Iterator[tuple[Place, _Element | RecordFault]]:
    """Yield the elements called one of `names`, in file order, at any depth.

    There is a fault instead if one is not well-formed, holds bytes outside the charset of the file,
    uses an unknown entity, is larger than `limit` bytes, or is not closed. Comments, CDATA
    sections and the DOCTYPE are skipped. No record contains another: if one begins within
    another, the outer one was not closed. Places are byte offsets, since most such files are one
    line.
    """
    rest = source.blocks()
    head = b""
    while len(head) < 512 and (block := next(rest, b"")):
        head += block
    charset = _charset(head)
    if charset is None:
        fault = RecordFault("the file is in a charset that cannot be read", CONVERT)
        yield Place(source.name, offset=0), fault
        return
    declared = None if charset.startswith("utf-") else charset
    stream: Iterator[bytes] = chain([head], rest)
    wide = charset.startswith("utf-16")
    if wide:
        stream = _transcoded(stream, charset)
    for offset, data in _Cutter(stream, names, limit, wide=wide).cut():
        found: _Element | RecordFault
        try:
            found = data if isinstance(data, RecordFault) else parse_record(data, declared)
        except RecordFault as fault:
            found = fault
        yield Place(source.name, offset=offset), found


def shows(patterns: Iterable[re.Pattern[bytes]], head: bytes) -> bool:
    """Whether the first bytes of a file are XML, no web page, in which all patterns occur."""
    charset = _charset(head)
    if charset is None:
        return False
    if charset.startswith("utf-16"):
        head = b"".join(_transcoded([head], charset))
    head = head.removeprefix(codecs.BOM_UTF8)
    if not head.lstrip().startswith(b"<") or _HTML.match(head):
        return False
    return all(pattern.search(head) for pattern in patterns)


def _charset(head: bytes) -> str | None:
    """Python's name of the charset: by byte order mark, else as declared, else UTF-8."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return None
    if head.startswith((codecs.BOM_UTF16_LE, b"<\0?\0")):
        return "utf-16-le"
    if head.startswith((codecs.BOM_UTF16_BE, b"\0<\0?")):
        return "utf-16-be"
    declared = _DECLARED.match(head.lstrip())
    if declared is None:  # also after the byte order mark of UTF-8
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
    """Cuts a stream, in UTF-8 or a charset with the same markup, into records.

    The tokens are start and end tags of records, and the sections of `_SECTIONS`. Each holds one
    `<`, its first character, so a search resumes at the last `<` with more data. wide: the file is
    in UTF-16, and offsets count its bytes.
    """

    def __init__(
        self, blocks: Iterator[bytes], names: tuple[str, ...], limit: int, *, wide: bool
    ) -> None:
        tags = b"|".join(name.encode() for name in names)
        start = rb"(?P<start>%s)(?=[\s/>])" % tags
        section = rb"(?P<section>!--|!\[CDATA\[%s)"
        self._start_tag = re.compile(b"<" + start)
        self._outside = re.compile(rb"<(?:%s|%s)" % (section % b"|!DOCTYPE", start))
        self._within = re.compile(rb"<(?:%s|%s|/(?P<end>%s)\s*+>)" % (section % b"", start, tags))
        self._blocks = blocks
        self._limit = limit
        self._wide = wide
        self._data = b""
        self._begin = -1  # of the record in `_data`; -1 outside
        self._at = 0  # all before was searched
        self._lost = False  # within a record that is too large, until the next one begins
        self._offset = 0  # of `_data` in the file

    def cut(self) -> Iterator[tuple[int, bytes | RecordFault]]:
        """Yield the offset of each record, and its bytes or its fault."""
        while token := self._next():
            self._begin, self._lost = token.start(), False
            fault = self._find_end(token["start"])
            offset = self._offset + self._width(self._begin)
            yield offset, fault or self._data[self._begin : self._at]
            self._begin = -1

    def _find_end(self, name: bytes) -> RecordFault | None:
        """Move to the end of the open record; return the fault if it has no valid end."""
        token = self._next()
        if empty := _EMPTY_TAG.match(self._data, self._begin + 1 + len(name)):
            self._at = empty.end()
            return None
        while token is not None and token["end"] not in (None, name):
            token = self._next()
        if token is None:
            if len(self._data) - self._begin >= self._limit:
                self._lost = True
                return RecordFault(f"the record is larger than {self._limit:,} bytes")
            remedy = "get the file again, it may be cut off"
            return RecordFault("the file ends within a record", remedy)
        if token["end"] is None:
            self._at = token.start()
            return RecordFault("the record is not closed before the next one begins")
        return None

    def _next(self) -> re.Match[bytes] | None:
        """Find the next tag and move behind it; None at the end of the file or of the limit."""
        outside = self._start_tag if self._lost else self._outside
        while True:
            inside = self._begin >= 0
            stop = len(self._data)
            if inside:
                stop = min(stop, self._begin + self._limit)
            found = (self._within if inside else outside).search(self._data, self._at, stop)
            if found is None:
                floor = self._at if inside else max(self._at, stop - 64)  # no token is longer
                last = self._data.rfind(b"<", floor, stop)
                self._at = stop if last < 0 else last
                if (inside and stop - self._begin == self._limit) or not self._more():
                    return None
            elif found.lastgroup != "section":
                self._at = found.end()
                return found
            else:
                self._at = found.start()
                self._skip(found[0])

    def _skip(self, opening: bytes) -> None:
        """Skip a comment, CDATA section or DOCTYPE. An unclosed one counts as text, so that it
        hides no record: it ends where the next of its kind begins, which a closed one cannot
        contain."""
        while True:
            first = self._at if self._begin < 0 else self._begin
            stop, inner = min(len(self._data), first + self._limit), self._at + len(opening)
            again = self._data.find(opening, inner, stop)
            if end := _SECTIONS[opening].match(self._data, inner, stop if again < 0 else again):
                self._at = end.end()
                return
            if again >= 0 or stop - first == self._limit or not self._more():
                self._at = inner
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
        self._begin = min(self._begin, 0)
        return True

    def _width(self, size: int) -> int:
        """The bytes of the file for the first `size` bytes of `_data`."""
        if not self._wide:
            return size
        text = self._data[:size].decode("utf-8", "surrogatepass")
        return len(text.encode("utf-16-le", "surrogatepass"))


def parse_record(data: bytes, charset: str | None = None) -> _Element:
    """Parse a record cut out of a file in `charset` (Python's name; None for UTF-8). Prefixes and
    named characters, which the file or its DTD declares, are declared in the record again. Raises
    RecordFault if it is not well-formed or not in the charset, or has too many parts."""
    from lxml.etree import XMLSyntaxError, fromstring

    if charset is not None:
        try:
            data = data.decode(charset).encode("utf-8")
        except UnicodeDecodeError as error:
            reason = (
                f"byte {error.start + 1:,} of the record is not {charset}, the declared charset"
            )
            raise RecordFault(reason, CONVERT) from error
    if len(data) > 2 * MAX_PARTS:
        parts = data.count(b"<") - data.count(b"</") + data.count(b"=")
        if parts > MAX_PARTS:
            raise RecordFault(f"the record has more than {MAX_PARTS:,} parts")
    try:
        try:
            return fromstring(data, _parser(entities=False))
        except XMLSyntaxError as error:
            if getattr(error, "code", None) not in (_UNKNOWN_ENTITY, _UNKNOWN_PREFIX):
                raise
        # A record holds no DOCTYPE, so only what `_declared` writes is declared here.
        return fromstring(_declared(data), _parser(entities=True))
    except XMLSyntaxError as error:
        message = " ".join(_MESSAGE_PLACE.sub("", error.msg or "").split())[:200]
        at = f" in its line {error.lineno}" if (error.lineno or 1) > 1 else ""
        message = message or "it cannot be parsed"
        raise RecordFault(f"not well-formed XML{at}: {message}") from error


@cache
def _parser(*, entities: bool) -> XMLParser:
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=entities,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _declared(data: bytes) -> bytes:
    """Declare every prefix and named character that a record uses."""
    tag = data[: data.find(b">")]
    missing = set(_PREFIX.findall(data)) - set(_DECLARED_PREFIX.findall(tag)) - {b"xml", b"xmlns"}
    name = re.match(rb"<[^\s/>]+", data)
    if name is not None and len(missing) <= _MOST_PREFIXES:
        given = b"".join(b' xmlns:%s="urn:prefix:%s"' % (p, p) for p in sorted(missing))
        data = data[: name.end()] + given + data[name.end() :]
    characters = {
        name: "".join(f"&#{ord(char)};" for char in html5[f"{name};"])
        for name in map(bytes.decode, set(_REFERENCE.findall(data)) - _XML_ENTITIES)
        if f"{name};" in html5
    }
    entities = "".join(f'<!ENTITY {name} "{text}">' for name, text in characters.items())
    return b"<!DOCTYPE record [%s]>" % entities.encode() + data


# Text -------------------------------------------------------------------------------------------
# Tags are compared by their local names, since a file may bind any prefix, or none.

_NOTHING: frozenset[str] = frozenset()
_MATH_TOKENS = frozenset({"mi", "mn", "mo", "ms"})
_MATH_SILENT = frozenset({"annotation", "annotation-xml", "mprescripts", "none"})
# Without any of these, a formula reads as its text without the white space between its tags.
_MATH_WITH_SHAPE = tuple(
    "{*}" + name
    for name in "mtext ms mspace mfrac msqrt mmultiscripts msub msup msubsup mtr annotation"
    " annotation-xml".split()
)
_SCRIPTS = {"sup": superscript, "sub": subscript}
_MATH_SCRIPTS = {
    "msup": (superscript,), "msub": (subscript,), "msubsup": (subscript, superscript),
}  # fmt: skip
_SHAPED = ("{*}math", "{*}sup", "{*}sub")
_WORD_LENGTH = 32
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)


def local(element: _Element) -> str:
    """The tag without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def squeezed(text: str | None) -> str:
    """Text with every run of white space as one blank and none at the ends."""
    return " ".join(text.split()) if text else ""


def _all_text(element: _Element) -> str:
    """All text, unchanged; many times as fast as `itertext`."""
    from lxml.etree import tostring

    return tostring(element, method="text", encoding="unicode", with_tail=False)


def plain_text(element: _Element | None) -> str:
    """All text in an element without block structure, formulae written out; empty for None."""
    if element is None:
        return ""
    if len(element) and next(element.iter(*_SHAPED), None) is not None:
        return readable(element)
    return squeezed(_all_text(element) if len(element) else element.text)


def readable(
    element: _Element, *, silent: frozenset[str] = _NOTHING, blocks: frozenset[str] = _NOTHING
) -> str:
    """All text in an element: formulae and scripts written out, without the elements in `silent`,
    with white space around those in `blocks`."""
    parts: list[str] = []
    _write_inner(element, silent, blocks, parts)
    return squeezed("".join(parts))


def _write_inner(
    element: _Element, silent: frozenset[str], blocks: frozenset[str], parts: list[str]
) -> None:
    # As deep as the tree, which the parser bounds at 256.
    parts.append(element.text or "")
    for child in element:
        blank = " " if local(child) in blocks else ""
        parts.append(blank)
        _write(child, silent, blocks, parts)
        parts += blank, child.tail or ""


def _write(
    element: _Element, silent: frozenset[str], blocks: frozenset[str], parts: list[str]
) -> None:
    """Append the text of an element to what was written before it."""
    name = local(element)
    if name in silent:
        return
    if name == "math":
        has_shape = next(element.iter(*_MATH_WITH_SHAPE), None) is not None
        parts.append(_math(element) if has_shape else "".join(_all_text(element).split()))
    elif name == "tex-math":
        # Publishers wrap a preamble and dollars around each formula.
        body = _TEX_BODY.search(element.text or "")
        parts.append((body[1] if body else element.text or "").strip().strip("$").strip())
    elif name == "alternatives":  # MathML, else the first with any text
        for child in sorted(element, key=lambda child: local(child) != "math"):
            written = len(parts)
            _write(child, silent, blocks, parts)
            if any(map(str.strip, parts[written:])):
                break
    elif name in _SCRIPTS:
        before = element.getprevious()
        if before is not None and local(before) == name and not before.tail:
            return  # written with that one: 10<sup>-</sup><sup>3</sup>
        inner: list[str] = []
        _write_inner(element, silent, blocks, inner)
        while (
            not element.tail and (after := element.getnext()) is not None and local(after) == name
        ):
            _write_inner(after, silent, blocks, inner)
            element = after
        parts.append(_SCRIPTS[name](_last_word(parts), "".join(inner)))
    else:
        _write_inner(element, silent, blocks, parts)


def _last_word(parts: list[str]) -> str:
    """The end of what was written, at least its last word."""
    word = ""
    for part in reversed(parts):
        word = part + word
        if len(word) > _WORD_LENGTH or any(map(str.isspace, part)):
            break
    return word


def _math(element: _Element) -> str:
    """A formula as it would be typed: tokens run together, a/b, √x, 129Xe."""
    name = local(element)
    if name in _MATH_TOKENS:
        return squeezed(_all_text(element))
    if name in _MATH_SILENT:
        return ""
    if name == "mtext":
        return _all_text(element)
    if name == "mspace":
        return " "
    inner = [_math(child) for child in element]
    if name in _MATH_SCRIPTS and len(inner) > 1:
        text = inner[0]
        for write, script in zip(_MATH_SCRIPTS[name], inner[1:], strict=False):
            text += write(text, script)
        return text
    if name == "mfrac":
        return "/".join(inner)
    if name == "msqrt":
        return "√" + "".join(inner)
    if name == "mmultiscripts":
        names = [local(child) for child in element]
        at = names.index("mprescripts") if "mprescripts" in names else 0
        return "".join(inner[at:] + inner[:at])
    if name in ("mtr", "mtd"):
        return "".join(inner) + " "
    return "".join(inner) or squeezed(element.text)
