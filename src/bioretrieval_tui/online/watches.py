"""Questions that are asked again and again, and what came of them: one file a watch.

A file holds the watch, the ids that it has seen and its news, and is replaced whole, so that a
run that is killed leaves what the one before wrote. Reading needs small files only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.online.spool import SourceName, sound_query
from bioretrieval_tui.online.watch import FORMAT
from bioretrieval_tui.online.watch import News as News
from bioretrieval_tui.online.watch import Watch as Watch
from bioretrieval_tui.online.watch import Watched as Watched
from bioretrieval_tui.paths import places, write_atomically

_MOST_BYTES = 64 * 2**20
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SUFFIX = ".json"


def folder() -> Path:
    """Where watches are kept; it may not exist yet."""
    return places().data / "watches"


def watches(tell: Callable[[str], None] | None = None) -> list[Watched]:
    """All watches by name. One that cannot be read is left out; `tell` hears why.

    Raises:
        BioRetrievalError: the folder cannot be read.
    """
    try:
        found_here = [path for path in folder().iterdir() if _is_watch(path)]
        paths = sorted(found_here, key=lambda path: path.stem)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BioRetrievalError(
            f"the watches in {folder()} cannot be read: {error.strerror}"
        ) from error
    found = []
    for path in paths:
        try:
            found.append(_read(path))
        except BioRetrievalError as error:
            if tell is not None:
                tell(error.line())
    return found


def watched(name: str) -> Watched:
    """The watch of that name.

    Raises:
        NotFoundError: there is none. BioRetrievalError: its file is damaged.
    """
    path = _path(name)
    if not path.is_file():
        raise _missing(name)
    return _read(path)


def add_watch(
    query: str, source: SourceName, *, since: str, today: str, index: str | None = None
) -> Watch:
    """Keep a new watch under a name made from its query.

    Raises:
        UsageError: the query is empty, too long or no text, or the same watch is there already.
        BioRetrievalError: it cannot be written.
    """
    query = sound_query(query)
    with writing("changed"):
        for other in watches():
            one = other.watch
            if (one.query, one.source, one.index) == (query, source, index):
                raise UsageError(
                    f"this is watched already as {one.name}",
                    remedy=f"to begin anew: bioretrieval-tui watch remove {one.name}",
                )
        watch = Watch(
            name=_free_name(query),
            query=query,
            source=source,
            since=since,
            added=today,
            index=index,
        )
        save(Watched(watch=watch))
    return watch


def remove_watch(name: str) -> Watched:
    """Delete a watch with its news; returns what it was.

    Raises:
        NotFoundError: there is none. BioRetrievalError: it cannot be deleted.
    """
    with writing("changed"):
        found = watched(name)
        try:
            _path(name).unlink()
        except OSError as error:
            raise BioRetrievalError(
                f"the watch {name} cannot be deleted: {error.strerror}"
            ) from error
    return found


def mark_read(name: str, ids: Sequence[str] | None = None, *, read: bool = True) -> Watched:
    """Mark news of a watch as read (or not); all of them where no ids are given.

    Raises:
        NotFoundError: there is no such watch. BioRetrievalError: it cannot be written.
    """
    with writing("changed"):
        found = watched(name)
        wanted = None if ids is None else set(ids)
        news = tuple(
            msgspec.structs.replace(one, read=read) if wanted is None or one.id in wanted else one
            for one in found.news
        )
        marked = msgspec.structs.replace(found, news=news)
        if marked != found:
            save(marked)
    return marked


def save(watched: Watched) -> None:
    """Replace a watch's file.

    Raises:
        BioRetrievalError: it cannot be written; the one before is untouched.
    """
    path = _path(watched.watch.name)
    try:
        write_atomically(path, msgspec.json.encode(watched))
    except OSError as error:
        raise BioRetrievalError(
            f"the watch cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error


def writing(doing: str) -> contextlib.AbstractContextManager[None]:
    """Hold the files for the moment of a change; `doing` is a participle, such as "changed".

    Raises:
        BioRetrievalError: another process holds them for long.
    """
    return _held(".writing.lock", doing, seconds=10)


def running() -> contextlib.AbstractContextManager[None]:
    """Hold the right to ask the sources: a run by cron and one by hand would ask all twice.

    Raises:
        BioRetrievalError: another process runs the watches.
    """
    return _held(".running.lock", "run", seconds=0)


@contextlib.contextmanager
def _held(name: str, doing: str, *, seconds: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    where = folder()
    lock = FileLock(where / name)
    try:
        where.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=seconds)
    except Timeout as error:
        raise BioRetrievalError(
            f"the watches cannot be {doing} now: another process runs or changes them",
            remedy="wait for it",
        ) from error
    except OSError as error:
        raise BioRetrievalError(
            f"the watches cannot be {doing}: {error.strerror or error}",
            remedy=f"check the folder {where}",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> Watched:
    try:
        with path.open("rb") as stream:
            found = msgspec.json.decode(stream.read(_MOST_BYTES), type=Watched)
    except OSError as error:
        raise BioRetrievalError(f"the watch {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BioRetrievalError(
            f"the watch {path} is damaged", remedy="it is left out; delete it, or get it back"
        ) from error
    if found.format != FORMAT or found.watch.name != path.stem:
        raise BioRetrievalError(
            f"the watch {path} is of another version or was renamed",
            remedy="it is left out; give the file its name back, or delete it",
        )
    return found


def _is_watch(path: Path) -> bool:
    return path.suffix == _SUFFIX and not path.name.startswith(".")


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name) or len(name) > 80:
        raise _missing(name)
    return folder() / f"{name}{_SUFFIX}"


def _free_name(query: str) -> str:
    words = re.findall(r"[a-z0-9]+", query.casefold())
    base = "-".join(words)[:40].strip("-") or "watch"
    name, number = base, 1
    while _path(name).exists():
        number += 1
        name = f"{base}-{number}"
    return name


def _missing(name: str) -> NotFoundError:
    known = ", ".join(one.watch.name for one in watches()[:5])
    return NotFoundError(
        f"there is no watch '{name}'",
        remedy=f"there are: {known}" if known else 'make one: bioretrieval-tui watch add "QUERY"',
    )
