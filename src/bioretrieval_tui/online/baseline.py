"""The PubMed archive: the yearly baseline and the daily files after it, file by file.

Each file has its MD5 beside it. A file that is there with the MD5 that it should have is not
fetched again; the MD5 that it was compared with stays beside it as proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.downloading import download
from bioretrieval_tui.online.faults import has_changed
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import Progress, Reporter, silent

SERVICE = "baseline"
NAME = "the PubMed archive"
FOLDERS = ("baseline", "updatefiles")
MOST_BYTES = 2 * 2**30
"""Bytes of one file; they have some 20 to 40 MB."""
_MOST_FILES = 20_000
_LISTING_BYTES = 16 * 2**20
_ROW = re.compile(
    r'<a href="(pubmed\d\dn\d{4,5}\.xml\.gz)">[^<]{0,200}</a>[^\n<]{0,100}?'
    r"\s(\d{1,12}(?:\.\d)?)([KMG]?)\s*(?:\n|<|$)"
)
_LINK = re.compile(r'href="(pubmed\d\dn\d{4,5}\.xml\.gz)"')
_MD5 = re.compile(r"\b([0-9a-fA-F]{32})\b")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of the archive. path: below the archive's base; bytes: about, by the listing, or
    None where it does not say."""

    path: str
    bytes: int | None

    @property
    def name(self) -> str:
        """The file's name, which is the same in every folder of a year."""
        return self.path.rpartition("/")[2]


def listed(door: Door, folders: Sequence[str] = FOLDERS) -> list[ArchiveFile]:
    """All files of these folders of the archive, oldest first.

    Raises:
        OnlineError: the archive cannot be reached, or lists nothing that is known.
    """
    found: dict[str, ArchiveFile] = {}
    for folder in folders:
        page = door.text(SERVICE, f"{folder}/", most_bytes=_LISTING_BYTES)
        sizes = {name: int(float(size) * _UNITS[unit]) for name, size, unit in _ROW.findall(page)}
        for name in sorted(set(_LINK.findall(page))):
            found[name] = ArchiveFile(f"{folder}/{name}", sizes.get(name))
    if not found:
        raise has_changed(NAME, "a listing without files")
    if len(found) > _MOST_FILES:
        raise has_changed(NAME, f"a listing of {len(found):,} files")
    return list(found.values())


def missing(files: Sequence[ArchiveFile], folder: Path) -> list[ArchiveFile]:
    """Those that are not in `folder` yet, compared and complete."""
    return [one for one in files if not _is_there(folder / one.name)]


def fetch_files(
    door: Door,
    files: Sequence[ArchiveFile],
    folder: Path,
    *,
    reporter: Reporter = silent,
    fetched: Callable[[ArchiveFile], None] = lambda _: None,
) -> None:
    """Fetch files into `folder`, one after the other; `fetched` hears of each that is complete.

    Raises:
        OnlineError: the archive fails, or a file is not what its MD5 says; those before it stay,
            and the next call goes on. BioRetrievalError: the folder cannot be written.
    """
    total = sum(one.bytes or 0 for one in files) or None
    before = 0
    for number, one in enumerate(files, start=1):
        note = f"{one.name}, {number:,} of {len(files):,}"

        def arrived(done: int, _: int | None, note: str = note, before: int = before) -> None:
            reporter(Progress("fetching", before + done, total, unit="bytes", note=note))

        said = door.text(SERVICE, f"{one.path}.md5", most_bytes=4096)
        digest = _MD5.search(said)
        if digest is None:
            raise has_changed(NAME, f"no MD5 of {one.name}")
        target = folder / one.name
        download(
            door,
            SERVICE,
            one.path,
            target,
            md5=digest[1].lower(),
            most_bytes=MOST_BYTES,
            tell=arrived,
        )
        try:
            proof = f"MD5({one.name})= {digest[1].lower()}\n"
            write_atomically(_proof(target), proof.encode("ascii"))
            before += target.stat().st_size
        except OSError as error:
            raise BioRetrievalError(
                f"{folder} cannot be written: {error.strerror or error}", remedy="make room there"
            ) from error
        fetched(one)


def _is_there(path: Path) -> bool:
    return path.is_file() and _proof(path).is_file()


def _proof(path: Path) -> Path:
    return path.with_name(f"{path.name}.md5")
