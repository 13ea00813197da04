"""Whether the catalogue's links still lead somewhere, and what to write where they do not.

Each address is requested by HEAD, and by GET where that is refused; a few at a time per host. A
server that lets no programs in has not lost the page: such links are `unclear`, not `dead`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online.services import OnlineError
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

Verdict = Literal["ok", "moved", "unclear", "dead"]
PER_HOST = 2
"""Addresses of one host that are requested at the same time."""
HOSTS = 6
"""Hosts that are asked at the same time."""
_MOST_HOPS = 8
_ENOUGH = 12
"""Links, of several hosts, without a single response: then the network is at fault."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_GONE = frozenset({404, 410})
_SHUT = frozenset({401, 402, 403, 405, 406, 407, 418, 425, 429, 451, 503, 999})
"""Statuses of servers that let no programs in, or not now."""


@dataclass(frozen=True, slots=True)
class Use:
    """A place of the catalogue that holds an address: an entry (or source) and the link's label."""

    entry: str
    label: str


@dataclass(frozen=True, slots=True)
class LinkUse:
    """An address with every place that holds it."""

    url: str
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """How a server responds to an address.

    status: of the last response, None without one; hops: (status, target) of each redirect in
    turn; fault: why there was no response; missing: the host does not exist, or cannot be reached
    from elsewhere. A host that refuses the connection may be down for an hour: it is not missing.
    """

    status: int | None
    hops: tuple[tuple[int, str], ...] = ()
    fault: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict on an address. final: where it leads, if elsewhere; advice: what to do."""

    link: LinkUse
    verdict: Verdict
    status: int | None
    final: str | None
    advice: str


Reach = Callable[[str, Literal["HEAD", "GET"]], Reached]
"""Requests one address; called from several threads."""


def reacher(client: HttpClient) -> Reach:
    """Make the function that requests addresses with `client`, one redirect after the other, and
    reads no body; what fails is in its result."""
    from bioretrieval_tui.online.http import is_unknown_host

    def reach(url: str, method: Literal["HEAD", "GET"]) -> Reached:
        hops: list[tuple[int, str]] = []
        address = url.partition("#")[0]
        try:
            while True:
                status, target = client.probe("web", address, method=method)
                if status not in _REDIRECTS or not target:
                    return Reached(status, tuple(hops))
                if len(hops) >= _MOST_HOPS:
                    return Reached(None, tuple(hops), fault="it redirects in circles")
                address = urljoin(address, target)
                hops.append((status, address))
        except UsageError:
            # A private address, or an invalid one: a reader elsewhere cannot follow it.
            return Reached(None, tuple(hops), fault="no public address", missing=True)
        except OnlineError as error:
            host = urlsplit(address).hostname or ""
            if is_unknown_host(host):
                return Reached(None, tuple(hops), fault=f"there is no host {host}", missing=True)
            return Reached(None, tuple(hops), fault=error.message)

    return reach


def links_of(catalogue: Catalogue, only: Collection[str] = ()) -> list[LinkUse]:
    """Every address of entries, archives and sources once, in the order of the catalogue.

    only: ids of entries; then sources are left out.
    """
    found: dict[str, dict[Use, None]] = {}
    for entry in catalogue.entries:
        if only and entry.id not in only:
            continue
        for link in entry.links:
            found.setdefault(link.url, {})[Use(entry.id, link.label)] = None
        loaders = getattr(entry, "loaders", None)
        if loaders is not None and loaders.zip:
            found.setdefault(loaders.zip, {})[Use(entry.id, "zip")] = None
        encoding = getattr(entry, "encoding", None)
        if encoding is not None and encoding.precomputed:
            found.setdefault(encoding.precomputed, {})[Use(entry.id, "precomputed")] = None
    for source in catalogue.sources.values():
        if source.url and not only:
            found.setdefault(source.url, {})[Use(f"source {source.id}", "url")] = None
    return [LinkUse(url, tuple(uses)) for url, uses in found.items()]


def check_links(
    links: Sequence[LinkUse], reach: Reach, *, reporter: Reporter = silent
) -> list[Checked]:
    """Request every address; the verdicts in the order of `links`.

    Raises:
        BioRetrievalError: no server at all responds. Whatever `reach` or `reporter` raises. Then
        the rest is not requested.
    """
    stop = threading.Event()
    counting = threading.Lock()
    verdicts: dict[str, Checked] = {}

    def check(part: Iterable[LinkUse]) -> None:
        for link in part:
            if stop.is_set():
                return
            try:
                verdict = check_link(link, reach)
                with counting:
                    verdicts[link.url] = verdict
                    if len(verdicts) in (_ENOUGH, len(links)):
                        _refuse_no_network(list(verdicts.values()))
                    reporter(Progress("checking links", len(verdicts), len(links), unit="links"))
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(max_workers=PER_HOST * HOSTS, thread_name_prefix="links") as pool:
        waiting = [pool.submit(check, part) for part in _queues(links)]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            stop.set()
            for one in waiting:
                one.cancel()
            raise
    return [verdicts[link.url] for link in links]


def _refuse_no_network(verdicts: Sequence[Checked]) -> None:
    """Raise BioRetrievalError where no server responds: then the network is at fault."""
    if all(one.status is None for one in verdicts):
        why = verdicts[0].advice.partition(":")[0]
        raise BioRetrievalError(
            f"none of {len(verdicts)} links got a response: {why}",
            remedy="check the network (and a proxy's settings), then try again",
        )


def _queues(links: Sequence[LinkUse]) -> Iterator[list[LinkUse]]:
    """The addresses of each host in `PER_HOST` queues, the longest first."""
    hosts: dict[str, list[LinkUse]] = {}
    for link in links:
        hosts.setdefault(urlsplit(link.url).netloc.casefold(), []).append(link)
    for part in sorted(hosts.values(), key=len, reverse=True):
        yield from filter(None, (part[start::PER_HOST] for start in range(PER_HOST)))


def check_link(link: LinkUse, reach: Reach) -> Checked:
    """Request one address, by HEAD and then by GET."""
    found = reach(link.url, "HEAD")
    if not found.missing and (found.status is None or found.status >= 400):
        # Many servers respond to HEAD with anything, or not at all; what a reader gets counts.
        found = reach(link.url, "GET")
    return verdict_on(link, found)


def verdict_on(link: LinkUse, found: Reached) -> Checked:
    """What a response means for the catalogue."""
    final = found.hops[-1][1] if found.hops else None
    if final is not None and _same(final, link.url):
        final = None
    verdict, advice = _judged(link, found)
    return Checked(link, verdict, found.status, final, advice)


def _judged(link: LinkUse, found: Reached) -> tuple[Verdict, str]:
    status = found.status
    if status is None:
        why = found.fault or "no response"
        if found.missing:
            return "dead", f"{why}: find its new address, or remove the link"
        return "unclear", f"{why}: try again later"
    if status in _GONE:
        return "dead", "not found: find its new address, or remove the link"
    if status in _SHUT:
        return "unclear", "the server rejects programs: check it in a browser"
    if status >= 500:
        return "unclear", "the server fails: try again later"
    if status >= 400:
        return "dead", "the server rejects this address: correct it"
    place = _new_place(found)
    if place is not None and not _same(place, link.url):
        return "moved", f"write {place}"
    return "ok", ""


def _new_place(found: Reached) -> str | None:
    """The target of the leading permanent redirects; temporary ones may follow."""
    place = None
    for status, address in found.hops:
        if status not in _PERMANENT:
            break
        place = address
    return place


def _same(one: str, other: str) -> bool:
    """Whether two addresses differ in nothing that a link must be corrected for."""

    def bare(url: str) -> tuple[str, str, str]:
        parts = urlsplit(url)
        return parts.netloc.casefold(), parts.path.rstrip("/"), parts.query

    return bare(one) == bare(other)
