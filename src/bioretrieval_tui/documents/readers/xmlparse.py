"""Parses one XML record that was cut out of its file, with nothing but the bytes of the record.

No DOCTYPE, no entity but the standard characters, no network, no giant trees. What the record
took from its file, and lost by being cut out, is given back: the declarations of prefixes, and
the names of characters that a DTD of the format declares.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.source import CONVERT

if TYPE_CHECKING:
    from lxml.etree import XMLSyntaxError, _Element

_MAX_PARTS = 1_000_000
"""Elements and attributes of one record: libxml2 needs about 120 bytes for each."""
_MOST_PREFIXES = 64
_FIVE = frozenset({"amp", "lt", "gt", "quot", "apos"})
_UNKNOWN_ENTITY, _UNKNOWN_PREFIX = 26, 201  # libxml2's xmlParserErrors
# Within these two an entity is text. The next of their kind ends one that is not closed.
_REFERENCE = re.compile(
    rb"<!-- (?:(?!--).)*+ -->"
    rb"| <!\[CDATA\[ (?: (?! \]\]> | <!\[CDATA\[ ) . )*+ \]\]>"
    rb"| & ([A-Za-z][A-Za-z0-9]{1,39}) ;",
    re.DOTALL | re.VERBOSE,
)
_PREFIX = re.compile(rb"[<\s/]([A-Za-z_][A-Za-z0-9_.-]{0,39}):(?=[A-Za-z_])")
_DECLARED = re.compile(rb"\sxmlns:([^\s=]+)\s*=")
_MESSAGE_PLACE = re.compile(r",? line \d+(?:, column \d+)?")


class RecordParser:
    """Parses records in one charset (a name that Python knows; None for UTF-8). Elements called
    one of `unread` are left out where that is safe."""

    def __init__(self, charset: str | None = None, unread: tuple[str, ...] = ()) -> None:
        from lxml import etree

        self._unread = [(b"<%s>" % n.encode(), b"</%s>" % n.encode()) for n in unread]
        self._charset = charset
        self._error = etree.XMLSyntaxError
        self._fromstring = etree.fromstring
        self._parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            recover=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )

    def __call__(self, data: bytes) -> _Element:
        """The element that `data` is.

        Raises:
            RecordFault: it is not well-formed or not in the charset, or has too many parts.
        """
        if self._charset is not None:
            data = _decoded(data, self._charset)
        if len(data) > 2 * _MAX_PARTS:
            parts = data.count(b"<") - data.count(b"</") + data.count(b"=")
            if parts > _MAX_PARTS:
                raise RecordFault(f"the record has more than {_MAX_PARTS:,} parts")
        if (short := _without(data, self._unread)) is not data:
            try:
                return self._fromstring(short, self._parser)
            except self._error:
                pass  # the whole record tells where and why
        try:
            return self._fromstring(data, self._parser)
        except self._error as error:
            if getattr(error, "code", None) not in (_UNKNOWN_ENTITY, _UNKNOWN_PREFIX):
                raise _fault(error) from error
        try:
            return self._fromstring(_declared(_REFERENCE.sub(_character, data)), self._parser)
        except self._error as error:
            raise _fault(error) from error

    def several(self, pieces: list[bytes]) -> list[_Element]:
        """The elements that `pieces` are, parsed as one; none at all where any is at fault."""
        short = [_without(piece, self._unread) for piece in pieces]
        try:
            root = self._fromstring(b"<r>%s</r>" % b"".join(short), self._parser)
        except self._error:
            return []
        return list(root) if len(root) == len(pieces) else []


def _decoded(data: bytes, charset: str) -> bytes:
    try:
        return data.decode(charset).encode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordFault(
            f"byte {error.start + 1:,} of the record is not {charset}, as the file says it is",
            CONVERT,
        ) from error


def _without(data: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """The record without elements of these tags; itself where there are none, where they are
    nested, or where a tag might be none: in a comment, CDATA section or processing instruction."""
    short = data
    for start_tag, end_tag in tags:
        if (begin := short.find(start_tag)) < 0:
            continue
        first, *others = short[begin:].split(start_tag)
        kept = [short[:begin], first]
        for other in others:
            end = other.find(end_tag)
            if end < 0:
                return data
            kept.append(other[end + len(end_tag) :])
        short = b"".join(kept)
    return short if short is data or not (_holds(data, b"!") or _holds(data, b"?")) else data


def _holds(data: bytes, sign: bytes) -> bool:
    # Most records hold no such sign at all, and one byte is found much faster than two.
    return sign in data and b"<" + sign in data


def _character(match: re.Match[bytes]) -> bytes:
    """Numeric references for a named character; anything else as it is."""
    if match[1] is None:
        return match[0]
    name = match[1].decode("ascii")
    text = None if name in _FIVE else html5.get(name + ";")
    return match[0] if text is None else b"".join(b"&#%d;" % ord(char) for char in text)


def _declared(data: bytes) -> bytes:
    """The record with every prefix declared that it uses; what one stands for is not asked."""
    tag = data[: data.find(b">")]
    missing = set(_PREFIX.findall(data)) - set(_DECLARED.findall(tag)) - {b"xml", b"xmlns"}
    if not missing or len(missing) > _MOST_PREFIXES:
        return data
    name = re.match(rb"<[^\s/>]+", data)
    at = name.end() if name else 0
    given = b"".join(b' xmlns:%s="urn:prefix:%s"' % (p, p) for p in sorted(missing))
    return data[:at] + given + data[at:]


def _fault(error: XMLSyntaxError) -> RecordFault:
    message = " ".join(_MESSAGE_PLACE.sub("", error.msg or "").split())[:200]
    at = f" in its line {error.lineno}" if (error.lineno or 1) > 1 else ""
    return RecordFault(f"not well-formed XML{at}: {message or 'it cannot be parsed'}")
