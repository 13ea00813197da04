"""One prepared model for all tests of a run, however many processes run them; and ctrl+c."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import homes


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or homes.VARIABLE in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="encoders-")
    os.environ[homes.VARIABLE] = folder
    config.add_cleanup(lambda: shutil.rmtree(Path(folder), ignore_errors=True))
    config.add_cleanup(lambda: os.environ.pop(homes.VARIABLE, None))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children of the test can be interrupted, though the tests may run in the background of a
    script, where SIGINT is ignored and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
