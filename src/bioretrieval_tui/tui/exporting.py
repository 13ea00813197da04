"""Writing an export from the app: the ending chooses the format, the file appears whole."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.render.formats import render
from bioretrieval_tui.render.sheet import Sheet

FORMATS = {
    ".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".json": "json",
    ".jsonl": "jsonl", ".bib": "bibtex", ".txt": "table",
}  # fmt: skip


def write_export(path: Path, sheet: object) -> Path:
    """Write a `Sheet` to `path`, beside and renamed.

    Raises:
        UsageError: the ending names no format.
        BioRetrievalError: the file cannot be written; nothing was changed.
    """
    format_name = FORMATS.get(path.suffix.casefold())
    if format_name is None:
        known = " ".join(FORMATS)
        raise UsageError(f"'{path.suffix or path.name}' is no ending for an export",
                         remedy=f"use one of {known}")  # fmt: skip
    text = "".join(render(cast(Sheet, sheet), format_name))  # type: ignore[arg-type]
    if not text.strip():
        raise BioRetrievalError(f"nothing here has a {format_name} form")
    if path.is_dir():
        raise BioRetrievalError(f"{path} is a folder", remedy="name a file in it")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise BioRetrievalError(f"cannot write {path}: {error.strerror}") from error
    return path
