"""The catalogue, fast: the compiled form while it matches the YAML, the YAML itself otherwise.

YAML takes a hundred times as long to read as the same data in JSON. So the result of a full
validation is stored under the SHA-256 of its source bytes: beside the code for the catalogue that
was installed, in the cache folder for an edited one and for user overlays. The hash is computed at
each start, so the compiled form of an edited file is never used.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bioretrieval_tui import __version__
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import FORMAT_VERSION, MAX_BYTES, Content
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem
from bioretrieval_tui.paths import Places, places, write_atomically

PACKAGE = Path(__file__).resolve().parent.parent
BUNDLE = PACKAGE / "_bundle"
"""What the wheel carries beside the code; of a checkout, at most the compiled form."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """The compiled form: the content, where it came from, and overlay problems as lines."""

    key: str
    content: Content
    problems: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True):
    """The catalogue and, a line each, the overlays that were left out and why."""

    catalogue: Catalogue
    problems: tuple[str, ...]


def data_folder() -> Path:
    """The folder of the shipped YAML: inside an installed package, or the checkout's `data/`."""
    bundled = BUNDLE / "data"
    return bundled if bundled.is_dir() else PACKAGE.parent.parent / "data"


def load(where: Places | None = None) -> Loaded:
    """The shipped catalogue with the user's overlays. Raises CatalogueError: the shipped catalogue
    cannot be read or does not validate (every problem is listed); NotFoundError: there is no
    catalogue."""
    where = where or places()
    folder = data_folder()
    shipped = sorted(folder.glob("*.yaml"))
    if not shipped:
        raise NotFoundError(f"no catalogue in {folder}", remedy="reinstall bioretrieval-tui")
    overlays, unreadable = _overlay_files(where.overlays)
    key = content_key(shipped, overlays)
    compiled = _compiled(key, BUNDLE / "catalogue.json") if not overlays else None
    if compiled is None:
        compiled = _compiled(key, where.compiled / f"{key}.json")
    if compiled is None:
        compiled = compile_catalogue(folder, overlays, key)
        if content_key(shipped, overlays) == key:  # else a file was edited while it was read
            _keep(where.compiled, compiled)
    return Loaded(Catalogue(compiled.content), (*unreadable, *compiled.problems))


def content_key(shipped: Iterable[Path], overlays: dict[Path, bytes]) -> str:
    """SHA-256 over the format, our version, and the name and bytes of every file. Raises
    CatalogueError: a shipped file cannot be read."""
    digest = hashlib.sha256(f"{FORMAT_VERSION} {__version__}".encode())

    def feed(name: str, data: bytes) -> None:
        digest.update(f"\0{name}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
        digest.update(data)

    for path in shipped:
        try:
            feed(path.name, path.read_bytes())
        except OSError as error:
            raise CatalogueError([Problem(path, f"cannot be read: {error.strerror}")]) from error
    digest.update(b"\0overlays")
    for path, data in overlays.items():
        feed(str(path), data)  # the whole path, since problems name it
    return digest.hexdigest()


def _overlay_files(folder: Path) -> tuple[dict[Path, bytes], list[str]]:
    """The overlays' bytes in the order of their names, and a line for each unreadable one. Hidden
    files are passed over: editors keep their locks and backups there."""
    contents: dict[Path, bytes] = {}
    problems: list[str] = []
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
        )
    except FileNotFoundError:
        return contents, problems
    except OSError as error:
        return contents, [str(Problem(folder, f"cannot be listed: {error.strerror}"))]
    for path in found:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                with path.open("rb") as file:  # a byte too many lets validation say so
                    contents[path] = file.read(MAX_BYTES + 1)
            else:  # reading a pipe would wait for a writer for ever
                problems.append(str(Problem(path, "is not a plain file; left out")))
        except OSError as error:
            problems.append(str(Problem(path, f"cannot be read: {error.strerror}; left out")))
    return contents, problems


def _compiled(key: str, path: Path) -> Compiled | None:
    """The compiled form at `path` if it is there, whole and of this key."""
    try:
        compiled = msgspec.json.decode(path.read_bytes(), type=Compiled)
    except (OSError, ValueError, RecursionError):
        # A damaged copy is made again. msgspec's errors are ValueErrors.
        return None
    return compiled if compiled.key == key else None


def compile_catalogue(folder: Path, overlays: dict[Path, bytes], key: str) -> Compiled:
    """Validate the YAML of `folder` and the overlays into the compiled form. Raises CatalogueError:
    the YAML of `folder` has problems."""
    # PyYAML is imported on this slow path only.
    from bioretrieval_tui.catalog.loader import apply_overlays, parse, read_folder

    draft, content = parse(read_folder(folder))
    content, problems = apply_overlays(draft, content, overlays)
    return Compiled(key=key, content=content, problems=tuple(map(str, problems)))


def _keep(folder: Path, compiled: Compiled) -> None:
    """Store a compiled form for the next start; only the latest eight are kept."""
    try:
        write_atomically(folder / f"{compiled.key}.json", msgspec.json.encode(compiled))
        forms = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        for stale in forms[8:]:
            stale.unlink(missing_ok=True)
    except OSError:
        return  # a read-only or full cache only makes the next start slower
