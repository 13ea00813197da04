"""Marking the query's words in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bioretrieval_tui.tui.text import Span

_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*", re.UNICODE)
# Words that say nothing of the topic: marking them would only be noise.
_COMMON = frozenset(
    (
        "a an and are as at be by can do does for from has have how in into is it its of on or "
        "our than that the their there these they this to was we were what when where which who "
        "why will with within without"
    ).split()
)


def words(query: str) -> tuple[str, ...]:
    """The words of a query that are worth marking, folded; the common ones if there is no other."""
    found = dict.fromkeys(match.group().casefold() for match in _WORD.finditer(query))
    rare = tuple(word for word in found if word not in _COMMON)
    return rare or tuple(found)


def _stem(word: str) -> str:
    """Enough of a word to find its other endings: plurals and -ing, -ed of longer ones."""
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def marked(text: str, wanted: Iterable[str], role: str = "text") -> Iterator[Span]:
    """`text` as spans, words that begin like a wanted one in the role `match`."""
    stems = tuple(_stem(word) for word in wanted)
    whole = frozenset(stem for stem in stems if len(stem) < 4)
    begins = tuple(stem for stem in stems if len(stem) >= 4)
    at = 0
    for match in _WORD.finditer(text):
        word = match.group().casefold()
        if word not in whole and not (begins and word.startswith(begins)):
            continue
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        yield Span(match.group(), "match")
        at = match.end()
    if at < len(text):
        yield Span(text[at:], role)
