"""Which cross-encoder reads the best hits again: one of the catalogue whose files are here."""

from __future__ import annotations

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Model
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.search.protocol import Reranker

FIRST = "medcpt-cross-encoder"


def rerankers(catalogue: Catalogue) -> list[tuple[Model, Reranker]]:
    """Every cross-encoder whose recipe is known, and what the search process is told of it."""
    found = []
    for entry in sorted(catalogue.of_type(Model), key=lambda one: one.id != FIRST):
        recipe = entry.encoding
        if entry.role != "reranker" or recipe is None or recipe.type != "cross-encoder":
            continue
        side = recipe.document or recipe.query
        hub = (side.model if side else None) or next(iter(entry.hub), None)
        if hub is not None:
            found.append((entry, Reranker(hub, recipe)))
    return found


def reranker_here(catalogue: Catalogue) -> tuple[str, Reranker]:
    """The first of them whose files are on this machine. Looks at the disk: call it in a thread.

    Raises:
        ModelError: there is none; says how to get the first one.
    """
    from bioretrieval_tui.encoding.fetching import missing_models

    known = rerankers(catalogue)
    for entry, reranker in known:
        if not missing_models(reranker.model, reranker.recipe):
            return entry.name, reranker
    if not known:
        raise ModelError("the catalogue has no reranker whose recipe is known")
    first = known[0][0]
    raise ModelError(
        f"{first.name} is not on this machine",
        remedy=f"get it: bioretrieval-tui doctor --model {first.id} --download",
    )
