"""Papers before one's eyes: what each service is asked and gives, and what can go wrong with it."""

from __future__ import annotations

import json
import socket

import pytest
from driving import make_app, running
from fetched import dialog, found, look, over, until
from server import Fault, World, pmid_of
from test_tui_hostile import bad_characters, check

from bioretrieval_tui.backend.protocol import Came
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.tui.panes.index_list import IndexesPane
from bioretrieval_tui.tui.widgets.input import Stepper

WIDE, NARROW = (120, 30), (80, 24)
EVIL = "Owls\x1b[2J\x1b]0;gone\x07\x9b31m [bold]b[/bold] \u202efdp.exe\u2028"


async def test_a_day_is_asked_for(small: Catalogue, world: World) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("w")
        await session.type("owls")
        dialog(session).most.put("1,000")
        dialog(session).since.put("2026-06-29")
        await session.press("down", "down", "down", "enter", "right", "enter")
        await over(session)
        # A hundred records came in on each day.
        assert len(session.app.found.papers) == 200
        assert world.of("/esearch.fcgi")[0]["mindate"] == "2026/06/29"
        # What was asked is what the next dialog begins with.
        await session.press("w")
        shown = dialog(session)
        assert (shown.asked.value, shown.since.value) == ("owls", "2026-06-29")
        assert (shown.most.value, shown.into.value) == ("1000", "owls")
        check(session)


@pytest.mark.parametrize(
    ("steps", "service", "first", "place"),
    [
        (1, "Europe PMC", str(pmid_of(0)), f"pubmed.ncbi.nlm.nih.gov/{pmid_of(0)}"),
        (2, "arXiv", "2601.00000", "arxiv.org/abs/2601.00000"),
    ],
)
async def test_other_services(
    small: Catalogue, world: World, steps: int, service: str, first: str, place: str
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("w", "up", *["right"] * steps)
        assert service in session.text
        await session.press("down")
        await session.type("owls")
        dialog(session).most.put("3")
        await session.press("down", "down", "down", "enter", "right", "enter")
        await over(session)
        papers = session.app.found.papers
        assert len(papers) == 3
        assert first in papers[0].id
        assert f"Found  {service}: owls  3" in session.text
        assert "Note 0 on herons and herons" in session.text
        await session.press("o")
        assert place in session.text


@pytest.mark.parametrize("steps", range(3))
async def test_the_dialog_shows_a_whole_query_of_each_service(small: Catalogue, steps: int) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("w", "up", *["right"] * steps)
        stepper = dialog(session).query_one(Stepper)
        _, note = stepper.choices[stepper.chosen]
        assert note in session.text


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_what_a_service_sends_does_nothing_to_the_terminal(
    small: Catalogue, world: World, size: tuple[int, int]
) -> None:
    assert bad_characters(EVIL) >= {"\x1b", "\x07", "\x9b", "\u202e", "\u2028"}
    record = {
        "id": "7", "source": "PPR", "title": EVIL, "abstractText": f"{EVIL}. {EVIL}",
        "authorString": EVIL, "pubYear": "2026", "doi": f"10.1/{EVIL}",
        "journalInfo": {"journal": {"title": EVIL}},
    }  # fmt: skip
    answer = {"hitCount": 1, "nextCursorMark": "*", "resultList": {"result": [record]}}
    world.faults = [("/search", Fault("say", 200, json.dumps(answer)))]
    async with running(make_app(small), size, pane="indexes") as session:
        await session.press("w", "up", "right", "down")
        await session.type("owls")
        dialog(session).most.put("1")
        await session.press("down", "down", "down", "enter", "right", "enter")
        await over(session)
        assert len(session.app.found.papers) == 1
        assert "[bold]b[/bold]" in session.text
        check(session)
        for key in ("enter", "G", "escape", "space", "o", "y", "e"):
            await session.press(key)
            check(session)


async def test_stopping_keeps_what_came(small: Catalogue, world: World) -> None:
    world.silent_from = 200
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await look(session, most="400")
        await until(session, lambda: "200 of 400" in session.text)
        assert "more are arriving; esc stops" in session.text
        # The page is left first, and nothing stops by that.
        await session.press("enter", "escape")
        assert session.app.found.under_way
        await session.press("escape")
        await until(session, lambda: not session.app.found.under_way)
        assert "PubMed: owls  200  stopped" in session.text
        await session.press("space")
        assert [one.id for one in session.app.found.starred] == [str(pmid_of(0))]
        assert "1 starred" in session.text
        await session.press("u")
        assert "1 starred" not in session.text


async def test_reading_goes_on_while_papers_arrive(small: Catalogue, world: World) -> None:
    world.silent_from = 200
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await look(session, most="450")
        await until(session, lambda: "200 of 450" in session.text)
        await session.press("j", "j", "enter", "asterisk")
        page = session.rows[2:6]
        assert f"{pmid_of(2)}" in session.text
        request = session.app.found.request
        assert request is not None
        fresh = [Document(str(pmid_of(200 + n)), "A title", "A text") for n in range(300)]
        session.app.found._hear(request, Came(fresh))
        await until(session, lambda: "500 of 450" in session.text)
        assert session.rows[2:6] == page
        assert found(session).place() == str(pmid_of(2))
        assert [one.id for one in session.app.found.starred] == [str(pmid_of(2))]
        check(session)


async def test_nobody_there_is_one_line(
    small: Catalogue, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]
        monkeypatch.setenv("BIORETRIEVAL_NCBI_URL", f"http://127.0.0.1:{port}")
        async with running(make_app(small), NARROW, pane="indexes") as session:
            await look(session)
            await over(session)
            assert session.app.found.problem.startswith("PubMed cannot be reached")
            assert "PubMed cannot be reached" in session.text
            assert "Traceback" not in session.text
            check(session)
            # There is nothing to do anything with, and every key says so or does nothing.
            await session.press("space", "a", "enter", "o", "y", "G", "e", "escape", "b")
            assert session.said == "There is no paper to add to an index yet"
            await session.press("0")
            assert isinstance(session.app.pane, IndexesPane)


async def test_a_sign_in_page_is_no_answer(small: Catalogue, world: World) -> None:
    world.faults = [("/esearch.fcgi", Fault("page"))] * 9
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session)
        await over(session)
        assert "PubMed" in session.app.found.problem
        assert "<html>" not in session.text
        assert session.app.found.papers == []
