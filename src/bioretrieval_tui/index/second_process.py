"""A second process for parts of a build that hold Python's lock: terms of texts, and half of the
metadata, while this process reads and stores.

It keeps nothing between questions, and ends with the pipe that they come from. What it does not
answer, for whatever reason, the build does itself: that also gives an error its place.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Self

from bioretrieval_tui.encoding.device import usable_cores

SAVES_FROM = 20_000
"""Documents from which it saves more than its start costs."""


class SecondProcess:
    """A context manager, which ends the process. One thread at a time may use it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._able = usable_cores() > 1

    def begin(self, work: Callable[..., Any], *given: Any) -> None:
        """Begin `work(*given)`, a function of a module, there; the process starts if it must."""
        with self._talking():
            if self._child is None and self._able:
                self._child = subprocess.Popen(
                    # -P: never run a numpy.py of the working folder.
                    (sys.executable, "-P", "-m", __name__),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            if self._child is not None and self._child.stdin is not None:
                pickle.dump((work, given), self._child.stdin)
                self._child.stdin.flush()

    def result(self) -> Any:
        """What the work gave, or None if the process has failed."""
        with self._talking():
            if self._child is not None and self._child.stdout is not None:
                return pickle.load(self._child.stdout)  # noqa: S301 - written by this program
        return None

    @contextlib.contextmanager
    def _talking(self) -> Any:
        """Give the process up where it cannot be started or does not answer."""
        try:
            yield
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            self._able = False
            self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with contextlib.suppress(OSError):  # what it has not taken
                child.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    """Answer one question after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build ends this process
    with contextlib.suppress(EOFError):
        while True:
            work, given = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by this program
            pickle.dump(work(*given), sys.stdout.buffer)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
