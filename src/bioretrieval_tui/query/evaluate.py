"""Applies filters to rows: which rows fit, in which order, and which words to highlight.

Everything that can be known before a key is pressed is made once a list of rows; what an earlier
keystroke found (words, conditions, parsed expressions) is kept for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bioretrieval_tui.query.columns import Column, FlagColumn, NumberColumn, TextColumn
from bioretrieval_tui.query.fields import Schema
from bioretrieval_tui.query.folding import needles
from bioretrieval_tui.query.memory import Recent
from bioretrieval_tui.query.nodes import (
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
from bioretrieval_tui.query.ranking import Ranking
from bioretrieval_tui.query.rowsets import Rows, RowSet
from bioretrieval_tui.query.syntax import parse

_REMEMBERED = 256
Condition: TypeAlias = Has | Matches | Compares | Flag


@dataclass(frozen=True, slots=True)
class Row:
    """What a filter knows of one row.

    key: its id; name, tags and text: where bare words and phrases are looked for; values: by
    canonical field name (None or missing: no value). A field called key, name, tags or text that
    `values` lacks takes the row's own.
    """

    key: str
    name: str
    tags: tuple[str, ...]
    text: str
    values: Mapping[str, object]


_OWN = frozenset({"key", "name", "tags", "text"})


class Filter:
    """Filters one list of rows, again and again. Not meant for several threads at once.

    Indexes are built when first needed; `prepare` builds them at once.
    """

    def __init__(self, rows: Sequence[Row], schema: Schema) -> None:
        self._data = tuple(rows)
        self._schema = schema
        self._rows = Rows(len(self._data))
        self._ranking = Ranking(
            self._rows,
            [row.name for row in self._data],
            [row.tags for row in self._data],
            [row.text for row in self._data],
        )
        self._columns: dict[str, Column] = {}
        self._conditions: Recent[Condition, RowSet] = Recent(_REMEMBERED)
        self._parsed: Recent[str, Node] = Recent(_REMEMBERED)

    def prepare(self) -> None:
        """Builds all indexes now, for a worker to call before the filter is handed to others."""
        self._ranking.prepare()
        for field in self._schema.fields:
            self._column(field.name)

    def apply(self, expression: str) -> list[int]:
        """Numbers of the rows that fit: best first where there is a bare word, else as given.

        Rows of equal score keep their order. Raises FilterError as `parse` does.
        """
        node = self._parse(expression)
        rows = self._fitting(node)
        words = tuple(dict.fromkeys(word for word in _sought(node) if isinstance(word, Word)))
        if not words or not rows:
            return self._rows.numbers(rows)
        return self._best_first(rows, words)

    def highlights(self, expression: str) -> tuple[str, ...]:
        """Folded words and phrases that the rows of this filter were found by, for `marks`.

        A mistyped word gives the words that it was taken for. Raises FilterError as `parse` does.
        """
        found: dict[str, None] = {}
        for node in _sought(self._parse(expression)):
            literals = (
                self._ranking.fit(node.text).literals
                if isinstance(node, Word)
                else needles(node.text)
            )
            found.update(dict.fromkeys(literals))
        return tuple(found)

    def _best_first(self, rows: RowSet, words: Sequence[Word]) -> list[int]:
        """Sorted by the sum of the words' scores: sets of rows of equal sum are split in turn."""
        by_score: dict[int, RowSet] = {0: rows}
        for word in words:
            fit = self._ranking.fit(word.text)
            split: defaultdict[int, RowSet] = defaultdict(int)
            for total, equals in by_score.items():
                for score, tier in fit.tiers:
                    if better := equals & tier:
                        split[total + score] |= better
                if rest := equals & ~fit.rows:
                    split[total] |= rest
            by_score = split
        return [
            number
            for total in sorted(by_score, reverse=True)
            for number in self._rows.numbers(by_score[total])
        ]

    def _fitting(self, node: Node, *, fuzzy: bool = True) -> RowSet:
        """Rows that fit. Below a negation, words are not taken for others (`fuzzy` is False):
        nobody means to leave out what merely resembles a word."""
        match node:
            case Everything():
                return self._rows.everything
            case Word(text):
                fit = self._ranking.fit(text)
                return fit.rows if fuzzy or not fit.fuzzy else 0
            case Phrase(text):
                return self._ranking.phrase(text)
            case Not(inner):
                return self._rows.everything & ~self._fitting(inner, fuzzy=False)
            case All(nodes):
                rows = self._rows.everything
                for part in nodes:
                    rows &= self._fitting(part, fuzzy=fuzzy)
                return rows
            case Any(nodes):
                rows = 0
                for part in nodes:
                    rows |= self._fitting(part, fuzzy=fuzzy)
                return rows
            case _:
                return self._conditions.get(node, self._condition)

    def _parse(self, expression: str) -> Node:
        return self._parsed.get(expression, lambda text: parse(text, self._schema))

    def _condition(self, node: Condition) -> RowSet:
        column = self._column(node.field)
        rows: RowSet = 0
        match node, column:
            case Has(), _:
                return column.present
            case Matches(_, operator, values), TextColumn():
                test = column.equal if operator == "=" else column.beginning
                for value in values:
                    rows |= test(value)
            case Compares(_, _, intervals), NumberColumn():
                for interval in intervals:
                    rows |= column.within(interval)
            case Flag(_, value), FlagColumn():
                return column.equal(value)
            case _:
                raise TypeError(f"{node!r} does not suit its field")
        return rows

    def _column(self, name: str) -> Column:
        column = self._columns.get(name)
        if column is None:
            field = self._schema.find(name)
            if field is None:
                raise KeyError(name)
            values = [_value(row, name) for row in self._data]
            match field.type:
                case "number":
                    column = NumberColumn(self._rows, values)
                case "bool":
                    column = FlagColumn(self._rows, values)
                case _:
                    column = TextColumn(self._rows, values)
            self._columns[name] = column
        return column


def _value(row: Row, name: str) -> object:
    if name in row.values or name not in _OWN:
        return row.values.get(name)
    own: object = getattr(row, name)
    return own


def _sought(node: Node) -> Iterator[Word | Phrase]:
    """Words and phrases that are looked for, not left out, in order."""
    match node:
        case Word() | Phrase():
            yield node
        case All(nodes) | Any(nodes):
            for part in nodes:
                yield from _sought(part)
