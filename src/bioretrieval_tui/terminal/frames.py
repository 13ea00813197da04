"""Reading what a renderer writes: a frame as pieces of text, each with its place and attributes.

A frame is a text that begins and ends by placing the cursor and holds nothing but cursor
placements, attributes (SGR), links (OSC 8), newlines before a placement and printable text; that
is what Textual writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import category

_FRAME = re.compile(r"\x1b\[\d+;\d+H")
_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|\x1b\[(?P<sgr>[0-9;]*)m"
    r"|\x1b\]8;[^;\x1b\x07]*;(?P<link>[^\x1b\x07]*)\x1b\\"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>\n)"
    r"|(?P<other>[\s\S])"
)
# Sequences that touch no cell and no attribute: modes of the cursor, the mouse, keys, wrapping and
# synchronised output (not those that clear, shift or swap the screen), titles, colours, clipboard
# (not links, not pictures), keyboard protocols, reports, the cursor's shape, the bell.
_MODE = "(?:1|7|12|25|100[0-7]|101[56]|2004|202[67]|2031|2048)"
_HARMLESS = re.compile(
    rf"(?:\x1b\[\?{_MODE}(?:;{_MODE})*(?:[hl]|\$p)"
    r"|\x1b\](?!8;|1337;)[0-9]+;[^\x1b\x07]*(?:\x07|\x1b\\)"
    r"|\x1b\[[<>=?][0-9;]*u|\x1b\[[0-9;]*[cn]|\x1b\[[0-9]* q|\x1b\[>[0-9;]*[qm]|\x07)*"
)

Attribute = tuple[str, str]  # SGR parameters from a reset, link address
PLAIN: Attribute = ("", "")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one attribute as the frame has it, at row `y` from column `x`, both from 0."""

    y: int
    x: int
    text: str
    attribute: Attribute
    placed: bool
    """The cursor was placed for it; else it goes on where the piece before it ended."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is written, in its order, and where (row, column) the cursor is left."""

    pieces: tuple[Piece, ...]
    cursor: tuple[int, int]


def is_frame(data: str) -> bool:
    """Whether this looks like a frame at its beginning."""
    return _FRAME.match(data) is not None


def is_harmless(data: str) -> bool:
    """Whether this leaves every cell and all attributes as they are."""
    return _HARMLESS.fullmatch(data) is not None


def read_frame(data: str, width: int, height: int) -> Frame | None:
    """What a frame writes on a screen of this size, in cells; None if it cannot be read."""
    pieces: list[Piece] = []
    y, x = 0, None
    placed = False
    attribute = PLAIN
    kind: str | None = None
    for match in _TOKEN.finditer(data):
        kind = match.lastgroup
        if kind == "text":
            text = match["text"]
            size = len(text) if text.isascii() else _width(text)
            if x is None or x + size > width:
                return None
            pieces.append(Piece(y, x, text, attribute, placed))
            x += size
            placed = False
        elif kind == "sgr":
            styled = _styled(attribute[0], match["sgr"])
            if styled is None:
                return None
            attribute = (styled, attribute[1])
        elif kind == "column":
            # A place beyond the edge is the edge, as the terminal has it.
            y = min(max(1, int(match["row"])), height) - 1
            x = min(max(1, int(match["column"])), width) - 1
            placed = True
        elif kind == "link":
            attribute = (attribute[0], match["link"])
        elif kind == "newline" and y + 1 < height:
            # Textual ends a row so before it places the cursor for the next one. What column
            # that leaves is the terminal's affair.
            y, x = y + 1, None
        else:
            return None
    if attribute != PLAIN or kind != "column" or x is None:
        return None  # a style that runs on beyond the frame, or a cursor left anywhere
    return Frame(tuple(pieces), (y, x))


def odd_rows(frame: Frame) -> set[int]:
    """Rows that are written as they came, because cells alone do not describe them.

    They hold characters that are wide, combine or are measured differently by terminals: half of
    one must not be replaced, and what follows it stands where the terminal puts it.
    """
    return {piece.y for piece in frame.pieces if not _is_plain(piece.text)}


def _is_plain(text: str) -> bool:
    """Every character takes one cell in every terminal."""
    return text.isascii() or all(character.isascii() or _single(character) for character in text)


@lru_cache(maxsize=4096)
def _single(character: str) -> bool:
    # A soft hyphen and the like (Cf) is drawn by some; regional indicators pair up to flags.
    return (
        _width(character) == 1
        and category(character) not in ("Cf", "Mn", "Me", "Mc")
        and not "\U0001f1e6" <= character <= "\U0001f1ff"
    )


def _width(text: str) -> int:
    """Cells of a text."""
    from rich.cells import cell_len

    return cell_len(text)


# Attributes -----------------------------------------------------------------------------------

# Codes that show on a blank cell (lines, blinking, reversed colours), and those that do not.
_SHOWING = frozenset({4, 5, 6, 7, 9, 21, 53})
_HIDDEN = frozenset(
    {1, 2, 3, 8, 22, 23, 24, 25, 27, 28, 29, 55, *range(30, 38), 39, *range(90, 98)}
)
_BACKGROUND = frozenset({*range(40, 48), 49, *range(100, 108)})


@lru_cache(maxsize=4096)
def _styled(before: str, parameters: str) -> str | None:
    """The SGR parameters in force after some more; None if these are not understood."""
    codes = [before] if before else []
    for code in _codes(parameters):
        if code == "0":
            codes = []
        elif code is None:
            return None
        else:
            codes.append(code)
    return ";".join(codes)


def _codes(parameters: str) -> Iterator[str | None]:
    """Each code, a colour with its numbers; None for what is not understood."""
    words = iter(parameters.split(";"))
    for word in words:
        code = int(word or 0)
        if code in (38, 48):
            kind = next(words, "")
            numbers = [next(words, "") for _ in range({"5": 1, "2": 3}.get(kind, 0))]
            whole = numbers and all(numbers)
            yield ";".join((str(code), kind, *numbers)) if whole else None
        elif code == 0 or code in _SHOWING or code in _HIDDEN or code in _BACKGROUND:
            yield str(code)
        else:
            yield None


@lru_cache(maxsize=4096)
def blank_of(attribute: Attribute) -> Attribute | None:
    """What an attribute is on a blank cell: its background. None if a blank shows more of it."""
    parameters, link = attribute
    if link:
        return None
    background = ""
    for code in _codes(parameters) if parameters else ():
        number = int((code or "0").partition(";")[0])
        if number in _SHOWING:
            return None
        if number == 48 or number in _BACKGROUND:
            background = "" if number == 49 or code is None else code
    return (background, "")
