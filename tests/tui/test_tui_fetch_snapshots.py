"""What fetching looks like: the dialog, papers that were found, the index that they go into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from driving import NOTHING, Session
from test_tui_snapshots import LARGE, NARROW, USUAL, Compare, arrived
from textual.pilot import Pilot

from bioretrieval_tui.backend.protocol import Came
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.online.spool import FetchRequest
from bioretrieval_tui.tui.app import BioRetrievalApp

Act = Callable[[Session], Awaitable[None]]

PAPERS = (
    ("40000001", "Herons winter on warmer ponds", "Annals of Ponds", "2026-02"),
    ("40000002", "Moss as a bed for owl pellets: a survey of 212 barns", "Field Notes", "2025"),
    ("40000003", "Bees, tides and other clocks", "Annals of Ponds", "2024"),
)


async def asking(session: Session) -> None:
    await session.press("w")
    await session.type("sickle cell disease[mh] AND hydroxyurea[ti]")


async def complaining(session: Session) -> None:
    await session.press("w", "enter", "enter", "enter", "enter", "enter")


async def found(session: Session) -> None:
    papers = session.app.found
    request = papers.request = FetchRequest("pubmed", "herons OR moss", most=200, index="ponds")
    for identifier, title, journal, date in PAPERS:
        known = {"authors": ["Reed A", "Moss B"], "journal": journal, "date": date,
                 "pmid": identifier, "volume": "12", "pages": "3-9"}  # fmt: skip
        document = Document(identifier, title, f"{title} were counted. " * 6, known)
        papers._hear(request, Came([document]))
    papers._tell()
    await session.app.show_pane("found")
    await session.settle()
    await session.press("j", "space", "k")


async def reading(session: Session) -> None:
    await found(session)
    await session.press("enter")


async def into(session: Session) -> None:
    await found(session)
    await session.press("b")


async def nothing(session: Session) -> None:
    await session.app.show_pane("found")
    await session.settle()


def driven(act: Act) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def drive(pilot: Pilot[Any]) -> None:
        session = await arrived(pilot, "indexes")
        await act(session)
        await session.settle()
        if session.app.screen is session.app.screen_stack[0]:
            await session.rest()

    return drive


STATES: dict[str, tuple[Act, tuple[int, int], str]] = {
    "asking": (asking, USUAL, "dark"),
    "asking-narrow": (asking, NARROW, "dark"),
    "asking-light": (asking, USUAL, "light"),
    "complaining": (complaining, NARROW, "dark"),
    "found": (found, USUAL, "dark"),
    "found-narrow": (found, NARROW, "dark"),
    "found-large": (found, LARGE, "dark"),
    "found-light": (found, USUAL, "light"),
    "reading-narrow": (reading, NARROW, "terminal"),
    "into": (into, NARROW, "dark"),
    "nothing": (nothing, NARROW, "dark"),
}


@pytest.mark.parametrize("state", STATES)
def test_fetching(snap_compare: Compare, small: Catalogue, state: str) -> None:
    act, size, theme = STATES[state]
    app = BioRetrievalApp(small, theme=theme, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=size, run_before=driven(act))


def test_without_colour(
    snap_compare: Compare, small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = BioRetrievalApp(small, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=USUAL, run_before=driven(found))
