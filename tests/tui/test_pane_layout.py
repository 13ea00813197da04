"""The border between list and page, and the columns of lists: a wider window never shows less."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import make_app, running
from fixed_catalogue import fixed_catalogue
from own_records import record

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.render.evaluations import own_runs
from bioretrieval_tui.settings import SettingsStore
from bioretrieval_tui.tui import hit_list
from bioretrieval_tui.tui.board_session import BoardSession, Mode, own_rows
from bioretrieval_tui.tui.entry_list import column_choices, entry_columns, entry_rows, entry_table
from bioretrieval_tui.tui.pane_layout import LEAST_PAGE, PaneLayout
from bioretrieval_tui.tui.panes.found import FoundPane
from bioretrieval_tui.tui.panes.index_list import IndexesPane
from bioretrieval_tui.tui.panes.news_list import NewsPane
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane, query_columns
from bioretrieval_tui.tui.widgets.table import GAP, VirtualTable

MODES = ("lexical", "dense", "hybrid")
PAIR = ("lexical", "dense")
SECTIONS = ("papers", "models", "datasets", "benchmarks", "timeline", "path")
LISTS = {
    **{section: (entry_table(section), Pane.SHARE) for section in SECTIONS},
    "search": (VirtualTable(hit_list.HIT_COLUMNS, lead=2), Pane.SHARE),
    "queries": (VirtualTable(query_columns(MODES, PAIR), lead=2), QrelsPane.SHARE),
    **{
        pane.TITLE or "indexes": (VirtualTable(pane.COLUMNS, lead=pane.LEAD), pane.SHARE)
        for pane in (FoundPane, NewsPane, IndexesPane)
    },
}
"""The list of each pane, and its usual share."""
WIDTHS = range(60, 241)


def shown(
    table: VirtualTable, layout: PaneLayout, usual: int, width: int, *, tall: bool
) -> tuple[int, set[int]]:
    """Columns of the list beside its page (0: alone), and the columns that it shows."""
    cells = layout.list_width(table, width, Pane.WIDE, usual, tall=tall)
    two = tall and (bool(cells) or table.titled)
    return cells, {*table.columns_at(cells or width, tall=two)}


@pytest.mark.parametrize("tall", [True, False])
@pytest.mark.parametrize("name", LISTS)
def test_a_wider_window_shows_no_fewer_columns(name: str, tall: bool) -> None:
    """Of every list, at the usual border, also where the page comes beside."""
    table, usual = LISTS[name]
    before: set[int] = set()
    for width in WIDTHS:
        cells, columns = shown(table, PaneLayout(), usual, width, tall=tall)
        assert before <= columns, (width, cells)
        assert not cells or width - cells >= LEAST_PAGE
        before = columns
    assert before == {*range(len(table.columns))}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("share", range(20, 85, 5))
def test_a_wider_list_shows_no_fewer_columns(name: str, share: int) -> None:
    """At every border that the user may have chosen, also where the page comes beside."""
    table, usual = LISTS[name]
    before: set[int] = set()
    for width in WIDTHS:
        cells, columns = shown(table, PaneLayout(share=share), usual, width, tall=True)
        assert bool(cells) == (width >= Pane.WIDE)
        assert before <= columns, width
        before = columns


@pytest.mark.parametrize("mode", ["recipes", "matrix", "heat"])
@pytest.mark.parametrize("own", [False, True])
def test_a_wider_board_shows_no_fewer_scores(mode: Mode, own: bool) -> None:
    """Its columns are made for the width of the window."""
    board = BoardSession(fixed_catalogue())
    board.mode = mode
    if own:
        board.put_own(own_rows(own_runs([record()], board.catalogue)))
    board.fill()
    before: set[str] = set()
    for width in WIDTHS:
        table = VirtualTable(board.columns(width), squeeze=mode == "recipes")
        table.gap = GAP if mode == "matrix" else 1
        columns = {table.columns[at].key for at in table.columns_at(width, tall=True)}
        assert before <= columns, width
        before = columns
    assert own == ("own" in before) or mode == "recipes"


# What is kept -----------------------------------------------------------------------------------


def test_a_layout_is_kept_and_what_cannot_be_read_is_the_default(tmp_path: Path) -> None:
    settings = SettingsStore(tmp_path / "library.sqlite")
    assert PaneLayout.of(settings, "papers") == PaneLayout()
    made = PaneLayout(share=60, zoom="list", columns=("name", "year"))
    made.keep(settings, "papers")
    assert PaneLayout.of(settings, "papers") == made
    assert PaneLayout.of(settings, "models") == PaneLayout()
    for wrong in ("{", '{"share": 900}', '{"zoom": "in"}', "[]"):
        settings.set_setting("layout papers", wrong)
        assert PaneLayout.of(settings, "papers") == PaneLayout()
    (tmp_path / "broken.sqlite").write_text("no database")
    assert PaneLayout.of(SettingsStore(tmp_path / "broken.sqlite"), "papers") == PaneLayout()


def test_the_border_moves_by_steps_within_bounds() -> None:
    layout, shares, table = PaneLayout(), [], LISTS["papers"][0]
    for by in (1, *[1] * 8, *[-1] * 20):
        layout.move(by, layout.list_width(table, 120, 100, 45, tall=True), 120)
        shares.append(layout.share)
    assert shares[0] == 50
    # Its columns need 37 of 120 cells: a share of less is not shown.
    assert (max(shares), min(shares)) == (80, 25)
    assert all(share % 5 == 0 for share in shares)
    # From where the columns of the list put it.
    layout = PaneLayout()
    layout.move(-1, 56, 100)
    assert layout.share == 50


async def test_the_border_and_the_zoom_are_there_again(small: Catalogue) -> None:
    async with running(make_app(small), (120, 30), pane="models") as session:
        pane = session.browse
        cells = pane.table.size.width
        await session.press("ctrl+right", "ctrl+right")
        assert pane.table.size.width > cells
        assert pane.detail.size.width == 120 - pane.table.size.width
        wide = pane.table.size.width
        await session.press("z")
        assert not pane.table.display
        assert session.focused is pane.detail
        assert pane.detail.size.width == 120
        await session.press("z")
        assert not pane.detail.display
        assert session.focused is pane.table
        await session.press("ctrl+left")
        assert "No page stands beside" in session.said
        await session.press("enter")
        assert session.focused is pane.detail
        await session.press("escape")
        assert pane.split.zoom == "list"
        # Nothing is written before it rests, and what has not rested is written at the end.
        assert pane.owner.settings.setting("layout models") is None
    async with running(make_app(small), (120, 30), pane="models") as session:
        pane = session.browse
        assert not pane.detail.display
        await session.press("escape")
        assert pane.table.size.width == wide
        await session.press("z", "escape")
        assert pane.split.zoom == ""
        assert session.focused is pane.table
        await session.press("z")
    async with running(make_app(small), (120, 30), pane="models") as session:
        assert session.focused is session.browse.detail
        assert "alpha-110m" in session.text


async def test_in_a_narrow_window_zoom_reads_and_returns(small: Catalogue) -> None:
    async with running(make_app(small), (80, 24), pane="papers") as session:
        await session.press("z")
        assert session.focused is session.browse.detail
        await session.press("z")
        assert session.focused is session.browse.table
        assert session.browse.split.zoom == ""


@pytest.mark.parametrize("pane", ["search", "indexes", "qrels", "news", "found", "leaderboard"])
async def test_every_list_takes_the_keys_of_the_border(small: Catalogue, pane: str) -> None:
    async with running(make_app(small), (200, 40), pane=pane) as session:
        await session.press("escape", "ctrl+right", "ctrl+left", "z", "ctrl+right", "z", "z")
        await session.press("right_square_bracket", "left_square_bracket")


# Columns ----------------------------------------------------------------------------------------


def test_every_field_with_a_value_can_be_a_column() -> None:
    catalogue = load().catalogue
    for section in SECTIONS:
        entries = catalogue.section(section)
        choices = column_choices(section, entries, catalogue)
        usual = [column.key for column in entry_columns(section)]
        assert [choice.key for choice in choices][: len(usual)] == usual
        keys = [choice.key for choice in choices]
        columns = entry_columns(section, keys)
        assert [column.key for column in columns] == keys
        for at in range(len(entries)):
            cells = entry_rows(entries, columns, catalogue).cells(at)
            assert len(cells) == len(keys)
    assert entry_columns("papers", ("no such field",)) == entry_columns("papers")


async def test_columns_of_a_list_are_chosen_and_kept(small: Catalogue) -> None:
    async with running(make_app(small), (120, 30), pane="papers") as session:
        await session.press("C")
        assert "4 chosen" in session.text
        await session.press(*["j", "space", "k"] * 3, "slash")
        await session.type("authors")
        await session.press("enter", "space", "enter")
        assert session.rows[2].split()[0] == "Name"
        assert "Authors" in session.rows[3]
        assert "Ada Early" in session.text
    async with running(make_app(small), (120, 30), pane="papers") as session:
        assert [column.key for column in session.browse.table.columns] == ["name", "authors"]
        await session.press("C", "a", "enter")
        assert session.browse.split.columns == ()
        assert "arXiv" in session.rows[3]
