"""A widget that draws whole lines itself and sends only the cells that changed.

Over SSH every byte is latency. A canvas keeps the strips it drew last, compares cell by cell,
and asks the compositor for the spans that differ; equal gaps shorter than a cursor movement
are sent along. No scrollbars, no children, no layout work when content changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from bioretrieval_tui.tui.themes import DARK, Look

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp

_GAP = 10
"""Equal cells between two changes that are cheaper to send again than to jump over."""

Cell = tuple[str, Style | None]


class Canvas(Widget):
    """Base of our line-drawing widgets: subclasses say what their lines are (`paint`)."""

    DEFAULT_CSS = """
    Canvas { height: 1fr; width: 1fr; }
    """
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._drawn: list[Strip] = []
        self._drawn_width = 0

    @property
    def look(self) -> Look:
        """The look in force."""
        return getattr(self.app, "look", DARK)

    @property
    def owner(self) -> BioRetrievalApp:
        """The app, typed."""
        return cast("BioRetrievalApp", self.app)

    def paint(self, width: int, height: int) -> list[Strip]:
        """The strips of every visible line, `height` of them, each `width` cells."""
        raise NotImplementedError

    def _painted(self, width: int, height: int) -> list[Strip]:
        """The painted strips; blank ones where painting raises, so that the frame is drawn."""
        try:
            return self.paint(width, height)
        except Exception as error:  # noqa: BLE001
            self.app._handle_exception(error)
            return [Strip.blank(width)] * height

    def update(self) -> None:
        """Draw anew and send what changed."""
        if not self.is_attached or not self.size:
            return
        width, height = self.size
        before, same_size = self._drawn, self._drawn_width == width
        self._drawn = self._painted(width, height)
        self._drawn_width = width
        if not same_size or len(before) != len(self._drawn):
            self.refresh()
            return
        regions = [
            Region(start, y, end - start, 1)
            for y, (old, new) in enumerate(zip(before, self._drawn, strict=True))
            if old is not new
            for start, end in changed_spans(old, new)
        ]
        if regions:
            self.refresh(*regions)

    def repaint(self) -> None:
        """Draw everything anew (after a change of look or size)."""
        self._drawn = []
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show where keys go. A handler of the event itself would come before the change."""
        super().watch_has_focus(has_focus)
        self.update()

    def on_resize(self) -> None:
        """The strips are of another width now."""
        self.repaint()

    def render_line(self, y: int) -> Strip:
        """Called by the compositor for each line that it needs."""
        width, height = self.size
        if self._drawn_width != width or len(self._drawn) != height:
            self._drawn = self._painted(width, height)
            self._drawn_width = width
        return self._drawn[y] if y < len(self._drawn) else Strip.blank(width)


def cells(strip: Strip) -> list[Cell]:
    """One item a terminal cell; the second half of a wide character is an empty text."""
    out: list[Cell] = []
    for segment in strip:
        for character in segment.text:
            size = cell_len(character)
            if size == 0 and out:
                # A combining mark belongs to the cell before it.
                text, style = out[-1]
                out[-1] = (text + character, style)
                continue
            out.append((character, segment.style))
            out.extend([("", segment.style)] * (size - 1))
    return out


def changed_spans(old: Strip, new: Strip) -> list[tuple[int, int]]:
    """Half-open cell ranges in which two strips differ, close ones merged."""
    if old == new:
        return []
    before, after = cells(old), cells(new)
    if len(before) != len(after):
        return [(0, max(len(before), len(after)))]
    spans: list[tuple[int, int]] = []
    for i, (a, b) in enumerate(zip(before, after, strict=True)):
        if a == b:
            continue
        start, end = i, i + 1
        # Never begin or end inside a wide character, old or new.
        while start and (before[start][0] == "" or after[start][0] == ""):
            start -= 1
        while end < len(after) and (before[end][0] == "" or after[end][0] == ""):
            end += 1
        if spans and start - spans[-1][1] <= _GAP:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
