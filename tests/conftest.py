"""One prepared model for all tests of a run, however many processes run them."""

from __future__ import annotations

import os
import shutil
import tempfile
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
