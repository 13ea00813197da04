"""Training on several devices of one machine: a process for each, on its share of every batch.

The processes are those of torch's DistributedDataParallel, with gloo on the CPU and NCCL on GPUs.
The first one watches, saves and tells its progress; this process hears them, loads the weights at
the end, and ends all when one is gone. They end by themselves when this process is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, TrainingSettings
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.own_models import CHECKPOINTS, Fitted, last_checkpoint
from bioretrieval_tui.training.step_parts import ShortOfMemoryError, halved

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

WEIGHTS = "fitted.safetensors"
_GRACE = 5.0
"""Seconds in which the process that broke the others is found; a broken line is felt by all."""
_SAVING = 60.0
"""Seconds that a step and a checkpoint may take before the processes of a stopped run end."""
_asked = threading.Event()
"""A checkpoint is asked for, as the run is stopped."""
_log = logging.getLogger(__name__)


class Share(NamedTuple):
    """The part of a process in a training: its number, the first one 0, and how many there are."""

    rank: int = 0
    processes: int = 1

    def agreed(self, said: bool) -> bool:
        """What the first process says, in all of them: yes too if a checkpoint is asked for."""
        if self.processes == 1:
            return said
        import torch

        if asked := _asked.is_set():
            _asked.clear()
        word = torch.tensor([int(said or asked)])
        if torch.distributed.get_backend() == "nccl":
            word = word.cuda()
        torch.distributed.broadcast(word, 0)
        return bool(word.item())


WHOLE = Share()


class _Work(NamedTuple):
    """What a process is given: `load` makes the model, `saved_every` are the seconds between
    checkpoints; the rest is as `fit` takes it."""

    load: Callable[[], Any]
    recipe: Encoding
    settings: TrainingSettings
    examples: Sequence[Example]
    held: Sequence[Example]
    folder: Path
    device: str
    task_of: Callable[..., Any]
    saved_every: float
    share: Share = WHOLE
    most: int | None = None


def needs_processes(device: str) -> bool:
    """Whether training on it takes another process: there are several, or it is not the first."""
    return "," in device or (device.startswith("cuda:") and device != "cuda:0")


def even_batch(batch: int, devices: int, pairs: int) -> int:
    """Pairs of a step: `batch`, made larger until the devices share it evenly, and not larger than
    `pairs`, as every step takes whole shares."""
    each = max(1, min(-(-batch // devices), pairs // devices))
    return each * devices


def fit_together(
    model: Any,
    load: Callable[[], Any],
    recipe: Encoding,
    settings: TrainingSettings,
    examples: Sequence[Example],
    held: Sequence[Example],
    folder: Path,
    reporter: Reporter,
    *,
    device: str,
    task_of: Callable[..., Any],
) -> Fitted:
    """As `fit`, on the devices whose names `device` has, separated by commas. load: makes a model
    like `model`, in another process. Every step takes `even_batch` pairs. Raises as `fit` does;
    BioRetrievalError: a process ended or failed."""
    from bioretrieval_tui.training import training_watch

    names = device.split(",")
    batch = settings.batch or 32
    even = even_batch(batch, len(names), len(examples))
    if even != batch:
        settings = msgspec.structs.replace(settings, batch=even)
        note = f"{even} pairs a step, {even // len(names)} on each of {len(names)} devices"
        reporter(Progress("training", 0, None, unit="steps", note=note))
    kind = "cpu" if names[0] == "cpu" else "cuda"
    every = training_watch.SAVED_EVERY
    work = _Work(load, recipe, settings, examples, held, folder, kind, task_of, saved_every=every)
    while True:
        try:
            fitted = _together(names, work, reporter)
            break
        except ShortOfMemoryError as error:
            work = work._replace(most=halved(error.rows))
            note = f"memory is short: {work.most} pairs are computed at a time"
            reporter(Progress("training", 0, None, unit="steps", note=note))
    from safetensors.torch import load_file

    model.load_state_dict(load_file(folder / WEIGHTS))
    (folder / WEIGHTS).unlink()
    model.eval()
    return fitted if even == batch else msgspec.structs.replace(fitted, batch=even)


def _together(names: Sequence[str], work: _Work, reporter: Reporter) -> Fitted:
    """A training by processes that are started for it."""
    group = _Group(names)
    try:
        for rank, line in enumerate(group.lines):
            share = Share(rank, len(names))
            # A process that is gone already is found by `outcome`.
            with contextlib.suppress(OSError):
                line.send(work._replace(share=share))
        return group.outcome(reporter)
    except (KeyboardInterrupt, InterruptedByUser):
        group.save_step(work.folder / CHECKPOINTS)
        raise
    finally:
        group.close()


class _Group:
    """The processes, each with a line to it."""

    def __init__(self, names: Sequence[str]) -> None:
        from multiprocessing.connection import Pipe
        from subprocess import DEVNULL, Popen

        self._names = names
        self.lines: list[Connection] = []
        self._children: list[subprocess.Popen[bytes]] = []
        shared = _shared(names)
        for rank in range(len(names)):
            line, far_end = Pipe()
            self.lines.append(line)
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if len(names) > 1 else {}
            with far_end as end:
                # -P: never import from the working folder.
                words = (sys.executable, "-P", "-m", __name__, str(end.fileno()))
                self._children.append(
                    Popen(words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
                          pass_fds=[end.fileno()], env={**os.environ, **shared, **own})
                )  # fmt: skip

    def outcome(self, reporter: Reporter) -> Fitted:
        """What the first process gives; its progress is reported. Raises what a process raised."""
        from multiprocessing.connection import wait

        waiting = dict(zip(self.lines, range(len(self.lines)), strict=True))
        while True:
            for line in wait(list(waiting)):
                rank = waiting[line]  # type: ignore[index]  # they are those lines
                try:
                    said = self.lines[rank].recv()
                except (EOFError, OSError):
                    said = BioRetrievalError("")
                if isinstance(said, Progress):
                    reporter(said)
                elif isinstance(said, BaseException):
                    raise self._cause(rank, said)
                elif rank == 0:
                    return said  # type: ignore[no-any-return]  # Fitted
                else:
                    del waiting[line]  # type: ignore[arg-type]  # its part is done

    def _cause(self, rank: int, said: BaseException) -> BaseException:
        """The error that people are told. A BioRetrievalError of a process says enough;
        otherwise one that is gone is the reason, and the others miss it."""
        if isinstance(said, BioRetrievalError) and str(said):
            return said
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            for other, child in enumerate(self._children):
                if (code := child.poll()) is not None and code < 0:
                    return self._gone(other, f"was ended by {signal.Signals(-code).name}")
            time.sleep(0.05)
        reason = str(said).strip().splitlines()
        _log.error("training on %s: %r", self._names[rank], said)
        return self._gone(rank, f"failed: {reason[0]}" if reason else "ended without a word")

    def _gone(self, rank: int, what: str) -> BioRetrievalError:
        return BioRetrievalError(
            f"training stopped: process {rank + 1} of {len(self._names)}, on {self._names[rank]},"
            f" {what}",
            remedy="the same call goes on from the last checkpoint",
        )

    def save_step(self, checkpoints: Path) -> None:
        """Have the processes write a checkpoint after the step that they compute."""
        before, until = last_checkpoint(checkpoints), time.monotonic() + _SAVING
        with contextlib.suppress(OSError):
            self.lines[0].send(None)
            while last_checkpoint(checkpoints) == before and time.monotonic() < until:
                if any(child.poll() is not None for child in self._children):
                    return
                time.sleep(0.05)

    def close(self) -> None:
        """End all processes, whatever they do."""
        for line in self.lines:
            line.close()
        for child in self._children:
            child.kill()
            child.wait()


def _shared(names: Sequence[str]) -> dict[str, str]:
    """The variables that torch.distributed and accelerate read, the same in all processes."""
    import socket

    found: dict[str, str] = {}
    if len(names) > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        found |= {"WORLD_SIZE": str(len(names)), "LOCAL_WORLD_SIZE": str(len(names)),
                  "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
    if names[0] == "cpu":
        if "OMP_NUM_THREADS" not in os.environ:
            found["OMP_NUM_THREADS"] = str(max(1, usable_cores() // len(names)))
        return found
    # A process sees these GPUs only, counted from 0; the names may count those of a variable.
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    known = [one.strip() for one in seen.split(",")] if seen else None
    numbers = [int(name.partition(":")[2] or 0) for name in names]
    found["CUDA_VISIBLE_DEVICES"] = ",".join(
        known[number] if known else str(number) for number in numbers
    )
    return found


# A process of a device ------------------------------------------------------------------------


def main() -> None:
    """Train on one share; end when the process that asked is gone."""
    from multiprocessing.connection import Connection

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked ends this one
    line = Connection(int(sys.argv[1]))
    try:
        work: _Work = line.recv()
        threading.Thread(target=_end_with, args=(line,), daemon=True).start()
        fitted = _fit(work, line)
    except BaseException as error:
        line.send(error if isinstance(error, BioRetrievalError) else RuntimeError(repr(error)))
        raise
    line.send(fitted)
    with contextlib.suppress(Exception):
        _leave()


def _end_with(line: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            line.recv()
            _asked.set()
    os._exit(1)


def _fit(work: _Work, line: Connection) -> Fitted:
    from bioretrieval_tui.training import trainer, training_watch

    training_watch.SAVED_EVERY = work.saved_every
    first = work.share.rank == 0
    model = work.load()
    fitted = trainer.fit(
        model, work.recipe, work.settings, work.examples, work.held, work.folder,
        line.send if first else silent,
        device=work.device, task_of=work.task_of, share=work.share,
        most=work.most,
    )  # fmt: skip
    if first:
        training_watch.save_weights(model.state_dict(), work.folder / WEIGHTS)
    return fitted


def _leave() -> None:
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    # Under its own name: what comes through the line is of that module.
    from bioretrieval_tui.training import several_devices

    several_devices.main()
