"""README.md's walk-through from a PubMed query to an offline search works as it is written."""

from __future__ import annotations

import _thread
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import World, serving
from verbs import Program

from homes import share_encoders

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## From a PubMed query to offline search"
KEY = {"NCBI_API_KEY": "any-key-0123456789"}
"""With a key, ten requests a second are made instead of three."""


def commands() -> list[str]:
    """The lines of the section's shell blocks, each a command."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split(f"{HEADING}\n", 1)[1].split("\n## ", 1)[0]
    assert len(section.splitlines()) < 30
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def world() -> World:
    return World(articles=5_000)


@pytest.fixture
def program(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.chdir(tmp_path)
    with serving(world) as address:
        yield Program(share_encoders(tmp_path / "fresh"), address)


@pytest.mark.usefixtures("interruptible")
def test_the_walk_through_works_as_written(program: Program, world: World) -> None:
    """In this process, with 600 records for 2,500. `timeout` interrupts: here as soon as the third
    page is requested, which never comes."""

    def interrupt() -> None:
        while len(world.of("/efetch")) < 3:
            time.sleep(0.01)
        world.silent_from = None
        _thread.interrupt_main()

    calls = [line.replace("2500", "600") for line in commands() if "bioretrieval-tui " in line]
    ends = []
    for line in calls:
        before, *words = re.split(r"bioretrieval-tui ", line)
        if before.startswith("timeout -s INT "):
            world.silent_from = 400
            threading.Thread(target=interrupt, daemon=True).start()
        env = dict(word.split("=") for word in before.split() if "=" in word)
        ends.append(program(*shlex.split(words[0]), **KEY, **env))
        assert "Traceback" not in ends[-1].err
    first, second, search, _, run, again = ends
    assert [one.code for one in ends] == [130, 0, 0, 0, 0, 4]
    assert "400 of 600 records have arrived; the same call resumes" in first.err
    assert "400 records had arrived before; resuming behind them" in second.err
    assert "600 records of PubMed fetched; the index ponds has 600 documents" in second.err
    assert search.out.count("herons") >= 3
    assert "100 new in 1 watch" in run.err
    assert "Note" in Path("news.md").read_text(encoding="utf-8")
    assert "0 new in 1 watch" in again.err
    # The hits as JSON: the first one is of the subject.
    line = next(line for line in calls if " search " in line).partition("bioretrieval-tui ")[2]
    titles = [hit["title"] for hit in program(*shlex.split(line), "-f", "json").json]
    assert len(titles) == 5
    assert "herons" in titles[0]
    assert "moss" in titles[0]


def test_its_first_lines_lead_a_shell_to_the_server_and_its_last_ends_it(tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests", target_is_directory=True)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    *first, last = (line for line in commands() if "bioretrieval-tui" not in line)
    asking = (
        "import os, urllib.request as request\n"
        "address = os.environ['BIORETRIEVAL_NCBI_URL'] + '/esearch.fcgi?term=herons'\n"
        "days = '&mindate=2026/01/01&maxdate=2026/12/31'\n"
        "print(request.build_opener(request.ProxyHandler({})).open(address + days).read())\n"
    )
    script = "\n".join(["set -e", *first, f"python -c {shlex.quote(asking)}", last])
    env = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"count": "5000"' in done.stdout
