"""An engine whose model is loaded by several workers: one a card, or those of a cluster.

Texts are dealt longest first, in multiples of the texts that one process puts into batches
together: batches, and so vectors, are those of one process. Each worker has one portion in work and
one that waits, so that what is on the way does not grow with the corpus. A portion of a worker that
died is given to the next that is free.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import msgspec

from bioretrieval_tui import __version__
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.encoding.encoder import Encoded, Engine
from bioretrieval_tui.encoding.encoding_worker import WorkerFacts, WorkerFault, WorkerOrder
from bioretrieval_tui.encoding.recipe import ModelPart, SideInput
from bioretrieval_tui.encoding.token_batches import CHUNK, TextTokenizer, characters
from bioretrieval_tui.errors import DeviceMemoryError, ModelError
from bioretrieval_tui.progress import WORKERS, Progress, Reporter
from bioretrieval_tui.util.formatting import plural

FLYING = 2
"""Portions that a worker has at once: one in work, one that waits."""
_OF_CARD = 16
"""Chunks of a portion for a card, which takes some hundred texts a batch."""
_PORTIONS = 8
"""Portions for each worker in what the caller should give at once: at its end some wait."""
_DEATHS = 3
"""Workers that may die with the same texts, or in the same place, until that is an error."""
_PATIENCE = 600.0
"""Seconds to wait for the first worker, which may have to prepare the model."""
_STEP = 5.0
"""Seconds between two looks at what is waited for."""
_Answer = WorkerFacts | WorkerFault


class WorkerSlot(NamedTuple):
    """A place for a worker. name: of its host or card; cores: that it uses; device: that it loads
    the model on; node: an id of its host, for a cluster."""

    name: str
    cores: int
    device: str
    node: str = ""


class WorkerDied(Exception):
    """A worker died, for this reason; again: whether another may begin in its place."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class WorkerPool(Protocol):
    """Where workers run.

    slots: their places; where: all of them in words, after "a worker"; advice: what to look at when
    they fail; of_death: when the same texts end several.
    """

    slots: list[WorkerSlot]
    where: str
    advice: str
    of_death: str

    def title(self, slot: WorkerSlot) -> str:
        """A place, as the subject of a message."""

    def device(self, facts: WorkerFacts) -> str:
        """All places, as an index says what encoded it."""

    def free(self) -> str:
        """What is left for workers, in words."""

    def start(self, slot: WorkerSlot, concurrency: int) -> Any:
        """Start a worker, which may wait until its place is free; what stands for it."""

    def ask(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Ask a worker for a method of EncodingWorker; what stands for the answer."""

    def wait(self, refs: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Those of the answers that have come, or never will; waits until there is one."""

    def result(self, slot: WorkerSlot, ref: Any) -> Any:
        """An answer that has come. Raises WorkerDied; ModelError where the method raised."""

    def end(self, worker: Any) -> None:
        """End a worker."""

    def faults(self) -> AbstractContextManager[None]:
        """Raise what is raised where all workers are out of reach as ModelError."""

    def close(self) -> None:
        """End all workers; safe to call twice."""


@dataclasses.dataclass(slots=True, eq=False)
class _Member:
    """A worker: its place, what stands for it, the portions it has, whether it lives, and how many
    died in its place since one there encoded something."""

    slot: WorkerSlot
    worker: Any
    deaths: int
    flying: int = 0
    alive: bool = True


@dataclasses.dataclass(slots=True, eq=False)
class _Portion:
    """Rows of inputs that are encoded together, and how many workers died with them."""

    rows: Sequence[int]
    deaths: int = 0


class WorkerEngine(Engine):
    """A model on all workers of a pool, which this engine closes. revision: that every worker must
    have; reporter: hears of workers that are waited for or died.

    Raises ModelError: a worker lacks the model, has it in another revision or belongs to another
    version of the program, or none begins.
    """

    def __init__(
        self, part: ModelPart, revision: str, pool: WorkerPool, reporter: Reporter
    ) -> None:
        self._model = part.model
        self._reporter = reporter
        self._ready: list[_Member] = []
        self._joining: dict[Any, _Member] = {}
        self._facts: WorkerFacts | None = None
        self._left_out: ModelError | None = None
        self._pool = pool
        try:
            self._begin(part, revision)
        except BaseException:
            self.close()
            raise

    def _begin(self, part: ModelPart, revision: str) -> None:
        slots = self._pool.slots
        settings = {
            devices.ENGINE_VARIABLE: devices.engine(),
            devices.PRECISION_VARIABLE: devices.precision(),
            "BIORETRIEVAL_OFFLINE": "1",
        }
        self._order = WorkerOrder(part, revision, slots[0].device, 1, settings)
        # Several cores share a portion.
        card = slots[0].device.startswith("cuda")
        self._texts = CHUNK * (_OF_CARD if card else max(1, slots[0].cores // 2))
        for slot in slots:
            self._join(slot)
        with self._pool.faults():
            while not self._ready:
                note = f"waiting for {plural(len(self._joining), 'worker')} {self._pool.where}"
                step = Progress("loading model", 0, None, unit="models", note=note)
                self._reporter(step)
                self._answered({})
            facts = self._facts
            assert facts is not None  # noqa: S101 - of the worker that is ready
            super().__init__(
                revision, facts.shape, device=self._pool.device(facts), dtype=facts.dtype
            )
            self.normalised = facts.normalised
            self.tokenizer = self._tokenizer()
        self.at_once = self._texts * _PORTIONS * FLYING * len(slots)

    def _tokenizer(self) -> TextTokenizer | None:
        member = self._ready[0]
        ref = self._pool.ask(member.worker, "tokenizer")
        while not self._pool.wait([ref], _STEP):
            pass
        try:
            found: TextTokenizer | None = self._pool.result(member.slot, ref)
        except WorkerDied as error:
            raise ModelError(
                f"a worker on {member.slot.name} died: {error}", remedy=self._pool.advice
            ) from error
        return found

    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        del urgent
        order = sorted(range(len(inputs)), key=lambda row: -characters(inputs[row]))
        # Of few texts, each worker has some.
        each = -(-len(order) // max(1, FLYING * len(self._ready)))
        size = min(self._texts, -(-each // CHUNK) * CHUNK)
        waiting = deque(_Portion(order[at : at + size]) for at in range(0, len(order), size))
        flying: dict[Any, tuple[_Member, _Portion]] = {}
        with self._pool.faults():
            while waiting or flying:
                self._deal(waiting, flying, inputs, max_length)
                ref = self._answered(flying)
                if ref is None:
                    continue
                member, portion = flying.pop(ref)
                member.flying -= 1
                try:
                    found = self._pool.result(member.slot, ref)
                except WorkerDied as error:
                    self._lost(member, error)
                    portion.deaths += 1
                    if portion.deaths == _DEATHS:
                        raise ModelError(
                            f"{plural(_DEATHS, 'worker')} died while they encoded the same"
                            f" {plural(len(portion.rows), 'text')}, the last on"
                            f" {member.slot.name}: {error}",
                            remedy=self._pool.of_death,
                        ) from error
                    waiting.appendleft(portion)
                    continue
                if isinstance(found, WorkerFault):
                    raise self._refused(member, found)
                member.deaths = 0
                rows, longer = (
                    [portion.rows[row] for row in some] for some in (found.rows, found.longer)
                )
                yield found._replace(rows=rows, longer=longer)

    def close(self) -> None:
        """End the workers and the connection; safe to call twice."""
        members = [*self._ready, *self._joining.values()]
        self._ready, self._joining = [], {}
        for member in members:
            self._pool.end(member.worker)
        self._pool.close()

    def _deal(
        self,
        waiting: deque[_Portion],
        flying: dict[Any, tuple[_Member, _Portion]],
        inputs: Sequence[SideInput],
        max_length: int,
    ) -> None:
        """Give portions to the workers that have the fewest, as long as one can take more."""
        while waiting and self._ready:
            member = min(self._ready, key=lambda one: one.flying)
            if member.flying >= FLYING:
                break
            portion = waiting.popleft()
            texts = [tuple(inputs[row]) for row in portion.rows]
            member.flying += 1
            flying[self._pool.ask(member.worker, "encode", texts, max_length)] = (member, portion)

    def _answered(self, flying: dict[Any, tuple[_Member, _Portion]]) -> Any:
        """Wait a while for an answer to a portion, and take in workers that have loaded the model;
        returns its reference, None where there is none. Raises ModelError where no worker is left,
        or none begins."""
        if not self._ready and not self._joining and not flying:
            if self._left_out is not None and self._facts is None:  # none has ever begun
                raise self._left_out
            raise ModelError(
                f"no worker {self._pool.where} is left",
                remedy=f"{self._pool.advice}; the same call goes on from what is encoded",
            )
        found = self._pool.wait([*flying, *self._joining], _STEP)
        for ref in found:
            if ref in flying:
                return ref
            self._welcome(ref, self._joining.pop(ref))
        if not (found or self._ready or flying) and time.monotonic() > self._until:
            raise ModelError(
                f"no worker {self._pool.where} began within {_PATIENCE / 60:.0f} minutes:"
                f" {self._pool.free()}",
                remedy=self._pool.advice,
            )
        return None

    def _join(self, slot: WorkerSlot, deaths: int = 0) -> None:
        """Start a worker that loads the model."""
        self._until = time.monotonic() + _PATIENCE
        member = _Member(slot, self._pool.start(slot, FLYING), deaths)
        own = msgspec.structs.replace(self._order, cores=slot.cores, device=slot.device)
        ref = self._pool.ask(member.worker, "load", __version__, msgspec.json.encode(own))
        self._joining[ref] = member

    def _welcome(self, ref: Any, member: _Member) -> None:
        """Take in a worker that has answered. Raises ModelError where it cannot do the work."""
        try:
            answer = msgspec.json.decode(self._pool.result(member.slot, ref), type=_Answer)
        except WorkerDied as error:
            self._lost(member, error)
            return
        if isinstance(answer, WorkerFault):
            self._left_out = self._refused(member, answer)
            if not answer.here:
                raise self._left_out
            self._pool.end(member.worker)
            self._tell(f"{self._left_out.message}; it is left out")
            return
        self._facts = self._facts or answer
        if (answer.shape, answer.normalised) != (self._facts.shape, self._facts.normalised):
            raise ModelError(
                f"{self._model} is another model on {member.slot.name} than on other nodes",
                remedy="put the same files on every node, such as by a shared BIORETRIEVAL_HOME",
            )
        self._ready.append(member)

    def _lost(self, member: _Member, error: WorkerDied) -> None:
        """Leave out a worker that died, and start another in its place."""
        if not member.alive:
            return  # known from another of its portions
        member.alive = False
        said = [f"one on {member.slot.name} died: {error}"]
        if member in self._ready:
            self._ready.remove(member)
            said.append("its texts are given to others")
        deaths = member.deaths + 1
        if error.again and deaths < _DEATHS:
            self._join(member.slot, deaths)
            said.append("another begins there")
        self._tell("; ".join(said))

    def _tell(self, note: str) -> None:
        self._reporter(Progress(WORKERS, 0, unit="workers", note=note))

    def _refused(self, member: _Member, fault: WorkerFault) -> ModelError:
        """A fault of one place, as an error that names it."""
        kind = DeviceMemoryError if fault.here else ModelError
        return kind(f"{self._pool.title(member.slot)}: {fault.message}", remedy=fault.remedy)
