"""Reliable ctrl+c, in this process and in its children.

Python raises KeyboardInterrupt in the code that runs next. In a finaliser or the callback of a weak
reference (an import of torch runs thousands) it cannot be raised: Python prints it as "ignored" and
a build that the user stopped would continue. While native code runs, the exception waits.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any

from bioretrieval_tui.errors import EXIT_INTERRUPTED

_AGAIN = 0.02
"""Seconds until the interrupt is raised again: the callback has ended by then."""
_TIDYING = 2.0
"""Seconds that the process has to end by itself after a second interrupt."""
_repeated = 0
"""Interrupts that this module has sent."""


def keep_interrupts() -> None:
    """Raise an interrupt again, a moment later, if it could not be raised."""
    before, main = sys.unraisablehook, _thread.get_ident()

    def hook(lost: sys.UnraisableHookArgs, /) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # From another thread: an exception in this hook would be lost as well.
            _thread.start_new_thread(_again, (main,))
        else:
            before(lost)

    sys.unraisablehook = hook


def end_at_second_interrupt() -> None:
    """Let a second interrupt end the process soon, whatever it is doing; all files allow for it."""
    heard, written = os.pipe()
    os.set_blocking(written, False)
    # Python's handler in C writes there at once; the one in Python waits for the main thread.
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    _thread.start_new_thread(_end_at_second, (heard,))


class HeldInterrupts:
    """Holds an interrupt back from `hold` to `release`, which raises it; without effect in a thread
    that gets none."""

    def __init__(self) -> None:
        self._before: Any = None
        self._came = False

    def hold(self) -> None:
        """From now on, an interrupt waits."""
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    def release(self) -> None:
        """Raise KeyboardInterrupt now, if there was an interrupt."""
        self.restore()
        if self._came:
            self._came = False
            raise KeyboardInterrupt

    def restore(self) -> None:
        """Let interrupts be raised again where they come."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _note(self, *_: object) -> None:
        self._came = True


def _again(main: int) -> None:
    global _repeated
    time.sleep(_AGAIN)
    _repeated += 1
    signal.pthread_kill(main, signal.SIGINT)  # also wakes a blocking call, which a flag would not


def _end_at_second(heard: int) -> None:
    count = 0
    while count < 2 + _repeated:
        count += os.read(heard, 1) == bytes([signal.SIGINT])
    time.sleep(_TIDYING)
    with contextlib.suppress(OSError):
        os.write(2, b"bioretrieval-tui: ended at the second interrupt\n")
    os._exit(EXIT_INTERRUPTED)
