"""The user's desktop: the clipboard, a browser, an alert, within 200 ms each.

Copying tries these routes in order until one succeeds:

1. Inside tmux, `tmux load-buffer -w -`: tmux stores the text and passes it to the outer terminal.
   This works with tmux's default configuration, which ignores OSC 52 from programs inside.
2. Over SSH, OSC 52: the user's terminal sets its own clipboard.
3. Locally, the native tool.
4. Otherwise the caller shows the text in a dialog.

A message says "copied" only if the clipboard confirmed it, otherwise "sent".

Python's `webbrowser` is not used: without a graphical browser it runs lynx or w3m in the terminal
of the app and waits for it, and over SSH it opens a window on the remote machine. Here every child
runs in its own session with the null device as its streams, so that it cannot draw on the terminal.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from bioretrieval_tui.terminal.capabilities import Capabilities
from bioretrieval_tui.terminal.clean import clean, safe_url

BUDGET = 0.18
"""Seconds for all programs that one call runs; with their start it stays under 0.2."""
OSC52_LIMIT = 74_994
"""Bytes of text that fit in OSC 52: several terminals drop a sequence of more than 100,000."""
_SCREEN_CHUNK = 240  # GNU screen passes on strings of up to 256 bytes in all its versions
_LONGEST_ALERT = 200
_ALERT_SHOWN = 5_000  # milliseconds
_GRACE = 0.02  # seconds to wait for a killed child; else the next call reaps it
_TEXT_BROWSERS = frozenset(
    ["browsh", "carbonyl", "cha", "chawan", "edbrowse", "elinks", "links", "links2", "lynx"]
) | {"netrik", "retawq", "w3m", "www-browser", "sensible-browser"}  # the last may start the others
# The choice given to xdg-open, whose own list ends in text browsers.
_GRAPHICAL = (
    "x-www-browser:firefox:chromium:chromium-browser:google-chrome:brave-browser:microsoft-edge"
    ":epiphany:konqueror:falkon"
)
Tool = tuple[tuple[str, ...], str]
"""Command line of a clipboard program, and the encoding that it reads."""


class Route(StrEnum):
    """The route of a copied text; DIALOG if none succeeded."""

    TMUX = "tmux"
    OSC52 = "osc52"
    NATIVE = "native"
    DIALOG = "dialog"


class CopyResult(msgspec.Struct, frozen=True):
    """The route of a text, and one line to show."""

    route: Route
    message: str


class OpenResult(msgspec.Struct, frozen=True):
    """The outcome, the URL, and one line to show.

    opened: a browser opened `url`. show: none did; show and copy `url`. refused: the URL is not
    acceptable; `url` is then empty.
    """

    action: Literal["opened", "show", "refused"]
    url: str
    message: str


# Copying --------------------------------------------------------------------------------------


def copy(
    text: str,
    caps: Capabilities,
    write: Callable[[str], None] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
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
    until = time.monotonic() + budget
    text = "\t".join(clean(part, newlines=True) for part in text.split("\t"))
    if not text:
        return CopyResult(Route.DIALOG, "nothing to copy")
    old_tmux = False
    if caps.tmux and (tmux := _find("tmux", env)):
        outcome = run_bounded(
            [tmux, "load-buffer", "-w", "-"],
            seconds=_share(until), data=text.encode(), env=env,
            read_errors=True,  # the client does not fork
        )  # fmt: skip
        if outcome.code == 0:
            return CopyResult(Route.TMUX, "sent to the clipboard through tmux")
        # Before 3.2 the flag is unknown and tmux prints its usage. Any other failure means that no
        # server runs (TMUX was inherited), so nothing would unwrap the sequence.
        errors = outcome.errors.lower()
        old_tmux = bool(outcome.code) and ("usage" in errors or "option" in errors)
    if caps.ssh:
        try:
            _send_osc52(text, caps, write, until, old_tmux=old_tmux)
        except OSError as error:
            return _by_hand(error.strerror or str(error))
        sent = "sent to your terminal's clipboard"
        if caps.term.startswith("tmux") and not caps.tmux:
            # A tmux on the user's side of the SSH connection drops OSC 52 by default.
            sent += "; the tmux at your end needs 'set -g set-clipboard on'"
        return CopyResult(Route.OSC52, sent)
    tools = native_tools(caps, env)
    names = [Path(words[0]).name for words, _ in tools]
    for number, (words, encoding) in enumerate(tools, 1):
        seconds = _share(until) if number < len(tools) else until - time.monotonic()
        if run_bounded(words, seconds=seconds, data=text.encode(encoding), env=env).code == 0:
            return CopyResult(Route.NATIVE, f"copied with {names[number - 1]}")
    return _by_hand(f"{' and '.join(names)} failed" if tools else "no clipboard found")


def _by_hand(why: str) -> CopyResult:
    return CopyResult(Route.DIALOG, f"{why}: select the text by hand")


def likely_route(caps: Capabilities, env: Mapping[str, str] = os.environ) -> tuple[Route, str]:
    """The route that `copy` would try first, and its tool or what is missing, for `doctor`."""
    if caps.tmux and _find("tmux", env):
        return Route.TMUX, "tmux load-buffer -w (tmux 3.2 or later)"
    if caps.ssh:
        if _takes_osc(caps):
            return Route.OSC52, "OSC 52; the terminal at your end must allow it"
        return Route.DIALOG, "this terminal does not take OSC 52"
    if tools := native_tools(caps, env):
        return Route.NATIVE, Path(tools[0][0][0]).name
    if caps.wayland:
        return Route.DIALOG, "install wl-clipboard"
    if caps.x11:
        return Route.DIALOG, "install xclip or xsel"
    return Route.DIALOG, "no desktop and no SSH session found"


def native_tools(caps: Capabilities, env: Mapping[str, str]) -> list[Tool]:
    """The installed clipboard programs whose display is available, best first."""
    windows = caps.wsl or caps.platform == "win32"
    known = (
        (caps.platform == "darwin", "pbcopy", "utf-8"),
        (windows, "clip.exe", "utf-16-le"),
        # With the type given, wl-copy does not start xdg-mime to guess it.
        (caps.wayland, "wl-copy --type text/plain", "utf-8"),
        (caps.x11, "xclip -selection clipboard -in", "utf-8"),
        (caps.x11, "xsel --clipboard --input", "utf-8"),
    )
    found = []
    for available, command, encoding in known:
        name, *options = command.split()
        if available and (path := _find(name, env)):
            found.append(((path, *options), encoding))
    return found


def osc52(text: str, *, tmux: bool = False, screen: bool = False) -> str:
    """The sequence that sets the terminal's clipboard to `text`.

    Args:
        tmux: wrap it for a tmux before 3.2, which passes on wrapped sequences by default.
        screen: wrap it for GNU screen, in pieces of the size that screen accepts.
    """
    encoded = base64.b64encode(text.encode()).decode("ascii")
    # BEL, since ESC \ inside would end the wrapping.
    return _wrapped(f"\x1b]52;c;{encoded}\x07", tmux=tmux, screen=screen)


def _wrapped(sequence: str, *, tmux: bool, screen: bool) -> str:
    """A sequence for the terminal outside of tmux or GNU screen."""
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


def _takes_osc(caps: Capabilities) -> bool:
    return caps.term not in {"", "dumb", "linux"}


def _send_osc52(
    text: str,
    caps: Capabilities,
    write: Callable[[str], None] | None,
    until: float,
    *,
    old_tmux: bool,
) -> None:
    """Send the text by OSC 52. Raises OSError: it cannot be sent, and why."""
    if not _takes_osc(caps):
        raise OSError("this terminal has no clipboard")
    size = len(text.encode())
    if size > OSC52_LIMIT:
        raise OSError(f"too long for the terminal's clipboard ({size:,} bytes of {OSC52_LIMIT:,})")
    sequence = osc52(text, tmux=old_tmux, screen=caps.screen and not old_tmux)
    try:
        if write is None:
            _write_to_terminal(sequence, until)
        else:
            write(sequence)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"the terminal cannot be written to ({why})") from error


def _write_to_terminal(data: str, until: float) -> None:
    """Write to `/dev/tty`, without blocking on a stopped terminal (ctrl+s). Raises OSError if there
    is no terminal, or it did not accept everything in time."""
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


# Alerting -------------------------------------------------------------------------------------


def alert(
    text: str,
    caps: Capabilities,
    write: Callable[[str], None],
    *,
    env: Mapping[str, str] = os.environ,
    budget: float = BUDGET,
) -> None:
    """Ring the bell, and show a line beside the app: as a desktop notification (OSC 9) where the
    terminal takes it, and as a message of tmux, which passes on OSC 9 only if it is told to.

    write: sends raw text to the terminal.
    """
    text = f"bioretrieval-tui: {clean(text)[:_LONGEST_ALERT]}"
    if caps.tmux and (tmux := _find("tmux", env)):
        # tmux would run what stands in #(), and replaces signs behind % by the time.
        shown = text.replace("#", "").replace("%", "%%")
        run_bounded(
            [tmux, "display-message", "-d", str(_ALERT_SHOWN), shown], seconds=budget, env=env
        )
    outer = _wrapped(f"\x1b]9;{text}\x07", tmux=caps.tmux, screen=caps.screen and not caps.tmux)
    with contextlib.suppress(OSError):
        write("\x07" + (outer if _takes_osc(caps) else ""))


# Opening --------------------------------------------------------------------------------------


def open_url(
    url: str, caps: Capabilities, env: Mapping[str, str] = os.environ, *, budget: float = BUDGET
) -> OpenResult:
    """Open `url` in a browser that the user can see.

    $BROWSER comes first: commands separated by colons, split as a shell would, run without one,
    with `%s` for the URL or the URL appended, tried in order; a shell on the way does no harm
    (`shell_proof`). Text browsers are skipped. Without $BROWSER the browser of a local desktop is
    used; over SSH, even with X forwarding, the caller shows the URL. A program that fails within
    `budget` seconds is skipped; one that still runs then counts as opened.
    """
    target = safe_url(url)
    if target is None:
        return OpenResult("refused", "", f"not an http or https address: {clean(url)[:80]}")
    until = time.monotonic() + budget
    for words in _browser_commands(shell_proof(target), caps, env):
        path = _find(words[0], env)
        if path is None or _is_text_browser(path):
            continue
        outcome = run_bounded(
            [path, *words[1:]],
            seconds=max(0.0, until - time.monotonic()),
            env={**env, "BROWSER": _GRAPHICAL} if words[0] == "xdg-open" else env,
            leave_running=True,
        )
        if outcome.started and outcome.code in (0, None):
            return OpenResult("opened", target, f"opened with {clean(Path(words[0]).name)}")
    return OpenResult("show", target, "no browser to open it here")


def shell_proof(url: str) -> str:
    """`url`, from `safe_url`, such that a shell that gets it unquoted runs nothing of it: `ssh
    laptop xdg-open` hands its words to one.

    Escaped are ! $ ' ( ) * and ; (the other signs of shells are already), and each & before
    anything but `name=`, which shells would run. Before `name=` it separates the fields of a query,
    and the shell sets a variable: the address is cut there, and nothing runs.
    """
    url = re.sub(r"[!$'()*;]", lambda sign: f"%{ord(sign[0]):02X}", url)
    return re.sub(r"&(?![A-Za-z_][\w.-]*=)", "%26", url)


def _browser_commands(url: str, caps: Capabilities, env: Mapping[str, str]) -> Iterator[list[str]]:
    """The commands to try, best first; of $BROWSER, those that parse and are no text browsers."""
    for entry in env.get("BROWSER", "").split(os.pathsep):
        try:
            words = shlex.split(entry, posix=os.name != "nt")
        except ValueError:  # an open quotation mark
            continue
        if words and words[-1] == "&":  # "in the background", as in webbrowser: always so here
            words.pop()
        if not words or _is_text_browser(words[0]):
            continue
        if not any("%s" in word for word in words):
            words.append("%s")
        # The remote shell takes the backslash away, and finds the whole address.
        whole = url.replace("&", r"\&") if Path(words[0]).name == "ssh" else url
        yield [whole if word == "%s" else word.replace("%s", url) for word in words]
    if not caps.desktop:
        return
    if caps.platform == "darwin":
        yield ["open", url]
    if caps.wsl:
        yield ["wslview", url]
    if caps.wsl or caps.platform == "win32":
        # The same as `cmd /c start`, without cmd, which interprets & and % in a URL.
        yield ["rundll32.exe", "url.dll,FileProtocolHandler", url]
    if caps.x11 or caps.wayland:
        yield ["xdg-open", url]
        yield ["gio", "open", url]


def _is_text_browser(program: str) -> bool:
    """Whether a program draws on the terminal, by its name or its link target."""
    names = {Path(program).name, Path(os.path.realpath(program)).name}
    return any(name.lower().removesuffix(".exe") in _TEXT_BROWSERS for name in names)


# Child processes ------------------------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True):
    """The end of a child.

    started: False if the program could not be run.
    code: exit status, None if it still ran when the time was up.
    errors: its stderr, if `read_errors` was set.
    """

    started: bool
    code: int | None = None
    errors: str = ""


# Children that outlived their call (browsers). The next call polls them, so that none is a zombie.
_running: list[subprocess.Popen[bytes]] = []


def run_bounded(
    words: Sequence[str],
    *,
    seconds: float,
    data: bytes | None = None,
    env: Mapping[str, str] | None = None,
    leave_running: bool = False,
    read_errors: bool = False,
) -> Outcome:
    """Run a program, without a shell, for at most `seconds`, with `data` on stdin.

    When the time is up the child and its process group are killed, or continue with
    `leave_running`. Use `read_errors` only for programs that do not fork: a daemon would keep the
    pipe open for the whole time.
    """
    _running[:] = [child for child in _running if child.poll() is None]
    try:
        child = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if read_errors else subprocess.DEVNULL,
            env=None if env is None else dict(env),
            start_new_session=True,  # no controlling terminal
        )
    except (OSError, ValueError):  # missing, not executable, arguments too long or with a NUL
        return Outcome(started=False)
    try:
        _, errors = child.communicate(data, timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        if leave_running:
            _running.append(child)
        else:
            _kill(child)
        return Outcome(started=True)
    return Outcome(True, child.returncode, (errors or b"").decode("utf-8", "replace"))


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and its process group, and close its pipes."""
    with contextlib.suppress(OSError):  # it has ended meanwhile
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    for pipe in (child.stdin, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # unsent input to a closed pipe
                pipe.close()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _running.append(child)
