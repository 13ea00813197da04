"""The search process: `python -m bioretrieval_tui.search.service`, a child of the app.

Importing torch holds Python's lock for hundreds of milliseconds at a time, in which a screen
would not answer its keys; so models live here. Requests come on stdin, replies go to what was
stdout when the process began; whatever a library prints goes to stderr. It ends when stdin does.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from typing import BinaryIO

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.registry import list_indexes
from bioretrieval_tui.search import protocol
from bioretrieval_tui.search.worker import Building, Job, Searching, Worker, failure

_FAREWELL = 10.0
"""Seconds that a cancelled build has to tidy up when the app is gone."""
_NICE = 5
"""Below the app's own priority: keys come before vectors."""


class Service:
    """Reads requests until the input ends and hands them to the two workers."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, device: str) -> None:
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()
        self._searching = Worker("searching", Searching(device, self.send), self.send)
        self._building = Worker("building", Building(device, self.send), self.send)

    def run(self) -> None:
        """Serve until stdin closes, or a message says so or cannot be understood."""
        for worker in (self._searching, self._building):
            worker.start()
        with contextlib.suppress(OSError):
            while (request := self._next()) is not None:
                if isinstance(request, protocol.Shutdown):
                    break
                self._take(request)
        for worker in (self._searching, self._building):
            worker.stop()
        for worker in (self._building, self._searching):
            worker.join(_FAREWELL)

    def send(self, reply: protocol.Reply) -> None:
        """Write one reply; the app being gone is no fault, stdin will say so."""
        data = protocol.frame(reply)
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._replies.write(data)
            self._replies.flush()

    def _take(self, request: protocol.Request) -> None:
        if isinstance(request, protocol.Asking):
            self._searching.put(Job(request))
        elif isinstance(request, protocol.Work):
            self._building.put(Job(request))
        elif isinstance(request, protocol.Cancel):
            self._searching.cancel(request.id)
            self._building.cancel(request.id)
        elif isinstance(request, protocol.ListIndexes):
            try:
                self.send(protocol.Listed(request.id, list_indexes()))
            except BioRetrievalError as error:
                self.send(failure(request.id, error))

    def _next(self) -> protocol.Request | None:
        """The next request, or None at the end of the input."""
        header = self._requests.read(protocol.HEADER_BYTES)
        if len(header) < protocol.HEADER_BYTES:
            return None
        length = protocol.body_length(header)
        data = self._requests.read(length)
        return protocol.decode_request(data) if len(data) == length else None


def main(arguments: list[str] | None = None) -> None:
    """Run the service on this process's stdin and stdout, then end the process at once."""
    parser = argparse.ArgumentParser(prog="bioretrieval_tui.search.service")
    parser.add_argument("--device", default="auto")
    device = parser.parse_args(arguments).device
    requests, replies = _take_over_streams()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s"
    )
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the app's to answer
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    code = 0
    try:
        Service(requests, replies, device).run()
    except protocol.ProtocolError:
        logging.getLogger(__name__).exception("the app sent what is no request")
        code = 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A model library's threads may be anywhere; there is nothing left to wait for.
    os._exit(code)


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
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
