"""What outlives a session (the theme, the marks of the steps), and what the looks promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, make_app, running

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.panes.home import about
from bioretrieval_tui.tui.panes.start import StartPane
from bioretrieval_tui.tui.text import Span, strip
from bioretrieval_tui.tui.themes import DARK, KIND_ROLES, LIGHT, LOOKS, TERMINAL, Look
from bioretrieval_tui.tui.widgets.canvas import Detail

WIDE = (120, 30)


def luminance(color: tuple[int, int, int]) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [c / 255 for c in color]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("look", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("under", [None, "cursor", "cursor.blurred"])
def test_every_role_can_be_read(look: Look, under: str | None) -> None:
    """Contrast of at least 4.5 for text, under the cursor too; rules, gauges and what lies behind a
    dialog may be fainter."""
    for role in set(look.styles) - {"rule", "gauge", "behind"}:
        (segment,) = strip([Span("text", role)], 4, look, under=under)
        assert segment.style
        assert segment.style.color
        assert segment.style.bgcolor
        fore, back = segment.style.color.triplet, segment.style.bgcolor.triplet
        assert fore
        assert back
        dark, light = sorted((luminance(fore), luminance(back)))
        if not (under and role in ("match", "bar.active")):  # never in a row of a list
            assert (light + 0.05) / (dark + 0.05) >= 4.5, role


def test_looks_have_the_same_roles() -> None:
    roles = set(DARK.styles)
    assert {*KIND_ROLES, *(f"{kind}.strong" for kind in KIND_ROLES)} <= roles
    for look in LOOKS.values():
        assert set(look.styles) == roles
        assert look.style("no such role") == look.style("text")


def test_the_terminal_s_own_colours_are_names() -> None:
    for style in TERMINAL.styles.values():
        assert style.color is not None
        assert style.color.triplet is None
        assert style.bgcolor is None


def colours(session: Session) -> set[str]:
    """The colours of the cells on the screen, by name."""
    found = set()
    for row in session.strips():
        for segment in row:
            for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                if color is not None:
                    found.add(color.name)
    return found


async def test_t_takes_the_next_theme_and_the_next_start_remembers(small: Catalogue) -> None:
    for expected in ("light", "terminal", "dark"):
        before = make_app(small)
        async with running(before, WIDE, pane="papers") as session:
            await session.press("t")
            await session.type(expected)
            await session.press("enter")
            assert before.look.name == expected
            assert session.said == f"Theme: {expected}"
            shown = colours(session)
        again = make_app(small)
        async with running(again, WIDE, pane="papers") as session:
            assert again.look.name == again.theme == expected
            await session.press("escape")
            # Started in a theme or turned to it: the same colours, of that theme only.
            assert colours(session) <= shown | {"default"}


async def test_every_part_of_the_app_changes_its_colours(small: Catalogue) -> None:
    """Also panes that are not shown, and what Textual itself draws."""
    async with running(make_app(small), WIDE) as session:
        for digit in "1234567809":
            await session.press(digit)
        await session.press("escape", "3", "slash")
        await session.type("alpha")
        await session.press("enter", "t", "down", "enter")
        light = {LIGHT.theme.background, LIGHT.theme.surface, LIGHT.theme.panel}
        dark = {DARK.theme.background, DARK.theme.surface, DARK.theme.panel}
        for keys in (("1",), ("3",), ("slash",), ("escape", "4"), ("7", "v"), ("9",)):
            await session.press(*keys)
            found = {
                segment.style.bgcolor.name
                for row in session.strips()
                for segment in row
                if segment.style and segment.style.bgcolor
            }
            assert found & light
            assert not found & dark


async def test_a_theme_that_was_asked_for_wins(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("t", "down", "enter")
    async with running(make_app(small, theme="terminal"), WIDE) as session:
        assert session.app.look.name == "terminal"


@pytest.mark.parametrize("pane", ["home", "papers", "leaderboard", "search"])
async def test_no_color_means_none(
    small: Catalogue, pane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with running(make_app(small, theme="light"), WIDE, pane=pane) as session:
        assert session.app.look.name == "terminal"
        assert colours(session) <= {"default"}
        await session.press("escape", "t")
        assert session.app.look.name == "terminal"
        assert "NO_COLOR" in session.said
        for keys in (("question_mark",), ("escape", "ctrl+p")):
            await session.press(*keys)
            assert colours(session) <= {"default"}


async def test_without_colour_the_cursor_is_still_seen(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with running(make_app(small), WIDE, pane="papers") as session:
        row = next(row for row in session.strips() if row.text.startswith("▌"))
        assert any(segment.style and segment.style.reverse for segment in row)
        await session.press("slash")
        # The prompt's cursor is a reversed cell.
        line = session.strips()[2]
        assert any(segment.style and segment.style.reverse for segment in line)


@pytest.mark.parametrize("theme", ["dark", "light", "terminal"])
async def test_the_cursor_of_the_line_is_seen(small: Catalogue, theme: str) -> None:
    """Reversed colours, or a reversed cell: not both, which would be neither."""
    async with running(make_app(small, theme=theme), WIDE, pane="papers") as session:
        await session.press("slash")
        await session.type("ab")
        await session.press("home")
        row = session.strips()[2].crop(1, 4)
        (under, *_), beside = row.crop(0, 1), row.crop(1, 2)._segments[0]
        assert (under.text, beside.text) == ("a", "b")
        assert under.style
        assert beside.style
        swapped = bool(under.style.reverse)
        if theme != "terminal":
            swapped ^= under.style.bgcolor != beside.style.bgcolor
        assert swapped


async def test_a_settings_file_that_cannot_be_written_is_told(small: Catalogue, home: Path) -> None:
    home.mkdir()
    (home / "data").write_text("a file where a folder should be")
    async with running(make_app(small), WIDE, pane="path") as session:
        for keys in (("t", "down", "enter"), ("space",)):
            await session.press(*keys)
            assert "the settings file" in session.said
            assert session.app.status.role == "error"
        assert session.app.look.name == "light"  # the theme is taken all the same
        assert "[x]" not in session.text


async def test_a_settings_file_that_is_none_is_told_and_the_app_starts(
    small: Catalogue, home: Path
) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "library.sqlite").write_text("not a database, long enough to be read" * 9)
    async with running(make_app(small), WIDE) as session:
        assert session.app.look.name == "dark"
        await session.press("8")
        assert "the settings file" in session.said
        assert "0 of 5 done" in session.head


# Get started ------------------------------------------------------------------------------------


async def test_marks_of_done_steps_persist(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="path") as session:
        assert "0 of 5 done" in session.head
        assert session.text.count("[ ]") == 5
        await session.press("space", "j", "j", "x")
        assert "2 of 5 done" in session.head
        assert session.text.count("[x]") == 2
        await session.press("x")
        assert "1 of 5 done" in session.head
        await session.press("space")
    async with running(make_app(small), WIDE, pane="path") as session:
        assert isinstance(session.app.pane, StartPane)
        assert session.app.pane.done == {"step-baseline", "step-measure"}
        assert session.text.count("[x]") == 2
        assert "2 of 5 done" in session.head
        await session.press("space")
    async with running(make_app(small), WIDE, pane="path") as session:
        assert session.app.pane.done == {"step-measure"}  # type: ignore[attr-defined]


async def test_marks_of_steps_that_are_gone_count_for_nothing(small: Catalogue) -> None:
    app = make_app(small)
    app.settings.set_done("a-step-of-an-older-catalogue", True)
    async with running(app, WIDE, pane="path") as session:
        assert "0 of 5 done" in session.head


async def test_x_marks_from_the_page_and_space_scrolls_it(small: Catalogue) -> None:
    async with running(make_app(small), (80, 15), pane="path") as session:
        await session.press("enter")
        assert isinstance(session.focused, Detail)
        await session.press("space")
        assert "0 of 5 done" in session.head
        await session.press("x")
        assert "1 of 5 done" in session.head


async def test_a_step_shows_its_commands_and_leads_to_its_entries(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="path") as session:
        assert "bioretrieval-tui search 'heart failure'" in session.text
        assert "bioretrieval-tui doctor" in session.text
        assert "Ten hits within a second." in session.text
        await session.press("r", "a")
        assert (session.app.current, session.at) == ("models", "words")
        await session.press("backspace")
        assert session.at == "step-baseline"


async def test_a_filter_keeps_the_marks(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="path") as session:
        await session.press("space", "slash")
        await session.type("baseline")
        assert "[x] 1" in session.text
        await session.press("escape")
        assert "1 of 5 done" in session.head


# Home -------------------------------------------------------------------------------------------


async def test_home_counts_what_there_is(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40)) as session:
        titles = {"3  Papers": "papers", "4  Models": "models", "8  Get started": "path"}
        for title, section in titles.items():
            row = next(row for row in session.rows if title in row)
            assert f" {len(small.section(section))} " in row
        said = "".join(span.text for span in about(small).spans)
        assert f"{len(small.results)} published results" in said
        assert "Updated 2026-02-05" in session.text
        changes = [session.text.index(date) for date in ("2026-02-05  ", "2026-01-05  ")]
        assert changes == sorted(changes)


async def test_the_shipped_catalogue_starts_and_shows(real: Catalogue) -> None:
    async with running(make_app(real), WIDE) as session:
        for digit in "12345678":
            await session.press(digit)
            if digit != "1":
                assert session.ids
                assert session.at == session.browse.ids()[0]
        assert f"{len(real.section('path'))} done" in session.head
