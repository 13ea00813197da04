"""What Textual really writes, and what the driver makes of it: the same screens, fewer bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from reference import Terminal

from terminal import Session

Start = Callable[..., Session]

# The app, which notes beside its terminal what its driver writes, and what Textual would have
# written.
RECORDER = """
import json, os, sys
from bioretrieval_tui.main import run
from bioretrieval_tui.tui.driver import CompactDriver

log = open(sys.argv.pop(), "w")
write, difference = CompactDriver.write, CompactDriver.difference
frame = []

def noting_difference(self, update, console):
    frame[:] = [update.render_segments(console), difference(self, update, console)]
    return frame[1]

def noting_write(self, data):
    raw = data
    if frame:
        raw, sent = frame
        raw += data[len(sent):]  # Textual places the cursor behind a frame
        frame.clear()
    size = os.get_terminal_size(self.fileno)
    stack = self._app._screen_stack
    knows = bool(stack) and self._app.size == size == stack[-1]._compositor.size
    print(json.dumps([*size, knows, raw, data]), file=log, flush=True)
    write(self, data)

CompactDriver.write, CompactDriver.difference = noting_write, noting_difference
sys.exit(run())
"""

TOUR = [
    "2", "gjjj", "3", "gjjjjjj", "\x04", "\x04", "G", "g", "ss", "/contr", "\r", "\x1b[C", "s",
    "4", "\r", "jjjj", "\x04", "\x1b", "?", "j", "\x1b", "5", "r", "a", "\x7f", "6", "gjj", "7",
    "gjj", "v", "\x1b[C\x1b[C", "s", "j", "8", "gj ", "t", "\x1b", "3", "\x10", "med", "\x1b", "1",
    "t", "\x1b",
]  # fmt: skip


def test_every_frame_of_a_long_tour(start: Start, tmp_path: Path, home: Path) -> None:
    log = tmp_path / "frames"
    session = start(home, command=[sys.executable, "-c", RECORDER, str(log)])
    session.wait("Biomedical text retrieval")
    for keys in TOUR:
        session.send(keys)
        # An escape is known to be the key, not the beginning of a sequence, when nothing follows.
        session.settle(0.3 if keys == "\x1b" else 0.1)
    for size in ((80, 24), (50, 12), (100, 30)):
        session.resize(*size)
        session.settle(0.2)
    session.send("q")
    assert session.ended() == 0
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(steps) > 100

    raw, short = Terminal(120, 40), Terminal(120, 40)
    sizes = [0, 0]
    for width, height, knows, data, out in steps:
        if (width, height) != (raw.width, raw.height):
            raw.resize(width, height)
            short.resize(width, height)
        raw.feed(data)
        short.feed(out)
        # A terminal that was resized gets a whole frame once it is laid out for that size.
        assert short.same(raw) or not knows
        assert short.modes == raw.modes
        assert len(out) <= 1.1 * len(data) + 24
        for i, text in enumerate((data, out)):
            sizes[i] += len(text.encode())
    assert short.unknown == raw.unknown == []
    print(f"bytes: {sizes[0]} written by Textual, {sizes[1]} sent")
    assert sizes[1] < 0.5 * sizes[0]
    # And the terminal was shown what the replay shows, up to the end.
    assert session.screen.text == short.text
