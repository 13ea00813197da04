"""What the verbs that use the network share: their options, the client, and asking before a model
is downloaded."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.errors import ModelError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.progress import Reporter

offline_option = click.option("--offline", is_flag=True, help="Do not use the network.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Write no progress to stderr.")


def day_of(text: str) -> date:
    """Parse a day. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a date", remedy="write it as 2026-01-31") from error


def keep_offline() -> None:
    """Forbid the network in this process, as `--offline` does."""
    from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE

    os.environ[OFFLINE_VARIABLE] = "1"


@contextlib.contextmanager
def opened(offline: bool) -> Iterator[HttpClient]:
    """Open the HTTP client.

    Raises:
        OfflineError: the network is not allowed, by `offline` or by the environment.
    """
    from bioretrieval_tui.online.http import HttpClient

    if offline:
        keep_offline()
    with HttpClient() as client:
        yield client


def fetch_missing(
    model: str, recipe: Encoding | None, reporter: Reporter, *, download: bool, ask: bool = True
) -> None:
    """Download what `model` needs and this machine lacks, if the user agrees.

    Each model is announced in one line first: files, size, licence, and whether it is gated.
    download: the user has agreed already; otherwise, if `ask`, a question is put on a terminal.
    Without an answer nothing is downloaded and the network is not used.

    Raises:
        ModelError: it cannot be downloaded, or the user declined.
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
