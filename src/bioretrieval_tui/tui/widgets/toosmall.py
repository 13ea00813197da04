"""What stands there when the window is too small to be useful."""

from __future__ import annotations

from textual.strip import Strip

from bioretrieval_tui.tui.text import Span, strip
from bioretrieval_tui.tui.widgets.canvas import Canvas

LEAST_WIDTH, LEAST_HEIGHT = 60, 15


class TooSmall(Canvas):
    """What stands there when the window is too small to be useful."""

    DEFAULT_CSS = "TooSmall { display: none; }"

    def paint(self, width: int, height: int) -> list[Strip]:
        """The message in the middle."""
        rows: list[tuple[Span, ...]] = [() for _ in range(height)]
        parts = (f"This window is {width}x{height}.", f"{LEAST_WIDTH}x{LEAST_HEIGHT} is enough.")
        for y, part in enumerate(parts, max(0, height // 2 - 1)):
            if y < height:
                rows[y] = (Span(part.center(width), "warn"),)
        return [strip(row, width, self.look) for row in rows]
