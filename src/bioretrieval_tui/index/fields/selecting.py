"""A filter's tree of nodes to the documents that fit it.

A set of documents is a row of truths, one a label, so that AND, OR and NOT are one operation each.
Whatever costs most, phrases, comes last and looks only at what the rest has left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import FilterError, UsageError
from bioretrieval_tui.index.lexical.analysis import tokens
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
from bioretrieval_tui.query import Node, Schema, parse
from bioretrieval_tui.query.ast import (
    All,
    Any,
    Compares,
    Everything,
    Flag,
    Has,
    Matches,
    Not,
    Phrase,
    Word,
)
from bioretrieval_tui.query.matcher import Recent
from bioretrieval_tui.util.folding import forms, needles, whole_words

if TYPE_CHECKING:
    from bioretrieval_tui.index.fields.opened import FieldIndex

Truths = NDArray[np.bool_]
Labels = NDArray[np.int64]

MOST_READ = 20_000
"""Documents whose text is read for one phrase."""
_READ_AT_ONCE = 500
_REMEMBERED = 16


class Selector:
    """Applies filters to the documents of one index; remembers what it found last."""

    def __init__(
        self, fields: FieldIndex, dead: Labels, lexical: LexicalIndex, documents: DocumentStore
    ) -> None:
        self._fields = fields
        self._rows = fields.facts.labels
        self._dead = dead
        self._lexical = lexical
        self._documents = documents
        self._found: Recent[Node, NDArray[np.uint8]] = Recent(_REMEMBERED)
        self._lock = threading.Lock()

    def select(self, node: Node) -> Labels:
        """See `FieldIndex.select`."""
        return np.flatnonzero(self._remembered(node, self._living))

    def _living(self, node: Node) -> Truths:
        alive = np.ones(self._rows, dtype=np.bool_)
        alive[self._dead] = False
        return alive & self._fitting(node, alive)

    def _fitting(self, node: Node, within: Truths) -> Truths:
        """Which documents fit; only what it says of those `within` counts."""
        match node:
            case Everything():
                return np.ones(self._rows, dtype=np.bool_)
            case Not(inner):
                return ~self._fitting(inner, within)
            case All(nodes):
                for part in sorted(nodes, key=_dear):
                    within = within & self._fitting(part, within)
                return within
            case Any(nodes):
                found = np.zeros(self._rows, dtype=np.bool_)
                for part in sorted(nodes, key=_dear):
                    found |= self._fitting(part, within & ~found)
                return found
            case Phrase(text):
                return self._phrase(text, within)
            case Word(text):
                return self._with_terms(_terms(text))
            case Compares(_, _, intervals):
                years = self._fields.years
                found = np.zeros(self._rows, dtype=np.bool_)
                for one in intervals:
                    fit = years >= 0
                    if one.low is not None:
                        low = float(one.low)
                        fit &= (years > low) if one.low_open else (years >= low)
                    if one.high is not None:
                        high = float(one.high)
                        fit &= (years < high) if one.high_open else (years <= high)
                    found |= fit
                return found
            case Flag(field, value):
                # The one yes-or-no field says yes or nothing, so that no is all the rest.
                yes = self._remembered(Has(field), self._condition)
                return yes if value else ~yes
            case _:
                return self._remembered(node, self._condition)

    def _condition(self, node: Node) -> Truths:
        found = np.zeros(self._rows, dtype=np.bool_)
        match node:
            case Has("year"):
                return self._fields.years >= 0
            case Has(field):
                column = self._fields.column(field)
                found[self._fields.labels_of(np.arange(column.first, column.end))] = True
            case Matches(field, operator, values):
                column = self._fields.column(field)
                test = column.equal if operator == "=" else column.beginning
                for value in values:
                    found[self._fields.labels_of(test(value))] = True
            case _:
                raise TypeError(f"{node!r} does not suit its field")
        return found

    def _with_terms(self, terms: list[str]) -> Truths:
        """Documents that have all of these terms in title or text."""
        found = np.ones(self._rows, dtype=np.bool_)
        for term in terms:
            having = np.zeros(self._rows, dtype=np.bool_)
            having[self._lexical.labels_with(term)] = True
            found &= having
        return found

    def _phrase(self, text: str, within: Truths) -> Truths:
        """Documents in whose title or text these words stand in this order, none cut."""
        terms = _terms(text)
        # A digit may belong to the name before the phrase ("type 2 diabetes"), and be no term.
        safe = [term for term in terms if term.isalpha()] or terms
        candidates = np.flatnonzero(within & self._with_terms(safe))
        if len(candidates) > MOST_READ:
            raise UsageError(
                f'the phrase "{text}" may stand in {len(candidates):,} documents, more than can'
                " be looked at",
                remedy="write the words without quotes, or add a condition that leaves fewer",
            )
        found = np.zeros(self._rows, dtype=np.bool_)
        wanted = needles(text)
        for start in range(0, len(candidates), _READ_AT_ONCE):
            labels = candidates[start : start + _READ_AT_ONCE]
            for label, document in zip(labels, self._documents.get(labels.tolist()), strict=True):
                found[label] = any(
                    whole_words(form, needle)
                    for field in (document.title, document.text)
                    for form in forms(field)
                    for needle in wanted
                )
        return found

    def _remembered(self, node: Node, make: Callable[[Node], Truths]) -> Truths:
        with self._lock:
            packed = self._found.peek(node)
        if packed is None:
            truths = make(node)
            with self._lock:
                self._found.get(node, lambda _: np.packbits(truths))
            return truths
        return np.unpackbits(packed, count=self._rows).view(np.bool_)


def parsed(expression: str, schema: Schema) -> Node:
    """See `FieldIndex.parse`."""
    node = parse(expression, schema)
    for sought in _sought(node):
        if not _terms(sought.text):
            raise FilterError(
                f'"{sought.text}" is not looked for: it is too common, or no word',
                expression=expression,
                column=max(0, expression.find(sought.text)),
                remedy="leave it out",
            )
    return node


def _terms(text: str) -> list[str]:
    """The distinct terms of a word or phrase, as the words of documents are indexed."""
    return list(dict.fromkeys(tokens(text)))


def _sought(node: Node) -> Iterator[Word | Phrase]:
    match node:
        case Word() | Phrase():
            yield node
        case Not(inner):
            yield from _sought(inner)
        case All(nodes) | Any(nodes):
            for part in nodes:
                yield from _sought(part)


def _dear(node: Node) -> bool:
    """Whether documents must be read to answer it."""
    return any(isinstance(sought, Phrase) for sought in _sought(node))
