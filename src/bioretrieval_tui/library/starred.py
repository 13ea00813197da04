"""Papers that were starred into an index: one file of JSONL (BEIR's form) an index, in the user's
data folder, so that the index can be built from it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, write_atomically


def starred_path(name: str) -> Path:
    """The file of the index `name`; it may not exist."""
    return places().data / "starred" / f"{name}.jsonl"


def keep_starred(name: str, papers: Mapping[str, bytes], *, anew: bool) -> Path:
    """Put papers (lines of JSONL by their id) behind those that are there and return the file.

    anew: nothing of what is there belongs to the index. A paper that is there already is written
    again, at the end: the reader of the file takes the last one.

    Raises:
        BioRetrievalError: it cannot be written; what was there still is.
    """
    path = starred_path(name)
    try:
        before = b"" if anew or not path.exists() else path.read_bytes()
        lines = dict.fromkeys(line for line in before.split(b"\n") if line)
        for paper in papers.values():
            lines.setdefault(paper.rstrip(b"\n"))
        write_atomically(path, b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise BioRetrievalError(
            f"starred papers cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error
    return path
