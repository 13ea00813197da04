"""The fields of an open index: filters, facets and dates over its documents."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.fields.arrays import WHAT, damaged, open_arrays
from bioretrieval_tui.index.fields.columns import TextColumn
from bioretrieval_tui.index.fields.facts import VERSION, FieldsFacts
from bioretrieval_tui.index.fields.merge import spans_of
from bioretrieval_tui.index.fields.reading import YEAR, schema_of
from bioretrieval_tui.index.fields.selecting import Selector, parsed
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
from bioretrieval_tui.query import Node

Labels = NDArray[np.int64]

_AT_ONCE = 50_000
"""Documents whose values are counted at a time."""


class FieldIndex:
    """The fields of an index, open for reading. Any number of threads may ask at a time.

    schema: the fields that some document of this index has.

    Raises (on construction and by all methods):
        IndexFault: the files are damaged, or were made by another version.
    """

    def __init__(
        self,
        folder: Path,
        facts: FieldsFacts,
        *,
        name: str,
        dead: Labels,
        lexical: LexicalIndex,
        documents: DocumentStore,
    ) -> None:
        """Map the files of `folder`; `facts` is what `build_fields` returned.

        name: what the remedy calls the index; dead: labels that no filter finds; lexical and
        documents: what bare words and phrases are looked up in.
        """
        self._remedy = f"run: bioretrieval-tui index compact {name}"
        if facts.version != VERSION:
            raise IndexFault(
                f"{WHAT} {name} was made by {facts.version}, this version reads {VERSION}",
                remedy=self._remedy,
            )
        self._facts = facts
        self._arrays = open_arrays(folder, remedy=self._remedy)
        spans = spans_of([(one.name, one.values) for one in facts.fields])
        values = sum(one.values for one in facts.fields)
        if len(self._arrays.dates) != facts.labels or len(self._arrays.keys) != values:
            raise damaged("it does not fit the manifest", self._remedy)
        self._columns = {
            field: TextColumn(self._arrays, *span, self._remedy) for field, span in spans.items()
        }
        self._checked: set[str] = set()
        self._lock = threading.Lock()
        try:
            self.schema = schema_of(facts.names)
        except ValueError as error:
            raise damaged("its fields are none", self._remedy) from error
        # Not in a circle: files that are mapped are let go with the last reference, at once.
        self._selector = Selector(weakref.proxy(self), dead, lexical, documents)

    @property
    def facts(self) -> FieldsFacts:
        """What the index holds."""
        return self._facts

    def parse(self, expression: str) -> Node:
        """The meaning of a filter over these fields.

        Raises:
            FilterError: it is wrong, names a field that no document has, or looks for words that
                are not indexed.
        """
        return parsed(expression, self.schema)

    def select(self, node: Node) -> Labels:
        """The labels of the living documents that fit, int64 (n,), ascending.

        Raises:
            UsageError: a phrase may stand in more documents than can be looked at.
        """
        return self._selector.select(node)

    def facets(self, labels: Labels, field: str, most: int = 20) -> list[tuple[str, int]]:
        """How many of these documents have each value of a field, at most `most` values.

        The most frequent come first, equal ones in order of the value; years come newest first.
        A field that no document has gives none.
        """
        labels = np.asarray(labels, dtype=np.int64)
        known = self.schema.find(field)
        if known is None or not len(labels) or most <= 0:
            return []
        if known.name == YEAR.name:
            years, counts = np.unique(self.years[labels], return_counts=True)
            pairs = zip(years[::-1].tolist(), counts[::-1].tolist(), strict=True)
            return [(str(year), count) for year, count in pairs if year >= 0][:most]
        column = self.column(known.name)
        found, counts = self._counted(labels, column)
        order = np.lexsort((found, -counts))[:most]
        return [(column.text(int(found[at])), int(counts[at])) for at in order]

    def dates(self, labels: Labels) -> Labels:
        """The dates of these documents, int64 (n,), as YYYYMMDD; unknown parts are 0, and -1 is
        no date at all."""
        found: Labels = self._arrays.dates[labels, 1].astype(np.int64)
        return found

    @property
    def years(self) -> NDArray[np.int32]:
        """The year of every label, int32 (n,), -1 where it is not known."""
        years: NDArray[np.int32] = self._arrays.dates[:, 0]
        return years

    def column(self, field: str) -> TextColumn:
        """The values of a field that is there, checked when it is first asked for."""
        column = self._columns[field]
        if field not in self._checked:
            column.check()
            self._checked.add(field)
        return column

    def labels_of(self, codes: Labels) -> Labels:
        """The documents of these values, int64 (n,), in no order, with repeats."""
        if not len(codes):
            return np.zeros(0, dtype=np.int64)
        starts, ends = self._arrays.label_starts[codes], self._arrays.label_starts[codes + 1]
        found = self._arrays.labels[_ranges(starts, ends)]
        if len(found) and int(found.max()) >= self._facts.labels:
            raise damaged("labels.npy leads out of the index", self._remedy)
        return found.astype(np.int64)

    def values_of(self, label: int) -> list[tuple[str, str]]:
        """All that is known of one document: field and value, in order; the year left out."""
        return [(field, self._columns[field].text(code)) for field, code in self._of(label)]

    def intact(self, label: int) -> bool:
        """Whether all values of a document are compared by what they say."""
        return all(self._columns[field].intact(code) for field, code in self._of(label))

    def _of(self, label: int) -> list[tuple[str, int]]:
        start, end = (int(at) for at in self._arrays.code_starts[label : label + 2])
        codes = self._arrays.codes[start:end].astype(np.int64)
        found = []
        for field in self._columns:
            column = self.column(field)
            mine = codes[(codes >= column.first) & (codes < column.end)]
            found += [(field, code) for code in mine.tolist()]
        return found

    def _counted(self, labels: Labels, column: TextColumn) -> tuple[Labels, Labels]:
        """The codes of a field that these documents have, ascending, and how many have each."""
        width = column.end - column.first
        total = np.zeros(width, dtype=np.int64) if width <= 4 * len(labels) else None
        kept = []
        for start in range(0, len(labels), _AT_ONCE):
            some = labels[start : start + _AT_ONCE]
            starts, ends = self._arrays.code_starts[some], self._arrays.code_starts[some + 1]
            if (
                np.any(ends < starts)
                or np.any(starts < 0)
                or np.any(ends > len(self._arrays.codes))
            ):
                raise damaged("code_starts.npy runs backwards", self._remedy)
            codes = self._arrays.codes[_ranges(starts, ends)].astype(np.int64)
            codes = codes[(codes >= column.first) & (codes < column.end)]
            if total is None:
                kept.append(codes)
            else:
                total += np.bincount(codes - column.first, minlength=width)
        if total is not None:
            found = np.flatnonzero(total)
            return found + column.first, total[found]
        return np.unique(np.concatenate(kept), return_counts=True)


def _ranges(starts: Labels, ends: Labels) -> Labels:
    """All places from each start to below its end, strung together."""
    if len(starts) == 1:
        return np.arange(int(starts[0]), int(ends[0]))
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))
