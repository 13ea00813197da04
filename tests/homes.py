"""Homes of tests that share what is costly to make and the same for all: the prepared model.

Preparing one loads torch and takes many seconds; a test that is about preparing uses a home of its
own instead.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BIORETRIEVAL_TEST_ENCODERS"


def share_encoders(home: Path) -> Path:
    """Give the home the run's prepared models; returns it."""
    cache = home / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    link = cache / "encoders"
    if not link.exists():
        link.symlink_to(os.environ[VARIABLE], target_is_directory=True)
    return home
