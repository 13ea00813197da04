"""Text normalised for comparison: case, accents, hyphens, word boundaries.

A text has three forms. *Folded*: lower case, no accents, every dash a `-`. *Spaced*: folded, with
hyphens and underscores as spaces ("late interaction"). *Squeezed*: folded, without hyphens and
underscores ("biohicl"). A needle matches a text if one of its forms occurs in it, so Bio-HiCL,
BioHiCL and bio_hicl match each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

WORD = re.compile(r"[^\W_]+")
"""A run of letters and digits, in any script; the same characters as str.isalnum()."""

_COMPOUND = re.compile(r"[^\W_]+(?:[-_]+[^\W_]+)+")
_HUMP = re.compile(r"[A-Za-z](?=[A-Z])(?:(?<=[a-z])|(?=[A-Z][a-z]))(?=([A-Za-z0-9]+))")
_OTHER = re.compile(r"[^\w ]")
_SEPARATORS = {ord("-"): None, ord("_"): None}

_SPLIT = "".join(
    char if char.isalnum() else " " if char.isspace() or char in "-_" else "\x01"
    for char in map(chr, range(128))
)

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58"
_SPECIAL = {**dict.fromkeys(_DASHES, "-"), "\u2018": "'", "\u2019": "'", "\u02bc": "'"}

_KEPT_CHARACTERS = 20_000
"""Bound of the cache: hostile text could otherwise fill it with all of Unicode."""


class _Folded(dict[int, str]):
    """Code point -> its folded text, computed on first use."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(code))
        kept = "".join(
            _SPECIAL.get(part, part)
            for part in parts
            if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
        )
        folded = kept.casefold()
        if len(self) < _KEPT_CHARACTERS:
            self[code] = folded
        return folded


_FOLDED = _Folded()


def fold(text: str) -> str:
    """`text` in lower case, without accents and invisible characters, dashes as hyphens; character
    by character, so that the fold of a prefix is a prefix of the fold."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def spaced(folded: str) -> str:
    """`folded` with hyphens and underscores as spaces and each run of white space as one space."""
    return " ".join(folded.replace("-", " ").replace("_", " ").split())


def squeezed(folded: str) -> str:
    """`folded` without hyphens and underscores, each run of white space as one space."""
    return " ".join(folded.replace("-", "").replace("_", "").split())


def equal_key(text: str) -> str:
    """The folded text without separators; `field=value` compares these."""
    return "".join(fold(text).replace("-", "").replace("_", "").split())


def needles(text: str) -> tuple[str, ...]:
    """The forms of a search word or phrase: one, two if it has a hyphen, none if empty."""
    folded = fold(text)
    if "-" not in folded and "_" not in folded:
        form = " ".join(folded.split())
        return (form,) if form else ()
    return tuple(form for form in dict.fromkeys((squeezed(folded), spaced(folded))) if form)


def forms(text: str, *, inner: bool = False) -> list[str]:
    """The forms of `text` that are searched: spaced first, then each compound squeezed; with
    `inner`, the parts after a capital within a word (BioHiCL: hicl, cl), which begin words too."""
    folded = fold(text)
    return [spaced(folded), *_joined(folded), *(inner_parts(text) if inner else ())]


def _joined(folded: str) -> Iterator[str]:
    if "-" in folded or "_" in folded:
        # Only the few words with a separator need the regular expression.
        for word in folded.split():
            if "-" in word or "_" in word:
                yield from _compounds(word)


def inner_parts(text: str) -> list[str]:
    """The parts after a capital within a word."""
    return [] if text.islower() else [rest.lower() for rest in _HUMP.findall(text)]


@lru_cache(maxsize=4096)
def _compounds(word: str) -> tuple[str, ...]:
    return tuple([match.translate(_SEPARATORS) for match in _COMPOUND.findall(word)])


def spaced_words(texts: Sequence[str], *, inner: bool = False) -> str:
    """The words of the forms of `texts` in one string: one space between words that white space,
    hyphens or underscores part, more between others, and a space at either end."""
    folded = fold("\x01".join(texts))
    joined = list(_joined(folded))
    if inner:
        joined += chain.from_iterable(map(inner_parts, texts))
    # Translating ASCII is many times as fast as the regular expression.
    words = folded.translate(_SPLIT) if folded.isascii() else _OTHER.sub("\x01", spaced(folded))
    if "  " in words:
        words = " ".join(words.split())
    return "\x01".join(("", words, *joined, "")).replace("\x01", "  ")


def begins_word(text: str, needle: str) -> bool:
    """Whether `needle` occurs in `text` at the beginning of a word."""
    if not needle[:1].isalnum():
        return needle in text
    at = text.find(needle)
    while at > 0 and text[at - 1].isalnum():
        at = text.find(needle, at + 1)
    return at >= 0


def whole_words(text: str, needle: str) -> bool:
    """Whether `needle` occurs in `text` as whole words."""
    head, tail = needle[:1].isalnum(), needle[-1:].isalnum()
    at = text.find(needle)
    while at >= 0:
        end = at + len(needle)
        cut = (head and text[at - 1 : at].isalnum()) or (tail and text[end : end + 1].isalnum())
        if not cut:
            return True
        at = text.find(needle, at + 1)
    return False
