"""csv, json and jsonl give back what went in."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Content, Result
from bioretrieval_tui.render.entries import entry_sheet, record, result_sheet
from bioretrieval_tui.render.formats import Format, render
from bioretrieval_tui.render.sheet import Cell, Column, Sheet, Shown, linked, one_line, unverified
from bioretrieval_tui.terminal.clean import clean

EMPTY = Catalogue(Content(entries=(), results=(), sources=()))

TEXTS = st.text() | st.text(
    alphabet="=+-@'\",;|\t\r\n \\0123456789.eE\x1b[]\u202e\ud800", max_size=12
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
CELLS = (
    TEXTS
    | NUMBERS
    | st.booleans()
    | st.none()
    | st.builds(linked, TEXTS, TEXTS, st.none() | TEXTS)
    | st.builds(Shown, NUMBERS | TEXTS, TEXTS)
)


def sheet_of(rows: list[tuple[Cell, ...]], width: int = 3) -> Sheet:
    columns = tuple(Column(f"c{i}", f"c {i}") for i in range(width))
    return Sheet("", columns, tuple(rows), ())


def text(sheet: Sheet, to: Format) -> str:
    return "".join(render(sheet, to))


def bare(cell: Cell) -> Any:
    """What csv is to carry of a cell, said independently of the room's own code."""
    return cell.value if isinstance(cell, Shown) else cell


def as_read(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    line = one_line(value)
    number = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", line)
    return "'" + line if line[:1] and line[0] in "=+-@＝＋－＠" and not number else line  # noqa: RUF001


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_csv_comes_back(rows: list[tuple[Cell, ...]]) -> None:
    written = text(sheet_of(rows), "csv")
    assert "\r" not in written
    assert written.count("\n") == len(rows) + 1  # a row is a line
    header, *found = csv.reader(io.StringIO(written, newline=""), strict=True)
    assert header == ["c0", "c1", "c2"]
    assert found == [[as_read(bare(cell)) for cell in row] for row in rows]


@pytest.mark.parametrize(
    "value",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\n=1", " \u200b=1", "＝1"],  # noqa: RUF001
)
def test_csv_disarms_what_a_spreadsheet_would_run(value: str) -> None:
    (field,) = list(csv.reader(io.StringIO(text(sheet_of([(value,)], 1), "csv"))))[1]
    assert field == "'" + one_line(value)


@pytest.mark.parametrize("value", ["-0.5", "+12", "-1e-9", "12", "", "a=b", "nDCG@10"])
def test_csv_leaves_numbers_and_harmless_text_alone(value: str) -> None:
    (field,) = list(csv.reader(io.StringIO(text(sheet_of([(value,)], 1), "csv"))))[1]
    assert field == value


def test_csv_marks_unverified_text_and_keeps_unverified_numbers_numeric() -> None:
    rows = [(unverified("MIT"), unverified(Shown(109_000_000, "109M")), unverified(0.5))]
    _, row = csv.reader(io.StringIO(text(sheet_of(rows), "csv")))
    assert row == ["MIT (unverified)", "109000000", "0.5"]


def test_csv_of_entries_names_every_unverified_field(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        sheet = entry_sheet([entry], catalogue)
        row = next(iter(csv.DictReader(io.StringIO(text(sheet, "csv")))))
        marked = {name for name, status in entry.statuses.items() if status == "unverified"}
        assert row["id"] == entry.id
        assert row["status"] == entry.status
        if entry.status == "unverified":
            assert row["unverified"].startswith("all")
        else:
            assert set(row["unverified"].split()) == marked


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def tidy(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, newlines=True)
    if isinstance(value, list):
        return [tidy(item) for item in value]
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    return value


@given(st.lists(st.dictionaries(st.text("abc"), JSON, max_size=4), max_size=4))
def test_json_and_jsonl_come_back(records: list[dict[str, Any]]) -> None:
    sheet = Sheet("", (), (), tuple(records))
    expected = [tidy(item) for item in records]
    array = text(sheet, "json")
    assert array.endswith("\n")
    assert json.loads(array) == expected
    lines = text(sheet, "jsonl")
    assert lines == "" or lines.endswith("\n")
    assert [json.loads(line) for line in lines.splitlines()] == expected


def test_json_is_laid_out_as_python_lays_it_out(catalogue: Catalogue) -> None:
    sheet = entry_sheet(catalogue.entries, catalogue)
    written = text(sheet, "json")
    assert written == json.dumps(json.loads(written), indent=2, ensure_ascii=False) + "\n"


def test_json_keeps_letters_as_letters_and_has_no_nan() -> None:
    sheet = Sheet("", (), (), ({"name": "Müller Ø 漢", "score": math.nan, "big": 2**70},))
    assert (
        text(sheet, "jsonl") == '{"name":"Müller Ø 漢","score":null,"big":1180591620717411303424}\n'
    )


def test_records_have_every_field_of_their_kind(catalogue: Catalogue) -> None:
    """What equals its default is there too, so that a reader may select by it."""
    for entry in catalogue.entries:
        found = record(entry)
        assert list(found) == ["kind", *(n for n in entry.__struct_fields__ if n != "extra")]
        assert found["status"] in ("confirmed", "secondary", "unverified")
        for fact in found["facts"]:
            assert set(fact) == {"label", "value", "source", "status"}


def test_json_keeps_statuses_as_data(kinds: dict[str, list[AnyEntry]]) -> None:
    found = json.loads(text(entry_sheet(kinds["model"], EMPTY), "json"))[1]
    assert found["params"] == 7_241_732_096
    assert found["licence"] == "MIT"
    assert found["statuses"]["licence"] == "unverified"


def test_result_records_are_whole(results: list[Result]) -> None:
    found = [json.loads(line) for line in text(result_sheet(results, {}), "jsonl").splitlines()]
    assert [item["value"] for item in found] == [0.34, 0.3254, -0.125, 1.0]
    assert found[0]["metric"] == "nDCG@10"
    assert found[0]["comparable"] is True
    assert found[3]["zero_shot"] is None
