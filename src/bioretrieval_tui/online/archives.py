"""Archives: single files with resumption and MD5, the PubMed baseline, benchmarks of the catalogue,
the headings of MeSH.

A download is appended to `NAME.part` and renamed when it is complete and its MD5 is right. A zip
file is checked before it is unpacked: no path outside the folder, no links, bounded sizes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.online.services import SERVICES, OnlineError, unexpected
from bioretrieval_tui.paths import file_errors, locked, places, save_file
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.documents.mesh import Mesh
    from bioretrieval_tui.online.http import HttpClient

BASELINE = "baseline"
_BASELINE_NAME = "the PubMed archive"
FOLDERS = ("baseline", "updatefiles")
_BASELINE_BYTES = 2 * 2**30
"""Bytes of one file at most; they have some 20 to 40 MB."""
_MESH_BYTES = 2**30
_MOST_LISTED = 20_000
_LISTING_BYTES = 16 * 2**20
_BASELINE_FILE = r"pubmed\d\dn\d{4,5}\.xml\.gz"
_ROW = (
    r'href="(%s)"(?:>[^<]{0,200}</a>[^\n<]{0,100}?'
    r"\s(\d{1,12}(?:\.\d)?)([KMG]?)\s*(?:\n|<|$))?"
)
"""A name, and about how many bytes, if that is stated: a number and a unit."""
_MD5 = re.compile(r"\b([0-9a-fA-F]{32})\b")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_BENCHMARK_BYTES = 32 * 2**30
"""Bytes of an archive at most; the largest of BEIR has under 20 GB."""
_NEEDED = {
    "corpus": ("corpus",), "queries": ("queries", "topics"), "qrels": ("qrels", "data", "default"),
}  # fmt: skip
"""Parts of a benchmark, and how their files or folders are called: in BEIR's layout, or in that of
the model hub, whose tables are Parquet."""
_ATTEMPTS = 5
"""Connections in a row without a byte, after which a download fails."""
MOST_FILES = 5_000
"""Files of a zip file at most."""
MOST_BYTES = 64 * 2**30
"""Bytes that a zip file may unpack to."""
_MOST_RATIO = 200
_RATIO_FROM = 256 * 2**20
"""Text compresses to a tenth; a ratio of 200 at this size is an attack."""
_STEP = 2**20

Tell = Callable[[int, int | None], None]
"""Called with the bytes done and the total, None if not known."""


# Downloads ----------------------------------------------------------------------------------------


def download(
    client: HttpClient,
    service: str,
    url: str,
    target: Path,
    *,
    md5: str | None,
    most_bytes: int,
    tell: Tell,
) -> None:
    """Download `url` into `target`, resuming from `target`.part.

    md5: of the whole file in hexadecimal, or None if not known. Raises OnlineError if the service
    fails or the MD5 differs (then the file is deleted), BioRetrievalError if it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    key = hashlib.sha256(os.fsencode(target.absolute())).hexdigest()[:16]
    said, lock = f"{target} cannot be written", places().state / "fetch" / f"{key}.lock"
    remedy = "free space or name another folder; what had arrived is kept"
    busy = "another process fetches it"
    with locked(lock, said, busy, seconds=0), file_errors(said, remedy=remedy):
        target.parent.mkdir(parents=True, exist_ok=True)
        _receive(client, service, url, part, most_bytes, tell)
        if md5 is not None and (found := _md5_of(part)) != md5:
            part.unlink()
            raise OnlineError(
                f"{url.rpartition('/')[2]} from {client.service(service).name} has the wrong MD5"
                f" ({found}, not {md5})",
                remedy="fetch it again; if it persists, the file was changed at its source",
            )
        part.replace(target)


def _md5_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _receive(
    client: HttpClient, service: str, url: str, part: Path, most_bytes: int, tell: Tell
) -> None:
    """Append to `part` until the file is complete."""
    barren = 0
    while True:
        start = arrived = part.stat().st_size if part.exists() else 0
        try:
            stream = client.stream(service, url, start=start, most_bytes=most_bytes)
            with stream as (arrived, total, parts), part.open("ab" if arrived else "wb") as out:
                for data in parts:
                    out.write(data)
                    arrived += len(data)
                    tell(arrived, total)
            if total is None or arrived >= total:
                return
            raise OnlineError(
                f"{client.service(service).name} broke off: it ends the connection",
                remedy="try again; what had arrived is kept",
                broken=True,
            )
        except OnlineError as error:
            if error.status == 416 and start:  # no such range
                return  # complete already; if it is too long, its MD5 differs
            barren = 0 if arrived > start else barren + 1
            if not error.broken or barren >= _ATTEMPTS:
                raise


# The PubMed archive -------------------------------------------------------------------------------


class ArchiveFile(NamedTuple):
    """A file of the archive. path: below its base; name: unique within a year; bytes: about, by the
    listing, None if not stated."""

    path: str
    name: str
    bytes: int | None


def listed(client: HttpClient, folders: Sequence[str] = FOLDERS) -> list[ArchiveFile]:
    """List the files of these folders of the archive, oldest first. Raises OnlineError if it cannot
    be reached, or its listing is not understood."""
    found: dict[str, ArchiveFile] = {}
    for folder in folders:
        for name, about in sizes_listed(client, BASELINE, f"{folder}/", _BASELINE_FILE).items():
            found[name] = ArchiveFile(f"{folder}/{name}", name, about)
    if not found:
        raise unexpected(_BASELINE_NAME, "a listing without files")
    if len(found) > _MOST_LISTED:
        raise unexpected(_BASELINE_NAME, f"a listing of {len(found):,} files")
    return list(found.values())


def sizes_listed(
    client: HttpClient, service: str, folder: str, pattern: str
) -> dict[str, int | None]:
    """The files of a folder that a web server lists whose names match `pattern`, sorted, with about
    how many bytes each has, None if not stated. Raises as `HttpClient.get`."""
    page = client.get(service, folder, most_bytes=_LISTING_BYTES).text
    rows = sorted(set(re.findall(_ROW % pattern, page)))
    return {name: int(float(n) * _UNITS[unit]) if n else None for name, n, unit in rows}


def missing(files: Sequence[ArchiveFile], folder: Path) -> list[ArchiveFile]:
    """Those that are not complete and verified in `folder`."""
    paths = {one: folder / one.name for one in files}
    return [one for one, path in paths.items() if not (path.is_file() and _proof(path).is_file())]


def fetch_files(
    client: HttpClient, files: Sequence[ArchiveFile], folder: Path, *, reporter: Reporter = silent
) -> None:
    """Fetch files into `folder`, one after the other; a file beside each holds its verified MD5.
    Raises as `download`; complete files stay, and the next call resumes."""
    total, before = sum(one.bytes or 0 for one in files) or None, 0
    for number, one in enumerate(files, start=1):
        note = f"{one.name}, {number:,} of {len(files):,}"

        def tell(done: int, _: int | None, note: str = note, before: int = before) -> None:
            reporter(Progress("fetching", before + done, total, unit="bytes", note=note))

        digest = _MD5.search(client.get(BASELINE, f"{one.path}.md5", most_bytes=4096).text)
        if digest is None:
            raise unexpected(_BASELINE_NAME, f"no MD5 of {one.name}")
        target, md5 = folder / one.name, digest[1].lower()
        download(client, BASELINE, one.path, target, md5=md5, most_bytes=_BASELINE_BYTES, tell=tell)
        save_file(_proof(target), f"MD5({one.name})= {md5}\n".encode("ascii"), "the checksum")
        before += target.stat().st_size


def _proof(path: Path) -> Path:
    return path.with_name(f"{path.name}.md5")


# Benchmarks ---------------------------------------------------------------------------------------


def fetchable(catalogue: Catalogue) -> list[str]:
    """The ids of benchmarks whose entries name an archive."""
    return [one.id for one in catalogue.of_type(Benchmark) if one.loaders and one.loaders.zip]


def benchmark_folder(name: str) -> Path:
    """The folder of a fetched benchmark, by its id."""
    return places().data / "benchmarks" / name


def fetch_benchmark(
    client: HttpClient, entry: Benchmark, folder: Path, *, reporter: Reporter = silent
) -> None:
    """Fetch the archive of `entry` and unpack it into `folder`. Raises NotFoundError if the entry
    names none, UsageError if `folder` exists, BioRetrievalError if it holds no benchmark, and as
    `download` and `unpack`."""
    loaders = entry.loaders
    if loaders is None or not loaders.zip:
        raise NotFoundError(
            f"the catalogue names no archive of {entry.id}",
            remedy=f"see where it is published: bioretrieval-tui show {entry.id}",
        )
    if folder.exists():
        raise UsageError(f"{folder} exists", remedy="name another folder, or delete it")
    # A mirror may serve the URLs of the BEIR archive.
    below = loaders.zip.removeprefix(f"{SERVICES['beir'].base}/")
    service = "web" if below == loaders.zip else "beir"
    # Hidden, and deleted at the end.
    archive = folder.with_name(f".{folder.name}.fetched.zip")

    def telling(stage: str) -> Tell:
        return lambda done, total: reporter(Progress(stage, done, total, unit="bytes"))

    if not archive.exists():
        tell = telling(f"fetching {entry.id}")
        download(
            client, service, below, archive, md5=loaders.md5, most_bytes=_BENCHMARK_BYTES, tell=tell
        )
    try:
        unpack(archive, folder, tell=telling("unpacking"))
    except BioRetrievalError as error:
        if not isinstance(error.__cause__, OSError):
            # A damaged archive stays damaged.
            archive.unlink(missing_ok=True)
        raise
    held = {path.name.partition(".")[0] for path in folder.iterdir()}
    for part, names in _NEEDED.items():
        if held.isdisjoint(names):
            raise BioRetrievalError(
                f"the archive of {entry.id} holds no {part}",
                remedy=f"look into {folder}; `eval` cannot use it",
            )
    archive.unlink(missing_ok=True)


# MeSH ---------------------------------------------------------------------------------------------


def fetch_mesh(
    client: HttpClient, years: Sequence[int], day: str, *, reporter: Reporter = silent
) -> Mesh:
    """Fetch the headings of MeSH, of the first of these editions that NLM has, and keep them. NLM
    publishes no checksum: what does not unpack or parse is refused. Raises NotFoundError if NLM has
    none of them, and as `download` and `keep_mesh`."""
    from bioretrieval_tui.documents.mesh import keep_mesh, mesh_path

    def tell(done: int, total: int | None) -> None:
        reporter(Progress("fetching MeSH", done, total, unit="bytes"))

    for name in (f"desc{year}.{suffix}" for year in years for suffix in ("gz", "xml")):
        target = mesh_path().with_name(f".{name}")
        try:
            if not target.exists():
                download(client, "mesh", name, target, md5=None, most_bytes=_MESH_BYTES, tell=tell)
        except OnlineError as error:
            if error.status != 404:
                raise
            continue
        try:
            mesh = keep_mesh(
                target, name, day, lambda n: reporter(Progress("reading", n, None, unit="headings"))
            )
        except BioRetrievalError:
            target.unlink(missing_ok=True)
            raise
        target.unlink(missing_ok=True)
        return mesh
    raise NotFoundError(
        f"NLM has no MeSH of {' or '.join(map(str, years))}", remedy="name an edition with --year"
    )


# Zip files ----------------------------------------------------------------------------------------


def unpack(
    archive: Path,
    target: Path,
    *,
    tell: Tell,
    most_bytes: int = MOST_BYTES,
    most_files: int = MOST_FILES,
) -> None:
    """Unpack a zip file into the new folder `target`, without a single folder at its top; a failure
    leaves nothing. Raises BioRetrievalError if it is not a zip file, is damaged, holds a link or a
    path that leads outside, is encrypted, or exceeds a bound; or the disk is full."""
    beside = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = _checked(archive.name, packed, most_bytes, most_files)
            done, total = 0, sum(one.file_size for one in entries)
            beside.mkdir(parents=True)
            for one in entries:
                path = beside / one.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads at most the declared size, and compares the checksum.
                with packed.open(one) as source, path.open("xb") as out:
                    while data := source.read(_STEP):
                        out.write(data)
                        done += len(data)
                        tell(done, total)
        top = list(beside.iterdir())
        (top[0] if len(top) == 1 and top[0].is_dir() else beside).replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BioRetrievalError(
            f"{archive.name} cannot be unpacked: it is damaged, or not a zip file",
            remedy="fetch it again",
        ) from error
    except OSError as error:
        raise BioRetrievalError(
            f"{archive.name} cannot be unpacked: {error.strerror or error}",
            remedy=f"free space in {target.parent}",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _checked(
    name: str, packed: zipfile.ZipFile, most_bytes: int, most_files: int
) -> list[zipfile.ZipInfo]:
    """The files of an archive; all are checked before the first is written."""

    def refused(why: str) -> BioRetrievalError:
        return BioRetrievalError(f"{name} is not unpacked: {why}", remedy="do not trust its source")

    entries = [one for one in packed.infolist() if not one.is_dir()]
    if len(entries) > most_files:
        raise refused(f"it holds {len(entries):,} files")
    size = sum(one.file_size for one in entries)
    stored = sum(one.compress_size for one in entries)
    if size > most_bytes:
        raise refused(f"it unpacks to {size:,} bytes")
    if size > _RATIO_FROM and size > _MOST_RATIO * max(1, stored):
        raise refused(f"it unpacks to more than {_MOST_RATIO} times its size")
    places = [PurePosixPath(one.filename) for one in entries]
    for one, place in zip(entries, places, strict=True):
        if stat.S_IFMT(one.external_attr >> 16) not in (0, stat.S_IFREG):
            raise refused("it holds a link or a device")
        if one.flag_bits & 1:
            raise refused("it is encrypted")
        odd = re.search(r"[\\:\0]", one.orig_filename)
        if place.is_absolute() or ".." in place.parts or odd or not place.parts:
            raise refused("it holds a path that leads outside")
    if len({str(place).casefold() for place in places}) != len(places):
        raise refused("it holds a path twice")
    return entries
