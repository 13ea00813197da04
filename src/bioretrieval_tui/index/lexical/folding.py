"""Text as it is compared: one case, no accents, plain hyphens, letters instead of ligatures.

The folding goes character by character (what a character becomes never depends on its
neighbours), so that a place in the folded text can be traced back to the text as it was.
"""

from __future__ import annotations

import unicodedata

_CACHED = 20_000

# Dashes that Unicode does not count as such, and marks that stand for an apostrophe.
_SINGLE = {
    "\u2212": "-", "\u2043": "-", "\u02d7": "-", "\u00ad": "", "\u2019": "'", "\u02bc": "'",
    "\u2032": "'", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip

# Written without blanks between words: each character becomes a word of its own.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
             (0x20000, 0x323AF))  # fmt: skip


def _folded(code: int) -> str:
    """What one character becomes: taken apart, each part folded, as often as anything changes."""
    folded = chr(code)
    for _ in range(4):
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", folded).casefold())
        again = "".join(map(_part, apart))
        if again.split() == folded.split():
            return again
        folded = again
    return folded


def _part(char: str) -> str:
    """What one character of a decomposition becomes."""
    single = _SINGLE.get(char)
    if single is not None:
        return single
    if unicodedata.category(char) == "Pd":
        return "-"
    if any(first <= ord(char) <= last for first, last in _UNSPACED):
        return f" {char} "
    return "" if unicodedata.combining(char) else char


class _Folds(dict[int, str]):
    """What each code point becomes, worked out when first met; forgets when it grows too large."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _CACHED:
            self.clear()
        self[code] = folded = _folded(code)
        return folded


_FOLDS = _Folds()


def fold(text: str) -> str:
    """`text` in the form in which words are compared.

    "TNF\u2013\u03b1 in na\u00efve CD4\u207a" becomes "tnf-\u03b1 in naive cd4+".
    """
    return text.lower() if text.isascii() else text.translate(_FOLDS)


def fold_traced(text: str) -> tuple[str, list[int]]:
    """`fold(text)`, and for each of its characters the place in `text` that it comes from.

    The list has one more item, the length of `text`.
    """
    if text.isascii():
        return text.lower(), list(range(len(text) + 1))
    pieces: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        piece = _FOLDS[ord(char)]
        pieces.append(piece)
        places.extend([place] * len(piece))
    places.append(len(text))
    return "".join(pieces), places
