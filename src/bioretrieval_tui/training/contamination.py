"""Whether a benchmark holds what a model was trained on, by the hashes of normalised texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.training.examples import Example, text_of
from bioretrieval_tui.util.folding import equal_key


class Overlap(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a benchmark and the examples share: of its queries, of its documents, and of its
    relevant pairs; and how many it has of each."""

    benchmark: str
    queries: int = 0
    documents: int = 0
    pairs: int = 0
    of_queries: int = 0
    of_documents: int = 0
    of_pairs: int = 0

    @property
    def contaminated(self) -> bool:
        """Whether a score on it is no zero-shot score any more."""
        return bool(self.queries or self.documents or self.pairs)

    def line(self) -> str:
        """The finding in one sentence."""
        if not self.contaminated:
            return f"{self.benchmark}: shares no text with the training data"
        parts = (
            (self.queries, self.of_queries, "queries"),
            (self.documents, self.of_documents, "documents"),
            (self.pairs, self.of_pairs, "relevant pairs"),
        )
        said = ", ".join(f"{count:,} of {total:,} {name}" for count, total, name in parts if count)
        return f"{self.benchmark}: contaminated, {said} were trained on: not zero-shot"


class TrainedTexts:
    """The hashes of what is trained on: 8 bytes a text."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self._queries: set[bytes] = set()
        self._documents: set[bytes] = set()
        self._pairs: set[bytes] = set()
        for one in examples:
            query = _digest(one.query)
            positive = _document_digests(one.positive)
            self._queries.add(query)
            self._documents |= positive
            self._pairs |= {query + document for document in positive}
            for negative in one.negatives:
                self._documents |= _document_digests(negative)

    def overlap(
        self,
        benchmark: str,
        queries: Mapping[str, str],
        judgements: Mapping[str, Mapping[str, int]],
        documents: Iterable[Document],
    ) -> Overlap:
        """What a benchmark shares with them. documents: its corpus, read once."""
        asked = {name: _digest(text) for name, text in queries.items()}
        judged = {name for grades in judgements.values() for name in grades}
        digests: dict[str, set[bytes]] = {}
        shared = total = 0
        for document in documents:
            found = _document_digests(document)
            total += 1
            shared += not found.isdisjoint(self._documents)
            if document.id in judged:
                digests[document.id] = found
        relevant = [
            (query, name)
            for query, grades in judgements.items()
            for name, grade in grades.items()
            if grade > 0 and query in asked
        ]
        pairs = sum(
            any(asked[query] + one in self._pairs for one in digests.get(name, ()))
            for query, name in relevant
        )
        return Overlap(
            benchmark,
            queries=sum(one in self._queries for one in asked.values()),
            documents=shared,
            pairs=pairs,
            of_queries=len(asked),
            of_documents=total,
            of_pairs=len(relevant),
        )


def _document_digests(document: Document) -> set[bytes]:
    """Of title and text together, and of the text where it has some length: pairs that texts hold
    show a text without its title."""
    found = {_digest(text_of(document))}
    if len(document.text) >= 80:
        found.add(_digest(document.text))
    return found


def _digest(text: str) -> bytes:
    return hashlib.blake2b(equal_key(text).encode(), digest_size=8).digest()
