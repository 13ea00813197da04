"""Evaluations that the app starts, in real child processes: figures, progress, every end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from benchmarks import write_benchmark

from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui import children
from bioretrieval_tui.tui.evaluating import Ask, Evaluations, Result, run_eval, summary
from bioretrieval_tui.tui.exploring import keep, prepare, stored, with_run
from homes import share_encoders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_benchmark(tmp_path / "tiny")


@pytest.fixture
def ready(home: Path) -> Path:
    """A home with the prepared model."""
    return share_encoders(home)


class Heard:
    """Runs coroutines as the app does, and writes down what it is told."""

    def __init__(self) -> None:
        self.changes = 0
        self.results: list[Result] = []
        self.work = Evaluations(self.start, self.changed, self.results.append)

    def start(self, work: Coroutine[None, None, None]) -> Any:
        return asyncio.get_running_loop().create_task(work)

    def changed(self) -> None:
        self.changes += 1

    async def idle(self) -> None:
        async with asyncio.timeout(120):
            while self.work.current is not None or self.work.queue:
                await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_figures_are_those_of_the_command_line(folder: Path, ready: Path) -> None:
    steps: list[Progress] = []
    said: list[str] = []
    answer = await run_eval(Ask(folder, ("lexical",)), steps.append, said.append)
    assert (answer.benchmark, answer.split, answer.queries) == ("tiny", "test", 3)
    (kept,) = records.records()
    assert kept.metrics == answer.runs[0].metrics
    assert kept.index == answer.index
    assert summary(answer) == f"tiny: nDCG@10 lexical {kept.metrics['nDCG@10']:.4f}"
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert "encoding" in stages
    assert stages[-1] == "running"
    assert steps[-1].done == steps[-1].total == 3
    assert any("1 judged document is not in the corpus" in line for line in said)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (Ask(Path("/nowhere"), ("lexical",)), "the benchmark /nowhere is not there"),
        (Ask(Path("/"), ("wrong",)), "there is no mode 'wrong'"),
        (Ask(Path("/"), ("dense",), model="no-such-model"), "no-such-model"),
    ],
)
async def test_the_error_is_the_one_line_that_the_command_says(ask: Ask, text: str) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        await run_eval(ask, lambda _: None)
    assert text in caught.value.line()
    assert "Traceback" not in caught.value.line()


async def test_a_path_that_no_process_takes_is_an_error() -> None:
    with pytest.raises(BioRetrievalError, match="cannot be started"):
        await run_eval(Ask(Path("/a\0b"), ("lexical",)), lambda _: None)


async def test_a_killed_child_is_told_with_its_signal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[int] = []
    spawn = children.spawn

    async def spied(*words: str) -> asyncio.subprocess.Process:
        process = await spawn(*words)
        began.append(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr("bioretrieval_tui.tui.calling.spawn", spied)
    with pytest.raises(BioRetrievalError, match="by SIGKILL"):
        await run_eval(Ask(folder, ("lexical",)), lambda _: None)
    assert gone(began[0])


async def test_stopping_ends_the_child_and_what_waits_for_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[int] = []
    spawn = children.spawn

    async def spied(*words: str) -> asyncio.subprocess.Process:
        process = await spawn(*words)
        began.append(process.pid)
        return process

    monkeypatch.setattr("bioretrieval_tui.tui.calling.spawn", spied)
    heard = Heard()
    asks = [
        Ask(folder, ("lexical",), purpose="a"), Ask(folder, ("dense",), purpose="a"),
        Ask(Path("/nowhere"), ("dense",), purpose="b"),
    ]  # fmt: skip
    assert heard.work.add(asks)
    assert not heard.work.add(asks)
    assert heard.work.all_of("a") == asks[:2]
    while not began:
        await asyncio.sleep(0.01)
    heard.work.stop()
    await heard.idle()
    assert gone(began[0])
    assert [result.ask for result in heard.results] == [asks[0], asks[2]]
    assert heard.results[0].role == "warn"
    assert "Stopped" in heard.results[0].line
    assert heard.results[1].role == "error"
    assert records.records() == []


async def test_leaving_waits_until_the_child_is_gone(folder: Path) -> None:
    heard = Heard()
    heard.work.add([Ask(folder, ("lexical",))])
    await asyncio.sleep(0.3)
    await heard.work.close()
    assert heard.work.current is None
    assert heard.results == []  # nobody is told any more
    heard.work.add([Ask(folder, ("dense",))])
    assert heard.work.current is None


# Kept rankings ------------------------------------------------------------------------------


async def test_rankings_are_kept_until_the_files_change(folder: Path, ready: Path) -> None:
    ask = with_run(Ask(folder, ("lexical",)), places())
    assert stored(ask) is None
    prepare(ask)
    answer = await run_eval(ask, lambda _: None)
    kept = keep(ask, answer)
    assert stored(ask) == kept
    assert stored(with_run(Ask(folder, ("lexical", "dense")), places())) is None
    assert stored(with_run(Ask(folder, ("lexical",), model="medcpt"), places())) is None
    explorer = SearchClient(device="cpu")
    facts = (kept.answer.split, kept.answer.sha256, kept.answer.index, kept.runs)
    try:
        rows = await explorer.open_benchmark(folder, *facts)
        assert rows is not None
        assert [row.scores["lexical"] for row in rows] == [
            records.records()[0].per_query[row.id] for row in rows
        ]
        view, document = await asyncio.gather(
            explorer.view_query("2"), explorer.read_document("d2")
        )
        assert [row.title for row in view.judged] == ["p53", None]
        assert document == ("p53", "The p53 gene suppresses the growth of tumours.")
        assert await explorer.read_document("d9") is None
        with pytest.raises(BioRetrievalError, match="no query 'x'"):
            await explorer.view_query("x")
        (folder / "qrels" / "test.tsv").write_text("1\td1\t1\n")
        assert await explorer.open_benchmark(folder, *facts) is None
    finally:
        await explorer.close()
    (ask.run_file or folder).parent.joinpath("evaluation.json").write_text("{")
    assert stored(ask) is None
