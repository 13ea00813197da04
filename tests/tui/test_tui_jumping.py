"""Relations, links, history and the palette: two keys there, one key back."""

from __future__ import annotations

from string import ascii_lowercase

import msgspec
import pytest
from driving import Session, make_app, running
from textual._context import visible_screen_stack

from bioretrieval_tui.actions import ACTIONS, PANE_OF_SCOPE, SCOPES, Action
from bioretrieval_tui.catalog.catalogue import Catalogue, section_of
from bioretrieval_tui.catalog.models import SECTIONS
from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog
from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog, help_blocks, in_columns, meant
from bioretrieval_tui.tui.dialogs.palette import Palette
from bioretrieval_tui.tui.panes.classes import pane_of
from bioretrieval_tui.tui.text import layout, line
from bioretrieval_tui.tui.themes import LOOKS
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE, NARROW = (120, 30), (80, 24)


async def to(session: Session, identifier: str) -> None:
    """Put the cursor on an entry, wherever it is."""
    session.app.jump(identifier)
    await session.settle()
    session.app.history.clear()


def letter(catalogue: Catalogue, here: str, there: str) -> str:
    """The letter of a related entry."""
    return ascii_lowercase[[entry.id for entry in catalogue.related(here)].index(there)]


async def test_r_and_a_letter_jump_and_backspace_returns(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("j")
        related = [entry.id for entry in small.related("beta-paper")]
        assert [related.index(i) for i in ("alpha-paper", "beta-dual", "train-beta")] == [0, 1, 2]
        await session.press("r")
        assert "related: type its letter" in session.head
        await session.press("b")
        assert (session.app.current, session.at) == ("models", "beta-dual")
        assert "related" not in session.head
        await session.press("backspace")
        assert (session.app.current, session.at) == ("papers", "beta-paper")
        assert "related" not in session.head
        await session.press("backspace")
        assert session.said == "Nothing to go back to"


async def test_a_chain_of_jumps_is_walked_back_step_by_step(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="timeline") as session:
        await session.press("j")
        assert session.at == "milestone-1"
        trail = ["milestone-1"]
        for identifier in ("alpha-110m", "train-alpha", "alpha-paper", "beta-paper"):
            await session.press("r", letter(small, trail[-1], identifier))
            assert session.at == identifier
            trail.append(identifier)
        for expected in reversed(trail[:-1]):
            await session.press("alt+left" if expected == "train-alpha" else "backspace")
            assert session.at == expected
        assert session.app.current == "timeline"


async def test_a_jump_within_a_pane(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("j", "r", "a")
        assert (session.app.current, session.at) == ("papers", "alpha-paper")
        await session.press("backspace")
        assert session.at == "beta-paper"


async def test_a_jump_lifts_a_filter_that_hides_its_goal(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="models") as session:
        await session.press("slash")
        await session.type("gamma")
        way = letter(small, "alpha-paper", "alpha-110m")
        await session.press("enter", "3", "r", way)
        assert (session.app.current, session.at) == ("models", "alpha-110m")
        assert session.entries.filter == ""
        await session.press("4", "slash")
        await session.type("alpha")
        await session.press("enter", "3")
        await session.press("r", way)
        # A filter that shows the goal stays.
        assert (session.at, session.entries.filter) == ("alpha-110m", "alpha")


async def test_letters_that_lead_nowhere(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("r", "z")
        assert session.said == "No related has the letter z"
        await session.press("l", "z")
        assert session.said == "No link has the letter z"
        await session.press("r", "1")
        assert session.app.current == "papers"
        await session.press("r", "escape")
        assert session.browse.letters == ""
        assert isinstance(session.focused, VirtualTable)
        await session.press("j", "j", "j", "j", "j")
        assert session.at == "filler-01"
        await session.press("r")
        assert session.said == "There are no relations here"
        await session.press("l")
        assert session.said == "There are no links here"
        await session.press("o")
        assert session.said == "There is no link here"


async def test_letters_win_over_keys_while_they_are_awaited(small: Catalogue) -> None:
    """`q`, digits and `j` are letters or nothing then: no key acts twice."""
    async with running(make_app(small), WIDE, pane="papers") as session:
        for key in ("q", "j", "G", "4", "t", "space", "question_mark", "slash"):
            await session.press("r", key)
            assert session.browse.letters == ""
            assert session.app.current == "papers"
            assert session.at == "alpha-paper"
            assert session.app.screen is session.app.screen_stack[0]
            assert not session.app._exit
            assert isinstance(session.focused, VirtualTable)


async def test_in_a_narrow_window_the_letters_are_seen(small: Catalogue) -> None:
    async with running(make_app(small), NARROW, pane="papers") as session:
        await session.press("r")
        assert isinstance(session.focused, Detail)
        way = letter(small, "alpha-paper", "alpha-110m")
        assert f"{way} model" in session.text
        assert "type its letter" in session.text
        await session.press(way)
        assert session.at == "alpha-110m"
        await session.press("backspace")
        assert session.at == "alpha-paper"
        await session.press("escape")
        await session.press("l", "escape", "escape")
        assert isinstance(session.focused, VirtualTable)


async def test_from_the_page_as_from_the_list(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("enter", "r", letter(small, "alpha-paper", "alpha-110m"))
        assert session.at == "alpha-110m"
        await session.press("backspace")
        assert session.at == "alpha-paper"
        assert isinstance(session.focused, Detail)


async def test_every_kind_is_reached(small: Catalogue) -> None:
    ends = [entry for name in SECTIONS for entry in small.section(name)[:: len(small.entries)]]
    ends += [small.section(name)[-1] for name in SECTIONS]
    assert len(ends) == 14
    async with running(make_app(small), WIDE) as session:
        for entry in ends:
            section = section_of(entry)
            session.app.jump(entry.id)
            await session.settle()
            assert session.app.current == pane_of(section)
            assert session.at == entry.id
        session.app.call_next(session.app.jump, "no-such-entry")
        await session.settle()
        assert session.said == "No entry has the id 'no-such-entry'"
        assert len(session.app.history) == 14


# The palette ------------------------------------------------------------------------------------


async def test_the_palette_puts_the_very_id_first(small: Catalogue) -> None:
    paper = next(one for one in small.entries if one.id == "alpha-paper")
    named = msgspec.structs.replace(paper, name="alpha-110m alpha-110m", id="alpha")
    model = small.entry("alpha-110m")
    async with running(make_app(small), WIDE) as session:
        palette = Palette([], [named, model], (), ())
        session.app.push_screen(palette)
        await session.settle()
        await session.type("Alpha-110m")
        assert [one.id for one in palette.shown] == ["alpha-110m", "alpha"]


@pytest.mark.parametrize("size", [(60, 24), (80, 24)])
async def test_the_palette_shows_whole_what_a_row_does(
    small: Catalogue, size: tuple[int, int]
) -> None:
    longest = max(ACTIONS, key=lambda one: len(one.help) * one.palette * (one.scope == "list"))
    async with running(make_app(small), size, pane="papers") as session:
        await session.press("ctrl+p")
        await session.type(longest.id)
        assert longest.help in session.words
        assert longest.shown in session.words.partition(longest.help)[2]


async def test_the_palette_runs_an_action(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("ctrl+p")
        assert isinstance(session.app.screen, Palette)
        await session.type("benchm")
        await session.press("enter")
        assert session.app.current == "benchmarks"
        await session.press("ctrl+p")
        await session.type("sort")
        await session.press("enter")
        assert session.said.startswith("Sorted by Name")
        await session.press("ctrl+p")
        await session.type("help")
        await session.press("enter")
        assert isinstance(session.app.screen, HelpDialog)


async def test_the_palette_jumps_to_an_entry(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("ctrl+p")
        await session.type("gamma 2b")
        await session.press("enter")
        assert (session.app.current, session.at) == ("models", "gamma-2b")
        await session.press("backspace")
        assert session.app.current == "papers"


async def test_the_palette_is_moved_in_and_left(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("ctrl+p")
        palette = session.app.screen
        assert isinstance(palette, Palette)
        table = palette.query_one(VirtualTable)
        await session.press("down", "down", "up")
        assert table.cursor == 1
        await session.type("(kind:")  # half-typed: what was shown stays
        assert len(table.rows) > 0
        await session.press("ctrl+u")
        await session.type("xyzxyzxyz")
        assert "Nothing has this name." in session.text
        await session.press("enter")
        assert session.app.screen is session.app.screen_stack[0]
        assert session.at == "alpha-paper"
        await session.press("ctrl+p", "escape")
        assert session.app.screen is session.app.screen_stack[0]


async def test_the_palette_is_clicked(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("ctrl+p")
        await session.type("nutrition")
        await session.pilot.click(VirtualTable, offset=(5, 1))
        await session.settle()
        assert session.at == "nutrition-set"


async def test_the_palette_offers_what_works_here(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        for pane in ("home", "papers", "leaderboard", "path", "search"):
            await session.app.show_pane(pane)
            await session.settle()
            await session.press("ctrl+p")
            palette = session.app.screen
            assert isinstance(palette, Palette)
            offered = [item.id for item in palette.items if isinstance(item, Action)]
            scopes = session.app.pane.SCOPES
            here = [a.id for a in ACTIONS if a.palette and a.scope in scopes]
            assert offered[: len(here)] == here
            known = {*scopes, *PANE_OF_SCOPE}
            assert {*offered} == {a.id for a in ACTIONS if a.palette and a.scope in known}
            others = {item.id for item in palette.items if not isinstance(item, Action)}
            assert others == {*session.app.catalogue.names, *LOOKS}
            await session.press("escape")


@pytest.mark.parametrize(
    ("words", "pane", "said"),
    [
        ("switch between the timeline", "timeline", ""),
        ("a cell a score", "leaderboard", ""),
        ("build an index from", "indexes", ""),
        ("mark all news", "news", ""),
        ("theme: light", "home", "Theme: light"),
    ],
)
async def test_the_palette_goes_to_the_pane_of_an_action(
    small: Catalogue, words: str, pane: str, said: str
) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.press("ctrl+p")
        await session.type(f'"{words}"')
        await session.press("enter")
        assert (session.app.current, session.said) == (pane, said)
        if pane == "timeline":
            assert session.app.pane.has_class("-lineage")
        if pane == "indexes":
            assert isinstance(session.app.screen, FilesDialog)


async def test_the_palette_searches_in_an_index(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioretrieval_tui.index.registry.index_names", lambda: ["mine"])
    async with running(make_app(small), WIDE) as session:
        await session.press("ctrl+p")
        await session.type('"search mine"')
        await session.press("enter")
        assert (session.app.current, session.app.index) == ("search", "mine")


@pytest.mark.parametrize("pane", ["home", "papers", "leaderboard", "path", "search"])
async def test_every_action_of_the_palette_runs(
    small: Catalogue, folder: object, pane: str
) -> None:
    """Chosen from the palette, each does something or says why not; none is an error."""
    async with running(make_app(small), NARROW, pane=pane) as session:
        scopes = set(session.app.pane.SCOPES) - (set() if pane == "home" else {"everywhere"})
        for action in ACTIONS:
            if not action.palette or action.scope not in scopes or action.id == "quit":
                continue
            session.app.call_next(session.app.choices.chosen, action)
            await session.settle()
            while len(session.app.screen_stack) > 1:
                await session.press("escape")
            if session.app.current != pane:
                await session.app.show_pane(pane)
                await session.settle()


# Help -------------------------------------------------------------------------------------------


async def test_help_opens_scrolls_and_closes(small: Catalogue) -> None:
    async with running(make_app(small), NARROW, pane="papers") as session:
        for opening, closing in (
            ("question_mark", "escape"), ("f1", "q"), ("question_mark", "enter"),
            ("question_mark", "question_mark"), ("f1", "f1"),
        ):  # fmt: skip
            await session.press(opening)
            assert isinstance(session.app.screen, HelpDialog)
            assert "Keys: Papers" in session.text
            await session.press(closing)
            assert session.app.screen is session.app.screen_stack[0]
            assert isinstance(session.focused, VirtualTable)
        await session.press("question_mark", "G")
        assert "with shift, the terminal does" in session.words
        await session.press("g", "j", "ctrl+d")
        assert session.app.screen.query_one(Detail).top > 1


async def test_help_is_searched(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="papers") as session:
        await session.press("question_mark", "/")
        await session.type("heat")
        text = session.text
        assert "On other screens" in text
        assert "A cell a score" in text
        assert "Next row" not in text
        await session.type("zzz")
        assert "No key has these words" in session.text
        await session.press("ctrl+u", "enter", "q")
        assert session.app.screen is session.app.screen_stack[0]


@pytest.mark.parametrize(
    "words",
    ["split", "own run", "width", "theme", "copy", "export", "background", "compare", "BM25",
     "delete", "undo", "clipboard", "browser", "color", "exit", "download", "save", "p value",
     "significance", "cite", "full screen", "nDCG", "PMID", "reranker", "embedding", "restore",
     "resize", "bookmark", "journal", "reset", "settings"],
)  # fmt: skip
def test_help_knows_the_words_of_a_newcomer(words: str) -> None:
    assert help_blocks(tuple(SCOPES), meant(words))


async def test_help_has_two_columns_where_they_fit(small: Catalogue) -> None:
    async with running(make_app(small), (100, 40), pane="papers") as session:
        await session.press("question_mark")
        row = next(row for row in session.rows if "In a list " in row)
        assert len(row.split("In a list ")[1].split()) > 2
        await session.resize(99, 40)
        row = next(row for row in session.rows if "In a list " in row)
        assert len(row.split("In a list ")[1].split()) <= 2


def test_columns_are_as_high_as_each_other() -> None:
    blocks = [tuple(line(f"{n}{at}") for at in range(size)) for n, size in enumerate((4, 1, 2))]
    shown = [layout([row], 90)[0] for row in in_columns(blocks, 90)]
    assert [" ".join("".join(s.text for s in row).split()) for row in shown] == [
        "00 10", "01", "02 20", "03 21",
    ]  # fmt: skip
    assert in_columns([], 90) == in_columns([], 20) == []
    assert len(in_columns(blocks, 89)) == 9


# Theme and dialogs ------------------------------------------------------------------------------


async def test_a_theme_is_shown_before_it_is_kept(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("t", "down")
        assert session.app.look.name == "light"
        await session.press("escape")
        assert (session.app.look.name, session.app.settings.setting("theme")) == ("dark", None)
        await session.press("t", "down", "down", "enter")
        assert session.said == "Theme: terminal"
        assert session.app.settings.setting("theme") == "terminal"


@pytest.mark.parametrize("look", ["dark", "terminal"])
async def test_a_dialog_dims_what_is_behind(small: Catalogue, look: str) -> None:
    async with running(make_app(small, theme=look), WIDE, pane="papers") as session:
        await session.press("question_mark")
        screen = session.app.screen
        visible_screen_stack.set(session.app._background_screens)
        rows = session.app.console.render_lines(screen.render())
        assert "Home" in "".join(segment.text for segment in rows[0])
        behind = session.app.look.style("behind")
        assert {segment.style for row in rows for segment in row} == {behind}


async def test_a_field_with_the_focus_is_marked(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("w")
        assert "▸Query" in session.text
        await session.press("down")
        assert "▸At most" in session.text
        assert "▸Query" not in session.text


# Letters are seen -------------------------------------------------------------------------------


async def test_letters_below_the_end_of_the_window_are_scrolled_to(small: Catalogue) -> None:
    async with running(make_app(small), (120, 15), pane="papers") as session:
        detail = session.browse.detail
        assert "a paper" not in session.text
        await session.press("r")
        assert "a paper" in session.text
        await session.press("escape", "l")
        assert "a arXiv" in session.text
        await session.press("escape")
        # What is asked for next leaves the page where it is.
        top = detail.top
        assert top > 0
        for key in ("y", "o", "Y"):
            await session.press(key, "escape")
            assert detail.top == top
        await session.press("j")
        assert detail.top == 0


async def test_letters_that_are_seen_already_move_nothing(small: Catalogue) -> None:
    async with running(make_app(small), (200, 60), pane="papers") as session:
        for key in "rl":
            await session.press(key)
            assert session.browse.detail.top == 0
            await session.press("escape")


async def test_beyond_26_relations_a_second_letter_is_waited_for(real: Catalogue) -> None:
    async with running(make_app(real), (120, 40), pane="benchmarks") as session:
        jumps = session.browse.page.jumps
        assert len(jumps) > 26
        await session.press("r", "b")
        assert "related: b and its second letter" in session.head
        await session.press("escape", "r", "a", "escape", "j")
        assert session.app.current == "benchmarks"
        await session.press("k", "r")
        top = session.browse.detail.top
        await session.press("pagedown", "down", "up")
        assert session.browse.detail.top > top
        assert session.browse.table.cursor == 0
        await session.press("z")
        assert session.said == "No related has the letter z"
        await session.press("r", "b", "z")
        assert session.said == "No related has the letters bz"
        await session.press("r", "b", "c")
        assert session.at == jumps[28] or session.app.pane.place() == jumps[28]


async def test_brackets_go_from_section_to_section(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="models") as session:
        await session.press("right_square_bracket")
        detail = session.browse.detail
        assert session.focused is detail
        # "Published results" stands below the title and is being read already.
        assert session.rows[2].strip() == "Encoding"
        await session.press("left_square_bracket")
        assert session.rows[2].strip() == "Published results"
        await session.press("left_square_bracket")
        assert session.rows[2].strip() == "Alpha 110M"
