"""What a word that occurs nowhere may have meant: near spellings, or letters of a name in order.

rapidfuzz is imported when the first such word comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

SHORTEST = 4
"""Words of fewer letters have no near spellings: too many others are one letter away."""
_LONG = 7
_SHORTEST_LETTERS = 3


def allowed_distance(word: str) -> int:
    """How many slips (letter added, dropped, changed, or two swapped) `word` may hold: 0 to 2.

    A number is never a slip of another number.
    """
    if len(word) < SHORTEST or not word.isalnum() or word.isdecimal():
        return 0
    return 1 if len(word) < _LONG else 2


class NearWords:
    """Finds the words of a vocabulary within the allowed distance of a mistyped one."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        by_length: defaultdict[int, list[str]] = defaultdict(list)
        for word in vocabulary:
            if not word.isdecimal():
                by_length[len(word)].append(word)
        self._by_length = dict(by_length)

    def near(self, word: str) -> dict[str, int]:
        """Vocabulary words near `word` -> their distance (1 or 2), nearest first."""
        limit = allowed_distance(word)
        if not limit:
            return {}
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extract

        found: list[tuple[int, str]] = []
        for length in range(len(word) - limit, len(word) + limit + 1):
            choices = self._by_length.get(length)
            if choices:
                matches = extract(
                    word,
                    choices,
                    scorer=OSA.distance,
                    processor=None,
                    score_cutoff=limit,
                    limit=None,
                )
                found += [(int(distance), match) for match, distance, _ in matches]
        return {match: distance for distance, match in sorted(found) if distance}


class Letters:
    """Finds the names that hold the letters of a word in order: bmr2b, BMRetriever-2B."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._held: dict[str, int] = {}
        bits: list[int] = []
        for name in names:
            held = 0
            for letter in set(name):
                held |= self._bit(letter)
            bits.append(held)
        self._bits = bits

    def in_order(self, word: str) -> list[int]:
        """Numbers of the names that hold all letters of `word` in this order, ascending."""
        if len(word) < _SHORTEST_LETTERS or not word.isalnum():
            return []
        wanted = 0
        for letter in set(word):
            if letter not in self._held:
                return []
            wanted |= self._held[letter]
        names = self._names
        candidates = [n for n, held in enumerate(self._bits) if held & wanted == wanted]
        return [number for number in candidates if holds_in_order(names[number], word)]

    def _bit(self, letter: str) -> int:
        return self._held.setdefault(letter, 1 << len(self._held))


def holds_in_order(text: str, word: str) -> bool:
    """Whether the letters of `word` occur in `text` in order, with anything between them."""
    find: Callable[[str, int], int] = text.find
    at = 0
    for letter in word:
        at = find(letter, at) + 1
        if not at:
            return False
    return True
