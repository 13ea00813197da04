"""Every address on the screen is a link of the terminal, and only what may be opened is."""

from __future__ import annotations

import re

import pytest
from driving import NOTHING, Session, make_app, running
from scripted import HITS, view

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render.entries import entry_page
from bioretrieval_tui.render.page import same_address
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.tui.hit_list import hit_page
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.spans import PaintedPage, letters, paint
from bioretrieval_tui.tui.text import layout, strip
from bioretrieval_tui.tui.themes import LOOKS

ADDRESS = re.compile(r"https?://[^\s\])}>|\0]+[^\s\])}>|.,;:\0]")


def unlinked(page: PaintedPage, width: int = 400) -> list[str]:
    """Addresses in the text of a page whose cells are no link."""
    missing = []
    for row in layout(page.lines, width):
        drawn = strip(row, width, LOOKS["dark"])
        plain = "".join(
            segment.text if not (segment.style and segment.style.link) else " " * len(segment.text)
            for segment in drawn
        )
        missing += ADDRESS.findall(plain)
    return missing


def test_every_address_of_every_entry_is_a_link(real: Catalogue) -> None:
    for entry in real.entries:
        page = paint(entry_page(entry, real))
        assert unlinked(page) == [], entry.id
        links = {
            segment.style.link
            for row in layout(page.lines, 80)
            for segment in strip(row, 80, LOOKS["light"])
            if segment.style and segment.style.link
        }
        spelled = {same_address(link) for link in links}
        assert {same_address(link.url) for link in entry.links} <= spelled, entry.id
        wanted: set[str | None] = set()
        wanted |= {
            safe_url(source.url)
            for name in entry.sources
            if (source := real.sources.get(name)) and source.url
        }
        assert wanted <= links, entry.id
        assert all(safe_url(link) == link for link in links)


def test_letters_name_the_links_of_the_page(real: Catalogue) -> None:
    for entry in real.entries:
        page = paint(entry_page(entry, real))
        addresses = [same_address(url) for _, url in page.links]
        assert len(addresses) == len(set(addresses)), entry.id
        first = list(dict.fromkeys(same_address(link.url) for link in entry.links))
        assert addresses[: len(first)] == first, entry.id
        for at, target in ((page.links_at, page.links), (page.jumps_at, page.jumps)):
            for number, letter in enumerate(letters(len(target))):
                first = page.lines[at + number].spans[0].text
                assert first.startswith(f"{letter} "), entry.id


def test_addresses_of_hits_are_links() -> None:
    for hit in HITS:
        page = hit_page(hit, "scan https")
        assert unlinked(page) == []
        assert len(page.links) == (1 if hit.url else 0)
        if hit.url:
            assert page.lines[page.links_at].spans[0].text.startswith("a ")


def test_marking_words_breaks_no_address() -> None:
    page = hit_page(HITS[0], "example scan org")
    spans = [span for row in page.lines for span in row.spans if span.url]
    assert [span.text for span in spans] == ["https://example.org/scan", HITS[0].url]


def addresses_without_link(session: Session) -> list[str]:
    found = []
    for row in session.strips():
        plain = "".join(
            "\0" * len(segment.text) if segment.style and segment.style.link else segment.text
            for segment in row
        )
        found += ADDRESS.findall(plain)
    return found


async def test_every_screen_links_its_addresses(small: Catalogue) -> None:
    async with running(make_app(small), (200, 60)) as session:
        for pane, *_ in PANES:
            await session.app.show_pane(pane)
            await session.settle()
            assert addresses_without_link(session) == []
            if pane in ("papers", "models", "datasets", "benchmarks", "home"):
                assert session.links()


@pytest.mark.parametrize("theme", LOOKS)
async def test_every_look_keeps_the_links(small: Catalogue, theme: str) -> None:
    async with running(make_app(small, theme=theme), (200, 60), pane="papers") as session:
        assert session.links() == {
            "https://example.org/alpha", "https://example.org/alpha-code",
            "https://example.org/guide", "https://example.org/page", "https://example.org/card",
            "https://pubmed.ncbi.nlm.nih.gov/1234567/", "https://doi.org/10.1000/alpha",
            "https://arxiv.org/abs/1901.00001",
        }  # fmt: skip


async def test_addresses_in_dialogs_and_problems(small: Catalogue) -> None:
    app = make_app(small, capabilities=NOTHING)
    async with running(app, (120, 30), pane="papers") as session:
        app.desktop.show("A title", "https://example.org/shown\nand text", "a note")
        await session.settle()
        assert session.links() == {"https://example.org/shown"}
        await session.press("escape")
        app.desktop.show("BibTeX", "url = {https://example.org/inside},")
        await session.settle()
        assert session.links() == {"https://example.org/inside"}  # those behind are dimmed


async def test_links_of_a_wrapped_address_lead_to_the_whole(small: Catalogue) -> None:
    url = "https://example.org/" + "a" * 200
    async with running(make_app(small), (60, 20)) as session:
        session.app.desktop.show("A title", url)
        await session.settle()
        linked = [
            segment.text.strip()
            for row in session.strips()
            for segment in row
            if segment.style and segment.style.link == url
        ]
        assert "".join(linked) == url
        assert len(linked) > 3


async def test_a_mark_in_a_hit_keeps_its_link(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="search") as session:
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        pane.owner.index = "mine"
        pane.session.show(view("example scan", HITS))
        await session.settle()
        assert session.links() == {"https://example.org/scan", HITS[0].url}
        assert addresses_without_link(session) == []
