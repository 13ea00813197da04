"""The words of many rows and where they occur, so that a keystroke looks at words, not at rows.

A word of the query that consists of letters and digits can only occur inside one word of a row.
So the distinct words are searched, which are far fewer than the rows' words, and their rows united.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from operator import contains

from bioretrieval_tui.catalog.filter.folding import (
    WORD,
    begins_word,
    whole_words,
    words_of,
)
from bioretrieval_tui.catalog.filter.rowsets import Posting, Rows, RowSet

_REMEMBERED = 64
"""Substrings whose words are kept: the next keystroke looks only among the last one's words."""


class WordTable:
    """Distinct keys (words, or whole names and tags) in order, each with its rows."""

    def __init__(self, rows: Rows, keys_of_rows: Iterable[Iterable[str]]) -> None:
        self.rows = rows
        where: defaultdict[str, list[int]] = defaultdict(list)
        for number, keys in enumerate(keys_of_rows):
            for key in keys:
                where[key].append(number)
        self.keys: list[str] = sorted(where)
        self._postings: list[Posting] = [rows.posting(where[key]) for key in self.keys]
        self._number = dict(zip(self.keys, range(len(self.keys)), strict=True))
        self._containing: dict[str, Sequence[int]] = {}

    def equal(self, key: str) -> RowSet:
        """Rows that have exactly this key."""
        number = self._number.get(key)
        return 0 if number is None else self.rows.union((self._postings[number],))

    def beginning(self, prefix: str) -> RowSet:
        """Rows with a key that begins so."""
        low, high = self._range(prefix)
        return self.rows.union(self._postings[low:high])

    def containing(self, part: str) -> tuple[RowSet, RowSet]:
        """Rows with a key that begins with `part`, and rows with a key that has it further in."""
        low, high = self._range(part)
        postings = self._postings
        inside = [n for n in self._numbers_containing(part) if not low <= n < high]
        begun = self.rows.union(postings[low:high])
        return begun, self.rows.union(map(postings.__getitem__, inside))

    def _range(self, prefix: str) -> tuple[int, int]:
        low = bisect_left(self.keys, prefix)
        size = len(prefix)
        return low, bisect_right(self.keys, prefix, lo=low, key=lambda key: key[:size])

    def _numbers_containing(self, part: str) -> Sequence[int]:
        """Numbers of the keys that contain `part`; narrows what was found for its beginning."""
        known = self._containing.get(part)
        if known is not None:
            return known
        wider = self._containing.get(part[:-1])
        keys = self.keys
        if wider is None:
            found = list(compress(range(len(keys)), map(contains, keys, repeat(part))))
        else:
            found = [number for number in wider if part in keys[number]]
        while len(self._containing) >= _REMEMBERED:
            del self._containing[next(iter(self._containing))]
        self._containing[part] = found
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
        """Rows where `needle` begins a word, and rows where it stands only within words.

        The two sets may overlap: a row can have both.
        """
        if needle.isalnum():
            return self.words.containing(needle)
        begun: list[int] = []
        inside: list[int] = []
        for number in self._candidates(needle, whole=False):
            text = self._texts[number]
            if needle in text:
                (begun if begins_word(text, needle) else inside).append(number)
        return self.rows.of(begun), self.rows.of(inside)

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
            if whole:
                rows &= self.words.equal(part)
            else:
                begun, inside = self.words.containing(part)
                rows &= begun | inside
            if not rows:
                break
        return self.rows.numbers(rows)
