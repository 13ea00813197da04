"""Copying inside a real tmux at its default configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

SOURCE = Path(__file__).resolve().parents[2] / "src"
TEXT = "@article{β,\n\ttitle = {A \"quoted\" 'title' with $dollars and `ticks`},\n}"

# Runs in the pane: copies, then says what it was told. A generous budget, since a busy machine may
# be slow to start tmux; the bound itself is tested with a program that hangs.
COPY = """
import sys
from bioretrieval_tui.terminal.capabilities import here
from bioretrieval_tui.terminal.desktop import copy
text = open(sys.argv[1], encoding="utf-8").read()
result = copy(text, here(), budget=60)
with open(sys.argv[2], "w") as out:
    print(result.route, result.message, sep="|", file=out)
"""


class Tmux:
    """A server of its own, without a configuration file."""

    def __init__(self, folder: Path) -> None:
        self.command = ["tmux", "-S", str(folder / "s"), "-f", "/dev/null"]
        self.env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self.command, *words], env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    server = Tmux(tmp_path_factory.mktemp("t"))  # a short path: sockets have 108 bytes at most
    server("new-session", "-d", "-x", "80", "-y", "24", "exec sleep 1000")
    # A window that stays: when a server's last pane ends, the server and its buffers go with it.
    server("new-window", "-d", "exec sleep 1000")
    yield server
    subprocess.run([*server.command, "kill-server"], env=server.env, check=False)


def copied_inside(tmux: Tmux, text: str, folder: Path, *env: str) -> list[str]:
    """Run the copying program in a pane; route and message."""
    source, report = folder / "text", folder / "report"
    source.write_text(text, encoding="utf-8")
    set_env = [word for pair in (f"PYTHONPATH={SOURCE}", *env) for word in ("-e", pair)]
    program = [sys.executable, "-c", COPY, str(source), str(report)]
    tmux("respawn-pane", "-k", *set_env, *program)
    until = time.monotonic() + 60
    while not (report.exists() and report.read_text().endswith("\n")):
        assert time.monotonic() < until, tmux("capture-pane", "-p")
        time.sleep(0.02)
    return report.read_text().strip().split("|")


@pytest.mark.parametrize("text", [TEXT, "https://a.example/", "x" * 300_000], ids=len)
def test_the_text_arrives_in_the_buffer(tmux: Tmux, text: str, tmp_path: Path) -> None:
    assert tmux("show-options", "-g", "-v", "allow-passthrough").strip() == "off"  # the default
    route, message = copied_inside(tmux, text, tmp_path)
    assert route == "tmux"
    assert message.startswith("sent")
    assert tmux("show-buffer") == text


def test_it_goes_on_to_the_terminal_outside(tmux: Tmux, tmp_path: Path) -> None:
    # A client on a pseudo-terminal of ours is that terminal: tmux sends it OSC 52.
    import pty

    ours, theirs = pty.openpty()
    client = subprocess.Popen(
        [*tmux.command, "attach"], stdin=theirs, stdout=theirs, stderr=theirs, env=tmux.env
    )
    os.close(theirs)
    try:
        seen = b""
        while b"\x1b[" not in seen:  # it has drawn: the client is attached
            seen += os.read(ours, 1 << 16)
        copied_inside(tmux, "to the outside", tmp_path)
        until = time.monotonic() + 60
        while b"dG8gdGhlIG91dHNpZGU=" not in seen:
            assert time.monotonic() < until, seen
            seen += os.read(ours, 1 << 16)
        assert b"\x1b]52;" in seen
    finally:
        client.kill()
        client.wait()
        os.close(ours)


def test_without_a_server_the_next_route_is_taken(tmux: Tmux, tmp_path: Path) -> None:
    # The variable says tmux, but nobody answers there. The pane is a terminal, so OSC 52 is sent.
    gone = f"TMUX={tmp_path}/gone,1,0"
    route, message = copied_inside(tmux, "x", tmp_path, gone, "SSH_TTY=/dev/pts/9")
    assert route == "osc52"
    assert message.startswith("sent")
