"""The user's commands and themes in the app."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Session, make_app, running
from test_tui_keymap import configure

from bioretrieval_tui.actions import ACTIONS, use
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import places
from bioretrieval_tui.theme_files import COLOURS
from bioretrieval_tui.tui.themes import DARK, LIGHT


@pytest.fixture(autouse=True)
def _shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SHELL", "/bin/sh")
    yield
    use(ACTIONS)


def command(command: str, **more: str) -> str:
    fields = {"key": "f6", "command": command, **more}
    return "[[command]]\n" + "".join(f"{name} = '''{value}'''\n" for name, value in fields.items())


async def over(session: Session) -> None:
    await session.until(lambda: not any(one.group == "user command" for one in session.app.workers))


async def test_the_output_is_shown(small: Catalogue) -> None:
    configure(command("echo {id}: {name}; echo wrong >&2; exit 3", name="Say it"))
    async with running(make_app(small), (120, 30), pane="papers") as session:
        entry = session.app.pane.current
        assert entry is not None
        await session.press("f6")
        await over(session)
        for text in (f"{entry.id}: {entry.name}", "wrong", "Say it: exit code 3"):
            assert text in session.text
        await session.press("escape", "question_mark", "slash", *"say")
        assert "echo {id}: {name}" in session.text


async def test_the_end_of_one_in_the_background_is_told(small: Catalogue) -> None:
    configure(command("echo one; echo two", pane="papers", output="background"))
    async with running(make_app(small), (120, 30), pane="papers") as session:
        await session.press("f6")
        await over(session)
        assert session.said == "echo is done: two"
        await session.press("4", "f6")
        assert session.app.current == "models"
        assert not session.app.workers._workers
        await session.press("ctrl+p", *"echo")
        assert "echo one; echo two" not in session.text


async def test_it_is_in_the_palette(small: Catalogue, tmp_path: Path) -> None:
    made = tmp_path / "made"
    configure(command(f"touch {shlex.quote(str(made))}", name="Touching"))
    async with running(make_app(small), (120, 30)) as session:
        await session.press("ctrl+p", *"touching", "enter")
        await over(session)
        assert made.exists()


async def test_a_row_that_lacks_the_field_is_told(small: Catalogue) -> None:
    configure(command("echo {url} {title}"))
    async with running(make_app(small), (120, 30)) as session:
        await session.press("G", "f6")
        assert session.said == "There is no row for echo"


async def test_home_has_rows_for_commands(small: Catalogue) -> None:
    configure(command("echo about {id}", pane="home", output="background"))
    async with running(make_app(small), (120, 30), pane="home") as session:
        await session.press("f6")
        assert session.said == "There is no row for echo"
        newest = next(n for n, row in enumerate(session.app.pane.rows) if row.thing is not None)
        session.app.pane.table.move_to(newest)
        await session.press("f6")
        await over(session)
        assert session.said == f"echo is done: about {session.app.pane.rows[newest].thing.id}"


async def test_it_runs_for_each_marked_row(small: Catalogue) -> None:
    configure(command("echo row {id}; test {id} != alpha-340m") + command("echo {hub}", key="f7"))
    async with running(make_app(small), (120, 30), pane="models") as session:
        await session.press("g", "space", "space", "f6")
        await over(session)
        for text in ("row alpha-110m", "row alpha-340m", "echo: exit code 1 for 1 of 2 rows"):
            assert text in session.text
        await session.press("escape", "f7")
        assert session.said == "Alpha 340M has no hub"


async def test_output_is_clean_and_bounded(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioretrieval_tui.tui.command_session.MOST_OUTPUT", 40)
    configure(command(r"printf '\033]0;x\007visible\n'; yes | head -n 100000"))
    async with running(make_app(small), (120, 40), pane="papers") as session:
        await session.press("f6")
        await over(session)
        assert "visible" in session.text
        assert "(more is not shown)" in session.text


async def test_what_is_left_running_is_not_awaited(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioretrieval_tui.tui.command_session._REST", 0.01)
    configure(command("echo begun; sleep 60 & ", output="background"))
    async with running(make_app(small), (120, 30)) as session:
        await session.press("f6")
        await over(session)
        assert session.said == "echo is done: begun"


async def test_one_with_a_fault_is_told_and_has_no_key(small: Catalogue) -> None:
    configure(command("echo {nmae}", pane="papers"))
    async with running(make_app(small), (200, 30)) as session:
        assert "command.command: there is no field {nmae}; did you mean name?" in session.text
        await session.press("3", "f6")
        assert not session.app.workers._workers


async def test_a_shell_that_is_not_there_is_replaced(
    small: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/nowhere/sh")
    configure(command("echo here", output="background"))
    async with running(make_app(small), (120, 30)) as session:
        await session.press("f6")
        await over(session)
        assert session.said == "echo is done: here"


async def test_one_that_runs_ends_with_the_app(small: Catalogue, tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    configure(command(f"trap 'touch {ended}; exit' TERM; touch {begun}; sleep 60 & wait"))
    async with running(make_app(small), (120, 30)) as session:
        session._post("f6")
        await session._drain()
        async with asyncio.timeout(30):
            while not begun.exists():
                await asyncio.sleep(0.01)
        assert not ended.exists()
    async with asyncio.timeout(30):
        while not ended.exists():
            await asyncio.sleep(0.01)


async def test_a_command_that_is_too_long_is_told(small: Catalogue) -> None:
    configure(command("true " + "x" * 200_000))
    async with running(make_app(small), (120, 30)) as session:
        await session.press("f6")
        await over(session)
        assert "/bin/sh does not start: Argument list too long" in session.said


# Themes ---------------------------------------------------------------------------------------


OURS = {name: DARK.colours[name] for name in COLOURS}


def theme(name: str, colours: dict[str, str]) -> None:
    path = places().config / "themes" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in colours.items()))


def test_a_theme_has_the_colours_of_ours() -> None:
    for look in (DARK, LIGHT):
        assert look.colours.keys() == {*COLOURS, "on_match"}  # of the background, if not given


async def test_a_theme_of_the_user_is_offered_and_kept(small: Catalogue) -> None:
    theme("sepia", OURS | {"background": "#302010"})
    theme("broken", {"background": "#302010"})
    configure('theme = "light"\n')
    async with running(make_app(small), (120, 30)) as session:
        assert session.app.look.name == "light"
        assert "broken.toml: lacks colours" in session.words
        await session.press("t", "down", "down", "enter")
        assert session.app.look.name == "sepia"
    async with running(make_app(small), (120, 30)) as session:
        assert session.app.look.name == "sepia"
        assert session.app.look.style("text").bgcolor.name == "#302010"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["sepia", "broken"])
async def test_a_theme_of_the_file_is_used_if_it_can_be(small: Catalogue, name: str) -> None:
    theme("sepia", OURS)
    theme("broken", {})
    configure(f'theme = "{name}"\n')
    async with running(make_app(small), (120, 30)) as session:
        assert session.app.look.name == ("sepia" if name == "sepia" else "dark")
