"""Steps of Get started that run: the command that is shown, in a real child process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from benchmarks import write_benchmark
from driving import Session, make_app, running
from own_records import record
from scripted import Desk
from test_tui_hostile import check

from bioretrieval_tui.backend.protocol import BenchmarkFetched, FetchBenchmarkJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Content, Loaders, Step
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.online.archives import benchmark_folder
from bioretrieval_tui.tui.dialogs.dialog import Confirm
from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
from bioretrieval_tui.tui.panes.start import StartPane
from bioretrieval_tui.tui.step_session import (
    EvalCommand,
    StepState,
    calls_of,
    check_folder,
    newest_of,
    placed,
    step_lines,
)
from homes import share_encoders

WIDE, NARROW = (120, 40), (80, 24)
ZIP = "https://example.org/facts-set.zip"


def step(*commands: str) -> Step:
    return Step(
        id="step-run", name="Run it", number=6, summary="A step.", sources=("card",),
        commands=commands,
    )  # fmt: skip


@pytest.fixture
def steps(small: Catalogue) -> Catalogue:
    """The small catalogue with two steps that evaluate, and files for a benchmark."""
    facts = small.by_id["facts-set"]
    assert isinstance(facts, Benchmark)
    with_files = msgspec.structs.replace(facts, loaders=Loaders(zip=ZIP, md5="0" * 32))
    entries = [with_files if one.id == facts.id else one for one in small.entries]
    entries.append(step("bioretrieval-tui eval facts-set -m lexical"))
    entries.append(
        msgspec.structs.replace(
            step("bioretrieval-tui eval facts-set --model alpha-110m -m dense"),
            id="step-model",
            number=7,
        )
    )
    sources = tuple(small.sources.values())
    return Catalogue(Content(entries=tuple(entries), results=small.results, sources=sources))


# Commands and folders -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("bioretrieval-tui eval a -m lexical", EvalCommand("a", ("lexical",))),
        ("bioretrieval-tui eval a", EvalCommand("a", ("dense", "lexical", "hybrid"))),
        (
            "bioretrieval-tui eval a --model m -m dense --mode lexical",
            EvalCommand("a", ("dense", "lexical"), "m"),
        ),
        ("bioretrieval-tui eval a --run /etc/passwd", None),
        ("bioretrieval-tui eval a --download", None),
        ("bioretrieval-tui eval", None),
        ("bioretrieval-tui eval 'a", None),
        ("bioretrieval-tui index remove a", None),
        ("rm -r a", None),
    ],
)
def test_only_plain_evaluations_are_run(command: str, call: EvalCommand | None) -> None:
    assert calls_of(step(command)) == ([] if call is None else [call])


def test_every_step_of_the_catalogue_can_be_run(real: Catalogue) -> None:
    found = {one.id: calls_of(one) for one in real.of_type(Step)}
    assert [call.benchmark for call in found["step-1"]] == ["nfcorpus"]
    assert found["step-1"][0].modes == ("lexical",)
    assert found["step-2"][0].model == "medcpt"
    assert found["step-3"][0].model == "bmretriever-410m"
    assert len(found["step-4"]) == 3
    assert [(call.benchmark, call.trains) for call in found["step-5"]] == [("scifact", True)]
    for calls in found.values():
        for call in calls:
            entry = real.by_id[call.benchmark]
            assert isinstance(entry, Benchmark)
            assert entry.loaders.zip
            assert entry.loaders.md5
            assert call.model is None or call.model in real.by_id


def test_folders_are_found_where_they_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    two = step("bioretrieval-tui eval one -m lexical", "bioretrieval-tui eval two -m lexical")
    assert [place.folder for place in placed(two, None, [])] == [None, None]
    one = write_benchmark(tmp_path / "work" / "datasets" / "one")
    assert [place.folder for place in placed(two, None, [])] == [one, None]
    other = write_benchmark(tmp_path / "else" / "two")
    assert [p.folder for p in placed(two, None, [tmp_path / "else"])] == [one, other]
    assert [p.folder for p in placed(two, tmp_path / "else", [])] == [one, other]
    # A benchmark itself stands for whatever the step names, once.
    assert placed(two, other, []) == (EvalCommand("two", ("lexical",), None, other),)
    check_folder(two, other)
    check_folder(two, tmp_path / "else")
    with pytest.raises(NotFoundError) as caught:
        check_folder(two, tmp_path / "work")
    assert "one, two" in caught.value.line()


def shown(state: StepState, catalogue: Catalogue) -> str:
    rows = step_lines(state, catalogue)
    return "\n".join("".join(span.text for span in row.spans) for row in rows)


def test_another_folder_is_not_taken_for_the_steps_benchmark(
    steps: Catalogue, tmp_path: Path
) -> None:
    calls = (EvalCommand("mine", ("lexical",), None, tmp_path / "mine"),)
    text = shown(StepState(calls, ("facts-set",)), steps)
    assert "its name suggests another benchmark than the step's: Facts" in text
    assert "BM25 alone needs no model" in text
    other = record("lexical", catalogue=None, benchmark="mine")
    text = shown(StepState(calls, ("facts-set",), (), (other,)), steps)
    assert "not a result of the step, which is about Facts" in text
    assert "published" not in text
    # Known by its numbers, whatever its name.
    same = record("lexical", benchmark="mine")
    assert "not a result" not in shown(StepState(calls, ("facts-set",), (), (same,)), steps)
    by_loader = (EvalCommand("Facts Set", ("lexical",), None, tmp_path / "Facts Set"),)
    assert "by its name" not in shown(StepState(by_loader, ("facts-set",)), steps)


def test_figures_are_the_newest_of_the_same_kind(steps: Catalogue) -> None:
    places = (EvalCommand("facts-set", ("lexical", "dense")),)
    new = record("lexical", value=0.5, day=9, model=MODEL_ID)
    old = record("lexical", value=0.4, day=2, model=MODEL_ID)
    other = record("dense", day=3, model="lab/alpha")
    mine = record("dense", day=1, model=MODEL_ID)
    elsewhere = record("dense", day=8, model=MODEL_ID, catalogue=None, benchmark="other")
    kept = [new, elsewhere, other, old, mine]
    assert newest_of(places, kept, steps) == (new, mine)
    by_model = (EvalCommand("facts-set", ("dense",), "alpha-110m"),)
    assert newest_of(by_model, kept, steps) == (other,)
    text = shown(StepState(by_model, ("facts-set",), ("lab/alpha",), (other,)), steps)
    assert "w fetches it (5,000 documents, licence: " in text
    assert "not a result of the step" not in text
    assert "doctor --model alpha-110m --download" in text
    assert "0.7123" in text
    assert "+0.0003 against published" in text


# The pane -----------------------------------------------------------------------------------


async def on_step(session: Session, identifier: str) -> StartPane:
    pane = session.app.pane
    assert isinstance(pane, StartPane)
    pane.go_to(identifier)
    await session.settle()
    await session.rest()
    return pane


async def finished(session: Session) -> None:
    async with asyncio.timeout(150):
        while session.app.jobs.evaluation is not None:
            await asyncio.sleep(0.05)
            await session.settle()
    await session.settle()
    await session.rest()


async def test_a_step_asks_for_its_folder_runs_and_shows_its_figure(
    steps: Catalogue, home: Path, tmp_path: Path, folder: Path
) -> None:
    share_encoders(home)
    place = write_benchmark(tmp_path / "mine")
    async with running(make_app(steps), WIDE, pane="path") as session:
        pane = await on_step(session, "step-run")
        assert "not found" in session.text
        await session.press("b")
        assert "f chooses a folder" in session.said
        await session.press("f")
        dialog = session.app.screen
        assert isinstance(dialog, BenchmarkDialog)
        dialog.picker._enter(folder)
        await session.settle()
        await session.press("b")
        assert "choose one that holds facts-set" in session.words
        dialog.picker._enter(place)
        await session.settle()
        await session.press("b")
        await session.rest()
        assert "/mine/" in session.text
        await session.press("b")
        assert "Evaluating mine" in session.rows[2]
        assert "X: stop" in session.text
        await finished(session)
        assert "mine: nDCG@10 BM25 0." in session.said
        (kept,) = pane.states["step-run"].found
        assert f"{kept.metrics['nDCG@10']:.4f}" in session.text
        assert "BM25 on mine" in session.text
    # It is remembered, folder and figure.
    async with running(make_app(steps), NARROW, pane="path") as session:
        pane = await on_step(session, "step-run")
        assert [one.folder for one in pane.states["step-run"].calls] == [place]
        await session.press("enter")
        assert f"{kept.metrics['nDCG@10']:.4f}" in session.text
        check(session)


async def test_a_step_that_runs_is_stopped_after_a_question(steps: Catalogue, folder: Path) -> None:
    write_benchmark(folder / "facts-set")
    async with running(make_app(steps), WIDE, pane="path") as session:
        await on_step(session, "step-run")
        await session.press("b", "escape")
        assert isinstance(session.app.screen, Confirm)
        await session.press("n", "b")
        assert isinstance(session.app.screen, Confirm)
        await session.press("y")
        await finished(session)
        assert "Stopped" in session.said
        assert session.app.jobs.evaluation is None


async def test_weights_that_are_missing_are_asked_for_first(
    steps: Catalogue, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    write_benchmark(folder / "facts-set")
    async with running(make_app(steps), WIDE, pane="path") as session:
        await on_step(session, "step-model")
        assert "not installed" in session.text
        await session.press("b")
        assert isinstance(session.app.screen, Confirm)
        assert "Download lab/alpha?" in session.text
        assert "Licence: mit" in session.text
        await session.press("n")
        assert session.app.jobs.evaluation is None
        monkeypatch.setenv("BIORETRIEVAL_OFFLINE", "1")
        await session.press("b")
        assert "offline mode is on" in session.said
        assert session.app.jobs.evaluation is None


async def test_the_benchmark_of_a_step_is_fetched_there(
    steps: Catalogue, folder: Path, scripted: Desk
) -> None:
    async with running(make_app(steps), NARROW, pane="path") as session:
        await on_step(session, "step-run")
        await session.press("b")
        assert "w fetches it, f chooses a folder" in session.said
        await session.press("w")
        assert "licence: " in session.text
        await session.press("y")
        assert scripted.began == [FetchBenchmarkJob("facts-set")]
        place = write_benchmark(benchmark_folder("facts-set"))
        scripted.end(BenchmarkFetched(str(place)))
        await session.settle()
        assert "Fetched the benchmark facts-set" in session.said
        await session.press("w")
        assert session.said == "Its benchmark is here"
        await session.press("enter")
        assert "not found" not in session.text


async def test_other_steps_evaluate_nothing(steps: Catalogue) -> None:
    async with running(make_app(steps), WIDE, pane="path") as session:
        await session.press("b")
        assert session.said == "This step runs nothing"
        await session.press("f")
        assert session.said == "This step runs nothing"
        assert "Run it here" not in session.text
