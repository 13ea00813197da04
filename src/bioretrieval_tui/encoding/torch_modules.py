"""Models as sentence-transformers modules, built from files and a recipe, with a bottleneck
adapter where the recipe names one (such as SPECTER2's).

The adapters' own library requires an older transformers, so the layer is written out here: after
the feed-forward part of each layer h + up(activation(down(LayerNorm(h + input)))), then the layer's
own residual and norm. Other kinds of adapters are refused by name. torch and sentence_transformers
are imported within functions.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.device import prepare_environment, silence
from bioretrieval_tui.encoding.encoder import Shape
from bioretrieval_tui.encoding.model_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    ModelFiles,
    missing_weights,
)
from bioretrieval_tui.encoding.recipe import (
    SideRecipe,
    padding_of,
    read_settings,
    refuse_unsupported,
    side_recipe,
)
from bioretrieval_tui.errors import BioRetrievalError, ModelError

if TYPE_CHECKING:
    import torch

_PLACE = re.compile(
    r"(?:.*\.)?layer\.(\d+)\.output\.adapters\.[^.]+\.((adapter_down\.0|adapter_up)\.(weight|bias))"
)
_FAMILIES = ("bert", "roberta", "xlm-roberta")
_REQUIRED: dict[str, object] = {
    "output_adapter": True, "mh_adapter": False, "cross_adapter": False, "inv_adapter": None,
    "original_ln_before": True, "original_ln_after": True, "residual_before_ln": True,
    "adapter_residual_before_ln": False, "ln_before": False, "ln_after": False,
    "is_parallel": False, "phm_layer": False, "use_gating": False,
}  # fmt: skip
"""The values of the supported kind, called seq_bn or pfeiffer; also the defaults of settings that
a file leaves out."""
_ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


def add_adapter(model: Any, folder: Path) -> None:
    """Add the adapter in `folder` to a transformers model, in place. Raises ModelError where it is
    of another kind, made for another model, or damaged."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    settings = _adapter_settings(folder)
    family = model.config.model_type
    if family not in _FAMILIES:
        raise ModelError(
            f"the adapter {folder} does not fit a {family} model",
            remedy=f"use one made for {', '.join(_FAMILIES)}",
        )
    try:
        tensors = load_file(folder / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        reason = f"{ADAPTER_WEIGHTS} cannot be loaded: {error}"
        raise ModelError(f"the adapter {folder}: {reason}") from error
    weights: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        place = _PLACE.fullmatch(name)
        if place is None:
            raise ModelError(f"the adapter {folder} has a weight of an unknown place: {name}")
        weights.setdefault(int(place[1]), {})[place[2]] = tensor
    layers = model.encoder.layer
    if sorted(weights) != list(range(len(layers))):
        raise ModelError(
            f"the adapter {folder} is for {len(weights)} layers, not for {len(layers)}",
            remedy="use the adapter that was made for this model",
        )

    class AdaptedOutput(torch.nn.Module):
        """The output of a BERT layer with an adapter between its linear part and its norm."""

        def __init__(self, output: Any, weights: dict[str, Any]) -> None:
            super().__init__()
            self.dense = output.dense
            self.norm = output.LayerNorm
            width, narrow = weights["adapter_up.weight"].shape
            self.down = torch.nn.Linear(width, narrow)
            self.up = torch.nn.Linear(narrow, width)
            for layer, name in ((self.down, "adapter_down.0"), (self.up, "adapter_up")):
                layer.load_state_dict(
                    {part: weights[f"{name}.{part}"] for part in ("weight", "bias")}
                )
            self.scaling = float(settings["scaling"])
            self.activation = getattr(torch.nn.functional, settings["non_linearity"])
            if width != output.dense.out_features:
                raise RuntimeError(f"it is {width} wide, the model {output.dense.out_features}")

        def forward(self, hidden: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
            hidden = self.dense(hidden)
            narrow = self.activation(self.down(self.norm(hidden + before)))
            adapted = hidden + self.scaling * self.up(narrow)
            normed: torch.Tensor = self.norm(adapted + before)
            return normed

    for number, layer in enumerate(layers):
        try:
            layer.output = AdaptedOutput(layer.output, weights[number])
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"the adapter {folder} does not fit the model: layer {number}: {error}"
            ) from error
    model.eval()


def _adapter_settings(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = f"has no readable {ADAPTER_CONFIG}: {error}"
        raise ModelError(f"the adapter {folder} {reason}") from error
    # The library nests the adapter's own settings below facts about the model.
    inner = found.get("config", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ModelError(f"the adapter {folder}: its {ADAPTER_CONFIG} is no table of settings")
    settings = {"non_linearity": "relu", "scaling": 1.0, "leave_out": [], **_REQUIRED, **inner}
    settings["non_linearity"] = str(settings["non_linearity"]).lower().replace("swish", "silu")
    others = [name for name, value in _REQUIRED.items() if settings[name] != value]
    allowed = {
        "non_linearity": settings["non_linearity"] in _ACTIVATIONS,
        "scaling": isinstance(settings["scaling"], int | float),
        "leave_out": not settings["leave_out"],
    }
    others += [name for name, holds in allowed.items() if not holds]
    if others:
        said = ", ".join(f"{name} {settings[name]}" for name in others)
        raise ModelError(
            f"the adapter {folder} is of a kind that is not supported: {said}",
            remedy="only bottleneck adapters after each layer (seq_bn, pfeiffer) are",
        )
    return settings


LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Settings of every load: no network, and no code of the model's own."""
_ENDLESS = 10**9
_POOLINGS = {"cls": "cls", "mean": "mean", "last": "lasttoken"}


@contextlib.contextmanager
def explained(model_id: str, folder: Path) -> Iterator[None]:
    """Raise any error of the model libraries, whose types vary, as a ModelError of one line."""
    try:
        yield
    except BioRetrievalError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{model_id} cannot be loaded from {folder}: {reason}") from error


def load_modules(model_id: str, files: ModelFiles, recipe: Encoding) -> Any:
    """A SentenceTransformer on the CPU in float32, from local files only, without the model's own
    code. Raises ModelError where the recipe is not supported, or the files do not load or lack most
    weights."""
    refuse_unsupported(model_id, recipe)
    prepare_environment()
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    silence()
    folder = files.folder
    kwargs: dict[str, Any] = {
        "model_kwargs": {**LOCAL, "use_safetensors": True, "dtype": torch.float32},
        "processor_kwargs": dict(LOCAL),
        "config_kwargs": dict(LOCAL),
    }
    with explained(model_id, folder):
        if recipe.pooling is None:
            # The authors' modules say how they pool; without them the library would guess.
            if not (folder / "modules.json").is_file():
                raise ModelError(f"{model_id} has no modules.json that says how it pools")
            whole = SentenceTransformer(str(folder), device="cpu", **kwargs, **LOCAL)
            # The recipe holds the prompts; the model's own would be added to them.
            whole.default_prompt_name = None
        else:
            _refuse_parts(model_id, folder)
            transformer = Transformer(str(folder), **kwargs)
            pooling = Pooling(transformer.get_embedding_dimension(), _POOLINGS[recipe.pooling])
            modules = [transformer, pooling, *([Normalize()] if recipe.normalise else [])]
            if padding_of(recipe) == "averaged":
                modules.insert(1, _all_places())
            whole = SentenceTransformer(modules=modules, device="cpu")
        model = whole[0].model
        if getattr(model.config, "use_cache", False):
            model.config.use_cache = False  # the key-value cache is for generation only
        names = [name for name, _ in model.named_parameters()]
        missing = missing_weights(folder, names)
        if 2 * len(missing) > len(names):
            # The library would fill them with random numbers and not say so.
            raise ModelError(
                f"{model_id} lacks {len(missing)} of its {len(names)} weights,"
                f" such as {missing[0]}",
                remedy="get its files again, or correct the model's name",
            )
        if files.adapter is not None:
            add_adapter(model, files.adapter)
    return whole.eval()


def _all_places() -> Any:
    """A module that has the pooling after it count padding too."""
    import torch

    class AllPlaces(torch.nn.Module):
        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            mask = torch.ones_like(features["attention_mask"])
            return {**features, "attention_mask": mask}

    return AllPlaces()


def stated_pooling(folder: Path) -> str | None:
    """The pooling that the authors' 1_Pooling/config.json names (cls, mean, last), or None."""
    settings = read_settings(folder / "1_Pooling" / "config.json")
    named = settings.get("pooling_mode") or [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, value in settings.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    modes = [named] if isinstance(named, str) else list(named)
    known = {theirs: ours for ours, theirs in _POOLINGS.items()}
    return known.get(str(modes[0]), str(modes[0])) if len(modes) == 1 else None


def _refuse_parts(model_id: str, folder: Path) -> None:
    try:
        parts = json.loads((folder / "modules.json").read_bytes())
        kinds = [str(part["type"]).rpartition(".")[2] for part in parts]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    others = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if others:
        raise ModelError(
            f"{model_id} has a part that its recipe leaves out: {', '.join(others)}",
            remedy="take `pooling` out of its encoding, so that the authors' own modules are used",
        )


def shape_of(model_id: str, modules: Any, recipe: Encoding) -> Shape:
    """The dimension, input lengths and separator that `modules` and `recipe` give together. Raises
    as `checked_length`."""
    sides = (side_recipe(recipe, "query"), side_recipe(recipe, "document"))
    query, document = (
        checked_length(model_id, side, modules[0].model, modules.tokenizer) for side in sides
    )
    separator = str(modules.tokenizer.sep_token or "")
    return Shape(int(modules.get_embedding_dimension()), query, document, separator)


def checked_length(model_id: str, side: SideRecipe, model: Any, tokenizer: Any) -> int:
    """Tokens of one input, special tokens included: the recipe's number, else the model's. Raises
    ModelError where the recipe asks for more than the model takes, or neither says how many."""
    positions = getattr(model.config, "max_position_embeddings", None)
    # RoBERTa and its kin count positions from padding_idx + 1, so two of them are never used.
    if positions and model.config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2
    # A tokenizer that knows no limit says 10^30.
    limits = [one for one in (tokenizer.model_max_length, positions) if one and one < _ENDLESS]
    longest = min(map(int, limits), default=None)
    length = side.max_length or longest
    if length is None:
        raise ModelError(
            f"{model_id} does not say how many tokens it takes",
            remedy="add `max_length` to the model's encoding",
        )
    if longest is not None and length > longest:
        raise ModelError(
            f"{model_id} takes {longest} tokens, but its {side.side} recipe asks for {length}",
            remedy="correct `max_length` in the model's encoding",
        )
    return length


def takes_types(model: Any, tokenizer: Any) -> bool:
    """Whether both a transformers model and its tokenizer know segments."""
    # Some tokenizers offer segments to models that do not take them.
    known = inspect.signature(model.forward).parameters
    return "token_type_ids" in tokenizer.model_input_names and "token_type_ids" in known
