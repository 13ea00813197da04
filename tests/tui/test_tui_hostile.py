"""What comes from files: nothing of it acts on the terminal; it is shown as it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from driving import Session, make_app, running
from fixed_catalogue import HOSTILE
from rich.cells import cell_len
from scripted import HITS, view
from textual import events

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render.entries import entry_page
from bioretrieval_tui.terminal.clean import clean, safe_url
from bioretrieval_tui.tui.dialogs.dialog import PageDialog
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.spans import paint
from bioretrieval_tui.tui.text import layout, strip
from bioretrieval_tui.tui.themes import DARK

SEEN = clean(HOSTILE).strip()
"""What is left of the hostile text: the words, the brackets."""


def bad_characters(text: str) -> set[str]:
    """Characters that a terminal would act on, or that hide and reorder others."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def check(session: Session) -> None:
    """No cell of the screen holds what acts; every row is as wide as the screen."""
    for row in session.strips():
        assert bad_characters(row.text) == set()
        assert row.cell_length == cell_len(row.text) == session.app.size.width
        for segment in row:
            link = segment.style.link if segment.style else None
            if link:
                assert link.startswith(("https://", "http://"))
                assert safe_url(link) == link
            # Markup would have become a click.
            assert not (segment.style and segment.style.meta.get("@click"))


def hostile_ids(catalogue: Catalogue) -> Iterator[str]:
    for entry in catalogue.entries:
        if bad_characters(entry.name + entry.summary):
            yield entry.id


@pytest.mark.parametrize("size", [(80, 24), (160, 60)])
async def test_no_pane_lets_anything_through(small: Catalogue, size: tuple[int, int]) -> None:
    assert bad_characters(HOSTILE) >= {"\x1b", "\x9b", "\x07", "\x00", "\u202e"}
    async with running(make_app(small), size) as session:
        for pane, *_ in PANES:
            await session.app.show_pane(pane)
            await session.settle()
            check(session)
        for identifier in hostile_ids(small):
            session.app.jump(identifier)
            await session.settle()
            check(session)
            await session.press("enter", "G")
            check(session)
            await session.press("escape")


async def test_markup_is_shown_as_it_is_written(small: Catalogue) -> None:
    assert "[bold]markup[/bold]" in SEEN
    async with running(make_app(small), (200, 60)) as session:
        for identifier in ("hostile-paper", "hostile-data", "hostile-set", "milestone-4"):
            session.app.jump(identifier)
            await session.settle()
            assert session.text.count("[bold]markup[/bold] [@click=app.quit]x[/]") >= 1
            assert any("[bold]markup" in row[:60] for row in session.rows)


async def test_dialogs_and_the_status_line(small: Catalogue) -> None:
    async with running(make_app(small, problems=[HOSTILE]), (120, 30)) as session:
        assert SEEN[:40] in session.rows[-1]
        check(session)
        session.app.desktop.show(HOSTILE, HOSTILE + "\nhttps://example.org/\x1b[31m", HOSTILE)
        await session.settle()
        assert isinstance(session.app.screen, PageDialog)
        assert "[bold]markup[/bold]" in session.text
        check(session)
        assert session.links() == set()  # an address with an escape in it is none
        await session.press("escape", "ctrl+p")
        await session.type("evil")
        assert "[bold]markup[/bold]" in session.text
        check(session)


async def test_the_matrix(small: Catalogue) -> None:
    async with running(make_app(small), (200, 30), pane="leaderboard") as session:
        await session.press("v", "left", "left", "s")
        assert "hostile-model" in session.ids
        check(session)
        for _ in range(14):
            await session.press("right")
            check(session)


async def test_hits(small: Catalogue) -> None:
    async with running(make_app(small), (120, 30), pane="search") as session:
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        pane.owner.index = "\x1b[31mscifact"
        pane.session.show(view(pane.owner.index, HITS, pane.owner.index))
        await session.press("escape", "j", "j", "enter")
        assert "[bold]BC1[/bold] RNA evil" in session.text
        check(session)


@pytest.mark.parametrize("pane", ["papers", "search"])
async def test_what_is_pasted_into_a_line_is_clean(small: Catalogue, pane: str) -> None:
    async with running(make_app(small), (120, 30), pane=pane) as session:
        await session.press("slash" if pane == "papers" else "end")
        if pane == "search":
            await session.press("backspace")
        for text in (HOSTILE, "plain \x1b]52;c;eA==\x07 words\nand a second line"):
            await session.press("ctrl+u")
            session.app.post_message(events.Paste(text))
            await session.settle()
            assert session.line.value == " ".join(clean(text, newlines=True).split("\n"))
            check(session)
            await session.press("end", "x")
            assert session.line.value.endswith("x")


def test_every_page_and_every_row_is_clean(small: Catalogue) -> None:
    pages = [paint(entry_page(entry, small)) for entry in small.entries]
    pages += [hit_page(hit, "word \x1b") for hit in HITS]
    for page in pages:
        for row in layout(page.lines, 60):
            drawn = strip(row, 60, DARK)
            assert bad_characters(drawn.text) == set()
            assert drawn.cell_length == cell_len(drawn.text) == 60
