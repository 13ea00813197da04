"""Records of jobs: who takes them, and what becomes of those whose process or machine is away."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui.backend import job_folder, launch, protocol
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.backend.protocol import BuildJob, VerifyJob
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.report import Check, Verification

ONE, TWO = VerifyJob("one"), VerifyJob("two")
FINE = protocol.Verified(Verification("x", (Check("files", True, "5"),)))


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A worker that was started adds to it, and does nothing."""
    found: list[None] = []
    monkeypatch.setattr(launch, "start_worker", lambda: found.append(None))
    return found


@pytest.fixture
def folder(tmp_path: Path, starts: list[None]) -> JobFolder:
    return JobFolder(tmp_path / "jobs")


def again(folder: JobFolder) -> JobFolder:
    """The folder as another process sees it."""
    return JobFolder(folder.path)


def put(folder: JobFolder, **facts: object) -> None:
    """A record that somebody else has written."""
    folder.path.mkdir(parents=True, exist_ok=True)
    record = {"id": "1", "job": ONE, "submitted": "2026-01-01T00:00:00+00:00"} | facts
    (folder.path / f"{record['id']}.json").write_bytes(msgspec.json.encode(record))


def states(folder: JobFolder) -> list[str]:
    return [record.state for record in again(folder).records()]


def test_one_worker_takes_the_oldest(folder: JobFolder, starts: list[None]) -> None:
    assert [record.id for record in folder.submit(ONE, TWO)] == ["1", "2"]
    assert starts == [None]
    worker, late = again(folder), again(folder)
    record = worker.take()
    assert record is not None
    assert (record.job, record.state, record.pid) == (ONE, "running", os.getpid())
    assert late.take() is None
    # Submitting starts no second one.
    folder.submit(VerifyJob("three"))
    assert len(starts) == 1
    worker.finish(record, FINE)
    worker.leave()
    taken = late.take()
    assert taken is not None
    assert taken.job == TWO


def test_of_two_that_submit_one_job_one_wins(folder: JobFolder) -> None:
    (failed,) = folder.submit(ONE)
    folder.finish(failed, BioRetrievalError("no space"))
    first, second = again(folder), again(folder)
    assert [record.id for record in first.submit(ONE)] == ["2"]
    assert second.submit(ONE) == []
    assert states(folder) == ["failed", "waiting"]


def test_of_many_that_submit_at_once_one_wins(folder: JobFolder) -> None:
    with ThreadPoolExecutor(8) as pool:
        fresh = list(pool.map(lambda _: again(folder).submit(ONE, TWO), range(8)))
    assert sorted(map(len, fresh)) == [0] * 7 + [2]
    assert [record.id for record in folder.records()] == ["1", "2"]


def test_a_job_whose_process_is_gone_has_failed_and_can_be_resumed(folder: JobFolder) -> None:
    """Also if its number is that of a process that lives: here of this one."""
    put(folder, state="running", pid=os.getpid(), host=folder.host, started="2026-01-01T00:00:00")
    folder.tend()
    (gone,) = again(folder).records()
    gone_line = "its process is gone: killed, or out of memory"
    said = f"Verifying one failed: {gone_line}; see: bioretrieval-tui jobs log 1"
    assert (gone.state, gone.message) == ("failed", said)
    assert gone.ended
    assert len(folder.submit(ONE)) == 1


def test_a_job_whose_worker_lives_is_left_alone(folder: JobFolder) -> None:
    folder.submit(ONE)
    worker = again(folder)
    worker.take()
    folder.tend()
    assert states(folder) == ["running"]
    assert folder.submit(ONE) == []


def test_jobs_of_another_machine_are_left_alone(
    folder: JobFolder, starts: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[int] = []
    monkeypatch.setattr(JobFolder, "interrupt", interrupted.append)
    put(folder, state="running", pid=os.getpid(), host="elsewhere")
    put(folder, id="2", job=TWO, host="elsewhere")
    folder.tend()
    assert folder.take() is None
    for identifier in ("1", "2"):
        folder.stop(identifier)
    assert states(folder) == ["running", "waiting"]
    assert (interrupted, starts) == ([], [])
    # It is no hindrance for this machine.
    assert [record.id for record in folder.submit(ONE)] == ["3"]


def test_a_waiting_job_without_a_worker_gets_one(
    folder: JobFolder, starts: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(job_folder.time, "monotonic", lambda: now)
    put(folder, host=folder.host)
    folder.tend()
    assert starts == []  # one that was just started needs a moment
    counts = []
    for _ in range(60):
        now += 1
        folder.tend()
        counts.append(len(starts))
    # Seldom, if it ends each time.
    assert (counts[3], counts[-1]) == (1, 4)


def test_a_waiting_job_is_dropped_and_one_that_runs_is_interrupted(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[int] = []
    monkeypatch.setattr(JobFolder, "interrupt", interrupted.append)
    folder.submit(ONE, TWO)
    worker = again(folder)
    worker.take()
    folder.stop("2")
    assert states(folder) == ["running", "stopped"]
    assert interrupted == []
    folder.stop("1")
    assert interrupted == [os.getpid()]
    worker.leave()
    folder.stop("1")
    assert interrupted == [os.getpid()]
    assert states(folder) == ["failed", "stopped"]


@pytest.mark.parametrize("pid", [0, 1, -1])
def test_a_record_that_names_every_process_is_none(folder: JobFolder, pid: int) -> None:
    put(folder, state="running", pid=pid)
    assert folder.records() == []
    assert folder.damaged == {"1.json"}


def test_a_record_keeps_its_job_while_it_changes(folder: JobFolder) -> None:
    (record,) = folder.submit(ONE)
    (before,) = (other := again(folder)).records()
    assert other.records()[0] is before
    record.remark = "downloading"
    folder.save(record)
    (after,) = other.records()
    assert (after.remark, after.job is before.job) == ("downloading", True)


def test_a_record_that_cannot_be_written_leaves_no_trace(folder: JobFolder) -> None:
    """A limit on the size of files, as a full disk or a quota."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from bioretrieval_tui.backend.job_folder import JobFolder\n"
        "from bioretrieval_tui.backend.protocol import VerifyJob\n"
        "from bioretrieval_tui.errors import BioRetrievalError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))\n"
        "try: JobFolder(Path(sys.argv[1])).submit(VerifyJob('one'))\n"
        "except BioRetrievalError as error: print(error.line())\n"
    )
    words = [sys.executable, "-c", code, str(folder.path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said == "the job cannot be kept: File too large; free space, then try again\n"
    assert not [path for path in folder.path.iterdir() if not path.name.startswith(".")]


def test_an_interrupt_reaches_a_process_and_not_one_that_is_gone(interruptible: None) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        JobFolder.interrupt(child.pid)
        assert child.wait() != 0
    JobFolder.interrupt(child.pid)


def test_a_record_of_an_earlier_version_is_read(folder: JobFolder) -> None:
    old = {"id": "01764000000000000000-abc123", "job": {"type": "build", "name": "a",
           "inputs": ["/f"]}, "state": "done", "submitted": "2026-01-01"}  # fmt: skip
    folder.path.mkdir(parents=True)
    (folder.path / f"{old['id']}.json").write_bytes(msgspec.json.encode(old))
    folder.submit(ONE)
    assert [record.job for record in again(folder).records()] == [BuildJob("a", ("/f",)), ONE]


def test_how_long_a_job_ran() -> None:
    times = {"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:01:10+00:00"}
    assert JobRecord(id="1", job=ONE, **times).seconds == 70  # type: ignore[arg-type]
    assert JobRecord(id="1", job=ONE).seconds == 0
