"""The compactor on what a real Textual app writes in a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from functools import partial

import pyte

from bioretrieval_tui.terminal.compact import Compactor

WIDTH, HEIGHT = 100, 30

APP = """
from textual.app import App
from textual.containers import Horizontal
from textual.widgets import DataTable, Footer, Header, Markdown

class Small(App):
    CSS = "DataTable { width: 1fr } Markdown { width: 1fr }"
    BINDINGS = [("q", "quit", "Quit")]
    ENABLE_COMMAND_PALETTE = False

    def compose(self):
        yield Header()
        with Horizontal():
            yield DataTable(cursor_type="row", zebra_stripes=True)
            yield Markdown("# Title\\n\\n**bold** *italic* [link](https://a.b/) `x`\\n\\n- one")
        yield Footer()

    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("name", "score")
        table.add_rows((f"row {n}", n * 7) for n in range(100))
        table.focus()

    def on_data_table_row_highlighted(self, event):
        self.title = f"at row {event.cursor_row}."

Small().run()
"""


# Down, to the end, up: what is pressed, and the title that follows.
KEYS = {"\x1b[B": "at row 1.", "\x1b[1;5F": "at row 99.", "\x1b[A": "at row 98."}


def contains(text: str, screen: str) -> bool:
    return text in screen


class Recording:
    """An app in a pseudo-terminal; everything that it writes goes to pyte, and is kept."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.child = subprocess.Popen(
            [sys.executable, "-c", APP],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "LANG": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none"},
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.ByteStream(self.screen)
        self.written: list[bytes] = []

    def read_until(self, ready: Callable[[str], bool]) -> None:
        until = time.monotonic() + 60
        while not ready("\n".join(self.screen.display)):
            assert time.monotonic() < until, self.screen.display
            if select.select([self.ours], [], [], 0.1)[0]:
                self.written.append(os.read(self.ours, 1 << 16))
                self.stream.feed(self.written[-1])

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.ours)


def test_a_real_app_looks_the_same_in_far_fewer_bytes() -> None:
    recording = Recording()
    try:
        recording.read_until(lambda screen: "at row 0." in screen and "Title" in screen)
        for key, title in KEYS.items():
            os.write(recording.ours, key.encode())
            recording.read_until(partial(contains, title))
    finally:
        recording.close()

    # As the driver hands it over: whole characters, pieces of any length.
    raw = b"".join(recording.written).decode(errors="ignore")  # the end may be half a character
    full, short, compactor = Screen(), Screen(), Compactor()
    size = 0
    for start in range(0, len(raw), 5000):
        piece = raw[start : start + 5000]
        compacted = compactor.feed(piece)
        size += len(compacted)
        full.feed(piece)
        short.feed(compacted)
    short.feed(compactor.flush())
    assert short.cells() == full.cells()
    assert "Title" in "\n".join(short.screen.display)
    assert size < 0.6 * len(raw)


class Screen:
    """A pyte screen whose blank cells are reduced to what shows on them."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.screen)
        self.feed = self.stream.feed

    def cells(self) -> list[tuple[object, ...]]:
        cells = [
            self.screen.buffer[y][x] for y in range(HEIGHT) for x in range(self.screen.columns)
        ]
        return [
            (" ", cell.bg)
            if cell.data == " " and not (cell.underscore or cell.reverse or cell.strikethrough)
            else tuple(cell)
            for cell in cells
        ]
