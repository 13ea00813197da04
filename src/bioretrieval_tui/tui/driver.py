"""The terminal driver: Textual's own, with smaller output."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from collections.abc import Iterator
from string import digits
from typing import NamedTuple, cast

from rich.color import ColorSystem
from rich.console import Console
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.geometry import Size
from textual.strip import Strip

from bioretrieval_tui.terminal.output import ScreenWriter


class AltDigit(NamedTuple):
    """A key as Textual's table of sequences has it."""

    value: str


# Textual takes alt and a digit for the character that a Mac's option key gives.
cast(dict[str, object], ANSI_SEQUENCES_KEYS).update(
    {f"\x1b{digit}": (AltDigit(f"alt+{digit}"),) for digit in digits}
)


class CompactDriver(LinuxDriver):
    """Shows what `LinuxDriver` shows, in fewer bytes."""

    writer: ScreenWriter | None = None
    _watch: threading.Thread | None = None

    def start_application_mode(self) -> None:
        """Take the terminal, and give it back when the process is asked to end."""
        self.redraw()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's is untyped
        # Not SIGHUP, which ends the process: the terminal is gone then. `make run`, `sudo` and
        # `nohup` keep it from the app, which waits for the hang-up itself therefore.
        if self._watch is None:
            self._watch = threading.Thread(target=self._end_without_terminal, daemon=True)
            self._watch.start()
        code = 128 + signal.SIGTERM
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self._app.exit(return_code=code))
        # Textual measures within the signal handler: one that interrupts another posts its newer
        # size first, and the older one stays.
        loop.add_signal_handler(signal.SIGWINCH, self._measure)

    def _end_without_terminal(self) -> None:
        """Wait until the terminal is closed, and end the process as SIGHUP does."""
        terminal = select.poll()
        terminal.register(self.fileno, 0)  # a hang-up is always told
        terminal.poll()
        os._exit(128 + signal.SIGHUP)

    def _measure(self) -> None:
        """Tell the app the size that the terminal has now."""
        if not self._in_band_window_resize:
            size = Size(*self._get_terminal_size())
            self._app.post_message(Resize(size, size))

    def redraw(self) -> None:
        """Write the next frame completely: something else may have drawn on the screen."""
        if self.writer:
            self.writer.forget()

    def difference(self, update: CompositorUpdate, console: Console) -> str:
        """The bytes that an update of the screen makes necessary."""
        if self.writer is None:
            colours = console._color_system or ColorSystem.TRUECOLOR
            # All terminals but GNU screen erase with the current background. On the local side of
            # an SSH connection it shows in TERM, whose value tmux may share.
            env = os.environ
            outer_screen = env.get("TERM", "").startswith("screen") and not env.get("TMUX")
            self.writer = ScreenWriter(erases=not (env.get("STY") or outer_screen), colours=colours)
        size = self._app.size
        return self.writer.difference(_pieces(update), size.width, size.height)


class CompactUpdate(CompositorUpdate):
    """An update of the screen, as the changed cells only."""

    def __init__(self, update: CompositorUpdate, driver: CompactDriver) -> None:
        self.update = update
        self.driver = driver

    def render_segments(self, console: Console) -> str:
        return self.driver.difference(self.update, console)


def _pieces(update: CompositorUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Row, column and content of the strips of an update."""
    if isinstance(update, ChopsUpdate):
        for y, first, last in update.spans:
            ends = update.chop_ends[y]
            for end, (x, strip) in zip(ends, update.chops[y].items(), strict=False):
                if strip is not None and x < last and end > first:
                    # What lies beyond may be newer than what is announced.
                    yield y, x, strip if end <= last else strip.crop(0, last - x)
    elif isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in strips:
                yield y, x, strip
                x += strip.cell_length
