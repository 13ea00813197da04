"""NCBI's MedCPT vectors of PubMed: planned, and fetched, verified and indexed chunk by chunk.

A chunk holds the articles of a million PMIDs in three files: `embeds_chunk_N.npy` (float32, a row
an article), `pmids_chunk_N.json` (the PMIDs of the rows) and `pubmed_chunk_N.json` (date, title,
abstract and headings by PMID). NCBI publishes no checksums, so a chunk is verified by its
structure and its values. The first one makes the index, each further one is added to it. The
manifest names the files that were read, so a run that was killed goes on with the next chunk, and
within it at the last byte that arrived: a file that is not whole is called `NAME.part`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.source import ReadSettings, reading_fault
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CorpusError,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index.registry import index_names, manifest_of
from bioretrieval_tui.online.archives import download, sizes_listed
from bioretrieval_tui.online.services import OnlineError, is_offline, unexpected
from bioretrieval_tui.paths import SPARE, existing, free_space, places
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.util.formatting import plural, short, size

if TYPE_CHECKING:
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.report import Report
    from bioretrieval_tui.online.http import HttpClient

SERVICE = "medcpt"
FORMAT = "medcpt-chunk"
DIMENSION = 768
DOCUMENT_BYTES = 8_000
"""Bytes of an index for each document, about, as `benchmarks.medcpt` measures them."""
_NAME = "the MedCPT archive"
_FILES = ("embeds_chunk_{}.npy", "pmids_chunk_{}.json", "pubmed_chunk_{}.json")
_TEXTS = re.compile(r"pubmed_chunk_(\d{1,3})\.json")
_LISTED = r"(?:embeds_chunk_\d{1,3}\.npy|(?:pmids|pubmed)_chunk_\d{1,3}\.json)"
_MOST_BYTES = 16 * 2**30
"""Bytes of one file at most; the largest have 3 GB."""
_NUMBERS = 1_000
"""Numbers that a chunk may have; there are 38."""
_ROWS = 8_192
"""Vectors that are verified at once, of 25 MB."""
_WHOLE = re.compile(rb"\}\s*\}\s*\Z")
"""How texts end: with the last record and the object of all."""
_TAIL = 256

OpenClient = Callable[[], "HttpClient"]


class Chunk(NamedTuple):
    """The files of one chunk, which need not exist."""

    vectors: Path
    ids: Path
    documents: Path


def chunk_in(folder: Path, number: int) -> Chunk:
    """The chunk of this number, with its files in `folder`."""
    return Chunk(*(folder / name.format(number) for name in _FILES))


def spool_folder() -> Path:
    """Where chunks are fetched to unless another folder is named."""
    return places().cache / "medcpt"


def parse_numbers(text: str) -> tuple[int, ...]:
    """Numbers of chunks, sorted, from text such as "0-3,7". Raises UsageError."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part, re.ASCII)
        first, last = (0, -1) if match is None else (int(match[1]), int(match[2] or match[1]))
        if last < first:
            raise UsageError(f"{part.strip()!r} names no chunks", remedy="write 0-3 or 0-3,7")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def ranges(numbers: Iterable[int]) -> str:
    """Sorted numbers as `parse_numbers` reads them: 0-3,7."""
    runs = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [[number for _, number in run] for _, run in runs]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in ends)


# What is asked for --------------------------------------------------------------------------------


class ChunkPlan(msgspec.Struct, frozen=True):
    """What a build takes. folder: of the files; numbers: of the chunks that the index lacks; files,
    bytes: that are to be fetched, about, without what has arrived; at_once: bytes of them that are
    on disk at a time; documents: about."""

    folder: Path
    numbers: tuple[int, ...]
    files: int
    bytes: int
    at_once: int
    documents: int

    @property
    def index_bytes(self) -> int:
        return self.documents * DOCUMENT_BYTES

    def line(self) -> str:
        """The plan in one sentence."""
        what = f"{plural(len(self.numbers), 'chunk')} ({ranges(self.numbers)})"
        files = (
            f"{plural(self.files, 'file')} to fetch into {self.folder}, about {size(self.bytes)}"
        )
        fetched = files if self.files else f"all files are in {self.folder}"
        index = f"an index of about {short(self.documents)} documents and {size(self.index_bytes)}"
        return f"{what}: {fetched}; {index}"

    def require_space(self) -> None:
        """Raise BioRetrievalError if a disk cannot hold the files and the index."""
        needs: dict[int, tuple[Path, int]] = {}
        for path, count in ((self.folder, self.at_once), (places().indexes, self.index_bytes)):
            if count:
                disk = existing(path).stat().st_dev
                first, others = needs.get(disk, (path, 0))
                needs[disk] = (first, others + count)
        for path, needed in needs.values():
            if (free := free_space(path)) < needed + SPARE:
                raise BioRetrievalError(
                    f"the disk of {path} has {size(free)} free, of {size(needed + SPARE)} needed",
                    remedy="free space, or take some chunks with --chunks; --at names another"
                    " folder for the files, BIORETRIEVAL_HOME one for all",
                )


def plan_chunks(
    name: str, numbers: tuple[int, ...] | None, folder: Path | None, open_client: OpenClient
) -> ChunkPlan:
    """What it takes to put these chunks into the index `name`; None for all that NCBI lists, or,
    where the network is not allowed, all that are in `folder`. The network is used only if files
    are missing, or to list. folder: as of `build_from_chunks`.

    Raises NotFoundError if NCBI has no such chunk, OnlineError if it cannot be asked, and as
    `indexed_chunks`.
    """
    done, where = indexed_chunks(name), folder or spool_folder()
    if numbers is None and is_offline():
        numbers = _held(where) or None
    listed: dict[str, int | None] = {}
    if numbers is None or _missing(set(numbers) - done, where):
        with open_client() as client:
            listed = sizes_listed(client, SERVICE, "", _LISTED)
        if not listed or None in listed.values():
            raise unexpected(_NAME, f"a listing without {'sizes' if listed else 'files'}")
        known = sorted({int(re.sub(r"\D", "", file)) for file in listed})
        numbers = numbers or tuple(known)
        for file in _missing(sorted(set(numbers) - done), where):
            if file not in listed:
                raise NotFoundError(f"{_NAME} has no {file}", remedy=f"it has {ranges(known)}")
    numbers = tuple(number for number in numbers if number not in done)
    to_fetch = [_to_fetch(number, where, listed) for number in numbers]
    vectors = (chunk_in(where, number).vectors for number in numbers)
    sizes = (one.stat().st_size if one.exists() else listed[one.name] or 0 for one in vectors)
    return ChunkPlan(
        where,
        numbers,
        files=len(_missing(numbers, where)),
        bytes=sum(to_fetch),
        at_once=max(to_fetch, default=0) if folder is None else sum(to_fetch),
        documents=sum(sizes) // (4 * DIMENSION),
    )


def indexed_chunks(name: str) -> frozenset[int]:
    """The numbers of the chunks that the index `name` has; none if there is no such index. Raises
    UsageError if it is another index, IndexFault if it is damaged."""
    if name not in index_names():
        return frozenset()
    manifest = manifest_of(name)
    names = (Path(one.path).name for one in manifest.inputs if one.format == FORMAT)
    numbers = {int(found[1]) for found in map(_TEXTS.fullmatch, names) if found}
    if not numbers or manifest.known_revision is not None:
        raise UsageError(
            f"the index {name} exists, and is not of MedCPT's chunks",
            remedy=f"choose another name, or remove it: bioretrieval-tui index remove {name}",
        )
    return frozenset(numbers)


def _to_fetch(number: int, folder: Path, listed: Mapping[str, int | None]) -> int:
    """Bytes of a chunk that have not arrived, about."""
    total = 0
    for file in _missing([number], folder):
        part = folder / f"{file}.part"
        total += max(0, (listed[file] or 0) - (part.stat().st_size if part.exists() else 0))
    return total


def _missing(numbers: Iterable[int], folder: Path) -> list[str]:
    """The names of the files of these chunks that a folder lacks."""
    paths = itertools.chain.from_iterable(chunk_in(folder, number) for number in numbers)
    return [path.name for path in paths if not path.exists()]


def _held(folder: Path) -> tuple[int, ...]:
    """The numbers of the chunks that are complete in a folder."""
    return tuple(number for number in range(_NUMBERS) if not _missing([number], folder))


# Fetching and verifying ---------------------------------------------------------------------------


class _Fetching:
    """Fetches one file after the other, with one progress for all. total: bytes, 0 if unknown."""

    def __init__(self, folder: Path, total: int, reporter: Reporter) -> None:
        self._folder = folder
        self._total = total
        self._reporter = reporter
        self._before = 0
        self._began = time.perf_counter()

    def fetch(self, client: HttpClient, name: str) -> None:
        """Fetch a file. Raises as `download`; NotFoundError: it does not exist."""
        path, first = self._folder / name, -1

        def tell(arrived: int, _: int | None) -> None:
            nonlocal first
            first = arrived if first < 0 else first  # an earlier run fetched what is before it
            done = self._before + arrived - first
            rate = done / max(time.perf_counter() - self._began, 1e-9)
            total = max(done, self._total) or None
            self._reporter(Progress("fetching", done, total, "bytes", rate=rate, note=name))

        try:
            download(client, SERVICE, name, path, md5=None, most_bytes=_MOST_BYTES, tell=tell)
        except OnlineError as error:
            if error.status != 404:
                raise
            remedy = "leave its chunk out: --chunks 0-3,7 names those to take"
            raise NotFoundError(f"{_NAME} has no {name}", remedy=remedy) from error
        self._before += path.stat().st_size - max(first, 0)


def check_chunk(chunk: Chunk, model: str, dimension: int, reporter: Reporter = silent) -> int:
    """Verify that the files of a chunk are whole and belong together; return how many vectors it
    has.

    The matrix has the dimension of `model`, as many rows as there are PMIDs, no byte more, and
    values that float16 holds; the texts begin and end as those of a chunk. Memory does not grow
    with the chunk, but for the PMIDs. Raises CorpusError, NotFoundError.
    """
    import numpy as np

    from bioretrieval_tui.index.vector_cache import LARGEST, open_imported, read_ids

    again = "delete it, and the same call fetches it again"
    matrix = open_imported(chunk.vectors)
    rows, width = matrix.shape
    if width != dimension:
        said = (
            f"{chunk.vectors} has vectors of {width:,} dimensions, not the {dimension} of {model}"
        )
        raise CorpusError(said, remedy="name the folder of MedCPT's own files")
    stated, found = getattr(matrix, "offset", 0) + matrix.nbytes, chunk.vectors.stat().st_size
    if found != stated:
        said = f"{chunk.vectors} has {found:,} bytes, not the {stated:,} that its header states"
        raise CorpusError(said, remedy=again)
    pmids = read_ids(chunk.ids)
    if len(pmids) != rows:
        raise CorpusError(
            f"{chunk.ids} names {len(pmids):,} PMIDs for the {rows:,} vectors of"
            f" {chunk.vectors.name}",
            remedy="delete both, and the same call fetches them again",
        )
    _check_texts(chunk.documents, again)
    for first in range(0, rows, _ROWS):
        block = matrix[first : first + _ROWS]
        # Of values that are no number these are none either, and the comparison is false.
        if not (block.min() >= -LARGEST and block.max() <= LARGEST):
            row = first + int(np.flatnonzero(~(np.abs(block) <= LARGEST).all(axis=1))[0])
            said = (
                f"{chunk.vectors}: the vector of PMID {pmids[row]} has values that are no numbers"
            )
            raise CorpusError(f"{said} or exceed {LARGEST:,.0f}", remedy=again)
        done = min(rows, first + _ROWS)
        reporter(Progress("verifying", done, rows, unit="vectors", note=chunk.vectors.name))
    return int(rows)


def _check_texts(path: Path, remedy: str) -> None:
    from bioretrieval_tui.documents.detect import by_name

    try:
        with path.open("rb") as stream:
            head = stream.read(2**16)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            tail = stream.read()
    except OSError as error:
        raise reading_fault(str(path), error) from error
    if not by_name(FORMAT).recognises(head):
        raise CorpusError(f"{path} does not begin as the texts of a chunk", remedy=remedy)
    if _WHOLE.search(tail) is None:
        raise CorpusError(f"{path} ends within a record: it is cut off", remedy=remedy)


# The index ----------------------------------------------------------------------------------------


def _client(opened: OpenClient | None) -> HttpClient:
    from bioretrieval_tui.online.http import HttpClient

    return HttpClient() if opened is None else opened()


def build_from_chunks(
    name: str,
    numbers: Sequence[int],
    folder: Path | None,
    model: str,
    recipe: Encoding,
    *,
    dimension: int = DIMENSION,
    most: int = 0,
    reading: ReadSettings | None = None,
    reporter: Reporter = silent,
    report: Report | None = None,
    open_client: OpenClient | None = None,
) -> BuildOutcome:
    """Put chunks into the index `name`, one after the other: what is missing of each is fetched, it
    is verified and added. No model is loaded.

    numbers: of the chunks, at least one; folder: of the files; None for `spool_folder`, from which
    those of a chunk are deleted once the index has it. model, recipe, dimension: of MedCPT. most:
    bytes to be fetched, about, for progress. Texts are read record by record; the vectors stay on
    disk, and 16 bytes of memory hold the PMID and the row of each.

    An exception carries a note (PEP 678) that says from where the next run goes on. Raises as
    `download`, `check_chunk`, `indexed_chunks` and `add_to_index`; NotFoundError: NCBI has no such
    file.
    """
    from bioretrieval_tui.index.report import Report

    done = indexed_chunks(name)
    wanted = [number for number in numbers if number not in done]
    where = folder or spool_folder()
    settings = msgspec.structs.replace(reading or ReadSettings(), format=FORMAT)
    counts, left_out, seconds = report or Report(), 0, 0.0
    outcome: BuildOutcome | None = None
    fetching = _Fetching(where, most, reporter)
    with contextlib.ExitStack() as stack:
        client: HttpClient | None = None
        for place, number in enumerate(wanted):
            chunk = chunk_in(where, number)
            try:
                for path in chunk:
                    if not path.exists():
                        client = client or stack.enter_context(_client(open_client))
                        fetching.fetch(client, path.name)
                check_chunk(chunk, model, dimension, reporter)
                outcome = _added(name, chunk, model, recipe, dimension, settings, reporter, counts)
            except BaseException as error:
                added = f"{place:,} of {plural(len(wanted), 'chunk')} added so far"
                error.add_note(f"{added}; the same call goes on from there")
                raise
            left_out += counts.without_document
            seconds += outcome.manifest.seconds
            for path in chunk if folder is None else ():
                path.unlink(missing_ok=True)
    assert outcome is not None  # noqa: S101 - there is a chunk
    counts.without_document = left_out
    manifest = msgspec.structs.replace(outcome.manifest, seconds=seconds)  # of all chunks
    return msgspec.structs.replace(outcome, manifest=manifest)


def _added(
    name: str,
    chunk: Chunk,
    model: str,
    recipe: Encoding,
    dimension: int,
    settings: ReadSettings,
    reporter: Reporter,
    report: Report,
) -> BuildOutcome:
    """Make the index of a chunk, or add the chunk to it."""
    from bioretrieval_tui.index.build import add_to_index, build_index
    from bioretrieval_tui.index.vector_cache import ImportedVectors, facts_of

    source = ImportedVectors([chunk.vectors], [chunk.ids], model, recipe, dimension)
    how: dict[str, Any] = {"settings": settings, "reporter": reporter, "report": report}
    if name not in index_names():
        return build_index(name, [chunk.documents], source, replace=False, ids="pmid", **how)
    if facts_of(manifest_of(name)).key != source.start().key:
        raise UsageError(
            f"the index {name} has vectors of another model or recipe",
            remedy=f"choose another name, or remove it: bioretrieval-tui index remove {name}",
        )
    return add_to_index(name, [chunk.documents], source=source, **how)
