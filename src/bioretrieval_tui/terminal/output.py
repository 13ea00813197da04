"""Screen output in few bytes: only changed cells, with the shortest attribute sequences.

Textual repaints whole widgets and ends every piece of text with a full reset, which is most of the
output over SSH. `ScreenWriter` compares each frame cell by cell with the screen drawn so far, and
makes the sequence of the difference: runs of changed cells grouped by attribute, and blanks as
erasures if the terminal erases with the current background.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

GAP = 5
"""Longest run of unchanged cells that is cheaper to rewrite than to skip."""
ERASE = 12
"""Fewest blanks for which an erasure is cheaper than writing them."""
ERASE_LINE = 8
"""The same for blanks at the end of the line."""

_FLAGS = {
    "bold": 1, "dim": 2, "italic": 3, "underline": 4, "blink": 5, "blink2": 6, "reverse": 7,
    "conceal": 8, "strike": 9, "underline2": 21, "overline": 53,
}  # fmt: skip
"""Attributes of a style, and the SGR codes that begin them."""
_ENDS = {1: 22, 2: 22, 3: 23, 4: 24, 21: 24, 5: 25, 6: 25, 7: 27, 8: 28, 9: 29, 53: 55}
"""Flag -> the code that ends it; bold and dim share one, as do the two underlines."""
_SHOWING = frozenset({4, 5, 6, 7, 9, 21, 53})
"""Flags that are visible on a blank cell: lines, blinking, reversed colours."""


class Attribute(NamedTuple):
    """How a cell is drawn: SGR codes ("" for the default colours) and the URL of a link."""

    back: str = ""
    fore: str = ""
    flags: tuple[int, ...] = ()
    link: str = ""


PLAIN = Attribute()
Cell = tuple[str, Attribute]


class _Run(NamedTuple):
    """Text written at (`y`, `start`); the cursor is then at column `end` (-1: uncertain)."""

    attribute: Attribute
    y: int
    start: int
    end: int
    text: str


class ScreenWriter:
    """Turns frames into the bytes that change the screen since the last frame.

    erases: the terminal erases with the current background (GNU screen does not).
    colours: the colours that the terminal has.
    """

    def __init__(
        self, *, erases: bool = True, colours: ColorSystem = ColorSystem.TRUECOLOR
    ) -> None:
        self.erases = erases
        self.colours = colours
        self._size = (0, 0)
        self._rows: list[list[Cell | None]] = []  # None: the cell is unknown

    def forget(self) -> None:
        """Assume nothing about the screen: another program may have drawn on it."""
        self._size = (0, 0)

    def difference(
        self, pieces: Iterable[tuple[int, int, Iterable[Segment]]], width: int, height: int
    ) -> str:
        """Return the bytes that write a frame on a screen of this size, in cells.

        Args:
            pieces: row, column and segments of each; what lies outside of the screen is cut.
        """
        out = ""
        if self._size != (width, height):
            self._size = (width, height)
            self._rows = [[None] * width for _ in range(height)]
            out = "\x1b]8;;\x1b\\\x1b[0m"  # earlier output may have left a link or attributes
        frame: dict[int, list[tuple[int, list[Segment]]]] = {}
        for y, x, segments in pieces:
            if y < height and x < width:
                frame.setdefault(y, []).append((x, list(segments)))
        odd: list[_Run] = []
        runs: list[_Run] = []
        for y, row in sorted(frame.items()):
            if all(_is_plain(segment.text) for _, segments in row for segment in segments):
                runs += self._runs(y, self._remember(y, row))
            else:
                self._rows[y] = [None] * width
                odd += self._unread(y, row)
        # A cursor move is shorter than a colour, and one colour than two: the background is first.
        runs.sort(key=lambda run: run.attribute)
        return out + _sequence([*odd, *runs])

    def _remember(self, y: int, row: list[tuple[int, list[Segment]]]) -> list[int]:
        """Store what is written on a row; return the columns that change."""
        cells, changed = self._rows[y], set[int]()
        for x, segments in row:
            for segment in segments:
                new = _cells(segment.text, _attribute(segment.style, self.colours))
                new = new[: len(cells) - x]
                if cells[x : x + len(new)] != new:
                    changed.update(at for at, cell in enumerate(new, x) if cells[at] != cell)
                    cells[x : x + len(new)] = new
                x += len(new)
        return sorted(changed)

    def _unread(self, y: int, row: list[tuple[int, list[Segment]]]) -> Iterator[_Run]:
        """The runs of a row that is written as it comes."""
        for x, segments in row:
            for number, segment in enumerate(segments, 1):
                end = x + segment.cell_length
                attribute = _attribute(segment.style, self.colours)
                yield _Run(attribute, y, x, end if number < len(segments) else -1, segment.text)
                x = end

    def _runs(self, y: int, changed: list[int]) -> Iterator[_Run]:
        """Runs of one attribute that cover the changed cells, and erasures."""
        row = self._rows[y]
        start = end = -GAP - 1
        attribute, blank = PLAIN, (" ", PLAIN)
        for x in changed:
            cell = row[x]
            wanted = cell[1] if cell else PLAIN
            if (x == end and (wanted == attribute or cell == blank)) or (
                x - end <= GAP
                and all(
                    between and (between[1] == attribute or between == blank)
                    for between in row[end : x + 1]
                )
            ):
                end = x + 1
            elif (
                x == end
                and _blank_of(wanted) == attribute
                and all(before == blank for before in row[start:end])
            ):
                # Blanks look the same in any colour of the letters that follow them.
                attribute, end = wanted, x + 1
            else:
                yield from self._finished(y, start, end, attribute)
                start, end, attribute = x, x + 1, wanted
                blank = (" ", _blank_of(attribute) or attribute)
        yield from self._finished(y, start, end, attribute)

    def _finished(self, y: int, start: int, end: int, attribute: Attribute) -> Iterator[_Run]:
        """One run; its trailing blanks as an erasure if that is shorter and allowed."""
        row = self._rows[y]
        text = "".join([cell[0] for cell in row[start:end] if cell])
        blank = _blank_of(attribute)
        blanks = len(text) - len(text.rstrip(" "))
        to_the_end = end == len(row)
        # Among unknown cells there may be half of a wide character beside the written ones.
        # Overwriting its other half removes it; erasing does not in every terminal.
        if (
            blanks >= (ERASE_LINE if to_the_end else ERASE)
            and blank is not None
            and (self.erases or blank == PLAIN)
            and None not in row
        ):
            end -= blanks
            # Erasing does not move the cursor.
            yield _Run(blank, y, end, end, "\x1b[K" if to_the_end else f"\x1b[{blanks}X")
            text = text[:-blanks]
        if text:
            yield _Run(attribute, y, start, end, text)


def _is_plain(text: str) -> bool:
    """Whether every character takes one cell in every terminal. A row with others is written as it
    comes: half of a character must not be replaced, and the following columns are uncertain."""
    return text.isascii() or all(character.isascii() or _single(character) for character in text)


@lru_cache(maxsize=4096)
def _single(character: str) -> bool:
    # Some terminals draw a soft hyphen and the like (Cf); regional indicators pair up to flags.
    return (
        cell_len(character) == 1
        and category(character) not in ("Cf", "Mn", "Me", "Mc")
        and not "\U0001f1e6" <= character <= "\U0001f1ff"
    )


@lru_cache(maxsize=1024)
def _cells(text: str, attribute: Attribute) -> list[Cell]:
    """The cells of plain text; blanks have only the visible part of the attribute. Do not modify.

    Cached: screens repeat pieces, and lists of identical cells compare quickly.
    """
    space = (" ", _blank_of(attribute) or attribute)
    return [space if character == " " else (character, attribute) for character in text]


@lru_cache(maxsize=4096)
def _attribute(style: Style | None, colours: ColorSystem) -> Attribute:
    """What a style means on a terminal with these colours."""
    if style is None:
        return PLAIN
    fore, back = (
        color.downgrade(colours).get_ansi_codes(foreground) if color else ()
        for color, foreground in ((style.color, True), (style.bgcolor, False))
    )
    flags = tuple(code for name, code in _FLAGS.items() if getattr(style, name))
    default = (("39",), ("49",))
    return Attribute(
        "" if back in default else ";".join(back), "" if fore in default else ";".join(fore),
        flags, style.link or "",
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _blank_of(attribute: Attribute) -> Attribute | None:
    """The attribute of a blank cell: the background. None if a blank shows more than that."""
    shows = attribute.link or not _SHOWING.isdisjoint(attribute.flags)
    return None if shows else Attribute(attribute.back)


@lru_cache(maxsize=8192)
def _change(sent: Attribute, wanted: Attribute) -> str:
    """The shortest sequence that changes one attribute to another."""
    link = f"\x1b]8;;{wanted.link}\x1b\\" if wanted.link != sent.link else ""
    before, after = sent._replace(link=""), wanted._replace(link="")
    if before == after:
        return link
    if after == PLAIN:
        return f"{link}\x1b[m"
    whole = ";".join(filter(None, (*map(str, after.flags), after.fore, after.back)))
    if before == PLAIN:
        return f"{link}\x1b[{whole}m"
    ends = {_ENDS[flag] for flag in before.flags if flag not in after.flags}
    kept = {flag for flag in before.flags if _ENDS[flag] not in ends}
    codes = [*map(str, sorted(ends)), *(str(flag) for flag in after.flags if flag not in kept)]
    if before.fore != after.fore:
        codes.append(after.fore or "39")
    if before.back != after.back:
        codes.append(after.back or "49")
    return link + min(f"\x1b[{';'.join(codes)}m", f"\x1b[0;{whole}m", key=len)


def _sequence(runs: Iterable[_Run]) -> str:
    out: list[str] = []
    y = x = -1
    sent = PLAIN
    for run in runs:
        if run.y == y and 0 <= x < run.start:
            out.append(f"\x1b[{run.start - x}C")
        elif run.y != y or run.start != x:
            out.append(f"\x1b[{run.y + 1};{run.start + 1}H")
        out += [_change(sent, run.attribute), run.text]
        y, x, sent = run.y, run.end, run.attribute
    return "".join([*out, _change(sent, PLAIN)])
