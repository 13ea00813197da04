"""Opening addresses with real programs on PATH."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bioretrieval_tui.terminal.capabilities import Capabilities, detect
from bioretrieval_tui.terminal.desktop import open_url, shell_proof

if TYPE_CHECKING:
    from conftest import Programs

LONG = 60.0
ADDRESS = "https://a.example/x?y=1&z=$(id)#f"
URL = "https://a.example/x?y=1&z=%24%28id%29#f"
"""The address as programs get it."""
DESKTOP = {"DISPLAY": ":7", "TERM": "xterm"}
SSH = {"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22", "DISPLAY": "localhost:10.0"}


def at(env: dict[str, str], platform: str = "linux") -> Capabilities:
    return detect(env, platform=platform)


def with_browser(value: str, programs: Programs, base: dict[str, str]) -> dict[str, str]:
    return {**base, "BROWSER": value, "PATH": programs.path}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("reader", [URL]),
        ("reader %s", [URL]),
        ("reader --new-tab %s --quiet", ["--new-tab", URL, "--quiet"]),
        ("reader '--app=%s' \"two words\"", [f"--app={URL}", "two words"]),
        ("reader %s &", [URL]),
        (":missing %s:reader -1", ["-1", URL]),
        ("reader -c 'open \"%s\"'", ["-c", f'open "{URL}"']),
        ("'open quote:reader", [URL]),
        ("lynx:w3m %s:elinks:reader", [URL]),
    ],
)
def test_browser_variable_is_honoured(value: str, words: list[str], programs: Programs) -> None:
    for name in ("reader", "lynx", "w3m", "elinks"):
        programs.add(name)
    env = with_browser(value, programs, SSH)
    result = open_url(ADDRESS, at(env), env, budget=LONG)
    assert result.action == "opened"
    assert result.message == "opened with reader"
    assert programs.calls == [["reader", *words]]


TAILS = (
    "x?y=1&z=$(touch ran)", "x;touch${IFS}ran", "x?y&ran", "x?a=1&ran&b=2", "`ran`", "x'&ran&'",
    "x?a=1&b-c=2&ran=&=ran&", "{ran,}|ran>ran<ran", "x#&ran", "x?a=~ran&PATH=.&ran",
)  # fmt: skip


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_remote_shell_runs_nothing_of_an_address(
    shell: str, programs: Programs, tmp_path: Path
) -> None:
    """`ssh HOST COMMAND URL` joins its words for the shell of the host."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell}")
    (place := tmp_path / "host").mkdir()
    for name in ("reader", "ran", "touch"):
        programs.add(name)
    for wrapper in ("ssh", "far"):  # another name: a script of the user's own
        programs.add(wrapper, f'cd "{place}"; exec {path} -c "$2 $3"')
        env = with_browser(f"{wrapper} host reader", programs, SSH)
        for tail in TAILS:
            open_url(f"https://a.example/{tail}", at(env), env, budget=LONG)
    assert {call[0] for call in programs.calls} == {"ssh", "far", "reader"}
    assert list(place.iterdir()) == []


def test_an_address_arrives_whole_through_ssh(programs: Programs) -> None:
    programs.add("reader")
    programs.add("ssh", 'exec /bin/sh -c "$2 $3"')
    env = with_browser("ssh host reader", programs, SSH)
    assert open_url(ADDRESS, at(env), env, budget=LONG).action == "opened"
    assert programs.calls[-1] == ["reader", URL]


@pytest.mark.parametrize(
    ("url", "proof"),
    [
        ("https://doi.org/10.1016/0140-6736(91)91867-(B)",
         "https://doi.org/10.1016/0140-6736%2891%2991867-%28B%29"),
        ("https://a.example/?term=a&sort=date&from_x=1#a-1", None),
        ("https://a.example/?a=1&utm-x.y=2", None),
        ("https://a.example/a&b?c&d=1&&=e", "https://a.example/a%26b?c&d=1%26%26=e"),
        ("https://a.example/x;y=$HOME!*'z'", "https://a.example/x%3By=%24HOME%21%2A%27z%27"),
        ("https://a.example/~me/%28?q=a+b,c:d@e", None),
    ],
)  # fmt: skip
def test_addresses_as_programs_get_them(url: str, proof: str | None) -> None:
    assert shell_proof(url) == (proof or url)
    assert shell_proof(shell_proof(url)) == shell_proof(url)


@pytest.mark.parametrize("name", ["lynx", "w3m", "links", "elinks", "www-browser", "/usr/bin/lynx"])
def test_never_a_text_browser(name: str, programs: Programs) -> None:
    programs.add(name.rpartition("/")[2])
    env = with_browser(f"{name} %s", programs, SSH)
    result = open_url(ADDRESS, at(env), env, budget=LONG)
    assert (result.action, result.url) == ("show", ADDRESS)
    assert programs.calls == []


def test_a_text_browser_by_another_name_is_one(programs: Programs) -> None:
    programs.add("lynx")
    (programs.folder / "x-browser").symlink_to(programs.folder / "lynx")
    env = with_browser("x-browser", programs, DESKTOP)
    assert open_url(ADDRESS, at(env), env, budget=LONG).action == "show"
    assert programs.calls == []


def test_a_failing_browser_gives_way(programs: Programs) -> None:
    programs.add("broken", "exit 3")
    programs.add("xdg-open")
    env = with_browser("broken", programs, DESKTOP)
    assert open_url(ADDRESS, at(env), env, budget=LONG).message == "opened with xdg-open"
    assert [call[0] for call in programs.calls] == ["broken", "xdg-open"]
    env = with_browser("broken", programs, SSH)
    assert open_url(ADDRESS, at(env), env, budget=LONG).action == "show"


def test_a_browser_that_stays_has_opened(programs: Programs) -> None:
    programs.add("reader", f'/bin/sleep 1; echo later >"{programs.log}.later"')
    env = with_browser("reader", programs, DESKTOP)
    result = open_url(ADDRESS, at(env), env)  # within the budget of the app
    assert result.action == "opened"
    until = time.monotonic() + LONG
    while not programs.log.with_name("log.later").exists():  # it was left to run
        assert time.monotonic() < until
        time.sleep(0.02)


def test_over_ssh_nothing_is_started(programs: Programs) -> None:
    for name in ("xdg-open", "open", "gio", "www-browser"):
        programs.add(name)
    for platform in ("linux", "darwin"):
        env = {**SSH, "PATH": programs.path}
        result = open_url(ADDRESS, at(env, platform), env, budget=LONG)
        assert (result.action, result.url) == ("show", ADDRESS)
    assert programs.calls == []


@pytest.mark.parametrize(
    ("env", "platform", "words"),
    [
        (DESKTOP, "linux", ["xdg-open", URL]),
        ({"WAYLAND_DISPLAY": "w"}, "linux", ["xdg-open", URL]),
        ({}, "darwin", ["open", URL]),
        ({"WSL_INTEROP": "x"}, "linux", ["wslview", URL]),
        ({}, "win32", ["rundll32.exe", "url.dll,FileProtocolHandler", URL]),
    ],
)
def test_on_a_desktop(
    env: dict[str, str], platform: str, words: list[str], programs: Programs
) -> None:
    for name in ("xdg-open", "open", "wslview", "rundll32.exe"):
        programs.add(name)
    env = {**env, "PATH": programs.path}
    assert open_url(ADDRESS, at(env, platform), env, budget=LONG).action == "opened"
    assert programs.calls == [words]


def test_xdg_open_is_not_left_to_choose_a_text_browser(programs: Programs) -> None:
    programs.add("xdg-open", f'echo "$BROWSER" >"{programs.log}.browser"')
    env = {**DESKTOP, "PATH": programs.path}
    open_url(ADDRESS, at(env), env, budget=LONG)
    browsers = programs.log.with_name("log.browser").read_text().strip().split(":")
    assert "firefox" in browsers
    assert not {"lynx", "w3m", "links", "elinks", "www-browser"} & set(browsers)


def test_without_a_desktop_it_is_shown(programs: Programs) -> None:
    programs.add("xdg-open")
    env = {"PATH": programs.path, "TERM": "linux"}
    assert open_url(ADDRESS, at(env), env, budget=LONG).action == "show"
    assert programs.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "--version",
        "https://a.example/ --remote",
        "https://user@a.example/",
        "https://a.example/\x1b]0;x\x07",
    ],
)
def test_hostile_addresses_start_nothing(url: str, programs: Programs) -> None:
    programs.add("reader")
    env = with_browser("reader", programs, DESKTOP)
    result = open_url(url, at(env), env, budget=LONG)
    assert (result.action, result.url) == ("refused", "")
    assert result.message.isprintable()
    assert programs.calls == []
