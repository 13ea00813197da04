"""The leaderboard: recipes, and the matrix that hides rather than ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from driving import Session, make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis
from bioretrieval_tui.tui.dialogs.column_dialog import ColumnDialog
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE = (120, 30)
FACTS = Axis("facts-set", "nDCG@10")


def board(session: Session) -> LeaderboardPane:
    assert isinstance(session.app.pane, LeaderboardPane)
    return session.app.pane


def figures(session: Session, name: str) -> list[float]:
    """The values of a column, top to bottom."""
    pane = board(session)
    return [
        result.value
        for row in pane.board.matrix.rows
        for axis, result in row.figures.items()
        if axis == Axis(name, "nDCG@10")
    ]


def rows_of(session: Session, after: int = 1) -> list[str]:
    """The lines of the list, from its titles or below."""
    return session.rows[board(session).table.region.y + after :]


def titles(session: Session) -> str:
    return rows_of(session, 0)[0]


async def choose(session: Session, key: str) -> None:
    """Go to a column of the matrix."""
    keys = [column.key for column in board(session).table.columns]
    by = keys.index(key) - board(session).table.column
    await session.press(*(["right"] * by if by > 0 else ["left"] * -by))


async def test_recipes_come_first(small: Catalogue) -> None:
    async with running(make_app(small), (220, 30), pane="leaderboard") as session:
        assert set(session.ids) == {"train-alpha", "train-beta", "train-gamma", "train-evil"}
        assert "by the mean of NFCorpus, SciFact, SCIDOCS and TREC-COVID" in session.head
        for text in ("109M", "contrastive pairs, then hard negatives", "0.712"):
            assert text in session.text
        for key in ("Z", "c", "R", "C", "S"):
            await session.press(key)
            assert "press v" in session.said


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_no_number_of_a_recipe_is_cut(small: Catalogue, width: int) -> None:
    """A row has two lines: the numbers, and below them the paper and the method."""
    async with running(make_app(small), (width, 30), pane="leaderboard") as session:
        pane = board(session)
        assert pane.table.row_lines == 2
        assert "Facts" in titles(session)
        at = session.rows.index(next(row for row in session.rows if "Alpha" in row))
        assert "0.712" in session.rows[at]
        assert "1901.00001  contrastive pairs" in session.rows[at + 1]
        good = [row for row in rows_of(session) if "0." in row and "Evil" not in row]
        assert good
        assert not any("\N{HORIZONTAL ELLIPSIS}" in row for row in good)
        await session.press("j")
        assert pane.table.cursor == 1


@pytest.mark.parametrize("key", ["params", "model", "year", "facts-set"])
async def test_recipes_sort_by_each_column(small: Catalogue, key: str) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await choose(session, key)
        await session.press("s")
        rows = board(session).board.recipe_rows
        values: list[Any] = [
            row.recipe.name.casefold() if key == "model" else getattr(row.recipe, key, None)
            for row in rows
        ]
        if key == "facts-set":
            found = [row.row.figures.get(FACTS) if row.row else None for row in rows]
            values = [None if one is None else one.value for one in found]
        known = [one for one in values if one is not None]
        assert values[: len(known)] == known
        assert known == sorted(known, reverse=key != "model")
        await session.press("s")
        if key == "model":
            assert session.ids != [row.recipe.id for row in rows]


async def test_recipes_that_can_be_trained_here_come_first(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await choose(session, "runnable")
        found = []
        for _ in range(2):
            await session.press("s")
            found.append([row.recipe.id for row in board(session).board.recipe_rows])
        assert found[0][:2] == ["train-alpha", "train-beta"]
        assert found[1][:2] == ["train-beta", "train-alpha"]


async def test_v_shows_the_matrix_and_returns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        assert board(session).in_matrix
        assert isinstance(session.focused, VirtualTable)
        assert not board(session).detail.region.area
        assert "Board" in session.head
        assert "1 score hidden (not comparable)" in session.head
        assert "Facts" in titles(session)
        await session.press("v")
        assert "train-alpha" in session.ids
        assert "Recipe" in session.text


async def test_any_column_sorts_and_nothing_is_hidden(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        before = set(session.ids)
        columns = [column.key for column in board(session).table.columns]
        await choose(session, "patents-set")
        first = board(session).table.first_column
        await session.press("s")
        values = figures(session, "patents-set")
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert "Patents ↓" in titles(session)
        assert (set(session.ids), board(session).table.first_column) == (before, first)
        await session.press("s")
        assert figures(session, "patents-set") == sorted(values)
        assert "Patents ↑" in titles(session)
        assert [column.key for column in board(session).table.columns] == columns
        await choose(session, "model")
        await session.press("s")
        names = [small.names[i] for i in session.ids]
        assert names == sorted(names, key=str.casefold)
        await session.press("s")
        assert [small.names[i] for i in session.ids] == names[::-1]


async def test_ranks_are_over_the_chosen_columns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "C")
        dialog = session.app.screen
        assert isinstance(dialog, ColumnDialog)
        while dialog.at != "covid-set":
            await session.press("j")
        await session.press("space")
        while dialog.at != "facts-set":
            await session.press("j")
        await session.press("space")
        assert "2 chosen" in session.text
        while dialog.at != "facts-set":
            await session.press("k")
        await session.press("K", "enter")
        pane = board(session)
        assert pane.board.view.columns == ("facts-set", "covid-set")
        assert "Mean of 2" in titles(session)
        assert "mean of Facts, Covid" in session.head
        for row in pane.board.matrix.rows:
            values = [result.value for result in row.figures.values()]
            assert row.score == (sum(values) / 2 if len(values) == 2 else None)
        await session.press("R")
        assert "Ranked by mean rank" in session.said
        assert "Mean rank of 2" in titles(session)
        await session.press("R", "c")
        assert "Borda of 2" in titles(session)
        assert all(row.have == 2 for row in pane.board.matrix.rows)
        await session.press("c", "C", "a", "enter")
        assert pane.board.view.columns == ()


async def test_the_choice_of_columns_is_explained_on_a_narrow_screen(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        await session.press("v", "C")
        dialog = session.app.screen
        assert isinstance(dialog, ColumnDialog)
        assert "enter ok" in session.text
        found = board(session).board
        ranks = ", ".join(map(found.table.title, found.matrix.basis))
        assert f"all are shown; {ranks} rank" in session.text
        await session.press("space")
        assert "1 chosen: they are shown and rank" in session.text


async def test_columns_can_be_left_as_they_are(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "C", "space", "escape")
        assert board(session).board.view.columns == ()
        await session.press("C", "J")
        assert "space chooses a column first" in session.text
        await session.press("space", "K", "ctrl+d", "ctrl+u", "space", "enter")
        assert board(session).in_matrix
        await session.press("C", "slash")
        await session.type("nothing like it")
        assert "No column has this name." in session.text
        session.line.value = "nutri"
        await session.press("enter", "space", "enter")
        assert board(session).board.view.columns == ("nutrition-set",)


async def test_a_heat_map_shows_a_cell_a_score(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("m")
        pane = board(session)
        assert pane.board.mode == "heat"
        assert len(pane.table._shown_columns()) == len(pane.table.columns)
        assert "1 best tenth .. 9, 0 last tenth" in session.head
        upright = [
            "".join(row[at] for row in rows_of(session, 0)[:10] if at < len(row)).strip()
            for at in range(WIDE[0])
        ]
        assert any(word.startswith("Facts") for word in upright)
        cells = pane.table.rows.cells(0)
        assert {cell.role for cell in cells} & {"heat.1", "heat.2"}
        await session.press("j", "right", "right", "right", "right")
        assert pane.table.cursor == 1
        await session.press("m")
        assert pane.board.mode == "matrix"
        await session.press("m", "v")
        assert not pane.in_matrix


async def test_zero_shot_only(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "model")
        await session.press("s", "Z")
        pane = board(session)
        assert "zero-shot only" in session.head
        assert "not known to be zero-shot" in session.head
        assert "gamma-2b" not in session.ids
        assert all(
            result.zero_shot is True
            for row in pane.board.matrix.rows
            for result in row.figures.values()
        )
        await session.press("Z")
        assert "gamma-2b" in session.ids
        assert "zero-shot only" not in session.head
        await session.press("S")
        assert "Self-reported scores are hidden" in session.said


async def test_marks_are_characters(small: Catalogue) -> None:
    async with running(make_app(small), (240, 30), pane="leaderboard") as session:
        await session.press("v")
        rows = rows_of(session)[:4]
        assert any("0.712 t" in row for row in rows)
        assert any("?" in row for row in rows)
        assert any("*" in row for row in rows)
        assert (
            "t trained on this benchmark  s self-reported  r reranks  * secondary  ? unverified"
            in session.head
        )


async def test_the_figure_under_the_cursor_is_explained(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "facts-set")
        while session.at != "alpha-110m":
            await session.press("j")
        head = session.head
        assert "Facts 0.712 #" in head
        assert "of 4  trained on this benchmark" in head
        assert "from Table 2 of the paper" in head
        await session.press("k" if board(session).table.cursor else "j")
        assert "0.712" not in session.head


async def test_the_matrix_scrolls_sideways(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        await session.press("v")
        assert "Patents" not in session.text
        await choose(session, "patents-set")
        assert "Patents" in titles(session)
        assert "Facts" not in titles(session)
        assert "Model" in titles(session)
        await choose(session, "model")
        assert "Params" in titles(session)


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


async def test_enter_reads_the_model_and_escape_returns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "j")
        at = session.at
        await session.press("enter")
        assert (session.app.current, session.at) == ("leaderboard", at)
        assert isinstance(session.focused, Detail)
        assert small.names[at] in session.text
        await session.press("escape")
        assert board(session).in_matrix
        assert session.at == at
        assert isinstance(session.focused, VirtualTable)


async def test_relations_and_links_from_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await choose(session, "model")
        await session.press("s", "g")
        assert session.at == "alpha-110m"
        for key, text in (("r", "a paper"), ("l", "a model  example.org/alpha-model")):
            await session.press(key)
            assert text in session.text
            assert "type its letter" in session.head
            await session.press("escape", "escape")
            assert board(session).in_matrix
            assert session.at == "alpha-110m"
        await session.press("r", "a")
        assert session.app.current == "papers"
        await session.press("backspace")
        assert board(session).in_matrix


async def test_export_of_the_matrix_is_what_is_shown(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        pane = board(session)
        for name in ("out.json", "out.tex", "out.csv"):
            await session.press("e")
            assert f"Export {len(pane.board.matrix.rows)} rows" in session.text
            session.line.value = name
            await session.press("enter")
            text = (folder / name).read_text()
            if name.endswith("json"):
                assert [record["model"] for record in json.loads(text)] == session.ids
            else:
                assert "toprule" in text if name.endswith("tex") else "facts-set" in text


async def test_the_help_defines_the_rankings(small: Catalogue) -> None:
    async with running(make_app(small), (120, 50), pane="leaderboard") as session:
        await session.press("question_mark")
        for text in ("mean-rank", "lower is better", "half a point for a tie", "self-reported"):
            assert text in session.words


async def test_export_of_single_scores(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("L")
        assert "press v" in session.said
        await session.press("v", "L")
        count = sum(len(row.figures) for row in board(session).board.matrix.rows)
        assert f"Export {count} rows" in session.text
        session.line.value = "long.json"
        await session.press("enter")
        assert len(json.loads((folder / "long.json").read_text())) == count


async def test_n_goes_round_in_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "slash")
        await session.type("gamma")
        await session.press("escape", "g", "n")
        assert session.at == "gamma-2b"


async def test_reading_a_recipe(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="leaderboard") as session:
        while session.at != "train-alpha":
            await session.press("j")
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


async def test_a_low_heat_map_shows_the_score_under_the_cursor(small: Catalogue) -> None:
    async with running(make_app(small), (80, 12), pane="leaderboard") as session:
        await session.press("m")
        assert "1 best tenth" in session.head
        pane = board(session)
        at = next(n for n, one in enumerate(pane.table.columns) if one.upright)
        await session.press(*["right"] * (at - pane.table.column))
        result = pane.board.result_at(pane.board.rows[0], pane.table.columns[at].key)
        assert result is not None
        assert f"{result.value:.4f}" in session.rows[pane.table.region.y - 1]
