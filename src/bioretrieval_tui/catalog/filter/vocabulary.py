"""The words of many rows and where they occur, so that a keystroke looks at words, not at rows.

A word of the query that consists of letters and digits can only occur inside one word of a row.
So the distinct words are searched, which are far fewer than the rows' words, and their rows united.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, takewhile

from bioretrieval_tui.catalog.filter.folding import (
    WORD,
    begins_word,
    whole_words,
    words_of,
)
from bioretrieval_tui.catalog.filter.rowsets import Rows, RowSet

_FEW = 24
"""Up to so many rows, their numbers are quicker to keep and to unite than a set of them."""
_REMEMBERED = 64
"""Substrings whose keys are kept: the next keystroke looks only among the last one's keys."""
_SHORT = 2
"""Substrings so short occur in so many keys that the common keys alone may cover all rows."""


class WordTable:
    """Distinct keys (words, or whole names and tags), each with its rows.

    Keys are numbered from the one with most rows to the one with fewest.
    """

    def __init__(self, rows: Rows, keys_of_rows: Iterable[Iterable[str]]) -> None:
        self.rows = rows
        where: defaultdict[str, list[int]] = defaultdict(list)
        for number, keys in enumerate(keys_of_rows):
            for key in keys:
                where[key].append(number)
        self.keys: list[str] = sorted(where, key=lambda key: -len(where[key]))
        lists = [where[key] for key in self.keys]
        self._many = [rows.of(each) for each in takewhile(lambda each: len(each) > _FEW, lists)]
        self._few = lists[len(self._many) :]
        self._numbers = dict(zip(self.keys, range(len(self.keys)), strict=True))
        self._sorted = sorted(self.keys)
        self._joined = "\n".join(self.keys)
        self._ends = list(accumulate(len(key) + 1 for key in self.keys))
        self._containing: dict[str, Sequence[int]] = {}

    def equal(self, key: str) -> RowSet:
        """Rows that have exactly this key."""
        number = self._numbers.get(key)
        return 0 if number is None else self._union((number,))

    def beginning(self, prefix: str) -> RowSet:
        """Rows with a key that begins so."""
        low = bisect_left(self._sorted, prefix)
        size = len(prefix)
        high = bisect_right(self._sorted, prefix, lo=low, key=lambda key: key[:size])
        return self._union(sorted(map(self._numbers.__getitem__, self._sorted[low:high])))

    def containing(self, part: str) -> RowSet:
        """Rows with a key in which `part`, which is not empty, stands anywhere."""
        if len(part) <= _SHORT:
            found: RowSet = 0
            for key, rows in zip(self.keys, self._many, strict=False):
                if part in key:
                    found |= rows
                    if found == self.rows.everything:
                        return found
        return self._union(self._numbers_containing(part))

    def _union(self, numbers: Sequence[int]) -> RowSet:
        """All rows of the keys with these numbers, which ascend."""
        many = self._many
        cut = bisect_left(numbers, len(many))
        found: RowSet = 0
        for number in numbers[:cut]:
            found |= many[number]
        if cut < len(numbers) and found != self.rows.everything:
            few, base = self._few, len(many)
            found |= self.rows.of(chain.from_iterable([few[n - base] for n in numbers[cut:]]))
        return found

    def _numbers_containing(self, part: str) -> Sequence[int]:
        """Numbers of the keys that contain `part`; narrows what was found for its beginning."""
        known = self._containing.get(part)
        if known is not None:
            return known
        wider = self._containing.get(part[:-1])
        keys = self.keys
        if wider is not None:
            found = [number for number in wider if part in keys[number]]
        elif self._joined.count(part) * 4 > len(keys):
            found = [number for number, key in enumerate(keys) if part in key]
        else:
            found = self._found_in_joined(part)
        while len(self._containing) >= _REMEMBERED:
            del self._containing[next(iter(self._containing))]
        self._containing[part] = found
        return found

    def _found_in_joined(self, part: str) -> list[int]:
        found: list[int] = []
        joined, ends = self._joined, self._ends
        at = joined.find(part)
        while at >= 0:
            number = bisect_right(ends, at)
            found.append(number)
            at = joined.find(part, ends[number])
        return found


class TextIndex:
    """One searchable text a row, given as its forms (see `folding.forms`)."""

    def __init__(self, rows: Rows, forms_of_rows: Iterable[Sequence[str]]) -> None:
        self.rows = rows
        self._texts: list[str] = []
        self.words = WordTable(rows, map(self._taken, forms_of_rows))

    def _taken(self, forms: Sequence[str]) -> set[str]:
        # A form has no line break, so no needle can reach from one form into the next.
        self._texts.append("\n".join(forms))
        return words_of(forms)

    def occurrences(self, needle: str) -> tuple[RowSet, RowSet]:
        """Rows where `needle` begins a word, and rows where it stands anywhere."""
        if needle.isalnum():
            return self.words.beginning(needle), self.words.containing(needle)
        texts = self._texts
        found = [n for n in self._candidates(needle, whole=False) if needle in texts[n]]
        begun = (number for number in found if begins_word(texts[number], needle))
        return self.rows.of(begun), self.rows.of(found)

    def exactly(self, needle: str) -> RowSet:
        """Rows where `needle` stands with no word cut at either end."""
        if needle.isalnum():
            return self.words.equal(needle)
        texts = self._texts
        return self.rows.of(
            number
            for number in self._candidates(needle, whole=True)
            if whole_words(texts[number], needle)
        )

    def _candidates(self, needle: str, *, whole: bool) -> list[int]:
        """Rows that have every run of letters of `needle`, so that few texts are read."""
        rows = self.rows.everything
        for part in WORD.findall(needle):
            rows &= self.words.equal(part) if whole else self.words.containing(part)
            if not rows:
                break
        return self.rows.numbers(rows)
