"""Rerank the top hits by a cross-encoder, which reads each together with the query.

It takes seconds rather than milliseconds, so it runs on request only, reports progress and can be
cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import CrossEncoder
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.types import RERANKED, Hit


def reranked(
    query: str,
    hits: Sequence[Hit],
    encoder: CrossEncoder,
    *,
    most: int = RERANKED,
    reporter: Reporter = silent,
) -> tuple[Hit, ...]:
    """The hits, the first `most` of them sorted by the cross-encoder's scores, ties in their order;
    the others follow in their order, without a rerank score.

    `reporter` is called after each batch; what it raises stops the work.

    Raises:
        ModelError: the model gives values that are not numbers.
    """
    read, left = hits[:most], hits[most:]
    documents = [Document(hit.id, hit.title, hit.text) for hit in read]
    scores = encoder.scores(query, documents, reporter).tolist()
    order = np.argsort(-np.array(scores, dtype=np.float32), kind="stable").tolist()
    best = []
    for rank, place in enumerate(order, start=1):
        hit, score = read[place], scores[place]
        by_retriever = replace(hit.scores, rerank=score)
        best.append(replace(hit, rank=rank, score=score, scores=by_retriever))
    return (*best, *left)
