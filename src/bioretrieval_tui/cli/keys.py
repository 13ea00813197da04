"""`keys`: the keys of the app, from the same registry that binds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.output import format_option, put_sheet

if TYPE_CHECKING:
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Sheet


@click.command()
@format_option(without=("bibtex",))
def keys(format_: Format) -> None:
    """List the keys of the app."""
    put_sheet(key_sheet(), format_)


def key_sheet() -> Sheet:
    """Every action that has a key: where it works, its keys, what it does."""
    from bioretrieval_tui.actions import ACTIONS, SCOPES, shown_key
    from bioretrieval_tui.render.sheet import Column, Sheet

    listed = [action for scope in SCOPES for action in ACTIONS if action.scope == scope]
    shown = [[shown_key(key) for key in action.keys] for action in listed]
    return Sheet(
        title="Keys",
        columns=(
            Column("id", "id", data_only=True),
            Column("scope", "where", min_width=10),
            Column("keys", "keys", min_width=12),
            Column("action", "action", min_width=12),
            Column("help", "what it does", weight=4, min_width=20),
        ),
        rows=tuple(
            (action.id, SCOPES[action.scope], " ".join(names), action.label, action.help)
            for action, names in zip(listed, shown, strict=True)
        ),
        records=tuple(
            {
                "id": action.id,
                "scope": action.scope,
                "keys": names,
                "action": action.label,
                "help": action.help,
            }
            for action, names in zip(listed, shown, strict=True)
        ),
    )
