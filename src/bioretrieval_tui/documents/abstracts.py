"""Abstracts of the catalogue's papers, fetched by the user and kept in the user's own data folder:
they are their publishers' and come with no copy of this program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, write_atomically

_MOST_BYTES = 64 * 2**20


class Abstract(msgspec.Struct, frozen=True):
    """One abstract. origin: the service that gave it; day: when, ISO 8601."""

    text: str
    origin: str
    day: str


def abstracts_path() -> Path:
    """The file that they are kept in; it may not exist."""
    return places().data / "abstracts.json"


def kept_abstracts() -> dict[str, Abstract]:
    """What is kept, by the id of the catalogue's entry; nothing where the file is missing or
    damaged, since it can be fetched again."""
    try:
        with abstracts_path().open("rb") as stream:
            return msgspec.json.decode(stream.read(_MOST_BYTES), type=dict[str, Abstract])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def load_abstracts() -> dict[str, str]:
    """The texts alone."""
    return {name: one.text for name, one in kept_abstracts().items()}


def keep_abstracts(abstracts: Mapping[str, Abstract]) -> None:
    """Replace what is kept.

    Raises:
        BioRetrievalError: it cannot be written; what was kept before still is.
    """
    path = abstracts_path()
    try:
        write_atomically(path, msgspec.json.encode(dict(sorted(abstracts.items()))))
    except OSError as error:
        raise BioRetrievalError(
            f"abstracts cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error
