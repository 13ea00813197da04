"""Evolution: the picture follows the list, and the lineage is a list of its own."""

from __future__ import annotations

import pytest
from driving import make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.panes.evolution import EvolutionPane, TimelineCanvas

USUAL, NARROW = (120, 40), (80, 24)


@pytest.mark.parametrize("size", [NARROW, USUAL])
async def test_the_picture_follows_the_cursor(small: Catalogue, size: tuple[int, int]) -> None:
    async with running(make_app(small), size, pane="timeline") as session:
        picture = session.app.pane.query_one(TimelineCanvas)
        assert (picture.at, list(picture.shown)) == ("milestone-0", session.app.pane.ids())
        await session.press("j", "j")
        assert picture.at == session.app.pane.place() == "milestone-2"
        assert "● Smaller students, 2021" in session.rows[1]
        await session.press("slash", *"alpha", "enter")
        assert "milestone-2" not in picture.shown


async def test_a_click_on_a_milestone_moves_the_cursor(small: Catalogue) -> None:
    async with running(make_app(small), USUAL, pane="timeline") as session:
        picture = session.app.pane.query_one(TimelineCanvas)
        row = next(n for n, text in enumerate(session.rows) if "● Smaller students" in text)
        column = session.rows[row].index("● Smaller")
        await session.pilot.click(offset=(column, row))
        await session.settle()
        assert picture.at == session.app.pane.place() == "milestone-2"


async def test_the_lineage_and_back(small: Catalogue) -> None:
    async with running(make_app(small), USUAL, pane="timeline") as session:
        pane = session.app.pane
        assert isinstance(pane, EvolutionPane)
        await session.press("j", "v")
        assert list(pane.ids()) == ["alpha-110m", "beta-dual", "gamma-2b", "wide-model"]
        assert "├" in session.rows[4]
        await session.press("j", "enter")
        assert pane.current is small.by_id["beta-dual"]
        assert "Beta dual" in session.text
        await session.press("r", "b")  # its base
        assert session.app.current == "models"
        await session.press("backspace")
        assert (session.app.current, pane.in_lineage) == ("timeline", True)
        assert pane.place() == "beta-dual"
        await session.press("escape")
        # The cursor comes back to what both views have, else to the first row.
        await session.press("k", "v")
        assert (pane.in_lineage, pane.place()) == (False, "milestone-1")
        await session.press("G", "v")
        assert (pane.in_lineage, pane.place()) == (True, "alpha-110m")


async def test_a_jump_to_a_milestone_leaves_the_lineage(small: Catalogue) -> None:
    async with running(make_app(small), NARROW, pane="timeline") as session:
        await session.press("v")
        session.app.jump("milestone-3")
        await session.settle()
        pane = session.app.pane
        assert isinstance(pane, EvolutionPane)
        assert (pane.in_lineage, pane.place()) == (False, "milestone-3")


async def test_a_sorted_or_filtered_lineage_has_no_lines(small: Catalogue) -> None:
    async with running(make_app(small), USUAL, pane="timeline") as session:
        await session.press("v", "s", "s")
        assert list(session.app.pane.ids())[-1] == "alpha-110m"
        assert not {"├", "└"} & {*session.text}
        await session.press("s")
        assert "├" in session.text


async def test_a_low_window_has_the_list_alone(small: Catalogue) -> None:
    async with running(make_app(small), (60, 15), pane="timeline") as session:
        picture = session.app.pane.query_one(TimelineCanvas)
        shown = picture.display and bool(picture.size.height)
        assert shown == (15 - 3 - picture.picture.height >= 4)
        await session.press("enter")
        assert not picture.size.height
        await session.press("escape")
        assert bool(picture.size.height) == shown


async def test_a_sorted_lineage_names_its_column(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="timeline") as session:
        await session.press("v", "s")
        assert session.said == "Sorted by year, ascending"
