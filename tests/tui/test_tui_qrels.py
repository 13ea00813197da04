"""A benchmark explored in the app, ranked by a real child process and read by another."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from benchmarks import write_benchmark
from driving import Session, make_app, running
from test_tui_hostile import check

from bioretrieval_tui.backend.protocol import EvaluateJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.evaluation.qrels import QueryRow
from bioretrieval_tui.render.evaluations import pair_title
from bioretrieval_tui.tui.dialogs.dialog import Confirm
from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane, document_columns, query_columns
from bioretrieval_tui.tui.qrels_session import arranged, pairs, with_run_file
from bioretrieval_tui.tui.widgets.table import VirtualTable
from homes import share_encoders

WIDE, NARROW = (120, 30), (80, 24)
PAIR = ("lexical", "dense")
ROWS = [
    QueryRow("1", "Muscle pain", 2, 2, {"lexical": 0.2, "dense": 0.9}),
    QueryRow("2", "a tumour gene", 1, 1, {"lexical": 1.0, "dense": 0.1}),
    QueryRow("3", "asthma in children", 3, 1, {"lexical": 0.5, "dense": 0.5}),
]


def ids(rows: list[QueryRow]) -> list[str]:
    return [row.id for row in rows]


def test_orders_and_filters_of_queries() -> None:
    assert ids(arranged(ROWS, "", None, PAIR)) == ["1", "2", "3"]
    assert ids(arranged(ROWS, "", ("lexical", "up"), PAIR)) == ["1", "3", "2"]
    assert ids(arranged(ROWS, "", ("dense", "up"), PAIR)) == ["2", "3", "1"]
    assert ids(arranged(ROWS, "", ("dense", "down"), PAIR)) == ["1", "3", "2"]
    assert ids(arranged(ROWS, "", ("delta", "up"), PAIR)) == ["2", "3", "1"]
    assert ids(arranged(ROWS, "", ("delta", "up"), PAIR[::-1])) == ["1", "3", "2"]  # type: ignore[arg-type]
    assert ids(arranged(ROWS, "", ("text", "up"), PAIR)) == ["2", "3", "1"]
    assert ids(arranged(ROWS, "", ("relevant", "down"), PAIR)) == ["1", "2", "3"]
    assert ids(arranged(ROWS, "IN asthma", None, PAIR)) == ["3"]
    assert ids(arranged(ROWS, "2", None, PAIR)) == ["2"]
    assert ids(arranged(ROWS, "nothing", None, PAIR)) == []
    assert pairs(("a", "b", "c")) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs(("a",)) == []


@pytest.mark.parametrize("pair", pairs(("lexical", "dense", "hybrid")))
def test_the_difference_of_modes_fits_beside_a_page(pair: tuple[str, str]) -> None:
    columns = query_columns(("lexical", "dense", "hybrid"), pair)
    table = VirtualTable(columns)
    assert "delta" in [columns[i].key for i in table.columns_at(60, tall=False)]


@pytest.mark.parametrize(
    ("run", "shown"), [("my.trec", "my.trec"), ("dense", "dense"), ("pubmedbert.trec", "pubmedb…")]
)
def test_the_head_of_a_difference_names_both(run: str, shown: str) -> None:
    columns = query_columns(("lexical", run), ("lexical", run))
    assert [one.title for one in columns if one.key == "delta"] == [f"{shown}\N{MINUS SIGN}BM25"]


def test_the_columns_of_run_files_have_their_names() -> None:
    runs = ("my-baseline.trec", "my-new-model.trec")
    for columns in (query_columns(runs, runs), document_columns(runs)):
        known = {one.key: one for one in columns}
        assert all(known[run].width >= len(run) for run in runs)
    (delta,) = (one.title for one in query_columns(runs, runs) if one.key == "delta")
    assert delta == "my-ne…\N{MINUS SIGN}my-ba…"
    assert {one.width for one in document_columns(("lexical", "dense")) if one.priority == 1} == {7}


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    return write_benchmark(tmp_path / "tiny")


@pytest.fixture(autouse=True)
def prepared(home: Path) -> None:
    share_encoders(home)


def pane_of(session: Session) -> QrelsPane:
    assert isinstance(session.app.pane, QrelsPane)
    return session.app.pane


async def ranked(session: Session) -> QrelsPane:
    """Wait for the child and for what it ranked."""
    async with asyncio.timeout(150):
        while session.app.jobs.evaluation is not None:
            await asyncio.sleep(0.05)
            await session.settle()
    await session.settle()
    await session.rest()
    return pane_of(session)


async def test_from_the_palette_to_a_document(small: Catalogue, benchmark: Path) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.press("ctrl+p")
        await session.type("explore a benchmark")
        await session.press("enter")
        dialog = session.app.screen
        assert isinstance(dialog, BenchmarkDialog)
        dialog.picker._enter(benchmark.parent)
        await session.settle()
        await session.press("b")  # a folder of folders
        assert "it has no corpus.jsonl" in "".join(span.text for span in dialog.note.spans)
        dialog.picker._enter(benchmark)
        await session.settle()
        modes = next(iter(dialog.query("Stepper")))
        modes.focus()
        await session.press("right")  # words and meaning
        dialog.picker.table.focus()
        await session.press("b")
        assert session.app.current == "qrels"
        assert "Evaluating tiny" in session.text
        # It goes on while one browses, and says so at the bottom.
        await session.press("3")
        assert "Evaluating tiny" in session.rows[-1]
        await session.press("backspace")
        pane = await ranked(session)
        assert pane.session.modes == ("lexical", "dense")
        assert ids(pane.session.shown) == ["1", "2", "3"]
        assert "tiny test  3 queries  nDCG@10 by all-MiniLM-L6-v2" in session.head
        # The right side is about the query under the cursor.
        assert "Which drugs cause pain in muscles?" in session.rows[2]
        assert pane.session.view is not None
        assert "2 judged; top" in session.text
        rows = [row for row in session.rows if "Statins" in row]
        assert len(rows) == 1
        assert rows[0].split()[-2:] == ["2", "Statins"]
        below = session.rows[session.rows.index(rows[0]) + 1]
        assert below.split()[-3:] == ["1", "1", "d1"]
        await session.press("enter", "enter")
        assert "Simvastatin and other statins" in session.text
        assert "d1   grade 2   BM25 1   dense 1" in session.text
        await session.press("escape", "escape")
        # The lowest BM25 score first.
        keys = [column.key for column in pane.list_of_queries.columns]
        by = keys.index("lexical") - pane.list_of_queries.column
        await session.press(*["right"] * by, "s")
        assert ids(pane.session.shown)[-1] == "1"
        scores = [row.scores["lexical"] for row in pane.session.shown]
        assert scores == sorted(scores)
        await session.press("s")
        assert ids(pane.session.shown)[0] == "1"
        await session.press("s")
        assert ids(pane.session.shown) == ["1", "2", "3"]
        await session.press("slash")
        await session.type("gene")
        assert ids(pane.session.shown) == ["2"]
        assert "1 of 3" in session.head
        await session.press("enter", "enter")
        await session.settle()
        assert "not in the corpus" in session.text  # d9
        assert pair_title(("lexical", "dense")) in session.text
        await session.press("escape", "slash", "x", "escape")
        assert ids(pane.session.shown) == ["2"]
        await session.press("escape")
        assert ids(pane.session.shown) == ["1", "2", "3"]
        await session.press("u")
        assert ids(pane.session.shown) == ["2"]
        assert session.said == "Undone: filter gene cleared in Explore a benchmark"


async def test_kept_rankings_are_shown_at_once_and_others_made_anew(
    small: Catalogue, benchmark: Path
) -> None:
    ask = EvaluateJob(str(benchmark), ("lexical",), purpose="explore")
    async with running(make_app(small), NARROW) as session:
        session.app.job_session.explore(ask)
        await session.settle()
        pane = await ranked(session)
        assert ids(pane.session.shown) == ["1", "2", "3"]
        await session.press("p")
        assert "no other two modes" in session.said
        await session.press("1")
        session.app.job_session.explore(ask)
        await session.settle()
        assert session.app.jobs.evaluation is None
        assert ids(pane.session.shown) == ["1", "2", "3"]
        # Other judgements: what is kept is not of these files.
        (benchmark / "qrels" / "test.tsv").write_text("2\td2\t1\n")
        session.app.job_session.explore(ask)
        await session.settle()
        assert session.app.jobs.evaluation == with_run_file(ask, session.app.where)
        pane = await ranked(session)
        assert ids(pane.session.shown) == ["2"]
        await session.press("enter", "enter")
        assert "p53 gene suppresses" in session.text
        await session.press("a")
        assert session.app.jobs.evaluation is not None
        await ranked(session)
        assert ids(pane.session.shown) == ["2"]


async def test_what_cannot_be_ranked_is_said(small: Catalogue, tmp_path: Path) -> None:
    bad = write_benchmark(tmp_path / "bad", "1\td1\tmuch\n")
    async with running(make_app(small), NARROW) as session:
        session.app.job_session.explore(EvaluateJob(str(bad), ("lexical",), purpose="explore"))
        await session.settle()
        await ranked(session)
        assert "test.tsv:1" in session.text
        assert "is no number" in session.words
        check(session)
        await session.press("slash")
        assert "No benchmark is open" in session.said


async def test_a_model_that_is_not_here_is_said_and_nothing_queued(
    small: Catalogue, benchmark: Path
) -> None:
    async with running(make_app(small), WIDE) as session:
        job = EvaluateJob(str(benchmark), ("dense",), "lab/none", purpose="explore")
        session.app.job_session.explore(job)
        await session.settle()
        assert "the model lab/none is not on this machine" in session.words
        assert session.app.jobs.evaluation is None


async def test_stopping_asks(small: Catalogue, benchmark: Path) -> None:
    # It takes longer than the keys that stop it.
    names = [f"more-{number}" for number in range(20_000)]
    with (benchmark / "queries.jsonl").open("a") as queries:
        queries.writelines(f'{{"_id": "{one}", "text": "herons {one}"}}\n' for one in names)
    with (benchmark / "qrels" / "test.tsv").open("a") as qrels:
        qrels.writelines(f"{one}\td1\t1\n" for one in names)
    async with running(make_app(small), NARROW) as session:
        await session.press("X")
        assert session.said == "No evaluation and no training is running"
        session.app.job_session.explore(
            EvaluateJob(str(benchmark), ("lexical",), purpose="explore")
        )
        await session.settle()
        await session.press("escape")
        assert isinstance(session.app.screen, Confirm)
        await session.press("n")
        assert session.app.jobs.evaluation is not None
        await session.press("q")
        assert isinstance(session.app.screen, Confirm)
        assert "Quit while evaluating" in session.text
        await session.press("n", "X", "y")
        await ranked(session)
        assert "Stopped" in session.text


async def test_an_own_row_leads_to_its_queries(small: Catalogue, benchmark: Path) -> None:
    async with running(make_app(small), WIDE) as session:
        session.app.job_session.explore(
            EvaluateJob(str(benchmark), ("lexical",), purpose="explore")
        )
        await session.settle()
        await ranked(session)
        await session.press("7", "v")
        pane = session.app.pane
        own = [i for i, row in enumerate(pane.board.rows) if hasattr(row, "run")]  # type: ignore[attr-defined]
        assert len(own) == 1
        pane.table.move_to(own[0])  # type: ignore[attr-defined]
        await session.settle()
        await session.press("x")
        found = await ranked(session)
        assert found.session.modes == ("lexical",)  # nothing is encoded for a run of BM25
        assert found.session.job is not None
        assert found.session.job.folder == str(benchmark)
        assert "nDCG@10" in session.text
        assert "MiniLM" not in session.text  # it had no part


async def test_hostile_queries_and_documents_are_text(
    small: Catalogue, tmp_path: Path, folder: Path
) -> None:
    evil = "\x1b[31mred\x07 [bold]x[/bold] \u202e"
    place = write_benchmark(tmp_path / "evil")
    (place / "queries.jsonl").write_text(
        json.dumps({"_id": "1", "text": evil + "muscle pain"}) + "\n"
    )
    with (place / "corpus.jsonl").open("a") as out:
        out.write(json.dumps({"_id": evil, "title": evil, "text": evil + "pain"}) + "\n")
    (place / "qrels" / "test.tsv").write_text("1\td1\t1\n")
    async with running(make_app(small), WIDE) as session:
        session.app.job_session.explore(EvaluateJob(str(place), ("lexical",), purpose="explore"))
        await session.settle()
        pane = await ranked(session)
        if pane.session.problem:  # an id with blanks cannot stand in a run file, and that is said
            assert "cannot be in a TREC run file" in session.text
            check(session)
            return
        await session.press("enter", "enter")
        check(session)
        await session.press("e")
        session.line.value = "out.json"
        await session.press("enter")
        assert json.loads((folder / "out.json").read_text())[0]["id"] == "1"
