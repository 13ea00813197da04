"""Settings of a training: which value holds, and what is said of wrong ones."""

from __future__ import annotations

import msgspec
import pytest

from bioretrieval_tui.catalog.models import Lora, Recipe, Training
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.training.hyperparameters import DEFAULTS, LORA, choose
from bioretrieval_tui.training.training_request import TrainingRequest

RECIPE = Recipe(
    id="train-it",
    name="It",
    model="it",
    method="as it says",
    summary="A recipe.",
    sources=("its-paper",),
    added="2026-11-30",
    training=Training(runnable="yes", batch=64, epochs=5.0, lora=Lora(rank=4)),
)


def test_the_user_comes_before_the_recipe_and_the_recipe_before_defaults() -> None:
    chosen = choose(RECIPE, {"batch": "128"})
    assert (chosen.settings.batch, chosen.origins["batch"]) == (128, "set")
    assert (chosen.settings.epochs, chosen.origins["epochs"]) == (5.0, "recipe")
    assert chosen.origins["learning_rate"] == "default"
    assert chosen.settings.learning_rate == DEFAULTS.learning_rate
    # What the recipe does not say of its adapter is the usual.
    assert chosen.settings.lora == Lora(rank=4, alpha=LORA.alpha, dropout=LORA.dropout)
    assert ("batch", "128", "set") in chosen.lines()


@pytest.mark.parametrize(
    ("given", "steps", "epochs"),
    [({}, None, 5.0), ({"steps": "7"}, 7, None), ({"epochs": "2"}, None, 2.0)],
)
def test_steps_and_epochs_are_one_setting(
    given: dict[str, str], steps: int | None, epochs: float | None
) -> None:
    settings = choose(RECIPE, given).settings
    assert (settings.steps, settings.epochs) == (steps, epochs)


def test_an_adapter_is_set_and_taken_away() -> None:
    assert choose(None, {"lora": "yes"}).settings.lora == LORA
    assert choose(None, {"lora.targets": "query,value"}).settings.lora.targets == ("query", "value")
    assert choose(RECIPE, {"lora": "no"}).settings.lora is None
    assert choose(None, {}).settings.lora is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bach": "2"}, "there is no setting bach; did you mean batch?"),
        ({"lora.rnk": "2"}, "there is no setting lora.rnk; did you mean lora.rank?"),
        ({"batch": "1"}, "batch=1 cannot be; batch is a whole number of at least 2"),
        ({"batch": "many"}, "batch=many cannot be; batch is a whole number"),
        ({"loss": "hinge"}, "loss=hinge cannot be; loss is contrastive, kl"),
        ({"lora": "maybe"}, "lora is yes or no, not maybe"),
        (
            {"learning_rate": "nan"},
            "learning_rate=nan cannot be; learning_rate is a number above 0",
        ),
    ],
)
def test_wrong_values_are_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        choose(None, given)
    assert raised.value.line().startswith(said)


def test_no_dropout_of_an_adapter_is_a_value() -> None:
    lora = choose(None, {"lora.dropout": "0", "lora.rank": "4"}).settings.lora
    assert lora is not None
    assert (lora.rank, lora.alpha, lora.dropout) == (4, 32.0, 0.0)


def test_a_licence_that_forbids_derivatives_is_told() -> None:
    asked = TrainingRequest(name="mine", base="lab/base", settings=choose(None, {}).settings)
    assert asked.caution == ""
    bound = msgspec.structs.replace(asked, licence="CC-BY-NC-ND-4.0")
    said = "the licence of lab/base, CC-BY-NC-ND-4.0, forbids derivatives"
    assert bound.caution.startswith(said)
    for licence in ("Apache-2.0", "and others", "CC-BY-4.0"):
        assert msgspec.structs.replace(asked, licence=licence).caution == ""
