"""The fields that a filter may name, and the values that it may compare them with.

Knows nothing of the catalogue: the caller brings a `Schema`. A value that cannot be read is
a `BadValueError`; the parser, which knows the column, makes the user's error of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

FieldType = Literal["text", "number", "bool", "set", "date"]
RESERVED = frozenset({"has", "is"})

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12, "%": 1}
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[0-9][0-9_]{0,30}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
    r"(?P<unit>[kmbgt%]?)",
    re.ASCII | re.IGNORECASE,
)
_DOTS = re.compile(r"\.{2,}|\u2026")
_DAY = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>0[1-9]|1[0-2])(?:-(?P<day>[0-2][0-9]|3[01]))?)?", re.ASCII
)
_DASHED = re.compile(r"([0-9]+)[-\u2013]([0-9]+)", re.ASCII)
BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class BadValueError(ValueError):
    """A written value that its field cannot be compared with; `args`: message and remedy."""


class Field(msgspec.Struct, frozen=True):
    """One field: `number` and `date` (2025-03-31) are compared, `bool` is yes or no, `set` is
    several texts (tags)."""

    name: str
    type: FieldType
    aliases: tuple[str, ...] = ()


class Schema:
    """The fields of one kind of row; listed: where all of them are listed. Names and aliases are
    looked up without regard to case. Raises ValueError: a name or alias is used twice, is reserved
    (has, is) or cannot be written."""

    def __init__(self, fields: Sequence[Field], listed: str = "") -> None:
        self.fields: tuple[Field, ...] = tuple(fields)
        self.listed = listed
        self._by_name: dict[str, Field] = {}
        for field in self.fields:
            for name in (field.name, *field.aliases):
                key = _key(name)
                if key in self._by_name or key in RESERVED or not _NAME.fullmatch(name):
                    raise ValueError(f"field name {name!r} is taken, reserved or not a name")
                self._by_name[key] = field

    def find(self, name: str) -> Field | None:
        """The field of this name or alias; max-tokens and MAX_TOKENS are the same name."""
        return self._by_name.get(_key(name))

    def nearest(self, name: str, wanted: FieldType | None = None) -> str | None:
        """The field name or alias nearest to a misspelt one, or None. wanted: type of the field."""
        import difflib

        key = _key(name)
        known = [k for k, field in self._by_name.items() if wanted is None or field.type == wanted]
        beginning = sorted((k for k in known if key and k.startswith(key)), key=len)
        close = beginning or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        if not close:
            return None
        field = self._by_name[close[0]]
        return next(name for name in (field.name, *field.aliases) if _key(name) == close[0])

    def begun(self, name: str) -> bool:
        """Whether some field name begins with `name`."""
        return any(known.startswith(_key(name)) for known in self._by_name)


_NAME = re.compile(r"[^\W\d_][\w-]*")


def _key(name: str) -> str:
    return name.casefold().replace("-", "_")


class Interval(msgspec.Struct, frozen=True):
    """The numbers that a written value means; None is no limit on that side."""

    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False


def interval(text: str, operator: str) -> Interval:
    """What `operator` (: = > >= < <=) followed by `text` accepts. After `:` a number with a unit
    means all that round to it (171K: from 170,500 to below 171,500); after `=` only itself. Raises
    BadValueError: not a number, a range after > or <, a range whose ends are reversed."""
    found = _range(text, operator, "2020..2024, 2020.. or ..2024", _exact)
    if found is not None:
        return found
    value, below, above = _number(text)
    if operator == ":" and below != above:
        return Interval(below, above, high_open=True)
    if operator in (">", ">="):
        return Interval(value, None, low_open=operator == ">")
    if operator in ("<", "<="):
        return Interval(None, value, high_open=operator == "<")
    return Interval(value, value)


def _range(
    text: str, operator: str, examples: str, read: Callable[[str], tuple[float, float]]
) -> Interval | None:
    """The interval of `low..high`, one end of which may be missing; None for a single value. read:
    makes the least and the largest value that a text means. Raises BadValueError."""
    if not _DOTS.search(text):
        return None
    if operator not in (":", "="):
        raise BadValueError(f"a range cannot follow {operator}", "write a range after : or =")
    ends = _DOTS.split(text)
    if len(ends) != 2 or not any(ends):
        raise BadValueError(f'"{text}" is not a range', f"write {examples}")
    low = read(ends[0])[0] if ends[0] else None
    high = read(ends[1])[1] if ends[1] else None
    if low is not None and high is not None and low > high:
        raise BadValueError("the ends of the range are reversed", f"write {ends[1]}..{ends[0]}")
    return Interval(low, high)


def day_number(text: str) -> int | None:
    """A date as the number 20250331, for comparison; None for a text that is no date."""
    match = _DAY.fullmatch(text)
    if match is None or match["day"] is None:
        return None
    return int(match["year"] + match["month"] + match["day"])


def days(text: str, operator: str) -> Interval:
    """What `operator` followed by a year, a month or a day (2025, 2025-03, 2025-03-31), or a range
    of them, accepts, in the numbers of `day_number`. Raises BadValueError as `interval`."""
    found = _range(text, operator, "2024..2025-06, 2025.. or ..2024", _days_of)
    if found is not None:
        return found
    first, last = _days_of(text)
    match operator:
        case ">":
            return Interval(last, None, low_open=True)
        case ">=":
            return Interval(first, None)
        case "<":
            return Interval(None, first, high_open=True)
        case "<=":
            return Interval(None, last)
    return Interval(first, last)


def _days_of(text: str) -> tuple[int, int]:
    """The first and the last day of a year, a month or a day, as numbers."""
    match = _DAY.fullmatch(text)
    if match is None:
        raise BadValueError(f'"{text}" is not a date', "write 2025, 2025-03 or 2025-03-31")
    year, month, day = match["year"], match["month"], match["day"]
    return int(f"{year}{month or '00'}{day or '00'}"), int(f"{year}{month or '99'}{day or '99'}")


def _exact(text: str) -> tuple[float, float]:
    value, _, _ = _number(text)
    return value, value


def _number(text: str) -> tuple[float, float, float]:
    """The number, and the limits of all numbers that are written so when rounded to its last
    digit; without a unit it is exact and all three are equal. 1.5M: 1.45M and 1.55M."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        dashed = _DASHED.fullmatch(text)
        example = f"{dashed[1]}..{dashed[2]}" if dashed else "1500, 500M, 1.5B or 2020..2024"
        raise BadValueError(f'"{text}" is not a number', f"write {example}")
    unit = match["unit"].lower()
    digits, _, decimals = match["digits"].replace("_", "").partition(".")
    parts = 2 * 10 ** len(decimals) * (100 if unit == "%" else 1)
    whole = 2 * int(match["sign"] + digits + decimals)
    scaled = ((whole + half) * _UNITS[unit] for half in (0, -bool(unit), bool(unit)))
    value, below, above = (n / parts if n % parts else n // parts for n in scaled)
    return value, below, above
