"""The values of one field over all rows, in a form that answers conditions quickly."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bioretrieval_tui.query.fields import Interval
from bioretrieval_tui.query.folding import begins_word, equal_key, forms, needles
from bioretrieval_tui.query.rowsets import Rows, RowSet


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
    """A text or set field: its distinct texts, each with its rows."""

    def __init__(self, rows: Rows, values: Sequence[object]) -> None:
        where: defaultdict[str, list[int]] = defaultdict(list)
        for number, value in enumerate(values):
            for text in texts_of(value):
                where[text].append(number)
        self._rows = rows
        self._where = list(where.values())
        # A form has no line break, so no needle can reach from one form into the next.
        self._texts = ["\n".join(("", *forms(text, inner=True))) for text in where]
        self._keys = list(map(equal_key, where))
        self.present = self._union(range(len(where)))

    def beginning(self, text: str) -> RowSet:
        """Rows in which a word begins with `text`."""
        found: RowSet = 0
        for needle in needles(text):
            # Most words follow a space or begin a form; the rest is looked at more closely.
            word, form = f" {needle}", f"\n{needle}"
            found |= self._union(
                number
                for number, held in enumerate(self._texts)
                if needle in held and (form in held or word in held or begins_word(held, needle))
            )
        return found

    def equal(self, text: str) -> RowSet:
        """Rows whose whole text (or one of the set) is `text`, separators and case apart."""
        wanted = equal_key(text)
        return self._union(number for number, key in enumerate(self._keys) if key == wanted)

    def _union(self, numbers: Iterable[int]) -> RowSet:
        return self._rows.of([row for number in numbers for row in self._where[number]])


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
        self._yes = rows.where(value is True for value in values)
        self._no = rows.where(value is False for value in values)
        self.present = self._yes | self._no

    def equal(self, value: bool) -> RowSet:
        """Rows where the field is known to be `value`."""
        return self._yes if value else self._no


Column = TextColumn | NumberColumn | FlagColumn
