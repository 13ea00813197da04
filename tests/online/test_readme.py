"""README.md's walk-through from a PubMed query to an offline search works as it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from homes import share_encoders

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## From a PubMed query to offline search"
MARK = "@@ ended with"


def commands() -> list[str]:
    """The lines of the section's shell blocks, each a command."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split(f"{HEADING}\n", 1)[1].split("\n## ", 1)[0]
    assert len(section.splitlines()) < 30
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout to the commands, and is not written to the real one."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "tests").symlink_to(ROOT / "tests", target_is_directory=True)
    return folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A fresh home, the command on the PATH, and no way to any host but this machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("bioretrieval-tui", " -m bioretrieval_tui"), ("python", "")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        path.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BIORETRIEVAL_", "NCBI_")) and "proxy" not in name.casefold()
    }
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return {
        **kept,
        **nowhere,
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "BIORETRIEVAL_HOME": str(share_encoders(tmp_path / "fresh")),
    }


def test_the_walk_through_works_as_written(checkout: Path, env: dict[str, str]) -> None:
    lines = commands()
    script = "".join(f"{line}\nprintf '\\n{MARK} %s\\n' $?\n" for line in lines)
    done = subprocess.run(
        ["bash", "--norc", "-c", f"exec 2>&1\n{script}"],
        cwd=checkout, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip
    parts = re.split(rf"\n{MARK} (\d+)\n", done.stdout)
    said = dict(zip(lines, parts[::2], strict=False))
    codes = [int(code) for code in parts[1::2]]
    assert len(codes) == len(lines), done.stdout
    fetches = [n for n, line in enumerate(lines) if " fetch " in line]
    runs = [n for n, line in enumerate(lines) if "watch run" in line]
    expected = {fetches[0]: 124, runs[-1]: 4}  # 124: `timeout` had to end it
    assert codes == [expected.get(n, 0) for n in range(len(lines))], done.stdout

    assert "Traceback" not in done.stdout
    first, second = (said[lines[n]] for n in fetches)
    arrived = re.search(r"([\d,]+) of 2,500 records have arrived; the same call resumes", first)
    assert arrived, first
    assert f"{arrived[1]} records had arrived before; resuming behind them" in second
    assert "2,500 records of PubMed fetched; the index ponds has 2,500 documents" in second
    found = next(text for line, text in said.items() if " search " in line)
    assert found.count("herons") >= 3
    assert "100 new in 1 watch" in said[lines[runs[0]]]
    assert "Note" in (checkout / "news.md").read_text(encoding="utf-8")
    assert "0 new in 1 watch" in said[lines[runs[-1]]]


def test_what_the_walk_through_leaves_is_searched_by_programs_too(
    checkout: Path, env: dict[str, str]
) -> None:
    """The same without the interruption, and its hits as JSON: the first one is of the subject."""
    lines = [line.replace("2500", "40") for line in commands() if "timeout" not in line]
    search = next(line for line in lines if " search " in line)
    upto = lines[: lines.index(search)]
    script = "\n".join(["set -e", *upto, "kill $!", f"{search} -f json"])
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=checkout, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    titles = [hit["title"] for hit in json.loads(done.stdout)]
    assert len(titles) == 5
    assert "herons" in titles[0]
    assert "moss" in titles[0]
