"""The leaderboard: recipes, and the matrix that hides rather than ranks."""

from __future__ import annotations

import json
from pathlib import Path

from driving import Session, make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE = (120, 30)


def board(session: Session) -> LeaderboardPane:
    assert isinstance(session.app.pane, LeaderboardPane)
    return session.app.pane


def figures(session: Session, name: str) -> list[float]:
    """The values of a column, top to bottom."""
    pane = board(session)
    return [
        result.value
        for row in pane.matrix.rows
        for axis, result in row.figures.items()
        if axis == Axis(name, "nDCG@10")
    ]


async def choose(session: Session, key: str) -> None:
    """Go to a column of the matrix."""
    keys = [column.key for column in board(session).table.columns]
    by = keys.index(key) - board(session).table.column
    await session.press(*(["right"] * by if by > 0 else ["left"] * -by))


async def test_recipes_come_first(small: Catalogue) -> None:
    async with running(make_app(small), (220, 30), pane="leaderboard") as session:
        assert session.ids == ["train-alpha", "train-beta", "train-gamma", "train-evil"]
        for text in ("109M", "contrastive pairs", "0.712 on Facts"):
            assert text in session.text
        assert "0.69 on Facts?" in session.text  # unverified, said with a character
        await session.press("z")
        assert "press v" in session.said
        assert not board(session).zero_shot_only


async def test_v_shows_the_matrix_and_returns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        assert board(session).in_matrix
        assert isinstance(session.focused, VirtualTable)
        assert not board(session).detail.region.area
        assert "Results" in session.rows[1]
        assert "1 score hidden (not comparable)" in session.head
        assert "Facts" in session.rows[2]
        await session.press("v")
        assert session.ids[0] == "train-alpha"
        assert "Method" in session.text


async def test_it_opens_sorted_by_its_widest_column(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        axis = board(session).sort
        assert isinstance(axis, Axis)
        values = figures(session, axis.benchmark)
        assert values == sorted(values, reverse=True)
        assert len(values) == len(session.ids) == 4


async def test_any_column_sorts_best_first_and_hides_who_lacks_it(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "patents-set nDCG@10")
        await session.press("s")
        assert "words" not in session.ids
        values = figures(session, "patents-set")
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert "models have no score" in session.head
        assert "Patents ↓" in session.rows[2]
        await session.press("s")
        assert figures(session, "patents-set") == sorted(values)
        assert "Patents ↑" in session.rows[2]
        await choose(session, "model")
        await session.press("s")
        # By name nothing is hidden but what cannot be compared.
        assert "words" in session.ids
        names = [small.names[i] for i in session.ids]
        assert names == sorted(names, key=str.casefold)
        await session.press("s")
        assert [small.names[i] for i in session.ids] == names[::-1]


async def test_the_mean_is_over_the_common_columns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        pane = board(session)
        assert "Mean of 5" in session.rows[2]
        for row in pane.matrix.rows:
            common = [row.figures[axis].value for axis in pane.matrix.common]
            assert row.mean == sum(common) / len(common)
        await choose(session, "mean")
        await session.press("s")
        means = [row.mean or 0 for row in pane.matrix.rows]
        assert means == sorted(means, reverse=True)
        # The models of the column that sorted before, or there would be nothing in common.
        assert len(means) == 4
        assert "Mean of 5 ↓" in session.rows[2]
        await session.press("slash")
        await session.type("year>2000")
        assert "Mean of 8 ↓" in session.rows[3]
        assert len(pane.matrix.rows) == 3


async def test_one_row_has_no_mean(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "mean")
        await session.press("s", "slash")
        await session.type("gamma")
        await session.press("enter")
        assert session.ids == ["gamma-2b"]
        assert "Mean" not in session.text
        await session.press("s", "escape")
        assert len(session.ids) > 1


async def test_zero_shot_only(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "model")
        await session.press("s", "z")
        pane = board(session)
        assert "zero-shot only" in session.rows[1]
        assert "not known to be zero-shot" in session.head
        assert "gamma-2b" not in session.ids
        assert all(
            result.zero_shot is True for row in pane.matrix.rows for result in row.figures.values()
        )
        await session.press("z")
        assert "gamma-2b" in session.ids
        assert "zero-shot only" not in session.rows[1]


async def test_marks_are_characters(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        rows = session.rows[3:7]
        assert any("0.712 t" in row for row in rows)
        assert any("?" in row for row in rows)
        assert any("*" in row for row in rows)
        assert "* secondary  ? unverified  t trained on it" in session.rows[1]


async def test_the_figure_under_the_cursor_is_explained(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "facts-set nDCG@10")
        while session.at != "alpha-110m":
            await session.press("j")
        head = session.head
        assert "0.712" in head
        assert "0.712  trained on this benchmark" in head
        assert "from Table 2 of the paper" in head
        await session.press("k" if board(session).table.cursor else "j")
        assert "0.712" not in session.head


async def test_the_matrix_scrolls_sideways(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        await session.press("v")
        assert "Patents" not in session.text
        await choose(session, "patents-set nDCG@10")
        assert "Patents" in session.rows[2]
        assert "Facts" not in session.rows[2]
        assert session.rows[2].startswith(" Model")
        await choose(session, "model")
        assert "Facts" in session.rows[2]


async def test_filter_in_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "slash")
        await session.type("params>=100M")
        assert set(session.ids) <= {"alpha-110m", "gamma-2b", "alpha-340m"}
        await session.press("escape")
        assert "words" in session.ids
        await session.press("slash")
        await session.type("params>>")
        assert "column" in session.head


async def test_enter_goes_to_the_model_and_back_returns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "j")
        at = session.at
        await session.press("enter")
        assert (session.app.current, session.at) == ("models", at)
        await session.press("backspace")
        assert board(session).in_matrix
        assert session.at == at
        assert isinstance(session.focused, VirtualTable)


async def test_relations_and_links_from_the_matrix(small: Catalogue) -> None:
    """The page is not shown there: the model is, with its letters."""
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "model")
        await session.press("s", "g")
        assert session.at == "alpha-110m"
        for key, text in (("r", "a paper"), ("l", "a model  example.org/alpha-model")):
            await session.press(key)
            assert session.app.current == "models"
            assert text in session.text
            assert "type its letter" in session.head
            await session.press("escape", "backspace")
            assert board(session).in_matrix
            assert session.at == "alpha-110m"
        await session.press("r", "a")
        assert session.app.current == "papers"
        await session.press("backspace", "backspace")
        assert board(session).in_matrix


async def test_export_of_the_matrix_is_its_figures(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "e")
        pane = board(session)
        count = sum(len(row.figures) for row in pane.matrix.rows)
        assert f"Export {count} rows" in session.text
        session.line.value = "out.json"
        await session.press("enter")
        found = json.loads((folder / "out.json").read_text())
        assert len(found) == count
        assert {record["model"] for record in found} == set(session.ids)


async def test_n_goes_round_in_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "slash")
        await session.type("gamma")
        await session.press("escape", "g", "n")
        assert session.at == "gamma-2b"


async def test_reading_a_recipe(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        await session.press("enter")
        assert isinstance(session.focused, Detail)
        assert "InfoNCE" in session.text
        await session.press("v")
        assert isinstance(session.focused, VirtualTable)
        assert board(session).in_matrix


async def test_a_jump_to_a_recipe_leaves_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        session.app.jump("train-beta")
        await session.settle()
        assert not board(session).in_matrix
        assert session.at == "train-beta"
