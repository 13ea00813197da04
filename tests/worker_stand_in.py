"""A worker in the test's own process: it takes and saves records as the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.client import Hear
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.backend.jobs import JobQueue

Run = Callable[[protocol.Job, Hear], Awaitable[protocol.JobResult]]


class WorkerStandIn:
    """Carries out jobs by `run`, and lets the queues look at once when one ended."""

    def __init__(self, run: Run, patch: pytest.MonkeyPatch) -> None:
        self._run = run
        self._queues: list[JobQueue] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._job: asyncio.Task[protocol.JobResult] | None = None
        made = JobQueue.__init__

        def make(queue: JobQueue, *words: Any) -> None:
            self._queues.append(queue)
            made(queue, *words)

        patch.setattr(JobQueue, "__init__", make)
        patch.setattr(JobFolder, "_start", lambda folder: self.start(JobFolder(folder.path)))
        patch.setattr(JobFolder, "interrupt", lambda *_: self._job and self._job.cancel())

    def start(self, folder: JobFolder) -> None:
        """Take the oldest job that waits."""
        if (record := folder.take()) is not None:
            task = asyncio.get_running_loop().create_task(self._work(folder, record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, folder: JobFolder, record: JobRecord) -> None:
        def hear(event: protocol.Event) -> None:
            if isinstance(event, protocol.Progressed):
                record.progress = event.progress
            elif isinstance(event, protocol.Remarked):
                record.remark = event.text
            folder.save(record)

        outcome: protocol.JobResult | BaseException
        self._job = asyncio.ensure_future(self._run(record.job, hear))
        await asyncio.wait([self._job])
        if self._job.cancelled():
            outcome = KeyboardInterrupt()
        else:
            outcome = self._job.exception() or self._job.result()
        folder.finish(record, outcome)
        folder.leave()
        self.start(folder)
        for queue in self._queues:
            queue.look()
