"""docs/keys.md, docs/cli.md and docs/fields.md are what the program says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
