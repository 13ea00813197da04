"""The one door to the network: every request of the app goes through it, and no other way.

Services are asked no more often than they allow, again after what passes (429, 5xx, a connection
that broke), and never for more than was said to be enough. A redirect leads to public http(s)
addresses only. What goes wrong is one line that names the service; keys appear in none.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.addresses import check_address, is_public
from bioretrieval_tui.online.services import CONTACT, SERVICES, Service, forbidden

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 2**20
_TRIES = 5
_REDIRECTS = 5
_LONGEST_WAIT = 120.0
"""Seconds that a service may ask to wait; one that asks for more is given up."""
_PASSING = frozenset({429, 500, 502, 503, 504})
_CONNECT, _READ = 10.0, 60.0


class OnlineError(BioRetrievalError):
    """A service cannot be reached, refuses, or answers with something else."""


class OfflineError(OnlineError):
    """The user allows no network."""


class Clock(Protocol):
    """What tells the time and waits."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


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


class Door:
    """One client for all services; usable from several threads. A context manager.

    services: by id, those of `SERVICES` if None; clock: the real one if None.

    Raises (on construction):
        OfflineError: BIORETRIEVAL_OFFLINE or --offline forbids the network.
    """

    def __init__(
        self, *, services: Mapping[str, Service] | None = None, clock: Clock | None = None
    ) -> None:
        if forbidden():
            raise OfflineError(
                "the network is not allowed here",
                remedy="leave --offline out and unset BIORETRIEVAL_OFFLINE",
            )
        import os

        import httpx

        given = SERVICES if services is None else services
        self._services = {name: service.located() for name, service in given.items()}
        self._clock: Clock = clock or time
        self._next: dict[str, float] = {}
        self._pacing = threading.Lock()
        contact = os.environ.get(CONTACT, "")
        agent = f"bioretrieval-tui/{__version__}" + (f" (mailto:{contact})" if contact else "")
        self._client = httpx.Client(
            headers={"User-Agent": agent},
            timeout=httpx.Timeout(_READ, connect=_CONNECT),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
            follow_redirects=False,
            trust_env=True,
        )

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
            raise self._changed(service, "what is no JSON") from error

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
        go where redirects lead. check: raise for a status of 400 and above.

        Raises:
            OnlineError: no answer after several tries, a refusal, more than `most_bytes`, or a
            redirect to where nothing public is.
        """
        sent = {**(headers or {}), **({"If-None-Match": etag} if etag else {})}
        with self._opened(service, url, params, sent, method, follow=follow, check=check) as found:
            response, redirects = found
            body = b"".join(self._bounded(service, response, most_bytes))
            return Answer(
                response.status_code,
                {name.lower(): value for name, value in response.headers.items()},
                body,
                self._shown(service, str(response.url)),
                response.headers.get("etag"),
                tuple(self._shown(service, one) for one in redirects),
            )

    def glance(self, service: str, url: str, *, method: str = "HEAD") -> tuple[int, str | None]:
        """The status of an address, and where it redirects to or None; nothing is read of it and
        nothing followed. Raises OnlineError where there is no answer after two tries."""
        with self._opened(service, url, None, {}, method, follow=False, check=False, tries=2) as (
            response,
            _,
        ):
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
    ) -> Iterator[Iterator[bytes]]:
        """The answer in parts, from byte `start` on. A service that begins at 0 all the same gives
        the rest only. Raises OnlineError as `get`, also while the parts are read."""
        sent = {**(headers or {}), **({"Range": f"bytes={start}-"} if start else {})}
        if start:
            sent["Accept-Encoding"] = "identity"
        with self._opened(service, url, params, sent, "GET") as (response, _):
            skip = start if start and response.status_code != 206 else 0
            yield _without(self._bounded(service, response, most_bytes + skip), skip)

    # One request -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(
        self,
        service: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        method: str,
        *,
        follow: bool = True,
        check: bool = True,
        tries: int = _TRIES,
    ) -> Iterator[tuple[httpx.Response, list[str]]]:
        """An answer whose body is not read yet, after retries and redirects."""
        known = self._services[service]
        address = url if "://" in url else f"{known.base}/{url.lstrip('/')}"
        query = dict(params or {})
        if known.parameter and known.key and not _elsewhere(known, address):
            query[known.parameter] = known.key
        redirects: list[str] = []
        for _ in range(_REDIRECTS + 1):
            check_address(address, near=known.base)
            response = self._answered(known, address, query, headers, method, tries)
            target = response.headers.get("location") if response.is_redirect else None
            if not target or not follow:
                break
            response.close()
            redirects.append(address)
            address, query = str(response.url.join(target)), {}
            if not is_public(address, near=known.base):
                raise OnlineError(
                    f"{known.name} leads to {_plain(address)}, which is not followed",
                    remedy="check the address",
                )
        else:
            raise OnlineError(f"{known.name} leads in circles from {_plain(redirects[0])}")
        try:
            if check and response.status_code >= 400:
                raise self._refused(known, response)
            yield response, redirects
        finally:
            response.close()

    def _answered(
        self,
        service: Service,
        address: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        method: str,
        tries: int,
    ) -> httpx.Response:
        """The first answer that does not pass, at the service's pace."""
        import httpx

        said = "does not answer"
        for attempt in range(tries):
            self._wait_turn(service)
            try:
                request = self._client.build_request(
                    method, address, params=dict(query) or None, headers=dict(headers)
                )
                response = self._client.send(request, stream=True)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                said = _failed(error)
                wait = _backoff(attempt)
            else:
                if response.status_code not in _PASSING or attempt == tries - 1:
                    return response
                asked = _retry_after(response)
                response.close()
                said = f"answers {response.status_code} again and again"
                wait = max(asked, _backoff(attempt))
                if wait > _LONGEST_WAIT:
                    raise OnlineError(
                        f"{service.name} asks to wait {wait:,.0f} seconds", remedy="try again later"
                    )
            if attempt < tries - 1:
                self._clock.sleep(wait)
        raise OnlineError(
            f"{service.name} cannot be reached: it {said}", remedy="check the network and try again"
        )

    def _wait_turn(self, service: Service) -> None:
        """Until this service may be asked again."""
        with self._pacing:
            now = self._clock.monotonic()
            turn = max(now, self._next.get(service.id, 0.0))
            self._next[service.id] = turn + 1 / service.rate
        if turn > now:
            self._clock.sleep(turn - now)

    def _bounded(self, service: str, response: httpx.Response, most: int) -> Iterator[bytes]:
        """The body in parts, unpacked, no more than `most` bytes of it."""
        import httpx

        name = self._services[service].name
        count = 0
        try:
            for part in response.iter_bytes(2**16):
                count += len(part)
                if count > most:
                    raise OnlineError(f"{name} answers with more than {most:,} bytes")
                yield part
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise OnlineError(
                f"{name} broke off: it {_failed(error)}",
                remedy="try again; what had arrived is kept where it is said so",
            ) from error

    def _refused(self, service: Service, response: httpx.Response) -> OnlineError:
        status = response.status_code
        if service.key and status in (400, 401, 403):
            return OnlineError(
                f"{service.name} refuses with {status}", remedy=f"check {service.variable}"
            )
        remedy = "try again later" if status in _PASSING else "check the address or the query"
        return OnlineError(f"{service.name} answers {status}", remedy=remedy)

    def _changed(self, service: str, what: str) -> OnlineError:
        return OnlineError(
            f"{self._services[service].name} answers with {what}",
            remedy="the service may have changed; see whether a newer version is out",
        )

    def _shown(self, service: str, url: str) -> str:
        key = self._services[service].key
        return _plain(url) if key and key in url else url


def _elsewhere(service: Service, address: str) -> bool:
    """Whether an address is not the service's own: a key goes nowhere else."""
    return not address.startswith(f"{service.base}/")


def _plain(url: str) -> str:
    """An address without its query, which may hold a key."""
    return url.partition("?")[0]


def _failed(error: Exception) -> str:
    """What the library's error is to the user; its own words may hold the whole address."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "takes too long"
    if isinstance(error, httpx.ConnectError):
        return "does not take the connection"
    if isinstance(error, httpx.DecodingError):
        return "sends what cannot be unpacked"
    return "ends the connection"


def _backoff(attempt: int) -> float:
    return float(2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the answer asks to wait, 0 where it does not say."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0


def _without(parts: Iterator[bytes], skip: int) -> Iterator[bytes]:
    for part in parts:
        if skip >= len(part):
            skip -= len(part)
            continue
        yield part[skip:]
        skip = 0
