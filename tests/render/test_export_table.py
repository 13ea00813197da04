"""Tables: aligned, within the width, numbers never cut, links and colours only where wanted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bioretrieval_tui.render.formats import render
from bioretrieval_tui.render.sheet import Cell, Column, Sheet, linked, shortened, unverified
from bioretrieval_tui.render.terminal_text import GAP, cells, cut, fit

COLUMNS = (
    Column("a", "name", weight=3, min_width=8),
    Column("b", "count", align="right"),
    Column("c", "text", weight=2),
)
ANSI = re.compile("\x1b\\[[0-9;]*m|\x1b]8;[^\x1b]*\x1b\\\\")
LETTERS = st.text(alphabet="abc é漢字 ｗ\u0301\x1b[31m", max_size=40)  # noqa: RUF001
ROWS = st.lists(
    st.tuples(
        LETTERS | st.builds(unverified, LETTERS),
        st.integers(-(10**6), 10**6),
        LETTERS | st.builds(linked, LETTERS, st.just("https://a.example/")),
    ),
    max_size=6,
)


def sheet_of(rows: list[tuple[Cell, ...]]) -> Sheet:
    return Sheet("Title", COLUMNS, tuple(rows), ())


def lines(
    sheet: Sheet, width: int | None, *, colour: bool = False, links: bool = False
) -> list[str]:
    text = "".join(render(sheet, "table", width=width, colour=colour, links=links))
    return text.splitlines()


@given(ROWS, st.integers(-3, 90), st.booleans(), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    rows: list[tuple[Cell, ...]], width: int, colour: bool, links: bool
) -> None:
    for line in lines(sheet_of(rows), width, colour=colour, links=links):
        assert cells(ANSI.sub("", line)) <= max(1, width)


@given(ROWS, st.integers(30, 90))
def test_colour_changes_the_bytes_and_not_the_words(
    rows: list[tuple[Cell, ...]], width: int
) -> None:
    plain = lines(sheet_of(rows), width)
    rich = [ANSI.sub("", line).rstrip() for line in lines(sheet_of(rows), width, colour=True)]
    assert [*plain[:1], *plain[2:]] == rich  # but for the rule under the heading


@given(ROWS, st.integers(1, 90))
def test_numbers_are_whole_or_absent(rows: list[tuple[Cell, ...]], width: int) -> None:
    heading, _, *body = lines(sheet_of(rows), width)
    if "count" in heading:
        for row, line in zip(rows, body, strict=False):
            assert str(row[1]) in line


def test_without_a_width_nothing_is_cut() -> None:
    long = "word " * 100
    assert long.strip() in lines(sheet_of([(long, 1, long)]), None)[2]


def test_columns_that_do_not_fit_are_named() -> None:
    rows: list[tuple[Cell, ...]] = [("a name", 12345, "text")]
    assert lines(sheet_of(rows), 18) == [
        "name    count",
        "------  -----",
        "a name  12345",
        "not shown at this…",
    ]
    assert lines(sheet_of(rows), 5) == ["name", "-----", "a na…", "not…"]


def test_wide_letters_are_aligned() -> None:
    found = lines(sheet_of([("漢字", 1, "x"), ("abcd", 2, "y")]), None)
    assert found[2:] == ["漢字      1  x", "abcd      2  y"]


def test_the_mark_of_an_unverified_value_outlives_the_cut() -> None:
    found = lines(sheet_of([(unverified("a very long name indeed"), 1, "t")]), 22)
    assert "…?" in found[2]


def test_links_are_osc_8_and_refused_addresses_are_not() -> None:
    rows: list[tuple[Cell, ...]] = [
        (linked("good", "https://a.example/b"), 1, ""),
        (linked("bad", "javascript:alert(1)"), 2, unverified("x")),
    ]
    text = "\n".join(lines(sheet_of(rows), 80, links=True))
    assert "\x1b]8;;https://a.example/b\x1b\\good\x1b]8;;\x1b\\" in text
    assert "javascript" not in text
    assert text.count("\x1b]8;;https") == 1
    assert "\x1b[3" not in text  # links without colour: bold at most


def test_colour_alone_makes_no_links() -> None:
    rows: list[tuple[Cell, ...]] = [(unverified(linked("n", "https://a.example/b")), 1, "")]
    text = "\n".join(lines(sheet_of(rows), 80, colour=True))
    assert "\x1b]8" not in text
    assert "\x1b[33m?" in text


def test_a_table_of_many_rows_has_one_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")  # the caller decides, not the environment
    rows: list[tuple[Cell, ...]] = [(f"row {n}", n, unverified("x")) for n in range(1000)]
    found = lines(sheet_of(rows), 80, colour=True)
    assert len(found) == 1001
    assert sum("name" in line for line in found) == 1
    assert "\x1b[33m" in found[-1]


def test_the_same_table_is_the_same_bytes() -> None:
    rows: list[tuple[Cell, ...]] = [(linked("n", "https://a.example/b"), 1, "")]
    first, second = (lines(sheet_of(rows), 80, colour=True, links=True) for _ in range(2))
    assert first == second


@given(st.text(alphabet="ab漢é\u0301\u20ac ｗ", max_size=30), st.integers(0, 20))  # noqa: RUF001
def test_cut_keeps_within_its_width(text: str, width: int) -> None:
    found = cut(text, width)
    assert cells(found) <= width
    assert found == text or found.endswith("…") or width < 1
    assert cells(text) == cell_len(text)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.booleans()), min_size=1),
    st.integers(1, 200),
)
def test_fit_shares_the_whole_width(shape: list[tuple[int, int, bool]], width: int) -> None:
    columns = [
        Column("k", "t", "right" if right else "left", weight, 4) for _, weight, right in shape
    ]
    natural = [full for full, _, _ in shape]
    widths = fit(columns, natural, width)
    used = sum(widths) + GAP * (len(widths) - 1)
    assert 1 <= len(widths) <= len(columns)
    assert used <= width
    assert all(got <= full for got, full in zip(widths, natural, strict=False))
    if len(widths) == len(columns) and any(
        got < full for got, full in zip(widths, natural, strict=True)
    ):
        assert used == width


@given(st.text(max_size=200), st.integers(1, 50))
def test_shortened_is_a_beginning_within_its_length(text: str, length: int) -> None:
    found = shortened(text, length)
    assert len(found) <= length
    whole = shortened(text, 1000)
    assert found == whole or (found.endswith("…") and whole.startswith(found[:-1]))
