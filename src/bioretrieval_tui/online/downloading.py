"""One file from an archive: resumed where it broke off, compared with its MD5, renamed last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.faults import OnlineError

_TRIES = 5
"""Connections in a row that bring nothing, after which it is given up."""
_PART = ".part"
_NOTHING_LEFT = 416

Tell = Callable[[int, int | None], None]
"""Hears the bytes that are there, and how many there will be."""


def download(
    door: Door,
    service: str,
    url: str,
    target: Path,
    *,
    md5: str | None,
    most_bytes: int,
    tell: Tell,
) -> None:
    """Fetch `url` into `target`; what a former run left of it (`target`.part) is gone on from.

    md5: in hexadecimal, of the whole file, or None where nobody says it.

    Raises:
        OnlineError: the service fails, or the file is not what it should be; what arrived of it
            stays only where it may be right. BioRetrievalError: it cannot be written.
    """
    part = target.with_name(target.name + _PART)
    name = door.service(service).name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _receive(door, service, url, part, most_bytes, tell)
        found = _md5_of(part) if md5 is not None else None
        if found != md5:
            part.unlink()
            raise OnlineError(
                f"{url.rpartition('/')[2]} from {name} is not the file that it should be (its MD5"
                f" is {found}, not {md5})",
                remedy="fetch it again; if it stays so, the file has been changed at its source",
            )
        part.replace(target)
    except OSError as error:
        raise BioRetrievalError(
            f"{error.filename or target} cannot be written: {error.strerror or error}",
            remedy="make room or name another folder; what had arrived is kept",
        ) from error


def _receive(door: Door, service: str, url: str, part: Path, most_bytes: int, tell: Tell) -> None:
    """Append to `part` until the service says that this was all."""
    barren = 0
    while True:
        start = part.stat().st_size if part.exists() else 0
        arrived = start
        try:
            with (
                door.stream(service, url, start=start, most_bytes=most_bytes - start) as parts,
                part.open("ab") as out,
            ):
                for data in parts:
                    out.write(data)
                    arrived += len(data)
                    tell(arrived, parts.total)
                total = parts.total
            if total is None or arrived >= total:
                return
            raise OnlineError(
                f"{door.service(service).name} broke off: it ends the connection",
                remedy="try again; what had arrived is kept",
                broken=True,
            )
        except OnlineError as error:
            if error.status == _NOTHING_LEFT and start:
                return  # it was complete already; if it is too long, its MD5 says so
            if not error.broken:
                raise
            barren = barren + 1 if arrived == start else 0
            if barren >= _TRIES:
                raise


def _md5_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
