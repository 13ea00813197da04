"""BM25, filters, facets and dates of an index that Milvus answers alone, without files here.

Each row has `terms`, the terms of this package's analyser as Milvus' BM25 reads them; `sought`, the
values of its fields as filters compare them; `year` and `date`. A filter becomes an expression of
Milvus; a phrase cannot be one, and is refused. Milvus matches `sought` with LIKE, row by row.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.index.analysis import spans, tokens
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.metadata import parsed
from bioretrieval_tui.index.metadata_fields import YEAR, pairs, schema_of, when
from bioretrieval_tui.index.milvus import BM25_B, BM25_K1, PIECE, MilvusStore, literal
from bioretrieval_tui.index.shelf_conditions import ShelfConditions
from bioretrieval_tui.index.store_parts import StoreDocuments
from bioretrieval_tui.index.stores import Store
from bioretrieval_tui.index.text_index import (
    MAX_QUERY_CHARACTERS,
    MAX_QUERY_TERMS,
    Scores,
    Terms,
    lines_of,
    weighted_terms,
)
from bioretrieval_tui.index.vector_matrix import Labels
from bioretrieval_tui.query import Node, ast
from bioretrieval_tui.query.schema import Interval
from bioretrieval_tui.util.folding import WORD, equal_key, forms, needles

_VALUE, _KEY, _FORM = "\u241f", "\u241e=", "\u241e:"
"""What begins an entry of `sought`, and stands between its field and a value as `=` and `:` compare
it; no value contains them."""
_LONGEST = 80
"""Characters of a value from the beginning of a word that are kept."""
_LONG = frozenset({"author", "affiliation", "editor"})
"""Fields whose values come last: of some documents there are more than Milvus holds."""
_ESCAPED = re.compile(r"[\W_]")
_SAMPLED = 256
_SPARE = 16
_FARTHEST = 10**6
"""No year is beyond it, and Milvus takes no number that is much larger."""
_AMONG = 1_000
_PLAIN: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x1E)},
    **dict.fromkeys((0x1E, 0x1F, 0x241E, 0x241F), " "),
    ord("%"): "\uff05",
    ord("_"): "\uff3f",
    ord("\\"): "\uff3c",
    0x7F: "\u2421",
}
"""LIKE has characters of its own, which Milvus Lite cannot escape; expressions have no controls."""


# What rows have -----------------------------------------------------------------------------------


def searchable(document: Document) -> tuple[str, str, int]:
    """The terms, the values of fields, and the date of a document."""
    (line,) = lines_of([(document.title, document.text)])
    terms = _within(map(_term, line.split()), " ")
    values = sorted(set(pairs(document)), key=lambda one: one[0] in _LONG)
    return f" {terms} ", _within(chain.from_iterable(map(_entries, values)), ""), when(document)[1]


@lru_cache(maxsize=65_536)
def _term(term: str) -> str:
    """A term as Milvus' analysers leave it: of letters and digits alone."""
    return _ESCAPED.sub(lambda found: f"\u01c0{ord(found[0]):x}\u01c0", term)


def _entries(pair: tuple[str, str]) -> Iterator[str]:
    """The entries of `sought` of a field and its value."""
    field, value = pair
    begin = f"{_VALUE}{field}"
    yield f"{begin}{_KEY}{equal_key(value).translate(_PLAIN)}{_VALUE}"
    for form in forms(value, inner=True):
        for word in WORD.finditer(form):
            piece = form[word.start() : word.start() + _LONGEST]
            yield f"{begin}{_FORM}{piece.translate(_PLAIN)}"


def _within(parts: Iterable[str], separator: str) -> str:
    """The first parts, as many as a field of Milvus holds."""
    kept, left = [], PIECE
    for part in parts:
        left -= len(part.encode("utf-8", "replace")) + len(separator)
        if left < 0:
            break
        kept.append(part)
    return separator.join(kept).encode("utf-8", "replace").decode()


# Filters ------------------------------------------------------------------------------------------


class StoreFilter:
    """A filter as Milvus answers it: its expression, and how many documents fit."""

    def __init__(self, store: MilvusStore, collection: str, expression: str) -> None:
        self._store, self._collection, self._expression = store, collection, expression
        self._count = store.matching(collection, expression)

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        return self._expression

    @property
    def labels(self) -> list[int]:
        """The labels of all documents that fit, ascending."""
        return self._store.labels(self._collection, self._expression, self._count)


def expression_of(node: Node) -> str:
    """A filter as an expression of Milvus. Raises UsageError for what that cannot say."""
    match node:
        case ast.Everything():
            return "label >= 0"
        case ast.Not(inner):
            return f"not ({expression_of(inner)})"
        case ast.All(nodes):
            return " and ".join(f"({expression_of(one)})" for one in nodes)
        case ast.Any(nodes):
            return " or ".join(f"({expression_of(one)})" for one in nodes)
        case ast.Word(text):
            found = [_like("terms", f" {_term(term)} ") for term in dict.fromkeys(tokens(text))]
            return " and ".join(found)
        case ast.Phrase(text):
            raise UsageError(
                f'Milvus cannot look for the phrase "{text}"',
                remedy="write the words without quotes, or copy the index with --text here",
            )
        case ast.Flag(field, value):
            yes = expression_of(ast.Has(field))
            return yes if value else f"not ({yes})"
        case ast.Has(YEAR.name):
            return "year >= 0"
        case ast.Has(field):
            return _like("sought", f"{_VALUE}{field}{_KEY}")
        case ast.Compares(_, intervals):
            return " or ".join(f"({_between(one)})" for one in intervals)
        case ast.Matches(field, operator, values):
            test = _equal if operator == "=" else _beginning
            return " or ".join(f"({test(field, value)})" for value in values)
    raise TypeError(f"{node!r} is no filter")


def _like(column: str, text: str) -> str:
    return f"{column} like {literal(f'%{text}%')}"


def _equal(field: str, value: str) -> str:
    return _like("sought", f"{_VALUE}{field}{_KEY}{equal_key(value).translate(_PLAIN)}{_VALUE}")


def _beginning(field: str, value: str) -> str:
    wanted = [one.translate(_PLAIN) for one in needles(value)]
    for one in wanted:
        if not one[0].isalnum() or len(one) > _LONGEST:
            why = "is too long" if len(one) > _LONGEST else "does not begin with a letter or digit"
            raise UsageError(
                f"Milvus cannot look for {field}:{value!r}, which {why}",
                remedy=f"write {field}= and the whole value, or fewer words",
            )
    return " or ".join(_like("sought", f"{_VALUE}{field}{_FORM}{one}") for one in wanted)


def _between(one: Interval) -> str:
    parts = ["year >= 0"]
    if one.low is not None:
        parts.append(f"year {'>' if one.low_open else '>='} {_number(one.low)}")
    if one.high is not None:
        parts.append(f"year {'<' if one.high_open else '<='} {_number(one.high)}")
    return " and ".join(parts)


def _number(value: float) -> str:
    near = max(-_FARTHEST, min(_FARTHEST, value))
    return str(int(near)) if near == int(near) else f"{near:.6f}"


# Parts of an index --------------------------------------------------------------------------------


def open_text(
    store: Store, collection: str, manifest: Manifest, documents: StoreDocuments
) -> tuple[MilvusText, MilvusFields]:
    """BM25 and metadata of an index that is in Milvus alone."""
    if not isinstance(store, MilvusStore):
        raise UsageError(f"index {manifest.name} needs a store that answers BM25")
    text = MilvusText(store, collection, manifest)
    return text, MilvusFields(store, collection, manifest, documents)


class MilvusText:
    """BM25 by Milvus; as `index.text_index.TextIndex`."""

    def __init__(self, store: MilvusStore, collection: str, manifest: Manifest) -> None:
        self.name, self.facts = manifest.name, manifest.lexical
        self._store, self._collection, self._manifest = store, collection, manifest
        self._frequencies: dict[str, int] = {}
        self._length = 0.0
        self._lock = threading.Lock()

    def search(
        self, query: str | Terms, k: int, allowed: StoreFilter | None = None
    ) -> tuple[Labels, Scores]:
        """The `k` best documents and their scores, best first, ties by label."""
        text = _query_text(query)
        k = min(k, self._manifest.documents if allowed is None else len(allowed))
        if not text or k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        where = "" if allowed is None else str(allowed)
        # Ties go by label, so some beyond the last one are looked at.
        ((labels, scores),) = self._store.best(self._collection, [text], k + _SPARE, where)
        order = np.lexsort((labels, -scores))[:k]
        return labels[order], scores[order]

    def scores_of(self, query: str | Terms, labels: Labels) -> Scores:
        """The score of each of `labels`, in their order; 0 without a term of the query."""
        text, found = _query_text(query), dict[int, float]()
        for start in range(0, len(labels) if text else 0, _AMONG):
            some = labels[start : start + _AMONG]
            where = f"label in {some.tolist()}"
            ((known, scores),) = self._store.best(self._collection, [text], len(some), where)
            found.update(zip(known.tolist(), scores.tolist(), strict=True))
        return np.array([found.get(int(label), 0.0) for label in labels], dtype=np.float32)

    def explain(self, query: str, label: int) -> list[tuple[str, float]]:
        """The words of `query` that a document matches, each with its share of the score."""
        typed: dict[str, str] = {}
        query = query[:MAX_QUERY_CHARACTERS]
        for term, start, end in spans(query):
            typed.setdefault(term, query[start:end])
        terms = [one for one in weighted_terms(query)[:MAX_QUERY_TERMS] if one[0] in typed]
        if not terms:
            return []
        found = self._store.best(
            self._collection, [_query_text([one]) for one in terms], 1, f"label in [{label}]"
        )
        shares = dict.fromkeys(typed.values(), 0.0)
        for (term, _), (_, scores) in zip(terms, found, strict=True):
            shares[typed[term]] += float(scores.sum())
        whole = sum(shares.values())
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return [(word, score / whole) for word, score in ordered if score > 0]

    def document_frequency(self, term: str) -> int:
        """About the number of documents with a term, from the score of one that has it: Milvus does
        not say. As the score is idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean)), and
        idf is ln(1 + (N - n + 0.5) / (n + 0.5)), n follows; the mean length is that of a sample."""
        with self._lock:
            if term not in self._frequencies:
                if len(self._frequencies) > 10_000:
                    self._frequencies.clear()
                self._frequencies[term] = self._frequency(term)
            return self._frequencies[term]

    def _frequency(self, term: str) -> int:
        ((labels, scores),) = self._store.best(self._collection, [_term(term)], 1, "")
        if not len(labels):
            return 0
        if not self._length:
            step = max(1, self._manifest.rows // _SAMPLED)
            sample = range(0, self._manifest.rows, step)
            held = self._store.terms(self._collection, sample)
            self._length = max(1.0, sum(map(len, held)) / max(1, len(held)))
        (terms,) = self._store.terms(self._collection, labels.tolist())
        often = terms.count(_term(term))
        norm = BM25_K1 * (1 - BM25_B + BM25_B * len(terms) / self._length)
        idf = float(scores[0]) * (often + norm) / max(1e-9, often * (BM25_K1 + 1))
        total = self._manifest.documents
        return int(min(total, max(1, round((total + 1) / np.exp(min(idf, 50.0)) - 0.5))))


class MilvusFields:
    """Filters, facets and dates by Milvus; as `index.metadata.MetadataIndex`."""

    def __init__(
        self, store: MilvusStore, collection: str, manifest: Manifest, documents: StoreDocuments
    ) -> None:
        assert manifest.fields is not None  # noqa: S101 - `open_in_store` has looked
        self.facts = manifest.fields
        self.schema = schema_of(self.facts.names)
        self._store, self._collection, self._documents = store, collection, documents
        self._shelf = ShelfConditions(manifest.name, self.facts.names, documents)
        self._filters: dict[str, StoreFilter] = {}

    def parse(self, expression: str) -> Node:
        """The syntax tree of a filter, see `metadata.parsed`."""
        return parsed(expression, self.schema, self._shelf)

    def select(self, node: Node) -> StoreFilter:
        """The documents that fit. Raises UsageError for what Milvus cannot answer."""
        expression = expression_of(node)
        found = self._filters.get(expression)
        if found is None:
            found = StoreFilter(self._store, self._collection, expression)
            if len(self._filters) >= 16:
                self._filters.clear()
            self._filters[expression] = found
        return found

    def first(self, node: Node, most: int) -> list[int]:
        """The first labels that fit."""
        return self._store.labels(self._collection, expression_of(node), most)[:most]

    def among(self, labels: Labels, kept: StoreFilter) -> Labels:
        """Those of `labels` that fit the filter, in their order."""
        where = f"({kept}) and label in {labels.tolist()}"
        fit = {*self._store.labels(self._collection, where, len(labels))} if len(labels) else set()
        return np.array([one for one in labels.tolist() if one in fit], dtype=np.int64)

    def facets(self, labels: Labels, field: str, most: int = 20) -> list[tuple[str, int]]:
        """How many of these documents have each value of a field, the most frequent first."""
        known = self.schema.find(field)
        if known is None or not len(labels) or most <= 0:
            return []
        documents = self._documents.get(labels.tolist())
        if known.name == YEAR.name:
            years = Counter(when(one)[0] for one in documents)
            return [(str(year), years[year]) for year in sorted(years, reverse=True) if year >= 0][
                :most
            ]
        counts: Counter[str] = Counter()
        for one in documents:
            counts.update({text for name, text in pairs(one) if name == known.name})
        return sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:most]

    def dates(self, labels: Labels) -> Labels:
        """The dates of these documents as YYYYMMDD, -1 where unknown."""
        documents = self._documents.get(labels.tolist())
        return np.array([when(one)[1] for one in documents], dtype=np.int64)


def _query_text(query: str | Terms) -> str:
    """A query as Milvus' analyser reads it: each term as often as it counts."""
    terms = weighted_terms(query) if isinstance(query, str) else query
    words: Sequence[Any] = [(term, round(weight)) for term, weight in terms if weight > 0]
    return " ".join(_term(term) for term, times in words[:MAX_QUERY_TERMS] for _ in range(times))
