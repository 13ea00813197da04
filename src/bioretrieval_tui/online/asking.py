"""One request as it is sent: at its service's pace, again after what passes, along redirects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

from bioretrieval_tui.online.addresses import check_address, is_public
from bioretrieval_tui.online.client import failure, is_nobody
from bioretrieval_tui.online.faults import PASSING, OnlineError, plain_address, refused
from bioretrieval_tui.online.pacing import Pacer, backoff, retry_after
from bioretrieval_tui.online.services import Service

if TYPE_CHECKING:
    import httpx

TRIES = 5
_CONNECT_TRIES = 3
"""Of those, how many find nobody at all: a machine without a network should say so soon."""
_REDIRECTS = 5
_LONGEST_WAIT = 120.0
"""Seconds that a service may ask to wait; one that asks for more is given up."""
_LONGEST_QUERY = 1_500
"""Characters of a query that are sent in an address; longer ones go into a body."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request as it is sent, again and again if need be. query: in the address, or for POST
    as a form in the body."""

    service: Service
    address: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str
    tries: int = TRIES


def question(
    service: Service,
    url: str,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str],
    method: str,
    tries: int = TRIES,
) -> Question:
    """The request for `url`, absolute or below the service's base. The user's key goes to the
    service itself alone, and in a body, so that no log of addresses holds it."""
    address = url if "://" in url else f"{service.base}/{url.lstrip('/')}"
    query = dict(params or {})
    # Services with a key take forms, all of them.
    if method == "GET" and service.parameter and address.startswith(f"{service.base}/"):
        key = service.key
        if key:
            query[service.parameter] = key
        if key or sum(map(len, query.values())) > _LONGEST_QUERY:
            method = "POST"
    return Question(service, address, query, headers, method, tries)


class Asker:
    """Sends questions; usable from several threads. `step` is called before each, may raise."""

    def __init__(self, client: httpx.Client, pacer: Pacer, step: Callable[[], None]) -> None:
        self._client = client
        self._pacer = pacer
        self._step = step

    @contextlib.contextmanager
    def opened(
        self, asked: Question, *, follow: bool = True, check: bool = True
    ) -> Iterator[tuple[httpx.Response, list[str]]]:
        """An answer whose body is not read yet, and the addresses that led there.

        Raises:
            OnlineError: there is no answer, it leads to where it must not, or, if `check`, its
            status is 400 or above. UsageError: the address itself is none that may be asked.
        """
        service, redirects = asked.service, list[str]()
        check_address(asked.address, near=service.base)
        while True:
            response = self._answered(asked)
            target = response.headers.get("location") if response.is_redirect else None
            if not target or not follow:
                break
            response.close()
            redirects.append(asked.address)
            if len(redirects) > _REDIRECTS:
                raise OnlineError(
                    f"{service.name} leads in circles from {plain_address(redirects[0])}",
                    remedy="check the address",
                )
            asked = _led_on(asked, response.status_code, target)
        try:
            if check and response.status_code >= 400:
                raise refused(service, response.status_code)
            yield response, redirects
        finally:
            response.close()

    def _answered(self, asked: Question) -> httpx.Response:
        """The first answer that does not pass, at the service's pace."""
        import httpx

        service, said = asked.service, "does not answer"
        lane = f"{service.id} {urlsplit(asked.address).netloc.casefold()}"
        share = bool(service.base)  # the hosts of links are many, with a few requests each
        for attempt in range(asked.tries):
            self._pacer.wait_turn(lane, service.rate, share=share)
            self._step()
            wait = backoff(attempt)
            try:
                response = self._client.send(self._request(asked), stream=True)
            except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as error:
                said, hopeless = failure(error)
                if hopeless:
                    raise OnlineError(
                        f"{service.name} cannot be reached: it {said}", remedy=hopeless
                    ) from error
                if is_nobody(error) and attempt + 1 >= _CONNECT_TRIES:
                    break
            else:
                if response.status_code not in PASSING or attempt == asked.tries - 1:
                    return response
                wait = max(retry_after(response.headers.get("retry-after")), wait)
                response.close()
                if wait > _LONGEST_WAIT:
                    raise OnlineError(
                        f"{service.name} asks to wait {wait:,.0f} seconds",
                        remedy="try again later; what had arrived is kept",
                    )
            if attempt < asked.tries - 1:
                self._pacer.hold(lane, wait, share=share)
        between = " and the proxy that the environment names," if getproxies() else ""
        raise OnlineError(
            f"{service.name} cannot be reached: it {said}",
            remedy=f"check the network{between} and try again",
        )

    def _request(self, asked: Question) -> httpx.Request:
        in_body = asked.method == "POST"
        return self._client.build_request(
            asked.method,
            asked.address,
            params=None if in_body else dict(asked.query) or None,
            data=dict(asked.query) if in_body else None,
            headers=dict(asked.headers),
        )


def _led_on(asked: Question, status: int, target: str) -> Question:
    """The question that a redirect asks for. Raises OnlineError where it must not be followed."""
    service = asked.service
    try:
        address = urljoin(asked.address, target)
    except ValueError:
        address = target
    # A link of the catalogue may lead away from TLS, a service's answer may not.
    unsafe = asked.address.startswith("https://") and not address.startswith("https://")
    if not is_public(address, near=service.base) or (unsafe and service.base):
        raise OnlineError(
            f"{service.name} leads to {plain_address(address)}, which is not followed",
            remedy="check the address",
        )
    if asked.method == "POST" and status in (307, 308) and _same_origin(asked.address, address):
        return Question(service, address, asked.query, asked.headers, "POST", asked.tries)
    # What was said in a body, a key perhaps, is said to nobody else.
    method = "GET" if asked.method == "POST" else asked.method
    return Question(service, address, {}, asked.headers, method, asked.tries)


def _same_origin(one: str, other: str) -> bool:
    return urlsplit(one)[:2] == urlsplit(other)[:2]
