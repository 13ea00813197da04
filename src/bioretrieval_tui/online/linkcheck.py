"""Checks of the catalogue's links, with advice for those that fail.

Each address is requested by HEAD, and by GET if that is refused; a few at a time per host. A
server that rejects programs may still have the page: such links are `unclear`, not `dead`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

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
_ENOUGH = 12
"""Links, of several hosts, without any response: then the network is at fault."""
_PERMANENT = frozenset({301, 308})
_GONE = frozenset({404, 410})
_SHUT = frozenset({401, 402, 403, 405, 406, 407, 418, 425, 429, 451, 503, 999})
"""Statuses of servers that reject programs, or are busy."""


class Use(NamedTuple):
    """A place of an address in the catalogue: an entry (or source) and the link's label."""

    entry: str
    label: str


@dataclass(frozen=True, slots=True)
class Reached:
    """How a server responds to an address. status: of the last response, None without one; hops:
    (status, target) of each redirect in turn; fault: why there was no response; missing: the host
    does not exist or is not public (one that refuses may only be down for an hour)."""

    status: int | None
    hops: tuple[tuple[int, str], ...] = ()
    fault: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict on an address. final: where it leads, if elsewhere; advice: what to do."""

    url: str
    verdict: Verdict
    status: int | None
    final: str | None
    advice: str


Reach = Callable[[str, Literal["HEAD", "GET"]], Reached]
"""Requests one address; called from several threads."""


def reacher(client: HttpClient) -> Reach:
    """Make the function that requests addresses with `client`; failures are in its result."""

    def reach(url: str, method: Literal["HEAD", "GET"]) -> Reached:
        try:
            response = client.probe(url.partition("#")[0], method=method)
        except UsageError as error:
            # A private or invalid address: other readers cannot follow it.
            return Reached(None, fault=error.message, missing=True)
        except OnlineError as error:
            return Reached(error.status, fault=error.message, missing=error.missing)
        steps = itertools.pairwise((*response.history, response))
        hops = tuple((one.status_code, str(target.url)) for one, target in steps)
        return Reached(response.status_code, hops)

    return reach


def links_of(catalogue: Catalogue, only: Collection[str] = ()) -> dict[str, list[Use]]:
    """Every address of entries, archives and sources with its places, in the order of the
    catalogue; only: ids of entries; then sources are left out."""
    found: dict[str, list[Use]] = {}

    def add(url: str | None, use: Use) -> None:
        if url and use not in found.setdefault(url, []):
            found[url].append(use)

    for entry in catalogue.entries:
        if only and entry.id not in only:
            continue
        for link in entry.links:
            add(link.url, Use(entry.id, link.label))
        add(getattr(getattr(entry, "loaders", None), "zip", None), Use(entry.id, "zip"))
        encoding = getattr(entry, "encoding", None)
        add(getattr(encoding, "precomputed", None), Use(entry.id, "precomputed"))
    for source in catalogue.sources.values() if not only else ():
        add(source.url, Use(f"source {source.id}", "url"))
    return found


def check_links(
    urls: Collection[str], reach: Reach, *, reporter: Reporter = silent
) -> list[Checked]:
    """Request every address; the verdicts in the order of `urls`. Raises BioRetrievalError if no
    server responds, and the errors of `reach` or `reporter`, which also stop the other requests."""
    stop = threading.Event()
    counting = threading.Lock()
    verdicts: dict[str, Checked] = {}

    def keep(verdict: Checked) -> None:
        verdicts[verdict.url] = verdict
        silent_ones = not any(one.status for one in verdicts.values())
        if silent_ones and len(verdicts) in (_ENOUGH, len(urls)):
            why = verdict.advice.rpartition(": ")[0]
            raise BioRetrievalError(
                f"none of {len(verdicts)} links got a response: {why}",
                remedy="check the network (and a proxy's settings), then try again",
            )
        reporter(Progress("checking links", len(verdicts), len(urls), unit="links"))

    def check(part: Iterable[str]) -> None:
        for url in part:
            if stop.is_set():
                return
            try:
                verdict = check_link(url, reach)
                with counting:
                    keep(verdict)
            except BaseException:
                stop.set()
                raise

    hosts: dict[str, list[str]] = {}
    for url in urls:
        hosts.setdefault(urlsplit(url).netloc.casefold(), []).append(url)
    with ThreadPoolExecutor(max_workers=PER_HOST * HOSTS, thread_name_prefix="links") as pool:
        waiting = [
            pool.submit(check, part[start::PER_HOST])
            for part in sorted(hosts.values(), key=len, reverse=True)
            for start in range(PER_HOST)
        ]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [verdicts[url] for url in urls]


def check_link(url: str, reach: Reach) -> Checked:
    """Request one address, by HEAD and then by GET, and interpret the response."""
    found = reach(url, "HEAD")
    if not found.missing and (found.status is None or found.status >= 400):
        # Many servers respond wrongly to HEAD; the response to a reader's GET counts.
        found = reach(url, "GET")
    status, final = found.status, found.hops[-1][1] if found.hops else url
    # The target of the leading permanent redirects; temporary ones may follow.
    permanent = list(itertools.takewhile(lambda hop: hop[0] in _PERMANENT, found.hops))
    verdict: Verdict
    verdict, advice = "ok", ""
    if status is None:
        verdict = "dead" if found.missing else "unclear"
        then = "find its new address, or remove the link" if found.missing else "try again later"
        advice = f"{found.fault}: {then}"
    elif status in _GONE:
        verdict, advice = "dead", "not found: find its new address, or remove the link"
    elif status in _SHUT:
        verdict, advice = "unclear", "the server rejects programs: check it in a browser"
    elif status >= 500:
        verdict, advice = "unclear", "the server fails: try again later"
    elif status >= 400:
        verdict, advice = "dead", "the server rejects this address: correct it"
    elif permanent and _bare(permanent[-1][1]) != _bare(url):
        verdict, advice = "moved", f"write {permanent[-1][1]}"
    return Checked(url, verdict, status, final if _bare(final) != _bare(url) else None, advice)


def _bare(url: str) -> tuple[str, str, str]:
    """What must differ for a correction: not the scheme, the case of the host, a last slash."""
    parts = urlsplit(url)
    return parts.netloc.casefold(), parts.path.rstrip("/"), parts.query
