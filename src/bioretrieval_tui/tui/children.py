"""Processes of our own that do for the app what would keep its keys waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import bioretrieval_tui
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.interrupts import interruptible_children

LONGEST_LINE = 2**28
"""Bytes of one line that a child may write."""
_NICE = 5
"""Below the app's own priority: keys come before figures."""
_GRACE = 5.0
"""Seconds that a child has to tidy up once it was asked to end."""


async def spawn(module: str, *words: str, reading: bool = False) -> asyncio.subprocess.Process:
    """Start `python -m module words...` from this very package, stdout in a pipe.

    reading: it reads requests from a pipe, and what it says on stderr is let go; otherwise stderr
    is a pipe, and it has no stdin, so that it can ask nobody.

    Raises:
        BioRetrievalError: it cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        with interruptible_children():
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a module in the working folder is not ours to run
                "-m",
                module,
                *words,
                stdin=pipe if reading else asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL if reading else pipe,
                env=_environment(),
                start_new_session=True,
                limit=LONGEST_LINE,
            )
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise BioRetrievalError(f"{module} cannot be started: {error}") from error
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    return process


def interrupt(process: asyncio.subprocess.Process) -> None:
    """Ask a child to end, as ctrl+c does: it writes nothing half."""
    if process.returncode is None:
        # Its own way of sending a signal would take the exit code of a child that is gone already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)


async def end(process: asyncio.subprocess.Process) -> None:
    """See that a child is gone: asked first, then for certain."""
    interrupt(process)
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        _kill(process)
        await process.wait()
    except asyncio.CancelledError:  # whoever waited for it is in a hurry
        _kill(process)
        await process.wait()
        raise


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def how_it_ended(what: str, code: int) -> BioRetrievalError:
    """The error for a child that ended without saying why."""
    how = f"with code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"by {signal.Signals(-code).name}"
    return BioRetrievalError(f"{what} ended {how}", remedy="try again")


def _environment() -> dict[str, str]:
    """The environment of this process, with this very package in reach of the child."""
    environment = dict(os.environ)
    package = Path(bioretrieval_tui.__file__).parent.parent
    if package.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{known}{os.pathsep}{package}" if known else str(package)
    return environment
