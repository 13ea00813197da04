"""Figures as files: SVG and PNG by matplotlib, and every form of the data by `formats`.

matplotlib is imported when a picture is written, without pyplot, so that nothing of it is shared.
The same figure gives the same bytes by the same version of matplotlib.
"""

from __future__ import annotations

import io
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.render.figures import Bar, Figure, figure_sheet, score_text
from bioretrieval_tui.render.formats import Format, render
from bioretrieval_tui.render.plot_layout import (
    ANY,
    HARD,
    SOFT,
    LabelWish,
    place_labels,
    range_of,
    ticks,
)
from bioretrieval_tui.render.plot_text import draw, fitting_height, front_lines, text_of
from bioretrieval_tui.render.sheet import one_line, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

PICTURES = (".svg", ".png")
FORMATS_BY_EXTENSION: dict[str, Format] = {
    ".md": "markdown", ".csv": "csv", ".json": "json", ".jsonl": "jsonl",
    ".tex": "latex",
}  # fmt: skip
EXTENSIONS = (*PICTURES, ".txt", *FORMATS_BY_EXTENSION)
_SIZE, _DPI = (9.0, 6.0), 160
_COLOURS = ("#036b4d", "#1d4ed8", "#b45309", "#6d28d9", "#be123c", "#0c667f")
"""Of the series: dark enough for text on white, and told apart by people who confuse red and green
with the help of the marks."""
_MARKS = "o^sDvP"
_INK, _FAINT, _GRID, _DOT = "#18181b", "#5b5b63", "#e8e8e5", "#a1a1aa"
_LEGEND_COLUMNS = 4
_CELL = 4
"""Pixels a side of the cells in which labels are placed."""
_STYLE: Any = {  # matplotlib's type lists every one of its settings
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "bioretrieval-tui",
    "text.parse_math": False,
    "axes.unicode_minus": True,
}


def check_extension(path: Path) -> str:
    """The extension of a file that a figure can be written to. Raises UsageError."""
    extension = path.suffix.casefold()
    if extension not in EXTENSIONS:
        raise UsageError(f"no picture has the extension '{path.suffix or path.name}'",
                         remedy=f"use one of {' '.join(EXTENSIONS)}")  # fmt: skip
    return extension


def write_figure(path: Path, figure: Figure) -> Path:
    """Write a figure in the form that the extension names, all or nothing. Raises UsageError where
    it names none; BioRetrievalError: there is nothing to draw, or it cannot be written."""
    extension = check_extension(path)
    if not (figure.points or figure.bars):
        raise BioRetrievalError("nothing to draw", remedy="; ".join(figure.notes) or None)
    if path.is_dir():
        raise UsageError(f"{path} is a folder", remedy="name a file in it")
    if not path.absolute().parent.is_dir():
        raise BioRetrievalError(f"the folder {path.parent} is not there", remedy="make it first")
    if extension in PICTURES:
        data = picture(figure, extension)
    elif extension == ".txt":
        figure = figure.drawn
        rows = draw(figure, 100, fitting_height(figure, 32))
        lines = (f"{line}\n" for line in front_lines(figure))
        text = "".join([one_line(figure.title), "\n", *text_of(rows, colour=False), *lines])
        data = text.encode()
    else:
        data = "".join(render(figure_sheet(figure), FORMATS_BY_EXTENSION[extension])).encode()
    save_file(path, data, "the picture")
    return path


def picture(figure: Figure, extension: str) -> bytes:
    """The figure as SVG or PNG."""
    figure = figure.drawn
    # Else matplotlib would keep its list of fonts in a folder of its own.
    os.environ.setdefault("MPLCONFIGDIR", str(places().cache / "matplotlib"))
    import logging
    import warnings

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its list of fonts
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    out = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in Chinese is boxes in a PNG; in an SVG the reader's own font shows it.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        height = max(2.5, 1.2 + 0.3 * len(figure.bars)) if figure.bars else _SIZE[1]
        if figure.kind == "timeline":
            height = max(height, 1.5 + 0.22 * len(figure.points))
        canvas = Canvas(figsize=(_SIZE[0], height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(canvas)  # it measures texts, for both kinds of files
        axes = canvas.add_axes((0.0, 0.0, 1.0, 1.0))
        if figure.bars:
            _bars(axes, figure)
        else:
            _points(axes, figure)
        _frame(canvas, axes, figure)
        if figure.points:
            _labels(canvas, axes, figure)
        if extension == ".svg":
            canvas.savefig(out, format="svg", metadata={"Date": None, "Title": figure.title})
        else:
            canvas.savefig(out, format="png", metadata={"Software": None, "Title": figure.title})
    return out.getvalue()


# Drawing --------------------------------------------------------------------------------------


def _points(axes: Axes, figure: Figure) -> None:
    x, y = (
        range_of(axis, values)
        for axis, values in (
            (figure.x, [point.x for point in figure.points]),
            (figure.y, [point.y for point in figure.points]),
        )
    )
    several = figure.several
    for at, curve in enumerate(figure.curves):
        across = [figure.x.place(corner[0]) for corner in curve.corners]
        up = [corner[1] for corner in curve.corners]
        colour = _COLOURS[at % len(_COLOURS) if several else 0]
        axes.plot(across, up, color=colour, linewidth=1.2, alpha=0.8, zorder=2)
    for standing, size, filled in (("other", 9, True), ("named", 22, False), ("front", 30, True)):
        for at in range(max(1, len(figure.curves))):
            found = [p for p in figure.points if (p.standing, p.series) == (standing, at)]
            if not found:
                continue
            colour = _DOT if standing == "other" else _COLOURS[at % len(_COLOURS)]
            name = figure.legend.get(standing, "")
            if several:
                name = shortened(figure.curves[at].name, 32) if standing == "front" else ""
            axes.scatter(
                [figure.x.place(point.x) for point in found],
                [point.y for point in found],
                s=size,
                marker=_MARKS[at % len(_MARKS)],
                zorder=3,
                label=one_line(name) or None,
                facecolors=colour if filled else "white",
                edgecolors=colour,
                linewidths=0 if standing == "other" else 1,
            )
    axes.set_xlim(x.low, x.high)
    beyond = 0.7 if figure.y.lanes else 0.0
    axes.set_ylim(y.low - beyond, y.high + beyond)
    for shown, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        marks = ticks(shown, 8)
        axis.set_ticks(
            [shown.axis.place(value) for value, _ in marks],
            [shortened(text, 40) for _, text in marks],
        )
    if len(figure.points) > 1 and figure.legend:
        handles, _ = axes.get_legend_handles_labels()
        axes.legend(
            handles=handles if several else handles[::-1],
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=_LEGEND_COLUMNS, frameon=False,
            borderpad=0.1, handletextpad=0.3, columnspacing=1.2, labelcolor=_INK,
        )  # fmt: skip


def _bars(axes: Axes, figure: Figure) -> None:
    rows = range(len(figure.bars))
    axes.barh(rows, [max(bar.share, 0.003) for bar in figure.bars], 0.62, color=_COLOURS[0])
    for row, bar in zip(rows, figure.bars, strict=True):
        axes.text(max(bar.share, 0.003) + 0.01, row, _bar_text(bar), va="center", color=_INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(figure.bars) - 0.4, -0.6)
    axes.set_yticks(rows, [shortened(bar.name, 40) for bar in figure.bars])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])


def _bar_text(bar: Bar) -> str:
    return f"{bar.text}   {score_text(bar.score)}"


def _frame(canvas: Canvas, axes: Axes, figure: Figure) -> None:
    """Titles, notes and the look of the axes, and their place in inches."""
    width, height = canvas.get_size_inches()
    notes = [one_line(note) for note in figure.notes]
    names = [shortened(bar.name, 40) for bar in figure.bars]
    names += [shortened(name, 40) for _, name in figure.y.lanes]
    left = 0.35 + 0.075 * max(map(len, names)) if names else 0.75
    # The text of a bar that reaches 100 % stands beside the axes.
    right = 0.2 + 0.07 * max((len(_bar_text(bar)) for bar in figure.bars), default=0)
    foot, head = 0.6 + 0.17 * len(notes), 0.5
    if figure.legend and not figure.bars:
        head += 0.2 * (1 + (len(figure.curves) - 1) // _LEGEND_COLUMNS if figure.several else 1)
    axes.set_position((left / width, foot / height, 1 - (left + right) / width,
                       1 - (foot + head) / height))  # fmt: skip
    canvas.text(0.15 / width, 1 - 0.1 / height, one_line(figure.title), fontsize=12,
                fontweight="bold", color=_INK, va="top")  # fmt: skip
    for at, note in enumerate(reversed(notes)):
        canvas.text(0.15 / width, (0.1 + 0.17 * at) / height, note, fontsize=7.5, color=_FAINT)
    axes.set_xlabel(figure.x.title, color=_FAINT)
    if figure.points:
        axes.set_ylabel(one_line(figure.y.title), color=_FAINT)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="both" if figure.points else "x", color=_GRID, linewidth=0.7)
    axes.tick_params(length=0, labelcolor=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_DOT)


def _labels(canvas: Canvas, axes: Axes, figure: Figure) -> None:
    """Names of points, those of fronts first, where they cover neither marks nor each other."""
    renderer: Any = canvas.canvas.get_renderer()  # type: ignore[attr-defined]  # Agg's canvas has it
    box = axes.get_window_extent(renderer)
    columns, rows = int(box.width / _CELL), int(box.height / _CELL)

    def cell(x: float, y: float) -> tuple[int, int]:
        across, up = axes.transData.transform((figure.x.place(x), y))
        return int((across - box.x0) / _CELL), int((box.y1 - up) / _CELL)

    taken: dict[tuple[int, int], int] = {}
    for curve in figure.curves:
        corners = [cell(*corner) for corner in curve.corners]
        for (x1, y1), (x2, y2) in pairwise(corners):
            for x in range(min(x1, x2), max(x1, x2) + 1):
                for y in range(min(y1, y2), max(y1, y2) + 1):
                    taken[x, y] = SOFT
    for point in figure.points:
        x, y = cell(point.x, point.y)
        around = 1 if point.standing == "other" else 2
        strength = SOFT if point.standing == "other" else HARD
        for column in range(x - around, x + around + 1):
            for row in range(y - around, y + around + 1):
                taken[column, row] = max(strength, taken.get((column, row), 0))
    order = {"front": 0, "named": 1}
    asked = sorted((point for point in figure.points if point.standing in order),
                   key=lambda one: (order[one.standing], -one.y))  # fmt: skip
    texts = []
    wishes, lanes = [], bool(figure.y.lanes)
    for point in asked:
        front = point.standing == "front"
        text = axes.text(0, 0, shortened(point.label, 40), fontsize=8 if front else 7.5, va="top",
                         color=_INK if front else _FAINT, zorder=4)  # fmt: skip
        size = text.get_window_extent(renderer)
        across, down = (int(length / _CELL) + 1 for length in (size.width, size.height))
        wishes.append(LabelWish(*cell(point.x, point.y), across, down, ANY if front else 0, lanes))
        texts.append(text)
    # Space for the line that goes down beside a milestone.
    reach = (5, 2) if lanes else (3, 2)
    found = place_labels(wishes, (columns, rows), taken, reach)
    for text, place in zip(texts, found, strict=True):
        if place is None:
            text.remove()
            continue
        pixels = (box.x0 + place.column * _CELL, box.y1 - place.row * _CELL)
        text.set_position(tuple(axes.transData.inverted().transform(pixels)))
