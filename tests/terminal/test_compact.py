"""The compactor: what it writes shows the same screen as what it was given, in fewer bytes.

Three judges: a small terminal written here, which knows dim, links and the sequences that the
compactor does not follow; pyte; and a real tmux.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.terminal.compact import Compactor

WIDTH, HEIGHT = 12, 5
Cell = tuple[Any, ...]


class Terminal:
    """A terminal of our own: one character at a time, attributes as a dictionary."""

    def __init__(self) -> None:
        self.style: dict[str, str] = {}
        self.link = ""
        self.saved: tuple[int, int, dict[str, str]] = (0, 0, {})
        self.row = self.column = 0
        self.rows = [[self.blank() for _ in range(WIDTH)] for _ in range(HEIGHT)]
        self.titles: list[str] = []

    def blank(self) -> Cell:
        return (" ", self.style.get("back"), "")

    def show(self, data: str) -> None:
        while data:
            if found := re.match(r"\x1b\[([?>]?)([0-9;:]*)([A-Za-z@])", data):
                if not found[1]:
                    self.csi(found[2], found[3])
            elif found := re.match(r"\x1b\]8;([^;]*);([^\x07\x1b]*)(?:\x07|\x1b\\)", data):
                self.link = f"{found[1]}>{found[2]}" if found[2] else ""
            elif found := re.match(r"\x1b\]([^\x07\x1b]*)(?:\x07|\x1b\\)", data):
                self.titles.append(found[1])
            elif found := re.match(r"\x1b[78]", data):
                if found[0] == "\x1b7":
                    self.saved = (self.row, self.column, dict(self.style))
                else:
                    self.row, self.column, style = self.saved
                    self.style = dict(style)
            else:
                self.put(data[0])
                data = data[1:]
                continue
            data = data[found.end() :]

    def put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.down()
        else:
            assert character.isprintable(), repr(character)
            if self.column == WIDTH:
                self.column = 0
                self.down()
            look = dict(self.style)
            back = look.pop("back", None)
            on_blanks = {"under", "over", "blink", "reverse", "strike"}
            if character == " " and not look.keys() & on_blanks:
                look = {}  # nothing of the others shows on a space
            cell = (character, back, self.link, *sorted(look.items()))
            self.rows[self.row][self.column] = cell
            self.column += 1

    def down(self) -> None:
        if self.row < HEIGHT - 1:
            self.row += 1
        else:
            self.rows = [*self.rows[1:], [self.blank() for _ in range(WIDTH)]]

    def csi(self, parameters: str, final: str) -> None:
        if final == "m":
            self.sgr(parameters)
        numbers = [int(part) for part in parameters.split(";") if part.isdigit()]
        column = min(self.column, WIDTH - 1)
        if final == "H":
            row, at = [*numbers, 1, 1][:2]
            self.row, self.column = min(row, HEIGHT) - 1, min(at, WIDTH) - 1
        elif final == "C":
            self.column = min(column + (numbers or [1])[0], WIDTH - 1)
        elif final == "K":
            self.rows[self.row][column:] = [self.blank() for _ in range(column, WIDTH)]
        elif final == "J":
            self.rows = [[self.blank() for _ in range(WIDTH)] for _ in range(HEIGHT)]
        elif final == "X":
            end = min(column + (numbers or [1])[0], WIDTH)
            self.rows[self.row][column:end] = [self.blank() for _ in range(column, end)]

    def sgr(self, parameters: str) -> None:
        words = parameters.split(";")
        while words:
            word = words.pop(0)
            code = word if ":" in word else str(int(word or 0))
            names = {"1": "bold", "2": "dim", "3": "italic", "5": "blink", "7": "reverse"}
            names |= {"8": "conceal", "9": "strike", "53": "over"}
            ends = {"23": "italic", "24": "under", "25": "blink", "27": "reverse"}
            ends |= {"28": "conceal", "29": "strike", "55": "over", "39": "fore", "49": "back"}
            if code == "0":
                self.style = {}
            elif code in names:
                self.style[names[code]] = "on"
            elif code in ("4", "4:3", "21"):
                self.style["under"] = code
            elif code == "22":
                self.style.pop("bold", None)
                self.style.pop("dim", None)
            elif code in ends:
                self.style.pop(ends[code], None)
            elif code in ("38", "48"):
                count = 2 if words[0] == "5" else 4
                self.style["fore" if code == "38" else "back"] = ";".join(words[:count])
                words = words[count:]
            elif code[0] in "349" and len(code) == 2:
                self.style["back" if code[0] == "4" else "fore"] = code
            elif len(code) == 3:
                self.style["back"] = code
            else:
                raise AssertionError(f"the streams of this test have no {code}")


numbers = st.integers(0, 255)
colours = st.one_of(
    st.sampled_from(["30", "31", "37", "39", "42", "46", "49", "91", "97", "103"]),
    st.builds("{};5;{}".format, st.sampled_from(["38", "48"]), st.sampled_from([0, 1, 7, 200])),
    st.builds("{};2;{};0;{}".format, st.sampled_from(["38", "48"]), numbers, numbers),
)
attributes = st.sampled_from(
    ["0", "", "1", "2", "3", "4", "5", "7", "8", "9", "22", "23", "24", "25", "27", "28", "29"]
)
styles = st.lists(st.one_of(colours, attributes), min_size=1, max_size=4).map(
    lambda codes: f"\x1b[{';'.join(codes)}m"
)
unfollowed = st.sampled_from(["\x1b[4:3m", "\x1b[21m", "\x1b[53m", "\x1b[1;55;31m", "\x1b[0;4:3m"])
words = st.one_of(
    st.text(alphabet="ab c~éΩ ", min_size=1, max_size=6), st.sampled_from([" ", "   "])
)
moves = st.one_of(
    st.builds("\x1b[{};{}H".format, st.integers(1, HEIGHT), st.integers(1, WIDTH)),
    st.sampled_from(["\r\n", "\n", "\r", "\x1b[2C", "\x1b[?25l", "\x1b[?2026h", "\x1b[?2026l"]),
)
erasures = st.sampled_from(["\x1b[K", "\x1b[2J", "\x1b[3X"])
addresses = st.sampled_from(["", "https://a.example/x;y=1", "https://b.example/?q=a\\"])
links = st.builds(
    "\x1b]8;{};{}{}".format,
    st.sampled_from(["", "id=1", "id=2"]),
    addresses,
    st.sampled_from(["\x1b\\", "\x07"]),
)
# As rich writes it: a link around a style around a text, each closed at once.
segments = st.builds("{}{}\x1b[0m".format, styles, words)
linked = st.builds("\x1b]8;id=7;https://a.example/\x1b\\{}\x1b]8;;\x1b\\".format, segments)
followed = st.one_of(segments, segments, linked, styles, words, moves, erasures, links)
anything = st.one_of(
    followed, unfollowed, st.sampled_from(["\x1b7", "\x1b8", "\x1b]0;title\x07", "\x1b[>1u"])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(anything, max_size=12).map("".join), max_size=4))
def test_shows_the_same_on_a_terminal_that_knows_everything(feeds: list[str]) -> None:
    raw, short, compactor = Terminal(), Terminal(), Compactor()
    for feed in feeds:
        raw.show(feed)
        short.show(compactor.feed(feed))
        assert short.rows == raw.rows
        assert (short.row, short.column) == (raw.row, raw.column)
        assert short.titles == raw.titles


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(followed, min_size=1, max_size=12).map("".join), min_size=1, max_size=4))
def test_leaves_nothing_behind_after_each_feed(feeds: list[str]) -> None:
    compactor, terminal = Compactor(), Terminal()
    terminal.show(compactor.feed("\x1b[0m\x1b]8;;\x07"))
    for feed in feeds:
        terminal.show(compactor.feed(feed))
        assert terminal.style == {}
        assert terminal.link == ""


@settings(max_examples=100, deadline=None)
@given(st.lists(anything, max_size=20).map("".join), st.data())
def test_a_stream_may_be_cut_anywhere(stream: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, cut, compactor = Terminal(), Terminal(), Compactor()
    whole.show(Compactor().feed(stream))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cut.show(compactor.feed(stream[start:end]))
    assert compactor.flush() == ""
    assert cut.rows == whole.rows


def pyte_cells(screen: pyte.Screen) -> list[list[Cell]]:
    """The screen of pyte, with blanks reduced to what shows on them.

    pyte paints erased cells with every attribute; of terminals that are in use none does.
    """
    rows = []
    for y in range(screen.lines):
        row: list[Cell] = []
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            shows = cell.underscore or cell.strikethrough or cell.reverse or cell.blink
            row.append((" ", cell.bg) if cell.data == " " and not shows else tuple(cell))
        rows.append(row)
    return rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.one_of(followed, st.just("漢字 ")), max_size=10).map("".join)))
def test_shows_the_same_in_pyte(feeds: list[str]) -> None:
    raw, short, compactor = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT), Compactor()
    to_raw, to_short = pyte.Stream(raw), pyte.Stream(short)
    for feed in feeds:
        to_raw.feed(feed)
        to_short.feed(compactor.feed(feed))
        assert pyte_cells(short) == pyte_cells(raw)
        assert (short.cursor.y, short.cursor.x) == (raw.cursor.y, raw.cursor.x)


def ready() -> Compactor:
    compactor = Compactor()
    compactor.feed("\x1b[0m\x1b]8;;\x1b\\")
    return compactor


LINKED = "\x1b]8;id=1;u:a\x1b\\\x1b[1ma\x1b[0m\x1b]8;;\x1b\\"


@pytest.mark.parametrize(
    ("raw", "short"),
    [
        ("\x1b[31ma\x1b[0m\x1b[31mb\x1b[0m", "\x1b[31mab\x1b[m"),
        ("\x1b[1;31ma\x1b[0m\x1b[31mb\x1b[0m", "\x1b[1;31ma\x1b[22mb\x1b[m"),
        ("\x1b[1;2ma\x1b[0m\x1b[2mb\x1b[0m", "\x1b[1;2ma\x1b[0;2mb\x1b[m"),
        ("\x1b[1;31;42ma\x1b[0m\x1b[1mb\x1b[0m", "\x1b[1;31;42ma\x1b[0;1mb\x1b[m"),
        ("\x1b[31ma\x1b[0m\x1b[2;1H\x1b[31mb\x1b[0m", "\x1b[31ma\x1b[2;1Hb\x1b[m"),
        ("\x1b[31;44ma\x1b[0m\x1b[1;32;44m  \x1b[0m", "\x1b[31;44ma  \x1b[m"),
        ("\x1b[31ma\x1b[0m\x1b[7;32m  \x1b[0m", "\x1b[31ma\x1b[7;32m  \x1b[m"),
        ("\x1b[7;31ma\x1b[0m\x1b[32m  \x1b[0m", "\x1b[7;31ma\x1b[0;32m  \x1b[m"),
        ("\x1b[4ma\x1b[0m\x1b[1m  \x1b[0mb", "\x1b[4ma\x1b[0;1m  \x1b[mb"),
        ("\x1b[31m\x1b[0m\x1b[5;5H", "\x1b[5;5H"),
        ("\x1b[031;0042ma", "\x1b[31;42ma\x1b[m"),
        (2 * LINKED + "c", "\x1b[1m\x1b]8;id=1;u:a\x1b\\aa\x1b[m\x1b]8;;\x1b\\c"),
    ],
)
def test_writes_only_the_difference(raw: str, short: str) -> None:
    assert ready().feed(raw) == short


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]52;c;aGVsbG8=\x07",
        "\x1bPtmux;\x1b\x1b]52;c;aGVsbG8=\x07\x1b\\",
        "\x1bP\x1b]52;c;aGVs\x1b\\\x1bPbG8=\x07\x1b\\",
        "\x1b[?1049h",
        "\x1b[>4;2m",
        "\x1b[3 q",
        "\x1b(0",
        "\x1bc",
    ],
)
def test_other_sequences_pass_untouched(sequence: str) -> None:
    assert ready().feed(sequence) == sequence
    assert ready().feed(f"{sequence}a") == f"{sequence}a"
    # And from within a sequence that is cut in two.
    for cut in range(1, len(sequence)):
        compactor = ready()
        assert compactor.feed(sequence[:cut]) + compactor.feed(sequence[cut:]) == sequence


def test_a_restored_cursor_brings_its_colours_back() -> None:
    # After ESC 8 the colours are what they were at ESC 7; only a reset makes them known again.
    compactor = ready()
    assert compactor.feed("\x1b[31m\x1b7\x1b[0ma\x1b8b") == "\x1b[31m\x1b7\x1b[ma\x1b8b"
    assert compactor.feed("\x1b[0mc") == "\x1b[mc"


def test_an_unfinished_sequence_waits_and_can_be_had_at_the_end() -> None:
    compactor = ready()
    assert compactor.feed("a\x1b[3") == "a"
    assert compactor.feed("1mb\x1b]8;;htt") == "\x1b[31mb\x1b[m"
    assert compactor.flush() == "\x1b]8;;htt"
    assert compactor.flush() == ""


def test_a_string_without_end_is_not_held_for_ever() -> None:
    compactor = ready()
    written = "".join(compactor.feed("x" * 100_000) for _ in range(12))
    assert len(written) == 1_200_000
    opened = compactor.feed("\x1b]0;")
    opened += "".join(compactor.feed("x" * 100_000) for _ in range(12))
    assert len(opened) > 1_000_000


def test_forgetting_starts_from_an_unknown_terminal() -> None:
    compactor = ready()
    compactor.feed("\x1b[31ma")
    compactor.forget()
    # What another program left in force is what this text would have had.
    assert compactor.feed("b\x1b[0;1mc\x1b[0m") == "b\x1b[0;1mc\x1b[m"


STREAMS = {
    "blanks": "\x1b[1;31;44mone\x1b[0m\x1b[1m two\x1b[0m\x1b[2;3H\x1b[7;38;5;200mr  \x1b[0m\x1b[K",
    "erased": "\x1b[48;2;10;20;30m\x1b[2J\x1b[0m\x1b[3;1H\x1b[2;3;4;9mx y\x1b[22mz\x1b[0m\r\n",
    "unfollowed": "\x1b[31ma\x1b[0m\x1b[31mb\x1b[0m\x1b[4:3mcurl\x1b[0m\x1b[53mo\x1b[0;1mx\x1b[0m",
    "scrolled": "".join(
        f"\x1b[{30 + n % 8};{40 + n % 7}mrow {n} \x1b[0m\x1b[42m\r\n\x1b[0m" for n in range(30)
    ),
    "restored": "\x1b[33m\x1b7\x1b[0;45mab\x1b8cd\x1b[0me\x1b[1mf\x1b[3X\x1b[0m",
}


@pytest.fixture(scope="module")
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    # A short folder: the path of a socket may have 108 bytes at most.
    socket = tmp_path_factory.mktemp("t") / "s"
    command = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    start = ["new-session", "-d", "-x", "40", "-y", "10", "exec sleep 1000"]
    subprocess.run([*command, *start], check=True, env=_plain_environment())
    yield command
    subprocess.run([*command, "kill-server"], check=False)


def _plain_environment() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def shown_by_tmux(tmux: list[str], output: str, folder: Path) -> str:
    """What tmux holds, attributes and all, once the end of `output` has arrived."""
    file = folder / "output"
    file.write_text(output + "\x1b[0m\x1b[10;36HEND", newline="")
    command = f"stty raw; cat '{file}'; exec sleep 1000"
    subprocess.run([*tmux, "respawn-pane", "-k", command], check=True)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        capture = [*tmux, "capture-pane", "-e", "-p"]
        screen = subprocess.run(capture, check=True, capture_output=True, text=True).stdout
        if "END" in screen:
            return screen
        time.sleep(0.02)
    raise AssertionError("tmux did not show the end of the output")


@pytest.mark.parametrize("name", STREAMS)
def test_shows_the_same_in_tmux(name: str, tmux: list[str], tmp_path: Path) -> None:
    stream = STREAMS[name]
    short = ready().feed(stream)
    assert short != stream
    assert shown_by_tmux(tmux, short, tmp_path) == shown_by_tmux(tmux, stream, tmp_path)
