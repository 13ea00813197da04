"""Why a document was found: its terms, its rank by each retriever, its nearest sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.index.registry import OpenIndex
from bioretrieval_tui.search.candidates import Candidates, Floats
from bioretrieval_tui.search.types import Explanation, Scores

MOST_SENTENCES = 64
"""Sentences of a document that are compared with the query; abstracts are shorter."""


def explanations(
    index: OpenIndex,
    query: str,
    vector: Floats | None,
    found: Candidates,
    labels: Sequence[int],
    encoder: Encoder | None,
) -> list[Explanation]:
    """Why each of `labels` was found.

    vector: of the query, float32 (dimension,), None for BM25 alone; found: the candidates, for the
    ranks; encoder: of the index, to compare sentences, or None.

    Raises:
        IndexFault: the index is damaged.
    """
    wanted = np.array(labels, dtype=np.int64)
    dense_list, lexical_list = found.dense_list.ranks(), found.lexical_list.ranks()
    by_bm25 = bool(len(found.lexical_list.labels))
    lexical = index.lexical.scores_of(query, wanted).tolist() if by_bm25 else None
    dense = index.vectors.similarities(vector, wanted).tolist() if vector is not None else None
    reasons = []
    for at, (label, document) in enumerate(zip(labels, index.documents.get(labels), strict=True)):
        passage, nearness = None, None
        if vector is not None and encoder is not None:
            passage, nearness = nearest_sentence(document, vector, encoder)
        reasons.append(
            Explanation(
                id=document.id,
                scores=Scores(dense and dense[at], lexical and lexical[at]),
                terms=tuple(index.lexical.explain(query, label)) if by_bm25 else (),
                dense_rank=dense_list.get(label),
                lexical_rank=lexical_list.get(label),
                passage=passage,
                nearness=nearness,
            )
        )
    return reasons


def nearest_sentence(
    document: Document, vector: Floats, encoder: Encoder
) -> tuple[tuple[int, int], float] | tuple[None, None]:
    """(start, end) in the document's text of the sentence nearest to a query's vector, float32
    (dimension,), with its similarity; None twice where the text has fewer than two sentences."""
    spans = sentence_spans(document.text)[:MOST_SENTENCES]
    if len(spans) < 2:
        return None, None
    sentences = [Document("", "", document.text[start:end]) for start, end in spans]
    similarities = encoder.encode_documents(sentences) @ vector
    best = int(np.argmax(similarities))
    return spans[best], float(similarities[best])
