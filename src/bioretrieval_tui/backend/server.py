"""A child process of the app: `python -m bioretrieval_tui.backend.server [--job]`.

Importing torch holds Python's lock for hundreds of milliseconds at a time, in which a screen
would not answer its keys; so models live here. Requests come on stdin, replies go to what was
stdout when the process began; whatever a library prints goes to stderr. It ends when stdin does.

Without `--job` it is the search process, which answers one request after the other in threads.
With `--job` it runs one job in its main thread, so that `Cancel` can interrupt it as ctrl+c does.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.handlers import LookingUp, Searching, run_job
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.interrupts import keep_interrupts
from bioretrieval_tui.progress import Progress

_FAREWELL = 10.0
"""Seconds that cancelled work has to tidy up when the app is gone."""
_BETWEEN = 0.1
"""Seconds between two progress messages of one stage."""
_NICE = 5
"""Below the app's own priority: keys come before vectors."""

_log = logging.getLogger(__name__)

Handler = Callable[
    [protocol.Request, Callable[[protocol.Event], None], Callable[[], None]], protocol.Reply
]


class Wire:
    """Both directions of the protocol: one reading thread, any number of sending ones."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()

    def send(self, identifier: int, reply: protocol.Reply) -> None:
        """Send a reply; that the app is gone is no fault, stdin will say so."""
        data = protocol.frame(identifier, reply)
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._replies.write(data)
            self._replies.flush()

    def receive(self) -> tuple[int, protocol.Request] | None:
        """Wait for the next request; None at the end of the input. Raises ProtocolError."""
        header = self._requests.read(protocol.HEADER_BYTES)
        if len(header) < protocol.HEADER_BYTES:
            return None
        length = protocol.body_length(header)
        data = self._requests.read(length)
        return protocol.decode_request(data) if len(data) == length else None


@dataclass(slots=True)
class _Waiting:
    """A request with the switch that stops it, and when its progress was last sent."""

    id: int
    request: protocol.Request
    cancelled: threading.Event = field(default_factory=threading.Event)
    stage: str = ""
    sent_at: float = 0.0

    def check(self) -> None:
        """Raise InterruptedByUser if the request was cancelled."""
        if self.cancelled.is_set():
            raise InterruptedByUser("interrupted; nothing was changed")

    def is_due(self, step: Progress) -> bool:
        """Decide whether a step is worth a message: the first of its stage, the last, or one
        that comes some time after another."""
        now = time.monotonic()
        due = step.stage != self.stage or step.share == 1.0 or now - self.sent_at >= _BETWEEN
        if due:
            self.stage, self.sent_at = step.stage, now
        return due

    def sender(self, wire: Wire) -> Callable[[protocol.Event], None]:
        """A function that sends events of this request, progress not too often."""

        def send(event: protocol.Event) -> None:
            if not isinstance(event, protocol.Progressed) or self.is_due(event.progress):
                wire.send(self.id, event)

        return send


def answer(waiting: _Waiting, handler: Handler, wire: Wire) -> None:
    """SearchResult one request; what it raises is its reply."""
    try:
        reply = handler(waiting.request, waiting.sender(wire), waiting.check)
        waiting.check()
    except BioRetrievalError as error:
        reply = protocol.failure(error)
    except Exception as error:  # noqa: BLE001 - answered and logged
        reply = _defect(waiting.id, error)
    wire.send(waiting.id, reply)


def _defect(identifier: int, error: Exception) -> protocol.Failed:
    """The reply of a request that failed by a defect: the app must not wait for ever."""
    _log.exception("request %d failed", identifier)
    text = f"unexpected {type(error).__name__}: {error}"
    return protocol.Failed("BioRetrievalError", text, "see search.log in the state folder")


# The search process -----------------------------------------------------------------------------


class RequestQueue(threading.Thread):
    """Answers requests one after another; a newer search supersedes one that waits."""

    def __init__(self, handler: Handler, wire: Wire) -> None:
        super().__init__(daemon=True)
        self._handler = handler
        self._wire = wire
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._current: _Waiting | None = None
        self._stopping = False
        self._changed = threading.Condition()

    def put(self, identifier: int, request: protocol.Request) -> None:
        """Queue a request. A search of the same stream that still waits is superseded by it."""
        displaced: list[_Waiting] = []
        with self._changed:
            if isinstance(request, protocol.SearchRequest):
                displaced = [old for old in self._waiting if _same_stream(old.request, request)]
                for old in displaced:
                    self._waiting.remove(old)
            self._waiting.append(_Waiting(identifier, request))
            self._changed.notify()
        for old in displaced:
            self._wire.send(old.id, protocol.interrupted(superseded=True))

    def cancel(self, identifier: int) -> None:
        """Stop a request; an unknown or finished one is no fault."""
        with self._changed:
            dropped = [one for one in self._waiting if one.id == identifier]
            for one in dropped:
                self._waiting.remove(one)
            if self._current is not None and self._current.id == identifier:
                self._current.cancelled.set()
        for one in dropped:
            self._wire.send(one.id, protocol.interrupted())

    def stop(self) -> None:
        """Take no more requests and cancel the one that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            if self._current is not None:
                self._current.cancelled.set()
            self._changed.notify()

    def run(self) -> None:
        """SearchResult until stopped."""
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                current = self._current = self._waiting.popleft()
            answer(current, self._handler, self._wire)


def serve_searches(wire: Wire, device: str) -> None:
    """SearchResult requests until stdin closes.

    Searches have a queue of their own; what reads stored things, or builds the catalogue's index,
    has the other, so that a search never waits for it.

    Raises:
        ProtocolError: what came is no request.
    """
    searching, looking_up = (
        RequestQueue(Searching(device), wire),
        RequestQueue(LookingUp(device), wire),
    )
    queues = (searching, looking_up)
    for queue in queues:
        queue.start()
    with contextlib.suppress(OSError):
        while (received := wire.receive()) is not None:
            identifier, request = received
            if isinstance(request, protocol.Cancel):
                for queue in queues:
                    queue.cancel(identifier)
            else:
                (searching if isinstance(request, protocol.SearchRequest) else looking_up).put(
                    identifier, request
                )
    for queue in queues:
        queue.stop()
    for queue in queues:
        queue.join(_FAREWELL)


def _same_stream(one: protocol.Request, other: protocol.SearchRequest) -> bool:
    return isinstance(one, protocol.SearchRequest) and one.stream == other.stream


# A job process ----------------------------------------------------------------------------------


class JobProcess:
    """Runs one job in the main thread while a side thread hears what the app says."""

    def __init__(self, wire: Wire, device: str) -> None:
        self._wire = wire
        self._device = device
        self._main = threading.get_ident()
        self._guard = threading.Lock()
        self._running = False
        self._current: _Waiting | None = None

    def run(self) -> None:
        """Run the job that comes first; the reply is its result or its error.

        Raises:
            ProtocolError: what came is no job.
        """
        received = self._wire.receive()
        if received is None:
            return
        identifier, request = received
        if not isinstance(request, protocol.RunJob):
            raise protocol.ProtocolError(f"{type(request).__name__} is no job")
        waiting = self._current = _Waiting(identifier, request)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._running = True
        reply: protocol.Reply = protocol.interrupted()
        try:
            threading.Thread(target=self._listen, daemon=True).start()
            reply = self._work(waiting, request.job)
        except KeyboardInterrupt as error:
            kept = " ".join(getattr(error, "__notes__", ()))
            reply = protocol.Failed("InterruptedByUser", "interrupted", kept=kept)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with self._guard:
                self._running = False
        self._wire.send(identifier, reply)

    def _work(self, waiting: _Waiting, job: protocol.Job) -> protocol.Reply:
        send = waiting.sender(self._wire)

        def report(step: Progress) -> None:
            waiting.check()
            send(protocol.Progressed(step))

        try:
            return run_job(job, self._device, send, report)
        except BioRetrievalError as error:
            return protocol.failure(error)
        except Exception as error:  # noqa: BLE001 - answered and logged
            return _defect(waiting.id, error)

    def _listen(self) -> None:
        """Interrupt the job when the app says so or is gone."""
        with contextlib.suppress(OSError, protocol.ProtocolError):
            while (received := self._wire.receive()) is not None:
                if isinstance(received[1], protocol.Cancel):
                    self._interrupt()
        self._interrupt()
        time.sleep(_FAREWELL)
        os._exit(1)  # the work did not come to its end, and nobody waits for it

    def _interrupt(self) -> None:
        with self._guard:
            if not self._running:
                return
            self._running = False  # a second interrupt would disturb the tidying up
            if self._current is not None:
                self._current.cancelled.set()  # where an interrupt is lost, the next step ends it
            signal.pthread_kill(self._main, signal.SIGINT)


# Starting ---------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """Serve on this process's stdin and stdout, then end the process at once."""
    parser = argparse.ArgumentParser(prog="bioretrieval_tui.backend.server")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--job", action="store_true")
    options = parser.parse_args(arguments)
    wire = Wire(*take_over_streams())
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s"
    )
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the app's to answer
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    code = 0
    try:
        if options.job:
            keep_interrupts()
            JobProcess(wire, options.device).run()
        else:
            serve_searches(wire, options.device)
    except protocol.ProtocolError:
        _log.exception("the app sent what is no request")
        code = 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A model library's threads may be anywhere; there is nothing left to wait for.
    os._exit(code)


def take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol, and leave nothing and stderr in their places."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    main()
