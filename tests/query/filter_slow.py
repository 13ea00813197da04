"""A slow filter, written straight from docs/filter.md: what the fast one must agree with.

It shares the parser with the fast one, and nothing else: no index, no folding, no ranking.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import chain

from filter_rows import SCHEMA

from bioretrieval_tui.query import Row, parse
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


def slow_fold(text: str) -> str:
    out = ""
    for char in text:
        for part in unicodedata.normalize("NFKD", char):
            if unicodedata.combining(part) or unicodedata.category(part) == "Cf":
                continue
            if part in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212":
                part = "-"
            out += "'" if part in "\u2018\u2019\u02bc" else part
    return out.casefold()


def slow_variants(text: str) -> tuple[str, str]:
    """Without hyphens and underscores, and with spaces for them."""
    folded = slow_fold(text)
    return (
        " ".join(re.sub("[-_]", "", folded).split()),
        " ".join(re.sub("[-_]", " ", folded).split()),
    )


def slow_forms(text: str, *, humps: bool = False) -> list[str]:
    out = [slow_variants(text)[1]]
    for chunk in re.findall(r"[\w-]+", slow_fold(text)):
        words = chunk.strip("-_")
        if "-" in words or "_" in words:
            out.append(words.replace("-", "").replace("_", ""))
    for run in re.findall("[A-Za-z0-9]+", text) if humps else ():
        for at in range(1, len(run)):
            before, here, after = run[at - 1], run[at], run[at + 1 : at + 2]
            if here.isupper() and (before.islower() or (before.isupper() and after.islower())):
                out.append(run[at:].lower())
    return out


def slow_places(form: str, needle: str) -> Iterator[tuple[bool, bool]]:
    """For each occurrence: does it begin, does it end, where a word may?"""
    for at in range(len(form)):
        if needle and form.startswith(needle, at):
            end = at + len(needle)
            cut_before = at > 0 and form[at - 1].isalnum() and needle[0].isalnum()
            cut_after = end < len(form) and form[end].isalnum() and needle[-1].isalnum()
            yield not cut_before, not cut_after


def slow_distance(one: str, other: str) -> int:
    """Optimal string alignment: letters added, dropped, changed, or neighbours swapped."""
    table = [
        [i + j if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)
    ]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            best = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                best = min(best, table[i - 2][j - 2] + 1)
            table[i][j] = best
    return table[-1][-1]


class SlowRow:
    """What the slow filter knows of a row, worked out once because it is so slow."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.names = set(slow_variants(row.name))
        self.squeezed_name = slow_variants(row.name)[0]
        self.name_forms = slow_forms(row.name, humps=True)
        self.tags = {variant for tag in row.tags for variant in slow_variants(tag)}
        self.forms = [f for part in (row.name, *row.tags, row.text) for f in slow_forms(part)]
        self.name_words = words(self.name_forms)
        self.words = words(self.forms)

    def literal(self, word: str) -> int:
        """The score of a word that is found as it stands; 0 if it is not."""
        needles = {needle for needle in slow_variants(word) if needle}
        named = [p for n in needles for form in self.name_forms for p in slow_places(form, n)]
        found = [p for n in needles for form in self.forms for p in slow_places(form, n)]
        tests = (
            (12, bool(needles & self.names)),
            (11, any(name.startswith(n) for name in self.names for n in needles)),
            (10, any(begins for begins, _ in named)),
            (9, bool(named)),
            (8, any(tag.startswith(n) for tag in self.tags for n in needles)),
            (7, any(begins for begins, _ in found)),
            (6, bool(found)),
        )
        return next((score for score, passed in tests if passed), 0)

    def fuzzy(self, word: str, near: dict[str, int]) -> int:
        tests = (
            (5, any(near[w] == 1 for w in near.keys() & self.name_words)),
            (4, bool(near.keys() & self.name_words)),
            (3, len(word) >= 3 and word.isalnum() and in_order(self.squeezed_name, word)),
            (2, any(near[w] == 1 for w in near.keys() & self.words)),
            (1, bool(near.keys() & self.words)),
        )
        return next((score for score, passed in tests if passed), 0)

    def fits(self, node: Has | Matches | Compares | Flag) -> bool:
        value = self.row.value(node.field)
        if node.field in ("name", "tags") and value is None:
            value = getattr(self.row, node.field)
        texts = (
            [value]
            if isinstance(value, str)
            else list(value or ())
            if not isinstance(value, int | float)
            else []
        )
        match node:
            case Has():
                return value is not None and (
                    not isinstance(value, str | tuple) or any(t.strip() for t in texts)
                )
            case Flag(_, wanted):
                return value is wanted
            case Compares(_, intervals):
                if value is None:
                    return False
                return any(
                    (i.low is None or (value > i.low if i.low_open else value >= i.low))
                    and (i.high is None or (value < i.high if i.high_open else value <= i.high))
                    for i in intervals
                )
            case Matches(_, "=", wanted):
                keys = {re.sub(r"[-_\s]", "", slow_fold(text)) for text in texts if text.strip()}
                return any(re.sub(r"[-_\s]", "", slow_fold(w)) in keys for w in wanted)
            case Matches(_, _, wanted):
                needles = {n for w in wanted for n in slow_variants(w)}
                forms = [f for text in texts if text.strip() for f in slow_forms(text, humps=True)]
                return any(b for n in needles for form in forms for b, _ in slow_places(form, n))
        raise AssertionError(node)


def words(forms: list[str]) -> set[str]:
    return {word for form in forms for word in re.findall(r"[^\W_]+", form)}


def in_order(text: str, word: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in word)


class SlowFilter:
    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = [SlowRow(row) for row in rows]

    @cached_property
    def vocabulary(self) -> set[str]:
        return {word for row in self.rows for word in row.words | row.name_words}

    @cache  # noqa: B019 - as long-lived as the test
    def scores(self, word: str) -> tuple[bool, list[int]]:
        """Whether the word is found as it stands anywhere, and its score in each row."""
        literal = [row.literal(word) for row in self.rows]
        if any(literal):
            return True, literal
        squeezed = slow_variants(word)[0] or slow_variants(word)[1]
        limit = 0 if len(squeezed) < 4 else 1 if len(squeezed) < 7 else 2
        near = {}
        if limit and squeezed.isalnum() and not squeezed.isdecimal():
            for known in self.vocabulary:
                if not known.isdecimal() and abs(len(known) - len(squeezed)) <= limit:
                    distance = slow_distance(known, squeezed)
                    if distance <= limit:
                        near[known] = distance
        return False, [row.fuzzy(squeezed, near) for row in self.rows]

    def apply(self, expression: str) -> list[int]:
        node = parse(expression, SCHEMA)
        found = [n for n in range(len(self.rows)) if self.fits(node, n)]
        sought = list(dict.fromkeys(sought_words(node)))
        return sorted(found, key=lambda n: -sum(self.scores(word)[1][n] for word in sought))

    def fits(self, node: Node, number: int, *, negated: bool = False) -> bool:
        match node:
            case Everything():
                return True
            case Word(text):
                literal, scores = self.scores(text)
                return bool(scores[number]) and (literal or not negated)
            case Phrase(text):
                return any(
                    begins and ends
                    for needle in slow_variants(text)
                    for form in self.rows[number].forms
                    for begins, ends in slow_places(form, needle)
                )
            case Not(inner):
                return not self.fits(inner, number, negated=True)
            case All(nodes):
                return all(self.fits(part, number, negated=negated) for part in nodes)
            case Any(nodes):
                return any(self.fits(part, number, negated=negated) for part in nodes)
            case _:
                return self.rows[number].fits(node)


def sought_words(node: Node) -> Iterator[str]:
    if isinstance(node, Word):
        yield node.text
    elif isinstance(node, All | Any):
        yield from chain.from_iterable(map(sought_words, node.nodes))
