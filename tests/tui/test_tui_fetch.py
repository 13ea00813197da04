"""Fetching in the app: the dialog, what a service has before one's eyes, stars into an index.

The child and the server are real; the search process is scripted, but in the last tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driving import Session, make_app, running
from scripted import Desk, info
from test_tui_hostile import check

from bioretrieval_tui.catalog.view import Catalogue
from bioretrieval_tui.library.starred import starred_path
from bioretrieval_tui.tui.finding import Wanted, paper_of
from bioretrieval_tui.tui.screens.fetching import FetchDialog, IntoDialog
from bioretrieval_tui.tui.screens.found import FoundPane
from bioretrieval_tui.tui.screens.indexes import IndexesPane
from bioretrieval_tui.tui.widgets.choices import Buttons, Stepper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "online"))  # server

from server import Fault, World, pmid_of, serving, variables

WIDE, NARROW = (120, 30), (80, 24)
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


async def until(session: Session, done: Callable[[], bool], seconds: float = 90) -> None:
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


def asked(session: Session) -> str:
    wanted = session.app.finding.wanted
    return wanted.query if wanted else ""


async def over(session: Session) -> None:
    """Until the search has come to its end."""
    await until(session, lambda: session.app.finding.wanted is not None)
    await until(session, lambda: not session.app.finding.under_way)


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
        assert (shown.text("asked"), shown.text("most"), shown.text("into")) == ("", "200", "mine")
        assert "Fetch papers" in session.text
        check(session)
        await session.press("escape")
        assert session.app.pane is pane
        # The app's own index takes nothing in: a name is made of the query.
        pane.go_to("catalogue")
        await session.press("w")
        assert dialog(session).text("into") == ""
        await session.type('sickle cell[mh] AND "hydroxy"')
        assert dialog(session).text("into") == "sickle-cell-hydroxy"
        assert "sickle-cell-hydroxy will be a new index" in session.text
        # A name of one's own stays.
        await session.press("down", "down", "down", "ctrl+u")
        await session.type("own")
        await session.press("up", "up", "up")
        await session.type(" more")
        assert dialog(session).text("into") == "own"


async def test_search_hands_its_query_on(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.type("hard negatives")
        await session.press("escape", "w")
        assert dialog(session).text("asked") == "hard negatives"
        assert dialog(session).text("into") == "hard-negatives"


@pytest.mark.parametrize(
    ("lines", "said", "there"),
    [
        ({"asked": ""}, "Say what to look for", "asked"),
        ({"asked": "x", "most": "many"}, "'many' is no number of papers", "most"),
        ({"asked": "x", "most": "0"}, "'0' is no number of papers", "most"),
        ({"asked": "x", "since": "last week"}, "'last week' is no day", "since"),
        ({"asked": "x", "into": "Not A Name"}, "cannot name an index", "into"),
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
            dialog(session).fill(name, text)
            await session.settle()
        dialog(session).query_one(Buttons).focus()
        await session.press("enter")
        assert said in session.text
        assert dialog(session).line(there).has_focus
        assert session.app.works.current is None


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


def test_what_is_asked_is_what_a_shell_would_ask() -> None:
    wanted = Wanted("arxiv", "-x y", 30, "2026-01-31", "mine")
    words = ("fetch", "arxiv", "--progress=json", "-n30", "--since=2026-01-31", "--index=mine")
    assert wanted.words(into=True) == (*words, "--", "-x y")
    assert "--index=mine" not in wanted.words(into=False)
    assert Wanted("pubmed", "x").words(into=False) == (
        "fetch",
        "pubmed",
        "--progress=json",
        "--",
        "x",
    )


# Before one's eyes ----------------------------------------------------------------------------


async def test_papers_come_and_are_read(small: Catalogue, world: World) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="250")
        await over(session)
        papers = session.app.finding.papers
        assert [one.hit.id for one in papers] == [str(pmid_of(n)) for n in range(250)]
        assert "Found  PubMed: owls  250" in session.text
        assert "Note 0 on herons" in session.text
        assert "Annals" in session.text
        await session.press("j", "enter")
        assert papers[1].hit.text[:30] in session.text
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
        await session.press("space", "j", "asterisk")
        assert "2 starred" in session.text
        await session.press("k", "k", "k", "space", "space")  # taken back, and given anew
        await session.press("b")
        assert isinstance(session.app.screen, IntoDialog)
        assert "Put 2 papers into an index" in session.text or "Put 3 papers" in session.text
        await session.press("enter", "enter")
        (job,) = scripted.began
        assert (job.verb, job.name) == ("build", "owls")
        assert job.inputs == (str(starred_path("owls")),)
        kept = [json.loads(line) for line in starred_path("owls").read_bytes().splitlines()]
        starred = [record["_id"] for record in kept]
        assert set(starred) <= {str(pmid_of(n)) for n in range(5)}
        assert all(record["metadata"]["pmid"] == record["_id"] for record in kept)
        assert session.app.finding.starred == {}
        # While that build runs, more of them: it is added once the index is there.
        await session.press("a", "b", "enter", "enter")
        assert [waiting.verb for waiting in session.app.works.queue] == ["add"]
        assert len(starred_path("owls").read_bytes().splitlines()) == 5
        await session.press("a", "escape")
        assert session.app.finding.starred == {}


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
        assert "starred papers cannot be kept" in session.rows[-1]
        assert scripted.began == []
        assert len(session.app.finding.starred) == 1


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
        await session.press("escape", "e", "ctrl+u", "ctrl+k")
        await session.type("all.bib")
        await session.press("enter")
        assert Path("all.bib").read_text().count("@article") == 4


async def test_one_can_stop_and_ask_for_something_else(small: Catalogue, world: World) -> None:
    world.faults = [("/efetch.fcgi", Fault("drip"))]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="400")
        await until(session, lambda: session.app.finding.under_way)
        await session.press("escape")
        await until(session, lambda: not session.app.finding.under_way)
        assert "stopped" in session.text
        world.faults.clear()
        await session.press("w")
        assert dialog(session).text("asked") == "owls"
        dialog(session).fill("asked", "moss")
        dialog(session).query_one(Buttons).focus()
        await session.press("right", "enter")
        await until(session, lambda: asked(session) == "moss")
        await over(session)
        assert len(session.app.finding.papers) == 400
        # Another one at once, while nothing has come of this one yet.
        for query in ("bees", "tides"):
            await session.press("w")
            dialog(session).fill("asked", query)
            dialog(session).query_one(Buttons).focus()
            await session.press("right", "enter")
        await until(session, lambda: asked(session) == "tides")
        await over(session)
        assert len(session.app.finding.papers) == 400
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
        await until(session, lambda: session.app.finding.under_way)
        await over(session)
        assert "PubMed" in session.text
        assert "key" in session.text
        assert "wrong-key" not in session.text
        assert world.of("/esearch.fcgi")[-1]


def test_lines_that_are_no_paper() -> None:
    for line in (b"", b"{", b"[]", b'{"title": "x"}', b'{"_id": 3}', b"\xff\n"):
        assert paper_of(line, 1) is None
    paper = paper_of(b'{"_id": "x", "metadata": {"year": "1999 Jan"}}\n', 7)
    assert paper is not None
    assert (paper.hit.rank, paper.hit.year, paper.hit.title) == (7, 1999, "")


async def test_hostile_papers(small: Catalogue) -> None:
    evil = "x\x1b]0;x\x07\x9b2J[bold]y[/bold]\u202e"
    known = {"journal": evil, "authors": [evil], "url": "javascript:alert(1)"}
    record = {"_id": evil, "title": evil, "text": evil, "metadata": known}
    for size in (WIDE, NARROW):
        async with running(make_app(small), size, pane="found") as session:
            finding = session.app.finding
            finding.wanted = Wanted("pubmed", evil)
            finding.problem = evil
            line = json.dumps(record).encode()
            finding._came(finding.wanted, line)
            finding._came(finding.wanted, line)  # once more: it is there already
            finding._tell()
            await session.settle()
            assert len(finding.papers) == 1
            check(session)
            await session.press("enter", "o")
            check(session)
            assert "There is no link here" in session.rows[-1]


# Into an index at once ------------------------------------------------------------------------


async def test_a_fetch_into_an_index_is_work_like_any_other(
    small: Catalogue, scripted: Desk, world: World
) -> None:
    """The service fails here, so that no model is loaded; real ones are in tests/e2e."""
    world.faults = [("/esearch.fcgi", Fault("say", 400, "bad request"))] * 20
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("w")
        await session.type("owls at night")
        await session.press("enter", "enter", "enter", "enter", "enter")
        works = session.app.works
        assert works.current is not None
        assert works.current.doing == "Fetching into owls-at-night"
        assert "owls-at-night" in session.text
        assert "Fetching into owls-at-night" in session.rows[-1]
        await until(session, lambda: works.current is None)
        outcome = works.outcomes["owls-at-night"]
        assert outcome.role == "error"
        assert "PubMed" in outcome.line
        assert "what has arrived is kept" in outcome.line
        check(session)


async def test_leaving_ends_the_child(small: Catalogue, world: World) -> None:
    world.faults = [("/efetch.fcgi", Fault("drip"))] * 9
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="400")
        await until(session, lambda: bool(children()))
        (child,) = children()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def children() -> list[int]:
    """Processes that this one has begun and that run the command line."""
    listed = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"bioretrieval_tui" in words and b"fetch" in words:
            listed.append(int(folder.name))
    return listed
