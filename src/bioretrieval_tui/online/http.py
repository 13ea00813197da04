"""The HTTP client: one `httpx.Client` for all services; nothing else uses the network.

Two hooks see every request and every response, those of redirects too. The first lets only public
http(s) addresses pass and keeps the rate limit of the service, shared by all processes of a user;
the second decompresses the body in steps, with bounds on its bytes and its speed. httpx itself
follows redirects and uses the proxy of the environment; tenacity repeats what failed by chance,
after the wait that Retry-After asks for. An API key travels in the body of a request, never in an
address, so that no log holds it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import math
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol, Self, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
import tenacity

from bioretrieval_tui import __version__
from bioretrieval_tui.config import offline_origin
from bioretrieval_tui.errors import BioRetrievalError, UsageError
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
_SLOW_ATTEMPTS = 3
"""Attempts of those that cannot connect or time out: without a network an error comes soon."""
_REDIRECTS = 8
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds to be connected, and without a byte."""
_SLOWEST = 1_024
"""Bytes a second that a body must bring, on the average of the seconds without a byte."""
_LONGEST_WAIT = 120.0
"""Seconds that a service may ask to wait; the fetch fails if it asks for more."""
_LONGEST_QUERY = 1_500
"""Characters of a query that are sent in an address; longer ones go into a body."""
_STEP = 2**16
_SLICE = 0.2
"""Seconds of sleep between two calls of `step`."""
_FURTHEST = _LONGEST_WAIT + 60.0
"""Seconds ahead that a file may say, a long wait and those who wait behind it: what lies further
was written before the clock was set back."""
_STALE = 3_600.0
"""Seconds after its moment at which a pace file is deleted: redirects lead to ever new hosts."""
_SAID = 5.0
"""Seconds of waiting that are not mentioned."""
_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=30.0) + tenacity.wait_random(0.0, 0.5)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_UNICAST = ipaddress.ip_network("2000::/3")
"""All global addresses of IPv6."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses whose last four bytes are an IPv4 address, where networks translate."""
_TUNNELS = (ipaddress.ip_network("2001::/32"), ipaddress.ip_network("2002::/16"))
"""Teredo and 6to4, whose addresses hold one of IPv4."""
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Bits 64 to 96 of addresses of ISATAP, whose last four bytes are an IPv4 address."""
_SLOW = (httpx.ConnectError, httpx.TimeoutException)
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class _Call:
    """A call, in the extensions of its requests. whole: the body is read at once, and requested
    again if it breaks off; last: the address requested last, None before the first."""

    service: Service
    most_bytes: int = MOST_BYTES
    whole: bool = True
    attempts: int = _ATTEMPTS
    last: httpx.URL | None = None


class HttpClient:
    """One client for all services, usable from several threads; a context manager.

    services: by id; clock: the real one if None; `step`, which may be set: called while the client
    waits or receives, may raise to give up; `remark`, which may be set: called with a sentence when
    it waits for long.

    Raises (on construction):
        OfflineError: BIORETRIEVAL_OFFLINE or --offline forbids the network.
        BioRetrievalError: a setting of the network is wrong.
    """

    def __init__(
        self,
        *,
        services: Mapping[str, Service] = SERVICES,
        clock: Clock | None = None,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> None:
        if is_offline():
            raise OfflineError(
                "the network is not allowed here",
                remedy=f"leave --offline out and unset {offline_origin()}",
            )
        self.step: Callable[[], None] = lambda: None
        self.remark: Callable[[str], None] = lambda _: None
        self._services = {name: service.located() for name, service in services.items()}
        self._timeout = timeout
        # A clock of a test has nothing to do with those of other processes.
        folder = places().state / "pace" if clock is None else None
        if folder is not None:
            sweep(folder)
        self._limiter = RateLimiter(clock or time, lambda: self.step(), folder, self._waits)
        try:
            self._client = httpx.Client(
                headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip"},
                timeout=timeout,
                max_redirects=_REDIRECTS,
                event_hooks={"request": [self._admit], "response": [self._bound]},
                verify=httpx.create_ssl_context(),
                http2=importlib.util.find_spec("h2") is not None,
                limits=httpx.Limits(max_connections=16, max_keepalive_connections=8),
            )
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise BioRetrievalError(
                "the network settings of the environment are invalid",
                remedy="check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def service(self, name: str) -> Service:
        return self._services[name]

    def get(
        self,
        service: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        etag: str | None = None,
        most_bytes: int = MOST_BYTES,
        check: bool = True,
    ) -> httpx.Response:
        """Return the whole response of `url`, which is absolute or relative to the service's base.

        etag: of an earlier response; if nothing changed the status is 304 and the body empty.
        check: raise for all statuses of 400 and above, not only for those that were retried.

        Raises:
            OnlineError: no response after several attempts, a refusal, more than `most_bytes`, or
            a redirect to an address that is not public. UsageError: `url` is not public itself.
        """
        headers = {"If-None-Match": etag} if etag else {}
        call = _Call(self._services[service], most_bytes)
        return self._sent(call, "GET", url, params or {}, headers, check=check)

    def probe(self, url: str, *, method: str = "HEAD") -> httpx.Response:
        """Return the response of an address of the web, without its body. Raises OnlineError as
        `get`, after two attempts."""
        call = _Call(self._services["web"], whole=False, attempts=2)
        response = self._sent(call, method, url, {}, {}, check=False)
        response.close()
        return response

    @contextlib.contextmanager
    def stream(
        self, service: str, url: str, *, start: int = 0, most_bytes: int = MOST_BYTES
    ) -> Iterator[tuple[int, int | None, Iterator[bytes]]]:
        """Request a file from byte `start` on; gives the byte at which the content begins (0 where
        the service sends only whole files), the length of the file (None if not stated), and the
        content in parts of up to 64 kB. most_bytes: of the whole file.

        Raises OnlineError as `get`, also while the parts are read: a broken download is not
        requested again here.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        call = _Call(self._services[service], most_bytes, whole=False)
        with contextlib.closing(self._sent(call, "GET", url, {}, headers)) as response:
            begins = start if response.status_code == 206 else 0
            stated = re.match(r"bytes\s+(\d+)", response.headers.get("content-range", ""))
            if begins and stated and stated[1] != str(start):
                raise OnlineError(
                    f"{call.service.name} sent another part of the file than requested",
                    remedy="delete what had arrived of the file, and try again",
                )
            length = response.headers.get("content-length", "")
            total = begins + int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
            call.most_bytes -= begins
            yield begins, total, response.iter_raw()

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
        """Send a request until a response is final, or the attempts are used up."""
        service, fields = call.service, dict(params)
        address = url if "://" in url else f"{service.base}/{url.lstrip('/')}"
        # Services with a key all accept forms; the key is sent to the service alone.
        if method == "GET" and service.parameter and address.startswith(f"{service.base}/"):
            if key := service.key:
                fields[service.parameter] = key
            if key or sum(map(len, fields.values())) > _LONGEST_QUERY:
                method = "POST"
        content: dict[str, Any] = {"data" if method == "POST" else "params": fields or None}

        def attempt() -> httpx.Response:
            call.last = None
            response = self._client.send(request, stream=True, follow_redirects=True)
            if response.status_code in TRANSIENT:
                response.close()
                asked = retry_after(*map(response.headers.get, ("retry-after", "date")))
                raise refused(service, response.status_code, wait=asked)
            if call.whole:
                with contextlib.closing(response):
                    response.read()
            return response

        def stop(state: tenacity.RetryCallState) -> bool:
            error = state.outcome and state.outcome.exception()
            slow = isinstance(error, _SLOW) or isinstance(error and error.__cause__, _SLOW)
            most = min(call.attempts, _SLOW_ATTEMPTS) if slow else call.attempts
            return state.attempt_number >= most

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            seconds = max(_BACKOFF(state), getattr(error, "wait", 0.0))
            if seconds > _LONGEST_WAIT:
                raise OnlineError(
                    f"{service.name} asks to wait {seconds:,.0f} seconds",
                    remedy="try again later; records that arrived are kept",
                )
            return seconds

        def pause(seconds: float) -> None:
            # The rate limiter waits, so that other threads pause, too.
            self._limiter.pause(_rate_key(request), seconds, share=bool(service.base))

        retry = tenacity.retry_if_exception(_is_transient)
        retrying = tenacity.Retrying(retry=retry, stop=stop, wait=wait, sleep=pause, reraise=True)
        try:
            request = self._client.build_request(
                method, address, headers=dict(headers), extensions={"call": call}, **content
            )
            response: httpx.Response = retrying(attempt)
        except httpx.TooManyRedirects as error:
            raise OnlineError(
                f"{service.name} redirects in circles from {plain_address(address)}",
                remedy="check the address",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as error:
            reason, remedy, missing = _reason(error)
            between = " and the proxy that the environment names," if getproxies() else ""
            raise OnlineError(
                f"{service.name} cannot be reached: it {reason}",
                remedy=remedy or f"check the network{between} and try again",
                missing=missing,
            ) from error
        if check and response.status_code >= 400:
            response.close()
            raise refused(service, response.status_code)
        return response

    def _waits(self, key: str, seconds: float) -> None:
        name = self._services[key.partition(" ")[0]].name
        self.remark(f"waiting {seconds:,.0f} s before the next request to {name}")

    def _admit(self, request: httpx.Request) -> None:
        """Refuse an address that is not public, but for the host of a service that the user moved
        into a private network; then wait for the turn of the request."""
        call, url = _call_of(request), request.url
        service, last = call.service, call.last
        public = is_public(str(url), near=service.base)
        if last is None and not public:
            raise UsageError(
                f"{plain_address(str(url))} is not a public http or https address",
                remedy="check the link",
            )
        if last is not None:
            # A link of the catalogue may lead away from TLS, the response of a service may not.
            unsafe = service.base and last.scheme == "https" and url.scheme == "http"
            # A body, which may hold a key, is sent to no other origin.
            origin, before = (one.copy_with(raw_path=b"/") for one in (url, last))
            leaks = request.method == "POST" and origin != before
            if unsafe or leaks or not public:
                raise OnlineError(
                    f"{service.name} redirects to {plain_address(str(url))}, which is not followed",
                    remedy="check the address",
                    missing=True,
                )
        call.last = url
        # The hosts of the catalogue's links are many, with a few requests each: not shared.
        self._limiter.acquire(_rate_key(request), service.rate, share=bool(service.base))
        self.step()

    def _bound(self, response: httpx.Response) -> None:
        response.stream = _Body(response, self._timeout.read or 0.0, self.step)


def user_agent() -> str:
    """Name this program, and the contact of its user. Raises BioRetrievalError for an invalid
    contact."""
    name = f"bioretrieval-tui/{__version__}"
    found = network_setting(CONTACT)
    if found is None:
        return name
    contact, _ = found
    return f"{name} ({'mailto:' if '@' in contact and ':' not in contact else ''}{contact})"


def etag_of(response: httpx.Response) -> str | None:
    """The ETag of a response, if it can be sent back as it came: httpx refuses any other."""
    etag = response.headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None


def _call_of(request: httpx.Request) -> _Call:
    call: _Call = request.extensions["call"]
    return call


def _rate_key(request: httpx.Request) -> str:
    """The key of a rate: the service and the host, since a service may redirect to others."""
    host = request.url.netloc.decode("ascii").casefold()
    return f"{_call_of(request).service.id} {host}"


# Bodies -------------------------------------------------------------------------------------------


class _Body(httpx.SyncByteStream):
    """The body of a response, decompressed in steps of 64 kB, with bounds on its bytes (packed and
    unpacked) and on its speed, over so many seconds. httpx would decompress a part at once, and
    gzip can expand it a thousandfold. Iterating raises OnlineError, and whatever `step` raises."""

    def __init__(self, response: httpx.Response, seconds: float, step: Callable[[], None]) -> None:
        # A client that is not asynchronous gets no other stream.
        self._stream = cast("httpx.SyncByteStream", response.stream)
        self._packing = response.headers.pop("content-encoding", "").strip().lower()
        self._call = _call_of(response.request)
        self._seconds = seconds
        self._step = step

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._counted(self._unpacked(self._counted(self._timely())))
        except httpx.TimeoutException as error:
            raise self._broke_off("takes too long") from error
        except httpx.TransportError as error:
            raise self._broke_off("ends the connection") from error
        except zlib.error as error:
            raise self._broke_off("sends data that cannot be unpacked") from error

    def close(self) -> None:
        self._stream.close()

    def _timely(self) -> Iterator[bytes]:
        """Yield the parts as they arrive, while they are fast enough."""
        began, arrived = time.monotonic(), 0
        for part in self._stream:
            self._step()
            arrived += len(part)
            seconds = time.monotonic() - began
            if seconds > self._seconds:
                if arrived < _SLOWEST * seconds:
                    raise httpx.ReadTimeout("too slow")
                began, arrived = time.monotonic(), 0
            yield part

    def _counted(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        count, most = 0, self._call.most_bytes
        for part in parts:
            count += len(part)
            if count > most:
                raise OnlineError(
                    f"{self._call.service.name} sent more than {most:,} bytes",
                    remedy="request less at a time, or see whether a newer version exists",
                )
            yield part

    def _unpacked(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        if self._packing in ("", "identity"):
            yield from parts
            return
        if self._packing not in ("gzip", "x-gzip"):
            raise self._broke_off("compresses its response in a way that was not requested")
        unpacker, arrived = zlib.decompressobj(16 + zlib.MAX_WBITS), False
        for part in parts:
            arrived = True
            while part:
                yield unpacker.decompress(part, _STEP)
                part = unpacker.unconsumed_tail
                if unpacker.unused_data:
                    # zlib would keep all bytes after the end, uncounted.
                    raise self._broke_off("sends data after the end of the compressed content")
        yield unpacker.flush()
        if arrived and not unpacker.eof:
            raise self._broke_off("ends the connection")

    def _broke_off(self, why: str) -> OnlineError:
        return OnlineError(
            f"{self._call.service.name} broke off: it {why}",
            remedy="try again; records and files that arrived are kept",
            broken=True,
        )


# Rate limits --------------------------------------------------------------------------------------
#
# Services count the requests of an address or a key, not of a process. So the moment of the next
# request to each stands in a small file that all processes of a user read and write under a lock.


class Clock(Protocol):
    """Tells the time in seconds and waits; the module `time` is one."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class RateLimiter:
    """Spaces requests evenly, for all threads. step: called while waiting, may raise to end it;
    folder: of the moments of all processes, or None if other processes do not count; waits: called
    with the name and the seconds before a long wait."""

    def __init__(
        self,
        clock: Clock,
        step: Callable[[], None],
        folder: Path | None = None,
        waits: Callable[[str, float], None] = lambda *_: None,
    ) -> None:
        self._clock = clock
        self._step = step
        self._folder = folder
        self._waits = waits
        self._next: dict[str, float] = {}
        self._paused: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str, rate: float, *, share: bool = False) -> None:
        """Wait until `name`, which takes `rate` requests a second, may be asked; share: count the
        requests of other processes too."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                turn = max(now, self._next.get(name, 0.0), self._paused.get(name, 0.0))
                if share and self._folder is not None:
                    turn = max(turn, now + reserve(self._folder, name, turn - now, 1 / rate))
                self._next[name] = turn + 1 / rate
            if turn - now > _SAID:
                self._waits(name, turn - now)
            while (left := turn - self._clock.monotonic()) > 1e-9:
                self._step()
                self._clock.sleep(min(left, _SLICE))
            with self._lock:
                # A pause that began during the wait holds for this thread, too.
                if self._clock.monotonic() >= self._paused.get(name, 0.0):
                    return

    def pause(self, name: str, seconds: float, *, share: bool = False) -> None:
        """Let no thread ask `name` for so long, whichever of them was told to wait."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._paused[name] = max(until, self._paused.get(name, 0.0))
            if share and self._folder is not None:
                reserve(self._folder, name, seconds, 0.0)


def reserve(folder: Path, name: str, earliest: float, length: float) -> float:
    """Reserve the first free moment of `name` at least `earliest` seconds from now, and return the
    seconds until it; length: seconds until the moment after it.

    A file that cannot be read or written is ignored: an unshared pace is better than no fetch.
    """
    from filelock import FileLock, Timeout

    began = time.time()
    path = folder / re.sub(r"[^a-z0-9.-]+", "_", name)
    with contextlib.suppress(OSError, NotImplementedError, Timeout):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=1, poll_interval=0.002):
            now = time.time()
            turn = max(earliest, _ahead(path, now))
            path.write_text(f"{now + turn + length:.6f}", encoding="ascii")
            return now - began + turn
    return earliest


def _ahead(path: Path, now: float) -> float:
    """Seconds until the moment of a pace file; minus infinity where none is believed."""
    try:
        ahead = float(path.read_bytes()[:32]) - now
    except (FileNotFoundError, ValueError):
        return -math.inf
    return ahead if ahead <= _FURTHEST else -math.inf


def sweep(folder: Path) -> None:
    """Delete the files of hosts that have not been asked for long, or whose times lie ahead."""
    from filelock import FileLock, Timeout

    now = time.time()
    paths = folder.iterdir() if folder.is_dir() else ()
    for path in [one for one in paths if one.suffix != ".lock"]:
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            if _ahead(path, now) < -_STALE:
                lock = Path(f"{path}.lock")
                with FileLock(lock, timeout=0):
                    path.unlink()
                lock.unlink(missing_ok=True)


def retry_after(value: str | None, date: str | None = None) -> float:
    """Seconds that a Retry-After header (a number, or a date of the server's clock, which the Date
    header shows) asks for; 0 where it is invalid."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


# Addresses ----------------------------------------------------------------------------------------


def is_public(address: str, *, near: str = "") -> bool:
    """Whether an address is http(s) and leads to the public internet, or to the host of the
    service `near` itself. A name that does not resolve is left to the connection to report."""
    try:
        parts, own = urlsplit(address), urlsplit(near)
        host, port = parts.hostname, parts.port or 0
        near_by = bool(near) and (host, port) == (own.hostname, own.port or 0)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host:
        return False
    return near_by or all(map(_is_global, _resolved(host)))


def plain_address(url: str) -> str:
    """A URL for messages, without its query and without user and password."""
    return re.sub(r"(?<=://)[^/]*@", "", url.partition("?")[0])[:200]


def _is_global(one: _Address) -> bool:
    """Whether an address belongs to the public internet. IPv6 forms that hold an address of IPv4
    lead to it past every check and are refused, but for NAT64, by which networks without IPv4 reach
    all of it."""
    if isinstance(one, ipaddress.IPv6Address):
        if one in _NAT64:
            return _is_global(ipaddress.IPv4Address(int(one) & 0xFFFF_FFFF))
        if one not in _UNICAST or any(one in tunnel for tunnel in _TUNNELS):
            return False
        if int(one) >> 32 & 0xFFFF_FFFF in _ISATAP:
            return False
    return one.is_global and not one.is_multicast


def _resolved(host: str) -> list[_Address]:
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


# Errors -------------------------------------------------------------------------------------------


_INVALID = (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)
_PROXY_REMEDY = "check HTTPS_PROXY and its user and password"
_Reason = tuple[str, str | None, bool]
_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Reason], ...] = (
    (_INVALID, ("has an invalid address", "check the address", True)),
    (httpx.ProxyError, ("is behind a proxy that refuses", _PROXY_REMEDY, False)),
    (httpx.TimeoutException, ("takes too long", None, False)),
    (httpx.ConnectError, ("refuses the connection", None, False)),
    (Exception, ("ends the connection", None, False)),
)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx.TransportError):
        return _reason(error)[1] is None
    return isinstance(error, OnlineError) and (error.broken or error.status in TRANSIENT)


def _reason(error: Exception) -> _Reason:
    """An error of httpx as a predicate, a remedy where a retry is of no use, and whether the host
    certainly does not exist. The message of httpx may hold a whole address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            # A proxy resolves names itself: then it is the proxy that is not known.
            missing = cause.errno in _UNKNOWN_HOST and not getproxies()
            request = getattr(error, "_request", None)  # `request` raises where there is none
            host = f" {request.url.raw_host.decode()}" if request else ""
            return f"cannot be found: DNS does not know its address{host}", None, missing
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            remedy = "if a proxy stands between, name its certificate in SSL_CERT_FILE"
            return "presents a certificate that is not trusted", remedy, False
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.RemoteProtocolError) and "location header" in str(error):
        return "redirects to an invalid address", "check the address", False
    return next(reason for kinds, reason in _REASONS if isinstance(error, kinds))
