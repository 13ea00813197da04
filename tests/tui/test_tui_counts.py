"""Counts: a digit goes to its pane at once, and back if a motion follows within 0.4 s of it."""

from __future__ import annotations

import pytest
from driving import Session, make_app, running
from scripted import Desk
from textual import events
from textual._xterm_parser import XTermParser

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.key_queue import COUNT_WITHIN
from bioretrieval_tui.tui.widgets.input import QueryLine

WIDE = (120, 20)
CHARACTERS = {"down": None, "up": None, "ctrl+d": "\x04", "ctrl+u": "\x15"}


async def press(session: Session, *keys: str, apart: float = 0.1) -> None:
    """Press keys this many seconds apart, by their own clock."""
    for number, key in enumerate(keys):
        event = events.Key(key, CHARACTERS.get(key, key))
        event.time = 1_000.0 + number * apart
        session.app.post_message(event)
        await session.settle()


@pytest.mark.parametrize(
    ("keys", "row"),
    [("5j", 5), (("1", "2", "j"), 12), (("5", "down"), 5), ("53k", 0), ("3j", 3), ("0j", 1),
     (("2", "ctrl+d"), 6), ("444444j", 24)],
)  # fmt: skip
async def test_a_count_moves_where_one_was(
    small: Catalogue, keys: tuple[str, ...] | str, row: int
) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.press("3", "g")
        history = list(session.app.history)
        await press(session, *keys)
        if keys == "0j":
            assert session.app.current == "indexes"
            return
        assert (session.app.current, session.app.pane.table.cursor) == ("papers", row)
        assert session.app.history == history
        assert session.app.pane.table.has_focus
        await session.press("backspace")
        assert session.app.current == "home"


async def test_a_motion_that_comes_later_moves_in_the_pane(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        await press(session, "3", "4", "j", apart=COUNT_WITHIN * 1.01)
        assert (session.app.current, session.app.pane.table.cursor) == ("models", 1)
        await press(session, "2", "3", "s", apart=0.01)  # no motion
        assert session.app.current == "papers"
        await press(session, "j")
        assert (session.app.current, session.app.pane.table.cursor) == ("papers", 1)


async def test_matches_are_counted(small: Catalogue) -> None:
    async with running(make_app(small), (120, 16), pane="papers") as session:
        await session.press("slash", *"filler", "enter", "escape", "g")
        first = session.app.pane.table.cursor
        await press(session, "3", "n")
        third = session.app.pane.table.cursor
        await session.press("g", "n", "n", "n")
        assert session.app.pane.table.cursor == third != first
        await session.press("escape", "slash", *"nothing-such", "escape", "escape")
        await press(session, "2", "n")
        assert session.app.current == "papers"
        assert "No row matches" in session.said


async def test_a_page_scrolls(small: Catalogue) -> None:
    async with running(make_app(small), (120, 16), pane="models") as session:
        await session.press("enter")
        await press(session, "2", "j", "3", "j")
        assert session.app.current == "models"
        assert session.app.pane.detail.has_focus
        assert session.app.pane.detail.top == 5


async def test_what_is_typed_in_a_line_is_text(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await press(session, "9", "j", apart=0.01)
        assert isinstance(session.focused, QueryLine)
        assert session.line.value == "j"
        await press(session, "5", "j", apart=0.01)
        assert session.line.value == "j5j"
        await session.press("escape", "3", "slash")
        await press(session, "5", "j", apart=0.01)
        assert session.line.value == "5j"


def test_alt_and_a_digit_are_one_key_in_every_terminal() -> None:
    parser = XTermParser()
    keys = [key for text in ("\x1b4", "4\x1b0", "£", "\x1b[49;3u") for key in parser.feed(text)]
    assert [(key.key, key.character) for key in keys if isinstance(key, events.Key)] == [
        ("alt+4", None), ("4", "4"), ("alt+0", None), ("pound_sign", "£"), ("alt+1", None),
    ]  # fmt: skip


async def test_alt_and_a_digit_reach_a_pane_from_a_line(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash", "alt+4")
        assert session.app.current == "models"
