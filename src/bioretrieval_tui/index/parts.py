"""What search needs of the parts of an index, whether they are files or in a store."""

from __future__ import annotations

from typing import Any, Protocol

from bioretrieval_tui.index.manifest import MetadataFacts, TextFacts
from bioretrieval_tui.index.text_index import Scores, Terms
from bioretrieval_tui.index.vector_matrix import Labels, Vector, Vectors
from bioretrieval_tui.query import Node, Schema

Selection = Any
"""The documents that a filter leaves, as `FieldSearch.select` of the same index gives them: labels,
or a filter of a store. Its length is their number."""


class DenseSearch(Protocol):
    """The vectors of an index; see `index.vectors.VectorStore`."""

    count: int

    def load_graphs(self) -> None: ...
    def search(
        self, query: Vector, k: int, allowed: Selection | None = None
    ) -> tuple[Labels, Vector]: ...
    def similarities(self, query: Vector, labels: Labels) -> Vector: ...
    def beginnings(self, labels: Labels) -> Vectors: ...
    def best_passage(self, query: Vector, label: int) -> tuple[int, int] | None: ...


class LexicalSearch(Protocol):
    """BM25 over an index; see `index.text_index.TextIndex`."""

    name: str
    facts: TextFacts

    def search(
        self, query: str | Terms, k: int, allowed: Selection | None = None
    ) -> tuple[Labels, Scores]: ...
    def scores_of(self, query: str | Terms, labels: Labels) -> Scores: ...
    def explain(self, query: str, label: int) -> list[tuple[str, float]]: ...
    def document_frequency(self, term: str) -> int: ...


class FieldSearch(Protocol):
    """The metadata of an index; see `index.metadata.MetadataIndex`."""

    facts: MetadataFacts
    schema: Schema

    def parse(self, expression: str) -> Node: ...
    def select(self, node: Node) -> Selection: ...
    def first(self, node: Node, most: int) -> list[int]: ...
    def among(self, labels: Labels, kept: Selection) -> Labels: ...
    def facets(self, labels: Labels, field: str, most: int = 20) -> list[tuple[str, int]]: ...
    def dates(self, labels: Labels) -> Labels: ...
