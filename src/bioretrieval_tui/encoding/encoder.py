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
from bioretrieval_tui.encoding.device import (
    check_name,
    engine,
    pick,
    prepare_environment,
    without_torch,
)
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
    def device(self) -> str:
        """As the user would name it: cpu, mps, cuda, cuda:0,cuda:1."""

    @property
    def dtype(self) -> str:
        """In which the model computes: bfloat16, float16 or float32; its vectors are float32."""

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32 (n, dimension), in the order of `texts`."""

    def encode_documents(
        self, documents: Sequence[Document], progress: Reporter = silent
    ) -> Vectors:
        """float32 (n, dimension), in the order of `documents`.

        `progress` hears after each batch how many of these documents are done; what it raises
        stops the work there.
        """


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it is asked for.

    revision: which one, None where only the files can tell; files: finds and checks them, and
    returns their folder and revision.
    """

    model: str
    recipe: Encoding
    revision: str | None
    files: Callable[[], tuple[Path, str]]


EncoderFactory = Callable[[], Encoder]
"""Gives the encoder when it is needed: work that fails before costs no model."""


@dataclass(frozen=True, slots=True)
class _Key:
    model: str
    revision: str | None
    recipe: str
    device: str
    engine: str


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

    On the CPU it is OpenVINO's, prepared at the first use of a model, or torch's where OpenVINO
    does not give the same vectors; on an accelerator it is torch's.

    model: the embedded model's id (the default), a folder, or a hub id whose files are in the
    local hub cache: nothing is downloaded. recipe: how it encodes; the embedded model has its
    own. revision: refuse any other.

    Raises:
        ModelError: files missing or altered, the recipe asks for what is not supported yet, or
            the revision is another. UsageError: no such device name or engine.
    """
    check_name(device)
    source = _source(model, recipe, revision)
    where = without_torch(device)
    key = _Key(model, revision, recipe_hash(source.recipe), where or device, engine())
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    with _loading:
        encoder = _loaded.pop(key, None) or _load(source, device, reporter)
        _loaded[key] = encoder
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return encoder


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
    means the CPU here. Parameters and errors are those of `load_encoder`.
    """
    return load_encoder(
        model,
        recipe,
        device="cpu" if device == "auto" else device,
        revision=revision,
        reporter=reporter,
    )


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
    source = _source(model, recipe, revision)
    if engine() != "torch":
        from bioretrieval_tui.encoding.preparing import ensure

        ensure(source, reporter)


def _source(model: str, recipe: Encoding | None, revision: str | None) -> Source:
    chosen = recipe if recipe is not None else _own_recipe(model)
    refuse_unsupported(model, chosen)

    def files() -> tuple[Path, str]:
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
        return folder, found

    known = embedded.REVISION if model == embedded.MODEL_ID and revision is None else revision
    return Source(model, chosen, known, files)


def _own_recipe(model: str) -> Encoding:
    if model == embedded.MODEL_ID:
        return embedded.RECIPE
    raise ModelError(
        f"how {model} encodes is not known",
        remedy="add its encoding to the catalogue, or use the embedded model",
    )


def _load(source: Source, device: str, reporter: Reporter) -> Encoder:
    prepare_environment()
    where = without_torch(device) or pick(device)
    if where == "cpu" and engine() != "torch":
        from bioretrieval_tui.encoding.preparing import openvino_encoder

        prepared = openvino_encoder(source, reporter)
        if prepared is not None:
            return prepared
    from bioretrieval_tui.encoding.torch_encoder import load_torch_encoder

    folder, revision = source.files()
    return load_torch_encoder(source.model, revision, folder, source.recipe, where)
