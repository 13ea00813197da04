"""A terminal for tests: what a stream of output shows, cell by cell.

Written from the documents of xterm and ECMA-48 and sharing no code with what it judges. It knows
what pyte does not: links, the alternate screen, erasing with the background alone, and that half
of a wide character goes when the other half is overwritten.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import NamedTuple

from wcwidth import wcwidth

_TOKEN = re.compile(
    r"\x1b\[(?P<mark>[<=>?]?)(?P<words>[0-9;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1bP(?P<dcs>(?:[^\x1b]|\x1b\x1b)*)\x1b\\"
    r"|\x1b(?P<escape>[78=>]|\(B)"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x9f])"
)
_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "under", 5: "blink", 7: "reverse", 8: "hide"}
_FLAGS |= {9: "strike", 21: "double", 53: "over"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("under", "double"), 25: ("blink",)}
_ENDS |= {27: ("reverse",), 28: ("hide",), 29: ("strike",), 55: ("over",)}
_ON_BLANKS = frozenset({"under", "double", "blink", "reverse", "strike", "over"})
_REPORTS = frozenset({"\x1b[>c", "\x1b[>q", "\x1b[?2026$p", "\x1b[?2048$p"})
_ALTERNATE = frozenset({47, 1047, 1049})


class Cell(NamedTuple):
    """One cell; a wide character stands in its first, and its second has no text."""

    text: str = " "
    fore: str = ""
    back: str = ""
    flags: frozenset[str] = frozenset()
    link: str = ""

    @property
    def shown(self) -> Cell:
        """The cell as it looks: letters' attributes do not show on a blank."""
        if self.text == " " and not self.flags & _ON_BLANKS:
            return Cell(" ", "", self.back, frozenset(), self.link)
        return self


class Terminal:
    """A screen of `width` by `height` cells that is fed with output.

    bce: erasing takes the background in force. mends: erasing half of a wide character removes
    the other half, as writing always does.
    """

    def __init__(self, width: int, height: int, *, bce: bool = True, mends: bool = True) -> None:
        self.width, self.height = width, height
        self.bce, self.mends = bce, mends
        self.y = self.x = 0
        self.about_to_wrap = False
        self.pen = Cell()
        self.modes: set[int] = {7, 25}
        self.strings: list[str] = []
        """Operating system commands that came, links aside: titles, the clipboard."""
        self.unknown: list[str] = []
        self.rows = self._blank_rows()
        self._main: tuple[list[list[Cell]], int, int] | None = None
        self._saved = (0, 0, Cell())
        self._held = ""
        self._last = " "
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    # Reading the screen --------------------------------------------------------------------

    @property
    def shown(self) -> list[list[Cell]]:
        """Every cell as it looks."""
        return [[cell.shown for cell in row] for row in self.rows]

    def same(self, other: Terminal) -> bool:
        """Whether both look the same: what `shown` of both compares, in less time."""
        return all(
            one == two or [cell.shown for cell in one] == [cell.shown for cell in two]
            for one, two in zip(self.rows, other.rows, strict=True)
        )

    @property
    def lines(self) -> list[str]:
        """The text of every row."""
        return ["".join(cell.text for cell in row).rstrip() for row in self.rows]

    @property
    def text(self) -> str:
        """The text of the screen."""
        return "\n".join(self.lines)

    @property
    def alternate(self) -> bool:
        """The alternate screen is shown."""
        return self._main is not None

    @property
    def links(self) -> set[str]:
        """Addresses of the links on the screen."""
        return {cell.link for row in self.rows for cell in row if cell.link}

    # Feeding -------------------------------------------------------------------------------

    def feed_bytes(self, data: bytes) -> None:
        """Take output in pieces of any length."""
        self.feed(self._decoder.decode(data))

    def feed(self, data: str) -> None:
        """Take output; an unfinished sequence at its end waits for the rest."""
        data, self._held = self._held + data, ""
        at = 0
        while at < len(data):
            match = _TOKEN.match(data, at)
            if match is None:
                self._held = data[at:]
                return
            at = match.end()
            if match["text"]:
                for character in match["text"]:
                    self._put(character)
            elif match["control"]:
                self._control(match["control"])
            elif match["final"]:
                self._sequence(match)
            elif match["osc"] is not None:
                self._string(match["osc"])
            elif match["escape"]:
                self._escape(match["escape"])

    def resize(self, width: int, height: int) -> None:
        """Another size: what is cut off is lost, what is new is blank."""
        for row in self.rows:
            self._mend(row, width, width)
        self.rows = [(row + [Cell()] * width)[:width] for row in self.rows[:height]]
        self.rows += [[Cell()] * width for _ in range(height - len(self.rows))]
        self.width, self.height = width, height
        self._place(self.y, self.x)

    # Drawing -------------------------------------------------------------------------------

    def _put(self, character: str) -> None:
        size = wcwidth(character)
        if size <= 0:
            self._combine(character)
            return
        if size > self.width:
            return
        if self.about_to_wrap or self.x + size > self.width:
            if 7 in self.modes:
                self.x = 0
                self._down()
            else:
                self.x = self.width - size
            self.about_to_wrap = False
        row = self.rows[self.y]
        end = self.x + size
        self._mend(row, self.x, end)
        row[self.x] = self.pen._replace(text=character)
        row[self.x + 1 : end] = [self.pen._replace(text="")] * (size - 1)
        self._last = character
        self.x = end
        if end == self.width:
            self.x, self.about_to_wrap = end - 1, True

    def _combine(self, mark: str) -> None:
        row = self.rows[self.y]
        at = self.x if self.about_to_wrap else self.x - 1
        if at > 0 and row[at].text == "":
            at -= 1
        if at >= 0:
            row[at] = row[at]._replace(text=row[at].text + mark)

    @staticmethod
    def _mend(row: list[Cell], start: int, end: int) -> None:
        """Blank the halves of wide characters whose other half is about to go."""
        if start < len(row) and row[start].text == "":
            row[start - 1] = row[start - 1]._replace(text=" ")
        if end < len(row) and row[end].text == "":
            row[end] = row[end]._replace(text=" ")

    def _erase(self, y: int, start: int, end: int) -> None:
        row = self.rows[y]
        if self.mends:
            self._mend(row, start, end)
        row[start:end] = [self._blank()] * (end - start)

    def _blank(self) -> Cell:
        return Cell(back=self.pen.back if self.bce else "")

    def _blank_rows(self) -> list[list[Cell]]:
        return [[self._blank()] * self.width for _ in range(self.height)]

    def _down(self) -> None:
        if self.y + 1 < self.height:
            self.y += 1
        else:
            self.rows = [*self.rows[1:], [self._blank()] * self.width]

    def _place(self, y: int, x: int) -> None:
        self.y = min(max(0, y), self.height - 1)
        self.x = min(max(0, x), self.width - 1)
        self.about_to_wrap = False

    # Controls ------------------------------------------------------------------------------

    def _control(self, control: str) -> None:
        if control == "\r":
            self._place(self.y, 0)
        elif control == "\n":
            self._down()
            self.about_to_wrap = False
        elif control == "\b":
            self._place(self.y, self.x - 1)
        elif control != "\x07":
            self.unknown.append(control)

    def _escape(self, final: str) -> None:
        if final == "7":
            self._saved = (self.y, self.x, self.pen)
        elif final == "8":
            y, x, self.pen = self._saved
            self._place(y, x)

    def _string(self, body: str) -> None:
        if body.startswith("8;"):
            self.pen = self.pen._replace(link=body.split(";", 2)[2])
        else:
            self.strings.append(body)

    def _sequence(self, match: re.Match[str]) -> None:
        final, mark = match["final"], match["mark"]
        if mark or match["between"]:
            if mark == "?" and final in "hl" and not match["between"]:
                for word in match["words"].split(";"):
                    self._mode(int(word), on=final == "h")
            elif match[0] not in _REPORTS and final != "u":
                self.unknown.append(match[0])
            return
        if final == "m":
            self._style(match["words"])
            return
        numbers = [int(word or 0) for word in match["words"].split(";")]
        first = max(1, numbers[0])
        if final in "Hf":
            column = max(1, numbers[1]) if len(numbers) > 1 else 1
            self._place(first - 1, column - 1)
        elif final in "ABCDGd":
            rows = {"A": -first, "B": first}.get(final, 0)
            columns = {"C": first, "D": -first}.get(final, 0)
            y = first - 1 if final == "d" else self.y + rows
            x = first - 1 if final == "G" else self.x + columns
            self._place(y, x)
        elif final == "X":
            self._erase(self.y, self.x, min(self.x + first, self.width))
            self.about_to_wrap = False
        elif final == "K":
            start, end = self._span(numbers[0], self.x, self.width)
            self._erase(self.y, start, end)
            self.about_to_wrap = False
        elif final == "J":
            start, end = self._span(numbers[0], self.y, self.height)
            for y in range(start, end):
                if y != self.y:
                    self._erase(y, 0, self.width)
            self._erase(self.y, *self._span(numbers[0], self.x, self.width))
        elif final == "b":
            for _ in range(first):
                self._put(self._last)
        elif final not in "cntr":
            self.unknown.append(match[0])

    @staticmethod
    def _span(how: int, at: int, size: int) -> tuple[int, int]:
        return (at, size) if how == 0 else (0, at + 1) if how == 1 else (0, size)

    def _mode(self, mode: int, *, on: bool) -> None:
        if on:
            self.modes.add(mode)
        else:
            self.modes.discard(mode)
        if mode not in _ALTERNATE:
            return
        if on and self._main is None:
            self._main = (self.rows, self.y, self.x)
            self.rows = self._blank_rows()
        elif not on and self._main is not None:
            self.rows, y, x = self._main
            self._main = None
            self.resize(self.width, self.height)
            self._place(y, x)

    # Attributes ----------------------------------------------------------------------------

    def _style(self, words: str) -> None:
        rest = iter(words.split(";"))
        for word in rest:
            if ":" in word:
                self.unknown.append(f"\x1b[{word}m")
                continue
            code = int(word or 0)
            flags = self.pen.flags
            if code == 0:
                self.pen = Cell(link=self.pen.link)
            elif code in _FLAGS:
                self.pen = self.pen._replace(flags=flags | {_FLAGS[code]})
            elif code in _ENDS:
                self.pen = self.pen._replace(flags=flags - set(_ENDS[code]))
            elif code in (38, 48):
                colour = self._colour(rest)
                self.pen = self.pen._replace(**{"fore" if code == 38 else "back": colour})
            elif code == 39 or 30 <= code <= 37 or 90 <= code <= 97:
                self.pen = self.pen._replace(fore="" if code == 39 else str(code))
            elif code == 49 or 40 <= code <= 47 or 100 <= code <= 107:
                self.pen = self.pen._replace(back="" if code == 49 else str(code))
            else:
                self.unknown.append(f"\x1b[{word}m")

    @staticmethod
    def _colour(rest: Iterable[str]) -> str:
        words = iter(rest)
        kind = next(words)
        return ";".join((kind, *(next(words) for _ in range({"5": 1, "2": 3}[kind]))))
