"""From the catalogue's `Encoding` to the inputs of one side, and to a hash that names a recipe.

Pure functions over text; no model is loaded here. What a recipe asks for and the encoders here
cannot do yet is refused by `encoder.py`, never approximated.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from bioretrieval_tui.catalog.entries import Encoding, Side
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.errors import ModelError

SideName = Literal["query", "document"]

_FIELDS = frozenset({"query", "text", "title", "instruction", "sep"})
_DEFAULT_TEMPLATES: dict[SideName, str] = {"query": "{text}", "document": "{title} {text}"}


@dataclass(frozen=True, slots=True)
class SideInput:
    """What the tokenizer is given: one text, or a pair of segments when `second` is not None."""

    first: str
    second: str | None = None


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

    def document(self, document: Document, *, separator: str = "") -> SideInput:
        """The input for a document."""
        values = {"query": "", "text": document.text, "title": document.title, "sep": separator}
        return self._fill(values)

    def _fill(self, values: Mapping[str, str]) -> SideInput:
        filled = []
        for segment in self.segments:
            parts = []
            for literal, name in segment:
                parts.append(literal)
                if name == "instruction":
                    parts.append(self.instruction or "")
                elif name is not None:
                    parts.append(values[name])
            # An empty title must not leave a blank in front, as BEIR's own joining sees to.
            filled.append("".join(parts).strip())
        return SideInput(filled[0], filled[1] if len(filled) > 1 else None)


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
