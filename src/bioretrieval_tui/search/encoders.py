"""The encoder that fits an index: found by what its manifest says, and checked against it."""

from __future__ import annotations

from bioretrieval_tui.encoding.encoder import (
    Encoder,
    load_query_encoder,
)
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.manifest import ANY_REVISION, Manifest
from bioretrieval_tui.progress import Reporter, silent


def encoder_of(manifest: Manifest, *, device: str, reporter: Reporter = silent) -> Encoder:
    """The encoder that an index was built with, by model, recipe and revision."""
    return load_query_encoder(
        manifest.model,
        manifest.recipe,
        device=device,
        revision=None if manifest.revision == ANY_REVISION else manifest.revision,
        reporter=reporter,
    )


def check_fit(manifest: Manifest, encoder: Encoder) -> None:
    """Refuse an encoder whose vectors are not comparable with those of the index.

    Raises:
        IndexFault: model, revision, recipe, dimension or similarity differ.
    """
    revision = encoder.revision if manifest.revision == ANY_REVISION else manifest.revision
    pairs = {
        "model": (manifest.model, encoder.model_id),
        "revision": (revision, encoder.revision),
        "recipe": (manifest.recipe_hash, encoder.recipe_hash),
        "dimension": (manifest.dimension, encoder.dimension),
        "similarity": (manifest.similarity, encoder.similarity),
        "normalisation": (manifest.normalised, encoder.normalised),
    }
    for what, (built, given) in pairs.items():
        if built != given:
            raise IndexFault(
                f"index {manifest.name} was built with another {what}"
                f" ({_short(built)}, not {_short(given)})",
                remedy=f"search with {manifest.model}, or build the index again",
            )


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:16]}..." if len(text) > 60 else text
