"""Reliable ctrl+c, in this process and in its children.

Python raises KeyboardInterrupt in the code that runs next. In a finaliser or the callback of a weak
reference (an import of torch runs thousands) it cannot be raised: Python prints it as "ignored" and
a build that the user stopped would continue.
"""

from __future__ import annotations

import _thread
import signal
import sys
import time

_AGAIN = 0.02
"""Seconds until the interrupt is raised again: the callback has ended by then."""


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


def _again(main: int) -> None:
    time.sleep(_AGAIN)
    signal.pthread_kill(main, signal.SIGINT)  # also wakes a blocking call, which a flag would not
