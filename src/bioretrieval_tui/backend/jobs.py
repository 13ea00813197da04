"""The app's view of the jobs of its home: the one that runs, those that wait, how others ended.

Knows no widget: it looks at the records (`job_folder.py`) and calls back when something changed and
when a job ended. Jobs of another app or of a command are seen like those of this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.progress import Progress

EVERY = 0.25
"""Seconds between two looks while a job runs or waits; faster changes could not be read."""
IDLE = 2.0
"""Seconds between two looks while there is none: another process may submit one."""
_BRIEF = (protocol.VerifyJob, protocol.CompactJob, protocol.RemoveJob)
"""Jobs that need not be resumed in a later session: they keep nothing, and a key begins them."""


class JobQueue:
    """The job that runs, those that wait, and the last outcome by index.

    folder: where the records are; changed: called when a job or its progress changed; ended: called
    with each that ended; missed: those that ended while no app looked; damaged: names of files that
    are no records.
    """

    def __init__(
        self, folder: Path, changed: Callable[[], None], ended: Callable[[JobRecord], None]
    ) -> None:
        self._folder = JobFolder(folder)
        self._changed = changed
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.outcomes: dict[str, JobRecord] = {}
        """The job that ended last, by target: one of this session, or one to resume."""
        self._records = self._folder.tend()
        ended_before = [one for one in self._records if one.ended]
        self._earlier = {one.id for one in ended_before}
        """Ids of the jobs that ended before this session."""
        self._told = set(self._earlier)
        self.missed = [one for one in self._folder.missed(ended_before) if one.started]
        self.damaged = sorted(self._folder.damaged)
        self._sort_out()

    @property
    def _pending(self) -> list[JobRecord]:
        """The job that runs, or will in a moment, then those that wait."""
        here = [one for one in self._records if not one.ended and self._folder.is_here(one)]
        return sorted(here, key=lambda one: one.state != "running")

    @property
    def current(self) -> protocol.Job | None:
        return next(iter(self.all), None)

    @property
    def progress(self) -> Progress | None:
        return next((one.progress for one in self._pending), None)

    @property
    def far(self) -> str:
        """See `JobRecord.far`."""
        return next((one.far for one in self._pending), "")

    @property
    def remark(self) -> str:
        """What the job that runs said last, such as which model it downloads."""
        return next((one.remark for one in self._pending), "")

    @property
    def queue(self) -> list[protocol.Job]:
        return self.all[1:]

    @property
    def all(self) -> list[protocol.Job]:
        """The job that runs, then those that wait."""
        return [record.job for record in self._pending]

    def last(self, target: str) -> JobRecord | None:
        """The job of a target that ended last, also in an earlier session."""
        ended = [one for one in self._by_end() if one.job.target == target]
        return ended[-1] if ended else None

    def log(self, target: str) -> tuple[str, str] | None:
        """Title and log of the newest job of a target; None if there is no job."""
        found = [one for one in self._records if one.job.target == target]
        if not found:
            return None
        return f"Log of job {found[-1].id}: {found[-1].job.title}", self._folder.log(found[-1])

    def elsewhere(self, target: str) -> str:
        """The machine that works on an index of this home, where it is not this one, else ""."""
        pending = (one for one in self._records if not (one.ended or self._folder.is_here(one)))
        return next((one.host for one in pending if one.job.target == target), "")

    def submit(
        self, *jobs: protocol.Job, again: bool = False, like: JobRecord | None = None
    ) -> bool:
        """Start jobs, or queue them; return whether any was new.

        A job that waits already is not queued twice, nor one that runs unless `again`. like: the
        record that is resumed. Raises BioRetrievalError if it cannot be kept or started.
        """
        if self._closed:
            return False
        try:
            return bool(self._folder.submit(*jobs, again=again, like=like))
        finally:
            self.look()

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

    @property
    def run(self) -> protocol.EvaluateJob | protocol.TrainJob | None:
        """The job that runs, if it is an evaluation or a training."""
        kinds = (protocol.EvaluateJob, protocol.TrainJob)
        return self.current if isinstance(self.current, kinds) else None

    def of_purpose(self, purpose: str) -> list[protocol.EvaluateJob]:
        """The evaluations of a purpose: the one that runs, then those that wait."""
        found = (job for job in self.all if isinstance(job, protocol.EvaluateJob))
        return [job for job in found if job.purpose == purpose]

    def stop(self) -> None:
        """Stop the job that runs; the next one begins. Evaluations of its purpose are dropped."""
        if self.evaluation is not None:
            for job in self.of_purpose(self.evaluation.purpose)[1:]:
                self.drop(job)
        self._stop(self._pending[:1])

    def stop_all(self) -> None:
        self._stop(self._pending[::-1])

    def drop(self, job: protocol.Job) -> None:
        """Drop a job that waits."""
        self._stop([one for one in self._pending[1:] if one.job == job])

    def _stop(self, records: list[JobRecord]) -> None:
        for record in records:
            self._folder.stop(record.id)
        self.look()

    def forget(self, target: str) -> None:
        """Delete what is known of the ended jobs of an index."""
        self._folder.forget(target)
        self.look()

    async def close(self) -> None:
        """Look no more; jobs go on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # Looking -----------------------------------------------------------------------------

    def look(self) -> None:
        """Read what changed, tell it, and look again later."""
        if self._closed:
            return
        before, self._records = self._records, self._folder.tend()
        ended = [one for one in self._by_end() if one.id not in self._told]
        self._told |= {one.id for one in ended}
        self._sort_out()
        if self._timer is not None:
            self._timer.cancel()
        pending = EVERY if self.all else IDLE
        self._timer = asyncio.get_running_loop().call_later(pending, self.look)
        for record in ended:
            self._ended(record)
        if ended or before != self._records:
            self._changed()

    def _by_end(self) -> list[JobRecord]:
        """The jobs that were begun and have ended, in the order of their end."""
        ended = [one for one in self._records if one.ended and one.started]
        return sorted(ended, key=lambda one: one.ended or "")

    def _sort_out(self) -> None:
        self._folder.seen(self._records)
        self.outcomes = {}
        for record in self._by_end():
            self.outcomes.pop(record.job.target, None)
            kept = record.state != "done" and not isinstance(record.job, _BRIEF)
            if kept or record.id not in self._earlier:
                self.outcomes[record.job.target] = record
