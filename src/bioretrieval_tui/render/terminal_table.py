"""table: aligned columns for a terminal, one line a row, cut to the width.

Rich is imported only for colour or links; it lays out the same columns.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bioretrieval_tui.render.sheet import Column, Face, Sheet, face, one_line, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.theme import Theme

MARK = "?"
"""Follows an unverified value."""

_BATCH = 256
"""Rows that rich lays out at a time, so that a long table streams."""


def render(
    sheet: Sheet, *, width: int | None = None, colour: bool = False, links: bool = False
) -> Iterator[str]:
    """Heading and rows; where columns did not fit, a last line that names them.

    Args:
        width: cells that a line may take, None for as many as the content needs.
        colour: use bold and the terminal's sixteen colours.
        links: make each cell that leads somewhere an OSC 8 link.
    """
    places = shown(sheet)
    columns = [sheet.columns[place] for place in places]
    titles = [one_line(column.title) for column in columns]
    faces = [[face(row[place]) for place in places] for row in sheet.rows]
    natural = [
        max([cells(title), *(cells(_text(row[i])) for row in faces)])
        for i, title in enumerate(titles)
    ]
    widths = fit(columns, natural, width)
    kept = columns[: len(widths)]
    if colour or links:
        yield from _rich(kept, titles, widths, faces, colour=colour, links=links)
    else:
        yield from _plain(kept, titles, widths, faces)
    if len(widths) < len(columns):
        missing = f"not shown at this width: {', '.join(titles[len(widths) :])}"
        yield cut(missing, max(1, width or 1)) + "\n"


def _text(seen: Face) -> str:
    return seen.text + MARK if seen.unverified and seen.text else seen.text


def _cut(seen: Face, width: int) -> str:
    """The text within `width`; a mark is never cut."""
    text = _text(seen)
    if cells(text) <= width:
        return text
    if seen.unverified and width > 1:
        return cut(seen.text, width - 1) + MARK
    return cut(text, width)


def _plain(
    columns: Sequence[Column],
    titles: Sequence[str],
    widths: Sequence[int],
    rows: Sequence[Sequence[Face]],
) -> Iterator[str]:
    if not columns:
        return
    yield _line(columns, widths, [cut(title, w) for title, w in zip(titles, widths, strict=False)])
    yield _line(columns, widths, ["-" * width for width in widths])
    for row in rows:
        yield _line(columns, widths, [_cut(seen, w) for seen, w in zip(row, widths, strict=False)])


def _line(columns: Sequence[Column], widths: Sequence[int], texts: Sequence[str]) -> str:
    padded = []
    for column, width, text in zip(columns, widths, texts, strict=True):
        space = " " * (width - cells(text))
        padded.append(space + text if column.align == "right" else text + space)
    return (" " * GAP).join(padded).rstrip() + "\n"


def _rich(
    columns: Sequence[Column],
    titles: Sequence[str],
    widths: Sequence[int],
    rows: Sequence[Sequence[Face]],
    *,
    colour: bool,
    links: bool,
) -> Iterator[str]:
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    if not columns:
        return
    out = io.StringIO()
    width = sum(widths) + GAP * (len(widths) - 1)
    console = rich_console(out, width, colour=colour, styled=True)
    for start in range(0, max(1, len(rows)), _BATCH):
        table = Table(box=None, pad_edge=False, padding=(0, GAP // 2), show_header=not start)
        for column, title, width in zip(columns, titles, widths, strict=False):
            table.add_column(
                Text(cut(title, width), style="bold"),
                justify=column.align,
                width=width,
                no_wrap=True,
                overflow="crop",
            )
        for row in rows[start : start + _BATCH]:
            line = []
            for seen, width in zip(row, widths, strict=False):
                text = Text(_cut(seen, width), end="")
                if links and seen.url:
                    text.stylize(Style(link=seen.url))
                if seen.unverified and text.plain.endswith(MARK):
                    text.stylize("yellow", len(text) - 1)
                line.append(text)
            table.add_row(*line)
        console.print(table)
        yield from without_link_numbers(out.getvalue()).splitlines(keepends=True)
        out.seek(0)
        out.truncate()


def rich_console(
    out: io.StringIO, width: int, *, colour: bool, styled: bool, theme: Theme | None = None
) -> Console:
    """A console whose output does not depend on the environment. `styled`: bold and links too."""
    from rich.console import Console

    return Console(
        file=out,
        width=width,
        height=25,
        force_terminal=styled,
        force_jupyter=False,
        legacy_windows=False,
        # `no_color` keeps bold and links, which a colour system of None loses.
        color_system="standard" if styled else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        theme=theme,
        _environ={},
    )


def without_link_numbers(text: str) -> str:
    """`text` without the numbers that rich gives links, which differ from run to run."""
    return re.sub("\x1b]8;id=[^;\x1b]*;", "\x1b]8;;", text)


# Widths --------------------------------------------------------------------------------------

GAP = 2
"""Spaces between two columns."""


def cells(text: str) -> int:
    """Terminal cells that `text` takes: two for wide characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells; what is cut ends with "…"."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    kept: list[str] = []
    left = width - 1
    for char in text:
        left -= _cells_of(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def fit(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """Widths of the leading columns that fit; columns from the right are left out when too few.

    Args:
        columns: the shown columns.
        natural: cells of the widest content of each, heading included.
        width: cells in all, None for no limit.

    Returns:
        One width for each column that is kept, at least one; with the gaps they take at most
        `width`. Right-aligned columns are never narrower than their content, since a cut number is
        another number.
    """
    if width is None:
        return list(natural)
    width = max(1, width)
    base = [
        full if column.align == "right" else min(full, column.min_width)
        for column, full in zip(columns, natural, strict=True)
    ]
    kept = len(base)
    while kept > 1 and sum(base[:kept]) + GAP * (kept - 1) > width:
        kept -= 1
    widths = base[:kept]
    if kept == 1:
        return [min(natural[0], width)]
    return _share(columns, natural, widths, width - sum(widths) - GAP * (kept - 1))


def _share(
    columns: Sequence[Column], natural: Sequence[int], widths: list[int], spare: int
) -> list[int]:
    """`widths` grown towards `natural`, `spare` cells in all, in proportion to the weights."""
    while spare > 0:
        open_ = [i for i, taken in enumerate(widths) if taken < natural[i]]
        total = sum(max(1, columns[i].weight) for i in open_)
        if not open_:
            break
        given = 0
        for i in open_:
            share = max(1, spare * max(1, columns[i].weight) // total)
            share = min(share, natural[i] - widths[i], spare - given)
            widths[i] += share
            given += share
        spare -= given
    return widths
