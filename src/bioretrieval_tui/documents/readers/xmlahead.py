"""Records of a large file parsed many at a time, in a thread, before anybody asks for them.

lxml leaves the interpreter's lock alone while it parses, so parsing here costs the thread that
reads the records hardly anything. It is a guess: each piece from a start tag to the next end tag of
its name. What was guessed wrong, or is not well-formed, or shares a block with such a piece, is
simply not found here and is parsed by the careful way.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

    from bioretrieval_tui.documents.readers.xmlparse import RecordParser

WORTH_IT = 1 << 19
"""Bytes of a block from which on the thread pays."""
_WAITING = 3
_MOST_LEFT = 1 << 20
"""Bytes without a whole piece that are carried over to the next block."""

Parsed = dict[int, tuple[int, "_Element"]]
"""Offset of a piece -> the offset of its end, and its element."""


def parsed_ahead(
    blocks: Iterable[bytes], names: tuple[str, ...], parser: RecordParser
) -> Generator[tuple[bytes, Parsed], None, None]:
    """Every block with the pieces that end in it. Offsets count from the first block.

    Raises: whatever `blocks` raises.
    """
    waiting: queue.Queue[tuple[bytes, Parsed] | BaseException | None] = queue.Queue(_WAITING)
    stopped = threading.Event()

    def put(item: tuple[bytes, Parsed] | BaseException | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return

    def work() -> None:
        try:
            for item in _pieces(blocks, names, parser):
                put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the thread that reads
            put(error)
        put(None)

    thread = threading.Thread(target=work, name="parsing ahead", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _pieces(
    blocks: Iterable[bytes], names: tuple[str, ...], parser: RecordParser
) -> Iterator[tuple[bytes, Parsed]]:
    start = re.compile(b"<(%s)(?=[\\s>])" % b"|".join(name.encode() for name in names))
    rest, offset = b"", 0  # what no piece was taken of yet, and where it stands
    for block in blocks:
        rest += block
        found: list[tuple[int, int]] = []
        at = 0
        while match := start.search(rest, at):
            wanted = b"</%s>" % match[1]
            end = rest.find(wanted, match.end())
            if end < 0:
                at = match.start()
                break
            at = end + len(wanted)
            found.append((match.start(), at))
        else:
            at = max(at, len(rest) - 64)
        yield block, _parsed(rest, found, offset, parser)
        at = max(at, len(rest) - _MOST_LEFT)
        rest, offset = rest[at:], offset + at


def _parsed(data: bytes, found: list[tuple[int, int]], offset: int, parser: RecordParser) -> Parsed:
    if not found:
        return {}
    elements = parser.several([data[begin:end] for begin, end in found])
    return {
        offset + begin: (offset + end, element)
        for (begin, end), element in zip(found, elements, strict=False)
    }
