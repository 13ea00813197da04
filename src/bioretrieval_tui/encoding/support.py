"""What the encoders here cannot do yet, refused by name before anything is loaded.

A vector that is nearly right ranks wrongly and nobody sees it, so nothing is approximated.
"""

from __future__ import annotations

from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.errors import ModelError


def refuse_unsupported(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError that names all that `recipe` asks for and no encoder here can do."""
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    models = {side.model for side in sides if side.model}
    faults = {
        f"it is a {recipe.type}": recipe.type != "bi-encoder",
        f"it needs {recipe.library}": recipe.library in ("adapters", "model2vec"),
        "its query and document models differ": len(models) > 1,
        "it encodes title and text as a pair": any(side.pair for side in sides),
        "it uses an adapter": any(side.adapter for side in sides),
        "it appends a token to every text": recipe.append is not None,
        f"it pools by {recipe.pooling} token": recipe.pooling == "last",
        "it pads on the left": recipe.padding_side == "left",
        f"its similarity is {recipe.similarity}": recipe.similarity == "l2",
        "its pooling is not known": (
            recipe.pooling is None and recipe.library != "sentence-transformers"
        ),
    }
    found = [reason for reason, holds in faults.items() if holds]
    if found:
        raise ModelError(
            f"{model_id} cannot be used for search yet: {', '.join(found)}",
            remedy="use the embedded model",
        )
