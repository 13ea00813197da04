"""Asking before a model is fetched, and saying what will come: for every verb that takes one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.errors import ModelError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.progress import Reporter


def keep_offline() -> None:
    """What `--offline` means: nothing in this process asks the network."""
    from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE

    os.environ[OFFLINE_VARIABLE] = "1"


def fetch_missing(
    model: str, recipe: Encoding | None, reporter: Reporter, *, download: bool, ask: bool = True
) -> None:
    """Fetch what `model` needs and this machine lacks, if the user wants it.

    Each model is told in one line first: files, size, licence, and whether it is gated. download:
    the user has said so already; otherwise, if `ask`, a question is put on a terminal, and without
    an answer nothing is fetched and nothing is asked of the network.

    Raises:
        ModelError: it cannot be fetched, or the user said no.
    """
    from bioretrieval_tui.encoding.fetching import fetch_model, missing_models, plan_download

    missing = missing_models(model, recipe)
    asking = ask and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    if not missing or not (download or asking):
        return
    for name in missing:
        plan = plan_download(name)
        tell(plan.line())
        if not download and not click.confirm("Fetch it?", default=False, err=True):
            raise ModelError(f"{name} is not on this machine", remedy="say --download to fetch it")
        fetch_model(name, reporter=reporter, plan=plan)
