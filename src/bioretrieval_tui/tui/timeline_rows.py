"""Rows of cells over years: an axis, milestones by era, the tree of families, publications."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rich.cells import cell_len

from bioretrieval_tui.render.lineage import Branch, Timeline, TimelineMark
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.text import Row, Span, fit

LONGEST_NAME = 24
TO_SCALE = 16
"""Cells a year from which the axis is true to scale; with fewer its gaps are shortened."""
GAP = 16
"""Cells of a gap that is shortened, enough for its length in words."""
ERA_ROLES = ("dataset", "model", "recipe", "benchmark", "paper", "step")
_YEAR = 4

Piece = tuple[int, str, str]
"""Text at a column, and its role."""


@dataclass(frozen=True, slots=True)
class YearAxis:
    """The columns of years.

    places: year -> column, without the years within a gap that is shortened.
    gaps: (year before, year after) of every gap.
    """

    places: Mapping[int, int]
    gaps: tuple[tuple[int, int], ...] = ()

    def row(self, width: int) -> Row:
        """Years over their columns; a gap says how long it is."""
        pieces: list[Piece] = []
        free = 0
        gaps = dict(self.gaps)
        for year, place in self.places.items():
            if free <= place <= width - _YEAR:
                pieces.append((place, str(year), "strong" if year in gaps else "dim"))
                free = place + _YEAR + 1
            if year in gaps:
                start, end = place + _YEAR, self.places[gaps[year]]
                words = f" {gaps[year] - year - 1} years"
                forms = (f"{words} without a milestone ", f"{words} ", "")
                shown = next(form for form in forms if len(form) < end - start or not form)
                pieces.append((start, f"{shown:┄^{end - start}}", "faint"))
                free = end
        return _filled(pieces, width, "─")


def year_axis(
    years: Sequence[int], gaps: Sequence[tuple[int, int]], width: int, *, last: int = 0
) -> YearAxis:
    """The axis from the first to the last of the years. last: least cells for the last one."""
    if not years:
        return YearAxis({})
    first, end = years[0], years[-1]
    step = min((width - last) / max(1, end - first), width / (end - first + 1))
    shortened = dict(gaps) if step < TO_SCALE else {}
    within = {year for a, b in shortened.items() for year in range(a + 1, b)}
    drawn = [year for year in range(first, end + 1) if year not in within]
    gap = min(GAP, width // 4)
    steps = len(drawn) - 1 - len(shortened)
    space = width - gap * len(shortened)
    step = min((space - last) / max(1, steps), space / (steps + 1))
    places, column = {first: 0}, 0.0
    for before, year in pairwise(drawn):
        column += gap if before in shortened else max(1.0, step)
        places[year] = round(column)
    return YearAxis(places, tuple(gaps))


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A milestone on the picture: its row, the column of its mark and that of its name."""

    mark: TimelineMark
    role: str
    row: int
    column: int
    name: str
    name_column: int

    @property
    def start(self) -> int:
        return min(self.column, self.name_column)

    @property
    def end(self) -> int:
        return max(self.column + 1, self.name_column + cell_len(self.name))

    @property
    def gap(self) -> int:
        """The column between mark and name."""
        return self.column + (1 if self.name_column > self.column else -1)

    def touches(self, other: PlacedMark) -> bool:
        """Whether less than two cells are between them, if they stand in one row."""
        return self.start < other.end + 2 and other.start < self.end + 2


@dataclass(frozen=True, slots=True)
class TimelinePicture:
    """The timeline at one width: an axis, then a block of rows an era, names beside their marks.

    labels: (row, name, role) of each era; height: rows, with the axis.
    """

    width: int
    axis: YearAxis
    left: int
    marks: tuple[PlacedMark, ...]
    labels: tuple[tuple[int, str, str], ...]
    height: int

    def rows(self, at: str | None, shown: Collection[str]) -> list[Row]:
        """The picture with the milestone `at` under the cursor; those not `shown` are faint."""
        marks = {one.mark.id: one.mark for one in self.marks}
        current = marks.get(at or "")
        kin = (*current.bases, *current.heirs) if current else ()
        pieces: list[list[Piece]] = [[] for _ in range(self.height)]
        for row, name, role in self.labels:
            pieces[row].append((0, fit(name, self.left - 1), role))
        for one in self.marks:
            if one.mark.id == at:
                sign, sign_role, name_role = "●", "cursor", "cursor"
                # The cell between mark and name is under the cursor too.
                pieces[one.row].append((self.left + one.gap, " ", "cursor"))
            elif one.mark.id in kin:
                sign, sign_role, name_role = "◆", one.role, f"{one.role}.strong"
            elif one.mark.id not in shown:
                sign, sign_role, name_role = "○", "faint", "faint"
            else:
                sign, sign_role, name_role = "●", one.role, "text"
            pieces[one.row] += [
                (self.left + one.column, sign, sign_role),
                (self.left + one.name_column, one.name, name_role),
            ]
        axis = (Span(" " * self.left), *self.axis.row(self.width - self.left))
        return [axis, *(_filled(sorted(row), self.width) for row in pieces[1:])]

    def at(self, row: int, column: int) -> str | None:
        """The id of the milestone that is drawn at a cell."""
        column -= self.left
        found = (m for m in self.marks if m.row == row and m.start <= column < m.end)
        return next((one.mark.id for one in found), None)


def kinship(mark: TimelineMark, marks: Mapping[str, TimelineMark]) -> Iterator[Span]:
    """A milestone and its kin in words."""
    yield Span(f"● {mark.name}", "strong")
    yield Span(f", {mark.year}", "dim")
    for words, kin in (("trained from", mark.bases), ("base of", mark.heirs)):
        if kin:
            names = ", ".join(f"◆ {marks[one].name}" for one in kin)
            yield from (Span(f"   {words} ", "dim"), Span(names, "strong"))


def draw_timeline(timeline: Timeline, width: int) -> TimelinePicture:
    """Place milestones at their years: in the first row of their era where the name is free."""
    left = min(14, max((cell_len(era.name) for era in timeline.eras), default=0)) + 2
    space = width - left
    axis = year_axis(timeline.years, timeline.gaps, space)
    placed: list[PlacedMark] = []
    labels: list[tuple[int, str, str]] = []
    longest = min(LONGEST_NAME, space // 4)
    first = 1
    for number, era in enumerate(timeline.eras):
        role = ERA_ROLES[number % len(ERA_ROLES)]
        labels.append((first, era.name, role))
        rows: list[list[PlacedMark]] = []
        for mark in era.marks:
            column = axis.places[mark.year]
            name = shortened_name(mark.name, longest)
            # Beside its mark, on its left where the right end is too near.
            at = column + 2 if column + 2 + cell_len(name) <= space else column - 1 - cell_len(name)
            new = PlacedMark(mark, role, 0, column, name, max(0, at))
            row = next((row for row in rows if not any(map(new.touches, row))), [])
            if not row:
                rows.append(row)
            row.append(replace(new, row=first + rows.index(row)))
        placed += [one for row in rows for one in row]
        first += len(rows)
    return TimelinePicture(width, axis, left, tuple(placed), tuple(labels), first)


def shortened_name(name: str, most: int = LONGEST_NAME) -> str:
    name = clean(name)
    return name if cell_len(name) <= most else fit(name, most)


def _filled(pieces: Iterable[Piece], width: int, filling: str = " ") -> Row:
    """Pieces at their columns, in ascending order, with a filling between them."""
    row: list[Span] = []
    used = 0
    for column, text, role in pieces:
        row += [Span(filling * (column - used), "rule"), Span(text, role)]
        used = column + cell_len(text)
    return (*row, Span(filling * (width - used), "rule"))


# The tree of families -------------------------------------------------------------------------


def branch_axis(branches: Sequence[Branch], width: int) -> YearAxis:
    """The axis of the tree: names stand behind the mark, also behind those of the last year."""
    return year_axis(sorted({one.year for one in branches}), (), width, last=LONGEST_NAME + 6)


def _columns(branches: Sequence[Branch], axis: YearAxis) -> list[int]:
    """The column of each family: that of its year, at least two behind that of its parent."""
    columns: list[int] = []
    for one in branches:
        least = 0 if one.parent is None else columns[one.parent] + 2
        columns.append(max(least, axis.places[one.year]))
    return columns


def branch_row(branches: Sequence[Branch], at: int, axis: YearAxis, *, joined: bool = True) -> Row:
    """A family at its year; `joined` to the one that it was trained from, while the lines of
    families that have more below pass on the left."""
    columns = _columns(branches, axis)
    one, parent = branches[at], branches[at].parent if joined else None
    column = columns[at]
    pieces: list[Piece] = [
        (column, "●", "model"),
        (column + 2, shortened_name(one.name), "model.strong"),
        (column + 3 + cell_len(shortened_name(one.name)), str(one.year), "faint"),
    ]
    if one.unverified:
        pieces.append((pieces[-1][0] + _YEAR, "?", "warn"))
    corner = True
    while parent is not None:
        more = any(other.parent == parent for other in branches[at + 1 :])
        if corner:
            line = "─" * (column - columns[parent] - 1)
            pieces.append((columns[parent], f"{'├' if more else '└'}{line}", "behind"))
        elif more:
            pieces.append((columns[parent], "│", "behind"))
        corner, parent = False, branches[parent].parent
    return _filled(sorted(pieces), 0)
