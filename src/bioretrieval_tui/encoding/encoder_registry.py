"""Load an encoder from a model id and its recipe, once a process; a pair of models as one encoder.

Importing this module loads no model library; `load_encoder` does, at the moment of need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import (
    check_name,
    engine,
    pick,
    precision,
    prepare_environment,
    without_torch,
)
from bioretrieval_tui.encoding.encoder import BaseEncoder, Encoder, Vectors
from bioretrieval_tui.encoding.model_files import JOIN, ModelSource, source_of, split_revision
from bioretrieval_tui.encoding.recipe import (
    ModelPart,
    SideName,
    parts_of,
    recipe_hash,
    recipe_of_folder,
    refuse_unsupported,
)
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

ABSENT = "absent"
"""Stands in a revision for the documents' model where only the queries' is on this machine."""
_KEPT = 3
"""Models that stay loaded; a fourth one displaces the one used longest ago. A pair of models and
the embedded one fit."""
_loaded: dict[tuple[str | None, ...], BaseEncoder] = {}
_loading = threading.Lock()


def load_encoder(
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    device: str = "auto",
    revision: str | None = None,
    reporter: Reporter = silent,
) -> Encoder:
    """The encoder of `model`, its models loaded at most once a process; safe from any thread.

    On the CPU it is OpenVINO's, prepared at the first use of a model, or torch's where OpenVINO
    does not give the same vectors; on an accelerator it is torch's.

    model: the embedded model's id (the default), a folder, or a hub id whose files are in the
    local hub cache: nothing is downloaded. recipe: how it encodes; the embedded model has its
    own, and so has a folder of sentence-transformers. Where its two sides name two models, those
    are loaded, documents' first, and `model` names the pair. revision: refuse any other.

    Raises:
        ModelError: files missing or altered, the recipe asks for what is not supported yet, or
            the revision is another. UsageError: no such device name or engine.
    """
    return _encoder(model, recipe, device, revision, reporter, first="document")


def load_query_encoder(
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    device: str = "auto",
    revision: str | None = None,
    reporter: Reporter = silent,
) -> Encoder:
    """The encoder for searching an index of `model`, whatever device built it.

    A query is a dozen tokens: on the CPU its vector is there before torch is imported. So `auto`
    means the CPU here. Of a pair of models only the queries' need be on this machine. Parameters
    and errors are those of `load_encoder`.
    """
    where = "cpu" if device == "auto" else device
    return _encoder(model, recipe, where, revision, reporter, first="query")


def prepare_query_encoder(
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    revision: str | None = None,
    reporter: Reporter = silent,
) -> None:
    """See to it that `load_query_encoder` will find its encoder prepared; nothing if it is.

    What an index build calls at its end. Where OpenVINO cannot encode as sentence-transformers
    does, nothing is prepared and searches load torch. Raises as `load_encoder` does.
    """
    chosen = _checked(model, recipe)
    query, document = parts_of(model, chosen)
    if query != document and revision is not None:
        revision, _ = split_revision(query, revision)
    if engine() != "torch" and chosen.type != "static":
        from bioretrieval_tui.encoding.openvino_export import find_or_prepare

        find_or_prepare(source_of(query, revision), reporter)


def _encoder(
    model: str,
    recipe: Encoding | None,
    device: str,
    revision: str | None,
    reporter: Reporter,
    *,
    first: SideName,
) -> Encoder:
    check_name(device)
    chosen = _checked(model, recipe)
    query, document = parts_of(model, chosen)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    found: Encoder
    if query == document:
        found = _one(query, revision, device, reporter)
    else:
        of_query, of_document = split_revision(query, revision) if revision else (None, None)
        revisions = [source_of(query, of_query).files().revision]
        try:
            revisions.append(source_of(document, of_document).files().revision)
        except ModelError:
            # A search does without the documents' model; a pinned revision says which it was.
            if first == "document":
                raise
            revisions.append(of_document or ABSENT)
        found = TwoSidedEncoder(
            model,
            JOIN.join(revisions),
            chosen,
            query=lambda: _one(query, of_query, device, reporter),
            document=lambda: _one(document, of_document, device, reporter),
            first=first,
        )
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


def _one(part: ModelPart, revision: str | None, device: str, reporter: Reporter) -> BaseEncoder:
    """The encoder of one model, loaded unless it is."""
    where = without_torch(device) or device
    key = (
        part.model, part.adapter, revision, recipe_hash(part.recipe), where, engine(), precision()
    )  # fmt: skip
    with _loading:
        encoder = _loaded.pop(key, None) or _load(source_of(part, revision), device, reporter)
        _loaded[key] = encoder
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    return encoder


def _checked(model: str, recipe: Encoding | None) -> Encoding:
    """The recipe to follow. Raises ModelError where there is none, or it is not supported."""
    if recipe is None and model == embedded.MODEL_ID:
        recipe = embedded.RECIPE
    chosen = recipe or recipe_of_folder(Path(model).expanduser())
    if chosen is None:
        raise ModelError(
            f"how {model} encodes is not known",
            remedy="add its encoding to the catalogue, or use the embedded model",
        )
    refuse_unsupported(model, chosen)
    return chosen


def _load(source: ModelSource, device: str, reporter: Reporter) -> BaseEncoder:
    prepare_environment()
    if source.recipe.type == "static":
        from bioretrieval_tui.encoding.static_encoder import load_static_encoder

        return load_static_encoder(source.model, source.files(), source.recipe)
    where = without_torch(device) or pick(device)
    if where == "cpu" and engine() != "torch":
        from bioretrieval_tui.encoding.openvino_export import prepared_encoder

        prepared = prepared_encoder(source, reporter)
        if prepared is not None:
            return prepared
    from bioretrieval_tui.encoding.torch_encoder import load_torch_encoder

    return load_torch_encoder(source.model, source.files(), source.recipe, where)


class TwoSidedEncoder:
    """Two models as one encoder: one for queries, one for documents, each loaded when needed.

    `Encoder` says what its members mean. query, document: give the encoder of a side, and are
    called once at most; first: the side that is loaded now.

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
