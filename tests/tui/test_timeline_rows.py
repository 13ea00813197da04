"""The picture of the timeline and the tree of families as rows of cells."""

from __future__ import annotations

from itertools import combinations

import pytest
from rich.cells import cell_len

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.render.lineage import Branch, Era, Timeline, TimelineMark, lineage, timeline
from bioretrieval_tui.tui.text import Row, publications
from bioretrieval_tui.tui.timeline_rows import (
    branch_axis,
    branch_row,
    draw_timeline,
    kinship,
    year_axis,
)

REAL = timeline(load().catalogue)
WIDTHS = (58, 78, 98, 118, 198, 298)


def said(row: Row) -> str:
    return "".join(span.text for span in row)


def test_a_wide_axis_is_true_to_scale() -> None:
    axis = year_axis((2004, 2019, 2026), ((2004, 2019),), 460)
    assert axis.places == {year: (year - 2004) * 20 for year in range(2004, 2027)}
    assert " 14 years without a milestone " in said(axis.row(460))


def test_a_narrow_axis_shortens_its_gaps_alone() -> None:
    axis = year_axis((2004, 2019, 2020, 2022), ((2004, 2019),), 64)
    places = axis.places
    assert list(places) == [2004, 2019, 2020, 2021, 2022]
    assert places[2021] - places[2020] == places[2022] - places[2021]
    assert said(axis.row(64)).startswith("2004┄ 14 years ┄2019─")


@pytest.mark.parametrize("width", [0, 1, 20, 40])
def test_labels_of_an_axis_never_touch(width: int) -> None:
    shown = said(year_axis((2000, 2026), (), width).row(width))
    assert cell_len(shown) == width
    assert all(len(word) == 4 for word in shown.replace("─", " ").split())


def test_no_milestone_and_one_alone() -> None:
    assert draw_timeline(Timeline((), ()), 80).rows(None, ())[1:] == []
    alone = Timeline((Era("lexical", (TimelineMark("one", "One", 2004),)),), ())
    rows = draw_timeline(alone, 60).rows("one", ["one"])
    assert [said(row).split() for row in rows[1:]] == [["lexical", "●", "One"]]


@pytest.mark.parametrize("width", WIDTHS)
def test_names_never_overlap_and_marks_stand_at_their_years(width: int) -> None:
    picture = draw_timeline(REAL, width)
    rows = picture.rows(None, [*REAL.marks])
    assert len(rows) == picture.height
    assert {cell_len(said(row)) for row in rows} == {width}
    assert {one.mark.id for one in picture.marks} == {*REAL.marks}
    for one in picture.marks:
        assert one.column == picture.axis.places[one.mark.year]
        assert one.name in said(rows[one.row])
    for one, other in combinations(picture.marks, 2):
        assert one.row != other.row or not one.touches(other)


def test_the_cursor_and_its_kin_have_signs_of_their_own() -> None:
    picture = draw_timeline(REAL, 118)
    shown = [one for one in REAL.marks if one != "evolution-mteb"]
    text = "\n".join(map(said, picture.rows("evolution-pubmedbert", shown)))
    for part in ("● PubMedBERT", "◆ MedCPT", "◆ SapBERT", "● BioBERT", "○ MTEB"):
        assert part in text
    words = said(tuple(kinship(REAL.marks["evolution-medcpt"], REAL.marks)))
    assert words == "● MedCPT, 2023   trained from ◆ PubMedBERT"


def test_a_cell_leads_to_its_milestone() -> None:
    picture = draw_timeline(REAL, 118)
    one = next(one for one in picture.marks if one.mark.id == "evolution-beir")
    assert picture.at(one.row, picture.left + one.column) == "evolution-beir"
    assert picture.at(one.row, picture.left + one.end - 1) == "evolution-beir"
    assert picture.at(one.row, picture.left + one.end + 1) is None
    assert picture.at(0, picture.left) is None


@pytest.mark.parametrize(
    ("years", "width", "shown"),
    [
        ([], 40, ""),
        ([None], 40, ""),
        ([2020, None], 40, "2020 █ 2020  1"),
        ([*range(1990, 2020), 2000], 48, f"1990 {'▄' * 10}█{'▄' * 19} 2019  max 2"),
        ([*range(1990, 2020), 2000], 30, f"1990 {'▆' * 3}█{'▆' * 6} 2019  max 2"),
        ([2018, 2020, 2020, *[2021] * 8], 40, "2018 ▁ ▂█ 2021  1 0 2 8"),
        ([*range(1990, 2020), 2000, 2000], 60, f"1990 {'▃' * 10}█{'▃' * 19} 2019  most in 2000: 3"),
    ],
)
def test_publications_by_year(years: list[int | None], width: int, shown: str) -> None:
    assert said(publications(years, width)) == shown


def test_the_tree() -> None:
    branches = (
        Branch("Root", 2019, ("a",), None, ()), Branch("Twin", 2019, ("b",), 0, ("Root",)),
        Branch("Middle", 2020, ("c",), 0, ("Root",)),
        Branch("Leaf", 2021, ("d",), 2, ("Middle",), unverified=True),
        Branch("Last", 2021, ("e",), 0, ("Root",)), Branch("Other", 2020, ("f",), None, ()),
    )  # fmt: skip
    axis = branch_axis(branches, 60)
    assert said(axis.row(60)).startswith("2019───────────2020")
    rows = [said(branch_row(branches, at, axis)) for at in range(len(branches))]
    assert rows == [
        "● Root 2019",
        "├─● Twin 2019",
        "├──────────────● Middle 2020",
        "│              └──────────────● Leaf 2021?",
        "└─────────────────────────────● Last 2021",
        "               ● Other 2020",
    ]
    assert said(branch_row(branches, 3, axis, joined=False)).strip() == "● Leaf 2021?"


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_the_tree_of_the_catalogue_fits(width: int) -> None:
    branches = lineage(load().catalogue)
    axis = branch_axis(branches, width)
    assert (
        max(cell_len(said(branch_row(branches, at, axis))) for at in range(len(branches))) <= width
    )
