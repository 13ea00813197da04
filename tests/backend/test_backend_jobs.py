"""The queue of jobs: one runs, others wait, outcomes are told, records are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.backend.jobs import JobQueue, JobRecord, job_records, summary
from bioretrieval_tui.backend.protocol import BuildJob, CompactJob, RemoveJob, VerifyJob
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, InterruptedByUser
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.online.spool import FetchResult
from bioretrieval_tui.progress import Progress

ONE, TWO, THREE = VerifyJob("one"), VerifyJob("two"), CompactJob("three")
FINE = protocol.Verified(Verification("x", (Check("files", True, "5"),)))


class Worker:
    """Stands in for job processes: each job lasts until a test ends it."""

    def __init__(self) -> None:
        self.begun: list[protocol.Job] = []
        self.stopped: list[protocol.Job] = []
        self.hear: client.Hear = lambda _: None
        self._end: asyncio.Future[protocol.JobResult] | None = None

    async def run(
        self, job: protocol.Job, hear: client.Hear, *, started: Callable[[int], None]
    ) -> protocol.JobResult:
        self.begun.append(job)
        self.hear = hear
        started(4711)
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
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    found = Worker()
    monkeypatch.setattr(client, "run_job", found.run)
    return found


class Heard(list[JobRecord]):
    """Outcomes, and how often something changed."""

    changes = 0

    def change(self) -> None:
        self.changes += 1


def queue_of(folder: Path | None = None) -> tuple[JobQueue, Heard]:
    heard = Heard()
    return JobQueue(folder, heard.change, heard.append), heard


async def test_one_job_runs_and_the_others_wait(worker: Worker) -> None:
    queue, heard = queue_of()
    assert queue.submit(ONE)
    assert queue.submit(TWO, THREE)
    await turn()
    assert (queue.current, queue.queue, worker.begun) == (ONE, [TWO, THREE], [ONE])
    assert queue.of("three") == THREE
    await worker.end()
    assert [record.message for record in heard] == ["one: 1 check passed"]
    assert (queue.current, queue.queue) == (TWO, [THREE])
    assert queue.outcomes["one"].verification == FINE.verification


async def test_the_same_job_is_not_queued_twice(worker: Worker) -> None:
    queue, _ = queue_of()
    queue.submit(ONE, TWO)
    await turn()
    assert not queue.submit(ONE)
    assert not queue.submit(TWO)
    # Files may have changed since it began.
    assert queue.submit(ONE, again=True)
    assert queue.queue == [TWO, ONE]


async def test_a_job_that_waits_can_be_dropped(worker: Worker) -> None:
    queue, heard = queue_of()
    queue.submit(ONE, TWO)
    queue.drop(TWO)
    queue.drop(THREE)
    await turn()
    assert queue.all == [ONE]
    assert not heard


async def test_stopping_begins_the_next_and_says_what_is_kept(worker: Worker) -> None:
    queue, heard = queue_of()
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
    worker: Worker, error: Exception, line: str, role: str
) -> None:
    queue, heard = queue_of()
    queue.submit(ONE, TWO)
    await turn()
    await worker.end(error)
    assert (heard[0].message, heard[0].role) == (line, role)
    assert queue.current == TWO


async def test_what_a_failed_job_keeps_is_told(worker: Worker) -> None:
    queue, heard = queue_of()
    queue.submit(ONE)
    await turn()
    error = BioRetrievalError("the service is down")
    error.add_note("40 records have arrived")
    await worker.end(error)
    assert heard[0].message.endswith("the service is down; 40 records have arrived")


async def test_progress_and_remarks_are_kept_and_told_seldom(worker: Worker) -> None:
    queue, heard = queue_of()
    queue.submit(ONE)
    await turn()
    before = heard.changes
    for done in range(100):
        worker.hear(protocol.Progressed(Progress("checking", done, 100)))
    worker.hear(protocol.Remarked("half way"))
    await asyncio.sleep(0.05)
    assert (queue.progress, queue.remark) == (Progress("checking", 99, 100), "half way")
    assert heard.changes - before <= 2


async def test_names_after_the_queue(worker: Worker) -> None:
    queue, _ = queue_of()
    queue.submit(BuildJob("new", ("/f",)), RemoveJob("old"), VerifyJob("other"))
    assert queue.names_after(["old", "kept"]) == ["kept", "new"]


async def test_closing_stops_everything_and_tells_nothing(worker: Worker, tmp_path: Path) -> None:
    queue, heard = queue_of(tmp_path)
    queue.submit(ONE, TWO)
    await turn()
    await queue.close()
    assert worker.stopped == [ONE]
    assert not heard
    assert {record.job: record.state for record in job_records(tmp_path)} == {
        ONE: "stopped", TWO: "stopped",
    }  # fmt: skip


async def test_each_job_has_a_record_on_disk(worker: Worker, tmp_path: Path) -> None:
    queue, _ = queue_of(tmp_path / "jobs")
    queue.submit(ONE, TWO)
    await turn()
    running, waiting = job_records(tmp_path / "jobs")
    # The process of the stand-in is none.
    assert (running.job, running.pid, running.state) == (ONE, 4711, "failed")
    assert (waiting.job, waiting.state) == (TWO, "waiting")
    await worker.end()
    done, running = job_records(tmp_path / "jobs")
    assert (done.state, done.result, done.message) == ("done", FINE, "one: 1 check passed")
    assert cast(str, done.started) <= cast(str, done.ended)
    assert running.job == TWO


async def test_the_last_job_of_an_index_is_known_in_the_next_session(
    worker: Worker, tmp_path: Path
) -> None:
    queue, _ = queue_of(tmp_path)
    assert queue.last("one") is None
    queue.submit(BuildJob("one", ("/f",)), TWO, RemoveJob("one"))
    await turn()
    await worker.end(BioRetrievalError("the disk is full"))
    await worker.end()
    ended = queue.last("one")
    assert ended is not None
    assert (ended.job, ended.state) == (BuildJob("one", ("/f",)), "failed")
    later, _ = queue_of(tmp_path)
    newest, other = later.last("one"), later.last("two")
    assert newest is not None
    assert other is not None
    assert (newest.job, other.state) == (RemoveJob("one"), "done")
    assert later.last("three") is None


async def test_old_records_are_deleted_and_damaged_ones_passed_over(
    worker: Worker, tmp_path: Path
) -> None:
    queue, _ = queue_of(tmp_path)
    for number in range(60):
        queue.submit(VerifyJob(f"index-{number}"))
        await turn()
        await worker.end()
    (tmp_path / "0.json").write_text("{")
    assert len(job_records(tmp_path)) == 50


async def test_a_folder_that_cannot_be_written_stops_no_job(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    queue, heard = queue_of(tmp_path / "file")
    queue.submit(ONE)
    await turn()
    await worker.end()
    assert heard[0].state == "done"


def test_a_fetch_is_summed_up() -> None:
    job = protocol.VerifyJob("mine")
    done = FetchResult(service="PubMed", records=1_234, index="mine", documents=2_000, changed=True)
    said = "1,234 records of PubMed fetched; the index mine has 2,000 documents"
    assert summary(job, done) == said


def test_a_record_survives_the_way_to_disk() -> None:
    import msgspec

    record = JobRecord(id="1", job=BuildJob("a", ("/f",)), progress=Progress("encoding", 3, 9))
    data = msgspec.json.encode(record)
    assert msgspec.json.decode(data, type=JobRecord) == record
