"""Hostile text made safe to show: `clean` for words, `safe_url` for addresses.

Whatever comes from a file or from the network may carry escape sequences that rename the window,
write to the clipboard or repaint the screen, and characters that hide or reorder what is read.
Both functions are pure; neither raises on any string.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache, lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

MAX_URL = 2048
"""Longest address let through, in characters after encoding: VTE stops at 2,083."""

# Characters that draw nothing: Unicode's Default_Ignorable_Code_Point (zero-width, bidi controls,
# tags, variation selectors, fillers), the annotation marks, and what only a codec error leaves
# behind (lone surrogates). The joiner and the variation selectors go as well, although emoji use
# them: terminals disagree on the width of what they join, which tears the columns of a table, and
# long runs of selectors can smuggle bytes. What stays is the same letters and pictures, side by
# side. The stored text keeps them; only what is shown loses them.
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SUSPECT = f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_UNSEEN}]"
_SUSPECT_BUT_NEWLINE = f"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029{_UNSEEN}]"

# Sequences go whole, as a terminal would swallow them, in their 7-bit (ESC [) and 8-bit (0x9b)
# forms; the 8-bit ones also as the surrogates that the surrogateescape handler makes of them. A
# string that never ends loses its introducer only: nothing that a reader should see may vanish
# because of one stray byte. The body of a string excludes every C1 byte, so that a long row of
# introducers is still read in linear time.
_DIRT = (
    "(?P<break>\r\n?|[\n\x0b\x0c\x85\u2028\u2029])"
    "|(?P<tab>\t)"
    "|(?:\x1b\\[|[\x9b\udc9b])[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[]PX^_k]|[\x90\x98\x9d-\x9f\udc90\udc98\udc9d-\udc9f])"
    "[^\x07\x18\x1a\x1b\x80-\x9f\udc80-\udc9f]*(?:\x07|\x1b\\\\|[\x9c\udc9c])"
    "|\x1b[ -/]*[0-~]?"
    f"|[\x00-\x1f\x7f-\x9f{_UNSEEN}]"
)


# Compiled when first needed: these classes take milliseconds, and plain text needs none of them.
_compiled = cache(re.compile)


def clean(text: str, *, newlines: bool = False) -> str:
    """`text` with nothing in it that acts on a terminal, hides or reorders.

    Escape sequences (CSI, OSC, DCS and the rest, whole), control characters, bidi controls,
    zero-width and tag characters, variation selectors and lone surrogates are removed; a tab
    becomes a space; a line break of any kind becomes a space, or a newline with `newlines`.
    Idempotent. Text with nothing to remove is returned as it is, after one scan.
    """
    if text.isascii() and text.isprintable():  # both run at memory speed: most rows end here
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


@lru_cache(maxsize=4096)  # lists show the same links again and again
def safe_url(text: str) -> str | None:
    """`text` as an address that may be shown, linked and opened, or None if it may not be.

    Let through: http and https with a plain host (a name, made ASCII if it is international so
    that look-alike letters show; or an IP address), a valid port, and at most `MAX_URL` characters.
    Refused: any other scheme, control or invisible characters, spaces and backslashes inside, and
    user names before the host, which make `https://pubmed.gov@evil.example` look like another site.
    The path, query and fragment are percent-encoded where RFC 3986 wants it. Idempotent.
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
    """A host in the form that goes into an address, or None if it is no host."""
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
