"""Opening a URL: by $BROWSER, else by the desktop's browser, else the caller shows it.

Python's `webbrowser` is not used: without a graphical browser it runs lynx or w3m in the terminal
of the app and waits for it, and over SSH it opens a window on the remote machine. Here every child
runs in its own session with the null device as its streams, so that no text browser can draw on
the terminal.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bioretrieval_tui.terminal.capabilities import Capabilities
from bioretrieval_tui.terminal.clean import clean, safe_url
from bioretrieval_tui.terminal.processes import run_bounded

BUDGET = 0.18
"""Seconds for all programs that `open_url` runs; with their start it stays under 0.2."""

_TEXT_BROWSERS = frozenset(
    ["browsh", "carbonyl", "cha", "chawan", "edbrowse", "elinks", "links", "links2", "lynx"]
) | {"netrik", "retawq", "w3m", "www-browser", "sensible-browser"}  # the last may start the others
# The choice given to xdg-open, whose own list ends in text browsers.
_GRAPHICAL = (
    "x-www-browser:firefox:chromium:chromium-browser:google-chrome:brave-browser:microsoft-edge"
    ":epiphany:konqueror:falkon"
)


@dataclass(frozen=True, slots=True)
class OpenResult:
    """The outcome, the URL, and one line to show.

    opened: a browser opened `url`. show: none did; show and copy `url`. refused: the URL is not
    acceptable; `url` is then empty.
    """

    action: Literal["opened", "show", "refused"]
    url: str
    message: str


def open_url(
    url: str,
    caps: Capabilities,
    env: Mapping[str, str] | None = None,
    *,
    budget: float = BUDGET,
) -> OpenResult:
    """Open `url` in a browser that the user can see.

    $BROWSER comes first: commands separated by colons, split as a shell would, run without one,
    with `%s` for the URL or the URL appended, tried in order. Text browsers are skipped. Without
    $BROWSER the browser of a local desktop is used; over SSH, even with X forwarding, the caller
    shows the URL. A program that fails within `budget` seconds is skipped; one that still runs
    then counts as opened.
    """
    env = os.environ if env is None else env
    target = safe_url(url)
    if target is None:
        shown = clean(url)[:80]
        return OpenResult("refused", "", f"not an http or https address: {shown}")
    until = time.monotonic() + budget
    for words, extra in _commands(target, caps, env):
        path = shutil.which(words[0], path=env.get("PATH", os.defpath))
        if path is None or _is_text_browser(path):
            continue
        seconds = max(0.0, until - time.monotonic())
        outcome = run_bounded(
            [path, *words[1:]], seconds=seconds, env={**env, **extra}, leave_running=True
        )
        if outcome.started and outcome.code in (0, None):
            name = clean(Path(words[0]).name)
            return OpenResult("opened", target, f"opened with {name}")
    return OpenResult("show", target, "no browser to open it here")


def _commands(
    url: str, caps: Capabilities, env: Mapping[str, str]
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The commands to try, best first, each with its additional variables."""
    for words in _from_browser_variable(url, env.get("BROWSER", "")):
        yield words, {}
    if not caps.desktop:
        return
    if caps.platform == "darwin":
        yield ["open", url], {}
    if caps.wsl:
        yield ["wslview", url], {}
    if caps.wsl or caps.platform == "win32":
        # The same as `cmd /c start`, without cmd, which interprets & and % in a URL.
        yield ["rundll32.exe", "url.dll,FileProtocolHandler", url], {}
    if caps.x11 or caps.wayland:
        yield ["xdg-open", url], {"BROWSER": _GRAPHICAL}
        yield ["gio", "open", url], {}


def _from_browser_variable(url: str, value: str) -> Iterator[list[str]]:
    """The commands in $BROWSER, without text browsers and commands that do not parse."""
    for entry in value.split(os.pathsep):
        try:
            words = shlex.split(entry, posix=os.name != "nt")
        except ValueError:  # an open quotation mark
            continue
        if words and words[-1] == "&":  # "in the background", as in webbrowser: always so here
            words.pop()
        if not words or _is_text_browser(words[0]):
            continue
        if any("%s" in word for word in words):
            yield [word.replace("%s", url) for word in words]
        else:
            yield [*words, url]


def _is_text_browser(program: str) -> bool:
    """Whether a program draws on the terminal, by its name or its link target."""
    names = {Path(program).name, Path(os.path.realpath(program)).name}
    return any(name.lower().removesuffix(".exe") in _TEXT_BROWSERS for name in names)
