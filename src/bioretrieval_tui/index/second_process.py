"""A second process for what else would hold Python's lock while a build reads: the terms of texts,
and most of the metadata.

It keeps nothing between questions, and ends with the line that they come from. What it does not
answer, for whatever reason, the build does itself: that also gives an error its place.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

SAVES_FROM = 10_000
"""Documents from which it saves more than its start costs."""


class SecondProcess:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._begun: tuple[Callable[..., Any], tuple[Any, ...]]
        self._line: Connection | None = None

    def begin(self, work: Callable[..., Any], *given: Any) -> None:
        """Begin `work(*given)`, a function of a module, there."""
        self._begun = work, given
        with contextlib.suppress(OSError):
            if self._line is None:
                self._line = self._start()
            self._line.send(self._begun)

    def _start(self) -> Connection:
        """Start the process where there is a core for it; the line to it."""
        from multiprocessing.connection import Pipe
        from subprocess import DEVNULL, Popen

        from bioretrieval_tui.encoding.device import usable_cores

        line, far_end = Pipe()
        with far_end as end:
            if usable_cores() > 1:
                # -P: never run a numpy.py of the working folder.
                words, number = (sys.executable, "-P", "-m", __name__), end.fileno()
                self._child = Popen(
                    (*words, str(number)), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
                    pass_fds=[number],
                )  # fmt: skip
        return line

    def end(self) -> Any:
        """What the work gave, there or else here."""
        with contextlib.suppress(OSError, EOFError):
            if self._line is not None:
                return self._line.recv()
        work, given = self._begun
        return work(*given)

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._line is not None:
            self._line.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()


def main() -> None:
    """Answer one question after the other."""
    from multiprocessing.connection import Connection

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build ends this process
    line = Connection(int(sys.argv[1]))
    with contextlib.suppress(OSError, EOFError):
        while True:
            work, given = line.recv()
            line.send(work(*given))


if __name__ == "__main__":
    main()
