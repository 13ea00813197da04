"""A cross-encoder reads the best hits again, each together with the query, and orders them anew.

What it costs is seconds rather than milliseconds, so it is asked for, tells how far it is, and can
be stopped; the order of before is what one has meanwhile.
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
    """The hits with the first `most` of them in the order of the cross-encoder's scores, ties as
    they stood; the others stay behind them, in their order and without a rerank score.

    `reporter` hears after each batch, and what it raises stops the work.

    Raises:
        ModelError: the model gives values that are no numbers.
    """
    read, left = hits[:most], hits[most:]
    documents = [Document(hit.id, hit.title, hit.text) for hit in read]
    scores = encoder.scores(query, documents, reporter).tolist()
    order = np.argsort(-np.array(scores, dtype=np.float32), kind="stable").tolist()
    best = [
        replace(
            read[place],
            rank=rank,
            score=scores[place],
            scores=replace(read[place].scores, rerank=scores[place]),
        )
        for rank, place in enumerate(order, start=1)
    ]
    return (*best, *left)
