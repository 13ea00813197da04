"""The inline Markdown of summaries and notes as spans: links, bare addresses, code, emphasis.

Every address becomes a span with a `url`, and so an OSC 8 link. Anything else stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bioretrieval_tui.tui.text import Span

_INLINE = re.compile(
    r"\[(?P<label>[^\]\n]{1,300})\]\((?P<target>https?://[^\s()<>]{1,2000}(?:\([^\s()<>]*\))?)\)"
    r"|<(?P<auto>https?://[^\s<>]{1,2000})>"
    r"|(?P<bare>https?://[^\s<>\"'`\]]{1,2000})"
    r"|`(?P<code>[^`\n]{1,500})`"
    r"|\*\*(?P<strong>[^*\s](?:[^*\n]{0,500}[^*\s])?)\*\*"
)
_BARE = re.compile(r"https?://[^\s<>\"'`\[\]{}]{1,2000}")
_TRAILING = ".,;:!?)"


def inline(text: str, role: str = "text") -> Iterator[Span]:
    """The spans of one paragraph."""
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        at = match.end()
        if match["label"] is not None:
            yield Span(match["label"], "link", match["target"])
        elif match["auto"] is not None:
            yield Span(match["auto"], "link", match["auto"])
        elif match["bare"] is not None:
            yield from _address(match["bare"], role)
        elif match["code"] is not None:
            yield Span(match["code"], "strong")
        else:
            yield Span(match["strong"], "strong")
    if at < len(text):
        yield Span(text[at:], role)


def addresses(text: str, role: str = "text") -> Iterator[Span]:
    """The spans of a text that is no Markdown: only its addresses are anything special."""
    at = 0
    for match in _BARE.finditer(text):
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        at = match.end()
        yield from _address(match.group(), role)
    if at < len(text):
        yield Span(text[at:], role)


def _address(found: str, role: str) -> Iterator[Span]:
    """A bare address, and the punctuation behind it that is the sentence's."""
    address = found.rstrip(_TRAILING)
    if address.count("(") > address.count(")") and found[len(address) :][:1] == ")":
        address += ")"
    yield Span(address, "link", address)
    if found[len(address) :]:
        yield Span(found[len(address) :], role)
