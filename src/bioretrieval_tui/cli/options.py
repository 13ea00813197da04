"""Options that several verbs share, and the HTTP client of the verbs that use the network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

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
