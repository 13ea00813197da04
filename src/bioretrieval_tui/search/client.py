"""The app's end of the search process: asyncio, light, and never in the way of the event loop.

Imports neither numpy nor torch nor textual. The child is started by the first request, and
again by the next one after it died; what was under way then fails with one clear line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import bioretrieval_tui
from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.corpus.reading import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.manifest import IdKind
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.verification import Verification
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Reporter
from bioretrieval_tui.search import protocol
from bioretrieval_tui.search.hits import Answer, Question, Why

LOG = "search.log"
_MOST_LOG_BYTES = 2**20
_GRACE = 2.0

_Reply = TypeVar("_Reply", bound=protocol.Reply)


@dataclass(slots=True)
class _Pending:
    answer: asyncio.Future[protocol.Reply]
    on_progress: Reporter | None
    on_part: Callable[[Answer], None] | None = None


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    reading: asyncio.Task[None] | None = None


class SearchClient:
    """Talks to one search process; use within one event loop.

    Every method raises the error that the work itself raised (see `engine`, `build`,
    `catalogue`), or a BioRetrievalError if the process died. Cancelling the awaiting task
    cancels the request; a build leaves the old index as it was then.
    """

    def __init__(self, *, device: str = "auto") -> None:
        self._device = device
        self._child: _Child | None = None
        self._launching: asyncio.Task[None] | None = None
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        return self._child.process.pid if self._child else None

    async def start(self) -> None:
        """Start the child if it is not running. The model is loaded by the first request.

        Raises:
            BioRetrievalError: it cannot be started.
        """
        if self._closed:
            raise BioRetrievalError("the search process was closed")
        if self._child is None:
            if self._launching is None:
                self._launching = asyncio.create_task(self._launch())
            # A search that is cancelled as the user types on must not stop the start.
            await asyncio.shield(self._launching)

    async def search(
        self,
        question: Question,
        *,
        index: str,
        stream: str = "search",
        reranker: protocol.Reranker | None = None,
        on_progress: Reporter | None = None,
        on_part: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """What answers the question; see `engine.SearchEngine.search`.

        A newer search of the same `stream` makes one that still waits raise SupersededError.
        With a reranker, `on_part` hears the answer as it stands before that has read.
        """
        request = protocol.Search(self._next_id(), index, question, stream, reranker)
        return (await self._ask(request, protocol.Found, on_progress, on_part)).answer

    async def similar(
        self,
        document: str,
        *,
        index: str,
        k: int = 10,
        where: str = "",
        into: str | None = None,
        stream: str = "search",
    ) -> Answer:
        """What is like a document of `index`, there or in the index `into`."""
        request = protocol.Similar(self._next_id(), index, document, k, where, into, stream)
        return (await self._ask(request, protocol.Found, None)).answer

    async def why(
        self, question: Question, documents: Sequence[str], *, index: str, stream: str = "why"
    ) -> list[Why]:
        """Why documents are answers to the question; ids that are not there are left out."""
        request = protocol.Explain(self._next_id(), index, question, list(documents), stream)
        return (await self._ask(request, protocol.Explained, None)).reasons

    async def build(
        self,
        name: str,
        inputs: Sequence[str | os.PathLike[str]],
        *,
        replace: bool = True,
        ids: IdKind | None = None,
        model: str | None = None,
        recipe: Encoding | None = None,
        reading: ReadSettings | None = None,
        on_progress: Reporter | None = None,
    ) -> protocol.Built:
        """Build an index over corpus files; see `index.build.build_index`.

        model: hub id or folder, with its `recipe`; the embedded model if None.
        """
        request = protocol.Build(
            self._next_id(),
            name,
            _absolute(inputs),
            replace,
            ids,
            model,
            recipe,
            reading or ReadSettings(),
        )
        return await self._ask(request, protocol.Built, on_progress)

    async def extend(
        self,
        name: str,
        inputs: Sequence[str | os.PathLike[str]],
        *,
        reading: ReadSettings | None = None,
        on_progress: Reporter | None = None,
    ) -> protocol.Built:
        """Add corpus files to an index; see `index.build.add_to_index`."""
        request = protocol.Extend(
            self._next_id(), name, _absolute(inputs), reading or ReadSettings()
        )
        return await self._ask(request, protocol.Built, on_progress)

    async def compact(self, name: str, *, on_progress: Reporter | None = None) -> protocol.Built:
        """Write an index anew without what is dead; see `index.build.compact_index`."""
        request = protocol.Compact(self._next_id(), name)
        return await self._ask(request, protocol.Built, on_progress)

    async def verify(self, name: str, *, on_progress: Reporter | None = None) -> Verification:
        """Check every part of an index; see `index.verify.verify_index`."""
        request = protocol.Verify(self._next_id(), name)
        return (await self._ask(request, protocol.Verified, on_progress)).verification

    async def remove(self, name: str) -> int:
        """Delete an index; the bytes that it took."""
        return (
            await self._ask(protocol.Remove(self._next_id(), name), protocol.Removed, None)
        ).bytes

    async def ensure_catalogue(
        self,
        documents: Sequence[Document],
        fingerprint: str,
        *,
        vectors: bool = True,
        on_progress: Reporter | None = None,
    ) -> protocol.Ensured:
        """Make sure that the index `catalogue` is there; see `catalogue.ensure_catalogue_index`.

        vectors: False where BM25 is all that is needed.
        """
        request = protocol.EnsureCatalogue(self._next_id(), fingerprint, list(documents), vectors)
        return await self._ask(request, protocol.Ensured, on_progress)

    async def list_indexes(self) -> list[IndexInfo]:
        """All indexes at a glance."""
        request = protocol.ListIndexes(self._next_id())
        return (await self._ask(request, protocol.Listed, None)).indexes

    async def close(self) -> None:
        """End the child: gently for a moment, then for certain. Safe to call twice."""
        self._closed = True
        if self._launching is not None:
            with contextlib.suppress(BioRetrievalError):
                await self._launching
        child = self._child
        if child is None:
            return
        child.stdin.close()  # the child ends, and a build stops at its next batch
        try:
            await asyncio.wait_for(child.process.wait(), _GRACE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.process.kill()
            await child.process.wait()
        if child.reading is not None:
            await child.reading

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _ask(
        self,
        request: protocol.Asking | protocol.Work | protocol.ListIndexes,
        expected: type[_Reply],
        on_progress: Reporter | None,
        on_part: Callable[[Answer], None] | None = None,
    ) -> _Reply:
        data = protocol.frame(request)
        await self.start()
        child = self._child
        if child is None:  # died between two steps of ours
            raise self._died(None)
        answer: asyncio.Future[protocol.Reply] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = _Pending(answer, on_progress, on_part)
        try:
            child.stdin.write(data)
            with contextlib.suppress(ConnectionError):
                # A broken pipe is reported by the reader, which knows how the child ended.
                await child.stdin.drain()
            reply = await answer
        except asyncio.CancelledError:
            self._cancel(request.id)
            raise
        finally:
            self._pending.pop(request.id, None)
        if isinstance(reply, protocol.Failed):
            raise reply.to_error()
        if not isinstance(reply, expected):
            raise protocol.ProtocolError(f"an answer of another kind came: {type(reply).__name__}")
        return reply

    async def _launch(self) -> None:
        try:
            self._child = await self._spawn()
            self._child.reading = asyncio.create_task(self._read(self._child))
        finally:
            self._launching = None

    async def _spawn(self) -> _Child:
        log = _open_log()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a torch.py in the working folder is not ours to run
                "-m",
                "bioretrieval_tui.search.service",
                "--device",
                self._device,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log if log is not None else asyncio.subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise BioRetrievalError(
                f"the search process cannot be started: {error.strerror or error}"
            ) from error
        finally:
            if log is not None:
                log.close()
        if process.stdin is None or process.stdout is None:
            raise BioRetrievalError("the search process has no pipes")
        return _Child(process, process.stdin, process.stdout)

    async def _read(self, child: _Child) -> None:
        """Hand out replies until the child ends, then fail whatever still waits for one."""
        try:
            while True:
                header = await child.stdout.readexactly(protocol.HEADER_BYTES)
                data = await child.stdout.readexactly(protocol.body_length(header))
                self._hand_out(protocol.decode_reply(data))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the end of the child, told below
        except protocol.ProtocolError:
            with contextlib.suppress(ProcessLookupError):
                child.process.kill()
        code = await child.process.wait()
        child.stdin.close()
        if self._child is child:
            self._child = None
        for waiting in list(self._pending.values()):
            if not waiting.answer.done():
                waiting.answer.set_exception(self._died(code))

    def _hand_out(self, reply: protocol.Reply) -> None:
        waiting = self._pending.get(reply.id)
        if waiting is None or waiting.answer.done():
            return  # cancelled meanwhile
        if not isinstance(reply, protocol.Progressed | protocol.Partly):
            waiting.answer.set_result(reply)
        else:
            try:
                if isinstance(reply, protocol.Partly):
                    if waiting.on_part is not None:
                        waiting.on_part(reply.answer)
                elif waiting.on_progress is not None:
                    waiting.on_progress(reply.progress)
            except Exception as error:  # noqa: BLE001 - raised by whoever awaits the answer
                waiting.answer.set_exception(error)
                self._cancel(reply.id)

    def _cancel(self, identifier: int) -> None:
        child = self._child
        if child is not None and not child.stdin.is_closing():
            child.stdin.write(protocol.frame(protocol.Cancel(identifier)))

    def _died(self, code: int | None) -> BioRetrievalError:
        if self._closed:
            return BioRetrievalError("the search process was closed")
        how = "unexpectedly"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"by {signal.Signals(-code).name}"
        return BioRetrievalError(
            f"the search process ended {how}",
            remedy=f"try again; its log is {places().state / LOG}",
        )


def _absolute(inputs: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Paths as they are seen from any folder; globs stay globs."""
    return [str(Path(path).expanduser().absolute()) for path in inputs]


def _open_log() -> IO[bytes] | None:
    """The child's stderr, begun anew when it has grown; None where it cannot be written."""
    path = places().state / LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        grown = path.exists() and path.stat().st_size > _MOST_LOG_BYTES
        return path.open("wb" if grown else "ab")
    except OSError:
        return None


def _environment() -> dict[str, str]:
    """The environment of this process, with this very package in reach of the child."""
    environment = dict(os.environ)
    package = Path(bioretrieval_tui.__file__).parent.parent
    if package.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{known}{os.pathsep}{package}" if known else str(package)
    return environment
