"""Query, hits and explanations of a search, as sent to and from the search process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document

Mode = Literal["hybrid", "dense", "lexical"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""hybrid, the default: dense and BM25 together; dense: vectors alone; lexical: BM25 alone."""
Order = Literal["relevance", "date"]
"""By date the newest come first."""
ORDERS: tuple[Order, ...] = get_args(Order)
MOST_HITS = 10_000
MOST_CHARACTERS = 100_000
"""Longest query; far more than any model reads."""
RERANKED = 50
"""Hits that a reranker reads by default."""


_WITHIN = "only hits of one query can be compared"
SCORE_MEANINGS = {
    "BM25": f"the sum over the query's terms; {_WITHIN}",
    "dense": "the similarity of the vectors, for most models a cosine up to 1",
    "hybrid": "dense and BM25 added, each in standard deviations above the mean of the candidates;"
    f" {_WITHIN}",
    "fused ranks": f"1 / (60 + rank) by each model, added over the models; {_WITHIN}",
    "reranker": "what the cross-encoder gives a pair of query and text",
}
"""What the score of a hit is, for its page and for help."""


def mode_name(mode: str) -> str:
    """A mode as it is shown: hybrid, dense, BM25; of an evaluation also a run file."""
    return {"lexical": "BM25", "run": "run file"}.get(mode, mode)


class Query(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A query. k: number of hits; where: a filter over the documents' fields, in the filter
    language of the catalogue; instruction: replaces the recipe's task instruction."""

    text: str
    k: int = 10
    mode: str = "hybrid"
    where: str = ""
    order: str = "relevance"
    instruction: str | None = None

    def checked(self) -> Query:
        """The query, cut to what can be encoded; BM25 is another name of lexical. Raises UsageError
        where it is empty, of an unknown mode or order, or asks for an impossible number of hits."""
        mode = "lexical" if self.mode.casefold() == "bm25" else self.mode
        if mode not in MODES:
            said = f"there is no search mode {self.mode!r}"
            raise UsageError(said, remedy=f"use {', '.join(MODES)}")
        if self.order not in ORDERS:
            said = f"hits cannot be sorted by {self.order!r}"
            raise UsageError(said, remedy=f"use {' or '.join(ORDERS)}")
        if not 1 <= self.k <= MOST_HITS:
            raise UsageError(f"{self.k} hits cannot be asked for", remedy=f"use 1 to {MOST_HITS:,}")
        if not any(letter.isprintable() and not letter.isspace() for letter in self.text):
            raise UsageError("the query is empty", remedy="enter a query")
        return msgspec.structs.replace(self, text=self.text[:MOST_CHARACTERS], mode=mode)


class Scores(msgspec.Struct, frozen=True):
    """The score of a hit by each retriever and the reranker; None where one was not used."""

    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None


class Hit(msgspec.Struct, frozen=True):
    """One document found. rank: from 1; title, text: not cleaned for a terminal; url: the
    document's page where one is known; score: what the hits are ordered by; passage: (start, end)
    in the text of the passage most similar to the query, where the document has several; index,
    also: of a search of several indexes, the one that the hit is from, and others that hold it;
    pmid: where the corpus says that a number is one; by_ranks: the score fuses ranks by several
    models."""

    rank: int
    id: str
    title: str
    text: str
    year: int | None
    url: str | None
    score: float
    scores: Scores = Scores()
    metadata: Mapping[str, Any] = {}
    passage: tuple[int, int] | None = None
    index: str = ""
    also: tuple[str, ...] = ()
    pmid: str | None = None
    by_ranks: bool = False

    @property
    def scored(self) -> str:
        """What its score is, a key of `SCORE_MEANINGS`; "" for a hit without one."""
        if self.scores.rerank is not None:
            return "reranker"
        if self.by_ranks:
            return "fused ranks"
        if self.scores.dense is None:
            return "" if self.scores.lexical is None else "BM25"
        return "dense" if self.scores.lexical is None else "hybrid"

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other hits: ids are unique within an index."""
        return self.index, self.id


def document_hit(
    document: Document, rank: int, score: float = 0.0, ids: str | None = None, **more: Any
) -> Hit:
    """A document as a hit. ids: the kind of ids of its index; more: other fields."""
    from bioretrieval_tui.documents.bibliography import document_pmid, document_url, document_year

    known = document.metadata
    made = (document.id, document.title, document.text, document_year(known))
    url, pmid = document_url(document, ids), document_pmid(document, ids)
    return Hit(rank, *made, url, score, metadata=known, pmid=pmid, **more)


class Explanation(msgspec.Struct, frozen=True):
    """Why a document was found. terms: the query's terms in it, each with its share of the BM25
    score (summing to 1), largest first; dense_rank, lexical_rank: by that retriever alone, None
    below the search depth; passage: (start, end) in the text of the sentence nearest to the query;
    nearness: its similarity."""

    id: str
    scores: Scores
    terms: tuple[tuple[str, float], ...] = ()
    dense_rank: int | None = None
    lexical_rank: int | None = None
    passage: tuple[int, int] | None = None
    nearness: float | None = None


class Facet(msgspec.Struct, frozen=True):
    """The values of one field among the top documents, each with its count."""

    field: str
    counts: tuple[tuple[str, int], ...]


class SearchResult(msgspec.Struct, frozen=True):
    """Hits in their order. fitting: documents that match the filter, None without one; facets: over
    the top `among` documents; note: for the user, such as a query of stop words only; pending: BM25
    answered alone, since the model of the index is not loaded yet; named: documents whose
    identifier the query is, which come first by relevance; left_out: the indexes that failed."""

    hits: tuple[Hit, ...]
    fitting: int | None = None
    facets: tuple[Facet, ...] = ()
    among: int = 0
    note: str | None = None
    pending: bool = False
    named: int = 0
    left_out: tuple[str, ...] = ()
