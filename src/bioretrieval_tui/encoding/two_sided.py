"""An encoder of two models: one for queries, one for documents, each loaded when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.base import BaseEncoder, Vectors
from bioretrieval_tui.encoding.recipe import SideName, recipe_hash
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Reporter, silent

ABSENT = "absent"
"""Stands in a revision for the documents' model where only the queries' is on this machine."""


class TwoSidedEncoder:
    """Two encoders as one; `encoder.Encoder` says what its members mean.

    query, document: give the encoder of a side, and are called once at most; first: the side that
    is loaded now, the other one follows when it is asked for something.

    Raises (on construction, and when the other side is first used):
        ModelError: a side cannot be loaded, or the two make vectors of unlike lengths.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        *,
        query: Callable[[], BaseEncoder],
        document: Callable[[], BaseEncoder],
        first: SideName,
    ) -> None:
        self.model_id = model_id
        self.revision = revision
        self.recipe = recipe
        self.recipe_hash = recipe_hash(recipe)
        self._load: dict[SideName, Callable[[], BaseEncoder]] = {
            "query": query,
            "document": document,
        }
        self._loaded: dict[SideName, BaseEncoder] = {}
        self._loading = threading.Lock()
        shown = self.side(first)
        self.dimension = shown.dimension
        self.similarity: Similarity = shown.similarity
        self.normalised = shown.normalised
        self.device = shown.device
        self.dtype = shown.dtype

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""
        document = self._loaded.get("document")
        return 0 if document is None else document.tokens

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """See `Encoder.encode_queries`."""
        return self.side("query").encode_queries(texts, instruction=instruction)

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """See `Encoder.encode_documents`."""
        return self.side("document").encode_documents(documents, progress)

    def side(self, name: SideName) -> BaseEncoder:
        """The encoder of one side, loaded now if it is not yet."""
        with self._loading:
            found = self._loaded.get(name)
            if found is None:
                found = self._load[name]()
                others = {one.dimension for one in self._loaded.values()} - {found.dimension}
                if others:
                    raise ModelError(
                        f"the models of {self.model_id} do not belong together: vectors of"
                        f" {found.dimension} and of {others.pop()} components",
                        remedy="correct the models in its encoding",
                    )
                self._loaded[name] = found
            return found
