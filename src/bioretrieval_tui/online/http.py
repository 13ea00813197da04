"""The HTTP client: one `httpx.Client` over stacked transports; nothing else uses the network.

A request passes

1. `RedirectGuard`: only public http(s) addresses, also after redirects;
2. `RetryTransport`: retries of transient failures (tenacity), after the waits of Retry-After;
3. `PaceTransport`: the rate limit of each service, shared by all processes of a user;
4. `BoundedTransport`: the body decompressed in steps, with bounds on bytes and time;
5. `EnvironmentTransport`: direct, or through the proxy of the environment.

`HttpClient` builds requests and turns failures into one line that names the service. An API key
travels in the body of a request, never in an address, so that no log holds it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import re
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import tenacity

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online.pacing import Clock, RateLimiter, SharedSchedule, retry_after
from bioretrieval_tui.online.services import (
    CONTACT,
    SERVICES,
    TRANSIENT,
    OfflineError,
    OnlineError,
    Service,
    is_offline,
    network_setting,
    refused,
)
from bioretrieval_tui.paths import places

MOST_BYTES = 64 * 2**20
_ATTEMPTS = 5
_CONNECT_ATTEMPTS = 3
"""Attempts of those that may fail to connect: without a network an error should come soon."""
_SLOW_ATTEMPTS = 2
"""Attempts of those that may time out within a body: each costs minutes."""
_REDIRECTS = 5
_LONGEST_WAIT = 120.0
"""Seconds that a service may ask to wait; the fetch fails if it asks for more."""
_LONGEST_QUERY = 1_500
"""Characters of a query that are sent in an address; longer ones go into a body."""
_STEP = 2**16
_GZIP = 16 + zlib.MAX_WBITS
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses whose last four bytes are an IPv4 address, where networks translate."""
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: connect, to be connected; read, without a byte; whole, for a body that is kept in
    memory. slowest: bytes a second that a long download must bring on the average of `read`."""

    connect: float = 10.0
    read: float = 30.0
    whole: float = 180.0
    slowest: float = 256.0


@dataclass(slots=True)
class _Call:
    """A call, in the extensions of its requests.

    whole: the body is read at once, so that it has a deadline and is requested again if it breaks
    off; sent: the addresses requested, more than one after redirects.
    """

    service: Service
    most_bytes: int
    whole: bool = True
    follow: bool = True
    attempts: int = _ATTEMPTS
    sent: list[str] = field(default_factory=list)


class HttpClient:
    """One client for all services, usable from several threads; a context manager.

    services: by id, `SERVICES` if None; clock: the real one if None; step: called while the client
    waits or receives, may raise to give up.

    Raises (on construction):
        OfflineError: BIORETRIEVAL_OFFLINE or --offline forbids the network.
        BioRetrievalError: a setting of the network is wrong.
    """

    def __init__(
        self,
        *,
        services: Mapping[str, Service] | None = None,
        clock: Clock | None = None,
        limits: TimeLimits | None = None,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        if is_offline():
            raise OfflineError(
                "the network is not allowed here",
                remedy="leave --offline out and unset BIORETRIEVAL_OFFLINE",
            )
        given = SERVICES if services is None else services
        self.step = step
        self._services = {name: service.located() for name, service in given.items()}
        limits = limits or TimeLimits()
        # A clock of a test has nothing to do with those of other processes.
        shared = SharedSchedule(places().state / "pace") if clock is None else None
        limiter = RateLimiter(clock or time, lambda: self.step(), shared)
        try:
            wire = EnvironmentTransport(
                verify=httpx.create_ssl_context(),
                http2=importlib.util.find_spec("h2") is not None,
                limits=httpx.Limits(max_connections=16, max_keepalive_connections=8),
            )
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise BioRetrievalError(
                "the network settings of the environment are invalid",
                remedy="check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
            ) from error
        bounded = BoundedTransport(wire, limits, lambda: self.step())
        retrying = RetryTransport(PaceTransport(bounded, limiter, lambda: self.step()), limiter)
        self._client = httpx.Client(
            transport=RedirectGuard(retrying),
            headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            max_redirects=_REDIRECTS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def service(self, name: str) -> Service:
        """The service with this id."""
        return self._services[name]

    def json(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Any:
        """Return the decoded JSON of a response. Raises OnlineError as `get`, or for other data."""
        response = self.get(service, url, params=params, most_bytes=most_bytes)
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise OnlineError(
                f"{self._services[service].name} did not respond with JSON",
                remedy="a proxy or a login page may have responded in its place; or the service"
                " has changed: see whether a newer version of this program exists",
            ) from error

    def text(self, service: str, url: str, *, most_bytes: int = MOST_BYTES) -> str:
        """Return a response as UTF-8 text. Raises OnlineError as `get`."""
        return self.get(service, url, most_bytes=most_bytes).content.decode("utf-8", "replace")

    def get(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        etag: str | None = None,
        most_bytes: int = MOST_BYTES,
        follow: bool = True,
        check: bool = True,
    ) -> httpx.Response:
        """Return the whole response of `url`, which is absolute or relative to the service's base.

        etag: of an earlier response; if nothing changed the status is 304 and the body empty.
        follow: follow redirects; `response.history` has them. check: raise for a status of 400 and
        above. A body that breaks off is requested again.

        Raises:
            OnlineError: no response after several attempts, a refusal, more than `most_bytes`, or
            a redirect to an address that is not public. UsageError: `url` is not public itself.
        """
        headers = {"If-None-Match": etag} if etag else {}
        call = _Call(self._services[service], most_bytes, follow=follow)
        return self._sent(call, "GET", url, params or {}, headers, check=check)

    def probe(self, service: str, url: str, *, method: str = "HEAD") -> tuple[int, str | None]:
        """Return the status of a URL and where it redirects to, or None; the body is not read and
        no redirect followed. Raises OnlineError where there is no response after two attempts."""
        call = _Call(self._services[service], MOST_BYTES, whole=False, follow=False, attempts=2)
        response = self._sent(call, method, url, {}, {}, check=False)
        response.close()
        return response.status_code, response.headers.get("location")

    @contextlib.contextmanager
    def stream(
        self, service: str, url: str, *, start: int = 0, most_bytes: int = MOST_BYTES
    ) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """Give the length of a file (bytes, None if not stated) and its content from byte `start`
        on, in parts of up to 64 kB.

        Raises OnlineError as `get`, also while the parts are read. A broken download is not
        requested again here: the caller knows what it has kept.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        call = _Call(self._services[service], most_bytes, whole=False)
        response = self._sent(call, "GET", url, {}, headers)
        with contextlib.closing(response):
            begins = start if response.status_code == 206 else 0
            stated = response.headers.get("content-range", "").removeprefix("bytes ")
            if begins and stated and stated.partition("-")[0].strip() != str(start):
                raise OnlineError(
                    f"{call.service.name} sent another part of the file than requested",
                    remedy="delete what had arrived of the file, and try again",
                )
            length = response.headers.get("content-length", "")
            total = begins + int(length[:15]) if length.isascii() and length.isdigit() else None
            skip = start - begins
            call.most_bytes += skip
            yield total, _without(response.iter_raw(), skip)

    def _sent(
        self,
        call: _Call,
        method: str,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        check: bool = True,
    ) -> httpx.Response:
        """Send a request; the body is read if the call wants it whole."""
        service = call.service
        address = url if "://" in url else f"{service.base}/{url.lstrip('/')}"
        query = dict(params)
        # Services with a key all accept forms; the key is sent to the service alone.
        if method == "GET" and service.parameter and address.startswith(f"{service.base}/"):
            key = service.key
            if key:
                query[service.parameter] = key
            if key or sum(map(len, query.values())) > _LONGEST_QUERY:
                method = "POST"
        try:
            request = self._client.build_request(
                method,
                address,
                params=None if method == "POST" else query or None,
                data=query if method == "POST" else None,
                headers=dict(headers),
                extensions={"call": call},
            )
            response = self._client.send(request, stream=True, follow_redirects=call.follow)
        except httpx.TooManyRedirects as error:
            raise OnlineError(
                f"{service.name} redirects in circles from {plain_address(address)}",
                remedy="check the address",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as error:
            raise _unreachable(service, error) from error
        if check and response.status_code >= 400:
            response.close()
            raise refused(service, response.status_code)
        return response


def user_agent() -> str:
    """Name this program, and the contact of its user. Raises BioRetrievalError for an invalid
    contact."""
    contact = network_setting(CONTACT)
    name = f"bioretrieval-tui/{__version__}"
    if contact is None:
        return name
    scheme = "mailto:" if "@" in contact.value and ":" not in contact.value else ""
    return f"{name} ({scheme}{contact.value})"


def etag_of(response: httpx.Response) -> str | None:
    """The ETag of a response, if it can be sent back as it came: httpx refuses any other."""
    etag = response.headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None


# Transports, from the client down to the wire ----------------------------------------------------


class _Layer(httpx.BaseTransport):
    """A transport over another one."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def close(self) -> None:
        """Close the transports below."""
        self._inner.close()


class RedirectGuard(_Layer):
    """Allows public http(s) addresses, and the host of a service that the user moved into a
    private network. A request body, which may hold a key, is sent to no other origin."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless its address is not allowed."""
        call, address = _call_of(request), str(request.url)
        base = call.service.base
        if not call.sent and not is_public(address, near=base):
            raise UsageError(
                f"{plain_address(address)} is not a public http or https address",
                remedy="check the link",
            )
        if call.sent:
            # A link of the catalogue may lead away from TLS, the response of a service may not.
            unsafe = base and call.sent[-1].startswith("https://") and request.url.scheme == "http"
            if unsafe or not is_public(address, near=base):
                raise _not_followed(call.service, address)
            if request.method == "POST" and urlsplit(call.sent[-1])[:2] != urlsplit(address)[:2]:
                request = httpx.Request(
                    "GET",
                    request.url,
                    headers={"User-Agent": request.headers["User-Agent"]},
                    extensions=request.extensions,
                )
        call.sent.append(address)
        response = self._inner.handle_request(request)
        if call.follow and response.has_redirect_location:
            target = response.headers["location"]
            try:
                request.url.join(target)
            except (httpx.InvalidURL, ValueError) as error:
                response.close()
                raise _not_followed(call.service, target) from error
        return response


class RetryTransport(_Layer):
    """Retries what is transient: 429 and 5xx, broken connections, bodies that break off.

    Waits 0.5, 1, 2, ... seconds with jitter, or as long as Retry-After asks. The rate limiter
    waits, so that other threads pause, too.
    """

    _backoff = tenacity.wait_exponential(multiplier=0.5, max=30.0) + tenacity.wait_random(0.0, 0.5)

    def __init__(self, inner: httpx.BaseTransport, limiter: RateLimiter) -> None:
        super().__init__(inner)
        self._limiter = limiter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request until a response is final, or the attempts are used up."""
        call = _call_of(request)
        slow = 0

        def attempt() -> httpx.Response:
            response = self._inner.handle_request(request)
            if call.whole:
                with contextlib.ExitStack() as closing:
                    closing.callback(response.close)
                    response.read()
            return response

        def stop(state: tenacity.RetryCallState) -> bool:
            nonlocal slow
            error = state.outcome.exception() if state.outcome else None
            slow += isinstance(error, OnlineError) and error.slow
            unconnected = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            return (
                state.attempt_number >= call.attempts
                or slow >= _SLOW_ATTEMPTS
                or (unconnected and state.attempt_number >= _CONNECT_ATTEMPTS)
            )

        def wait(state: tenacity.RetryCallState) -> float:
            seconds = self._backoff(state)
            if state.outcome is not None and not state.outcome.failed:
                response: httpx.Response = state.outcome.result()
                response.close()
                seconds = max(seconds, retry_after(response.headers.get("retry-after")))
            if seconds > _LONGEST_WAIT:
                raise OnlineError(
                    f"{call.service.name} asks to wait {seconds:,.0f} seconds",
                    remedy="try again later; records that arrived are kept",
                )
            return seconds

        def pause(seconds: float) -> None:
            self._limiter.pause(_rate_key(request), seconds, share=bool(call.service.base))

        return tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: found.status_code in TRANSIENT)
            | tenacity.retry_if_exception(_is_transient),
            stop=stop,
            wait=wait,
            sleep=pause,
            # Returns the last response, or raises the last error.
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )(attempt)


class PaceTransport(_Layer):
    """Keeps the rate of each service."""

    def __init__(
        self, inner: httpx.BaseTransport, limiter: RateLimiter, step: Callable[[], None]
    ) -> None:
        super().__init__(inner)
        self._limiter = limiter
        self._step = step

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then send a request."""
        service = _call_of(request).service
        # The hosts of the catalogue's links are many, with a few requests each: not shared.
        self._limiter.acquire(_rate_key(request), service.rate, share=bool(service.base))
        self._step()
        return self._inner.handle_request(request)


class BoundedTransport(_Layer):
    """Decompresses bodies in steps of 64 kB, and bounds their bytes and their time.

    httpx would decompress a part at once, and gzip can expand it a thousandfold. Reading a body
    raises OnlineError, and whatever `step` raises.
    """

    def __init__(
        self, inner: httpx.BaseTransport, limits: TimeLimits, step: Callable[[], None]
    ) -> None:
        super().__init__(inner)
        self._limits = limits
        self._step = step

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's stream is bounded and decompressed."""
        response = self._inner.handle_request(request)
        packing = response.headers.pop("content-encoding", "").strip().lower()
        call, stream = _call_of(request), response.stream
        if isinstance(stream, httpx.SyncByteStream):
            response.stream = _Content(self._content(stream, packing, call), stream.close)
        return response

    def _content(self, stream: httpx.SyncByteStream, packing: str, call: _Call) -> Iterator[bytes]:
        try:
            packed = _counted(self._timely(stream, call), call)
            yield from _counted(_unpacked(packed, packing, call), call)
        except httpx.TimeoutException as error:
            raise _broke_off(call, "takes too long", slow=True) from error
        except httpx.TransportError as error:
            raise _broke_off(call, "ends the connection") from error
        except zlib.error as error:
            raise _broke_off(call, "sends data that cannot be unpacked") from error

    def _timely(self, parts: Iterable[bytes], call: _Call) -> Iterator[bytes]:
        """Yield the parts as they arrive, while they are fast enough."""
        limits = self._limits
        began = checked = time.monotonic()
        arrived = 0
        for part in parts:
            self._step()
            now = time.monotonic()
            if call.whole and now - began > limits.whole:
                raise _broke_off(call, "takes too long", slow=True)
            arrived += len(part)
            if now - checked > limits.read:
                if arrived < limits.slowest * (now - checked):
                    raise _broke_off(call, "is too slow", slow=True)
                checked, arrived = now, 0
            yield part


class _Content(httpx.SyncByteStream):
    """The stream of a response, made from another one."""

    def __init__(self, parts: Iterator[bytes], close: Callable[[], None]) -> None:
        self._parts = parts
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._close()


def _counted(parts: Iterable[bytes], call: _Call) -> Iterator[bytes]:
    count = 0
    for part in parts:
        count += len(part)
        if count > call.most_bytes:
            raise OnlineError(
                f"{call.service.name} sent more than {call.most_bytes:,} bytes",
                remedy="request less at a time, or see whether a newer version exists",
            )
        yield part


def _unpacked(parts: Iterable[bytes], packing: str, call: _Call) -> Iterator[bytes]:
    """Yield the decompressed content in steps of 64 kB."""
    if packing in ("", "identity"):
        yield from parts
        return
    if packing not in ("gzip", "x-gzip"):
        raise _broke_off(call, "compresses its response in a way that was not requested")
    unpacker, arrived = zlib.decompressobj(_GZIP), False
    for part in parts:
        waiting, full, arrived = part, True, True
        while waiting or full:
            piece = unpacker.decompress(waiting, _STEP)
            waiting, full = unpacker.unconsumed_tail, len(piece) == _STEP
            if piece:
                yield piece
            if unpacker.unused_data:
                # zlib would keep all bytes after the end, uncounted.
                raise _broke_off(call, "sends data after the end of the compressed content")
    if arrived and not unpacker.eof:
        raise _broke_off(call, "ends the connection")


class EnvironmentTransport(httpx.BaseTransport):
    """Sends requests directly, or through the proxy of the environment (HTTPS_PROXY, HTTP_PROXY,
    ALL_PROXY, NO_PROXY). httpx itself reads these only for its own transports."""

    def __init__(self, **options: Any) -> None:
        self._direct = httpx.HTTPTransport(**options)
        self._proxies = {
            scheme: httpx.HTTPTransport(
                proxy=proxy if "://" in proxy else f"http://{proxy}", **options
            )
            for scheme, proxy in getproxies().items()
            if scheme in ("http", "https", "all")
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        proxy = self._proxies.get(request.url.scheme) or self._proxies.get("all")
        if proxy is None or proxy_bypass(request.url.netloc.decode("ascii")):
            return self._direct.handle_request(request)
        return proxy.handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for transport in (self._direct, *self._proxies.values()):
            transport.close()


def _call_of(request: httpx.Request) -> _Call:
    call: _Call = request.extensions["call"]
    return call


def _rate_key(request: httpx.Request) -> str:
    """The key of a rate: the service and the host, since a service may redirect to others."""
    host = request.url.netloc.decode("ascii").casefold()
    return f"{_call_of(request).service.id} {host}"


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx.TransportError):
        return _reason(error)[1] is None
    return isinstance(error, OnlineError) and error.broken


def _without(parts: Iterator[bytes], skip: int) -> Iterator[bytes]:
    for part in parts:
        if skip >= len(part):
            skip -= len(part)
            continue
        yield part[skip:]
        skip = 0


# Addresses ----------------------------------------------------------------------------------------


def is_public(address: str, *, near: str = "") -> bool:
    """Whether an address is http(s) and leads to the public internet, or to the host of the
    service `near` itself. A name that does not resolve is left to the connection to report."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host:
        return False
    own = urlsplit(near)
    if near and host == own.hostname and (port or 0) == (own.port or 0):
        return True
    return all(map(_is_global, _resolved(host)))


def is_unknown_host(host: str) -> bool:
    """Whether a host certainly does not exist; False if the name server does not respond, or behind
    a proxy, which resolves names itself."""
    if not host or (getproxies() and not proxy_bypass(host)):
        return not host
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return error.errno in _UNKNOWN_HOST
    except OSError:
        return False
    except UnicodeError:
        return True
    return False


def plain_address(url: str) -> str:
    """A URL for messages, without its query and without user and password."""
    head, mark, rest = url.partition("?")[0].partition("://")
    if not mark:
        return head[:200]
    host, slash, path = rest.partition("/")
    return f"{head}://{host.rpartition('@')[2]}{slash}{path}"[:200]


def _is_global(one: _Address) -> bool:
    """Whether an address, or the one embedded in it, belongs to the public internet."""
    if isinstance(one, ipaddress.IPv6Address):
        if one in _NAT64:
            return ipaddress.IPv4Address(int(one) & 0xFFFFFFFF).is_global
        inner = one.ipv4_mapped or one.sixtofour
        return one.is_global if inner is None else inner.is_global
    return one.is_global


def _resolved(host: str) -> list[_Address]:
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


# Errors -------------------------------------------------------------------------------------------


def _reason(error: Exception) -> tuple[str, str | None]:
    """An error of httpx as a predicate, and a remedy where a retry is of no use; the message of
    httpx may hold a whole address."""
    cause: BaseException | None = error
    unknown = False
    while cause is not None:
        unknown = unknown or isinstance(cause, socket.gaierror)
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return (
                "presents a certificate that is not trusted",
                "if a proxy stands between, name its certificate in SSL_CERT_FILE",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return "has an invalid address", "check the address"
    if isinstance(error, httpx.ProxyError):
        return "is behind a proxy that refuses", "check HTTPS_PROXY and its user and password"
    if isinstance(error, httpx.TimeoutException):
        return "takes too long", None
    if unknown:
        return "has an address that no name server knows", None
    if isinstance(error, httpx.ConnectError):
        return "refuses the connection", None
    return "ends the connection", None


def _unreachable(service: Service, error: Exception) -> OnlineError:
    reason, remedy = _reason(error)
    between = " and the proxy that the environment names," if getproxies() else ""
    return OnlineError(
        f"{service.name} cannot be reached: it {reason}",
        remedy=remedy or f"check the network{between} and try again",
    )


def _broke_off(call: _Call, reason: str, *, slow: bool = False) -> OnlineError:
    return OnlineError(
        f"{call.service.name} broke off: it {reason}",
        remedy="try again; records and files that arrived are kept",
        broken=True,
        slow=slow,
    )


def _not_followed(service: Service, address: str) -> OnlineError:
    return OnlineError(
        f"{service.name} redirects to {plain_address(address)}, which is not followed",
        remedy="check the address",
    )
