"""Only the cells that changed: a memory of the screen between a renderer and the terminal.

A renderer repaints whole widgets; most of their cells are as they were. `ScreenDiffer` keeps the
screen that its frames have drawn, compares each new frame with it cell by cell, and writes the
difference: runs of changed cells, blanks as erasures where the terminal erases with the current
background. What it cannot read it passes on untouched and then assumes nothing.

A frame is a text that begins and ends by placing the cursor and holds nothing but cursor
placements, attributes (SGR), links (OSC 8), newlines before a placement and printable text; that
is what Textual writes. Whatever goes through leaves the terminal without attributes and links.
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
# (not links), keyboard protocols, reports, the cursor's shape, the bell.
_MODE = "(?:1|7|12|25|100[0-7]|101[56]|2004|202[67]|2031|2048)"
_HARMLESS = re.compile(
    rf"(?:\x1b\[\?{_MODE}(?:;{_MODE})*(?:[hl]|\$p)"
    r"|\x1b\](?!8;)[0-9]+;[^\x1b\x07]*(?:\x07|\x1b\\)"
    r"|\x1b\[[<>=?][0-9;]*u|\x1b\[[0-9;]*[cn]|\x1b\[[0-9]* q|\x1b\[>[0-9;]*[qm]|\x07)*"
)

GAP = 5
"""Unchanged cells that are cheaper to write again than to step over."""
ERASE = 12
"""Blanks from which an erasure of its own is cheaper than writing them."""
ERASE_LINE = 8
"""The same, where they reach the end of the line."""

Attribute = tuple[str, str]  # SGR parameters from a reset, link address
PLAIN: Attribute = ("", "")
Cell = tuple[str, Attribute]
_Blank = tuple[str, Attribute | None]  # a blank cell, if there is one for its attribute
_CLOSED = "\x1b]8;;\x1b\\\x1b[0m"  # neither link nor attributes


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text of one attribute as the frame has it, at row `y` from column `x`."""

    y: int
    x: int
    text: str
    attribute: Attribute
    placed: bool
    """The cursor was placed for it; else it goes on where the piece before it ended."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What is written at (`y`, `start`) in one attribute; `end` is where the cursor is left."""

    attribute: Attribute
    y: int
    start: int
    end: int
    text: str


class ScreenDiffer:
    """Turns frames into the bytes that change the screen from the last one.

    erases: the terminal erases with the current background (GNU screen does not).
    """

    def __init__(self, *, erases: bool = True) -> None:
        self.erases = erases
        self._size = (0, 0)
        self._rows: list[list[Cell | None]] = []  # None: nothing is known of this cell
        self._cursor: tuple[int, int] | None = None

    def forget(self) -> None:
        """Assume nothing about the screen: another program may have drawn on it."""
        self._size = (0, 0)
        self._cursor = None

    def feed(self, data: str, width: int, height: int) -> str:
        """The difference that `data` makes on a screen of this size, in cells.

        Data that is no frame comes back as it is; so does a frame that is shorter as it is.
        """
        if not _FRAME.match(data):
            if not _HARMLESS.fullmatch(data):
                self.forget()
            return data
        known = self._size == (width, height)
        if not known:
            self._size = (width, height)
            self._rows = [[None] * width for _ in range(height)]
            self._cursor = None
        read = _read(data, width, height)
        if read is None:
            self.forget()
            return data
        pieces, cursor = read
        odd = _odd_rows(pieces)
        for y in odd:
            self._rows[y] = [None] * width
        changed = self._take([piece for piece in pieces if piece.y not in odd])
        as_is = [piece for piece in pieces if piece.y in odd]
        if not changed and not as_is and cursor == self._cursor:
            return ""
        self._cursor = cursor
        runs = [run for y in sorted(changed) for run in self._runs(y, sorted(changed[y]))]
        drawn = _written(as_is) + _sequence(runs)
        out = f"{drawn}\x1b[{cursor[0] + 1};{cursor[1] + 1}H"
        shorter = min(out, data, key=len)
        # What was there before may have left attributes.
        return shorter if known else f"{_CLOSED}{shorter}"

    def _take(self, pieces: list[_Piece]) -> dict[int, set[int]]:
        """Take what is written into the memory; the columns that changed, by row."""
        changed: dict[int, set[int]] = {}
        for piece in pieces:
            row, x = self._rows[piece.y], piece.x
            new = _cells(piece.text, piece.attribute)
            end = x + len(new)
            old = row[x:end]
            if old != new:
                columns = changed.setdefault(piece.y, set())
                columns.update(at for at, cell in enumerate(new, x) if row[at] != cell)
                row[x:end] = new
        return changed

    def _runs(self, y: int, changed: list[int]) -> Iterator[_Run]:
        """Runs of one attribute that cover the changed cells, and erasures."""
        row = self._rows[y]
        start = end = -1
        attribute, blank = PLAIN, _blank_of(PLAIN)
        for x in changed:
            cell = row[x]
            if cell is None:  # what changed is known
                continue
            wanted = cell[1]
            if start >= 0:
                if x == end and (wanted == attribute or cell == blank):
                    end = x + 1
                    continue
                if 0 < x - end <= GAP and _fits(row[end : x + 1], attribute, blank):
                    end = x + 1
                    continue
                if x == end and _blank(wanted) == attribute and _all(row[start:end], blank):
                    # Blanks look the same in any colour of the letters that follow them.
                    attribute, end = wanted, x + 1
                    continue
                yield from self._finish(y, start, end, attribute)
            start, end, attribute = x, x + 1, wanted
            blank = _blank_of(attribute)
        yield from self._finish(y, start, end, attribute)

    def _finish(self, y: int, start: int, end: int, attribute: Attribute) -> Iterator[_Run]:
        """One run; its trailing blanks as an erasure where that is shorter."""
        row = self._rows[y]
        text = "".join([cell[0] for cell in row[start:end] if cell])
        blank = _blank(attribute)
        to_the_end = end == len(row)
        blanks = len(text) - len(text.rstrip(" "))
        if (
            blank is None
            or blanks < (ERASE_LINE if to_the_end else ERASE)
            or not (self.erases or blank == PLAIN)
        ):
            yield _Run(attribute, y, start, end, text)
            return
        last = end - blanks
        if last > start:
            yield _Run(attribute, y, start, last, text[:-blanks])
        # Erasing leaves the cursor where it is.
        yield _Run(blank, y, last, last, "\x1b[K" if to_the_end else f"\x1b[{blanks}X")


def _fits(cells: list[Cell | None], attribute: Attribute, blank: _Blank) -> bool:
    """These cells look the same when written in `attribute`, of which `blank` is the blank."""
    return all(cell is not None and (cell[1] == attribute or cell == blank) for cell in cells)


def _all(cells: list[Cell | None], blank: _Blank) -> bool:
    return cells.count(blank) == len(cells)


@lru_cache(maxsize=4096)
def _blank_of(attribute: Attribute) -> _Blank:
    return (" ", _blank(attribute))


# Reading a frame ------------------------------------------------------------------------------


def _read(data: str, width: int, height: int) -> tuple[list[_Piece], tuple[int, int]] | None:
    """What a frame writes, in its order, and where it leaves the cursor; None if unreadable."""
    pieces: list[_Piece] = []
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
            pieces.append(_Piece(y, x, text, attribute, placed))
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
    return pieces, (y, x)


def _odd_rows(pieces: list[_Piece]) -> set[int]:
    """Rows that are written as they came, because cells alone do not describe them.

    They hold characters that are wide, combine or are measured differently by terminals: half of
    one must not be replaced, and what follows it stands where the terminal puts it.
    """
    return {piece.y for piece in pieces if not _is_plain(piece.text)}


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


@lru_cache(maxsize=1024)
def _cells(text: str, attribute: Attribute) -> list[Cell]:
    """The cells of plain text; blanks with what shows of the attribute on them. Not to be changed.

    Cached: a screen repeats its pieces, and equal lists of the same cells are compared quickly.
    """
    letter, space = attribute, (" ", _blank(attribute) or attribute)
    return [space if character == " " else (character, letter) for character in text]


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
def _blank(attribute: Attribute) -> Attribute | None:
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


# Writing --------------------------------------------------------------------------------------


def _written(pieces: list[_Piece]) -> str:
    """Pieces as they came, in their order."""
    out: list[str] = []
    before: _Piece | None = None
    for piece in pieces:
        if piece.placed or before is None or before.y != piece.y:
            out.append(f"\x1b[{piece.y + 1};{piece.x + 1}H")
        parameters, link = piece.attribute
        style = f"\x1b[{parameters}m{piece.text}\x1b[0m" if parameters else piece.text
        out.append(f"\x1b]8;;{link}\x1b\\{style}\x1b]8;;\x1b\\" if link else style)
        before = piece
    return "".join(out)


def _sequence(runs: list[_Run]) -> str:
    """The runs, those of one attribute together: a cursor movement is shorter than a colour."""
    groups: dict[Attribute, list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.attribute, []).append(run)
    out: list[str] = []
    y = x = -1
    style = link = ""
    for attribute in (*sorted(groups, key=_likeness), PLAIN):
        if attribute[1] != link:
            link = attribute[1]
            out.append(f"\x1b]8;;{link}\x1b\\")
        if attribute[0] != style:
            style = attribute[0]
            out.append(f"\x1b[0;{style}m" if style else "\x1b[0m")
        for run in groups.pop(attribute, ()):
            if run.y == y and run.start > x:
                out.append(f"\x1b[{run.start - x}C")
            elif run.y != y or run.start != x:
                out.append(f"\x1b[{run.y + 1};{run.start + 1}H")
            out.append(run.text)
            y, x = run.y, run.end
    return "".join(out)


def _likeness(attribute: Attribute) -> tuple[str, str, str]:
    """Sorts attributes of one background together, so that each change is small."""
    blank = _blank((attribute[0], ""))
    return (blank[0] if blank else attribute[0], attribute[0], attribute[1])
