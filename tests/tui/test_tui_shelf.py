"""The shelf in the app: stars and notes in lists, its pane, saved searches."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Session, make_app, running
from msgspec.structs import replace
from scripted import HITS, Desk
from test_tui_news import keep, one

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render.shelf_items import document_mark, document_of
from bioretrieval_tui.shelf import SavedSearch, ShelfMark, ShelfStore, kept_shelf, shelf_path
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.panes.shelf_pane import ShelfPane

WIDE = (120, 30)


def shelf_pane(session: Session) -> ShelfPane:
    assert isinstance(session.app.pane, ShelfPane)
    return session.app.pane


def noted() -> dict[str, tuple[object, ...]]:
    return {mark.key: mark.noted for mark in ShelfStore(shelf_path()).marks()}


@pytest.fixture
def furnished() -> ShelfStore:
    """An entry, a hit with a note, a model that is gone, a saved search."""
    store = ShelfStore(shelf_path())
    hit = document_mark(document_of(HITS[0]), HITS[0].url)
    things = [
        (ShelfMark(keys=("entry:alpha-110m",), kind="model", title="Alpha"), {"starred": True}),
        (hit, {"status": "reading", "tags": ("brain",), "note": "See\nthe table."}),
        (ShelfMark(keys=("entry:gone",), kind="model", title="Gone"), {"status": "read"}),
    ]
    for thing, marks in things:
        store.change([(thing, lambda mark, marks=marks: replace(mark, **marks))])
    store.save(SavedSearch("a", "models", {"filter": "is:starred"}))
    return store


async def test_a_star_shows_in_the_row_and_on_the_page_filters_and_is_undone(
    small: Catalogue,
) -> None:
    async with running(make_app(small), WIDE, pane="models") as session:
        assert "★" not in session.text.partition("\n")[2]
        before = session.app.pane.place()
        await session.press("asterisk")
        assert session.said.endswith("starred")
        assert any(row.lstrip("▌").startswith("★ ") for row in session.rows)
        assert "shelf        starred" in session.text
        assert noted() == {f"entry:{before}": (True, "", (), "")}
        await session.press("slash", *"is:starred", "enter")
        assert session.app.pane.ids() == [before]
        await session.press("asterisk")
        assert session.app.pane.ids() == []
        await session.press("u")
        assert session.app.pane.ids() == [before]
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        assert session.text.count("★") == 1


async def test_status_tags_and_note_are_asked_for(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        place = session.app.pane.place()
        await session.press("full_stop", *"Read", "space", *"twice", "shift+tab")
        await session.press(*"to do,#x", "shift+tab", "right", "right", "enter")
        assert noted() == {f"entry:{place}": (False, "reading", ("to do", "x"), "Read twice")}
        assert "shelf        reading, tags to do, x" in session.text
        await session.press("full_stop", "escape", "full_stop", "ctrl+u", "enter")
        assert noted() == {f"entry:{place}": (False, "reading", ("to do", "x"), "")}
        await session.press("u")
        assert noted()[f"entry:{place}"][3] == "Read twice"
        await session.press("u", "full_stop", "shift+tab")
        await session.type("x" * 101)
        await session.press("enter")
        assert "a tag has more than 100 characters" in session.text
        assert noted() == {}


async def test_a_note_of_several_lines_goes_to_the_editor(
    small: Catalogue, furnished: ShelfStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def suspend(_: BioRetrievalApp) -> Iterator[None]:
        yield

    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nprintf "And the\\nfigure." >> "$1"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    async with running(make_app(small), WIDE, pane="shelf") as session:
        await session.press("slash", *"tag:brain", "enter", "full_stop", "ctrl+e")
        assert "cannot be given to an editor" in session.text
        monkeypatch.setattr(BioRetrievalApp, "suspend", suspend)
        monkeypatch.setenv("EDITOR", "false")
        await session.press("ctrl+e")
        assert "the editor failed" in session.text
        assert "See↵the table." in session.text
        monkeypatch.setenv("EDITOR", str(script))
        await session.press("ctrl+e", "enter")
        (note,) = [values[3] for values in noted().values() if values[3]]
        assert note == "See\nthe table.\nAnd the\nfigure."


async def test_the_pane_lists_filters_sorts_removes_and_goes(
    small: Catalogue, furnished: ShelfStore, folder: Path
) -> None:
    async with running(make_app(small), WIDE, pane="models") as session:
        await session.press("K")
        titles = [one.title if isinstance(one, ShelfMark) else one.letter
                  for one in session.app.shelf.shown]  # fmt: skip
        assert titles == ["a", "Gone", HITS[0].title, "Alpha"]
        await session.press("greater_than_sign", "s")
        assert session.said == "Sorted by Title, ascending"
        await session.press("s", "s", "slash", *"status:read", "enter")
        assert "Shelf  2 of 3  filter status:read" in session.text
        await session.press("escape", "g", "j", "enter")  # an entry that is gone has its page here
        await session.until(lambda: session.app.pane.has_class("-reading"))
        assert session.app.current == "shelf"
        await session.press("escape", "j", "enter")
        assert "diffusion-weighted sequence" in session.text
        assert "See" in session.text
        await session.press("escape", "d")
        assert session.said.endswith("taken off the shelf; u brings it back")
        assert len(noted()) == 2
        await session.press("u", "G", "enter")
        assert len(noted()) == 3
        assert (session.app.current, session.app.pane.place()) == ("models", "alpha-110m")
        await session.press("backspace", "e", "ctrl+u", "ctrl+k", *"shelf.json", "enter")
        kept = json.loads((folder / "shelf.json").read_text())
        assert {one["title"] for one in kept} == {"Gone", HITS[0].title, "Alpha"}
        assert any(one["about"].get("text", "").startswith("Alterations") for one in kept)


async def test_what_another_app_noted_is_read_when_the_pane_is_shown(
    small: Catalogue, furnished: ShelfStore
) -> None:
    async with running(make_app(small), WIDE, pane="shelf") as session:
        await session.press("1")
        thing = ShelfMark(keys=("pmid:5",), title="From a shell")
        furnished.change([(thing, lambda mark: replace(mark, starred=True))])
        await session.press("K")
        await session.until(lambda: "From a shell" in session.text)


async def test_a_search_and_a_filter_come_back_by_their_letters(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        session.line.value = "statins"
        await session.until(lambda: "statins" in scripted.waiting)
        scripted.answer("statins", HITS)
        await session.settle()
        await session.press("ctrl+t", "s")
        assert session.said == "Saved: 's shows it again"
        await session.press("escape", "4", "slash", *"is:starred", "ctrl+t", "m", "enter")
        await session.press("3", "apostrophe", "x")
        assert "Nothing is saved under x" in session.text
        await session.press("m")
        assert session.app.current == "models"
        assert "filter is:starred" in session.text
        await session.press("escape", "apostrophe", "s")
        assert session.app.current == "search"
        assert session.app.pane.session.text == "statins"
        await session.press("K", "g")
        assert "statins  in catalogue" in session.text
        await session.press("d")
        assert [one.letter for one in session.app.shelf.saved] == ["s"]
        await session.press("u")
        assert [one.letter for one in session.app.shelf.saved] == ["m", "s"]
        await session.press("4", "ctrl+t")
        assert session.app.current == "models"


async def test_hits_and_news_that_were_starred_show_it(
    small: Catalogue, scripted: Desk, furnished: ShelfStore
) -> None:
    keep(one("11", 0.9), one("12", 0.8))
    async with running(make_app(small), WIDE, pane="search") as session:
        session.app.index = "scifact"
        session.line.value = "white matter"
        await session.until(lambda: "white matter" in scripted.waiting)
        scripted.answer("white matter", HITS)
        await session.settle()
        await session.press("enter")
        assert "shelf        reading, tags brain" in session.text
        await session.press("asterisk")
        assert "★ Microstructural development" in session.text
        await session.press("W", "j", "asterisk")
        assert "★ Title 12" in session.text
        assert kept_shelf().find(["pmid:12"]) is not None


async def test_a_damaged_shelf_is_told_and_a_new_one_begun(
    small: Catalogue, furnished: ShelfStore
) -> None:
    furnished.path.write_bytes(b"no database" * 50)
    async with running(make_app(small), WIDE) as session:
        await session.until(lambda: "was damaged" in session.said)
        await session.press("4", "asterisk")
        assert len(noted()) == 1
    assert len(list(furnished.path.parent.glob("shelf.damaged-*"))) == 1
