"""The queue of jobs: one runs, others wait, outcomes are told, records are on disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

import msgspec
import pytest

from bioretrieval_tui.backend import client, job_folder, protocol
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord, summary
from bioretrieval_tui.backend.jobs import JobQueue
from bioretrieval_tui.backend.protocol import BuildJob, CompactJob, RemoveJob, VerifyJob
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, InterruptedByUser
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.online.spool import FetchResult
from bioretrieval_tui.progress import Progress
from worker_stand_in import WorkerStandIn

ONE, TWO, THREE = VerifyJob("one"), VerifyJob("two"), CompactJob("three")
FINE = protocol.Verified(Verification("x", (Check("files", True, "5"),)))


class Worker:
    """Stands in for the worker: each job lasts until a test ends it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun: list[protocol.Job] = []
        self.stopped: list[protocol.Job] = []
        self.hear: client.Hear = lambda _: None
        self._end: asyncio.Future[protocol.JobResult] | None = None
        WorkerStandIn(self.run, patch)

    async def run(self, job: protocol.Job, hear: client.Hear) -> protocol.JobResult:
        self.begun.append(job)
        self.hear = hear
        self._end = asyncio.get_running_loop().create_future()
        try:
            return await self._end
        except asyncio.CancelledError:
            self.stopped.append(job)
            raise

    async def end(self, outcome: protocol.JobResult | Exception = FINE) -> None:
        assert self._end is not None
        if isinstance(outcome, Exception):
            self._end.set_exception(outcome)
        else:
            self._end.set_result(outcome)
        await turn()


async def turn() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


class Heard(list[JobRecord]):
    """Outcomes, and how often something changed."""

    changes = 0

    def change(self) -> None:
        self.changes += 1


def queue_of(folder: Path) -> tuple[JobQueue, Heard]:
    heard = Heard()
    return JobQueue(folder, heard.change, heard.append), heard


async def test_one_job_runs_and_the_others_wait(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    assert queue.submit(ONE)
    assert queue.submit(TWO, THREE)
    await turn()
    assert (queue.current, queue.queue, worker.begun) == (ONE, [TWO, THREE], [ONE])
    assert queue.of("three") == THREE
    await worker.end()
    assert [record.message for record in heard] == ["one: 1 check passed"]
    assert (queue.current, queue.queue) == (TWO, [THREE])
    assert queue.outcomes["one"].verification == FINE.verification


async def test_the_same_job_is_not_queued_twice(worker: Worker, folder: Path) -> None:
    queue, _ = queue_of(folder)
    queue.submit(ONE, TWO)
    await turn()
    assert not queue.submit(ONE)
    assert not queue.submit(TWO)
    # Files may have changed since it began.
    assert queue.submit(ONE, again=True)
    assert queue.queue == [TWO, ONE]


async def test_a_job_that_waits_can_be_dropped(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE, TWO)
    queue.drop(TWO)
    queue.drop(THREE)
    await turn()
    assert queue.all == [ONE]
    assert not heard


async def test_stopping_begins_the_next_and_says_what_is_kept(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(BuildJob("one", ("/f",)), TWO)
    await turn()
    queue.stop()
    await turn()
    assert heard[0].message.startswith("Stopped: building one; vectors already made are kept")
    assert (heard[0].state, heard[0].role) == ("stopped", "warn")
    assert queue.current == TWO


@pytest.mark.parametrize(
    ("error", "line", "role"),
    [
        (IndexFault("it is damaged", remedy="build it again"),
         "Verifying one failed: it is damaged; build it again", "error"),
        (ValueError("a defect"), "Verifying one failed: unexpected ValueError: a defect", "error"),
        (InterruptedByUser("interrupted"), "Stopped: verifying one; nothing was changed", "warn"),
    ],
)  # fmt: skip
async def test_whatever_a_job_raises_is_an_outcome(
    worker: Worker, folder: Path, error: Exception, line: str, role: str
) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE, TWO)
    await turn()
    await worker.end(error)
    assert (heard[0].message, heard[0].role) == (line, role)
    assert queue.current == TWO


async def test_what_a_failed_job_keeps_is_told(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE)
    await turn()
    error = BioRetrievalError("the service is down")
    error.add_note("40 records have arrived")
    await worker.end(error)
    assert heard[0].message.endswith("the service is down; 40 records have arrived")


async def test_progress_and_remarks_are_kept_and_told_seldom(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE)
    await turn()
    before = heard.changes
    for done in range(100):
        worker.hear(protocol.Progressed(Progress("checking", done, 100)))
    worker.hear(protocol.Remarked("half way"))
    queue.look()
    assert (queue.progress, queue.remark) == (Progress("checking", 99, 100), "half way")
    assert heard.changes - before <= 2


async def test_names_after_the_queue(worker: Worker, folder: Path) -> None:
    queue, _ = queue_of(folder)
    queue.submit(BuildJob("new", ("/f",)), RemoveJob("old"), VerifyJob("other"))
    assert queue.names_after(["old", "kept"]) == ["kept", "new"]


async def test_jobs_go_on_after_the_app(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE, TWO)
    await turn()
    await queue.close()
    assert not queue.submit(THREE)
    await worker.end()
    assert worker.begun == [ONE, TWO]
    assert not heard
    # The next app finds the one that ended, once, and the one that runs.
    later, _ = queue_of(folder)
    assert [one.message for one in later.missed] == ["one: 1 check passed"]
    assert later.all == [TWO]
    assert later.outcomes == {}
    assert queue_of(folder)[0].missed == []


async def test_all_jobs_can_be_stopped(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE, TWO, THREE)
    await turn()
    queue.stop_all()
    await turn()
    assert worker.stopped == worker.begun == [ONE]
    assert queue.all == []
    # What was never begun has no outcome to tell.
    assert [record.job for record in heard] == [ONE]
    assert {record.job: record.state for record in JobFolder(folder).records()} == dict.fromkeys(
        (ONE, TWO, THREE), "stopped"
    )


async def test_each_job_has_a_record_on_disk(worker: Worker, folder: Path) -> None:
    queue, _ = queue_of(folder)
    queue.submit(ONE, TWO)
    await turn()
    running, waiting = JobFolder(folder).records()
    assert (running.job, running.pid, running.state) == (ONE, os.getpid(), "running")
    assert (waiting.job, waiting.pid, waiting.state) == (TWO, None, "waiting")
    await worker.end()
    done, running = JobFolder(folder).records()
    assert (done.state, done.result, done.message) == ("done", FINE, "one: 1 check passed")
    assert cast(str, done.started) <= cast(str, done.ended)
    assert (running.job, running.state) == (TWO, "running")
    assert {path.stat().st_mode & 0o077 for path in folder.glob("*.json")} == {0}


async def test_the_last_job_of_an_index_is_known_in_the_next_session(
    worker: Worker, folder: Path
) -> None:
    queue, _ = queue_of(folder)
    assert queue.last("one") is None
    queue.submit(BuildJob("one", ("/f",)), TWO, RemoveJob("one"))
    await turn()
    await worker.end(BioRetrievalError("the disk is full"))
    await worker.end()
    later, _ = queue_of(folder)
    failed, other = later.last("one"), later.last("two")
    assert failed is not None
    assert other is not None
    assert (failed.job, failed.state) == (BuildJob("one", ("/f",)), "failed")
    assert other.state == "done"
    assert later.last("three") is None
    # Only what can be resumed is an outcome in a later session.
    assert later.outcomes == {"one": failed}
    later.forget("one")
    assert later.outcomes == {}
    assert later.all == [RemoveJob("one")]


async def test_jobs_of_another_app_are_seen_and_can_be_stopped(
    worker: Worker, folder: Path
) -> None:
    one, heard = queue_of(folder)
    other, told = queue_of(folder)
    one.submit(ONE)
    await turn()
    worker.hear(protocol.Progressed(Progress("checking", 1, 4)))
    other.look()
    assert (other.current, other.progress) == (ONE, Progress("checking", 1, 4))
    assert not other.submit(ONE)
    # The same object as long as it is the same job, whatever its progress.
    job = other.current
    worker.hear(protocol.Progressed(Progress("checking", 2, 4)))
    other.look()
    assert other.current is job
    other.stop()
    await turn()
    assert [record.state for record in (*heard, *told)] == ["stopped", "stopped"]


async def test_nothing_is_told_twice_or_without_a_change(worker: Worker, folder: Path) -> None:
    queue, heard = queue_of(folder)
    queue.submit(ONE)
    await turn()
    await worker.end()
    changes = heard.changes
    for _ in range(3):
        queue.look()
    assert heard.changes == changes
    assert len(heard) == 1


async def test_old_records_are_deleted_and_damaged_ones_passed_over(
    worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_folder, "_MOST_RECORDS", 5)
    queue, _ = queue_of(folder)
    for number in range(8):
        queue.submit(VerifyJob(f"index-{number}"))
        await turn()
        await worker.end()
    (folder / "12.json").write_text('{"id": "12", "job": {"type": "ver')
    (folder / "13.json").write_text('{"id": "13", "job": {"type": "unheard-of"}}')
    later, _ = queue_of(folder)
    assert later.damaged == ["12.json", "13.json"]
    found = JobFolder(folder)
    assert [record.id for record in found.records()] == ["4", "5", "6", "7", "8"]
    # Their numbers are not given away.
    later.submit(ONE)
    assert found.records()[-1].id == "14"


async def test_a_folder_that_cannot_be_written_is_one_line(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    queue, _ = queue_of(tmp_path / "file")
    with pytest.raises(BioRetrievalError, match="the jobs cannot be changed"):
        queue.submit(ONE)
    assert queue.all == []


def test_a_fetch_is_summed_up() -> None:
    job = protocol.VerifyJob("mine")
    done = FetchResult(service="PubMed", records=1_234, index="mine", documents=2_000, changed=True)
    said = "1,234 records of PubMed fetched; the index mine has 2,000 documents"
    assert summary(job, done) == said


def test_a_record_survives_the_way_to_disk() -> None:
    record = JobRecord(id="1", job=BuildJob("a", ("/f",)), progress=Progress("encoding", 3, 9))
    data = msgspec.json.encode(record)
    assert msgspec.json.decode(data, type=JobRecord) == record
