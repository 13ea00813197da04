"""Fetching in the app: the dialog, what a service has before one's eyes, stars into an index.

The child and the server are real; the search process is scripted, but in the last tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import make_app, running
from fetched import KEY, asked, dialog, found, look, look_again, over, until
from scripted import Desk, info, verb_of
from server import Fault, World, pmid_of
from test_tui_hostile import check

from bioretrieval_tui.backend.protocol import Came
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.online.spool import FetchRequest, starred_path
from bioretrieval_tui.search.types import document_hit
from bioretrieval_tui.tui.dialogs.fetch_dialogs import IntoDialog
from bioretrieval_tui.tui.found_session import MOST_SHOWN
from bioretrieval_tui.tui.panes.index_list import IndexesPane
from bioretrieval_tui.tui.widgets.input import Buttons, Stepper

WIDE, NARROW = (120, 30), (80, 24)


# The dialog -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_dialog_begins_with_what_is_known(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    scripted.indexes = [info("mine"), info("catalogue")]
    async with running(make_app(small), size, pane="indexes") as session:
        pane = session.app.pane
        assert isinstance(pane, IndexesPane)
        pane.go_to("mine")
        await session.press("w")
        shown = dialog(session)
        assert (shown.asked.value, shown.most.value, shown.into.value) == ("", "200", "mine")
        assert "Fetch papers" in session.text
        check(session)
        await session.press("escape")
        assert session.app.pane is pane
        # The app's own index takes nothing in: a name is made of the query.
        pane.go_to("catalogue")
        await session.press("w")
        assert dialog(session).into.value == ""
        await session.type('sickle cell[mh] AND "hydroxy"')
        assert dialog(session).into.value == "sickle-cell-hydroxy"
        assert "sickle-cell-hydroxy will be a new index" in session.text
        # A name of one's own stays.
        await session.press("down", "down", "down", "ctrl+u")
        await session.type("own")
        await session.press("up", "up", "up")
        await session.type(" more")
        assert dialog(session).into.value == "own"


async def test_search_hands_its_query_on(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.type("hard negatives")
        await session.press("escape", "w")
        assert dialog(session).asked.value == "hard negatives"
        assert dialog(session).into.value == "hard-negatives"


@pytest.mark.parametrize(
    ("lines", "said", "there"),
    [
        ({"asked": ""}, "Type a query", "asked"),
        ({"asked": "x", "most": "many"}, "'many' is not a number of papers", "most"),
        ({"asked": "x", "most": "0"}, "'0' is not a number of papers", "most"),
        ({"asked": "x", "since": "last week"}, "'last week' is not a date", "since"),
        ({"asked": "x", "into": "Not A Name"}, "use a-z 0-9 - _ .", "into"),
        ({"asked": "x", "into": "catalogue"}, "the app's own index", "into"),
        ({"asked": "?!"}, "Give the index a name", "into"),
    ],
)
async def test_what_cannot_be_fetched_is_said_where_it_stands(
    small: Catalogue, lines: dict[str, str], said: str, there: str
) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("w")
        for name, text in lines.items():
            getattr(dialog(session), name).put(text)
            await session.settle()
        dialog(session).query_one(Buttons).focus()
        await session.press("enter")
        assert said in session.text
        assert getattr(dialog(session), there).has_focus
        assert session.app.jobs.current is None


async def test_keys_lead_through_the_lines(small: Catalogue) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("w", "up")
        stepper = dialog(session).query_one(Stepper)
        assert stepper.has_focus
        await session.press("left")
        assert "arXiv" in session.text
        await session.press("down")
        await session.type("x y")
        await session.press("enter", "enter", "enter", "enter")
        assert dialog(session).query_one(Buttons).has_focus
        await session.press("right", "right", "enter")
        assert isinstance(session.app.pane, IndexesPane)
        assert session.app.screen is session.app.screen_stack[0]


# Before one's eyes ----------------------------------------------------------------------------


async def test_papers_come_and_are_read(small: Catalogue, world: World) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="250")
        await over(session)
        papers = session.app.found.papers
        assert [one.id for one in papers] == [str(pmid_of(n)) for n in range(250)]
        assert "Found  PubMed: owls  250" in session.text
        assert "Note 0 on herons" in session.text
        assert "Annals" in session.text
        await session.press("j", "enter")
        assert papers[1].text[:30] in session.text
        await session.press("escape", "o")
        assert f"pubmed.ncbi.nlm.nih.gov/{pmid_of(1)}/" in session.text
        await session.press("escape")
        # They stay while one is elsewhere.
        await session.press("3", "backspace")
        assert found(session).place() == str(pmid_of(1))
        assert KEY not in session.text


async def test_what_is_starred_is_put_into_an_index(
    small: Catalogue, world: World, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="5")
        await over(session)
        await session.press("space", "j", "asterisk")  # each goes on to the next
        assert "2 starred" in session.text
        await session.press("k", "space")  # taken back
        assert "1 starred" in session.text
        await session.press("k", "space")  # and given anew
        assert [one.id for one in session.app.found.starred] == [str(pmid_of(n)) for n in (0, 2)]
        await session.press("b")
        assert isinstance(session.app.screen, IntoDialog)
        assert "Add 2 papers to an index" in session.text
        assert "owls will be a new index" in session.text
        await session.press("enter", "enter")
        (job,) = scripted.began
        assert (verb_of(job), job.target) == ("build", "owls")
        assert job.inputs == (str(starred_path("owls")),)
        kept = [json.loads(line) for line in starred_path("owls").read_bytes().splitlines()]
        assert [record["_id"] for record in kept] == [str(pmid_of(n)) for n in (0, 2)]
        assert all(record["metadata"]["pmid"] == record["_id"] for record in kept)
        assert len(session.app.found.starred) == 2
        # While that build runs, more of them: it is added once the index is there.
        await session.press("a", "b")
        assert "adds to owls" in session.text
        await session.press("enter", "enter")
        assert [verb_of(waiting) for waiting in session.app.jobs.queue] == ["add"]
        assert len(starred_path("owls").read_bytes().splitlines()) == 5
        await session.press("escape", "a")
        assert session.app.found.starred == []
        await session.press("u")
        assert len(session.app.found.starred) == 5
        await session.press("u")  # those that were not starred yet
        assert len(session.app.found.starred) == 2


async def test_without_a_star_it_is_the_one_under_the_cursor(
    small: Catalogue, world: World, scripted: Desk
) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await look(session, most="3")
        await over(session)
        await session.press("j", "b", "enter", "enter")
        assert json.loads(starred_path("owls").read_bytes())["_id"] == str(pmid_of(1))
        assert scripted.began[0].name == "owls"


async def test_stars_that_cannot_be_kept_are_said(
    small: Catalogue, world: World, scripted: Desk, home: Path
) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "starred").write_text("a file where a folder should be")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="3")
        await over(session)
        await session.press("space", "b", "enter", "enter")
        assert "starred papers cannot be saved" in session.said
        assert scripted.began == []
        assert len(session.app.found.starred) == 1


async def test_the_starred_ones_are_exported(small: Catalogue, world: World, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="4")
        await over(session)
        await session.press("space", "e", "ctrl+u", "ctrl+k")
        await session.type("some.jsonl")
        await session.press("enter")
        (record,) = [json.loads(line) for line in Path("some.jsonl").read_text().splitlines()]
        assert record["id"] == str(pmid_of(0))
        assert record["metadata"]["pmid"] == record["id"]
        assert "score" not in record
        await session.press("u", "e", "ctrl+u", "ctrl+k")
        await session.type("all.bib")
        await session.press("enter")
        assert Path("all.bib").read_text().count("@article") == 4


async def test_one_can_stop_and_ask_for_something_else(small: Catalogue, world: World) -> None:
    world.faults = [("/efetch.fcgi", Fault("drip"))]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="400")
        await until(session, lambda: session.app.found.under_way)
        await session.press("escape")
        await until(session, lambda: not session.app.found.under_way)
        assert "stopped" in session.text
        world.faults.clear()
        await look_again(session, "moss")
        await until(session, lambda: asked(session) == "moss")
        await over(session)
        assert len(session.app.found.papers) == 400
        # Another one at once, while nothing has come of this one yet.
        for query in ("bees", "tides"):
            await look_again(session, query)
        await until(session, lambda: asked(session) == "tides")
        await over(session)
        assert len(session.app.found.papers) == 400
        assert "PubMed: tides  400" in session.text


@pytest.mark.parametrize(
    ("query", "said"),
    [("nothing at all", "PubMed has nothing for 'nothing at all'")],
)
async def test_a_query_without_an_answer_is_said(
    small: Catalogue, world: World, query: str, said: str
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, query)
        await over(session)
        assert said in session.text


async def test_offline_and_nobody_there_are_said(
    small: Catalogue, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        monkeypatch.setenv("BIORETRIEVAL_OFFLINE", "1")
        await look(session)
        await over(session)
        assert "offline" in session.text.casefold()
        monkeypatch.delenv("BIORETRIEVAL_OFFLINE")
        monkeypatch.setenv("NCBI_API_KEY", "wrong-key-of-somebody")
        await session.press("w")
        dialog(session).query_one(Buttons).focus()
        await session.press("right", "enter")
        await until(session, lambda: session.app.found.under_way)
        await over(session)
        assert "PubMed" in session.text
        assert "key" in session.text
        assert "wrong-key" not in session.text
        assert world.of("/esearch.fcgi")[-1]


def test_a_paper_keeps_its_rank_and_year() -> None:
    paper = document_hit(Document("x", "", "", {"year": "1999 Jan"}), 7)
    assert (paper.rank, paper.year, paper.title) == (7, 1999, "")


async def test_hostile_papers(small: Catalogue) -> None:
    evil = "x\x1b]0;x\x07\x9b2J[bold]y[/bold]\u202e"
    known = {"journal": evil, "authors": [evil], "url": "javascript:alert(1)"}
    for size in (WIDE, NARROW):
        async with running(make_app(small), size, pane="found") as session:
            papers = session.app.found
            request = papers.request = FetchRequest("pubmed", evil)
            papers.problem = evil
            came = Came([Document(evil, evil, evil, known)])
            papers._hear(request, came)
            papers._hear(request, came)  # once more: it is there already
            papers._tell()
            await session.settle()
            assert len(papers.papers) == 1
            check(session)
            await session.press("enter", "o")
            check(session)
            assert "There is no link here" in session.rows[-1]


async def test_what_is_not_shown_is_said(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="found") as session:
        papers = session.app.found
        request = papers.request = FetchRequest("pubmed", "owls", most=MOST_SHOWN)
        papers._hear(request, Came([Document(str(n), "", "") for n in range(MOST_SHOWN)]))
        papers.found = MOST_SHOWN
        papers._tell()
        await session.settle()
        assert "are shown" not in session.text
        papers.found = 45_678
        papers._tell()
        await session.settle()
        said = "1,000  only the first 1,000 of 45,678 are shown; a fetch brings all"
        assert said in session.text


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_what_pubmed_says_of_a_query_is_shown(
    small: Catalogue, world: World, size: tuple[int, int]
) -> None:
    world.said = {
        "errorlist": {"phrasesnotfound": ["owlzz"], "fieldsnotfound": ["titel"]},
        "querytranslation": '"strigiformes"[MeSH Terms]',
    }
    async with running(make_app(small), size, pane="indexes") as session:
        await look(session, most="2")
        await over(session)
        text = session.words
        assert 'PubMed did not find "owlzz", does not know the field [titel]' in text
        assert 'PubMed searched for: "strigiformes"[MeSH Terms]' in text
        assert "only the first 2 of 450 are shown" in text
        world.said = {}
        await look_again(session, "herons")
        await over(session)
        assert "titel" not in session.text
