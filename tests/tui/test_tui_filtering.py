"""The filter line: it filters as one types, forgives what is half-typed, and can be taken back."""

from __future__ import annotations

import pytest
from driving import Session, make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE = (120, 20)


async def filtered(session: Session, text: str) -> None:
    await session.press("slash")
    await session.type(text)


async def test_it_filters_as_one_types(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        total = len(session.ids)
        await session.press("slash")
        assert isinstance(session.focused, QueryLine)
        counts = []
        for character in "beta":
            await session.press(character)
            counts.append(len(session.ids))
        assert counts == sorted(counts, reverse=True)
        assert session.ids == ["beta-paper"]
        assert f"1 of {total}" in session.head
        assert "filter beta" in session.head
        await session.press("backspace", "backspace", "backspace", "backspace")
        assert len(session.ids) == total


async def test_letters_and_digits_are_text_in_the_line(small: Catalogue) -> None:
    """Every key of the panes that is a character: none of them acts while one types."""
    typed = '123456789 qtjkgGsnNeEoOyYlLrRvVzZxXciIdDuU>=<?-"" (:)._~,!'
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash")
        await session.type(typed)
        assert session.line.value == typed
        assert session.app.current == "papers"
        assert session.app.screen is session.app.screen_stack[0]
        assert not session.app._exit


async def test_the_cursor_stays_on_its_entry(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        while session.at != "filler-07":
            await session.press("j")
        await filtered(session, "filler")
        assert session.at == "filler-07"
        await session.press("escape")
        assert session.at == "filler-07"
        # Where the filter hides it, the first row that is left is next.
        await filtered(session, "gamma")
        assert session.at == session.ids[0] == "gamma-paper"


async def test_a_half_typed_filter_moves_the_cursor_nowhere(small: Catalogue) -> None:
    """Each row that a half-typed filter shows first may be far down in the whole list."""
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "filler-07")
        assert session.at == "filler-07"
        await session.press("ctrl+u")
        await session.type("year>=1900")
        assert session.at == session.ids[0]
        assert session.app.pane.table.top == 0


@pytest.mark.parametrize(
    ("text", "column"), [("yaer:2020", 1), ("filler year>>", 13), ("(filler", 1), ('"fill', 1)]
)
async def test_a_mistake_shows_its_column_and_keeps_the_rows(
    small: Catalogue, text: str, column: int
) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash")
        for character in text:
            before = session.ids
            await session.press(character)
            if session.entries.problem:
                assert session.ids == before
        assert session.entries.problem is not None
        assert f"filter, column {column}: " in session.head
        assert f"filter, column {column}: " in session.rows[1]
        # Enter does not leave the line with a filter that is none.
        await session.press("enter")
        assert isinstance(session.focused, QueryLine)
        assert f"column {column}" in session.said


async def test_a_wrong_field_is_told_the_nearest(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "yaer:2020")
        assert "year" in session.head


async def test_escape_undoes_the_edit_and_then_clears_the_filter(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        everything = session.ids
        await filtered(session, "filler")
        await session.press("enter")
        kept, at = session.ids, session.at
        for keys in ("beta", "year>", ("backspace",), ("end", "x")):
            await session.press("slash", *keys, "escape")
            assert (session.ids, session.at, session.entries.filter) == (kept, at, "filler")
            assert isinstance(session.focused, VirtualTable)
        await session.press("slash", "escape")  # nothing was edited
        assert session.ids == everything
        await session.press("u")
        assert (session.ids, session.said) == (kept, "Undone: filter filler cleared in Papers")


async def test_typing_replaces_what_the_line_held(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "filler")
        await session.press("enter")
        await filtered(session, "beta")
        assert session.line.value == "beta"
        await session.press("enter", "u", "u")
        assert session.entries.filter == "filler"
        assert session.said == "Nothing to undo"


async def test_escape_restores_all_rows_and_the_list(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        everything = session.ids
        await filtered(session, "beta year>")
        await session.press("escape")
        assert session.ids == everything
        assert session.entries.problem is None
        assert session.head == f"Papers  {len(everything)}"
        assert isinstance(session.focused, VirtualTable)
        assert not session.browse.query_one(QueryLine).display


async def test_enter_keeps_the_filter_and_escape_in_the_list_lifts_it(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        everything = session.ids
        await filtered(session, "filler")
        await session.press("enter")
        assert isinstance(session.focused, VirtualTable)
        assert len(session.ids) == 20
        assert not session.browse.query_one(QueryLine).display
        await session.press("j", "enter", "escape")  # out of the page first
        assert len(session.ids) == 20
        at = session.at
        await session.press("escape")
        assert session.ids == everything
        assert session.at == at


async def test_the_filter_can_be_edited_again(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "filler")
        await session.press("enter", "slash")
        assert session.line.value == "filler"
        assert session.line.selected_text == "filler"
        await session.press("end")
        await session.type(" year>=2015")
        assert len(session.ids) == 6
        await session.press("ctrl+u")
        assert session.line.value == ""
        assert len(session.ids) == 25


async def test_up_and_down_move_the_list_while_one_types(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "filler")
        await session.press("down", "down", "up")
        assert session.at == session.ids[1]
        assert isinstance(session.focused, QueryLine)


async def test_keys_that_edit_the_line(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "one two")
        line = session.line
        for key, value, place in (
            ("home", "one two", 0), ("right", "one two", 1), ("delete", "oe two", 1),
            ("ctrl+d", "o two", 1), ("end", "o two", 5), ("ctrl+w", "o ", 2),
            ("left", "o ", 1), ("ctrl+k", "o", 1), ("ctrl+e", "o", 1), ("backspace", "", 0),
        ):  # fmt: skip
            await session.press(key)
            assert (line.value, line.cursor_position) == (value, place), key


async def test_n_and_shift_n_go_round_the_matches(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("n")
        assert "press / first" in session.said
        await filtered(session, "survey OR gamma")
        assert set(session.ids) == {"gamma-paper", "wide-paper"}
        await session.press("escape", "g")
        for key, expected in (
            ("n", "gamma-paper"), ("n", "wide-paper"), ("n", "gamma-paper"),
            ("N", "wide-paper"), ("N", "gamma-paper"),
        ):  # fmt: skip
            await session.press(key)
            assert session.at == expected


async def test_n_says_when_nothing_matches(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await filtered(session, "name:nothing")
        await session.press("escape", "n")
        assert "No row matches name:nothing" in session.said


async def test_filter_and_order_go_together(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("right", "s", "s")
        await filtered(session, "filler year<2004")
        assert session.ids == ["filler-03", "filler-02", "filler-01"]
        await session.press("escape")
        assert session.ids[0] == "gamma-paper"


async def test_a_filter_in_a_narrow_window(small: Catalogue) -> None:
    async with running(make_app(small), (60, 15), pane="papers") as session:
        await filtered(session, "filler")
        assert session.rows[2].strip() == "filler"
        await session.press("enter", "enter")
        assert "Filler" in session.rows[2]
        await session.press("slash")
        assert isinstance(session.focused, QueryLine)
        await session.press("escape")
        # The page was open; where the keys go must be seen.
        assert session.focused is not None
        assert session.focused.display
        assert session.focused.size.height > 0


async def test_a_filter_of_each_pane(small: Catalogue) -> None:
    """The same language everywhere; a field that a kind lacks matches nothing there."""
    async with running(make_app(small), WIDE) as session:
        for digit, text, expected in (
            ("2", "era:contrastive", ["milestone-1"]),
            ("4", "params<=66M role:retriever", ["beta-dual"]),
            ("5", "available:no", ["logs"]),
            ("6", "queries>=350", ["trials-set", "patents-set"]),
            ("7", "method:distillation", ["train-beta"]),
            ("8", "number:2..3", ["step-index", "step-measure"]),
        ):
            await session.press(digit)
            await filtered(session, text)
            assert session.ids == expected
            await session.press("enter")


async def test_hostile_words_are_words(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash")
        session.line.value = "[bold]markup[/bold]\x1b[31m"
        await session.settle()
        assert "\x1b" not in session.text
        assert "[bold]" in session.text


async def test_what_is_half_typed_is_no_error_yet(small: Catalogue) -> None:
    async with running(make_app(small), pane="papers") as session:
        await session.press("/")
        await session.type("alpha year")
        kept = session.ids
        await session.type(">")
        assert session.ids == kept
        assert "column" in session.head
        await session.type("=2018")
        assert "column" not in session.head
        assert "alpha-paper" in session.ids
