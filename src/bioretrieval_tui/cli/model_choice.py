"""Resolve --model (a catalogue id, a hub id or a folder), and confirm before a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.lookups import catalogue, entry_of_type
from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.cli.options import RERANKER, can_confirm
from bioretrieval_tui.errors import ModelError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.catalog.models import Encoding, Model
    from bioretrieval_tui.progress import Reporter


def chosen_model(model: str) -> tuple[str, Encoding | None]:
    """Hub id or folder, and recipe, of a model given by catalogue id, hub id or folder.

    The recipe is None for a folder and for the embedded model, which has its own.

    Raises:
        NotFoundError: there is no such model. ModelError: its recipe is not known.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    if model == MODEL_ID:
        return MODEL_ID, None
    found = catalogue()
    known = model in found.by_id or _by_hub_id(found, model)
    if not known and Path(model).expanduser().is_dir():
        return model, None
    entry = _entry(found, model)
    return (MODEL_ID, None) if MODEL_ID in entry.hub else _hub_and_recipe(entry)


def chosen_reranker(name: str, *, lenient: bool = False) -> tuple[str, Encoding | None]:
    """Hub id or folder, and recipe, of a cross-encoder.

    Raises UsageError for another model; lenient: only for the embedded one, since loading checks.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    model, recipe = chosen_model(name)
    other = not lenient and recipe is not None and recipe.type != "cross-encoder"
    if model == MODEL_ID or other:
        raise UsageError(f"{name} is not a cross-encoder", remedy=f"use {RERANKER}")
    return model, recipe


def model_of_catalogue(model: str) -> tuple[str, Encoding, int | None]:
    """Hub id, recipe and dimension of a catalogue model given by its id or hub id.

    Raises:
        NotFoundError: there is no such model. ModelError: its recipe or its files are not known.
    """
    found = catalogue()
    entry = _entry(found, model)
    return *_hub_and_recipe(entry), entry.dimension


def fetch_missing(
    model: str, recipe: Encoding | None, reporter: Reporter, *, download: bool
) -> None:
    """Download what `model` needs and this machine lacks, if the user agrees.

    Each model is announced in one line first: files, size, licence, and whether it is gated.
    download: the user has agreed already; otherwise a question is put on a terminal. Without an
    answer nothing is downloaded and the network is not used.

    Raises:
        ModelError: it cannot be downloaded, or the user declined.
    """
    from bioretrieval_tui.encoding.model_files import fetch_model, missing_models, plan_download

    if not (download or can_confirm()):
        return
    for name in missing_models(model, recipe):
        plan = plan_download(name)
        tell(plan.line())
        if not download and not click.confirm("Fetch it?", default=False, err=True):
            raise ModelError(f"{name} is not on this machine", remedy="add --download to fetch it")
        fetch_model(plan, reporter)


def _by_hub_id(found: Catalogue, model: str) -> Model | None:
    from bioretrieval_tui.catalog.models import Model

    return next((one for one in found.of_type(Model) if model in one.hub), None)


def _entry(found: Catalogue, model: str) -> Model:
    from bioretrieval_tui.catalog.models import Model

    return _by_hub_id(found, model) or entry_of_type(found, model, Model)


def _hub_and_recipe(entry: Model) -> tuple[str, Encoding]:
    recipe = entry.encoding
    side = recipe and (recipe.document or recipe.query)
    hub = (side.model if side else None) or next(iter(entry.hub), None)
    if recipe is None or hub is None:
        lacks = f"how '{entry.id}' encodes" if recipe is None else f"the location of '{entry.id}'"
        raise ModelError(
            f"{lacks} is not known", remedy="add its encoding, with `model`, in an overlay"
        )
    return hub, recipe
