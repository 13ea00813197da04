"""A draft in the user's editor: checked when it comes back, and kept only when it is sound."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.errors import BioRetrievalError, CatalogueError, Problem, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.online.additions import Addition


def edited(draft: Addition) -> Path | None:
    """Open the draft until it is sound or given up; where it is kept, None if it was emptied.

    Raises:
        UsageError: there is no editor. BioRetrievalError: the editor failed. CatalogueError: what
        was saved is wrong and nobody can be asked; the text stays where the message says.
    """
    words = _editor()
    folder = Path(tempfile.mkdtemp(prefix="bioretrieval-"))
    work = folder / f"{draft.id}.yaml"
    try:
        work.write_text(draft.text, encoding="utf-8")
        while True:
            _run([*words, str(work)])
            text = work.read_bytes()
            if not _says_something(text):
                return None
            problems = _problems(draft, text)
            if not problems:
                return _write(draft, text)
            for problem in problems:
                tell(str(problem))
            if not _again():
                raise CatalogueError([*problems, _left(draft, text)])
    except OSError as error:
        raise BioRetrievalError(f"{work} cannot be written: {error.strerror}") from error
    finally:
        work.unlink(missing_ok=True)
        folder.rmdir() if not any(folder.iterdir()) else None


def kept(draft: Addition, text: bytes) -> Path:
    """Check `text` and write it as the draft's overlay; where it is.

    Raises:
        CatalogueError: it is wrong; every problem with file, line and field. BioRetrievalError:
        it cannot be written, or such an overlay is there already.
    """
    problems = _problems(draft, text)
    if problems:
        raise CatalogueError(problems)
    return _write(draft, text)


def _problems(draft: Addition, text: bytes) -> list[Problem]:
    from bioretrieval_tui.catalog.compiled import data_folder
    from bioretrieval_tui.online.additions import checked
    from bioretrieval_tui.paths import places

    overlays = {}
    for path in sorted(places().overlays.glob("*.y*ml")):
        if path.is_file() and not path.name.startswith("."):
            overlays[path] = path.read_bytes()
    return checked(text, _place(draft), data_folder(), overlays)


def _write(draft: Addition, text: bytes) -> Path:
    from bioretrieval_tui.paths import write_atomically

    path = _place(draft)
    if path.exists():
        raise BioRetrievalError(
            f"there is an overlay {path} already", remedy="edit that, or move it away"
        )
    try:
        write_atomically(path, text)
    except OSError as error:
        raise BioRetrievalError(
            f"the entry cannot be kept in {path.parent}: {error.strerror or error}"
        ) from error
    return path


def _place(draft: Addition) -> Path:
    from bioretrieval_tui.paths import places

    return places().overlays / f"{draft.id}.yaml"


def _left(draft: Addition, text: bytes) -> Problem:
    """Keep what somebody wrote, though it is wrong; where."""
    from bioretrieval_tui.paths import places, write_atomically

    path = places().state / "drafts" / f"{draft.id}.yaml"
    write_atomically(path, text)
    return Problem(path, "your text is kept here; nothing was added to the catalogue")


def _says_something(text: bytes) -> bool:
    lines = (line.strip() for line in text.splitlines())
    return any(line and not line.startswith(b"#") for line in lines)


def _editor() -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        value = os.environ.get(name, "").strip()
        if not value:
            continue
        try:
            return shlex.split(value)
        except ValueError as error:
            raise UsageError(f"{name} does not parse: {error}", remedy="correct it") from error
    raise UsageError(
        "there is no editor for the draft", remedy="set EDITOR, or say --yes to keep it as it is"
    )


def _run(words: list[str]) -> None:
    try:
        ended = subprocess.run(words, check=False)
    except (OSError, ValueError) as error:
        raise BioRetrievalError(
            f"the editor {words[0]} cannot be started", remedy="correct EDITOR, or say --yes"
        ) from error
    if ended.returncode:
        raise BioRetrievalError(
            f"the editor {words[0]} ended with code {ended.returncode}; nothing is added"
        )


def _again() -> bool:
    """Whether to open the editor once more; no where nobody can be asked."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return bool(click.confirm("Correct it?", default=True, err=True))
