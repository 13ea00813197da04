"""Sets of rows as whole numbers: a bit a row, so that AND, OR and NOT are one operation each.

The first row is the highest bit: written in base 2, a set reads in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import compress
from typing import TypeAlias

RowSet: TypeAlias = int

_TRUTH = bytes.maketrans(b"01", b"\0\1")
_DIGITS = bytes.maketrans(b"\0\1", b"01")


class Rows:
    """Makes and reads the sets of one list of `size` rows."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.everything: RowSet = (1 << size) - 1
        self._numbers = range(size)

    def of(self, numbers: Collection[int]) -> RowSet:
        """The set of these row numbers, in any order, repeats allowed."""
        size = self.size
        if len(numbers) * 16 < size:
            padded = -size % 8
            octets = bytearray((size + padded) // 8)
            for number in numbers:
                octets[number >> 3] |= 128 >> (number & 7)
            return int.from_bytes(octets, "big") >> padded
        flags = bytearray(b"0") * size
        for number in numbers:
            flags[number] = 49
        return int(flags, 2) if size else 0

    def where(self, truths: Iterable[bool]) -> RowSet:
        """The set of the rows at whose place there is True; one truth a row."""
        digits = bytes(truths).translate(_DIGITS)
        return int(digits, 2) if digits else 0

    def numbers(self, rows: RowSet) -> list[int]:
        """The row numbers of a set, ascending."""
        if not rows:
            return []
        if rows == self.everything:
            return list(self._numbers)
        digits = format(rows, f"0{self.size}b")
        if rows.bit_count() * 8 > self.size:
            return list(compress(self._numbers, digits.encode().translate(_TRUTH)))
        found: list[int] = []
        at = digits.find("1")
        while at >= 0:
            found.append(at)
            at = digits.find("1", at + 1)
        return found
