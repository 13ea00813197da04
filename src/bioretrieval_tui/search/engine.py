"""A query to hits over one open index, in this process.

Heavy: it loads the model of the index. An app that draws a screen uses `client.py` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from bioretrieval_tui.encoding.encoder import (
    Encoder,
    EncoderFactory,
    load_encoder,
    load_query_encoder,
)
from bioretrieval_tui.errors import IndexFault, UsageError
from bioretrieval_tui.index.manifest import ANY_REVISION, Manifest
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.index.vectors import Allowed
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.hits import Hit, Scores
from bioretrieval_tui.search.links import document_url, document_year

MODES = ("dense",)
MOST_HITS = 10_000
_MOST_CHARACTERS = 100_000
"""Of a query; far more than any model reads, and little enough to tokenise at once."""


class SearchEngine:
    """One open index with the encoder that fits it; usable from several threads.

    Raises (on construction):
        IndexFault: the encoder is not the one that the index was built with.
    """

    def __init__(self, index: OpenIndex, encoder: Encoder) -> None:
        check_fit(index.manifest, encoder)
        self.index = index
        self._encoder = encoder

    @classmethod
    def open(cls, name: str, *, device: str = "auto", reporter: Reporter = silent) -> Self:
        """Open the index `name` and load the model that it was built with.

        Raises:
            NotFoundError: no such index. IndexFault: it is damaged. ModelError: its model is
            not here. UsageError: an impossible name or device.
        """
        index = open_index(name)
        try:
            return cls(index, encoder_of(index.manifest, device=device, reporter=reporter))
        except BaseException:
            index.close()
            raise

    def search(
        self, query: str, k: int = 10, mode: str = "dense", allowed: Allowed | None = None
    ) -> list[Hit]:
        """The `k` best documents, best first; `allowed` are the labels that may be answered.

        Raises:
            UsageError: an empty query, an unknown mode or an impossible `k`. IndexFault: the
            index is damaged.
        """
        text = check_query(query, k, mode)
        vector = self._encoder.encode_queries([text])[0]
        labels, similarities = self.index.vectors.search(vector, k, allowed)
        documents = self.index.documents.get(labels.tolist())
        ids = self.index.manifest.ids
        return [
            Hit(
                rank=rank,
                id=document.id,
                title=document.title,
                text=document.text,
                year=document_year(document.metadata),
                url=document_url(document, ids),
                score=similarity,
                scores=Scores(dense=similarity),
            )
            for rank, (document, similarity) in enumerate(
                zip(documents, similarities.tolist(), strict=True), start=1
            )
        ]

    def close(self) -> None:
        """Let go of the index."""
        self.index.close()


def search_index(
    name: str,
    query: str,
    k: int = 10,
    mode: str = "dense",
    device: str = "auto",
    reporter: Reporter = silent,
) -> list[Hit]:
    """Open, search and close: what the command line does. Raises as `open` and `search` do."""
    check_query(query, k, mode)
    engine = SearchEngine.open(name, device=device, reporter=reporter)
    try:
        return engine.search(query, k, mode)
    finally:
        engine.close()


def encoder_of(manifest: Manifest, *, device: str, reporter: Reporter = silent) -> Encoder:
    """The encoder that an index was built with, by model, recipe and revision."""
    return load_query_encoder(
        manifest.model,
        manifest.recipe,
        device=device,
        revision=None if manifest.revision == ANY_REVISION else manifest.revision,
        reporter=reporter,
    )


def encoder_factory_of(
    device: str, reporter: Reporter = silent
) -> Callable[[Manifest], EncoderFactory]:
    """For extending an index: what loads the encoder of a manifest when a document needs it."""

    def of(manifest: Manifest) -> EncoderFactory:
        if manifest.revision == ANY_REVISION:
            raise IndexFault(
                f"index {manifest.name} has imported vectors, which no model here can add to",
                remedy="import all vectors anew",
            )
        return lambda: load_encoder(
            manifest.model,
            manifest.recipe,
            device=device,
            revision=manifest.revision,
            reporter=reporter,
        )

    return of


def check_fit(manifest: Manifest, encoder: Encoder) -> None:
    """Refuse an encoder whose vectors are not comparable with those of the index.

    Raises:
        IndexFault: model, revision, recipe, dimension or similarity differ.
    """
    revision = encoder.revision if manifest.revision == ANY_REVISION else manifest.revision
    pairs = {
        "model": (manifest.model, encoder.model_id),
        "revision": (revision, encoder.revision),
        "recipe": (manifest.recipe_hash, encoder.recipe_hash),
        "dimension": (manifest.dimension, encoder.dimension),
        "similarity": (manifest.similarity, encoder.similarity),
        "normalisation": (manifest.normalised, encoder.normalised),
    }
    for what, (built, given) in pairs.items():
        if built != given:
            raise IndexFault(
                f"index {manifest.name} was built with another {what}"
                f" ({_short(built)}, not {_short(given)})",
                remedy=f"search with {manifest.model}, or build the index again",
            )


def check_query(query: str, k: int, mode: str) -> str:
    """The query as it is encoded. Raises UsageError for what cannot be searched."""
    if mode not in MODES:
        raise UsageError(
            f"the mode {mode!r} is not available, this version searches dense only",
            remedy="leave the mode out, or use dense",
        )
    if not 1 <= k <= MOST_HITS:
        raise UsageError(f"{k} hits cannot be asked for", remedy=f"use 1 to {MOST_HITS:,}")
    if not any(character.isprintable() and not character.isspace() for character in query):
        raise UsageError("the query is empty", remedy="say what to look for")
    return query[:_MOST_CHARACTERS]


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:16]}..." if len(text) > 60 else text
