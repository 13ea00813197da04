"""Copying to the clipboard: routes are tried in order until one succeeds, within 200 ms.

1. Inside tmux, `tmux load-buffer -w -`: tmux stores the text and passes it to the outer terminal.
   This works with tmux's default configuration, which ignores OSC 52 from programs inside.
2. Over SSH, OSC 52: the user's terminal sets its own clipboard.
3. Locally, the native tool.
4. Otherwise the caller shows the text in a dialog.

A message says "copied" only if the clipboard confirmed it, otherwise "sent".
"""

from __future__ import annotations

import base64
import os
import select
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bioretrieval_tui.terminal.capabilities import Capabilities
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.terminal.processes import run_bounded

BUDGET = 0.18
"""Seconds for all programs that `copy` runs; with their start it stays under 0.2."""

OSC52_LIMIT = 74_994
"""Bytes of text that fit in OSC 52: several terminals drop a sequence of more than 100,000."""

_SCREEN_CHUNK = 240  # GNU screen passes on strings of up to 256 bytes in all its versions

Write = Callable[[str], None]


class Route(StrEnum):
    """The route of a copied text; DIALOG if none succeeded."""

    TMUX = "tmux"
    OSC52 = "osc52"
    NATIVE = "native"
    DIALOG = "dialog"


@dataclass(frozen=True, slots=True)
class CopyResult:
    """confirmed: the clipboard program reported success; message: one line to show."""

    route: Route
    confirmed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A clipboard program: its command line and the encoding that it reads."""

    words: tuple[str, ...]
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        return Path(self.words[0]).name


def copy(
    text: str,
    caps: Capabilities,
    write: Write | None = None,
    *,
    env: Mapping[str, str] | None = None,
    budget: float = BUDGET,
) -> CopyResult:
    """Copy `text` by the first route that succeeds; never raises if none does.

    Escape sequences and hidden characters are removed first, so that pasting gives the text that
    was shown; newlines and tabs stay.

    Args:
        caps: of the user's terminal.
        write: sends raw text to that terminal (the app's driver); None opens `/dev/tty`.
        env: environment for finding and running the tools.
        budget: seconds for everything.
    """
    env = os.environ if env is None else env
    until = time.monotonic() + budget
    text = "\t".join(clean(part, newlines=True) for part in text.split("\t"))
    if not text:
        return CopyResult(Route.DIALOG, False, "nothing to copy")
    why: str | None = None
    old_tmux = False
    if caps.tmux:
        sent, old_tmux = _through_tmux(text, env, _share(until))
        if sent:
            return CopyResult(Route.TMUX, False, "sent to the clipboard through tmux")
    if caps.ssh:
        why = _through_osc52(text, caps, write, until, old_tmux=old_tmux)
        if why is None:
            return CopyResult(Route.OSC52, False, _osc52_message(caps))
    else:
        tools = native_tools(caps, env)
        for tool in tools:
            last = tool is tools[-1]
            seconds = until - time.monotonic() if last else _share(until)
            data = text.encode(tool.encoding)
            if run_bounded(tool.words, seconds=seconds, data=data, env=env).code == 0:
                return CopyResult(Route.NATIVE, True, f"copied with {tool.name}")
        if tools:
            why = f"{' and '.join(tool.name for tool in tools)} failed"
    return CopyResult(
        Route.DIALOG, False, f"{why or 'no clipboard found'}: select the text by hand"
    )


def likely_route(caps: Capabilities, env: Mapping[str, str] | None = None) -> tuple[Route, str]:
    """The route that `copy` would try first, and its tool or what is missing, for `doctor`."""
    env = os.environ if env is None else env
    if caps.tmux and _find("tmux", env):
        return Route.TMUX, "tmux load-buffer -w (tmux 3.2 or later)"
    if caps.ssh:
        if _takes_osc52(caps):
            return Route.OSC52, "OSC 52; the terminal at your end must allow it"
        return Route.DIALOG, "this terminal does not take OSC 52"
    tools = native_tools(caps, env)
    if tools:
        return Route.NATIVE, tools[0].name
    if caps.wayland:
        return Route.DIALOG, "install wl-clipboard"
    if caps.x11:
        return Route.DIALOG, "install xclip or xsel"
    return Route.DIALOG, "no desktop and no SSH session found"


def native_tools(caps: Capabilities, env: Mapping[str, str]) -> tuple[Tool, ...]:
    """The installed clipboard programs whose display is available, best first."""
    wanted: list[Tool] = []
    if caps.platform == "darwin":
        wanted.append(Tool(("pbcopy",)))
    if caps.wsl or caps.platform == "win32":
        wanted.append(Tool(("clip.exe",), "utf-16-le"))
    if caps.wayland:
        # With the type given, wl-copy does not start xdg-mime to guess it.
        wanted.append(Tool(("wl-copy", "--type", "text/plain")))
    if caps.x11:
        wanted.append(Tool(("xclip", "-selection", "clipboard", "-in")))
        wanted.append(Tool(("xsel", "--clipboard", "--input")))
    found = []
    for tool in wanted:
        path = _find(tool.words[0], env)
        if path:
            found.append(Tool((path, *tool.words[1:]), tool.encoding))
    return tuple(found)


def osc52(text: str, *, tmux: bool = False, screen: bool = False) -> str:
    """The sequence that sets the terminal's clipboard to `text`.

    Args:
        tmux: wrap it for a tmux before 3.2, which passes on wrapped sequences by default.
        screen: wrap it for GNU screen, in pieces of the size that screen accepts.
    """
    encoded = base64.b64encode(text.encode()).decode("ascii")
    sequence = f"\x1b]52;c;{encoded}\x07"  # BEL, since ESC \ inside would end the wrapping
    if tmux:
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{doubled}\x1b\\"
    if screen:
        starts = range(0, len(sequence), _SCREEN_CHUNK)
        return "".join(f"\x1bP{sequence[at : at + _SCREEN_CHUNK]}\x1b\\" for at in starts)
    return sequence


def _share(until: float) -> float:
    """Seconds for a route that is not the last: if it hangs, the others have time left."""
    return 0.6 * max(0.0, until - time.monotonic())


def _find(name: str, env: Mapping[str, str]) -> str | None:
    return shutil.which(name, path=env.get("PATH", os.defpath))


def _through_tmux(text: str, env: Mapping[str, str], seconds: float) -> tuple[bool, bool]:
    """Whether tmux accepted the text, and whether tmux is too old for `-w`."""
    tmux = _find("tmux", env)
    if tmux is None:
        return False, False
    outcome = run_bounded(
        [tmux, "load-buffer", "-w", "-"],
        seconds=seconds,
        data=text.encode(),
        env=env,
        read_errors=True,  # the client does not fork
    )
    # Before 3.2 the flag is unknown and tmux prints its usage. Any other failure means that no
    # server runs (TMUX was inherited), so nothing would unwrap the sequence.
    errors = outcome.errors.lower()
    return outcome.code == 0, bool(outcome.code) and ("usage" in errors or "option" in errors)


def _takes_osc52(caps: Capabilities) -> bool:
    return caps.term not in {"", "dumb", "linux"}


def _through_osc52(
    text: str, caps: Capabilities, write: Write | None, until: float, *, old_tmux: bool
) -> str | None:
    """Send the text by OSC 52; return the reason if that fails, else None."""
    if not _takes_osc52(caps):
        return "this terminal has no clipboard"
    size = len(text.encode())
    if size > OSC52_LIMIT:
        return f"too long for the terminal's clipboard ({size:,} bytes of {OSC52_LIMIT:,})"
    sequence = osc52(text, tmux=old_tmux, screen=caps.screen and not old_tmux)
    try:
        if write is None:
            _write_to_terminal(sequence, until)
        else:
            write(sequence)
    except OSError as error:
        return f"the terminal cannot be written to ({error.strerror or error})"
    return None


def _osc52_message(caps: Capabilities) -> str:
    sent = "sent to your terminal's clipboard"
    if caps.term.startswith("tmux") and not caps.tmux:
        # A tmux on the user's side of the SSH connection drops OSC 52 by default.
        return f"{sent}; the tmux at your end needs 'set -g set-clipboard on'"
    return sent


def _write_to_terminal(data: str, until: float) -> None:
    """Write to `/dev/tty`, without blocking on a stopped terminal (ctrl+s).

    Raises:
        OSError: there is no terminal, or it did not accept everything in time.
    """
    rest = memoryview(data.encode())
    terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        while rest:
            _, ready, _ = select.select([], [terminal], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("it does not respond")
            rest = rest[os.write(terminal, rest) :]
    finally:
        os.close(terminal)
