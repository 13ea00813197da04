"""What drawings of figures share: the range of an axis, its ticks, and places for labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise

from msgspec import Struct

from bioretrieval_tui.render.figures import FigureAxis

_STEPS = (1, 2, 5)
_MONTHS = (1, 2, 3, 6)
_MONTHLY = 2.5 * 365
"""Days of the longest range whose ticks are months."""
_YEARS = (1, 2, 5, 10, 20, 50, 100)
_MARGIN = 0.04
"""Part of an axis beyond the outermost values, at each end."""


# Axes -----------------------------------------------------------------------------------------


class AxisRange(Struct, frozen=True):
    """The part of an axis that is drawn; low, high: where the axis is even."""

    axis: FigureAxis
    low: float
    high: float

    def share(self, value: float) -> float:
        """Where `value` stands between the ends: 0 to 1."""
        return (self.axis.place(value) - self.low) / (self.high - self.low)


def range_of(axis: FigureAxis, values: Iterable[float]) -> AxisRange:
    """The range that holds all values, with a margin; one around a single value."""
    places = [axis.place(value) for value in values] or [0.0]
    low, high = min(places), max(places)
    # One value, or values so near that ticks could not tell them apart.
    least = {"date": 60.0, "log": 0.3, "log2": 1.0}.get(axis.scale, 0.01)
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    margin = 0.0 if axis.lanes else (high - low) * _MARGIN
    return AxisRange(axis, low - margin, high + margin)


def ticks(shown: AxisRange, most: int) -> list[tuple[float, str]]:
    """At most `most` round values in the range with their texts, as many as there may be."""
    if shown.axis.lanes:
        return list(shown.axis.lanes)
    sets = (_texts(shown, values) for values in _tick_sets(shown, most))
    return next((found for found in sets if len(found) <= most), [])


def _texts(shown: AxisRange, values: Sequence[float]) -> list[tuple[float, str]]:
    axis = shown.axis
    inside = [v for v in values if shown.low <= axis.place(v) <= shown.high]
    if axis.scale == "date":
        days = [date.fromordinal(round(value)) for value in inside]
        yearly = all((day.month, day.day) == (1, 1) for day in days)
        texts = [day.isoformat()[: 4 if yearly else 7] for day in days]
    elif axis.scale == "linear" and axis.key == "score":
        step = min((b - a for a, b in pairwise(values)), default=0.1)
        digits = max(2, -math.floor(math.log10(step) + 1e-9))
        texts = [f"{value:.{digits}f}" for value in inside]
    else:
        texts = [axis.text(value) for value in inside]
    return list(zip(inside, texts, strict=True))


def _tick_sets(shown: AxisRange, most: int) -> Iterator[list[float]]:
    """Sets of round values, from many to few, until one is enough."""
    low, high = shown.low, shown.high
    match shown.axis.scale:
        case "date":
            first, last = date.fromordinal(math.floor(low)), date.fromordinal(math.ceil(high))
            monthly = _MONTHS if high - low < _MONTHLY else ()
            for months in (*monthly, *(12 * years for years in _YEARS)):
                start = first.year - first.year % max(1, months // 12)
                found = range(start * 12, (last.year + 1) * 12, months)
                yield [float(date(max(1, m // 12), m % 12 + 1, 1).toordinal()) for m in found]
        case "log":
            decades = range(math.floor(low), math.ceil(high) + 1)
            for digits in (_STEPS, (1, 3), (1,)):
                yield [digit * 10.0**decade for decade in decades for digit in digits]
            for every in range(2, len(decades) + 1):
                yield [10.0**decade for decade in decades if decade % every == 0]
        case "log2":
            powers = range(math.floor(low), math.ceil(high) + 1)
            for every in range(1, len(powers) + 1):
                yield [2.0**power for power in powers if power % every == 0]
        case "linear":
            power = math.floor(math.log10((high - low) / max(1, most)))
            for step in (digit * 10.0**p for p in range(power, power + 4) for digit in _STEPS):
                found = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
                yield [round(at * step, 12) for at in found]


# Labels ---------------------------------------------------------------------------------------

Cell = tuple[int, int]
"""Column and row."""
SOFT, HARD = 1, 2
"""What a label may cover if it must be shown, and what it never covers."""
ANY = 10**6
MANY = 999
_CLEAR = 2
"""Columns between a label and what else stands in a row that is not that of its mark."""


class LabelWish(Struct, frozen=True):
    """A label for the mark at `column`, `row`. over: cells of dots and lines that it may cover
    where no place is free; MANY: as many as there are; ANY: it may also seem to name another mark.
    beside: neither above nor below."""

    column: int
    row: int
    width: int
    height: int = 1
    over: int = 0
    beside: bool = False


class PlacedLabel(Struct, frozen=True):
    """Where a label stands: its left column and its upper row."""

    column: int
    row: int


def place_labels(
    wishes: Sequence[LabelWish],
    size: tuple[int, int],
    taken: dict[Cell, int],
    reach: tuple[int, int] = (1, 0),
) -> list[PlacedLabel | None]:
    """A place beside its mark for each label, the first ones first; None where there is none.

    size: columns and rows of the frame; taken: SOFT or HARD by cell; the labels are added to it;
    reach: half of a mark's width and height. No two labels overlap and none leaves the frame.
    """
    columns, rows = size
    found: list[PlacedLabel | None] = []
    for wish in wishes:
        best: PlacedLabel | None = None
        least = min(wish.over, ANY) + 1
        for column, row in _beside(wish, reach):
            if column < 0 or row < 0 or column + wish.width > columns or row + wish.height > rows:
                continue
            cost = _cost(taken, column, row, wish)
            if cost < least:
                best, least = PlacedLabel(column, row), cost
            if not cost:
                break
        found.append(best)
        if best is not None:
            taken |= {
                (column, row): HARD
                for row in range(best.row, best.row + wish.height)
                for column in range(best.column, best.column + wish.width)
            }
    return found


def _beside(wish: LabelWish, reach: tuple[int, int]) -> Iterator[Cell]:
    """Places around a mark, the most readable first."""
    across, along = reach
    right, left = wish.column + across + 1, wish.column - across - wish.width
    level = wish.row - wish.height // 2
    above, below = wish.row - along - wish.height, wish.row + along + 1
    centre = wish.column - wish.width // 2
    yield from ((right, level), (left, level))
    if wish.beside:
        return
    # Further away a label seems to be that of another mark: only where it must be shown.
    further = (above - wish.height, below + wish.height) if wish.over >= MANY else ()
    for row in (above, below, *further):
        yield from ((wish.column, row), (wish.column - wish.width + 1, row), (centre, row))


def _cost(taken: dict[Cell, int], column: int, row: int, wish: LabelWish) -> int:
    """Cells that the label would cover, or touch at its ends; too many where that may not be."""
    cost = 0
    # In another row than its mark a label seems to be that of a mark near its ends.
    level = row <= wish.row < row + wish.height
    near = 1 if level else _CLEAR
    for y in range(row, row + wish.height):
        for x in range(column - near, column + wish.width + near):
            here, touched = taken.get((x, y), 0), column - 1 <= x <= column + wish.width
            if here == HARD and (x, y) != (wish.column, wish.row):
                if touched:
                    return ANY + 1
                cost += MANY + 1
            elif here == SOFT and touched:
                cost += 1
    return cost
