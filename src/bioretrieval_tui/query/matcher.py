"""The matcher: which rows fit a filter, best first.

Rows are folded and split into words when the first word is typed: nothing is prepared before. A
word is looked for among the distinct words, conditions read every row, and what the last
keystrokes found is kept for the next one. rapidfuzz is imported when a word occurs in no row.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from itertools import chain
from typing import Generic, TypeAlias, TypeVar

from bioretrieval_tui.query.ast import (
    All,
    Any,
    Compares,
    Everything,
    Flag,
    Has,
    Matches,
    Node,
    Not,
    Phrase,
    Word,
)
from bioretrieval_tui.query.parser import parse
from bioretrieval_tui.query.schema import FieldType, Interval, Schema
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
SHORTEST = 4
"""Words of fewer letters have no near spellings: too many others are one letter away."""
_LONG = 7
"""Letters from which a word may hold two slips."""
_SHORTEST_LETTERS = 3
_FREQUENT = 8
"""Occurrences a row from which reading all texts costs less than joining the words' rows."""

Condition: TypeAlias = Has | Matches | Compares | Flag
Numbers: TypeAlias = list[int]
KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Row:
    """What a filter knows of one row.

    key: its id.
    name, tags, text: where bare words and phrases are looked for.
    values: by canonical field name (None or missing: no value). A field called key, name, tags or
        text that `values` lacks takes the row's own.
    """

    key: str
    name: str
    tags: tuple[str, ...]
    text: str
    values: Mapping[str, object]


class Recent(Generic[KeyT, ValueT]):
    """The latest `limit` results by key; the oldest goes first.

    Unlike functools.lru_cache around a method it does not hold its owner.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[KeyT, ValueT] = {}

    def peek(self, key: KeyT) -> ValueT | None:
        """The result of `key` if it is still known."""
        return self._kept.get(key)

    def get(self, key: KeyT, make: Callable[[KeyT], ValueT]) -> ValueT:
        """The result of `key`, made by `make(key)` where it is not known; what that raises."""
        if key in self._kept:
            return self._kept[key]
        value = make(key)
        while len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
        return value


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

    scores: tier by row number.
    literals: what to highlight, folded: the word itself, or the words that it was taken for.
    fuzzy: it occurs in no row as it is written.
    """

    scores: Mapping[int, int]
    literals: tuple[str, ...]
    fuzzy: bool


class _Words:
    """The texts of every row as words, and the rows of each distinct word.

    A needle with other signs than letters, digits and spaces is looked for in the forms of the
    texts, which are made for the rows that hold its words.
    """

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
        self._held: Recent[str, list[str]] = Recent(_REMEMBERED)

    def places(self, needle: str) -> tuple[Iterable[int], Iterable[int]]:
        """Rows where a word begins with `needle`, and rows that hold it; some more than once."""
        if needle.isalnum():
            words = self._held.get(needle, self._holding)
            begun = [word for word in words if word.startswith(needle)]
            return self._rows(begun, f" {needle}"), self._rows(words, needle)
        held = [(number, text) for number, text in self._candidates(needle) if needle in text]
        return [number for number, text in held if begins_word(text, needle)], [n for n, _ in held]

    def whole(self, needle: str) -> Iterable[int]:
        """Rows where `needle` stands with no word cut at either end."""
        if needle.isalnum():
            return self.rows_of.get(needle, ())
        found = self._candidates(needle, whole=True)
        return [number for number, text in found if whole_words(text, needle)]

    def _holding(self, needle: str) -> list[str]:
        """Words that hold `needle`: among those that held all but its last letter, if known."""
        wider = self._held.peek(needle[:-1])
        return [word for word in (self.rows_of if wider is None else wider) if needle in word]

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
    """The forms, each between line ends."""
    return "\n".join(("", *forms_of_row, ""))


class _FoldedRows:
    """The rows as words are looked for in them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        keys = lru_cache(maxsize=None)(needles)
        self._rows = rows
        self._names = [_lines(needles(row.name)) for row in rows]
        self._name_words = _Words([(row.name,) for row in rows], inner=True)
        self._tags: defaultdict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            self._tags[_lines(chain.from_iterable(map(keys, row.tags)))].append(number)
        self._everywhere = _Words([(row.name, *row.tags, row.text) for row in rows])

    def fit(self, word: str) -> Fit:
        """Where a bare word is found."""
        wanted = needles(word)
        scores: dict[int, int] = {}
        anywhere = [self._everywhere.places(needle) for needle in wanted]
        named = [self._name_words.places(needle) for needle in wanted]
        begun = [self._name_begins(needle) for needle in wanted]
        for tier, found in (
            (Tier.TEXT_INSIDE, [held for _, held in anywhere]),
            (Tier.TEXT_WORD, [begun for begun, _ in anywhere]),
            (Tier.TAG, map(self._tag_begins, wanted)),
            (Tier.NAME_INSIDE, [held for _, held in named]),
            (Tier.NAME_WORD, [begun for begun, _ in named]),
            (Tier.NAME_BEGINS, begun),
            (Tier.NAME_EXACT, [self._name_begins(f"{needle}\n") for needle in wanted]),
        ):
            for numbers in found:  # a better tier replaces the one before
                scores.update(dict.fromkeys(numbers, int(tier)))
        if scores or not wanted:
            return Fit(scores, wanted, fuzzy=False)
        return self._mistyped(wanted[0])

    def _name_begins(self, needle: str) -> Numbers:
        begun = f"\n{needle}"
        first = WORD.match(needle)  # its rows are fewer to read
        rows = set(self._name_words.places(first[0])[0]) if first else range(len(self._names))
        return [number for number in rows if begun in self._names[number]]

    def _tag_begins(self, needle: str) -> Iterable[int]:
        begun = f"\n{needle}"
        return chain.from_iterable(rows for tags, rows in self._tags.items() if begun in tags)

    def phrase(self, text: str) -> Iterable[int]:
        """Rows that have these words in this order, none cut."""
        return chain.from_iterable(map(self._everywhere.whole, needles(text)))

    def _mistyped(self, word: str) -> Fit:
        """Rows with a word one or two slips away, or with a name that has the letters in order."""
        near = self._near(word)
        scores: dict[int, int] = {}
        for words, tier in ((self._everywhere, Tier.TEXT_NEAR), (self._name_words, Tier.NAME_NEAR)):
            for other, slips in reversed(near.items()):
                found = words.rows_of.get(other, ())
                scores.update(dict.fromkeys(found, tier - (slips - 1)))
            if words is self._everywhere:
                scores.update(dict.fromkeys(self._letters_in_order(word), int(Tier.NAME_LETTERS)))
        return Fit(scores, tuple(near), fuzzy=True)

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

        One slip, or two in a word of seven letters or more. A number is never a slip of another.
        """
        if len(word) < SHORTEST or not word.isalnum() or word.isdecimal():
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

    @cached_property
    def _squeezed(self) -> list[str]:
        return [squeezed(fold(row.name)) for row in self._rows]

    def _letters_in_order(self, word: str) -> Numbers:
        """Rows whose name holds the letters of `word` in this order: bmr2b, BMRetriever-2B."""
        if len(word) < _SHORTEST_LETTERS or not word.isalnum():
            return []
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import extract

        matches = extract(
            word,
            self._squeezed,
            scorer=LCSseq.similarity,
            processor=None,
            score_cutoff=len(word),
            limit=None,
        )
        return [number for _, _, number in matches]


class Filter:
    """Filters one list of rows, again and again. Not meant for several threads at once."""

    def __init__(self, rows: Sequence[Row], schema: Schema) -> None:
        self._data = tuple(rows)
        self._schema = schema
        self._all = frozenset(range(len(self._data)))
        self._columns: dict[str, _Column] = {}
        self._parsed: Recent[str, Node] = Recent(_REMEMBERED)
        self._fits: Recent[str, Fit] = Recent(_REMEMBERED)
        self._sets: Recent[Node, frozenset[int]] = Recent(_REMEMBERED)

    def apply(self, expression: str) -> list[int]:
        """Numbers of the rows that fit: best first where there is a bare word, else as given.

        Rows of equal score keep their order. Raises FilterError as `parse` does.
        """
        node = self._parse(expression)
        rows = sorted(self._fitting(node))
        words = dict.fromkeys(word for word in _sought(node) if isinstance(word, Word))
        scores = [self._fit(word.text).scores for word in words]
        if scores:
            # Reversed or not, a sort keeps the order of what is equal.
            totals = defaultdict(int, scores[0] if len(scores) == 1 else _summed(scores))
            rows.sort(key=totals.__getitem__, reverse=True)
        return rows

    def highlights(self, expression: str) -> tuple[str, ...]:
        """Folded words and phrases that the rows of this filter were found by, for `marks`.

        A mistyped word gives the words that it was taken for. Raises FilterError as `parse` does.
        """
        found: dict[str, None] = {}
        for node in _sought(self._parse(expression)):
            word = isinstance(node, Word)
            literals = self._fit(node.text).literals if word else needles(node.text)
            found.update(dict.fromkeys(literals))
        return tuple(found)

    def _parse(self, expression: str) -> Node:
        return self._parsed.get(expression, lambda text: parse(text, self._schema))

    @cached_property
    def _rows(self) -> _FoldedRows:
        return _FoldedRows(self._data)

    def _fit(self, word: str) -> Fit:
        return self._fits.get(word, lambda text: self._rows.fit(text))

    def _fitting(self, node: Node, *, fuzzy: bool = True) -> frozenset[int]:
        """Rows that fit. Below a negation words are not taken for others (`fuzzy` is False): what
        merely resembles a word is not left out."""
        match node:
            case Everything():
                return self._all
            case Word(text):
                fit = self._fit(text)
                return frozenset(fit.scores if fuzzy or not fit.fuzzy else ())
            case Phrase(text):
                return self._sets.get(node, lambda _: frozenset(self._rows.phrase(text)))
            case Not(inner):
                return self._all - self._fitting(inner, fuzzy=False)
            case All(nodes):
                return self._all.intersection(*(self._fitting(n, fuzzy=fuzzy) for n in nodes))
            case Any(nodes):
                return frozenset().union(*(self._fitting(n, fuzzy=fuzzy) for n in nodes))
            case _:
                return self._sets.get(node, lambda _: frozenset(self._condition(node)))

    def _condition(self, node: Condition) -> Iterable[int]:
        field = self._schema.find(node.field)
        if field is None:
            raise KeyError(node.field)
        if node.field not in self._columns:
            self._columns[node.field] = _COLUMNS[field.type](self._values(node.field))
        return self._columns[node.field].fitting(node)

    def _values(self, name: str) -> Iterator[object]:
        """A field of every row."""
        own = name in ("key", "name", "tags", "text")
        return (
            getattr(row, name) if own and name not in row.values else row.values.get(name)
            for row in self._data
        )


# Conditions -----------------------------------------------------------------------------------


def texts_of(value: object) -> tuple[str, ...]:
    """What a text or set field holds: no empty texts, numbers as they are printed."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, Iterable):
        return tuple(text for item in value for text in texts_of(item))
    return (str(value),)


class _TextColumn:
    """A text or set field of every row."""

    def __init__(self, values: Iterable[object]) -> None:
        self._rows = list(map(texts_of, values))
        self._words: dict[str, str] = {}

    def fitting(self, node: Condition) -> Iterator[int]:
        """Rows of which a text fits the condition."""
        match node:
            case Has():
                return (number for number, texts in enumerate(self._rows) if texts)
            case Matches(_, "=", values):
                keys = set(map(equal_key, values))
                found = {text for text in self._distinct() if equal_key(text) in keys}
            case Matches(_, _, values):
                wanted = [*chain.from_iterable(map(needles, values))]
                found = {text for needle in wanted for text in self._beginning(needle)}
            case _:
                raise TypeError(f"{node!r} does not suit its field")
        return (n for n, texts in enumerate(self._rows) if not found.isdisjoint(texts))

    def _distinct(self) -> dict[str, str]:
        """The distinct texts, each with its words."""
        if not self._words:
            texts = dict.fromkeys(chain.from_iterable(self._rows))
            self._words = {text: spaced_words((text,), inner=True) for text in texts}
        return self._words

    def _beginning(self, needle: str) -> Iterator[str]:
        """Texts in which a word begins with `needle`."""
        if needle.isalnum():
            begun = f" {needle}"
            return (text for text, words in self._distinct().items() if begun in words)
        parts = WORD.findall(needle)
        held = (t for t, w in self._distinct().items() if all(part in w for part in parts))
        return (t for t in held if begins_word("\n".join(forms(t, inner=True)), needle))


class _NumberColumn:
    """A number field of every row."""

    def __init__(self, values: Iterable[object]) -> None:
        self._numbers = {
            row: value
            for row, value in enumerate(values)
            if isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
        }

    def fitting(self, node: Condition) -> Iterable[int]:
        """Rows of which the number fits the condition."""
        if isinstance(node, Has):
            return self._numbers
        if not isinstance(node, Compares):
            raise TypeError(f"{node!r} does not suit its field")
        return chain.from_iterable(map(self._within, node.intervals))

    def _within(self, limits: Interval) -> list[int]:
        low = -math.inf if limits.low is None else limits.low
        high = math.inf if limits.high is None else limits.high
        between = [(row, n) for row, n in self._numbers.items() if low <= n <= high]
        return [
            row
            for row, number in between
            if not (limits.low_open and number == low) and not (limits.high_open and number == high)
        ]


class _FlagColumn:
    """A yes-or-no field of every row."""

    def __init__(self, values: Iterable[object]) -> None:
        self._flags = {row: v for row, v in enumerate(values) if isinstance(v, bool)}

    def fitting(self, node: Condition) -> Iterable[int]:
        """Rows of which the flag fits the condition."""
        if isinstance(node, Has):
            return self._flags
        if isinstance(node, Flag):
            return (row for row, value in self._flags.items() if value is node.value)
        raise TypeError(f"{node!r} does not suit its field")


_Column: TypeAlias = _TextColumn | _NumberColumn | _FlagColumn
_COLUMNS: Mapping[FieldType, type[_Column]] = {
    "text": _TextColumn,
    "set": _TextColumn,
    "number": _NumberColumn,
    "bool": _FlagColumn,
}


def _summed(scores: Sequence[Mapping[int, int]]) -> Mapping[int, int]:
    """The sum of the words' scores by row."""
    totals = dict(scores[0])
    for each in scores[1:]:
        for row, score in each.items():
            totals[row] = totals.get(row, 0) + score
    return totals


def _sought(node: Node) -> Iterator[Word | Phrase]:
    """Words and phrases that are looked for, not left out, in order."""
    match node:
        case Word() | Phrase():
            yield node
        case All(nodes) | Any(nodes):
            for part in nodes:
                yield from _sought(part)
