"""Whether the catalogue's links still lead somewhere, and what to write where they do not.

Each address is asked for its head, and for itself where that is refused; a few at a time per host.
A server that lets no programs in has not lost the page: such links are told apart from dead ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.progress import Progress, Reporter, silent

Verdict = Literal["ok", "moved", "unclear", "dead"]
PER_HOST = 2
"""Addresses of one host that are asked for at the same time."""
HOSTS = 6
"""Hosts that are asked at the same time."""
_ENOUGH = 12
"""Links, of several hosts, without a single answer: then the network is at fault."""
_GONE = frozenset({404, 410})
_FOR_GOOD = frozenset({301, 308})
_SHUT = frozenset({401, 402, 403, 405, 406, 407, 418, 425, 429, 451, 503, 999})
"""How servers answer that let no programs in, or not now."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place where an address stands: an entry (or source) and the link's label."""

    entry: str
    label: str


@dataclass(frozen=True, slots=True)
class LinkUse:
    """An address with every place of the catalogue where it stands."""

    url: str
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """What a server said of an address.

    status: of the last answer, None where there was none; hops: (status, address) of each redirect
    in turn, the address being where it led; fault: why there was no answer; missing: there is no
    such host, or none that a reader elsewhere could reach. A host that refuses the connection may
    be down for an hour: it is not missing.
    """

    status: int | None
    hops: tuple[tuple[int, str], ...] = ()
    fault: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """An address judged. final: where it leads, if elsewhere; advice: what to do, or empty."""

    link: LinkUse
    verdict: Verdict
    status: int | None
    final: str | None
    advice: str


Reach = Callable[[str, Literal["HEAD", "GET"]], Reached]
"""Asks for one address; from several threads at once."""


def links_of(catalogue: Catalogue, only: Collection[str] = ()) -> list[LinkUse]:
    """Every address of entries, data and sources once, in the order of the catalogue.

    only: ids of the entries that are looked at; then sources are left out.
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
    """Ask for every address; the outcomes in the order of `links`.

    Raises:
        BioRetrievalError: no server at all answers. Whatever `reach` or `reporter` raises. Then
        the rest is not asked for.
    """
    stop = threading.Event()
    counting = threading.Lock()
    outcomes: dict[str, Checked] = {}

    def lane(part: Iterable[LinkUse]) -> None:
        for link in part:
            if stop.is_set():
                return
            try:
                outcome = judged(link, reach)
                with counting:
                    outcomes[link.url] = outcome
                    if len(outcomes) in (_ENOUGH, len(links)):
                        _refuse_no_network(list(outcomes.values()))
                    reporter(Progress("checking links", len(outcomes), len(links), unit="links"))
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(max_workers=PER_HOST * HOSTS, thread_name_prefix="links") as pool:
        waiting = [pool.submit(lane, part) for part in _lanes(links)]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            stop.set()
            for one in waiting:
                one.cancel()
            raise
    return [outcomes[link.url] for link in links]


def _refuse_no_network(outcomes: Sequence[Checked]) -> None:
    """Where nobody answers it is not the links. Raises BioRetrievalError if so it is."""
    if all(one.status is None for one in outcomes):
        why = outcomes[0].advice.partition(":")[0]
        raise BioRetrievalError(
            f"none of {len(outcomes)} links was answered: {why}",
            remedy="check the network (and a proxy's settings), then try again",
        )


def _lanes(links: Sequence[LinkUse]) -> Iterator[list[LinkUse]]:
    """Each host's addresses in `PER_HOST` queues, the longest first."""
    hosts: dict[str, list[LinkUse]] = {}
    for link in links:
        hosts.setdefault(urlsplit(link.url).netloc.casefold(), []).append(link)
    for part in sorted(hosts.values(), key=len, reverse=True):
        yield from filter(None, (part[start::PER_HOST] for start in range(PER_HOST)))


def judged(link: LinkUse, reach: Reach) -> Checked:
    """Ask for one address, by HEAD and then by GET, and judge the answer."""
    found = reach(link.url, "HEAD")
    if not found.missing and (found.status is None or found.status >= 400):
        # Many servers answer HEAD with anything, or nothing at all; what a reader gets counts.
        found = reach(link.url, "GET")
    return judgement(link, found)


def judgement(link: LinkUse, found: Reached) -> Checked:
    """What an answer means for the catalogue."""
    final = found.hops[-1][1] if found.hops else None
    if final is not None and _same(final, link.url):
        final = None

    def outcome(verdict: Verdict, advice: str) -> Checked:
        return Checked(link, verdict, found.status, final, advice)

    status = found.status
    if status is None:
        why = found.fault or "no answer"
        if found.missing:
            return outcome("dead", f"{why}: find its new place, or take the link out")
        return outcome("unclear", f"{why}: try again later")
    if status in _GONE:
        return outcome("dead", "not there: find its new place, or take the link out")
    if status in _SHUT:
        return outcome("unclear", "the server lets no programs in: look at it in a browser")
    if status >= 500:
        return outcome("unclear", "the server fails: try again later")
    if status >= 400:
        return outcome("dead", "the server refuses this address: correct it")
    place = _new_place(found)
    if place is not None and not _same(place, link.url):
        return outcome("moved", f"write {place}")
    return outcome("ok", "")


def _new_place(found: Reached) -> str | None:
    """Where the address has gone for good: as far as the redirects say so, which may be followed
    by others that hold for the day."""
    place = None
    for status, address in found.hops:
        if status not in _FOR_GOOD:
            break
        place = address
    return place


def _same(one: str, other: str) -> bool:
    """Whether two addresses differ by nothing that a link must be corrected for."""
    return _bare(one) == _bare(other)


def _bare(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.netloc.casefold(), parts.path.rstrip("/"), parts.query
