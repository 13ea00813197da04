"""Only the cells that changed: a memory of the screen between a renderer and the terminal.

A renderer repaints whole widgets; most of their cells are as they were. `ScreenDiffer` keeps the
screen that its frames have drawn, compares each new frame with it cell by cell, and writes the
difference: runs of changed cells, blanks as erasures where the terminal erases with the current
background. What it cannot read it passes on untouched and then assumes nothing.

A frame is a text that begins by placing the cursor and holds nothing but cursor placements,
attributes (SGR), links (OSC 8) and printable text; that is what Textual writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_FRAME = re.compile(r"\x1b\[\d+;\d+H")
_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|\x1b\[(?P<sgr>[0-9;]*)m"
    r"|\x1b\]8;[^;\x1b\x07]*;(?P<link>[^\x1b\x07]*)\x1b\\"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>\n)"
    r"|(?P<other>[\s\S])"
)
# Sequences that touch no cell: modes (not the alternate screen), titles and clipboards, keyboard
# protocols, reports, cursor shape, bell.
_HARMLESS = re.compile(
    r"(?:\x1b\[\?(?!1049|1047|47\b)[0-9;]*(?:[hl]|\$p)|\x1b\][0-9]+;[^\x1b\x07]*(?:\x07|\x1b\\)"
    r"|\x1b\[[<>=?][0-9;]*u|\x1b\[[0-9;]*[cn]|\x1b\[[0-9]* q|\x1b\[>[0-9;]*[qm]|\x07)*"
)

GAP = 5
"""Unchanged cells that are cheaper to write again than to step over."""
ERASE = 12
"""Blanks from which an erasure of its own is cheaper than writing them."""
ERASE_LINE = 8
"""The same, where they reach the end of the line."""

Attribute = tuple[str, str]  # SGR parameters since the last reset, link address
PLAIN: Attribute = ("", "")


@dataclass(frozen=True, slots=True)
class _Run:
    """Cells of one row in one attribute; `end` is the column where the cursor is left."""

    attribute: Attribute
    y: int
    start: int
    end: int
    text: str
    at_edge: bool = False


class _Row:
    """The cells of one screen row; None where nothing is known of a cell."""

    __slots__ = ("attributes", "characters", "wide")

    def __init__(self, width: int) -> None:
        self.characters: list[str | None] = [None] * width
        self.attributes: list[Attribute] = [PLAIN] * width
        self.wide = False
        """It holds (or held) characters that are not one cell wide."""


class ScreenDiffer:
    """Turns frames into the bytes that change the screen from the last one.

    erases: the terminal erases with the current background (GNU screen does not).
    """

    def __init__(self, *, erases: bool = True) -> None:
        self.erases = erases
        self._size = (0, 0)
        self._rows: list[_Row] = []

    def forget(self) -> None:
        """Assume nothing about the screen: another program may have drawn on it."""
        self._size = (0, 0)

    def feed(self, data: str, width: int, height: int) -> str:
        """The difference that `data` makes on a screen of this size, in cells.

        Data that is no frame comes back as it is.
        """
        if not _FRAME.match(data):
            if not _HARMLESS.fullmatch(data):
                self.forget()
            return data
        if (width, height) != self._size:
            self._size = (width, height)
            self._rows = [_Row(width) for _ in range(height)]
        read = _read(data, width, height)
        if read is None:
            self.forget()
            return data
        writes, cursor = read
        runs: list[_Run] = []
        for y in sorted(writes):
            self._row(y, writes[y], runs)
        return _sequence(runs) + f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H"

    def _row(self, y: int, pieces: list[_Piece], runs: list[_Run]) -> None:
        """Take `pieces` into row `y`; what they change becomes runs."""
        row = self._rows[y]
        changed: set[int] = set()
        was_wide = row.wide
        for x, text, attribute in pieces:
            if text.isascii():
                blank = _blank(attribute)
                for at, character in enumerate(text, x):
                    new = blank if character == " " and blank is not None else attribute
                    if row.characters[at] != character or row.attributes[at] != new:
                        row.characters[at], row.attributes[at] = character, new
                        changed.add(at)
            else:
                self._put(row, x, text, attribute, changed)
        if not changed:
            return
        if row.wide or was_wide:
            # Half of a wide character must never be left standing: write all that is known.
            changed = {x for x, c in enumerate(row.characters) if c is not None}
        row.wide = any(c is not None and (len(c) != 1 or _width(c) != 1) for c in row.characters)
        runs.extend(self._runs(y, row, sorted(changed)))

    @staticmethod
    def _put(row: _Row, x: int, text: str, attribute: Attribute, changed: set[int]) -> None:
        """Put text with characters of any width; a wide one leaves "" in its second cell."""
        blank = _blank(attribute)
        width = len(row.characters)
        at = x
        for character in text:
            size = 1 if character.isascii() else _width(character)
            if size == 0:
                if at > x:
                    back = at - 1
                    while back > x and row.characters[back] == "":
                        back -= 1
                    row.characters[back] = (row.characters[back] or "") + character
                    changed.add(back)
                    row.wide = True
                continue
            if at + size > width:
                return
            new = blank if character == " " and blank is not None else attribute
            if row.characters[at] != character or row.attributes[at] != new:
                row.characters[at], row.attributes[at] = character, new
                changed.add(at)
            for second in range(at + 1, at + size):
                if row.characters[second] != "" or row.attributes[second] != new:
                    row.characters[second], row.attributes[second] = "", new
                    changed.add(second)
                row.wide = True
            at += size

    def _runs(self, y: int, row: _Row, changed: list[int]) -> Iterator[_Run]:
        """Runs of one attribute that cover the changed cells, and erasures."""
        start = end = -1
        attribute = PLAIN
        for x in changed:
            wanted = row.attributes[x]
            if start >= 0 and x - end <= GAP and self._joins(row, end, x, attribute):
                end = x + 1
                continue
            if start >= 0 and x == end and self._all_blank(row, start, end):
                if _blank(wanted) == attribute and row.characters[x] != " ":
                    # Blanks look the same in any colour of the letters that follow them.
                    attribute, end = wanted, x + 1
                    continue
            if start >= 0:
                yield from self._finish(y, row, start, end, attribute)
            start, end, attribute = x, x + 1, wanted
        yield from self._finish(y, row, start, end, attribute)

    @staticmethod
    def _joins(row: _Row, start: int, x: int, attribute: Attribute) -> bool:
        """The cells from `start` up to and with `x` can be written in `attribute`."""
        blank = _blank(attribute)
        return all(
            row.characters[i] is not None
            and (
                row.attributes[i] == attribute
                or (row.characters[i] == " " and row.attributes[i] == blank)
            )
            for i in range(start, x + 1)
        )

    @staticmethod
    def _all_blank(row: _Row, start: int, end: int) -> bool:
        return all(row.characters[i] == " " for i in range(start, end))

    def _finish(
        self, y: int, row: _Row, start: int, end: int, attribute: Attribute
    ) -> Iterator[_Run]:
        """One run; its trailing blanks as an erasure where that is shorter."""
        blank = _blank(attribute)
        last = end
        if blank is not None and not row.wide and (self.erases or blank == PLAIN):
            while last > start and row.characters[last - 1] == " ":
                last -= 1
        to_the_end = end == len(row.characters)
        if end - last < (ERASE_LINE if to_the_end else ERASE):
            last = end
        if last > start:
            text = "".join(c or "" for c in row.characters[start:last])
            yield _Run(attribute, y, start, last, text, last == len(row.characters))
        if last < end:
            assert blank is not None
            erase = "\x1b[K" if to_the_end else f"\x1b[{end - last}X"
            # Erasing leaves the cursor where it is.
            yield _Run(blank, y, last, last, erase)


_Piece = tuple[int, str, Attribute]  # column, text, attribute


def _read(
    data: str, width: int, height: int
) -> tuple[dict[int, list[_Piece]], tuple[int, int]] | None:
    """The pieces that a frame writes, by row, and where it leaves the cursor; None if unreadable."""
    writes: dict[int, list[_Piece]] = {}
    y = x = 0
    sgr = link = ""
    for match in _TOKEN.finditer(data):
        kind = match.lastgroup
        if kind == "text":
            text = match["text"]
            size = len(text) if text.isascii() else _cells_of(text)
            if not (0 <= y < height) or x + size > width:
                return None
            writes.setdefault(y, []).append((x, text, (sgr, link)))
            x += size
        elif kind == "sgr":
            parameters = match["sgr"]
            if parameters in ("", "0"):
                sgr = ""
            elif parameters.startswith("0;"):
                sgr = parameters[2:]
            else:
                sgr = f"{sgr};{parameters}" if sgr else parameters
        elif kind == "column":
            y, x = int(match["row"]) - 1, int(match["column"]) - 1
        elif kind == "link":
            link = match["link"]
        elif kind == "newline":
            # Textual ends a row so before it places the cursor for the next one.
            y, x = y + 1, 0
        else:
            return None
    if sgr or link:
        return None  # a style that runs on beyond the frame
    return writes, (y, x)


def _sequence(runs: list[_Run]) -> str:
    """The runs, those of one attribute together: a cursor movement is shorter than a colour."""
    groups: dict[Attribute, list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.attribute, []).append(run)
    out: list[str] = []
    y = x = -1
    for attribute in sorted(groups, key=_likeness):
        out.append(_sgr(attribute))
        for run in groups[attribute]:
            if run.y == y and run.start > x:
                out.append(f"\x1b[{run.start - x}C")
            elif run.y != y or run.start != x:
                out.append(f"\x1b[{run.y + 1};{run.start + 1}H")
            out.append(run.text)
            # After the last column a terminal may be about to wrap: never count on the place.
            y, x = run.y, run.end
            if run.at_edge:
                y = -1
    return "".join(out)


def _likeness(attribute: Attribute) -> tuple[str, str, str]:
    """Sorts attributes of one background together, so that each change is small."""
    blank = _blank((attribute[0], ""))
    return (blank[0] if blank else attribute[0], attribute[0], attribute[1])


@lru_cache(maxsize=4096)
def _sgr(attribute: Attribute) -> str:
    """The sequences that set exactly this attribute."""
    parameters, link = attribute
    style = f"\x1b[0;{parameters}m" if parameters else "\x1b[0m"
    return f"\x1b]8;;{link}\x1b\\{style}"


@lru_cache(maxsize=4096)
def _blank(attribute: Attribute) -> Attribute | None:
    """What an attribute is on a blank cell: its background. None if a blank shows more of it."""
    parameters, link = attribute
    if link:
        return None
    numbers = parameters.split(";") if parameters else []
    background: list[str] = []
    at = 0
    while at < len(numbers):
        code = numbers[at]
        if code in ("38", "48"):
            length = 5 if numbers[at + 1 : at + 2] == ["2"] else 3
            if code == "48":
                background = numbers[at : at + length]
            at += length
            continue
        if code in ("4", "7", "8", "9", "21", "53"):
            return None
        if code == "49":
            background = []
        elif code.isdigit() and (40 <= int(code) <= 47 or 100 <= int(code) <= 107):
            background = [code]
        at += 1
    return (";".join(background), "")


@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    """Cells of one character."""
    from rich.cells import cell_len

    return cell_len(character)


def _cells_of(text: str) -> int:
    return sum(1 if c.isascii() else _width(c) for c in text)
