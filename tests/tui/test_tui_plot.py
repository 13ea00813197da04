"""The screen of plots: cursor, other kinds and axes, and pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, make_app, running
from own_records import record

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MatrixView, ScoreTable
from bioretrieval_tui.evaluation.records import records
from bioretrieval_tui.render.catalogue_figures import FigureWish, make_figure
from bioretrieval_tui.tui.dialogs.dialog import ExportDialog
from bioretrieval_tui.tui.dialogs.plot_dialog import PlotDialog

WISH = FigureWish(view=MatrixView(columns=("facts-set",)))


async def opened(session: Session, catalogue: Catalogue, wish: FigureWish = WISH) -> list[str]:
    """Show the dialog; what it answers comes into the list."""
    answers: list[str] = []

    def make(wish: FigureWish):  # type: ignore[no-untyped-def]  # Figure, for the dialog
        return make_figure(ScoreTable(catalogue), wish, records())

    session.app.push_screen(PlotDialog(make, wish), lambda one: answers.append(one or ""))
    await session.settle()
    return answers


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 15)])
async def test_it_fills_the_screen_and_names_the_best(
    small: Catalogue, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="leaderboard") as session:
        await opened(session, small)
        rows = session.rows
        assert "nDCG@10 of Facts against parameters" in rows[0]
        assert "● Pareto front" in session.text
        assert "Gamma 2B [?]: 0.7545, parameters 2.51B" in rows[-2]
        assert "esc Close" in rows[-1] or size[0] < 80


async def test_the_cursor_visits_every_point_and_enter_answers_its_model(
    small: Catalogue,
) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        answers = await opened(session, small)
        seen = []
        await session.press("g")
        for _ in range(4):
            seen.append(session.rows[-2].split(":")[0].strip())
            await session.press("right")
        assert seen == ["Beta dual [*]", "Alpha 110M [t]", "Gamma 2B [?]", "Gamma 2B [?]"]
        await session.press("h", "enter")
        assert answers == ["alpha-110m"]
        assert session.app.screen is session.app.screen_stack[0]


async def test_keys_change_the_axis_and_the_kind(small: Catalogue) -> None:
    record("dense", 0.7, docs_per_second=120.0, encoded_on="cpu")
    async with running(make_app(small), (100, 30), pane="leaderboard") as session:
        await opened(session, small)
        titles = []
        for key in ("x", "x", "x", "v", "v", "v", "v"):
            await session.press(key)
            titles.append(session.rows[0].strip())
        assert titles == [
            "nDCG@10 of Facts against embedding dimension",
            "nDCG@10 of Facts against release date",
            "pareto",  # no model of this catalogue has its memory
            "Best nDCG@10 over time",
            "Ranks of Gamma 2B",
            "Your runs: nDCG@10 against speed",
            "pareto",
        ]
        await session.press("v", "v")
        assert all(name in session.text for name in ("Facts", "Covid", "Citations"))
        await session.press("v", "v")
        assert "4 models left out: memory of the weights not known" in session.text
        await session.press("x")
        assert "against parameters" in session.rows[0]


async def test_pictures_and_data_are_written(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), (100, 30), pane="leaderboard") as session:
        await opened(session, small)
        for name in ("one.svg", "two.csv"):
            await session.press("e")
            assert isinstance(session.app.screen, ExportDialog)
            await session.press("ctrl+u", "end", "ctrl+u")
            await session.type(name)
            await session.press("enter")
            assert f"Wrote {name}" in session.text
        assert "<svg" in (folder / "one.svg").read_text()
        assert "Gamma 2B" in (folder / "two.csv").read_text()
        await session.press("e", "ctrl+u", "end", "ctrl+u")
        await session.type("three.gif")
        await session.press("enter")
        assert "no picture has the extension '.gif'" in session.text
        await session.press("escape", "escape")
        assert session.app.screen is session.app.screen_stack[0]
