"""Bottleneck adapters, such as SPECTER2's: small layers that a model of transformers gets on top.

The library that they were trained with asks for an older transformers, so the layer is written out
here: after the feed-forward part of every layer, h + up(activation(down(LayerNorm(h + input)))),
then the layer's own residual and norm. Other kinds of adapters are refused by name. torch is
imported within functions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    import torch

CONFIG = "adapter_config.json"
WEIGHTS = "adapter.safetensors"

_PLACE = re.compile(
    r"(?:.*\.)?layer\.(\d+)\.output\.adapters\.[^.]+\.(adapter_down\.0|adapter_up)\.(weight|bias)"
)
_FAMILIES = ("bert", "roberta", "xlm-roberta")
_ASKED: dict[str, object] = {
    "output_adapter": True,
    "mh_adapter": False,
    "original_ln_before": True,
    "original_ln_after": True,
    "residual_before_ln": True,
    "adapter_residual_before_ln": False,
    "ln_before": False,
    "ln_after": False,
    "is_parallel": False,
    "inv_adapter": None,
    "cross_adapter": False,
    "phm_layer": False,
    "use_gating": False,
}
"""The kind that is known here, called seq_bn or pfeiffer: value that each setting must have. The
values stand in for settings that a file leaves out, too."""
_ACTIVATIONS = ("relu", "gelu", "swish", "tanh")


def put_on(model: Any, folder: Path) -> None:
    """Put the adapter in `folder` on a model of transformers, which is changed.

    Raises:
        ModelError: it is another kind of adapter, made for another model, or damaged.
    """
    settings = _settings(folder)
    family = model.config.model_type
    if family not in _FAMILIES:
        raise ModelError(
            f"the adapter {folder} cannot be put on a {family} model",
            remedy=f"use one made for {', '.join(_FAMILIES)}",
        )
    weights = _weights(folder)
    layers = model.encoder.layer
    if sorted(weights) != list(range(len(layers))):
        raise ModelError(
            f"the adapter {folder} is for {len(weights)} layers, not for {len(layers)}",
            remedy="use the adapter that was made for this model",
        )
    adapted = _adapted_output()
    for number, layer in enumerate(layers):
        try:
            layer.output = adapted(layer.output, weights[number], settings)
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"the adapter {folder} does not fit the model: layer {number}: {error}"
            ) from error
    model.eval()


def _adapted_output() -> Any:
    """The class of a layer's output with its adapter; made when torch is needed."""
    import torch

    class AdaptedOutput(torch.nn.Module):
        """The output part of a BERT layer, its linear part and norm kept, an adapter between."""

        def __init__(self, output: Any, weights: dict[str, Any], settings: dict[str, Any]) -> None:
            super().__init__()
            self.dense = output.dense
            self.norm = output.LayerNorm
            width, narrow = weights["adapter_up.weight"].shape
            like = {"device": output.dense.weight.device, "dtype": output.dense.weight.dtype}
            self.down = torch.nn.Linear(width, narrow, **like)
            self.up = torch.nn.Linear(narrow, width, **like)
            self.down.load_state_dict(_linear(weights, "adapter_down.0"))
            self.up.load_state_dict(_linear(weights, "adapter_up"))
            self.scaling = float(settings["scaling"])
            self.activation = _activation(settings["non_linearity"])
            if width != output.dense.out_features:
                raise RuntimeError(f"it is {width} wide, the model {output.dense.out_features}")

        def forward(self, hidden: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
            hidden = self.dense(hidden)
            narrow = self.activation(self.down(self.norm(hidden + before)))
            adapted = hidden + self.scaling * self.up(narrow)
            normed: torch.Tensor = self.norm(adapted + before)
            return normed

    return AdaptedOutput


def _linear(weights: dict[str, Any], name: str) -> dict[str, Any]:
    return {part: weights[f"{name}.{part}"] for part in ("weight", "bias")}


def _activation(name: str) -> Any:
    from torch.nn import functional

    return functional.silu if name == "swish" else getattr(functional, name)


def _settings(folder: Path) -> dict[str, Any]:
    """What adapter_config.json says. Raises ModelError where it is not of the kind known here."""
    try:
        found = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"the adapter {folder} has no readable {CONFIG}: {error}") from error
    # The library nests the adapter's own settings below facts about the model.
    inner = found.get("config", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ModelError(f"the adapter {folder}: its {CONFIG} is no table of settings")
    # Values of settings that a file leaves out are those of the kind known here.
    settings = {"non_linearity": "relu", "scaling": 1.0, **_ASKED, **inner}
    others = [name for name, value in _ASKED.items() if settings[name] != value]
    settings["non_linearity"] = str(settings["non_linearity"]).lower()
    if settings["non_linearity"] not in _ACTIVATIONS:
        others.append("non_linearity")
    if not isinstance(settings["scaling"], int | float):
        others.append("scaling")
    if settings.get("leave_out"):
        others.append("leave_out")
    if others:
        said = ", ".join(f"{name} {settings[name]}" for name in others)
        raise ModelError(
            f"the adapter {folder} is of a kind that is not supported: {said}",
            remedy="only bottleneck adapters after each layer (seq_bn, pfeiffer) are",
        )
    return settings


def _weights(folder: Path) -> dict[int, dict[str, Any]]:
    """Layer -> `adapter_down.0.weight` and the like -> tensor. Raises ModelError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the adapter {folder}: {WEIGHTS} cannot be loaded: {error}") from error
    layers: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        place = _PLACE.fullmatch(name)
        if place is None:
            raise ModelError(f"the adapter {folder} has a weight of an unknown place: {name}")
        layer, part, kind = place.groups()
        layers.setdefault(int(layer), {})[f"{part}.{kind}"] = tensor
    return layers
