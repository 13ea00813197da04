"""The Search pane with the real search process and the real embedded model, end to end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from driving import make_app, running

from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.protocol import BuildJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content, Link, Paper
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.widgets.canvas import Detail

PAPERS = {
    "statins": "Simvastatin causes muscle pain in some of the patients who take it.",
    "tumours": "The p53 gene suppresses tumours; its loss lets cancer cells divide.",
    "asthma": "Inhaled corticosteroids help children with asthma to breathe.",
}


@pytest.fixture(autouse=True)
def scripted() -> None:
    """Nothing is scripted here."""


@pytest.fixture
def tiny() -> Catalogue:
    entries = tuple(
        Paper(
            id=name, name=name.title(), title=name.title(), summary=text, sources=("card",),
            links=(Link(label="page", url=f"https://example.org/{name}", type="site"),),
        )
        for name, text in PAPERS.items()
    )  # fmt: skip
    return Catalogue(Content(entries=entries, results=(), sources=()))


async def test_from_a_fresh_home_to_the_right_answer(tiny: Catalogue, tmp_path: Path) -> None:
    corpus = tmp_path / "mine.jsonl"
    rows = [{"_id": "7", "title": "", "text": "Aspirin thins the blood.", "pmid": 7},
            {"_id": "8", "title": "", "text": "Insulin lowers glucose."}]  # fmt: skip
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    async with running(make_app(tiny), pane="search") as session:
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        async with asyncio.timeout(120):
            # Typed before there is an index: asked as soon as there is.
            await session.type("cancer gene")
            while not pane.hits:
                await asyncio.sleep(0.01)
                await session.settle()
        assert pane.session.ready
        assert pane.hits[0].id == "tumours"
        assert len(pane.hits) == len(PAPERS)
        await session.press("enter", "enter")
        assert isinstance(session.focused, Detail)
        assert "p53" in session.text
        assert session.links() == {"https://example.org/tumours"}

        # An index of one's own, built by a job, is next.
        assert isinstance(pane.owner.client, SearchClient)
        assert pane.owner.begin_job(BuildJob("mine", (str(corpus),)))
        async with asyncio.timeout(120):
            while pane.owner.jobs.current is not None:
                await asyncio.sleep(0.05)
        await session.press("escape", "x")
        assert pane.owner.index == "mine"
        await session.press("slash", "ctrl+u")
        await session.type("blood clots")
        await session.until(lambda: len(pane.hits) == 2)
        assert pane.hits[0].id == "7"
        pid = pane.owner.client.pid
        assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
