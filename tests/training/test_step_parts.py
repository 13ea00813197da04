"""Steps that do not fit into memory: what torch raises then, and the same weights all the same."""

from __future__ import annotations

from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_trainer import examples, settings, weights
from tiny_models import recipe, save_bert, save_long_bert

from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, silent
from bioretrieval_tui.training import several_devices
from bioretrieval_tui.training.own_models import Fitted
from bioretrieval_tui.training.reranker_training import reranking_task, trainable_reranker
from bioretrieval_tui.training.step_parts import ShortOfMemoryError, halved
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.trainer import fit

SHORT = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT without dropout, so that parts draw no other one."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return save_bert(tmp_path_factory.mktemp("undropped") / "bert", **none)


def train(base: Path, folder: Path, most: int | None = None, **chosen: str) -> tuple[Any, Fitted]:
    """A model that was trained where at most `most` texts fit, and its outcome."""
    model = trainable_model(str(base), recipe())

    def check(module: Any, given: tuple[Any, ...]) -> None:
        if module.training and most is not None and len(given[0]["input_ids"]) > most:
            raise torch.OutOfMemoryError(SHORT)

    model[0].register_forward_pre_hook(check)
    told: list[str] = []
    done = fit(
        model, recipe(), settings(steps="4", **chosen), examples(48), [], folder,
        lambda step: told.append(step.note or ""),
    )  # fmt: skip
    said = [f"memory is short: {size} pairs are computed at a time" for size in (8, 4)]
    assert [one in told for one in said] == [most is not None] * 2
    return model, done


def close(one: Any, other: Any) -> None:
    """But for the biases of keys, which make no difference: their gradients are noise."""
    for name, weight in weights(one).items():
        if name.endswith("key.bias"):
            continue
        np.testing.assert_allclose(weight, weights(other)[name], atol=3e-4, err_msg=name)


@pytest.mark.parametrize("loss", ["contrastive", "mesh", "triplet"])
def test_a_step_in_parts_is_the_same_step(tiny: Path, tmp_path: Path, loss: str) -> None:
    whole, usual = train(tiny, tmp_path / "whole", loss=loss)
    model, done = train(tiny, tmp_path / "parts", most=5, loss=loss)
    # The triplet loss reads positives and negatives as one batch.
    assert (usual.at_once, done.at_once, done.steps) == (0, 2 if loss == "triplet" else 4, 4)
    close(model, whole)
    assert [step for step, _ in done.losses] == [1, 2, 3, 4]
    assert [loss for _, loss in done.losses] == pytest.approx(
        [loss for _, loss in usual.losses], rel=1e-3, abs=1e-4
    )
    assert moved_far(model, tiny)


@pytest.mark.parametrize("loss", ["scores", "kl"])
def test_a_step_of_a_reranker_in_parts_is_the_same_step(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, loss: str
) -> None:
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    base = save_long_bert(tmp_path / "cross", labels=1, **none)
    reads = recipe(type="cross-encoder", query=None, document=None)
    found = []
    for most in (None, 5):
        chosen = settings(steps="3", loss=loss, kind="reranker")
        model = trainable_reranker(str(base), reads, chosen, fresh=False)

        def check(module: Any, given: tuple[Any, ...], most: int | None = most) -> None:
            if module.training and most is not None and len(given[0]["input_ids"]) > most:
                raise torch.OutOfMemoryError(SHORT)

        model[0].register_forward_pre_hook(check)
        done = fit(
            model, reads, chosen, examples(48), [], tmp_path / str(most), silent,
            task_of=reranking_task,
        )  # fmt: skip
        found.append((model, done))
    (whole, usual), (model, done) = found
    assert usual.at_once == 0
    assert 0 < done.at_once <= 5
    close(model, whole)
    assert [loss for _, loss in done.losses] == pytest.approx(
        [loss for _, loss in usual.losses], rel=1e-3, abs=1e-4
    )


def moved_far(model: Any, base: Path) -> bool:
    """Whether the weights moved farther than what `close` allows."""
    before = weights(trainable_model(str(base), recipe()))
    return any(float((one - before[name]).abs().max()) > 2e-3
               for name, one in weights(model).items())  # fmt: skip


def test_what_a_backward_pass_left_does_not_count(tiny: Path, tmp_path: Path) -> None:
    """Memory runs out while gradients are computed, of which the last layers have theirs."""
    whole, _ = train(tiny, tmp_path / "whole")
    model = trainable_model(str(tiny), recipe())
    raised: list[int] = []

    def run_out(*_: Any) -> None:
        if not raised:
            raised.append(1)
            raise torch.OutOfMemoryError(SHORT)

    model[0].model.encoder.layer[0].attention.register_full_backward_hook(run_out)
    done = fit(model, recipe(), settings(steps="4"), examples(48), [], tmp_path / "late", silent)
    assert (raised, done.at_once) == ([1], 8)
    close(model, whole)


def test_a_pair_that_does_not_fit_is_told(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a single pair does not fit into memory; --set document"):
        train(tiny, tmp_path, most=0)


def test_moments_that_do_not_fit_are_told(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError(SHORT)

    monkeypatch.setattr(torch.optim.AdamW, "step", run_out)
    with pytest.raises(ModelError, match="their gradients and moments do not fit into the memory"):
        train(tiny, tmp_path)


def test_several_processes_begin_again_with_smaller_parts(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, other = Pipe()
    line.send(ShortOfMemoryError(8))
    error = other.recv()
    assert (error.rows, halved(error.rows)) == (8, 4)
    tried: list[int | None] = []
    done = Fitted(4, 0.0, (), (), 4, 0, (1, 1), at_once=4)
    model = trainable_model(str(tiny), recipe())
    from bioretrieval_tui.training.training_watch import save_weights

    def together(*given: Any) -> Fitted:
        tried.append(given[1].most)
        if len(tried) == 1:
            raise error
        save_weights(model.state_dict(), tmp_path / several_devices.WEIGHTS)
        return done

    monkeypatch.setattr(several_devices, "_together", together)
    told: list[Progress] = []
    found = fit(
        model, recipe(), settings(), examples(), [], tmp_path, told.append, device="cpu,cpu",
        load=partial(trainable_model, str(tiny), recipe()),
    )  # fmt: skip
    assert (found, tried) == (done, [None, 4])
    assert told[-1].note == "memory is short: 4 pairs are computed at a time"
