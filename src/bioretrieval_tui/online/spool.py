"""Requests to the services' searches, the batches of their records, and the spool on disk.

A `Mark` is all that is needed to resume after a batch, also in another process. The spool appends
the records of each batch as lines of BEIR's JSONL, then writes the mark with the length of the
file; bytes beyond that length, from a killed process, are cut off, so that no record is kept twice
or in part.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import msgspec

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document, Record, Rejected
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import (
    file_errors,
    locked,
    places,
    private,
    save_file,
    write_atomically,
)
from bioretrieval_tui.util.formatting import plural

SourceName = Literal["pubmed", "europepmc", "arxiv"]
IdKind = Literal["pmid", "pmcid", "doi", "arxiv"]
SERVICE_NAMES: dict[SourceName, str] = {
    "pubmed": "PubMed", "europepmc": "Europe PMC", "arxiv": "arXiv",
}  # fmt: skip
LONGEST_QUERY = 20_000
"""Characters; PubMed takes long queries in the body of a request."""
FORMAT = 1
"""Format of the state beside a spool."""
_RECENT = 5_000
"""Ids remembered, so that a search whose records shift between two pages gives none twice."""


class WorkId(msgspec.Struct, frozen=True):
    """The id of a work, as its service writes it; line: of its file, from 1."""

    kind: IdKind
    name: str
    line: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """Equal for equal works: kind and name in lower case."""
        return self.kind, self.name.casefold()


class FetchRequest(msgspec.Struct, frozen=True):
    """What to fetch, and where the records go.

    source: the service that is searched, or "ids" for the works of `ids`; query: in the source's
    syntax; since: the first day of entry (PubMed) or of first publication; most: largest number
    of records, None for all.

    index: name of an index, built if it does not exist; output: path of a JSONL file; with neither
    the records are not kept. model, recipe: hub id or folder and recipe of the model of a new
    index, None for the embedded one; device: where it encodes; restart: discard what an
    interrupted fetch of the same request has kept.
    """

    source: SourceName | Literal["ids"]
    query: str = ""
    since: date | None = None
    most: int | None = None
    ids: tuple[WorkId, ...] = ()
    index: str | None = None
    output: str | None = None
    model: str | None = None
    recipe: Encoding | None = None
    device: str = "auto"
    restart: bool = False

    @property
    def key(self) -> str:
        """The request as text: equal keys give the same records."""
        if self.source == "ids":
            return "ids " + " ".join(f"{one.kind}:{one.name}" for one in self.ids)
        return msgspec.json.encode([self.source, self.query, str(self.since), self.most]).decode()


class FetchResult(msgspec.Struct, frozen=True, kw_only=True, tag="fetched"):
    """The result of a fetch. service: names of the services; records: distinct records, those of
    earlier runs included; resumed: how many of them an earlier run had kept; seconds: of this run;
    absent: ids without a record; output: the file; index: name of the index, with its number of
    documents afterwards and whether it changed; found: records that the search has in all, None if
    not known; cautions: what the service said of the query."""

    service: str
    records: int
    resumed: int = 0
    seconds: float = 0.0
    absent: tuple[WorkId, ...] = ()
    output: str | None = None
    index: str | None = None
    documents: int | None = None
    changed: bool = False
    found: int | None = None
    cautions: tuple[str, ...] = ()

    def line(self) -> str:
        """The result in one sentence."""
        came = f"{plural(self.records, 'record')} of {self.service}"
        if self.index is not None:
            documents = plural(self.documents or 0, "document")
            now = f"has {documents}" if self.changed else "is unchanged"
            return f"{came} fetched; the index {self.index} {now}"
        return came if self.output is None else f"{came} in {self.output}"


class Mark(msgspec.Struct, frozen=True):
    """How far a search has come. cursor: the source's own position; done: records so far, rejected
    ones included; total: how many will come; found: how many the search has in all; both None if
    not known."""

    cursor: dict[str, str] = {}
    done: int = 0
    total: int | None = None
    found: int | None = None


class QueryNote(msgspec.Struct, frozen=True):
    """What a service says of a query. caution: what of it was not found or not known, "" for
    nothing; reading: the query as it was searched for, "" if that is not said."""

    caution: str = ""
    reading: str = ""


class FetchBatch(msgspec.Struct, frozen=True):
    """Some records, in the order of the service, and the mark after them."""

    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...]
    mark: Mark


def sound_query(text: str) -> str:
    """Normalise a query: one line, single spaces. Raises UsageError if it is empty, too long, or
    not valid text."""
    query = " ".join(text.split())
    if not query or len(query) > LONGEST_QUERY:
        raise UsageError(
            f"the query is too long ({len(query):,} characters)" if query else "the query is empty",
            remedy=f"give 1 to {LONGEST_QUERY:,} characters, in quotes",
        )
    # A command-line argument that is not UTF-8 has lone surrogates.
    if re.search("[\ud800-\udfff]", query):
        raise UsageError("the query is not valid UTF-8", remedy="set the terminal to UTF-8")
    return query


class SpoolState(msgspec.Struct, frozen=True):
    """What stands beside a spool. asked: the key of the request; bytes, records: what is kept;
    mark: how far the search has come; over: all records have arrived; cautions: what the service
    said of the query."""

    format: int
    asked: str
    bytes: int = 0
    records: int = 0
    mark: Mark = Mark()
    over: bool = False
    cautions: tuple[str, ...] = ()


class Spool:
    """The records of one request, in `path` with a state beside it; a context manager that locks
    the file.

    key: identifies the request, see `FetchRequest.key`; restart: discard what is kept of it.

    Raises (on entering):
        BioRetrievalError: another process writes to it; it cannot be written; or, unless
        `restart`, it holds records of another request or was not written by a fetch.
    """

    def __init__(self, path: Path, key: str, *, restart: bool = False) -> None:
        from filelock import FileLock

        self.path = path
        self.state_path = path.with_name(f"{path.name}.state")
        self.state = SpoolState(FORMAT, key)
        self._restart = restart
        self._file: BinaryIO | None = None
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self._recent: dict[str, None] = {}

    def __enter__(self) -> Self:
        from filelock import Timeout

        with self._writing(), contextlib.ExitStack() as undo:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise BioRetrievalError(
                    f"another process is fetching into {self.path}", remedy="wait for it to end"
                ) from error
            undo.callback(self._lock.release)
            kept = None if self._restart else self.kept()
            there = self.path.stat().st_size if self.path.exists() else 0
            if kept is None and there and not self._restart:
                raise BioRetrievalError(
                    f"{self.path} exists and was not written by a fetch",
                    remedy="move it away, or name another file",
                )
            own = self.path.is_relative_to(places().state)
            self._file = open(self.path, "ab", opener=private if own else None)
            if kept is not None and there >= kept.bytes:
                self.state = kept
            # Before the first record, so that the spool of a killed run is recognised.
            self._keep()
            self._file.truncate(self.state.bytes)
            for document in self.documents():
                self._is_fresh(document.id)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                # Without a record there is nothing to resume.
                if self.path.stat().st_size == 0:
                    self.path.unlink()
                    self.state_path.unlink(missing_ok=True)
        self._lock.release()
        with contextlib.suppress(OSError):
            Path(self._lock.lock_file).unlink()

    def documents(self) -> Iterator[Document]:
        """Yield the kept records from the first on."""
        from bioretrieval_tui.documents.detect import items
        from bioretrieval_tui.documents.readers.json_corpora import BEIR
        from bioretrieval_tui.documents.source import ReadSettings, SourceReader

        if not self.state.records:
            return
        with SourceReader(self.path) as source:
            for item in items(source, BEIR, ReadSettings()):
                if isinstance(item, Record):
                    yield item.document

    def add(self, batch: FetchBatch, cautions: Iterable[str] = ()) -> list[Document]:
        """Write a batch to disk, and what the service said of the query; returns its documents
        that were not kept already. Raises BioRetrievalError if it cannot be written; what was kept
        before still is."""
        fresh = [one for one in batch.documents if self._is_fresh(one.id)]
        data = b"".join(map(line_of, fresh))
        with self._writing():
            if self._file is None:
                raise ValueError("the spool is not open")
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
            size, records = self.state.bytes + len(data), self.state.records + len(fresh)
            self._keep(bytes=size, records=records, mark=batch.mark, cautions=tuple(cautions))
        return fresh

    def finish(self) -> None:
        """Record that the search is complete. Raises BioRetrievalError."""
        with self._writing():
            self._keep(over=True)

    def move(self, target: Path | None) -> None:
        """Move the records to `target`, or delete them if None, and delete the state. Raises
        BioRetrievalError."""
        with self._writing():
            if self._file is not None:
                self._file.close()
                self._file = None
            if target is not None:
                self.path.replace(target)
            else:
                self.path.unlink(missing_ok=True)
            self.state_path.unlink(missing_ok=True)

    def kept(self) -> SpoolState | None:
        """The state on disk, which may be newer than `state` after an interrupt; None if there is
        none. Raises BioRetrievalError if it is of another request."""
        try:
            found = msgspec.json.decode(self.state_path.read_bytes(), type=SpoolState)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if found is not None and found.format == FORMAT and not found.bytes:
            return SpoolState(FORMAT, self.state.asked)  # the run ended before its first record
        if found is None or (found.format, found.asked) != (FORMAT, self.state.asked):
            raise BioRetrievalError(
                f"{self.path} holds records of another request",
                remedy="name another file, or add --anew to discard them",
            )
        return found

    def _keep(self, **changes: Any) -> None:
        state = msgspec.structs.replace(self.state, **changes)
        write_atomically(self.state_path, msgspec.json.encode(state), opener=private)
        self.state = state

    def _is_fresh(self, identifier: str) -> bool:
        if identifier in self._recent:
            return False
        self._recent[identifier] = None
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        return True

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        remedy = "free space or name another place; records that arrived are kept"
        return file_errors(f"{self.path} cannot be written", remedy=remedy)


def line_of(document: Document) -> bytes:
    """Encode a document as a line of BEIR's JSONL."""
    record = {"_id": document.id, "title": document.title, "text": document.text}
    return msgspec.json.encode(record | {"metadata": dict(document.metadata)}) + b"\n"


# Starred papers -----------------------------------------------------------------------------------


def starred_path(name: str) -> Path:
    """The file (BEIR's JSONL) of the papers that were starred into the index `name`, from which it
    can be built again; it may not exist."""
    return places().data / "starred" / f"{name}.jsonl"


def keep_starred(name: str, papers: Mapping[str, bytes], *, restart: bool) -> Path:
    """Append papers (lines of JSONL by id) to the file of an index and return the file; one that is
    kept already is replaced in its place, since an index takes the later of two versions.

    restart: discard the earlier ones. Raises BioRetrievalError if it cannot be written; then the
    previous file is unchanged.
    """
    path = starred_path(name)
    busy, said = "another process saves some", f"starred papers cannot be saved in {path.parent}"
    with locked(path.with_name(f".{path.name}.lock"), said, busy, seconds=30):
        with file_errors(said):
            before = b"" if restart or not path.exists() else path.read_bytes()
        lines: dict[str | bytes, bytes] = {}
        for line in filter(None, before.split(b"\n")):
            try:
                lines[str(msgspec.json.decode(line, type=dict[str, Any])["_id"])] = line
            except (ValueError, KeyError):
                lines[line] = line  # damaged: kept as it is
        lines |= {identifier: paper.rstrip(b"\n") for identifier, paper in papers.items()}
        data = b"".join(line + b"\n" for line in lines.values())
        save_file(path, data, "starred papers", opener=private)
    return path
