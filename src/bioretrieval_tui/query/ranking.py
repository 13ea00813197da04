"""How well a bare word fits each row: the tiers, from an exact name to letters in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property
from itertools import chain

from bioretrieval_tui.query.folding import fold, forms, needles, squeezed
from bioretrieval_tui.query.fuzzy import Letters, NearWords
from bioretrieval_tui.query.memory import Recent
from bioretrieval_tui.query.rowsets import Rows, RowSet
from bioretrieval_tui.query.vocabulary import TextIndex, WordTable

_REMEMBERED = 128


class Tier(IntEnum):
    """What a word scores in a row. From NAME_NEAR down only where it occurs in no row at all."""

    NAME_EXACT = 12
    NAME_BEGINS = 11
    NAME_WORD = 10
    NAME_INSIDE = 9
    TAG = 8
    TEXT_WORD = 7
    TEXT_INSIDE = 6
    NAME_NEAR = 5
    NAME_NEAR_2 = 4
    NAME_LETTERS = 3
    TEXT_NEAR = 2
    TEXT_NEAR_2 = 1


@dataclass(frozen=True, slots=True)
class Fit:
    """Where one bare word is found.

    tiers: (score, rows), best first, disjoint; rows: all of them; literals: what to highlight,
    folded: the word itself, or the words that it was taken for.
    """

    tiers: tuple[tuple[int, RowSet], ...]
    rows: RowSet
    literals: tuple[str, ...]
    fuzzy: bool


class Ranking:
    """Fits of words over the names, tags and texts of rows; builds its indexes when first used."""

    def __init__(
        self,
        rows: Rows,
        names: Sequence[str],
        tags: Sequence[Sequence[str]],
        texts: Sequence[str],
    ) -> None:
        self._rows = rows
        self._names = names
        self._tags = tags
        self._texts = texts
        self._fits: Recent[str, Fit] = Recent(_REMEMBERED)
        self._phrases: Recent[str, RowSet] = Recent(_REMEMBERED)

    def prepare(self) -> None:
        """Builds everything now, near spellings included, so that no keystroke pays for it."""
        self._fit("x")
        self._name_words.prepare()
        self._everywhere.prepare()
        self._near.near("xxxxxxx")
        self._letters.in_order("xxx")

    def fit(self, word: str) -> Fit:
        """Where a bare word is found."""
        return self._fits.get(word, self._fit)

    def phrase(self, text: str) -> RowSet:
        """Rows that have these words in this order, none cut."""
        return self._phrases.get(text, self._phrase)

    def _phrase(self, text: str) -> RowSet:
        found: RowSet = 0
        for needle in needles(text):
            found |= self._everywhere.exactly(needle)
        return found

    def _fit(self, word: str) -> Fit:
        wanted = needles(word)
        found: dict[int, RowSet] = defaultdict(int)
        known: RowSet = 0
        for needle in wanted:
            found[Tier.NAME_EXACT] |= self._whole_names.equal(needle)
            found[Tier.NAME_BEGINS] |= self._whole_names.beginning(needle)
            begun, anywhere = self._name_words.occurrences(needle, known=found[Tier.NAME_BEGINS])
            found[Tier.NAME_WORD] |= begun
            found[Tier.NAME_INSIDE] |= anywhere
            found[Tier.TAG] |= self._whole_tags.beginning(needle)
            known |= found[Tier.NAME_INSIDE] | found[Tier.TAG] | found[Tier.TEXT_WORD]
            begun, anywhere = self._everywhere.occurrences(needle, known=known)
            found[Tier.TEXT_WORD] |= begun
            found[Tier.TEXT_INSIDE] |= anywhere
        if any(found.values()) or not wanted:
            return _fit_of(found, wanted, fuzzy=False)
        squashed = wanted[0]
        near = self._near.near(squashed)
        for other, distance in near.items():
            slip = distance - 1
            found[Tier.NAME_NEAR - slip] |= self._name_words.words.equal(other)
            found[Tier.TEXT_NEAR - slip] |= self._everywhere.words.equal(other)
        found[Tier.NAME_LETTERS] = self._rows.of(self._letters.in_order(squashed))
        return _fit_of(found, tuple(near), fuzzy=True)

    @cached_property
    def _whole_names(self) -> WordTable:
        return WordTable(self._rows, map(needles, self._names))

    @cached_property
    def _name_words(self) -> TextIndex:
        return TextIndex(self._rows, (forms(name, inner=True) for name in self._names))

    @cached_property
    def _whole_tags(self) -> WordTable:
        keys = cache(needles)
        return WordTable(
            self._rows, ({key for tag in tags for key in keys(tag)} for tags in self._tags)
        )

    @cached_property
    def _everywhere(self) -> TextIndex:
        tag_forms = cache(forms)  # few distinct tags, many uses
        return TextIndex(
            self._rows,
            (
                [*forms(name), *chain.from_iterable(map(tag_forms, tags)), *forms(text)]
                for name, tags, text in zip(self._names, self._tags, self._texts, strict=True)
            ),
        )

    @cached_property
    def _near(self) -> NearWords:
        return NearWords({*self._everywhere.words.keys, *self._name_words.words.keys})

    @cached_property
    def _letters(self) -> Letters:
        return Letters([squeezed(fold(name)) for name in self._names])


def _fit_of(found: dict[int, RowSet], literals: tuple[str, ...], *, fuzzy: bool) -> Fit:
    """Best tiers first, each row in its best one only."""
    tiers: list[tuple[int, RowSet]] = []
    seen: RowSet = 0
    for score in sorted(found, reverse=True):
        rows = found[score] & ~seen
        if rows:
            tiers.append((int(score), rows))
            seen |= rows
    return Fit(tuple(tiers), seen, literals, fuzzy)
