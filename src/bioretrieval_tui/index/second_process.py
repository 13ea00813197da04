"""A second process for what else would hold Python's lock while a build reads: the terms of texts,
most of the metadata, and further files.

It keeps nothing between questions, and ends with the line that they come from. What it does not
answer, for whatever reason, the build does itself: that also gives an error its place.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

Work = Callable[[Sequence[Any]], list[Any]]

SAVES_FROM = 10_000
"""Documents from which it saves more than its start costs."""
_MOST = 8
_LOOK = 0.1
"""Seconds between two looks at what waits for it."""


@contextlib.contextmanager
def helping() -> Iterator[list[SecondProcess]]:
    """As many as help a build whose encoder has the other cores; each starts when it is asked."""
    from bioretrieval_tui.encoding.device import usable_cores

    helpers = [SecondProcess() for _ in range(min(_MOST, max(1, usable_cores() // 4)))]
    try:
        yield helpers
    finally:
        for helper in helpers:
            helper.close()


def begin_together(
    helpers: Sequence[SecondProcess], work: Work, given: Sequence[Any]
) -> Callable[[], list[Any]]:
    """Begin `work`, a function of lists, on all of `given` with all helpers at once; returns what
    waits for the results, in order."""
    share = -(-len(given) // len(helpers))
    asked = [
        (helper, given[number * share :][:share])
        for number, helper in enumerate(helpers)
        if number * share < len(given)
    ]
    for helper, some in asked:
        helper.begin(work, some)
    return lambda: [one for helper, _ in asked for one in helper.end()]


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

    def end(self, look: Callable[[], None] | None = None) -> Any:
        """What the work gave, there or else here. look: called while waiting; may raise."""
        with contextlib.suppress(OSError, EOFError):
            if self._line is not None:
                while look is not None and not self._line.poll(_LOOK):
                    look()
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
