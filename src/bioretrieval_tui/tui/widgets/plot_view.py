"""A figure drawn in the app, with a cursor over its points or bars."""

from __future__ import annotations

from collections.abc import Sequence

from bioretrieval_tui.render.figures import Bar, Figure, Point
from bioretrieval_tui.render.plot_text import draw, targets, unnamed
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.canvas import Canvas


class PlotView(Canvas, can_focus=True):
    """The drawing of `figure`; without one, blank."""

    def __init__(self) -> None:
        super().__init__()
        self.figure: Figure | None = None
        self.cursor = 0
        self.targets: list[Point] | list[Bar] = []

    def show(self, figure: Figure | None, keep: str = "") -> None:
        """Draw a figure, with the cursor on the point whose id is `keep`, or else on the best."""
        self.figure = figure.drawn if figure else None
        self.targets = targets(self.figure) if self.figure else []
        ids = [target.id for target in self.targets]
        best = max(
            range(len(ids)),
            key=lambda at: self._height(self.targets[at]),
            default=0,
        )
        self.cursor = ids.index(keep) if keep in ids else best
        self.update()

    @staticmethod
    def _height(target: Point | Bar) -> float:
        return target.y if isinstance(target, Point) else target.share

    @property
    def current(self) -> Point | Bar | None:
        return self.targets[self.cursor] if self.targets else None

    @property
    def unnamed(self) -> list[Point]:
        """Points of fronts whose names have no place in the drawing."""
        width, height = self.size
        return unnamed(self.figure, width - 2, height, self.cursor) if self.figure else []

    def move_on_front(self, by: int) -> None:
        """To the next point of a front (1) or the previous one (-1), if there is one."""
        for at in range(self.cursor + by, len(self.targets) if by > 0 else -1, by):
            target = self.targets[at]
            if isinstance(target, Point) and target.standing == "front":
                self.move_to(at)
                return

    def move_to(self, place: int) -> None:
        if self.targets:
            self.cursor = max(0, min(place, len(self.targets) - 1))
            self.update()

    def row_spans(self) -> Sequence[Row]:
        if self.figure is None:
            return ()
        width, height = self.size
        rows = draw(self.figure, width - 2, height, self.cursor)
        return [(Span(" "), *(Span(text, role) for text, role in row)) for row in rows]

    def scroll_rows(self, by: int) -> None:
        self.move_to(self.cursor + (1 if by > 0 else -1))
