"""How near documents from elsewhere are to a query, or to the documents of an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import load_encoder
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.encoders import check_fit, encoder_of
from bioretrieval_tui.search.space import query_like

NEIGHBOURS = 3
"""Documents of an index that one is compared with: a single one may be there by accident."""


def near_query(
    query: str, documents: Sequence[Document], *, device: str = "auto", reporter: Reporter = silent
) -> list[float]:
    """The cosine of each document and the query by the embedded model, in their order.

    Raises:
        ModelError: the model is not there or altered.
    """
    if not documents:
        return []
    encoder = load_encoder(embedded.MODEL_ID, embedded.RECIPE, device=device, reporter=reporter)
    asked = encoder.encode_queries([query])[0]
    scores: list[float] = (encoder.encode_documents(documents, reporter) @ asked).tolist()
    return scores


def near_index(
    name: str, documents: Sequence[Document], *, device: str = "auto", reporter: Reporter = silent
) -> list[float | None]:
    """The mean similarity of each document to the nearest `NEIGHBOURS` documents of an index, by
    the index's own model; None for one that the index holds under the same id.

    Raises:
        NotFoundError: no such index. IndexFault: it is damaged. ModelError: its model is not here.
    """
    index = open_index(name)
    try:
        held = index.documents.labels([one.id for one in documents])
        others = [one for one in documents if one.id not in held]
        if not others:
            return [None] * len(documents)
        encoder = encoder_of(index.manifest, device=device, reporter=reporter)
        check_fit(index.manifest, encoder)
        nearness = {}
        for one, vector in zip(others, encoder.encode_documents(others, reporter), strict=True):
            _, found = index.vectors.search(query_like(index, vector), NEIGHBOURS, None)
            nearness[one.id] = float(np.mean(found)) if len(found) else 0.0
        return [nearness.get(one.id) for one in documents]
    finally:
        index.close()
