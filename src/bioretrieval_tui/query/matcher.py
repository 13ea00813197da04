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
from functools import lru_cache
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
from bioretrieval_tui.query.schema import Interval, Schema
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


class _Lines:
    """Short texts of every row (a name, tags), folded whole: a string a row, a line a form."""

    def __init__(self, forms_of_rows: Iterable[Iterable[str]]) -> None:
        self._lines = ["\n".join(("", *each, "")) for each in forms_of_rows]

    def beginning(self, needle: str) -> Numbers:
        """Rows of which a form begins with `needle`."""
        begun = f"\n{needle}"
        return [number for number, text in enumerate(self._lines) if begun in text]

    def equal(self, needle: str) -> Numbers:
        """Rows of which a form is `needle`."""
        return self.beginning(f"{needle}\n")


class _Words:
    """The texts of every row as words: which rows each distinct word is in.

    What holds more than letters and digits (a space, a sign) is looked for in the forms of the
    texts, which are made for the rows that hold its words.
    """

    def __init__(self, texts: Sequence[Sequence[str]], *, inner: bool = False) -> None:
        self._texts = texts
        self._inner = inner
        self._strings = [spaced_words(each, inner=inner) for each in texts]
        rows_of: dict[str, list[int]] = {}
        for number, words in enumerate(self._strings):
            for word in frozenset(words.split()):
                rows_of.setdefault(word, []).append(number)
        # Tuples of numbers, unlike lists, cost the garbage collector nothing.
        self.rows_of = {word: tuple(numbers) for word, numbers in rows_of.items()}
        self._forms: dict[int, str] = {}
        self._held: Recent[str, list[str]] = Recent(_REMEMBERED)

    def places(self, needle: str) -> tuple[Iterable[int], Iterable[int]]:
        """Rows where a word begins with `needle`, and rows where it stands anywhere."""
        if not needle.isalnum():
            parts = [set(self.places(part)[1]) for part in WORD.findall(needle)]
            rows = set.intersection(*parts) if parts else range(len(self._texts))
            held = [number for number in rows if needle in self._form(number)]
            return [number for number in held if begins_word(self._form(number), needle)], held
        words = self._held.get(needle, self._holding)
        begun = [word for word in words if word.startswith(needle)]
        return self._rows(begun, f" {needle}"), self._rows(words, needle)

    def whole(self, needle: str) -> Iterable[int]:
        """Rows where `needle` stands with no word cut at either end."""
        if needle.isalnum():
            return self.rows_of.get(needle, ())
        parts = [set(self.rows_of.get(part, ())) for part in WORD.findall(needle)]
        rows = set.intersection(*parts) if parts else range(len(self._texts))
        return [number for number in rows if whole_words(self._form(number), needle)]

    def _holding(self, needle: str) -> list[str]:
        """Words that hold `needle`: among those that held all but its last letter, if known."""
        wider = self._held.peek(needle[:-1])
        return [word for word in (self.rows_of if wider is None else wider) if needle in word]

    def _rows(self, words: Sequence[str], part: str) -> Iterable[int]:
        """Rows with one of the words, which are those that hold `part`."""
        found = [self.rows_of[word] for word in words]
        if sum(map(len, found)) > len(self._texts):  # frequent: soon found in a row's string
            return [number for number, text in enumerate(self._strings) if part in text]
        return set().union(*found)

    def _form(self, number: int) -> str:
        if number not in self._forms:
            made = [form for text in self._texts[number] for form in forms(text, inner=self._inner)]
            self._forms[number] = "\n".join(made)
        return self._forms[number]


class _FoldedRows:
    """The rows as words are looked for in them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        keys = lru_cache(maxsize=None)(needles)
        self.names = _Lines(needles(row.name) for row in rows)
        self.name_words = _Words([(row.name,) for row in rows], inner=True)
        self.tags = _Lines(chain.from_iterable(map(keys, row.tags)) for row in rows)
        self.everywhere = _Words([(row.name, *row.tags, row.text) for row in rows])
        self._squeezed = [squeezed(fold(row.name)) for row in rows]
        self._by_length: dict[int, list[str]] = {}

    def fit(self, word: str) -> Fit:
        """Where a bare word is found."""
        wanted = needles(word)
        scores: dict[int, int] = {}
        anywhere = [self.everywhere.places(needle) for needle in wanted]
        named = [self.name_words.places(needle) for needle in wanted]
        for tier, found in (
            (Tier.TEXT_INSIDE, [held for _, held in anywhere]),
            (Tier.TEXT_WORD, [begun for begun, _ in anywhere]),
            (Tier.TAG, map(self.tags.beginning, wanted)),
            (Tier.NAME_INSIDE, [held for _, held in named]),
            (Tier.NAME_WORD, [begun for begun, _ in named]),
            (Tier.NAME_BEGINS, map(self.names.beginning, wanted)),
            (Tier.NAME_EXACT, map(self.names.equal, wanted)),
        ):
            for numbers in found:  # a better tier replaces the one before
                scores.update(dict.fromkeys(numbers, int(tier)))
        if scores or not wanted:
            return Fit(scores, wanted, fuzzy=False)
        return self._mistyped(wanted[0])

    def phrase(self, text: str) -> set[int]:
        """Rows that have these words in this order, none cut."""
        return set(chain.from_iterable(map(self.everywhere.whole, needles(text))))

    def _mistyped(self, word: str) -> Fit:
        """Rows with a word one or two slips away, or with a name that has the letters in order."""
        near = self._near(word)
        scores: dict[int, int] = {}
        for other, slips in reversed(near.items()):
            found = self.everywhere.whole(other)
            scores.update(dict.fromkeys(found, Tier.TEXT_NEAR - (slips - 1)))
        scores.update(dict.fromkeys(self._letters_in_order(word), int(Tier.NAME_LETTERS)))
        for other, slips in reversed(near.items()):
            found = self.name_words.whole(other)
            scores.update(dict.fromkeys(found, Tier.NAME_NEAR - (slips - 1)))
        return Fit(scores, tuple(near), fuzzy=True)

    def _near(self, word: str) -> dict[str, int]:
        """Words of the rows -> slips (letter added, dropped, changed, two swapped), fewest first.

        One slip, or two in a word of seven letters or more. A number is never a slip of another.
        """
        if len(word) < SHORTEST or not word.isalnum() or word.isdecimal():
            return {}
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extract

        limit = 1 if len(word) < _LONG else 2
        if not self._by_length:
            for known in self.name_words.rows_of.keys() | self.everywhere.rows_of.keys():
                if not known.isdecimal():
                    self._by_length.setdefault(len(known), []).append(known)
        lengths = range(len(word) - limit, len(word) + limit + 1)
        choices = [*chain.from_iterable(self._by_length.get(length, ()) for length in lengths)]
        matches = extract(
            word, choices, scorer=OSA.distance, processor=None, score_cutoff=limit, limit=None
        )
        found = sorted((int(distance), match) for match, distance, _ in matches)
        return {match: distance for distance, match in found if distance}

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
        self._folded: _FoldedRows | None = None
        self._columns: dict[str, _TextColumn | list[object]] = {}
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

    def _rows(self) -> _FoldedRows:
        if self._folded is None:
            self._folded = _FoldedRows(self._data)
        return self._folded

    def _fit(self, word: str) -> Fit:
        return self._fits.get(word, lambda text: self._rows().fit(text))

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
                return self._sets.get(node, lambda _: frozenset(self._rows().phrase(text)))
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
        column = self._column(node.field, field.type in ("text", "set"))
        if isinstance(column, _TextColumn):
            return column.fitting(node)
        test = _number_test(node) if field.type == "number" else _flag_test(node)
        return (number for number, value in enumerate(column) if test(value))

    def _column(self, name: str, texts: bool) -> _TextColumn | list[object]:
        if name not in self._columns:
            own = name in ("key", "name", "tags", "text")
            values = [
                getattr(row, name) if own and name not in row.values else row.values.get(name)
                for row in self._data
            ]
            self._columns[name] = _TextColumn(values) if texts else values
        return self._columns[name]


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


def _number_test(node: Condition) -> Callable[[object], bool]:
    if isinstance(node, Has):
        return _is_number
    if isinstance(node, Compares):
        limits = node.intervals
        return lambda value: _is_number(value) and any(_within(value, one) for one in limits)
    raise TypeError(f"{node!r} does not suit its field")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _within(value: object, limits: Interval) -> bool:
    if not isinstance(value, int | float):
        return False
    low, high = limits.low, limits.high
    above = low is None or value > low or (value == low and not limits.low_open)
    below = high is None or value < high or (value == high and not limits.high_open)
    return above and below


def _flag_test(node: Condition) -> Callable[[object], bool]:
    if isinstance(node, Has):
        return lambda value: isinstance(value, bool)
    if isinstance(node, Flag):
        return lambda value: value is node.value
    raise TypeError(f"{node!r} does not suit its field")


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
