"""A widget that draws whole lines and refreshes only those that changed.

A canvas keeps the strips that it drew last and has the compositor render the lines that differ; the
screen writer then picks the changed cells. No scrollbars, no children, no layout on new content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from bioretrieval_tui.tui.themes import DARK, Look

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp


class Canvas(Widget):
    """Base of the widgets that draw lines: subclasses override `paint`."""

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
        """The strips of the visible lines: `height` of them, `width` cells each; blank here."""
        return [Strip.blank(width)] * height

    def _strips(self, width: int, height: int) -> list[Strip]:
        """The painted strips; blank ones if painting raises, so that the frame is complete."""
        try:
            return self.paint(width, height)
        except Exception as error:  # noqa: BLE001
            self.app._handle_exception(error)
            return [Strip.blank(width)] * height

    def update(self) -> None:
        """Draw again, and refresh the lines that changed."""
        if not self.is_attached or not self.size:
            return
        width, height = self.size
        before, same_size = self._drawn, self._drawn_width == width
        self._drawn = self._strips(width, height)
        self._drawn_width = width
        if not same_size or len(before) != len(self._drawn):
            self.refresh()
            return
        regions: list[Region] = []
        for y, (old, new) in enumerate(zip(before, self._drawn, strict=True)):
            if old is new or old == new:
                continue
            if regions and regions[-1].bottom == y:
                regions[-1] = regions[-1].grow((0, 0, 1, 0))
            else:
                regions.append(Region(0, y, width, 1))
        if regions:
            self.refresh(*regions)

    def repaint(self) -> None:
        """Draw everything again, after a change of theme or size."""
        self._drawn = []
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show which widget gets the keys. A handler of the focus event would run too early."""
        super().watch_has_focus(has_focus)
        self.update()

    def on_resize(self) -> None:
        """The strips are of another width now."""
        self.repaint()

    def render_line(self, y: int) -> Strip:
        """Called by the compositor for each line that it needs."""
        width, height = self.size
        if self._drawn_width != width or len(self._drawn) != height:
            self._drawn = self._strips(width, height)
            self._drawn_width = width
        return self._drawn[y] if y < len(self._drawn) else Strip.blank(width)
