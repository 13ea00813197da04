"""The worker as a real process: jobs in turn, every end, and what others see of it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bioretrieval_tui.backend import launch, protocol, worker
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.backend.protocol import BuildJob, Built, Progressed, Remarked, RemoveJob
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.registry import kept_vectors
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress
from homes import share_encoders

ONE, TWO = RemoveJob("one"), RemoveJob("two")

# Python reads this when it starts: a build stops in the middle of the first window that is not
# kept yet, until a file says that it may go on.
HALTED = """
import os, time
from pathlib import Path
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.index import build
build.WINDOW, encode, done = 64, Encoder.encode_documents, 0

def halted(self, documents, progress=lambda step: None, longer=None):
    global done
    documents = list(documents)

    def heard(step):
        progress(step)
        while done + step.done > 64 and not Path(os.environ["GO_ON"]).exists():
            time.sleep(0.02)
            progress(step)

    vectors = encode(self, documents, heard, longer)
    done += len(documents)
    return vectors

Encoder.encode_documents = halted
"""


@pytest.fixture
def folder(home: Path) -> Iterator[JobFolder]:
    share_encoders(home)
    found = JobFolder(places().state / "jobs")
    yield found
    for record in found.records():
        if record.state == "running" and record.pid:
            os.kill(record.pid, signal.SIGKILL)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus whose build halts until `go-on` is there."""
    (tmp_path / "sitecustomize.py").write_text(HALTED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GO_ON", str(tmp_path / "go-on"))
    rows = [{"_id": str(n), "title": f"Trial {n}", "text": "Asthma."} for n in range(160)]
    corpus = tmp_path / "large.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return corpus


def until(ready: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(folder: JobFolder, number: int = -1) -> JobRecord:
    until(lambda: folder.records()[number].ended)
    return folder.records()[number]


def encoding(folder: JobFolder) -> JobRecord:
    """The newest job, once it has encoded more than what is kept."""

    def far() -> bool:
        step = folder.records()[-1].progress
        return step is not None and step.stage == "encoding" and step.done > 64

    until(far)
    return folder.records()[-1]


def test_jobs_run_in_turn_and_the_worker_ends(folder: JobFolder) -> None:
    folder.submit(ONE, TWO)
    for number, name in enumerate(("one", "two")):
        record = ended(folder, number)
        assert record.message.startswith(f"Removing {name} failed: there is no index {name}")
        assert f"Removing {name}, process " in folder.log(record)
        assert record.message in folder.log(record)
        assert folder.log_path(record).stat().st_mode & 0o077 == 0
    until(lambda: all(one.poll() is not None for one in launch._workers))
    # The next is carried out by another.
    folder.submit(ONE)
    assert ended(folder).state == "failed"


APP = """
import sys, time
from bioretrieval_tui.backend.job_folder import JobFolder
from bioretrieval_tui.backend.protocol import BuildJob
from bioretrieval_tui.paths import places
JobFolder(places().state / "jobs").submit(BuildJob("mine", ("large.jsonl",)))
print(flush=True)
time.sleep(100)
"""


def test_a_build_outlives_the_app_and_resumes_after_kill_9(folder: JobFolder, large: Path) -> None:
    words = [sys.executable, "-c", APP]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=large.parent) as app:
        assert app.stdout is not None
        app.stdout.readline()
        app.kill()
    record = encoding(folder)
    os.kill(record.pid or 0, signal.SIGHUP)
    time.sleep(0.1)
    folder.tend()
    assert folder.records()[-1].state == "running"
    assert record.progress is not None
    assert (record.progress.total, record.progress.unit) == (160, "documents")
    os.kill(record.pid or 0, signal.SIGKILL)

    def told() -> bool:
        folder.tend()
        return folder.records()[-1].state == "failed"

    until(told)
    assert (
        "Building mine failed: its process is gone: killed, or out of memory"
        in folder.records()[-1].message
    )
    kept = kept_vectors("mine")
    assert kept >= 64
    (large.parent / "go-on").touch()
    with contextlib.chdir(large.parent):  # its relative path is one of the folder of submission
        folder.submit(record.job)
    result = ended(folder).result
    assert isinstance(result, Built)
    assert (result.index.documents, result.report.encoded) == (160, 160 - kept)


def test_a_job_that_is_stopped_tidies_up_and_the_next_begins(
    folder: JobFolder, large: Path, interruptible: None
) -> None:
    folder.submit(BuildJob("mine", (str(large),)), TWO)
    until(lambda: folder.records()[0].state == "running")
    folder.stop("1")  # at once: it may not have begun to read
    stopped, failed = ended(folder, 0), ended(folder, 1)
    assert stopped.state == "stopped"
    assert stopped.message.startswith("Stopped: building mine; vectors already made are kept")
    assert not list(index_folder("mine").glob(".building-*"))
    assert failed.state == "failed"


# A limit on the size of files, as a quota; no pause before another attempt.
LIMITED = """
import resource
from bioretrieval_tui.backend import worker
worker._PAUSES = (0.0, 0.0)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
worker.main()
"""


@pytest.mark.parametrize(
    ("more", "state", "said"),
    [
        (-1, "waiting", "job 1 cannot be begun: File too large; free space"),
        (70, "failed", "the outcome cannot be recorded: File too large"),
    ],
)
def test_a_record_that_cannot_be_written_is_one_line(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch, more: int, state: str, said: str
) -> None:
    """It may have so many bytes more than it has while the job waits."""
    monkeypatch.setattr(launch, "start_worker", lambda: None)
    folder.submit(RemoveJob("of-a-name-that-its-outcome-repeats"))
    size = (folder.path / "1.json").stat().st_size
    words = [sys.executable, "-c", LIMITED.format(limit=size + more)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr if state == "waiting" else folder.log(folder.records()[0])
    assert said in told
    assert "Traceback" not in told
    # Nothing is half-written.
    assert not list(folder.path.glob("*.tmp"))
    folder.tend()
    assert [record.state for record in folder.records()] == [state]


class Full(JobFolder):
    """On a disk without space, as long as `left` attempts."""

    left = 10**9

    def save(self, record: JobRecord) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().save(record)


def test_a_job_goes_on_while_its_record_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(worker, "_EVERY", 0.0)
    folder, record = Full(tmp_path), JobRecord(id="1", job=ONE, started="2026-01-01")
    ledger = worker.JobLedger(folder, record)
    for done in range(3):
        ledger.hear(Progressed(Progress("encoding", done, 3)))
    assert not ledger.close(BioRetrievalError("there is no space"))
    warned = [one.getMessage() for one in caplog.records]
    assert warned.count("the progress cannot be recorded: No space left on device") == 1
    assert "the outcome cannot be recorded: No space left on device" in warned
    # Once there is space.
    folder.left = 1
    assert ledger.close(BioRetrievalError("there is no space"))
    (found,) = JobFolder(tmp_path).records()
    assert (found.state, found.progress) == ("failed", Progress("encoding", 2, 3))


def test_progress_is_recorded_seldom_and_a_new_stage_at_once(tmp_path: Path) -> None:
    saved: list[object] = []

    class Seen(JobFolder):
        def save(self, record: JobRecord) -> None:
            saved.append(record.progress and (record.progress.stage, record.progress.done))

    ledger = worker.JobLedger(Seen(tmp_path), record := JobRecord(id="1", job=ONE))
    for stage in ("reading", "encoding"):
        for done in range(50):
            ledger.hear(Progressed(Progress(stage, done, 50)))
    assert saved == [("reading", 0), ("encoding", 0)]
    ledger.hear(Remarked("downloading"))
    assert (saved[-1], record.remark) == (("encoding", 49), "downloading")


def test_a_log_that_grew_long_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_MOST_LOG_BYTES", 100)
    folder, record = JobFolder(tmp_path), JobRecord(id="1", job=ONE)
    ledger = worker.JobLedger(folder, record)
    for size, left in ((100, 100), (101, 0)):
        folder.log_path(record).write_text("x" * size)
        ledger.hear(Remarked("downloading"))
        assert folder.log_path(record).stat().st_size == left


def test_a_job_that_was_stopped_before_it_began_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr("bioretrieval_tui.backend.server.run_job", lambda *_: begun.append(1))
    record = JobRecord(id="1", job=ONE)
    before = signal.getsignal(signal.SIGINT)
    ledger = worker.JobLedger(JobFolder(tmp_path), record)
    found = worker.carry_out(record, ledger, [signal.SIGINT])
    signal.signal(signal.SIGINT, before)
    assert isinstance(found, KeyboardInterrupt)
    assert begun == []


@pytest.mark.parametrize("error", [ValueError("a defect"), SystemExit(3), MemoryError()])
def test_whatever_a_job_raises_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def run(*_: object) -> protocol.JobResult:
        raise error

    monkeypatch.setattr("bioretrieval_tui.backend.server.run_job", run)
    record = JobRecord(id="1", job=ONE)
    before = signal.getsignal(signal.SIGINT)
    found = worker.carry_out(record, worker.JobLedger(JobFolder(tmp_path), record), [])
    signal.signal(signal.SIGINT, before)
    if isinstance(error, MemoryError):
        assert isinstance(found, BioRetrievalError)
    else:
        assert found is error
