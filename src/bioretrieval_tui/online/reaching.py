"""Asking for a link through the door, one redirect after the other, and reading none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.addresses import is_nowhere
from bioretrieval_tui.online.linkcheck import Reach, Reached

if TYPE_CHECKING:
    from bioretrieval_tui.online.door import Door

WEB = "web"
_MOST_HOPS = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def reacher(door: Door) -> Reach:
    """What asks for links through `door`."""

    def reach(url: str, method: Literal["HEAD", "GET"]) -> Reached:
        return reached(door, url, method)

    return reach


def reached(door: Door, url: str, method: Literal["HEAD", "GET"]) -> Reached:
    """What the server says of an address; what goes wrong is in the outcome."""
    from bioretrieval_tui.online.door import OnlineError

    hops: list[tuple[int, str]] = []
    address = url.partition("#")[0]
    try:
        while True:
            status, target = door.glance(WEB, address, method=method)
            if status not in _REDIRECTS or not target:
                return Reached(status, tuple(hops))
            if len(hops) >= _MOST_HOPS:
                return Reached(None, tuple(hops), fault="it leads in circles")
            address = urljoin(address, target)
            hops.append((status, address))
    except UsageError:
        # A private address, or none at all: no reader elsewhere can follow it.
        return Reached(None, tuple(hops), fault="no public address", missing=True)
    except OnlineError as error:
        host = urlsplit(address).hostname or ""
        if is_nowhere(host):
            return Reached(None, tuple(hops), fault=f"there is no host {host}", missing=True)
        return Reached(None, tuple(hops), fault=error.message)
