"""The clipboard's chain, with real programs on PATH and real bytes."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.terminal.capabilities import Capabilities, detect
from bioretrieval_tui.terminal.desktop import OSC52_LIMIT, Route, copy, likely_route, osc52

if TYPE_CHECKING:
    from conftest import Programs

LONG = 60.0  # seconds: on a busy machine a real program may need more than an app will wait
SSH = {"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22", "TERM": "xterm-256color"}
X11 = {"DISPLAY": ":7", "TERM": "xterm-256color"}
WAYLAND = {"WAYLAND_DISPLAY": "wayland-7", "TERM": "xterm-256color"}
TMUX = {"TMUX": "/nowhere/socket,1,0", "TERM": "tmux-256color"}


def at(env: dict[str, str], platform: str = "linux") -> Capabilities:
    return detect(env, platform=platform)


def decoded(sequence: str) -> str:
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", sequence)
    assert found, sequence
    return base64.b64decode(found[1]).decode()


def test_over_ssh_the_exact_bytes_go_to_the_terminal(programs: Programs) -> None:
    written: list[str] = []
    programs.add("xclip")
    env = {**SSH, "PATH": programs.path, "DISPLAY": "localhost:10.0"}
    result = copy("https://a.example/β", at(env), written.append, env=env)
    assert written == ["\x1b]52;c;aHR0cHM6Ly9hLmV4YW1wbGUvzrI=\x07"]
    assert result.route is Route.OSC52
    assert "sent" in result.message
    assert "copied" not in result.message
    assert programs.calls == []


def test_inside_screen_it_is_wrapped_in_pieces_that_screen_passes() -> None:
    written: list[str] = []
    env = {**SSH, "STY": "1.pts-0.host", "TERM": "screen-256color"}
    text = "line\n" * 300
    copy(text, at(env), written.append, env=env)
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", written[0])
    assert "".join(f"\x1bP{piece}\x1b\\" for piece in pieces) == written[0]
    assert max(map(len, pieces)) <= 256
    assert decoded("".join(pieces)) == text


def test_too_long_for_the_terminal_is_for_the_dialog() -> None:
    written: list[str] = []
    assert copy("x" * OSC52_LIMIT, at(SSH), written.append, env=SSH).route is Route.OSC52
    assert len(written.pop()) <= 100_000 + 10
    result = copy("é" * (OSC52_LIMIT // 2 + 1), at(SSH), written.append, env=SSH)
    assert result.route is Route.DIALOG
    assert "too long" in result.message
    assert written == []


@pytest.mark.parametrize("term", ["dumb", "linux", ""])
def test_a_terminal_without_clipboard_is_sent_nothing(term: str) -> None:
    written: list[str] = []
    env = {**SSH, "TERM": term}
    assert copy("x", at(env), written.append, env=env).route is Route.DIALOG
    assert written == []


def test_a_terminal_that_cannot_be_written_to() -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    result = copy("x", at(SSH), broken, env=SSH)
    assert result.route is Route.DIALOG
    assert "Broken pipe" in result.message


def test_a_tmux_at_the_near_end_is_mentioned() -> None:
    env = {**SSH, "TERM": "tmux-256color"}
    assert "set-clipboard" in copy("x", at(env), [].append, env=env).message


@pytest.mark.parametrize(
    ("env", "platform", "name", "words"),
    [
        (X11, "linux", "xclip", ["-selection", "clipboard", "-in"]),
        (X11, "linux", "xsel", ["--clipboard", "--input"]),
        (WAYLAND, "linux", "wl-copy", ["--type", "text/plain"]),
        ({"TERM": "xterm"}, "darwin", "pbcopy", []),
    ],
)
def test_native_tools(
    env: dict[str, str], platform: str, name: str, words: list[str], programs: Programs
) -> None:
    programs.add(name, programs.keeping_input())
    env = {**env, "PATH": programs.path}
    result = copy("two\nlines\tβ", at(env, platform), env=env, budget=LONG)
    assert result.route is Route.NATIVE
    assert result.message == f"copied with {name}"
    assert programs.calls == [[name, *words]]
    assert programs.input.decode() == "two\nlines\tβ"


def test_windows_tool_reads_utf16(programs: Programs) -> None:
    programs.add("clip.exe", programs.keeping_input())
    env = {"WSL_DISTRO_NAME": "Debian", "PATH": programs.path}
    assert copy("β", at(env), env=env, budget=LONG).route is Route.NATIVE
    assert programs.input == "β".encode("utf-16-le")


@pytest.mark.parametrize("env", [{}, {"TERM": "xterm-256color"}, WAYLAND])
def test_a_tool_without_its_display_is_not_tried(env: dict[str, str], programs: Programs) -> None:
    programs.add("xclip")
    env = {**env, "PATH": programs.path}
    assert copy("x", at(env), env=env, budget=LONG).route is Route.DIALOG
    assert programs.calls == []


def test_a_failing_tool_gives_way_to_the_next(programs: Programs) -> None:
    programs.add("xclip", "exit 1")
    programs.add("xsel", programs.keeping_input())
    env = {**X11, "PATH": programs.path}
    assert copy("x", at(env), env=env, budget=LONG).message == "copied with xsel"
    assert [call[0] for call in programs.calls] == ["xclip", "xsel"]


def test_a_hanging_tool_does_not_hold_up_the_app(programs: Programs) -> None:
    # It never reads and would sleep for longer than any test run: that this returns at all, with
    # the budget of the app, is the proof that it was not waited for.
    programs.add("xclip", "exec /bin/sleep 100000")
    env = {**X11, "PATH": programs.path}
    result = copy("x" * 1_000_000, at(env), env=env)
    assert result.route is Route.DIALOG
    assert "xclip failed" in result.message


def test_a_hanging_tool_leaves_time_for_the_next(programs: Programs) -> None:
    programs.add("xclip", "exec /bin/sleep 100000")
    programs.add("xsel", programs.keeping_input())
    env = {**X11, "PATH": programs.path}
    assert copy("x", at(env), env=env, budget=3).message == "copied with xsel"


def test_a_tool_that_forks_and_keeps_its_streams_counts_as_done(programs: Programs) -> None:
    # As xclip does: the parent ends, a child goes on serving the selection.
    programs.add("xclip", f"{programs.keeping_input()}\n/bin/sleep 30 &\nexit 0")
    env = {**X11, "PATH": programs.path}
    assert copy("x", at(env), env=env, budget=20).route is Route.NATIVE


def test_a_stale_tmux_variable_falls_back_to_the_next_route(programs: Programs) -> None:
    programs.add("tmux", "echo 'error connecting to /nowhere/socket' >&2; exit 1")
    programs.add("xclip", programs.keeping_input())
    local = {**TMUX, **X11, "PATH": programs.path}
    assert copy("x", at(local), env=local, budget=LONG).route is Route.NATIVE
    written: list[str] = []
    remote = {**TMUX, **SSH, "PATH": programs.path}
    assert copy("x", at(remote), written.append, env=remote, budget=LONG).route is Route.OSC52
    assert decoded(written[0]) == "x"  # not wrapped: there is no tmux to unwrap it


def test_a_tmux_before_3_2_passes_a_wrapped_sequence_on(programs: Programs) -> None:
    programs.add("tmux", "echo 'usage: load-buffer [-b buffer-name] path' >&2; exit 1")
    written: list[str] = []
    env = {**TMUX, **SSH, "PATH": programs.path}
    assert copy("x", at(env), written.append, env=env, budget=LONG).route is Route.OSC52
    assert written == ["\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"]
    assert programs.calls == [["tmux", "load-buffer", "-w", "-"]]


def test_a_hanging_tmux_leaves_time_for_the_next_route(programs: Programs) -> None:
    programs.add("tmux", "exec /bin/sleep 100000")
    written: list[str] = []
    env = {**TMUX, **SSH, "PATH": programs.path}
    assert copy("x", at(env), written.append, env=env).route is Route.OSC52


def test_hostile_text_is_cleaned_before_it_reaches_a_shell() -> None:
    written: list[str] = []
    copy("a\x1b[201~\x9d0;x\x07\r\nb\tc\u202e\ud83d\0", at(SSH), written.append, env=SSH)
    assert decoded(written[0]) == "a\nb\tc"


def test_nothing_to_copy() -> None:
    assert copy("\x1b[0m", at(SSH), [].append, env=SSH).message == "nothing to copy"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_osc52_in_every_wrapping_carries_the_text(text: str) -> None:
    assert decoded(osc52(text)) == text
    inner = osc52(text, tmux=True).removeprefix("\x1bPtmux;").removesuffix("\x1b\\")
    assert decoded(inner.replace("\x1b\x1b", "\x1b")) == text
    pieces = osc52(text, screen=True).split("\x1b\\")
    assert decoded("".join(piece.removeprefix("\x1bP") for piece in pieces)) == text


def test_what_doctor_says(programs: Programs) -> None:
    env = {**X11, "PATH": programs.path}
    assert likely_route(at(env), env) == (Route.DIALOG, "install xclip or xsel")
    programs.add("xsel")
    assert likely_route(at(env), env) == (Route.NATIVE, "xsel")
    assert likely_route(at(SSH), SSH)[0] is Route.OSC52
    env = {**SSH, **TMUX, "PATH": programs.path}
    assert likely_route(at(env), env)[0] is Route.OSC52  # tmux itself is not installed
    programs.add("tmux")
    assert likely_route(at(env), env)[0] is Route.TMUX
    assert programs.calls == []
