"""A process a card: the vectors are those of one process, and lost processes lose nothing.

Cards are played by the processor, twice; the processes, the model and what kills them are real.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bioretrieval_tui.encoding import card_processes, device, embedded, worker_engine
from bioretrieval_tui.encoding.card_processes import CardProcesses
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import SideInput, parts_of
from bioretrieval_tui.encoding.worker_engine import WorkerDied, WorkerEngine
from bioretrieval_tui.errors import DeviceMemoryError, InterruptedByUser, ModelError
from bioretrieval_tui.index.build import build_for_model
from bioretrieval_tui.index.registry import kept_vectors, open_index, remove_index
from bioretrieval_tui.progress import WORKERS, Progress, silent

TEXTS = [SideInput("the liver and a statin " * (1 + number % 9)) for number in range(100)]


@pytest.fixture(autouse=True)
def _two(prepared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices of one core each, whatever is asked for."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(prepared_home))
    monkeypatch.setattr(card_processes, "usable_cores", lambda: 2)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[CardProcesses]:
    """The pools that are made where `auto` finds two devices."""
    made: list[CardProcesses] = []

    class Noted(CardProcesses):
        def __init__(self, devices: list[str]) -> None:
            super().__init__(devices)
            made.append(self)

    pick = device.pick
    two = "cpu,cpu"
    monkeypatch.setattr(device, "pick", lambda name="auto": pick(name) if name == "cpu" else two)
    monkeypatch.setattr(card_processes, "CardProcesses", Noted)
    return made


def engine_on(devices: list[str], reporter: Callable[[Progress], None] = silent) -> WorkerEngine:
    part, _ = parts_of(embedded.MODEL_ID, embedded.RECIPE)
    return WorkerEngine(part, files_of(part).revision, CardProcesses(devices), reporter)


@pytest.fixture
def engine() -> Iterator[WorkerEngine]:
    found = engine_on(["cpu", "cpu"])
    yield found
    found.close()


def vectors_by(found: WorkerEngine) -> np.ndarray:
    made = np.zeros((len(TEXTS), found.shape.dimension), dtype=np.float32)
    for part in found.encoded(TEXTS, 256, urgent=False):
        made[part.rows] = part.vectors
    return made


def corpus_of(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            text = f"statin {number} of the liver " * (1 + number % 12)
            stream.write(json.dumps({"_id": f"d{number}", "title": "It", "text": text}) + "\n")
    return path


def test_a_build_that_loses_a_process_has_the_vectors_of_one(
    cards: list[CardProcesses], tmp_path: Path
) -> None:
    corpus = [str(corpus_of(tmp_path / "corpus.jsonl", 240))]
    steps: list[Progress] = []

    def kill_then_stop(step: Progress) -> None:
        if step.stage == "encoding" and not any(one.stage == "encoding" for one in steps):
            cards[-1]._processes[0].child.kill()
        steps.append(step)
        if step.stage == "encoding" and step.done >= 100:
            raise InterruptedByUser("enough")

    try:
        with pytest.raises(InterruptedByUser):
            build_for_model("cards", corpus, embedded.MODEL_ID, reporter=kill_then_stop)
        (said,) = [step.note or "" for step in steps if step.stage == WORKERS]
        assert said.startswith("one on cpu died: its process was killed, as where memory is short;")
        assert said.endswith("another begins there")
        kept = kept_vectors("cards")
        assert 100 <= kept < 240
        built = build_for_model("cards", corpus, embedded.MODEL_ID)
        assert (built.manifest.device, built.report.encoded) == ("cpu,cpu", 240 - kept)
        assert [pool._processes for pool in cards] == [[], []]
        found = open_index("cards")
        halves = np.array(found.vectors.matrix.halves(np.arange(240)))
        documents = list(found.living())
        found.close()
        alone = load_encoder(device="cpu").encode_documents(documents)
        assert np.array_equal(halves, alone.astype(np.float16))
    finally:
        remove_index("cards")


def test_a_query_is_encoded_here(cards: list[CardProcesses]) -> None:
    assert load_encoder(side="query").encode_queries(["the liver"]).shape == (1, 384)
    assert cards == []


def test_what_ends_its_processes_ends_the_work(
    engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_engine, "_DEATHS", 1)
    work = engine.encoded(TEXTS, 256, urgent=False)
    next(work)
    for process in engine._pool._processes:  # type: ignore[attr-defined]
        process.child.kill()
    with pytest.raises(
        ModelError, match=r"1 worker died while .* the last on cpu: its process was"
    ):
        list(work)


def test_a_device_that_fails_leaves_the_other_working(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that answers with an exception of its own is not asked again."""
    told: list[str] = []
    found = engine_on(["cpu", "cpu"], lambda step: told.append(step.note or ""))
    try:
        alone = vectors_by(found)
        first = found._ready[0].worker
        ask = found._pool.ask
        failed: list[str] = []

        def failing(worker: object, method: str, *arguments: object) -> object:
            if worker is first and method == "encode":
                failed.append(method)
                return ask(worker, "fall_off_the_bus")
            return ask(worker, method, *arguments)

        monkeypatch.setattr(found._pool, "ask", failing)
        assert np.array_equal(vectors_by(found).astype(np.float16), alone.astype(np.float16))
        assert failed
        (said,) = [note for note in told if "died" in note]
        assert said.startswith("one on cpu died: AttributeError: ")
    finally:
        found.close()


def test_a_device_without_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another program holds a card."""
    told: list[str] = []
    start = CardProcesses.start
    full: list[object] = []

    def starting(pool: CardProcesses, slot: worker_engine.WorkerSlot, concurrency: int) -> object:
        worker = start(pool, slot, concurrency)
        if len(full) < short:
            full.append(worker)
        return worker

    answer = CardProcesses.result

    def result(pool: CardProcesses, slot: worker_engine.WorkerSlot, ref: tuple) -> object:
        found = answer(pool, slot, ref)
        if ref[0] in full and isinstance(found, bytes):
            fault = worker_engine.WorkerFault(
                "there is too little memory for it", "wait", here=True
            )
            return worker_engine.msgspec.json.encode(fault)
        return found

    monkeypatch.setattr(CardProcesses, "start", starting)
    monkeypatch.setattr(CardProcesses, "result", result)
    short = 1
    found = engine_on(["cpu", "cpu"], lambda step: told.append(step.note or ""))
    try:
        assert vectors_by(found).any(axis=1).all()
        while found._joining:
            vectors_by(found)
        assert "cpu: there is too little memory for it; it is left out" in told
        assert len(found._ready) == 1
    finally:
        found.close()
    full.clear()
    short = 2
    with pytest.raises(DeviceMemoryError, match="too little memory") as raised:
        engine_on(["cpu", "cpu"])
    assert raised.value.remedy == "wait"


def test_answers_of_a_process(engine: WorkerEngine) -> None:
    pool, member = engine._pool, engine._ready[0]
    ref = pool.ask(member.worker, "encode", [("a",)], "no number")
    assert pool.wait([ref], 60) == [ref]
    with pytest.raises(WorkerDied, match="TypeError"):
        pool.result(member.slot, ref)
    ref = pool.ask(member.worker, "tokenizer")  # it has ended
    assert pool.wait([ref], 60) == [ref]
    with pytest.raises(WorkerDied):
        pool.result(member.slot, ref)
    assert pool.wait([], 0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from bioretrieval_tui.encoding.card_processes import CardProcesses\n"
        "pool = CardProcesses(['cpu', 'cpu'])\n"
        "made = [pool.start(slot, 2) for slot in pool.slots]\n"
        "refs = [pool.ask(one, 'load', 'none', b'') for one in made]\n"
        "pool.wait(refs, 60)\n"
        "print(*[one.child.pid for one in made], flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() and not _zombie(child) for child in children):
        assert time.monotonic() < until
        time.sleep(0.05)


def _zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
