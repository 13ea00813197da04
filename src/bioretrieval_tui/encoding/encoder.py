"""What an encoder is, and how one is had: from a model id and its recipe, once a process.

Importing this module loads no model library; `load_encoder` does, at the moment of need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.entries import Encoding, Similarity
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import check_name, prepare_environment
from bioretrieval_tui.encoding.hub import model_folder, weights_revision
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.encoding.support import refuse_unsupported
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Turns text into vectors. Everything that must fit between an index and a query is here."""

    @property
    def model_id(self) -> str:
        """Hub id, or the folder as the user named it."""

    @property
    def revision(self) -> str:
        """Commit of the hub, or `sha256:...` of a local folder's weights."""

    @property
    def recipe(self) -> Encoding: ...

    @property
    def recipe_hash(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def similarity(self) -> Similarity: ...

    @property
    def normalised(self) -> bool:
        """Whether every vector has length 1."""

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str:
        """In which the model computes; the vectors it gives are float32."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32 (n, dimension), in the order of `texts`."""

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
    revision: str | None
    recipe: str
    device: str


_KEPT = 2
"""Models that stay loaded; a third one displaces the one used longest ago."""
_loaded: dict[_Key, Encoder] = {}
_loading = threading.Lock()


def load_encoder(
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    device: str = "auto",
    revision: str | None = None,
    reporter: Reporter = silent,
) -> Encoder:
    """The encoder of `model`, loaded at most once a process; safe to call from any thread.

    model: the embedded model's id (the default), a folder, or a hub id whose files are in the
    local hub cache: nothing is downloaded. recipe: how it encodes; the embedded model has its
    own. revision: refuse any other.

    Raises:
        ModelError: files missing or altered, the recipe asks for what is not supported yet, or
            the revision is another. UsageError: no such device name.
    """
    check_name(device)
    chosen = recipe if recipe is not None else _own_recipe(model)
    refuse_unsupported(model, chosen)
    key = _Key(model, revision, recipe_hash(chosen), device)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    with _loading:
        encoder = _loaded.pop(key, None) or _load(model, chosen, device, revision)
        _loaded[key] = encoder
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return encoder


def _own_recipe(model: str) -> Encoding:
    if model == embedded.MODEL_ID:
        return embedded.RECIPE
    raise ModelError(
        f"how {model} encodes is not known",
        remedy="add its encoding to the catalogue, or use the embedded model",
    )


def _load(model: str, recipe: Encoding, device: str, revision: str | None) -> Encoder:
    prepare_environment()
    if model == embedded.MODEL_ID:
        folder, found = embedded.verify().folder, embedded.REVISION
    else:
        folder = model_folder(model, revision)
        found = weights_revision(model, folder)
    if revision is not None and revision != found:
        raise ModelError(
            f"{model} is here in revision {found[:19]}, not {revision[:19]}",
            remedy="build the index again with the model that is here",
        )
    return _compose(model, found, folder, recipe, device)


def _compose(model: str, revision: str, folder: Path, recipe: Encoding, device: str) -> Encoder:
    from bioretrieval_tui.encoding.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(model, revision, folder, recipe, device=device)
