"""Which addresses may be asked: public http(s) ones, and the neighbours of a service that the user
moved to this machine or network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.faults import plain_address

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of version 6 whose last four bytes are one of version 4, where networks translate."""
_NOBODY = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def check_address(address: str, *, near: str = "") -> None:
    """Raises UsageError where `address` is none that may be asked; see `is_public`."""
    if not is_public(address, near=near):
        raise UsageError(
            f"{plain_address(address)} is no public http or https address",
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
    return all(map(_is_global, _resolved(host)))


def is_nowhere(host: str) -> bool:
    """Whether there is certainly no host of this name. A name server that does not answer knows of
    nobody, and behind a proxy names are the proxy's business: then it is not certain."""
    if not host or (getproxies() and not proxy_bypass(host)):
        return not host
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return error.errno in _NOBODY
    except OSError:
        return False
    except UnicodeError:
        return True
    return False


def _is_global(one: _Address) -> bool:
    """Whether an address, or the one that it carries within it, belongs to the public internet."""
    inner = None
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour
        if one in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
    return inner.is_global if inner is not None else one.is_global


def _resolved(host: str) -> list[_Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
