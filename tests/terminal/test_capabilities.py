"""Capabilities from nothing but the facts given."""

from __future__ import annotations

import io

import pytest

from bioretrieval_tui.terminal.capabilities import Capabilities, ColourDepth, detect, here


def at(env: dict[str, str], *, isatty: bool = True, platform: str = "linux") -> Capabilities:
    return detect(env, isatty=isatty, platform=platform)


@pytest.mark.parametrize(
    ("env", "depth"),
    [
        ({}, ColourDepth.NONE),
        ({"TERM": "dumb"}, ColourDepth.NONE),
        ({"TERM": "vt100"}, ColourDepth.NONE),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, ColourDepth.NONE),
        ({"TERM": "xterm"}, ColourDepth.ANSI),
        ({"TERM": "linux"}, ColourDepth.ANSI),
        ({"TERM": "screen-256color"}, ColourDepth.PALETTE),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, ColourDepth.TRUE),
        ({"TERM": "xterm-direct"}, ColourDepth.TRUE),
        ({"TERM": "xterm-kitty"}, ColourDepth.TRUE),
        ({"WT_SESSION": "x"}, ColourDepth.TRUE),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, ColourDepth.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, ColourDepth.PALETTE),
        ({"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "3"}, ColourDepth.NONE),
        ({"TERM": "xterm", "FORCE_COLOR": "3"}, ColourDepth.TRUE),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "1"}, ColourDepth.PALETTE),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "0"}, ColourDepth.NONE),
        ({"TERM": "dumb", "FORCE_COLOR": ""}, ColourDepth.ANSI),
    ],
)
def test_colours(env: dict[str, str], depth: ColourDepth) -> None:
    assert at(env).colours is depth


def test_no_terminal_no_colours_unless_forced() -> None:
    env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    assert at(env, isatty=False).colours is ColourDepth.NONE
    assert at({**env, "FORCE_COLOR": "2"}, isatty=False).colours is ColourDepth.PALETTE
    assert ColourDepth.TRUE > ColourDepth.PALETTE


@pytest.mark.parametrize(
    ("env", "desktop"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a 1 b 2"}, False),
        ({"WSL_DISTRO_NAME": "Debian"}, True),
    ],
)
def test_desktop(env: dict[str, str], desktop: bool) -> None:
    assert at(env).desktop is desktop


def test_platforms() -> None:
    assert at({}, platform="darwin").desktop
    assert not at({"SSH_TTY": "/dev/ttys1"}, platform="darwin").desktop
    assert detect({}, platform="linux", release="5.15.1-microsoft-standard-WSL2").wsl
    assert not detect({"WSL_DISTRO_NAME": "x"}, platform="win32").wsl


def test_where_it_runs() -> None:
    caps = at({"TMUX": "/run/tmux/default,1,0", "STY": "1.x", "SSH_CLIENT": "a 1 22"})
    assert (caps.tmux, caps.screen, caps.ssh) == (True, True, True)
    caps = at({"TMUX": "", "SSH_TTY": ""})
    assert (caps.tmux, caps.screen, caps.ssh) == (False, False, False)


@pytest.mark.parametrize(
    ("env", "encoding", "unicode"),
    [
        ({"LANG": "en_GB.UTF-8"}, "ascii", True),
        ({"LANG": "C.utf8"}, "ascii", True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, "utf-8", False),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8@euro"}, "ascii", True),
        ({"LC_ALL": "", "LANG": "ja_JP.eucJP"}, "utf-8", False),
        ({}, "utf-8", True),
        ({}, "cp1252", False),
    ],
)
def test_unicode(env: dict[str, str], encoding: str, unicode: bool) -> None:
    assert detect(env, encoding=encoding).unicode is unicode


@pytest.mark.parametrize(
    ("isatty", "env", "wanted"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (False, {"TERM": "xterm-256color"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "linux"}, False),
        (True, {}, False),
        (True, {"WT_SESSION": "1"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (True, {"TERM": "xterm", "CI": "true"}, False),
        (False, {"FORCE_HYPERLINK": "1"}, True),
        (False, {"TERM": "dumb", "CI": "1", "FORCE_HYPERLINK": "1"}, True),
        (True, {"TERM": "xterm", "FORCE_HYPERLINK": "0"}, False),
        (True, {"TERM": "xterm", "FORCE_HYPERLINK": ""}, True),
    ],
)
def test_when_links_are_written(isatty: bool, env: dict[str, str], wanted: bool) -> None:
    assert at(env, isatty=isatty).links is wanted


def test_a_size_of_zero_is_no_size() -> None:
    assert detect({}, size=(0, 24)).size is None
    assert detect({}, size=(80, 24)).size == (80, 24)


def test_a_stream_that_is_no_terminal() -> None:
    caps = here(io.StringIO(), {"TERM": "xterm-256color", "LANG": "C.UTF-8"})
    assert not caps.interactive
    assert caps.size is None
    assert not caps.links
    closed = io.StringIO()
    closed.close()
    assert not here(closed, {}).interactive


def test_facts_name_each_thing_once() -> None:
    facts = dict(at({"TERM": "tmux-256color", "TMUX": "x", "SSH_TTY": "/dev/pts/1"}).facts())
    assert facts["colours"] == "256"
    assert facts["inside"] == "tmux"
    assert facts["session"] == "over SSH"
    assert dict(at({}).facts())["terminal"] == "TERM is not set"
