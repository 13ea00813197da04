"""The one queue of jobs: one runs, the others wait, and each has a small record on disk.

Knows no widget: it calls back when something changed and when a job ended. Each job has a record,
`state/jobs/ID.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.online.spool import FetchResult
from bioretrieval_tui.paths import private
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.util.formatting import plural, size

if TYPE_CHECKING:
    from bioretrieval_tui.index.report import Report, Verification

EVERY = 0.25
"""Seconds between two updates of the progress; faster ones could not be read."""
_SAVE_EVERY = 5.0
"""Seconds between two records of progress on disk."""
_GRACE = 8.0
"""Longest time in seconds that quitting waits for a job."""
_MOST_RECORDS = 50

State = Literal["waiting", "running", "done", "failed", "stopped"]


class JobRecord(msgspec.Struct, kw_only=True):
    """A job and how far it is, as it is on disk.

    id: sorts by the time of submission; pid: of its process while it runs; message: the outcome in
    one line; submitted, started, ended: ISO 8601, UTC.
    """

    id: str
    job: protocol.Job
    state: State = "waiting"
    progress: Progress | None = None
    result: protocol.JobResult | None = None
    message: str = ""
    pid: int | None = None
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
    def removed(self) -> str | None:
        """The name of the index that is removed, or None."""
        return self.job.target if isinstance(self.result, protocol.Removed) else None


class JobQueue:
    """The job that runs, those that wait, and the last outcome by index.

    folder: where records are kept, None for nowhere; changed: called when a job or its progress
    changed, at most once every `EVERY` seconds for progress; ended: called with each that ended.
    """

    def __init__(
        self, folder: Path | None, changed: Callable[[], None], ended: Callable[[JobRecord], None]
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._ended = ended
        self._running: JobRecord | None = None
        self._waiting: deque[JobRecord] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told_at = self._saved_at = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._closed = False
        self.remark = ""
        """What the job that runs said last, such as which model it downloads."""
        self.outcomes: dict[str, JobRecord] = {}
        """The job that ended last, by target."""

    @property
    def current(self) -> protocol.Job | None:
        return self._running.job if self._running else None

    @property
    def progress(self) -> Progress | None:
        return self._running.progress if self._running else None

    @property
    def queue(self) -> list[protocol.Job]:
        return [record.job for record in self._waiting]

    @property
    def all(self) -> list[protocol.Job]:
        """The job that runs, then those that wait."""
        return [*([self._running.job] if self._running else []), *self.queue]

    def last(self, target: str) -> JobRecord | None:
        """The last job of a target: that which ended last here, else the newest on disk, which may
        be of another session."""
        if target in self.outcomes or self._folder is None:
            return self.outcomes.get(target)
        found = reversed(job_records(self._folder))
        return next((one for one in found if one.job.target == target), None)

    def submit(self, *jobs: protocol.Job, again: bool = False) -> bool:
        """Start jobs, or queue them; return whether any was new.

        A job that waits already is not queued twice, nor one that runs unless `again`.
        """
        known = self.queue if again else self.all
        fresh = [job for job in jobs if job not in known]
        for job in fresh:
            name = f"{time.time_ns():020d}-{secrets.token_hex(3)}"
            self._waiting.append(JobRecord(id=name, job=job, submitted=_now()))
            self._save(self._waiting[-1])
        self._next()
        if fresh:
            self._changed()
        return bool(fresh)

    def of(self, name: str) -> protocol.Job | None:
        """The job of an index: the one that runs, else the first that waits."""
        return next((job for job in self.all if job.target == name), None)

    def names_after(self, names: Iterable[str]) -> list[str]:
        """Names of the indexes that will exist once all jobs are done. names: of those now."""
        found = dict.fromkeys(names)
        for job in self.all:
            if isinstance(job, protocol.MAKES_INDEX):
                found[job.target] = None
            elif isinstance(job, protocol.RemoveJob):
                found.pop(job.target, None)
        return list(found)

    @property
    def evaluation(self) -> protocol.EvaluateJob | None:
        """The job that runs, if it is an evaluation."""
        return self.current if isinstance(self.current, protocol.EvaluateJob) else None

    def of_purpose(self, purpose: str) -> list[protocol.EvaluateJob]:
        """The evaluations of a purpose: the one that runs, then those that wait."""
        found = (job for job in self.all if isinstance(job, protocol.EvaluateJob))
        return [job for job in found if job.purpose == purpose]

    def stop(self) -> None:
        """Stop the job that runs; the next one begins. Evaluations of its purpose are dropped."""
        if self._task is None:
            return
        if self.evaluation is not None:
            for job in self.of_purpose(self.evaluation.purpose)[1:]:
                self.drop(job)
        self._task.cancel()

    def drop(self, job: protocol.Job) -> None:
        for record in [one for one in self._waiting if one.job == job]:
            self._waiting.remove(record)
            self._finish(record, "stopped", "dropped before it began")
            self._changed()

    async def close(self) -> None:
        """Stop all jobs and wait for the end of the process; no callback follows."""
        self._closed = True
        for record in self._waiting:
            self._finish(record, "stopped", "the app was closed")
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_GRACE)

    # Running -----------------------------------------------------------------------------

    def _next(self) -> None:
        if self._running is None and self._waiting and not self._closed:
            self._running, self.remark = self._waiting.popleft(), ""
            self._running.state, self._running.started = "running", _now()
            self._task = asyncio.get_running_loop().create_task(self._run(self._running))

    async def _run(self, record: JobRecord) -> None:
        job = record.job

        def begun(pid: int) -> None:
            record.pid = pid
            self._save(record)

        def hear(event: protocol.Event) -> None:
            if isinstance(event, protocol.Progressed):
                record.progress = event.progress
            elif isinstance(event, protocol.Remarked):
                self.remark = event.text
            if self._later is None:
                self._later = asyncio.get_running_loop().call_later(EVERY, self._tell)

        try:
            record.result = await client.run_job(job, hear, started=begun)
            self._finish(record, "done", summary(job, record.result))
        except (asyncio.CancelledError, InterruptedByUser):
            self._finish(record, "stopped", f"Stopped: {job.title_within}; {job.KEPT}")
        except Exception as error:  # noqa: BLE001 - the queue must go on
            said = f"unexpected {type(error).__name__}: {error}"
            if isinstance(error, BioRetrievalError):
                said = "; ".join([error.line(), *getattr(error, "__notes__", ())])
            self._finish(record, "failed", f"{job.title} failed: {said}")
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._running = self._task = None
        if self._closed:
            return
        self.outcomes[job.target] = record
        self._next()
        self._changed()
        self._ended(record)

    def _tell(self) -> None:
        self._later = None
        self._told_at = asyncio.get_running_loop().time()
        if self._running is not None and self._told_at - self._saved_at >= _SAVE_EVERY:
            self._save(self._running)
        if not self._closed:
            self._changed()

    # Records -----------------------------------------------------------------------------

    def _finish(self, record: JobRecord, state: State, message: str) -> None:
        record.state, record.message, record.ended, record.pid = state, message, _now(), None
        self._save(record)
        if self._folder is not None:
            for old in [one for one in job_records(self._folder) if one.ended][:-_MOST_RECORDS]:
                with contextlib.suppress(OSError):
                    (self._folder / f"{old.id}.json").unlink()

    def _save(self, record: JobRecord) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(RuntimeError):
            self._saved_at = asyncio.get_running_loop().time()
        beside = self._folder / f"{record.id}.tmp"  # not flushed to disk: keys wait for this
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb", opener=private) as out:
                out.write(msgspec.json.encode(record))
            beside.replace(beside.with_suffix(".json"))


def job_records(folder: Path) -> list[JobRecord]:
    """Read the records of jobs, oldest first; not those that cannot be read."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=JobRecord)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        if record.state == "running" and not _is_alive(record.pid):
            record.state, record.message = "failed", "its process is gone"
        found.append(record)
    return found


def _is_alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except OSError as error:
        return pid is not None and not isinstance(error, ProcessLookupError)
    return pid is not None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# Outcomes ---------------------------------------------------------------------------------------


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
        case protocol.BenchmarkFetched():
            return f"Fetched the {name} into {result.folder}"
        case FetchResult():
            return "; ".join([result.line(), *result.cautions])


def evaluation_line(found: protocol.EvaluationSummary) -> str:
    """The scores of an evaluation: `scifact: nDCG@10 lexical 0.6786, dense 0.6451`."""
    scores = ", ".join(f"{run.mode} {run.metrics.get('nDCG@10', 0):.4f}" for run in found.runs)
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
