"""A list of many rows: the filter's indexes are made by a thread, typing goes on meanwhile."""

from __future__ import annotations

import threading

import pytest
from driving import make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.query import Filter
from bioretrieval_tui.tui.panes import browse


async def test_what_is_typed_meanwhile_is_applied_then(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "MANY", 2)
    go_on = threading.Event()
    prepare = Filter.prepare

    def slowly(self: Filter) -> None:
        go_on.wait(30)
        prepare(self)

    monkeypatch.setattr(Filter, "prepare", slowly)
    async with running(make_app(small), pane="papers") as session:
        before = session.ids
        session.app.pane.call_later(session.browse.action_filter)
        await session.pilot.pause()
        session.line.value = "alpha"
        await session.pilot.pause()
        assert "reading the rows" in session.head
        assert session.ids == before
        go_on.set()
        await session.settle()
        assert "reading the rows" not in session.head
        assert session.ids != before
        assert session.ids[0] == "alpha-paper"


async def test_what_is_half_typed_is_no_error_yet(small: Catalogue) -> None:
    async with running(make_app(small), pane="papers") as session:
        await session.press("/")
        await session.type("alpha year")
        kept = session.ids
        await session.type(">")
        assert session.ids == kept
        assert "column" in session.head
        await session.type("=2018")
        assert "column" not in session.head
        assert "alpha-paper" in session.ids
