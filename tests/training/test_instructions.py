"""Examples as a decoder model reads them: BMRetriever's format is part of its encoding recipe."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import pytest
import yaml

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.recipe import SideInput, side_recipe
from bioretrieval_tui.training.examples import Example, title_pairs

TASKS = {
    None: "Given a question, retrieve relevant documents that best answer the question",
    "nfcorpus": "Given a question, retrieve relevant documents that best answer the question",
    "scifact": "Given a scientific claim, retrieve documents that support or refute the claim",
    "scidocs": "Given a scientific paper title, retrieve paper abstracts that are cited by the"
    " given paper",
    "trec-covid": "Given a query on COVID-19, retrieve documents that answer the query",
}
"""The sentences of `prompt.py` of github.com/ritaranx/BMRetriever; None: without a benchmark."""


MODELS = Path(__file__).parents[2] / "data" / "models.yaml"


@cache
def recipe_of(size: str) -> Encoding:
    models = yaml.load(MODELS.read_text(), yaml.CSafeLoader)["models"]
    (model,) = (one for one in models if one["id"] == f"bmretriever-{size}")
    return msgspec.convert(model["encoding"], Encoding)


@pytest.mark.parametrize("size", ["410m", "1b", "2b", "7b"])
def test_the_format_of_bmretriever(size: str) -> None:
    """As `get_detailed_instruct_query`, `get_detailed_instruct_passage` and the corpus of `eval.py`
    write it there, with the end token appended."""
    recipe = recipe_of(size)
    example = Example(
        "1", "Does {aspirin} help?\n", Document("2", " Title ", "The text."),
        (Document("3", "", "Another text."),),
    )  # fmt: skip
    for benchmark, task in TASKS.items():
        own = recipe.instructions[benchmark] if benchmark else None
        query = side_recipe(recipe, "query", instruction=own).query(example.query)
        assert query == SideInput(f"{task}\nQuery: Does {{aspirin}} help?")
    document = side_recipe(recipe, "document")
    positive, negative = map(document.document, (example.positive, *example.negatives))
    assert positive == SideInput("Represent this passage\npassage: Title The text.")
    assert negative == SideInput("Represent this passage\npassage: Another text.")
    assert (recipe.append, recipe.pooling, recipe.normalise) == ("eos", "last", False)
    assert query.second is None


def test_a_title_is_not_in_the_passage_that_it_asks_for() -> None:
    recipe = recipe_of("410m")
    document = Document("1", "A title of four words", "A text of more words.")
    (example,) = title_pairs([document], "x", []).examples
    read = side_recipe(recipe, "document").document(example.positive)
    assert read == SideInput("Represent this passage\npassage: A text of more words.")
    asked = side_recipe(recipe, "query").query(example.query)
    assert asked == SideInput(f"{TASKS[None]}\nQuery: A title of four words")
