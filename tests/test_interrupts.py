"""ctrl+c where a script started the app in its background, which makes SIGINT ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PARENT = """
import asyncio, signal
from bioretrieval_tui.tui.children import end, spawn

async def main():
    child = await spawn("this_module_sleeps")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    await child.stdout.readline()  # it runs, so Python has set its handler
    await end(child)
    assert child.returncode not in (None, -signal.SIGKILL), child.returncode

asyncio.run(main())
"""
SLEEPS = 'import time\nprint("here", flush=True)\ntime.sleep(60)\n'


def test_the_app_can_interrupt_its_children_where_it_ignores_interrupts(tmp_path: Path) -> None:
    (tmp_path / "this_module_sleeps.py").write_text(SLEEPS)
    path = f"{tmp_path}:{Path(__file__).resolve().parents[1] / 'src'}"
    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", PARENT],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
