"""A widget that draws whole lines and refreshes only those that changed.

A canvas keeps the strips that it drew last and has the compositor render the lines that differ; the
screen writer then picks the changed cells. No scrollbars, no children, no layout on new content.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from bioretrieval_tui.tui.text import Row, strip
from bioretrieval_tui.tui.themes import DARK, Look

WHEEL = 3
"""Rows that a step of the mouse wheel moves by."""


class Canvas(Widget):
    """Base of the widgets that draw lines: subclasses override `row_spans` or `paint`."""

    DEFAULT_CSS = """
    Canvas { height: 1fr; width: 1fr; }
    """
    ALLOW_SELECT = False

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._drawn: list[Strip] = []
        self._drawn_size: Size | None = None

    @property
    def look(self) -> Look:
        """The look in force."""
        return getattr(self.app, "look", DARK)

    def row_spans(self) -> Sequence[Row]:
        """The visible lines, as wide as the widget; those that are missing are blank."""
        return ()

    def paint(self, width: int, height: int) -> list[Strip]:
        """The strips of the visible lines: `height` of them, `width` cells each."""
        rows = [*self.row_spans(), *[()] * height][:height]
        return [strip(row, width, self.look) for row in rows]

    def _draw(self) -> list[Strip]:
        """Paint; blank lines if that raises, so that the frame is complete."""
        width, height = self._drawn_size = self.size
        try:
            self._drawn = self.paint(width, height)
        except Exception as error:  # noqa: BLE001
            self.app._handle_exception(error)
            self._drawn = [Strip.blank(width)] * height
        return self._drawn

    def update(self) -> None:
        """Draw again, and refresh the lines that changed."""
        if not self.is_attached or not self.size:
            return
        before, resized = self._drawn, self._drawn_size != self.size
        now = self._draw()
        if resized:
            self.refresh()
            return
        pairs = enumerate(zip(before, now, strict=True))
        changed = [y for y, (old, new) in pairs if old is not new and old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def repaint(self) -> None:
        """Draw everything again, after a change of theme."""
        self._drawn_size = None
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show which widget gets the keys. A handler of the focus event would run too early."""
        super().watch_has_focus(has_focus)
        self.update()

    def render_line(self, y: int) -> Strip:
        """Called by the compositor for each line that it needs."""
        drawn = self._drawn if self._drawn_size == self.size else self._draw()
        return drawn[y] if y < len(drawn) else Strip.blank(self.size.width)

    def scroll_rows(self, by: int) -> None:
        """The mouse wheel was turned by rows."""

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(-WHEEL)
