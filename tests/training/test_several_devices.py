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
from bioretrieval_tui.training import several_devices, trainer
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
    for name, weight in weights(one).items():
        np.testing.assert_allclose(weight, weights(other)[name], atol=2e-4, err_msg=name)


def test_two_processes_give_the_weights_of_one(tiny: Path, tmp_path: Path) -> None:
    steps: list[Progress] = []
    held = examples(8, 5)
    both, done = train(tiny, tmp_path / "two", reporter=steps.append, held=held)
    one, alone = train(tiny, tmp_path / "one", device="cpu", held=held)
    close(both, one)
    losses = [value for _, value in done.losses]
    assert losses == pytest.approx([value for _, value in alone.losses], abs=1e-4)
    assert losses[-1] < losses[0]
    for both_score, score in zip(done.watched, alone.watched, strict=True):
        assert both_score.step == score.step
        assert both_score.score == pytest.approx(score.score, abs=0.06)  # some nearly tie
    assert (done.steps, done.trained, done.batch) == (alone.steps, alone.trained, 0)
    assert [one.done for one in steps if one.stage == "training"] == [1, 2, 3, 4, 5, 6]
    assert not (tmp_path / "two" / several_devices.WEIGHTS).exists()


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


def test_a_process_that_is_killed_ends_the_run_with_one_line(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = children(monkeypatch)
    kill = at_step(2, lambda: os.kill(started[1].pid, signal.SIGKILL))
    said = "process 2 of 2, on cpu, was ended by SIGKILL; the same call goes on"
    with pytest.raises(BioRetrievalError, match=said):
        train(tiny, tmp_path, reporter=kill, steps="500")
    assert [one.poll() is None for one in started] == [False, False]


def test_a_stop_ends_both_and_the_next_run_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an adapter, a loss over single examples, and a batch that two devices cannot share."""
    chosen = {"steps": "8", "loss": "triplet", "lora.rank": "4", "lora.targets": "query"}
    chosen["lora.dropout"] = "0"
    started = children(monkeypatch)
    monkeypatch.setattr(trainer, "SAVED_EVERY", 0.0)

    def stop(progress: Progress) -> None:
        if trainer.last_checkpoint(tmp_path / "ended/checkpoints") is not None:
            raise Killed("ended")

    with pytest.raises(Killed):
        train(tiny, tmp_path / "ended", reporter=stop, batch="7", **chosen)
    assert [one.poll() is None for one in started] == [False, False]
    notes: list[str] = []
    model, done = train(
        tiny, tmp_path / "ended", reporter=lambda one: notes.append(one.note or ""), batch="7",
        **chosen,
    )  # fmt: skip
    assert notes[0] == "8 pairs a step, 4 on each of 2 devices"
    assert done.batch == 8
    assert done.resumed >= 1
    assert [step for step, _ in done.losses] == list(range(1, 9))
    whole, _ = train(tiny, tmp_path / "whole", device="cpu", batch="8", **chosen)
    close(model, whole)
    before = weights(trainable_model(str(tiny), recipe()))
    changed = moved(before, weights(model))
    assert changed
    assert all(".query.weight" in name for name in changed)


def test_an_error_of_a_process_says_what_it_would_here() -> None:
    line, other = Pipe()
    line.send(UsageError("no layer", remedy="its layers: query"))
    error = other.recv()
    assert isinstance(error, UsageError)
    assert error.line() == "no layer; its layers: query"
