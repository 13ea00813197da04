"""Only the cells that changed: a memory of the screen between a renderer and the terminal.

A renderer repaints whole widgets; most of their cells are as they were. `ScreenDiffer` keeps the
screen that its frames have drawn, compares each new frame with it cell by cell, and writes the
difference: runs of changed cells, blanks as erasures where the terminal erases with the current
background. What it cannot read it passes on untouched and then assumes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from bioretrieval_tui.terminal.frames import (
    PLAIN,
    Attribute,
    Piece,
    blank_of,
    is_frame,
    is_harmless,
    odd_rows,
    read_frame,
)

GAP = 5
"""Unchanged cells that are cheaper to write again than to step over."""
ERASE = 12
"""Blanks from which an erasure of its own is cheaper than writing them."""
ERASE_LINE = 8
"""The same, where they reach the end of the line."""

Cell = tuple[str, Attribute]
_Blank = tuple[str, Attribute | None]  # a blank cell, if there is one for its attribute
_CLOSED = "\x1b]8;;\x1b\\\x1b[0m"  # neither link nor attributes


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
        if not is_frame(data):
            if not is_harmless(data):
                self.forget()
            return data
        known = self._size == (width, height)
        if not known:
            self._size = (width, height)
            self._rows = [[None] * width for _ in range(height)]
            self._cursor = None
        frame = read_frame(data, width, height)
        if frame is None:
            self.forget()
            return data
        odd = odd_rows(frame)
        for y in odd:
            self._rows[y] = [None] * width
        changed = self._take(piece for piece in frame.pieces if piece.y not in odd)
        if not changed and not odd and frame.cursor == self._cursor:
            return ""
        self._cursor = frame.cursor
        as_is = _written(piece for piece in frame.pieces if piece.y in odd)
        runs = [run for y in sorted(changed) for run in self._runs(y, sorted(changed[y]))]
        out = f"{as_is}{_sequence(runs)}\x1b[{frame.cursor[0] + 1};{frame.cursor[1] + 1}H"
        shorter = min(out, data, key=len)
        # What was there before may have left attributes.
        return shorter if known else f"{_CLOSED}{shorter}"

    def _take(self, pieces: Iterable[Piece]) -> dict[int, set[int]]:
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
        # Where cells are unknown, half of a wide character may stand beside those that are
        # written: writing over its other half removes it, not every terminal's erasing does.
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
                if 0 < x - end <= GAP and _fits(row[end : x + 1], attribute, blank):
                    end = x + 1
                    continue
                if x == end and blank_of(wanted) == attribute and _all(row[start:end], blank):
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
        """One run; its trailing blanks as an erasure where that is shorter and allowed."""
        row = self._rows[y]
        text = "".join([cell[0] for cell in row[start:end] if cell])
        blank = blank_of(attribute)
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
        # Erasing leaves the cursor where it is.
        yield _Run(blank, y, last, last, "\x1b[K" if to_the_end else f"\x1b[{blanks}X")


def _fits(cells: list[Cell | None], attribute: Attribute, blank: _Blank) -> bool:
    """These cells look the same when written in `attribute`, of which `blank` is the blank."""
    return all(cell is not None and (cell[1] == attribute or cell == blank) for cell in cells)


def _all(cells: list[Cell | None], blank: _Blank) -> bool:
    return all(cell == blank for cell in cells)


@lru_cache(maxsize=4096)
def _blank_cell(attribute: Attribute) -> _Blank:
    return (" ", blank_of(attribute))


@lru_cache(maxsize=1024)
def _cells(text: str, attribute: Attribute) -> list[Cell]:
    """The cells of plain text; blanks with what shows of the attribute on them. Not to be changed.

    Cached: a screen repeats its pieces, and equal lists of the same cells are compared quickly.
    """
    letter, space = attribute, (" ", blank_of(attribute) or attribute)
    return [space if character == " " else (character, letter) for character in text]


# Writing --------------------------------------------------------------------------------------


def _written(pieces: Iterable[Piece]) -> str:
    """Pieces as they came, in their order."""
    out: list[str] = []
    before: Piece | None = None
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
    blank = blank_of((attribute[0], ""))
    return (blank[0] if blank else attribute[0], attribute[0], attribute[1])
