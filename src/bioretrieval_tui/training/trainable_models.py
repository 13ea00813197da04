"""What a training begins with: how the new model encodes, and the model itself, ready to train.

torch and sentence_transformers are imported within functions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import (
    padding_of,
    parts_of,
    read_settings,
    recipe_of_folder,
    side_recipe,
)
from bioretrieval_tui.encoding.torch_modules import load_modules
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.training.hyperparameters import Kind

FRESH = Encoding(
    type="bi-encoder",
    grade="C",
    library="transformers",
    query=Side(template="{query}"),
    document=Side(template="{title} {text}"),
    pooling="mean",
    normalise=True,
    similarity="cosine",
)
"""How a model encodes that was trained from one that only predicts masked words, where no recipe
says more: the mean of its tokens, as in Sentence-BERT (arXiv 1908.10084)."""
CROSS_ENCODER: Literal["cross-encoder"] = "cross-encoder"
_SIMILARITIES = {"cosine": "cosine", "dot": "dot", "l2": "euclidean"}


def kind_of_base(base: str, encoding: Encoding | None) -> Kind:
    """What a model is if no one says what it shall become. base, encoding: hub id or folder, and
    recipe, None for its own."""
    found = encoding or recipe_of_folder(Path(base).expanduser())
    return "reranker" if found is not None and found.type == CROSS_ENCODER else "retriever"


def encoding_to_train(
    base: str, own: Encoding | None, published: Encoding | None, *, named: bool
) -> Encoding | None:
    """How a new model encodes, None: as the base says itself.

    own: the base's encoding, None for a folder's own or an unknown one; published: that of the
    model that the recipe makes; named: the user named the base. A recipe's model says how its
    texts are filled and pooled; a base that the user names keeps its own way, if it has one."""
    has_own = own is not None and own.type == "bi-encoder"
    if own is None and named:
        folder = Path(base).expanduser()
        has_own = base == embedded.MODEL_ID or recipe_of_folder(folder) is not None
    if published is not None and published.type == "bi-encoder" and not (named and has_own):
        return _of_one_model(published)
    masked = own is not None and own.type == "none"
    return FRESH if masked or (named and not has_own and _predicts_words(base)) else own


def _of_one_model(published: Encoding) -> Encoding:
    """The encoding without the names of its models and adapters: those are what is trained."""
    sides = {
        name: msgspec.structs.replace(side, model=None, adapter=None)
        for name in ("query", "document")
        if (side := getattr(published, name)) is not None
    }
    library = "transformers" if published.pooling is not None else published.library
    return msgspec.structs.replace(
        published, **sides, library=library, requires=None, precomputed=None, check=None, note=None,
        traps=(), unverified=(),
    )  # fmt: skip


def _predicts_words(base: str) -> bool:
    """Whether a folder holds a masked language model without its authors' pooling."""
    made = read_settings(Path(base).expanduser() / "config.json").get("architectures")
    return isinstance(made, list) and any("MaskedLM" in str(one) for one in made)


def trainable_model(model_id: str, recipe: Encoding) -> Any:
    """The SentenceTransformer of a model that can be trained here, in float32 on the CPU. Raises
    ModelError: its files are not here or are damaged, or what it reads cannot be given to the
    trainer as one text."""
    query, document = parts_of(model_id, recipe)
    faults = {
        "its queries and documents have two models": query != document,
        "it reads a pair of segments": any(
            side_recipe(recipe, side).segments[1:] for side in ("query", "document")
        ),
        "it counts padding in its vectors": padding_of(recipe) is not None,
        "it has an adapter already": query.adapter is not None,
        f"it is a {recipe.type}": recipe.type != "bi-encoder",
    }
    if found := [reason for reason, holds in faults.items() if holds]:
        raise ModelError(
            f"{model_id} cannot be trained here: {', '.join(found)}",
            remedy="name another with --base",
        )
    model = load_modules(model_id, files_of(query), recipe)
    model.similarity_fn_name = _SIMILARITIES[recipe.similarity or "cosine"]
    # Texts are filled by the recipe; prompts of the model's own would stand in front of them.
    model.prompts = {"query": "", "document": ""}
    asked = [side_recipe(recipe, side).max_length for side in ("query", "document")]
    lengths = [one for one in asked if one]
    if len(lengths) == len(asked):  # it is saved with the model, which else would read more
        most = model[0].max_seq_length
        model[0].max_seq_length = min(max(lengths), most or max(lengths))
    return model


def prepare_tokenizer(model: Any, recipe: Encoding, longest: int) -> Callable[[], None]:
    """Have the tokenizer of `model` read as its encoder reads: at most `longest` tokens, padded,
    with the end token that the recipe appends. The function that is returned undoes what must not
    be saved: an encoder appends the token itself. Raises ModelError: there is no such token."""
    tokenizer, transformer = model.tokenizer, model[0]
    before = transformer.max_seq_length
    transformer.max_seq_length = min(before or 512, longest)
    if recipe.append is not None and tokenizer.eos_token_id is None:
        raise ModelError(
            "the recipe appends an end token, and the tokenizer has none",
            remedy="get its tokenizer files again, or name another with --base",
        )
    if tokenizer.pad_token_id is None:  # a mask hides it
        tokenizer.pad_token = tokenizer.eos_token
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    added = getattr(backend, "post_processor", None)
    if recipe.append is not None:
        from tokenizers import processors

        end = processors.TemplateProcessing(
            single="$A <end>",
            pair="$A $B <end>",
            special_tokens=[
                {"id": "<end>", "ids": [tokenizer.eos_token_id], "tokens": [tokenizer.eos_token]}
            ],
        )
        backend.post_processor = end if added is None else processors.Sequence([added, end])

    def undo() -> None:
        transformer.max_seq_length = before
        if recipe.append is not None:
            backend.post_processor = added

    return undo
