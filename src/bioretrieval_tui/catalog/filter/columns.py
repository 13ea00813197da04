"""The values of one field over all rows, in a form that answers conditions quickly."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from bioretrieval_tui.catalog.filter.fields import Interval
from bioretrieval_tui.catalog.filter.folding import equal_key, forms, needles
from bioretrieval_tui.catalog.filter.rowsets import Rows, RowSet
from bioretrieval_tui.catalog.filter.vocabulary import TextIndex, WordTable


def texts_of(value: object) -> tuple[str, ...]:
    """What a text or set field holds: no empty texts, numbers as they are printed."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, int | float):
        return (str(value),)
    if isinstance(value, Iterable):
        return tuple(text for item in value for text in texts_of(item))
    return (str(value),)


def number_of(value: object) -> float | None:
    """What a number field holds; None for anything that is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


class TextColumn:
    """A text or set field."""

    def __init__(self, rows: Rows, values: Sequence[object]) -> None:
        cells = [texts_of(value) for value in values]
        self.present = rows.of(n for n, cell in enumerate(cells) if cell)
        self._index = TextIndex(
            rows, ([form for text in cell for form in forms(text, inner=True)] for cell in cells)
        )
        self._whole = WordTable(rows, (set(map(equal_key, cell)) for cell in cells))

    def beginning(self, text: str) -> RowSet:
        """Rows in which a word begins with `text`."""
        found: RowSet = 0
        for needle in needles(text):
            found |= self._index.occurrences(needle)[0]
        return found

    def equal(self, text: str) -> RowSet:
        """Rows whose whole text (or one of the set) is `text`, separators and case apart."""
        return self._whole.equal(equal_key(text))


class NumberColumn:
    """A number field."""

    def __init__(self, rows: Rows, values: Sequence[object]) -> None:
        known = ((number_of(value), row) for row, value in enumerate(values))
        pairs = sorted((number, row) for number, row in known if number is not None)
        self._rows = rows
        self._numbers = [number for number, _ in pairs]
        self._where = [row for _, row in pairs]
        self.present = rows.of(self._where)

    def within(self, interval: Interval) -> RowSet:
        """Rows whose number lies in the interval."""
        low, high = 0, len(self._numbers)
        if interval.low is not None:
            bisect = bisect_right if interval.low_open else bisect_left
            low = bisect(self._numbers, interval.low)
        if interval.high is not None:
            bisect = bisect_left if interval.high_open else bisect_right
            high = bisect(self._numbers, interval.high)
        return self._rows.of(self._where[low:high])


class FlagColumn:
    """A yes-or-no field."""

    def __init__(self, rows: Rows, values: Sequence[object]) -> None:
        self._yes = rows.of(n for n, value in enumerate(values) if value is True)
        self._no = rows.of(n for n, value in enumerate(values) if value is False)
        self.present = self._yes | self._no

    def equal(self, value: bool) -> RowSet:
        """Rows where the field is known to be `value`."""
        return self._yes if value else self._no


Column = TextColumn | NumberColumn | FlagColumn
