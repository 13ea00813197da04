"""Passages: more than one vector for a document that is longer than the model reads.

An index that is built with passages has, beside the vectors of each segment, a table with a record
a vector: the document, the part of its text that the model read, and the hash of what was read. The
first vector of a document is that of its beginning, as without passages; the others follow it. A
document is as similar to a query as its most similar passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import passage_title
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.manifest import UNREADABLE
from bioretrieval_tui.util.npy_files import load_npy

Labels = npt.NDArray[np.int64]
Table = npt.NDArray[np.void]

RECORD = np.dtype([("label", "<i8"), ("start", "<i8"), ("end", "<i8"), ("hash", "<u8", (2,))])


def table_of(
    first: int, documents: Sequence[Document], spans: Sequence[Sequence[tuple[int, int]]]
) -> tuple[list[Document], Table]:
    """All passages of documents, whose labels begin with `first`, as documents of their own; and
    their table."""
    parts = [passages_of(*pair) for pair in zip(documents, spans, strict=True)]
    read = [one for part in parts for one in part]
    table = np.empty(len(read), RECORD)
    table["label"] = first + np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    places = np.array([place for each in spans for place in each], dtype=np.int64).reshape(-1, 2)
    table["start"], table["end"] = places.T
    digests = b"".join(one.content_hash() for one in read)
    table["hash"] = np.frombuffer(digests, "<u8").reshape(-1, 2)
    return read, table


def passages_of(document: Document, spans: Sequence[tuple[int, int]]) -> list[Document]:
    """The document, and its passages after the first as documents of their own."""
    title = passage_title(document)
    return [document, *(Document("", title, document.text[start:end]) for start, end in spans[1:])]


class Passages:
    """The tables of all segments as one. rows: of the vectors; documents: labels from 0 on. Raises
    IndexFault if the tables are not of these documents."""

    def __init__(self, tables: Sequence[Table], documents: int) -> None:
        self.table = np.concatenate(tables) if tables else np.empty(0, RECORD)
        self.owners: Labels = self.table["label"].astype(np.int64)
        self._firsts: Labels = np.searchsorted(self.owners, np.arange(documents + 1))
        steps = np.diff(self.owners, prepend=-1, append=documents)
        if not (((steps == 0) | (steps == 1)).all() and steps[0] == steps[-1] == 1):
            raise IndexFault("the passages are not those of the documents")

    @property
    def rows(self) -> int:
        return len(self.owners)

    def firsts(self, labels: Labels) -> Labels:
        """The first row of each document, in the order of `labels`."""
        return self._firsts[labels]

    def rows_of(self, labels: Labels) -> tuple[Labels, Labels]:
        """All rows of these documents, in their order, and where those of each begin among them."""
        starts, ends = self._firsts[labels], self._firsts[labels + 1]
        sizes = ends - starts
        before = np.cumsum(sizes) - sizes
        return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum())), before

    def documents_of(self, rows: Labels) -> tuple[Labels, Labels]:
        """The documents of rows, each once, in the order of their first rows here; and the places
        of these."""
        labels, places = np.unique(self.owners[rows], return_index=True)
        order = np.argsort(places, kind="stable")
        return labels[order], places[order]

    def span(self, row: int) -> tuple[int, int]:
        """Where the passage of a row begins and ends in the text of its document."""
        return int(self.table["start"][row]), int(self.table["end"][row])

    def spans_of(self, digest: bytes) -> list[tuple[int, int]] | None:
        """The passages of the document with this content hash; None if it is not there."""
        row = self.by_content([digest]).get(digest)
        if row is None or row != self._firsts[self.owners[row]]:
            return None
        return [self.span(one) for one in range(row, int(self._firsts[self.owners[row] + 1]))]

    def by_content(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The row of each of these hashes that is there."""
        order, held = self._by_hash
        found = {}
        for digest in digests:
            key = np.frombuffer(digest, "<u8")
            first, end = np.searchsorted(held, key[0], "left"), len(held)
            while first < end and held[first] == key[0]:
                if self.table["hash"][order[first]][1] == key[1]:
                    found[digest] = int(order[first])
                    break
                first += 1
        return found

    @cached_property
    def _by_hash(self) -> tuple[Labels, npt.NDArray[np.uint64]]:
        order = np.argsort(self.table["hash"][:, 0], kind="stable")
        return order, self.table["hash"][order, 0]


def read_table(path: Path) -> Table:
    """The table of a segment. Raises IndexFault if it is not one."""
    try:
        table: Table = load_npy(path)
    except UNREADABLE as error:
        raise IndexFault(f"{path.name} cannot be read: {error}") from error
    if table.dtype != RECORD or table.ndim != 1:
        raise IndexFault(f"{path.name} is not a table of passages")
    return table
