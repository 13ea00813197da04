"""The terminal driver: Textual's own, with its output made smaller on the way out."""

from __future__ import annotations

import os
import sys

from bioretrieval_tui.terminal.compact import Compactor
from bioretrieval_tui.terminal.differ import ScreenDiffer

if sys.platform == "win32":
    CompactDriver = None
else:
    from textual.drivers.linux_driver import LinuxDriver

    class CompactDriver(LinuxDriver):
        """Shows what `LinuxDriver` shows, in fewer bytes: changed cells, shortest attributes."""

        _differ: ScreenDiffer | None = None
        _compactor: Compactor | None = None

        def write(self, data: str) -> None:
            """Queue the difference that `data` makes for the terminal."""
            if self._differ is None or self._compactor is None:
                # Made here because LinuxDriver may write before a constructor of ours is done.
                self._differ = ScreenDiffer(erases="STY" not in os.environ)
                self._compactor = Compactor()
            try:
                size = os.get_terminal_size(self.fileno)
            except OSError:
                self._differ.forget()
                super().write(data)
                return
            super().write(self._compactor.feed(self._differ.feed(data, size.columns, size.lines)))

        def redraw(self) -> None:
            """The next frame is written whole: something else may have drawn on the screen."""
            if self._differ and self._compactor:
                self._differ.forget()
                self._compactor.forget()
