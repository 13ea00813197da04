"""An archive of strangers, unpacked with care: no path outside, no links, nothing unbounded."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bioretrieval_tui.errors import BioRetrievalError

MOST_FILES = 5_000
MOST_BYTES = 64 * 2**30
_MOST_RATIO = 200
_RATIO_FROM = 256 * 2**20
"""Text packs to a tenth; what packs to a two hundredth, and is so large, is an attack."""
_STEP = 2**20


def unpack(
    archive: Path,
    target: Path,
    *,
    tell: Callable[[int, int], None],
    most_bytes: int = MOST_BYTES,
    most_files: int = MOST_FILES,
) -> None:
    """Unpack a zip file into the folder `target`, which must not be there yet; a single folder at
    its top is left out. Nothing is there if it fails. `tell` hears the bytes done and in all.

    Raises:
        BioRetrievalError: it is no zip file, is damaged, holds a path that leads outside, a link,
            something packed in another way, or more than the bounds allow; or the disk is full.
    """
    beside = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            members = _checked(archive.name, packed, most_bytes, most_files)
            total = sum(size for _, _, size in members)
            done = 0
            for member, place, size in members:
                done = _unpack_one(packed, member, beside / place, size, done, total, tell)
        beside.mkdir(exist_ok=True)
        beside.replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BioRetrievalError(
            f"{archive.name} cannot be unpacked: it is damaged, or no such archive",
            remedy="fetch it again",
        ) from error
    except OSError as error:
        raise BioRetrievalError(
            f"{archive.name} cannot be unpacked: {error.strerror or error}",
            remedy=f"make room in {target.parent}",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _checked(
    name: str, packed: zipfile.ZipFile, most_bytes: int, most_files: int
) -> list[tuple[zipfile.ZipInfo, PurePosixPath, int]]:
    """The files of an archive with the places where they go; everything is looked at before the
    first is written."""

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
    places: list[PurePosixPath] = []
    for one in entries:
        kind = stat.S_IFMT(one.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise refused("it holds a link or a device")
        if one.flag_bits & 1:
            raise refused("it is encrypted")
        place = PurePosixPath(one.filename)
        odd = "\\" in one.filename or ":" in one.filename or "\0" in one.orig_filename
        if place.is_absolute() or ".." in place.parts or odd or not place.parts:
            raise refused("it holds a path that leads outside")
        places.append(place)
    tops = {place.parts[0] for place in places}
    if len(tops) == 1 and all(len(place.parts) > 1 for place in places):
        places = [PurePosixPath(*place.parts[1:]) for place in places]
    if len({str(place).casefold() for place in places}) != len(places):
        raise refused("it holds a path twice")
    return [(one, place, one.file_size) for one, place in zip(entries, places, strict=True)]


def _unpack_one(
    packed: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    path: Path,
    size: int,
    done: int,
    total: int,
    tell: Callable[[int, int], None],
) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with packed.open(member) as source, path.open("xb") as out:
        # No more than was declared: the sizes that were added up are what the archive says.
        while data := source.read(_STEP):
            left -= len(data)
            if left < 0:
                raise zipfile.BadZipFile("longer than it says")
            out.write(data)
            done += len(data)
            tell(done, total)
    return done
