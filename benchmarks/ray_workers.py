"""Encoding on a Ray cluster: two workers of one core each against processes of one core.

    python -m benchmarks.ray_workers [--keep] [--data FOLDER] [--documents 256] [--rounds 5]

All encode the same abstracts of SciFact by the embedded model: one process, two processes with half
of them each and nothing between, and two workers. Two cores are rarely twice one (they share
caches, and may be two threads of one), so the second is what Ray can reach. They take turns; a
round that others disturb says little, so ratios within rounds are told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import embedding
from benchmarks.measuring import Report, median
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.ray_engine import RayEngine


def alone(wire: Connection, documents: list[Document], core: int) -> None:
    """Encode every n-th document on one core whenever asked for an n, and send the vectors."""
    os.sched_setaffinity(0, {core})
    encoder = load_encoder(device="cpu")
    while step := wire.recv():
        wire.send(encoder.encode_documents(documents[core % step :: step]))


def pin(_: Any, core: int) -> None:
    """Keep all threads of a worker on one core."""
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - names are all that is wanted
        os.sched_setaffinity(int(thread), {core})


def main() -> None:
    """Rounds of both."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--keep", action="store_true")
    asked.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked.add_argument("--documents", type=int, default=256)
    asked.add_argument("--rounds", type=int, default=5)
    options = asked.parse_args()
    documents = embedding.documents(options.data, options.documents)
    cores = sorted(os.sched_getaffinity(0))[:2]
    context = multiprocessing.get_context("spawn")
    wires = []
    for core in cores:
        wire, theirs = context.Pipe()
        wires.append(wire)
        context.Process(target=alone, args=(theirs, documents, core), daemon=True).start()
    os.environ["RAY_ADDRESS"] = "local"
    encoder = load_encoder(device="ray")
    engine = encoder.engine("document")
    assert isinstance(engine, RayEngine)
    while len(engine._ready) < 2:
        encoder.encode_documents(documents[:1])
    for member, core in zip(engine._ready, cores, strict=True):
        engine._cluster.ray.get(member.actor.__ray_call__.remote(pin, core))

    def processes(count: int) -> Any:
        for wire in wires[:count]:
            wire.send(count)
        first, *_ = [wire.recv() for wire in wires[:count]]  # waits for all
        return first

    def workers() -> Any:
        return encoder.encode_documents(documents)

    rows, ratios = [], []
    for turn in range(options.rounds + 1):
        found, speeds = [], []
        for make in (partial(processes, 1), partial(processes, 2), workers):
            started = time.perf_counter()
            found.append(make())
            speeds.append(len(documents) / (time.perf_counter() - started))
        if turn:  # the first warms up
            rows.append([str(turn), *(f"{each:.1f}" for each in speeds)])
            ratios.append((speeds[1] / speeds[0], speeds[2] / speeds[0], speeds[2] / speeds[1]))
    for wire in wires:
        wire.send(0)
    encoder.close()
    same = np.array_equal(found[0].astype(np.float16), found[2].astype(np.float16))
    report = Report("Encoding on two Ray workers")
    report.say(
        f"{len(documents)} abstracts, the embedded model, each process and worker pinned to a core;"
        f" load {os.getloadavg()[0]:.1f} at the end. Vectors in float16 of one process and of the"
        f" workers are {'equal bit by bit' if same else 'not equal'}."
    )
    report.say()
    heads = ["one process", "two processes", "two Ray workers"]
    report.table(["round", *(f"{head}, documents/s" for head in heads)], rows)
    report.say()
    two, ray, beside = (median(each) for each in zip(*ratios, strict=True))
    report.say(
        f"Medians of ratios: two processes {two:.2f} of one, two Ray workers {ray:.2f} of one and"
        f" {beside:.2f} of two processes."
    )
    report.keep("ray_workers")


if __name__ == "__main__":
    main()
