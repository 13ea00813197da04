"""docs/keys.md and docs/cli.md are what the program says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_references_are_current() -> None:
    spec = importlib.util.spec_from_file_location("references", ROOT / "scripts/references.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.references().items():
        kept = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert kept == text, f"docs/{name} is old: python scripts/references.py"
