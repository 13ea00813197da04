"""The entries of a folder, to choose from: listing, filtering, completing. No widgets.

Names are untrusted. They are compared and completed in their cleaned form, which is shown and
typed; the path of an entry is the real one.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.settings import SettingsStore

RECENT_FOLDERS = "recent-folders"
FILES_FOLDER = "files-folder"
BENCHMARK_FOLDER = "benchmark-folder"
"""The setting that remembers the last benchmark folder."""
MOST_RECENT = 4
"""Folders that are remembered."""


class FolderEntry(msgspec.Struct, frozen=True):
    """A file or a folder. problem: why it cannot be selected; size: in bytes, None for folders;
    kind: "benchmark" of a folder in BEIR's layout, "recent" of one that was used."""

    name: str
    path: Path
    folder: bool
    size: int | None = None
    problem: str | None = None
    kind: str = ""

    @property
    def shown(self) -> str:
        """The name as it is shown and typed."""
        return clean(self.name)


def is_benchmark(folder: Path) -> bool:
    """Whether a folder has BEIR's layout: a corpus and queries."""
    ends = ("", ".gz")
    with contextlib.suppress(OSError):
        return all(
            any((folder / f"{part}.jsonl{end}").is_file() for end in ends)
            for part in ("corpus", "queries")
        )
    return False


def recent_entries(places: Sequence[Path]) -> list[FolderEntry]:
    """Folders that were used, by their whole path."""
    return [
        FolderEntry(short(place).rstrip("/") or "/", place, True, kind="recent") for place in places
    ]


def entries(folder: Path) -> list[FolderEntry]:
    """List a folder with its hidden entries: folders first, then by name.

    Raises BioRetrievalError if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            listed = [_entry(folder / item.name, item.stat) for item in found]
    except OSError as error:
        raise BioRetrievalError(f"this folder cannot be read: {error.strerror}") from error
    return sorted(listed, key=lambda entry: (not entry.folder, entry.shown.casefold(), entry.name))


def _entry(path: Path, read: Callable[[], os.stat_result]) -> FolderEntry:
    is_folder, size, problem = False, None, None
    try:
        path.name.encode()
        facts = read()
    except UnicodeEncodeError:
        problem = "its name is not UTF-8: rename it"
    except OSError as error:
        problem = error.strerror or "cannot be read"
    else:
        is_folder = stat.S_ISDIR(facts.st_mode)
        if stat.S_ISREG(facts.st_mode):
            size = facts.st_size
        elif not is_folder:
            problem = "not a regular file"
    kind = "benchmark" if is_folder and is_benchmark(path) else ""
    return FolderEntry(path.name, path, is_folder, size, problem, kind)


def pasted(text: str, base: Path) -> tuple[list[str], list[FolderEntry]]:
    """The paths of a pasted text, as they are written, and the entries of those that exist.

    A line that exists as it stands is one path; others are split at blanks, except within quotes
    and after a backslash, as terminals write the files that are dropped on them.
    """
    written: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        parts = [line]
        if _named(line, base) is None:
            with contextlib.suppress(ValueError):  # a quote that does not end
                parts = shlex.split(line)
        written += parts
    found = (_named(one, base) for one in written)
    return written, [_entry(path, path.stat) for path in found if path is not None]


def _named(text: str, base: Path) -> Path | None:
    """The path that a text names, if it exists."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # too long, no such home, a NUL
        path = base / Path(text).expanduser()
        return path if path.exists() else None
    return None


def matching(found: Sequence[FolderEntry], rest: str, *, hidden: bool) -> list[FolderEntry]:
    """The entries whose name contains `rest`, or matches it as a pattern with * and ?; any case.

    Hidden entries are shown if `hidden` is set or `rest` begins with a dot.
    """
    wanted = rest.casefold()
    shown = [e for e in found if hidden or rest.startswith(".") or not e.name.startswith(".")]
    if is_pattern(rest):
        return [e for e in shown if fnmatchcase(e.shown.casefold(), wanted)]
    return [e for e in shown if wanted in e.shown.casefold()]


def is_pattern(rest: str) -> bool:
    return "*" in rest or "?" in rest


def completed(found: Sequence[FolderEntry], rest: str) -> str:
    """`rest`, extended as far as all names that begin with it agree; a lone folder gets a `/`."""
    near = [e for e in found if e.shown.startswith(rest)] or [
        e for e in found if e.shown.casefold().startswith(rest.casefold())
    ]
    if len(near) == 1:
        return near[0].shown + ("/" if near[0].folder else "")
    shared = os.path.commonprefix([e.shown for e in near])  # noqa: RUF071 - of names
    return shared if len(shared) > len(rest) else rest


def folder_of(text: str, base: Path) -> tuple[Path, str]:
    """The folder of a typed path, and what follows its last `/`; `~` is the home.

    Raises BioRetrievalError if the home of `~user` is not known."""
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
    """The working folder, or the home if that does not exist."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


class FolderMemory:
    """The folders that were used last, in the settings."""

    def __init__(self, settings: SettingsStore) -> None:
        self._settings = settings

    def remembered(self, name: str) -> Path | None:
        """The folder that the setting `name` remembers, if it still exists."""
        try:
            kept = self._settings.setting(name)
            return Path(kept) if kept and Path(kept).is_dir() else None
        except (BioRetrievalError, OSError, ValueError):
            return None

    def remember(self, name: str, folder: Path) -> None:
        """Keep a folder under the setting `name`, and among the recent ones."""
        chosen = folder.absolute()
        recent = list(dict.fromkeys([chosen, *self.recent()]))[:MOST_RECENT]
        with contextlib.suppress(UnicodeEncodeError):  # no name that SQLite holds
            self._settings.set_setting(name, str(chosen))
            self._settings.set_setting(RECENT_FOLDERS, "\n".join(map(str, recent)))

    def recent(self) -> list[Path]:
        """The folders that were used last and still exist, the latest first."""
        with contextlib.suppress(BioRetrievalError, OSError, ValueError):
            kept = self._settings.setting(RECENT_FOLDERS) or ""
            return [Path(one) for one in kept.split("\n") if one and Path(one).is_dir()]
        return []
