"""The end of a long job, told by bell, OSC 9 and tmux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bioretrieval_tui.terminal.capabilities import detect
from bioretrieval_tui.terminal.desktop import alert

if TYPE_CHECKING:
    from conftest import Programs

TMUX = {"TMUX": "/nowhere/socket,1,0", "TERM": "tmux-256color"}


def written(text: str, env: dict[str, str]) -> str:
    found: list[str] = []
    alert(text, detect(env, platform="linux"), found.append, env=env, budget=60.0)
    return "".join(found)


@pytest.mark.parametrize(
    ("env", "bytes_"),
    [
        ({"TERM": "xterm-256color"}, "\x07\x1b]9;bioretrieval-tui: Built mine\x07"),
        ({"TERM": "linux"}, "\x07"),
        (
            {"TERM": "screen", "STY": "1.a"},
            "\x07\x1bP\x1b]9;bioretrieval-tui: Built mine\x07\x1b\\",
        ),
    ],
)
def test_a_bell_and_a_notification_where_the_terminal_takes_it(
    env: dict[str, str], bytes_: str
) -> None:
    assert written("Built mine", {**env, "PATH": ""}) == bytes_


def test_tmux_shows_it_and_runs_nothing_of_it(programs: Programs) -> None:
    programs.add("tmux")
    env = {**TMUX, "PATH": programs.path}
    assert written("Built #(touch x) #[fg=red] 100%H", env) == (
        "\x07\x1bPtmux;\x1b\x1b]9;bioretrieval-tui: Built #(touch x) #[fg=red] 100%H\x07\x1b\\"
    )
    (call,) = programs.calls
    assert call[:-1] == ["tmux", "display-message", "-d", "5000"]
    assert call[-1] == "bioretrieval-tui: Built (touch x) [fg=red] 100%%H"


def test_hostile_and_long_text_stays_within_its_sequence() -> None:
    seen = written("a\x07\x1b]52;c;eA==\x1b\\\u202e" + "x" * 500, {"TERM": "xterm", "PATH": ""})
    assert seen.count("\x1b") == 1
    assert seen.count("\x07") == 2
    assert len(seen) < 300


def test_a_terminal_that_is_gone_is_no_fault() -> None:
    def gone(_: str) -> None:
        raise OSError

    alert("Built mine", detect({"TERM": "xterm"}, platform="linux"), gone, env={"PATH": ""})
