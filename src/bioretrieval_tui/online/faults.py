"""What goes wrong with a service, as one line that names it and says what to do."""

from __future__ import annotations

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import Service

PASSING = frozenset({429, 500, 502, 503, 504})
"""Statuses that say that it is worth asking again."""


class OnlineError(BioRetrievalError):
    """A service cannot be reached, refuses, or answers with something else.

    status: what it answered, where that is the matter; broken: its answer ended too early, and
    asking for the rest may bring it.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        status: int | None = None,
        broken: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.broken = broken


class OfflineError(OnlineError):
    """The user allows no network."""


def has_changed(name: str, what: str) -> OnlineError:
    """A service called `name` answers in a form that is not known; `what` says how."""
    return OnlineError(
        f"{name} answers in a form that is not known: {what}",
        remedy="try again later; if it stays so, see whether a newer version of this program is"
        " out",
    )


def broke_off(service: Service, why: str) -> OnlineError:
    """An answer ended too early."""
    return OnlineError(
        f"{service.name} broke off: it {why}",
        remedy="try again; what had arrived is kept where it is said so",
        broken=True,
    )


def too_large(service: Service, most: int) -> OnlineError:
    """An answer is longer than anything that was asked for."""
    return OnlineError(
        f"{service.name} answers with more than {most:,} bytes",
        remedy="ask for less at a time, or see whether a newer version is out",
    )


def refused(service: Service, status: int) -> OnlineError:
    """A status that is no answer."""
    if service.key and status in (400, 401, 403):
        return OnlineError(
            f"{service.name} refuses with {status}",
            remedy=f"check the key in {service.variable} or config.toml, and the query",
            status=status,
        )
    if status in PASSING:
        remedy = "try again later"
        if status == 429 and service.variable and not service.key:
            remedy += f", or get a key for {service.variable}"
    else:
        remedy = "check the address or the query"
    return OnlineError(f"{service.name} answers {status}", remedy=remedy, status=status)


def plain_address(url: str) -> str:
    """An address without its query and without a user and password: nobody's business."""
    head, mark, rest = url.partition("?")[0].partition("://")
    if not mark:
        return head[:200]
    host, slash, path = rest.partition("/")
    return f"{head}://{host.rpartition('@')[2]}{slash}{path}"[:200]
