"""Copying an index into another home, or any folder: its files as they are, linked where the file
system allows it, and its manifest last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, UsageError
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.manifest import Manifest, check_content, encode_manifest
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.paths import file_errors
from bioretrieval_tui.progress import Progress, Reporter, silent


class Copied(msgspec.Struct, frozen=True):
    """A copy: its folder, its bytes, and those of them that are shared with the index as links."""

    folder: Path
    bytes: int
    linked: int


def copy_index(name: str, to: Path, *, reporter: Reporter = silent) -> Copied:
    """Copy an index to a folder of its name in `to`, or in the indexes of the home `to`.

    Files are compared with their checksums before, and copies after. Raises NotFoundError,
    IndexFault if it is damaged or replaced meanwhile, UsageError if `to` has an index of this name,
    BioRetrievalError if nothing can be written there.
    """
    manifest, source = manifest_of(name), layout.index_folder(name)
    inside = to / "data" / "indexes"
    target = (inside if (to / "data").is_dir() else to) / name
    if target.exists():
        said = f"{target} is there already"
        raise UsageError(said, remedy="remove it, or name another folder")
    beside = target.with_name(f".{name}.part")
    errors = file_errors(f"{target} cannot be written", remedy="free space, or name another folder")
    with layout.using(name), errors:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)  # of a copy that was killed
        try:
            linked = _fill_copy(manifest, source, beside, reporter)
            beside.rename(target)
            layout.sync_folder(target.parent)
        except IndexFault as error:
            if manifest_of(name).generation == manifest.generation:
                raise
            said = f"index {name} was replaced meanwhile"
            raise IndexFault(said, remedy="try again") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Copied(target, sum(one.bytes for one in manifest.files.values()), linked)


def _fill_copy(manifest: Manifest, source: Path, beside: Path, reporter: Reporter) -> int:
    """Put all files into the folder `beside`; returns the bytes that are linked."""
    linked = 0
    for done, (path, facts) in enumerate(manifest.files.items()):
        reporter(Progress("copying", done, len(manifest.files), unit="files"))
        check_content(manifest, source, path)
        copy = beside / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        layout.share_file(source / path, copy)
        if copy.samefile(source / path):
            linked += facts.bytes
            continue
        with copy.open("rb+") as stream:
            os.fsync(stream.fileno())
        if sha256_of(copy) != facts.sha256:
            raise BioRetrievalError(f"the copy {copy.name} is not what was copied",
                                    remedy="check the disk of the copy")  # fmt: skip
    manifest_file = beside / layout.MANIFEST
    manifest_file.write_bytes(encode_manifest(manifest))
    with manifest_file.open("rb+") as stream:
        os.fsync(stream.fileno())
    for folder in {one.parent for one in beside.rglob("*")}:
        layout.sync_folder(folder)
    reporter(Progress("copying", len(manifest.files), len(manifest.files), unit="files"))
    return linked
