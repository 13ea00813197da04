"""Training in two processes that share each batch, here by gloo on the CPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_trainer import Killed, examples, moved, settings, weights
from tiny_models import recipe, save_bert

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.progress import Progress, silent
from bioretrieval_tui.training import own_models, several_devices, training_watch
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.several_devices import even_batch, needs_processes
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.trainer import fit


def train(
    base: Path, folder: Path, *, device: str = "cpu,cpu", reporter: Any = silent,
    held: list[Example] | None = None, **chosen: str,
) -> tuple[Any, Any]:  # fmt: skip
    """Model and outcome."""
    load = partial(trainable_model, str(base), recipe())
    model = load()
    done = fit(
        model, recipe(), settings(**chosen), distinct(64), held or [], folder, reporter,
        device=device, load=load,
    )  # fmt: skip
    return model, done


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT without dropout, which draws otherwise in two processes than in one."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return save_bert(tmp_path_factory.mktemp("undropped") / "bert", **none)


def distinct(count: int) -> list[Example]:
    """No query or document twice: the batches of one process are the shares of two together."""
    return [one._replace(query=f"{one.query} {number}")
            for number, one in enumerate(examples(count))]  # fmt: skip


def close(one: Any, other: Any) -> None:
    """But for the biases of keys, which make no difference: their gradients are noise."""
    for name, weight in weights(one).items():
        if name.endswith("key.bias"):
            continue
        np.testing.assert_allclose(weight, weights(other)[name], atol=2e-4, err_msg=name)


def at_step(step: int, then: Callable[[], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.stage == "training" and progress.done == step:
            then()

    return report


def children(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that are started from now on."""
    started: list[Any] = []
    group = several_devices._Group

    class Known(group):
        def __init__(self, names: Any) -> None:
            super().__init__(names)
            started.extend(self._children)

    monkeypatch.setattr(several_devices, "_Group", Known)
    return started


def test_one_line_says_which_process_was_killed_and_the_next_run_ends_as_one_process_would(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a batch that two devices cannot share."""
    started, held = children(monkeypatch), examples(8, 5)
    monkeypatch.setattr(training_watch, "SAVED_EVERY", 0.0)
    kill = at_step(3, lambda: os.kill(started[1].pid, signal.SIGKILL))
    said = "process 2 of 2, on cpu, was ended by SIGKILL; the same call goes on"
    with pytest.raises(BioRetrievalError, match=said):
        train(tiny, tmp_path / "two", reporter=kill, held=held, batch="7", steps="8")
    assert [one.poll() is None for one in started] == [False, False]
    told: list[Progress] = []
    both, done = train(
        tiny, tmp_path / "two", reporter=told.append, held=held, batch="7", steps="8"
    )
    assert told[0].note == "8 pairs a step, 4 on each of 2 devices"
    assert done.resumed >= 1
    one, alone = train(tiny, tmp_path / "one", device="cpu", held=held, batch="8", steps="8")
    close(both, one)
    losses = [value for _, value in done.losses]
    assert losses == pytest.approx([value for _, value in alone.losses], abs=1e-3)
    assert losses[-1] < losses[0]
    for both_score, score in zip(done.watched, alone.watched, strict=True):
        assert both_score.step == score.step
        assert both_score.score == pytest.approx(score.score, abs=0.06)  # some nearly tie
    assert (done.steps, done.trained, done.batch) == (alone.steps, alone.trained, 8)
    steps = [one.done for one in told if one.stage == "training" and one.done]
    assert steps == list(range(done.resumed + 1, 9))
    assert not (tmp_path / "two" / several_devices.WEIGHTS).exists()


@pytest.mark.skipif(
    os.environ.get("BIORETRIEVAL_FAULTS") != "long", reason="a minute of starting processes"
)
def test_a_run_that_is_stopped_keeps_its_step_and_goes_on_elsewhere(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an adapter and a loss over single examples; it goes on in one process."""
    chosen = {"steps": "12", "loss": "triplet", "lora.rank": "4", "lora.targets": "query"}
    chosen["lora.dropout"] = "0"
    started = children(monkeypatch)

    def stop() -> None:
        raise Killed("ended")

    with pytest.raises(Killed):
        train(tiny, tmp_path / "ended", reporter=at_step(2, stop), **chosen)
    kept = own_models.last_checkpoint(tmp_path / "ended" / own_models.CHECKPOINTS)
    assert kept is not None
    assert 2 <= int(kept.name.partition("-")[2]) < 12
    assert [one.poll() is None for one in started] == [False, False]
    model, done = train(tiny, tmp_path / "ended", device="cpu", **chosen)
    assert done.resumed == int(kept.name.partition("-")[2])
    assert [step for step, _ in done.losses] == list(range(1, 13))
    whole, _ = train(tiny, tmp_path / "whole", device="cpu", **chosen)
    close(model, whole)
    before = weights(trainable_model(str(tiny), recipe()))
    changed = moved(before, weights(model))
    assert changed
    assert all(".query.weight" in name for name in changed)


@pytest.mark.parametrize(
    ("batch", "devices", "pairs", "expected"),
    [(32, 2, 100, 32), (32, 3, 100, 33), (2, 4, 100, 4), (64, 2, 21, 20), (32, 2, 1, 2)],
)
def test_a_batch_is_shared_evenly(batch: int, devices: int, pairs: int, expected: int) -> None:
    assert even_batch(batch, devices, pairs) == expected


def test_devices_that_need_processes() -> None:
    assert list(map(needs_processes, ("cpu", "cuda", "cuda:0", "mps"))) == [False] * 4
    assert needs_processes("cuda:1")
    assert needs_processes("cuda:0,cuda:1")


def test_an_error_of_a_process_says_what_it_would_here() -> None:
    line, other = Pipe()
    line.send(UsageError("no layer", remedy="its layers: query"))
    error = other.recv()
    assert isinstance(error, UsageError)
    assert error.line() == "no layer; its layers: query"
