"""Searches one open index, in this process; explains and reranks its hits.

The model of the index is loaded when a query first needs it; BM25 needs none. The app uses the
search process instead.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import identifiers_of
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.errors import (
    BioRetrievalError,
    IndexFault,
    InterruptedByUser,
    NotFoundError,
)
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.parts import Selection
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.index.text_index import weighted_terms
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.query.ast import Everything, Matches, without_field
from bioretrieval_tui.search import hybrid
from bioretrieval_tui.search.hybrid import DEPTH, Candidates, Floats, Labels, Terms
from bioretrieval_tui.search.types import (
    RERANKED,
    Explanation,
    Facet,
    Hit,
    Query,
    Scores,
    SearchResult,
    document_hit,
)

if TYPE_CHECKING:
    from bioretrieval_tui.encoding.cross_encoder import CrossEncoder

FACETS = ("year", "journal", "mesh", "type", "language")
MOST_VALUES = 12
"""Values shown per facet."""
NO_TERMS = "the query has no searchable terms"
_MOST_SENTENCES = 64
"""Sentences of a document that are compared with the query; abstracts are shorter."""
NEIGHBOURS = 3
"""Documents of an index that one is compared with: a single one may be near by chance."""


def encoder_of(manifest: Manifest, *, device: str, reporter: Reporter = silent) -> Encoder:
    """The encoder of an index, by model, recipe and revision. Raises as `load_encoder` and
    `check_fit` do."""
    model, recipe = manifest.model, manifest.recipe
    revision = manifest.known_revision
    encoder = load_encoder(
        model, recipe, device=device, revision=revision, reporter=reporter, side="query"
    )
    check_fit(manifest, encoder)
    return encoder


def check_fit(manifest: Manifest, encoder: Encoder) -> None:
    """Raise IndexFault where vectors of this encoder are not comparable with those of the index."""
    revision = manifest.known_revision or encoder.revision
    pairs = {
        "model": (manifest.model, encoder.model_id),
        "revision": (revision, encoder.revision),
        "recipe": (manifest.recipe_hash, encoder.recipe_hash),
        "dimension": (manifest.dimension, encoder.dimension),
        "similarity": (manifest.similarity, encoder.similarity),
        "normalisation": (manifest.normalised, encoder.normalised),
    }
    for what, values in pairs.items():
        if values[0] != values[1]:
            texts = (str(value) for value in values)
            built, given = (f"{one[:16]}..." if len(one) > 60 else one for one in texts)
            raise IndexFault(
                f"index {manifest.name} was built with another {what} ({built}, not {given})",
                remedy=f"search with {manifest.model}, or build the index again",
            )


class SearchEngine:
    """One open index with its encoder; safe to use from several threads. encoder: None to load it
    on `device` when a query first needs it. Raises IndexFault, on construction and when the encoder
    is loaded: the index was built with another encoder."""

    def __init__(
        self, index: OpenIndex, encoder: Encoder | None = None, *, device: str = "auto"
    ) -> None:
        if encoder is not None:
            check_fit(index.manifest, encoder)
        self.index = index
        self.fault: BioRetrievalError | None = None
        """Why the model did not load when that was last tried."""
        self._encoder = encoder
        self._device = device
        self._loading = threading.Lock()

    @classmethod
    def open(
        cls, name: str, *, device: str = "auto", reporter: Reporter = silent, ready: bool = True
    ) -> Self:
        """Open the index `name`. ready: load its vectors, graphs and model now; otherwise a query
        that needs them does, and BM25 needs none. Raises NotFoundError: no such index; IndexFault:
        it is damaged; ModelError: its model is not here; UsageError: an impossible name or
        device."""
        engine = cls(open_index(name, vectors=ready), device=device)
        try:
            if ready:
                engine.load(reporter)
                engine.index.vectors.load_graphs()
        except BaseException:
            engine.close()
            raise
        return engine

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded."""
        return self._encoder is not None

    def load(self, reporter: Reporter = silent) -> Encoder:
        """The encoder of the index, loaded at the first call. Raises as `open` does."""
        with self._loading:
            if self._encoder is None:
                try:
                    _ = self.index.vectors  # without them there is no use for a model
                    manifest = self.index.manifest
                    self._encoder = encoder_of(manifest, device=self._device, reporter=reporter)
                except InterruptedByUser:
                    raise
                except BioRetrievalError as error:
                    self.fault = error
                    raise
                self.fault = None
            return self._encoder

    def search(
        self, query: Query, vector: Floats | None = None, *, facets: bool = True, without: str = ""
    ) -> SearchResult:
        """The hits of a query. vector: of the query, if it is known already; facets: whether values
        of fields are counted; without: a field whose conditions in the filter do not count. Raises
        UsageError where the query is impossible (see `Query.checked`), FilterError, IndexFault
        where the index is damaged, ModelError where its model does not load."""
        query = query.checked()
        kept = self._allowed(query.where, without)
        vector = self._vector(query, vector)
        labels, scores, found = self._ranked(query, vector, kept)
        empty = query.mode != "dense" and not weighted_terms(query.text)
        named = self._named(query.text, kept)
        if len(named):
            labels, scores, found = self._with_named(query, named, labels, scores, found)
        among = labels[: max(DEPTH, query.k)]
        order = np.arange(min(query.k, len(labels)))
        if query.order == "date":
            order = np.argsort(-self.index.fields.dates(labels[order]), kind="stable")
        counts = {
            one: self.index.fields.facets(
                self._wider(query, found.vector, one, among), one, MOST_VALUES
            )
            for one in (FACETS if facets else ())
        }
        return SearchResult(
            hits=self._hits(labels[order], scores[order], found, query.mode),
            fitting=None if kept is None else len(kept),
            facets=tuple(Facet(name, tuple(most)) for name, most in counts.items() if most),
            among=len(among),
            note=self._note(query.text, empty=empty, named=bool(len(named))),
            named=len(named),
        )

    def _note(self, text: str, *, empty: bool, named: bool) -> str | None:
        """What to say of a query that names no document of this index, or has no terms."""
        if named:
            return None
        if unknown := identifiers_of(text):
            kind = {"trial": "trial number"}.get(next(iter(unknown)), next(iter(unknown)).upper())
            return f"no document has this {kind}"
        return NO_TERMS if empty else None

    def _wider(self, query: Query, vector: Floats | None, field: str, among: Labels) -> Labels:
        """The top documents whose values of a field are counted: those found, or, where the filter
        has conditions on this field, those found without them, so that other values can be added.
        vector: of the query.
        """
        if not self.narrows(query.where, field):
            return among
        kept = self._allowed(query.where, field)
        return self._ranked(query, vector, kept)[0][: max(DEPTH, query.k)]

    def narrows(self, where: str, field: str) -> bool:
        """Whether a filter has conditions on a field that can be taken away."""
        if not where.strip():
            return False
        node = self.index.fields.parse(where)
        return without_field(node, field) is not node

    def _named(self, text: str, kept: Selection | None) -> Labels:
        """The documents that a query names, if it is a PMID, PMCID, DOI or number of a trial."""
        text = text.encode("utf-8", "ignore").decode().strip()
        names, fields = identifiers_of(text), self.index.fields
        found = list(self.index.documents.labels([*names.values(), text]).values())
        for field, value in names.items():
            if fields.schema.find(field) is not None:
                found += fields.first(fields.parse(str(Matches(field, "=", (value,)))), DEPTH)
        labels = np.array(list(dict.fromkeys(found))[:DEPTH], dtype=np.int64)
        return labels if kept is None else self.index.fields.among(labels, kept)

    def _with_named(
        self, query: Query, named: Labels, labels: Labels, scores: Floats, found: Candidates
    ) -> tuple[Labels, Floats, Candidates]:
        """A ranking with the documents that the query names before the others."""
        others = ~np.isin(labels, named)
        top = np.full(len(named), scores.max(initial=1.0), dtype=np.float32)
        found = hybrid.extended(self.index, found, named, found.vector, self._terms(query))
        return np.concatenate([named, labels[others]]), np.concatenate([top, scores[others]]), found

    def rank(self, query: Query, vector: Floats | None = None) -> list[tuple[str, float]]:
        """Ids and scores of the best `k`, best first, by relevance alone: a document that the query
        names has no precedence. Parameters and errors as of `search`."""
        query = query.checked()
        vector = self._vector(query, vector)
        labels, scores, _ = self._ranked(query, vector, self._allowed(query.where))
        ids = self.index.documents.ids(labels[: query.k].tolist())
        return list(zip(ids, scores[: query.k].tolist(), strict=True))

    def scores_of(
        self, query: Query, identifiers: Sequence[str], vector: Floats | None = None
    ) -> dict[str, float]:
        """The score of each document for the query, by id, however far down it ranks; unknown ids
        are left out. Parameters and errors as of `search`."""
        query, index = query.checked(), self.index
        known = index.documents.labels(identifiers)
        vector, terms = self._vector(query, vector), self._terms(query)
        wanted = np.array(sorted(set(known.values())), dtype=np.int64)
        if vector is None:
            scores = index.lexical.scores_of(terms, wanted)
        else:
            found = hybrid.gather(index, vector, terms, DEPTH)
            if len(found.lexical_list.labels):
                found = hybrid.extended(index, found, wanted, vector, terms)
                found, every = hybrid.hybrid_scores(index, found, vector, terms, None)
                scores = every[np.searchsorted(found.labels, wanted)]
            else:
                scores = index.vectors.similarities(vector, wanted)
        by_label = dict(zip(wanted.tolist(), scores.tolist(), strict=True))
        return {name: by_label[label] for name, label in known.items()}

    def similar(self, identifier: str, k: int = 10, where: str = "") -> SearchResult:
        """The documents most like the one of this id, without itself; hybrid. Raises NotFoundError
        where there is none of this id, otherwise as `search` does."""
        label, document = self.found(identifier)
        vector = self.index.vectors.beginnings(np.array([label], dtype=np.int64))[0]
        return self._like(document, vector, k, where, own=label)

    def like(self, document: Document, k: int = 10, where: str = "") -> SearchResult:
        """The documents most like one outside this index. Raises as `search` does."""
        vector = self.load().encode_documents([document])[0]
        return self._like(document, vector, k, where, own=-1)

    def explain(self, query: Query, identifiers: Sequence[str]) -> list[Explanation]:
        """Why documents were found, in the order of `identifiers`; unknown ids are left out. By
        BM25 alone where the model did not load. Raises as `search` does."""
        query, index = query.checked(), self.index
        if self.fault is not None:
            query = replace(query, mode="lexical")
        known = index.documents.labels(identifiers)
        labels = [known[one] for one in identifiers if one in known]
        vector, terms = self._vector(query), self._terms(query)
        found = hybrid.gather(index, vector, terms, DEPTH, self._allowed(query.where))
        dense_ranks, lexical_ranks = found.dense_list.ranks(), found.lexical_list.ranks()
        wanted = np.array(labels, dtype=np.int64)
        dense: dict[int, float] = {}
        lexical: dict[int, float] = {}
        if vector is not None:
            similarities = index.vectors.similarities(vector, wanted).tolist()
            dense = dict(zip(labels, similarities, strict=True))
        if lexical_ranks:
            scores = index.lexical.scores_of(query.text, wanted).tolist()
            lexical = dict(zip(labels, scores, strict=True))
        reasons = []
        for label, document in zip(labels, index.documents.get(labels), strict=True):
            sentence = None if vector is None else self._nearest_sentence(document, vector, label)
            reasons.append(
                Explanation(
                    id=document.id,
                    scores=Scores(dense.get(label), lexical.get(label)),
                    terms=tuple(index.lexical.explain(query.text, label)) if lexical_ranks else (),
                    dense_rank=dense_ranks.get(label),
                    lexical_rank=lexical_ranks.get(label),
                    passage=sentence and sentence[0],
                    nearness=sentence and sentence[1],
                )
            )
        return reasons

    def _passage(self, vector: Floats | None, label: int) -> tuple[int, int] | None:
        return None if vector is None else self.index.vectors.best_passage(vector, label)

    def _nearest_sentence(
        self, document: Document, vector: Floats, label: int
    ) -> tuple[tuple[int, int], float] | None:
        """(start, end) in the document's text of the sentence nearest to a query's vector, and its
        similarity; None where the text has fewer than two sentences. Of a document with passages,
        a sentence of the nearest passage."""
        first, last = self._passage(vector, label) or (0, len(document.text))
        spans = [
            (first + start, first + end)
            for start, end in sentence_spans(document.text[first:last])[:_MOST_SENTENCES]
        ]
        if len(spans) < 2:
            return None
        sentences = [Document("", "", document.text[start:end]) for start, end in spans]
        similarities = self.load().encode_documents(sentences) @ vector
        best = int(np.argmax(similarities))
        return spans[best], float(similarities[best])

    def found(self, identifier: str) -> tuple[int, Document]:
        """The label and the document of an id. Raises NotFoundError if there is none."""
        found = self.index.documents.find(identifier)
        if found is None:
            raise NotFoundError(
                f"index {self.index.manifest.name} has no document {identifier}",
                remedy="search shows the ids of hits",
            )
        return found

    def named(self, identifier: str) -> Document | None:
        """The document of an id, PMID, PMCID, DOI or number of a trial, None if there is none."""
        labels = self._named(identifier, None)[:1].tolist()
        return self.index.documents.get(labels)[0] if labels else None

    def close(self) -> None:
        self.index.close()

    def _ranked(
        self, query: Query, vector: Floats | None, allowed: Selection | None
    ) -> tuple[Labels, Floats, Candidates]:
        """Labels and scores, best first, at least `k` where there are so many."""
        terms = self._terms(query)
        found = hybrid.gather(self.index, vector, terms, max(DEPTH, query.k), allowed)
        if vector is None:
            return *found.lexical_list, found
        if not len(found.lexical_list.labels):
            return *found.dense_list, found
        return self._hybrid(found, vector, terms, allowed)

    def _hybrid(
        self, found: Candidates, vector: Floats, terms: Terms, allowed: Selection | None
    ) -> tuple[Labels, Floats, Candidates]:
        found, scores = hybrid.hybrid_scores(self.index, found, vector, terms, allowed)
        order = hybrid.by_score(found.labels, scores)
        return found.labels[order], scores[order], found

    def _like(
        self, document: Document, vector: Floats, k: int, where: str, own: int
    ) -> SearchResult:
        query = Query(text=f"{document.title} {document.text}", k=k, where=where).checked()
        vector = hybrid.query_like(self.index, vector)
        allowed, terms = self._allowed(where), self._terms(query)
        found = hybrid.gather(self.index, vector, terms, max(DEPTH, k + 1), allowed)
        labels, scores, found = self._hybrid(found, vector, terms, allowed)
        others = np.flatnonzero(labels != own)[:k]
        return SearchResult(
            hits=self._hits(labels[others], scores[others], found, query.mode),
            fitting=None if allowed is None else len(allowed),
        )

    def _vector(self, query: Query, known: Floats | None = None) -> Floats | None:
        """The query's vector, float32 (dimension,); None in mode lexical."""
        if query.mode == "lexical" or known is not None:
            return None if query.mode == "lexical" else known
        vector: Floats
        (vector,) = self.load().encode_queries([query.text], instruction=query.instruction)
        return vector

    def _terms(self, query: Query) -> Terms:
        return [] if query.mode == "dense" else weighted_terms(query.text)

    def _allowed(self, where: str, without: str = "") -> Selection | None:
        if not where.strip():
            return None
        node = self.index.fields.parse(where)
        wider = without_field(node, without)
        all_match = wider is not node and isinstance(wider, Everything)
        return None if all_match else self.index.fields.select(wider)

    def _hits(
        self, labels: Labels, scores: Floats, found: Candidates, mode: str
    ) -> tuple[Hit, ...]:
        documents = self.index.documents.get(labels.tolist())
        places = np.searchsorted(found.labels, labels)
        both = found.dense[places], found.lexical[places]
        rows = zip(labels.tolist(), documents, scores.tolist(), *both, strict=True)
        return tuple(
            document_hit(
                document,
                rank,
                score,
                self.index.manifest.ids,
                scores=Scores(
                    dense=None if mode == "lexical" else float(dense),
                    lexical=None if mode == "dense" else float(lexical),
                ),
                passage=self._passage(found.vector, label),
            )
            for rank, (label, document, score, dense, lexical) in enumerate(rows, start=1)
        )


def documents_named(
    identifiers: Iterable[str], names: Iterable[str]
) -> tuple[list[Hit], list[str]]:
    """The documents that identifiers name, in their order, each from the first of the indexes that
    has it, without scores; and the identifiers that none has. An index that cannot be opened is
    passed over."""
    wanted = list(dict.fromkeys(one.strip() for one in identifiers))
    found: dict[str, tuple[str, Document, str | None]] = {}
    for name in names:
        with contextlib.suppress(BioRetrievalError):
            engine = SearchEngine.open(name, ready=False)
            with contextlib.closing(engine):
                for one in (one for one in wanted if one not in found):
                    if (document := engine.named(one)) is not None:
                        found[one] = name, document, engine.index.manifest.ids
    hits = [
        document_hit(document, rank, ids=ids, index=name)
        for rank, (name, document, ids) in enumerate(
            (found[one] for one in wanted if one in found), start=1
        )
    ]
    return hits, [one for one in wanted if one not in found]


def reranked(
    query: str,
    hits: Sequence[Hit],
    encoder: CrossEncoder,
    *,
    most: int = RERANKED,
    reporter: Reporter = silent,
) -> tuple[Hit, ...]:
    """The hits, the first `most` of them sorted by the cross-encoder's scores for their text, or
    for the passage that was found, ties in their order;
    the others follow in their order, without a rerank score. Takes seconds, calls `reporter`, and
    raises, as `CrossEncoder.scores` does."""
    texts = [hit.text[slice(*hit.passage)] if hit.passage else hit.text for hit in hits[:most]]
    documents = [Document(hit.id, hit.title, text) for hit, text in zip(hits, texts, strict=False)]
    scores = encoder.scores(query, documents, reporter).tolist()
    read = sorted(zip(hits[:most], scores, strict=True), key=lambda pair: -pair[1])
    best = (
        replace(hit, rank=rank, score=score, scores=replace(hit.scores, rerank=score))
        for rank, (hit, score) in enumerate(read, start=1)
    )
    return (*best, *hits[most:])


def near_query(
    query: str, documents: Sequence[Document], *, reporter: Reporter = silent
) -> list[float]:
    """The cosine of each document to the query by the embedded model, in their order. Raises
    ModelError where that is missing or altered."""
    if not documents:
        return []
    encoder = load_encoder(embedded.MODEL_ID, embedded.RECIPE, reporter=reporter)
    vector = encoder.encode_queries([query])[0]
    scores: list[float] = (encoder.encode_documents(documents, reporter) @ vector).tolist()
    return scores


def near_index(
    name: str, documents: Sequence[Document], *, reporter: Reporter = silent
) -> list[float | None]:
    """The mean similarity of each document to its nearest `NEIGHBOURS` documents in an index, by
    the index's own model; None for one whose id the index holds. Raises as `SearchEngine.open`."""
    index = open_index(name)
    with contextlib.closing(index):
        held = index.documents.labels([one.id for one in documents])
        others = [one for one in documents if one.id not in held]
        if not others:
            return [None] * len(documents)
        encoder = encoder_of(index.manifest, device="auto", reporter=reporter)
        nearness = {}
        for one, vector in zip(others, encoder.encode_documents(others, reporter), strict=True):
            _, found = index.vectors.search(hybrid.query_like(index, vector), NEIGHBOURS, None)
            nearness[one.id] = float(np.mean(found)) if len(found) else 0.0
        return [nearness.get(one.id) for one in documents]
