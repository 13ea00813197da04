"""The references in docs/ are what the program says, and the man page is one that `man` shows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bioretrieval_tui import config

ROOT = Path(__file__).resolve().parent.parent


def test_the_references_are_current() -> None:
    # In a process of its own: click keeps the help option of the first context that a command had.
    code = "import json, references; print(json.dumps(references.references()))"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", check=True, capture_output=True
    )
    for name, text in json.loads(made.stdout).items():
        kept = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert kept == text, f"docs/{name} is old: python scripts/references.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_the_man_page_has_no_fault() -> None:
    words = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "docs/bioretrieval-tui.1"]
    shown = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    assert shown.stderr == ""
    assert "index add [OPTIONS] NAME FILE..." in shown.stdout
    assert "jq '.results[] | {model, value}'" in shown.stdout


def test_the_page_of_settings_names_each_with_its_variable() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for one in config.values():
        assert one.key.rpartition(".")[2] in page
        assert one.variable in page
