"""What Search looks like: its states at several sizes and in every theme, with a scripted process.

`make snapshots TESTS=tests/tui` writes them anew; read the difference before a commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from driving import NOTHING, Session
from msgspec.structs import replace
from scripted import Desk, info
from textual.pilot import Pilot

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Scores, SearchResult
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.panes.search_pane import SearchPane

NARROW, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
QUERY = "vitamin D and sclerosis"
FIRST = "Vitamin D deficiency is common. "
NEAREST = (
    "We followed 1,200 adults for ten years and saw more multiple sclerosis where vitamin D was "
    "low; see https://example.org/study for the protocol."
)
TEXT = f"{FIRST}{NEAREST} Nobody knew why."
HITS = (
    Hit(1, "4983", "Vitamin D and multiple sclerosis", TEXT, 2011,
        "https://pubmed.ncbi.nlm.nih.gov/4983/", 3.8123, Scores(0.8123, 14.25),
        {"authors": ["Munger KL", "Levin LI", "Hollis BW"], "journal": "JAMA", "volume": "296",
         "issue": "23", "pages": "2832-8"}),
    Hit(2, "5836", "", TEXT.lower(), None, None, 0.5, Scores(0.5, 3.1)),
    Hit(3, "evil", "\x1b[31mred\x07 [bold]title[/bold]", "\x1b]0;x\x07" + TEXT, 1999, None, -0.25,
        Scores(0.25, 0.0), {"journal": "\x1b[2JClear", "authors": ["\u202eEvil E"]}),
    Hit(4, "7001", "\u7dad\u751f\u7d20 D and bone", "Bone density rose.", 2019, None, -0.5,
        Scores(0.2, 0.0)),
)  # fmt: skip
FACETS = (
    Facet("year", (("2019", 1), ("2011", 1), ("1999", 1))),
    Facet("journal", (("JAMA", 1), ("\x1b[2JClear", 1))),
    Facet("mesh", (("Multiple Sclerosis", 3), ("Vitamin D Deficiency", 2), ("Humans", 4))),
)
ANSWER = SearchResult(HITS, facets=FACETS, among=4)
WHY = Explanation(
    "4983", HITS[0].scores, (("sclerosis", 0.61), ("vitamin", 0.39)), 1, 2,
    (len(FIRST), len(FIRST) + len(NEAREST)), 0.7312,
)  # fmt: skip
FIELDS = ("abstract", "journal", "mesh", "year")

Act = Callable[[Session, SearchPane, Desk], Awaitable[None]]


async def empty(session: Session, pane: SearchPane, desk: Desk) -> None:
    await session.until(lambda: desk.loading is not None)
    desk.ready()


async def building(session: Session, pane: SearchPane, desk: Desk) -> None:
    await waiting(session, pane, desk, "catalogue")
    await again(session, desk, SearchResult(HITS, pending=True))
    desk.progress("preparing the query encoder", 2, 3, unit="steps")


async def waiting(session: Session, pane: SearchPane, desk: Desk, index: str = "mine") -> None:
    """A query was typed and is not answered."""
    desk.indexes = [info("mine", fields=FIELDS), info("catalogue", fields=("kind", "year"))]
    pane.owner.index = index
    await pane.session.learn()
    session.line.value = QUERY
    await session.until(lambda: QUERY in desk.waiting)


async def again(session: Session, desk: Desk, answer: SearchResult = ANSWER) -> None:
    await session.until(lambda: QUERY in desk.waiting)
    desk.answer(QUERY, answer)
    await session.settle()


async def failed(session: Session, pane: SearchPane, desk: Desk) -> None:
    await waiting(session, pane, desk)
    desk.answer(QUERY, IndexFault("index mine is damaged: graph.hnsw", remedy="build it again"))


async def found(session: Session, pane: SearchPane, desk: Desk) -> None:
    await waiting(session, pane, desk)
    await again(session, desk)
    await session.press("escape")


async def explained(session: Session, pane: SearchPane, desk: Desk) -> None:
    desk.reasons = {"4983": WHY}
    await found(session, pane, desk)
    await session.rest()


async def read(session: Session, pane: SearchPane, desk: Desk) -> None:
    await explained(session, pane, desk)
    await session.press("enter")


async def hostile(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("j", "j")
    await session.rest()


async def lexical(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("m", "m", "s")
    note = "the query has no searchable terms"
    await again(session, desk, SearchResult((), note=note))


async def filtered(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("f")
    await session.type("year:1990..2015")
    await again(session, desk, replace(ANSWER, hits=HITS[:3], fitting=1312))
    await session.rest()


async def misspelt(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("f")
    await session.type("yaer:2015")


async def with_facets(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("F", "j", "j", "j", "j", "j", "enter")
    await again(session, desk, replace(ANSWER, hits=HITS[:3], fitting=3))


async def alike(session: Session, pane: SearchPane, desk: Desk) -> None:
    entries = session.app.catalogue.entries[:2]
    near = tuple(
        Hit(n, one.id, one.name, one.summary, one.year, None, 0.5, Scores(0.4, 1.0))
        for n, one in enumerate(entries, start=1)
    )
    desk.alike = {"mine": SearchResult(HITS[1:]), "catalogue": SearchResult(near)}
    await session.until(lambda: desk.loading is not None)
    desk.ready()
    await found(session, pane, desk)
    await session.press("M", "G")
    await session.rest()


async def beside(session: Session, pane: SearchPane, desk: Desk) -> None:
    await found(session, pane, desk)
    await session.press("v")
    orders = (("left", (0, 2, 3)), ("right", (1, 0, 3)))
    for stream, order in orders:
        await session.until(lambda: desk.streams[-1] == stream and QUERY in desk.waiting)  # noqa: B023
        ranked = tuple(replace(HITS[at], rank=n) for n, at in enumerate(order, start=1))
        await again(session, desk, SearchResult(ranked))
    await session.press("tab")


async def in_the_catalogue(session: Session, pane: SearchPane, desk: Desk) -> None:
    entry = session.app.catalogue.entries[0]
    await waiting(session, pane, desk, "catalogue")
    one = Hit(1, entry.id, entry.name, entry.summary, entry.year, None, 0.9, Scores(0.9, 2.0))
    await again(session, desk, SearchResult((one,)))
    await session.press("escape")
    await session.rest()


STATES: tuple[tuple[str, Act, tuple[int, int], str], ...] = (
    ("empty", empty, USUAL, "dark"),
    ("empty-narrow", empty, NARROW, "dark"),
    ("building", building, USUAL, "dark"),
    ("searching", waiting, USUAL, "dark"),
    ("failed", failed, USUAL, "dark"),
    ("hits", found, USUAL, "dark"),
    ("hits-narrow", found, NARROW, "dark"),
    ("explained", explained, USUAL, "dark"),
    ("explained-large", explained, LARGE, "dark"),
    ("explained-light", explained, USUAL, "light"),
    ("explained-terminal", explained, USUAL, "terminal"),
    ("hostile-hit", hostile, USUAL, "dark"),
    ("reading-narrow", read, NARROW, "dark"),
    ("reading-light", read, USUAL, "light"),
    ("lexical-note", lexical, USUAL, "dark"),
    ("filtered", filtered, USUAL, "dark"),
    ("filtered-narrow", filtered, NARROW, "terminal"),
    ("misspelt", misspelt, USUAL, "light"),
    ("facets", with_facets, USUAL, "dark"),
    ("facets-narrow", with_facets, NARROW, "dark"),
    ("facets-large", with_facets, LARGE, "light"),
    ("alike", alike, USUAL, "dark"),
    ("alike-narrow", alike, NARROW, "terminal"),
    ("beside", beside, USUAL, "dark"),
    ("beside-narrow", beside, NARROW, "light"),
    ("beside-large", beside, LARGE, "terminal"),
    ("catalogue-hit", in_the_catalogue, USUAL, "dark"),
)


def driven(act: Act, desk: Desk) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Goes to Search and brings it into a state."""

    async def drive(pilot: Pilot[Any]) -> None:
        session = Session(pilot)
        await session.settle()
        await session.app.show_pane("search")
        await session.settle()
        pane = session.app.pane
        assert isinstance(pane, SearchPane)
        await act(session, pane, desk)
        await session.settle()

    return drive


@pytest.mark.parametrize(("name", "act", "size", "theme"), STATES, ids=[s[0] for s in STATES])
def test_search(
    name: str,
    act: Act,
    size: tuple[int, int],
    theme: str,
    small: Catalogue,
    scripted: Desk,
    snap_compare: Callable[..., bool],
) -> None:
    app = BioRetrievalApp(small, capabilities=NOTHING, theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=driven(act, scripted))


@pytest.mark.parametrize(
    ("name", "act"), [("explained", explained), ("facets", with_facets), ("beside", beside)]
)
def test_without_colour(
    name: str,
    act: Act,
    small: Catalogue,
    scripted: Desk,
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = BioRetrievalApp(small, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=USUAL, run_before=driven(act, scripted))
