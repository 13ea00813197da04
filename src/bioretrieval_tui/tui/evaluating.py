"""Evaluations that the app starts: `eval` in a child process, one after the other.

Figures, records and indexes are those of the command line, since it is the command line that makes
them. Knows no widget: it tells that something changed, and what came of an evaluation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.backend.jobs import EVERY
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.calling import call

if TYPE_CHECKING:
    from textual.worker import Worker

    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.progress import Progress, Reporter

_FAREWELL = 8.0
"""Seconds that leaving waits for a child at most."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of `eval`.

    model: catalogue id, hub id or folder, None for the embedded one; download: fetch what the
    model lacks, the reader has said yes; reranker: its id, for the mode `rerank`; run_file: where
    its rankings go; purpose: whose evaluation it is (a step's id), for whoever asked.
    """

    folder: Path
    modes: tuple[str, ...]
    model: str | None = None
    split: str | None = None
    download: bool = False
    reranker: str | None = None
    run_file: Path | None = None
    purpose: str = ""

    @property
    def doing(self) -> str:
        """`Evaluating scifact`."""
        return f"Evaluating {self.folder.name or self.folder}"

    def words(self) -> list[str]:
        """The words of the call."""
        said = ["eval", str(self.folder.absolute()), "-f", "json", "--progress", "json"]
        said += [f"--mode={mode}" for mode in self.modes]
        said += [] if self.model is None else [f"--model={self.model}"]
        said += [] if self.split is None else [f"--split={self.split}"]
        said += [] if self.reranker is None else [f"--reranker={self.reranker}"]
        said += [] if self.run_file is None else [f"--run={self.run_file}"]
        return [*said, *(["--download"] if self.download else [])]


class Published(msgspec.Struct, frozen=True):
    """A published figure beside a run, as `eval -f json` has it."""

    name: str
    metric: str
    value: float
    source: str
    status: str
    deviation: float | None = None
    marked: bool = False


class Figures(msgspec.Struct, frozen=True):
    """One mode. metrics by ir-measures' names, latency_ms: p50 and p95."""

    mode: str
    metrics: dict[str, float]
    latency_ms: dict[str, float]
    published: list[Published] = []


class Answer(msgspec.Struct, frozen=True):
    """What `eval -f json` says, as far as the app wants to know."""

    benchmark: str
    split: str
    model: str
    queries: int
    documents: int
    runs: list[Figures]
    index: str
    sha256: str
    notes: list[str] = []


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an evaluation: one line and its role; the answer where there is one."""

    ask: Ask
    line: str
    role: str = "ok"
    answer: Answer | None = None


async def run_eval(
    ask: Ask, step: Reporter, remark: Callable[[str], None] = lambda _: None
) -> Answer:
    """Run one evaluation in a child; see `calling.call`.

    Raises:
        BioRetrievalError: what the child said last, if it failed.
    """
    text = await call("the evaluation", ask.words(), step, remark)
    try:
        return msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BioRetrievalError("the evaluation answered something else than figures") from error


class Evaluations:
    """The evaluation that runs and those that wait.

    start: runs a coroutine as a worker of the app; changed: told when the work or its progress
    changed, at most once every `EVERY` seconds for progress alone; done: told what came of one.
    """

    def __init__(
        self,
        start: Callable[[Coroutine[None, None, None]], Worker[None]],
        changed: Callable[[], None],
        done: Callable[[Result], None],
    ) -> None:
        self._start = start
        self._changed = changed
        self._done = done
        self.current: Ask | None = None
        self.progress: Progress | None = None
        self.queue: deque[Ask] = deque()
        self.remark = ""
        """What the child said last: which model it fetches, and how large that is."""
        self._worker: Worker[None] | None = None
        self._told_at = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def add(self, asks: Sequence[Ask]) -> bool:
        """Begin these, or let them wait; False if all are under way or wait already."""
        fresh = [ask for ask in asks if ask != self.current and ask not in self.queue]
        self.queue.extend(fresh)
        self._next()
        if fresh:
            self._changed()
        return bool(fresh)

    def all_of(self, purpose: str) -> list[Ask]:
        """Those of one purpose: the one that runs, then those that wait."""
        known = [*([self.current] if self.current else []), *self.queue]
        return [ask for ask in known if ask.purpose == purpose]

    def stop(self) -> None:
        """Stop the one that runs, and let go of those that wait for the same purpose."""
        if self._worker is not None and self.current is not None:
            purpose = self.current.purpose
            self.queue = deque(ask for ask in self.queue if ask.purpose != purpose)
            self._worker.cancel()

    async def close(self) -> None:
        """The app is leaving: begin nothing more, tell nobody, see that the child is gone."""
        self._closed = True
        self.queue.clear()
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _FAREWELL)

    def _next(self) -> None:
        if self.current is None and self.queue and not self._closed:
            self.current, self.progress, self.remark = self.queue.popleft(), None, ""
            self._idle.clear()
            self._worker = self._start(self._work(self.current))

    async def _work(self, ask: Ask) -> None:
        stopped = Result(
            ask, f"Stopped: {ask.doing.lower()}; vectors already made are kept", "warn"
        )
        try:
            answer = await run_eval(ask, self._step, self._remark)
            result = Result(ask, summary(answer), answer=answer)
        except asyncio.CancelledError:
            self._end(stopped)
            raise
        except BioRetrievalError as error:
            result = Result(ask, f"{ask.doing} failed: {error.line()}", "error")
        self._end(result)

    def _end(self, result: Result) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self.current = self.progress = self._worker = None
        self._idle.set()
        if self._closed:
            return
        self._next()
        self._changed()
        self._done(result)

    def _remark(self, text: str) -> None:
        self.remark = text
        self._tell()

    def _step(self, progress: Progress) -> None:
        self.progress = progress
        loop = asyncio.get_running_loop()
        if self._later is None:
            self._later = loop.call_later(max(0.0, self._told_at + EVERY - loop.time()), self._tell)

    def _tell(self) -> None:
        self._later = None
        self._told_at = asyncio.get_running_loop().time()
        if not self._closed:
            self._changed()


def summary(answer: Answer) -> str:
    """`scifact: nDCG@10 lexical 0.6786, dense 0.6451`."""
    figures = ", ".join(f"{run.mode} {run.metrics.get('nDCG@10', 0):.4f}" for run in answer.runs)
    return f"{answer.benchmark}: nDCG@10 {figures}"


def ask_of_record(record: EvaluationRecord) -> Ask:
    """The exploration of an evaluation's benchmark, in the folder that its index was built from.

    Raises:
        BioRetrievalError: the folder is no longer there, or no benchmark.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.evaluation.benchmark import find_parts
    from bioretrieval_tui.index.registry import manifest_of

    inputs = manifest_of(record.index).inputs
    folder = Path(inputs[0].path).parent if inputs else Path()
    find_parts(folder, record.split)
    modes = ("lexical", "dense", "hybrid", *(("rerank",) if record.reranker else ()))
    model = None if record.model == MODEL_ID else record.model
    return Ask(folder, modes, model, record.split, reranker=record.reranker, purpose="explore")
