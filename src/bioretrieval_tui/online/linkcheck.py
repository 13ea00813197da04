"""Checks of the catalogue's links, with advice for those that fail.

Each address is requested by HEAD, and by GET if that is refused; a few at a time per host. A
server that rejects programs may still have the page: such links are `unclear`, not `dead`.
"""

from __future__ import annotations

import itertools
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
"""Links, of several hosts, without any response: then the network is at fault."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_GONE = frozenset({404, 410})
_SHUT = frozenset({401, 402, 403, 405, 406, 407, 418, 425, 429, 451, 503, 999})
"""Statuses of servers that reject programs, or are busy."""


@dataclass(frozen=True, slots=True)
class Use:
    """A place of an address in the catalogue: an entry (or source) and the link's label."""

    entry: str
    label: str


@dataclass(frozen=True, slots=True)
class LinkUse:
    """An address with all its places."""

    url: str
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """How a server responds to an address.

    status: of the last response, None without one; hops: (status, target) of each redirect in
    turn; fault: why there was no response; missing: the host does not exist or is not public (one
    that refuses the connection may only be down for an hour).
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
    """Make the function that requests addresses with `client`, one redirect after the other,
    without bodies; failures are in its result."""
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
            # A private or invalid address: other readers cannot follow it.
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
        BioRetrievalError: no server responds. The errors of `reach` or `reporter`, which also stop
        the other requests.
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
            pool.shutdown(cancel_futures=True)
            raise
    return [verdicts[link.url] for link in links]


def _refuse_no_network(verdicts: Sequence[Checked]) -> None:
    """Raise BioRetrievalError if no server responds: then the network is at fault."""
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
        # Many servers respond wrongly to HEAD; the response to a reader's GET counts.
        found = reach(link.url, "GET")
    return verdict_on(link, found)


def verdict_on(link: LinkUse, found: Reached) -> Checked:
    """Interpret a response."""
    final = found.hops[-1][1] if found.hops else None
    if final is not None and _same(final, link.url):
        final = None
    verdict, advice = _verdict(link, found)
    return Checked(link, verdict, found.status, final, advice)


def _verdict(link: LinkUse, found: Reached) -> tuple[Verdict, str]:
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
    # The target of the leading permanent redirects; temporary ones may follow.
    permanent = list(itertools.takewhile(lambda hop: hop[0] in _PERMANENT, found.hops))
    if permanent and not _same(permanent[-1][1], link.url):
        return "moved", f"write {permanent[-1][1]}"
    return "ok", ""


def _same(one: str, other: str) -> bool:
    """Whether two addresses need no correction: scheme, case of the host and a last slash aside."""

    def bare(url: str) -> tuple[str, str, str]:
        parts = urlsplit(url)
        return parts.netloc.casefold(), parts.path.rstrip("/"), parts.query

    return bare(one) == bare(other)
