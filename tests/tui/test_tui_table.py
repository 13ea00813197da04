"""The virtual table and the scrolling page: bounds, and work that does not grow with the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.pilot import Pilot
from textual.strip import Strip

from bioretrieval_tui.tui.driver import _pieces
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

COLUMNS = (
    TableColumn("name", "Name", 12, 2, priority=0),
    TableColumn("size", "Size", 8, priority=2),
    TableColumn("note", "Note", 20, 1, priority=1),
)
WIDE = (
    TableColumn("model", "Model", 12, frozen=True),
    *(TableColumn(f"c{n}", f"C{n}", 8) for n in range(10)),
)


class Counted:
    """Generated rows; `asked` counts what the table wanted to see."""

    below = None

    def __init__(self, count: int, columns: int = 3) -> None:
        self.count = count
        self.columns = columns
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def cells(self, index: int) -> Sequence[Span]:
        self.asked.append(index)
        return [Span(f"row {index} cell {column}") for column in range(self.columns)]


class Bench(App[None]):
    """A table or a page alone on the screen; remembers what it posted."""

    CSS = "VirtualTable, Detail { height: 1fr; }"

    def __init__(self, widget: VirtualTable | Detail) -> None:
        super().__init__()
        self.widget = widget
        self.moves: list[int] = []
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_virtual_table_moved(self, event: VirtualTable.Moved) -> None:
        self.moves.append(event.index)

    def on_virtual_table_chosen(self, event: VirtualTable.Chosen) -> None:
        self.chosen.append(event.index)


@asynccontextmanager
async def on_bench(
    widget: VirtualTable | Detail, size: tuple[int, int] = (60, 20)
) -> AsyncIterator[Pilot[None]]:
    app = Bench(widget)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0)
        yield pilot


async def drawn(pilot: Pilot[None]) -> list[str]:
    await pilot.pause(0)
    screen = pilot.app.screen
    screen._on_timer_update()
    return ["".join(s.text for s in row) for row in screen._compositor.render_strips()]


async def test_a_change_while_the_size_is_unknown_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual may know no size of a widget for a moment, and no layout follows."""
    page = Detail(lines=[line("before")])
    async with on_bench(page) as pilot:
        assert any("before" in row for row in await drawn(pilot))
        with monkeypatch.context() as patch:
            patch.setattr(Detail, "size", Size(0, 0))
            page.show([line("after")])
        assert any("after" in row for row in await drawn(pilot))


def test_an_update_sends_what_it_announces_only() -> None:
    """A widget beside may hold newer lines, whose own update comes next."""
    left, right = Strip([Segment("abcd")]), Strip([Segment("newer")])
    chops, ends = [{0: left, 4: right}], [[4, 9]]
    for span, texts in (
        ((0, 4), ["abcd"]),
        ((0, 2), ["ab"]),
        ((4, 9), ["newer"]),
        ((3, 6), ["abcd", "ne"]),
    ):
        pieces = list(_pieces(ChopsUpdate(chops, [(0, *span)], ends)))
        assert [strip.text for _, _, strip in pieces] == texts


@pytest.mark.parametrize("count", [10, 100_000, 1_000_000])
async def test_the_work_is_a_page_whatever_the_rows(count: int) -> None:
    table = VirtualTable(COLUMNS)
    rows = Counted(count)
    async with on_bench(table) as pilot:
        page = table.page
        table.show(rows)
        await drawn(pilot)
        assert len(rows.asked) <= 2 * page
        for target in (1, count // 2, count - 1, 0):
            rows.asked.clear()
            table.move_to(target)
            shown = await drawn(pilot)
            assert any(f"row {target} cell" in row for row in shown)
            assert len(rows.asked) <= 2 * page
            assert set(rows.asked) <= set(range(table.top, table.top + page))
        assert pilot.app.moves[-2:] == [count - 1, 0]  # type: ignore[attr-defined]


async def test_the_cursor_stays_within_the_rows_and_on_the_screen() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table) as pilot:
        table.show(Counted(50), 49)
        for target, expected in ((-5, 0), (500, 49), (10, 10)):
            table.move_to(target)
            assert table.cursor == expected
            assert table.top <= table.cursor < table.top + table.page
        table.show(Counted(3), 10)
        assert (table.cursor, table.top) == (2, 0)
        table.show(Counted(0))
        table.move_to(4)
        assert (table.cursor, table.top) == (0, 0)
        assert "Nothing here." in "\n".join(await drawn(pilot))


async def test_moves_are_told_once_and_only_when_something_moved() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table) as pilot:
        table.show(Counted(5))
        table.move_to(0)
        table.move_to(-1)
        await pilot.pause(0)
        assert pilot.app.moves == []
        table.move_to(3)
        await pilot.pause(0)
        assert pilot.app.moves == [3]


async def test_columns_of_low_priority_give_way() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table, (60, 5)) as pilot:
        table.show(Counted(1))
        heads = []
        for width in (60, 40, 24, 8):
            await pilot.resize_terminal(width, 5)
            heads.append((await drawn(pilot))[0].split())
        assert heads == [["Name", "Size", "Note"], ["Name", "Note"], ["Name"], ["Name"]]


async def test_only_columns_on_screen_can_be_chosen() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table, (40, 5)) as pilot:
        table.show(Counted(1))
        table.move_column(1)
        assert table.columns[table.column].key == "note"
        table.move_column(1)
        assert table.columns[table.column].key == "note"
        table.move_column(-9)
        assert table.column == 0
        # A column that was chosen when there was room counts as the first when there is none.
        await pilot.resize_terminal(60, 5)
        table.move_column(1)
        assert table.columns[table.column].key == "size"
        await pilot.resize_terminal(24, 5)
        table.move_column(1)
        assert table.column == 0


async def test_a_wide_table_scrolls_sideways_under_a_frozen_column() -> None:
    table = VirtualTable(WIDE, squeeze=False)
    async with on_bench(table, (44, 5)) as pilot:
        table.show(Counted(2, len(WIDE)))
        assert (await drawn(pilot))[0].split() == ["Model", "C0", "C1", "C2"]
        for column in range(1, 11):
            table.move_column(1)
            head = (await drawn(pilot))[0].split()
            assert head[0] == "Model"
            assert f"C{column - 1}" in head
        assert head == ["Model", "C7", "C8", "C9"]
        table.move_column(1)
        assert table.column == 10
        table.move_column(-10)
        assert (await drawn(pilot))[0].split() == ["Model", "C0", "C1", "C2"]


async def test_every_row_is_as_wide_as_the_table() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table, (33, 6)) as pilot:
        table.show(Counted(3), 1)
        table.focus()
        await pilot.pause(0)
        assert {row.cell_length for row in table.paint(33, 6)} == {33}
        assert [row.text[:5] for row in table.paint(33, 4)[1:]] == [" row ", "▌row ", " row "]


async def test_the_sign_of_the_order_stands_in_the_head() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table, (70, 4)) as pilot:
        table.sorted_by = ("size", False)
        table.show(Counted(1))
        assert "Size ↑" in (await drawn(pilot))[0]
        table.sorted_by = ("size", True)
        table.update()
        assert "Size ↓" in (await drawn(pilot))[0]
        # Where there is no room for both, the title gives way.
        table.columns = (TableColumn("size", "Judgements", 7),)
        table.update()
        assert "Judge…↓" in (await drawn(pilot))[0]
        table.columns = (TableColumn("size", "Year", 5),)
        table.update()
        assert "Year↓" in (await drawn(pilot))[0]


async def test_clicks_and_the_wheel() -> None:
    table = VirtualTable(COLUMNS)
    async with on_bench(table, (60, 6)) as pilot:
        table.show(Counted(3))
        await pilot.click(VirtualTable, offset=(4, 3))
        assert table.cursor == 2
        await pilot.click(VirtualTable, offset=(4, 0))
        await pilot.click(VirtualTable, offset=(4, 5))
        assert (table.cursor, pilot.app.chosen) == (2, [])
        await pilot.click(VirtualTable, offset=(4, 1), times=2)
        await pilot.pause()
        assert (table.cursor, pilot.app.chosen) == (0, [0])
        table.show(Counted(40))
        await pilot._post_mouse_events([MouseScrollDown], VirtualTable)
        assert table.cursor == 3
        await pilot._post_mouse_events([MouseScrollUp], VirtualTable)
        assert table.cursor == 0


# Rows of two lines ------------------------------------------------------------------------------

BOTH = (
    TableColumn("title", "Title", 14, 1, priority=0),
    TableColumn("year", "Year", 5, align="right", priority=1),
    TableColumn("place", "Place", 10, priority=2),
)


def texts(*rows: tuple[str, ...]) -> ListRows[tuple[str, ...]]:
    return ListRows(rows, lambda row: [Span(text) for text in row])


def drawn_rows(table: VirtualTable, width: int, height: int) -> list[str]:
    return [row.text.rstrip() for row in table.paint(width, height)]


async def test_a_title_has_a_line_for_itself_and_the_rest_stands_below_it() -> None:
    table = VirtualTable(BOTH, lead=1)
    table.tall = True
    async with on_bench(table, (30, 7)) as pilot:
        table.show(texts(("What causes it and why", "2011", "JAMA"), ("B", "1999", "BMJ")), 1)
        table.focus()
        await pilot.pause(0)
        assert drawn_rows(table, 30, 7) == [
            " Title", "    Year  Place", " What causes it and why", "    2011  JAMA",
            "▌B", "▌   1999  BMJ", "",
        ]  # fmt: skip
        assert (table.page, table.row_lines, table.header_lines) == (2, 2, 2)
        table.tall = False  # a low window
        table.update()
        assert drawn_rows(table, 30, 3)[0].split() == ["Title", "Year"]


async def test_columns_that_do_not_fit_go_on_a_second_line() -> None:
    table = VirtualTable(BOTH)
    table.tall = True
    async with on_bench(table, (40, 6)) as pilot:
        table.show(texts(("Title", "2011", "JAMA")))
        assert drawn_rows(table, 40, 6)[0].split() == ["Title", "Year", "Place"]
        assert table.row_lines == 1
        await pilot.resize_terminal(26, 6)
        words = [row.replace("▌", "").split() for row in drawn_rows(table, 26, 4)]
        assert words == [["Title"], ["Year", "Place"], ["Title"], ["2011", "JAMA"]]
        assert [table.columns[at].key for at in table.columns_at(14, tall=True)] == ["title"]


async def test_long_cells_go_on_below_and_rows_have_one_line_where_none_is_cut() -> None:
    table = VirtualTable(BOTH, wraps=True)
    table.tall = True
    async with on_bench(table, (37, 6)) as pilot:
        table.show(texts(("one two three four five six", "2011", "New England J")))
        words = [row.replace("▌", "").split("  ") for row in drawn_rows(table, 37, 4)]
        assert [[word.strip() for word in row if word.strip()] for row in words] == [
            ["Title", "Year", "Place"],
            ["one two three", "2011", "New"],
            ["four five six", "England J"],
            [],
        ]
        table.show(texts(("one two three four five six", "2011", "JAMA")))
        assert table.row_lines == 2
        await pilot.resize_terminal(70, 6)
        assert table.row_lines == 1


@pytest.mark.parametrize("width", range(12, 40, 3))
@pytest.mark.parametrize("tall", [True, False])
async def test_no_number_is_cut(width: int, tall: bool) -> None:
    """Its column grows, or goes."""
    table = VirtualTable(BOTH)
    table.tall = tall
    async with on_bench(table, (width, 8)):
        table.show(texts(("A", "12,345,678", "x"), ("B", "-1.5", "y")))
        shown = "\n".join(drawn_rows(table, width, 8))
        keys = [table.columns[at].key for at in table._shown_columns()]
        assert ("12,345,678" in shown) == ("year" in keys)
        assert "…" not in shown.replace("Ti…", "")


async def test_rows_of_two_lines_scroll_several_at_once() -> None:
    table = VirtualTable(BOTH, lead=1)
    table.tall = True
    async with on_bench(table, (30, 18)):
        table.show(texts(*[(f"row {n}", "", "") for n in range(40)]))
        tops = set()
        for at in range(40):
            table.move_to(at)
            assert table.top <= at < table.top + table.page
            tops.add(table.top)
        assert len(tops) < 15
        table.move_to(0)
        assert table.top == 0


# The page ---------------------------------------------------------------------------------------


def numbered(count: int) -> list[Line]:
    return [line(f"line {n}") for n in range(count)]


async def test_a_page_scrolls_within_its_bounds() -> None:
    page = Detail()
    async with on_bench(page, (40, 10)) as pilot:
        page.show(numbered(30))
        assert "\u25be 21 more lines" in (await drawn(pilot))[-1]
        page.scroll_rows(-5)
        assert page.top == 0
        page.scroll_rows(7)
        assert page.top == 7
        page.scroll_rows(1_000_000)
        assert page.top == 20
        shown = await drawn(pilot)
        assert "line 20" in shown[0]
        assert "line 29" in shown[-1]
        page.show(numbered(3))
        assert page.top == 0
        page.scroll_rows(1)
        assert page.top == 0
        page.show([])
        page.scroll_rows(1)
        assert "".join(await drawn(pilot)).strip() == ""


async def test_a_page_keeps_its_place_when_told_to() -> None:
    page = Detail()
    async with on_bench(page, (40, 10)) as pilot:
        page.show(numbered(30))
        page.scroll_rows(12)
        page.show(numbered(31), keep_place=True)
        assert page.top == 12
        page.show(numbered(15), keep_place=True)
        await drawn(pilot)
        assert page.top == 5
        page.show(numbered(30))
        assert page.top == 0


async def test_lines_are_scrolled_to_only_where_they_are_not_seen() -> None:
    page = Detail()
    async with on_bench(page, (40, 10)) as pilot:
        page.show([*numbered(5), line("word " * 60), *numbered(20)])
        page.reveal(1, 4)
        await drawn(pilot)
        assert page.top == 0
        page.reveal(8, 10)  # behind a line of nine rows
        shown = await drawn(pilot)
        assert shown[0].strip() == "line 2"
        page.reveal(0, 2)
        assert (await drawn(pilot))[0].strip() == "line 0"
        page.reveal(6, 25)  # more than fits: from its beginning
        assert (await drawn(pilot))[0].strip() == "line 0"
        page.reveal(25, 25)
        assert "line 19" in "".join(await drawn(pilot))


async def test_a_page_that_was_never_shown_is_scrolled_when_it_is() -> None:
    page = Detail()
    page.show(numbered(30))
    page.reveal(20, 22)
    async with on_bench(page, (40, 10)) as pilot:
        assert (await drawn(pilot))[0].strip() == "line 20"


async def test_a_page_is_no_wider_than_prose_may_be() -> None:
    page = Detail(measure=30)
    async with on_bench(page, (100, 10)) as pilot:
        page.show([line("word " * 30)])
        assert max(len(row.rstrip()) for row in await drawn(pilot)) <= 31


async def test_scrolling_before_the_first_paint_goes_nowhere() -> None:
    page = Detail()
    page.scroll_rows(5)
    assert page.top == 0


async def test_brackets_go_from_section_to_section() -> None:
    """What follows below a page of more than two screens is named in its last row."""
    page = Detail()
    sections = (("First", 2), ("Second", 12), ("Third", 24))
    async with on_bench(page, (60, 10)) as pilot:
        page.show(numbered(30), sections)
        assert (await drawn(pilot))[-1].strip() == "▾ 21 more lines   ]  Second · Third"
        tops = []
        for by in (1, 1, 1, 1, -1, -1, -1, -1):
            page.jump(by)
            await drawn(pilot)
            tops.append(page.top)
        # The first section is being read already.
        assert tops == [12, 20, 20, 20, 12, 2, 0, 0]
        page.show(numbered(18), sections[:2])
        assert (await drawn(pilot))[-1].strip() == "▾ 9 more lines"


async def test_the_wheel_scrolls_a_page() -> None:
    page = Detail()
    async with on_bench(page, (40, 10)) as pilot:
        page.show(numbered(30))
        await drawn(pilot)
        await pilot._post_mouse_events([MouseScrollDown], Detail)
        assert page.top == 3
        await pilot._post_mouse_events([MouseScrollUp], Detail)
        assert page.top == 0
