"""The evaluation dialog: what it offers, the jobs of a choice, and its keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from benchmarks import write_benchmark
from driving import Session, make_app, running
from own_records import record
from scripted import Desk, info
from test_tui_hostile import check

from bioretrieval_tui.backend.protocol import EvaluateJob, FetchBenchmarkJob, Job
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Content, Loaders, Model
from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.benchmark import checksums, find_parts
from bioretrieval_tui.online.archives import benchmark_folder
from bioretrieval_tui.tui.dialogs.evaluation_dialog import EvaluationDialog
from bioretrieval_tui.tui.evaluation_session import (
    Candidate,
    MachineFacts,
    benchmark_at,
    plan_of,
    ranker_at,
)

ALL = ("lexical", "dense", "hybrid")
EMBEDDED = Candidate(MODEL_ID, "MiniLM")


@pytest.fixture
def offered(small: Catalogue) -> Catalogue:
    """The small catalogue; one of its benchmarks can be fetched."""
    zipped = Loaders(zip="https://example.org/covid-set.zip")
    entries = [
        msgspec.structs.replace(one, loaders=zipped)
        if isinstance(one, Benchmark) and one.id == "covid-set"
        else one
        for one in small.entries
    ]
    sources = tuple(small.sources.values())
    return Catalogue(Content(entries=tuple(entries), results=small.results, sources=sources))


# Plans --------------------------------------------------------------------------------------


def measured(folder: Path, mode: str, **other: object) -> None:
    known = {"model": MODEL_ID, "sha256": checksums(find_parts(folder))[1]} | other
    record(mode, documents=5, **known)


def test_what_was_evaluated_before_is_left_out(offered: Catalogue, folder: Path) -> None:
    place = write_benchmark(folder / "mine")
    one, alpha = benchmark_at(place, offered), offered.by_id["alpha-110m"]
    assert isinstance(alpha, Model)
    other = Candidate("lab/alpha", "Alpha", model="lab/alpha", recipe=alpha.encoding)

    def plan(*rankers: Candidate, modes: tuple[str, ...] = ALL) -> tuple[int, int, list[object]]:
        found = plan_of([one], rankers, modes, None, MachineFacts.read(offered, []))
        return found.count, found.known, [(job.model, job.modes) for job in found.jobs]

    assert plan(EMBEDDED) == (3, 0, [(None, ALL)])
    measured(place, "lexical")
    measured(place, "dense", docs_per_second=50.0)
    # BM25 is run once for each benchmark, whatever the models.
    assert plan(EMBEDDED, other) == (
        5, 2, [(None, ("hybrid",)), ("lab/alpha", ("dense", "hybrid"))]
    )  # fmt: skip
    assert plan() == (1, 1, [(None, ("lexical",))])
    assert plan(EMBEDDED, modes=("dense",)) == (1, 1, [(None, ("dense",))])
    # Another recipe makes other vectors; a folder or an index may have changed since.
    measured(place, "dense", model="lab/alpha", recipe_hash="old")
    assert plan(other, modes=("dense",))[1] == 0
    assert alpha.encoding is not None
    measured(place, "dense", model="lab/alpha", recipe_hash=recipe_hash(alpha.encoding), day=2)
    assert plan(other, modes=("dense",))[1] == 1
    measured(place, "dense", model="/models/mine")
    assert plan(replace(other, model="/models/mine", recipe=None), modes=("dense",))[1] == 0
    assert plan(Candidate("mine", "mine", index="mine"), modes=("dense",))[1] == 0
    (place / "qrels" / "test.tsv").write_text("1\td1\t1\n")
    assert plan(EMBEDDED) == (3, 0, [(None, ALL)])


def test_the_time_follows_from_earlier_builds(offered: Catalogue, folder: Path) -> None:
    place = write_benchmark(folder / "mine")
    elsewhere = write_benchmark(folder / "other", qrels="1\td1\t1\n")
    (elsewhere / "corpus.jsonl").write_text('{"_id": "d1", "text": "another"}\n')
    one, fresh = benchmark_at(place, offered), benchmark_at(elsewhere, offered)
    facts = MachineFacts.read(offered, [])
    found = plan_of([one], [EMBEDDED], ("dense",), None, facts)
    assert (found.seconds, found.unknown) == (0, ("MiniLM",))
    assert found.line() == "1 evaluation; speed here not known: MiniLM"
    measured(place, "dense", docs_per_second=0.05)
    measured(elsewhere, "lexical", day=3)  # by BM25 alone: it tells no speed
    facts = MachineFacts.read(offered, [])
    facts.sizes[checksums(find_parts(elsewhere))[1]] = 6
    facts.encoded.add((MODEL_ID, frozenset([sha256_of(place / "corpus.jsonl")])))
    found = plan_of([one, fresh], [EMBEDDED], ("dense", "hybrid"), None, facts)
    # The vectors of the first are here.
    assert (found.seconds, found.unknown) == (120, ())
    assert found.line() == "4 evaluations; 1 evaluated before; encoding about 2 min"
    found = plan_of([one], [EMBEDDED], ("dense",), None, facts)
    assert found.line() == "1 evaluation; all evaluated before: enter repeats them"


def test_run_files_fetches_and_rerankers_become_jobs(offered: Catalogue, folder: Path) -> None:
    place = write_benchmark(folder / "mine")
    one = benchmark_at(place, offered)
    (folder / "my.trec").write_text("1 Q0 d1 1 1 x\n")
    run = ranker_at(folder / "my.trec")
    facts = MachineFacts()
    (job,) = plan_of([one], [run], ALL, None, facts).jobs
    assert (job.modes, job.score) == ((), (str(folder / "my.trec"),))
    reranker = Candidate("lab/cross", "Cross", here=False, model="lab/cross").fetched()
    (job,) = plan_of([one], [EMBEDDED], ("lexical",), reranker, facts).jobs
    assert (job.modes, job.reranker, job.download) == (("lexical", "rerank"), "lab/cross", True)
    (folder / "model").mkdir()
    for path, said in ((folder / "model", "no benchmark"), (folder / "none", "nothing is at")):
        with pytest.raises(UsageError, match=said):
            ranker_at(path)
    (folder / "model" / "config.json").write_text("{}")
    assert ranker_at(folder / "model").model == str(folder / "model")


def test_what_is_here_comes_first(offered: Catalogue, folder: Path, tmp_path: Path) -> None:
    beside = write_benchmark(folder / "datasets" / "facts-set")
    remembered = write_benchmark(tmp_path / "far" / "mine")
    found = MachineFacts.read(offered, [remembered]).benchmarks
    assert [(one.folder, one.here) for one in found[-1:]] == [(None, False)]
    assert {one.folder for one in found[:-1]} >= {beside, remembered}
    assert found[-1].note.startswith("w fetches it; ")
    # What was evaluated in a shell is offered while it is there.
    shell = write_benchmark(tmp_path / "shell" / "ours")
    record(folder=str(shell))
    for gone in (tmp_path / "gone", "\0", "\x1b[31m"):
        record(folder=str(gone))
    places = [one.folder for one in MachineFacts.read(offered, []).benchmarks if one.here]
    assert shell in places
    assert tmp_path / "gone" not in places
    write_benchmark(benchmark_folder("covid-set"))
    found = MachineFacts.read(offered, []).benchmarks
    assert all(one.here for one in found)
    assert {one.entry.id for one in found if one.entry} == {"facts-set", "covid-set"}
    rankers = MachineFacts.read(offered, []).rankers
    assert rankers[0].key == MODEL_ID
    assert [one.here for one in rankers] == sorted((one.here for one in rankers), reverse=True)


# Keys ---------------------------------------------------------------------------------------


def opened(session: Session) -> EvaluationDialog:
    dialog = session.app.screen
    assert isinstance(dialog, EvaluationDialog)
    return dialog


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15)])
async def test_everything_is_chosen_by_keys(
    offered: Catalogue, folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_benchmark(folder / "datasets" / "facts-set")
    (folder / "my.trec").write_text("1 Q0 d1 1 1 x\n")
    began: list[Job] = []
    async with running(make_app(offered), size, pane="benchmarks") as session:
        monkeypatch.setattr(session.app.job_session, "begin", lambda job: began.append(job) or True)
        session.app.pane.go_to("facts-set")
        await session.press("b")
        dialog = opened(session)
        assert [one.folder for one in dialog.benchmarks.chosen] == [place]
        assert "BM25 alone needs no model" in session.text
        await session.press("slash")
        await session.type("mini")
        await session.press("enter")
        assert dialog.where is dialog.rankers
        assert [one.label for one in dialog.rankers.shown] == ["all-MiniLM-L6-v2"]
        # A name of a model hides no benchmark.
        assert place in [one.folder for one in dialog.benchmarks.shown]
        await session.press("space")
        assert "3 evaluations" in session.text
        check(session)
        assert began == []
        await session.press("enter")
        assert began == [EvaluateJob(str(place), ALL, purpose="evaluation")]


async def test_a_run_file_and_a_model_are_evaluated(
    offered: Catalogue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_benchmark(folder / "datasets" / "facts-set")
    (folder / "my.trec").write_text("1 Q0 d1 1 1 x\n")
    began: list[Job] = []
    async with running(make_app(offered), (80, 24), pane="models") as session:
        monkeypatch.setattr(session.app.job_session, "begin", lambda job: began.append(job) or True)
        await session.press("b")
        dialog = opened(session)
        await session.press("enter")
        assert "Select a benchmark first" in session.text
        await session.press("slash")
        await session.type("nowhere/x")
        await session.press("enter")
        assert "nothing is at" in session.text
        await session.press("ctrl+u")
        await session.type("my.trec")
        await session.press("enter", "down", "space")
        assert dialog.rankers.selected == [str(folder / "my.trec"), MODEL_ID]
        await session.press("shift+tab", "space", "tab", "tab", "right", "right")
        assert "2 evaluations" in session.text
        await session.press("enter")
        assert began == [
            EvaluateJob(str(place), ("lexical",), purpose="evaluation"),
            EvaluateJob(str(place), (), score=(str(folder / "my.trec"),), purpose="evaluation"),
        ]


async def test_a_benchmark_is_fetched_where_one_stands(
    offered: Catalogue, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Job] = []
    async with running(make_app(offered), (80, 24), pane="benchmarks") as session:
        monkeypatch.setattr(session.app.job_session, "begin", lambda job: began.append(job) or True)
        session.app.pane.go_to("covid-set")
        await session.press("b", "space")
        assert "is not here; w fetches it" in session.text
        monkeypatch.setenv("BIORETRIEVAL_OFFLINE", "1")
        await session.press("w")
        assert "restart without it to fetch" in session.text
        monkeypatch.delenv("BIORETRIEVAL_OFFLINE")
        await session.press("w", "enter")
        place = str(benchmark_folder("covid-set"))
        assert began == [
            FetchBenchmarkJob("covid-set"),
            EvaluateJob(place, ("lexical",), purpose="evaluation"),
        ]


def test_a_folder_that_cannot_be_read_or_named_hides_no_other(
    offered: Catalogue, folder: Path
) -> None:
    beside = folder / "datasets"
    write_benchmark(beside / "b-\udc80")
    (beside / "a-loop").symlink_to(beside / "a-loop")
    place = write_benchmark(beside / "mine")
    found = MachineFacts.read(offered, []).benchmarks
    assert [one.folder for one in found if one.here and beside in one.folder.parents] == [place]


async def test_an_index_is_evaluated_as_it_is(
    offered: Catalogue, folder: Path, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_benchmark(folder / "datasets" / "facts-set")
    scripted.indexes = [info("mine")]
    began: list[Job] = []
    async with running(make_app(offered), (80, 24), pane="indexes") as session:
        monkeypatch.setattr(session.app.job_session, "begin", lambda job: began.append(job) or True)
        await session.press("B", "space", "enter")
        assert began == [EvaluateJob(str(place), ALL, index="mine", purpose="evaluation")]


async def test_what_cannot_be_evaluated_is_told(offered: Catalogue, folder: Path) -> None:
    async with running(make_app(offered), (80, 24), pane="models") as session:
        session.app.pane.go_to("gamma-2b")
        await session.press("b")
        assert "Gamma 2B cannot be run here: no archive or recipe of it is known" in session.text


@pytest.mark.parametrize(("offline", "how"), [
    ("", "w fetches it; licence: "), ("1", "offline mode is on: restart without it to fetch"),
])  # fmt: skip
async def test_a_model_that_is_not_here_is_told_before_anything_is_queued(
    offered: Catalogue, folder: Path, offline: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_OFFLINE", offline)
    write_benchmark(folder / "datasets" / "facts-set")
    began: list[Job] = []
    async with running(make_app(offered), (120, 40), pane="models") as session:
        monkeypatch.setattr(session.app.job_session, "begin", lambda job: began.append(job) or True)
        session.app.pane.go_to("alpha-110m")
        await session.press("b", "space")
        assert f"Alpha 110M is not here; {how}" in session.text
        await session.press("shift+tab", "space")
        assert "Alpha 110M is not here: BM25 alone; 1 evaluation" in session.text
        # A folder that lacks the weights is no model, in any mode but BM25.
        (folder / "mine").mkdir()
        (folder / "mine" / "config.json").write_text("{}")
        await session.press("slash")
        await session.type(str(folder / "mine"))
        await session.press("enter", "enter")
        assert "has no safetensors weights here" in session.words
        assert began == []


async def test_a_run_is_repeated_where_it_was(offered: Catalogue, tmp_path: Path) -> None:
    place = write_benchmark(tmp_path / "far" / "ours")
    record("lexical", catalogue=None, benchmark="ours", folder=str(place))
    async with running(make_app(offered), (120, 40), pane="leaderboard") as session:
        await session.press("v", "G", "b")
        dialog = opened(session)
        assert [one.folder for one in dialog.benchmarks.chosen] == [place]
        assert dialog.rankers.chosen == []
        # Above the first row no k is typed into the line.
        await session.press(*"kkk")
        assert dialog.line.value == ""
        assert dialog.where is dialog.benchmarks


@pytest.mark.parametrize("height", [9, 12])
async def test_a_low_window_shows_the_list_with_the_focus(
    small: Catalogue, tmp_path: Path, height: int
) -> None:
    for name in ("one", "two", "three", "four"):
        write_benchmark(tmp_path / name)
    read = MachineFacts(benchmarks=[benchmark_at(one, small) for one in tmp_path.iterdir()])
    dialog = EvaluationDialog(small, lambda: read, lambda _: True)
    async with running(make_app(small), (80, height)) as session:
        session.app.push_screen(dialog)
        await session.settle()
        assert sum("[ ]" in row for row in session.rows) == (4 if height == 12 else 1)
        assert "Modes" in session.text
        assert "Select a benchmark" in session.text
        await session.press("tab")
        assert sum("[ ]" in row for row in session.rows) == 1
        await session.press("slash")
        assert "▸Find" in session.text
