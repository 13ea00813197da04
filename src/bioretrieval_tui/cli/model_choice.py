"""Which model --model means (a catalogue id, a hub id or a folder), how it encodes, and asking
before it is downloaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.errors import ModelError, NotFoundError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding, Model
    from bioretrieval_tui.progress import Reporter


def chosen_model(model: str | None) -> tuple[str, Encoding | None] | None:
    """Hub id or folder, and recipe, of a model given by catalogue id, hub id or folder.

    None stands for the embedded model, whose recipe is its own.

    Raises:
        NotFoundError: there is no such model. ModelError: how it encodes is not known.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    if model is None or model == MODEL_ID:
        return None
    entry = _model_entry(model)
    if entry is None:
        return model, None
    if MODEL_ID in entry.hub:
        return None
    hub, recipe = _hub_and_recipe(entry)
    return hub, recipe


def whose_vectors(model: str) -> tuple[str, Encoding, int | None]:
    """Hub id, recipe and dimension of the model that made vectors."""
    entry = _model_entry(model)
    if entry is None:
        raise ModelError(
            f"how {model} encodes is not known",
            remedy="add it to the catalogue with its encoding",
        )
    hub, recipe = _hub_and_recipe(entry)
    return hub, recipe, entry.dimension


def fetch_missing(
    model: str, recipe: Encoding | None, reporter: Reporter, *, download: bool, ask: bool = True
) -> None:
    """Download what `model` needs and this machine lacks, if the user agrees.

    Each model is announced in one line first: files, size, licence, and whether it is gated.
    download: the user has agreed already; otherwise, if `ask`, a question is put on a terminal.
    Without an answer nothing is downloaded and the network is not used.

    Raises:
        ModelError: it cannot be downloaded, or the user declined.
    """
    from bioretrieval_tui.encoding.download import fetch_model, missing_models, plan_download

    missing = missing_models(model, recipe)
    asking = ask and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    if not missing or not (download or asking):
        return
    for name in missing:
        plan = plan_download(name)
        tell(plan.line())
        if not download and not click.confirm("Fetch it?", default=False, err=True):
            raise ModelError(f"{name} is not on this machine", remedy="say --download to fetch it")
        fetch_model(name, reporter=reporter, plan=plan)


def _model_entry(model: str) -> Model | None:
    """The catalogue's entry of a model named by id or hub id; None for a folder of the user's."""
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.cli.lookups import catalogue, entry_of_kind

    found = catalogue()
    entry = next((one for one in found.of_type(Model) if model in one.hub), None)
    if entry is not None:
        return entry
    if model not in found.by_id and Path(model).expanduser().is_dir():
        return None
    named = entry_of_kind(found, model, "models")
    if not isinstance(named, Model):
        raise NotFoundError(f"'{model}' is no model")
    return named


def _hub_and_recipe(entry: Model) -> tuple[str, Encoding]:
    sides = entry.encoding and (entry.encoding.document or entry.encoding.query)
    hub = (sides.model if sides else None) or next(iter(entry.hub), None)
    if entry.encoding is None or hub is None:
        raise ModelError(
            f"how '{entry.id}' encodes is not known", remedy="leave --model out, or add its recipe"
        )
    return hub, entry.encoding
