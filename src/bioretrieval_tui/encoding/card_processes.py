"""A process for each card of this machine, or for some of its cores: each loads the model once.

One interpreter cannot feed many cards: reading tokens and collecting vectors for all of them would
wait for each other. Processes are programs of their own, since CUDA does not survive a fork, and
end with the process that started them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoding_worker import EncodingWorker, WorkerFacts
from bioretrieval_tui.encoding.worker_engine import FLYING, WorkerDied, WorkerSlot

_ENDING = 5.0
"""Seconds in which a process that was killed has to be gone."""

_TURN = 0.5
"""Seconds that one thread listens before another may."""


class _Process:
    """One worker. answers: what it has said, by the number of the question."""

    def __init__(self, slot: WorkerSlot) -> None:
        self.slot = slot
        self.answers: dict[int, tuple[bool, Any]] = {}
        self.asked = 0
        self.line, far_end = Pipe()
        with far_end as end:
            # -P: never import from the working folder.
            words = (sys.executable, "-P", "-m", __name__, str(end.fileno()))
            nowhere = subprocess.DEVNULL
            self.child = subprocess.Popen(
                words, stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=[end.fileno()]
            )

    def hear(self) -> None:
        """Take in one answer; where the process has ended, the line is closed."""
        try:
            number, raised, answer = self.line.recv()
        except (EOFError, OSError):
            self.line.close()
        else:
            self.answers[number] = (raised, answer)

    def end(self) -> None:
        self.child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(_ENDING)
        self.line.close()


class CardProcesses:
    """A WorkerPool of processes on this machine. devices: as torch names them, the same one as
    often as it is to be used; they share the cores."""

    advice = "see: nvidia-smi"
    of_death = "give the process more memory, or use one device, which says more"

    def __init__(self, devices: Sequence[str]) -> None:
        cores = max(1, usable_cores() // len(devices))
        self.slots = [WorkerSlot(name, cores, name) for name in devices]
        self.where = f"on {','.join(devices)}"
        self._processes: list[_Process] = []
        self._asking, self._hearing = threading.Lock(), threading.Lock()

    def title(self, slot: WorkerSlot) -> str:
        return slot.name

    def device(self, facts: WorkerFacts) -> str:
        del facts
        return ",".join(slot.name for slot in self.slots)

    def free(self) -> str:
        return "the model is still being loaded"

    def start(self, slot: WorkerSlot, concurrency: int) -> Any:
        del concurrency  # it is FLYING for all
        self._processes.append(_Process(slot))
        return self._processes[-1]

    def ask(self, worker: Any, method: str, *arguments: Any) -> Any:
        with self._asking:
            worker.asked += 1
            with contextlib.suppress(OSError):  # it has ended: `wait` finds that
                worker.line.send((worker.asked, method, arguments))
            return worker, worker.asked

    def wait(self, refs: Sequence[Any], seconds: float) -> Sequence[Any]:
        until = time.monotonic() + seconds
        while True:
            with self._hearing:  # of several threads one takes in what is for all
                found = [ref for ref in refs if ref[0].line.closed or ref[1] in ref[0].answers]
                left = until - time.monotonic()
                if found or left <= 0:
                    return found
                processes = {ref[0].line: ref[0] for ref in refs}
                for line in wait(list(processes), min(left, _TURN)):
                    processes[line].hear()

    def result(self, slot: WorkerSlot, ref: Any) -> Any:
        del slot  # the process knows it
        process, number = ref
        raised, answer = process.answers.pop(number, (False, WorkerDied))
        if answer is WorkerDied:
            raise WorkerDied(_reason(process.child), again=True)
        if raised:  # such as a fault of the card, after which CUDA answers this process no more
            self.end(process)
            raise WorkerDied(answer, again=True)
        return answer

    def end(self, worker: Any) -> None:
        worker.end()

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        for process in self._processes:
            process.end()
        self._processes = []


def _reason(child: subprocess.Popen[bytes]) -> str:
    """Why a process has ended."""
    try:
        code = child.wait(_ENDING)
    except subprocess.TimeoutExpired:
        return "it answers no more"
    if code == -signal.SIGKILL:
        return "its process was killed, as where memory is short"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _serve(line: Connection) -> None:
    """Answer questions, FLYING at a time, so that the card has work while the next texts become
    tokens; until the other end is closed."""
    worker, telling = EncodingWorker(), threading.Lock()

    def answer(number: int, method: str, arguments: Sequence[Any]) -> None:
        try:
            said = (number, False, getattr(worker, method)(*arguments))
        except Exception as error:  # noqa: BLE001 - the other end says it
            what = " ".join(str(error).split())
            said = (number, True, f"{type(error).__name__}: {what[:200]}")
        with telling, contextlib.suppress(OSError):
            line.send(said)

    pool = ThreadPoolExecutor(FLYING, thread_name_prefix="encoding")
    with contextlib.suppress(EOFError, OSError):
        while True:
            pool.submit(answer, *line.recv())
    os._exit(0)  # at once, whatever is being encoded


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked ends this one
    _serve(Connection(int(sys.argv[1])))
