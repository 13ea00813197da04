"""An app that nobody touches sends nothing, and a key sends only what it changed."""

from __future__ import annotations

import asyncio

import pytest
from driving import Recorder, Session, make_app, running
from scripted import Desk

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.panes.pane import REST

IDLE = 1.5
"""Seconds; longer than any timer of the app, and than a cursor that blinks."""


async def at_rest(session: Session) -> Recorder:
    """The terminal, once timers have run out and nothing is written any more."""
    driver = session.app._driver
    assert isinstance(driver, Recorder)
    await asyncio.sleep(REST + 0.2)
    await session.settle()
    while driver.written:
        driver.written.clear()
        await asyncio.sleep(0.2)
    return driver


@pytest.mark.parametrize(
    ("pane", "keys"),
    [
        ("home", ()),
        ("papers", ("j",)),
        ("papers", ("slash", "a")),
        ("leaderboard", ("v",)),
        ("path", ("space",)),
        ("search", ("h", "e")),
        ("indexes", ("j",)),
        ("indexes", ("b", "x")),
        ("models", ("question_mark",)),
        ("models", ("ctrl+p", "a")),
        ("models", ("e",)),
    ],
)
async def test_idle_output_is_nothing(
    small: Catalogue, scripted: Desk, pane: str, keys: tuple[str, ...]
) -> None:
    async with running(make_app(small), (120, 40), pane=pane, recorded=True) as session:
        await session.press(*keys)
        driver = await at_rest(session)
        # The whole of it without a single touch: not even a look at the screen.
        await asyncio.sleep(IDLE)
        assert driver.written == []


async def test_a_key_that_changes_nothing_sends_no_row(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="papers", recorded=True) as session:
        driver = await at_rest(session)
        await session.press("k", "g", "home", "up", "f9")
        assert "".join(driver.written) == ""


async def test_a_cursor_move_redraws_the_rows_it_touches(small: Catalogue) -> None:
    """Before the driver's own comparison: two rows of the list, the head of the page."""
    async with running(make_app(small), (120, 40), pane="papers", recorded=True) as session:
        driver = await at_rest(session)
        await session.press("j")
        first = "".join(driver.written)
        assert "Beta" in first
        assert "Filler 20" not in first
        assert "Leaderboard" not in first
