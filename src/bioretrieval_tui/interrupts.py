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
import time

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
