"""Where an index lies on disk and what its files are called. Paths only; nothing is read here.

    indexes/NAME/manifest.json       says what is in force; replaced atomically
    indexes/NAME/<segment>/          documents and their vectors, written once: documents.sqlite,
                                     vectors.f16
    indexes/NAME/<generation>/       what is made from all segments: graph.hnsw, dead.npy, lexical/,
                                     fields/
    indexes/NAME/.building-<token>/  a build that is not complete, or the ruin of one
    indexes/NAME/.pool-<key>/        vectors that an unfinished build has paid for already
    indexes/.removed-NAME-<token>/   an index that is being deleted
    indexes/.locks/NAME.lock, .json  one writer at a time, and who it is

The manifest is the only pointer: renaming one folder over another is not atomic anywhere, and
replacing one small file is. A reader that holds an older generation open keeps its files.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.paths import places

MANIFEST = "manifest.json"
DOCUMENTS = "documents.sqlite"
VECTORS = "vectors.f16"
GRAPH = "graph.hnsw"
DEAD = "dead.npy"
LEXICAL = "lexical"
FIELDS = "fields"
SEGMENT_FILES = (DOCUMENTS, VECTORS)

CATALOGUE = "catalogue"
"""The index over the catalogue's own entries; it is made by the app, not by `index build`."""

BUILDING_PREFIX = ".building-"
REMOVED_PREFIX = ".removed-"
POOL_PREFIX = ".pool-"
POOL_HASHES = "hashes"
POOL_HASH_BYTES = 16
TOKEN = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def check_name(name: str) -> str:
    """`name` as given, if it can name an index on every file system.

    Raises:
        UsageError: it is empty, too long, or holds anything but a-z, 0-9, `-`, `_` and `.`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name an index",
            remedy="use up to 64 lower-case letters, digits, '-', '_' and '.',"
            " with a letter or digit at both ends",
        )
    return name


def indexes_folder() -> Path:
    """The folder of all indexes; it may not exist yet."""
    return places().indexes


def index_folder(name: str) -> Path:
    """The folder of one index. Raises UsageError for an impossible name."""
    return indexes_folder() / check_name(name)


def new_token() -> str:
    """A name for a segment or a generation, never used before."""
    return secrets.token_hex(6)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries, so that a rename within it survives a power loss."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        # Windows opens no folders, and orders its renames itself.
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Flush one file to disk. Raises OSError where that fails, as on a full disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
