"""Load the encoder of a model id and its recipe, once per process; two models as one encoder.

Importing this module loads no model library; `load_encoder` does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import BaseEncoder, Encoder, Vectors
from bioretrieval_tui.encoding.model_files import JOIN, files_of
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
"""The documents' part of a revision where only the queries' model is on this machine."""
_KEPT = 3
"""Models that stay loaded, the least recently used leaving first: a pair and the embedded one."""
_loaded: dict[tuple[str | None, ...], BaseEncoder] = {}
_loading = threading.Lock()


def load_encoder(
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    device: str = "auto",
    revision: str | None = None,
    reporter: Reporter = silent,
    side: SideName = "document",
) -> Encoder:
    """The encoder of `model`, its models loaded at most once a process; safe from any thread.

    On the CPU it uses OpenVINO, prepared at the first use of a model, or torch where OpenVINO does
    not give the same vectors; on an accelerator it uses torch.

    model: the embedded model's id (the default), a folder, or a hub id whose files are in the
    local hub cache: nothing is downloaded. recipe: how it encodes, None for the embedded model's
    own or that of a sentence-transformers folder. Where its two sides name two models, `model`
    names the pair. revision: refuse any other. side: what it is loaded for. For queries, on
    whatever device an index was built, `auto` means the CPU, which encodes a dozen tokens before
    torch is imported, and of two models only the queries' must be on this machine.

    Raises:
        ModelError: files are missing or altered, the recipe is not supported, or the revision is
            another. UsageError: no such device name or engine.
    """
    devices.check_name(device)
    if side == "query" and device == "auto":
        device = "cpu"
    chosen = _checked(model, recipe)
    query, document = parts_of(model, chosen)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    found: Encoder
    if query == document:
        found = _one(query, revision, device, reporter)
    else:
        of_query = of_document = None
        if revision is not None:
            pieces = revision.split(JOIN)
            count = 1 if query.adapter is None else 2
            of_query, of_document = JOIN.join(pieces[:count]), JOIN.join(pieces[count:])
        whole = files_of(query, of_query).revision
        try:
            whole += JOIN + files_of(document, of_document).revision
        except ModelError:
            if side == "document":
                raise
            whole += JOIN + (of_document or ABSENT)
        sides: dict[SideName, Callable[[], BaseEncoder]] = {
            "query": lambda: _one(query, of_query, device, reporter),
            "document": lambda: _one(document, of_document, device, reporter),
        }
        found = TwoSidedEncoder(model, whole, chosen, sides, side)
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


def prepare_query_encoder(
    model: str = embedded.MODEL_ID, recipe: Encoding | None = None, *, reporter: Reporter = silent
) -> None:
    """Prepare the encoder of queries on the CPU, unless it is; index builds end with this.

    Where OpenVINO gives other vectors than sentence-transformers, nothing is prepared and searches
    load torch. Raises as `load_encoder` does.
    """
    chosen = _checked(model, recipe)
    if devices.engine() != "torch" and chosen.type != "static":
        from bioretrieval_tui.encoding.openvino_encoder import find_or_prepare

        find_or_prepare(parts_of(model, chosen)[0], None, reporter)


def _checked(model: str, recipe: Encoding | None) -> Encoding:
    """The recipe to use. Raises ModelError where there is none, or it is not supported."""
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


def _one(part: ModelPart, revision: str | None, device: str, reporter: Reporter) -> BaseEncoder:
    """The encoder of one model, loaded if it is not yet."""
    where = "cpu" if part.recipe.type == "static" else devices.pick(device)
    settings = (where, devices.engine(), devices.precision())
    key = (part.model, part.adapter, revision, recipe_hash(part.recipe), *settings)
    with _loading:
        encoder = _loaded.pop(key, None) or _load(part, revision, where, reporter)
        _loaded[key] = encoder
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    return encoder


def _load(part: ModelPart, revision: str | None, device: str, reporter: Reporter) -> BaseEncoder:
    devices.prepare_environment()
    if part.recipe.type == "static":
        from bioretrieval_tui.encoding.static_encoder import StaticEncoder

        return StaticEncoder(part.model, files_of(part, revision), part.recipe)
    if device == "cpu" and devices.engine() != "torch":
        from bioretrieval_tui.encoding.openvino_encoder import prepared_encoder

        prepared = prepared_encoder(part, revision, reporter)
        if prepared is not None:
            return prepared
    from bioretrieval_tui.encoding.torch_encoder import load_torch_encoder

    return load_torch_encoder(part.model, files_of(part, revision), part.recipe, device)


class TwoSidedEncoder:
    """Two models as one encoder: one for queries, one for documents, each loaded when needed.

    See `Encoder` for the members. sides: load the encoder of a side, called at most once each;
    first: the side that is loaded now.

    Raises (on construction, and when the other side is first used):
        ModelError: a side cannot be loaded, or the two dimensions differ.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        sides: Mapping[SideName, Callable[[], BaseEncoder]],
        first: SideName,
    ) -> None:
        self.model_id = model_id
        self.revision = revision
        self.recipe = recipe
        self.recipe_hash = recipe_hash(recipe)
        self._sides = sides
        self._loaded: dict[SideName, BaseEncoder] = {}
        self._loading = threading.Lock()
        one = self.side(first)
        self.dimension, self.normalised = one.dimension, one.normalised
        self.similarity: Similarity = one.similarity
        self.device, self.dtype = one.device, one.dtype

    @property
    def tokens(self) -> int:
        """Tokens of documents encoded since loading, padding left out."""
        return self._loaded["document"].tokens if "document" in self._loaded else 0

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
            if name not in self._loaded:
                found = self._sides[name]()
                others = {one.dimension for one in self._loaded.values()} - {found.dimension}
                if others:
                    raise ModelError(
                        f"the models of {self.model_id} do not belong together: vectors of"
                        f" {found.dimension} and of {others.pop()} components",
                        remedy="correct the models in its encoding",
                    )
                self._loaded[name] = found
            return self._loaded[name]
