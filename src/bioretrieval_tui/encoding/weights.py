"""What a safetensors file holds, read from its header: names of weights, without the weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from bioretrieval_tui.errors import ModelError

_MOST_HEADER = 100 * 2**20
_REMEDY = "remove the file and fetch the model again"
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}
"""How the first BERT files call the parts of a layer norm; transformers renames them."""


def weight_names(folder: Path) -> set[str]:
    """Names of all weights in a model folder.

    Raises:
        ModelError: a file is not a safetensors file, or cannot be read.
    """
    return {name for path in sorted(folder.glob("*.safetensors")) for name in header(path)}


def header(path: Path) -> dict[str, object]:
    """Name of each weight in a file -> what the header says of it. Raises as `weight_names`."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _MOST_HEADER:
                raise ValueError("its header has an impossible length")
            found = json.loads(stream.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no safetensors file: {error}", remedy=_REMEDY) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is no safetensors file: its header is no table", remedy=_REMEDY)
    return {str(name): facts for name, facts in found.items() if name != "__metadata__"}


def missing_weights(folder: Path, wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that no file of the folder has, whatever prefix stands before them.

    A pooler is not counted: no recipe here uses one, and many files leave it out.
    """
    tails = set()
    for name in weight_names(folder):
        parts = name.split(".")
        parts[-1] = _OLD_NAMES.get(parts[-1], parts[-1])
        tails |= {".".join(parts[start:]) for start in range(min(4, len(parts)))}
    return [name for name in wanted if name not in tails and "pooler" not in name.split(".")]
