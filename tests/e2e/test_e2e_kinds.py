"""Terminals of other kinds, and no terminal at all."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reference import Terminal

from terminal import APP, Session, environment

Start = Callable[..., Session]

_SGR = re.compile(rb"\x1b\[([0-9;:]*)m")


def colours(output: bytes) -> set[str]:
    """The kinds of colour in a stream: "16", "256" and "true"; "default" for 39 and 49."""
    found = set()
    for words in _SGR.findall(bytes(output)):
        codes = iter(words.decode().replace(":", ";").split(";"))
        for word in codes:
            code = int(word or 0)
            if code in (38, 48):
                kind = next(codes)
                found.add({"5": "256", "2": "true"}[kind])
                for _ in range({"5": 1, "2": 3}[kind]):
                    next(codes)
            elif code in (39, 49):
                found.add("default")
            elif 30 <= code <= 47 or 90 <= code <= 107:
                found.add("16")
    return found


def tour(session: Session) -> bytes:
    """What is written on a way through several panes, a filter and a dialog."""
    session.wait("Biomedical text retrieval")
    for keys, text in (
        ("3", "DPR"), ("g", "▌DPR"), ("jj", "▌GPL"), ("/", "filter:"), ("bica", "filter bica"),
        ("\r", "▌BiCA"), ("7", "Recipes  "), ("v", "Board  "), ("?", "esc: close"),
    ):  # fmt: skip
        session.send(keys)
        session.wait(text)
    session.send("\x1b")
    session.wait(lambda screen: "esc: close" not in screen.text)
    session.send("1")
    session.wait("Papers by year")
    session.settle()
    assert session.screen.unknown == []
    return bytes(session.output)


@pytest.mark.parametrize(
    ("env", "kinds"),
    [
        ({"NO_COLOR": "1"}, set()),
        ({"TERM": "xterm", "COLORTERM": None}, {"16"}),
        ({"COLORTERM": None}, {"256"}),
        ({}, {"true"}),
    ],
    ids=["NO_COLOR", "16", "256", "truecolor"],
)
def test_as_many_colours_as_the_terminal_has(
    env: dict[str, str | None], kinds: set[str], start: Start
) -> None:
    session = start(env=env)
    output = tour(session)
    assert colours(output) - {"default"} == kinds
    if not kinds:
        assert "default" not in colours(output)
        # What colours told is told otherwise: the row under the cursor, the pane in the bar.
        assert any("reverse" in cell.flags for cell in session.screen.rows[0])
    session.send("q")
    assert session.ended() == 0


@pytest.mark.parametrize(
    "env",
    [{"STY": "1.pts-0.host"}, {"TERM": "screen-256color", "COLORTERM": None}],
    ids=["inside", "at the near end"],
)
def test_gnu_screen_erases_without_colours(env: dict[str, str | None], start: Start) -> None:
    session = start(env=env)
    output = tour(session)
    screen = Terminal(120, 40, bce=False)
    screen.feed_bytes(output)
    assert screen.same(session.screen)


@pytest.mark.parametrize("term", ["dumb", None])
def test_a_terminal_that_cannot_be_drawn_on_gets_the_listing(
    term: str | None, start: Start
) -> None:
    session = start(env={"TERM": term, "COLORTERM": None}, size=(100, 400))
    assert session.ended() == 0
    text = session.output.decode().replace("\r\n", "\n")
    assert f"the terminal cannot show the app (TERM is {term or 'not set'})" in text
    assert "\x1b[?1049h" not in text
    kinds = {line.split(None, 1)[0] for line in text.splitlines() if line.strip()}
    assert kinds >= {"paper", "model", "dataset", "benchmark", "recipe", "milestone", "step"}


def shell(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A bash script in which "$APP" is the command, without a terminal."""
    return subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**environment(home), "PY": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # there is no terminal to be found behind our back either
        timeout=120,
        check=False,
    )


assert APP[1:] == ["-m", "bioretrieval_tui"]
COMMAND = '"$PY" -m bioretrieval_tui'


def test_a_pipe_gets_the_listing_as_markdown(shared_home: Path) -> None:
    done = shell(f'{COMMAND} </dev/null | cat; echo "${{PIPESTATUS[0]}}" >&2', shared_home)
    assert done.stderr == "0\n"
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("#")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    kinds = {row.split("|")[1].strip() for row in rows[2:]}
    assert kinds == {"paper", "model", "dataset", "benchmark", "recipe", "milestone", "step"}
    assert "| paper | [DPR](https://arxiv.org/abs/2004.04906) | 2020 | " in done.stdout


def test_a_reader_that_goes_away_is_no_fault(shared_home: Path) -> None:
    done = shell(f'{COMMAND} | head -1; echo "${{PIPESTATUS[0]}}" >&2', shared_home)
    assert done.stderr == "0\n"
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("#")


def test_keys_come_from_the_terminal_when_input_is_a_pipe(start: Start) -> None:
    script = f"PY={sys.executable}; echo no-such-id | {COMMAND} --fresh"
    session = start(command=["bash", "-c", script])
    session.wait("0 of 1 given identifier")
    session.send("3")
    session.wait("▌DPR")
    session.send("q")
    assert session.ended() == 0
    assert session.settings == session.settings_before
