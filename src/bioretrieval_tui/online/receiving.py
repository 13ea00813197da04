"""The body of an answer as it arrives: unpacked in bounded steps, counted, and never for ever.

The library would unpack whatever it receives in one piece, and a page of gzip may hold a thousand.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_STEP = 2**16
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: connect, to be connected; read, without a byte; whole, for one answer that is kept
    in memory. slowest: bytes a second that a long stream must bring on the average of `read`."""

    connect: float = 10.0
    read: float = 30.0
    whole: float = 180.0
    slowest: float = 256.0


class BrokenError(Exception):
    """The answer cannot be received any further; `args[0]` says why, in words for the user. slow:
    it would come, if one waited long enough."""

    def __init__(self, why: str, *, slow: bool = False) -> None:
        super().__init__(why)
        self.slow = slow


class TooLargeError(Exception):
    """More arrived than was said to be enough."""


def received(
    response: httpx.Response,
    *,
    most: int,
    patience: Patience,
    step: Callable[[], None],
    whole: bool,
) -> Iterator[bytes]:
    """The body in parts of up to 64 kB, unpacked, no more than `most` bytes of it.

    whole: the answer is read at once, so that it has a deadline; otherwise it may take as long as
    it likes, if it is not slower than `patience` allows.

    Raises:
        BrokenError, TooLargeError. What `step`, called with every part, raises.
    """
    import httpx

    packed = count = 0
    unpacker = _Unpacker(response.headers.get("content-encoding", "").strip().lower())
    try:
        # As it arrives: what waits to fill a block is never looked at.
        for part in _watched(response.iter_raw(), patience, step, whole=whole):
            packed += len(part)
            if packed > most:
                raise TooLargeError
            for piece in unpacker.given(part):
                count += len(piece)
                if count > most:
                    raise TooLargeError
                yield piece
        unpacker.check_end(packed)
    except httpx.TimeoutException as error:
        raise BrokenError("takes too long", slow=True) from error
    except httpx.TransportError as error:
        raise BrokenError("ends the connection") from error
    except zlib.error as error:
        raise BrokenError("sends what cannot be unpacked") from error


def _watched(
    parts: Iterator[bytes], patience: Patience, step: Callable[[], None], *, whole: bool
) -> Iterator[bytes]:
    began = checked = time.monotonic()
    arrived = 0
    for part in parts:
        step()
        now = time.monotonic()
        if whole and now - began > patience.whole:
            raise BrokenError("takes too long", slow=True)
        arrived += len(part)
        if now - checked > patience.read:
            if arrived < patience.slowest * (now - checked):
                raise BrokenError("is too slow", slow=True)
            checked, arrived = now, 0
        yield part


class _Unpacker:
    """Gives the content of what arrives, in steps of 64 kB whatever it unpacks to."""

    def __init__(self, packing: str) -> None:
        self._gzip = None
        if packing in ("gzip", "x-gzip"):
            self._gzip = zlib.decompressobj(_GZIP)
        elif packing not in ("", "identity"):
            raise BrokenError("packs its answer in a way that was not asked for")

    def given(self, part: bytes) -> Iterator[bytes]:
        """The content of one part."""
        if self._gzip is None:
            yield part
            return
        waiting, full = part, True
        while waiting or full:
            piece = self._gzip.decompress(waiting, _STEP)
            waiting, full = self._gzip.unconsumed_tail, len(piece) == _STEP
            if piece:
                yield piece
            if self._gzip.unused_data:
                # Whatever follows the end would be kept, and nobody would count it.
                raise BrokenError("sends more than it packed")

    def check_end(self, arrived: int) -> None:
        """Raises BrokenError where the content breaks off."""
        if arrived and self._gzip is not None and not self._gzip.eof:
            raise BrokenError("ends the connection")
