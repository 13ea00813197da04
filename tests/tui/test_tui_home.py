"""Home: rows about what the user has, each leading somewhere, and the panes behind the digits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from driving import Session, home_places, make_app, running
from own_records import record
from scripted import Desk, job_of
from test_tui_hostile import check
from test_tui_news import keep, one

from bioretrieval_tui.backend.job_folder import JobRecord
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.settings import LAST_INDEX, SettingsStore
from bioretrieval_tui.tui.dialogs.dialog import Confirm, PageDialog
from bioretrieval_tui.tui.panes import home
from bioretrieval_tui.tui.panes.home import HomePane
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
from bioretrieval_tui.tui.panes.search_pane import SearchPane

WIDE = (120, 40)


def labels(session: Session) -> list[str]:
    pane = session.app.pane
    assert isinstance(pane, HomePane)
    return [row.label for row in pane.rows if row.label]


async def go(session: Session, text: str) -> None:
    """Put the cursor on the row with a text, and press enter."""
    pane = session.app.pane
    assert isinstance(pane, HomePane)
    at = next(n for n, row in enumerate(pane.rows) if text in row.text.text)
    pane.table.move_to(at)
    await session.press("enter")


@pytest.fixture
def used(home: Path) -> None:
    """A home after some weeks of use."""
    store = SettingsStore(home_places().data / "library.sqlite")
    for query in ("statins", "\x1b[31mowls at night"):
        store.keep_query(query)
    store.set_setting(LAST_INDEX, "gone")
    record("dense")
    keep(one("11", 0.4, title="News \x1b[2J of owls"), one("12", 0.5), one("13", 0.6, read=True))
    folder = home_places().state / "jobs"
    folder.mkdir(parents=True)
    failed = JobRecord(
        id="1", job=job_of("build", "mine", ("a",)), state="failed", message="the disk is full",
        started="2026-01-02T03:04:05", ended="2026-01-02T03:05:05",
    )  # fmt: skip
    (folder / "1.json").write_bytes(msgspec.json.encode(failed))
    (folder / "2.json").write_bytes(b"{")


async def test_a_fresh_home_says_where_to_start(small: Catalogue, home: Path) -> None:
    async with running(make_app(small), (80, 24)) as session:
        assert labels(session) == ["Start", "New", "Panes"]
        assert all(f"{n}  " in session.rows[y] for n, y in (("9", 7), ("0", 8), ("8", 9)))
        await session.press("enter")
        assert session.app.current == "search"


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60)])
async def test_what_was_done_last_is_on_top(
    small: Catalogue, used: None, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size) as session:
        await session.until(lambda: session.app.job_session.used)
        assert labels(session) == ["Jobs", "Queries", "Your runs", "News", "New", "Panes"]
        check(session)
        assert "Building mine: failed" in session.text
        assert "W News 2" in session.rows[0]
        assert len(session.rows[0]) == size[0]
        await session.press("G", "g")


@pytest.mark.parametrize(
    ("text", "pane"),
    [
        ("statins", "search"),
        ("facts  dense", "leaderboard"),
        ("of owls", "news"),
        ("Beta", "papers"),
        ("Benchmarks", "benchmarks"),
    ],
)
async def test_rows_lead_somewhere(
    small: Catalogue, scripted: Desk, used: None, text: str, pane: str
) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.until(lambda: session.app.job_session.used)
        await go(session, text)
        shown = session.app.pane
        assert session.app.current == pane
        if isinstance(shown, SearchPane):
            assert shown.session.text == "statins"
        if isinstance(shown, LeaderboardPane):
            assert shown.own_row is not None
        await session.press("escape", "backspace")
        assert session.app.current == "home"


async def test_a_job_that_failed_is_asked_about(small: Catalogue, used: None) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.until(lambda: session.app.job_session.used)
        await go(session, "Building mine")
        assert isinstance(session.app.screen, Confirm)


async def test_a_change_is_shown_whole(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        await go(session, "Beta came in")
        assert isinstance(session.app.screen, PageDialog)
        assert "https://example.org/beta" in session.text


async def test_a_job_that_runs_is_a_row(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE) as session:
        session.app.job_session.begin(job_of("verify", "mine"))
        await session.settle()
        assert "Jobs       Verifying mine" in session.text


async def test_a_click_on_a_row_acts(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        y = next(y for y, row in enumerate(session.rows) if " 2  Evolution" in row and y > 5)
        await session.pilot.click(offset=(20, y))
        await session.settle()
        assert session.app.current == "timeline"


def test_bars_of_years() -> None:
    rows = home.year_bars(Counter({2024: 4, 2026: 2}), 40, 4)
    assert ["".join(span.text for span in row) for row in rows] == [
        "███            ",
        "███       ███  ",
        "  4    0    2  ",
        "2024 2025 2026 ",
    ]
    assert home.year_bars(Counter(), 40, 4) == home.year_bars(Counter({2024: 4}), 40, 2) == []
    assert len(home.year_bars(Counter({1966: 1, 2026: 9}), 40, 4)[0][0].text) == 40


async def test_panes_behind_the_digits_have_a_place(small: Catalogue) -> None:
    async with running(make_app(small), (120, 20)) as session:
        assert "W News P Found E Explore" in session.rows[0]
        await session.resize(80, 20)
        assert "News" not in session.rows[0]
        await session.press("P")
        assert session.rows[0].rstrip().endswith("8 Start 9 0 P Found")
        await session.press("W")
        assert "W News" in session.rows[0]
        await session.press("E", "escape", "1")
        assert session.app.current == "home"
