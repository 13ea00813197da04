"""Figures drawn with characters: in the app, on a terminal and in text files.

Points of the front and those with a label are marks, all others braille dots of an eighth of a
cell, fronts and bests are lines. Forms differ, so that a drawing can be read without colour. Roles
are those of the app's looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

from bioretrieval_tui.render.figures import Bar, Figure, Point, score_text
from bioretrieval_tui.render.plot_layout import (
    ANY,
    HARD,
    MANY,
    SOFT,
    AxisRange,
    Cell,
    LabelWish,
    place_labels,
    range_of,
    ticks,
)
from bioretrieval_tui.render.sheet import one_line, shortened
from bioretrieval_tui.render.terminal_text import cells as cells_of
from bioretrieval_tui.render.terminal_text import cut

DrawnRow = tuple[tuple[str, str], ...]
"""Runs of text, each with its role."""
MARKS = "●▲■▼◆★"
"""Marks of the series, and of the front where there is one series."""
OPEN = "○▵▫▿◇☆"
"""Marks of the points that are not on a front but have a label."""
SERIES_ROLES = ("model", "dataset", "benchmark", "recipe", "paper", "text")
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEAST_WIDTH, _LEAST_HEIGHT = 24, 6
_LONGEST_NAME = 32
_NAME_LENGTHS = (32, 24, 16, 10, 6)
"""Of the names of series, in the order in which they are tried."""
_FEW = 3
"""Cells of dots and lines that the label of a curated model may cover."""
_LINES = {
    "u": "│", "d": "│", "ud": "│", "l": "─", "r": "─", "lr": "─", "ur": "└", "ul": "┘", "dr": "┌",
    "dl": "┐", "udr": "├", "udl": "┤", "ulr": "┴", "dlr": "┬", "udlr": "┼",
}  # fmt: skip
"""Characters of lines by the directions that they join: up, down, left, right."""
_COLOURS = {"model": "32", "dataset": "36", "benchmark": "35", "recipe": "33", "paper": "31",
            "strong": "1", "faint": "2", "dim": "2", "rule": "2", "behind": "2",
            "cursor": "7"}  # fmt: skip


def draw(figure: Figure, width: int, height: int, cursor: int | None = None) -> list[DrawnRow]:
    """The figure in `height` rows of `width` cells, without its title. cursor: place of the point
    or bar that is highlighted, in the order of `targets`."""
    if not (figure.points or figure.bars) or width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        empty = "nothing to draw" if not (figure.points or figure.bars) else "the window is small"
        notice: DrawnRow = ((cut(empty, width), "dim"),)
        return [notice][:height]
    if figure.bars:
        return _bars(figure, width, height, cursor)
    return _Drawing(figure, width, height, cursor).rows()


def unnamed(figure: Figure, width: int, height: int, cursor: int | None) -> list[Point]:
    """Points of fronts for whose names such a drawing has no place, best first."""
    if not figure.points or width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return []
    drawing = _Drawing(figure, width, height, cursor)
    drawing.rows()
    return drawing.unnamed


def targets(figure: Figure) -> list[Point] | list[Bar]:
    """What a cursor visits: bars from above, points from left to right."""
    if figure.bars:
        return list(figure.bars)
    return sorted(figure.points, key=lambda one: (figure.x.place(one.x), -one.y, one.id))


def target_text(figure: Figure, target: Point | Bar) -> str:
    """A point or bar in one line."""
    if isinstance(target, Bar):
        return f"{target.name}: {target.text}, {score_text(target.score)}"
    text = f"{target.label}: {score_text(target.y)}, {figure.x.title} {figure.when(target)}"
    series = figure.curves[target.series].name if figure.several else ""
    return f"{text}, {series}" if series else text


def front_lines(figure: Figure) -> Iterator[str]:
    """The points of each front in words, and the notes: what stands below a drawing."""
    for place, curve in enumerate(figure.curves if figure.kind != "timeline" else ()):
        front = [
            point
            for point in targets(figure)
            if isinstance(point, Point) and (point.standing, point.series) == ("front", place)
        ]
        ends = (f"{point.label} ({score_text(point.y)}, {figure.when(point)})" for point in front)
        yield one_line(f"{curve.name}: {'; '.join(ends)}")
    yield from map(one_line, figure.notes)


def text_of(rows: Iterable[DrawnRow], *, colour: bool) -> Iterator[str]:
    """Rows as lines for a terminal, or without any escape sequence."""
    for row in rows:
        parts = (
            f"\x1b[{_COLOURS[role.partition('.')[0]]}m{text}\x1b[0m"
            if colour and role.partition(".")[0] in _COLOURS
            else text
            for text, role in row
        )
        yield "".join(parts).rstrip() + "\n"


# Points and lines -----------------------------------------------------------------------------


class _Drawing:
    """One drawing of points. Row 0 names the y axis and the series; the last three rows are the x
    axis, the texts of its ticks and its name."""

    def __init__(self, figure: Figure, width: int, height: int, cursor: int | None) -> None:
        self.figure = figure
        points = figure.points
        self.x = range_of(figure.x, (point.x for point in points))
        self.y = range_of(figure.y, (point.y for point in points))
        self.width, self.height = width, height
        self.plot_rows = height - 4
        self.y_texts = {
            self._y_row(value): shortened(text, max(8, width // 4))
            for value, text in ticks(self.y, max(2, self.plot_rows // 3))
        }
        self.gutter = max(map(cells_of, self.y_texts.values()), default=0) + 1
        self.columns = width - self.gutter - 2
        self.marked = targets(figure)[cursor] if cursor is not None else None
        self.several = figure.several
        self.seen: dict[Cell, tuple[str, str]] = {}
        """Character and role by cell of the plot."""
        self.taken: dict[Cell, int] = {}
        self.owner: dict[Cell, Point] = {}
        """The point whose mark a cell shows."""
        self.unnamed: list[Point] = []
        """Points of fronts without a place for their names."""

    def cell(self, x: float, y: float, fine: tuple[int, int] = (1, 1)) -> Cell:
        """The cell of a value; fine: parts of a cell in each direction."""
        columns, rows = self.columns * fine[0], self.plot_rows * fine[1]
        column = round(self.x.share(x) * (columns - 1))
        return column, rows - 1 - round(self.y.share(y) * (rows - 1))

    def rows(self) -> list[DrawnRow]:
        self._lines()
        self._dots()
        self._points()
        self._labels()
        plot = [self._row(row) for row in range(self.plot_rows)]
        return [self._head(), *plot, *self._x_axis()]

    def _lines(self) -> None:
        """Draw the curves; those of one role are one net of lines, which join."""
        nets: dict[str, dict[Cell, set[str]]] = {}
        for place, curve in enumerate(self.figure.curves):
            role = SERIES_ROLES[place % len(SERIES_ROLES)] if self.several else "behind"
            ways = nets.setdefault(role, {})
            for start, end in pairwise(curve.corners):
                (x1, y1), (x2, y2) = self.cell(*start), self.cell(*end)
                path = [(x, y1) for x in _span(x1, x2)] + [(x2, y) for y in _span(y1, y2)][1:]
                for here, there in pairwise(path):
                    ways.setdefault(here, set()).add(_way(here, there))
                    ways.setdefault(there, set()).add(_way(there, here))
        for role, ways in nets.items():
            for here, found in ways.items():
                key = "".join(way for way in "udlr" if way in found)
                self.seen[here] = (_LINES[key], role)
                self.taken[here] = SOFT

    def _dots(self) -> None:
        bits: dict[Cell, int] = {}
        for point in self.figure.points:
            if point.standing == "other":
                column, row = self.cell(point.x, point.y, (2, 4))
                here = column // 2, row // 4
                bits[here] = bits.get(here, 0) | _DOTS[column % 2][row % 4]
        for here, dots in bits.items():
            self.seen[here] = (chr(0x2800 + dots), "dim")
            self.taken[here] = SOFT

    def _points(self) -> None:
        for standing in ("named", "front"):
            for point in self.figure.points:
                if point.standing == standing:
                    self._mark(point, standing == "front")
        if isinstance(self.marked, Point):
            here = self.cell(self.marked.x, self.marked.y)
            char = self._char(self.marked) if self.marked.standing != "other" else "•"
            self.seen[here] = (char, "cursor")
            self.taken[here] = HARD

    def _char(self, point: Point) -> str:
        return (MARKS if point.standing == "front" else OPEN)[point.series % len(MARKS)]

    def _mark(self, point: Point, front: bool) -> None:
        here = self.cell(point.x, point.y)
        role = SERIES_ROLES[point.series % len(SERIES_ROLES)]
        self.seen[here] = (self._char(point), f"{role}.strong" if front else role)
        self.taken[here] = HARD
        self.owner[here] = point

    def _labels(self) -> None:
        ranked = {"front": 1, "named": 2, "other": 3}
        asked = [point for point in self.owner.values() if point is not self.marked]
        # Points of a front are named even where another point hides them.
        asked += [one for one in self.figure.front if one is not self.marked and one not in asked]
        asked += [self.marked] if isinstance(self.marked, Point) else []
        asked.sort(key=lambda one: (one is not self.marked, ranked[one.standing], -one.y))
        longest = min(_LONGEST_NAME, self.columns // 2)
        names = [shortened(point.label, longest) for point in asked]
        wishes, lanes = [], bool(self.figure.y.lanes)
        for point, name in zip(asked, names, strict=True):
            over = MANY if point.standing == "front" else _FEW
            over = ANY if point is self.marked else over
            wishes.append(LabelWish(*self.cell(point.x, point.y), cells_of(name), 1, over, lanes))
        places = place_labels(wishes, (self.columns, self.plot_rows), self.taken)
        roles = {"front": "strong", "named": "dim", "other": "dim"}
        for point, name, place in zip(asked, names, places, strict=True):
            if place is None:
                self.unnamed += [point] if point.standing == "front" else []
                continue
            role = "cursor" if point is self.marked else roles[point.standing]
            column = place.column
            for char in name:
                self.seen[column, place.row] = (char, role)
                wide = cells_of(char)
                if wide == 2:
                    self.seen[column + 1, place.row] = ("", role)
                column += wide

    # Frame ------------------------------------------------------------------------------------

    def _row(self, row: int) -> DrawnRow:
        tick = self.y_texts.get(row, "")
        pad = " " * (self.gutter - 1 - cells_of(tick))
        lead = ((f"{pad}{tick} ", "dim"), ("┤" if tick else "│", "rule"))
        blank = (" ", "text")
        found = (self.seen.get((column, row), blank) for column in range(self.columns))
        return (*lead, *_runs(found))

    def _y_row(self, value: float) -> int:
        return self.plot_rows - 1 - round(self.y.share(value) * (self.plot_rows - 1))

    def _head(self) -> DrawnRow:
        """The name of the y axis; then the series with their marks, or the meaning of the marks."""
        if self.several:
            marked = [
                (MARKS[at % len(MARKS)], curve.name, SERIES_ROLES[at % len(SERIES_ROLES)])
                for at, curve in enumerate(self.figure.curves)
            ]
        else:
            standings = {point.standing for point in self.figure.points}
            marks = {"front": MARKS[0], "named": OPEN[0], "other": "⠂"}
            marked = [
                (marks[key], name, "dim" if key == "other" else SERIES_ROLES[0])
                for key, name in self.figure.legend.items()
                if key in standings
            ]
        for longest in _NAME_LENGTHS:
            legend: list[tuple[str, str]] = []
            for mark, name, role in marked:
                legend += [("   ", "text"), (mark, role), (f" {shortened(name, longest)}", "dim")]
            space = self.width - sum(cells_of(text) for text, _ in legend)
            if space >= min(cells_of(self.figure.y.title), self.width // 4):
                return ((shortened(self.figure.y.title, space), "dim"), *legend)
        return ((cut(self.figure.y.title, self.width), "dim"),)

    def _x_axis(self) -> list[DrawnRow]:
        found = ticks(self.x, max(2, self.columns // 9))
        axis, texts = ["─"] * self.columns, [" "] * (self.columns + self.gutter + 2)
        last = -1
        for value, text in found:
            column = round(self.x.share(value) * (self.columns - 1))
            start = min(max(0, self.gutter + 1 + column - len(text) // 2), len(texts) - len(text))
            if start <= last:
                continue
            axis[column] = "┬"
            texts[start : start + len(text)] = text
            last = start + len(text)
        name = self.figure.x.title
        indent = max(0, self.gutter + 1 + (self.columns - len(name)) // 2)
        return [
            ((" " * self.gutter, "text"), ("└" + "".join(axis), "rule")),
            (("".join(texts).rstrip(), "dim"),),
            ((" " * indent + cut(name, self.columns), "dim"),),
        ]


def _span(start: int, end: int) -> range:
    return range(start, end + 1) if end >= start else range(start, end - 1, -1)


def _way(here: Cell, there: Cell) -> str:
    """The direction from a cell to its neighbour."""
    if here[0] != there[0]:
        return "r" if there[0] > here[0] else "l"
    return "d" if there[1] > here[1] else "u"


def _runs(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for role, group in groupby(found, key=lambda one: one[1]):
        yield "".join(char for char, _ in group), role


# Bars -----------------------------------------------------------------------------------------


def _bars(figure: Figure, width: int, height: int, cursor: int | None) -> list[DrawnRow]:
    """Name, bar, rank and score of each benchmark, from above; the cursor stays on the screen."""
    bars = figure.bars
    rows = height - 3
    top = max(0, min((cursor or 0) - rows // 2, len(bars) - rows))
    places = max(len(bar.text) for bar in bars)
    texts = [f" {bar.text:>{places}}  {score_text(bar.score)}" for bar in bars]
    names = [one_line(bar.name) for bar in bars]
    gutter = min(max(map(cells_of, names)), width // 3)
    columns = width - gutter - 2 - max(map(len, texts))
    shown = AxisRange(figure.x, 0.0, 1.0)
    drawn: list[DrawnRow] = []
    for at in range(top, min(top + rows, len(bars))):
        name = cut(names[at], gutter)
        here = at == cursor
        drawn.append((
            (name + " " * (gutter - cells_of(name)), "cursor" if here else "text"),
            (" ", "text"),
            ("│", "rule"),
            (_bar(bars[at].share, columns), "model"),
            (texts[at], "cursor" if here else "dim"),
        ))  # fmt: skip
    scale = [" "] * (width + 4)
    for value, text in ticks(shown, max(2, columns // 12)):
        # "100%" ends where the longest bar does.
        start = gutter + 2 + min(round(value * columns) - len(text) // 2, columns - len(text))
        scale[start : start + len(text)] = text
    return [
        (("benchmark" + " " * max(1, gutter - 7) + "rank and score", "dim"),),
        *drawn,
        (("".join(scale)[:width].rstrip(), "dim"),),
        ((" " * (gutter + 2) + cut(figure.x.title, columns), "dim"),),
    ]


def _bar(share: float, columns: int) -> str:
    """A bar of eighths of a cell; the last rank of all has a thin one."""
    eighths = max(1, round(share * columns * 8))
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(columns)


def fitting_height(figure: Figure, rows: int) -> int:
    """Rows that a drawing takes where it may have `rows`: all bars and milestones are shown."""
    if figure.kind == "timeline":
        return len(figure.points) + 4
    return len(figure.bars) + 3 if figure.bars else rows
