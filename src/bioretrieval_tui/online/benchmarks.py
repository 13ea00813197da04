"""Benchmarks by the catalogue's word: the archive that an entry names, into a folder for `eval`."""

from __future__ import annotations

from pathlib import Path

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.downloading import download
from bioretrieval_tui.online.services import SERVICES
from bioretrieval_tui.online.unpacking import unpack
from bioretrieval_tui.progress import Progress, Reporter, silent

MOST_BYTES = 32 * 2**30
"""Bytes of an archive; the largest of BEIR has under 20 GB."""
_NEEDED = ("corpus.jsonl", "queries.jsonl", "qrels")


def fetchable(catalogue: Catalogue) -> list[str]:
    """Ids of the benchmarks whose entries name an archive."""
    return [
        one.id
        for one in catalogue.entries
        if isinstance(one, Benchmark) and one.loaders is not None and one.loaders.zip
    ]


def fetch_benchmark(
    door: Door, entry: Benchmark, folder: Path, *, reporter: Reporter = silent
) -> None:
    """Fetch the archive of `entry`, compare it with its MD5, and unpack it into `folder`.

    Raises:
        NotFoundError: the entry names no archive. UsageError: there is something at `folder`.
        OnlineError, BioRetrievalError: as `download` and `unpack`; or it is no BEIR folder.
    """
    loaders = entry.loaders
    if loaders is None or not loaders.zip:
        raise NotFoundError(
            f"the catalogue names no archive of {entry.id}",
            remedy=f"see where it is to be had: bioretrieval-tui show {entry.id}",
        )
    if folder.exists():
        raise UsageError(f"{folder} is there already", remedy="name another folder, or delete it")
    service, url = _located(door, loaders.zip)
    # Hidden, and named as nobody names a file of his own: it is deleted in the end.
    archive = folder.with_name(f".{folder.name}.fetched.zip")

    def arrived(done: int, total: int | None) -> None:
        reporter(Progress(f"fetching {entry.id}", done, total, unit="bytes"))

    if not archive.exists():
        download(
            door,
            service,
            url,
            archive,
            md5=loaders.md5,
            most_bytes=MOST_BYTES,
            tell=arrived,
        )
    try:
        unpack(
            archive,
            folder,
            tell=lambda done, total: reporter(Progress("unpacking", done, total, unit="bytes")),
        )
    except BioRetrievalError as error:
        if not isinstance(error.__cause__, OSError):
            # What is wrong with it will be wrong the next time, too.
            archive.unlink(missing_ok=True)
        raise
    missing = [name for name in _NEEDED if not (folder / name).exists()]
    if missing:
        raise BioRetrievalError(
            f"the archive of {entry.id} holds no {missing[0]}",
            remedy=f"look into {folder}; it is no folder for eval",
        )
    archive.unlink(missing_ok=True)


def _located(door: Door, url: str) -> tuple[str, str]:
    """The service that has an address, and the address as it is to be asked for there: a mirror
    takes the place of the archive that it mirrors."""
    known = SERVICES["beir"].base
    if url.startswith(f"{known}/"):
        return "beir", f"{door.service('beir').base}/{url.removeprefix(f'{known}/')}"
    return "web", url
