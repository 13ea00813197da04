"""The values of one field, searched: which of them fit what a filter says.

A value fits as in `catalog.filter`: a word of it begins so, or all of it is equal. What is compared
was folded when the index was built, so that a search is a search for bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.index.fields.arrays import Arrays, compared, damaged, encoded, key_of
from bioretrieval_tui.util.folding import equal_key, needles

Codes = NDArray[np.int64]

_CHUNK = 16 * 2**20
"""Bytes that are searched at a time."""
_SHORT = 2
"""Needles of so few bytes are found by numpy: they stand nearly everywhere."""
_ALNUM = np.array([chr(code).isalnum() for code in range(128)] + [False] * 128)


@dataclass(frozen=True, slots=True)
class TextColumn:
    """One field of the open arrays: codes from `first` to below `end`."""

    arrays: Arrays
    first: int
    end: int
    remedy: str

    def check(self) -> None:
        """Raise IndexFault where values, forms or postings of the field run backwards."""
        arrays = self.arrays
        for name, starts in (
            ("value_starts", arrays.value_starts),
            ("form_starts", arrays.form_starts),
            ("label_starts", arrays.label_starts),
        ):
            mine = starts[self.first : self.end + 1]
            if len(mine) and (mine[0] < 0 or not np.all(mine[1:] >= mine[:-1])):
                raise damaged(f"{name}.npy runs backwards", self.remedy)

    def beginning(self, text: str) -> Codes:
        """Codes of the values in which a word begins with `text`, ascending."""
        starts = self.arrays.form_starts
        found: list[Codes] = []
        place = self.first
        while place < self.end:
            until = int(np.searchsorted(starts, starts[place] + _CHUNK, side="right")) - 1
            until = min(self.end, max(place + 1, until))
            held = self.arrays.forms[int(starts[place]) : int(starts[until])]
            # Where a value ends and the next begins, a place belongs to the next.
            for needle in needles(text):
                places = word_starts(held, needle) + starts[place]
                codes = np.searchsorted(starts[place : until + 1], places, side="right")
                found.append(codes[np.flatnonzero(np.diff(codes, prepend=-1))] - 1 + place)
            place = until
        if len(found) == 1:
            return found[0]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def equal(self, text: str) -> Codes:
        """Codes of the values that are `text`, separators and case apart, ascending."""
        keys = self.arrays.keys[self.first : self.end]
        wanted = equal_key(text)
        near = np.flatnonzero(keys == np.uint64(key_of(text))) + self.first
        fit = [code for code in near.tolist() if equal_key(self.text(code)) == wanted]
        return np.array(fit, dtype=np.int64)

    def intact(self, code: int) -> bool:
        """Whether a value is compared by what it says."""
        text = self.text(code)
        start, end = (int(at) for at in self.arrays.form_starts[code : code + 2])
        held = self.arrays.forms[start:end].tobytes()
        return held == compared(text) and int(self.arrays.keys[code]) == key_of(text)

    def text(self, code: int) -> str:
        """The value with this code. Raises IndexFault where its bytes are no text."""
        start, end = (int(at) for at in self.arrays.value_starts[code : code + 2])
        try:
            return self.arrays.values[start:end].tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise damaged("values.npy holds no text", self.remedy) from error


def word_starts(held: NDArray[np.uint8], needle: str) -> NDArray[np.int64]:
    """Places in folded text where `needle` begins a word; all, if it begins with a sign."""
    places = _occurrences(held, encoded(needle))
    if not needle[:1].isalnum() or not len(places):
        return places
    # The text begins with a line break, so that something stands before every place.
    before = held[places - 1]
    inside = _ALNUM[before]
    for number in np.flatnonzero(before >= 0x80).tolist():
        inside[number] = _alnum_before(held, int(places[number]))
    begun: NDArray[np.int64] = places[~inside]
    return begun


def _occurrences(held: NDArray[np.uint8], needle: bytes) -> NDArray[np.int64]:
    if len(needle) <= _SHORT:
        fit = held[: len(held) - len(needle) + 1] == needle[0]
        for offset in range(1, len(needle)):
            fit &= held[offset : offset + len(fit)] == needle[offset]
        return np.flatnonzero(fit)
    data = held.tobytes()
    places = []
    at = data.find(needle)
    while at >= 0:
        places.append(at)
        at = data.find(needle, at + 1)
    return np.array(places, dtype=np.int64)


def _alnum_before(held: NDArray[np.uint8], place: int) -> bool:
    """Whether the character of several bytes that ends before `place` is a letter or digit."""
    start = place - 1
    while start > 0 and held[start] & 0xC0 == 0x80:
        start -= 1
    return held[start:place].tobytes().decode("utf-8", "replace").isalnum()
