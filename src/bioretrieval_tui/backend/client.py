"""The app's end of its child processes, on asyncio; it never blocks the event loop.

Imports neither numpy nor torch nor textual. A `Child` is one process with the requests that wait
for its replies. `SearchClient` keeps one for searches and restarts it after it died; `run_job`
starts one for a job that ends with the app; `launch.start_worker` starts the process
of all other jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.launch import LOG, SEARCHES, launch
from bioretrieval_tui.backend.protocol import AnswerT
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Reporter
from bioretrieval_tui.search.types import SearchResult

_GRACE = 0.3
"""Seconds that the search process has to end once its stdin is closed: it may be loading a model,
and whatever it writes is complete or ignored."""
_JOB_GRACE = 5.0
"""Seconds that a job has for cleaning up once it was cancelled."""

Hear = Callable[[protocol.Event], None]
_Future = asyncio.Future[protocol.Answered | protocol.Failed]


class Child:
    """One child process; `what` names it in messages. Use within one event loop."""

    def __init__(self, what: str, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise BioRetrievalError(f"{what} has no pipes")
        self._what = what
        self._process = process
        self._stdin: asyncio.StreamWriter = process.stdin
        self._stdout: asyncio.StreamReader = process.stdout
        self._pending: dict[int, tuple[_Future, Hear]] = {}
        self._last = 0
        self._closed = False
        self.pid = process.pid
        self.ended = False
        """Whether the process has ended."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, what: str, device: str) -> Child:
        """Start a process, see `launch`. Raises BioRetrievalError."""
        return cls(what, await launch(what, device))

    async def ask(self, request: protocol.Request[AnswerT], hear: Hear = lambda _: None) -> AnswerT:
        """Send a request and wait for its answer; cancelling cancels the request.

        Raises:
            BioRetrievalError: what the work raised, or the process died. Also what `hear` raises.
        """
        if self.ended:
            raise self._died()
        self._last += 1
        number = self._last
        reply: _Future = asyncio.get_running_loop().create_future()
        self._pending[number] = reply, hear
        try:
            self._send(number, request)  # type: ignore[arg-type] # every one is of `Sent`
            with contextlib.suppress(ConnectionError):
                # A broken pipe is reported by the reader, which knows how the process ended.
                await self._stdin.drain()
            found = await reply
        except BaseException:
            if not reply.done() or reply.cancelled():
                self._send(number, protocol.Cancel())
            raise
        finally:
            del self._pending[number]
        if isinstance(found, protocol.Failed):
            raise found.to_error()
        return protocol.answer_of(request, found)

    def _send(self, number: int, message: protocol.Sent) -> None:
        if not self.ended and not self._stdin.is_closing():
            self._stdin.write(protocol.line_of(number, message))

    async def close(self, grace: float = _GRACE) -> None:
        """Close the stdin of the process, which cancels its work and ends it. Safe to call twice.

        It is killed after `grace` seconds, or at once if the caller is cancelled."""
        self._closed = True
        self._stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except (TimeoutError, asyncio.CancelledError) as reason:
            self._kill()
            await self._process.wait()
            if isinstance(reason, asyncio.CancelledError):
                raise
        await self._reading

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _read(self) -> None:
        """Deliver replies until the process ends, then fail the requests that still wait."""
        try:
            while line := await self._stdout.readline():
                self._hand_out(*protocol.decode(line, tuple[int, protocol.Reply]))
        except ConnectionError:
            pass  # the end of the process, reported below
        except (protocol.ProtocolError, ValueError):  # ValueError: a line is too long
            self._kill()
        await self._process.wait()
        self._stdin.close()
        self.ended = True
        for waiting, _ in self._pending.values():
            if not waiting.done():
                waiting.set_exception(self._died())

    def _hand_out(self, number: int, reply: protocol.Reply) -> None:
        waiting, hear = self._pending.get(number, (None, None))
        if waiting is None or hear is None or waiting.done():
            return  # cancelled meanwhile
        if not isinstance(reply, protocol.Event):
            waiting.set_result(reply)
            return
        try:
            hear(reply)
        except Exception as error:  # noqa: BLE001 - raised where the reply is awaited
            waiting.set_exception(error)
            self._send(number, protocol.Cancel())

    def _died(self) -> BioRetrievalError:
        if self._closed:
            return BioRetrievalError(f"{self._what} was closed")
        code, how = self._process.returncode, "unexpectedly"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"by {signal.Signals(-code).name}"
        log = places().state / LOG
        short = "it may have had too little memory: " if code in (-6, -9) else ""
        remedy = f"{short}try again; its log is {log}"
        return BioRetrievalError(f"{self._what} ended {how}", remedy=remedy)


class SearchClient:
    """Talks to the search process, which the first request starts; launched: one that was started
    before, see `launch`."""

    def __init__(
        self,
        *,
        device: str = "auto",
        launched: Awaitable[asyncio.subprocess.Process] | None = None,
    ) -> None:
        self._device = device
        self._launched = launched
        self._child: Child | None = None
        self._launching: asyncio.Task[Child] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the search process, None while there is none."""
        child = self._child
        return None if child is None or child.ended else child.pid

    async def ask(
        self,
        request: protocol.Request[AnswerT],
        on_progress: Reporter | None = None,
        on_part: Callable[[SearchResult], None] | None = None,
    ) -> AnswerT:
        """Send a request and wait for its answer; cancelling the awaiting task cancels it.

        A newer search of the same stream makes one that still waits raise SupersededError. With a
        reranker, `on_part` gets the result as it is before reranking.

        Raises:
            BioRetrievalError: what the work raised, or the process died.
        """

        def hear(event: protocol.Event) -> None:
            if isinstance(event, protocol.Progressed) and on_progress is not None:
                on_progress(event.progress)
            elif isinstance(event, protocol.Partial) and on_part is not None:
                on_part(event.result)

        if self._closed:
            raise BioRetrievalError("the search process was closed")
        child = self._child
        if child is None or child.ended:
            if self._launching is None:
                self._launching = asyncio.create_task(self._launch())
            # A search that is cancelled as the user types on must not stop the start.
            child = await asyncio.shield(self._launching)
        return await child.ask(request, hear)

    async def close(self) -> None:
        """End the process, see `Child.close`. Safe to call twice."""
        self._closed = True
        if self._launched is not None:
            self._launching = asyncio.create_task(self._launch())
        if self._launching is not None:
            with contextlib.suppress(BioRetrievalError):
                await self._launching
        if self._child is not None:
            await self._child.close()

    async def _launch(self) -> Child:
        launched, self._launched = self._launched, None
        try:
            process = await (launched or launch(SEARCHES, self._device))
            self._child = Child(SEARCHES, process)
            return self._child
        finally:
            self._launching = None


async def run_job(
    job: protocol.Job,
    hear: Hear,
    *,
    device: str = "auto",
    started: Callable[[int], None] = lambda _: None,
) -> protocol.JobResult:
    """Run a job in a process of its own; cancelling ends that process like ctrl+c.

    hear: gets its progress, remarks and records; started: gets the process id.
    Raises what the work raised, or BioRetrievalError where the process died.
    """
    child = await Child.start(f"the process for '{job.title}'", device)
    try:
        started(child.pid)
        return await child.ask(protocol.RunJob(job), hear)
    finally:
        await child.close(_JOB_GRACE)
