"""What verbs look up: the catalogue, kinds, entries, models with their files, and services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bioretrieval_tui import api
from bioretrieval_tui.api import hub_and_recipe, model_recipe
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Model
from bioretrieval_tui.cli.options import KINDS, RERANKER
from bioretrieval_tui.cli.streams import asked, can_confirm, tell
from bioretrieval_tui.errors import BioRetrievalError, CatalogueError, ModelError, UsageError
from bioretrieval_tui.util.formatting import did_you_mean, install_command

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.progress import Reporter

_ALSO = {
    "paper": "papers", "model": "models", "dataset": "datasets", "benchmark": "benchmarks",
    "recipe": "recipes", "milestone": "timeline", "milestones": "timeline",
    "evolution": "timeline", "step": "path", "steps": "path",
}  # fmt: skip


def http_client() -> HttpClient:
    """Open the HTTP client, whose long waits are told. Raises OfflineError where the network is
    not allowed."""
    from bioretrieval_tui.online.http import HttpClient

    client = HttpClient()
    client.remark = tell
    return client


@contextlib.contextmanager
def needs_extra(extra: str, packages: str) -> Iterator[None]:
    """Import what an optional part of the program needs. Raises BioRetrievalError: it is not
    installed."""
    try:
        yield
    except ImportError as error:
        remedy = f"run: {install_command(extra)}"
        raise BioRetrievalError(f"{extra} needs {packages}", remedy=remedy) from error


def catalogue() -> Catalogue:
    """Load the catalogue; overlays that were left out are told, a line each."""
    return api.catalogue(remark=tell)


def with_board(found: Catalogue, benchmarks: Iterable[str] | None = None) -> Catalogue:
    """The catalogue with the public board, or its scores of some benchmarks; a board that cannot
    be read is told in one line, and the curated catalogue returned."""
    from bioretrieval_tui.catalog.listing import load_listing

    try:
        return load_listing(found, benchmarks)
    except CatalogueError as error:
        tell(error.line())
        return found


def kind_section(word: str) -> str:
    """Return the section that KIND names, in the plural or the singular. Raises UsageError."""
    wanted = word.strip().casefold()
    if wanted in KINDS or wanted in _ALSO:
        return _ALSO.get(wanted, wanted)
    kinds = f"kinds: {', '.join(KINDS)}; to filter: list -w WORDS"
    near = did_you_mean(wanted, [*KINDS, *_ALSO], "", cutoff=0.5)
    remedy = f"{near} {kinds}".strip()
    raise UsageError(f"there is no kind '{word}'", remedy=remedy)


# Models ---------------------------------------------------------------------------------------


def chosen_model(model: str) -> tuple[str, Encoding | None]:
    """As `api.model_recipe`; overlays that were left out are told."""
    return model_recipe(model, catalogue)


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

    Raises NotFoundError or, where its recipe or its files are not known, ModelError.
    """
    found = catalogue()
    entry = found.model_of_hub(model) or found.entry_of(model, Model)
    return *hub_and_recipe(entry), entry.dimension


def fetch_missing(
    model: str, recipe: Encoding | None, reporter: Reporter, *, download: bool
) -> None:
    """Download what `model` needs and this machine lacks, if the user agrees.

    Each model is announced in one line first. download: the user has agreed already; otherwise a
    question is put on a terminal. Without an answer the network is not used.

    Raises ModelError where it cannot be downloaded, or the user declined.
    """
    from bioretrieval_tui.encoding.model_files import fetch_model, missing_models, plan_download

    if not (download or can_confirm()):
        return
    for name in missing_models(model, recipe):
        plan = plan_download(name)
        tell(plan.line())
        if not download and not asked("Fetch it?"):
            raise ModelError(f"{name} is not on this machine", remedy="add --download to fetch it")
        fetch_model(plan, reporter)
