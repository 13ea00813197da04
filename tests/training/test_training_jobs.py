"""A training in the background: killed, resumed, stopped, resumed, and what comes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_models import recipe

from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.main import run
from bioretrieval_tui.paths import places
from bioretrieval_tui.training.own_models import models_folder, own_model, unfinished
from bioretrieval_tui.training.trainable_models import trainable_model

STEPS = 300
SETTINGS = [f"steps={STEPS}", "batch=4", "learning_rate=1e-3", "precision=float32", "held_out=0"]


def words(*given: object) -> list[str]:
    return [sys.executable, "-P", "-m", "bioretrieval_tui", *map(str, given)]


def until(ready: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < end, f"waited too long: {what}"
        time.sleep(0.05)


def last() -> JobRecord:
    return JobFolder(places().state / "jobs").records()[-1]


def steps_done() -> int:
    found = unfinished("job")
    return found.curve.done if found is not None else 0


def trained_now() -> int:
    """The steps of the job that runs, as it tells them."""
    step = last().progress if last().state == "running" else None
    return step.done if step is not None and step.stage == "training" else 0


@pytest.mark.usefixtures("home")
def test_a_training_is_killed_stopped_and_ends_as_if_it_was_not(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    trainable_model(str(tiny), recipe()).save(str(base), create_model_card=False)
    pairs = tmp_path / "pairs.csv"
    rows = [f"what of {n} and {n % 7},the answer of {n} in trial {n % 7}" for n in range(300)]
    pairs.write_text("query,positive\n" + "\n".join(rows) + "\n")
    train = ["train", "--pairs", pairs, "--base", base, "-q", "--device", "cpu"]
    train += [word for one in SETTINGS for word in ("--set", one)]
    assert run([*map(str, train), "--name", "whole"]) == 0
    subprocess.run(words(*train, "--name", "job", "--background"), check=True, capture_output=True)
    until(lambda: steps_done() >= 5, "five steps")
    pid = last().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: JobFolder(places().state / "jobs").tend()[-1].state == "failed", "it is told")
    assert own_model("job") is None
    subprocess.run(words("jobs", "resume", "job"), check=True, capture_output=True)
    # It begins anew, since it was killed before its first checkpoint; the curve is of this run.
    until(lambda: 8 <= trained_now() < STEPS, "eight steps")
    subprocess.run(words("jobs", "stop", "job"), check=True, capture_output=True)
    until(lambda: last().ended, "it stops")
    assert last().state == "stopped", last().message
    assert "its last step is kept" in last().message
    assert run(["train", "resume", "job", "-q"]) == 0
    found = own_model("job")
    assert found is not None
    assert found[1].fitted.resumed >= 7
    one, other = (load_file(models_folder() / name / "model.safetensors")
                  for name in ("whole", "job"))  # fmt: skip
    for name, weights in one.items():
        np.testing.assert_allclose(weights, other[name], atol=1e-6, err_msg=name)
