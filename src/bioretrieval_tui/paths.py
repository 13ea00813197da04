"""Where everything is kept: the platform's folders, or one folder under BIORETRIEVAL_HOME.

Nothing is created on import or by asking for a path; writers create what they need.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError

APP = "bioretrieval-tui"
HOME_VARIABLE = "BIORETRIEVAL_HOME"
ERROR_LOG = "last-error.log"
"""In the state folder: the traceback of the last unexpected error."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one user.

    config: `config.toml` and `catalog.d/*.yaml`; data: indexes, done marks; cache: what can be
    made again; state: logs and histories.
    """

    config: Path
    data: Path
    cache: Path
    state: Path

    @property
    def overlays(self) -> Path:
        """Folder of the user's catalogue overlays."""
        return self.config / "catalog.d"

    @property
    def indexes(self) -> Path:
        """Folder that holds one folder an index."""
        return self.data / "indexes"

    @property
    def compiled(self) -> Path:
        """Folder of compiled catalogues, named by the content that they came from."""
        return self.cache / "catalogue"


def places() -> Places:
    """The folders in force: BIORETRIEVAL_HOME first, else the platform's own.

    Raises:
        BioRetrievalError: BIORETRIEVAL_HOME names the home of a user who is not there.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        try:
            root = Path(home).expanduser().absolute()
        except RuntimeError as error:
            raise BioRetrievalError(
                f"{HOME_VARIABLE} names no folder: {home}", remedy="set it to a path"
            ) from error
        return Places(root / "config", root / "data", root / "cache", root / "state")
    import platformdirs

    return Places(
        Path(platformdirs.user_config_dir(APP, appauthor=False)),
        Path(platformdirs.user_data_dir(APP, appauthor=False)),
        Path(platformdirs.user_cache_dir(APP, appauthor=False)),
        Path(platformdirs.user_state_dir(APP, appauthor=False)),
    )


def save_file(path: Path, data: bytes, what: str) -> None:
    """Replace a file atomically; `what` names it in the error.

    Raises:
        BioRetrievalError: it cannot be written; the previous one is untouched.
    """
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BioRetrievalError(
            f"{what} cannot be saved in {path.parent}: {error.strerror or error}",
            remedy="free space, or make the folder writable",
        ) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, flush it to disk and rename it into place.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full; `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def full_traceback(error: BaseException) -> str:
    """The traceback of an error as Python prints it."""
    import traceback

    return "".join(traceback.format_exception(error))


def keep_report(report: str) -> str:
    """Write a report of an error to the error log; say where it is, or why it is not."""
    import platform
    import sys
    from datetime import UTC, datetime

    from bioretrieval_tui import __version__

    head = (
        f"{datetime.now(UTC).isoformat(timespec='seconds')} bioretrieval-tui {__version__}, "
        f"Python {platform.python_version()}, {platform.platform()}\n{sys.argv[1:]!r}\n\n"
    )
    path: Path | str = "the state folder"
    try:
        path = places().state / ERROR_LOG
        write_atomically(path, (head + report).encode("utf-8", "backslashreplace"))
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        return f"the details could not be written to {path}: {getattr(error, 'strerror', error)}"
    return f"details: {path}"
