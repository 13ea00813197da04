"""The Search pane with the real search process and the real embedded model, end to end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from driving import make_app, running

from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.protocol import BuildJob
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.tui.dialogs.index_dialog import IndexDialog
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.widgets.canvas import Detail


@pytest.fixture(autouse=True)
def scripted() -> None:
    """Nothing is scripted here."""


async def test_from_a_fresh_home_to_the_right_answer(tmp_path: Path) -> None:
    corpus = tmp_path / "mine.jsonl"
    rows = [{"_id": "7", "title": "", "text": "Aspirin thins the blood.", "pmid": 7},
            {"_id": "8", "title": "", "text": "Insulin lowers glucose."}]  # fmt: skip
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    async with running(make_app(load().catalogue), pane="search") as session:
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        async with asyncio.timeout(120):
            # Typed before there is an index or a model: BM25 answers, then both.
            await session.type("pubmed search logs")
            await session.until(lambda: bool(pane.hits))
            while pane.session.view.answer.pending:
                await asyncio.sleep(0.01)
                await session.settle()
        assert "medcpt-paper" in {hit.id for hit in pane.hits[:5]}
        assert pane.hits[0].scores.dense is not None
        await session.press("enter", "enter")
        assert isinstance(session.focused, Detail)
        assert session.app.pane.page.links

        # An index of one's own, built by a job, is next.
        assert isinstance(pane.owner.client, SearchClient)
        assert pane.owner.job_session.begin(BuildJob("mine", (str(corpus),)))
        async with asyncio.timeout(120):
            while pane.owner.jobs.current is not None:
                await asyncio.sleep(0.05)
        await session.press("escape", "x")
        await session.until(lambda: isinstance(session.app.screen, IndexDialog))
        await session.press("j", "enter")
        assert pane.owner.index == "mine"
        await session.press("slash", "ctrl+u")
        await session.type("blood clots")
        await session.until(lambda: len(pane.hits) == 2)
        assert pane.hits[0].id == "7"
        # Then both at once.
        await session.press("enter", "x")
        await session.until(lambda: isinstance(session.app.screen, IndexDialog))
        await session.press("k", "space", "enter")
        await session.until(lambda: len(pane.hits) > 2 and not pane.session.view.answer.pending)
        assert (pane.hits[0].index, pane.hits[0].id) == ("mine", "7")
        assert {hit.index for hit in pane.hits} == {"mine", "catalogue"}
        pid = pane.owner.client.pid
        assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
