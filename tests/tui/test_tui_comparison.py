"""Marked rows, and what is marked side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, make_app, running
from own_records import record
from test_tui_hostile import check

from bioretrieval_tui.actions import in_scope
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.dialogs.comparison_dialog import ComparisonDialog

SIZES = [(80, 24), (120, 40)]


def marked(session: Session) -> list[str]:
    return [row[1:].strip("▌ ").split("  ")[0] for row in session.rows if "+ " in row[:12]]


async def compared(session: Session, count: int = 3) -> ComparisonDialog:
    """The first rows of the pane side by side."""
    await session.press("g", *["space"] * count, "equals_sign")
    await session.settle()
    assert isinstance(session.app.screen, ComparisonDialog)
    return session.app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_space_marks_and_unmarks_and_moves_on(
    small: Catalogue, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="models") as session:
        await session.press("space", "space")
        assert session.app.pane.table.cursor == 2
        assert marked(session) == ["+ Alpha 110M", "+ Alpha 340M"]
        assert "2 marked, = compares" in session.rows[1]
        await session.press("g", "space")
        assert marked(session) == ["+ Alpha 340M"]
        await session.press("U")
        assert marked(session) == []
        assert "marked" not in session.rows[1]
        await session.press("U")
        assert "Nothing is marked here" in session.rows[-1]
        await session.press("u")
        assert (marked(session), session.said) == (["+ Alpha 340M"], "Undone: 1 row unmarked")
        await session.press("u")
        assert marked(session) == ["+ Alpha 110M", "+ Alpha 340M"]


async def test_marks_of_a_kind_are_shared_by_the_panes(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="models") as session:
        await session.press("space")
        await session.app.show_pane("benchmarks")
        await session.settle()
        assert "marked" not in session.rows[1]
        await session.app.show_pane("leaderboard")
        await session.press("v")
        assert "1 marked" in session.rows[1]
        assert any("+ Alpha 110M" in row for row in session.rows)


async def test_too_few_and_too_many_are_refused_with_a_line(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="models") as session:
        await session.press("equals_sign")
        assert "None marked: space marks 2 to 6 rows to compare" in session.rows[-1]
        await session.press("space", "equals_sign")
        assert "1 marked: space marks" in session.rows[-1]
        await session.press(*["space"] * 6)
        assert "6 are marked, the most: space unmarks one, U all" in session.rows[-1]
        assert "6 marked" in session.rows[1]


@pytest.mark.parametrize("size", SIZES)
async def test_the_labels_stay_while_columns_scroll(
    small: Catalogue, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="models") as session:
        dialog = await compared(session, 6)
        assert "6 side by side" in session.rows[0]
        assert "Alpha 110M" in session.rows[1]
        await session.press(*["right"] * 5)
        assert "Words" in session.rows[1]
        assert any(row.lstrip("▌ ").startswith(("role", "= role")) for row in session.rows)
        await session.press("j", "G", "g", "enter", "tab")
        assert session.app.screen is dialog
        await session.press("escape")
        assert session.app.pane.pane_name == "models"
        assert session.app.pane.table.cursor == 6


async def test_the_reference_comes_back_when_the_window_widens(small: Catalogue) -> None:
    async with running(make_app(small), (48, 16), pane="models") as session:
        await compared(session, 4)
        assert "Alpha 110M" not in session.rows[1]
        await session.resize(120, 40)
        await session.settle()
        assert "Alpha 110M" in session.rows[1]


@pytest.mark.parametrize("size", SIZES)
async def test_the_head_names_all_that_is_compared(small: Catalogue, size: tuple[int, int]) -> None:
    async with running(make_app(small), size, pane="models") as session:
        dialog = await compared(session, 6)
        assert "6 side by side: Alpha" in session.rows[0]
        whole = size[0] > 80
        names = dialog.found.names
        assert all(name[: None if whole else 7] in session.rows[0] for name in names)


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_names_the_keys_of_a_comparison(small: Catalogue, key: str) -> None:
    async with running(make_app(small), (120, 40), pane="models") as session:
        dialog = await compared(session, 2)
        await session.press(key)
        assert "Keys: Comparison" in session.text
        await session.resize(90, 60)
        text = " ".join(session.text.replace("│", " ").split())
        assert all(action.help in text for action in in_scope("comparison"))
        await session.press("escape")
        assert session.app.screen is dialog


async def test_equal_rows_fold_and_the_cursor_stays(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="models") as session:
        dialog = await compared(session, 2)
        assert "= role" in session.text
        at = next(i for i, one in enumerate(dialog.shown) if getattr(one, "key", "") == "params")
        dialog.table.move_to(at)
        await session.press("f")
        assert "equal rows folded" in session.rows[0]
        assert "= role" not in session.text
        assert getattr(dialog.shown[dialog.table.cursor], "key", "") == "params"
        await session.press("f")
        assert "= role" in session.text


async def test_the_whole_cell_is_read_below_the_table(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="models") as session:
        dialog = await compared(session, 2)
        at = next(i for i, one in enumerate(dialog.shown) if getattr(one, "key", "") == "params")
        dialog.table.move_to(at)
        await session.press("j", "k")
        assert "parameters  Alpha 340M: 340M" in session.text
        await session.press("left")
        assert "parameters  Alpha 110M: 109M" in session.text


async def test_what_is_shown_is_exported(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), (120, 40), pane="models") as session:
        await compared(session, 2)
        await session.press("f", "e", "enter")
        await session.settle()
        text = (folder / "bioretrieval-comparison.md").read_text()
        assert "| Facts | dimension | 768 | 1,024 |" in text
        assert "| role |" not in text
        assert "Wrote bioretrieval-comparison.md" in session.rows[-2]


async def test_a_run_and_recipes_are_marked_on_the_leaderboard(small: Catalogue) -> None:
    record("lexical", 0.66)
    async with running(make_app(small), (120, 40), pane="leaderboard") as session:
        await compared(session, 2)
        assert "method" in session.text
        await session.press("escape", "v")
        await session.settle()
        await session.press("g", "space", "G", "space")
        assert "2 marked" in session.rows[1]
        await session.press("equals_sign")
        await session.settle()
        assert "◆ BM25" in session.rows[1]


async def test_two_runs_are_compared_query_by_query(small: Catalogue, folder: Path) -> None:
    by_query = {"1": 0.5, "2": 1.0}, {"1": 0.9, "2": 0.5}
    runs = (
        record("lexical", 0.66, per_query=by_query[0]),
        record("run", 0.5, day=2, model="theirs.trec", per_query=by_query[1]),
    )
    async with running(make_app(small), (120, 40), pane="leaderboard") as session:
        await session.press("v")
        for one in runs:
            session.app.pane.refill(one.id)
            await session.press("space")
        await session.press("equals_sign")
        assert "theirs.trec" in session.rows[1]
        assert "nDCG@10 by query" in session.text
        assert "-0.0500, p = 1.0000" in session.text
        assert "Δ -0.5 to -0.4" in session.text
        assert "queries it is better on" in session.text
        assert "Measured differently" not in session.text  # nothing was


@pytest.mark.parametrize("pane", ["papers", "models", "benchmarks", "datasets"])
async def test_hostile_entries_side_by_side(small: Catalogue, pane: str) -> None:
    async with running(make_app(small), (80, 24), pane=pane) as session:
        await session.press("G", "space", "k", "k", "space", "equals_sign")
        await session.settle()
        dialog = session.app.screen
        assert isinstance(dialog, ComparisonDialog)
        for _ in dialog.shown:
            await session.press("j")
            check(session)


async def test_space_in_get_started_still_marks_a_step_as_done(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="path") as session:
        await session.press("space")
        assert "[x]" in session.text
        assert session.app.marks.count("step") == 0
