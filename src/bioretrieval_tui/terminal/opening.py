"""Opening an address: $BROWSER, else the desktop's browser, else it is for the caller to show.

Python's `webbrowser` is not used: where it finds no graphical browser it starts lynx or w3m in the
terminal that the app occupies, it waits for them, and over SSH it opens a window on a machine
where nobody sits. Here every child runs in a session of its own with the null device for its
streams, so that even a text browser that hides behind another name has no terminal to draw on.
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
"""Seconds that programs may take in `open_url`, together; with their start it stays under 0.2."""

_TEXT_BROWSERS = frozenset(
    ["browsh", "carbonyl", "cha", "chawan", "edbrowse", "elinks", "links", "links2", "lynx"]
) | {"netrik", "retawq", "w3m", "www-browser", "sensible-browser"}  # the last may start the others
# What xdg-open is told to choose from: its own list ends in text browsers.
_GRAPHICAL = (
    "x-www-browser:firefox:chromium:chromium-browser:google-chrome:brave-browser:microsoft-edge"
    ":epiphany:konqueror:falkon"
)


@dataclass(frozen=True, slots=True)
class OpenResult:
    """What was done, the address, and one line to show.

    opened: a browser took `url`. show: none did; show `url` whole and copy it. refused: it is no
    address to open; `url` is then empty, so that it cannot be shown or copied as one.
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
    """Open `url` where the person at the keyboard will see it.

    $BROWSER comes first: programs separated by colons, each split as a shell would but never run
    by one, with `%s` for the address or the address appended, tried in turn; text browsers are
    passed over. Without it a local desktop's browser is used; over SSH, even with X forwarding,
    the caller shows the address. A program that fails within `budget` seconds counts as none; one
    that still runs then has opened.
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
    """The commands to try, best first, each with the variables it needs besides `env`."""
    for words in _from_browser_variable(url, env.get("BROWSER", "")):
        yield words, {}
    if not caps.desktop:
        return
    if caps.platform == "darwin":
        yield ["open", url], {}
    if caps.wsl:
        yield ["wslview", url], {}
    if caps.wsl or caps.platform == "win32":
        # What `cmd /c start` ends up calling, without cmd, to which & and % in an address are
        # syntax.
        yield ["rundll32.exe", "url.dll,FileProtocolHandler", url], {}
    if caps.x11 or caps.wayland:
        yield ["xdg-open", url], {"BROWSER": _GRAPHICAL}
        yield ["gio", "open", url], {}


def _from_browser_variable(url: str, value: str) -> Iterator[list[str]]:
    """The commands in $BROWSER that name no text browser; those that do not parse are left out."""
    for entry in value.split(os.pathsep):
        try:
            words = shlex.split(entry, posix=os.name != "nt")
        except ValueError:  # an open quotation mark
            continue
        if words and words[-1] == "&":  # "in the background", as webbrowser reads it: we always do
            words.pop()
        if not words or _is_text_browser(words[0]):
            continue
        if any("%s" in word for word in words):
            yield [word.replace("%s", url) for word in words]
        else:
            yield [*words, url]


def _is_text_browser(program: str) -> bool:
    """Whether a program is one that draws on the terminal, by its name or by what it links to."""
    names = {Path(program).name, Path(os.path.realpath(program)).name}
    return any(name.lower().removesuffix(".exe") in _TEXT_BROWSERS for name in names)
