"""The screen writer: after every frame its stream and the raw one show the same screen.

Judged by the reference terminal of these tests, by pyte and by a real tmux.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyte
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reference import Cell, Terminal
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.segment import Segment as RichSegment
from rich.style import Style

from bioretrieval_tui.terminal.output import ScreenWriter

WIDTH, HEIGHT = 30, 5
CLOSED = "\x1b]8;;\x1b\\\x1b[0m"
"""What makes an unknown terminal plain."""

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
# Wide, combining, joined, coloured, and flags: nobody agrees on the last ones.
odd_texts = st.sampled_from(
    [
        "漢字 a",
        "漢",
        "e\u0301x",
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
    """A text in a style of SGR parameters, perhaps under a link."""

    style: str
    text: str
    link: str = ""

    @property
    def rich(self) -> RichSegment:
        """It as a renderer hands it over."""
        spans = AnsiDecoder().decode_line(f"\x1b[{self.style}mx").spans if self.style else []
        style = Style.combine([Style.null(), *(Style.parse(str(span.style)) for span in spans)])
        return RichSegment(self.text, style + Style(link=self.link) if self.link else style)


@dataclass(frozen=True)
class Write:
    """Segments from a place on."""

    y: int
    x: int
    segments: tuple[Segment, ...]


Pieces = list[tuple[int, int, list[RichSegment]]]


def pieces(writes: list[Write], width: int, height: int) -> Pieces:
    """What of them fits on a screen of this size."""
    found: Pieces = []
    for write in sorted(writes, key=lambda write: write.y):
        if write.y >= height or write.x >= width:
            continue
        line, room = [], width - write.x
        for segment in write.segments:
            text = segment.text[:room]
            if text and cell_len(text) <= room:
                line.append(RichSegment(text, segment.rich.style))
                room -= cell_len(text)
        found.append((write.y, write.x, line))
    return found


def rendered(text: str, style: Style | None) -> str:
    """A text in true colours: a style of the app's may have been rendered in others before."""
    fresh = (style or Style.null()).copy()
    fresh._ansi = None
    return fresh.render(text)


def raw(frame: Pieces) -> str:
    """A frame as Textual writes it."""
    out, before = "", None
    for y, x, line in frame:
        texts = (rendered(text, style) for text, style, _ in line)
        out += "\n" if before not in (None, y) else ""
        out += f"\x1b[{y + 1};{x + 1}H" + "".join(texts)
        before = y
    return out


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

MODES = ["\x1b[?25l", "\x1b[?2026h", "\x1b]0;title\x07", "\x1b]52;c;YQ==\x07", "\x1b[>25u"]
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
    """Output that touches no cell."""

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
        st.builds(Raw, st.sampled_from(MODES)),
        st.builds(Size, sizes),
        st.builds(Drawn, st.sampled_from(FOREIGN)),
    )
    again = st.builds(Again, st.integers(1, 3))
    return st.lists(st.one_of(frames, frames, frames, again, others), max_size=9)


class Pair:
    """Two terminals: one is fed what a renderer writes, one what the driver makes of it."""

    def __init__(self, terminal: Callable[[int, int], Terminal], erases: bool) -> None:
        self.raw, self.short = terminal(WIDTH, HEIGHT), terminal(WIDTH, HEIGHT)
        self.writer = ScreenWriter(erases=erases)
        self.frames: list[Frame] = []
        self.feed("\x1b[?7l")

    def feed(self, data: str, shorter: str | None = None) -> None:
        """Give both the same, or each its own."""
        self.raw.feed(data)
        self.short.feed(data if shorter is None else shorter)

    def take(self, step: Step) -> None:
        """Do one step and compare."""
        if isinstance(step, Again):
            if len(self.frames) < step.back:
                return
            step = self.frames[-step.back]
        if isinstance(step, Frame):
            self.frames.append(step)
            self.draw(step)
        elif isinstance(step, Size):
            for terminal in (self.raw, self.short):
                terminal.resize(*step.size)
            self.writer.forget()  # it may have had this size before, and lost cells since
        else:
            self.feed(step.data)
            if isinstance(step, Drawn):
                self.writer.forget()
        self.compare()

    def draw(self, step: Frame) -> None:
        width, height = self.raw.width, self.raw.height
        cursor = f"\x1b[{min(step.cursor[0], height - 1) + 1};{min(step.cursor[1], width - 1) + 1}H"
        frame = pieces(step.writes, width, height)
        shorter = self.writer.difference(frame, width, height)
        event("unchanged" if not shorter else "difference")
        self.feed(raw(frame) + cursor, shorter + cursor)

    def compare(self) -> None:
        assert self.short.same(self.raw) or self.short.shown == self.raw.shown
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
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps_of(st.one_of(plain_texts, plain_texts, odd_texts)))
def test_shows_the_same_after_every_step(kind: str, steps: list[Step]) -> None:
    pair = Pair(*KINDS[kind])
    for step in steps:
        pair.take(step)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(writes_of(plain_texts), max_size=6))
def test_shows_the_same_in_pyte(frames: list[list[Write]]) -> None:
    plain, short = PyteTerminal(), PyteTerminal()
    writer = ScreenWriter()
    for writes in frames:
        # pyte does not know 21 and 53, and has no dim or blinking to tell blanks by.
        known = [
            replace(write, segments=tuple(
                replace(one, style=re.sub(r"\b(21|53)\b", "4", one.style)) for one in write.segments
            ))
            for write in writes
        ]  # fmt: skip
        frame = pieces(known, WIDTH, HEIGHT)
        plain.feed(raw(frame))
        short.feed(writer.difference(frame, WIDTH, HEIGHT))
        assert short.cells() == plain.cells()


# The reference itself ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(writes_of(plain_texts), max_size=4))
def test_the_reference_agrees_with_pyte(frames: list[list[Write]]) -> None:
    judge, witness = Terminal(WIDTH, HEIGHT), PyteTerminal()
    for writes in frames:
        data = raw(pieces(writes, WIDTH, HEIGHT))
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


def blank() -> list[Write]:
    return [Write(y, 0, (Segment("", " " * WIDTH),)) for y in range(HEIGHT)]


def shown(writer: ScreenWriter, writes: list[Write], width: int = WIDTH) -> str:
    """What a writer makes of a frame."""
    return writer.difference(pieces(writes, width, HEIGHT), width, HEIGHT)


def settled(*frames: list[Write], erases: bool = True) -> ScreenWriter:
    """A writer that knows a whole screen of plain blanks, and these frames on it."""
    writer = ScreenWriter(erases=erases)
    for writes in (blank(), *frames):
        shown(writer, writes)
    return writer


def row(y: int, *segments: Segment, x: int = 0) -> list[Write]:
    return [Write(y, x, segments)]


TEN = Segment("", "0123456789")
FULL = Segment("", "x" * WIDTH)


@pytest.mark.parametrize(
    ("before", "after", "written"),
    [
        ([TEN], [TEN], ""),
        ([TEN], [Segment("1", TEN.text)], f"\x1b[1;1H\x1b[1m{TEN.text}\x1b[m"),
        # One letter; two that are near each other; two that are far apart.
        ([TEN], [Segment("", "0123x56789")], "\x1b[1;5Hx"),
        ([TEN], [Segment("", "0x2x456789")], "\x1b[1;2Hx2x"),
        ([TEN], [Segment("", "x1234567x9")], "\x1b[1;1Hx\x1b[7Cx"),
        # Blanks look the same in every colour of letters.
        ([Segment(ON, "   ")], [Segment(STYLE, "   ")], ""),
        ([Segment("", "   ")], [Segment("1;3;31", "   ")], ""),
        ([Segment(ON, "    ")], [Segment(STYLE, "  "), Segment(STYLE, "ab")],
         f"\x1b[1;3H\x1b[{STYLE}mab\x1b[m"),
        # But not with a line, reversed, or of another background; nor as a link.
        ([TEN], [TEN, Segment("4", " " * 20)], f"\x1b[1;11H\x1b[4m{' ' * 20}\x1b[m"),
        ([TEN], [TEN, Segment("7", " ")], "\x1b[1;11H\x1b[7m \x1b[m"),
        ([TEN], [TEN, Segment("41", " ")], "\x1b[1;11H\x1b[41m \x1b[m"),
        ([TEN], [TEN, Segment("", " ", "u:a")],
         "\x1b[1;11H\x1b]8;;u:a\x1b\\ \x1b]8;;\x1b\\"),
        # Erased to the end of the line, or a stretch, or written where that is shorter.
        ([FULL], [Segment("31", "y" + " " * (WIDTH - 1))],
         "\x1b[1;2H\x1b[K\x1b[1;1H\x1b[31my\x1b[m"),
        ([FULL], [Segment("", " " * 20)], "\x1b[1;1H\x1b[20X"),
        ([FULL], [Segment("", " " * 9)], f"\x1b[1;1H{' ' * 9}"),
        # Two letters of one colour, far apart, are written together.
        ([FULL], [Segment(STYLE, "y"), Segment("31", "z" * 20), Segment(STYLE, "y")],
         f"\x1b[1;2H\x1b[31m{'z' * 20}\x1b[1;1H\x1b[{STYLE}my\x1b[20Cy\x1b[m"),
        # After the last column nothing is reckoned from where the cursor is.
        ([FULL], [Segment("31", "y"), Segment("", FULL.text[2:]), Segment("31", "y")],
         "\x1b[1;1H\x1b[31my\x1b[28Cy\x1b[m"),
    ],
)  # fmt: skip
def test_writes_what_changed(before: list[Segment], after: list[Segment], written: str) -> None:
    assert shown(settled(row(0, *before)), row(0, *after)) == written


def test_without_the_background_only_default_blanks_are_erased() -> None:
    screen = row(0, Segment("", "x" * WIDTH))
    coloured, default = Segment("44", " " * WIDTH), Segment("", " " * WIDTH)
    kept = shown(settled(screen, erases=False), row(0, coloured))
    assert kept == f"\x1b[1;1H\x1b[44m{' ' * WIDTH}\x1b[m"
    assert "\x1b[K" in shown(settled(screen, erases=True), row(0, coloured))
    assert "\x1b[K" in shown(settled(screen, erases=False), row(0, default))


def test_what_was_drawn_by_another_program_is_written_again() -> None:
    writer = settled(row(0, TEN))
    assert shown(writer, row(0, TEN)) == ""
    writer.forget()
    assert shown(writer, row(0, TEN)) == f"{CLOSED}\x1b[1;1H{TEN.text}"


def test_another_size_is_another_screen() -> None:
    writer = settled(row(0, TEN))
    assert TEN.text in shown(writer, row(0, TEN), WIDTH + 1)
    assert shown(writer, row(0, TEN), WIDTH + 1) == ""
    assert TEN.text in shown(writer, row(0, TEN))


def test_what_lies_outside_of_the_screen_is_cut() -> None:
    writer = ScreenWriter()
    far = [(HEIGHT, 0, [TEN.rich]), (0, WIDTH, [TEN.rich]), (0, WIDTH - 2, [TEN.rich])]
    assert writer.difference(far, WIDTH, HEIGHT) == f"{CLOSED}\x1b[1;{WIDTH - 1}H01"
    assert ScreenWriter().difference(far, 0, 0) == ""


def test_nothing_is_left_in_force() -> None:
    writer = settled()
    linked = Segment("1;31", "link", "https://a.example/")
    out = shown(writer, row(0, linked) + row(1, TEN))
    judge = Terminal(WIDTH, HEIGHT)
    judge.feed(out)
    assert judge.pen == Cell()
    assert judge.links == {"https://a.example/"}


def test_a_row_with_wide_characters_is_written_as_it_comes() -> None:
    writer = settled(row(0, TEN))
    wide = row(0, Segment("31", "漢字"), Segment("", "a"))
    written = "\x1b[1;1H\x1b[31m漢字\x1b[ma"
    assert shown(writer, wide) == written
    assert shown(writer, wide) == written  # nothing is known of that row
    assert shown(writer, row(0, TEN)) == f"\x1b[1;1H{TEN.text}"
    assert shown(writer, row(0, TEN)) == ""
    # What that row is otherwise is still unknown, so nothing is erased beside it.
    assert shown(writer, row(0, Segment("", " " * 18), x=10)) == f"\x1b[1;11H{' ' * 18}"


def test_a_mark_finds_its_letter_across_styles() -> None:
    accented = row(0, Segment("31", "e"), Segment("1", "\u0301tude"))
    judge = Terminal(WIDTH, HEIGHT)
    judge.feed(shown(settled(row(0, TEN)), accented))
    assert judge.rows[0][0] == Cell("e\u0301", fore="31")
    assert judge.lines[0] == "e\u0301tude"


def test_a_list_that_scrolls_costs_a_fraction() -> None:
    names = [f"paper {n:3} on retrieval" for n in range(60)]

    def screen(top: int) -> list[Write]:
        look = (Segment("1;32;40", "▌"), Segment("37;40", f"{names[top]:<29}"))
        rest = [
            Write(y, 0, (Segment("37;40", f" {names[top + y]:<29}"),)) for y in range(1, HEIGHT)
        ]
        return [Write(0, 0, look), *rest]

    writer = settled(screen(0))
    whole = short = 0
    for top in range(1, 50):
        whole += len(raw(pieces(screen(top), WIDTH, HEIGHT)))
        short += len(shown(writer, screen(top)))
    assert short < 0.25 * whole


# A real terminal --------------------------------------------------------------------------------

STORY = [
    [Write(y, 0, (Segment("37;44", f" row {y} ".ljust(WIDTH)),)) for y in range(HEIGHT)],
    row(1, Segment("37;44", " "), Segment("1;97;44", "bold"), Segment("37;44", " " * 25)),
    row(2, Segment("37;44", "漢字 wide "), Segment("7;37;44", "reverse   "), Segment("44", "  ")),
    row(2, Segment("37;44", " " * 14), x=3),
    row(3, Segment("4;36;44", "under a link  ", "https://a.example/"), Segment("44", " " * 16)),
    row(4, Segment("37;44", "e\u0301tude"), Segment("44", " " * 24)),
    [Write(y, 0, (Segment("44", " " * WIDTH),)) for y in (0, 4)],
    row(0, Segment("38;2;1;2;3;48;2;4;5;6", "edge"), x=WIDTH - 4),
]  # fmt: skip


class Tmux:
    """A tmux with a client on a terminal of ours, which shows what a person would see."""

    def __init__(self, folder: Path) -> None:
        # A short folder: the path of a socket may have 108 bytes at most.
        self.command = ["tmux", "-S", str(folder / "s"), "-f", "/dev/null"]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color"}
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT + 1, WIDTH, 0, 0))
        start = ["new-session", "exec sleep 1000", ";", "set", "status", "off"]
        features = ["set", "-s", "terminal-features[9]", "xterm-256color:RGB:hyperlinks"]
        self.client = subprocess.Popen(
            [*self.command, *features, ";", *start],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = Terminal(WIDTH, HEIGHT + 1)

    def show(self, output: str, folder: Path) -> list[list[Cell]]:
        """What stands on our terminal once the end of `output` has arrived."""
        file = folder / "output"
        last = f"\x1b[0m\x1b[{HEIGHT + 1};1H"
        end = f"END{time.monotonic_ns()}"
        file.write_text(f"\x1b[?7l{output}{last}{end}", encoding="utf-8", newline="")
        respawn = ["respawn-pane", "-k", f"stty raw; cat '{file}'; exec sleep 1000"]
        self.read_until(lambda: self.screen.alternate)
        subprocess.run([*self.command, *respawn], check=True)
        self.read_until(lambda: self.screen.lines[-1] == end)
        return self.screen.shown[:-1]

    def read_until(self, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + 20
        while not ready():
            assert time.monotonic() < until, self.screen.text
            if select.select([self.ours], [], [], 0.1)[0]:
                self.screen.feed_bytes(os.read(self.ours, 1 << 16))

    def close(self) -> None:
        subprocess.run([*self.command, "kill-server"], check=False)
        self.client.wait()
        os.close(self.ours)


@pytest.fixture(scope="module")
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    server = Tmux(tmp_path_factory.mktemp("t"))
    yield server
    server.close()


@pytest.mark.parametrize("erases", [True, False])
@pytest.mark.parametrize("count", range(1, len(STORY) + 1))
def test_shows_the_same_in_tmux(count: int, erases: bool, tmux: Tmux, tmp_path: Path) -> None:
    writer = ScreenWriter(erases=erases)
    short = "".join(shown(writer, writes) for writes in STORY[:count])
    plain = "".join(raw(pieces(writes, WIDTH, HEIGHT)) for writes in STORY[:count])
    there = tmux.show(plain, tmp_path)
    assert tmux.show(short, tmp_path) == there
    assert tmux.screen.unknown == []
    # And the reference shows what tmux shows (links aside, which not every version passes on).
    judge = Terminal(WIDTH, HEIGHT)
    judge.feed("\x1b[?7l" + plain)
    assert [[c._replace(link="") for c in r] for r in judge.shown] == [
        [c._replace(link="") for c in r] for r in there
    ]
