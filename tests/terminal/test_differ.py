"""The differ: after every frame its stream and the raw one show the same screen.

Judged by the reference terminal of these tests, by pyte and by a real tmux; and with the
compactor behind it, as the driver has it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reference import Cell, Terminal

from bioretrieval_tui.terminal.compact import Compactor
from bioretrieval_tui.terminal.differ import ScreenDiffer

WIDTH, HEIGHT = 30, 5
CLOSED = "\x1b]8;;\x1b\\\x1b[0m"

# Frames as Textual writes them ------------------------------------------------------------------

colours = st.sampled_from(["31", "38;5;4", "38;2;250;250;250", "48;2;10;10;11", "44", "97;103"])
flags = st.sampled_from(["1", "2", "3", "4", "5", "7", "8", "9", "21", "53", "22;24"])
styles = st.one_of(
    st.sampled_from(["", "", "38;2;250;250;250;48;2;10;10;11", "48;2;10;10;11", "44"]),
    st.lists(st.one_of(colours, flags), min_size=1, max_size=4).map(";".join),
)
plain_texts = st.one_of(
    st.text(alphabet="ab    ", min_size=1, max_size=12),
    st.sampled_from(["│ ", "▌β-é", "a               ", " " * WIDTH, "x" * WIDTH]),
)
# Wide, combining (also at the beginning), joined, coloured, and flags: nobody agrees on the last.
odd_texts = st.sampled_from(
    [
        "漢字 a",
        "漢",
        "e\u0301x",
        "\u0301a",
        "a\u200db",
        "👩\u200d🔬 ",
        "👍🏽",
        "🇨🇭",
        "a\xadb",
        "❤\ufe0f",
    ]
)
links = st.sampled_from(["", "", "", "https://a.example/", "https://b.example/?q=1"])


@dataclass(frozen=True)
class Segment:
    """A text as rich renders it: a link around a style around the text, closed at once."""

    style: str
    text: str
    link: str = ""

    def __str__(self) -> str:
        styled = f"\x1b[{self.style}m{self.text}\x1b[0m" if self.style else self.text
        return f"\x1b]8;id=1;{self.link}\x1b\\{styled}\x1b]8;;\x1b\\" if self.link else styled


@dataclass(frozen=True)
class Write:
    """Segments from a place on; what does not fit is cut by `frame`."""

    y: int
    x: int
    segments: tuple[Segment, ...]


def frame(writes: list[Write], width: int, height: int, cursor: tuple[int, int] = (0, 0)) -> str:
    """One frame for a screen of this size."""
    rows = []
    for write in sorted(writes, key=lambda write: write.y):
        if write.y >= height or write.x >= width:
            continue
        out, room = f"\x1b[{write.y + 1};{write.x + 1}H", width - write.x
        for segment in write.segments:
            cut = Segment(segment.style, segment.text[:room], segment.link)
            if cut.text and cells(cut.text) <= room:
                out += str(cut)
                room -= cells(cut.text)
        rows.append(out)
    return "\n".join(rows) + f"\x1b[{cursor[0] + 1};{cursor[1] + 1}H"


def cells(text: str) -> int:
    """Cells that a renderer reckons with."""
    from rich.cells import cell_len

    return cell_len(text)


def writes_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Write]]:
    segments = st.builds(Segment, styles, texts, links)
    one = st.builds(
        Write,
        st.integers(0, HEIGHT),
        st.one_of(st.just(0), st.integers(0, WIDTH)),
        st.lists(segments, min_size=1, max_size=4).map(tuple),
    )
    return st.lists(one, max_size=6)


# What happens to a screen -----------------------------------------------------------------------

HARMLESS = ["\x1b[?25l", "\x1b[?2026h", "\x1b]0;title\x07", "\x1b]52;c;YQ==\x07", "\x1b[>25u"]
PAINTING = [
    "\x1b[2J", "\x1b[44m\x1b[2J\x1b[0m", "\x1b[?1049h", "\x1b[?1049l", "\x1b[2;3Hfree\x1b[K",
    "\x1b[1;1H\x1b[31mred\x1b[3;1H\x1b[0m", "\x1b[1;1Ha\x1b[Kb\x1b[2;2H", "漢", "\x1b[?25;1049h",
    "\x1b[1;28H漢漢漢\x1b[1;1H", "\x1b[5;1Hlast\nnew\x1b[1;1H",
    "\x1b]8;;https://c.example/\x1b\\\x1b[3;3Hlinked\x1b]8;;\x1b\\",
]  # fmt: skip
FOREIGN = ["\x1b[2;2Hwall: \x1b[7mmessage\x1b[0m", "\x1b[3;10H漢字漢字", "\x1b[41m\x1b[2J\x1b[0m"]

sizes = st.tuples(st.integers(1, WIDTH + 8), st.integers(1, HEIGHT + 2))


@dataclass(frozen=True)
class Frame:
    writes: list[Write]
    cursor: tuple[int, int]


@dataclass(frozen=True)
class Again:
    """An earlier frame once more, as when a whole screen is repainted."""

    back: int


@dataclass(frozen=True)
class Raw:
    data: str


@dataclass(frozen=True)
class Size:
    size: tuple[int, int]


@dataclass(frozen=True)
class Drawn:
    """Another program draws; then the app is told to forget."""

    data: str


Step = Frame | Again | Raw | Size | Drawn


def steps_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Step]]:
    places = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1))
    frames = st.builds(Frame, writes_of(texts), st.one_of(st.just((0, 0)), places))
    others = st.one_of(
        st.builds(Raw, st.sampled_from(HARMLESS + PAINTING)),
        st.builds(Size, sizes),
        st.builds(Drawn, st.sampled_from(FOREIGN)),
    )
    again = st.builds(Again, st.integers(1, 3))
    return st.lists(st.one_of(frames, frames, frames, again, others), max_size=9)


class Pair:
    """Two terminals: one is fed what a renderer writes, one what the driver makes of it."""

    def __init__(self, terminal: Callable[[int, int], Terminal], erases: bool) -> None:
        self.raw, self.short = terminal(WIDTH, HEIGHT), terminal(WIDTH, HEIGHT)
        self.differ, self.compactor = ScreenDiffer(erases=erases), Compactor()
        self.frames: list[Frame] = []
        self.sizes = [0, 0]
        self.feed("\x1b[?7l")

    def feed(self, data: str) -> tuple[str, str]:
        """What the differ, and then the compactor, makes of some output."""
        differing = self.differ.feed(data, self.raw.width, self.raw.height)
        shorter = self.compactor.feed(differing)
        self.raw.feed(data)
        self.short.feed(shorter)
        self.sizes[0] += len(data)
        self.sizes[1] += len(shorter)
        return differing, shorter

    def take(self, step: Step) -> None:
        """Do one step and compare."""
        if isinstance(step, Again):
            if len(self.frames) < step.back:
                return
            step = self.frames[-step.back]
        if isinstance(step, Frame):
            self.frames.append(step)
            self.draw(step)
        elif isinstance(step, Raw):
            self.feed(step.data)
        elif isinstance(step, Size):
            for terminal in (self.raw, self.short):
                terminal.resize(*step.size)
        else:
            for terminal in (self.raw, self.short):
                terminal.feed(step.data)
            self.differ.forget()
            self.compactor.forget()
        self.compare()

    def draw(self, step: Frame) -> None:
        cursor = min(step.cursor[0], self.raw.height - 1), min(step.cursor[1], self.raw.width - 1)
        data = frame(step.writes, self.raw.width, self.raw.height, cursor)
        differing, shorter = self.feed(data)
        event("unchanged" if not differing else "as it is" if differing == data else "differing")
        # Eleven bytes make an unknown terminal plain; nothing else may come on top.
        assert len(differing) <= len(data) + len(CLOSED)
        assert len(shorter) <= 1.1 * len(data) + len(CLOSED)

    def compare(self) -> None:
        assert self.short.shown == self.raw.shown
        assert (self.short.y, self.short.x) == (self.raw.y, self.raw.x)
        assert self.short.modes == self.raw.modes
        assert self.short.strings == self.raw.strings
        assert self.short.unknown == []


KINDS = {
    "erases with the background": (lambda w, h: Terminal(w, h), True),
    "erasing leaves halves": (lambda w, h: Terminal(w, h, mends=False), True),
    "erases without it": (lambda w, h: Terminal(w, h, bce=False), False),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps_of(st.one_of(plain_texts, plain_texts, odd_texts)))
def test_shows_the_same_after_every_step(kind: str, steps: list[Step]) -> None:
    pair = Pair(*KINDS[kind])
    for step in steps:
        pair.take(step)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps_of(plain_texts))
def test_shows_the_same_after_every_step_of_plain_text(steps: list[Step]) -> None:
    pair = Pair(*KINDS["erases with the background"])
    for step in steps:
        pair.take(step)


class PyteTerminal:
    """pyte, with blanks reduced to what shows: it paints erased cells with every attribute."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.feed = pyte.Stream(self.screen).feed

    def cells(self) -> list[tuple[object, ...]]:
        shown = []
        for y in range(HEIGHT):
            for x in range(WIDTH):
                cell = self.screen.buffer[y][x]
                shows = cell.underscore or cell.strikethrough or cell.reverse or cell.blink
                blank = cell.data == " " and not shows
                shown.append((" ", cell.bg) if blank else tuple(cell))
        return shown


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(writes_of(plain_texts), max_size=6))
def test_shows_the_same_in_pyte(frames: list[list[Write]]) -> None:
    raw, short = PyteTerminal(), PyteTerminal()
    differ, compactor = ScreenDiffer(), Compactor()
    for writes in frames:
        data = frame(writes, WIDTH, HEIGHT)
        # pyte does not know 21 and 53, and has no dim or blinking to tell blanks by.
        data = re.sub(r"(?<=[\[;])(21|53)(?=[;m])", "4", data)
        raw.feed(data)
        short.feed(compactor.feed(differ.feed(data, WIDTH, HEIGHT)))
        assert short.cells() == raw.cells()


# The reference itself ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(writes_of(plain_texts), max_size=4))
def test_the_reference_agrees_with_pyte(frames: list[list[Write]]) -> None:
    judge, witness = Terminal(WIDTH, HEIGHT), PyteTerminal()
    for writes in frames:
        data = frame(writes, WIDTH, HEIGHT)
        judge.feed(data)
        witness.feed(data)
    assert judge.text == "\n".join(line.rstrip() for line in witness.screen.display)


def test_the_reference_blanks_the_other_half() -> None:
    judge = Terminal(6, 1)
    judge.feed("漢字\x1b[1;2Hx\x1b[1;3Hy")
    assert judge.lines == [" xy"]
    assert judge.rows[0][3] == Cell()


# Single steps -----------------------------------------------------------------------------------

STYLE = "38;2;1;2;3;48;2;4;5;6"
ON = "48;2;4;5;6"


def settled(*frames: str, erases: bool = True) -> ScreenDiffer:
    """A differ that knows a whole screen of plain blanks, and these frames on it."""
    differ = ScreenDiffer(erases=erases)
    blank = frame([Write(y, 0, (Segment("", " " * WIDTH),)) for y in range(HEIGHT)], WIDTH, HEIGHT)
    for data in (blank, *frames):
        differ.feed(data, WIDTH, HEIGHT)
    return differ


def row(y: int, *segments: Segment, x: int = 0) -> str:
    return frame([Write(y, x, segments)], WIDTH, HEIGHT)


TEN = Segment("", "0123456789")


@pytest.mark.parametrize(
    ("before", "data", "written"),
    [
        (row(0, TEN), row(0, TEN), ""),
        (row(0, TEN), row(0, Segment("1", TEN.text)), f"\x1b[0;1m\x1b[1;1H{TEN.text}\x1b[0m"),
        # One letter; two that are near each other; two that are far apart.
        (row(0, TEN), row(0, Segment("", "0123x56789")), "\x1b[1;5Hx"),
        (row(0, TEN), row(0, Segment("", "0x2x456789")), "\x1b[1;2Hx2x"),
        (row(0, TEN), row(0, Segment("", "x1234567x9")), "\x1b[1;1Hx\x1b[7Cx"),
        # Blanks look the same in every colour of letters.
        (row(0, Segment(ON, "   ")), row(0, Segment(STYLE, "   ")), ""),
        (row(0, Segment("", "   ")), row(0, Segment("1;3;31", "   ")), ""),
        # But not with a line, reversed, or of another background; nor as a link.
        (row(0, TEN), row(1, Segment("4", "ab          ")),
         "\x1b[0;4m\x1b[2;1Hab          \x1b[0m"),
        (row(0, TEN), row(1, Segment("7", " ")), "\x1b[0;7m\x1b[2;1H \x1b[0m"),
        (row(0, TEN), row(1, Segment("41", " ")), "\x1b[0;41m\x1b[2;1H \x1b[0m"),
        (row(0, TEN), row(1, Segment("", " ", "https://a.example/")),
         "\x1b]8;;https://a.example/\x1b\\\x1b[2;1H \x1b]8;;\x1b\\"),
        # Erased to the end of the line, or a stretch.
        (row(0, TEN), row(0, Segment("", " " * WIDTH)), "\x1b[1;1H          "),
        (row(0, Segment("", "x" * WIDTH)), row(0, Segment("31", "x" + " " * (WIDTH - 1))),
         "\x1b[1;2H\x1b[K\x1b[0;31m\x1b[1;1Hx\x1b[0m"),
        (row(0, Segment("", "x" * WIDTH)), row(0, Segment("", " " * 20)), "\x1b[1;1H\x1b[20X"),
        # The last column: nothing is reckoned from where the cursor is then.
        (row(0, TEN), row(1, Segment("", "z"), x=WIDTH - 1), "\x1b[2;30Hz"),
    ],
)  # fmt: skip
def test_writes_what_changed(before: str, data: str, written: str) -> None:
    out = settled(before).feed(data, WIDTH, HEIGHT)
    assert out == (f"{written}\x1b[1;1H" if written else "")


def test_without_the_background_only_default_blanks_are_erased() -> None:
    screen = row(0, Segment("", "x" * WIDTH))
    coloured, default = Segment("44", " " * WIDTH), Segment("", " " * WIDTH)
    kept = settled(screen, erases=False).feed(row(0, coloured), WIDTH, HEIGHT)
    assert kept == row(0, coloured)
    assert "\x1b[K" in settled(screen, erases=True).feed(row(0, coloured), WIDTH, HEIGHT)
    assert "\x1b[K" in settled(screen, erases=False).feed(row(0, default), WIDTH, HEIGHT)


def test_only_the_cursor_moves() -> None:
    differ = settled(row(0, TEN))
    assert differ.feed(frame([], WIDTH, HEIGHT, (2, 3)), WIDTH, HEIGHT) == "\x1b[3;4H"
    assert differ.feed("\x1b[3;4H", WIDTH, HEIGHT) == ""


@pytest.mark.parametrize("data", HARMLESS)
def test_what_touches_no_cell_is_passed_on_and_nothing_is_forgotten(data: str) -> None:
    differ = settled(row(0, TEN))
    assert differ.feed(data, WIDTH, HEIGHT) == data
    assert differ.feed(row(0, TEN), WIDTH, HEIGHT) == ""


@pytest.mark.parametrize(
    "data",
    [
        *PAINTING, "text", "\x1b[K", "\x1b]8;;https://open.example/\x1b\\", "\x1b[?3h", "\x1b[?6h",
        "\x1b[1;1Ha", "\x1b[1;1H\x1b[31ma\x1b[1;1H", "\x1b[1;1Ha\tb\x1b[1;1H",
        "\x1b[1;1H\x1b[4:3ma\x1b[0m\x1b[1;1H", "\x1b[1;1H\x1b[38;7mx\x1b[0m\x1b[1;1H",
        "\x1b[1;1Ha\nb\x1b[1;1H", "\x1b[5;1H\n\x1b[1;1H", f"\x1b[1;1H{'x' * 31}\x1b[1;1H",
        "\x1b[1;1H\x1b]8;;u\x07x\x1b]8;;\x1b\\\x1b[1;1H", "\x1b]1337;File=:x\x07",
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_passed_on_and_everything_forgotten(data: str) -> None:
    differ = settled(row(0, TEN))
    assert differ.feed(data, WIDTH, HEIGHT) == data
    assert differ.feed(row(0, TEN), WIDTH, HEIGHT) == CLOSED + row(0, TEN)


def test_another_size_is_another_screen() -> None:
    differ = settled(row(0, TEN))
    assert TEN.text in differ.feed(row(0, TEN), WIDTH + 1, HEIGHT)
    assert differ.feed(row(0, TEN), WIDTH + 1, HEIGHT) == ""
    assert TEN.text in differ.feed(row(0, TEN), WIDTH, HEIGHT)


def test_a_screen_without_a_size_gets_everything() -> None:
    differ = ScreenDiffer()
    assert differ.feed(row(0, TEN), 0, 0) == row(0, TEN)
    assert differ.feed(row(0, TEN), 0, 0) == row(0, TEN)


def test_nothing_is_left_in_force() -> None:
    differ = settled()
    linked = Segment("1;31", "link", "https://a.example/")
    out = differ.feed(row(0, linked) + row(1, TEN), WIDTH, HEIGHT)
    judge = Terminal(WIDTH, HEIGHT)
    judge.feed(out)
    assert judge.pen == Cell()
    assert judge.links == {"https://a.example/"}


def test_a_row_with_wide_characters_is_written_as_it_comes() -> None:
    differ = settled(row(0, TEN))
    wide = row(0, Segment("31", "漢字"), Segment("", "a"))
    assert differ.feed(wide, WIDTH, HEIGHT) == wide
    assert differ.feed(wide, WIDTH, HEIGHT) == wide  # nothing is known of that row
    assert differ.feed(row(0, TEN), WIDTH, HEIGHT) == row(0, TEN)
    assert differ.feed(row(0, TEN), WIDTH, HEIGHT) == ""
    # What that row is otherwise is still unknown, so nothing is erased beside it.
    blanks = row(0, Segment("", " " * 18), x=10)
    assert differ.feed(blanks, WIDTH, HEIGHT) == blanks


def test_attributes_are_never_reckoned_from_a_reset_within() -> None:
    one, other = row(0, Segment("31;0;1", "abc")), row(0, Segment("1", "abc"))
    assert settled(one).feed(other, WIDTH, HEIGHT) == ""
    # A nought within a colour is none.
    red = row(0, Segment("4;38;5;0", "   "))
    assert settled(row(0, Segment("", "   "))).feed(red, WIDTH, HEIGHT) == red


def test_a_list_that_scrolls_costs_a_fraction() -> None:
    names = [f"paper {n:3} on retrieval" for n in range(60)]

    def screen(top: int) -> str:
        look = (Segment("1;32;40", "▌"), Segment("37;40", f"{names[top]:<29}"))
        rest = [
            Write(y, 0, (Segment("37;40", f" {names[top + y]:<29}"),)) for y in range(1, HEIGHT)
        ]
        return frame([Write(0, 0, look), *rest], WIDTH, HEIGHT)

    differ, compactor = settled(screen(0)), Compactor()
    raw = short = 0
    for top in range(1, 50):
        raw += len(screen(top))
        short += len(compactor.feed(differ.feed(screen(top), WIDTH, HEIGHT)))
    assert short < 0.25 * raw


# A real terminal --------------------------------------------------------------------------------

STORY = [
    frame([Write(y, 0, (Segment("37;44", f" row {y} ".ljust(WIDTH)),)) for y in range(HEIGHT)],
          WIDTH, HEIGHT),
    row(1, Segment("37;44", " "), Segment("1;97;44", "bold"), Segment("37;44", " " * 25)),
    row(2, Segment("37;44", "漢字 wide "), Segment("7;37;44", "reverse     "), Segment("44", "   ")),
    row(2, Segment("37;44", " " * 14), x=3),
    row(3, Segment("4;36;44", "under a link  ", "https://a.example/"), Segment("44", " " * 16)),
    row(4, Segment("37;44", "e\u0301tude"), Segment("44", " " * 24)),
    frame([Write(y, 0, (Segment("44", " " * WIDTH),)) for y in (0, 4)], WIDTH, HEIGHT),
    row(0, Segment("38;2;1;2;3;48;2;4;5;6", "edge"), x=WIDTH - 4),
]  # fmt: skip


@pytest.fixture(scope="module")
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    # A short folder: the path of a socket may have 108 bytes at most.
    command = ["tmux", "-S", str(tmp_path_factory.mktemp("t") / "s"), "-f", "/dev/null"]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    size = ["-x", str(WIDTH), "-y", str(HEIGHT + 1)]
    start = ["new-session", "-d", *size, "exec sleep 1000", ";", "set", "status", "off"]
    subprocess.run([*command, *start], check=True, env=env)
    yield command
    subprocess.run([*command, "kill-server"], check=False)


def shown_by_tmux(tmux: list[str], output: str, folder: Path) -> Terminal:
    """What tmux holds once the end of `output` has arrived, read by the reference."""
    file = folder / "output"
    end = f"\x1b[0m\x1b[{HEIGHT + 1};1HEND"
    file.write_text(f"\x1b[?7l{output}{end}", encoding="utf-8", newline="")
    subprocess.run(
        [*tmux, "respawn-pane", "-k", f"stty raw; cat '{file}'; exec sleep 1000"], check=True
    )
    until = time.monotonic() + 20
    while time.monotonic() < until:
        capture = [*tmux, "capture-pane", "-e", "-p", "-N"]
        seen = subprocess.run(capture, check=True, capture_output=True, text=True).stdout
        if "END" in seen:
            screen = Terminal(WIDTH, HEIGHT + 1)
            screen.feed(seen.rstrip("\n").replace("\n", "\x1b[0m\r\n"))
            return screen
        time.sleep(0.02)
    raise AssertionError("tmux did not show the end of the output")


@pytest.mark.parametrize("erases", [True, False])
@pytest.mark.parametrize("count", range(1, len(STORY) + 1))
def test_shows_the_same_in_tmux(count: int, erases: bool, tmux: list[str], tmp_path: Path) -> None:
    differ, compactor = ScreenDiffer(erases=erases), Compactor()
    short = "".join(compactor.feed(differ.feed(f, WIDTH, HEIGHT)) for f in STORY[:count])
    raw = shown_by_tmux(tmux, "".join(STORY[:count]), tmp_path)
    assert shown_by_tmux(tmux, short, tmp_path).shown == raw.shown
