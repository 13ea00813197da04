"""The mouse: headers sort, hints act, links and entries of a page are followed, text is copied."""

from __future__ import annotations

import pytest
from driving import OVER_SSH, Session, make_app, running
from textual import events

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.desktop_session import DesktopSession
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE = (120, 30)


def find(session: Session, text: str, *, after: int = 0) -> tuple[int, int]:
    """Where a text is on the screen."""
    at = ((row.find(text, after), y) for y, row in enumerate(session.rows))
    return next((x, y) for x, y in at if x >= 0)


async def mouse(session: Session, *steps: tuple[type[events.MouseEvent], int, int]) -> None:
    for kind, x, y in steps:
        session.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
    await session.settle()


async def click(session: Session, x: int, y: int) -> None:
    await mouse(session, (events.MouseDown, x, y), (events.MouseUp, x, y))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened."""
    found: list[str] = []
    monkeypatch.setattr(DesktopSession, "open", lambda _, url: found.append(url))
    return found


@pytest.mark.parametrize("pane", ["papers", "leaderboard"])
async def test_a_header_sorts_and_again_reverses(small: Catalogue, pane: str) -> None:
    async with running(make_app(small), WIDE, pane=pane) as session:
        table = session.browse.table
        title = table.columns[1].title
        lines = range(table.region.y, table.region.y + table.header_lines)
        y, x = next((y, session.rows[y].find(title)) for y in lines if title in session.rows[y])
        await click(session, x, y)
        assert table.column == 1
        assert session.said.startswith(f"Sorted by {title}, ")
        first = session.said
        await click(session, x, y)
        assert session.said.startswith(f"Sorted by {title}, ")
        assert session.said != first


async def test_a_header_without_an_order_does_nothing(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await click(session, 3, 2)
        assert session.said == ""


async def test_a_hint_of_the_bottom_line_is_its_key(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        x, y = find(session, "/ Filter")
        await click(session, x + 3, y)
        assert session.focused is session.line
        await session.press("escape")
        await click(session, *find(session, "? Help"))
        assert "Keys: Papers" in session.text
        await session.press("escape")
        await click(session, WIDE[0] - 1, y)  # no hint is there


@pytest.mark.parametrize("what", ["b code", "code"])
async def test_a_link_of_a_page_is_opened(small: Catalogue, opened: list[str], what: str) -> None:
    async with running(make_app(small), (120, 60), pane="papers") as session:
        _, y = find(session, "b code")
        await click(session, session.rows[y].index(what), y)
        assert opened == ["https://example.org/alpha-code"]


async def test_an_address_in_a_text_is_opened_and_the_text_is_not(
    small: Catalogue, opened: list[str]
) -> None:
    async with running(make_app(small), (120, 60), pane="papers") as session:
        x, y = find(session, "https://example.org/guide")
        await click(session, x - 4, y)
        assert opened == []
        await click(session, x + 4, y)
        assert opened == ["https://example.org/guide"]


@pytest.mark.parametrize("offset", [0, 13])
async def test_a_related_entry_is_gone_to(small: Catalogue, offset: int) -> None:
    async with running(make_app(small), (120, 60), pane="papers") as session:
        x, y = find(session, "Alpha 110M", after=60)
        await click(session, x - 13 + offset, y)
        assert (session.app.current, session.at) == ("models", "alpha-110m")
        await session.press("backspace")
        assert session.app.current == "papers"


async def test_text_that_is_dragged_over_is_copied(small: Catalogue) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="papers", recorded=True) as session:
        x, y = find(session, "A retriever for", after=50)
        await mouse(session, (events.MouseDown, x + 2, y), (events.MouseMove, x + 10, y))
        cells = session.strips()[y].crop(x + 2, x + 11)
        assert {one.style.bgcolor for one in cells if one.style} == {
            app.look.style("cursor").bgcolor
        }
        await mouse(session, (events.MouseUp, x + 10, y))
        assert session.copied() == ["retriever"]
        assert session.said.startswith("selection: ")
        # Over several lines, backwards.
        down = (events.MouseDown, x + 4, y + 1)
        await mouse(session, down, (events.MouseMove, x + 12, y), (events.MouseUp, x + 12, y))
        text = session.copied()[-1]
        assert text.startswith("for biomedical abstracts")
        assert text.endswith("\ncontr")
        await session.press("tab", "j")
        assert not app.mouse_captured


async def test_the_wheel_scrolls_what_is_under_it(small: Catalogue) -> None:
    async with running(make_app(small), (120, 15), pane="papers") as session:
        await mouse(session, (events.MouseScrollDown, 100, 8))
        assert session.browse.detail.top > 0
        assert isinstance(session.focused, VirtualTable)
        top = session.browse.detail.top
        await mouse(session, (events.MouseScrollDown, 5, 8))
        assert session.at != "alpha-paper"
        assert top


async def test_a_dialog_that_closes_under_a_pressed_button_lets_the_mouse_go(
    small: Catalogue,
) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("question_mark")
        await mouse(session, (events.MouseDown, 60, 15))
        await session.press("escape")
        await mouse(session, (events.MouseUp, 60, 15))
        await click(session, 5, 8)
        assert session.at == session.ids[2]
        assert not session.app.mouse_captured
