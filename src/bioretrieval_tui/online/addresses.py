"""Which addresses may be asked: public http(s) ones, and the neighbours of a service that the user
moved to this machine or network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from bioretrieval_tui.errors import UsageError


def check_address(address: str, *, near: str = "") -> None:
    """Raises UsageError where `address` is none that may be asked; see `is_public`."""
    if not is_public(address, near=near):
        raise UsageError(
            f"{address.partition('?')[0]} is no public http or https address",
            remedy="check the link",
        )


def is_public(address: str, *, near: str = "") -> bool:
    """Whether an address is http(s) and leads to the public internet, or to where the service
    `near` is itself. A name that does not resolve is left to the connection to complain of."""
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
    return all(one.is_global for one in _resolved(host))


def resolves(host: str) -> bool:
    """Whether there is a host of this name, as far as can be seen from here."""
    return bool(host) and bool(_resolved(host))


def _resolved(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
