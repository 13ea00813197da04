"""What the Indexes pane and its dialogs look like; as `test_tui_snapshots.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from driving import NOTHING, Session
from scripted import FAULTY, REJECTING, Desk, job_of
from test_tui_indexes import INDEXES, on
from test_tui_picker import data  # noqa: F401 - a fixture
from test_tui_snapshots import LARGE, NARROW, USUAL, Compare, arrived
from textual.pilot import Pilot

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.app import BioRetrievalApp

Act = Callable[[Session, Desk], Awaitable[None]]


async def listed(session: Session, desk: Desk) -> None:
    await on(session, "other")


async def building(session: Session, desk: Desk) -> None:
    jobs = session.app.jobs
    jobs.submit(job_of("build", "new", ("x",)))
    jobs.submit(job_of("verify", "mine"))
    await session.settle()
    desk.step("encoding", 12_345, 28_000, rate=101.2, tokens_rate=24_800, device="cpu",
              read=20_000, input_share=0.62)  # fmt: skip
    await session.until(lambda: "12,345" in session.text)
    await on(session, "new")


async def elsewhere(session: Session, desk: Desk) -> None:
    await building(session, desk)
    await session.press("3")


async def leaving(session: Session, desk: Desk) -> None:
    await building(session, desk)
    await session.press("q")


async def verified(session: Session, desk: Desk) -> None:
    await on(session, "mine")
    await session.press("v")
    desk.verified(FAULTY)
    await session.settle()


async def rejected(session: Session, desk: Desk) -> None:
    await on(session, "mine")
    session.app.jobs.submit(job_of("build", "mine", ("x",)))
    await session.settle()
    desk.built(report=REJECTING)
    await session.settle()
    if session.app.size.width < 100:
        await session.press("enter")


async def removing(session: Session, desk: Desk) -> None:
    await on(session, "mine")
    await session.press("d")


async def dialog(session: Session, desk: Desk) -> None:
    await session.press("b", "tab", "G", "k", "space", "k", "space")


async def wrong_name(session: Session, desk: Desk) -> None:
    await session.press("b", "tab", "tab")
    await session.type("My index")


async def adding(session: Session, desk: Desk) -> None:
    await on(session, "mine")
    await session.press("a")
    await session.type("pub")


async def helped(session: Session, desk: Desk) -> None:
    await session.press("question_mark")


async def nothing(session: Session, desk: Desk) -> None:
    pass


SCREENS: tuple[tuple[str, Act, tuple[int, int], str], ...] = (
    ("list", listed, USUAL, "dark"),
    ("list-narrow", listed, NARROW, "dark"),
    ("list-large", listed, LARGE, "dark"),
    ("list-light", listed, USUAL, "light"),
    ("empty", nothing, USUAL, "dark"),
    ("empty-narrow", nothing, NARROW, "dark"),
    ("building", building, USUAL, "dark"),
    ("building-narrow", building, NARROW, "dark"),
    ("building-terminal", building, USUAL, "terminal"),
    ("elsewhere-narrow", elsewhere, NARROW, "dark"),
    ("leaving", leaving, NARROW, "dark"),
    ("verified", verified, USUAL, "dark"),
    ("rejected-narrow", rejected, NARROW, "dark"),
    ("removing", removing, USUAL, "light"),
    ("dialog", dialog, USUAL, "dark"),
    ("dialog-narrow", dialog, NARROW, "dark"),
    ("dialog-terminal", dialog, USUAL, "terminal"),
    ("wrong-name", wrong_name, USUAL, "dark"),
    ("adding", adding, LARGE, "light"),
    ("help", helped, USUAL, "dark"),
)


def driven(act: Act, desk: Desk) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def drive(pilot: Pilot[Any]) -> None:
        session = await arrived(pilot, "indexes")
        await act(session, desk)
        await session.settle()
        if session.app.screen is session.app.screen_stack[0]:
            await session.rest()

    return drive


@pytest.mark.parametrize(("name", "act", "size", "theme"), SCREENS, ids=[s[0] for s in SCREENS])
def test_indexes(
    name: str,
    act: Act,
    size: tuple[int, int],
    theme: str,
    small: Catalogue,
    scripted: Desk,
    data: Path,  # noqa: F811
    snap_compare: Compare,
) -> None:
    scripted.indexes = [] if name.startswith("empty") else list(INDEXES)
    app = BioRetrievalApp(small, capabilities=NOTHING, theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=driven(act, scripted))


@pytest.mark.parametrize("act", [building, dialog, removing], ids=lambda act: act.__name__)
def test_without_colour(
    act: Act,
    small: Catalogue,
    scripted: Desk,
    data: Path,  # noqa: F811
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    scripted.indexes = list(INDEXES)
    app = BioRetrievalApp(small, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=USUAL, run_before=driven(act, scripted))
