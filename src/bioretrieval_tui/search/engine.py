"""A question to an answer over one open index, in this process.

Heavy: it loads the model of the index, unless only words are asked for. An app that draws a screen
uses `client.py` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.index.lexical.bm25 import weighted_terms
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.candidates import Candidates, Floats, Labels, Terms, gather
from bioretrieval_tui.search.encoders import check_fit, encoder_of
from bioretrieval_tui.search.facets import facets_of
from bioretrieval_tui.search.fusion import DEPTH, best_first, fused
from bioretrieval_tui.search.hits import Answer, Hit, Question, Scores, Why
from bioretrieval_tui.search.links import document_url, document_year
from bioretrieval_tui.search.reasons import reasons
from bioretrieval_tui.search.space import query_like

NO_WORDS = "none of the query's words is indexed: they are too common, or no words"


class SearchEngine:
    """One open index with the encoder that fits it; usable from several threads.

    encoder: loaded on `device` when a question first needs meaning, if None.

    Raises (on construction, and when the encoder is loaded):
        IndexFault: the encoder is not the one that the index was built with.
    """

    def __init__(
        self,
        index: OpenIndex,
        encoder: Encoder | None = None,
        *,
        device: str = "auto",
    ) -> None:
        if encoder is not None:
            check_fit(index.manifest, encoder)
        self.index = index
        self._encoder = encoder
        self._device = device
        self._loading = threading.Lock()

    @classmethod
    def open(
        cls, name: str, *, device: str = "auto", reporter: Reporter = silent, ready: bool = True
    ) -> Self:
        """Open the index `name`.

        ready: load its vectors and the model that it was built with now; otherwise a question
        that needs them does, and BM25 needs neither.

        Raises:
            NotFoundError: no such index. IndexFault: it is damaged. ModelError: its model is
            not here. UsageError: an impossible name or device.
        """
        index = open_index(name, vectors=ready)
        try:
            engine = cls(index, device=device)
            if ready:
                engine.load(reporter)
        except BaseException:
            index.close()
            raise
        return engine

    def load(self, reporter: Reporter = silent) -> Encoder:
        """The encoder of the index, loaded when it is first asked for. Raises as `open` does."""
        with self._loading:
            if self._encoder is None:
                _ = self.index.vectors  # without them there is no use for a model
                encoder = encoder_of(self.index.manifest, device=self._device, reporter=reporter)
                check_fit(self.index.manifest, encoder)
                self._encoder = encoder
            return self._encoder

    def search(self, question: Question, allowed: Iterable[int] | None = None) -> Answer:
        """What answers `question`; `allowed` are the labels that may be given, None for all.

        Raises:
            UsageError: the question makes no sense (see `Question.checked`) or its filter does
            not parse. IndexFault: the index is damaged. ModelError: its model does not load.
        """
        question = question.checked()
        kept = self._kept(question.where, allowed)
        labels, scores, found = self._ranked(question, kept)
        among = labels[: max(DEPTH, question.k)]
        note = None
        if question.mode != "dense" and not len(found.by_words.labels):
            note = NO_WORDS if not weighted_terms(question.text) else None
        order = np.arange(min(question.k, len(labels)))
        if question.order == "date":
            order = np.argsort(-self.index.filterable().dates(labels[order]), kind="stable")
        return Answer(
            hits=self._hits(labels[order], scores[order], found, question.mode),
            fitting=None if kept is None else len(kept),
            facets=facets_of(self.index, among),
            among=len(among),
            note=note,
        )

    def rank(
        self, text: str, k: int, mode: str = "hybrid", *, instruction: str | None = None
    ) -> list[tuple[str, float]]:
        """Ids and scores of the best `k`, best first, without anything else of the documents.

        Raises as `search` does.
        """
        question = Question(text=text, k=k, mode=mode, instruction=instruction).checked()
        labels, scores, _ = self._ranked(question, None)
        ids = self.index.documents.ids(labels[:k].tolist())
        return list(zip(ids, scores[:k].tolist(), strict=True))

    def similar(self, identifier: str, k: int = 10, where: str = "") -> Answer:
        """The documents most like the one of this id, itself left out, by meaning and words.

        Raises:
            NotFoundError: no document of this id. Otherwise as `search`.
        """
        label, document = self._found(identifier)
        vector = self.index.vectors.take(np.array([label], dtype=np.int64))[0]
        vector = query_like(self.index, vector)
        return self._like(document, vector, k, where, own=label)

    def like(self, document: Document, k: int = 10, where: str = "") -> Answer:
        """The documents most like one that is not of this index. Raises as `search` does."""
        vector = query_like(self.index, self.load().encode_documents([document])[0])
        return self._like(document, vector, k, where, own=None)

    def why(self, question: Question, identifiers: Sequence[str]) -> list[Why]:
        """Why documents were found, in the order of `identifiers`; unknown ids are left out.

        Raises as `search` does.
        """
        question = question.checked()
        labels = [
            label
            for identifier in identifiers
            if (label := self.index.documents.labels([identifier]).get(identifier)) is not None
        ]
        vector = None if question.mode == "lexical" else self._vector(question)
        kept = self._kept(question.where, None)
        terms = [] if question.mode == "dense" else weighted_terms(question.text)
        found = gather(self.index, vector, terms, DEPTH, kept)
        encoder = None if vector is None else self.load()
        return reasons(self.index, question.text, vector, found, labels, encoder)

    def document_named(self, identifier: str) -> Document:
        """The document of an id. Raises NotFoundError if there is none."""
        return self._found(identifier)[1]

    def close(self) -> None:
        """Let go of the index."""
        self.index.close()

    def _found(self, identifier: str) -> tuple[int, Document]:
        found = self.index.documents.find(identifier)
        if found is None:
            raise NotFoundError(
                f"index {self.index.manifest.name} has no document {identifier}",
                remedy="ids stand in the hits of search",
            )
        return found

    def _ranked(self, question: Question, kept: Labels | None) -> tuple[Labels, Floats, Candidates]:
        """Labels and scores, best first, at least `k` where there are so many."""
        depth = max(DEPTH, question.k)
        vector = None if question.mode == "lexical" else self._vector(question)
        terms = [] if question.mode == "dense" else weighted_terms(question.text)
        found = gather(self.index, vector, terms, depth, kept)
        if question.mode == "dense" or (
            question.mode == "hybrid" and not len(found.by_words.labels)
        ):
            return found.by_meaning.labels, found.by_meaning.scores, found
        if question.mode == "lexical":
            return found.by_words.labels, found.by_words.scores, found
        if vector is None:
            raise TypeError("a hybrid question without a vector")
        found, scores = fused(self.index, found, vector, terms, kept)
        order = best_first(found.labels, scores)
        return found.labels[order], scores[order], found

    def _like(
        self, document: Document, vector: Floats, k: int, where: str, own: int | None
    ) -> Answer:
        question = Question(text=f"{document.title} {document.text}", k=k, where=where).checked()
        kept = self._kept(where, None)
        terms: Terms = weighted_terms(question.text)
        found = gather(self.index, vector, terms, max(DEPTH, k + 1), kept)
        found, scores = fused(self.index, found, vector, terms, kept)
        order = best_first(found.labels, scores)
        order = order[found.labels[order] != (-1 if own is None else own)][:k]
        return Answer(
            hits=self._hits(found.labels[order], scores[order], found, question.mode),
            fitting=None if kept is None else len(kept),
        )

    def _vector(self, question: Question) -> Floats:
        encoded: Floats = self.load().encode_queries(
            [question.text], instruction=question.instruction
        )[0]
        return encoded

    def _kept(self, where: str, allowed: Iterable[int] | None) -> Labels | None:
        kept = None
        if allowed is not None:
            kept = np.unique(np.fromiter(allowed, dtype=np.int64))
        if where.strip():
            fields = self.index.filterable()
            fitting = fields.select(fields.parse(where))
            kept = fitting if kept is None else np.intersect1d(kept, fitting, assume_unique=True)
        return kept

    def _hits(
        self, labels: Labels, scores: Floats, found: Candidates, mode: str
    ) -> tuple[Hit, ...]:
        documents = self.index.documents.get(labels.tolist())
        places = np.searchsorted(found.labels, labels)
        dense, lexical = found.dense[places].tolist(), found.lexical[places].tolist()
        ids = self.index.manifest.ids
        return tuple(
            Hit(
                rank=rank,
                id=document.id,
                title=document.title,
                text=document.text,
                year=document_year(document.metadata),
                url=document_url(document, ids),
                score=score,
                scores=Scores(
                    dense=None if mode == "lexical" else dense[rank - 1],
                    lexical=None if mode == "dense" else lexical[rank - 1],
                ),
                metadata=document.metadata,
            )
            for rank, (document, score) in enumerate(
                zip(documents, scores.tolist(), strict=True), start=1
            )
        )


def search_index(
    name: str, question: Question, *, device: str = "auto", reporter: Reporter = silent
) -> Answer:
    """Open, search and close: what the command line does. Raises as `open` and `search` do."""
    question = question.checked()
    engine = SearchEngine.open(
        name, device=device, reporter=reporter, ready=question.mode != "lexical"
    )
    try:
        return engine.search(question)
    finally:
        engine.close()
