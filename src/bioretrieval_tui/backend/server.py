"""A child process of the app: `python -m bioretrieval_tui.backend.server DEVICE`.

Models are loaded here because importing torch holds Python's lock for hundreds of milliseconds at
a time, and the app could not answer keys meanwhile. Requests come on stdin, replies go to the
original stdout; what a library prints goes to stderr. The process ends when stdin closes.

There are three queues: searches never wait for reading stored data, and jobs run in the main
thread, so that `Cancel` interrupts them like ctrl+c. The app gives each job a process of its own.
"""

from __future__ import annotations

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

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.handlers import Handler, LookingUp, Searching, Send, run_job
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.interrupts import keep_interrupts

_GRACE = 10.0
"""Seconds that cancelled work has for cleaning up once the app is gone."""
_BETWEEN = 0.1
"""Seconds between two progress messages of one stage."""
_NICE = 5
"""Below the priority of the app, whose keys come before vectors."""

_log = logging.getLogger(__name__)


class Wire:
    """Both directions of the protocol: one reading thread, any number of sending ones."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()

    def send(self, number: int, reply: protocol.Reply) -> None:
        """Send a reply; once the app is gone, nothing happens: stdin ends then."""
        line = protocol.line_of(number, reply)
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._replies.write(line)
            self._replies.flush()

    def receive(self) -> tuple[int, protocol.Sent] | None:
        """Wait for the next request; None at the end of the input. Raises ProtocolError."""
        line = self._requests.readline(protocol.MOST_BYTES)
        return protocol.decode(line, tuple[int, protocol.Sent]) if line else None


@dataclass(slots=True)
class _Received:
    """A request, the switch that stops it, and when its progress was last sent."""

    number: int
    request: protocol.Sent
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
        self.wire.send(self.number, event)

    def answer(self, handler: Handler) -> None:
        """Send the answer of `handler`, or the error that it raises."""
        reply: protocol.Reply
        try:
            value = handler(self.request, self.send)
            self.check()
            reply = protocol.Answered(msgspec.Raw(msgspec.json.encode(value)))
        except BioRetrievalError as error:
            reply = protocol.Failed.of(error)
        except KeyboardInterrupt as error:
            kept = " ".join(getattr(error, "__notes__", ()))
            reply = protocol.Failed("InterruptedByUser", "interrupted", kept=kept)
        except Exception as error:  # noqa: BLE001 - the app must not wait for ever
            _log.exception("request %d failed", self.number)
            text = f"unexpected {type(error).__name__}: {error}"
            reply = protocol.Failed("", text, "see search.log in the state folder")
        self.wire.send(self.number, reply)


class RequestQueue:
    """Answers requests one after another; a newer search supersedes one that waits.

    stop_work: called once, at most, for the request that runs when it is cancelled.
    """

    def __init__(
        self, handler: Handler, wire: Wire, stop_work: Callable[[], None] = lambda: None
    ) -> None:
        self._handler = handler
        self._wire = wire
        self._stop_work = stop_work
        self._waiting: collections.deque[_Received] = collections.deque()
        self._current: _Received | None = None
        self._stopping = False
        self._changed = threading.Condition()

    def put(self, number: int, request: protocol.Sent) -> None:
        """Queue a request. A search of the same stream that still waits is superseded by it."""
        stream = getattr(request, "stream", None)
        with self._changed:
            if stream is not None:
                self._drop(
                    lambda old: getattr(old.request, "stream", None) == stream,
                    protocol.SupersededError("superseded by a newer search"),
                )
            self._waiting.append(_Received(number, request, self._wire))
            self._changed.notify()

    def cancel(self, number: int) -> None:
        """Stop a request; an unknown or finished one is ignored."""
        with self._changed:
            self._drop(lambda one: one.number == number, InterruptedByUser("interrupted"))
            if self._current is not None and self._current.number == number:
                self._cancel_current(self._current)

    def stop(self) -> None:
        """Take no more requests and cancel the one that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            if self._current is not None:
                self._cancel_current(self._current)
            self._changed.notify()

    def _drop(self, chosen: Callable[[_Received], bool], error: BioRetrievalError) -> None:
        for one in [one for one in self._waiting if chosen(one)]:
            self._waiting.remove(one)
            self._wire.send(one.number, protocol.Failed.of(error))

    def _cancel_current(self, current: _Received) -> None:
        if not current.cancelled.is_set():
            current.cancelled.set()
            self._stop_work()

    def run(self) -> None:
        """Answer requests until stopped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                self._current = self._waiting.popleft()
            self._current.answer(self._handler)
            with self._changed:
                self._current = None


def serve(wire: Wire, device: str = "auto") -> int:
    """Answer requests until stdin closes; return the exit code of the process."""
    main_thread, code = threading.get_ident(), 0

    def work(request: protocol.Sent, send: Send) -> object:
        if not isinstance(request, protocol.RunJob):
            raise TypeError(f"{type(request).__name__} is not a job")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return run_job(request.job, device, send)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    searches = RequestQueue(Searching(device), wire)
    look_ups = RequestQueue(LookingUp(device), wire)
    # If the signal is lost, the next step of the job ends it.
    jobs = RequestQueue(work, wire, lambda: signal.pthread_kill(main_thread, signal.SIGINT))
    queues = (searches, look_ups, jobs)

    def listen() -> None:
        nonlocal code
        try:
            while (received := wire.receive()) is not None:
                number, request = received
                if isinstance(request, protocol.Cancel):
                    for queue in queues:
                        queue.cancel(number)
                elif isinstance(request, protocol.RunJob):
                    jobs.put(number, request)
                elif isinstance(request, protocol.SearchRequest):
                    searches.put(number, request)
                else:
                    look_ups.put(number, request)
        except OSError:
            pass  # as at the end of the input
        except protocol.ProtocolError:
            _log.exception("the app sent something that is not a request")
            code = 1
        for queue in queues:
            queue.stop()
        time.sleep(_GRACE)
        os._exit(1)  # the work did not end in time, and the app is gone

    threads = [threading.Thread(target=one.run, daemon=True) for one in (searches, look_ups)]
    for thread in (*threads, threading.Thread(target=listen, daemon=True)):
        thread.start()
    jobs.run()
    for thread in threads:
        thread.join()
    return code


def main() -> None:
    """Serve on this process's stdin and stdout, then end the process at once."""
    wire = Wire(*take_over_streams())
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s"
    )
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the app handles ctrl+c
    keep_interrupts()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    code = serve(wire, *sys.argv[1:])
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
