"""Recipes: what the tokenizer is given, and what makes two recipes one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.recipe import SideInput, recipe_hash, side_recipe
from bioretrieval_tui.errors import ModelError

BASE = embedded.RECIPE
GOLDEN = "bd16ae27da3f6ba1d30e01179ff8eaf116ac099ca92fbd45232dbcec84725fa2"
DOCUMENT = Document("1", "A title", "A text.")


def with_sides(query: Side | None = None, document: Side | None = None, **rest: object) -> Encoding:
    return msgspec.structs.replace(BASE, query=query, document=document, **rest)


def test_title_and_text_are_joined_as_beir_does() -> None:
    side = side_recipe(BASE, "document")
    assert side.document(DOCUMENT) == SideInput("A title A text.")
    assert side.document(Document("1", "", "A text.")) == SideInput("A text.")
    assert side.document(Document("1", "A title", "")) == SideInput("A title")
    assert side.max_length == 256


def test_braces_in_a_text_are_text() -> None:
    hostile = Document("1", "{text.__class__}", "{0} {instruction} %s")
    assert side_recipe(BASE, "document").document(hostile) == SideInput(
        "{text.__class__} {0} {instruction} %s"
    )


@pytest.mark.parametrize("field", ["text", "query"])
def test_a_query_prefix(field: str) -> None:
    side = side_recipe(with_sides(Side(template=f"query: {{{field}}}")), "query")
    assert side.query("p53") == SideInput("query: p53")


def test_an_instruction_fills_its_place() -> None:
    recipe = with_sides(
        Side(template="Instruct: {instruction}\nQuery:{query}"), instruction="Find it"
    )
    assert side_recipe(recipe, "query").query("p53").first == "Instruct: Find it\nQuery:p53"
    other = side_recipe(recipe, "query", instruction="Refute it")
    assert other.query("p53").first == "Instruct: Refute it\nQuery:p53"


def test_a_missing_instruction_is_refused() -> None:
    with pytest.raises(ModelError, match="needs an instruction"):
        side_recipe(with_sides(Side(template="{instruction} {query}")), "query")


def test_pairs_and_separators() -> None:
    pair = side_recipe(with_sides(document=Side(pair=("{title}", "{text}"))), "document")
    assert pair.document(DOCUMENT) == SideInput("A title", "A text.")
    joined = side_recipe(with_sides(document=Side(template="{title}{sep}{text}")), "document")
    assert joined.document(DOCUMENT, separator="[SEP]") == SideInput("A title[SEP]A text.")


@pytest.mark.parametrize(
    "template", ["{abstract}", "{text.__class__}", "{text!r}", "{text:>10}", "{", "}", "{}", "{0}"]
)
def test_a_template_with_an_unknown_field_is_refused(template: str) -> None:
    with pytest.raises(ModelError, match="template"):
        side_recipe(with_sides(Side(template=template)), "query")


def test_the_hash_of_the_embedded_recipe_never_changes() -> None:
    # Indexes on disk carry it: a change here makes every one of them unusable.
    assert recipe_hash(BASE) == GOLDEN


def test_two_spellings_hash_alike() -> None:
    bare = Encoding(
        type="bi-encoder",
        grade="A",
        query=Side(template="{query}", max_length=256),
        document=Side(max_length=256),
        pooling="mean",
        normalise=True,
        instructions={"nfcorpus": "Find it"},
        traps=("a trap",),
        note="a note",
    )
    assert recipe_hash(bare) == recipe_hash(BASE)


@pytest.mark.parametrize(
    "changed",
    [
        with_sides(BASE.query, Side(template="{text}", max_length=256)),
        with_sides(BASE.query, Side(template="{title} {text}", max_length=512)),
        with_sides(BASE.query, Side(pair=("{title}", "{text}"), max_length=256)),
        with_sides(Side(template="query: {text}", max_length=256), BASE.document),
        msgspec.structs.replace(BASE, pooling="cls"),
        msgspec.structs.replace(BASE, normalise=False),
        msgspec.structs.replace(BASE, similarity="dot"),
        msgspec.structs.replace(BASE, append="eos"),
        msgspec.structs.replace(BASE, padding_side="left"),
        msgspec.structs.replace(BASE, instruction="Find it"),
        with_sides(Side(model="a", max_length=256), Side(model="b", max_length=256)),
    ],
)
def test_every_field_that_changes_a_vector_changes_the_hash(changed: Encoding) -> None:
    assert recipe_hash(changed) != recipe_hash(BASE)


MODELS = Path(__file__).resolve().parents[2] / "data" / "models.yaml"


def test_the_catalogues_recipe_of_the_embedded_model_is_the_one_that_runs() -> None:
    models = yaml.load(MODELS.read_text(), yaml.CSafeLoader)["models"]
    (model,) = [model for model in models if embedded.MODEL_ID in model.get("hub", ())]
    recipe = msgspec.convert(model["encoding"], Encoding)
    assert recipe_hash(recipe) == recipe_hash(embedded.RECIPE)
    assert model["dimension"] == embedded.DIMENSION
    assert model["licence"].lower() == embedded.LICENCE.lower()
