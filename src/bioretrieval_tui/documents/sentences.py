"""Sentence boundaries of abstracts, by rules.

A sentence ends at . ! or ? (with closing marks) before a blank and a possible beginning.
Exceptions of biomedical prose are listed: abbreviations, initials, genus names, decimals.
"""

from __future__ import annotations

import re

MOST_CHARACTERS = 1_000
"""Longest sentence: a longer one (a table, a list) is cut at a blank."""

# A set first, which the search for a beginning of a match skips to.
_END = re.compile(
    r"[.!?\r\n](?:(?<=[.!?])[.!?]*[\"')\]\u201d\u2019]*(?=\s)"
    r"|(?<=\n)\s*\n|(?<=\s)[\r\n]*(?=[A-Z]))"
)
_BEGINNING = re.compile(
    r"\s*[\"'(\[\u201c\u2018]*[A-Z0-9\u0391-\u03a9\u03b1-\u03c9<>~\u2265\u2264]"
)
_WORD = re.compile(r"[^\s()\[\]]+")
_INITIAL = re.compile(r"(?:[A-Z]\.)*[A-Z]")
_ANY_BEGINNING = re.compile(r"\s*\S")
_NEVER = frozenset(
    """e.g i.e vs v cf viz ca approx al fig figs ref refs eq eqs tab no nos vol ed eds pp dr drs mr
    mrs ms prof st sp spp subsp var ssp resp incl est max min avg jr sr inc ltd co dept univ i.v
    i.m i.p s.c p.o b.i.d t.i.d q.i.d""".split()
)
"""Abbreviations whose full stop ends no sentence (in lower case, without the last stop)."""
_OFTEN = frozenset("al inc ltd co etc".split())
"""Those of them that end a sentence if a capital letter follows."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence of `text`, in order, without the blanks around them, and none
    longer than `MOST_CHARACTERS`."""
    spans: list[tuple[int, int]] = []
    start = 0
    # Old records are all in lower case.
    beginning = _BEGINNING if any(map(str.isupper, text)) else _ANY_BEGINNING
    for found in _END.finditer(text):
        if found.end() > start and _ends(text, start, found, beginning):
            _add(spans, text, start, found.end())
            start = found.end()
    _add(spans, text, start, len(text))
    return spans


def _ends(text: str, start: int, found: re.Match[str], beginning: re.Pattern[str]) -> bool:
    mark = found.group()
    if mark.isspace():
        return True
    if not beginning.match(text, found.end()):
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    first = max(start, found.start() - 40)
    before = text[first : found.start()].removesuffix("\n")
    word = _WORD.match(before[::-1])
    if word is None:
        return True
    last = word[0][::-1]
    plain = last.lower()
    if plain in _NEVER:
        following = text[found.end() : found.end() + 20].lstrip()[:1]
        return plain in _OFTEN and following.isupper()
    # An initial (J. Smith); a genus (E. coli) is followed by lower case and was handled above.
    is_first = first == start and len(last) == len(before)
    return is_first or len(last) >= 4 or not _INITIAL.fullmatch(last)


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    start = end - len(text[start:end].lstrip())
    end = start + len(text[start:end].rstrip())
    while end - start > MOST_CHARACTERS:
        cut = text.rfind(" ", start + MOST_CHARACTERS // 2, start + MOST_CHARACTERS)
        cut = cut if cut > 0 else start + MOST_CHARACTERS
        spans.append((start, cut))
        start = cut + (text[cut] == " ")
    if end > start:
        spans.append((start, end))
