"""Child processes: bounded in time, killed with what they started, never a shell."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bioretrieval_tui.terminal.desktop import run_bounded

LONG = 60.0


def test_exit_status_and_input(tmp_path: Path) -> None:
    file = tmp_path / "out"
    code = f"import sys; open({str(file)!r}, 'wb').write(sys.stdin.buffer.read()); sys.exit(3)"
    outcome = run_bounded([sys.executable, "-c", code], seconds=LONG, data=b"a\0b")
    assert outcome.started
    assert outcome.code == 3
    assert file.read_bytes() == b"a\0b"


def test_a_program_that_is_not_there() -> None:
    assert not run_bounded(["/nowhere/program"], seconds=LONG).started
    assert not run_bounded(["nul\0byte"], seconds=LONG).started


def test_words_are_not_read_by_a_shell(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write(sys.argv[1])"
    word = f"$(touch {tmp_path}/x); `id` && %PATH%"
    outcome = run_bounded([sys.executable, "-c", code, word], seconds=LONG, read_errors=True)
    assert outcome.errors == word
    assert list(tmp_path.iterdir()) == []


def test_a_child_has_no_terminal_and_a_session_of_its_own() -> None:
    code = (
        "import os, sys\n"
        "try: os.open('/dev/tty', os.O_RDWR); sys.exit(1)\n"
        "except OSError: pass\n"
        "sys.exit(0 if os.getsid(0) == os.getpid() and not sys.stdout.isatty() else 2)\n"
    )
    assert run_bounded([sys.executable, "-c", code], seconds=LONG).code == 0


def alive(pid: int) -> bool:
    """Whether a process still runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_hanging_child_is_killed_with_its_children(tmp_path: Path) -> None:
    script = tmp_path / "hang"
    script.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! $$ >{tmp_path}/pids\nsleep 1000\n")
    script.chmod(0o755)
    outcome = run_bounded([str(script)], seconds=1.0, data=b"x" * 1_000_000)
    assert outcome == type(outcome)(started=True)
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    until = time.monotonic() + LONG
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until, "it was not killed"
        time.sleep(0.01)


def test_a_child_that_may_stay_is_left_alone(tmp_path: Path) -> None:
    release = tmp_path / "release"
    os.mkfifo(release)
    script = tmp_path / "stay"
    script.write_text(f"#!/bin/sh\nread line <{release}\necho done >{tmp_path}/done\n")
    script.chmod(0o755)
    assert run_bounded([str(script)], seconds=0.1, leave_running=True).code is None
    release.write_text("go\n")  # waits for the reader, so it is alive
    until = time.monotonic() + LONG
    while not (tmp_path / "done").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
