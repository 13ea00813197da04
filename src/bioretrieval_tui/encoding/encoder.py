"""What an encoder is, and how one is had: from a model id and its recipe, once a process.

Importing this module loads no model library; `load_encoder` does, at the moment of need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.base import BaseEncoder, Vectors
from bioretrieval_tui.encoding.cross_encoder import CrossEncoder, load_cross_encoder
from bioretrieval_tui.encoding.device import (
    check_name,
    engine,
    pick,
    precision,
    prepare_environment,
    without_torch,
)
from bioretrieval_tui.encoding.own_recipe import recipe_of_folder
from bioretrieval_tui.encoding.recipe import Part, SideName, parts_of, recipe_hash
from bioretrieval_tui.encoding.sources import JOIN, Source, source_of, split_revision
from bioretrieval_tui.encoding.support import refuse_unsupported
from bioretrieval_tui.encoding.two_sided import ABSENT, TwoSidedEncoder
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

__all__ = [
    "CrossEncoder",
    "Encoder",
    "EncoderFactory",
    "Vectors",
    "load_cross_encoder",
    "load_encoder",
    "load_query_encoder",
    "prepare_query_encoder",
]


class Encoder(Protocol):
    """Turns text into vectors. Everything that must fit between an index and a query is here."""

    @property
    def model_id(self) -> str:
        """Hub id, or the folder as the user named it."""

    @property
    def revision(self) -> str:
        """Commit of the hub, or `sha256:...` of a local folder's weights; of several models and
        adapters all of them, with a plus between."""

    @property
    def recipe(self) -> Encoding: ...

    @property
    def recipe_hash(self) -> str: ...

    @property
    def dimension(self) -> int:
        """Length of a vector; for l2 that includes what `distance` adds."""

    @property
    def similarity(self) -> Similarity: ...

    @property
    def normalised(self) -> bool:
        """Whether every vector has length 1."""

    @property
    def device(self) -> str:
        """As the user would name it: cpu, mps, cuda, cuda:0,cuda:1."""

    @property
    def dtype(self) -> str:
        """In which the model computes: bfloat16, float16 or float32; its vectors are float32."""

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        """float32 (n, dimension), in the order of `texts`.

        instruction: stands in for the recipe's own; recipes without {instruction} ignore it.
        """

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`.

        `progress` hears after each batch how many of these documents are done; what it raises
        stops the work there.
        """


EncoderFactory = Callable[[], Encoder]
"""Gives the encoder when it is needed: work that fails before costs no model."""


@dataclass(frozen=True, slots=True)
class _Key:
    model: str
    adapter: str | None
    revision: str | None
    recipe: str
    device: str
    engine: str
    precision: str


_KEPT = 3
"""Models that stay loaded; a fourth one displaces the one used longest ago. A pair of models and
the embedded one fit."""
_loaded: dict[_Key, BaseEncoder] = {}
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
        from bioretrieval_tui.encoding.preparing import ensure

        ensure(source_of(query, revision), reporter)


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
        found = _pair(model, chosen, query, document, revision, device, reporter, first)
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


def _pair(
    model: str,
    recipe: Encoding,
    query: Part,
    document: Part,
    revision: str | None,
    device: str,
    reporter: Reporter,
    first: SideName,
) -> Encoder:
    of_query, of_document = (None, None) if revision is None else split_revision(query, revision)
    found = [source_of(query, of_query).files().revision]
    try:
        found.append(source_of(document, of_document).files().revision)
    except ModelError:
        # A search does without the documents' model; a pinned revision says which it was.
        if first == "document":
            raise
        found.append(of_document or ABSENT)
    return TwoSidedEncoder(
        model,
        JOIN.join(found),
        recipe,
        query=lambda: _one(query, of_query, device, reporter),
        document=lambda: _one(document, of_document, device, reporter),
        first=first,
    )


def _one(part: Part, revision: str | None, device: str, reporter: Reporter) -> BaseEncoder:
    """The encoder of one model, loaded unless it is."""
    source = source_of(part, revision)
    where = without_torch(device)
    key = _Key(
        part.model,
        part.adapter,
        revision,
        recipe_hash(part.recipe),
        where or device,
        engine(),
        precision(),
    )
    with _loading:
        encoder = _loaded.pop(key, None) or _load(source, device, reporter)
        _loaded[key] = encoder
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    return encoder


def _checked(model: str, recipe: Encoding | None) -> Encoding:
    chosen = recipe if recipe is not None else _own_recipe(model)
    refuse_unsupported(model, chosen)
    return chosen


def _own_recipe(model: str) -> Encoding:
    if model == embedded.MODEL_ID:
        return embedded.RECIPE
    own = recipe_of_folder(Path(model).expanduser())
    if own is not None:
        return own
    raise ModelError(
        f"how {model} encodes is not known",
        remedy="add its encoding to the catalogue, or use the embedded model",
    )


def _load(source: Source, device: str, reporter: Reporter) -> BaseEncoder:
    prepare_environment()
    if source.recipe.type == "static":
        from bioretrieval_tui.encoding.static_encoder import load_static_encoder

        return load_static_encoder(source.model, source.files(), source.recipe)
    where = without_torch(device) or pick(device)
    if where == "cpu" and engine() != "torch":
        from bioretrieval_tui.encoding.preparing import openvino_encoder

        prepared = openvino_encoder(source, reporter)
        if prepared is not None:
            return prepared
    from bioretrieval_tui.encoding.torch_encoder import load_torch_encoder

    return load_torch_encoder(source.model, source.files(), source.recipe, where)
