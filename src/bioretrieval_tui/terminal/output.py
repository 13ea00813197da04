"""Screen output in few bytes: only changed cells, with the shortest attribute sequences.

Textual repaints whole widgets and ends every piece of text with a full reset, which is most of the
output over SSH. `ScreenWriter` parses each frame that Textual writes, compares it cell by cell with
the screen drawn so far, and writes the difference: runs of changed cells grouped by attribute, and
blanks as erasures if the terminal erases with the current background. Output that it cannot parse
passes unchanged; after that it assumes nothing about the screen.

A frame begins and ends with a cursor placement and contains only cursor placements, attributes
(SGR), links (OSC 8), newlines before a placement, and printable text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

GAP = 5
"""Longest run of unchanged cells that is cheaper to rewrite than to skip."""
ERASE = 12
"""Fewest blanks for which an erasure is cheaper than writing them."""
ERASE_LINE = 8
"""The same for blanks at the end of the line."""

Attribute = tuple[str, str]
"""SGR parameters after a reset, and the URL of a link."""
PLAIN: Attribute = ("", "")
Cell = tuple[str, Attribute]
_Blank = tuple[str, Attribute | None]
"""A blank cell; None as attribute if a blank would show more than its background."""
_RESET = "\x1b]8;;\x1b\\\x1b[0m"
"""No link and no attributes."""


class ScreenWriter:
    """Turns frames into the bytes that change the screen since the last frame.

    erases: the terminal erases with the current background (GNU screen does not).
    """

    def __init__(self, *, erases: bool = True) -> None:
        self.erases = erases
        self._size = (0, 0)
        self._rows: list[list[Cell | None]] = []  # None: the cell is unknown
        self._cursor: tuple[int, int] | None = None

    def forget(self) -> None:
        """Assume nothing about the screen: another program may have drawn on it."""
        self._size = (0, 0)
        self._cursor = None

    def feed(self, data: str, width: int, height: int) -> str:
        """Return the bytes that change a screen of this size (in cells) as `data` would.

        Data that is no frame is returned unchanged; so is a frame that is shorter than its diff.
        """
        if not _BEGINNING.match(data):
            if not _HARMLESS.fullmatch(data):
                self.forget()
            return data
        known = self._size == (width, height)
        if not known:
            self._size = (width, height)
            self._rows = [[None] * width for _ in range(height)]
            self._cursor = None
        frame = _read_frame(data, width, height)
        if frame is None:
            self.forget()
            return data
        odd = {piece.y for piece in frame.pieces if not _is_plain(piece.text)}
        for y in odd:
            self._rows[y] = [None] * width
        changed = self._remember(piece for piece in frame.pieces if piece.y not in odd)
        if not changed and not odd and frame.cursor == self._cursor:
            return ""
        self._cursor = frame.cursor
        unread = _as_written(piece for piece in frame.pieces if piece.y in odd)
        runs = [run for y in sorted(changed) for run in self._runs(y, sorted(changed[y]))]
        shorter = min(unread + _sequence(runs, frame.cursor), data, key=len)
        # Earlier output may have left attributes.
        return shorter if known else f"{_RESET}{shorter}"

    def _remember(self, pieces: Iterable[_Piece]) -> dict[int, set[int]]:
        """Store what is written; return the changed columns by row."""
        changed: dict[int, set[int]] = {}
        for piece in pieces:
            row, x = self._rows[piece.y], piece.x
            new = _cells(piece.text, piece.attribute)
            end = x + len(new)
            if row[x:end] != new:
                columns = changed.setdefault(piece.y, set())
                columns.update(at for at, cell in enumerate(new, x) if row[at] != cell)
                row[x:end] = new
        return changed

    def _runs(self, y: int, changed: list[int]) -> Iterator[_Run]:
        """Runs of one attribute that cover the changed cells, and erasures."""
        row = self._rows[y]
        # Among unknown cells there may be half of a wide character beside the written ones.
        # Overwriting its other half removes it; erasing does not in every terminal.
        erases = None not in row
        start = end = -1
        attribute, blank = PLAIN, _blank_cell(PLAIN)
        for x in changed:
            cell = row[x]
            if cell is None:  # what changed is known
                continue
            wanted = cell[1]
            if start >= 0:
                if x == end and (wanted == attribute or cell == blank):
                    end = x + 1
                    continue
                if 0 < x - end <= GAP and all(
                    between is not None and (between[1] == attribute or between == blank)
                    for between in row[end : x + 1]
                ):
                    end = x + 1
                    continue
                if (
                    x == end
                    and _blank_of(wanted) == attribute
                    and all(before == blank for before in row[start:end])
                ):
                    # Blanks look the same in any colour of the letters that follow them.
                    attribute, end = wanted, x + 1
                    continue
                yield from self._finish(y, start, end, attribute, erases)
            start, end, attribute = x, x + 1, wanted
            blank = _blank_cell(attribute)
        yield from self._finish(y, start, end, attribute, erases)

    def _finish(
        self, y: int, start: int, end: int, attribute: Attribute, erases: bool
    ) -> Iterator[_Run]:
        """One run; its trailing blanks as an erasure if that is shorter and allowed."""
        row = self._rows[y]
        text = "".join([cell[0] for cell in row[start:end] if cell])
        blank = _blank_of(attribute)
        to_the_end = end == len(row)
        blanks = len(text) - len(text.rstrip(" "))
        if (
            blank is None
            or blanks < (ERASE_LINE if to_the_end else ERASE)
            or not erases
            or not (self.erases or blank == PLAIN)
        ):
            yield _Run(attribute, y, start, end, text)
            return
        last = end - blanks
        if last > start:
            yield _Run(attribute, y, start, last, text[:-blanks])
        # Erasing does not move the cursor.
        yield _Run(blank, y, last, last, "\x1b[K" if to_the_end else f"\x1b[{blanks}X")


# Reading a frame ------------------------------------------------------------------------------

_BEGINNING = re.compile(r"\x1b\[\d+;\d+H")
_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|\x1b\[(?P<sgr>[0-9;]*)m"
    r"|\x1b\]8;[^;\x1b\x07]*;(?P<link>[^\x1b\x07]*)\x1b\\"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>\n)"
    r"|(?P<other>[\s\S])"
)
# Sequences that change no cell and no attribute: modes of the cursor, the mouse, keys, wrapping and
# synchronised output (not those that clear, shift or swap the screen), titles, colours, clipboard
# (not links, not pictures), keyboard protocols, reports, the cursor's shape, the bell.
_MODE = "(?:1|7|12|25|100[0-7]|101[56]|2004|202[67]|2031|2048)"
_HARMLESS = re.compile(
    rf"(?:\x1b\[\?{_MODE}(?:;{_MODE})*(?:[hl]|\$p)"
    r"|\x1b\](?!8;|1337;)[0-9]+;[^\x1b\x07]*(?:\x07|\x1b\\)"
    r"|\x1b\[[<>=?][0-9;]*u|\x1b\[[0-9;]*[cn]|\x1b\[[0-9]* q|\x1b\[>[0-9;]*[qm]|\x07)*"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text of one attribute in a frame, at row `y` and column `x`, both from 0."""

    y: int
    x: int
    text: str
    attribute: Attribute
    placed: bool
    """The cursor was placed for it; otherwise it follows the previous piece."""


class _Frame(NamedTuple):
    """The written pieces in order, and the final cursor (row, column)."""

    pieces: list[_Piece]
    cursor: tuple[int, int]


def _read_frame(data: str, width: int, height: int) -> _Frame | None:
    """Parse a frame for a screen of this size, in cells; None if it cannot be parsed."""
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
            # A position beyond the edge is the edge, as in terminals.
            y = min(max(1, int(match["row"])), height) - 1
            x = min(max(1, int(match["column"])), width) - 1
            placed = True
        elif kind == "link":
            attribute = (attribute[0], match["link"])
        elif kind == "newline" and y + 1 < height:
            # Textual ends a row like this before it places the cursor for the next one; the column
            # in between depends on the terminal.
            y, x = y + 1, None
        else:
            return None
    if attribute != PLAIN or kind != "column" or x is None:
        return None  # a style that continues after the frame, or an unknown cursor
    return _Frame(pieces, (y, x))


def _is_plain(text: str) -> bool:
    """Whether every character takes one cell in every terminal.

    A row with other characters (wide, combining, of a width that terminals disagree on) is written
    unchanged: half of a character must not be replaced, and the following columns are uncertain.
    """
    return text.isascii() or all(character.isascii() or _single(character) for character in text)


@lru_cache(maxsize=4096)
def _single(character: str) -> bool:
    # Some terminals draw a soft hyphen and the like (Cf); regional indicators pair up to flags.
    return (
        _width(character) == 1
        and category(character) not in ("Cf", "Mn", "Me", "Mc")
        and not "\U0001f1e6" <= character <= "\U0001f1ff"
    )


def _width(text: str) -> int:
    """Width of a text in cells."""
    from rich.cells import cell_len

    return cell_len(text)


@lru_cache(maxsize=1024)
def _cells(text: str, attribute: Attribute) -> list[Cell]:
    """The cells of plain text; blanks have only the visible part of the attribute. Do not modify.

    Cached: screens repeat pieces, and lists of identical cells compare quickly.
    """
    space = (" ", _blank_of(attribute) or attribute)
    return [space if character == " " else (character, attribute) for character in text]


# Attributes -----------------------------------------------------------------------------------

_ENDS = {1: 22, 2: 22, 3: 23, 4: 24, 21: 24, 5: 25, 6: 25, 7: 27, 8: 28, 9: 29, 53: 55}
"""Flag -> the code that ends it; bold and dim share one, as do the two underlines."""
_SHOWING = frozenset({4, 5, 6, 7, 9, 21, 53})
"""Flags that are visible on a blank cell: lines, blinking, reversed colours."""
_FORE = frozenset({*range(30, 40), *range(90, 98)})
_BACK = frozenset({*range(40, 50), *range(100, 108)})


class _Style(NamedTuple):
    """The style of SGR parameters; a colour is "" if it is the terminal's default."""

    fore: str = ""
    back: str = ""
    flags: frozenset[int] = frozenset()


@lru_cache(maxsize=4096)
def _styled(before: str, parameters: str) -> str | None:
    """The SGR parameters in force after `parameters`, in one order and without repetitions; None
    if they are not understood."""
    codes = list(_codes(parameters))
    if None in codes:
        return None
    last = max((at for at, code in enumerate(codes) if code == "0"), default=-1)
    in_force = [] if last >= 0 or not before else [before]
    style = _style_of(";".join((*in_force, *(code for code in codes[last + 1 :] if code))))
    return ";".join(filter(None, (*map(str, sorted(style.flags)), style.fore, style.back)))


def _codes(parameters: str) -> Iterator[str | None]:
    """Each code, a colour with its numbers; None for an unknown one."""
    words = iter(parameters.split(";"))
    for word in words:
        code = int(word or 0)
        if code in (38, 48):
            kind = next(words, "")
            numbers = [next(words, "") for _ in range({"5": 1, "2": 3}.get(kind, 0))]
            whole = numbers and all(numbers)
            yield ";".join((str(code), kind, *numbers)) if whole else None
        elif code == 0 or code in _ENDS or code in _ENDS.values() or code in _FORE | _BACK:
            yield str(code)
        else:
            yield None


@lru_cache(maxsize=4096)
def _style_of(parameters: str) -> _Style:
    """The style of parameters without a reset."""
    fore = back = ""
    flags: set[int] = set()
    for code in _codes(parameters) if parameters else ():
        number = int((code or "0").partition(";")[0])
        if number in _FORE:
            fore = "" if number == 39 else code or ""
        elif number in _BACK:
            back = "" if number == 49 else code or ""
        elif number in _ENDS:
            flags.add(number)
        else:
            flags = {flag for flag in flags if _ENDS[flag] != number}
    return _Style(fore, back, frozenset(flags))


@lru_cache(maxsize=4096)
def _blank_of(attribute: Attribute) -> Attribute | None:
    """The attribute of a blank cell: the background. None if a blank shows more than that."""
    style = _style_of(attribute[0])
    return None if attribute[1] or style.flags & _SHOWING else (style.back, "")


@lru_cache(maxsize=4096)
def _blank_cell(attribute: Attribute) -> _Blank:
    return (" ", _blank_of(attribute))


@lru_cache(maxsize=8192)
def _change(sent: str, wanted: str) -> str:
    """The shortest SGR sequence that changes one set of attributes to another."""
    if not wanted:
        return "\x1b[m"
    if not sent:
        return f"\x1b[{wanted}m"
    before, after = _style_of(sent), _style_of(wanted)
    ends = {_ENDS[flag] for flag in before.flags - after.flags}
    kept = {flag for flag in before.flags if _ENDS[flag] not in ends}
    codes = [*map(str, sorted(ends)), *map(str, sorted(after.flags - kept))]
    if before.fore != after.fore:
        codes.append(after.fore or "39")
    if before.back != after.back:
        codes.append(after.back or "49")
    return min(f"\x1b[{';'.join(codes)}m", f"\x1b[0;{wanted}m", key=len)


# Writing --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """Text written at (`y`, `start`) in one attribute; `end` is the final column of the cursor."""

    attribute: Attribute
    y: int
    start: int
    end: int
    text: str


def _as_written(pieces: Iterable[_Piece]) -> str:
    """The sequence of pieces, unchanged and in order."""
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


def _sequence(runs: list[_Run], cursor: tuple[int, int]) -> str:
    """The runs as one sequence, grouped by attribute: a cursor move is shorter than a colour."""
    groups: dict[Attribute, list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.attribute, []).append(run)
    out: list[str] = []
    y = x = -1
    style = link = ""
    for attribute in sorted(groups, key=_likeness):
        for run in groups[attribute]:
            if run.y == y and run.start > x:
                out.append(f"\x1b[{run.start - x}C")
            elif run.y != y or run.start != x:
                out.append(f"\x1b[{run.y + 1};{run.start + 1}H")
            if attribute[1] != link:
                link = attribute[1]
                out.append(f"\x1b]8;;{link}\x1b\\")
            if attribute[0] != style:
                out.append(_change(style, attribute[0]))
                style = attribute[0]
            out.append(run.text)
            y, x = run.y, run.end
    out.append(f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H")
    if link:
        out.append("\x1b]8;;\x1b\\")
    if style:
        out.append("\x1b[m")
    return "".join(out)


def _likeness(attribute: Attribute) -> tuple[str, str, str]:
    """Sort key that groups attributes by background, so that each change is short."""
    blank = _blank_of((attribute[0], ""))
    return (blank[0] if blank else attribute[0], attribute[0], attribute[1])
