"""ctrl+c is heard wherever Python happens to be, and by the app's own children.

Python raises an interrupt at whatever runs next. Where that is a finaliser or the callback of a
weak reference, of which an import of torch has thousands, nothing can be raised: the interrupt is
printed as "ignored", and a build goes on that its user has ended.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator

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


@contextlib.contextmanager
def interruptible_children() -> Iterator[None]:
    """Let children that are started here be interrupted, even if this process ignores ctrl+c.

    What a script starts in its background (`&`, nohup) ignores SIGINT, and so would the children:
    the app could stop a job only by killing it. The process itself goes on ignoring it.
    """
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    # A handler does not outlive an exec, so a child begins with the system's default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _again(main: int) -> None:
    time.sleep(_AGAIN)
    signal.pthread_kill(main, signal.SIGINT)  # wakes a call that waits, which a flag would not
