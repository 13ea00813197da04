"""What lies in a folder, for choosing files: listing, filtering, completing. No widgets.

Names come from anywhere. They are compared and completed in their clean form, which is what a
reader sees and types; the path that is taken is the real one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.terminal.clean import clean

BENCHMARK_FOLDER = "benchmark-folder"
"""The setting that remembers where a benchmark was chosen last."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file or a folder. `problem`: why it cannot be taken; `size` in bytes, None for folders."""

    name: str
    path: Path
    folder: bool
    size: int | None = None
    problem: str | None = None

    @property
    def shown(self) -> str:
        """The name as it is seen and typed."""
        return clean(self.name)


def entries(folder: Path) -> list[FolderEntry]:
    """What lies in a folder: folders first, then by name. What is hidden is there too.

    Raises:
        BioRetrievalError: it cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            listed = [_entry(folder, item) for item in found]
    except OSError as error:
        raise BioRetrievalError(f"this folder cannot be read: {error.strerror}") from error
    return sorted(listed, key=lambda entry: (not entry.folder, entry.shown.casefold(), entry.name))


def _entry(folder: Path, item: os.DirEntry[str]) -> FolderEntry:
    path = folder / item.name
    try:
        item.name.encode()
    except UnicodeEncodeError:
        return FolderEntry(item.name, path, folder=False, problem="its name is no UTF-8: rename it")
    try:
        facts = item.stat()
    except OSError as error:
        return FolderEntry(
            item.name, path, folder=False, problem=error.strerror or "cannot be read"
        )
    if stat.S_ISDIR(facts.st_mode):
        return FolderEntry(item.name, path, folder=True)
    if not stat.S_ISREG(facts.st_mode):
        return FolderEntry(item.name, path, folder=False, problem="no plain file")
    return FolderEntry(item.name, path, folder=False, size=facts.st_size)


def matching(found: Sequence[FolderEntry], rest: str, *, hidden: bool) -> list[FolderEntry]:
    """The entries whose name holds `rest` (any case), or fits it as a pattern with * and ?.

    Hidden ones are shown where `hidden` says so or `rest` begins with their dot.
    """
    wanted = rest.casefold()
    pattern = is_pattern(rest)
    shown = [e for e in found if hidden or rest.startswith(".") or not e.name.startswith(".")]
    if pattern:
        return [e for e in shown if fnmatchcase(e.shown.casefold(), wanted)]
    return [e for e in shown if wanted in e.shown.casefold()]


def is_pattern(rest: str) -> bool:
    """Whether this is a pattern rather than a part of a name."""
    return "*" in rest or "?" in rest


def completed(found: Sequence[FolderEntry], rest: str) -> str:
    """`rest` with all that the names which begin so have in common; a lone folder gets its `/`."""
    near = [e for e in found if e.shown.startswith(rest)]
    if not near:
        near = [e for e in found if e.shown.casefold().startswith(rest.casefold())]
    if not near:
        return rest
    if len(near) == 1:
        return near[0].shown + ("/" if near[0].folder else "")
    first, last = min(e.shown for e in near), max(e.shown for e in near)
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    return first[:same] if same > len(rest) else rest


def folder_of(text: str, base: Path) -> tuple[Path, str]:
    """The folder that a typed path is in, and what follows its last `/`; `~` is the home.

    Raises:
        BioRetrievalError: it names the home of nobody.
    """
    head, slash, rest = text.rpartition("/")
    if not slash:
        return (Path.home(), "") if text == "~" else (base, text)
    try:
        folder = Path(head or "/").expanduser()
    except RuntimeError as error:
        raise BioRetrievalError(f"{head}: there is no such home") from error
    return (folder if folder.is_absolute() else base / folder), rest


def short(folder: Path) -> str:
    """A folder as it is shown and typed: with `~` for the home and a `/` at its end."""
    try:
        inside = folder.relative_to(Path.home())
    except (ValueError, RuntimeError):
        text = str(folder)
    else:
        text = "~" if inside == Path() else f"~/{inside}"
    return clean(text.rstrip("/") + "/")


def first_folder() -> Path:
    """Where choosing begins: the working folder, or the home if that is gone."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()
