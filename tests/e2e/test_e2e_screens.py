"""What a person sees: every pane, at every size, whole again after whatever happened to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from reference import Cell, Terminal

from bioretrieval_tui.actions import DIGITS, PANES
from terminal import Session

Start = Callable[..., Session]

TITLES = {name: title for name, title, _ in PANES}
HEADS = {
    "home": "Biomedical text retrieval", "timeline": "TREC Genomics", "papers": "DPR",
    "models": "MedCPT", "datasets": "MS MARCO", "benchmarks": "NFCorpus",
    "leaderboard": "Recipe", "path": "Step", "search": "search: type a question",
    "indexes": "Health",
}  # fmt: skip


def current(screen: Terminal) -> str:
    """The title that the bar at the top marks: the one on another background."""
    row = screen.rows[0]
    usual = max({cell.back for cell in row}, key=[cell.back for cell in row].count)
    return "".join(cell.text for cell in row if cell.back != usual).strip()


def test_it_starts_at_home(app: Session) -> None:
    assert current(app.screen) == "1 Home"
    assert "Milestones by year" in app.screen.text
    assert app.screen.lines[-1].endswith("q Quit")
    assert app.screen.alternate
    assert app.screen.unknown == []


def test_every_digit_has_its_pane(app: Session) -> None:
    for name, *_ in PANES:
        app.send(DIGITS[name])
        app.wait(lambda screen, digit=DIGITS[name]: current(screen).startswith(digit))
        app.wait(HEADS[name])
        if name == "search":
            app.send("\x1b")  # out of the line that takes digits as text
            app.settle()
    app.send("1")
    app.wait(lambda screen: current(screen) == "1 Home")


def shown(session: Session) -> list[list[Cell]]:
    """The screen once nothing comes any more."""
    session.settle(0.7)
    return session.screen.shown


def wait_for_screen(session: Session, wanted: list[list[Cell]], what: object) -> None:
    """Wait until exactly this is shown, and stays."""
    until = time.monotonic() + 20
    while session.screen.shown != wanted and time.monotonic() < until:
        session.read(0.1)
    session.settle(0.1)
    assert difference(session.screen.shown, wanted) == [], what


def difference(one: list[list[Cell]], other: list[list[Cell]]) -> list[str]:
    """The rows in which two screens differ, and the first cells that do."""
    return [
        f"row {y}: {next((a, b) for a, b in zip(*rows, strict=True) if a != b)} "
        f"in {[''.join(cell.text for cell in row) for row in rows]}"
        for y, rows in enumerate(zip(one, other, strict=True))
        if rows[0] != rows[1]
    ]


def test_keys_that_come_together_are_taken_in_their_order(app: Session) -> None:
    """Over a slow line keys arrive in bunches; none may reach what had the focus before."""
    app.send("3gjj")
    app.wait("▌GPL")
    app.send("/bica")
    app.wait("  filter bica")
    app.wait(lambda screen: screen.lines[2].strip() == "bica")
    app.send("\r4gjj")
    app.wait("▌bm25s")
    app.send("3\x1b")
    app.settle()
    app.send("grb")  # the second relation of the first paper: another pane, or another row
    app.wait(lambda screen: not any(line.startswith("▌DPR") for line in screen.lines))
    assert app.screen.unknown == []


SIZES = [(120, 40), (80, 24), (19, 5), (200, 60)]


def test_every_size_looks_like_a_fresh_start(start: Start) -> None:
    digits = {"home": "1", "papers": "3", "leaderboard": "7"}
    sessions = {size: start(size=size) for size in SIZES}
    fresh = {}
    for size, session in sessions.items():
        session.wait(lambda screen: bool(screen.text.strip()))
        for name, digit in digits.items():
            session.send(digit)
            if size != (19, 5):
                session.wait(lambda screen, digit=digit: current(screen).startswith(digit))
                session.wait(HEADS[name])
            fresh[name, size] = shown(session)
    app = sessions[SIZES[0]]
    for name, digit in digits.items():
        app.send(digit)
        for size in (*SIZES, SIZES[1], SIZES[0]):
            app.resize(*size)
            wait_for_screen(app, fresh[name, size], (name, size))
    assert "19x5 is too small." in sessions[19, 5].screen.text
    assert app.screen.unknown == []


def test_keys_work_after_the_window_was_small(app: Session) -> None:
    app.send("3")
    app.wait("DPR")
    app.resize(19, 14)
    app.wait("20x6 is enough.")
    app.resize(80, 24)
    app.wait("▌DPR")
    app.send("gj")
    app.wait("▌Contriever")


def test_there_and_back_leaves_no_holes(app: Session) -> None:
    before = shown(app)
    for changes in (1, 3, 100):  # many: a signal arrives while another one is handled
        for _ in range(changes):
            # The terminal cuts off what does not fit; the app may see nothing but its old size.
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
        "https://aclanthology.org/2020.emnlp-main.550/",
    }
    assert all(link.startswith("https://") for link in app.screen.links)
    # A link begins and ends with what it says, and each of its cells is one.
    row = next(row for row in app.screen.rows if any(cell.link for cell in row))
    text = "".join(cell.text for cell in row if cell.link)
    assert text == text.strip() == "2004.04906"


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
