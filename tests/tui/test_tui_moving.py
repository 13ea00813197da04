"""Moving, reading, sorting: each key does what the help says, from the list and from the page."""

from __future__ import annotations

import pytest
from driving import Session, make_app, running

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.paths import places
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.panes.start import StartPane
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE, NARROW = (120, 20), (80, 24)
FILLERS = 20


def years(session: Session) -> list[int]:
    return [entry.year or 0 for entry in session.entries.shown]


async def test_keys_that_move_in_a_list(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        table = session.browse.table
        last = len(session.ids) - 1
        half = table.page // 2
        for keys, expected in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("k", 0),
            ("G", last), ("j", last), ("g", 0), ("end", last), ("home", 0),
            ("ctrl+d", half), ("ctrl+u", 0), ("pagedown", half), ("pageup", 0), ("ctrl+u", 0),
        ):  # fmt: skip
            await session.press(keys)
            assert table.cursor == expected, keys
        assert session.at == session.ids[0]


async def test_keys_that_move_in_the_page(small: Catalogue) -> None:
    async with running(make_app(small), (120, 15), pane="papers") as session:
        await session.press("enter")
        detail = session.browse.detail
        assert session.focused is detail
        half = detail.size.height // 2
        end = len(detail._rows) - detail.size.height
        assert end > 2 * half
        for keys, expected in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("k", 0),
            ("G", end), ("j", end), ("g", 0), ("end", end), ("home", 0),
            ("ctrl+d", half), ("space", 2 * half), ("ctrl+u", half), ("pageup", 0),
            ("pagedown", half),
        ):  # fmt: skip
            await session.press(keys)
            assert detail.top == expected, keys
        assert session.browse.table.cursor == 0


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_enter_reads_and_escape_returns(small: Catalogue, size: tuple[int, int]) -> None:
    async with running(make_app(small), size, pane="papers") as session:
        await session.press("j")
        wide = size == WIDE
        assert session.browse.detail.display is wide
        await session.press("enter")
        assert isinstance(session.focused, Detail)
        assert session.browse.table.display is wide
        assert "beta-paper" in session.text
        await session.press("escape")
        assert isinstance(session.focused, VirtualTable)
        assert session.browse.detail.display is wide
        assert session.at == "beta-paper"
        await session.press("escape")
        assert isinstance(session.focused, VirtualTable)


async def test_the_page_follows_the_cursor(small: Catalogue) -> None:
    """At once its beginning, and once the cursor rests all of it."""
    async with running(make_app(small), WIDE, pane="papers") as session:
        pane = session.browse
        whole = pane.page.lines
        assert pane.detail.lines == whole
        await session.press("j")
        assert pane.detail.lines == pane.page.lines[: pane.page.lead]
        assert "Beta" in "".join(span.text for span in pane.detail.lines[0].spans)
        await session.until(lambda: pane.detail.lines == pane.page.lines)
        assert "Sources" in session.text or len(pane.detail.lines) > pane.page.lead


async def test_a_page_that_waits_for_the_cursor_is_whole_when_it_is_read(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        pane = session.browse
        await session.press("G")  # the list scrolls: nothing is sent for the page yet
        assert "Alpha" in "".join(span.text for span in pane.detail.lines[0].spans)
        await session.press("enter")
        assert pane.detail.lines == pane.page.lines
        assert "Filler 20" in "".join(span.text for span in pane.detail.lines[0].spans)


async def test_an_empty_list_is_nothing_to_read(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash")
        await session.type("name:nothing")
        await session.press("enter", "enter", "j", "G", "ctrl+d", "s")
        assert session.ids == []
        assert session.at is None
        assert isinstance(session.focused, VirtualTable)
        assert "No entry matches." in session.text
        for keys in ("o", "y", "l", "r"):
            await session.press(keys)
            assert session.said.startswith("There "), keys
        await session.press("Y")
        await session.press("e")
        assert session.said == "Nothing to export"


async def test_s_sorts_reverses_and_restores(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        original = session.ids
        await session.press("j")  # the cursor stays on its entry wherever that goes
        await session.press("greater_than_sign", "s")
        assert session.said == "Sorted by Year, ascending"
        assert years(session) == sorted(years(session))
        assert "Year↑" in session.rows[3]
        assert session.at == original[1]
        await session.press("s")
        assert session.said == "Sorted by Year, descending"
        assert years(session) == sorted(years(session), reverse=True)
        assert "Year↓" in session.rows[3]
        assert session.at == original[1]
        await session.press("s")
        assert session.said == "In catalogue order"
        assert session.ids == original
        assert "Year↓" not in session.text
        assert session.at == original[1]


async def test_another_column_sorts_ascending_first(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="models") as session:
        await session.press("right", "right", "s", "s")
        assert session.said == "Sorted by Params, descending"
        assert session.ids[0] == "wide-model"
        await session.press("left", "left", "s")
        assert session.said == "Sorted by Name, ascending"
        await session.press("left", "left", "s")  # there is no column before the first
        assert session.said == "Sorted by Name, descending"
        await session.press("right", "right", "s")
        # Entries without a value come last, whichever way.
        assert session.ids[-1] == "hostile-model"
        await session.press("s")
        assert session.ids[-1] == "hostile-model"


async def test_a_message_stays_until_the_next_key(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("s")
        assert "Sorted by Name" in session.rows[-1]
        await session.press("j")
        assert session.said == ""
        assert "? Help" in session.rows[-1]
        # A key that has no meaning here says so.
        await session.press("s", "w")
        assert session.said.startswith("w does nothing here; it is Your runs on the leaderboard")


async def test_digits_switch_panes_and_each_keeps_its_state(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        for digit, (pane, _, _) in enumerate(PANES, 1):
            await session.press(str(digit % 10))
            assert session.app.current == pane
            assert [p.pane_name for p in session.app.query("Pane") if p.display] == [pane]  # type: ignore[attr-defined]
            if pane == "search":
                await session.press("escape")  # digits are text in its line
        await session.press("3", "g", "j", "j", "right", "s", "slash")
        await session.type("filler")
        await session.press("enter", "enter")
        where = session.at
        await session.press("4", "g", "j", "7", "3")
        assert session.at == where
        assert session.entries.filter == "filler"
        assert session.browse.table.sorted_by == ("year", False)
        assert isinstance(session.focused, Detail)
        await session.press("4")
        assert session.at == "alpha-340m"
        assert isinstance(session.focused, VirtualTable)


async def test_the_digit_of_the_shown_pane_changes_nothing(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("3")
        assert (session.app.current, session.app.history) == ("papers", [])


async def test_a_click_on_the_bar_switches_panes(small: Catalogue) -> None:
    async with running(make_app(small), WIDE) as session:
        x = session.rows[0].index("4 Models")
        await session.pilot.click("NavBar", offset=(x, 0))
        await session.settle()
        assert session.app.current == "models"
        await session.pilot.click("NavBar", offset=(118, 0))
        await session.settle()
        assert session.app.current == "models"


async def test_clicks_in_a_list_move_and_read(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.pilot.click("#pane-papers VirtualTable", offset=(5, 7))
        await session.settle()
        assert session.at == session.ids[2]  # a row has two lines, and so has the header
        await session.pilot.click("#pane-papers VirtualTable", offset=(5, 8), times=2)
        await session.settle()
        assert session.at == session.ids[3]
        assert isinstance(session.focused, Detail)


async def test_resizing_keeps_the_place(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="papers") as session:
        await session.press("G", "k", "k", "enter")
        where, pane = session.at, session.browse
        for size, wide in (((80, 24), False), ((200, 60), True), ((60, 15), False), (WIDE, True)):
            await session.resize(*size)
            assert pane.wide is wide
            assert ("│" in session.text) is wide
            assert session.at == where
            assert isinstance(session.focused, Detail)
            assert f"  {where}" in session.text
        await session.press("escape")
        for size in ((80, 24), (200, 60), (60, 15)):
            await session.resize(*size)
            assert session.at == where
            assert any(row.startswith("▌Filler 18") for row in session.rows)


async def test_a_list_that_missed_its_first_resize_is_wide(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual sends none to a widget that something measured before the layout."""
    monkeypatch.setattr(Pane, "on_resize", lambda pane: None)
    async with running(make_app(small), WIDE, pane="papers") as session:
        assert session.browse.has_class("-wide")
        assert "│" in session.text


async def test_scrolling_deep_into_a_page_survives_another_width(small: Catalogue) -> None:
    async with running(make_app(small), (120, 15), pane="models") as session:
        await session.press("enter", "G")
        for size in ((80, 24), (200, 60), (120, 15), (60, 15)):
            await session.resize(*size)
            detail = session.browse.detail
            assert 0 <= detail.top <= max(0, len(detail._rows) - detail.size.height)
        await session.press("g")
        assert detail.top == 0


async def test_too_small_says_so_and_comes_back(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="papers") as session:
        await session.press("j", "j")
        where = session.at
        for size in ((19, 12), (200, 5), (8, 3), (1, 1)):
            await session.resize(*size)
            assert "Alpha" not in session.text
            await session.press("j", "4", "q", "slash")  # none of them is for anything seen
        await session.resize(40, 5)
        assert "40x5 is too small." in session.text
        assert "20x6 is enough." in session.text
        await session.resize(60, 15)
        assert session.at == where
        assert isinstance(session.focused, VirtualTable)
        assert "3 Papers" in session.text


async def test_a_line_keeps_focus_and_text_however_small_the_window(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="papers") as session:
        await session.press("slash", *"be")
        for size in ((40, 10), (10, 3), (1, 1), (80, 24)):
            await session.resize(*size)
            assert isinstance(session.focused, QueryLine)
            await session.press("j")
        assert session.line.value == "bejjjj"
        await session.resize(10, 3)
        await session.press("escape", "q", "ctrl+c")
        assert session.app._exit


PANE_NAMES = [*(pane for pane, _, _ in PANES), "qrels", "news", "found"]


@pytest.mark.parametrize("size", [(80, 12), (60, 10), (40, 10), (30, 8), (20, 6)])
async def test_every_pane_works_in_a_small_window(small: Catalogue, size: tuple[int, int]) -> None:
    async with running(make_app(small), size) as session:
        for pane in PANE_NAMES:
            await session.app.show_pane(pane)
            await session.press("escape")
            assert session.focused is not None
            width, height = size
            # One line of frame, and the rest for what one came for.
            rows = sum(bool(row.strip()) for row in session.rows)
            assert "? Help" in session.rows[-1]
            assert rows >= 2
            assert session.focused.region.height >= height - 4
            assert session.focused.region.right <= width
            if "filter" in {a.id for a in session.app.working_actions()}:
                await session.press("slash")
                await session.type("a")
                line, table = session.line, session.app.pane.table
                assert session.focused is line
                assert line.region.height == 1
                assert table.region.height >= height - 4
                await session.press("escape")


async def test_q_and_ctrl_c_leave(small: Catalogue) -> None:
    for key in ("q", "ctrl+c"):
        for pane in ("home", "papers", "leaderboard", "path", "search"):
            app = make_app(small)
            async with running(app, WIDE, pane=pane) as session:
                if pane == "search" and key == "q":
                    await session.press("escape")
                await session.press(key)
                assert not app.is_running or app._exit
                assert app.return_code == 0


async def test_ctrl_c_leaves_from_a_dialog_and_from_a_line(small: Catalogue) -> None:
    for keys in (("question_mark",), ("ctrl+p",), ("slash",), ("e",)):
        app = make_app(small)
        async with running(app, WIDE, pane="papers") as session:
            await session.press(*keys, "ctrl+c")
            assert app._exit, keys


async def test_redraw_draws_the_screen_anew(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="papers", recorded=True) as session:
        driver = session.app._driver
        driver.written.clear()  # type: ignore[union-attr]
        await session.press("ctrl+l")
        await session.pilot.pause()
        sent = "".join(driver.written)  # type: ignore[union-attr]
        for text in ("Papers", "Filler 01", "Help"):
            assert text in sent


async def test_problems_of_overlays_are_told(small: Catalogue) -> None:
    async with running(make_app(small, problems=["a.yaml:3: bad", "b.yaml: worse"])) as session:
        assert "a.yaml:3: bad (and 1 more)" in session.rows[-1]
        await session.press("j")
        assert "a.yaml" not in session.rows[-1]
    async with running(make_app(small, problems=["a.yaml:3: bad"])) as session:
        assert "a.yaml:3: bad" in session.rows[-1]
        assert "more" not in session.rows[-1]


async def test_a_broken_overlay_of_the_reader_s_own_is_told() -> None:
    overlays = places().overlays
    overlays.mkdir(parents=True)
    (overlays / "mine.yaml").write_text("papers:\n  - {id: Not Kebab}\n")
    loaded = load()
    app = BioRetrievalApp(loaded.catalogue, problems=loaded.problems)
    async with running(app, (200, 30)) as session:
        assert "mine.yaml:2" in session.said
        assert session.app.status.role == "error"
        assert "mine.yaml:2" in "".join(session.rows[-3:])


async def test_the_last_step_of_the_path_is_a_pane_like_any(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="path") as session:
        assert isinstance(session.app.pane, StartPane)
        await session.press("G")
        assert session.at == "step-evil"
