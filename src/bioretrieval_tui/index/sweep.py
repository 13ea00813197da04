"""Throwing away what killed processes left, and nothing that is in force or still of use."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import (
    BUILDING_PREFIX,
    MANIFEST,
    POOL_PREFIX,
    REMOVED_PREFIX,
    indexes_folder,
)
from bioretrieval_tui.index.manifest import read_manifest


def sweep_index(folder: Path, *, pools: bool = False) -> None:
    """Remove from one index all but its manifest and what that names; vectors of unfinished
    builds go only with `pools`, once a build was finished.

    The caller holds the index for writing, so whatever else lies there belongs to nobody. Where
    the manifest cannot be read, folders are kept: a newer version may understand it.
    """
    if not folder.is_dir():
        return
    keep: set[str] | None = {MANIFEST}
    if (folder / MANIFEST).exists():
        try:
            manifest = read_manifest(folder)
            segments = (segment.id for segment in manifest.segments)
            keep = {MANIFEST, manifest.generation, *segments}
        except BioRetrievalError:
            keep = None
    for path in folder.iterdir():
        if path.name.startswith(POOL_PREFIX):
            if pools or not _holds_vectors(path):
                _discard(path)
            continue
        ruin = path.name.startswith((BUILDING_PREFIX, f".{MANIFEST}."))
        if ruin or (keep is not None and path.name not in keep):
            _discard(path)
    with contextlib.suppress(OSError):
        folder.rmdir()  # succeeds only where nothing is left


def sweep_removed() -> None:
    """Finish every removal that was cut short. Two processes may do so at once."""
    for path in indexes_folder().glob(f"{REMOVED_PREFIX}*"):
        _discard(path)


def _holds_vectors(pool: Path) -> bool:
    try:
        return any(path.stat().st_size for path in pool.iterdir())
    except OSError:
        return True


def _discard(path: Path) -> None:
    """Delete a file or folder; what cannot be deleted now is left for the next sweep."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
