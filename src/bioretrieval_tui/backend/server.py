"""A child process of the app: `python -m bioretrieval_tui.backend.server [--job]`.

Models are loaded here because importing torch holds Python's lock for hundreds of milliseconds at
a time, and the app could not answer keys meanwhile. Requests come on stdin, replies go to the
original stdout; what a library prints goes to stderr. The process ends when stdin closes.

Without `--job` it is the search process, which answers requests one after another in two threads.
With `--job` it runs one job in its main thread, so that `Cancel` can interrupt it like ctrl+c.
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
from functools import partial
from typing import BinaryIO

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.handlers import LookingUp, Searching, run_job
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.interrupts import keep_interrupts

_GRACE = 10.0
"""Seconds that cancelled work has for cleaning up once the app is gone."""
_BETWEEN = 0.1
"""Seconds between two progress messages of one stage."""
_NICE = 5
"""Below the priority of the app, whose keys come before vectors."""

_log = logging.getLogger(__name__)

Handler = Callable[[protocol.Request, Callable[[protocol.Event], None]], object]
"""Makes the answer to a request."""


class Wire:
    """Both directions of the protocol: one reading thread, any number of sending ones."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()

    def send(self, identifier: int, reply: protocol.Reply) -> None:
        """Send a reply; once the app is gone, nothing happens: stdin ends then."""
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
        return protocol.decode(data, tuple[int, protocol.Request]) if len(data) == length else None


@dataclass(slots=True)
class _Received:
    """A request, the switch that stops it, and when its progress was last sent."""

    id: int
    request: protocol.Request
    wire: Wire
    cancelled: threading.Event = field(default_factory=threading.Event)
    stage: str = ""
    sent_at: float = 0.0

    def check(self) -> None:
        """Raise InterruptedByUser if the request was cancelled."""
        if self.cancelled.is_set():
            raise InterruptedByUser("interrupted; nothing was changed")

    def send(self, event: protocol.Event) -> None:
        """Send an event; of progress the first and the last step of a stage, and one every 0.1 s.

        Raises:
            InterruptedByUser: it is progress of a cancelled request.
        """
        if isinstance(event, protocol.Progressed):
            self.check()
            now, step = time.monotonic(), event.progress
            if step.stage == self.stage and step.share != 1.0 and now - self.sent_at < _BETWEEN:
                return
            self.stage, self.sent_at = step.stage, now
        self.wire.send(self.id, event)

    def reply(self, work: Callable[[], protocol.Reply]) -> protocol.Reply:
        """The reply that `work` makes, or the error that it raises."""
        try:
            return work()
        except BioRetrievalError as error:
            return protocol.failure(error)
        except Exception as error:  # noqa: BLE001 - the app must not wait for ever
            _log.exception("request %d failed", self.id)
            text = f"unexpected {type(error).__name__}: {error}"
            return protocol.Failed("BioRetrievalError", text, "see search.log in the state folder")


# The search process -----------------------------------------------------------------------------


class RequestQueue(threading.Thread):
    """Answers requests one after another; a newer search supersedes one that waits."""

    def __init__(self, handler: Handler, wire: Wire) -> None:
        super().__init__(daemon=True)
        self._handler = handler
        self._wire = wire
        self._waiting: collections.deque[_Received] = collections.deque()
        self._current: _Received | None = None
        self._stopping = False
        self._changed = threading.Condition()

    def put(self, identifier: int, request: protocol.Request) -> None:
        """Queue a request. A search of the same stream that still waits is superseded by it."""
        stream = request.stream if isinstance(request, protocol.SearchRequest) else None
        with self._changed:
            displaced = self._drop(
                lambda old: stream is not None and getattr(old.request, "stream", None) == stream
            )
            self._waiting.append(_Received(identifier, request, self._wire))
            self._changed.notify()
        for old in displaced:
            self._wire.send(old.id, protocol.interrupted(superseded=True))

    def cancel(self, identifier: int) -> None:
        """Stop a request; an unknown or finished one is ignored."""
        with self._changed:
            dropped = self._drop(lambda one: one.id == identifier)
            if self._current is not None and self._current.id == identifier:
                self._current.cancelled.set()
        for one in dropped:
            self._wire.send(one.id, protocol.interrupted())

    def _drop(self, chosen: Callable[[_Received], bool]) -> list[_Received]:
        dropped = [one for one in self._waiting if chosen(one)]
        for one in dropped:
            self._waiting.remove(one)
        return dropped

    def stop(self) -> None:
        """Take no more requests and cancel the one that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            if self._current is not None:
                self._current.cancelled.set()
            self._changed.notify()

    def run(self) -> None:
        """Answer requests until stopped."""
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                current = self._current = self._waiting.popleft()
            self._wire.send(current.id, current.reply(partial(self._answer, current)))

    def _answer(self, current: _Received) -> protocol.Reply:
        answer = self._handler(current.request, current.send)
        current.check()
        return protocol.Answered.of(answer)


def serve_searches(wire: Wire, device: str) -> None:
    """Answer requests until stdin closes.

    Searches have a queue of their own, so that they never wait for the other one: reading stored
    data, and building the catalogue's index.

    Raises:
        ProtocolError: a message is not a request.
    """
    searches = RequestQueue(Searching(device), wire)
    look_ups = RequestQueue(LookingUp(device), wire)
    queues = (searches, look_ups)
    for queue in queues:
        queue.start()
    with contextlib.suppress(OSError):
        while (received := wire.receive()) is not None:
            identifier, request = received
            if isinstance(request, protocol.Cancel):
                for queue in queues:
                    queue.cancel(identifier)
            elif isinstance(request, protocol.SearchRequest):
                searches.put(identifier, request)
            else:
                look_ups.put(identifier, request)
    for queue in queues:
        queue.stop()
    for queue in queues:
        queue.join(_GRACE)


# A job process ----------------------------------------------------------------------------------


class JobProcess:
    """Runs one job in the main thread while another thread listens to the app."""

    def __init__(self, wire: Wire, device: str) -> None:
        self._wire = wire
        self._device = device
        self._main = threading.get_ident()
        self._guard = threading.Lock()
        self._running = False
        self._current: _Received | None = None

    def run(self) -> None:
        """Run the job of the first message; the reply is its result or its error.

        Raises:
            ProtocolError: the message is not a job.
        """
        first = self._wire.receive()
        if first is None:
            return
        identifier, request = first
        if not isinstance(request, protocol.RunJob):
            raise protocol.ProtocolError(f"{type(request).__name__} is not a job")
        current = self._current = _Received(identifier, request, self._wire)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._running = True
        reply: protocol.Reply = protocol.interrupted()
        try:
            threading.Thread(target=self._listen, daemon=True).start()
            reply = current.reply(partial(run_job, request.job, self._device, current.send))
        except KeyboardInterrupt as error:
            kept = " ".join(getattr(error, "__notes__", ()))
            reply = protocol.Failed("InterruptedByUser", "interrupted", kept=kept)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with self._guard:
                self._running = False
        self._wire.send(identifier, reply)

    def _listen(self) -> None:
        """Interrupt the job when the app cancels it or is gone."""
        with contextlib.suppress(OSError, protocol.ProtocolError):
            while (received := self._wire.receive()) is not None:
                if isinstance(received[1], protocol.Cancel):
                    self._interrupt()
        self._interrupt()
        time.sleep(_GRACE)
        os._exit(1)  # the job did not end in time, and the app is gone

    def _interrupt(self) -> None:
        with self._guard:
            if not self._running:
                return
            self._running = False  # a second interrupt would disturb the cleanup
            if self._current is not None:
                self._current.cancelled.set()  # if the signal is lost, the next step ends it
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the app handles ctrl+c
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
        _log.exception("the app sent something that is not a request")
        code = 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Threads of model libraries may still run; there is nothing left to wait for.
    os._exit(code)


def take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; put the null device and stderr in their places."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    main()
