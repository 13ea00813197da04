"""The terminal driver: Textual's own, with smaller output."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from threading import RLock

from bioretrieval_tui.terminal.output import ScreenWriter

# Worker threads (the clipboard) and signal handlers write too, and the writer has state.
_lock = RLock()

if sys.platform == "win32":
    CompactDriver = None
else:
    from textual.drivers.linux_driver import LinuxDriver

    class CompactDriver(LinuxDriver):
        """Shows what `LinuxDriver` shows, in fewer bytes."""

        _writer: ScreenWriter | None = None

        def start_application_mode(self) -> None:
            """Take the terminal, and give it back when the process is asked to end."""
            super().start_application_mode()  # type: ignore[no-untyped-call]
            # Not SIGHUP: the terminal is gone then.
            code = 128 + signal.SIGTERM
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGTERM, lambda: self._app.exit(return_code=code)
            )

        def write(self, data: str) -> None:
            """Queue the difference that `data` makes for the terminal."""
            with _lock:
                if self._writer is None:
                    # Made here because LinuxDriver may write before its constructor returns.
                    self._writer = ScreenWriter(erases=_erases(os.environ))
                try:
                    size = os.get_terminal_size(self.fileno)
                except OSError:
                    self.redraw()
                else:
                    data = self._writer.feed(data, size.columns, size.lines)
                if data:
                    super().write(data)

        def redraw(self) -> None:
            """Write the next frame completely: something else may have drawn on the screen."""
            with _lock:
                if self._writer:
                    self._writer.forget()


def _erases(env: Mapping[str, str]) -> bool:
    """Whether the terminal erases with the current background: all do but GNU screen.

    GNU screen on the local side of an SSH connection shows in TERM, whose value tmux may share.
    """
    inside_screen = env.get("TERM", "").startswith("screen") and not env.get("TMUX")
    return not (env.get("STY") or inside_screen)
