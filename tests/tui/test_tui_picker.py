"""Choosing files, and the dialogs that build an index and add to one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from driving import Session, make_app, running
from scripted import Desk, info, job_of, verb_of
from test_tui_hostile import check
from textual import events

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model, Side
from bioretrieval_tui.encoding import model_files
from bioretrieval_tui.encoding.model_files import Download
from bioretrieval_tui.errors import BioRetrievalError, ModelError
from bioretrieval_tui.tui.dialogs.file_dialogs import FilesDialog
from bioretrieval_tui.tui.dialogs.model_dialog import ModelDialog, ModelLine
from bioretrieval_tui.tui.folders import FolderEntry, completed, entries, folder_of, matching, short
from bioretrieval_tui.tui.index_session import model_choices, suggested_name, unused_name
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper
from bioretrieval_tui.tui.widgets.picker import FilePicker, PathLine
from bioretrieval_tui.tui.widgets.table import VirtualTable
from bioretrieval_tui.util.formatting import percent, plural, rate, size, time_left

WIDE, NARROW = (120, 36), (80, 24)
EVIL = "evil\x1b[31m [bold]x[bold]\n\u202eb.jsonl"


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with folders in it; the working folder is `data` there."""
    monkeypatch.setenv("HOME", str(folder))
    place = folder / "data"
    (place / "scifact" / "qrels").mkdir(parents=True)
    (place / ".cache").mkdir()
    for name, length in (
        ("pubmed24n0001.xml.gz", 1_900_000), ("pubmed24n0002.xml.gz", 2_100_000),
        ("Zotero.ris", 12_000), ("scifact/corpus.jsonl", 300), (".secret.ris", 1), (EVIL, 100),
    ):  # fmt: skip
        (place / name).write_bytes(b"x" * length)
    os.mkfifo(place / "pipe")
    (place / "gone.ris").symlink_to(place / "nowhere")
    os.chdir(place)
    return place


@pytest.fixture(autouse=True)
def indexes(scripted: Desk) -> None:
    scripted.indexes = [info("mine"), info("ruin", "unfinished: 1 document encoded")]


def picker_of(session: Session) -> FilePicker:
    return session.app.screen.query_one(FilePicker)


def name_line(session: Session) -> QueryLine:
    screen = session.app.screen
    assert isinstance(screen, FilesDialog)
    return screen.into


def name_of(session: Session) -> str:
    return name_line(session).value


async def into_name(session: Session) -> None:
    name_line(session).focus()
    await session.settle()


def names(session: Session) -> list[str]:
    return [entry.shown for entry in picker_of(session).shown]


def taken(session: Session) -> list[str]:
    return [path.name for path in picker_of(session).selected]


# Building ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])
async def test_from_files_to_a_build(
    small: Catalogue, scripted: Desk, data: Path, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="indexes") as session:
        await session.press("b")
        assert isinstance(session.focused, PathLine)
        assert picker_of(session).line.value == "~/data/"
        await session.type("pub")
        assert names(session) == ["pubmed24n0001.xml.gz", "pubmed24n0002.xml.gz"]
        assert "1.9 MB" in session.text
        await session.press("down", "space", "j", "space")
        assert "Selected: 2 files, 4.0 MB" in session.text
        assert name_of(session) == "pubmed24n0001"
        await session.press("tab")
        await session.type("my-papers")  # in place of the name that is suggested
        assert name_of(session) == "my-papers"
        assert "a new index" in session.text
        for field in (Stepper, ModelLine, Buttons):
            await session.press("tab")
            assert isinstance(session.focused, field)
        await session.press("enter")
        files = tuple(str(data / f"pubmed24n000{n}.xml.gz") for n in (1, 2))
        assert scripted.began == [job_of("build", "my-papers", files)]
        assert session.said == "Building my-papers"
        assert session.at == "my-papers"
        scripted.built()
        await session.settle()
        assert session.said == "Built my-papers, 5 documents: 5 read, 5 kept"
        # The next choice begins in the same folder.
        await session.press("b")
        assert picker_of(session).line.value == "~/data/"


async def test_a_folder_is_taken_as_a_whole(small: Catalogue, scripted: Desk, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", "tab", "enter")
        assert picker_of(session).folder == data / "scifact"
        await session.press("G", "space")
        assert taken(session) == ["corpus.jsonl"]
        assert name_of(session) == "scifact"  # after the folder
        await session.press("left", "space")
        assert taken(session) == ["scifact"]  # what was within it goes with it
        assert name_of(session) == "scifact"
        assert "Selected: 1 folder  scifact" in session.text
        await session.press("right", "G", "space")
        assert taken(session) == ["scifact"]
        assert "its folder scifact is already selected" in session.text
        await session.press("b")
        assert scripted.began == [job_of("build", "scifact", (str(data / "scifact"),))]


async def test_what_is_typed_as_a_name_is_kept(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        await into_name(session)
        await session.type("own")
        await session.press("shift+tab", "space")
        assert name_of(session) == "own"


@pytest.mark.parametrize(
    ("name", "said"),
    [("Mine", "use a-z 0-9 - _ ."), ("a/b", "with a letter or digit at both ends"),
     ("catalogue", "catalogue is the app's own index"), ("x" * 80, "at most 64 characters"),
     ("mine", "replaces mine (5,183 documents) once it is complete"),
     ("ruin", "resumes the interrupted build")],
)  # fmt: skip
async def test_a_name_is_judged_at_once(
    small: Catalogue, scripted: Desk, data: Path, name: str, said: str
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        await into_name(session)
        await session.type(name)
        assert said in session.text
        await session.press("shift+tab", "space", "b")
        valid = name in ("mine", "ruin")
        assert [asked.name for asked in scripted.began] == ([name] if valid else [])
        if not valid:
            assert session.focused is name_line(session)  # where it can be put right
            check(session)


async def test_nothing_begins_without_files_or_name(
    small: Catalogue, scripted: Desk, data: Path
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        for tabs in (2, 3):  # from the name, and from a field below it
            await session.press("b", *["tab"] * tabs, "enter")
            assert "Select files first" in session.text
            assert isinstance(session.focused, VirtualTable)
            await session.press("space", "tab", "ctrl+u", "enter")
            assert "Name it first" in session.text
            assert session.focused is name_line(session)
            await session.press("escape")
        assert scripted.began == []
        for keys in (("b", "escape"), ("b", "enter", "escape"),
                     ("b", *["tab"] * 5, "right", "enter")):  # fmt: skip
            await session.press(*keys)
            assert session.app.screen is session.app.screen_stack[0]
        assert scripted.began == []


def with_models(*names: str) -> Catalogue:
    from bioretrieval_tui.catalog.models import Content

    def model(name: str, **recipe: object) -> Model:
        side = Side(model=f"lab/{name}", template="{title} {text}", max_length=512)
        how = {
            "type": "bi-encoder", "grade": "A", "library": "transformers", "query": side,
            "document": side, "pooling": "cls", "normalise": True, "similarity": "cosine",
        }  # fmt: skip
        encoding = Encoding(**{**how, **recipe})  # type: ignore[arg-type]
        return Model(
            id=name, name=name.title(), summary=".", role="retriever", sources=("card",),
            hub=(f"lab/{name}",), encoding=encoding, params=109_000_000, licence="mit",
        )  # fmt: skip

    entries = tuple(map(model, names)) or (
        model("good"),
        model("odd", requires="of-its-own"),
        model("late", type="late-interaction"),
    )
    return Catalogue(Content(entries=entries, results=(), sources=()))


async def test_a_model_whose_recipe_can_run_is_chosen(
    scripted: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: str) -> Download:
        raise ModelError("there is no network")

    monkeypatch.setattr(model_files, "plan_download", offline)
    catalogue = with_models()
    assert [one.label for one in model_choices(catalogue)] == ["all-MiniLM-L6-v2", "Good"]
    async with running(make_app(catalogue), WIDE, pane="indexes") as session:
        await session.press("b", "tab", "space", "tab", "tab", "tab")
        assert "all-MiniLM-L6-v2" in session.text
        assert "comes with the app" in session.text
        assert "enter Choose from 2 models" in session.text
        await session.press("enter", *"goo")
        assert "Not on this machine (109M parameters, licence mit): enter fetches" in session.text
        assert isinstance(session.app.screen, ModelDialog)
        said = "".join(span.text for span in session.app.screen.note.spans)
        assert said.endswith("bioretrieval-tui doctor --model good --download")
        assert "--download" in session.text  # whole
        await session.press("enter")
        assert "there is no network; or choose a model that is here" in session.text
        assert isinstance(session.app.screen, ModelDialog)
        plan = Download("lab/good", "0", {"x": 1}, 90_000_000, "MIT", False)
        monkeypatch.setattr(model_files, "plan_download", lambda _: plan)
        await session.press("enter")
        assert "lab/good: 1 files, 90.0 MB, licence MIT" in session.text
        await session.press("n", "enter", "y")
        assert "Good  is fetched first" in session.text
        await session.press("tab", "enter")
        asked = scripted.began[0]
        assert (asked.model, asked.download) == ("lab/good", True)
        assert asked.recipe == catalogue.of_type(Model)[0].encoding


async def test_models_that_are_here_come_first(
    scripted: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = with_models("other", "good")
    monkeypatch.setattr(
        model_files, "missing_models", lambda name, _: () if "good" in name else (name,)
    )
    async with running(make_app(catalogue), NARROW, pane="indexes") as session:
        await session.press("b", "tab", "space", "tab", "tab", "tab", "enter")
        dialog = session.app.screen
        assert isinstance(dialog, ModelDialog)
        assert [one.label for one in dialog.shown] == ["all-MiniLM-L6-v2", "Good", "Other"]
        assert session.text.count("yes") == 2
        await session.press("down", "enter", "tab", "enter")
        assert (scripted.began[0].model, scripted.began[0].download) == ("lab/good", False)


async def test_adding_asks_for_files_only(small: Catalogue, scripted: Desk, data: Path) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("a")
        assert isinstance(session.app.screen, FilesDialog)
        assert "Add files to mine" in session.text
        await session.type("zot")
        await session.press("enter")  # the only one that has this in its name
        assert taken(session) == ["Zotero.ris"]
        assert "enter Add" in session.text
        await session.press("enter")
        assert scripted.began == [job_of("add", "mine", (str(data / "Zotero.ris"),))]


async def test_a_benchmark_is_one_thing(small: Catalogue, scripted: Desk, data: Path) -> None:
    (data / "scifact" / "queries.jsonl").write_text("{}")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", "tab")
        assert "benchmark folder" in session.text
        await session.press("enter")
        assert (taken(session), name_of(session)) == (["scifact"], "scifact")
        # Its files are there too; all of them are the benchmark.
        await session.press("space", "l", "a")
        assert picker_of(session).folder == data / "scifact"
        assert (taken(session), name_of(session)) == (["scifact"], "scifact")
        await session.press("h", "enter")  # enter on what is selected starts
        assert scripted.began == [job_of("build", "scifact", (str(data / "scifact"),))]


@pytest.mark.parametrize("end", ["", "/"])
async def test_a_pasted_benchmark_is_selected_by_enter(
    small: Catalogue, scripted: Desk, data: Path, end: str
) -> None:
    (data / "scifact" / "queries.jsonl").write_text("{}")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        await paste(session, f"{data}/scifact{end}")
        assert names(session) == ["scifact"]
        await session.press("enter")
        assert taken(session) == ["scifact"]
        await session.press("enter")
        assert scripted.began == [job_of("build", "scifact", (str(data / "scifact"),))]
        # From within it, too.
        await session.press("g", "a")
        await session.type(f"{data}/scifact/")
        await session.press("enter")
        assert taken(session) == ["scifact"]


@pytest.mark.parametrize("size", [(60, 12), (40, 9), (20, 6)])
async def test_a_small_window_scrolls_to_the_focus(
    small: Catalogue, data: Path, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="indexes") as session:
        await session.press("b")
        assert "Files" in session.text
        await session.press("down")
        assert "▌[ ]" in session.text
        for shown in ("▸Name", "▸Search", "▸Model", "[ Build ]"):
            await session.press("tab")
            await session.until(lambda shown=shown: shown in session.text)


async def test_a_dialog_answers_once(small: Catalogue, scripted: Desk, data: Path) -> None:
    """Two presses that come before it is gone; Textual would close the next screen too."""
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", "tab", "space")
        buttons = session.app.screen.query_one(Buttons)
        for _ in range(2):
            buttons.post_message(Buttons.Pressed(0))
        await session.settle()
        assert [asked.target for asked in scripted.began] == ["scifact"]
        assert session.app.current == "indexes"


async def test_recent_places_come_first(small: Catalogue, scripted: Desk, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        for name in ("scifact", ".cache", "scifact", "gone"):
            (data / name).mkdir(exist_ok=True)
            session.app.folders.remember("any", data / name)
        (data / "gone").rmdir()
        await session.press("a")
        assert names(session)[:3] == ["~/data/scifact", "~/data/.cache", "scifact"]
        assert "recent folder" in session.text
        await session.press("tab", "enter")
        assert picker_of(session).line.value == "~/data/scifact/"
        assert "corpus.jsonl" in names(session)
        await session.press("j", "space", "b")
        assert scripted.began == [job_of("add", "mine", (str(data / "scifact/corpus.jsonl"),))]
        await session.press("a")  # begins where the files were
        assert picker_of(session).line.value == "~/data/scifact/"
        assert "~/data/scifact" not in names(session)
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a")
        assert picker_of(session).line.value == "~/data/scifact/"


# The picker -------------------------------------------------------------------------------


async def test_moving_through_folders(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a", "tab", "l")
        assert picker_of(session).line.value == "~/data/scifact/"
        assert names(session) == ["qrels", "corpus.jsonl"]
        await session.press("h")
        assert picker_of(session).line.value == "~/data/"
        entry = picker_of(session).entry
        assert entry is not None
        assert entry.name == "scifact"  # the one that was left
        await session.press("h", "h")
        assert picker_of(session).folder == data.parent.parent
        assert picker_of(session).line.value == short(data.parent.parent)
        for _ in range(20):
            await session.press("h")
        assert picker_of(session).folder == Path("/")


async def test_hidden_files_are_hidden(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a")
        assert not [name for name in names(session) if name.startswith(".")]
        await session.press("tab", ".")
        assert {".cache", ".secret.ris"} <= set(names(session))
        await session.press(".", "i")
        await session.type(".se")
        assert names(session) == [".secret.ris"]


async def test_a_path_is_typed_and_completed(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a", "ctrl+u")
        await session.type("~/da")
        await session.press("tab")
        assert picker_of(session).line.value == "~/data/"
        await session.type("sci")
        await session.press("tab")
        assert picker_of(session).line.value == "~/data/scifact/"
        assert names(session) == ["qrels", "corpus.jsonl"]
        await session.type("corpus.jsonl")
        await session.press("enter")
        assert picker_of(session).inputs == (str(data / "scifact" / "corpus.jsonl"),)
        await session.press("ctrl+u")
        await session.type(str(data) + "/pub")
        await session.press("tab")
        assert picker_of(session).line.value == f"{data}/pubmed24n000"
        await session.press("tab")  # no further: on to the list
        assert isinstance(session.focused, VirtualTable)
        await session.press("i")
        # A whole path behind the folder replaces it, typed or pasted.
        for before, whole in (
            ("~/data/", f"{data}/scifact/"), ("~/data/", "~/data/scifact/"),
            ("~/data", f"/{data}/scifact/"), ("~/da/~/x/", f"{data}/scifact/"),
        ):  # fmt: skip
            await session.press("ctrl+u")
            await session.type(before)
            await session.type(whole)
            assert picker_of(session).line.value == whole.replace("//", "/")
            assert names(session) == ["qrels", "corpus.jsonl"]
        session.app.post_message(events.Paste(f"{data}/scifact/corpus.jsonl\n"))
        await session.settle()
        assert picker_of(session).line.value == f"{data}/scifact/corpus.jsonl"
        assert names(session) == ["corpus.jsonl"]
        await session.press("ctrl+u")
        await session.type("~/nowhere/x")
        assert "No such file or directory" in session.text
        await session.press("enter")
        assert "no file here has this name" in session.text
        await session.press("ctrl+u")
        await session.type("~nobody-of-this-name/")
        assert "there is no such home" in session.text
        check(session)


@pytest.mark.parametrize("slow", [0.0, 0.3])
async def test_keys_that_come_at_once_wait_for_the_folder(
    small: Catalogue, data: Path, monkeypatch: pytest.MonkeyPatch, slow: float
) -> None:
    """As a paste into the terminal: folders are still being read when tab and enter arrive."""
    quick = entries

    def slowly(folder: Path) -> list[FolderEntry]:
        time.sleep(slow)
        return quick(folder)

    monkeypatch.setattr("bioretrieval_tui.tui.folders.entries", slowly)
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a", "ctrl+u")
        for key in ("~", *"/data/sci", "tab", *"corpus.jsonl", "enter"):
            session._post(key)
        await session.settle()
        assert picker_of(session).inputs == (str(data / "scifact" / "corpus.jsonl"),)


async def test_a_pattern_takes_what_fits(small: Catalogue, scripted: Desk, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a")
        await session.type("*.xml.gz")
        assert len(names(session)) == 2
        both = ["pubmed24n0001.xml.gz", "pubmed24n0002.xml.gz"]
        await session.press("enter")
        assert taken(session) == both
        await session.type("*.xml.gz")
        await session.press("enter")  # they stay
        assert taken(session) == both
        await session.type("*.xml.gz")
        await session.press("down", "a")  # all again: none
        assert taken(session) == []
        await session.press("i")
        await session.type(".none*")
        await session.press("enter")
        assert "no file here has this name" in session.text
        await session.press("ctrl+u")
        await session.type("*.ris")
        await session.press("enter", "enter")
        assert [one.target for one in scripted.began] == ["mine"]


async def test_what_is_no_file_is_not_taken(small: Catalogue, data: Path) -> None:
    (data / os.fsdecode(b"latin-\xe9.ris")).write_bytes(b"x")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("a", "tab")
        for name, why in (("pipe", "not a regular file"), ("gone.ris", "No such file or directory"),
                          ("latin-.ris", "its name is not UTF-8: rename it")):  # fmt: skip
            picker_of(session).table.move_to(names(session).index(name))
            await session.press("space", "enter")
            assert taken(session) == []
            assert f"{name}: {why}" in session.text
        await session.press("a")
        assert len(taken(session)) == 4
        check(session)


async def test_hostile_names_of_files(small: Catalogue, scripted: Desk, data: Path) -> None:
    (data / "dir\x1b]0;x\x07\x9b2J[b]").mkdir()
    (data / "dir\x1b]0;x\x07\x9b2J[b]" / EVIL).write_text("x")
    for screen in (NARROW, WIDE):
        async with running(make_app(small), screen, pane="indexes") as session:
            await session.press("b", "tab", "enter", "space")
            check(session)
            assert taken(session) == [EVIL]
            assert "evil [bold]x[bold] b.jsonl" in session.text
            another = "-2" if scripted.began else ""  # a job makes the first one
            assert name_of(session) == f"evil-31m-bold-x-bold-b{another}"
            await session.press("left")
            check(session)
            await session.press("b")
            check(session)
            asked = scripted.began[-1].inputs
            assert asked == (str(data / "dir\x1b]0;x\x07\x9b2J[b]" / EVIL),)
            assert Path(asked[0]).exists()  # the real name, not the one that is shown


async def test_what_is_pasted_is_clean(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        for _ in range(2):
            session.app.post_message(events.Paste("a\x1b[31m\x07b\nsecond"))
            await session.settle()
            check(session)
            await session.press("tab", "tab")


async def test_the_mouse_works_too(
    small: Catalogue, scripted: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "missing_models", lambda *_: ())
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", "tab", "space")
        await session.pilot.click(ModelLine)
        await session.press("down", "enter")
        await session.pilot.click(Buttons, offset=(3, 0))
        await session.settle()
        (asked,) = scripted.began
        assert (verb_of(asked), asked.target) == ("build", "scifact")
        assert asked.inputs == (str(data / "scifact"),)
        assert asked.model == "lab/alpha"


async def test_many_files_keep_no_key(small: Catalogue, folder: Path) -> None:
    for number in range(3_000):
        (folder / f"part-{number:04}.jsonl").touch()
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        await session.type("2999")
        assert names(session) == ["part-2999.jsonl"]
        await session.press("backspace", "backspace", "backspace", "backspace", "down", "a")
        assert "Selected: 3,000 files" in session.text


# Typed and pasted paths -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "typed", "shown"),
    [("/", "{data}/sci", ["scifact"]), ("~", "/data/sci", ["scifact"]), ("i", "sci", ["scifact"])],
)
async def test_a_path_is_typed_in_the_list(
    small: Catalogue, data: Path, keys: str, typed: str, shown: list[str]
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", "tab", "tab")
        await session.press("shift+tab", keys)
        assert isinstance(session.focused, PathLine)
        await session.type(typed.format(data=str(data).lstrip("/")))
        assert names(session) == shown
        assert picker_of(session).folder.samefile(data)


async def paste(session: Session, text: str) -> None:
    session.app.post_message(events.Paste(text))
    await session.settle()


@pytest.mark.parametrize("keys", [(), ("tab",)], ids=["line", "list"])
async def test_a_pasted_path_is_gone_to(
    small: Catalogue, scripted: Desk, data: Path, keys: tuple[str, ...]
) -> None:
    (data / "two words.ris").write_text("x")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b", *keys)
        for text in (str(data / "scifact"), "~/data/scifact/\n", f"'{data}/scifact'"):
            await paste(session, text)
            assert picker_of(session).folder.samefile(data / "scifact")
        for text in (
            "{}/two words.ris",
            "'{}/two words.ris' ",
            "{}/two\\ words.ris",
            '"{}/two words.ris"',
        ):
            await paste(session, text.format(data))
            assert names(session) == ["two words.ris"]
            assert picker_of(session).line.value == f"{data}/two words.ris"
        # What names nothing goes into the line too.
        await paste(session, f"{data}/scifact/nothing it's")
        assert picker_of(session).line.value == f"{data}/scifact/nothing it's"
        assert taken(session) == []
        session.app.post_message(events.Paste(f"{data}/two words.ris"))
        for key in ("enter", "enter"):  # select, build: in one bunch with the paste
            session._post(key)
        await session.settle()
        (asked,) = scripted.began
        assert (asked.target, asked.inputs) == ("two-words", (str(data / "two words.ris"),))


@pytest.mark.parametrize("keys", [(), ("tab",)], ids=["line", "list"])
@pytest.mark.parametrize(
    "text",
    ["{0}/a\\ b.ris {0}/scifact", "'{0}/a b.ris' '{0}/scifact' ", "{0}/a b.ris\r{0}/scifact\r",
     '"a b.ris" scifact', "~/data/a\\ b.ris\n~/data/scifact"],
)  # fmt: skip
async def test_pasted_paths_are_selected(
    small: Catalogue, scripted: Desk, data: Path, text: str, keys: tuple[str, ...]
) -> None:
    (data / "a b.ris").write_text("x")
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await session.press("b", *keys)
        await paste(session, text.format(data))
        assert taken(session) == ["a b.ris", "scifact"]
        assert "Selected: 1 file, 1 B and 1 folder" in session.text
        await session.press("enter")
        assert scripted.began == [
            job_of("build", "a-b", (str(data / "a b.ris"), str(data / "scifact")))
        ]


async def test_several_files_are_typed(small: Catalogue, data: Path) -> None:
    (data / "two words.ris").write_text("x")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        for text, names in (
            ("two\\ words.ris Zotero.ris", ["two words.ris", "Zotero.ris"]),
            ("~/data/Zotero.ris ~/data/scifact", ["two words.ris", "Zotero.ris", "scifact"]),
        ):
            await session.type(text)
            await session.press("enter")
            assert taken(session) == names
            assert picker_of(session).line.value == "~/data/"


async def test_pasted_paths_that_are_missing_are_told(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("b")
        await paste(session, f"{data}/Zotero.ris {data}/nowhere.ris {data}/pipe")
        assert taken(session) == ["Zotero.ris"]
        assert "not found: 1 of 3 paths" in session.text
        await paste(session, "no such\nthing here")  # a text, which goes into the line
        assert picker_of(session).line.value == "~/data/no such thing here"
        check(session)


async def test_bm25_alone_needs_no_model(
    small: Catalogue, scripted: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "missing_models", lambda name, _: (name,))
    async with running(make_app(with_models("good")), NARROW, pane="indexes") as session:
        await session.press("b", "tab", "space", "tab", "tab", "right")
        assert "BM25 only" in session.text
        assert "encode later: V in Indexes" in session.text
        await session.press("tab", "enter", *"goo")
        assert "licence mit): not" in session.text  # needed yet
        await session.press("enter", "tab", "enter")
        (asked,) = scripted.began
        assert (asked.lexical, asked.model, asked.download) == (True, "lab/good", False)


# Without widgets --------------------------------------------------------------------------


def test_folders(data: Path) -> None:
    found = entries(data)
    assert [e.name for e in found if e.folder] == [".cache", "scifact"]
    shown = matching(found, "", hidden=False)
    assert [e.shown for e in shown] == [
        "scifact", "evil [bold]x[bold] b.jsonl", "gone.ris", "pipe", "pubmed24n0001.xml.gz",
        "pubmed24n0002.xml.gz", "Zotero.ris",
    ]  # fmt: skip
    assert completed(shown, "pub") == "pubmed24n000"
    assert completed(shown, "zot") == "Zotero.ris"
    assert completed(shown, "s") == "scifact/"
    assert completed(shown, "nothing") == "nothing"
    assert [e.name for e in matching(found, "*.RIS", hidden=False)] == ["gone.ris", "Zotero.ris"]
    assert folder_of("~/data/sci", Path("/x")) == (data, "sci")
    assert folder_of("sub/na", Path("/x")) == (Path("/x/sub"), "na")
    assert folder_of("/etc", Path("/x")) == (Path("/"), "etc")
    assert folder_of("~", Path("/x")) == (data.parent, "")
    with pytest.raises(BioRetrievalError, match="no such home"):
        folder_of("~nobody-of-this-name/x", data)
    with pytest.raises(BioRetrievalError, match="cannot be read"):
        entries(data / "nowhere")


def test_an_unused_name() -> None:
    def name(path: str, *taken: str) -> str:
        return unused_name(Path(path), taken)

    assert name("/a/My Papers.jsonl") == "my-papers"
    assert name("/a/x.ris", "x", "x-2") == "x-3"
    assert name("/bench/scifact/corpus.jsonl.gz") == "scifact"
    assert name("/a/生物.jsonl") == "a"
    assert name("/生物.jsonl") == "index"
    assert name("/a/catalogue.csv") == "catalogue-2"


def test_names_are_suggested() -> None:
    assert suggested_name("PubMed 2024 (part).xml.gz") == "pubmed-2024-part"
    assert suggested_name("生物.jsonl") == ""
    assert suggested_name("x" * 90 + ".ris") == "x" * 40
    assert suggested_name(".gz") == ""


def test_words() -> None:
    assert [plural(n, "file") for n in (0, 1, 1_024)] == ["0 files", "1 file", "1,024 files"]
    assert [plural(2, what) for what in ("query", "day")] == ["2 queries", "2 days"]
    assert [size(n) for n in (0, 512, 999, 1_000, 99_400, 99_600, 999_600, 2 * 10**15)] == [
        "0 B", "512 B", "999 B", "1.0 kB", "99.4 kB", "100 kB", "1.0 MB", "2000 TB",
    ]  # fmt: skip
    assert [time_left(n) for n in (0, 89, 90, 5_340, 5_400, 86_399, 200_000)] == [
        "0 s left", "89 s left", "2 min left", "89 min left", "1 h 30 min left",
        "24 h 0 min left", "2 days left",
    ]  # fmt: skip
    assert [percent(s) for s in (0, 0.004, 0.995, 0.9999, 1)] == ["0%", "0%", "99%", "99%", "100%"]
    assert [rate(n) for n in (0.44, 9.96, 98.4, 24_100)] == ["0.4", "10.0", "98", "24,100"]


async def test_tab_is_said_to_do_what_it_does(small: Catalogue, data: Path) -> None:
    async with running(make_app(small), (80, 24), pane="indexes") as session:
        await session.press("b")
        assert "tab Complete" in session.text
        assert "ext field" not in session.text
        await session.press("down")
        assert "tab Next field" in session.text
