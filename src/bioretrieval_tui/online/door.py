"""The one door to the network: every request of the app goes through it, and no other way.

Services are asked no more often than they allow, again after what passes (429, 5xx, a connection
that broke), and never for more than was said to be enough. A redirect leads to public http(s)
addresses only. What goes wrong is one line that names the service. A key travels in the body of a
request, never in an address, so that no log of anybody's holds it.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bioretrieval_tui.online.asking import TRIES, Asker, Question, question
from bioretrieval_tui.online.client import open_client
from bioretrieval_tui.online.faults import OfflineError as OfflineError
from bioretrieval_tui.online.faults import OnlineError as OnlineError
from bioretrieval_tui.online.faults import broke_off, too_large
from bioretrieval_tui.online.pacing import Clock, Pacer, SharedTurns, backoff
from bioretrieval_tui.online.receiving import BrokenError, Patience, TooLargeError, received
from bioretrieval_tui.online.services import SERVICES, Service, forbidden
from bioretrieval_tui.paths import places

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 2**20
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_SLOW_TRIES = 2
"""How often an answer is waited for that takes too long: each time costs minutes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said. url: where the answer came from in the end, without a key; redirects:
    the addresses that led there; etag: for asking again, or None."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    etag: str | None = None
    redirects: tuple[str, ...] = ()


class Parts(Iterator[bytes]):
    """A body in parts of up to 64 kB. total: bytes of the whole, from its beginning, or None."""

    def __init__(self, parts: Iterator[bytes], total: int | None) -> None:
        self._parts = parts
        self.total = total

    def __next__(self) -> bytes:
        return next(self._parts)


class Door:
    """One client for all services; usable from several threads. A context manager.

    services: by id, those of `SERVICES` if None; clock: the real one if None; patience: how long
    an answer may take; step: called while it waits or receives, may raise to give up.

    Raises (on construction):
        OfflineError: BIORETRIEVAL_OFFLINE or --offline forbids the network.
        BioRetrievalError: what the user set for the network is wrong.
    """

    def __init__(
        self,
        *,
        services: Mapping[str, Service] | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
        step: Callable[[], None] | None = None,
    ) -> None:
        if forbidden():
            raise OfflineError(
                "the network is not allowed here",
                remedy="leave --offline out and unset BIORETRIEVAL_OFFLINE",
            )
        given = SERVICES if services is None else services
        self.step = step if step is not None else _nothing
        self._services = {name: service.located() for name, service in given.items()}
        self._patience = patience or Patience()
        # A moved clock has nothing to do with those of other processes.
        shared = SharedTurns(places().state / "pace") if clock is None else None
        self._pacer = Pacer(clock or time, lambda: self.step(), shared)
        self._client = open_client(self._patience)
        self._asker = Asker(self._client, self._pacer, lambda: self.step())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def service(self, name: str) -> Service:
        """The service of this id."""
        return self._services[name]

    def json(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Any:
        """What JSON the address answers. Raises OnlineError as `get`, or where it is no JSON."""
        answer = self.get(service, url, params=params, headers=headers, most_bytes=most_bytes)
        try:
            return jsonlib.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise OnlineError(
                f"{self._services[service].name} answers with what is no JSON",
                remedy="a proxy or a login page may answer in its place; or the service has"
                " changed: see whether a newer version is out",
            ) from error

    def text(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> str:
        """The answer as UTF-8 text. Raises OnlineError as `get`."""
        answer = self.get(service, url, params=params, headers=headers, most_bytes=most_bytes)
        return answer.body.decode("utf-8", "replace")

    def get(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        etag: str | None = None,
        most_bytes: int = MOST_BYTES,
        follow: bool = True,
        check: bool = True,
    ) -> Answer:
        """The whole answer of an address, which is absolute or follows the service's base.

        etag: of a former answer; if nothing changed the status is 304 and the body empty. follow:
        go where redirects lead. check: raise for a status of 400 and above. An answer that breaks
        off is asked for again.

        Raises:
            OnlineError: no answer after several tries, a refusal, more than `most_bytes`, or a
            redirect to where nothing public is.
        """
        sent = {**(headers or {}), **({"If-None-Match": etag} if etag else {})}
        asked = self._question(service, url, params, sent, method)
        slow = 0
        for attempt in range(TRIES):
            with self._asker.opened(asked, follow=follow, check=check) as (response, redirects):
                try:
                    body = b"".join(self._received(response, most_bytes, whole=True))
                except BrokenError as error:
                    slow += error.slow
                    if attempt == TRIES - 1 or slow == _SLOW_TRIES:
                        raise broke_off(asked.service, error.args[0]) from error
                except TooLargeError as error:
                    raise too_large(asked.service, most_bytes) from error
                else:
                    return Answer(
                        response.status_code,
                        {name.lower(): value for name, value in response.headers.items()},
                        body,
                        str(response.url),
                        _tag(response.headers.get("etag")),
                        tuple(redirects),
                    )
            self._pacer.sleep(backoff(attempt))
        raise AssertionError("the last attempt returns or raises")

    def glance(self, service: str, url: str, *, method: str = "HEAD") -> tuple[int, str | None]:
        """The status of an address, and where it redirects to or None; nothing is read of it and
        nothing followed. Raises OnlineError where there is no answer after two tries."""
        asked = self._question(service, url, None, {}, method, 2)
        with self._asker.opened(asked, follow=False, check=False) as (response, _):
            return response.status_code, response.headers.get("location")

    @contextlib.contextmanager
    def stream(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        start: int = 0,
        most_bytes: int = MOST_BYTES,
    ) -> Iterator[Parts]:
        """The answer in parts, from byte `start` on. A service that begins at 0 all the same gives
        the rest only. Raises OnlineError as `get`, also while the parts are read; what broke off
        is not asked for again here, since only the caller knows what it has kept."""
        sent = {**(headers or {}), "Accept-Encoding": "identity"}
        if start:
            sent["Range"] = f"bytes={start}-"
        asked = self._question(service, url, params, sent, "GET")
        with self._asker.opened(asked) as (response, _):
            begins = start if response.status_code == 206 else 0
            said = response.headers.get("content-range", "").removeprefix("bytes ")
            if begins and said and said.partition("-")[0].strip() != str(start):
                raise OnlineError(
                    f"{asked.service.name} gives another part than was asked for",
                    remedy="delete what had arrived of the file, and try again",
                )
            length = response.headers.get("content-length", "")
            total = begins + int(length[:15]) if length.isascii() and length.isdigit() else None
            skip = start - begins
            parts = self._streamed(asked.service, response, most_bytes + skip)
            yield Parts(_without(parts, skip), total)

    def _question(
        self,
        service: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        method: str,
        tries: int = TRIES,
    ) -> Question:
        return question(self._services[service], url, params, headers, method, tries)

    def _received(self, response: httpx.Response, most: int, *, whole: bool) -> Iterator[bytes]:
        return received(response, most=most, patience=self._patience, step=self.step, whole=whole)

    def _streamed(self, service: Service, response: httpx.Response, most: int) -> Iterator[bytes]:
        try:
            yield from self._received(response, most, whole=False)
        except BrokenError as error:
            raise broke_off(service, error.args[0]) from error
        except TooLargeError as error:
            raise too_large(service, most) from error


def _tag(said: str | None) -> str | None:
    """A tag that can be sent back as it came; what is none would be refused by our own library."""
    return said if said and _TAG.fullmatch(said) else None


def _nothing() -> None:
    """Nobody wants to stop."""


def _without(parts: Iterator[bytes], skip: int) -> Iterator[bytes]:
    for part in parts:
        if skip >= len(part):
            skip -= len(part)
            continue
        yield part[skip:]
        skip = 0
