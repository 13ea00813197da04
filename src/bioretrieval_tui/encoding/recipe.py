"""Recipes: how a model encodes, as data; the tokenizer's input for each side; the hash that names a
recipe; and the recipes that the encoders refuse.

A vector that is nearly right ranks wrongly without the user seeing it, so an unsupported recipe is
refused and never approximated.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Side, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import ModelError

SideName = Literal["query", "document"]
Padding = Literal["averaged", "read"]
SIDES: tuple[SideName, SideName] = ("query", "document")
_HASHED = (
    "type", "pooling", "append", "padding_side", "pad_to_max_length", "token_type_ids",
    "instruction",
)  # fmt: skip
_FIELDS = frozenset({"query", "text", "title", "instruction", "sep"})
_DEFAULT_TEMPLATES: dict[SideName, str] = {"query": "{text}", "document": "{title} {text}"}
_RERANKED = ("{query}", "{title} {text}")


MOST_SETTINGS = 256 * 2**20
"""Bytes of a file of settings; the largest tokenizers have some 40 MB."""


class SideInput(NamedTuple):
    """Input of the tokenizer: one text, or a pair of segments when `second` is not None."""

    first: str
    second: str | None = None


class SideRecipe(msgspec.Struct, frozen=True):
    """One side of a recipe. segments: one or two templates, parsed; max_length: tokens, special
    tokens included, or None."""

    side: SideName
    segments: tuple[tuple[tuple[str, str | None], ...], ...]
    instruction: str | None
    max_length: int | None

    def texts(self) -> list[str]:
        """The templates, as they are written."""
        return ["".join(f"{said}{{{name}}}" if name else said for said, name in segment)
                for segment in self.segments]  # fmt: skip

    def query(self, text: str, *, separator: str = "") -> SideInput:
        return self._filled({"query": text, "text": text, "title": "", "sep": separator})

    def document(self, document: Document, *, separator: str = "", query: str = "") -> SideInput:
        """The input for a document; query: read with it by a cross-encoder."""
        title, text = document.title.strip(), document.text.strip()
        sep = separator.strip()
        return self._filled({"query": query.strip(), "text": text, "title": title, "sep": sep})

    def _filled(self, values: Mapping[str, str]) -> SideInput:
        values = {**values, "instruction": self.instruction or ""}
        segments = []
        for segment in self.segments:
            filled = ""
            before: str | None = None
            for literal, name in segment:
                blank = not any(character.isalnum() for character in literal)
                # As BEIR does, drop the blank or full stop behind an empty title: some tokenizers
                # distinguish two blanks from one.
                if not (before == "title" and name == "text" and blank and not values["title"]):
                    filled += literal
                filled += "" if name is None else values[name]
                before = name
            segments.append(filled.strip())
        return SideInput(*segments)


class ModelPart(msgspec.Struct, frozen=True):
    """One model of a recipe, with its part of the recipe; model, adapter: a hub id or a folder."""

    model: str
    adapter: str | None
    recipe: Encoding


def parts_of(model: str, recipe: Encoding) -> tuple[ModelPart, ModelPart]:
    """The parts that encode queries and documents; equal where one model does both. model: replaces
    the recipe's own name then (it may be a folder), and names a side without a model."""
    query, document = recipe.query or Side(), recipe.document or Side()
    names = (query.model or model, document.model or model)
    if names[0] == names[1]:
        names = (model, model)
        if query.adapter == document.adapter:
            part = ModelPart(model, document.adapter, recipe)
            return part, part
    # The query's template, spelt so that it fills from a document too.
    templates = [one.replace("{query}", "{text}") for one in _templates(recipe, "query")[1]]
    pair = (templates[0], templates[1]) if query.pair else None
    query = msgspec.structs.replace(query, template=templates[0], pair=pair)
    first, second = (
        ModelPart(name, side.adapter, msgspec.structs.replace(recipe, query=side, document=side))
        for name, side in zip(names, (query, document), strict=True)
    )
    return first, second


def reranking_recipe(model_id: str, recipe: Encoding) -> SideRecipe:
    """The two segments that a cross-encoder reads, the query first. Raises ModelError as
    `side_recipe`, and where the recipe is not a cross-encoder's or does not make two segments."""
    if recipe.type != "cross-encoder":
        raise ModelError(
            f"{model_id} cannot rerank: it is a {recipe.type}, not a cross-encoder",
            remedy="use a cross-encoder, such as ncbi/MedCPT-Cross-Encoder",
        )
    given = recipe.document or recipe.query or Side()
    if given.template is not None and given.pair is None:
        raise ModelError(
            f"a cross-encoder reads two segments, but its template is {given.template!r}",
            remedy="give its encoding a `pair`, such as " + repr(list(_RERANKED)),
        )
    paired = msgspec.structs.replace(given, pair=given.pair or _RERANKED)
    return side_recipe(msgspec.structs.replace(recipe, document=paired), "document")


def side_recipe(recipe: Encoding, side: SideName, *, instruction: str | None = None) -> SideRecipe:
    """One side of `recipe`; `instruction` replaces the recipe's own where given. Raises ModelError
    where a template names an unknown field, or needs a missing instruction."""
    given, templates = _templates(recipe, side)
    segments = tuple(_parse(template) for template in templates)
    chosen = instruction if instruction is not None else recipe.instruction
    needs = any(name == "instruction" for segment in segments for _, name in segment)
    if needs and chosen is None:
        raise ModelError(
            f"the {side} template {templates[0]!r} needs an instruction and the recipe has none",
            remedy="add `instruction` to the model's encoding",
        )
    return SideRecipe(side, segments, chosen, given.max_length)


def padding_of(recipe: Encoding) -> Padding | None:
    """How padding takes part in a vector; None where it makes no difference. The authors of some
    models pad all inputs to one length and average over all places: `averaged`; `read` if they give
    the model no attention mask either."""
    if not recipe.pad_to_max_length:
        return None
    if recipe.attention_mask is False:
        return "read"
    return "averaged" if recipe.pooling == "mean" else None


def _templates(recipe: Encoding, side: SideName) -> tuple[Side, tuple[str, ...]]:
    given = (recipe.query if side == "query" else recipe.document) or Side()
    return given, given.pair or (given.template or _DEFAULT_TEMPLATES[side],)


def recipe_hash(recipe: Encoding) -> str:
    """Hex SHA-256 of everything that can change a vector, and of nothing else: two spellings of one
    recipe (a default written out, {query} for {text} on the query side) have one hash, and
    per-benchmark instructions, which belong to a search, do not count."""
    models = [side.model for side in (recipe.query, recipe.document) if side and side.model]
    canonical: dict[str, Any] = {name: getattr(recipe, name) for name in _HASHED}
    canonical["normalise"] = bool(recipe.normalise)
    canonical["similarity"] = recipe.similarity or "cosine"
    if (padding := padding_of(recipe)) is not None:
        # Earlier versions encoded such a recipe as if it had no padding: other vectors.
        canonical["padding"] = padding
    # One model for both sides is named by the index's own model id and revision.
    canonical["models"] = models if len(set(models)) > 1 else None
    for name in SIDES:
        side, segments = _templates(recipe, name)
        if name == "query":
            segments = tuple(segment.replace("{query}", "{text}") for segment in segments)
        canonical[name] = {"segments": segments}
        canonical[name] |= {"max_length": side.max_length, "adapter": side.adapter}
    return hashlib.sha256(msgspec.json.encode(canonical, order="deterministic")).hexdigest()


def _parse(template: str) -> tuple[tuple[str, str | None], ...]:
    try:
        # `str.format` would also follow attributes.
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ModelError(f"the template {template!r} does not parse: {error}") from error
    for _, name, spec, conversion in parsed:
        if name is not None and (name not in _FIELDS or spec or conversion):
            raise ModelError(
                f"the template {template!r} has an unknown field {{{name}}}",
                remedy=f"use {', '.join('{' + field + '}' for field in sorted(_FIELDS))}",
            )
    return tuple((literal, name) for literal, name, _, _ in parsed)


_LIBRARIES = ("transformers", "sentence-transformers", "tokenizers", "torch")
"""Packages that a recipe may require: the ones that encode here."""
OWN_CODE = "own-code"
"""What a recipe requires whose model runs Python code from its repository, which is not run here:
without it a model of a known architecture would load and give other vectors."""
_NOT_VECTORS = {
    "none": ("it predicts masked words, and must be fine-tuned before it retrieves",
        "use a model trained for retrieval: bioretrieval-tui list models -w role=retriever"),
    "lexical": ("it is a lexical retriever without dense vectors",
        "every index has BM25 already; use a model that makes dense vectors"),
    "cross-encoder": ("it is a cross-encoder, which scores a query and a document together",
        "use it to rerank, and another model for the index"),
    "llm-reranker": ("it is a language model that judges a query and a document together",
        "use a bi-encoder for the index, and a cross-encoder to rerank"),
    "late-interaction": ("it makes a vector for each token, and an index here holds one for a text",
        "use a bi-encoder: bioretrieval-tui list models -w type:bi-encoder"),
    "sparse": ("its vectors are weights of a vocabulary, and an index here holds dense ones",
        "use a bi-encoder: bioretrieval-tui list models -w type:bi-encoder"),
}  # fmt: skip


def refuse_unsupported(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError that names everything in `recipe` that no encoder here supports."""
    if recipe.type in _NOT_VECTORS:
        reason, remedy = _NOT_VECTORS[recipe.type]
        raise ModelError(f"{model_id} cannot be used for search: {reason}", remedy=remedy)
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    adapted = any(side.adapter for side in sides)
    if recipe.type == "static":
        faults = {
            "it encodes title and text as a pair": any(side.pair for side in sides),
            "it uses an adapter": adapted,
            "it appends a token to every text": recipe.append is not None,
            f"it pools by {recipe.pooling}": recipe.pooling not in (None, "mean"),
        }
    else:
        own_code = recipe.requires == OWN_CODE
        needs = "" if own_code else (recipe.requires or "").strip()
        required = re.split(r"[\s<>=!~\[;]", needs, maxsplit=1)[0]
        faults = {
            "it runs code from its own repository": own_code,
            f"it needs {recipe.library}": recipe.library == "model2vec",
            f"it needs the package {required}": (
                bool(required) and required.casefold().replace("_", "-") not in _LIBRARIES
            ),
            "its recipe names no adapter": recipe.library == "adapters" and not adapted,
            # Where the last token is pooled the padding side does not matter, and no other known
            # model pads on the left.
            f"it pads on the left and pools by {recipe.pooling}": (
                recipe.padding_side == "left" and recipe.pooling != "last"
            ),
            "its pooling is not known": (
                recipe.pooling is None and (recipe.library != "sentence-transformers" or adapted)
            ),
            f"it is a {recipe.type}": recipe.type != "bi-encoder",
        }
    found = [reason for reason, holds in faults.items() if holds]
    if found:
        raise ModelError(
            f"{model_id} cannot be used for search yet: {', '.join(found)}",
            remedy="use the embedded model",
        )


_SIMILARITIES: dict[str, Similarity] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


def recipe_of_folder(folder: Path) -> Encoding | None:
    """The recipe in the folder's own files, or None where they do not say how it pools."""
    settings = read_settings(folder / "config_sentence_transformers.json")
    modules = (folder / "modules.json").is_file()
    kind = settings.get("model_type")
    named_by = read_settings(folder / "config.json").get("architectures")
    scores = not modules and str(named_by).endswith("ForSequenceClassification']")
    if kind == "CrossEncoder" or scores:
        return Encoding(type="cross-encoder", grade="C")
    if not modules:
        return None
    length = read_settings(folder / "sentence_bert_config.json").get("max_seq_length")
    longest = length if isinstance(length, int) and length > 0 else None
    named = str(settings.get("similarity_fn_name") or "cosine")
    if named not in _SIMILARITIES:
        return None
    given = settings.get("prompts")
    prompts = {
        name: text.replace("{", "{{").replace("}", "}}")
        for name, text in (given if isinstance(given, dict) else {}).items()
        if isinstance(text, str)
    }
    query = prompts.get("query", "") + "{query}"
    document = prompts.get("document", prompts.get("passage", "")) + "{title} {text}"
    return Encoding(
        type="bi-encoder",
        grade="A",
        library="sentence-transformers",
        query=Side(template=query, max_length=longest),
        document=Side(template=document, max_length=longest),
        similarity=_SIMILARITIES[named],
    )


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a JSON file of a model; empty where it is missing, damaged or too large."""
    try:
        if not path.is_file():  # reading a fifo may never end
            return {}
        with path.open("rb") as stream:
            found = json.loads(stream.read(MOST_SETTINGS))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
