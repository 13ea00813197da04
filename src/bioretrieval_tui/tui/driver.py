"""The terminal driver: Textual's own, with its output made smaller on the way out."""

from __future__ import annotations

import sys

from bioretrieval_tui.terminal.compact import Compactor

if sys.platform == "win32":
    CompactDriver = None
else:
    from textual.drivers.linux_driver import LinuxDriver

    class CompactDriver(LinuxDriver):
        """Writes what `LinuxDriver` writes, in fewer bytes; the screen is the same."""

        def write(self, data: str) -> None:
            """Queue `data` for the terminal."""
            compactor = getattr(self, "_compactor", None)
            if compactor is None:
                # LinuxDriver writes from its own constructor on.
                compactor = self._compactor = Compactor()
            super().write(compactor.feed(data))
