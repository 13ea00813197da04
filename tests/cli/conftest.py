"""The command as a user meets it, with its own home, and a terminal where one is needed.

`cli` calls it in this process, where libraries and models are loaded once; what Python reads when
it starts, and a pipe, a shell or a terminal, need a process of their own. Calls that change nothing
are answered from memory when they come again.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.main import run
from homes import share_encoders

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = [sys.executable, "-m", "bioretrieval_tui"]
SECONDS = 240

# What a developer's shell may carry that changes what is written.
_UNWANTED = (
    "NO_COLOR", "FORCE_COLOR", "FORCE_HYPERLINK", "COLORTERM", "CI", "COLUMNS", "LINES", "BROWSER",
    "DISPLAY", "WAYLAND_DISPLAY", "TMUX", "STY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY",
    "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "LC_ALL", "LC_CTYPE", "BIORETRIEVAL_OFFLINE",
)  # fmt: skip


_READ_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "HF_ENDPOINT")
"""Beginnings of variables that this process and its libraries have read already."""


@dataclass(frozen=True)
class Ended:
    """How a call ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """stderr by lines: what a user reads when something is wrong."""
        return self.err.splitlines()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests that do not change it."""
    return share_encoders(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def environment(home: Path) -> dict[str, str]:
    """The environment of a call, free of what the developer's shell has set."""
    env = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return {
        **env,
        "BIORETRIEVAL_HOME": str(home),
        "PYTHONPATH": str(SOURCE),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }


@pytest.fixture(scope="session")
def cli(environment: dict[str, str]) -> Callable[..., Ended]:
    """Call the command with these words; `env` adds variables, None takes one away."""
    known: dict[Any, Ended] = {}

    def call(
        *words: str, env: Mapping[str, str | None] | None = None, code: str | None = None
    ) -> Ended:
        key = (words, tuple(sorted((env or {}).items())), code)
        if key not in known:
            whole = changed(environment, env)
            alone = code or any(name.startswith(_READ_AT_START) for name in env or ())
            known[key] = run_program(words, whole, code) if alone else run_here(words, whole)
        return known[key]

    return call


@pytest.fixture(scope="session")
def shell(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Ended]:
    """Run a bash script in which `bioretrieval-tui` is the command."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "bioretrieval-tui"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bioretrieval_tui "$@"\n')
    program.chmod(0o755)

    def call(script: str, env: Mapping[str, str | None] | None = None) -> Ended:
        found = changed(environment, env)
        found["PATH"] = f"{folder}{os.pathsep}{found['PATH']}"
        ended = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=found,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return call


@pytest.fixture(scope="session")
def terminal(environment: dict[str, str]) -> Callable[..., Ended]:
    """Call the command in a pseudo-terminal; stdout and stderr arrive together as `out`.

    `keys` are typed once the text `after` was seen, and again now and then with `insist`: a
    ctrl+c between Python's look for signals and its wait for a line is only seen at the next key.
    """

    def call(
        *words: str,
        columns: int = 100,
        rows: int = 30,
        env: Mapping[str, str | None] | None = None,
        code: str | None = None,
        keys: str = "",
        after: str = "",
        insist: bool = False,
        program: Sequence[str] | None = None,
    ) -> Ended:
        call_words = [*(program or launcher(code)), *words]
        child, screen = pty.fork()
        if child == 0:
            os.execvpe(call_words[0], call_words, changed(environment, env))  # noqa: S606
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        seen, typed = bytearray(), keys.encode()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            ready, _, _ = select.select([screen], [], [], 1.0)
            if not ready:
                if insist and not keys:
                    os.write(screen, typed)
                continue
            try:
                data = os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            seen += data
            if keys and after in seen.decode("utf-8", "replace"):
                os.write(screen, typed)
                keys = ""
        else:
            os.kill(child, 9)
        _, status = os.waitpid(child, 0)
        os.close(screen)
        return Ended(os.waitstatus_to_exitcode(status), seen.decode("utf-8", "replace"), "")

    return call


@pytest.fixture(scope="session")
def catalogue(environment: dict[str, str]) -> Catalogue:
    """The shipped catalogue, as a call with an empty home sees it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", environment["BIORETRIEVAL_HOME"])
        return load().catalogue


def launcher(code: str | None) -> list[str]:
    """The words that start the program; `code` runs first, within the same process."""
    if code is None:
        return PROGRAM
    start = "import sys\nfrom bioretrieval_tui.main import run\nsys.exit(run(sys.argv[1:]))"
    return [sys.executable, "-c", f"{code}\n{start}"]


@pytest.fixture(scope="session")
def fresh() -> Callable[..., Ended]:
    """Calls in this process that are never answered from memory: words, environment, stdin."""
    return run_here


def run_here(words: Sequence[str], env: Mapping[str, str], text: str = "") -> Ended:
    """Call the command in this process, with pipes in place of its streams and `text` on stdin."""
    before, hook, stdin = dict(os.environ), sys.unraisablehook, sys.stdin
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    os.environ.clear()
    os.environ.update(env)
    try:
        with TemporaryFile("w+", encoding="utf-8") as given:
            given.write(text)
            given.seek(0)
            sys.stdin = given
            with redirect_stdout(out), redirect_stderr(err):
                code = run(list(words))
    finally:
        sys.stdin, sys.unraisablehook = stdin, hook
        os.environ.clear()
        os.environ.update(before)
    texts = (stream.detach().getvalue().decode("utf-8") for stream in (out, err))
    return Ended(code, *texts)


def run_program(words: Sequence[str], env: Mapping[str, str], code: str | None = None) -> Ended:
    ended = subprocess.run(
        [*launcher(code), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode("utf-8"), ended.stderr.decode("utf-8"))


def changed(base: Mapping[str, str], env: Mapping[str, str | None] | None) -> dict[str, str]:
    found = dict(base)
    for name, value in (env or {}).items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found
