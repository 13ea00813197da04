"""Arguments and options that several verbs share, and the HTTP client of the verbs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from bioretrieval_tui.cli.lookups import complete_index, complete_model
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

Command = TypeVar("Command", bound=Callable[..., Any])


class Option(Protocol):
    """A decorator that adds an option to a command."""

    def __call__(self, command: Command, /) -> Command:
        """Add it."""


PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
POSITIVE = click.IntRange(min=1)
RERANKER = "medcpt-cross-encoder"


def options(*given: Option) -> Option:
    """Combine options into one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(given):
            command = option(command)
        return command

    return decorate


def flag(*names: str, help_: str) -> Option:
    """An option without a value."""
    return click.option(*names, is_flag=True, help=help_)


def index_option(*names: str, help_: str) -> Option:
    """An option that takes the name of an index."""
    return click.option(*names, metavar="NAME", shell_complete=complete_index, help=help_)


def model_option(*names: str, help_: str, **more: Any) -> Option:
    """An option that takes a model: a catalogue id, a hub id or a folder."""
    return click.option(*names, metavar="ID", shell_complete=complete_model, help=help_, **more)


def default_option(*names: str, default: Any, help_: str, **more: Any) -> Option:
    """An option with a default that the help shows."""
    return click.option(*names, default=default, show_default=True, help=help_, **more)


def device_choice(help_: str) -> Option:
    """`--device`."""
    return default_option("--device", default="auto", metavar="DEVICE", help_=help_)


device_option = device_choice("auto, cpu, cuda, cuda:N, several as cuda:0,cuda:1, or mps.")
download_option = flag("--download", help_="Download a missing model; shows its licence.")
offline_option = flag("--offline", help_="Do not use the network.")
quiet_option = flag("-q", "--quiet", help_="Write no progress to stderr.")
progress_options = options(
    quiet_option,
    default_option(
        "--progress",
        type=click.Choice(["auto", "json"]),
        default="auto",
        help_="Format of progress on stderr; json is one object a line.",
    ),
)
reranker_option = model_option(
    "--reranker", default=RERANKER, show_default=True, help_="Model for --rerank."
)


def day_of(text: str) -> date:
    """Parse a day. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a date", remedy="write it as 2026-01-31") from error


def can_confirm() -> bool:
    """Whether a question on stderr can be answered on stdin."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


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
