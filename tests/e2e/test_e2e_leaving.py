"""However the app is left, the terminal is as it was."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.tui.last_session import KEPT_EVERY
from terminal import APP, FRESH, Session

Start = Callable[..., Session]

MOUSE_AND_PASTE = {1000, 1002, 1003, 1004, 1006, 1015, 1016, 2004, 2026, 2048}


def assert_sane(session: Session) -> None:
    screen = session.screen
    assert not screen.alternate
    assert screen.modes & MOUSE_AND_PASTE == set()
    assert screen.modes >= {7, 25}  # lines wrap, the cursor is shown
    assert screen.pen == type(screen.pen)()  # neither colours nor a link are left in force
    assert screen.unknown == []
    assert session.settings == session.settings_before
    # What was pushed on the stack of keyboard protocols was taken off again.
    pushed, popped = (len(re.findall(p, session.output)) for p in (rb"\x1b\[>\d+u", rb"\x1b\[<u"))
    assert pushed == popped


def test_q_leaves(app: Session) -> None:
    assert app.screen.alternate
    assert app.screen.modes & MOUSE_AND_PASTE
    assert app.settings != app.settings_before
    app.send("q")
    assert app.ended() == 0
    assert_sane(app)
    assert app.screen.text.strip() == ""


def test_ctrl_c_leaves(app: Session) -> None:
    app.send("\x03")
    assert app.ended() == 0
    assert_sane(app)


@pytest.mark.parametrize("keys", ["?", "\x10", "3/"], ids=["help", "palette", "filter"])
def test_ctrl_c_leaves_from_anywhere(keys: str, app: Session) -> None:
    for key in keys:
        app.send(key)
        app.settle()
    app.send("\x03")
    assert app.ended() == 0
    assert_sane(app)


def test_a_request_to_end_is_heard(app: Session) -> None:
    app.send("3")
    app.wait("DPR")
    os.kill(app.child.pid, signal.SIGTERM)
    assert app.ended() == 128 + signal.SIGTERM
    assert_sane(app)
    assert app.screen.text.strip() == ""


def test_it_can_be_stopped_and_go_on(app: Session) -> None:
    app.send("3")
    app.wait("▌DPR")
    app.settle()
    before = app.screen.shown
    os.kill(app.child.pid, signal.SIGTSTP)
    app.wait(lambda screen: not screen.alternate)
    app.settle()
    assert app.screen.modes & MOUSE_AND_PASTE == set()
    os.kill(app.child.pid, signal.SIGCONT)
    app.wait(lambda screen: screen.shown == before)
    app.send("j")
    app.wait("▌Contriever")


@pytest.mark.parametrize(
    "wrapper", ["trap : HUP", "trap '' HUP"], ids=["kept by make", "ignored by nohup"]
)
def test_it_ends_with_its_terminal_even_if_no_signal_comes(wrapper: str, start: Start) -> None:
    session = start(command=["sh", "-c", f'{wrapper}; "$@"; exit $?', "sh", *FRESH])
    session.wait("Biomedical text retrieval")
    session.hang_up()
    assert session.child.returncode == 128 + signal.SIGHUP


def test_the_next_start_begins_where_the_terminal_was_closed(start: Start, home: Path) -> None:
    session = start(home, command=APP)
    session.wait("Biomedical text retrieval")
    session.send("4")
    session.wait("▌BM25")
    time.sleep(KEPT_EVERY + 1)
    session.hang_up()
    again = start(home, command=APP)
    again.wait("▌BM25")
    again.send("q")
    assert again.ended() == 0
