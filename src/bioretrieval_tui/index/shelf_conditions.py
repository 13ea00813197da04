"""Conditions of a filter on the reader's shelf: `is:starred status:reading tag:x note:"..."`.

Before the metadata of an index answers, such a condition becomes one on the PMIDs, DOIs and ids of
the documents that are marked so. A corpus may have a field of that name: then either fits.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.query import Field, Filter, Node, Row, Schema, ast
from bioretrieval_tui.shelf import Shelf, ShelfMark, kept_shelf

if TYPE_CHECKING:
    from bioretrieval_tui.documents.store import Documents

FIELDS = (
    Field("starred", "bool"),
    Field("status", "text"),
    Field("tag", "set"),
    Field("note", "text"),
)
"""What a reader notes of a document."""
NAMES = frozenset(field.name for field in FIELDS)
_OWN = (
    Field("id", "set"), Field("kind", "text"), Field("title", "text"), Field("year", "number"),
    Field("added", "date"), Field("changed", "date"),
)  # fmt: skip
_SCHEMA = Schema((*FIELDS, *_OWN))
_NONE = ast.Not(ast.Everything())


def shelf_filter(marks: Sequence[ShelfMark]) -> Filter:
    """The filter over a list of marks, by what was noted, kind, title and year."""

    def row(mark: ShelfMark) -> Row:
        values = {"id": mark.keys, "tag": mark.tags, "added": mark.added[:10],
                  "changed": mark.changed[:10]}  # fmt: skip
        return Row(mark.key, mark.title, mark.tags, f"{mark.note} {mark.entry}",
                   lambda name: values.get(name) or getattr(mark, name, None))  # fmt: skip

    return Filter([row(mark) for mark in marks], _SCHEMA)


class ShelfConditions:
    """What the conditions on the shelf mean for the documents of an index. own: the fields of its
    corpus."""

    def __init__(self, index: str, own: Container[str], documents: Documents) -> None:
        self._index, self._own, self._documents = index, own, documents
        self._read: tuple[Shelf, Filter, dict[Node, Node]] | None = None
        """The shelf as it was read last, and what its conditions were found to mean."""

    def applied(self, node: Node) -> Node:
        """The filter with conditions on documents instead. Raises BioRetrievalError if the shelf
        cannot be read."""
        return ast.mapped(node, self._on_documents)

    def _on_documents(self, node: Node) -> Node:
        if not isinstance(node, ast.Matches | ast.Flag | ast.Has) or node.field not in NAMES:
            return node
        shelf = kept_shelf()
        if self._read is None or self._read[0] is not shelf:
            self._read = shelf, shelf_filter(shelf.marks), {}
        _, found, known = self._read
        if node not in known:
            known[node] = self._meant(node, shelf, found)
        return known[node]

    def _meant(self, node: ast.Matches | ast.Flag | ast.Has, shelf: Shelf, found: Filter) -> Node:
        # A flag that is not set is that of all that is not marked, too.
        flag = isinstance(node, ast.Flag)
        noted = f"{node.field}:{'yes' if flag else '*'}"
        written = str(node) if isinstance(node, ast.Matches) else noted
        keys = [key for at in found.apply(written) for key in shelf.marks[at].keys]
        fitting = list(self._among(keys))
        if node.field in self._own and not flag:
            fitting.append(node)
        meant = ast.joined(ast.Any, fitting or [_NONE])
        return ast.negated(meant) if isinstance(node, ast.Flag) and not node.value else meant

    def _among(self, keys: Sequence[str]) -> Iterator[Node]:
        """The conditions that the documents with these keys fit."""

        def named(kind: str) -> tuple[str, ...]:
            return tuple(key.partition(":")[2] for key in keys if key.startswith(f"{kind}:"))

        if self._index == CATALOGUE:
            ids = named("entry")
        else:
            hashes = map(bytes.fromhex, named("text"))
            labels = [label for one in hashes for label in self._documents.same_content(one)]
            ids = tuple(self._documents.ids(labels))
            for kind in ("pmid", "doi"):
                if kind in self._own and (values := named(kind)):
                    yield ast.Matches(kind, "=", values)
        if ids:
            yield ast.Matches("id", "=", ids)
