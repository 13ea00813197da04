"""Evaluations as jobs, in real processes: scores, progress, every end, and kept rankings."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tui"))  # benchmarks

from benchmarks import write_benchmark

from bioretrieval_tui.backend import protocol, server
from bioretrieval_tui.backend.client import SearchClient, run_job
from bioretrieval_tui.backend.job_folder import JobRecord, evaluation_line
from bioretrieval_tui.backend.jobs import JobQueue
from bioretrieval_tui.backend.protocol import EvaluateJob, OpenBenchmark, ReadDocument, ViewQuery
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.online import archives
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui.qrels_session import (
    job_of_record,
    keep_rankings,
    run_files,
    stored_rankings,
    with_run_file,
)
from homes import share_encoders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_benchmark(tmp_path / "tiny")


@pytest.fixture
def ready(home: Path) -> Path:
    """A home with the prepared model."""
    return share_encoders(home)


async def evaluated(job: EvaluateJob, *heard: list[protocol.Event]) -> protocol.EvaluationSummary:
    found = await run_job(job, heard[0].append if heard else lambda _: None, device="cpu")
    assert isinstance(found, protocol.Evaluated)
    return found.summary


class Told(list[JobRecord]):
    """A queue and its outcomes."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(places().state / "jobs", lambda: None, self.append)

    async def idle(self) -> None:
        async with asyncio.timeout(120):
            while self.queue.all:
                await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_scores_are_those_of_the_record(folder: Path, ready: Path) -> None:
    heard: list[protocol.Event] = []
    summary = await evaluated(EvaluateJob(str(folder), ("lexical",)), heard)
    assert (summary.benchmark, summary.split, summary.queries) == ("tiny", "test", 3)
    (kept,) = records.records()
    assert kept.metrics == summary.runs[0].metrics
    assert kept.index == summary.index
    assert evaluation_line(summary) == f"tiny: nDCG@10 BM25 {kept.metrics['nDCG@10']:.4f}"
    steps = [event.progress for event in heard if isinstance(event, protocol.Progressed)]
    assert steps[-1].stage == "running"
    assert isinstance(steps[-1], Progress)
    assert steps[-1].done == steps[-1].total == 3
    said = [event.text for event in heard if isinstance(event, protocol.Remarked)]
    assert any("1 judged document is not in the corpus" in line for line in said)


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (EvaluateJob("/nowhere", ("lexical",)), "the benchmark /nowhere"),
        (EvaluateJob("/", ("wrong",)), "there is no mode 'wrong'"),
        (EvaluateJob("/a\0b", ("lexical",)), "/a"),
    ],
)
async def test_what_cannot_be_evaluated_is_one_line(job: EvaluateJob, text: str) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        await evaluated(job)
    assert text in caught.value.line()
    assert "Traceback" not in caught.value.line()


async def test_a_killed_process_is_told_with_its_signal(folder: Path) -> None:
    began: list[int] = []

    def kill(pid: int) -> None:
        began.append(pid)
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(BioRetrievalError, match="by SIGKILL"):
        await run_job(EvaluateJob(str(folder), ("lexical",)), lambda _: None, started=kill)
    assert gone(began[0])


async def test_stopping_ends_the_process_and_what_waits_for_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    jobs = [
        EvaluateJob(str(folder), ("lexical",), purpose="a"),
        EvaluateJob(str(folder), ("dense",), purpose="a"),
        EvaluateJob("/nowhere", ("dense",), purpose="b"),
    ]
    assert told.queue.submit(*jobs)
    assert not told.queue.submit(*jobs)
    assert told.queue.of_purpose("a") == jobs[:2]
    assert told.queue.evaluation == jobs[0]
    async with asyncio.timeout(60):
        while told.queue._records[0].pid is None:
            await asyncio.sleep(0.02)
    told.queue.stop()
    await told.idle()
    assert [outcome.job for outcome in told] == [jobs[0], jobs[2]]
    assert told[0].role == "warn"
    assert "Stopped" in told[0].message
    assert told[1].role == "error"
    assert records.records() == []


async def test_rankings_are_kept_until_the_files_change(folder: Path, ready: Path) -> None:
    job = with_run_file(EvaluateJob(str(folder), ("lexical",)), places())
    assert stored_rankings(job) is None
    Path(job.run_file or "").parent.mkdir(parents=True)
    kept = await evaluated(job)
    keep_rankings(job, kept)
    assert stored_rankings(job) == kept
    more = EvaluateJob(str(folder), ("lexical", "dense"))
    assert stored_rankings(with_run_file(more, places())) is None
    other = EvaluateJob(str(folder), ("lexical",), model="medcpt")
    assert stored_rankings(with_run_file(other, places())) is None
    client = SearchClient(device="cpu")
    runs = run_files(job, kept)
    opening = OpenBenchmark(str(folder), kept.split, kept.sha256, kept.index, runs)
    try:
        rows = await client.ask(opening)
        assert rows is not None
        assert [row.scores["lexical"] for row in rows] == [
            records.records()[0].per_query[row.id] for row in rows
        ]
        view = await client.ask(ViewQuery("2"))
        document = await client.ask(ReadDocument("d2"))
        assert [row.title for row in view.judged] == ["p53", None]
        assert document == ("p53", "The p53 gene suppresses the growth of tumours.")
        with pytest.raises(BioRetrievalError, match="no query 'x'"):
            await client.ask(ViewQuery("x"))
        (folder / "qrels" / "test.tsv").write_text("1\td1\t1\n")
        assert await client.ask(opening) is None
    finally:
        await client.close()
    Path(job.run_file or "").parent.joinpath("evaluation.json").write_text("{")
    assert stored_rankings(job) is None


def test_a_benchmark_is_fetched_once(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    fetched = []

    def fetch(_: object, entry: Benchmark, into: Path, **__: object) -> None:
        fetched.append(entry.id)
        write_benchmark(into)

    monkeypatch.setattr(archives, "fetch_benchmark", fetch)
    for _ in range(2):
        found = server.run_job(protocol.FetchBenchmarkJob("scifact"), "cpu", lambda _: None)
        assert isinstance(found, protocol.BenchmarkFetched)
        assert (Path(found.folder) / "corpus.jsonl").is_file()
    assert fetched == ["scifact"]
    with pytest.raises(NotFoundError, match="no benchmark has the id 'medcpt'"):
        server.run_job(protocol.FetchBenchmarkJob("medcpt"), "cpu", lambda _: None)


async def test_a_run_made_elsewhere_is_explored_beside_bm25(folder: Path, ready: Path) -> None:
    (folder / "mine.trec").write_text("1 Q0 d5 1 2 x\n1 Q0 d1 2 1 x\n")
    given = (str(folder / "mine.trec"),)
    await evaluated(EvaluateJob(str(folder), ("lexical",), score=given))
    found = {one.mode: one for one in records.records()}
    bm25 = job_of_record(found["lexical"], load().catalogue)
    assert bm25.modes == ("lexical",)  # nothing is encoded for it
    record = found[records.GIVEN]
    job = with_run_file(job_of_record(record, load().catalogue), places())
    Path(job.run_file or "").parent.mkdir(parents=True)
    summary = await evaluated(job)
    runs = run_files(job, summary)
    assert runs["mine.trec"] == str(folder / "mine.trec")
    request = OpenBenchmark(str(folder), summary.split, summary.sha256, summary.index, runs)
    rows = server.LookingUp()(request, lambda _: None)
    assert {name for row in rows for name in row.scores} == {"lexical", "mine.trec"}
