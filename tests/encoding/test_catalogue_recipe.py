"""The catalogue and the embedded model tell one story: one recipe, one set of vectors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.recipe import recipe_hash

MODELS = Path(__file__).resolve().parents[2] / "data" / "models.yaml"


def test_the_catalogues_recipe_of_the_embedded_model_is_the_one_that_runs() -> None:
    models = yaml.load(MODELS.read_text(), yaml.CSafeLoader)["models"]
    (model,) = [model for model in models if embedded.MODEL_ID in model.get("hub", ())]
    recipe = msgspec.convert(model["encoding"], Encoding)
    assert recipe_hash(recipe) == recipe_hash(embedded.RECIPE)
    assert model["dimension"] == embedded.DIMENSION
    assert model["licence"].lower() == embedded.LICENCE.lower()
