"""News in the app: reached from anywhere, read, marked, and hostile records shown as text."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from driving import Programs, Session, make_app, running
from scripted import Desk, verb_of

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.online.freshness import Freshness, SubjectChange, save_freshness
from bioretrieval_tui.online.watches import News, Watch, Watched, save, watched
from bioretrieval_tui.tui.panes.news_list import NewsPane
from bioretrieval_tui.tui.widgets.input import QueryLine

WIDE, NARROW = (120, 30), (60, 20)


def keep(*news: News, name: str = "owls") -> None:
    watch = Watch(
        name=name, query=f"{name} at night", source="pubmed", since="2026-01-01", added="2026-01-08"
    )
    save(Watched(watch=watch, news=news))


def one(identifier: str, score: float, *, read: bool = False, day: int = 1, **more: str) -> News:
    return News(
        id=identifier,
        title=more.pop("title", f"Title {identifier}"),
        found=f"2026-01-{day:02}T07:00:00+00:00",
        text=more.pop("text", f"Abstract of {identifier}."),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{identifier}/",
        date="2026-01",
        score=score,
        read=read,
    )


def pane(session: Session) -> NewsPane:
    assert isinstance(session.app.pane, NewsPane)
    return session.app.pane


def unread(name: str = "owls") -> list[str]:
    return [item.id for item in watched(name).news if not item.read]


async def test_news_is_a_key_away_and_the_newest_run_stands_first(small: Catalogue) -> None:
    keep(one("11", 0.4, day=2), one("12", 0.9, day=1), one("13", 0.95, day=1, read=True))
    async with running(make_app(small), WIDE) as session:
        await session.press("W")
        assert [told.item.id for told in pane(session).session.rows] == ["11", "12"]
        assert "2 unread" in session.text
        assert "Abstract of 11." in session.text
        assert "".join(span.text for span in pane(session).page.lines[1].spans) == "PubMed"
        await session.press("a")
        assert [told.item.id for told in pane(session).session.rows] == ["11", "13", "12"]
        await session.press("backspace")
        assert session.app.current == "home"


async def test_what_is_read_is_marked_and_kept(small: Catalogue) -> None:
    keep(one("11", 0.9), one("12", 0.8), one("13", 0.7))
    async with running(make_app(small), WIDE) as session:
        await session.press("W", "enter", "escape")
        assert unread() == ["12", "13"]
        await session.press("j", "m")
        assert unread() == ["13"]
        # A mark taken by mistake is given back where it stands.
        await session.press("k", "m")
        assert unread() == ["12", "13"]
        await session.press("M")
        assert unread() == []
        assert "No unread news" in session.text
        await session.press("u")
        assert unread() == ["12", "13"]
        assert "Title 13" in session.text
        await session.press("M")
    async with running(make_app(small), WIDE) as session:
        await session.press("W")
        assert pane(session).session.rows == []


async def test_a_run_meanwhile_shows_when_one_comes_back(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.press("W")
        assert "watch add" in session.text
        keep(one("11", 0.9))
        await session.press("1", "W")
        assert "Title 11" in session.text


async def test_home_tells_of_news_and_of_changes_outside(small: Catalogue) -> None:
    keep(one("11", 0.9), one("12", 0.8, read=True))
    change = SubjectChange(
        date="2026-01-02", where="model", name="org/m", field="licence", before="mit", after=None
    )
    save_freshness(Freshness(refreshed="2026-01-02T00:00:00+00:00", changes=(change,)))
    async with running(make_app(small), (120, 60)) as session:
        assert "org/m: licence mit -> not stated" in session.text
        assert "owls at night" in session.text
        assert "1 unread: Title 11" in session.text


async def test_home_without_either_is_as_ever(small: Catalogue) -> None:
    async with running(make_app(small), (120, 60)) as session:
        assert "unread" not in session.text
        assert "W News P Found" in session.text


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_hostile_records_are_text(small: Catalogue, size: tuple[int, int]) -> None:
    bad = "\x1b]0;owned\x07\x1b[2Jowls\u202e\n" + "\u0301" * 50
    keep(one("11", 0.9, title=bad, text=bad * 20))
    async with running(make_app(small), size) as session:
        await session.press("W", "enter")
        assert "\x1b" not in session.text
        assert "\u202e" not in session.text
        assert "owls" in session.text


async def test_a_damaged_watch_is_told_and_costs_no_other(small: Catalogue) -> None:
    keep(one("11", 0.9))
    keep(one("21", 0.9), name="bats")
    from bioretrieval_tui.online.watches import folder

    path = folder() / "bats.json"
    path.write_bytes(msgspec.json.encode({"format": 1}))
    async with running(make_app(small), WIDE) as session:
        await session.press("W")
        assert [told.item.id for told in pane(session).session.rows] == ["11"]
        assert "is damaged" in session.said


async def test_what_is_shown_is_exported(
    small: Catalogue, folder: Path, programs: Programs
) -> None:
    keep(one("11", 0.9), one("12", 0.8, read=True))
    async with running(make_app(small), WIDE) as session:
        await session.press("W", "e")
        line = session.app.screen.query_one(QueryLine)
        line.value = "news.jsonl"
        await session.press("enter")
    rows = [json.loads(row) for row in (folder / "news.jsonl").read_text().splitlines()]
    assert [(row["id"], row["source"], row["score"]) for row in rows] == [("11", "pubmed", 0.9)]


async def test_a_record_goes_into_an_index(small: Catalogue, scripted: Desk) -> None:
    keep(one("11", 0.9), one("12", 0.8))
    async with running(make_app(small), WIDE) as session:
        await session.press("W", "j", "b")
        await session.type("night-birds")
        await session.press("enter", "enter")
        (job,) = scripted.began
        assert (verb_of(job), job.target) == ("build", "night-birds")
        (line,) = Path(job.inputs[0]).read_text().splitlines()
        record = json.loads(line)
        assert (record["_id"], record["title"]) == ("12", "Title 12")
        assert record["metadata"]["pmid"] == "12"
        assert unread() == ["11"]
