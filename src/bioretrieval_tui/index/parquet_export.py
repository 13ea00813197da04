"""Writing an index as Parquet: its living documents, with their vectors, as one file or a folder of
files; see `parquet_columns`.

Everything is written beside its place and renamed when it is complete, so that a full disk, an
interrupt or a kill leaves nothing under the name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import IndexFault, UsageError
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.base import Base
from bioretrieval_tui.index.manifest import fault
from bioretrieval_tui.index.parquet_columns import (
    KEY,
    VERSION,
    ExportedRow,
    ExportFacts,
    RowVectors,
    arrow,
    batch_of,
    schema_of,
)
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.index.store_index import StoreBase, open_anywhere
from bioretrieval_tui.paths import file_errors
from bioretrieval_tui.progress import Progress, Reporter, silent

SUFFIX = ".parquet"
ROWS = 200_000
"""Documents a file of a folder."""
_GROUP = 8_192
"""Documents of a row group, which readers hold as a whole."""
_GROUP_TEXT = 2**25
"""Characters of text of a row group, from which it ends."""
_SINGLE = ("id", "title", "text", "metadata", "line", "vector", "passages")
"""Columns whose values hardly occur twice, so that a dictionary of them only costs time."""
_TRIES = 5


class Exported(msgspec.Struct, frozen=True):
    """What was written: documents, files and bytes."""

    documents: int
    files: int
    bytes: int


def export_index(
    name: str, out: Path, *, rows: int | None = None, reporter: Reporter = silent
) -> Exported:
    """Write the living documents of an index and their vectors as Parquet.

    out: a file that ends in `.parquet`, which is replaced, or a folder, which must not exist, for
    files of at most `rows` documents (by default `ROWS`). Raises NotFoundError, IndexFault if the
    documents or vectors are damaged, UsageError, BioRetrievalError without pyarrow or if nothing
    can be written there.
    """
    single = out.suffix.casefold() == SUFFIX
    if single and rows is not None:
        raise UsageError("a number of rows is for a folder of files", remedy=f"drop {SUFFIX}")
    if out.is_dir() if single else out.exists() or out.is_symlink():
        said = f"{out} is a folder" if single else f"{out} is there already"
        raise UsageError(said, remedy="name a folder that is not there, or a file of that ending")
    arrow()
    errors = file_errors(f"{out} cannot be written", remedy="free space, or name another place")
    with layout.using(name), _opened(name) as base, errors, _beside(out, folder=not single) as to:
        total = base.manifest.documents
        parts = 1 if single else -(-total // (rows or ROWS))
        remaining = _rows(base, reporter)
        written = 0
        for part in range(1, parts + 1):
            path = to if single else to / f"{name}-{part:05}-of-{parts:05}{SUFFIX}"
            some = islice(remaining, total if single else rows or ROWS)
            with _part(path, _schema(base, part, parts)) as write:
                while group := list(_group(some)):
                    labels, held = zip(*group, strict=True)
                    write(held, _vectors(base, np.array(labels, dtype=np.int64)))
                    written += len(held)
        if written != total or next(remaining, None) is not None:
            raise fault(base.manifest, f"its store does not hold {total:,} documents")
        files = [to] if single else [*to.iterdir()]
        size = sum(path.stat().st_size for path in files)
    return Exported(total, parts, size)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Base | StoreBase]:
    """The index; the newer one if a build replaces it while its files are checked."""
    with contextlib.ExitStack() as stack:
        for _ in range(_TRIES):
            manifest = manifest_of(name)
            try:
                base = stack.enter_context(open_anywhere(name))
                break
            except IndexFault:
                if manifest_of(name).generation == manifest.generation:
                    raise
        else:
            said = f"index {name} is replaced again and again"
            raise IndexFault(said, remedy="try again later")
        yield base


def _schema(base: Base | StoreBase, part: int, of: int) -> Any:
    manifest = base.manifest
    facts = ExportFacts(
        version=VERSION,
        export=manifest.generation,
        part=part,
        of=of,
        index=manifest.name,
        longer=None if base.longer is None else len(base.longer - base.dead),
        works=base.store.knows_works,
        app=__version__,
        **{
            name: getattr(manifest, name)
            for name in (
                "documents", "aliases", "model", "revision", "recipe", "recipe_hash", "dimension",
                "dtype", "similarity", "normalised", "ids", "max_tokens", "passages", "built",
                "device",
            )
        },
    )  # fmt: skip
    schema = schema_of(dimension=manifest.dimension, passages=manifest.passages)
    return schema.with_metadata({KEY: msgspec.json.encode(facts)})


def _rows(base: Base | StoreBase, reporter: Reporter) -> Iterator[tuple[int, ExportedRow]]:
    """The living documents with their labels, in their order."""
    names: dict[int, list[str]] = {}
    for alias, label in base.store.all_aliases():
        names.setdefault(label, []).append(alias)
    total, done = base.manifest.documents, 0
    reporter(Progress("exporting", 0, total))
    for label, record in base.store.records():
        if label not in base.dead:
            longer = None if base.longer is None else label in base.longer
            yield label, ExportedRow(record, names.get(label, ()), longer)
            done += 1
            if done % 256 == 0 or done == total:
                reporter(Progress("exporting", done, total))


def _group(rows: Iterator[tuple[int, ExportedRow]]) -> Iterator[tuple[int, ExportedRow]]:
    """The rows of the next row group."""
    left = _GROUP_TEXT
    for one in islice(rows, _GROUP):
        yield one
        left -= len(one[1].record.document.text)
        if left <= 0:
            return


def _vectors(base: Base | StoreBase, labels: npt.NDArray[np.int64]) -> RowVectors | None:
    if not base.manifest.encoded:
        return None
    if base.passages is None:
        return RowVectors(base.matrix.halves(labels))
    rows, firsts = base.passages.rows_of(labels)
    spans = [base.passages.span(row) for row in rows.tolist()]
    ends = [*firsts.tolist()[1:], len(rows)]
    parts = [spans[first:end] for first, end in zip(firsts.tolist(), ends, strict=True)]
    return RowVectors(base.matrix.halves(rows), parts)


# Files --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _beside(out: Path, *, folder: bool) -> Iterator[Path]:
    """A file or new folder beside `out`, which it becomes at the end; removed after an error."""
    beside = out.with_name(f".{out.name}.part")
    _discard(beside)  # of an export that was killed
    try:
        if folder:
            beside.mkdir()
        yield beside
        if folder:
            layout.sync_folder(beside)
        beside.replace(out)
        layout.sync_folder(out.parent)
    except BaseException:
        _discard(beside)
        raise


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _part(path: Path, schema: Any) -> Iterator[Callable[[Any, RowVectors | None], None]]:
    """Write a file; gives what takes a row group."""
    pa = arrow()
    repeated = [name for name in schema.names if name not in _SINGLE]
    with path.open("wb") as stream:
        writer = pa.parquet.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            use_dictionary=[f"{one}.list.element" for one in repeated] + repeated,
            write_statistics=["id", "year", "date"],
            write_page_checksum=True,
        )

        def write(rows: Any, vectors: RowVectors | None) -> None:
            writer.write_batch(batch_of(rows, vectors, schema))

        try:
            yield write
        except BaseException:
            with contextlib.suppress(OSError, pa.ArrowException):
                writer.close()
            raise
        writer.close()
        stream.flush()
        os.fsync(stream.fileno())
