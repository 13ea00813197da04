"""A model composed of sentence-transformers modules from its files and a recipe, with a bottleneck
adapter on top where the recipe names one (such as SPECTER2's).

The library that adapters were trained with asks for an older transformers, so the layer is written
out here: after the feed-forward part of each layer h + up(activation(down(LayerNorm(h + input)))),
then the layer's own residual and norm. Other kinds of adapters are refused by name. torch and
sentence_transformers are imported within functions.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.device import prepare_environment, silence
from bioretrieval_tui.encoding.encoder import Shape
from bioretrieval_tui.encoding.model_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, missing_weights
from bioretrieval_tui.encoding.recipe import (
    SideRecipe,
    read_settings,
    refuse_unsupported,
    side_recipe,
)
from bioretrieval_tui.errors import BioRetrievalError, ModelError

if TYPE_CHECKING:
    import torch


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
_ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


def put_on(model: Any, folder: Path) -> None:
    """Put the adapter in `folder` on a model of transformers, which is changed.

    Raises:
        ModelError: it is another kind of adapter, made for another model, or damaged.
    """
    settings = _adapter_settings(folder)
    family = model.config.model_type
    if family not in _FAMILIES:
        raise ModelError(
            f"the adapter {folder} cannot be put on a {family} model",
            remedy=f"use one made for {', '.join(_FAMILIES)}",
        )
    weights = _adapter_weights(folder)
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

    return AdaptedOutput


def _adapter_settings(folder: Path) -> dict[str, Any]:
    """What adapter_config.json says. Raises ModelError where it is not of the kind known here."""
    try:
        found = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the adapter {folder} has no readable {ADAPTER_CONFIG}: {error}"
        ) from error
    # The library nests the adapter's own settings below facts about the model.
    inner = found.get("config", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ModelError(f"the adapter {folder}: its {ADAPTER_CONFIG} is no table of settings")
    # Values of settings that a file leaves out are those of the kind known here.
    settings = {"non_linearity": "relu", "scaling": 1.0, **_ASKED, **inner}
    others = [name for name, value in _ASKED.items() if settings[name] != value]
    settings["non_linearity"] = str(settings["non_linearity"]).lower().replace("swish", "silu")
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


def _adapter_weights(folder: Path) -> dict[int, dict[str, Any]]:
    """Layer -> `adapter_down.0.weight` and the like -> tensor. Raises ModelError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"the adapter {folder}: {ADAPTER_WEIGHTS} cannot be loaded: {error}"
        ) from error
    layers: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        place = _PLACE.fullmatch(name)
        if place is None:
            raise ModelError(f"the adapter {folder} has a weight of an unknown place: {name}")
        layer, part, kind = place.groups()
        layers.setdefault(int(layer), {})[f"{part}.{kind}"] = tensor
    return layers


_ENDLESS = 10**9
_POOLINGS = {"cls": "cls", "mean": "mean", "last": "lasttoken"}


def load_modules(
    model_id: str, folder: Path, recipe: Encoding, device: str, *, adapter: Path | None = None
) -> Any:
    """A SentenceTransformer in float32, of local files only, without code of the model's own.

    adapter: the folder of the bottleneck adapter that the recipe puts on top, or None.

    Raises:
        ModelError: the recipe asks for what is not supported, or the files do not load.
    """
    refuse_unsupported(model_id, recipe)
    prepare_environment()
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    silence()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    kwargs: dict[str, Any] = {
        "model_kwargs": {**local, "use_safetensors": True, "dtype": torch.float32},
        "processor_kwargs": dict(local),
        "config_kwargs": dict(local),
    }
    try:
        if recipe.pooling is None:
            # The authors' own modules say how they pool; without them the library would assume.
            if not (folder / "modules.json").is_file():
                raise ModelError(f"{model_id} has no modules.json that says how it pools")
            whole = SentenceTransformer(str(folder), device=device, **kwargs, **local)
            # What stands before a text is the recipe's to say; the model's own would come on top.
            whole.default_prompt_name = None
        else:
            _refuse_parts(model_id, folder)
            transformer = Transformer(str(folder), **kwargs)
            pooling = Pooling(transformer.get_embedding_dimension(), _POOLINGS[recipe.pooling])
            modules = [transformer, pooling, *([Normalize()] if recipe.normalise else [])]
            whole = SentenceTransformer(modules=modules, device=device)
        ready = _ready(model_id, whole, folder)
        if adapter is not None:
            put_on(ready[0].model, adapter)
        return ready
    except BioRetrievalError:
        raise
    except Exception as error:
        # The libraries raise whatever their depths raise; for the user it is one line.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{model_id} cannot be loaded from {folder}: {reason}") from error


def said_pooling(folder: Path) -> str | None:
    """The pooling that the authors' own file names (cls, mean, last), where there is one."""
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
    """Raise a ModelError where the authors' modules go on where a recipe ends."""
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


def _ready(model_id: str, modules: Any, folder: Path) -> Any:
    """The modules as they are to be used. Raises ModelError where weights are not the files'."""
    model = modules[0].model
    if getattr(model.config, "use_cache", False):
        # A memory of the tokens so far is for writing; here it only takes room.
        model.config.use_cache = False
    names = [name for name, _ in model.named_parameters()]
    missing = missing_weights(folder, names)
    if 2 * len(missing) > len(names):
        # The library would fill them with chance and say nothing.
        raise ModelError(
            f"{model_id} lacks {len(missing)} of its {len(names)} weights, such as {missing[0]}",
            remedy="get its files again, or correct the model's name",
        )
    return modules.eval()


def end_token(model_id: str, tokenizer: Any, recipe: Encoding) -> int | None:
    """The id that `recipe` appends to every input, or None.

    Raises:
        ModelError: it asks for an end token and the tokenizer has none.
    """
    if recipe.append is None:
        return None
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{model_id}: its recipe appends an end token, and its tokenizer has none",
            remedy="correct `append` in the model's encoding, or get its tokenizer files again",
        )
    return int(tokenizer.eos_token_id)


def shape_of(model_id: str, modules: Any, recipe: Encoding) -> Shape:
    """What `modules` and `recipe` say together.

    Raises:
        ModelError: the recipe asks for more tokens than the model takes, or nobody says how many.
    """
    longest = _longest_input(modules)
    return Shape(
        dimension=int(modules.get_embedding_dimension()),
        query_length=_checked_length(model_id, side_recipe(recipe, "query"), longest),
        document_length=_checked_length(model_id, side_recipe(recipe, "document"), longest),
        separator=str(modules.tokenizer.sep_token or ""),
    )


def _longest_input(model: Any) -> int | None:
    """Tokens that the model can take at once, special tokens included; None if it does not say."""
    config = model[0].model.config
    positions = getattr(config, "max_position_embeddings", None)
    # RoBERTa and its kin count positions from padding_idx + 1, so two of them are never used.
    if positions and config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2
    limits = [value for value in (model.tokenizer.model_max_length, positions) if value]
    # A tokenizer that knows no limit says 10^30.
    return min((int(value) for value in limits if value < _ENDLESS), default=None)


def _checked_length(model_id: str, side: SideRecipe, longest: int | None) -> int:
    length = side.max_length or longest
    if length is None:
        raise ModelError(
            f"{model_id} does not say how many tokens it takes",
            remedy="add `max_length` to the model's encoding",
        )
    if longest is not None and length > longest:
        raise ModelError(
            f"{model_id} takes {longest} tokens, but its {side.side} recipe asks for"
            f" {side.max_length}",
            remedy="correct `max_length` in the model's encoding",
        )
    return length


def takes_types(model: Any, tokenizer: Any) -> bool:
    """Whether both a model of transformers and its tokenizer know segments."""
    # Some tokenizers offer them to every model; one that does not name them would go astray.
    known = inspect.signature(model.forward).parameters
    return "token_type_ids" in tokenizer.model_input_names and "token_type_ids" in known
