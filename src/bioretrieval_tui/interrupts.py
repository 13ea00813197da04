"""ctrl+c is heard wherever Python happens to be.

Python raises an interrupt at whatever runs next. Where that is a finaliser or the callback of a
weak reference, of which an import of torch has thousands, nothing can be raised: the interrupt is
printed as "ignored", and a build goes on that its user has ended.
"""

from __future__ import annotations

import _thread
import signal
import sys
import time

_AGAIN = 0.02
"""Seconds: long past the callback that lost it."""


def keep_interrupts() -> None:
    """Raise an interrupt again, a moment later, where it could not be raised."""
    before, main = sys.unraisablehook, _thread.get_ident()

    def hook(lost: sys.UnraisableHookArgs, /) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # From another thread, since what is raised in this hook is lost as well.
            _thread.start_new_thread(_again, (main,))
        else:
            before(lost)

    sys.unraisablehook = hook


def _again(main: int) -> None:
    time.sleep(_AGAIN)
    signal.pthread_kill(main, signal.SIGINT)  # wakes a call that waits, which a flag would not
