"""Every list sorts by every column, and an exception in a pane does not end the app."""

from __future__ import annotations

from typing import Any

import pytest
from driving import Session, home_places, make_app, running
from scripted import SOUND, Desk, job_of
from textual.screen import Screen

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import ERROR_LOG
from bioretrieval_tui.tui.panes.browse import BrowsePane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine, NavBar, StatusBar
from bioretrieval_tui.tui.widgets.canvas import Canvas

PANES = ("papers", "models", "datasets", "benchmarks", "timeline")


@pytest.mark.parametrize("pane", PANES)
async def test_every_list_sorts_by_every_column_in_both_directions(
    real: Catalogue, pane: str
) -> None:
    async with running(make_app(real), (200, 40), pane=pane) as session:
        table = session.browse.table
        for at, column in enumerate(table.columns):
            table.column = at
            seen = []
            for way in ("ascending", "descending"):
                await session.press("s")
                assert session.said == f"Sorted by {column.title}, {way}"
                assert table.sorted_by == (column.key, way == "descending")
                cells = [table.rows.cells(row)[at] for row in range(len(table.rows))]
                shown = [one.text if isinstance(one, Span) else one[0].text for one in cells]
                empty = [not text for text in shown]
                assert empty == sorted(empty), "entries without a value come last"
                seen.append(session.ids[: empty.index(True) if any(empty) else None])
            assert len(seen[0]) == len(seen[1])
            await session.press("s")
            assert session.said == "In catalogue order"


@pytest.mark.parametrize("keys", [(), ("v",)], ids=["recipes", "models"])
async def test_the_leaderboard_sorts_by_every_column(
    real: Catalogue, keys: tuple[str, ...]
) -> None:
    """Best or largest first, then the other way; nothing is hidden."""
    async with running(make_app(real), (200, 40), pane="leaderboard") as session:
        await session.press(*keys)
        table = session.browse.table
        shown = set(session.browse.ids())
        for at, column in enumerate(table.columns):
            table.column = at
            ways = []
            for _ in range(2):
                await session.press("s")
                assert "Sorted by " in session.said
                assert set(session.browse.ids()) == shown
                ways.append(table.sorted_by)
            assert {way[1] for way in ways if way} == {True, False}, column.key


async def test_the_matrix_sorts_by_every_column(real: Catalogue) -> None:
    async with running(make_app(real), (200, 40), pane="leaderboard") as session:
        await session.press("v")
        table = session.browse.table
        for at in range(len(table.columns)):
            table.column = min(at, len(table.columns) - 1)
            await session.press("s", "s")
            assert not session.app.faults


class OwnFaultError(Exception):
    """Raised by these tests."""


def _raise(*_: object, **__: object) -> Any:
    raise OwnFaultError("made by a test")


async def _survives(session: Session) -> None:
    assert [type(fault) for fault in session.app.faults] == [OwnFaultError]
    log = home_places().state / ERROR_LOG
    assert session.said.startswith("Error in this pane: OwnFaultError: made by a test")
    assert "made by a test" in log.read_text()
    assert "Traceback" in log.read_text()
    # Keys, other panes and the lists are as they were.
    await session.press("4")
    assert session.app.current == "models"
    await session.press("3", "g", "j")
    assert session.app.current == "papers"
    assert session.browse.table.cursor >= 1
    assert session.app.is_running


async def test_an_action_that_raises(small: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        monkeypatch.setattr(BrowsePane, "action_export", _raise)
        await session.press("e")
        await _survives(session)


async def test_a_handler_that_raises(small: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        with monkeypatch.context() as broken:
            broken.setattr(BrowsePane, "make_page", _raise)
            await session.press("j")
        del session.app.faults[1:]
        await _survives(session)


@pytest.mark.parametrize("thread", [False, True])
async def test_a_worker_that_raises(small: Catalogue, thread: bool) -> None:
    async def work() -> None:
        _raise()

    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        session.app.pane.run_worker(_raise if thread else work(), thread=thread)
        await session.until(lambda: session.app.faults)
        await _survives(session)


async def test_a_timer_that_raises(small: Catalogue) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        session.app.pane.set_timer(0.01, _raise)
        await session.until(lambda: session.app.faults)
        await _survives(session)


async def test_a_canvas_that_cannot_be_painted_is_blank(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        with monkeypatch.context() as broken:
            broken.setattr(HeadLine, "paint", _raise)
            session.browse.query_one(HeadLine).repaint()
            await session.settle()
            assert "Papers" not in session.rows[1]
            assert session.app.faults
        del session.app.faults[1:]
        session.browse.query_one(HeadLine).repaint()
        await session.settle()
        assert "Papers" in session.rows[1]
        await _survives(session)


async def test_a_pane_that_cannot_be_composed_leaves_the_others(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        with monkeypatch.context() as broken:
            broken.setattr(BrowsePane, "on_mount", _raise)
            await session.press("4")
        del session.app.faults[1:]
        await session.press("3", "g", "j")
        assert session.app.current == "papers"
        assert session.app.is_running


async def test_a_job_goes_on_after_an_exception(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        session.app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        monkeypatch.setattr(BrowsePane, "action_export", _raise)
        await session.press("e")
        assert session.app.faults
        assert session.app.jobs.current == job_of("verify", "mine")
        scripted.verified(SOUND)
        await session.settle()
        assert session.app.jobs.outcomes["mine"].state == "done"
        assert session.app.is_running


@pytest.mark.parametrize("callback", ["jobs_changed", "job_ended"])
async def test_a_pane_that_cannot_show_jobs_ends_none_of_them(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch, callback: str
) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        with monkeypatch.context() as broken:
            broken.setattr(BrowsePane, callback, _raise)
            session.app.jobs.submit(job_of("verify", "mine"), job_of("verify", "other"))
            for name in ("mine", "other"):
                await session.settle()
                scripted.verified(SOUND)
                await session.settle()
                assert session.app.jobs.outcomes[name].state == "done"
        assert {type(fault) for fault in session.app.faults} == {OwnFaultError}
        assert "made by a test" in (home_places().state / ERROR_LOG).read_text()
        assert session.app.is_running


@pytest.mark.parametrize("bar", [StatusBar, NavBar])
async def test_a_bar_that_cannot_be_painted(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch, bar: type[Canvas]
) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        with monkeypatch.context() as broken:
            broken.setattr(bar, "paint", _raise)
            await session.press("j", "4", "3")
            await session.until(lambda: session.app.faults and session.app.current == "papers")
        await session.press("space")  # `j` could make a count of the digits
        assert session.app.current == "papers"
        assert session.app.is_running


async def test_an_exception_while_the_app_is_taken_down_is_logged(small: Catalogue) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.faults_expected = True
        app = session.app
        await app.screen_stack[0].query("*").remove()
        app._handle_exception(ValueError("too late to be shown"))
    assert "too late to be shown" in (home_places().state / ERROR_LOG).read_text()
    app._handle_exception(KeyError("later still"))
    assert "later still" in (home_places().state / ERROR_LOG).read_text()


async def test_a_job_that_changes_while_the_app_quits_is_no_failure(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panes are removed before the screens: what looks for its pane then finds none."""
    async with running(make_app(small), pane="papers") as session:
        app = session.app
        app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        remove = Screen._close_messages

        async def changing(screen: Screen[Any], *arguments: Any, **how: Any) -> None:
            app.job_session.changed()
            app._handle_exception(ValueError("of a widget that is gone"))
            await remove(screen, *arguments, **how)

        monkeypatch.setattr(Screen, "_close_messages", changing)
        app.exit()
        await session.until(lambda: not app.is_running)
    assert not app.return_code
    assert [str(fault) for fault in app.faults] == ["of a widget that is gone"]
    assert "of a widget that is gone" in (home_places().state / ERROR_LOG).read_text()
