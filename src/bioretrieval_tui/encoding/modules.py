"""A model composed of sentence-transformers modules from its files and a recipe.

torch and sentence_transformers are imported within functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.adapters import put_on
from bioretrieval_tui.encoding.base import Shape
from bioretrieval_tui.encoding.device import prepare_environment, silence
from bioretrieval_tui.encoding.recipe import SideRecipe, side_recipe
from bioretrieval_tui.encoding.support import refuse_unsupported
from bioretrieval_tui.encoding.weights import missing_weights
from bioretrieval_tui.errors import BioRetrievalError, ModelError

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
    local = {"local_files_only": True, "trust_remote_code": False}
    weights = {**local, "use_safetensors": True, "dtype": torch.float32}
    try:
        if recipe.pooling is None:
            # The authors' own modules say how they pool; without them the library would assume.
            if not (folder / "modules.json").is_file():
                raise ModelError(f"{model_id} has no modules.json that says how it pools")
            composed = SentenceTransformer(
                str(folder),
                device=device,
                model_kwargs=weights,
                processor_kwargs=dict(local),
                config_kwargs=dict(local),
                local_files_only=True,
                trust_remote_code=False,
            )
            # What stands before a text is the recipe's to say; the model's own would come on top.
            composed.default_prompt_name = None
            return _ready(model_id, composed, folder)
        _refuse_parts(model_id, folder)
        transformer = Transformer(
            str(folder),
            model_kwargs=weights,
            processor_kwargs=dict(local),
            config_kwargs=dict(local),
        )
        pooling = Pooling(transformer.get_embedding_dimension(), _POOLINGS[recipe.pooling])
        modules = [transformer, pooling, *([Normalize()] if recipe.normalise else [])]
        whole = _ready(model_id, SentenceTransformer(modules=modules, device=device), folder)
        if adapter is not None:
            put_on(whole[0].model, adapter)
        return whole
    except BioRetrievalError:
        raise
    except Exception as error:
        # The libraries raise whatever their depths raise; for the user it is one line.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{model_id} cannot be loaded from {folder}: {reason}") from error


def said_pooling(folder: Path) -> str | None:
    """The pooling that the authors' own file names (cls, mean, last), where there is one."""
    try:
        facts = json.loads((folder / "1_Pooling" / "config.json").read_bytes())
        named = facts.get("pooling_mode") or [
            key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
            for key, value in facts.items()
            if key.startswith("pooling_mode_") and value is True
        ]
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
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
