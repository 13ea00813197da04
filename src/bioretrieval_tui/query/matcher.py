"""The matcher: which rows fit a filter, best first.

Rows are folded and split into words when the first word is typed: nothing is prepared before. A
word is looked for among the distinct words, conditions read every row, and what the last
keystrokes found is kept for the next one. rapidfuzz is imported when a word occurs in no row.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import chain
from typing import TypeAlias, TypeVar

import msgspec

from bioretrieval_tui.query import ast
from bioretrieval_tui.query.parser import parse
from bioretrieval_tui.query.schema import FieldType, Interval, Schema, day_number
from bioretrieval_tui.util.folding import (
    WORD,
    begins_word,
    equal_key,
    fold,
    forms,
    needles,
    spaced_words,
    squeezed,
    whole_words,
)

_REMEMBERED = 256
_SHORTEST = 4
"""Words of fewer letters have no near spellings: too many others are one letter away."""
_LONG = 7
"""Letters from which two slips are accepted."""
_SHORTEST_LETTERS = 3
_FREQUENT = 8
"""Occurrences a row from which reading all texts costs less than joining the words' rows."""

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Row(msgspec.Struct, frozen=True):
    """What a filter knows of one row.

    key: its id.
    name, tags, text: where bare words and phrases are looked for.
    value: the value of a field by its canonical name, None for no value. Of a field called key,
        name, tags or text the row's own counts then.
    """

    key: str
    name: str
    tags: tuple[str, ...]
    text: str
    value: Callable[[str], object]


# Scores of a word in a row, best first; the last five only for a word that occurs in no row.
(
    _NAME_EXACT, _NAME_BEGINS, _NAME_WORD, _NAME_INSIDE, _TAG, _TEXT_WORD, _TEXT_INSIDE,
    _NAME_NEAR, _NAME_NEAR_2, _NAME_LETTERS, _TEXT_NEAR, _TEXT_NEAR_2,
) = range(12, 0, -1)  # fmt: skip

Fit: TypeAlias = tuple[dict[int, int], bool]
"""Where one bare word is found: scores by row number, and whether it occurs in no row, and these
hold words that resemble it."""


def _kept(store: dict[KeyT, ValueT], key: KeyT, make: Callable[[KeyT], ValueT]) -> ValueT:
    """The stored result of `key`, else that of `make`, stored in place of the oldest. (lru_cache on
    a method would hold the method's owner.)"""
    if key not in store:
        value = make(key)
        while len(store) >= _REMEMBERED:
            del store[next(iter(store))]
        store[key] = value
    return store[key]


class _Words:
    """The texts of every row as words, and the rows of each distinct word. A needle with other
    signs than letters, digits and spaces is looked for in the forms of the texts, which are made
    for the rows that hold its words."""

    def __init__(self, texts: Sequence[Sequence[str]], *, inner: bool = False) -> None:
        self._texts = texts
        self._inner = inner
        self._strings = [spaced_words(each, inner=inner) for each in texts]
        found: defaultdict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(self._strings):
            for word in frozenset(words.split()):
                found[word].append(number)
        # Tuples of numbers, unlike lists, cost the garbage collector nothing.
        self.rows_of = {word: tuple(numbers) for word, numbers in found.items()}
        self._forms: dict[int, str] = {}
        self._held: dict[str, list[str]] = {}

    def places(self, needle: str) -> tuple[Iterable[int], Iterable[int]]:
        """Rows where a word begins with `needle`, and rows that hold it; some more than once."""
        if needle.isalnum():
            # A word that holds the needle holds all but its last letter too.
            longer = self._held.get(needle[:-1], self.rows_of)
            words = _kept(self._held, needle, lambda part: [one for one in longer if part in one])
            begun = [word for word in words if word.startswith(needle)]
            return self._rows(begun, f" {needle}"), self._rows(words, needle)
        held = [(number, text) for number, text in self._candidates(needle) if needle in text]
        return [number for number, text in held if begins_word(text, needle)], [n for n, _ in held]

    def whole(self, needle: str) -> Iterable[int]:
        """Rows that hold `needle` as whole words."""
        if needle.isalnum():
            return self.rows_of.get(needle, ())
        found = self._candidates(needle, whole=True)
        return [number for number, text in found if whole_words(text, needle)]

    def _rows(self, words: Sequence[str], part: str) -> Iterable[int]:
        """Rows with one of the words, which are those that hold `part`."""
        found = [self.rows_of[word] for word in words]
        if sum(map(len, found)) > _FREQUENT * len(self._texts):
            return [number for number, text in enumerate(self._strings) if part in text]
        return chain.from_iterable(found)

    def _candidates(self, needle: str, *, whole: bool = False) -> Iterator[tuple[int, str]]:
        """Rows that hold every word of `needle`, each with the text to look for it in."""
        parts = WORD.findall(needle)
        held = [self.rows_of.get(p, ()) if whole else self.places(p)[1] for p in parts]
        rows = set(held[0]).intersection(*held[1:]) if held else range(len(self._texts))
        if needle.replace(" ", "").isalnum():
            return ((number, self._strings[number]) for number in rows)
        return ((number, self._form(number)) for number in rows)

    def _form(self, number: int) -> str:
        if number not in self._forms:
            made = [form for text in self._texts[number] for form in forms(text, inner=self._inner)]
            self._forms[number] = "\n".join(made)
        return self._forms[number]


def _lines(forms_of_row: Iterable[str]) -> str:
    return "\n".join(("", *forms_of_row, ""))


class Filter:
    """A filter over one list of rows. Not thread-safe."""

    def __init__(self, rows: Sequence[Row], schema: Schema) -> None:
        self._data = tuple(rows)
        self._schema = schema
        self._all = frozenset(range(len(self._data)))
        self._parsed: dict[str, ast.Node] = {}
        self._fits: dict[str, Fit] = {}
        self._sets: dict[ast.Node, frozenset[int]] = {}
        self._columns: dict[str, _TextColumn] = {}
        self._known: dict[str, dict[int, float]] = {}

    def apply(self, expression: str) -> list[int]:
        """Numbers of the rows that fit: best first with a bare word, else in the given order. Rows
        of equal score keep their order. Raises FilterError as `parse` does."""
        node = _kept(self._parsed, expression, lambda text: parse(text, self._schema))
        rows = sorted(self._fitting(node))
        words = set(_sought(node))
        totals: Counter[int] = Counter()
        for word in words:
            totals.update(_kept(self._fits, word, self._fit)[0])
        # Reversed or not, a sort keeps the order of what is equal.
        return sorted(rows, key=totals.__getitem__, reverse=True) if words else rows

    def _fitting(self, node: ast.Node, *, fuzzy: bool = True) -> frozenset[int]:
        """Rows that fit. Under a negation (`fuzzy` False) similar words do not match, since rows
        that merely resemble a word must stay."""
        match node:
            case ast.Everything():
                return self._all
            case ast.Word(text):
                scores, resembling = _kept(self._fits, text, self._fit)
                return frozenset(scores if fuzzy or not resembling else ())
            case ast.Phrase(text):
                found = map(self._everywhere.whole, needles(text))
                return _kept(self._sets, node, lambda _: frozenset(chain.from_iterable(found)))
            case ast.Not(inner):
                return self._all - self._fitting(inner, fuzzy=False)
            case ast.All(nodes):
                return self._all.intersection(*(self._fitting(n, fuzzy=fuzzy) for n in nodes))
            case ast.Any(nodes):
                return frozenset().union(*(self._fitting(n, fuzzy=fuzzy) for n in nodes))
            case _:
                return _kept(self._sets, node, lambda _: frozenset(self._condition(node)))

    # Words ---------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> list[str]:
        """The forms of each name, each between line ends."""
        return [_lines(needles(row.name)) for row in self._data]

    @cached_property
    def _name_words(self) -> _Words:
        return _Words([(row.name,) for row in self._data], inner=True)

    @cached_property
    def _everywhere(self) -> _Words:
        return _Words([(row.name, *row.tags, row.text) for row in self._data])

    @cached_property
    def _tags(self) -> dict[str, list[int]]:
        """Rows by the forms of all their tags."""
        keys, found = cache(needles), defaultdict(list)
        for number, row in enumerate(self._data):
            found[_lines(chain.from_iterable(map(keys, row.tags)))].append(number)
        return found

    def _fit(self, word: str) -> Fit:
        wanted = needles(word)
        scores: dict[int, int] = {}
        anywhere = [self._everywhere.places(needle) for needle in wanted]
        named = [self._name_words.places(needle) for needle in wanted]
        for tier, found in (
            (_TEXT_INSIDE, [held for _, held in anywhere]),
            (_TEXT_WORD, [begun for begun, _ in anywhere]),
            (_TAG, map(self._tag_begins, wanted)),
            (_NAME_INSIDE, [held for _, held in named]),
            (_NAME_WORD, [begun for begun, _ in named]),
            (_NAME_BEGINS, map(self._name_begins, wanted)),
            (_NAME_EXACT, [self._name_begins(f"{needle}\n") for needle in wanted]),
        ):
            for numbers in found:  # a better tier replaces the one before
                scores.update(dict.fromkeys(numbers, tier))
        if scores or not wanted:
            return scores, False
        return self._mistyped(wanted[0])

    def _name_begins(self, needle: str) -> list[int]:
        begun = f"\n{needle}"
        first = WORD.match(needle)  # its rows are fewer to read
        rows = set(self._name_words.places(first[0])[0]) if first else self._all
        return [number for number in rows if begun in self._names[number]]

    def _tag_begins(self, needle: str) -> Iterable[int]:
        begun = f"\n{needle}"
        return chain.from_iterable(rows for tags, rows in self._tags.items() if begun in tags)

    def _mistyped(self, word: str) -> Fit:
        """Rows with a word one or two slips away, or with a name that has the letters in order."""
        near = self._near(word)
        scores: dict[int, int] = {}
        for words, tier in ((self._everywhere, _TEXT_NEAR), (self._name_words, _NAME_NEAR)):
            for other, slips in reversed(near.items()):
                found = words.rows_of.get(other, ())
                scores.update(dict.fromkeys(found, tier - (slips - 1)))
            if words is self._everywhere:
                scores.update(dict.fromkeys(self._letters_in_order(word), _NAME_LETTERS))
        return scores, True

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        """The distinct words that may be mistyped, by their length."""
        found = defaultdict(list)
        for known in self._name_words.rows_of.keys() | self._everywhere.rows_of.keys():
            if not known.isdecimal():
                found[len(known)].append(known)
        return found

    def _near(self, word: str) -> dict[str, int]:
        """Words of the rows -> slips (letter added, dropped, changed, two swapped), fewest first.
        One slip, or two in a word of seven letters or more. A number is never a slip of another."""
        if len(word) < _SHORTEST or not word.isalnum() or word.isdecimal():
            return {}
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extract

        limit = 1 if len(word) < _LONG else 2
        lengths = range(len(word) - limit, len(word) + limit + 1)
        choices = [*chain.from_iterable(self._by_length.get(length, ()) for length in lengths)]
        matches = extract(
            word, choices, scorer=OSA.distance, processor=None, score_cutoff=limit, limit=None
        )
        found = sorted((int(distance), match) for match, distance, _ in matches)
        return {match: distance for distance, match in found if distance}

    def _letters_in_order(self, word: str) -> list[int]:
        """Rows whose name holds the letters of `word` in this order: bmr2b, BMRetriever-2B."""
        if len(word) < _SHORTEST_LETTERS or not word.isalnum():
            return []
        in_order = re.compile("".join(f"[^{letter}]*{letter}" for letter in word)).match
        return [n for n, row in enumerate(self._data) if in_order(squeezed(fold(row.name)))]

    # Conditions ----------------------------------------------------------------------------

    def _condition(self, node: ast.Has | ast.Matches | ast.Compares | ast.Flag) -> Iterable[int]:
        """Rows that fit; the parser lets no node pass that does not suit the type of its field."""
        field = self._schema.find(node.field)
        if field is None:
            raise KeyError(node.field)
        if field.type in ("text", "set"):
            texts = _kept(self._columns, node.field, lambda name: _TextColumn(self._values(name)))
            return texts.fitting(node) if isinstance(node, ast.Matches) else texts.filled()
        read = self._dates if field.type == "date" else partial(self._numbers, field.type)
        known = _kept(self._known, node.field, read)
        if isinstance(node, ast.Flag):
            return (row for row, value in known.items() if value is node.value)
        if isinstance(node, ast.Compares):
            return chain.from_iterable(_within(known, one) for one in node.intervals)
        return known

    def _dates(self, name: str) -> dict[int, float]:
        """The dates of a field by row, as numbers."""
        found = {row: day_number(str(value)) for row, value in enumerate(self._values(name))}
        return {row: float(number) for row, number in found.items() if number is not None}

    def _numbers(self, kind: FieldType, name: str) -> dict[int, float]:
        """The finite numbers, or the truth values, of a field by row."""
        return {
            row: value
            for row, value in enumerate(self._values(name))
            if isinstance(value, int | float)
            and isinstance(value, bool) is (kind == "bool")
            and math.isfinite(value)
        }

    def _values(self, name: str) -> Iterator[object]:
        own = name in ("key", "name", "tags", "text")
        for row in self._data:
            found = row.value(name)
            yield getattr(row, name) if found is None and own else found


def _texts_of(value: object) -> tuple[str, ...]:
    """What a text or set field holds: no empty texts, numbers as they are printed."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, Iterable):
        return tuple(text for item in value for text in _texts_of(item))
    return (str(value),)


class _TextColumn:
    """A text or set field of every row."""

    def __init__(self, values: Iterable[object]) -> None:
        self._rows = list(map(_texts_of, values))

    def filled(self) -> Iterator[int]:
        return (number for number, texts in enumerate(self._rows) if texts)

    def fitting(self, node: ast.Matches) -> Iterator[int]:
        """Rows of which a text fits the condition."""
        if node.operator == "=":
            keys = set(map(equal_key, node.values))
            found = {text for text in self._distinct if equal_key(text) in keys}
        else:
            wanted = chain.from_iterable(map(needles, node.values))
            found = {text for needle in wanted for text in self._beginning(needle)}
        return (n for n, texts in enumerate(self._rows) if not found.isdisjoint(texts))

    @cached_property
    def _distinct(self) -> dict[str, str]:
        """The distinct texts, each with its words."""
        texts = dict.fromkeys(chain.from_iterable(self._rows))
        return {text: spaced_words((text,), inner=True) for text in texts}

    def _beginning(self, needle: str) -> Iterator[str]:
        """Texts in which a word begins with `needle`."""
        if needle.isalnum():
            begun = f" {needle}"
            return (text for text, words in self._distinct.items() if begun in words)
        parts = WORD.findall(needle)
        held = (t for t, w in self._distinct.items() if all(part in w for part in parts))
        return (t for t in held if begins_word("\n".join(forms(t, inner=True)), needle))


def _within(numbers: Mapping[int, float], limits: Interval) -> list[int]:
    low = -math.inf if limits.low is None else limits.low
    high = math.inf if limits.high is None else limits.high
    ends = {low} if limits.low_open else set()
    ends |= {high} if limits.high_open else set()
    return [row for row, n in numbers.items() if low <= n <= high and n not in ends]


def _sought(node: ast.Node) -> Iterator[str]:
    """Bare words that are looked for, not left out."""
    match node:
        case ast.Word(text):
            yield text
        case ast.All(nodes) | ast.Any(nodes):
            for part in nodes:
                yield from _sought(part)
