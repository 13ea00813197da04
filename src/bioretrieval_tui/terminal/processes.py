"""Child processes that cannot block or disturb the terminal: bounded in time, detached, silent.

A command is a list of arguments; no shell is used. Each child has its own session, hence no
controlling terminal, and the null device as its streams.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_GRACE = 0.02  # seconds to wait for a killed child; else the next call reaps it


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a child.

    started: False if the program could not be run.
    code: exit status, None if it still ran when the time was up.
    errors: its stderr, if `read_errors` was set.
    """

    started: bool
    code: int | None = None
    errors: str = ""


# Children that outlived their call (browsers). The next call polls them, so that none is a zombie.
_running: list[subprocess.Popen[bytes]] = []


def run_bounded(
    words: Sequence[str],
    *,
    seconds: float,
    data: bytes | None = None,
    env: Mapping[str, str] | None = None,
    leave_running: bool = False,
    read_errors: bool = False,
) -> Outcome:
    """Run a program for at most `seconds`, with `data` on stdin.

    When the time is up the child and its process group are killed, or continue with
    `leave_running`. Use `read_errors` only for programs that do not fork: a daemon would keep the
    pipe open for the whole time.
    """
    _running[:] = [child for child in _running if child.poll() is None]
    try:
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if read_errors else subprocess.DEVNULL,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except (OSError, ValueError):  # missing, not executable, arguments too long or with a NUL
        return Outcome(started=False)
    try:
        _, errors = child.communicate(data, timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        if leave_running:
            _running.append(child)
        else:
            _kill(child)
        return Outcome(started=True)
    return Outcome(True, child.returncode, (errors or b"").decode("utf-8", "replace"))


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and its process group, and close its pipes."""
    with contextlib.suppress(OSError):  # it has ended meanwhile
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    for pipe in (child.stdin, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # unsent input to a closed pipe
                pipe.close()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _running.append(child)
