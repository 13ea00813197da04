"""Encoding by two workers of one core each against one process of one core.

    python -m benchmarks.workers processes|ray [--keep] [--data FOLDER] [--documents 256]
        [--rounds 5]

The workers are processes of this machine, as on several cards, or those of a Ray cluster. Both
sides encode the same abstracts of SciFact by the embedded model and take turns. On a machine that
others use, documents a second by the clock say little: whoever is pinned to a core shares it. So
two more things are told, which do not depend on the others: seconds of processors for a document,
with all that the workers' cluster uses, and the share of the time in which a worker had something
to compute (its busiest thread ran, or waited for the core). Their product is what remains of
linear.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks import embedding
from benchmarks.measuring import Report, median
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.card_processes import CardProcesses
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import parts_of
from bioretrieval_tui.encoding.worker_engine import WorkerEngine
from bioretrieval_tui.progress import silent

Usage = dict[int, tuple[int, int]]
"""Nanoseconds that each thread ran, and waited for a core."""


def used(process: int) -> Usage:
    """Of all threads of a process."""
    found = {}
    for path in Path(f"/proc/{process}/task").iterdir():
        ran, waited, _number = (path / "schedstat").read_text().split()
        found[int(path.name)] = (int(ran), int(waited))
    return found


def pin(process: int, core: int) -> None:
    """Keep all threads of a process on one core."""
    for path in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(path.name), {core})


def alone(wire: Connection, documents: list[Document], core: int) -> None:
    """Encode on one core whenever asked, and send the vectors and what that used."""
    own = os.getpid()
    pin(own, core)
    encoder = load_encoder(device="cpu")
    while wire.recv():
        before = used(own)
        wire.send((encoder.encode_documents(documents), before, used(own)))


def since(before: Usage, after: Usage) -> tuple[float, float]:
    """Seconds that a process ran, and that its busiest thread ran or waited for a core."""
    spent = [np.subtract(after[one], before.get(one, (0, 0))) / 1e9 for one in after]
    return float(sum(each[0] for each in spent)), float(max(each.sum() for each in spent))


def of_others(own: set[int]) -> float:
    """Seconds of processors that this process and others that it started, and they, have used,
    without those of `own`."""
    ticks, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        process = int(path.parent.name)
        parents[process], ticks[process] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, found = {os.getpid()}, 0
    while family:
        found += sum(ticks[one] for one in family)
        family = {one for one, parent in parents.items() if parent in family and one not in own}
    return found / os.sysconf("SC_CLK_TCK")


def encoder_on(kind: str) -> Encoder:
    """The embedded model on two workers."""
    if kind == "ray":
        os.environ["RAY_ADDRESS"] = "local"
        return load_encoder(device="ray")
    part, _ = parts_of(embedded.MODEL_ID, embedded.RECIPE)
    revision = files_of(part).revision
    engine = WorkerEngine(part, revision, CardProcesses(["cpu", "cpu"]), silent)
    return Encoder(embedded.MODEL_ID, revision, embedded.RECIPE, lambda _: engine)


def processes_of(kind: str, engine: WorkerEngine) -> list[int]:
    """The ids of the workers' processes."""
    workers = [member.worker for member in engine._ready]
    if kind == "processes":
        return [worker.child.pid for worker in workers]
    ray = engine._pool.ray  # type: ignore[attr-defined]  # it is a RayCluster
    asked = [worker.__ray_call__.remote(lambda _: os.getpid()) for worker in workers]
    return list(ray.get(asked))


def main() -> None:
    """Rounds of both."""
    asked = argparse.ArgumentParser()
    asked.add_argument("kind", choices=("processes", "ray"))
    asked.add_argument("--keep", action="store_true")
    asked.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked.add_argument("--documents", type=int, default=256)
    asked.add_argument("--rounds", type=int, default=5)
    options = asked.parse_args()
    documents = embedding.documents(options.data, options.documents)
    cores = sorted(os.sched_getaffinity(0))[:2]
    context = multiprocessing.get_context("spawn")
    wire, theirs = context.Pipe()
    child = context.Process(target=alone, args=(theirs, documents, cores[0]), daemon=True)
    child.start()
    encoder = encoder_on(options.kind)
    engine = encoder.engine("document")
    assert isinstance(engine, WorkerEngine)
    while len(engine._ready) < 2:
        encoder.encode_documents(documents[:1])
    workers = processes_of(options.kind, engine)
    for worker, core in zip(workers, cores, strict=True):
        pin(worker, core)
    own = {int(child.pid or 0), *workers}
    rows, ratios, costs, busy = [], [], [], []
    same = True
    for turn in range(options.rounds + 1):
        started = time.perf_counter()
        wire.send(True)
        expected, *usage = wire.recv()
        one = time.perf_counter() - started
        ran = since(*usage)[0]
        before, others = [used(worker) for worker in workers], of_others(own)
        started = time.perf_counter()
        found = encoder.encode_documents(documents)
        both = time.perf_counter() - started
        others = of_others(own) - others
        after = [used(worker) for worker in workers]
        spent = [since(*each) for each in zip(before, after, strict=True)]
        same = same and np.array_equal(expected.astype(np.float16), found.astype(np.float16))
        if not turn:  # it warms up
            continue
        ratios.append(one / both)
        costs.append(ran / (others + sum(each[0] for each in spent)))
        busy.append(sum(each[1] for each in spent) / both / len(spent))
        rows.append([
            str(turn), f"{len(documents) / one:.1f}", f"{len(documents) / both:.1f}",
            f"{ratios[-1]:.2f}", f"{costs[-1]:.2f}", f"{busy[-1]:.2f}",
        ])  # fmt: skip
    wire.send(False)
    encoder.close()
    title = "processes" if options.kind == "processes" else "Ray workers"
    report = Report(f"Encoding on two {title}")
    report.say(
        f"{len(documents)} abstracts, the embedded model, process and workers pinned to a core;"
        f" load {os.getloadavg()[0]:.1f} at the end; above 2 the clock says little. Cost: seconds"
        " of processors of one process, as a share of those of workers and of all that serves them."
        " Busy: share"
        " of the time in which workers had something to compute. Vectors in float16 are"
        f" {'equal bit by bit' if same else 'not equal'}."
    )
    report.say()
    heads = ["one process, documents/s", "two workers, documents/s", "ratio", "cost", "busy"]
    report.table(["round", *heads], rows)
    report.say()
    report.say(
        f"Medians: ratio by the clock {median(ratios):.2f}, cost {median(costs):.2f}, busy"
        f" {median(busy):.2f}: on cores of their own the two would have"
        f" {median(costs) * median(busy):.2f} of linear."
    )
    report.keep("ray_workers" if options.kind == "ray" else "worker_processes")


if __name__ == "__main__":
    main()
