"""The screen of plots: cursor, other kinds and axes, and pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, make_app, running
from own_records import record

from bioretrieval_tui.actions import in_scope
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MatrixView, ScoreTable
from bioretrieval_tui.evaluation.records import records
from bioretrieval_tui.render.catalogue_figures import FigureWish, make_figure
from bioretrieval_tui.tui.dialogs.dialog import ExportDialog
from bioretrieval_tui.tui.dialogs.plot_dialog import PlotDialog
from bioretrieval_tui.tui.widgets.plot_view import PlotView

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


async def test_keys_lead_along_the_front(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        await opened(session, small, FigureWish(against="dimension", view=WISH.view))
        plot = session.app.screen.query_one(PlotView)
        assert plot.figure is not None
        front = [plot.targets.index(point) for point in plot.figure.front]
        assert 1 < len(front) < len(plot.targets)
        await session.press("g")
        seen = [plot.cursor]
        for _ in plot.targets:
            await session.press("n")
            seen.append(plot.cursor)
        assert set(seen) <= {0, *front}
        assert seen[-1] == max(front)
        await session.press(*["N"] * len(front))
        assert plot.cursor == min(front)


async def test_points_without_a_label_are_named_in_the_notes(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        monkeypatch.setattr(PlotView, "unnamed", property(lambda plot: plot.targets[:1]))
        await opened(session, small)
        assert "without a label: Beta dual [*]" in f"{session.rows[1]}{session.rows[2]}"


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_names_the_keys_of_a_plot(small: Catalogue, key: str) -> None:
    async with running(make_app(small), (120, 40), pane="leaderboard") as session:
        await opened(session, small)
        await session.press(key)
        assert "Keys: Plot" in session.text
        await session.resize(90, 60)
        text = " ".join(session.text.replace("│", " ").split())
        assert all(action.help in text for action in in_scope("plot"))
        assert "In the detail pane" not in session.text
        await session.press("escape")
        assert isinstance(session.app.screen, PlotDialog)


@pytest.mark.parametrize("rankings", [0, 1, 2])
async def test_a_plot_is_of_means_and_its_pages_lead_back_to_it(
    small: Catalogue, rankings: int
) -> None:
    async with running(make_app(small), (100, 30), pane="leaderboard") as session:
        await session.press("v", *["R"] * rankings, "p")
        await session.settle()
        first = session.app.screen
        assert isinstance(first, PlotDialog)
        assert "mean nDCG@10 of" in session.rows[0]
        assert all(0 < point.y < 1 for point in first.plot.figure.points)  # type: ignore[union-attr]  # it is drawn
        await session.press("x", "g", "enter")
        assert session.app.screen is session.app.screen_stack[0]
        assert "esc: back to the plot" in session.head
        await session.press("escape")
        await session.settle()
        again = session.app.screen
        assert isinstance(again, PlotDialog)
        assert (again.wish, again.plot.cursor) == (first.wish, 0)
        # From the board a page leads back to the board.
        await session.press("escape", "enter", "escape")
        assert session.app.screen is session.app.screen_stack[0]
        assert not session.app.pane.has_class("-reading")


async def test_keys_change_the_axis_and_the_kind(small: Catalogue) -> None:
    record("dense", 0.7, docs_per_second=120.0, encoded_on="cpu")
    async with running(make_app(small), (100, 30), pane="leaderboard") as session:
        await opened(session, small)
        titles = []
        assert "x X axis" in session.rows[-1]
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
        assert "x X axis" not in session.rows[-1]
        await session.press("x")
        assert "Only the Pareto front has several x axes" in session.text
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
