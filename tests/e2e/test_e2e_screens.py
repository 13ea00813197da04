"""What a person sees: every pane, at every size, whole again after whatever happened to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from reference import Cell, Terminal

from bioretrieval_tui.actions import PANES
from terminal import Session

Start = Callable[..., Session]

TITLES = {name: title for name, title, _ in PANES}
HEADS = {
    "home": "Biomedical text retrieval", "timeline": "Dense passage retrieval", "papers": "DPR",
    "models": "MedCPT", "datasets": "MS MARCO", "benchmarks": "NFCorpus",
    "leaderboard": "Recipe", "path": "Step", "search": "search by meaning",
}  # fmt: skip


def current(screen: Terminal) -> str:
    """The title that the bar at the top marks: the one on another background."""
    row = screen.rows[0]
    usual = max({cell.back for cell in row}, key=[cell.back for cell in row].count)
    return "".join(cell.text for cell in row if cell.back != usual).strip()


def test_it_starts_at_home(app: Session) -> None:
    assert current(app.screen) == "1 Home"
    assert "22  The milestones" in app.screen.text
    assert app.screen.lines[-1].endswith("q Quit")
    assert app.screen.alternate
    assert app.screen.unknown == []


def test_every_digit_has_its_pane(app: Session) -> None:
    for number, (name, title, _) in enumerate(PANES, 1):
        app.send(str(number))
        app.wait(lambda screen, want=f"{number} {title}": current(screen) == want)
        app.wait(HEADS[name])
        if name == "search":
            app.send("\x1b")  # out of the line that takes digits as text
            app.settle()
    app.send("1")
    app.wait(lambda screen: current(screen) == "1 Home")


SIZES = [(120, 40), (80, 24), (50, 12), (200, 60)]


def shown(session: Session) -> list[list[Cell]]:
    session.settle()
    return session.screen.shown


@pytest.mark.parametrize("pane", ["home", "papers", "leaderboard"])
def test_every_size_looks_like_a_fresh_start(pane: str, start: Start) -> None:
    digit = str([name for name, _, _ in PANES].index(pane) + 1)
    fresh = {size: start(size=size) for size in SIZES}
    moved = start(size=SIZES[0])
    for session in (moved, *fresh.values()):
        session.wait(lambda screen: bool(screen.text.strip()))
        session.settle()
        session.send(digit)
    moved.wait(HEADS[pane])
    for size in [*SIZES, *reversed(SIZES)]:
        moved.resize(*size)
        if size == (50, 12):
            moved.wait("This window is 50x12.")
            assert "60x15 is enough." in moved.screen.text
        else:
            moved.wait(HEADS[pane])
        assert shown(moved) == shown(fresh[size]), size
        assert moved.screen.unknown == []


def test_there_and_back_leaves_no_holes(app: Session) -> None:
    before = shown(app)
    for _ in range(3):
        # The terminal cuts off what does not fit; the app may see nothing but the size it knew.
        app.resize(80, 24)
        app.resize(120, 40)
        os.kill(app.child.pid, signal.SIGWINCH)
        app.wait(lambda screen: screen.shown == before)


def test_redrawing_takes_away_what_others_wrote(app: Session) -> None:
    before = shown(app)
    app.screen.feed("\x1b[5;1H\x1b[41mBroadcast message from root: \x1b[K漢字\x1b[m")
    assert app.screen.shown != before
    app.send("\x0c")
    app.wait(lambda screen: screen.shown == before)


def test_addresses_are_links(app: Session) -> None:
    app.send("3")
    app.wait("2004.04906")
    app.settle()
    assert b"\x1b]8;;https://arxiv.org/abs/2004.04906\x1b\\" in app.output
    assert app.screen.links >= {
        "https://arxiv.org/abs/2004.04906",
        "https://aclanthology.org/2020.emnlp-main.550",
    }
    assert all(link.startswith("https://") for link in app.screen.links)
    # Nothing but the address is a link.
    linked = {cell.text for row in app.screen.rows for cell in row if cell.link}
    assert " " not in linked


def test_nothing_is_written_while_nothing_happens(start: Start) -> None:
    keys = {"home": "1", "evolution": "2", "papers": "3jj", "leaderboard": "7v", "start": "8"}
    sessions = {name: start() for name in keys}
    for name, session in sessions.items():
        session.wait("Biomedical text retrieval")
        session.send(keys[name])
    for session in sessions.values():
        session.settle(1.5)
    # Three seconds for all of them together: the others' output waits to be read meanwhile.
    seen = {name: session.read(3 if name == "home" else 0.1) for name, session in sessions.items()}
    assert seen == dict.fromkeys(keys, b"")
