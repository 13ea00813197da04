"""The Indexes pane: the list, work that goes on while one browses, and every way it can end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from driving import Recorder, Session, home_places, make_app, running
from scripted import FAULTY, HITS, REJECTING, SOUND, Desk, info, job_of
from test_tui_hostile import check

from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.backend.jobs import EVERY
from bioretrieval_tui.backend.protocol import BuildJob, VectorsJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.encoding import model_files
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.encoding.model_files import Download
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, ModelError
from bioretrieval_tui.index import registry
from bioretrieval_tui.index.layout import indexes_folder
from bioretrieval_tui.index.registry import remove_index
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.tui import job_session
from bioretrieval_tui.tui.dialogs.dialog import Confirm
from bioretrieval_tui.tui.dialogs.fetch_dialogs import name_fault
from bioretrieval_tui.tui.dialogs.model_dialog import ModelDialog
from bioretrieval_tui.tui.panes.home import HomePane
from bioretrieval_tui.tui.panes.index_list import IndexesPane
from bioretrieval_tui.tui.widgets.input import QueryLine

WIDE, NARROW = (120, 30), (80, 24)
INDEXES = [
    info("catalogue", documents=217, bytes=900_000),
    info("mine"),
    info("other", dead_share=0.31, segments=3),
    info("ruin", "unfinished: 12,288 documents encoded; build it again to go on"),
    info("torn", "damaged: graph.hnsw differs from its checksum"),
]


@pytest.fixture(autouse=True)
def indexes(scripted: Desk) -> None:
    scripted.indexes = list(INDEXES)


def pane_of(session: Session) -> IndexesPane:
    assert isinstance(session.app.pane, IndexesPane)
    return session.app.pane


async def on(session: Session, name: str) -> IndexesPane:
    """The cursor on an index."""
    pane = pane_of(session)
    pane.go_to(name)
    await session.settle()
    return pane


def row(session: Session, name: str) -> str:
    """The row of an index, as the screen has it."""
    return next(r for r in session.rows if r[1:].lstrip(" ●").startswith(f"{name} "))


# The list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])
async def test_the_list_says_what_there_is(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size) as session:
        await session.press("0")
        assert session.head == "Indexes  5  66.3 MB  ● in Search"
        assert "●" in row(session, "catalogue")
        assert "5,183  21.4 MB  ok" in row(session, "mine")
        assert "31% unused" in row(session, "other")
        assert "unfinished" in row(session, "ruin")
        assert "damaged" in row(session, "torn")
        # Not what stood there when the pane was shown first.
        scripted.indexes = INDEXES[:2]
        await session.press("1", "0")
        assert session.head.startswith("Indexes  2")


async def test_the_page_says_everything(small: Catalogue) -> None:
    async with running(make_app(small), (120, 40), pane="indexes") as session:
        await on(session, "torn")
        for text in (
            "damaged: graph.hnsw differs from its checksum", "sentence-transformers/all-MiniLM",
            "5,183", "384", "float16", "cpu", "2026-11-20T10:11:12Z", "(21,400,000 bytes)",
            "102 documents/s", "2 ids", "0.998", "1, from builds",
        ):  # fmt: skip
            assert text in session.text, text
    async with running(make_app(small), NARROW, pane="indexes") as session:
        await on(session, "other")
        await session.press("enter")
        assert "31.0% of the documents stored" in session.text


async def test_none_says_how_to_make_one(small: Catalogue, scripted: Desk) -> None:
    scripted.indexes = []
    async with running(make_app(small), NARROW, pane="indexes") as session:
        assert "No index of your own yet." in session.text
        assert "b builds one here" in session.text
        assert "bioretrieval-tui index build NAME FILE..." in session.text
        for key in "xavcd":
            await session.press(key)
            assert "no index" in session.said
        await session.press("s")
        assert session.said == "No job is running"
        assert scripted.began == []


async def test_a_list_that_cannot_be_read_is_told(small: Catalogue, scripted: Desk) -> None:
    scripted.indexes = BioRetrievalError("the folder cannot be read", remedy="look at it")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        assert "the folder cannot be read; look at it" in session.head


async def test_the_chosen_index_is_searched(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("x")
        assert session.app.current == "search"
        assert session.head.startswith("Search  mine")
        assert isinstance(session.focused, QueryLine)
        await session.type("heart")
        await session.until(lambda: ("mine", "heart") in scripted.asked)
        scripted.answer("heart", HITS)
        await session.press("escape", "0")
        await session.until(lambda: "searched in Search" in session.text)
        assert "●" in row(session, "mine")
        # From the page too; what stands in the line is asked there at once.
        await on(session, "other")
        await session.press("enter", "enter")
        assert session.head.startswith("Search  other")
        await session.until(lambda: scripted.asked[-1] == ("other", "heart"))


@pytest.mark.parametrize("name", ["ruin", "torn"])
async def test_what_is_not_whole_is_not_searched(small: Catalogue, name: str) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, name)
        await session.press("x")
        assert session.app.current == "indexes"
        assert session.said.startswith(f"{name} cannot be searched: ")


async def test_the_model_is_an_entry(small: Catalogue, scripted: Desk) -> None:
    scripted.indexes = [info("mine", model="lab/alpha"), info("strange", model="/my/folder")]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("r", "a")
        assert (session.app.current, session.at) == ("models", "alpha-110m")
        await session.press("backspace", "j", "r")
        assert session.said == "There are no relations here"


async def test_the_list_can_be_exported(small: Catalogue, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await session.press("e")
        session.line.value = "indexes.json"
        await session.press("enter")
        found = json.loads((folder / "indexes.json").read_text())
        assert [one["name"] for one in found] == [one.name for one in INDEXES]


# Work -------------------------------------------------------------------------------------


async def test_progress_is_whole_here_and_short_elsewhere(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        session.app.jobs.submit(job_of("add", "mine", ("/data/more.ris",)))
        await session.settle()
        assert "Adding to mine  starting" in session.text
        scripted.step("encoding", 12_345, 28_000, rate=101.2, tokens_rate=24_800, device="cpu",
                      read=20_000, input_share=0.62)  # fmt: skip
        await session.until(lambda: "12,345 of 28,000 documents" in session.text)
        for text in ("Adding to mine  encoding", "44%", "3 min left", "101 documents/s",
                     "24,800 tokens/s", "on cpu", "20,000 read (62% of the input)"):  # fmt: skip
            assert text in session.text, text
        assert sum(r.count("━") for r in session.rows) == 13
        assert "adding 44%" in row(session, "mine")
        # One reads meanwhile; the bottom line says how far it is, and still what keys do.
        await session.press("3", "G")
        assert session.rows[-1].endswith(" Adding to mine 44%, 3 min left ")
        assert "? Help" in session.rows[-1]
        scripted.step("inserting", 28_000, 28_000)
        await session.until(lambda: "100%" in session.rows[-1])
        await session.resize(*NARROW)
        assert session.rows[-1].endswith(" Adding to mine 100% ")
        scripted.built()
        await session.settle()
        assert session.said == "Added to mine, now 5 documents: 5 read, 5 kept"
        await session.press("j")
        assert "Adding" not in session.text
        await session.press("0")
        await session.press("enter")
        assert "Added to mine, now 5 documents" in session.text


async def test_a_share_of_the_input_stands_in_for_an_unknown_total(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        session.app.jobs.submit(job_of("build", "new", ("/data",)))
        await session.settle()
        scripted.step("encoding", 512, input_share=0.25, rate=90.0, tokens_rate=9_000.0,
                      device="cuda:0", read=4_000)  # fmt: skip
        await session.until(lambda: "25% of the input" in session.text)
        for text in ("512 documents", "90 documents/s", "on cuda:0", "4,000 read"):
            assert text in session.text, text
        assert "building" in row(session, "new")  # it is listed before it is there


async def test_many_steps_are_few_looks(small: Catalogue, scripted: Desk) -> None:
    """A step a millisecond costs what four a second cost; the last one is not lost."""
    async with running(make_app(small), WIDE, pane="indexes") as session:
        told: list[int] = []
        jobs = session.app.jobs
        jobs.submit(job_of("compact", "mine"))
        await session.settle()
        changed = jobs._changed

        def look() -> None:
            if jobs.progress is not None:  # None once the work has ended, as when the app leaves
                told.append(jobs.progress.done)
            changed()

        jobs._changed = look
        for done in range(1_000):
            scripted.step("copying", done, 1_000)
        assert told == []  # nothing is painted by whoever reports
        await session.until(lambda: 999 in told)
        assert told == [999]
        assert EVERY >= 0.25


async def test_work_sends_only_what_changed_and_then_nothing(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="indexes", recorded=True) as session:
        driver = session.app._driver
        assert isinstance(driver, Recorder)
        session.app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        scripted.step("checksums", 10, 1_000, "files")
        await session.until(lambda: "10 of 1,000" in session.text)
        await session.rest()
        driver.written.clear()
        scripted.step("checksums", 11, 1_000, "files")
        await session.until(lambda: "11 of 1,000" in session.text)
        sent = "".join(driver.written)
        assert "Leaderboard" not in sent
        assert "torn" not in sent
        assert "checksums" not in sent


async def test_one_at_a_time_and_the_others_wait(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("v")
        assert session.said == "Verifying mine"
        await on(session, "other")
        await session.press("c")
        assert session.said == "Waits for verifying mine: compacting other"
        assert "waits" in row(session, "other")
        assert "then: compacting other" in session.text
        await session.press("c")
        assert "already running or waiting" in session.said
        await on(session, "torn")
        await session.press("v")
        assert [asked.name for asked in scripted.began] == ["mine"]
        # One that waits is taken out without a question.
        await session.press("s")
        assert session.said == "Dropped from the queue: verifying torn"
        scripted.verified(SOUND)
        await session.settle()
        assert session.said == "mine: 4 checks passed"
        assert scripted.began == [job_of("verify", "mine"), job_of("compact", "other")]
        scripted.built()
        await session.settle()
        assert "Compacted other: 5 documents" in session.said
        assert not session.app.jobs.current


async def test_a_verification_is_a_page(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("v")
        scripted.verified(FAULTY)
        await session.settle()
        assert session.said == "mine: 2 of 3 checks failed: files; build it again"
        assert "ok     manifest" in session.text
        assert "fault  files" in session.text
        assert "build it again" in session.rows[8]
        styles = {s.text.strip(): s.style for r in session.strips() for s in r if s.style}
        assert styles["fault"].color != styles["ok"].color
        check(session)


async def test_reasons_of_rejected_records(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        session.app.jobs.submit(job_of("build", "mine", ("x",)))
        await session.settle()
        scripted.built(report=REJECTING)
        await session.settle()
        assert session.said.endswith("12 read, 7 kept, 2 duplicates, 3 rejected")
        assert "3 records rejected" in session.text
        assert "one.xml:17  no title and no text" in session.text
        assert "two.jsonl, byte 1,024  not JSON: [bold]line[/bold]" in session.text
        assert "and 1 more" in session.text
        check(session)


@pytest.mark.parametrize(
    ("verb", "said"),
    [("build", "mine already holds all of that: 5 read, 0 kept, 5 duplicates"),
     ("compact", "mine has nothing to compact")],
)  # fmt: skip
async def test_nothing_new_is_said(small: Catalogue, scripted: Desk, verb: str, said: str) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        session.app.jobs.submit(job_of(verb, "mine", *([("x",)] if verb == "build" else [])))
        await session.settle()
        scripted.built(changed=False, report=Report(read=5, duplicates=5, documents=5))
        await session.settle()
        assert session.said == said


async def test_a_failure_is_one_line_and_stays_on_the_page(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        session.app.jobs.submit(job_of("add", "mine", ("/gone",)))
        session.app.jobs.submit(job_of("verify", "other"))
        await session.settle()
        scripted.end(IndexFault("index mine is being built\x1b[2J by [bold]x[/bold]",
                                remedy="wait for it"))  # fmt: skip
        await session.settle()
        assert "Adding to mine failed: index mine is being built" in session.rows[-1]
        assert "wait for it" in session.rows[-1]
        check(session)
        # The next begins all the same, and the page tells when the message is gone.
        assert scripted.began[-1] == job_of("verify", "other")
        await session.press("z")
        assert "Adding to mine failed" in session.text


async def test_vectors_are_added_where_there_are_none(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = SimpleNamespace(model="lab/alpha", recipe=None)
    monkeypatch.setattr(registry, "manifest_of", lambda _: named)
    monkeypatch.setattr(model_files, "missing_models", lambda *_: ())
    bm25 = info("plain", dimension=0, model="BM25 only", docs_per_second=None)
    scripted.indexes = [info("catalogue"), info("mine"), bm25, info("eval-x", cached=True)]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("V")
        assert session.said == "mine has its vectors, by sentence-transformers/all-MiniLM-L6-v2"
        await on(session, "plain")
        await session.press("V")
        await session.settle()
        assert scripted.began == [job_of("vectors", "plain")]
        # Another model is chosen, or this one fetched, where it is not here.
        scripted.end(ModelError("gone"))
        await session.settle()
        monkeypatch.setattr(model_files, "missing_models", lambda name, _: (name,))
        monkeypatch.setattr(model_files, "plan_download", offline)
        await on(session, "plain")
        await session.press("V", "enter")
        assert isinstance(session.app.screen, ModelDialog)
        assert "lab/alpha: no network; or choose a model that is here" in session.text
        await session.press("escape")
        assert len(scripted.began) == 1
        await session.press("V", *"minilm", "enter")
        assert scripted.began[1:] == [VectorsJob("plain", MODEL_ID)]
        # What evaluations made is listed when asked for.
        assert "eval-x" not in session.text
        assert "1 of evaluations hidden" in session.head
        await session.press("H")
        assert "eval-x" in session.text
        assert "hidden" not in session.head


def offline(name: str) -> Download:
    raise ModelError(f"{name}: no network")


async def test_the_bottom_line_has_what_can_be_done(small: Catalogue, scripted: Desk) -> None:
    """Of an index that is built only that its job is stopped; of one that was, to resume."""
    scripted.indexes = [info("catalogue"), info("mine"), info("plain", dimension=0)]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        for name, shown in (
            ("catalogue", "b Build  w Fetch  enter Read  x Search it  v Verify  o Open"),
            ("plain", "b Build  w Fetch  V Add vectors  enter Read  x Search it  a Add"),
        ):
            await on(session, name)
            assert shown in session.rows[-1]
        session.app.jobs.submit(job_of("build", "mine", ("x",)))
        await session.settle()
        await on(session, "mine")
        assert "b Build  w Fetch  s Stop  enter Read  o Open" in session.rows[-1]
        for key in ("d", "delete"):
            await session.press(key)
            assert session.said == "Building mine: s stops it, then d deletes mine"
        scripted.end(BioRetrievalError("no space"))
        await session.settle()
        await session.press("j", "k")
        assert "p Resume" in session.rows[-1]
        assert "d Delete" in session.rows[-1]
        assert "s Stop" not in session.rows[-1]


async def test_stopping_asks(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), NARROW, pane="indexes") as session:
        session.app.jobs.submit(job_of("build", "new", ("x",)))
        session.app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        await on(session, "catalogue")
        for keys in (("s", "escape"), ("s", "n"), ("s", "enter"), ("s", "left", "right", "enter")):
            await session.press(*keys)
            assert scripted.stopped == []
            assert session.app.jobs.current
        await session.press("s")
        assert "Stop building new?" in session.text
        assert "Vectors already made are kept" in session.text
        await session.press("y")
        assert scripted.stopped == ["new"]
        assert session.said.startswith("Stopped: building new; vectors already made are kept")
        # It stays in the list, by what became of it.
        assert [row.split()[:2] for row in session.rows if " new " in row[:20]] == [
            ["new", "stopped"]
        ]
        assert scripted.began[-1] == job_of("verify", "mine")
        await session.press("s")
        assert "Nothing was changed" in session.text
        # It ends while the question stands: the answer stops nothing else.
        session.app.jobs.submit(job_of("verify", "other"))
        scripted.verified(SOUND)
        await session.settle()
        await session.press("y")
        assert scripted.stopped == ["new"]
        assert session.app.jobs.current == job_of("verify", "other")


async def test_the_cursor_stays_on_an_index_that_was_just_built(
    small: Catalogue, scripted: Desk
) -> None:
    scripted.indexes = [info("catalogue")]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        session.app.job_session.begin(job_of("build", "new", ("x",)))
        await session.settle()
        await on(session, "new")
        scripted.built()
        await session.settle()
        assert pane_of(session).place() == "new"


async def test_removing_asks(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("x")
        await session.press("escape", "0", "d")
        assert "Remove the index mine?" in session.text
        assert "5,183 documents, 21.4 MB" in session.text
        await session.press("enter")  # the button that has the focus keeps it
        assert scripted.began == []
        await session.press("delete", "left", "enter")
        assert scripted.began == [job_of("remove", "mine")]
        scripted.removed(21_400_000)
        await session.settle()
        assert session.said == "Removed mine, 21.4 MB; u brings it back"
        assert "mine" not in [r.name for r in pane_of(session).rows]
        # Search is not left with an index that is gone.
        assert session.app.index == "catalogue"
        await session.press("9")
        assert session.head.startswith("Search  catalogue")
        # None is in the trash: the job was none.
        await session.press("escape", "u")
        assert session.said == "the index mine was deleted meanwhile"


async def test_an_index_comes_back_until_the_app_ends(small: Catalogue, scripted: Desk) -> None:
    folder = indexes_folder() / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(b"{}")
    async with running(make_app(small), WIDE, pane="indexes") as session:
        for key in ("u", "q"):
            await on(session, "mine")
            await session.press("d", "y")
            remove_index("mine", trash=True)
            scripted.removed(2)
            await session.settle()
            assert not folder.exists()
            scripted.indexes = [info("mine"), info("other")]
            await session.press(key)
            if key == "u":
                assert session.said == "Undone: mine removed"
                assert folder.exists()
                assert "mine" in [row.name for row in pane_of(session).rows]
    assert [path.name for path in indexes_folder().iterdir()] == [".locks"]


async def test_the_apps_own_index_is_left_alone(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "catalogue")
        for key in "acd":
            await session.press(key)
            assert session.said == "catalogue is the app's own index and keeps itself up to date"
        await session.press("v")
        assert scripted.began == [job_of("verify", "catalogue")]


async def test_the_unfinished_is_built_not_extended(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "ruin")
        for key in "acv":
            await session.press(key)
            assert "ruin is unfinished" in session.said
        await session.press("b")
        assert session.line.value == "ruin"
        assert "resumes the interrupted build" in session.text


async def test_leaving_while_work_runs_asks(small: Catalogue, scripted: Desk) -> None:
    app = make_app(small)
    async with running(app, NARROW, pane="indexes") as session:
        app.jobs.submit(job_of("build", "new", ("x",)))
        app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        await session.press("3", "q")
        assert isinstance(app.screen, Confirm)
        assert "Quit while building new runs (1 more job in the queue)?" in session.text
        assert "goes on in the background" in session.text
        assert "If it is stopped, vectors" in session.text
        assert "[ y Keep running ]    s Stop      n Cancel" in session.text
        check(session)
        for keys in (("n",), ("q", "escape"), ("q", "right", "right", "enter")):
            await session.press(*keys)
            assert app.screen is app.screen_stack[0]
        assert not app._exit
        await session.press("question_mark", "ctrl+c")
        assert isinstance(app.screen, Confirm)
        await session.press("ctrl+c")  # once more is an answer
        assert app._exit
    assert scripted.stopped == []
    assert scripted.closed == 1
    assert app.return_code == 0
    assert app._exception is None
    # The next start shows it and goes on with it.
    async with running(make_app(small), NARROW) as session:
        await session.until(lambda: "Building new" in session.rows[-1])
        scripted.step("encoding", 3, 4, rate=1.0)
        await session.until(lambda: "Building new 75%, 1 s left" in session.rows[-1])
        await session.press("0")
        assert "then: verifying mine" in session.text


@pytest.mark.parametrize("keys", [("s",), ("right", "enter")])
async def test_leaving_can_stop_all_work(
    small: Catalogue, scripted: Desk, keys: tuple[str, ...]
) -> None:
    app = make_app(small)
    async with running(app, WIDE, pane="indexes") as session:
        app.jobs.submit(job_of("build", "new", ("x",)), job_of("verify", "mine"))
        await session.settle()
        await session.press("q", *keys)
        assert app._exit
    assert (app.return_code, app._exception, scripted.closed) == (0, None, 1)
    assert scripted.stopped == ["new"]
    assert scripted.began == [job_of("build", "new", ("x",))]


async def test_what_ended_meanwhile_is_told_once(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        session.app.jobs.submit(job_of("verify", "mine"), job_of("build", "new", ("x",)))
        await session.settle()
        await session.press("q", "y")
    scripted.verified(SOUND)
    await until(lambda: len(scripted.began) == 2)
    scripted.end(BioRetrievalError("the disk is full"))
    records = JobFolder(home_places().state / "jobs")
    await until(lambda: all(record.ended for record in records.records()))
    async with running(make_app(small), (140, 30)) as session:
        await session.until(lambda: session.said)
        said = "While you were away: Building new failed: the disk is full (1 more job ended)"
        assert session.said == said
        await session.press("0")
        assert "failed" in row(session, "new")
    async with running(make_app(small), WIDE) as session:
        await session.press("0")
        assert "failed" in row(session, "new")
        assert session.said == ""


async def test_a_job_is_resumed_with_its_files_and_options(
    small: Catalogue, scripted: Desk
) -> None:
    job = BuildJob("new", ("/data/a.jsonl",), ids="pmid", passages=True)
    async with running(make_app(small), WIDE, pane="indexes") as session:
        session.app.jobs.submit(job)
        await session.settle()
        scripted.end(BioRetrievalError("no space"))
        await session.settle()
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "new")
        assert "Building new failed: no space" in session.text
        assert "p: try again, L: its log, d: remove it from the list" in session.words
        assert "p: try again, d: remove it" in session.head
        await session.press("L")
        assert "Log of job 1: Building new" in session.text
        await session.press("escape", "p")
        assert session.said == "Building new"
        assert scripted.began == [job, job]
        assert "p: resume" not in session.text
        await session.press("p")
        assert session.said == "Building new: already running or waiting"
        scripted.built()
        await session.settle()
        for name, said in (
            ("new", "No job of this index was stopped or failed"),
            ("ruin", "ruin was built in a shell: b resumes its build"),
        ):
            await on(session, name)
            await session.press("p")
            assert session.said == said


@pytest.mark.parametrize(("keys", "began"), [(("enter",), 2), (("s",), 1), (("n",), 1)])
async def test_home_leads_to_what_can_be_resumed(
    small: Catalogue, scripted: Desk, keys: tuple[str, ...], began: int
) -> None:
    """Also an evaluation or a fetched benchmark, which is no row of Indexes."""
    async with running(make_app(small), WIDE) as session:
        session.app.jobs.submit(job_of("fetch_benchmark", "scifact"))
        await session.settle()
        scripted.end(BioRetrievalError("the service is down"))
        await session.settle()
        home = session.app.pane
        assert isinstance(home, HomePane)
        title = "Fetching the benchmark scifact: failed"
        at = next(n for n, one in enumerate(home.rows) if one.text.text == title)
        home.table.move_to(at)
        await session.settle()
        await session.press("enter")
        assert "Resume fetching the benchmark scifact?" in session.text
        assert "the service is down" in session.text
        await session.press(*keys)
        assert len(scripted.began) == began
        assert (title in session.text) is (keys == ("n",))


async def test_what_was_never_built_leaves_the_list(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="indexes") as session:
        session.app.jobs.submit(job_of("build", "new", ("x",)))
        await session.settle()
        scripted.end(BioRetrievalError("no space"))
        await session.settle()
        await on(session, "new")
        await session.press("d")
        assert session.said == "new was removed from the list; nothing of it was built"
        assert "new" not in [r.name for r in pane_of(session).rows]


async def test_work_of_another_machine_is_told_and_left_alone(
    small: Catalogue, scripted: Desk
) -> None:
    folder = JobFolder(home_places().state / "jobs")
    record = JobRecord(
        id="1", job=job_of("add", "mine", ("x",)), host="node7", state="running", pid=4711,
        started="2026-11-20T10:11:12+00:00",
    )  # fmt: skip
    folder.save(record)
    async with running(make_app(small), (140, 30), pane="indexes") as session:
        await on(session, "mine")
        assert "in work on node7" in session.text
        await session.press("s")
        assert session.said == "No job is running"
        await session.press("q")
        assert session.app._exit


async def test_a_record_that_cannot_be_read_is_told_once(small: Catalogue) -> None:
    folder = home_places().state / "jobs"
    folder.mkdir(parents=True)
    (folder / "7.json").write_text('{"id": "7", "job": {')
    async with running(make_app(small), (200, 30)) as session:
        await session.until(lambda: session.said)
        assert session.said == f"1 job record in {folder} cannot be read: 7.json"
        await session.press("j")
        session.app.jobs.look()
        assert session.said == ""


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not ready():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("seconds", "config", "told"),
    [(0.0, "", True), (0.0, "notify = false\n", False), (10.0, "", False)],
)
async def test_the_end_of_a_long_job_rings_the_bell(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch,
    seconds: float, config: str, told: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(job_session, "LONG_JOB", seconds)
    path = home_places().config / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(config)
    async with running(make_app(small), WIDE, pane="indexes", recorded=True) as session:
        driver = session.app._driver
        assert isinstance(driver, Recorder)
        session.app.jobs.submit(job_of("verify", "mine"))
        await session.settle()
        scripted.verified(SOUND)
        await session.settle()
        sequence = "\x07\x1b]9;bioretrieval-tui: mine: 4 checks passed\x07"
        assert (sequence in "".join(driver.written)) is told
        assert session.said == "mine: 4 checks passed"


async def test_hostile_names(small: Catalogue, scripted: Desk) -> None:
    evil = "\x1b]0;owned\x07[bold]e\x9b31mvil[/bold]\u202e\nx"
    scripted.indexes = [info(evil, "damaged: \x1b[2J" + evil, model=evil, device=evil, built=evil)]
    for size in (NARROW, WIDE, (200, 60)):
        async with running(make_app(small), size, pane="indexes") as session:
            check(session)
            assert "[bold]e" in session.text
            await session.press("enter")
            check(session)
            await session.press("escape", "d")
            check(session)
            await session.press("n")
            session.app.jobs.submit(job_of("verify", evil))
            await session.settle()
            scripted.step(evil, 1, 2, evil, note=evil, device=evil, rate=3.0, tokens_rate=1.0)
            await session.until(lambda: "50%" in session.text)
            check(session)
            await session.press("3")
            check(session)
            await session.press("q")
            check(session)
            await session.press("n")
            scripted.end(BioRetrievalError(evil))
            await session.settle()
            check(session)


async def test_papers_do_not_wait_for_a_model_that_is_missing(
    small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = SimpleNamespace(encoded=True, model="org/none", recipe=None)
    monkeypatch.setattr(registry, "manifest_of", lambda _: held)
    async with running(make_app(small), WIDE, pane="indexes") as session:
        await on(session, "mine")
        await session.press("a")
        assert "org/none" in session.said
        assert not session.app.screen.is_modal
        assert "org/none" in (name_fault("mine", ["mine"]) or "")
        assert name_fault("new", ["mine"]) is None
        held.encoded = False  # BM25 alone needs no model
        await session.press("a")
        assert session.app.screen.is_modal
    assert scripted.began == []


async def test_an_index_in_a_store_is_not_changed_there(small: Catalogue, scripted: Desk) -> None:
    scripted.indexes = [info("far", store="milvus+file:/data/far.db"), info("near")]
    async with running(make_app(small), WIDE, pane="indexes") as session:
        for name, offered in (("near", {"add", "compact"}), ("far", set())):
            await on(session, name)
            shown = {one.id for one in session.app.hint_actions()}
            assert shown & {"add", "compact"} == offered
        for key, verb in (("a", "add to"), ("c", "compact")):
            await session.press(key)
            assert session.said.startswith(f"far is in milvus+file:/data/far.db: {verb} the index")
            assert session.app.screen is session.app.screen_stack[0]
