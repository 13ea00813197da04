"""The app as a picker, and the app over identifiers that are piped in."""

from __future__ import annotations

import pytest
from driving import make_app, running
from scripted import Desk

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.cli.root import AppWish, call
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.tui.found_session import find_given
from bioretrieval_tui.tui.selection import Selection

HIT = Hit(1, "123", "A $(title)\nof two lines", "Text.", 2020, "https://example.org/123", 0.0,
          metadata={"authors": ["Lai Z", "Roe J"], "doi": "10.1/x"})  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "printed"),
    [
        ("id", "123"),
        ("link", "https://example.org/123"),
        ("bibtex", "lai2020title"),
        (r"{id}\t{title} ({year})", "123\tA $(title) of two lines (2020)"),
        ("{authors}; {doi}", "Lai Z; Roe J; 10.1/x"),
    ],
)
def test_what_is_printed_of_a_document(small: Catalogue, wish: str, printed: str) -> None:
    selection = Selection(wish)
    selection.choose([HIT], small)
    assert selection.printed == [printed]


def test_what_is_printed_of_entries(small: Catalogue) -> None:
    model = next(one for one in small.models if one.params)
    selection = Selection("{name}|{params}|{kind}")
    selection.choose([model, model], small)
    assert len(selection.printed) == 2
    assert selection.printed[0].endswith(f"|{model.params}|model")


@pytest.mark.parametrize("wish", ["title", "", "{}"])
def test_a_wish_that_is_none(small: Catalogue, wish: str) -> None:
    if wish == "{}":
        with pytest.raises(UsageError, match="no field ''"):
            Selection(wish).choose([HIT], small)
        return
    with pytest.raises(UsageError, match="--print does not understand"):
        Selection(wish)


def test_what_a_row_lacks(small: Catalogue) -> None:
    for wish, said in (("link", "has no link"), ("bibtex", "has no citation"),
                       ("{size}", "no field 'size'")):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            Selection(wish).choose(["mine"], small)
    with pytest.raises(UsageError, match="no row"):
        Selection().choose([], small)


async def test_enter_chooses_the_row_or_the_marked_ones(small: Catalogue) -> None:
    for keys, count in ((("j",), 1), (("space", "space"), 2)):
        selection = Selection()
        app = make_app(small, pane="models", selection=selection, fresh=True)
        async with running(app) as session:
            ids = session.ids
            assert "enter Choose" in session.text
            await session.press(*keys, "enter")
            assert app._exit
        assert len(selection.printed) == count
        assert selection.printed == (ids[1:2] if count == 1 else ids[:2])


async def test_a_line_keeps_its_enter_and_home_leads_on(small: Catalogue) -> None:
    selection = Selection("link")
    app = make_app(small, selection=selection)
    async with running(app) as session:
        await session.press("enter")  # on Home
        assert not app._exit
        await session.press("escape", "3", "slash")
        await session.type("alpha")
        await session.press("enter")
        assert not app._exit
        assert session.entries.filter == "alpha"
    assert selection.printed == []


async def test_a_start_with_a_pane_and_a_filter(small: Catalogue) -> None:
    async with running(make_app(small, pane="papers", where="alpha")) as session:
        assert session.entries.filter == "alpha"
        assert session.app.current == "papers"
    async with running(make_app(small, pane="papers", where="yeer:2010")) as session:
        assert "yeer" in session.said


async def test_identifiers_become_papers(small: Catalogue, scripted: Desk) -> None:
    entry = small.entries[0]

    class Client:
        async def ask(self, request: protocol.FindNamed) -> protocol.Named:
            assert request.identifiers == ("123", "999", "998", "997", "996")
            return protocol.Named((HIT,), ("999", "998", "997", "996"))

    given = ("123", entry.id, "999", "998", "997", "996")
    papers, said, note = await find_given(Client(), small, given)  # type: ignore[arg-type]
    assert [(one.rank, one.id) for one in papers] == [(1, entry.id), (2, "123")]
    assert said == "2 of 6 given identifiers"
    assert note == "In no index: 4 identifiers (999, 998, 997, ...)"


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        (["--fresh"], AppWish(fresh=True)),
        (["--pane", "Models"], AppWish(pane="models")),
        (["--pane", "Get started"], AppWish(pane="path")),
        (["--select"], AppWish(selects="id")),
        (["--select", "--pane", "papers", "--filter", "x", "--print", "link"],
         AppWish(pane="papers", where="x", selects="link")),
    ],
)  # fmt: skip
def test_options_of_the_app(words: list[str], wish: AppWish) -> None:
    assert call(words) == wish


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pane", "modles"], "there is no pane 'modles'; did you mean"),
        (["--filter", "x"], "--filter is for a pane"),
        (["--print", "x"], "--print is for --select"),
        (["--select", "list"], "are for the app; leave out list"),
    ],
)
def test_options_that_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(words)
    assert said in caught.value.line()
