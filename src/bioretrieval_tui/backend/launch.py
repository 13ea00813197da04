"""Start the processes of the app, without loading what their messages need."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import bioretrieval_tui
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, private

LOG = "search.log"
SEARCHES = "the search process"
WARM = "warm"
"""Argument of the server: load the catalogue's index and its model at once."""
_MOST_LOG_BYTES = 2**20
MOST_LINE_BYTES = 256 * 2**20
"""Longest message, see `protocol`."""


async def launch(what: str, device: str, *, warm: bool = False) -> asyncio.subprocess.Process:
    """Start a server with pipes for requests and replies; `what` names it in messages. warm: it
    prepares for the first search of the catalogue. Raises BioRetrievalError."""
    # -P: never run a torch.py of the working folder.
    words = [sys.executable, "-P", "-m", "bioretrieval_tui.backend.server", device]
    try:
        with open_log() as log:
            return await asyncio.create_subprocess_exec(
                *words,
                *([WARM] if warm else []),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment_of_child(),
                start_new_session=True,
                limit=MOST_LINE_BYTES,
            )
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        said = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"{what} cannot be started: {said}") from error


_workers: list[subprocess.Popen[bytes]] = []
"""Those that this process started; the next start collects the ended ones."""


def start_worker() -> None:
    """Start a process that carries out the waiting jobs and outlives this one; it ends at once if
    there is one already. Raises BioRetrievalError."""
    _workers[:] = [one for one in _workers if one.poll() is None]
    words = (sys.executable, "-P", "-m", "bioretrieval_tui.backend.worker")
    try:
        with open_log() as log:
            _workers.append(
                subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment_of_child(),
                    start_new_session=True,
                )
            )
    except OSError as error:
        said = f"the process for jobs cannot be started: {error.strerror or error}"
        raise BioRetrievalError(said) from error


def open_log() -> IO[bytes]:
    """The log for the stderr of children, emptied above 1 MiB; the null device if it cannot be
    written."""
    path = places().state / LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        grown = path.exists() and path.stat().st_size > _MOST_LOG_BYTES
        return open(path, "wb" if grown else "ab", opener=private)
    except OSError:
        return Path(os.devnull).open("wb")


def environment_of_child() -> dict[str, str]:
    """The environment of this process, with this package on the path of the child."""
    environment = dict(os.environ)
    package = Path(bioretrieval_tui.__file__).parent.parent
    if package.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{known}{os.pathsep}{package}" if known else str(package)
    return environment
