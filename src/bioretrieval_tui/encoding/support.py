"""What the encoders here cannot do, refused by name before anything is loaded.

A vector that is nearly right ranks wrongly and nobody sees it, so nothing is approximated.
"""

from __future__ import annotations

import re

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.errors import ModelError

_LIBRARIES = ("transformers", "sentence-transformers", "tokenizers", "torch")
"""Packages whose version a recipe may ask for: they are what encodes here."""
_NOT_VECTORS = {
    "none": (
        "it predicts masked words, and must be fine-tuned before it retrieves",
        "use a model that was trained for it: bioretrieval-tui list models -w role=retriever",
    ),
    "lexical": (
        "it matches words and makes no vectors of the kind an index keeps",
        "every index answers by words already; use a model that makes dense vectors",
    ),
    "cross-encoder": (
        "it is a cross-encoder, which scores a query and a document together",
        "use it to rerank, and another model for the index",
    ),
}


def refuse_unsupported(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError that names all that `recipe` asks for and no encoder here can do."""
    if recipe.type in _NOT_VECTORS:
        reason, remedy = _NOT_VECTORS[recipe.type]
        raise ModelError(f"{model_id} cannot be used for search: {reason}", remedy=remedy)
    faults = _static_faults(recipe) if recipe.type == "static" else _faults(recipe)
    faults[f"it is a {recipe.type}"] = recipe.type not in ("static", "bi-encoder")
    found = [reason for reason, holds in faults.items() if holds]
    if found:
        raise ModelError(
            f"{model_id} cannot be used for search yet: {', '.join(found)}",
            remedy="use the embedded model",
        )


def refuse_reranking(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError where `recipe` is not that of a cross-encoder."""
    if recipe.type != "cross-encoder":
        raise ModelError(
            f"{model_id} cannot rerank: it is a {recipe.type}, not a cross-encoder",
            remedy="use a cross-encoder, such as ncbi/MedCPT-Cross-Encoder",
        )


def _faults(recipe: Encoding) -> dict[str, bool]:
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    adapted = any(side.adapter for side in sides)
    package = _package(recipe.requires)
    return {
        f"it needs {recipe.library}": recipe.library == "model2vec",
        f"it needs the package {package}": package is not None,
        "its recipe names no adapter": recipe.library == "adapters" and not adapted,
        # Of what is pooled by its last token the side of the padding is no matter, and nothing
        # else that is known pads on the left.
        f"it pads on the left and pools by {recipe.pooling}": (
            recipe.padding_side == "left" and recipe.pooling != "last"
        ),
        "its pooling is not known": (
            recipe.pooling is None and (recipe.library != "sentence-transformers" or adapted)
        ),
    }


def _static_faults(recipe: Encoding) -> dict[str, bool]:
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    return {
        "it encodes title and text as a pair": any(side.pair for side in sides),
        "it uses an adapter": any(side.adapter for side in sides),
        "it appends a token to every text": recipe.append is not None,
        f"it pools by {recipe.pooling}": recipe.pooling not in (None, "mean"),
    }


def _package(requires: str | None) -> str | None:
    """The package that a requirement names, unless it is one that is here."""
    name = re.split(r"[\s<>=!~\[;]", requires.strip(), maxsplit=1)[0] if requires else ""
    return name if name and name.casefold().replace("_", "-") not in _LIBRARIES else None
