"""The app begins as it was left: pane, filter, order, row, query; unless that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, home_places, make_app, running
from scripted import Desk, info

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.settings import SettingsStore
from bioretrieval_tui.tui.last_session import SETTING
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.widgets.input import QueryLine


async def leave(session: Session) -> None:
    await session.press("q")


def store() -> SettingsStore:
    return SettingsStore(home_places().data / "library.sqlite")


async def test_a_list_comes_back(small: Catalogue, home: Path) -> None:
    async with running(make_app(small), pane="models") as session:
        await session.press("greater_than_sign", "greater_than_sign", "s", "slash")
        await session.type("-role:reranker")
        await session.press("enter", "j", "j")
        ids, at, order = session.ids, session.at, session.entries.sorted_by
        assert (len(ids) > 2, order) != (False, None)
        await leave(session)
    async with running(make_app(small)) as session:
        assert session.app.current == "models"
        assert (session.ids, session.at) == (ids, at)
        assert (session.entries.filter, session.entries.sorted_by) == ("-role:reranker", order)
        assert session.app.pane.table.sorted_by == order
        await session.press("3", "1")  # other panes are as ever
        assert session.app.current == "home"
        await leave(session)
    async with running(make_app(small, fresh=True)) as session:
        assert session.app.current == "home"
        await session.press("4")
        assert session.entries.filter == ""


async def test_the_board_comes_back(small: Catalogue, home: Path) -> None:
    async with running(make_app(small), pane="leaderboard") as session:
        await session.press("v", "R", "Z", "j")
        pane = session.app.pane
        assert isinstance(pane, LeaderboardPane)
        view, mode, at = pane.board.view, pane.board.mode, session.at
        await leave(session)
    async with running(make_app(small)) as session:
        pane = session.app.pane
        assert isinstance(pane, LeaderboardPane)
        assert (pane.board.view, pane.board.mode, session.at) == (view, mode, at)
        assert pane.in_matrix


async def test_a_query_comes_back_and_keys_are_keys(
    small: Catalogue, scripted: Desk, home: Path
) -> None:
    scripted.indexes = [info("catalogue"), info("mine")]
    async with running(make_app(small), pane="search") as session:
        await session.type("asthma")
        await session.press("enter", "m")
        await leave(session)
    async with running(make_app(small)) as session:
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        await session.until(lambda: pane.session.text == "asthma")
        assert pane.session.mode == "dense"
        assert not isinstance(session.app.focused, QueryLine)
        await session.press("3")
        assert session.app.current == "papers"


@pytest.mark.parametrize(
    ("kept", "current"),
    [
        ("{", "home"),
        ('{"pane": "no such pane"}', "home"),
        ('{"pane": "found"}', "home"),
        ('{"pane": "models", "panes": {"models": {"filter": "(", "sort": "size"}}}', "models"),
        ('{"pane": "models", "panes": {"models": {"place": "gone", "new": "x"}}}', "models"),
        ('{"pane": "leaderboard", "panes": {"leaderboard": {"view": "{", "mode": "?"}}}',
         "leaderboard"),
        ('{"pane": "search", "panes": {"search": {"mode": "?", "indexes": "gone"}}}', "search"),
    ],
)  # fmt: skip
async def test_a_damaged_session(small: Catalogue, home: Path, kept: str, current: str) -> None:
    store().set_setting(SETTING, kept)
    async with running(make_app(small)) as session:
        assert session.app.current == current
        assert not session.app.faults
        await session.press("escape", "4", "slash")
        await session.type("alpha")
        assert session.entries.filter == "alpha"


async def test_what_was_not_shown_again_is_not_lost(small: Catalogue, home: Path) -> None:
    async with running(make_app(small), pane="papers") as session:
        await session.press("slash")
        await session.type("alpha")
        await session.press("enter", "1")
        await leave(session)
    async with running(make_app(small)) as session:
        await session.press("4")
        await leave(session)
    async with running(make_app(small)) as session:
        await session.press("3")
        assert session.entries.filter == "alpha"
