"""Keys of the configuration in the app: one changed key, sequences, the preset for vim."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driving import Session, make_app, running
from test_tui_counts import press

from bioretrieval_tui.actions import ACTIONS, use
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import places
from bioretrieval_tui.shelf import SavedSearch


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    use(ACTIONS)


def configure(text: str) -> None:
    path = places().config / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def at(session: Session) -> int:
    return session.app.pane.table.cursor


async def test_a_changed_key_is_the_one_that_works_and_is_shown(small: Catalogue) -> None:
    configure('[keys]\nzoom = ["O", "ctrl+e"]\nsort = []\ngo-models = "f6"\n')
    async with running(make_app(small), (120, 30)) as session:
        assert " f6 Models " in session.rows[0]
        await session.press("f6")
        assert session.app.current == "models"
        await session.press("4")
        assert session.app.current == "models"  # no key now
        for key, zoom in (("z", ""), ("O", "page"), ("ctrl+e", "list"), ("O", "")):
            await session.press(key)
            assert session.app.pane.split.zoom == zoom
        assert "Sort" not in session.rows[-1]
        await session.press("s")
        assert session.app.pane.entry_list.sorted_by is None
        await session.press("question_mark", "slash", *"zoom")
        assert "O, ctrl+e" in session.text


async def test_a_key_of_a_dialog_and_of_a_line_is_changed(small: Catalogue) -> None:
    configure('[keys]\ncomparison-close = "X"\naccept = ["enter", "ctrl+g"]\n')
    async with running(make_app(small), (120, 30), pane="models") as session:
        await session.press("space", "space", "equals_sign", "q")
        assert len(session.app.screen_stack) == 2
        await session.press("X")
        assert len(session.app.screen_stack) == 1
        await session.press("slash", *"beta", "ctrl+g")
        assert session.app.line is None
        assert session.app.pane.entry_list.filter == "beta"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = [\n", "config.toml: not valid TOML"),
        ('[keys]\nopne = "x"\n', "config.toml:2: keys.opne: there is no such action"),
        (
            "notify = 3\nprelaod = true\n",
            "config.toml:1: notify: must be true or false (and 1 more)",
        ),
    ],
)
async def test_a_wrong_configuration_is_told_and_the_app_works(
    small: Catalogue, text: str, said: str
) -> None:
    configure(text)
    async with running(make_app(small), (200, 20)) as session:
        assert said in session.rows[-1]
        await session.press("3", "o")
        assert session.app.current == "papers"


@pytest.fixture
def vim() -> None:
    configure('[keys]\npreset = "vim"\n')


async def test_sequences_of_vim(small: Catalogue, vim: None) -> None:
    async with running(make_app(small), (120, 16), pane="papers") as session:
        table = session.app.pane.table
        await session.press("G")
        last = at(session)
        assert last == len(table.rows) - 1
        await session.press("g")
        assert at(session) == last  # waits
        await session.press("g")
        assert at(session) == 0
        await press(session, "8", "j", "z", "z")
        assert (at(session), table.top) == (8, 8 - table.page // 2)
        await session.press("ctrl+f")
        assert at(session) == 8 + table.page // 2 * 2
        await session.press("ctrl+b", "ctrl+w", "o")
        assert (at(session), session.app.pane.split.zoom) == (8, "page")
        await session.press("g", "x")
        assert "g x is no key here" in session.said
        await session.press("g", "escape", "g", "g", "escape")
        assert session.app.current == "papers"


async def test_counts_of_vim_lead_to_a_row(small: Catalogue, vim: None) -> None:
    async with running(make_app(small), (120, 16), pane="papers") as session:
        await press(session, "1", "2", "G")
        assert (session.app.current, at(session)) == ("papers", 11)
        await press(session, "9", "j")
        assert (session.app.current, at(session)) == ("papers", 20)
        await press(session, "1", "9", "5", "k")
        assert (session.app.current, at(session)) == ("papers", 0)
        await press(session, "9", "a", "5", apart=0.1)  # no motion: a query
        assert (session.app.current, session.app.line and session.app.line.value) == (
            "search",
            "a5",
        )
        await session.press("escape", "backspace")
        await press(session, "3", "g", "g", apart=0.2)
        assert (session.app.current, at(session)) == ("papers", 2)
        await press(session, "2", "ctrl+f")
        assert at(session) == min(24, 2 + session.app.pane.table.page // 2 * 4)
    async with running(make_app(small), (120, 16), pane="models") as session:
        await session.press("enter")
        await press(session, "4", "G")
        assert (session.app.current, session.app.pane.detail.top) == ("models", 3)


async def test_letters_are_text_in_a_line_and_follow_links(small: Catalogue, vim: None) -> None:
    async with running(make_app(small), (120, 30), pane="papers") as session:
        await session.press("slash", *"gzm':")
        assert session.app.line is not None
        assert session.app.line.value == "gzm':"
        await session.press("escape", "escape", "l", "g")
        assert "No link has the letter g" in session.said


async def test_a_place_is_kept_under_a_letter(small: Catalogue, vim: None) -> None:
    async with running(make_app(small), (120, 30), pane="papers") as session:
        await session.press("j", "j", "m", "a")
        assert session.said == "Kept under a"
        place = session.app.pane.place()
        await press(session, "4", "j", apart=0.5)
        await session.press("'")
        assert session.said == "A letter goes to its place: a"
        await session.press("a")
        assert (session.app.current, session.app.pane.place()) == ("papers", place)
        await session.press("'", "'")
        assert (session.app.current, at(session)) == ("models", 1)
        await session.press("'", "b")
        assert session.said == "No place is kept under b"
        await session.app.shelf.keep(SavedSearch("b", "papers", {"filter": "beta"}))
        await session.press("'")
        assert session.said == "A letter goes to its place: a b"
        await session.press("b")
        assert session.app.pane.entry_list.filter == "beta"
        await session.press("backspace")
        await session.press("m", "escape", "j")
        assert (session.app.current, at(session)) == ("models", 2)
        await session.press("ctrl+o")
        assert session.app.current == "papers"


async def test_keys_of_a_dialog_its_line_and_its_fields_are_changed(small: Catalogue) -> None:
    configure(
        '[keys]\ncolumns-accept = "ctrl+g"\ncolumn-take = "x"\ndialog-close = ["f4"]\n'
        'next-part = "f3"\nclose-field = "f4"\nnext-choice = "n"\nnote-edit = "f2"\n'
    )
    async with running(make_app(small), (120, 30), pane="models") as session:
        await session.press("C")
        assert "ctrl+g ok f4 cancel x choose" in session.words
        await session.press("x", "escape", "enter")
        assert "6 chosen" in session.words
        await session.press("ctrl+g")
        assert len(session.app.screen_stack) == 1
        await session.press("full_stop", "tab", "shift+tab")
        assert "f3: next f2: editor f4: cancel" in session.words
        await session.press("f3", "f3", "f3", "n")
        assert "2 of 4" in session.words
        await session.press("f4")
        assert len(session.app.screen_stack) == 1


async def test_sequences_work_in_dialogs(small: Catalogue, vim: None) -> None:
    async with running(make_app(small), (120, 30), pane="models") as session:
        await session.press("space", "space", "equals_sign", "G")
        dialog = session.app.screen
        last = dialog.table.cursor  # type: ignore[attr-defined]  # a ComparisonDialog
        await session.press("g", "g")
        assert dialog.table.cursor < last  # type: ignore[attr-defined]
        for keys, row in (("5G", 4), ("3j", 7), ("2k", 5)):
            await press(session, *keys)
            assert (dialog.table.cursor, session.app.current) == (row, "models")  # type: ignore[attr-defined]
        await session.press("ctrl+f")
        assert dialog.table.cursor > 5  # type: ignore[attr-defined]


async def test_a_click_presses_a_sequence(small: Catalogue) -> None:
    configure('[keys]\npreset = "vim"\nexport = "ctrl+w e"\nfilter = "g f"\n')
    async with running(make_app(small), (200, 20), pane="papers") as session:
        column = session.rows[-1].index("g f Filter")
        await session.pilot.click("#status", offset=(column + 1, 0))
        await session.settle()
        assert session.app.line is not None
