"""Bars: panes, status, the line above a list, running work; the notice of a small window."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace
from rich.cells import cell_len
from textual import events
from textual.keys import key_to_character
from textual.strip import Strip

from bioretrieval_tui.actions import MORE_PANES, PANES, SHORT_TITLES, Action, key_of
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.text import Line, Row, Span, cells, fit, strip, wrap
from bioretrieval_tui.tui.widgets.canvas import Canvas

LEAST_WIDTH, LEAST_HEIGHT = 20, 6
LOW, _LOW_FOR_DIALOGS, _HIGH = 15, 20, 30
"""Lines of a window from which a text takes a second one (in a dialog later), and a third."""
_PART = re.compile(r"\s*(?:\S|\s(?!\s))+|\s+")
"""A text up to two blanks."""


class NavBar(Canvas):
    """The panes with their keys; the current one is marked. Short forms when narrow.

    notes: what is new in panes behind the digits, such as a number of unread records.
    """

    DEFAULT_CSS = "NavBar { height: 1; dock: top; }"

    def __init__(self) -> None:
        super().__init__(id="nav")
        self.current = "home"
        self.notes: dict[str, str] = {}
        self._titles: list[tuple[str, str]] = []
        """(pane, text) as they were painted last."""

    def go(self, pane: str) -> None:
        self.current = pane
        self.update()

    def note(self, pane: str, text: str) -> None:
        """Show what is new in a pane; "" for nothing."""
        if self.notes.get(pane, "") != text:
            self.notes[pane] = text
            self.update()

    def row_spans(self) -> Sequence[Row]:
        """Whole titles or short ones, the last of them left out where they do not fit. Panes behind
        the digits give way first, unless they are current or have something new."""
        width, now, notes = self.size.width, self.current, self.notes
        whole = [(pane, f" {key_of(f'go-{pane}')} {title} ") for pane, title, _ in PANES]
        short = [
            (pane, f" {key_of(f'go-{pane}')} {SHORT_TITLES.get(pane, t)}") for pane, t, _ in PANES
        ]
        more = [
            (pane, " ".join(filter(None, (f" {key_of(action)}", title, notes.get(pane, "")))))
            for pane, action, title in MORE_PANES
        ]
        needed = [(pane, text) for pane, text in more if pane == now or notes.get(pane)]
        forms = ([*whole, *more], [*short, *more], [*whole, *needed], [*short, *needed])
        self._titles = next((form for form in forms if _size(form) <= width), forms[-1])
        for at, (pane, _) in reversed([*enumerate(short)]):
            if _size(self._titles) > width and pane != now:
                self._titles[at] = pane, f" {key_of(f'go-{pane}')}"
        row = [
            Span(t, "bar.active" if p == now else "bar.strong" if notes.get(p) else "bar")
            for p, t in self._titles
        ]
        return [(*row, Span(" " * width, "bar"))]

    async def on_click(self, event: events.Click) -> None:
        end = 0
        for pane, text in self._titles:
            end += len(text)
            if event.x < end:
                await self.app.run_action(f"go('{pane}')")
                return


def _size(titles: Sequence[tuple[str, str]]) -> int:
    return sum(len(text) for _, text in titles)


class StatusBar(Canvas):
    """Key hints of the current pane, or a message until the next key."""

    DEFAULT_CSS = "StatusBar { height: 1; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__(id="status")
        self.message = ""
        self.role = "bar.strong"
        self.actions: Sequence[Action] = ()
        self.work = ""
        self._hints: list[Action] = []
        """The actions whose hints are shown."""

    def working(self, work: str) -> None:
        """Show how far work in the background is, at the right end; "" for none."""
        if work != self.work:
            self.work = work
            self.update()

    def say(self, message: str, role: str = "bar.strong") -> None:
        self.message, self.role = message, role
        self._fit()
        self.update()

    def hints(self, actions: Sequence[Action]) -> None:
        self.message = ""
        self.actions = actions
        self._fit()
        self.update()

    def on_resize(self) -> None:
        self._fit()

    def _message_rows(self, width: int) -> list[Row]:
        height = self.app.size.height
        most = 1 if height < LOW else 2 if height < _LOW_FOR_DIALOGS else 3
        return first_rows([Span(self.message, self.role)], width - 2, most) if self.message else []

    def _fit(self) -> None:
        """Take the lines that the message needs: what to do stands at its end."""
        lines = max(1, len(self._message_rows(self.size.width)))
        if self.styles.height is None or self.styles.height.value != lines:
            self.styles.height = lines

    def paint(self, width: int, height: int) -> list[Strip]:
        """A message, or as many hints as fit; work in the background at the right end."""
        blank = Span(" " * width, "bar")
        first, *more = self._message_rows(width) or [()]
        work = fit(self.work, min(cell_len(clean(self.work)), width // 2)) if self.work else ""
        space = width - (cell_len(work) + 2 if work else 0)
        self._hints = []
        if self.message:
            if more or sum(cell_len(span.text) for span in first) + 1 > space:
                work, space = "", width
            row = [Span(" ", "bar"), *first]
        else:
            # The hints for help and quit are always shown, behind the others.
            last = [action for action in self.actions if action.id in ("help", "quit")]
            others = [action for action in self.actions if action not in last]
            used = 1 + sum(map(hint_size, last))
            self._hints = [*fitting(others, space - used), *last]
            row = [Span(" ", "bar"), *hints(self._hints, width, "bar.strong", "bar")]
        top = strip([*row, blank], space, self.look)
        if work:
            right = strip([Span(f" {work} ", "bar.strong")], width - space, self.look)
            top = Strip([*top, *right], width)
        below = [*more, *[()] * height][: height - 1]
        return [top, *(strip((Span(" ", "bar"), *row, blank), width, self.look) for row in below)]

    def on_click(self, event: events.Click) -> None:
        """A click on a hint presses its key."""
        end = 1
        for action in self._hints:
            end += hint_size(action)
            if event.x < end:
                key = action.keys[0]
                self.app.post_message(events.Key(key, key_to_character(key)))
                return


def fitting(actions: Sequence[Action], width: int) -> Iterator[Action]:
    """The actions whose hints fit."""
    for action in actions:
        if hint_size(action) <= width:
            width -= hint_size(action)
            yield action


def hints(actions: Sequence[Action], width: int, key: str, label: str) -> list[Span]:
    """Keys and labels of the actions that fit, in these roles."""
    pairs = (
        (Span(one.shown, key), Span(f" {one.label}  ", label)) for one in fitting(actions, width)
    )
    return [span for pair in pairs for span in pair]


def hint_size(action: Action) -> int:
    return len(action.shown) + len(action.label) + 3


class HeadLine(Canvas):
    """A text over a list or in a dialog, such as the title, counts, filter or error.

    It takes a line, or more where it is longer and the window has them, but not for faint spans at
    its end. What does not fit is left out from the end, in whole parts: those between two blanks.
    """

    DEFAULT_CSS = "HeadLine { height: 1; }"

    def __init__(self, *spans: Span, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.spans = spans
        self.at_least = 1
        """Lines that it may take in a low window too."""

    def show(self, *spans: Span) -> None:
        self.spans = spans
        self._fit()
        self.update()

    def on_resize(self) -> None:
        self._fit()

    @property
    def most(self) -> int:
        """Lines that it may take."""
        low = _LOW_FOR_DIALOGS if self.screen.is_modal else LOW
        height = self.app.size.height
        return max(self.at_least, 1 if height < low else 2 if height < _HIGH else 3)

    def _fit(self) -> None:
        """Take the lines that the text needs."""
        width = self.size.width - 2
        if width > 0:
            needed = list(self.spans)
            while needed[1:] and needed[-1].role == "faint":
                needed.pop()
            lines = max(1, len(whole_parts(needed, width, self.most)))
            if self.styles.height is None or self.styles.height.value != lines:
                self.styles.height = lines

    def row_spans(self) -> Sequence[Row]:
        width, height = self.size
        return [(Span(" "), *row) for row in whole_parts(self.spans, width - 2, height)]


def whole_parts(spans: Sequence[Span], width: int, height: int) -> list[Row]:
    """The spans on at most `height` lines, without the parts at the end that do not fit. A line
    ends between two parts, unless all are shown only if it ends within one."""
    parts = [replace(span, text=text) for span in spans for text in _PART.findall(span.text)]
    ends = [at for at, part in enumerate(parts) if at and part.text.startswith("  ")]
    for end in reversed([*ends, len(parts)]):
        kept, left = tuple(parts[:end]), "".join(part.text for part in parts[end:])
        if cell_len(left.partition("  ")[0]) > width:
            break  # a sentence is cut at a word
        starts = [0, *(at for at in ends if at < end), end]
        rows = _lines_of_parts(kept, starts, width)
        if len(rows) > height and end == len(parts):
            rows = wrap(Line(kept), width)
        if len(rows) <= height:
            return rows
    return first_rows(spans, width, height)


def _lines_of_parts(spans: Row, starts: Sequence[int], width: int) -> list[Row]:
    """The spans in lines that end between parts; one that is longer than a line is broken at a
    word. starts: where each part starts, and the end."""
    rows: list[Row] = []
    line: Row = ()
    for start, end in pairwise(starts):
        part = spans[start:end]
        if cells(line) + cells(part) > width and line:
            rows.append(line)
            part = (replace(part[0], text=part[0].text.lstrip()), *part[1:])
            line = ()
        *whole, line = wrap(Line((*line, *part)), width)
        rows += whole
    return [*rows, line]


def first_rows(spans: Sequence[Span], width: int, height: int) -> list[Row]:
    """The spans on at most `height` lines; the last one says that more follows."""
    rows = wrap(Line(tuple(spans)), max(1, width))
    if len(rows) <= height:
        return rows
    *kept, last = wrap(Line(rows[height - 1]), max(1, width - 2))[0]
    cut = (*kept, replace(last, text=last.text.rstrip()), Span(" …", spans[-1].role))
    return [*rows[: height - 1], cut]


class WorkBar(Canvas):
    """A few lines while work runs; hidden otherwise."""

    DEFAULT_CSS = "WorkBar { height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Sequence[Span]] = ()

    def show(self, rows: Sequence[Sequence[Span]]) -> None:
        """Show these lines; without lines, hide."""
        if len(rows) != len(self.rows):
            self.styles.height = len(rows) + 1  # an empty line below
        self.rows = rows
        self.display = bool(rows)
        self.update()

    def row_spans(self) -> Sequence[Row]:
        return [(Span(" "), *row) for row in self.rows]


class TooSmall(Canvas):
    """The notice in a window that is too small."""

    # A layer over the rest, which keeps the focus; what is hidden loses it.
    DEFAULT_CSS = """
    TooSmall { layer: notice; dock: top; width: 100%; height: 100%; display: none; }
    """

    def row_spans(self) -> Sequence[Row]:
        width, height = self.size
        parts = (f"{width}x{height} is too small.", f"{LEAST_WIDTH}x{LEAST_HEIGHT} is enough.")
        above: list[Row] = [()] * max(0, height // 2 - 1)
        return [*above, *((Span(part.center(width), "warn"),) for part in parts)]
