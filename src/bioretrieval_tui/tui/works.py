"""Work on indexes that goes on while one browses: one job at a time, the others wait in line.

Knows the search process and no widget: it tells that something changed, and what came of a job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.worker import Worker

from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.tui.calling import call
from bioretrieval_tui.tui.words import plural, size

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.index.report import Report, Verification
    from bioretrieval_tui.progress import Progress
    from bioretrieval_tui.search.client import SearchClient
    from bioretrieval_tui.search.protocol import Built

EVERY = 0.25
"""Seconds between two looks at the progress: what moves faster cannot be read, only paid for."""

_FAREWELL = 8.0
"""Seconds that leaving waits for a child at most."""

Verb = Literal["build", "add", "fetch", "verify", "compact", "remove"]
DOING: dict[Verb, str] = {
    "build": "Building", "add": "Adding to", "fetch": "Fetching into", "verify": "Verifying",
    "compact": "Compacting", "remove": "Removing",
}  # fmt: skip
MAKES: tuple[Verb, ...] = ("build", "fetch")
"""Work whose index may not be there yet."""
ENCODES: tuple[Verb, ...] = ("build", "add")
"""Work whose vectors are kept when it is stopped."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. `model` and `recipe`: None for the model that comes with the app; `words`:
    the call of the command line that does it, for `fetch`."""

    verb: Verb
    name: str
    inputs: tuple[str, ...] = ()
    model: str | None = None
    recipe: Encoding | None = None
    words: tuple[str, ...] = ()

    @property
    def doing(self) -> str:
        """`Building mine`."""
        return f"{DOING[self.verb]} {self.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: one line and its role; what was read, or found, where there is that."""

    job: Job
    line: str
    role: str = "ok"
    done: bool = True
    """Not stopped, and not failed."""
    report: Report | None = None
    verification: Verification | None = None


class Works:
    """The job that runs, those that wait, and the last outcome of each index.

    client: the search process, asked when the first job begins; start: runs a coroutine as a
    worker of the app; changed: told when the work or its progress changed, at most once every
    `EVERY` seconds for progress alone; done: told what came of a job.
    """

    def __init__(
        self,
        client: Callable[[], SearchClient],
        start: Callable[[Coroutine[None, None, None]], Worker[None]],
        changed: Callable[[], None],
        done: Callable[[Outcome], None],
    ) -> None:
        self._client = client
        self._start = start
        self._changed = changed
        self._done = done
        self.current: Job | None = None
        self.progress: Progress | None = None
        self.queue: deque[Job] = deque()
        self.outcomes: dict[str, Outcome] = {}
        self._worker: Worker[None] | None = None
        self._told_at = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    # Jobs --------------------------------------------------------------------------------

    def add(self, job: Job, *, again: bool = False) -> bool:
        """Begin a job, or let it wait; False if the very same waits already, or is under way
        (unless it is to be done `again`)."""
        if job in self.queue or (job == self.current and not again):
            return False
        self.queue.append(job)
        self._next()
        self._changed()
        return True

    def of(self, name: str) -> Job | None:
        """The job of an index: the one that runs, else the first that waits."""
        jobs = [self.current] if self.current else []
        return next((job for job in (*jobs, *self.queue) if job.name == name), None)

    def there(self, names: Iterable[str]) -> list[str]:
        """Of indexes that are there now, and of those under way, what will be there when another
        job's turn comes."""
        found = dict.fromkeys(names)
        for job in (*([self.current] if self.current else []), *self.queue):
            if job.verb in MAKES:
                found[job.name] = None
            elif job.verb == "remove":
                found.pop(job.name, None)
        return list(found)

    def stop(self) -> None:
        """Stop the job that runs; the next one begins."""
        if self._worker is not None:
            self._worker.cancel()

    def drop(self, job: Job) -> None:
        """Take a job out of the queue."""
        if job in self.queue:
            self.queue.remove(job)
            self._changed()

    async def close(self) -> None:
        """The app is leaving: begin nothing more, tell nobody, see that a child is gone."""
        self._closed = True
        self.queue.clear()
        self.stop()
        if self.current is not None and self.current.words:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _FAREWELL)

    def _next(self) -> None:
        if self.current is None and self.queue and not self._closed:
            self.current, self.progress = self.queue.popleft(), None
            self._idle.clear()
            self._worker = self._start(self._work(self.current))

    # Working -----------------------------------------------------------------------------

    async def _work(self, job: Job) -> None:
        stopped = Outcome(job, f"Stopped: {job.doing.lower()}{kept(job)}", "warn", done=False)
        try:
            outcome = await self._perform(job)
        except asyncio.CancelledError:
            self._end(stopped)
            raise
        except InterruptedByUser:
            outcome = stopped
        except BioRetrievalError as error:
            left = kept(job) if job.verb == "fetch" else ""
            outcome = Outcome(job, f"{job.doing} failed: {error.line()}{left}", "error", done=False)
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self.current = self.progress = self._worker = None
        self._idle.set()
        if self._closed:
            return
        self.outcomes[outcome.job.name] = outcome
        self._next()
        self._changed()
        self._done(outcome)

    async def _perform(self, job: Job) -> Outcome:
        client = self._client()
        match job.verb:
            case "build":
                return _built(job, await client.build(
                    job.name, job.inputs, model=job.model, recipe=job.recipe,
                    on_progress=self._step,
                ))  # fmt: skip
            case "add":
                return _built(job, await client.extend(
                    job.name, job.inputs, on_progress=self._step
                ))  # fmt: skip
            case "fetch":
                said: list[str] = []
                await call("the fetch", job.words, self._step, said.append)
                return Outcome(job, _fetched(job, said))
            case "compact":
                return _built(job, await client.compact(job.name, on_progress=self._step))
            case "verify":
                return _verified(job, await client.verify(job.name, on_progress=self._step))
            case "remove":
                freed = await client.remove(job.name)
                return Outcome(job, f"Removed {job.name}; {size(freed)} are free again")

    def _step(self, progress: Progress) -> None:
        self.progress = progress
        loop = asyncio.get_running_loop()
        wait = self._told_at + EVERY - loop.time()
        if self._later is None:
            self._later = loop.call_later(max(0.0, wait), self._tell)

    def _tell(self) -> None:
        self._later = None
        self._told_at = asyncio.get_running_loop().time()
        if not self._closed:
            self._changed()


def kept(job: Job) -> str:
    """What is left of a job that was stopped, as the end of a sentence."""
    if job.verb == "fetch":
        return "; what has arrived is kept, and the same fetch goes on from there"
    if job.verb in ENCODES:
        return "; vectors already made are kept, and the next build goes on from there"
    return "; nothing was changed"


def _fetched(job: Job, said: Sequence[str]) -> str:
    """Of what the command line said, how many came: `1,234 records of PubMed fetched; ...`."""
    found = (line for line in reversed(said) if " fetched; " in line)
    return next(found, f"Fetched into {job.name}")


def _built(job: Job, built: Built) -> Outcome:
    counts = built.report.line()
    name, documents = job.name, plural(built.index.documents or 0, "document")
    if job.verb == "compact":
        text = f"Compacted {name}: {documents}, {size(built.index.bytes)}"
        text = text if built.changed else f"{name} has nothing to compact"
    elif not built.changed:
        text = f"{name} holds all of that already: {counts}"
    elif job.verb == "add":
        text = f"Added to {name}, now {documents}: {counts}"
    else:
        text = f"Built {name}, {documents}: {counts}"
    role = "warn" if built.report.rejected else "ok"
    return Outcome(job, text, role, report=built.report)


def _verified(job: Job, found: Verification) -> Outcome:
    faults = [check for check in found.checks if not check.ok]
    if not faults:
        line = f"{job.name} is whole: {plural(len(found.checks), 'check')}, no fault"
        return Outcome(job, line, verification=found)
    first = faults[0]
    remedy = f"; {first.remedy}" if first.remedy else ""
    line = f"{job.name}: {len(faults)} of {len(found.checks)} checks failed: {first.what}{remedy}"
    return Outcome(job, line, "error", verification=found)
