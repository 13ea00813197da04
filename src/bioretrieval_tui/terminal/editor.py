"""A text in the user's editor."""

from __future__ import annotations

from os import environ

from bioretrieval_tui.errors import BioRetrievalError, UsageError


def edited(text: bytes, extension: str, *, what: str, kept: str, otherwise: str) -> bytes:
    """What the user makes of a text in $VISUAL or $EDITOR.

    Raises UsageError if there is no editor, BioRetrievalError if it fails. what: it is for; kept:
    what is so then; otherwise: what to do without an editor."""
    import click

    editor = environ.get("VISUAL", "").strip() or environ.get("EDITOR", "").strip()
    if not editor:
        raise UsageError(f"there is no editor for {what}", remedy=f"set EDITOR, or {otherwise}")
    try:
        return click.edit(text, editor, extension=extension, require_save=False) or b""
    except ValueError as error:
        raise UsageError(f"EDITOR is invalid: {error}", remedy="correct it") from error
    except click.ClickException as error:
        said = f"the editor failed ({error.format_message()}); {kept}"
        raise BioRetrievalError(said, remedy=f"correct EDITOR, or {otherwise}") from error


def edited_note(note: str, otherwise: str) -> str:
    """As `edited`, of a note, which is kept where the editor fails."""
    text = f"{note}\n".encode() if note else b""
    made = edited(text, ".md", what="the note", kept="it is unchanged", otherwise=otherwise)
    return made.decode("utf-8", "replace").strip()
