"""Keys that come in one bunch, before a pane is ready for them, do what they do one by one."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from driving import make_app, running
from scripted import Desk, info
from textual.events import Paste

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render import comparison
from bioretrieval_tui.tui import key_queue
from bioretrieval_tui.tui.dialogs.comparison_dialog import ComparisonDialog
from bioretrieval_tui.tui.index_session import IndexesSession


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        (("3", "slash", *"beta", "enter", "j"), "filter beta"),
        (("9", *"asthma"), " asthma "),
        (("slash", *"asthma"), " asthma "),
        (("9", "escape", "f", *"year:2015"), "year:2015"),
        (("7", "v", "slash", *"alpha"), "filter alpha"),
        (("0", "b", *"no-file"), "No file or folder matches."),
        (("0", "j", "d"), "Remove the index mine?"),
        (("0", "w", *"owls"), "owls"),
        (("4", "space", "space", "equals_sign", "j", "j", "j"), "2 side by side"),
    ],
    ids=lambda found: "".join(key[0] for key in found) if isinstance(found, tuple) else None,
)  # fmt: skip
async def test_no_key_is_lost(
    small: Catalogue,
    scripted: Desk,
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    seen: str,
) -> None:
    scripted.indexes = [info("catalogue"), info("mine")]
    load, compare = IndexesSession.load, comparison.compare

    def slow(*marked: Any, **named: Any) -> Any:
        time.sleep(0.1)
        return compare(*marked, **named)

    async def later(session: IndexesSession) -> None:
        await asyncio.sleep(0.1)
        await load(session)

    monkeypatch.setattr(key_queue, "PATIENCE", 30.0)  # on a machine under load
    monkeypatch.setattr(comparison, "compare", slow)
    monkeypatch.setattr(IndexesSession, "load", later)
    async with running(make_app(small)) as session:
        for key in keys:
            session._post(key)
        await session.settle()
        assert seen in session.text
        if isinstance(session.app.screen, ComparisonDialog):
            assert session.app.screen.table.cursor == 4


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        (("9",), "", " inhaled"), (("3", "slash"), "x", "inhaledx"), (("0", "b"), "", "/inhaled"),
        (("0", "w"), "x", "inhaledx"),
    ],
)  # fmt: skip
async def test_a_paste_waits_for_the_keys_before_it(
    small: Catalogue, scripted: Desk, before: tuple[str, ...], after: str, seen: str
) -> None:
    async with running(make_app(small)) as session:
        for key in before:
            session._post(key)
        session.app.post_message(Paste("inhaled"))
        for key in after:
            session._post(key)
        await session.settle()
        assert seen in session.text
