"""The records of jobs in `state/jobs`, which the apps, commands and workers of a home share.

A job is submitted as a waiting record. The worker (`worker.py`) takes the oldest and is from then
on the only one to write it. Whatever is decided after reading (who takes, stops or submits a job)
is decided under the lock of the folder. The worker holds a second lock as long as it lives: a
running record without it is of a process that is gone, whatever has its number now. Both locks and
the records name their machine, because a home may be on a network disk.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.online.spool import FetchResult
from bioretrieval_tui.paths import file_errors, locked, private
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.training.training_request import TrainingPlan
from bioretrieval_tui.util.formatting import percent, plural, size, time_left

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from bioretrieval_tui.index.report import Report, Verification

_MOST_RECORDS = 50
"""Records of ended jobs that are kept."""
_PATIENCE = 3.0
"""Seconds that a waiting job has no worker before another is started."""

_GONE = "its process is gone: killed, or out of memory"

State = Literal["waiting", "running", "done", "failed", "stopped"]


class JobRecord(msgspec.Struct, kw_only=True):
    """A job and how far it is, as it is on disk.

    id: a number, counted up; host, folder: the machine and the working folder that it was submitted
    on and in; device: for encoding; remark: what it said last, such as which model it downloads;
    message: the outcome in one line; pid: of its process while it runs; submitted, started, ended:
    ISO 8601, UTC.
    """

    id: str
    job: protocol.Job
    host: str = ""
    folder: str = ""
    device: str = "auto"
    state: State = "waiting"
    progress: Progress | None = None
    remark: str = ""
    result: protocol.JobResult | None = None
    message: str = ""
    pid: Annotated[int, msgspec.Meta(gt=1)] | None = None
    submitted: str = ""
    started: str | None = None
    ended: str | None = None

    @property
    def role(self) -> str:
        """How readers see the outcome: "ok", "warn" or "error"."""
        if self.state != "done":
            return "warn" if self.state == "stopped" else "error"
        if self.verification is not None and not self.verification.ok:
            return "error"
        return "warn" if self.report is not None and self.report.rejected else "ok"

    @property
    def report(self) -> Report | None:
        return self.result.report if isinstance(self.result, protocol.Built) else None

    @property
    def verification(self) -> Verification | None:
        return self.result.verification if isinstance(self.result, protocol.Verified) else None

    @property
    def evaluation(self) -> protocol.EvaluationSummary | None:
        """What was measured, of an evaluation."""
        return self.result.summary if isinstance(self.result, protocol.Evaluated) else None

    @property
    def trained(self) -> str | None:
        """The name of the model that was trained, or None."""
        return self.result.name if isinstance(self.result, protocol.Trained) else None

    @property
    def far(self) -> str:
        """How far it is, such as `44%, 3 min left`; "" before its first step."""
        step = self.progress
        if step is None:
            return ""
        share = step.share if step.share is not None else step.input_share
        far = step.stage if share is None else percent(share)
        return far if step.seconds_left is None else f"{far}, {time_left(step.seconds_left)}"

    @property
    def seconds(self) -> float:
        """How long it ran."""
        if self.started is None or self.ended is None:
            return 0.0
        begun, ended = map(datetime.fromisoformat, (self.started, self.ended))
        return (ended - begun).total_seconds()

    @property
    def removed(self) -> str | None:
        """The name of the index that is removed, or None."""
        return self.job.target if isinstance(self.result, protocol.Removed) else None


class JobFolder:
    """The records of jobs below `path`, as this machine sees them.

    damaged: names of files that are no records.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.host = platform.node()
        self.damaged: set[str] = set()
        self._known: dict[str, tuple[tuple[int, ...], JobRecord | None]] = {}
        """By file name: what tells whether it was replaced, and the record."""
        self._held: BaseFileLock | None = None
        self._missing_since: float | None = None
        """When a waiting job was first seen without a worker."""
        self._patience = _PATIENCE

    # Reading -----------------------------------------------------------------------------

    def records(self) -> list[JobRecord]:
        """All records, oldest first. Only files that were replaced are read again, and a record
        keeps its `job`, so that it can be recognised."""
        found: dict[str, tuple[tuple[int, ...], JobRecord | None]] = {}
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    with contextlib.suppress(OSError):  # it was deleted meanwhile
                        found[entry.name] = self._look_at(entry)
        self._known = found
        self.damaged = {name for name, (_, record) in found.items() if record is None}
        records = [record for _, record in found.values() if record is not None]
        return sorted(records, key=lambda one: (one.submitted, len(one.id), one.id))

    def _look_at(self, entry: os.DirEntry[str]) -> tuple[tuple[int, ...], JobRecord | None]:
        facts = entry.stat()
        stamp = facts.st_mtime_ns, facts.st_ino, facts.st_size
        known, before = self._known.get(entry.name, ((), None))
        if known == stamp:
            return known, before
        record = _read(Path(entry.path))
        if before is not None and record is not None and record.job == before.job:
            record.job = before.job
        return stamp, record

    def is_here(self, record: JobRecord) -> bool:
        """Whether a job belongs to this machine; records of earlier versions name none."""
        return record.host in (self.host, "")

    def log_path(self, record: JobRecord) -> Path:
        return self.path / f"{record.id}.log"

    def log(self, record: JobRecord) -> str:
        """What a job has logged, or why that cannot be read."""
        try:
            return self.log_path(record).read_text("utf-8", "replace")
        except OSError as error:
            return f"There is no log: {error.strerror}\n"

    def missed(self, records: list[JobRecord]) -> list[JobRecord]:
        """Those that ended since `seen` was last called, by any app."""
        try:
            before = (self.path / "seen").stat().st_mtime_ns
        except OSError:
            before = 0
        return [one for one in records if one.ended and self._changed_at(one) > before]

    def seen(self, records: list[JobRecord]) -> None:
        """Remember that the user was told how these ended."""
        if news := self.missed(records):
            newest, path = max(map(self._changed_at, news)), self.path / "seen"
            with contextlib.suppress(OSError):
                path.touch()
                os.utime(path, ns=(newest, newest))

    def _changed_at(self, record: JobRecord) -> int:
        return self._known[f"{record.id}.json"][0][0]

    # Deciding ----------------------------------------------------------------------------

    def submit(
        self,
        *jobs: protocol.Job,
        again: bool = False,
        device: str = "auto",
        like: JobRecord | None = None,
    ) -> list[JobRecord]:
        """Write waiting records, and start a worker if there is none; return the records.

        A job that waits already gets none, nor one that runs unless `again`. like: the record that
        is resumed, with its device and folder. Raises BioRetrievalError if they cannot be written
        or no worker can be started.
        """
        fresh: list[JobRecord] = []
        with self._deciding():
            lives, records = self._settled()
            pending = ("waiting",) if again else ("waiting", "running")
            known = [one.job for one in records if one.state in pending and self.is_here(one)]
            numbers = (name.removesuffix(".json") for name in self._known)
            last = max((int(number) for number in numbers if number.isdecimal()), default=0)
            for job in jobs:
                if job in known:
                    continue
                record = JobRecord(
                    id=str(last + len(fresh) + 1),
                    job=job,
                    host=self.host,
                    folder=like.folder if like else _here(),
                    device=like.device if like else device,
                    submitted=_now(),
                )
                with file_errors("the job cannot be kept", remedy="free space, then try again"):
                    self.save(record)
                fresh.append(record)
                known.append(job)
        if fresh and not lives:
            self._start()
        return fresh

    def tend(self, *, start: bool = True) -> list[JobRecord]:
        """All records, once those whose process is gone are marked as failed; start a worker for
        jobs that lack one for a while."""
        records = self.records()
        states = {one.state for one in records if self.is_here(one)}
        if not states & {"running", "waiting"}:
            return records
        try:
            with self._deciding(0):
                lives, records = self._settled()
        except BioRetrievalError:
            return records  # another process decides just now
        if lives or "waiting" not in states:
            self._missing_since, self._patience = None, _PATIENCE
            return records
        self._missing_since = self._missing_since or time.monotonic()
        if start and time.monotonic() - self._missing_since >= self._patience:
            self._missing_since = None
            self._patience *= 2  # it may end at once each time, as on a full disk
            with contextlib.suppress(BioRetrievalError):  # the next try may start it
                self._start()
        return records

    def stop(self, identifier: str) -> None:
        """Interrupt a job that runs as ctrl+c would, drop one that waits."""
        with self._deciding():
            record = next((one for one in self._settled()[1] if one.id == identifier), None)
            if record is None or not self.is_here(record):
                return
            if record.state == "waiting":
                self.finish(record, InterruptedByUser("dropped before it began"))
            elif record.state == "running" and record.pid is not None:
                self.interrupt(record.pid)

    def forget(self, target: str) -> None:
        """Delete the records of the ended jobs of an index."""
        for record in self.records():
            if record.ended and record.job.target == target:
                self._delete(record)

    @staticmethod
    def interrupt(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)

    def _start(self) -> None:
        from bioretrieval_tui.backend import launch

        launch.start_worker()

    def _deciding(self, seconds: float = 5) -> contextlib.AbstractContextManager[None]:
        said, busy = "the jobs cannot be changed", "another process changes them"
        return locked(self.path / ".lock", said, busy, seconds=seconds)

    def _settled(self) -> tuple[bool, list[JobRecord]]:
        """Whether a worker lives, and all records; without one, those that run are marked as
        failed. Only while deciding: to look, the worker's lock is taken for a moment."""
        held = self._hold()
        if held is None:
            return True, self.records()
        held.release()
        return False, self._buried()

    def _hold(self) -> BaseFileLock | None:
        from filelock import FileLock, Timeout

        machine = "".join(sign if sign.isalnum() else "-" for sign in self.host)
        lock = FileLock(self.path / f".running-{machine}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _buried(self) -> list[JobRecord]:
        """All records, once those that run without a worker are marked as failed."""
        records = self.records()
        for record in records:
            if record.state == "running" and self.is_here(record):
                remedy = f"see: bioretrieval-tui jobs log {record.id}"
                gone = BioRetrievalError(_GONE, remedy=remedy)
                with contextlib.suppress(OSError):  # marked in memory at least
                    self.finish(record, gone)
        return records

    # The worker's ------------------------------------------------------------------------

    def take(self) -> JobRecord | None:
        """Become the worker and mark the oldest waiting job as running; None if there is no job
        or there is a worker. Raises BioRetrievalError if that cannot be written."""
        with self._deciding():
            self._held = self._hold()
            if self._held is None:
                return None
            waiting = (one for one in self._buried() if one.state == "waiting")
            record = next(filter(self.is_here, waiting), None)
            if record is None:
                self.leave()
                return None
            record.state, record.started, record.pid = "running", _now(), os.getpid()
            with file_errors(f"job {record.id} cannot be begun", remedy="free space"):
                self.save(record)
            return record

    def leave(self) -> None:
        """Be the worker no more."""
        if self._held is not None:
            self._held.release()

    def finish(self, record: JobRecord, outcome: protocol.JobResult | BaseException) -> None:
        """Save how a job ended, and delete the oldest records. Raises OSError."""
        record.state, record.message = _ending(record, outcome)
        record.result = None if isinstance(outcome, BaseException) else outcome
        record.ended, record.pid = _now(), None
        self.save(record)
        kept = [one for one in self.records() if one.ended or not self.is_here(one)]
        for old in kept[:-_MOST_RECORDS]:
            self._delete(old)

    def save(self, record: JobRecord) -> None:
        """Replace a record, without waiting for the disk. Raises OSError."""
        beside = self.path / f"{record.id}.tmp"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb", opener=private) as out:
                out.write(msgspec.json.encode(record))
            beside.replace(beside.with_suffix(".json"))
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise

    def _delete(self, record: JobRecord) -> None:
        for suffix in (".json", ".log"):
            with contextlib.suppress(OSError):
                (self.path / f"{record.id}{suffix}").unlink()


def _read(path: Path) -> JobRecord | None:
    """Read a record; None if it is cut off, or not one of this program."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=JobRecord)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    record.id = path.stem
    return record


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was deleted
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# Outcomes ---------------------------------------------------------------------------------------


def _ending(record: JobRecord, outcome: protocol.JobResult | BaseException) -> tuple[State, str]:
    """The state of a job after its outcome, and the outcome in one line."""
    job = record.job
    if not isinstance(outcome, BaseException):
        return "done", summary(job, outcome)
    if isinstance(outcome, KeyboardInterrupt | InterruptedByUser):
        said = f"Stopped: {job.title_within}; {job.KEPT}"
        return "stopped", said if record.started else str(outcome)
    said = f"unexpected {type(outcome).__name__}: {outcome}"
    if isinstance(outcome, BioRetrievalError):
        said = "; ".join([outcome.line(), *getattr(outcome, "__notes__", ())])
    return "failed", f"{job.title} failed: {said}"


def summary(job: protocol.Job, result: protocol.JobResult) -> str:
    name = job.target
    match result:
        case protocol.Built():
            return _built(job, result)
        case protocol.Removed():
            return f"Removed {name}, {size(result.bytes)}"
        case protocol.Evaluated():
            return evaluation_line(result.summary)
        case protocol.Verified():
            checks = result.verification.checks
            faults = [check for check in checks if not check.ok]
            if not faults:
                return f"{name}: {plural(len(checks), 'check')} passed"
            remedy = f"; {faults[0].remedy}" if faults[0].remedy else ""
            failed = f"{len(faults)} of {len(checks)} checks failed"
            return f"{name}: {failed}: {faults[0].what}{remedy}"
        case protocol.Trained():
            return f"Trained {result.line}"
        case TrainingPlan():
            return result.line()
        case protocol.BenchmarkFetched():
            return f"Fetched the {name} into {result.folder}"
        case FetchResult():
            return "; ".join([result.line(), *result.cautions])


def evaluation_line(found: protocol.EvaluationSummary) -> str:
    """The scores of an evaluation: `scifact: nDCG@10 BM25 0.6786, dense 0.6451`."""
    scores = ", ".join(
        f"{mode_name(run.mode)} {run.metrics.get('nDCG@10', 0):.4f}" for run in found.runs
    )
    return f"{found.benchmark}: nDCG@10 {scores}"


def _built(job: protocol.Job, built: protocol.Built) -> str:
    counts, name = built.report.line(), job.target
    documents = plural(built.index.documents or 0, "document")
    if isinstance(job, protocol.CompactJob):
        compacted = f"Compacted {name}: {documents}, {size(built.index.bytes)}"
        return compacted if built.changed else f"{name} has nothing to compact"
    if not built.changed:
        return f"{name} already holds all of that: {counts}"
    if isinstance(job, protocol.AddJob):
        return f"Added to {name}, now {documents}: {counts}"
    return f"Built {name}, {documents}: {counts}"
