"""Recipes: how a model encodes, as data; what one side of a recipe gives to the tokenizer; the hash
that names a recipe; and what the encoders here refuse, by name.

Pure functions over text. A vector that is nearly right ranks wrongly and the user cannot see it, so
a recipe that is not supported is refused and never approximated.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Side, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import ModelError

SideName = Literal["query", "document"]

_FIELDS = frozenset({"query", "text", "title", "instruction", "sep"})
_DEFAULT_TEMPLATES: dict[SideName, str] = {"query": "{text}", "document": "{title} {text}"}
_RERANKED = ("{query}", "{title} {text}")


@dataclass(frozen=True, slots=True)
class SideInput:
    """What the tokenizer is given: one text, or a pair of segments when `second` is not None."""

    first: str
    second: str | None = None

    @property
    def characters(self) -> int:
        """Length of all text: what inputs are sorted by before they are tokenised."""
        return len(self.first) + len(self.second or "")


@dataclass(frozen=True, slots=True)
class SideRecipe:
    """One side of a recipe, ready to fill.

    segments: one or two templates, parsed; max_length: tokens, special tokens included, or None.
    """

    side: SideName
    segments: tuple[tuple[tuple[str, str | None], ...], ...]
    instruction: str | None
    max_length: int | None

    def query(self, text: str, *, separator: str = "") -> SideInput:
        """The input for a query."""
        return self._fill({"query": text, "text": text, "title": "", "sep": separator})

    def document(self, document: Document, *, separator: str = "", query: str = "") -> SideInput:
        """The input for a document; `query` is what a cross-encoder reads beside it."""
        values = {
            "query": query,
            "text": document.text,
            "title": document.title,
            "sep": separator,
        }
        return self._fill({name: value.strip() for name, value in values.items()})

    def _fill(self, values: Mapping[str, str]) -> SideInput:
        filled = []
        for segment in self.segments:
            parts: list[str] = []
            before: str | None = None
            for literal, name in segment:
                if before == "title" and name == "text" and not _says_something(literal):
                    # An empty title takes the blank or full stop behind it along, as BEIR's own
                    # joining sees to: to some tokenizers two blanks are not one.
                    literal = literal if values["title"] else ""
                parts.append(literal)
                if name == "instruction":
                    parts.append(self.instruction or "")
                elif name is not None:
                    parts.append(values[name])
                before = name
            filled.append("".join(parts).strip())
        return SideInput(filled[0], filled[1] if len(filled) > 1 else None)


@dataclass(frozen=True, slots=True)
class ModelPart:
    """One model of a recipe, with the recipe as that model alone follows it.

    model: hub id or folder; adapter: likewise, or None.
    """

    model: str
    adapter: str | None
    recipe: Encoding


def parts_of(model: str, recipe: Encoding) -> tuple[ModelPart, ModelPart]:
    """What encodes queries, and what encodes documents; equal where one model does both.

    model: stands in for the recipe's own name where one model does both (it may be a folder), and
    for a side that names none.
    """
    query, document = recipe.query or Side(), recipe.document or Side()
    if (query.model or model) == (document.model or model):
        names = (model, model)
    else:
        names = (query.model or model, document.model or model)
    if names[0] == names[1] and query.adapter == document.adapter:
        part = ModelPart(model, document.adapter, recipe)
        return part, part
    return (
        ModelPart(names[0], query.adapter, _one_sided(recipe, _as_document(query))),
        ModelPart(names[1], document.adapter, _one_sided(recipe, document)),
    )


def _one_sided(recipe: Encoding, side: Side) -> Encoding:
    return msgspec.structs.replace(recipe, query=side, document=side)


def _as_document(query: Side) -> Side:
    """The query's side in words that fill from a document as well."""
    template = query.template or _DEFAULT_TEMPLATES["query"]
    pair = query.pair and (
        query.pair[0].replace("{query}", "{text}"),
        query.pair[1].replace("{query}", "{text}"),
    )
    return msgspec.structs.replace(query, template=template.replace("{query}", "{text}"), pair=pair)


def reranking_recipe(recipe: Encoding) -> SideRecipe:
    """How a cross-encoder reads a query and a document: two segments, the query first.

    Raises:
        ModelError: as `side_recipe`, or the recipe does not make two segments.
    """
    given = recipe.document or recipe.query or Side()
    if given.template is not None and given.pair is None:
        raise ModelError(
            f"a cross-encoder reads two segments, but its template is {given.template!r}",
            remedy="give its encoding a `pair`, such as " + repr(list(_RERANKED)),
        )
    pair = given.pair or _RERANKED
    return side_recipe(
        msgspec.structs.replace(recipe, document=msgspec.structs.replace(given, pair=pair)),
        "document",
    )


def side_recipe(recipe: Encoding, side: SideName, *, instruction: str | None = None) -> SideRecipe:
    """One side of `recipe`; `instruction` replaces the recipe's own where given.

    Raises:
        ModelError: a template names an unknown field, or needs an instruction that is not there.
    """
    given = (recipe.query if side == "query" else recipe.document) or Side()
    templates = given.pair or (given.template or _DEFAULT_TEMPLATES[side],)
    segments = tuple(_parse(template) for template in templates)
    chosen = instruction if instruction is not None else recipe.instruction
    needs = any(name == "instruction" for segment in segments for _, name in segment)
    if needs and chosen is None:
        raise ModelError(
            f"the {side} template {templates[0]!r} needs an instruction and the recipe has none",
            remedy="add `instruction` to the model's encoding",
        )
    return SideRecipe(side, segments, chosen, given.max_length)


def recipe_hash(recipe: Encoding) -> str:
    """Hex SHA-256 of all that can change a vector, and of nothing else.

    Two spellings of one recipe (a default written out, {query} for {text} on the query side)
    hash alike; notes, sources and grades do not count, nor do per-benchmark instructions, which
    belong to a search rather than to the vectors of an index.
    """
    models = [side.model for side in (recipe.query, recipe.document) if side and side.model]
    canonical: dict[str, Any] = {
        "type": recipe.type,
        "query": _canonical_side(recipe, "query"),
        "document": _canonical_side(recipe, "document"),
        # One model for both sides is named by the index's own model id and revision.
        "models": models if len(set(models)) > 1 else None,
        "pooling": recipe.pooling,
        "normalise": bool(recipe.normalise),
        "similarity": recipe.similarity or "cosine",
        "append": recipe.append,
        "padding_side": recipe.padding_side,
        "pad_to_max_length": recipe.pad_to_max_length,
        "token_type_ids": recipe.token_type_ids,
        "instruction": recipe.instruction,
    }
    return hashlib.sha256(msgspec.json.encode(canonical, order="deterministic")).hexdigest()


def _canonical_side(recipe: Encoding, side: SideName) -> dict[str, Any]:
    given = (recipe.query if side == "query" else recipe.document) or Side()
    templates: tuple[str, ...] = given.pair or (given.template or _DEFAULT_TEMPLATES[side],)
    if side == "query":
        templates = tuple(template.replace("{query}", "{text}") for template in templates)
    return {
        "segments": list(templates),
        "max_length": given.max_length,
        "adapter": given.adapter,
    }


def _parse(template: str) -> tuple[tuple[str, str | None], ...]:
    """Literal text and field names of a template, in turn.

    Parsed once and filled by hand: `str.format` would also follow attributes and formats.
    """
    try:
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


def _says_something(literal: str) -> bool:
    return any(character.isalnum() for character in literal)


_LIBRARIES = ("transformers", "sentence-transformers", "tokenizers", "torch")
"""Packages whose version a recipe may ask for: they are what encodes here."""
_NOT_VECTORS = {
    "none": (
        "it predicts masked words, and must be fine-tuned before it retrieves",
        "use a model that was trained for it: bioretrieval-tui list models -w role=retriever",
    ),
    "lexical": (
        "it matches words and makes no vectors of the kind an index keeps",
        "every index answers by words already; use a model that makes dense vectors",
    ),
    "cross-encoder": (
        "it is a cross-encoder, which scores a query and a document together",
        "use it to rerank, and another model for the index",
    ),
}


def refuse_unsupported(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError that names all that `recipe` asks for and no encoder here can do."""
    if recipe.type in _NOT_VECTORS:
        reason, remedy = _NOT_VECTORS[recipe.type]
        raise ModelError(f"{model_id} cannot be used for search: {reason}", remedy=remedy)
    faults = _static_faults(recipe) if recipe.type == "static" else _faults(recipe)
    faults[f"it is a {recipe.type}"] = recipe.type not in ("static", "bi-encoder")
    found = [reason for reason, holds in faults.items() if holds]
    if found:
        raise ModelError(
            f"{model_id} cannot be used for search yet: {', '.join(found)}",
            remedy="use the embedded model",
        )


def refuse_reranking(model_id: str, recipe: Encoding) -> None:
    """Raise a ModelError where `recipe` is not that of a cross-encoder."""
    if recipe.type != "cross-encoder":
        raise ModelError(
            f"{model_id} cannot rerank: it is a {recipe.type}, not a cross-encoder",
            remedy="use a cross-encoder, such as ncbi/MedCPT-Cross-Encoder",
        )


def _faults(recipe: Encoding) -> dict[str, bool]:
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    adapted = any(side.adapter for side in sides)
    package = _package(recipe.requires)
    return {
        f"it needs {recipe.library}": recipe.library == "model2vec",
        f"it needs the package {package}": package is not None,
        "its recipe names no adapter": recipe.library == "adapters" and not adapted,
        # Of what is pooled by its last token the side of the padding is no matter, and nothing
        # else that is known pads on the left.
        f"it pads on the left and pools by {recipe.pooling}": (
            recipe.padding_side == "left" and recipe.pooling != "last"
        ),
        "its pooling is not known": (
            recipe.pooling is None and (recipe.library != "sentence-transformers" or adapted)
        ),
    }


def _static_faults(recipe: Encoding) -> dict[str, bool]:
    sides = [side for side in (recipe.query, recipe.document) if side is not None]
    return {
        "it encodes title and text as a pair": any(side.pair for side in sides),
        "it uses an adapter": any(side.adapter for side in sides),
        "it appends a token to every text": recipe.append is not None,
        f"it pools by {recipe.pooling}": recipe.pooling not in (None, "mean"),
    }


def _package(requires: str | None) -> str | None:
    """The package that a requirement names, unless it is one that is here."""
    name = re.split(r"[\s<>=!~\[;]", requires.strip(), maxsplit=1)[0] if requires else ""
    return name if name and name.casefold().replace("_", "-") not in _LIBRARIES else None


_SIMILARITIES: dict[str, Similarity] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


def recipe_of_folder(folder: Path) -> Encoding | None:
    """What the folder's own files say, or None where they do not say how it pools."""
    if not (folder / "modules.json").is_file():
        return None
    settings = read_settings(folder / "config_sentence_transformers.json")
    length = read_settings(folder / "sentence_bert_config.json").get("max_seq_length")
    longest = length if isinstance(length, int) and length > 0 else None
    named = str(settings.get("similarity_fn_name") or "cosine")
    if named not in _SIMILARITIES:
        return None
    prompts = settings.get("prompts")
    prompts = prompts if isinstance(prompts, dict) else {}
    query, document = _prompt(prompts, "query"), _prompt(prompts, "document", "passage")
    return Encoding(
        type="bi-encoder",
        grade="A",
        library="sentence-transformers",
        query=Side(template=query + "{query}", max_length=longest),
        document=Side(template=document + "{title} {text}", max_length=longest),
        similarity=_SIMILARITIES[named],
    )


def _prompt(prompts: dict[Any, Any], *names: str) -> str:
    """The first prompt of these names, as a template's literal text."""
    found = next((prompts[name] for name in names if isinstance(prompts.get(name), str)), "")
    return str(found).replace("{", "{{").replace("}", "}}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a JSON file of a model's; none where it is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
