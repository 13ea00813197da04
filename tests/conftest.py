"""What all tests share: one prepared model a run, hypothesis profiles, and who runs which test."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import homes

TORCH = ("adapters", "cross_encoder", "encoder", "openvino", "recipes", "torch_encoder")
"""Modules of tests/encoding that load torch: one process runs them all, so that it is imported
once."""
FIRST = ("tests/e2e/", "tests/encoding/", "tests/search/", "tests/cli/", "tests/faults/")
"""Folders whose tests run first: those of real terminals wait more than they compute and so run
beside those that encode, and no long module is left for the end."""

# Between two threads of torch each layer waits for the slower one, and processes of the run already
# use every core. Children inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every app that is started leaves many objects in cycles; they are looked for less often here.
gc.set_threshold(100_000, 20, 20)

# A machine under load is slow, not wrong.
settings.register_profile(
    "usual", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # the order is that of `pytest_collection_modifyitems`
    if hasattr(config, "workerinput") or homes.VARIABLE in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="encoders-")
    os.environ[homes.VARIABLE] = folder
    config.add_cleanup(lambda: shutil.rmtree(Path(folder), ignore_errors=True))
    config.add_cleanup(lambda: os.environ.pop(homes.VARIABLE, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {folder: number for number, folder in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get("/".join(item.nodeid.split("/")[:2]) + "/", len(FIRST)))


def pytest_collection_finish() -> None:
    gc.freeze()  # a million objects of the tests' own are not looked through again


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A module goes to one process whole, so that its fixtures are made once."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return (
                "torch" if module in {f"tests/encoding/test_{one}.py" for one in TORCH} else module
            )

    return ByModule(config, log)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children of the test can be interrupted, though the tests may run in the background of a
    script, where SIGINT is ignored and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
