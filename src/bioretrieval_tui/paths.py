"""Folders of the user (the platform's, or one below BIORETRIEVAL_HOME), atomic writing, locks.

Files that tell what the user reads and asks (queries, stars, watches, logs) are for the user alone.

Only writing creates folders; importing this module and reading a path do not.
"""

from __future__ import annotations

import _thread
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bioretrieval_tui.errors import BioRetrievalError

APP = "bioretrieval-tui"
HOME_VARIABLE = "BIORETRIEVAL_HOME"
ERROR_LOG = "last-error.log"
"""In the state folder: the traceback of the last unexpected error."""
SPARE = 2**30
"""Bytes that must stay free on a disk after a large download."""
_PRIVATE = 0o600

Opener = Callable[[str, int], int]


class Places(NamedTuple):
    """The folders of one user.

    config: `config.toml` and `catalog.d/*.yaml`; data: indexes, evaluations, watches, settings;
    cache: files that can be recreated; state: logs, jobs, unfinished fetches.
    """

    config: Path
    data: Path
    cache: Path
    state: Path

    @property
    def overlays(self) -> Path:
        return self.config / "catalog.d"

    @property
    def indexes(self) -> Path:
        return self.data / "indexes"

    @property
    def compiled(self) -> Path:
        return self.cache / "catalogue"


def places() -> Places:
    """The current folders: those below BIORETRIEVAL_HOME if it is set, else the platform's. Raises
    BioRetrievalError if it refers to the home of an unknown user."""
    kinds = ("config", "data", "cache", "state")
    if home := os.environ.get(HOME_VARIABLE):
        try:
            root = Path(home).expanduser().absolute()
        except RuntimeError as error:
            raise BioRetrievalError(
                f"{HOME_VARIABLE} is not a valid folder: {home}", remedy="set it to a path"
            ) from error
        return Places(*(root / kind for kind in kinds))
    import platformdirs

    folders = platformdirs.PlatformDirs(APP, appauthor=False)
    return Places(*(getattr(folders, f"user_{kind}_path") for kind in kinds))


def free_space(path: Path) -> int:
    """Bytes that are free on the disk of `path`, which need not exist yet. Raises OSError."""
    import shutil

    return shutil.disk_usage(existing(path)).free


def existing(path: Path) -> Path:
    """`path`, or the nearest of its parents that exists."""
    whole = path.absolute()
    return next(one for one in (whole, *whole.parents) if one.exists())


@contextlib.contextmanager
def file_errors(said: str, *, remedy: str | None = None) -> Iterator[None]:
    """Turn an OSError of the block into a BioRetrievalError: `said`, a colon and the reason."""
    try:
        yield
    except OSError as error:
        raise BioRetrievalError(f"{said}: {error.strerror or error}", remedy=remedy) from error


@contextlib.contextmanager
def locked(path: Path, said: str, busy: str, *, seconds: float = 10) -> Iterator[None]:
    """Hold the lock file `path`, for a change of files beside it that begins with reading them.

    Raises BioRetrievalError if it cannot be made, or if another process or thread holds it for
    `seconds`: `said`, "now" and `busy`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    with file_errors(said, remedy=f"check the folder {path.parent}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=seconds, poll_interval=0.01)
        except Timeout as error:
            raise BioRetrievalError(f"{said} now: {busy}", remedy="wait for it to end") from error
    try:
        yield
    finally:
        lock.release()


def private(path: str | Path, flags: int) -> int:
    """Open a file that only the user may read, as an `opener` of `open`; one that others may read
    becomes private. Raises OSError."""
    handle = os.open(path, flags, _PRIVATE)
    if os.fstat(handle).st_mode & 0o077:
        with contextlib.suppress(PermissionError):  # it is another user's
            Path(path).chmod(_PRIVATE)
    return handle


def save_file(path: Path, data: bytes, what: str, *, opener: Opener | None = None) -> None:
    """As `write_atomically`, but raises BioRetrievalError, in which `what` names the file."""
    remedy = "free space, or make the folder writable"
    with file_errors(f"{what} cannot be saved in {path.parent}", remedy=remedy):
        write_atomically(path, data, opener=opener)


def write_atomically(path: Path, data: bytes, *, opener: Opener | None = None) -> None:
    """Write `data` beside `path`, flush it to disk and rename it into place; opener: `private` for
    a file of the user alone. Raises OSError if that fails; `path` is then unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{_thread.get_ident():x}.tmp")
    try:
        with open(beside, "wb", opener=opener) as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def keep_report(report: str | BaseException) -> str:
    """Write a report, or the traceback of an error, to the error log; return a message with its
    path, or why it failed."""
    import platform
    import sys
    import traceback
    from datetime import UTC, datetime

    from bioretrieval_tui import __version__

    head = (
        f"{datetime.now(UTC).isoformat(timespec='seconds')} bioretrieval-tui {__version__}, "
        f"Python {platform.python_version()}, {platform.platform()}\n{sys.argv[1:]!r}\n\n"
    )
    if isinstance(report, BaseException):
        report = "".join(traceback.format_exception(report))
    path: Path | str = "the state folder"
    try:
        path = places().state / ERROR_LOG
        data = (head + report).encode("utf-8", "backslashreplace")
        write_atomically(path, data, opener=private)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        return f"the details could not be written to {path}: {getattr(error, 'strerror', error)}"
    return f"details: {path}"
