"""Links and citations that leave: to a browser, over SSH, through tmux."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal import Session, Tmux, has_tmux, tmux_server

Start = Callable[..., Session]

DPR = "https://arxiv.org/abs/2004.04906"
OVER_SSH = {
    "SSH_TTY": "/dev/pts/7",
    "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22",
    "SSH_CLIENT": "192.0.2.1 50000 22",
}


def at_papers(session: Session) -> Session:
    session.wait("Biomedical text retrieval")
    session.send("3")
    session.wait("▌DPR")
    session.settle()
    return session


def copied(session: Session) -> list[str]:
    """The texts that were sent to the terminal's clipboard (OSC 52)."""
    found = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", session.output)
    return [base64.b64decode(text, validate=True).decode() for text in found]


def wait_for_copy(session: Session) -> str:
    session.wait(lambda screen: bool(copied(session)))
    session.settle()
    (text,) = copied(session)
    return text


def test_o_gives_the_link_to_the_browser(start: Start, tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{shlex.quote(str(seen))}\n')
    browser.chmod(0o755)
    session = at_papers(start(env={"BROWSER": str(browser)}))
    session.send("o")
    session.wait("opened with browser")
    assert seen.read_text() == f"{DPR}\n"
    assert copied(session) == []
    # The other links by their letters.
    session.send("lb")
    session.wait(lambda screen: len(seen.read_text().split()) == 2)
    assert seen.read_text().split()[1] == "https://aclanthology.org/2020.emnlp-main.550/"


def test_over_ssh_o_shows_the_link_whole_and_copies_it(start: Start) -> None:
    session = at_papers(start(env={**OVER_SSH, "DISPLAY": None}, size=(80, 24)))
    session.send("o")
    assert wait_for_copy(session) == DPR
    session.wait(DPR)
    assert "sent to your terminal's clipboard" in session.screen.text
    session.send("\x1b")
    session.wait("▌DPR")


def test_over_ssh_y_sends_the_link_to_the_terminal(start: Start) -> None:
    session = at_papers(start(env=OVER_SSH))
    session.send("y")
    assert wait_for_copy(session) == DPR
    assert "link: sent to your terminal's clipboard" in session.screen.lines[-1]


def test_over_ssh_capital_y_sends_bibtex(start: Start) -> None:
    session = at_papers(start(env=OVER_SSH))
    session.send("Y")
    text = wait_for_copy(session)
    assert text.startswith("@")
    assert "Dense Passage Retrieval for Open-Domain Question" in text
    assert text.count("{") == text.count("}")
    assert "BibTeX: sent" in session.screen.lines[-1]


def test_without_any_clipboard_the_text_is_shown(start: Start) -> None:
    session = at_papers(start())
    session.send("y")
    session.wait(DPR)
    assert "no clipboard found: select the text by hand" in session.screen.text
    assert copied(session) == []


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory, shared_home: Path) -> Iterator[Tmux]:
    if not has_tmux():
        pytest.skip("tmux is not installed")
    with tmux_server(tmp_path_factory.mktemp("t"), shared_home) as server:
        yield server


def test_in_tmux_copies_are_in_its_buffer(tmux: Tmux) -> None:
    tmux.start()
    tmux.wait("Biomedical text retrieval")
    tmux("send-keys", "3")
    tmux.wait("▌DPR")
    assert tmux("show-options", "-g", "-v", "allow-passthrough").strip() == "off"  # the default
    tmux("send-keys", "y")
    tmux.wait("link: sent to the clipboard through tmux")
    assert tmux("show-buffer") == DPR
    tmux("send-keys", "Y")
    tmux.wait("BibTeX: sent to the clipboard through tmux")
    assert tmux("show-buffer").startswith("@")


def test_in_tmux_sizes_and_panes_work(tmux: Tmux) -> None:
    tmux.start(size=(120, 40))
    tmux.wait("Biomedical text retrieval")
    for digit, head in (("4", "Models"), ("7", "Leaderboard"), ("1", "Papers by year")):
        tmux("send-keys", digit)
        tmux.wait(head)
    tmux("resize-window", "-x", "19", "-y", "5")
    tmux.wait("19x5 is too small.")
    tmux("resize-window", "-x", "80", "-y", "24")
    pane = tmux.wait("Biomedical text retrieval")
    assert "too small" not in pane
    tmux("send-keys", "3", "g", "j")
    tmux.wait("▌Contriever")
    tmux("send-keys", "q")
    # With its only program the server ends too.
    gone = tmux.until(lambda: _sessions(tmux), lambda seen: seen == "none")
    assert gone == "none"


def _sessions(tmux: Tmux) -> str:
    import subprocess

    try:
        return tmux("list-sessions")
    except subprocess.CalledProcessError:
        return "none"
