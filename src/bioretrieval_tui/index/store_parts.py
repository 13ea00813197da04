"""The documents and vectors of an index whose rows are in a store, as search reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.store import Documents, StoredId
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.stores import Store, StoreFault, batched
from bioretrieval_tui.index.vector_matrix import (
    Halves,
    Labels,
    Vector,
    Vectors,
    checked_query,
    existing,
)

READ = 512
"""Rows that are asked for at once."""
_EXACT = 2_000
"""So few allowed documents are compared one by one: engines find only some of them."""
_CAN_COMPARE = 50_000
"""So many at most, where the engine's index found fewer than it should."""
_OTHERS = 1_500
"""Where so few of all should have enough that is allowed, those are asked for: an engine finds less
with a filter."""
_LISTED = 20_000
"""So many allowed documents at most are listed to the engine at first."""
_MOST = 10_000
"""Documents that are looked through at most for those of them that are allowed."""
_KEPT = 20_000
"""Vectors that are kept, since one query needs those of its hits several times."""
_WIDE = 6
"""Candidates that the engine's index keeps for each result."""


class StoreDocuments(Documents):
    """The documents of one collection. aliases: whether documents have further ids."""

    def __init__(self, store: Store, collection: str, manifest: Manifest) -> None:
        self.rows = manifest.rows
        self._store, self._collection = store, collection
        self._name, self._aliases = manifest.name, manifest.aliases > 0

    def get(self, labels: Sequence[int]) -> list[Document]:
        wanted = [int(label) for label in labels]
        found: dict[int, Document] = {}
        for some in batched(dict.fromkeys(wanted), READ):
            rows = self._store.documents(self._collection, some)
            found.update((row.label, row.document()) for row in rows)
        return [self._there(found, label) for label in wanted]

    def ids(self, labels: Sequence[int]) -> list[str]:
        wanted = [int(label) for label in labels]
        found: dict[int, str] = {}
        for some in batched(dict.fromkeys(wanted), 8 * READ):
            found |= self._store.ids(self._collection, some)
        return [self._there(found, label) for label in wanted]

    def lookup(self, identifier: str) -> StoredId | None:
        return self._lookups([identifier]).get(identifier)

    def labels(self, identifiers: Iterable[str]) -> dict[str, int]:
        return {name: one.label for name, one in self._lookups([*identifiers]).items()}

    def _lookups(self, identifiers: Sequence[str]) -> dict[str, StoredId]:
        found: dict[str, StoredId] = {}
        # A text with control characters is no id, and engines differ in how they quote them.
        names = [one for one in dict.fromkeys(identifiers) if one.isprintable()]
        for start in range(0, len(names), READ):
            some = names[start : start + READ]
            known = self._store.named(self._collection, some)
            found.update((name, StoredId(label, False)) for name, label in known.items())
            others = [one for one in some if one not in known]
            if others and self._aliases:
                known = self._store.aliased(self._collection, others)
                found.update((name, StoredId(label, True)) for name, label in known.items())
        return found

    def same_content(self, digest: bytes) -> list[int]:
        return sorted(self._store.with_digest(self._collection, digest.hex()), reverse=True)

    def all_aliases(self) -> Iterator[tuple[str, int]]:
        if self._aliases:
            rows = self._store.aliases(self._collection)
            yield from sorted((name, label) for label, names in rows for name in names)

    def records(self, start: int = 0) -> Iterator[tuple[int, Record]]:
        for first in range(start, self.rows, READ):
            rows = self._store.between(self._collection, first, min(first + READ, self.rows))
            for row in sorted(rows, key=lambda one: one.label):
                yield row.label, row.record()

    def close(self) -> None:
        self._store.close()

    def _there(self, found: dict[int, Any], label: int) -> Any:
        try:
            return found[label]
        except KeyError:
            raise StoreFault(
                f"{self._store.address} lacks document {label} of index {self._name}",
                remedy=f"bioretrieval-tui index verify {self._name}",
            ) from None


class StoreMatrix:
    """The vectors of one collection, as copying and exporting read them; see `Matrix`."""

    def __init__(self, vectors: StoreVectors) -> None:
        self._vectors = vectors

    def take(self, labels: Labels) -> Vectors:
        """float32 (n, dimension) of these labels, in their order."""
        return self._vectors.beginnings(labels)

    def halves(self, labels: Labels) -> Halves:
        """float16 (n, dimension) of these labels: as they were copied there."""
        return self.take(labels).astype(np.float16)


class StoreVectors:
    """The vectors of one collection: as `index.vectors.VectorStore`, of a document one vector."""

    def __init__(self, store: Store, collection: str, manifest: Manifest) -> None:
        self._store, self._collection, self._manifest = store, collection, manifest
        self._kept: dict[int, Vector] = {}
        self._lock = threading.Lock()
        self.count = manifest.documents

    def load_graphs(self) -> None:
        """Nothing: the engine has its own."""

    def search(self, query: Vector, k: int, allowed: Any = None) -> tuple[Labels, Vector]:
        """The `k` documents most similar to a query, as `VectorStore.search`: the engine's index
        answers, or, where a filter leaves few documents or it finds too few, all are compared."""
        query = checked_query(query, self._manifest)
        if isinstance(allowed, np.ndarray):
            allowed = existing(allowed, self._manifest.rows)
        fit = self.count if allowed is None else len(allowed)
        k = min(k, fit)
        if k <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if allowed is not None and fit <= _EXACT:
            return self._compared(query, k, allowed)
        wide = int(1.5 * k * self.count / fit) + k
        if isinstance(allowed, np.ndarray) and (wide <= _OTHERS or fit > _LISTED):
            labels, similarities = self._masked(query, k, allowed, wide)
            if len(labels) == k:
                return labels, similarities
        labels, similarities = self._near(query, k, allowed)
        if len(labels) < k and allowed is not None and fit <= _CAN_COMPARE:
            return self._compared(query, k, allowed)
        order = np.lexsort((labels, -similarities))[:k]
        return labels[order], similarities[order]

    def _near(self, query: Vector, k: int, allowed: Any = None) -> tuple[Labels, Vector]:
        ef = max(self._manifest.graph.ef, _WIDE * k)
        return self._store.nearest(self._collection, query, k, ef=ef, allowed=allowed)

    def _masked(self, query: Vector, k: int, allowed: Labels, wide: int) -> tuple[Labels, Vector]:
        """The nearest of many allowed documents, found among the `wide` nearest of all, or more."""
        while True:
            labels, similarities = self._near(query, min(wide, _MOST))
            places = np.minimum(np.searchsorted(allowed, labels), len(allowed) - 1)
            fits = allowed[places] == labels
            if fits.sum() >= k or wide >= min(_MOST, self.count):
                break
            wide *= 4
        labels, similarities = labels[fits], similarities[fits]
        order = np.lexsort((labels, -similarities))[:k]
        return labels[order], similarities[order]

    def _compared(self, query: Vector, k: int, allowed: Any) -> tuple[Labels, Vector]:
        labels = np.asarray(getattr(allowed, "labels", allowed), dtype=np.int64)
        similarities = self.similarities(query, labels)
        order = np.lexsort((labels, -similarities))[:k]
        return labels[order], similarities[order]

    def similarities(self, query: Vector, labels: Labels) -> Vector:
        """float32 (n,): the similarity of `query` to each of `labels`, in their order."""
        query = checked_query(query, self._manifest)
        found = np.empty(len(labels), dtype=np.float32)
        for start in range(0, len(labels), 4 * READ):
            some = labels[start : start + 4 * READ]
            found[start : start + len(some)] = self.beginnings(some) @ query
        return found

    def beginnings(self, labels: Labels) -> Vectors:
        """float32 (n, dimension): the vector of each document."""
        wanted = [int(label) for label in labels]
        with self._lock:
            found = {label: self._kept[label] for label in wanted if label in self._kept}
        missing = [label for label in dict.fromkeys(wanted) if label not in found]
        for some in batched(missing, READ):
            found |= self._store.vectors(self._collection, some)
        if lacking := [label for label in missing if label not in found]:
            raise StoreFault(
                f"{self._store.address} lacks the vector of document {lacking[0]}",
                remedy=f"bioretrieval-tui index verify {self._manifest.name}",
            )
        with self._lock:
            if len(self._kept) + len(missing) > _KEPT:
                self._kept.clear()
            self._kept.update((label, found[label]) for label in missing[:_KEPT])
        shape = (len(wanted), self._manifest.dimension)
        return np.array([found[label] for label in wanted], dtype=np.float32).reshape(shape)

    def best_passage(self, query: Vector, label: int) -> tuple[int, int] | None:  # noqa: ARG002
        """None: a document in a store has one vector."""
        return None
