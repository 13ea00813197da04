"""`keys`, `config` and `completion`: the keys, the settings, shell completion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli import COMPLETION_VARIABLE, PROGRAM, options
from bioretrieval_tui.cli.streams import put, put_sheet
from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

    from bioretrieval_tui.render.formats import Format

DEFAULT = "default"
SHELLS = {
    "bash": 'Put this into ~/.bashrc:  eval "$(bioretrieval-tui completion bash)"',
    "zsh": 'Put this into ~/.zshrc, after compinit:  eval "$(bioretrieval-tui completion zsh)"',
    "fish": "Run once:  bioretrieval-tui completion fish"
    " > ~/.config/fish/completions/bioretrieval-tui.fish",
}
"""How the script of a shell is installed."""


@click.command()
@options.format_
def keys(format_: Format) -> None:
    """List the keys of the app."""
    from bioretrieval_tui.actions import ACTIONS, SCOPES, shown_key
    from bioretrieval_tui.render.sheet import Column, Sheet

    columns = (
        Column("id", "id", data_only=True),
        Column("scope", "where", min_width=10),
        Column("keys", "keys", min_width=12),
        Column("action", "action", min_width=12),
        Column("help", "what it does", weight=4, min_width=20),
    )
    rows, records = [], []
    for one in (action for scope in SCOPES for action in ACTIONS if action.scope == scope):
        names = [shown_key(key) for key in one.keys]
        rows.append((one.id, SCOPES[one.scope], " ".join(names), one.label, one.help))
        records.append(
            {"id": one.id, "scope": one.scope, "keys": names, "action": one.label, "help": one.help}
        )
    put_sheet(Sheet("Keys", columns, rows, records), format_)


@click.command()
@options.format_
def config(format_: Format) -> None:
    """Show the folders and settings in use.

    Set BIORETRIEVAL_HOME to keep everything below one folder.
    """
    from bioretrieval_tui.render.sheet import Column, record_sheet

    columns = (
        Column("name", "name", min_width=12),
        Column("value", "value", weight=5, min_width=20),
        Column("origin", "set by", weight=2, min_width=8),
    )
    found = [dict(zip(("name", "value", "origin"), one, strict=True)) for one in settings()]
    put_sheet(record_sheet("Configuration", columns, found), format_)


def settings() -> Iterator[tuple[str, str, str]]:
    """Yield name, value and origin (a variable, the app, or the default); folders first."""
    from bioretrieval_tui.catalog.compiled import data_folder
    from bioretrieval_tui.paths import HOME_VARIABLE, places
    from bioretrieval_tui.settings import SettingsStore

    where = places()
    moved = HOME_VARIABLE if os.environ.get(HOME_VARIABLE) else DEFAULT
    yield "config", str(where.config), moved
    yield "catalogue overlays", str(where.overlays), moved
    for name in ("data", "indexes", "cache", "state"):
        yield name, str(getattr(where, name)), moved
    yield "catalogue", str(data_folder()), "the program"
    try:
        theme = SettingsStore(where.data / "library.sqlite").setting("theme")
        yield "theme", theme or "dark", "the app" if theme else DEFAULT
    except BioRetrievalError as error:
        yield "theme", error.message, "the app"
    yield _variable("BIORETRIEVAL_OFFLINE", "no network", "the network may be used")
    yield _sent("NCBI_API_KEY", "none: PubMed allows three requests a second", secret=True)
    yield _sent("BIORETRIEVAL_CONTACT", "none: services cannot write to you", secret=False)
    yield _variable("NO_COLOR", "no colours", "as the terminal allows")
    yield _variable("BROWSER", None, "the desktop's browser, if there is one")
    yield _variable("COLUMNS", None, "as wide as the terminal")


def _sent(name: str, otherwise: str, *, secret: bool) -> tuple[str, str, str]:
    """A setting that is sent to services; a key is masked."""
    from bioretrieval_tui.online.services import masked, network_setting

    try:
        found = network_setting(name)
    except BioRetrievalError as error:
        return name, error.message, "at fault"
    if found is None:
        return name, otherwise, DEFAULT
    value, origin = found
    return name, masked(value) if secret else value, origin


def _variable(name: str, meaning: str | None, otherwise: str) -> tuple[str, str, str]:
    value = os.environ.get(name)
    if not value or (name == "BIORETRIEVAL_OFFLINE" and value == "0"):
        return name, otherwise, DEFAULT
    return name, meaning or value, name


@click.command()
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
def completion(shell: str) -> None:
    """Print a completion script for your shell.

    Its first line says where to put it. Kinds, ids, fields, formats and index names complete.
    """
    made = _completer(shell)
    # `source()` would start a bash to ask its version.
    script = made.source_template % made.source_vars()
    put([f"# {SHELLS[shell]}\n", script.strip("\n") + "\n"])


def answer(instruction: str) -> int:
    """Respond to the completion function of a shell (`bash_complete`); errors are silent."""
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    try:
        completed = _completer(shell).complete()
    except (KeyError, ValueError, BioRetrievalError):  # called by hand, or half an input
        return 1
    put([completed + "\n"])
    return 0


def _completer(shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class

    from bioretrieval_tui.cli.root import root

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all of SHELLS
    return found(root, {}, PROGRAM, COMPLETION_VARIABLE)
