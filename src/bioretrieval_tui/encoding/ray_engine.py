"""An engine whose model is loaded by the workers of a Ray cluster.

Texts are dealt longest first, in multiples of the texts that one process puts into batches
together: batches, and so vectors, are those of one process. Each worker has one portion in work and
one that waits, so that what is on the way does not grow with the corpus. A portion of a worker that
died is given to the next that is free.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import msgspec

from bioretrieval_tui import __version__
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.encoding.encoder import Encoded, Engine
from bioretrieval_tui.encoding.ray_cluster import ClusterSlot, RayCluster, first_line
from bioretrieval_tui.encoding.ray_worker import WorkerFacts, WorkerFault, WorkerOrder
from bioretrieval_tui.encoding.recipe import ModelPart, SideInput
from bioretrieval_tui.encoding.token_batches import CHUNK, characters
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import WORKERS, Progress, Reporter
from bioretrieval_tui.util.formatting import plural

_FLYING = 2
"""Portions that a worker has at once: one in work, one that waits."""
_PORTIONS = 16
"""Portions for each worker in what the caller should give at once: at its end some wait."""
_DEATHS = 3
"""Workers that may die with the same texts, or in the same place, until that is an error."""
_PATIENCE = 600.0
"""Seconds to wait for the first worker, which may have to prepare the model."""
_STEP = 5.0
"""Seconds between two looks at what is waited for."""
_NODE_LOST = "the node is lost"
_Answer = WorkerFacts | WorkerFault


@dataclasses.dataclass(slots=True, eq=False)
class _Member:
    """A worker: its place, its actor, the portions it has, whether it lives, and how many died in
    its place since one there encoded something."""

    slot: ClusterSlot
    actor: Any
    deaths: int
    flying: int = 0
    alive: bool = True


class _Died(Exception):
    """A worker died, for this reason; again: whether another may begin in its place."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


@dataclasses.dataclass(slots=True, eq=False)
class _Portion:
    """Rows of inputs that are encoded together, and how many workers died with them."""

    rows: Sequence[int]
    deaths: int = 0


class RayEngine(Engine):
    """A model on all workers of a cluster. place: ray or ray://host:port; revision: that every
    worker must have; reporter: hears of workers that are waited for or died.

    Raises ModelError: there is no such cluster, or a worker lacks the model, has it in another
    revision or belongs to another version of the program; UsageError: Ray is not installed.
    """

    def __init__(self, part: ModelPart, revision: str, place: str, reporter: Reporter) -> None:
        self._model = part.model
        self._reporter = reporter
        self._ready: list[_Member] = []
        self._joining: dict[Any, _Member] = {}
        self._facts: WorkerFacts | None = None
        note = f"{part.model}: connecting to the Ray cluster"
        reporter(Progress("loading model", 0, None, unit="models", note=note))
        self._cluster = RayCluster(place)
        try:
            self._begin(part, revision)
        except BaseException:
            self.close()
            raise

    def _begin(self, part: ModelPart, revision: str) -> None:
        slots = self._cluster.slots
        gpu = slots[0].gpu
        settings = {
            devices.ENGINE_VARIABLE: devices.engine(),
            devices.PRECISION_VARIABLE: devices.precision(),
            "BIORETRIEVAL_OFFLINE": "1",
        }
        self._order = WorkerOrder(part, revision, "cuda" if gpu else "cpu", 1, settings)
        # Several cores share a portion, and the tokenizer of a GPU works ahead within one.
        self._texts = CHUNK * (4 if gpu else max(1, slots[0].cores // 2))
        for slot in slots:
            self._join(slot)
        with self._faults():
            while not self._ready:
                note = f"waiting for {plural(len(self._joining), 'worker')} of the Ray cluster"
                step = Progress("loading model", 0, None, unit="models", note=note)
                self._reporter(step)
                self._answered({})
            facts = self._facts
            assert facts is not None  # noqa: S101 - of the worker that is ready
            device = f"{plural(len(slots), 'Ray worker')} ({facts.device})"
            super().__init__(revision, facts.shape, device=device, dtype=facts.dtype)
            self.normalised = facts.normalised
            self.tokenizer = self._cluster.ray.get(self._ready[0].actor.tokenizer.remote())
        self.at_once = self._texts * _PORTIONS * len(slots)

    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        del urgent
        order = sorted(range(len(inputs)), key=lambda row: -characters(inputs[row]))
        # Of few texts, each worker has some.
        each = -(-len(order) // max(1, _FLYING * len(self._ready)))
        size = min(self._texts, -(-each // CHUNK) * CHUNK)
        waiting = deque(_Portion(order[at : at + size]) for at in range(0, len(order), size))
        flying: dict[Any, tuple[_Member, _Portion]] = {}
        with self._faults():
            while waiting or flying:
                self._deal(waiting, flying, inputs, max_length)
                ref = self._answered(flying)
                if ref is None:
                    continue
                member, portion = flying.pop(ref)
                member.flying -= 1
                try:
                    found = self._result(member, ref)
                except _Died as error:
                    self._lost(member, error)
                    portion.deaths += 1
                    if portion.deaths == _DEATHS:
                        raise ModelError(
                            f"{plural(_DEATHS, 'worker')} died while they encoded the same"
                            f" {plural(len(portion.rows), 'text')}, the last on"
                            f" {member.slot.name}: {error}",
                            remedy="see Ray's logs there, or give its workers more memory",
                        ) from error
                    waiting.appendleft(portion)
                    continue
                if isinstance(found, WorkerFault):
                    raise _refused(member, found)
                member.deaths = 0
                rows, longer = (
                    [portion.rows[row] for row in some] for some in (found.rows, found.longer)
                )
                yield found._replace(rows=rows, longer=longer)

    def close(self) -> None:
        """End the workers and the connection; safe to call twice."""
        members = [*self._ready, *self._joining.values()]
        self._ready, self._joining = [], {}
        with contextlib.suppress(self._cluster.ray.exceptions.RayError, OSError, RuntimeError):
            for member in members:  # the connection may be one of the caller's
                self._cluster.ray.kill(member.actor)
        self._cluster.close()

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
            if member.flying >= _FLYING:
                break
            portion = waiting.popleft()
            texts = [tuple(inputs[row]) for row in portion.rows]
            member.flying += 1
            flying[member.actor.encode.remote(texts, max_length)] = (member, portion)

    def _answered(self, flying: dict[Any, tuple[_Member, _Portion]]) -> Any:
        """Wait a while for an answer to a portion, and take in workers that have loaded the model;
        returns its reference, None where there is none. Raises ModelError where no worker is left,
        or none begins."""
        if not self._ready and not self._joining and not flying:
            raise ModelError(
                "no worker of the Ray cluster is left",
                remedy="see: ray status; the same call goes on from what is encoded",
            )
        refs = [*flying, *self._joining]
        found, _ = self._cluster.ray.wait(refs, num_returns=1, timeout=_STEP)
        for ref in found:
            if ref in flying:
                return ref
            self._welcome(ref, self._joining.pop(ref))
        if not (found or self._ready or flying) and time.monotonic() > self._until:
            raise ModelError(
                f"no worker began within {_PATIENCE / 60:.0f} minutes: the Ray cluster has"
                f" {self._cluster.free()} free",
                remedy="see: ray status",
            )
        return None

    def _join(self, slot: ClusterSlot, deaths: int = 0) -> None:
        """Start a worker that loads the model."""
        self._until = time.monotonic() + _PATIENCE
        member = _Member(slot, self._cluster.start(slot, _FLYING), deaths)
        order = msgspec.json.encode(msgspec.structs.replace(self._order, cores=slot.cores))
        self._joining[member.actor.load.remote(__version__, order)] = member

    def _welcome(self, ref: Any, member: _Member) -> None:
        """Take in a worker that has answered. Raises ModelError where it cannot do the work."""
        try:
            answer = msgspec.json.decode(self._result(member, ref), type=_Answer)
        except _Died as error:
            self._lost(member, error)
            return
        if isinstance(answer, WorkerFault):
            raise _refused(member, answer)
        self._facts = self._facts or answer
        if (answer.shape, answer.normalised) != (self._facts.shape, self._facts.normalised):
            raise ModelError(
                f"{self._model} is another model on {member.slot.name} than on other nodes",
                remedy="put the same files on every node, such as by a shared BIORETRIEVAL_HOME",
            )
        self._ready.append(member)

    def _lost(self, member: _Member, error: _Died) -> None:
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
        note = "; ".join(said)
        self._reporter(Progress(WORKERS, 0, unit="workers", note=note))

    def _result(self, member: _Member, ref: Any) -> Any:
        """What a worker returned. Raises ModelError where it raised, _Died where it died."""
        ray = self._cluster.ray
        try:
            return ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            reason = f"{type(error.cause).__name__}: {error.cause}" if error.cause else str(error)
            raise ModelError(
                f"a worker on {member.slot.name} failed: {reason}",
                remedy="the same call goes on from what is encoded",
            ) from error
        except ray.exceptions.RayError as error:
            if "ModuleNotFoundError" in str(error):
                raise ModelError(
                    f"bioretrieval-tui {__version__} is not installed on {member.slot.name}",
                    remedy="install it in the environment in which Ray runs there",
                ) from error
            reason = _reason(error)
            raise _Died(reason, again=reason != _NODE_LOST) from error

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise what Ray raises where the cluster is gone as ModelError."""
        try:
            yield
        except (self._cluster.ray.exceptions.RayError, ConnectionError) as error:
            raise ModelError(
                f"the Ray cluster is lost: {first_line(error)}",
                remedy="see: ray status; the same call goes on from what is encoded",
            ) from error


def _refused(member: _Member, fault: WorkerFault) -> ModelError:
    """A fault of one node, as an error that names it."""
    return ModelError(f"node {member.slot.name}: {fault.message}", remedy=fault.remedy)


def _reason(error: BaseException) -> str:
    """Why a worker died, in few words: Ray's texts are pages."""
    text = f"{type(error).__name__} {error}".lower()
    if "outofmemory" in text or "memory monitor" in text:
        return "the node is short of memory"
    if ("node" in text and "died" in text.partition("node")[2][:40]) or "unschedulable" in text:
        return _NODE_LOST
    return "its process ended"
