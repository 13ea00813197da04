"""The references: `python scripts/references.py` writes docs/keys.md, cli.md and fields.md.

They are what the program itself says, so they cannot drift: a test compares them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bioretrieval_tui.catalog.fields import reference

DOCS = Path(__file__).resolve().parent.parent / "docs"
VERBS = ("list", "show", "open", "results", "search", "similar", "eval", "index", "index build",
         "index list", "index add", "index import-vectors", "index verify", "index compact",
         "index info", "index remove", "catalog", "catalog refresh", "catalog check-links",
         "catalog add", "watch", "watch add", "watch list", "watch run", "watch news",
         "watch remove", "keys", "doctor", "config", "completion")  # fmt: skip


def said(*words: str) -> str:
    """What the command prints, at a fixed width."""
    command = [sys.executable, "-m", "bioretrieval_tui", *words]
    env = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    run = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return run.stdout


def references() -> dict[str, str]:
    """The text of each file, by its name."""
    lines = [
        "# Verbs",
        "",
        "What `--help` says of each; `scripts/references.py` writes this page.",
        "",
    ]
    for verb in ("", *VERBS):
        name = f"bioretrieval-tui {verb}".strip()
        lines += [f"## {name}", "", "```", said(*verb.split(), "--help").rstrip(), "```", ""]
    return {
        "keys.md": said("keys", "-f", "markdown"),
        "cli.md": "\n".join(lines),
        "fields.md": reference(),
    }


def main() -> None:
    """Write them."""
    for name, text in references().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
