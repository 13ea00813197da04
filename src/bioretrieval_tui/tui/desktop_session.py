"""What leaves the app: links to a browser, texts to the clipboard, sheets to files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.worker import Worker

from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.terminal.desktop import CopyResult
    from bioretrieval_tui.tui.app import BioRetrievalApp


class DesktopSession:
    """Opens, copies and writes for an app; what no route takes is shown."""

    def __init__(self, app: BioRetrievalApp) -> None:
        self._app = app

    def open(self, url: str) -> None:
        """Open an address in the user's browser; if that is not possible, show it and copy it."""
        self._begin("open", partial(self._open, url))

    def _begin(self, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        _: Worker[None] = self._app.run_worker(work, group=group, exclusive=True)

    async def _open(self, url: str) -> None:
        from bioretrieval_tui.terminal.desktop import open_url

        result = await asyncio.to_thread(open_url, url, self._app.capabilities)
        if result.action == "show":
            copied = await self._copied(result.url)
            note = copied.message if copied.route != "dialog" else ""
            self.show(result.message, result.url, note)
        else:
            self._app.say(result.message, "error" if result.action == "refused" else "bar.strong")

    def copy(self, text: str, what: str) -> None:
        """Copy a text by the first route that works; else show it."""
        self._begin("copy", partial(self._copy, text, what))

    async def _copy(self, text: str, what: str) -> None:
        result = await self._copied(text)
        if result.route == "dialog":
            self.show(result.message, text)
        else:
            self._app.say(f"{what}: {result.message}")

    async def _copied(self, text: str) -> CopyResult:
        """Copy, in a thread: a clipboard may take 0.2 seconds to refuse."""
        from bioretrieval_tui.terminal.desktop import copy

        return await asyncio.to_thread(copy, text, self._app.capabilities, self._app.ordered)

    def show(self, title: str, text: str, note: str = "") -> None:
        """Show raw text that a mouse can select, in a dialog."""
        from bioretrieval_tui.tui.dialogs.dialog import PageDialog, text_lines

        self._app.push_screen(PageDialog(text_lines(title, text, note), fitted=True))

    def export(
        self,
        make: Callable[[], Sheet],
        stem: str,
        count: int,
        *,
        cites: bool = True,
        write: Callable[[Path], Path] | None = None,
    ) -> None:
        """Ask for a file and write a sheet to it; the extension sets the format. cites: the sheet
        has a bibliography; write: writes the file instead."""
        from bioretrieval_tui.tui.dialogs.dialog import ExportDialog

        if not count:
            raise UsageError("Nothing to export")
        dialog = ExportDialog(make, f"bioretrieval-{stem}.md", count, cites=cites, write=write)
        say = self._app.say
        self._app.push_screen(dialog, lambda path: say(f"Wrote {path}") if path else None)
