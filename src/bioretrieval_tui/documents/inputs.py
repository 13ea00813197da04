"""What the words of a call name: files, folders, patterns and stdin become one list of files."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from bioretrieval_tui.documents.formats import FORMATS, suffix_of
from bioretrieval_tui.documents.source import STDIN, reading_fault
from bioretrieval_tui.errors import CorpusError, NotFoundError

_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_NO_DOCUMENTS = frozenset({"queries.jsonl", "queries.jsonl.gz", "qrels"})
_SUFFIXES = frozenset(suffix for format_ in FORMATS for suffix in format_.suffixes)


def resolve(inputs: Sequence[str | os.PathLike[str]]) -> list[Path | None]:
    """The files that `inputs` name, in order; None stands for stdin ("-").

    A file is itself. A folder with `corpus.jsonl` (BEIR) is that file; another one is all files
    in and below it whose suffix is of a format, sorted, without hidden ones and BEIR's queries
    and judgements. What is no file but a pattern (`*`, `?`, `[...]`, `**`) is what it matches,
    sorted.

    Raises:
        NotFoundError: a file is not there, a pattern matches none, or a folder holds none.
        CorpusError: an input is named twice, is no regular file, or cannot be looked at.
    """
    files: list[Path | None] = []
    seen: set[tuple[int, int] | None] = set()
    for given in inputs:
        for path in _named(os.fspath(given)):
            key = None if path is None else _key(_look(path))
            if key in seen:
                shown = STDIN if path is None else str(path)
                raise CorpusError(f"{shown} is named twice", remedy="name every input once")
            seen.add(key)
            files.append(path)
    return files


def _named(given: str) -> list[Path | None]:
    if given == STDIN:
        return [None]
    path = Path(given)
    if glob.has_magic(given) and not _is_there(path):
        return [*_matches(given)]
    found = _look(path)
    if stat.S_ISDIR(found.st_mode):
        return [*_within(path)]
    return [_regular(path, found)]


def _matches(pattern: str) -> list[Path]:
    try:
        paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    except (OSError, ValueError) as error:
        raise reading_fault(pattern, error) from error
    found = [(path, _look(path)) for path in paths if _is_there(path)]
    # "data/**" matches folders beside the files within them; only where folders are all that
    # there is does the pattern mean them.
    files = [_regular(path, info) for path, info in found if not stat.S_ISDIR(info.st_mode)]
    if not files:
        files = [file for path, _ in found for file in _within(path)]
    if not files:
        raise NotFoundError(f"nothing matches {pattern}")
    return files


def _within(folder: Path) -> list[Path]:
    for name in _CORPUS:
        if (folder / name).is_file():
            return [folder / name]
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for path in _below(folder, seen):
        info = _look(path)
        if stat.S_ISREG(info.st_mode) and _key(info) not in seen:
            seen.add(_key(info))
            files.append(path)
    if not files:
        raise NotFoundError(
            f"{folder} holds no corpus", remedy="name a file, or a folder with files of a format"
        )
    return files


def _below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Files below `folder` by name alone, sorted; each folder is gone into once, so that links
    which lead in a circle end."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        info = _look(path)
        if not stat.S_ISDIR(info.st_mode):
            yield path
            continue
        if _key(info) in seen:
            continue
        seen.add(_key(info))
        try:
            entries = sorted(path.iterdir(), reverse=True)
        except OSError as error:
            raise reading_fault(str(path), error) from error
        waiting.extend(entry for entry in entries if _is_wanted(entry))


def _is_wanted(path: Path) -> bool:
    if path.name.startswith(".") or path.name in _NO_DOCUMENTS or not _is_there(path):
        return False
    return path.is_dir() or suffix_of(path.name) in _SUFFIXES


def _is_there(path: Path) -> bool:
    """Whether it can be looked at; a link that leads nowhere or in a circle cannot."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _look(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        raise reading_fault(str(path), error) from error


def _regular(path: Path, info: os.stat_result) -> Path:
    if not stat.S_ISREG(info.st_mode):
        raise CorpusError(f"{path} is not a regular file", remedy="pipe it in and name it -")
    return path


def _key(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino
