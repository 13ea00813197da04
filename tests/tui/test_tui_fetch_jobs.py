"""Fetching into an index as work of the app: how far it is, stopping, waiting in line, leaving.

The child and the service are real. The service falls silent or fails before there is anything to
encode, so no model is loaded here; a fetch that comes to its end is in tests/e2e.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import Session, make_app, running
from fetched import KEY, children, look, look_again, over, until
from scripted import Desk, info, job_of, verb_of
from server import Fault, World, pmid_of
from test_tui_hostile import check

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.spool import starred_path
from bioretrieval_tui.tui.dialogs.dialog import Confirm

WIDE, NARROW = (120, 30), (80, 24)


async def into(session: Session, query: str, name: str) -> None:
    """Fetch all that PubMed has of it into an index."""
    await session.press("w")
    await session.type(query)
    await session.press("down", "ctrl+u", "down", "down", "ctrl+u")
    await session.type(name)
    await session.press("enter", "enter")


def spooled(home: Path) -> int:
    """Records that are kept of fetches that have not come to their end."""
    kept = (home / "state" / "fetch").glob("*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in kept)


async def test_a_fetch_into_an_index_is_work_like_any_other(
    small: Catalogue, scripted: Desk, world: World
) -> None:
    world.faults = [("/esearch.fcgi", Fault("say", 400, "bad request"))] * 20
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("w")
        await session.type("owls at night")
        await session.press("enter", "enter", "enter", "enter", "enter")
        jobs = session.app.jobs
        assert jobs.current is not None
        assert jobs.current.title == "Fetching into owls-at-night"
        assert "owls-at-night" in session.text
        assert "Fetching into owls-at-night" in session.rows[-1]
        await until(session, lambda: jobs.current is None)
        outcome = jobs.outcomes["owls-at-night"]
        assert outcome.role == "error"
        assert "PubMed" in outcome.message
        assert "arrived" not in outcome.message  # nothing did
        # It stays in the list with its reason, and so on its page.
        assert "failed" in session.text
        await session.press("enter")
        assert "Fetching into owls-at-night failed: PubMed" in session.text
        check(session)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_how_far_it_is_and_stopping_it(
    small: Catalogue, scripted: Desk, world: World, home: Path, size: tuple[int, int]
) -> None:
    scripted.indexes = [info("mine")]
    world.silent_from = 200
    async with running(make_app(small), size, pane="indexes") as session:
        jobs = session.app.jobs
        await into(session, "owls", "owls")
        # The first page arrives, and the second does not.
        await until(session, lambda: "200 records" in session.text)
        assert "44% of the input" in session.text
        assert "Fetching into owls" in session.text
        assert "s: stop" in session.text
        jobs.submit(job_of("verify", "mine"))
        await session.settle()
        assert "then: verifying mine" in session.text
        # Keys are answered, and elsewhere the last line says what goes on.
        await session.press("3", "g", "j")
        assert "Fetching into owls" in session.rows[-1]
        await session.press("0")
        session.app.pane.go_to("owls")  # on the one that waits, s takes that out of the queue
        await session.press("s")
        assert isinstance(session.app.screen, Confirm)
        assert "Stop fetching into owls?" in session.text
        assert "Records that have arrived are kept" in session.text
        check(session)
        await session.press("n")
        assert jobs.current is not None
        assert verb_of(jobs.current) == "fetch"
        await session.press("s", "y")
        await until(session, lambda: "owls" in jobs.outcomes)
        outcome = jobs.outcomes["owls"]
        assert spooled(home) == 200
        assert outcome.message.startswith(
            "Stopped: fetching into owls; records that have arrived are kept"
        )
        assert "the same fetch resumes from there" in outcome.message
        assert children(home) == {}
        # The next one's turn has come.
        assert [(verb_of(one), one.target) for one in scripted.began] == [("verify", "mine")]
        assert KEY not in session.text


async def test_what_had_arrived_is_not_asked_for_again(
    small: Catalogue, scripted: Desk, world: World, home: Path
) -> None:
    world.broken_from = 200  # the first page comes, the second never does
    async with running(make_app(small), WIDE, pane="indexes") as session:
        jobs = session.app.jobs
        for _ in range(2):
            await into(session, "owls", "owls")
            await until(session, lambda: jobs.current is None)
            assert jobs.outcomes["owls"].role == "error"
            assert spooled(home) == 200
    starts = [given["retstart"] for given in world.of("/efetch.fcgi") if "retstart" in given]
    assert starts.count("0") == 1
    assert starts.count("200") >= 2


async def test_the_same_fetch_twice_is_one(
    small: Catalogue, scripted: Desk, world: World, home: Path
) -> None:
    world.silent_from = 0
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await into(session, "owls", "owls")
        await into(session, "owls", "owls")
        assert session.said == "Fetching into owls: already running or waiting"
        # While it is fetched into, the name is no new one.
        await session.press("w")
        await session.type("owls")
        assert "adds to owls" in session.text
        await session.press("escape")
        assert not session.app.jobs.queue
        await until(session, lambda: bool(children(home)))
        await session.press("s", "y")
        await until(session, lambda: not children(home))


async def test_stars_of_a_build_that_failed_are_kept_for_the_next(
    small: Catalogue, scripted: Desk, world: World
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="5")
        await over(session)
        await session.press("space", "b", "enter", "enter")
        scripted.end(BioRetrievalError("the disk is full"))
        await session.settle()
        await session.press("space", "b")
        assert "owls will be a new index" in session.text
        await session.press("enter", "enter")
        assert [verb_of(one) for one in scripted.began] == ["build", "build"]
        kept = [json.loads(line)["_id"] for line in starred_path("owls").read_bytes().splitlines()]
        assert kept == [str(pmid_of(0)), str(pmid_of(1))]
        # A new index of the name of a removed one begins with what is starred now.
        scripted.built()
        await session.settle()
        session.app.jobs.submit(job_of("remove", "owls"))
        await session.settle()
        await session.press("space", "b")
        assert "owls will be a new index" in session.text
        await session.press("enter", "enter")
        assert [verb_of(job) for job in session.app.jobs.queue] == ["build"]
        kept = [json.loads(line)["_id"] for line in starred_path("owls").read_bytes().splitlines()]
        assert kept == [str(pmid_of(number)) for number in range(3)]  # stars are of the shelf


async def test_leaving_ends_a_preview(
    small: Catalogue, scripted: Desk, world: World, home: Path
) -> None:
    """It belongs to the app: what goes into an index goes on."""
    world.silent_from = 0
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, most="400")
        await until(session, lambda: bool(world.of("/efetch.fcgi")))
        assert children(home)
        await session.press("q")
    assert children(home) == {}


async def test_another_search_ends_the_child_of_the_one_before(
    small: Catalogue, world: World, home: Path
) -> None:
    world.silent_from = 200
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await look(session, "owls", "400")
        await until(session, lambda: len(session.app.found.papers) == 200)
        (first,) = children(home)
        world.silent_from = None
        await look_again(session, "moss")
        await until(session, lambda: first not in children(home))
        await over(session)
        assert len(session.app.found.papers) == 400
        # Who is in a hurry stops twice, and leaves at once.
        world.silent_from = 0
        await look_again(session, "tides")
        await until(session, lambda: bool(children(home)))
        await session.press("escape", "escape", "q")
    assert children(home) == {}
