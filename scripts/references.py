"""The references: `python scripts/references.py` writes docs/keys.md, cli.md and fields.md.

They are generated from the program itself; a test compares them with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bioretrieval_tui.catalog.fields import reference
from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.cli.root import root

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 98
"""Columns of the help, as on a terminal of 100."""


def help_pages(command: click.Command, context: click.Context) -> Iterator[str]:
    """The section of a command, and those of the commands within it."""
    yield from (f"## {context.command_path}", "", "```", command.get_help(context).rstrip())
    yield from ("```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from help_pages(inner, context_of(inner, name, context))


def context_of(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """A context in which the help is as wide as on a terminal of 100 columns."""
    return command.context_class(
        command, parent=parent, info_name=name, terminal_width=WIDTH, **command.context_settings
    )


def keys() -> str:
    """What `keys -f markdown` prints."""
    words = [sys.executable, "-m", "bioretrieval_tui", "keys", "-f", "markdown"]
    env = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout


def references() -> dict[str, str]:
    """The text of each file, by its name."""
    head = ("# Verbs", "", "The output of `--help`; `scripts/references.py` writes this page.", "")
    pages = help_pages(root, context_of(root, PROGRAM))
    return {"keys.md": keys(), "cli.md": "\n".join((*head, *pages)), "fields.md": reference()}


def main() -> None:
    """Write them."""
    for name, text in references().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
