"""Dates in filters: a year, a month or a day, compared, in ranges, or told to be wrong."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema
from bioretrieval_tui.query.parser import UnfinishedFilterError
from bioretrieval_tui.query.schema import days

SCHEMA = Schema([Field("released", "date", ("out",))])
DAYS = ("2023-12-31", "2024-01-01", "2024-06-15", "2024-06-30", "2025-02-28", "")


def kept(expression: str) -> list[str]:
    rows = [Row(day, "name", (), "", {"released": day or None}.get) for day in DAYS]
    return [DAYS[at] for at in Filter(rows, SCHEMA).apply(expression)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("released:2024", DAYS[1:4]), ("released=2024-06", DAYS[2:4]),
        ("released:2024-06-15", DAYS[2:3]), ("released>2024", DAYS[4:5]),
        ("released>=2024", DAYS[1:5]), ("released<2024", DAYS[:1]), ("released<=2024", DAYS[:4]),
        ("released>2024-06-15", DAYS[3:5]), ("released<2024-06-15", DAYS[:2]),
        ("released:2024-06..", DAYS[2:5]), ("released:..2024-06", DAYS[:4]),
        ("released:2023..2024-01", DAYS[:2]), ("out:2025", DAYS[4:5]),
        ("released:2023,2025", (DAYS[0], DAYS[4])), ("has:released", DAYS[:5]),
        ("-has:released", DAYS[5:]), ("-released:2024", (DAYS[0], *DAYS[4:])),
        ("released!=2024", (DAYS[0], *DAYS[4:])),
    ],
)  # fmt: skip
def test_dates_are_compared(expression: str, found: tuple[str, ...]) -> None:
    assert kept(expression) == list(found)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("released:soon", '"soon" is not a date; write 2025, 2025-03 or 2025-03-31'),
        ("released:2024-13", "is not a date"), ("released:2024-06-32", "is not a date"),
        ("released:24", "is not a date"), ("released:2025..2024", "write 2024..2025"),
        ("released>2024..2025", "a range cannot follow >"), ("released:2024..x", "is not a date"),
        ("is:released", "is not a yes-or-no field"),
    ],
)  # fmt: skip
def test_a_wrong_date_says_how_to_write_one(expression: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        kept(expression)
    assert says in caught.value.line()


@pytest.mark.parametrize("expression", ["released:", "released>", "released:2024,"])
def test_a_date_that_is_being_typed_is_only_incomplete(expression: str) -> None:
    with pytest.raises(UnfinishedFilterError):
        kept(expression)


DATES = st.dates(date(1990, 1, 1), date(2099, 12, 31))


@given(DATES, DATES)
def test_ranges_hold_what_lies_between(first: date, other: date) -> None:
    low, high = sorted((first, other))
    limits = days(f"{low}..{high}", ":")
    for day in (low - timedelta(1), low, high, high + timedelta(1)):
        number = int(day.strftime("%Y%m%d"))
        assert limits.low is not None
        assert limits.high is not None
        assert (limits.low <= number <= limits.high) is (low <= day <= high)
