"""Superscripts and subscripts in plain text, in one writing for all readers.

A script behind a number must not become part of it, nor that of a word part of the word: 10^5,
10^-3, BRAF^V600E, shown previously^12. Where people write them on the line, they stay there: CO2,
kg/m2, s-1, Ca2+, 14C, CD4+, N6-methyladenosine, 5th.
"""

from __future__ import annotations

import re

_MINUS = str.maketrans("\u2212\u2013\u2010\u2011\ufe63\uff0d", "------")
# Behind these, as behind a blank, a superscript stands as written: 14C of "[14C]", "2-14C".
_OPENING = frozenset(
    "([{</|-+*=~'\"\u00b1\u00d7\u00b7\u2010\u2011\u2012\u2013\u2014\u2018\u201c\u2212"
)
_ORDINAL = re.compile(r"st|nd|rd|th|er|\u00e8me", re.IGNORECASE)
_SPACED_SIGN = re.compile(r"^([+-]) ")
_EXPONENT = re.compile(r"[+-]?\w")
_CHARGE = re.compile(r"\d*[+-]+")
_OF_SYMBOL = re.compile(r"\d*[+-]+|[+-]?\d{1,2}|[\u03b1-\u03c9]")
_OF_WORD = re.compile(r"\d*[+-]+|[+-]\d+|[\u03b1-\u03c9]")
_LAST_LETTERS = re.compile(r"[^\W\d_]*\Z")
_SYMBOL_LENGTH = 2
"""Letters of a unit or symbol to whose power the line is used (m2, cm3, R2); not of a word."""

_SCRIPT = re.compile(
    r"<(su[pb])(?:\s[^<>]*)?>((?:(?!</?su[pb]\b).)*)</\1\s*>", re.IGNORECASE | re.DOTALL
)
_ADJACENT = re.compile(r"</(su[pb])\s*><\1(?:\s[^<>]*)?>", re.IGNORECASE)
_DEEPEST = 8
"""Scripts of scripts that are written out."""
_TAG = re.compile(r"<[^<>]*>")
_DIGITS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
_SIGNS = "\u207a\u207b"
_LINED = str.maketrans(_DIGITS + _SIGNS, "0123456789+-")
_RAISED = re.compile(rf"(?<=\d)[{_SIGNS}]?[{_DIGITS}]+")


def superscript(before: str, raised: str) -> str:
    """What to write for the superscript `raised` behind the text `before` (its last word will
    do)."""
    raised = _SPACED_SIGN.sub(r"\1", " ".join(raised.split()).translate(_MINUS))
    last = before[-1:]
    if not last or last.isspace() or last in _OPENING or not _EXPONENT.match(raised):
        return raised
    if last.isdigit():
        on_line = _ORDINAL
    elif not last.isalpha():
        on_line = _CHARGE
    else:
        is_symbol = len(_LAST_LETTERS.findall(before)[0]) <= _SYMBOL_LENGTH
        on_line = _OF_SYMBOL if is_symbol else _OF_WORD
    return raised if on_line.fullmatch(raised) else f"^{raised}"


def subscript(before: str, lowered: str) -> str:
    """What to write for the subscript `lowered` behind the text `before`."""
    lowered = " ".join(lowered.split()).translate(_MINUS)
    follows = before[-1:].isdigit() and lowered[:1].isdigit()
    return f"_{lowered}" if follows else lowered


def scripts_on_line(text: str) -> str:
    """`text` with the elements `sup` and `sub` of its HTML, innermost first, written out."""

    def written(match: re.Match[str]) -> str:
        write = superscript if match[1].lower() == "sup" else subscript
        before = _TAG.sub("", match.string[max(0, match.start() - 80) : match.start()])
        return write(before, _TAG.sub("", match[2]))

    text = _ADJACENT.sub("", text)
    for _ in range(_DEEPEST):
        text, count = _SCRIPT.subn(written, text)
        if not count:
            break
    return text


def powers_on_line(text: str) -> str:
    """`text` with Unicode's superscripts behind numbers as 10^5, since search folds them to plain
    digits, and 10\u2075 would become 105."""
    if text.isascii():
        return text
    return _RAISED.sub(lambda match: f"^{match[0].translate(_LINED)}", text)
