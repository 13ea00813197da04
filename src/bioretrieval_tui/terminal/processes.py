"""Child processes that may not hold up or disturb the terminal: bounded, detached, silent.

No shell, ever: a command is a list of words. Each child gets a session of its own, hence no
controlling terminal to draw on, and the null device in place of our streams.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_GRACE = 0.02  # seconds for a killed child to be reaped before it is left for the next call


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is the exit status, None while the child still ran when the time was up.

    `started` is false where the program could not be run at all; `errors` is what it wrote to
    stderr, if that was asked for.
    """

    started: bool
    code: int | None = None
    errors: str = ""


# Children that outlived their call (a browser). Polled at the next call, so that those that ended
# do not stay behind as zombies.
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
    """Run a program for at most `seconds`, giving it `data` on stdin.

    When the time is up the child and its process group are killed, or left alone with
    `leave_running`. `read_errors` is only for programs that do not fork: a daemon that keeps the
    pipe open would use up the whole time.
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
    except (OSError, ValueError):  # not there, not executable, arguments too long or with a NUL
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
    """End the child and what it started, then let go of its pipes."""
    with contextlib.suppress(OSError):  # it ended by itself meanwhile
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
