"""The fields that a filter may name, and the values that it may compare them with.

Knows nothing of the catalogue: the caller brings a `Schema`. A value that cannot be read is
a `BadValueError`; the parser, which knows the column, makes the user's error of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "number", "bool", "set"]
RESERVED = frozenset({"has", "is"})

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12, "%": 1}
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[0-9][0-9_]{0,30}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
    r"(?P<unit>[kmbgt%]?)",
    re.ASCII | re.IGNORECASE,
)
_DOTS = re.compile(r"\.{2,}|\u2026")
_DASHED = re.compile(r"([0-9]+)[-\u2013]([0-9]+)", re.ASCII)
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class BadValueError(ValueError):
    """A written value that its field cannot be compared with, and what to write instead."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `number` is compared, `bool` is yes or no, `set` is several texts (tags)."""

    name: str
    type: FieldType
    aliases: tuple[str, ...] = ()
    doc: str = ""


class Schema:
    """The fields of one kind of row. Names and aliases are looked up without regard to case.

    Raises:
        ValueError: a name or alias is used twice, is reserved (has, is) or cannot be written.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields: tuple[Field, ...] = tuple(fields)
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
        """The field name (or alias) that a misspelt one most likely meant, or None.

        `wanted` leaves only fields of that type.
        """
        import difflib

        key = _key(name)
        known = [k for k, field in self._by_name.items() if wanted is None or field.type == wanted]
        beginning = sorted((k for k in known if key and k.startswith(key)), key=len)
        close = beginning or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        return self._spelt(close[0]) if close else None

    def begun(self, name: str) -> bool:
        """Whether some field name begins so: more typing may make it right."""
        return any(known.startswith(_key(name)) for known in self._by_name)

    def _spelt(self, key: str) -> str:
        field = self._by_name[key]
        return next(name for name in (field.name, *field.aliases) if _key(name) == key)


_NAME = re.compile(r"[^\W\d_][\w-]*")


def _key(name: str) -> str:
    return name.casefold().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers that a written value stands for; None is no limit on that side.

    `text` is the value as it was written, without the operator.
    """

    text: str
    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False


def interval(text: str, operator: str) -> Interval:
    """What `operator` (: = > >= < <=) followed by `text` accepts.

    After `:` a number with a unit stands for all that are written so when rounded (171K: from
    170,500 to below 171,500); after `=` for itself.

    Raises:
        BadValueError: not a number, a range after > or <, a range whose ends are reversed.
    """
    if _DOTS.search(text):
        return _range(text, operator)
    written = _number(text)
    value = written.value()
    if operator == ":" and written.rounded:
        return Interval(text, written.value(-1), written.value(+1), high_open=True)
    if operator in (">", ">="):
        return Interval(text, value, None, low_open=operator == ">")
    if operator in ("<", "<="):
        return Interval(text, None, value, high_open=operator == "<")
    return Interval(text, value, value)


def _range(text: str, operator: str) -> Interval:
    if operator not in (":", "="):
        raise BadValueError(f"a range cannot follow {operator}", "write a range after : or =")
    ends = _DOTS.split(text)
    if len(ends) != 2 or not any(ends):
        raise BadValueError(f'"{text}" is not a range', "write 2020..2024, 2020.. or ..2024")
    low, high = (_number(end).value() if end else None for end in ends)
    if low is not None and high is not None and low > high:
        raise BadValueError("the ends of the range are reversed", f"write {ends[1]}..{ends[0]}")
    return Interval(text, low, high)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written: 1.5M is 15 steps of 100,000 (step / parts), and rounded."""

    steps: int
    step: int
    parts: int
    rounded: bool

    def value(self, halves: int = 0) -> float:
        """The number, or what lies so many half steps from it; whole where it can be."""
        above, below = (2 * self.steps + halves) * self.step, 2 * self.parts
        return above / below if above % below else above // below


def _number(text: str) -> _Number:
    match = _NUMBER.fullmatch(text)
    if match is None:
        dashed = _DASHED.fullmatch(text)
        example = f"{dashed[1]}..{dashed[2]}" if dashed else "1500, 500M, 1.5B or 2020..2024"
        raise BadValueError(f'"{text}" is not a number', f"write {example}")
    unit = match["unit"].lower()
    digits, _, decimals = match["digits"].replace("_", "").partition(".")
    parts = 10 ** len(decimals) * (100 if unit == "%" else 1)
    return _Number(int(match["sign"] + digits + decimals), _UNITS[unit], parts, bool(unit))


def boolean(text: str) -> bool | None:
    """True for yes and true, False for no and false, in any case; None for anything else."""
    return _BOOLEANS.get(text.casefold())


def boolean_begun(text: str) -> bool:
    """Whether more typing could make `text` a yes or no."""
    return any(word.startswith(text.casefold()) for word in _BOOLEANS)
