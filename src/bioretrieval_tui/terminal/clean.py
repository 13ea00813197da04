"""Sanitising of text (`clean`) and URLs (`safe_url`) from files and from the network.

Such text may contain escape sequences that rename the window, write to the clipboard or repaint
the screen, and characters that hide or reorder text. Both functions are pure and never raise.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache, lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

MAX_URL = 2048
"""Longest accepted URL, in characters after encoding: VTE stops at 2,083."""

# Invisible characters: Unicode's Default_Ignorable_Code_Point (zero-width, bidi controls, tags,
# variation selectors, fillers), annotation marks, and lone surrogates, which codec errors leave.
# The joiner and the variation selectors are removed too, although emoji use them: terminals
# disagree on the width of joined characters, which breaks the columns of tables, and long runs of
# selectors can hide bytes. Only the shown text loses them, not the stored one.
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SUSPECT = f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_UNSEEN}]"
_SUSPECT_BUT_NEWLINE = f"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029{_UNSEEN}]"

# Sequences are removed whole, in their 7-bit (ESC [) and 8-bit (0x9b) forms; the 8-bit forms also
# as the surrogates that the surrogateescape handler makes of them. An unterminated string loses
# only its introducer, so that one stray byte hides no text. The body of a string excludes every C1
# byte, so that a long run of introducers is matched in linear time.
_DIRT = (
    "(?P<break>\r\n?|[\n\x0b\x0c\x85\u2028\u2029])"
    "|(?P<tab>\t)"
    "|(?:\x1b\\[|[\x9b\udc9b])[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[]PX^_k]|[\x90\x98\x9d-\x9f\udc90\udc98\udc9d-\udc9f])"
    "[^\x07\x18\x1a\x1b\x80-\x9f\udc80-\udc9f]*(?:\x07|\x1b\\\\|[\x9c\udc9c])"
    "|\x1b[ -/]*[0-~]?"
    f"|[\x00-\x1f\x7f-\x9f{_UNSEEN}]"
)


# Compiled on first use: these classes take milliseconds, and plain text needs none of them.
_compiled = cache(re.compile)


def clean(text: str, *, newlines: bool = False) -> str:
    """Return `text` without anything that controls a terminal, hides or reorders text.

    Escape sequences (CSI, OSC, DCS and others, whole), control characters, bidi controls,
    zero-width and tag characters, variation selectors and lone surrogates are removed; a tab
    becomes a space; a line break of any kind becomes a space, or a newline with `newlines`.
    Idempotent. Clean text is returned unchanged, after one scan.
    """
    if text.isascii() and text.isprintable():  # fast, and true for most rows
        return text
    suspect = _SUSPECT_BUT_NEWLINE if newlines else _SUSPECT
    if _compiled(suspect).search(text) is None:
        return text
    line_break = "\n" if newlines else " "

    def replacement(found: re.Match[str]) -> str:
        kind = found.lastgroup
        return line_break if kind == "break" else " " if kind == "tab" else ""

    return _compiled(_DIRT).sub(replacement, text)


_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_NOT_IN_URL = rf"[\s{_SUSPECT[1:]}"
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT = "!$&'()*+,;=:@/?~-._%"  # RFC 3986: sub-delims, pchar, and % of what is encoded already


@lru_cache(maxsize=4096)  # lists show the same links repeatedly
def safe_url(text: str) -> str | None:
    """Return `text` as a URL that is safe to show, link and open, or None.

    Accepted: http and https with a plain host (an IP address, or a name, in ASCII so that
    look-alike letters are visible), a valid port, and at most `MAX_URL` characters. Rejected: other
    schemes, control and invisible characters, spaces, backslashes, and user names before the host
    (`https://pubmed.gov@evil.example` looks like another site). Path, query and fragment are
    percent-encoded as RFC 3986 requires. Idempotent.
    """
    text = text.strip(" \t\r\n")
    if len(text) > MAX_URL or not _SCHEME.match(text) or "\\" in text or " " in text:
        return None
    plain = text.isascii() and text.isprintable()
    if not plain and _compiled(_NOT_IN_URL).search(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # a bad port, a broken IPv6 literal, a host that normalises to delimiters
        return None
    if "@" in parts.netloc:
        return None
    host = _host(parts.hostname or "")
    if host is None:
        return None
    place = host if port is None else f"{host}:{port}"
    url = urlunsplit(
        (parts.scheme, place, _quoted(parts.path), _quoted(parts.query), _quoted(parts.fragment))
    )
    return url if len(url) <= MAX_URL else None


def _host(name: str) -> str | None:
    """A host as it is written in a URL, or None if it is invalid."""
    if ":" in name:
        try:
            return f"[{ipaddress.IPv6Address(name)}]" if "%" not in name else None
        except ValueError:
            return None
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    name = name.lower()
    labels = name.removesuffix(".").split(".")
    return name if len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) else None


def _quoted(part: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", part), safe=_KEPT)
