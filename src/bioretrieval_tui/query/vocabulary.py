"""The words of many rows and where they occur, so that a keystroke looks at words, not at rows.

A word of the query that consists of letters and digits can only occur inside one word of a row.
So the distinct words are searched, which are far fewer than the rows' words, and their rows united.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain, pairwise, takewhile

from bioretrieval_tui.query.folding import (
    WORD,
    begins_word,
    whole_words,
    words_of,
)
from bioretrieval_tui.query.memory import Recent
from bioretrieval_tui.query.rowsets import Rows, RowSet

_FEWEST = 12
_SHARE = 256
"""The rows of a key are kept as numbers while they are at most 12, or a 256th of all rows: less
than that, numbers are as quick to unite as sets, and more, a set takes at most four times the
memory."""
_REMEMBERED = 64
"""Substrings whose keys are kept: the next keystroke looks only among the last one's keys."""


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
        # Tuples of numbers, unlike lists, cost the garbage collector nothing.
        lists = [tuple(where[key]) for key in self.keys]
        few = max(_FEWEST, rows.size // _SHARE)
        self._many = [rows.of(each) for each in takewhile(lambda each: len(each) > few, lists)]
        self._few = lists[len(self._many) :]
        self._numbers = dict(zip(self.keys, range(len(self.keys)), strict=True))
        self._sorted = sorted(self.keys)
        self._sorted_numbers = [self._numbers[key] for key in self._sorted]
        self._containing: Recent[str, Sequence[int]] = Recent(_REMEMBERED)

    def equal(self, key: str) -> RowSet:
        """Rows that have exactly this key."""
        number = self._numbers.get(key)
        return 0 if number is None else self._union((number,))

    def beginning(self, prefix: str) -> RowSet:
        """Rows with a key that begins so."""
        low = bisect_left(self._sorted, prefix)
        size = len(prefix)
        high = bisect_right(self._sorted, prefix, lo=low, key=lambda key: key[:size])
        return self._union(sorted(self._sorted_numbers[low:high]))

    def containing(self, part: str) -> RowSet:
        """Rows with a key in which `part`, two letters or more, stands anywhere."""
        return self._union(self._containing.get(part, self._numbers_containing))

    def _union(self, numbers: Sequence[int]) -> RowSet:
        """All rows of the keys with these numbers, which ascend."""
        many = self._many
        cut = bisect_left(numbers, len(many))
        found: RowSet = 0
        for number in numbers[:cut]:
            found |= many[number]
        if cut < len(numbers) and found != self.rows.everything:
            few, base = self._few, len(many)
            lists = [few[number - base] for number in numbers[cut:]]
            found |= self.rows.of(list(chain.from_iterable(lists)))
        return found

    def _numbers_containing(self, part: str) -> Sequence[int]:
        """Numbers of the keys that contain `part`, ascending.

        Looks among the keys that were found for the beginning of `part`, where these are still
        known, and else among those with its rarest pair of letters.
        """
        pairs = self._numbers_by_pair
        if len(part) == 2:
            return pairs.get(part, ())
        wider: Sequence[int] | None = self._containing.peek(part[:-1])
        if wider is None:
            wider = min((pairs.get(pair, ()) for pair in _pairs(part)), key=len)
        keys = self.keys
        return tuple([number for number in wider if part in keys[number]])

    @cached_property
    def _numbers_by_pair(self) -> dict[str, tuple[int, ...]]:
        where: defaultdict[str, list[int]] = defaultdict(list)
        for number, key in enumerate(self.keys):
            for pair in _pairs(key):
                where[pair].append(number)
        return {pair: tuple(numbers) for pair, numbers in where.items()}


def _pairs(key: str) -> set[str]:
    return {first + second for first, second in pairwise(key)}


class TextIndex:
    """One searchable text a row, given as its forms (see `folding.forms`)."""

    def __init__(self, rows: Rows, forms_of_rows: Iterable[Sequence[str]]) -> None:
        self.rows = rows
        self._texts: list[str] = []
        self._marks: Recent[str, RowSet] = Recent(_REMEMBERED)
        self.words = WordTable(rows, map(self._taken, forms_of_rows))

    def _taken(self, forms: Sequence[str]) -> set[str]:
        # A form has no line break, so no needle can reach from one form into the next.
        self._texts.append("\n".join(forms))
        return words_of(forms)

    def prepare(self) -> None:
        """Builds what else a search needs."""
        self.words.containing("xx")

    def occurrences(self, needle: str, *, known: RowSet = 0) -> tuple[RowSet, RowSet]:
        """Rows where `needle` begins a word, and rows where it stands anywhere.

        Rows that are `known` already need not be looked at, and may be missing.
        """
        texts = self._texts
        if needle.isalnum():
            begun = self.words.beginning(needle)
            if len(needle) > 1:
                return begun, self.words.containing(needle)
            # Nearly every key has any one letter: the few texts left are sooner looked at.
            rest = self.rows.numbers(self.rows.everything & ~known & ~begun)
            return begun, begun | self.rows.of([n for n in rest if needle in texts[n]])
        numbers = [n for n in self._candidates(needle, known) if needle in texts[n]]
        starts = [number for number in numbers if begins_word(texts[number], needle)]
        return self.rows.of(starts), self.rows.of(numbers)

    def exactly(self, needle: str) -> RowSet:
        """Rows where `needle` stands with no word cut at either end."""
        if needle.isalnum():
            return self.words.equal(needle)
        rows = self.rows.everything
        for word in WORD.findall(needle):
            rows &= self.words.equal(word)
        texts, between = self._texts, f" {needle} "
        return self.rows.of(
            [
                number
                for number in self.rows.numbers(rows)
                if between in texts[number] or whole_words(texts[number], needle)
            ]
        )

    def _with_mark(self, mark: str) -> RowSet:
        return self.rows.where([mark in text for text in self._texts])

    def _candidates(self, needle: str, known: RowSet) -> list[int]:
        """Rows that have every run of letters of `needle`, so that few texts are read."""
        rows = self.rows.everything & ~known
        for part in WORD.findall(needle):
            if len(part) > 1:
                rows &= self.words.containing(part)
        for mark in set(needle):
            if not (mark.isalnum() or mark == " "):
                rows &= self._marks.get(mark, self._with_mark)
        return self.rows.numbers(rows)
