"""Load the encoder of a model id and its recipe, each model once per process.

Importing this module loads no model library; `load_encoder` does.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder, Engine
from bioretrieval_tui.encoding.model_files import JOIN, files_of
from bioretrieval_tui.encoding.ray_cluster import is_ray
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

if TYPE_CHECKING:
    from bioretrieval_tui.encoding.worker_engine import WorkerPool

ABSENT = "absent"
"""The documents' part of a revision where only the queries' model is on this machine."""
_MARKS = ("config.json", "modules.json")
"""Files of which every folder with a model has one."""
_KEPT = 3
"""Models that stay loaded, the least recently used leaving first: a pair and the embedded one."""
_loaded: dict[tuple[str | None, ...], Engine] = {}
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

    Raises ModelError: files are missing or altered, the recipe is not supported, or the revision is
    another; UsageError: no such device name or engine.
    """
    if not is_ray(device):
        devices.check_name(device)
    if side == "query" and (device == "auto" or is_ray(device)):
        device = "cpu"
    if side == "query":
        device = device.partition(",")[0]
    chosen = recipe_of(model, recipe)
    query, document = parts_of(model, chosen)
    reporter(Progress("loading model", 0, None, unit="models", note=model))
    if query == document:
        engine = engine_of(query, revision, device, reporter)
        found = Encoder(model, engine.revision, chosen, lambda _: engine)
    else:
        of_query = of_document = None
        if revision is not None:
            pieces = revision.split(JOIN)
            count = 1 if query.adapter is None else 2
            of_query, of_document = JOIN.join(pieces[:count]), JOIN.join(pieces[count:])
        try:
            of_texts = files_of(document, of_document).revision
        except ModelError:
            if side == "document":
                raise
            of_texts = of_document or ABSENT
        whole = f"{files_of(query, of_query).revision}{JOIN}{of_texts}"

        def load(name: SideName) -> Engine:
            part = (query, of_query) if name == "query" else (document, of_document)
            return engine_of(*part, device, reporter)

        found = Encoder(model, whole, chosen, load, side)
    reporter(Progress("loading model", 1, 1, unit="models", note=model))
    return found


def prepare_query_encoder(
    model: str = embedded.MODEL_ID, recipe: Encoding | None = None, *, reporter: Reporter = silent
) -> None:
    """Prepare the encoder of queries on the CPU, unless it is; index builds end with this. Raises
    as `load_encoder` does."""
    chosen = recipe_of(model, recipe)
    if devices.engine() != "torch" and chosen.type != "static":
        from bioretrieval_tui.encoding.openvino_encoder import find_or_prepare

        find_or_prepare(parts_of(model, chosen)[0], None, reporter)


def recipe_of(model: str, recipe: Encoding | None) -> Encoding:
    """The recipe to use. Raises ModelError where there is none, or it is not supported."""
    if recipe is None and model == embedded.MODEL_ID:
        recipe = embedded.RECIPE
    folder = Path(model).expanduser()
    chosen = recipe or recipe_of_folder(folder)
    if chosen is None and folder.is_dir() and not any((folder / one).exists() for one in _MARKS):
        raise ModelError(
            f"the folder {model} holds no model: it has no config.json",
            remedy="name a folder that sentence-transformers saved, or a model by its id",
        )
    if chosen is None:
        raise ModelError(
            f"how {model} encodes is not known",
            remedy="add its encoding to the catalogue, or use the embedded model",
        )
    refuse_unsupported(model, chosen)
    return chosen


def engine_of(part: ModelPart, revision: str | None, device: str, reporter: Reporter) -> Engine:
    """The engine of one model, from those that are loaded if it is among them; otherwise as
    `load_encoder`. That of a cluster or of several cards is the caller's, to be closed."""
    if is_ray(device):
        from bioretrieval_tui.encoding.ray_cluster import RayCluster

        note = f"{part.model}: connecting to the Ray cluster"
        reporter(Progress("loading model", 0, None, unit="models", note=note))
        return _on_workers(part, revision, RayCluster(device), reporter)
    where = "cpu" if part.recipe.type == "static" else devices.pick(device)
    if "," in where:
        from bioretrieval_tui.encoding.card_processes import CardProcesses

        return _on_workers(part, revision, CardProcesses(where.split(",")), reporter)
    settings = (where, devices.engine(), devices.precision())
    key = (part.model, part.adapter, revision, recipe_hash(part.recipe), *settings)
    with _loading:
        engine = _loaded.pop(key, None) or _load(part, revision, where, reporter)
        _loaded[key] = engine
        while len(_loaded) > _KEPT:
            del _loaded[next(iter(_loaded))]
    return engine


def _on_workers(
    part: ModelPart, revision: str | None, pool: WorkerPool, reporter: Reporter
) -> Engine:
    from bioretrieval_tui.encoding.worker_engine import WorkerEngine

    try:
        wanted = revision or files_of(part).revision
    except BaseException:
        pool.close()
        raise
    return WorkerEngine(part, wanted, pool, reporter)


def _load(part: ModelPart, revision: str | None, device: str, reporter: Reporter) -> Engine:
    devices.prepare_environment()
    if part.recipe.type == "static":
        from bioretrieval_tui.encoding.static_encoder import StaticEngine

        return StaticEngine(part.model, files_of(part, revision), part.recipe)
    if device == "cpu" and devices.engine() != "torch":
        from bioretrieval_tui.encoding import openvino_encoder

        found = openvino_encoder.find_or_prepare(part, revision, reporter)
        try:
            if found is not None:
                return openvino_encoder.OpenVinoEngine(found)
        except ModelError as error:
            openvino_encoder.report_torch(reporter, part.model, error.line())
    from bioretrieval_tui.encoding.torch_encoder import load_torch_engine

    return load_torch_engine(part.model, files_of(part, revision), part.recipe, device)
