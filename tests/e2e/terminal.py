"""A person at a terminal: the real app in a pseudo-terminal whose screen the tests can see.

`Session` runs one program, keeps every byte with the time of its arrival, and shows what a
terminal would show (`reference.Terminal`). `Tmux` is a server of its own without configuration.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reference import Terminal

from homes import share_encoders

SOURCE = Path(__file__).resolve().parents[2] / "src"
APP = [sys.executable, "-m", "bioretrieval_tui"]
FRESH = [*APP, "--fresh"]
"""The app with Home: sessions share a home, and would begin where another one ended."""
PATIENCE = 90.0
"""Seconds after which what has not happened will not happen; a busy machine is slow."""

# Opening the terminal in a new session makes it the one that controls it, so that a change of its
# size is signalled and ctrl+c would interrupt.
_TAKE_TERMINAL = 'terminal=$1; shift; exec "$@" <>"$terminal" >&0 2>&1'

Predicate = Callable[[Terminal], bool]


def environment(home: Path, **changes: str | None) -> dict[str, str]:
    """The environment of a login on a truecolor terminal, and nothing else of this process's."""
    env: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "BIORETRIEVAL_HOME": str(share_encoders(home / "bioretrieval")),
        "BIORETRIEVAL_OFFLINE": "1",
        "BIORETRIEVAL_PRELOAD": "0",  # a model in every test would be too much for two cores
        "PYTHONPATH": str(SOURCE),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        **changes,
    }
    return {name: value for name, value in env.items() if value is not None}


class Session:
    """One program in a pseudo-terminal of `size` (columns, rows)."""

    def __init__(
        self,
        home: Path,
        command: Sequence[str] = FRESH,
        *,
        size: tuple[int, int] = (120, 40),
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        self.env = environment(home, **(env or {}))
        self.ours, theirs = pty.openpty()
        self._set_size(size)
        self.screen = Terminal(*size)
        self.output = bytearray()
        self.arrived = 0.0
        """When the last output came, as `time.monotonic` has it."""
        self.settings_before = termios.tcgetattr(theirs)
        self.child = subprocess.Popen(
            ["/bin/sh", "-c", _TAKE_TERMINAL, "sh", os.ttyname(theirs), *command],
            env=self.env,
            cwd=home,
            start_new_session=True,
        )
        self._theirs = theirs  # kept open: what the program leaves behind can be looked at

    # Reading -----------------------------------------------------------------------------

    def read(self, seconds: float) -> bytes:
        """Take what comes within a time."""
        before = len(self.output)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._take(left)
        return bytes(self.output[before:])

    def wait(self, ready: Predicate | str, seconds: float = PATIENCE) -> float:
        """Read until the screen is so (or shows a text); when that was."""
        shows: Predicate = (
            (lambda screen: ready in screen.text) if isinstance(ready, str) else ready
        )
        until = time.monotonic() + seconds
        while not shows(self.screen):
            wanted = repr(ready) if isinstance(ready, str) else "what was waited for"
            state = f"exit {self.child.poll()}; the screen:\n{self.screen.text}"
            assert time.monotonic() < until, f"{wanted} did not come; {state}"
            self._take(0.1)
        return self.arrived

    def settle(self, quiet: float = 0.4) -> None:
        """Read until nothing has come for a while."""
        while self._take(quiet):
            pass

    def _take(self, seconds: float) -> bool:
        if not select.select([self.ours], [], [], max(0.0, seconds))[0]:
            return False
        data = os.read(self.ours, 1 << 16)
        self.arrived = time.monotonic()
        self.output += data
        self.screen.feed_bytes(data)
        return True

    # Acting ------------------------------------------------------------------------------

    def send(self, keys: str) -> float:
        """Press keys; when that was."""
        os.write(self.ours, keys.encode())
        return time.monotonic()

    def resize(self, width: int, height: int) -> None:
        """Change the terminal's size; the kernel signals it to the program."""
        self._set_size((width, height))
        self.screen.resize(width, height)

    def _set_size(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    # Ending ------------------------------------------------------------------------------

    def ended(self, seconds: float = PATIENCE) -> int:
        """Read until the program has ended and everything it wrote has come; its exit code."""
        until = time.monotonic() + seconds
        while self.child.poll() is None:
            assert time.monotonic() < until, f"it did not end; the screen:\n{self.screen.text}"
            self._take(0.05)
        while self._take(0.05):
            pass
        return self.child.returncode

    def hang_up(self) -> None:
        """Close the terminal, as its window or the SSH connection does, and wait for the end."""
        os.close(self._theirs)
        os.close(self.ours)
        self.ours = self._theirs = -1
        self.child.wait(PATIENCE)

    @property
    def settings(self) -> list[Any]:
        """How the terminal treats input and output (termios)."""
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        """End what still runs."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        for handle in (self.ours, self._theirs):
            if handle >= 0:
                os.close(handle)


class Tmux:
    """A tmux server of its own, without a configuration file."""

    def __init__(self, folder: Path, home: Path) -> None:
        # A short folder: the path of a socket may have 108 bytes at most.
        self.command = ["tmux", "-S", str(folder / "s"), "-f", "/dev/null"]
        self.env = environment(home)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self.command, *words],
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.stdout

    def start(self, command: Sequence[str] = FRESH, size: tuple[int, int] = (120, 40)) -> None:
        """A detached session that runs a program."""
        # tmux gives a pane the environment of its server, which is ours.
        self("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), *command)

    def wait(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until the pane shows a text; the whole pane."""
        return self.until(lambda: self("capture-pane", "-p"), lambda pane: text in pane, seconds)

    @staticmethod
    def until(
        look: Callable[[], str], ready: Callable[[str], bool], seconds: float = PATIENCE
    ) -> str:
        """Look until what is seen is so."""
        until = time.monotonic() + seconds
        while not ready(seen := look()):
            assert time.monotonic() < until, seen
            time.sleep(0.03)
        return seen

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run([*self.command, "kill-server"], env=self.env, check=False)


@contextmanager
def tmux_server(folder: Path, home: Path) -> Iterator[Tmux]:
    """A `Tmux` that is gone afterwards."""
    server = Tmux(folder, home)
    try:
        yield server
    finally:
        server.close()


def has_tmux() -> bool:
    """Whether tmux can be run."""
    return shutil.which("tmux") is not None


def processes_of(home: Path) -> dict[int, str]:
    """Processes of this app whose home is `home`: their ids and command lines."""
    mark = f"BIORETRIEVAL_HOME={home / 'bioretrieval'}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words:  # a zombie has none
                    found[int(folder.name)] = words.strip()
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return found
