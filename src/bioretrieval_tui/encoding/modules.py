"""A model composed of sentence-transformers modules from its files and a recipe.

torch and sentence_transformers are imported within functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.encoding.base import Shape
from bioretrieval_tui.encoding.device import prepare_environment, silence
from bioretrieval_tui.encoding.recipe import SideRecipe, side_recipe
from bioretrieval_tui.encoding.support import refuse_unsupported
from bioretrieval_tui.errors import BioRetrievalError, ModelError

_ENDLESS = 10**9


def load_modules(model_id: str, folder: Path, recipe: Encoding, device: str) -> Any:
    """A SentenceTransformer in float32, of local files only, without code of the model's own.

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
            return composed.eval()
        transformer = Transformer(
            str(folder),
            model_kwargs=weights,
            processor_kwargs=dict(local),
            config_kwargs=dict(local),
        )
        pooling = Pooling(transformer.get_embedding_dimension(), recipe.pooling)
        modules = [transformer, pooling, *([Normalize()] if recipe.normalise else [])]
        return SentenceTransformer(modules=modules, device=device).eval()
    except BioRetrievalError:
        raise
    except Exception as error:
        # The libraries raise whatever their depths raise; for the user it is one line.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{model_id} cannot be loaded from {folder}: {reason}") from error


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
