"""Papers that were starred into an index: one file of JSONL (BEIR's form) an index, in the user's
data folder, so that the index can be built from it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, write_atomically


class _Record(msgspec.Struct, frozen=True):
    """What of a line says which paper it is."""

    id: str = msgspec.field(name="_id")


def starred_path(name: str) -> Path:
    """The file of the index `name`; it may not exist."""
    return places().data / "starred" / f"{name}.jsonl"


def keep_starred(name: str, papers: Mapping[str, bytes], *, anew: bool) -> Path:
    """Put papers (lines of JSONL by their id) behind those that are there and return the file.

    anew: nothing of what is there belongs to the index. A paper that is there already keeps its
    place and is as it came now: a second version of it in the file would win by its place alone.

    Raises:
        BioRetrievalError: it cannot be written; what was there still is.
    """
    path = starred_path(name)
    try:
        lines = {} if anew or not path.exists() else _lines(path.read_bytes())
        lines |= {identifier: paper.rstrip(b"\n") for identifier, paper in papers.items()}
        write_atomically(path, b"".join(line + b"\n" for line in lines.values()))
    except OSError as error:
        raise BioRetrievalError(
            f"starred papers cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error
    return path


def _lines(data: bytes) -> dict[str | bytes, bytes]:
    """Lines by their id, the last one of each; a line of something else by itself."""
    found: dict[str | bytes, bytes] = {}
    for line in data.split(b"\n"):
        if line:
            found[_id(line)] = line
    return found


def _id(line: bytes) -> str | bytes:
    try:
        return msgspec.json.decode(line, type=_Record).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line
