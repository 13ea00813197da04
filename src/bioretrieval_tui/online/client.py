"""The client itself: what it says of us, whom it trusts, and what its failures mean."""

from __future__ import annotations

import importlib.util
import socket
from typing import TYPE_CHECKING

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import CONTACT
from bioretrieval_tui.online.settings import setting

if TYPE_CHECKING:
    import httpx

    from bioretrieval_tui.online.receiving import Patience


def open_client(patience: Patience) -> httpx.Client:
    """A client with our name, the user's proxies and certificates, and TLS that is verified.

    HTTP/2 is spoken where the package h2 is installed and the service offers it.

    Raises:
        BioRetrievalError: a proxy or the certificates that the environment names are of no use.
    """
    import httpx

    try:
        return httpx.Client(
            headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(patience.read, connect=patience.connect),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=8),
            http2=importlib.util.find_spec("h2") is not None,
            follow_redirects=False,
            trust_env=True,
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise BioRetrievalError(
            "the network cannot be used as the environment says",
            remedy="check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
        ) from error


def user_agent() -> str:
    """Who asks, and whom a service may write to. Raises BioRetrievalError for a wrong contact."""
    contact = setting(CONTACT)
    name = f"bioretrieval-tui/{__version__}"
    if contact is None:
        return name
    scheme = "mailto:" if "@" in contact.value and ":" not in contact.value else ""
    return f"{name} ({scheme}{contact.value})"


def failure(error: Exception) -> tuple[str, str | None]:
    """What the library's error is to the user, and a remedy where asking again is no use; the
    library's own words may hold a whole address."""
    import httpx

    cause: BaseException | None = error
    unknown = False
    while cause is not None:
        unknown = unknown or isinstance(cause, socket.gaierror)
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return (
                "shows a certificate that is not trusted",
                "if a proxy stands between, name its certificate in SSL_CERT_FILE",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return "has an address that is none", "check the address"
    if isinstance(error, httpx.ProxyError):
        return "is behind a proxy that refuses", "check HTTPS_PROXY and its user and password"
    if isinstance(error, httpx.TimeoutException):
        return "takes too long", None
    if unknown:
        return "has an address that no name server knows", None
    if isinstance(error, httpx.ConnectError):
        return "does not take the connection", None
    return "ends the connection", None


def is_nobody(error: Exception) -> bool:
    """Whether nobody was reached at all, refused or after a silence."""
    import httpx

    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
