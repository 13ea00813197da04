"""A service of our own for tests of fetching, and hands for the dialog and the pane of papers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import Session

from bioretrieval_tui.tui.dialogs.fetch_dialogs import FetchDialog
from bioretrieval_tui.tui.panes.found import FoundPane
from bioretrieval_tui.tui.widgets.input import Buttons

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "online"))  # server

from server import World, serving, variables

KEY = "a-key-that-nobody-may-see-0123456789"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Services that the environment leads to; with a key, ten requests a second are allowed."""
    shown = World(articles=450, key=KEY)
    for name in ("BIORETRIEVAL_OFFLINE", "BIORETRIEVAL_CONTACT", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NCBI_API_KEY", KEY)
    with serving(shown) as address:
        for name, value in variables(address).items():
            monkeypatch.setenv(name, value)
        yield shown


def dialog(session: Session) -> FetchDialog:
    assert isinstance(session.app.screen, FetchDialog)
    return session.app.screen


def found(session: Session) -> FoundPane:
    assert isinstance(session.app.pane, FoundPane)
    return session.app.pane


async def until(session: Session, done: Callable[[], bool], seconds: float = 60) -> None:
    """Let the app live until something is so."""
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)
            await session.settle()
    await session.settle()


async def look(session: Session, query: str = "owls", most: str = "") -> None:
    """Ask PubMed, to look at it."""
    await session.press("w")
    await session.type(query)
    await session.press("down", "ctrl+u")
    await session.type(most)
    for _ in range(3):
        await session.press("enter")
    await session.press("right", "enter")


async def look_again(session: Session, query: str) -> None:
    """Ask the same service for something else, while Found is shown."""
    await session.press("w")
    dialog(session).asked.put(query)
    dialog(session).query_one(Buttons).focus()
    await session.press("right", "enter")


def asked(session: Session) -> str:
    request = session.app.found.request
    return request.query if request else ""


async def over(session: Session) -> None:
    """Until the search has come to its end."""
    await until(session, lambda: session.app.found.request is not None)
    await until(session, lambda: not session.app.found.under_way)


def children(home: Path) -> dict[int, list[str]]:
    """Fetching processes of that home, and whatever they have begun: words by process id."""
    mark = f"BIORETRIEVAL_HOME={home}".encode()
    listed = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to somebody else
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            there = mark in (folder / "environ").read_bytes().split(b"\0")
            # A zombie has no words, and this very process had its variables before they were set.
            if there and any(words) and int(folder.name) != os.getpid():
                listed[int(folder.name)] = words
    return listed
