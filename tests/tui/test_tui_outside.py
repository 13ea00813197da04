"""Links, clipboard and files: what leaves the app, and what it says about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import DESKTOP, NOTHING, OVER_SSH, Programs, Session, make_app, running
from fixed_catalogue import fixed_catalogue

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content, Link, Paper
from bioretrieval_tui.render.formats import EXTENSIONS
from bioretrieval_tui.tui.dialogs.dialog import ExportDialog, PageDialog
from bioretrieval_tui.tui.widgets.canvas import Detail

WIDE = (120, 30)


@pytest.fixture
def browser(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs.add("surf")
    monkeypatch.setenv("BROWSER", "surf")
    return programs


# Opening ----------------------------------------------------------------------------------------


async def test_o_opens_the_first_link(small: Catalogue, browser: Programs) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("o")
        assert browser.calls == ["surf https://example.org/alpha"]
        assert session.said == "opened with surf"
        await session.press("j", "enter", "o")
        assert browser.calls[-1] == "surf https://example.org/beta"
        assert isinstance(session.focused, Detail)


async def test_l_and_a_letter_open_that_link(small: Catalogue, browser: Programs) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("l")
        assert "link: type its letter" in session.head
        await session.press("b")
        assert browser.calls == ["surf https://example.org/alpha-code"]
        assert "link" not in session.head


async def test_without_a_browser_the_address_is_shown_whole_and_copied(small: Catalogue) -> None:
    long = Paper(
        id="long", name="Long", title="Long", summary="Text.", sources=("card",),
        links=(Link(label="page", url="https://example.org/" + "path/" * 60, type="site"),),
    )  # fmt: skip
    catalogue = Catalogue(Content(entries=(long,), results=(), sources=()))
    for size in (WIDE, (60, 15)):
        app = make_app(catalogue, capabilities=OVER_SSH)
        async with running(app, size, pane="papers", recorded=True) as session:
            await session.press("o")
            assert isinstance(session.app.screen, PageDialog)
            assert session.copied() == [long.links[0].url]
            shown = "".join(row.strip("│ ") for row in session.rows)
            assert long.links[0].url in shown.replace(" ", "")
            assert session.links() == {long.links[0].url}
            assert "sent to your terminal's clipboard" in session.text
            await session.press("escape")
            assert session.app.screen is session.app.screen_stack[0]


async def test_with_neither_browser_nor_clipboard_the_address_is_shown(
    small: Catalogue, programs: Programs
) -> None:
    async with running(make_app(small, capabilities=NOTHING), WIDE, pane="papers") as session:
        await session.press("o")
        assert isinstance(session.app.screen, PageDialog)
        assert "https://example.org/alpha" in session.text
        assert "copied" not in session.text
        assert "sent" not in session.text


async def test_a_browser_that_fails_is_none(
    small: Catalogue, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("surf", "exit 3")
    monkeypatch.setenv("BROWSER", "surf")
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("o")
        assert programs.calls == ["surf https://example.org/alpha"]
        assert isinstance(session.app.screen, PageDialog)


async def test_what_is_no_address_is_never_opened_nor_copied(
    small: Catalogue, browser: Programs
) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="papers", recorded=True) as session:
        session.app.jump("hostile-paper")
        await session.settle()
        for letter in "abc":
            await session.press("l", letter)
            assert session.said.startswith("not an http or https address: ")
            assert session.app.status.role == "error"
            assert "\x1b" not in session.text
        assert browser.calls == []
        assert session.copied() == []


# Copying ----------------------------------------------------------------------------------------


async def test_y_copies_the_first_link(small: Catalogue) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="papers", recorded=True) as session:
        await session.press("y")
        assert session.copied() == ["https://example.org/alpha"]
        # Nothing confirms it over SSH: never "copied".
        assert session.said == "link: sent to your terminal's clipboard"
        await session.press("enter", "y", "l", "B")
        assert session.copied()[1:] == [
            "https://example.org/alpha",
            "https://example.org/alpha-code",
        ]


async def test_on_a_desktop_the_native_tool_copies(small: Catalogue, programs: Programs) -> None:
    programs.add_clipboard("xclip")
    async with running(make_app(small, capabilities=DESKTOP), WIDE, pane="papers") as session:
        await session.press("y")
        assert programs.input.read_text() == "https://example.org/alpha"
        assert session.said == "link: copied with xclip"


async def test_where_no_clipboard_is_the_text_is_shown(
    small: Catalogue, programs: Programs
) -> None:
    async with running(make_app(small, capabilities=NOTHING), WIDE, pane="papers") as session:
        await session.press("y")
        assert isinstance(session.app.screen, PageDialog)
        assert "https://example.org/alpha" in session.text
        assert "select the text by hand" in session.text
        await session.press("q")
        assert not session.app._exit  # q closes the dialog, not the app
        await session.press("Y")
        assert "@" in session.text
        assert "Alpha: dense retrieval" in session.text


async def test_shift_y_copies_bibtex(small: Catalogue) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="papers", recorded=True) as session:
        await session.press("Y")
        (record,) = session.copied()
        assert record.startswith("@")
        assert "Alpha: dense retrieval for abstracts" in record
        assert "1901.00001" in record
        assert session.said == "BibTeX: sent to your terminal's clipboard"
        await session.press("8", "Y")  # a step is no work to cite
        assert session.said == "There is nothing to cite here"


async def test_hostile_text_is_copied_clean(small: Catalogue) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="path", recorded=True) as session:
        await session.press("G", "c")
        (command,) = session.copied()
        assert command.endswith("rm")
        assert command.isprintable()
        assert "[bold]" in command


async def test_c_copies_the_first_command(small: Catalogue) -> None:
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="path", recorded=True) as session:
        await session.press("c")
        assert session.copied() == ["bioretrieval-tui search 'heart failure'"]
        await session.press("j", "j", "c")
        assert session.said == "This step has no command"
        assert len(session.copied()) == 1


# Exporting --------------------------------------------------------------------------------------


async def written(session: Session, name: str) -> None:
    """Press e, type a name, enter."""
    await session.press("e")
    assert isinstance(session.app.screen, ExportDialog)
    await session.press("ctrl+u", "end", "ctrl+u")
    await session.type(name)
    await session.press("enter")


def looks_like(suffix: str, text: str) -> bool:
    if suffix == ".json":
        return [entry["id"] for entry in json.loads(text)][:2] == ["alpha-paper", "beta-paper"]
    if suffix == ".jsonl":
        return [json.loads(row)["id"] for row in text.splitlines()][1] == "beta-paper"
    begins = {
        ".md": "|",
        ".markdown": "|",
        ".csv": "id,",
        ".bib": "@",
        ".csl.json": '"title": "Alpha',
        ".ris": "TY  - ",
        ".xml": "<ref-type",
        ".txt": "",
        ".tex": "% needs",
    }
    return begins[suffix] in text and "Alpha" in text


@pytest.mark.parametrize("suffix", EXTENSIONS)
async def test_e_writes_each_format(small: Catalogue, folder: Path, suffix: str) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await written(session, f"out{suffix}")
        assert session.said == f"Wrote out{suffix}"
        text = (folder / f"out{suffix}").read_text()
        assert looks_like(suffix, text), text[:200]
        assert "\x1b" not in text
        assert [path.name for path in folder.iterdir()] == [f"out{suffix}"]


async def test_e_writes_what_is_shown_in_its_order(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("slash")
        await session.type("filler year<2004")
        await session.press("enter", "right", "s", "s", "e")
        assert "Export 3 rows to a file" in session.text
        assert session.line.value == "bioretrieval-papers.md"
        await session.press("end", *["backspace"] * 2)
        await session.type("jsonl")
        await session.press("enter")
        lines = (folder / "bioretrieval-papers.jsonl").read_text().splitlines()
        assert [json.loads(row)["id"] for row in lines] == ["filler-03", "filler-02", "filler-01"]


async def test_the_cursor_stands_before_the_ending(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="models") as session:
        await session.press("e")
        await session.type("-2")
        await session.press("enter")
        assert session.said == "Wrote bioretrieval-models-2.md"
        assert (folder / "bioretrieval-models-2.md").exists()


async def test_an_existing_file_needs_a_second_enter(small: Catalogue, folder: Path) -> None:
    (folder / "old.md").write_text("years of work")
    async with running(make_app(small), WIDE, pane="papers") as session:
        await written(session, "old.md")
        assert "old.md exists: enter again to replace it" in session.text
        assert (folder / "old.md").read_text() == "years of work"
        # Another name, and back: the question is asked again.
        await session.press("backspace", "d", "enter")
        assert "enter again" in session.text
        await session.press("x", "backspace", "enter")
        assert "enter again" in session.text
        assert (folder / "old.md").read_text() == "years of work"
        await session.press("enter")
        assert session.said == "Wrote old.md"
        assert "Alpha" in (folder / "old.md").read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.pdf", "no format has the extension '.pdf'; use one of .md"),
        ("out", "no format has the extension"),
        ("", "Type a file name"),
        ("   ", "Type a file name"),
        ("file/out.md", "cannot write"),
        ("sub.md", "sub.md is a folder; name a file in it"),
    ],
)
async def test_a_bad_name_is_told_and_nothing_is_written(
    small: Catalogue, folder: Path, name: str, says: str
) -> None:
    (folder / "file").write_text("a file where a folder should be")
    (folder / "sub.md").mkdir()
    async with running(make_app(small), WIDE, pane="papers") as session:
        await written(session, name)
        if name == "sub.md":
            await session.press("enter")
        assert isinstance(session.app.screen, ExportDialog)
        assert says in " ".join(session.text.replace("│", " ").split())
        assert sorted(path.name for path in folder.iterdir()) == ["file", "sub.md"]
        await session.press("escape")
        assert session.app.screen is session.app.screen_stack[0]


async def test_a_folder_that_is_not_there_is_made(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await written(session, "new/out.csv")
        assert (folder / "new" / "out.csv").exists()


@pytest.mark.parametrize(
    ("ending", "form"), [("bib", "bibtex"), ("csl.json", "csl"), ("xml", "endnote")]
)
async def test_nothing_to_cite_is_nothing_to_write(
    small: Catalogue, folder: Path, ending: str, form: str
) -> None:
    async with running(make_app(small), WIDE, pane="path") as session:
        await session.press("slash")
        await session.type("number:3")
        await session.press("enter")
        await written(session, f"out.{ending}")
        assert f"nothing here can be written as {form}" in session.text
        assert list(folder.iterdir()) == []


async def test_escape_leaves_the_export(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="papers") as session:
        await session.press("e", "escape")
        assert session.app.screen is session.app.screen_stack[0]
        assert session.said == ""
        assert list(folder.iterdir()) == []


async def test_every_list_can_be_written(folder: Path) -> None:
    """Also with hostile entries: what is written is clean and parses."""
    async with running(make_app(fixed_catalogue()), WIDE) as session:
        for digit, name in enumerate(
            ("timeline", "papers", "models", "datasets", "benchmarks", "leaderboard", "path"), 2
        ):
            await session.press(str(digit))
            await session.press("e")
            session.line.value = f"{name}.json"
            await session.press("enter")
            found = json.loads((folder / f"{name}.json").read_text())
            assert len(found) == len(session.entries.shown)
