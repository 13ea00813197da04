"""Builds on a Ray cluster of this machine: two workers, one of them killed, and their faults.

A cluster is started once for the module, and once more by the command line in a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.encoding import embedded, ray_cluster, worker_engine
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.ray_cluster import RayCluster, check_cluster, slots_of
from bioretrieval_tui.encoding.worker_engine import WorkerSlot
from bioretrieval_tui.errors import InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.index.build import build_for_model
from bioretrieval_tui.index.registry import kept_vectors, open_index, remove_index
from bioretrieval_tui.progress import WORKERS, Progress
from homes import share_encoders

pytest.importorskip("ray")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def children(parents: set[int], name: str) -> list[int]:
    """Processes of these parents, of which the first word begins or ends with that name."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            first = words[0].decode(errors="replace")
            if parent in parents and (first.startswith(name) or first.endswith(name)):
                found.append(int(folder.name))
    return found


def wait_until(done: Callable[[], bool]) -> None:
    """Wait until processes that were told to end have ended."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(driver: int) -> list[int]:
    """The workers of the cluster that a process has started."""
    return children(set(children({driver}, "/raylet")), "ray::EncodingWorker")


long = pytest.mark.skipif(
    os.environ.get("BIORETRIEVAL_FAULTS") != "long", reason="ten seconds of starting processes"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A cluster of two cores on this machine; builds of this process use it."""
    with pytest.MonkeyPatch.context() as patch:
        home = share_encoders(tmp_path_factory.mktemp("nodes"))
        patch.setenv("BIORETRIEVAL_HOME", str(home))
        patch.setenv("RAY_ADDRESS", "local")
        patch.setattr(ray_cluster, "usable_cores", lambda: 2)
        load_encoder(device="cpu")  # prepares the model, which the workers share
        found = RayCluster("ray")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _shared(home: Path) -> None:
    share_encoders(home)


def corpus_of(path: Path, count: int) -> Path:
    """Documents of unlike length, some longer than the model reads."""
    words = "the liver statin muscle pain gene cell p53 trial heart failure".split()
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            length = 300 if number % 40 == 0 else 3 + number * 7 % 23
            text = " ".join(words[(number + place * place) % len(words)] for place in range(length))
            line = {"_id": f"d{number}", "title": f"Number {number}", "text": text}
            stream.write(json.dumps(line) + "\n")
    return path


def vectors_of(name: str) -> Any:
    index = open_index(name)
    try:
        rows = np.arange(index.manifest.vectors)
        return np.array(index.vectors.matrix.halves(rows))
    finally:
        index.close()


# A build ----------------------------------------------------------------------------------------


@linux
def test_a_build_that_loses_a_worker_has_the_vectors_of_one_process(
    cluster: RayCluster, tmp_path: Path
) -> None:
    corpus = corpus_of(tmp_path / "corpus.jsonl", 240)
    how = {"inputs": [str(corpus)], "model": embedded.MODEL_ID, "passages": True}
    alone = build_for_model("demo", device="cpu", **how)
    expected = vectors_of("demo")
    remove_index("demo")
    steps: list[Progress] = []

    def reporter(step: Progress) -> None:
        killed = any(one.stage == "encoding" for one in steps)
        steps.append(step)
        if step.stage == "encoding" and not killed:
            os.kill(workers(os.getpid())[0], signal.SIGKILL)

    on = build_for_model("demo", device="ray", reporter=reporter, **how)
    assert np.array_equal(vectors_of("demo"), expected)
    assert on.manifest.device == "2 Ray workers (cpu)"
    assert on.manifest.longer == alone.manifest.longer == 6
    assert on.report.encoded == on.report.passages == alone.report.passages > 240
    (said,) = [step.note or "" for step in steps if step.stage == WORKERS]
    # It may have been loading the model, and had no texts yet.
    assert said.startswith(f"one on {cluster.slots[0].name} died: its process ended; ")
    assert said.endswith("another begins there")
    wait_until(lambda: workers(os.getpid()) == [])


@long
def test_a_stopped_build_goes_on_with_what_is_not_encoded(
    cluster: RayCluster, tmp_path: Path
) -> None:
    corpus = corpus_of(tmp_path / "corpus.jsonl", 240)

    def stop(step: Progress) -> None:
        if step.stage == "encoding" and step.done >= 100:
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        build_for_model("demo", [str(corpus)], embedded.MODEL_ID, device="ray", reporter=stop)
    kept = kept_vectors("demo")
    assert 100 <= kept < 240
    outcome = build_for_model("demo", [str(corpus)], embedded.MODEL_ID, device="cpu")
    assert outcome.report.encoded == 240 - kept


# Faults -----------------------------------------------------------------------------------------


@pytest.fixture
def one_worker(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The node of the only worker."""
    monkeypatch.setattr(ray_cluster, "slots_of", lambda nodes: slots_of(nodes)[:1])
    return cluster.slots[0].name


@linux
@long
def test_texts_that_end_their_workers_end_the_build(
    one_worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_engine, "_DEATHS", 1)

    def kill(step: Progress) -> None:
        if step.stage == "encoding":
            for one in workers(os.getpid()):
                os.kill(one, signal.SIGKILL)

    corpus = corpus_of(tmp_path / "corpus.jsonl", 240)
    with pytest.raises(ModelError, match=r"1 worker died while .* same 64 texts, the last on"):
        build_for_model("demo", [str(corpus)], embedded.MODEL_ID, device="ray", reporter=kill)


def save_static(folder: Path) -> Encoding:
    """A table of random vectors with the embedded model's tokenizer; returns its recipe."""
    from safetensors.numpy import save_file

    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer.json").write_bytes((embedded.locate() / "tokenizer.json").read_bytes())
    table = np.random.default_rng(1).normal(size=(30522, 8)).astype(np.float32)
    save_file({"embeddings": table}, folder / "model.safetensors")
    side = Side(template="{text}")
    return Encoding(
        type="static", grade="A", library="model2vec", query=side, document=side,
        pooling="mean", normalise=True, similarity="cosine",
    )  # fmt: skip


@long
def test_a_node_without_the_model_or_with_another_is_named(
    one_worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = save_static(tmp_path / "table")
    corpus = corpus_of(tmp_path / "corpus.jsonl", 20)
    monkeypatch.chdir(tmp_path)  # workers have another folder
    with pytest.raises(ModelError, match="table") as found:
        build_for_model("demo", [str(corpus)], "table", recipe, device="ray")
    assert found.value.line().startswith(f"node {one_worker}: ")
    assert found.value.remedy
    with pytest.raises(ModelError, match=f"node {one_worker}: .* is here in revision sha256:"):
        load_encoder(str(tmp_path / "table"), recipe, device="ray", revision="sha256:0123")
    monkeypatch.setattr(worker_engine, "__version__", "0.0.1")
    with pytest.raises(
        ModelError, match=rf"node {one_worker}: bioretrieval-tui is .* there, and 0\.0\.1"
    ):
        load_encoder(device="ray")


@pytest.mark.parametrize(
    "name",
    ["", "dask", "ray:", "ray://", "ray://host", "ray://host:0", "ray://host:99999", "ray://a b:1"],
)
def test_a_cluster_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="--on does not understand"):
        check_cluster(name)


@pytest.mark.parametrize(
    "name", ["ray", "ray://head:10001", "ray://10.0.0.1:10001", "ray://[::1]:1"]
)
def test_a_cluster_is_named(name: str) -> None:
    assert check_cluster(name) == name


def node(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerHostname": name, "Alive": alive, "Resources": resources}


def test_each_gpu_has_a_worker_else_the_cores_of_a_node_are_shared() -> None:
    head, small, large = node("head"), node("small", CPU=2.0), node("large", CPU=20.0)
    gone = node("gone", alive=False, CPU=8.0)
    assert slots_of([head, small, gone]) == [WorkerSlot("small", 1, "cpu", "small")] * 2
    assert slots_of([large]) == [WorkerSlot("large", 6, "cpu", "large")] * 3
    assert slots_of([node("one", CPU=1.0)]) == [WorkerSlot("one", 1, "cpu", "one")]
    gpus = node("gpus", CPU=64.0, GPU=4.0)
    assert slots_of([small, gpus]) == [WorkerSlot("gpus", 16, "cuda", "gpus")] * 4
    assert slots_of([head, gone]) == []


# The command line -------------------------------------------------------------------------------


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "bioretrieval_tui", "index", *words]


def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of(tmp_path / "corpus.jsonl", 20)
    for place, address, reason in (
        ("ray://127.0.0.1:1", "", r"at ray://127\.0\.0\.1:1: no connection"),
        ("ray", "nonsense", "at nonsense: it is not host:port"),
    ):
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.setattr("ray.is_initialized", lambda: False)
        with pytest.raises(ModelError, match=f"no Ray cluster answers {reason}"):
            RayCluster(place)
    words = ("build", "demo", str(corpus), "--on", "ray", "--lexical")
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "leave out --device and --lexical, or --on" in done.stderr


@linux
@long
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_the_cluster_and_nothing_of_ray_is_on_the_screen(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.jsonl", 6000)
    words = command("build", "demo", str(corpus), "--on", "ray", "--progress", "json")
    child = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAY_ADDRESS": "local"},
        start_new_session=True,  # all that it starts is in its session
    )
    assert child.stderr is not None
    lines, killed = [], False
    for line in child.stderr:
        lines.append(line)
        step = json.loads(line) if line.startswith("{") else {}
        if step.get("stage") == "encoding" and not killed:
            os.kill(workers(child.pid)[0], signal.SIGKILL)
            killed = True
        if killed and step.get("stage") == WORKERS:
            os.kill(child.pid, signal.SIGINT)
            break
    out, rest = child.communicate(timeout=60)
    (last,) = rest.splitlines()[-1:]
    lines += rest.splitlines()[:-1]
    assert [line for line in lines if not line.startswith("{")] == []
    assert (child.returncode, out) == (130, "")
    assert "the same call goes on from there" in last
    wait_until(lambda: session(child.pid) == [])


def session(leader: int) -> list[str]:
    """The command lines of a session's processes, those that have ended left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, number = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(number) == leader and state != "Z":
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found
