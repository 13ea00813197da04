"""The values of fields from several sources, merged in their order and written."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.index.arrays import GrowingArray
from bioretrieval_tui.index.fields.arrays import Arrays

RANGE = 1_000_000
"""Postings that are looked at, or put in order, at a time."""
_AT_ONCE = 32_768
"""Values that are read or written in one go."""
_FEWEST = 256


@dataclass(slots=True)
class Source:
    """A run or the base: its arrays, the label of its first row, the codes of each field, and
    for each code what it is in the index (-1: left out)."""

    arrays: Arrays
    first: int
    spans: dict[str, tuple[int, int]]
    codes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Merged:
    """A field that was written: its codes from and to, its postings, and where its codes are cut
    into ranges of at most `RANGE` postings, or of one value."""

    field: str
    first: int
    end: int
    postings: int
    cuts: tuple[int, ...]


_Value = tuple[bytes, int, int, bytes, int, int]
"""Bytes, number of the source, code there, forms, key, living documents."""


def living(
    source: Source, name: str, alive: NDArray[np.bool_], number: int = 0, streams: int = 1
) -> Iterator[_Value]:
    """The values of a field that a living document has, in order; `streams`: how many such
    streams are read side by side, which share what may wait in memory."""
    at_once = max(_FEWEST, _AT_ONCE // streams)
    arrays = source.arrays
    place, end = source.spans[name]
    while place < end:
        starts = arrays.label_starts[place : min(end, place + at_once) + 1]
        count = max(1, int(np.searchsorted(starts, starts[0] + RANGE, side="right")) - 1)
        until = place + count
        counts = _living_counts(source, starts[: count + 1], alive)
        texts = _cut(arrays.values, arrays.value_starts[place : until + 1])
        forms = _cut(arrays.forms, arrays.form_starts[place : until + 1])
        keys = arrays.keys[place:until].tolist()
        for offset, living_count in enumerate(counts):
            if living_count:
                code = place + offset
                yield texts[offset], number, code, forms[offset], keys[offset], living_count
        place = until


def _living_counts(
    source: Source, starts: NDArray[np.int64], alive: NDArray[np.bool_]
) -> list[int]:
    """How many living documents each of some neighbouring values has."""
    first, last = int(starts[0]), int(starts[-1])
    if len(starts) == 2:
        # One value, perhaps of every document.
        pieces = (source.arrays.labels[at : min(last, at + RANGE)] for at in
                  range(first, last, RANGE))  # fmt: skip
        return [sum(int(np.count_nonzero(alive[piece + source.first])) for piece in pieces)]
    sums = np.zeros(last - first + 1, dtype=np.int64)
    np.cumsum(alive[source.arrays.labels[first:last].astype(np.int64) + source.first], out=sums[1:])
    counts: list[int] = np.diff(sums[starts - first]).tolist()
    return counts


def _cut(blob: NDArray[np.uint8], starts: NDArray[np.int64]) -> list[bytes]:
    first = int(starts[0])
    data = blob[first : int(starts[-1])].tobytes()
    places = (starts - first).tolist()
    return [data[start:end] for start, end in pairwise(places)]


class ValueWriter:
    """Writes values, forms and keys of field after field, and where the postings will begin."""

    def __init__(self, files: dict[str, GrowingArray]) -> None:
        self._files = files
        self._places = {"value_starts": 0, "form_starts": 0, "label_starts": 0}
        for name in self._places:
            files[name].append(np.zeros(1, dtype=np.int64))
        self._texts: list[bytes] = []
        self._forms: list[bytes] = []
        self._keys: list[int] = []
        self._counts: list[int] = []

    def field(self, name: str, sources: Sequence[Source], alive: NDArray[np.bool_]) -> Merged:
        """Write a field's values, and note in each source what its codes became."""
        having = [number for number, source in enumerate(sources) if name in source.spans]
        became: dict[int, list[tuple[int, int]]] = {number: [] for number in having}
        first = code = self._files["keys"].rows
        code -= 1
        cuts: list[int] = []
        postings = in_range = count_of_value = 0
        before: bytes | None = None
        streams = [living(sources[number], name, alive, number, len(having)) for number in having]
        for value, number, there, forms, key, count in heapq.merge(*streams, key=itemgetter(0)):
            if value != before:
                before = value
                if code >= first and in_range + count_of_value > RANGE and in_range:
                    cuts.append(code)
                    in_range = 0
                in_range += count_of_value
                count_of_value = 0
                self._flush(_AT_ONCE)
                code += 1
                self._texts.append(value)
                self._forms.append(forms)
                self._keys.append(key)
                self._counts.append(0)
            self._counts[-1] += count
            count_of_value += count
            postings += count
            noted = became[number]
            noted.append((there, code))
            if len(noted) >= max(_FEWEST, _AT_ONCE // len(having)):
                _note(sources[number], noted)
        if in_range and in_range + count_of_value > RANGE:
            cuts.append(code)
        self._flush(0)
        end = code + 1
        if end > first:
            cuts.append(end)
        for number in having:
            _note(sources[number], became[number])
            _close_gaps(sources[number], name, end)
        return Merged(name, first, end, postings, tuple(cuts))

    def _flush(self, least: int) -> None:
        if not self._keys or len(self._keys) < least:
            return
        for name, parts in (("value", self._texts), ("form", self._forms)):
            self._files[f"{name}s"].append(np.frombuffer(b"".join(parts), dtype=np.uint8))
            self._starts(f"{name}_starts", list(map(len, parts)))
        self._files["keys"].append(np.array(self._keys, dtype=np.uint64))
        self._starts("label_starts", self._counts)
        self._texts, self._forms, self._keys, self._counts = [], [], [], []

    def _starts(self, name: str, sizes: list[int]) -> None:
        ends = self._places[name] + np.cumsum(sizes)
        self._files[name].append(ends)
        self._places[name] = int(ends[-1])


def _note(source: Source, noted: list[tuple[int, int]]) -> None:
    if noted:
        pairs = np.array(noted, dtype=np.int64)
        source.codes[pairs[:, 0]] = pairs[:, 1]
        noted.clear()


def _close_gaps(source: Source, name: str, end: int) -> None:
    """Let a value that only dead documents have become the next one that was written, so that
    codes ascend; none of its documents is written."""
    begin, until = source.spans[name]
    following = end
    for stop in range(until, begin, -_AT_ONCE):
        start = max(begin, stop - _AT_ONCE)
        part = source.codes[start:stop]
        filled = np.where(part < 0, np.iinfo(np.int64).max, part)[::-1]
        filled[0] = min(int(filled[0]), following)
        source.codes[start:stop] = np.minimum.accumulate(filled)[::-1]
        following = int(source.codes[start])
