"""How wide text is on a terminal, and how a table's columns share the width that there is."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bioretrieval_tui.render.sheet import Column

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
        columns: the columns that readers see.
        natural: for each, the cells of its widest content, heading included.
        width: cells in all, None for no limit.

    Returns:
        One width for each column that is kept (at least one, where there is one at all), whose
        sum with the gaps is at most `width`. Right-aligned columns are never narrower than their
        content: a number with its end cut off is another number.
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
