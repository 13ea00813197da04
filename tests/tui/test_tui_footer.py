"""The bottom line follows the focus: in a line it names that line's keys and no letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from driving import make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.widgets.input import Buttons
from bioretrieval_tui.tui.widgets.picker import FilePicker

FILTER = "enter Accept  esc Undo  ↓ Down  ↑ Up  ctrl+t Save"
QUERY = "enter Hits  esc Undo  ↑ Earlier  ↓ Later  ctrl+r Recall  ctrl+t Save"


@pytest.mark.parametrize(
    ("pane", "key", "keys"),
    [("papers", "slash", FILTER), ("leaderboard", "slash", FILTER), ("path", "slash", FILTER),
     ("search", "slash", QUERY), ("search", "f", FILTER)],
)  # fmt: skip
async def test_a_line_names_its_keys_and_no_letter(
    small: Catalogue, pane: str, key: str, keys: str
) -> None:
    async with running(make_app(small), (120, 24), pane=pane) as session:
        await session.press("escape")
        before = session.rows[-1]
        assert "? Help  q Quit" in before
        await session.press(key)
        assert session.rows[-1].split("  ctrl+p")[0].strip() == keys
        assert "f1 Help  ctrl+c Quit" in session.rows[-1]
        assert not re.search(r"(^| )\S [A-Z]", session.rows[-1].replace("↓", "").replace("↑", ""))
        await session.press("enter")
        assert session.rows[-1] == before
        await session.press(key, "f1")
        assert "While typing" in session.rows[4] + session.rows[5]
        await session.press("escape", "ctrl+p", *"theme")
        assert "esc t" in session.text
        await session.press("escape", "escape", "ctrl+p", *"theme")
        assert "esc t" not in session.text


async def test_a_message_stays_when_the_focus_moves(small: Catalogue) -> None:
    async with running(make_app(small), pane="papers") as session:
        session.app.say("Wrote a file")
        session.app.pane.detail.focus()
        await session.settle()
        assert session.said == "Wrote a file"


async def test_a_dialog_names_the_keys_of_its_field(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), pane="indexes") as session:
        await session.press("b")
        for keys, shown in (
            ((), "enter Open  tab Complete  ↓ Files  esc Cancel"),
            (("down",), "space Select"),
            (("tab",), "enter Build  ↓ Next  ↑ Previous  esc Cancel"),
            (("tab",), "enter Build  ← → Choose"),
            (("tab",), "enter Choose from "),
            (("tab",), "enter Press  ← → Choose"),
        ):  # fmt: skip
            await session.press(*keys)
            assert shown in session.text
        # A complaint stays until another field has the focus.
        session.app.screen.query_one(Buttons).focus()
        await session.press("enter")
        assert "Select files first" in session.text
        session.app.screen.query_one(FilePicker).line.focus()
        await session.settle()
        assert "enter Open" in session.text


@pytest.mark.parametrize(
    ("pane", "key", "said"),
    [("home", "C", "C does nothing here; it is Columns in a list of the catalogue"),
     ("models", "Q", "Q does nothing here; ? lists the keys"),
     ("news", "b", ""), ("models", "a", ""), ("home", "enter", "")],
)  # fmt: skip
async def test_a_key_that_does_nothing_says_where_it_works(
    small: Catalogue, pane: str, key: str, said: str
) -> None:
    async with running(make_app(small), pane=pane) as session:
        await session.press(key)
        assert ("nothing here" in session.said) == bool(said)
        assert session.said == said or not said


async def test_on_a_page_the_footer_has_the_keys_of_the_page(small: Catalogue) -> None:
    async with running(make_app(small), (120, 24), pane="models") as session:
        assert " enter Read  " in session.rows[-1]
        await session.press("enter")
        assert session.rows[-1].startswith(" esc Back  ] Next section  l Links  r Related ")
        assert "enter Read" not in session.rows[-1]
        assert "space" not in session.rows[-1]
        top = session.browse.detail.top
        await session.press("enter")
        assert session.browse.detail.top > top
        await session.press("escape")
        assert " enter Read  " in session.rows[-1]


@pytest.mark.parametrize(
    ("pane", "keys"),
    [("news", ("m", "b", "enter", "o")), ("found", ("space", "a", "b", "enter")),
     ("search", ("M", "R", "enter")), ("qrels", ("s", "p", "slash"))],
)  # fmt: skip
async def test_an_empty_list_says_so(small: Catalogue, pane: str, keys: tuple[str, ...]) -> None:
    async with running(make_app(small), pane=pane) as session:
        await session.press("escape")
        for key in keys:
            await session.press(key)
            assert session.said, key
