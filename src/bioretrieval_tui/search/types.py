"""Query, hits and explanations of a search, as sent to and from the search process; the web address
of a document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import quote, urlsplit

import msgspec

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import UsageError

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
        """The query, cut to what can be encoded. Raises UsageError where it is empty, of an unknown
        mode or order, or asks for an impossible number of hits."""
        if self.mode not in MODES:
            said = f"there is no search mode {self.mode!r}"
            raise UsageError(said, remedy=f"use {', '.join(MODES)}")
        if self.order not in ORDERS:
            said = f"hits cannot be sorted by {self.order!r}"
            raise UsageError(said, remedy=f"use {' or '.join(ORDERS)}")
        if not 1 <= self.k <= MOST_HITS:
            raise UsageError(f"{self.k} hits cannot be asked for", remedy=f"use 1 to {MOST_HITS:,}")
        if not any(letter.isprintable() and not letter.isspace() for letter in self.text):
            raise UsageError("the query is empty", remedy="enter a query")
        return msgspec.structs.replace(self, text=self.text[:MOST_CHARACTERS])


@dataclass(frozen=True, slots=True)
class Scores:
    """The score of a hit by each retriever and the reranker; None where one was not used."""

    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found. rank: from 1; title, text: not cleaned for a terminal; url: the
    document's page where one is known; score: what the hits are ordered by."""

    rank: int
    id: str
    title: str
    text: str
    year: int | None
    url: str | None
    score: float
    scores: Scores = field(default_factory=Scores)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document was found.

    terms: the query's terms in it, each with its share of the BM25 score (summing to 1), largest
    first; dense_rank, lexical_rank: its rank by that retriever alone, None below the search depth;
    passage: (start, end) in the text of the sentence nearest to the query; nearness: its
    similarity.
    """

    id: str
    scores: Scores
    terms: tuple[tuple[str, float], ...] = ()
    dense_rank: int | None = None
    lexical_rank: int | None = None
    passage: tuple[int, int] | None = None
    nearness: float | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one field among the top documents, each with its count."""

    field: str
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits in their order. fitting: documents that match the filter, None without one; facets: over
    the top `among` documents; note: for the user, such as a query of stop words only."""

    hits: tuple[Hit, ...]
    fitting: int | None = None
    facets: tuple[Facet, ...] = ()
    among: int = 0
    note: str | None = None


_PMID = re.compile(r"([1-9][0-9]{0,8})")
_PMC = re.compile(r"PMC([1-9][0-9]{0,8})", re.IGNORECASE)
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ARXIV = re.compile(
    r"(?:https?://arxiv\.org/abs/|arxiv:\s*)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+/\d{7})",
    re.IGNORECASE,
)


def document_url(document: Document, ids: str | None = None) -> str | None:
    """The page of a document, or None. ids: the kind of ids in its index, such as `pmid`; a number
    is a PMID only where the corpus says so, since SciFact's ids look like PMIDs."""
    known = {str(key).lower(): value for key, value in document.metadata.items()}
    if own := _web_address(known.get("url")):
        return own
    pmids = (known.get("pmid"), document.id if ids == "pmid" else None)
    pmcs = (known.get("pmcid"), known.get("pmc"), document.id)
    for page, pattern, values in (
        ("https://pubmed.ncbi.nlm.nih.gov/{}/", _PMID, pmids),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC{}/", _PMC, pmcs),
        ("https://doi.org/{}", _DOI, (known.get("doi"),)),
        ("https://arxiv.org/abs/{}", _ARXIV, (known.get("arxiv"), known.get("arxiv_id"))),
    ):
        for value in values:
            text = value if isinstance(value, str) else str(value) if type(value) is int else ""
            if found := pattern.fullmatch(text.strip()):
                return page.format(quote(found[1], safe="/:;()._-"))
    return None


def _web_address(value: Any) -> str | None:
    """`value` if it is an http or https address of printable ASCII without blanks."""
    if not isinstance(value, str) or len(value) > 2_000 or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    printable = value.isascii() and value.isprintable()
    named = parts.scheme in ("http", "https") and parts.hostname
    return value if printable and named else None
