"""What arrived of a search, kept on disk with the mark behind it, so that the next run goes on.

Records are lines of BEIR's JSONL. The mark is written after the lines that it stands behind, with
their length; what a killed run wrote beyond it is cut off, so no record is there twice or half.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
from filelock import FileLock, Timeout

from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.readers.json_corpora import read_beir
from bioretrieval_tui.documents.source import ReadOptions, SourceReader
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.batches import Batch, Mark, Request
from bioretrieval_tui.paths import write_atomically

FORMAT = 1
_RECENT = 5_000
"""Ids that are remembered, so that a search whose records moved by a few gives none twice."""


class _State(msgspec.Struct, frozen=True):
    format: int
    asked: str
    bytes: int
    records: int
    mark: Mark
    over: bool = False


class Spool:
    """Records of one request, in `path` with a state beside it. A context manager, which holds
    the lock of the file.

    anew: forget what is there of the request.

    Raises (on entering):
        BioRetrievalError: another process fetches into it, or it cannot be written. It holds
        records of another request, or something that no fetch wrote: then too, unless `anew`.
    """

    def __init__(self, path: Path, asked: str, *, anew: bool = False) -> None:
        self.path = path
        self._asked = asked
        self._anew = anew
        self._state = _State(FORMAT, asked, 0, 0, Mark())
        self._file: BinaryIO | None = None
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._known: set[str] = set()

    @property
    def state_path(self) -> Path:
        """Where the mark is kept."""
        return self.path.with_name(self.path.name + ".state")

    @property
    def mark(self) -> Mark:
        """How far the request has come."""
        return self._state.mark

    @property
    def records(self) -> int:
        """Records that are kept."""
        return self._state.records

    @property
    def over(self) -> bool:
        """Whether all have arrived."""
        return self._state.over

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BioRetrievalError(
                f"another process fetches into {self.path}", remedy="wait for it"
            ) from error
        except OSError as error:
            raise self._fault(error) from error
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                # The file says whether anything arrived to go on from.
                if self.path.stat().st_size == 0:
                    self.path.unlink()
                    self.state_path.unlink(missing_ok=True)
        self._lock.release()
        with contextlib.suppress(OSError):
            Path(self._lock.lock_file).unlink()

    def documents(self) -> Iterator[Document]:
        """What is kept, from the first record on."""
        if not self.records:
            return
        with SourceReader(self.path) as source:
            for item in read_beir(source, ReadOptions()):
                if isinstance(item, Record):
                    yield item.document

    def add(self, batch: Batch) -> list[Document]:
        """Keep a batch; returns what of it was not there a while ago.

        Raises:
            BioRetrievalError: it cannot be written; what was kept before still is.
        """
        fresh = [one for one in batch.documents if self._is_fresh(one.id)]
        data = b"".join(map(line_of, fresh))
        try:
            if self._file is None:
                raise ValueError("the spool is not open")
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
            state = self._state
            self._keep(
                _State(
                    FORMAT,
                    self._asked,
                    state.bytes + len(data),
                    state.records + len(fresh),
                    batch.mark,
                )
            )
        except OSError as error:
            raise self._fault(error) from error
        return fresh

    def complete(self) -> None:
        """All has arrived: the next run need not ask again. Raises BioRetrievalError."""
        try:
            self._keep(msgspec.structs.replace(self._state, over=True))
        except OSError as error:
            raise self._fault(error) from error

    def finish(self, target: Path | None) -> None:
        """Move the records to `target`, or drop them if None; nothing is left of the state.

        Raises:
            BioRetrievalError: they cannot be moved.
        """
        try:
            if self._file is not None:
                self._file.close()
                self._file = None
            if target is not None:
                self.path.replace(target)
            else:
                self.path.unlink(missing_ok=True)
            self.state_path.unlink(missing_ok=True)
        except OSError as error:
            raise self._fault(error) from error

    def _open(self) -> None:
        try:
            kept = None if self._anew else self._read_state()
            there = self.path.stat().st_size if self.path.exists() else 0
            if kept is None and there and not self._anew:
                raise BioRetrievalError(
                    f"{self.path} is there already, and no fetch wrote it",
                    remedy="move it away, or name another file",
                )
            self._file = self.path.open("ab")
            if kept is not None and there >= kept.bytes:
                self._state = kept
            # Before the first record, so that whatever a killed run leaves is known as ours.
            self._keep(self._state)
            self._file.truncate(self._state.bytes)
        except OSError as error:
            raise self._fault(error) from error
        for document in self.documents():
            self._is_fresh(document.id)

    def _read_state(self) -> _State | None:
        try:
            found = msgspec.json.decode(self.state_path.read_bytes(), type=_State)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if found is not None and found.format == FORMAT and not found.bytes:
            return self._state  # a run that ended before its first record came
        if found is None or found.format != FORMAT or found.asked != self._asked:
            raise BioRetrievalError(
                f"{self.path} holds records of another request",
                remedy="name another file, or say --anew to begin this one again",
            )
        return found

    def _keep(self, state: _State) -> None:
        try:
            write_atomically(self.state_path, msgspec.json.encode(state))
            self._state = state
        except BaseException:
            # An interrupt may come between the two: what is on disk counts.
            with contextlib.suppress(BioRetrievalError, OSError):
                self._state = self._read_state() or self._state
            raise

    def _is_fresh(self, identifier: str) -> bool:
        if identifier in self._known:
            return False
        if len(self._recent) == _RECENT:
            self._known.discard(self._recent[0])
        self._recent.append(identifier)
        self._known.add(identifier)
        return True

    def _fault(self, error: OSError) -> BioRetrievalError:
        return BioRetrievalError(
            f"{self.path} cannot be written: {error.strerror or error}",
            remedy="make room or name another place; what had arrived is kept",
        )


def line_of(document: Document) -> bytes:
    """A document as a line of BEIR's JSONL."""
    return (
        msgspec.json.encode(
            {
                "_id": document.id,
                "title": document.title,
                "text": document.text,
                "metadata": dict(document.metadata),
            }
        )
        + b"\n"
    )


def asked_as(request: Request) -> str:
    """A request as a text: two that are equal are the same fetch."""
    return msgspec.json.encode(
        [request.source, request.query, str(request.since), request.most]
    ).decode()


def collected(spool: Spool, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Document]]]:
    """Keep every batch as it comes, and give it with its new documents."""
    for one in batches:
        yield one, spool.add(one)
    spool.complete()
