"""The trainer on a tiny model: what moves, what is kept, and how a run goes on."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import recipe, save_long_bert

from bioretrieval_tui.catalog.models import Encoding, Side, TrainingSettings
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.errors import InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.progress import Progress, silent
from bioretrieval_tui.training import losses, training_watch
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.hyperparameters import choose
from bioretrieval_tui.training.own_models import curve_of, last_checkpoint
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.trainer import finish_early, fit, measure
from bioretrieval_tui.training.training_watch import DivergedError, TrainingWatch

WORDS = "liver statin muscle pain gene cell trial heart failure".split()


def examples(count: int = 64, seed: int = 1) -> list[Example]:
    """A query of two words, and a document that has both."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        one, other = draw.sample(WORDS, 2)
        document = Document(str(number), one, f"the {other} of {one} in trial {number}")
        wrong = Document(f"-{number}", "title", f"in and of the {number}")
        scores = (1.0, 0.25)
        found.append(Example(str(number), f"{one} {other}", document, (wrong,), 0.5, scores))
    return found


def settings(**given: str) -> TrainingSettings:
    usual = {"learning_rate": "0.001", "precision": "float32", "batch": "16", "steps": "6"}
    return choose(None, usual | given).settings


def weights(model: Any) -> dict[str, Any]:
    return {name: one.detach().clone() for name, one in model.named_parameters()}


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, one in before.items() if not bool((one == after[name]).all())}


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "margin-mse", "kl", "mesh"])
def test_the_loss_falls(tiny: Path, tmp_path: Path, loss: str) -> None:
    chosen = settings(loss=loss, steps="12")
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), chosen, examples(), [], tmp_path, silent)
    losses = [value for _, value in done.losses]
    assert len(losses) == done.steps == 12
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert done.trained[0] == done.trained[1]


def test_only_the_adapter_is_trained_and_merged(tiny: Path, tmp_path: Path) -> None:
    model = trainable_model(str(tiny), recipe())
    before = weights(model)
    chosen = settings(**{"lora.rank": "4", "lora.targets": "query,value"})
    done = fit(model, recipe(), chosen, examples(), [], tmp_path, silent)
    after = weights(model)
    assert after.keys() == before.keys()  # merged: no weight of an adapter is left
    changed = moved(before, after)
    assert changed
    assert all(".query.weight" in name or ".value.weight" in name for name in changed)
    assert 0 < done.trained[0] < done.trained[1] / 20


def test_a_layer_that_is_not_there_is_named(tiny: Path, tmp_path: Path) -> None:
    chosen = settings(**{"lora.targets": "q_proj"})
    with pytest.raises(UsageError, match="no layer is named q_proj") as raised:
        fit(
            trainable_model(str(tiny), recipe()), recipe(), chosen, examples(), [], tmp_path, silent
        )
    assert "query" in (raised.value.remedy or "")


def test_the_same_seed_gives_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    found = []
    for run, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        model = trainable_model(str(tiny), recipe())
        fit(model, recipe(), settings(seed=seed), examples(), [], tmp_path / run, silent)
        found.append(weights(model))
    assert moved(found[0], found[1]) == set()
    assert moved(found[0], found[2])


def test_the_best_weights_are_kept(tiny: Path, tmp_path: Path) -> None:
    """A learning rate that ruins the model leaves the weights that it began with."""
    model = trainable_model(str(tiny), recipe())
    before = weights(model)
    held = examples(20, seed=9)
    done = fit(
        model, recipe(), settings(learning_rate="0.5", warmup="0"), examples(), held, tmp_path,
        silent,
    )  # fmt: skip
    seen = {one.step: one.score for one in done.watched}
    assert {0, 6} <= seen.keys()
    assert [one.step for one in done.watched if one.kept][-1] == done.best
    assert done.best >= max(seen, key=lambda step: (seen[step], -step))
    assert done.best == 0 or seen[done.best] > seen[0]
    assert (moved(before, weights(model)) == set()) == (done.best == 0)


class Looks:
    """An evaluator that is told what it sees."""

    def __init__(self, *looks: Sequence[float]) -> None:
        self.looks, self.each = iter(looks), looks[0]

    def __call__(self, _: object) -> dict[str, float]:
        self.each = next(self.looks)
        return {"held_ndcg@10": sum(self.each) / len(self.each)}


@pytest.mark.parametrize(
    ("looks", "kept"),
    [
        # Lower than the highest by less than chance: the last is kept.
        ([(0.5, 0.4, 0.3, 0.6), (0.7, 0.4, 0.5, 0.8), (0.5, 0.6, 0.5, 0.7)], [0, 1, 2]),
        # Every query is ranked a little worse: that is no chance.
        ([(0.5, 0.4, 0.3, 0.6), (0.7, 0.6, 0.5, 0.8), (0.68, 0.58, 0.48, 0.78)], [0, 1]),
        # It is not better than the base.
        ([(0.5, 0.4, 0.3, 0.6), (0.2, 0.4, 0.9, 0.3)], [0]),
        # The highest is remembered, not the one that was kept last.
        (
            [
                (0.1, 0.1, 0.1, 0.1),
                (0.9, 0.5, 0.7, 0.6),
                (0.7, 0.6, 0.6, 0.7),
                (0.5, 0.5, 0.6, 0.6),
            ],
            [0, 1, 2],
        ),
        ([(0.5,), (0.4,), (0.6,)], [0, 2]),
    ],
)
@pytest.mark.parametrize("resumed", [False, True])
def test_which_weights_are_kept(
    looks: Sequence[Sequence[float]], kept: list[int], resumed: bool, tmp_path: Path
) -> None:
    import torch

    model = torch.nn.Linear(1, 1)
    watch = TrainingWatch(tmp_path, silent, Looks(*looks), 9, 1, "cpu")
    watch.begin(model, resumed=False)
    for step in range(1, len(looks)):
        if resumed:
            watch = TrainingWatch(tmp_path, silent, Looks(*looks[step:]), 9, 1, "cpu")
            watch.begin(model, resumed=True)
        watch._look(model, step)
    assert [one.step for one in watch.watched if one.kept] == kept
    assert watch.best is not None
    assert watch.best.step == kept[-1]


class Killed(InterruptedByUser):
    pass


def test_a_run_that_was_ended_goes_on_as_if_it_was_not(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_watch, "SAVED_EVERY", 0.0)
    whole = trainable_model(str(tiny), recipe())
    fit(whole, recipe(), settings(), examples(), [], tmp_path / "whole", silent)

    def until(step: int) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            if progress.stage == "training" and progress.done >= step:
                raise Killed("ended")

        return report

    with pytest.raises(Killed):
        fit(
            trainable_model(str(tiny), recipe()), recipe(), settings(), examples(), [],
            tmp_path / "ended", until(4),
        )  # fmt: skip
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), settings(), examples(), [], tmp_path / "ended", silent)
    assert done.resumed >= 3
    assert [step for step, _ in done.losses] == [1, 2, 3, 4, 5, 6]
    assert moved(weights(whole), weights(model)) == set()


LONG = os.environ.get("BIORETRIEVAL_FAULTS") == "long"


@pytest.mark.parametrize("lora", ["no", "yes"] if LONG else ["yes"])
def test_a_run_that_is_interrupted_keeps_its_last_step(
    tiny: Path, tmp_path: Path, lora: str
) -> None:
    chosen = settings(lora=lora)
    whole = trainable_model(str(tiny), recipe())
    fit(whole, recipe(), chosen, examples(), [], tmp_path / "whole", silent)
    done_steps: list[int] = []

    def forward(*given: Any, **named: Any) -> Any:
        """As the model, but in the fifth step dropout has drawn numbers when ctrl+c comes."""
        found = plain(*given, **named)
        if done_steps == [1, 2, 3, 4]:
            raise KeyboardInterrupt
        return found

    model = trainable_model(str(tiny), recipe())
    plain, model.forward = model.forward, forward
    with pytest.raises(KeyboardInterrupt):
        fit(
            model, recipe(), chosen, examples(), [], tmp_path / "ended",
            lambda progress: done_steps.append(progress.done),
        )  # fmt: skip
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), chosen, examples(), [], tmp_path / "ended", silent)
    assert done.resumed == 4
    for name, one in weights(whole).items():
        np.testing.assert_allclose(one, weights(model)[name], atol=1e-6, err_msg=name)


def test_half_a_step_is_not_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = TrainingWatch.weights_change
    steps: list[int] = []

    def stop(watch: TrainingWatch) -> None:
        changed(watch)
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingWatch, "weights_change", stop)
    model = trainable_model(str(tiny), recipe())
    with pytest.raises(KeyboardInterrupt):
        fit(model, recipe(), settings(), examples(), [], tmp_path, silent)
    assert last_checkpoint(tmp_path / "checkpoints") is None


def test_the_best_weights_so_far_can_be_taken(tiny: Path, tmp_path: Path) -> None:
    chosen, held = settings(learning_rate="0.003", steps="12"), examples(20, seed=9)

    def report(progress: Progress) -> None:
        if progress.stage == "training" and progress.done == 8:
            raise Killed("ended")

    with pytest.raises(Killed):
        fit(
            trainable_model(str(tiny), recipe()), recipe(), chosen, examples(), held, tmp_path,
            report,
        )  # fmt: skip
    model = trainable_model(str(tiny), recipe())
    before = weights(model)
    curve = curve_of(tmp_path)
    assert curve is not None
    assert curve.best is not None
    if curve.best.step == 0:
        with pytest.raises(UsageError, match="no weights ranked the held-out queries better"):
            finish_early(model, chosen, tmp_path)
        return
    done = finish_early(model, chosen, tmp_path)
    assert (done.best, done.planned) == (curve.best.step, 12)
    assert moved(before, weights(model))


def test_a_step_is_measured_and_nothing_kept(tiny: Path) -> None:
    model = trainable_model(str(tiny), recipe())
    told: list[Progress] = []
    cost = measure(model, recipe(), settings(steps="99"), examples(), told.append)
    assert [one.done for one in told] == list(range(1, 11))
    assert cost.seconds > 0
    assert cost.memory > 2**20


def test_a_run_with_an_adapter_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_watch, "SAVED_EVERY", 0.0)
    chosen = settings(lora="yes")
    whole = trainable_model(str(tiny), recipe())
    fit(whole, recipe(), chosen, examples(), [], tmp_path / "whole", silent)

    def report(progress: Progress) -> None:
        if progress.stage == "training" and progress.done >= 4:
            raise Killed("ended")

    model = trainable_model(str(tiny), recipe())
    with pytest.raises(Killed):
        fit(model, recipe(), chosen, examples(), [], tmp_path / "ended", report)
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), chosen, examples(), [], tmp_path / "ended", silent)
    assert done.resumed >= 3
    for name, one in weights(whole).items():
        np.testing.assert_allclose(one, weights(model)[name], atol=1e-6, err_msg=name)


def test_a_loss_that_is_no_number_ends_the_run(tiny: Path, tmp_path: Path) -> None:
    model = trainable_model(str(tiny), recipe())
    model[0].model.embeddings.word_embeddings.weight.data.fill_(float("nan"))
    with pytest.raises(DivergedError, match="the loss is no number after 1 step"):
        fit(model, recipe(), settings(), examples(), [], tmp_path, silent)


def test_what_is_saved_encodes_as_the_recipe_says(tiny: Path, tmp_path: Path) -> None:
    model = trainable_model(str(tiny), recipe())
    fit(model, recipe(), settings(), examples(), [], tmp_path / "work", silent)
    model.save(str(tmp_path / "saved"), create_model_card=False)
    document = Document("1", "statin", "muscle pain in a trial")
    encoder = load_encoder(str(tmp_path / "saved"), recipe())
    before = load_encoder(str(tiny), recipe())
    vectors = [one.encode_documents([document])[0].astype(np.float32) for one in (encoder, before)]
    assert not np.allclose(*vectors, atol=1e-3)  # it was trained
    texts = losses.Texts(recipe(), settings(), model.tokenizer)
    expected = model.encode([texts.document(document)])[0]
    np.testing.assert_allclose(vectors[0], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pad_to_max_length": True, "pooling": "mean"}, "it counts padding in its vectors"),
        ({"document": Side(pair=("{title}", "{text}"))}, "it reads a pair of segments"),
        ({"type": "cross-encoder"}, "it is a cross-encoder"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(
    tiny: Path, changed: dict[str, Any], said: str
) -> None:
    wanted: Encoding = recipe(**changed)
    with pytest.raises(ModelError, match=said):
        trainable_model(str(tiny), wanted)


def test_losses_that_need_negatives_say_so(tiny: Path, tmp_path: Path) -> None:
    plain = [one._replace(negatives=()) for one in examples()]
    with pytest.raises(UsageError, match="the loss triplet needs negatives"):
        fit(
            trainable_model(str(tiny), recipe()), recipe(), settings(loss="triplet"), plain, [],
            tmp_path, silent,
        )  # fmt: skip


@pytest.mark.parametrize("loss", ["margin-mse", "kl"])
def test_losses_that_need_a_teacher_say_so(loss: str) -> None:
    plain = [one._replace(scores=()) for one in examples()]
    with pytest.raises(UsageError, match=f"the loss {loss} needs the scores of a teacher"):
        losses.columns_of(plain, None, settings(loss=loss))


def test_a_model_that_reads_more_than_was_trained_on_still_does(tmp_path: Path) -> None:
    folder = save_long_bert(tmp_path / "bert")
    long = recipe(document=Side(template="{title} {text}", max_length=400))
    model = trainable_model(str(folder), long)
    chosen = settings(document_length="32", steps="1")
    fit(model, long, chosen, examples(), [], tmp_path / "work", silent)
    model.save(str(tmp_path / "saved"), create_model_card=False)
    assert load_encoder(str(tmp_path / "saved"), long).max_tokens == 400


def test_a_long_curve_is_thinned_and_ends_where_the_training_is(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_watch, "_MOST_POINTS", 4)
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), settings(steps="7"), examples(), [], tmp_path, silent)
    assert len(done.losses) <= 4
    assert done.losses[-1][0] == 7
